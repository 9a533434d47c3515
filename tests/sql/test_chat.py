"""Chat: who may say what how often, what others read, and what moderators can do about it."""

import itertools
from typing import Any
from uuid import UUID

import pytest

from tests.databases import Person
from tests.sql.world import World, refused

INSERT = "INSERT INTO chat_messages (live_stream_id, body) VALUES ($1, $2)"


async def say(world: World, who: Person, stream: UUID, body: str = "hello") -> Any:
    """Say something as the web server does."""
    return await world.call(who, "send_chat_message", p_live_stream_id=stream, p_body=body)


async def read(world: World, who: Person | str, stream: UUID) -> list[str]:
    """Return what somebody reads, newest first."""
    page = await world.call(who, "list_chat_messages", p_live_stream_id=stream)
    return [message["body"] for message in page["messages"]]


async def chat(world: World) -> tuple[Person, Person, UUID]:
    """Return a streamer, a viewer and the stream they talk in."""
    streamer, viewer = await world.people("streamer", "viewer")
    return streamer, viewer, await world.live(streamer)


@pytest.mark.spec("S7", "D3")
async def test_what_one_says_everybody_reads(world: World) -> None:
    _, viewer, stream = await chat(world)
    message = await say(world, viewer, stream, " hello  there ")
    assert (message["body"], message["type"], message["is_deleted"]) == (
        "hello there",
        "text",
        False,
    )
    assert message["sender"]["name"] == "viewer"
    assert await read(world, "anon", stream) == ["hello there"]
    assert len(await world.sql("anon", "SELECT * FROM chat_messages")) == 1
    assert await world.done(viewer, INSERT, stream, "by plain SQL") == 1
    assert await read(world, viewer, stream) == ["by plain SQL", "hello there"]


@pytest.mark.spec("S7")
@pytest.mark.abuse("A14")
async def test_one_speaks_as_oneself(world: World) -> None:
    streamer, viewer, stream = await chat(world)
    forged = "INSERT INTO chat_messages (live_stream_id, sender_id, body) VALUES ($1, $2, 'x')"
    with refused("LW020"):
        await world.done(viewer, forged, stream, streamer.id)
    with refused("LW020"):
        await world.done(viewer, forged, stream, None)
    for who in ("anon", "service_role"):
        with refused("42501"):
            await world.done(who, INSERT, stream, "x")
    with refused("42501"):
        await world.call("anon", "send_chat_message", p_live_stream_id=stream, p_body="x")


@pytest.mark.spec("S7")
@pytest.mark.abuse("A18")
@pytest.mark.parametrize("kind", ["system", "gift", "TEXT", None])
async def test_a_forged_kind_of_message_is_refused(world: World, kind: str | None) -> None:
    _, viewer, stream = await chat(world)
    forged = "INSERT INTO chat_messages (live_stream_id, type, body) VALUES ($1, $2, 'x')"
    with refused("LW055"):
        await world.done(viewer, forged, stream, kind)
    assert await world.rows("SELECT 1 FROM chat_messages") == []


@pytest.mark.spec("S7")
@pytest.mark.abuse("A18")
async def test_what_was_said_cannot_be_rewritten(world: World) -> None:
    _, viewer, stream = await chat(world)
    await say(world, viewer, stream)
    for statement in (
        "UPDATE chat_messages SET body = 'other'",
        "UPDATE chat_messages SET type = 'system'",
        "DELETE FROM chat_messages",
        (
            "INSERT INTO chat_messages (live_stream_id, body, created_at) "
            "SELECT live_stream_id, 'x', now() FROM chat_messages"
        ),
    ):
        with refused("42501"):
            await world.done(viewer, statement)


