"""Bans: what ends at once, and what is not given out again."""

from typing import Any

import pytest

from livewall.code_catalog import Connection
from tests.databases import Person
from tests.sql.world import Beat, World, another_login, refused, tab, waiting

HOUR = "1 hour"


async def ban(world: World, warden: Person, name: str, seconds: int | None = None) -> Any:
    """Ban somebody as a moderator."""
    return await world.call(warden, "ban_profile", p_name=name, p_reason="spam", p_seconds=seconds)


@pytest.mark.spec("D3")
@pytest.mark.abuse("A15")
async def test_a_ban_ends_sessions_and_opens_none(world: World) -> None:
    alice, warden = await world.person("alice"), await world.moderator()
    opened = await world.call(
        "service_role", "open_session", p_profile_id=alice.id, p_lifetime=HOUR
    )
    await ban(world, warden, "alice")
    with refused("LW015"):
        await world.call(
            "service_role", "renew_session", p_session_id=opened["session_id"], p_lifetime=HOUR
        )
    with refused("LW002"):
        await world.call("service_role", "open_session", p_profile_id=alice.id, p_lifetime=HOUR)
    await world.call(warden, "unban_profile", p_name="alice")
    await world.call("service_role", "open_session", p_profile_id=alice.id, p_lifetime=HOUR)


@pytest.mark.spec("D3")
@pytest.mark.abuse("A15")
async def test_a_live_token_of_the_banned_does_nothing(world: World) -> None:
    alice, bob, warden = *await world.people("alice", "bob"), await world.moderator()
    stream = await world.live(bob)
    await world.call(alice, "follow", p_name="bob")
    await ban(world, warden, "alice")
    calls: list[tuple[str, dict[str, object]]] = [
        ("send_chat_message", {"p_live_stream_id": stream, "p_body": "x"}),
        ("start_stream", {"p_title": "x", "p_session_id": alice.id}),
        ("update_viewer_heartbeat", {"p_live_stream_id": stream}),
        ("save_grid", {"p_slots": []}),
        ("update_profile", {"p_bio": "x"}),
        ("replace_links", {"p_links": []}),
        ("follow", {"p_name": "bob"}),
        ("unfollow", {"p_name": "bob"}),
        ("block", {"p_name": "bob"}),
        ("my_account", {}),
        ("get_grid", {}),
        ("socket_snapshot", {"p_session_id": alice.id}),
    ]
    for function, arguments in calls:
        with refused("LW002"):
            await world.call(alice, function, **arguments)
    beat = await world.beat(Beat(alice, stream, 1))
    assert [refusal["code"] for refusal in beat["refused"]] == ["LW002"]


@pytest.mark.abuse("A15")
async def test_plain_sql_of_the_banned_writes_nothing(world: World) -> None:
    alice, bob, warden = *await world.people("alice", "bob"), await world.moderator()
    await world.live(alice)
    await world.call(alice, "follow", p_name="bob")
    await ban(world, warden, "alice")
    for statement in (
        "UPDATE profiles SET bio = 'x'",
        "UPDATE live_streams SET live_available = true",
        "DELETE FROM follows",
    ):
        assert await world.done(alice, statement) == 0
    for statement in (
        "INSERT INTO blocks (blocked_id) VALUES ($1)",
        "INSERT INTO user_grid_slots (slot_index, streamer_id) VALUES (1, $1)",
        (
            "INSERT INTO user_links (position, label, url)"
            " VALUES (1, 'x', 'https://a.example/' || $1::uuid)"
        ),
    ):
        with refused("42501"):
            await world.done(alice, statement, bob.id)


@pytest.mark.spec("D3")
@pytest.mark.abuse("A15")
async def test_a_ban_ends_watching_and_the_own_stream(world: World) -> None:
    alice, bob, warden = *await world.people("alice", "bob"), await world.moderator()
    watched, own = await world.live(bob), await world.live(alice)
    await world.beat(Beat(alice, watched, 1), Beat(bob, own, 1))
    answer = await world.call(warden, "ban_profile", p_name="alice", p_reason="spam")
    changed = {change["stream"]["id"]: change for change in answer["changes"]}
    assert changed[str(watched)]["stream"]["active_viewer_count"] == 0
    assert changed[str(own)]["stream"]["live_available"] is False
    assert changed[str(own)]["stream"]["is_published"] is False
    assert changed[str(own)]["why"]["code"] == "banned"
    assert await world.rows(
        "SELECT ended_reason FROM private.live_intervals WHERE ended_at IS NOT NULL"
    ) == [("banned",)]


@pytest.mark.spec("D3")
async def test_a_ban_with_an_end_ends(world: World) -> None:
    alice, warden = await world.person("alice"), await world.moderator()
    await ban(world, warden, "alice", 60)
    await world.advance(59)
    with refused("LW002"):
        await world.call(alice, "my_account")
    await world.advance(1)
    await world.call(alice, "my_account")
    with refused("LW005"):
        await ban(world, warden, "alice", 0)