@pytest.mark.spec("D3")
@pytest.mark.abuse("A19")
async def test_a_flood_is_slowed_to_one_message_every_two_seconds(world: World) -> None:
    _, viewer, stream = await chat(world)
    for n in range(5):
        await say(world, viewer, stream, f"message {n}")
    for _ in range(3):
        with refused("LW052"):
            await say(world, viewer, stream)
    with refused("LW052"):
        await world.done(viewer, INSERT, stream, "by plain SQL")
    await world.advance(2)
    await say(world, viewer, stream)
    with refused("LW052"):
        await say(world, viewer, stream)
    await world.advance(3600)
    for _ in range(5):
        await say(world, viewer, stream)
    with refused("LW052"):
        await say(world, viewer, stream)


@pytest.mark.spec("D3")
@pytest.mark.abuse("A19")
async def test_a_flood_by_one_statement_is_refused_whole(world: World) -> None:
    _, viewer, stream = await chat(world)
    flood = (
        "INSERT INTO chat_messages (live_stream_id, body) SELECT $1, 'x' FROM generate_series(1, 6)"
    )
    with refused("LW052"):
        await world.done(viewer, flood, stream)
    assert await world.rows("SELECT 1 FROM chat_messages") == []


INVISIBLE = (
    "\ufe0f",
    "\u2800",
    "\u180f",
    "\u034f",
    "\u00a0",
    "\u3000",
    "\U000e0100",
    "\u115f",
    "\u0332\u2800",
    "\u0301",
    "\U0001d159",
    "\u200d\ufe0f",
)


@pytest.mark.abuse("A19")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("x" * 501, "LW051"),
        ("x" * 1_000_000, "LW051"),
        ("", "LW050"),
        ("   ", "LW050"),
        ("\u200b\u200d\u2060\ufeff\u00ad", "LW050"),
        ("\u202e\u2066", "LW050"),
        ("\t\n\x0b", "LW050"),
        *((invisible, "LW050") for invisible in INVISIBLE),
        (None, "LW050"),
    ],
)
async def test_too_long_or_nothing_visible_is_refused(
    world: World, body: str | None, code: str
) -> None:
    _, viewer, stream = await chat(world)
    with refused(code):
        await say(world, viewer, stream, body or "") if body is not None else await world.call(
            viewer, "send_chat_message", p_live_stream_id=stream, p_body=None
        )
    with refused(code):
        await world.done(viewer, INSERT, stream, body)


@pytest.mark.abuse("A19")
@pytest.mark.parametrize(
    ("said", "read_"),
    [
        ("a\u200bb\u202ec\u2066d", "abcd"),
        (
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        ),
        ("z" + "\u0335" * 40, "z" + "\u0335" * 3),
        ("e\u0301", "\u00e9"),
        ("one\ntwo", "one two"),
        ("\U000e0041bc", "bc"),
        ("\u0e01" + "\u0e47" * 400, "\u0e01" + "\u0e47" * 4),
        ("\u05d0" + "\u05b8" * 90, "\u05d0" + "\u05b8" * 4),
        ("\u2764\ufe0f 1\ufe0f\u20e3", "\u2764\ufe0f 1\ufe0f\u20e3"),
        ("a\ufe0fb\u034fc\u2800\u00a0d", "abc d"),
        ("\u0e17\u0e35\u0e48\u0e19\u0e35\u0e48", "\u0e17\u0e35\u0e48\u0e19\u0e35\u0e48"),
        ("a\u200b\u0301", "\u00e1"),
        ("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd"),
    ],
)
async def test_tricks_are_stripped_and_languages_stay(world: World, said: str, read_: str) -> None:
    _, viewer, stream = await chat(world)
    assert (await say(world, viewer, stream, said))["body"] == read_


@pytest.mark.spec("D3")
async def test_slow_mode_holds_for_everybody_but_the_streamer(world: World) -> None:
    streamer, viewer, stream = await chat(world)
    await world.call(streamer, "update_stream", p_slow_mode_seconds=30)
    await say(world, viewer, stream)
    await world.advance(29)
    with refused("LW053"):
        await say(world, viewer, stream)
    for _ in range(2):
        await say(world, streamer, stream)
    await world.advance(1)
    await say(world, viewer, stream)
    with refused("live_streams_slow_mode_range"):
        await world.call(streamer, "update_stream", p_slow_mode_seconds=301)


@pytest.mark.spec("D3")
async def test_the_muted_read_along_until_the_mute_ends(world: World) -> None:
    streamer, viewer, stream = await chat(world)
    elsewhere = await world.live(await world.person("other"))
    mute = {"p_live_stream_id": stream, "p_name": "viewer", "p_seconds": 60}
    await world.call(streamer, "mute_in_chat", **mute)
    with refused("LW054"):
        await say(world, viewer, stream)
    with refused("LW054"):
        await world.done(viewer, INSERT, stream, "x")
    await say(world, viewer, elsewhere)
    assert await read(world, viewer, stream) == []
    await world.advance(60)
    await say(world, viewer, stream)
    await world.call(streamer, "mute_in_chat", **mute)
    await world.call(streamer, "unmute_in_chat", p_live_stream_id=stream, p_name="viewer")
    await say(world, viewer, stream)


@pytest.mark.spec("D3")
async def test_only_the_streamer_and_moderators_mute(world: World) -> None:
    streamer, viewer, stream = await chat(world)
    warden = await world.moderator()
    mute = {"p_live_stream_id": stream, "p_seconds": 60}
    for name in ("streamer", "viewer"):
        with refused("LW003"):
            await world.call(viewer, "mute_in_chat", p_name=name, **mute)
    with refused("LW003"):
        await world.call(viewer, "unmute_in_chat", p_live_stream_id=stream, p_name="viewer")
    for name in ("streamer", "warden"):
        with refused("LW003"):
            await world.call(streamer, "mute_in_chat", p_name=name, **mute)
    with refused("LW005"):
        await world.call(
            warden, "mute_in_chat", p_live_stream_id=stream, p_name="viewer", p_seconds=0
        )
    await world.call(warden, "mute_in_chat", p_name="viewer", **mute)


@pytest.mark.spec("D3")
async def test_author_streamer_and_moderator_may_delete(world: World) -> None:
    streamer, viewer, stream = await chat(world)
    warden, stranger = await world.moderator(), await world.person("stranger")
    for who in (viewer, streamer, warden):
        message = await say(world, viewer, stream, "secret")
        with refused("LW003"):
            await world.call(stranger, "delete_chat_message", p_message_id=message["id"])
        gone = await world.call(who, "delete_chat_message", p_message_id=message["id"])
        assert gone == {"stream_id": str(stream), "id": message["id"]}
    page = await world.call("anon", "list_chat_messages", p_live_stream_id=stream)
    assert [(m["body"], m["is_deleted"]) for m in page["messages"]] == [("", True)] * 3
    with refused("LW004"):
        await world.call(viewer, "delete_chat_message", p_message_id=10**9)


@pytest.mark.spec("D3")
async def test_a_report_keeps_the_words_and_counts_once(world: World) -> None:
    streamer, viewer, stream = await chat(world)
    message = (await say(world, viewer, stream, "rude"))["id"]
    for reason in ("rude to me", "again"):
        await world.call(streamer, "report_chat_message", p_message_id=message, p_reason=reason)
    await world.call(viewer, "delete_chat_message", p_message_id=message)
    reports = "SELECT reporter_id, body, reason FROM private.chat_reports"
    assert await world.rows(reports) == [(streamer.id, "rude", "rude to me")]
    with refused("LW004"):
        await world.call(streamer, "report_chat_message", p_message_id=message, p_reason="x")
    other = (await say(world, viewer, stream, "more"))["id"]
    with refused("chat_reports_reason_length"):
        await world.call(streamer, "report_chat_message", p_message_id=other, p_reason=" ")
    with refused("42501"):
        await world.sql(viewer, "SELECT * FROM private.chat_reports")