@pytest.mark.spec("D3")
async def test_only_moderators_ban_and_never_staff(world: World) -> None:
    alice, warden = await world.person("alice"), await world.moderator()
    await world.moderator("other")
    await world.person("bob")
    for name in ("bob", "warden"):
        with refused("LW003"):
            await ban(world, alice, name)
    for name in ("warden", "other"):
        with refused("LW003"):
            await ban(world, warden, name)
    with refused("LW003"):
        await world.call(alice, "unban_profile", p_name="alice")
    with refused("LW004"):
        await ban(world, warden, "nobody")
    with refused("42501"):
        await world.call("anon", "ban_profile", p_name="alice", p_reason="x")


@pytest.mark.spec("D3")
async def test_the_reason_of_a_ban_is_nobody_elses_to_read(world: World) -> None:
    alice, warden = await world.person("alice"), await world.moderator()
    await ban(world, warden, "alice")
    for who in (alice, warden, "anon", "service_role"):
        with refused("42501"):
            await world.sql(who, "SELECT * FROM private.bans")
    assert "spam" not in str(await world.call("anon", "get_profile", p_name="alice"))


@pytest.mark.spec("D3")
@pytest.mark.abuse("A15")
async def test_a_deleted_account_stays_banned_under_its_id(world: World) -> None:
    outside = Person(tab(), "paula")
    await world.call("service_role", "ensure_profile", p_profile_id=outside.id, p_name="paula")
    await ban(world, await world.moderator(), "paula")
    with refused("LW002"):
        await world.call("service_role", "ensure_profile", p_profile_id=outside.id, p_name="paula")
    # Whoever leaves may take their data along, banned or not.
    assert await world.call(outside, "delete_account") == str(outside.id)
    assert await world.rows("SELECT 1 FROM profiles WHERE id = $1", outside.id) == []
    for name in ("paula", "innocent"):
        with refused("LW002"):
            await world.call("service_role", "ensure_profile", p_profile_id=outside.id, p_name=name)
    assert await world.rows("SELECT 1 FROM profiles WHERE id = $1", outside.id) == []


@pytest.mark.spec("D3")
@pytest.mark.abuse("A15")
@pytest.mark.parametrize("is_live", [True, False])
async def test_title_and_picture_of_the_banned_are_gone(world: World, is_live: bool) -> None:
    alice, warden = await world.person("alice"), await world.moderator()
    stream = await world.live(alice)
    picture = "/9j/4AAQ"
    await world.call(alice, "store_preview", p_live_stream_id=stream, p_jpeg=picture)
    before = await world.stream(stream)
    if not is_live:
        await world.call(alice, "stop_stream")
    banned: Any = await ban(world, warden, "alice")
    assert await world.call("anon", "get_preview", p_live_stream_id=stream) is None
    after = await world.stream(stream)
    assert (after["title"], after["live_available"]) == ("", False)
    assert after["preview_version"] > before["preview_version"]
    assert [c["stream"]["title"] for c in banned["changes"]] == [""]


BAN = "SELECT ban_profile('alice', 'spam')"
START = "SELECT start_stream('Hello', '00000000-0000-0000-0000-000000000000')"
UPDATE = "UPDATE live_streams SET live_available = true"
GOING_LIVE = [(START, True), (START, False), (UPDATE, False)]


async def streamer_and_moderator(world: World, *, is_first: bool) -> tuple[Connection, Connection]:
    """Log in alice, who was live before unless it is her first time, and somebody who may ban."""
    alice, warden = await world.person("alice"), await world.moderator()
    if not is_first:
        await world.live(alice)
        await world.call(alice, "stop_stream")
    return await another_login(world, alice), await another_login(world, warden)


@pytest.mark.spec("D3")
@pytest.mark.abuse("A15")
@pytest.mark.parametrize(("going_live", "is_first"), GOING_LIVE)
async def test_who_is_banned_while_going_live_is_not_live(
    world: World, going_live: str, is_first: bool
) -> None:
    streamer, moderator = await streamer_and_moderator(world, is_first=is_first)
    await streamer.execute(going_live)
    banning = await waiting(moderator, BAN)
    await streamer.execute("COMMIT")
    await banning
    await moderator.execute("COMMIT")
    assert await world.rows("SELECT live_available FROM live_streams") == [(False,)]


@pytest.mark.spec("D3")
@pytest.mark.abuse("A15")
@pytest.mark.parametrize(("going_live", "is_first"), GOING_LIVE)
async def test_who_goes_live_while_being_banned_is_refused(
    world: World, going_live: str, is_first: bool
) -> None:
    streamer, moderator = await streamer_and_moderator(world, is_first=is_first)
    await moderator.execute(BAN)
    starting = await waiting(streamer, going_live)
    await moderator.execute("COMMIT")
    with refused("LW002"):
        await starting
    assert await world.rows("SELECT 1 FROM live_streams WHERE live_available") == []