@pytest.mark.spec("D3")
async def test_moderators_read_what_was_reported_and_nobody_else_does(world: World) -> None:
    streamer, viewer, stream = await chat(world)
    warden = await world.moderator()
    ids = [(await say(world, viewer, stream, words))["id"] for words in ("rude", "ruder", "fine")]
    for message, reason in zip(ids, ("insults", "threats", "I do not like it"), strict=True):
        await world.call(streamer, "report_chat_message", p_message_id=message, p_reason=reason)
    await world.call(viewer, "delete_chat_message", p_message_id=ids[0])
    first = await world.call(warden, "list_chat_reports", p_limit=2)
    rest = await world.call(warden, "list_chat_reports", p_limit=2, p_before=first["next"])
    assert rest["next"] is None
    reports = [*first["entries"], *rest["entries"]]
    assert [(r["body"], r["reason"]) for r in reports] == [
        ("fine", "I do not like it"),
        ("ruder", "threats"),
        ("rude", "insults"),
    ]
    assert {r["reporter"]["name"] for r in reports} == {"streamer"}
    assert {r["message"]["sender"]["name"] for r in reports} == {"viewer"}
    assert [r["message"]["is_deleted"] for r in reports] == [False, False, True]
    for who in (streamer, viewer):
        with refused("LW003"):
            await world.call(who, "list_chat_reports")
    for role in ("anon", "service_role"):
        with refused("42501"):
            await world.call(role, "list_chat_reports")


@pytest.mark.spec("D3")
async def test_history_comes_in_pages_without_gaps_or_repeats(world: World) -> None:
    _, viewer, stream = await chat(world)
    for n in range(7):
        await world.advance(2)
        await say(world, viewer, stream, f"{n}")
    seen: list[str] = []
    before: int | None = None
    sizes: list[int] = []
    while True:
        page = await world.call(
            "anon", "list_chat_messages", p_live_stream_id=stream, p_before=before, p_limit=3
        )
        seen += [message["body"] for message in page["messages"]]
        sizes.append(len(page["messages"]))
        before = page["next"]
        if before is None:
            break
    assert (seen, sizes) == (["6", "5", "4", "3", "2", "1", "0"], [3, 3, 1])


@pytest.mark.spec("D2")
@pytest.mark.abuse("A20")
async def test_the_blocked_do_not_read_each_other(world: World) -> None:
    streamer, viewer, stream = await chat(world)
    other = await world.person("other")
    await say(world, viewer, stream, "from viewer")
    await say(world, other, stream, "from other")
    await world.call(viewer, "block", p_name="other")
    assert await read(world, viewer, stream) == ["from viewer"]
    assert await read(world, other, stream) == ["from other"]
    assert await read(world, streamer, stream) == ["from other", "from viewer"]
    assert await read(world, "anon", stream) == ["from other", "from viewer"]


@pytest.mark.spec("D2")
@pytest.mark.abuse("A20")
async def test_the_blocked_do_not_write_in_each_others_chat(world: World) -> None:
    streamer, viewer, stream = await chat(world)
    own = await world.live(viewer)
    await world.call(viewer, "block", p_name="streamer")
    for who, where in ((viewer, stream), (streamer, own)):
        with refused("LW022"):
            await say(world, who, where)
        with refused("LW022"):
            await world.done(who, INSERT, where, "x")


@pytest.mark.abuse("A19")
async def test_cleaning_twice_is_cleaning_once(world: World) -> None:
    pieces = [*INVISIBLE, "a", "\u2764", "\u200d", "\u0e47", "\u0301\u0302", "1", "\u1100", " "]
    texts = ["".join(part) for part in itertools.product(pieces, repeat=3)]
    cleaned = "SELECT array_agg(private.clean_text(t)) FROM unnest($1::text[]) AS t"
    once = (await world.rows(cleaned, texts))[0][0]
    assert (await world.rows(cleaned, once))[0][0] == once
