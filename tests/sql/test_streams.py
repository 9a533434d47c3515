"""Going live, one publisher at a time, what a streamer may change, and the lists."""

import base64
from datetime import timedelta

import pytest

from tests.databases import Person
from tests.sql.world import DEFAULT_SESSION, Beat, World, refused, tab

DERIVED = (
    "is_published",
    "active_viewer_count",
    "watching_sessions",
    "publish_epoch",
    "published_since",
    "watched_until",
    "unpublish_due_at",
    "unpublish_reason",
    "live_since",
    "live_ended_reason",
    "preview_version",
    "revision",
    "changed_at",
    "streamer_id",
    "id",
)


@pytest.mark.spec("S5")
@pytest.mark.abuse("A3")
@pytest.mark.parametrize("column", DERIVED)
async def test_a_streamer_cannot_set_what_is_derived(world: World, column: str) -> None:
    streamer = await world.person("streamer")
    await world.live(streamer)
    before = await world.rows("SELECT * FROM live_streams")
    with refused("42501"):
        await world.done(streamer, f"UPDATE live_streams SET {column} = {column}")
    with refused("42501"):
        await world.done(
            streamer, f"UPDATE live_streams SET live_available = true, {column} = DEFAULT"
        )
    assert await world.rows("SELECT * FROM live_streams") == before


@pytest.mark.spec("S5")
@pytest.mark.abuse("A3")
async def test_rows_of_streams_are_neither_inserted_nor_deleted(world: World) -> None:
    streamer, other = await world.people("streamer", "other")
    await world.live(streamer)
    with refused("42501"):
        await world.done(
            other,
            "INSERT INTO live_streams (streamer_id, is_published) VALUES ($1, true)",
            other.id,
        )
    with refused("42501"):
        await world.done(streamer, "DELETE FROM live_streams")


@pytest.mark.spec("S5", "S14")
async def test_an_owner_goes_live_and_stops_by_plain_sql(world: World) -> None:
    streamer, viewer = await world.people("streamer", "viewer")
    stream = await world.live(streamer)
    await world.beat(Beat(viewer, stream, 1))
    assert await world.done(streamer, "UPDATE live_streams SET live_available = false") == 1
    row = await world.stream(stream)
    assert (row["is_published"], row["active_viewer_count"], row["publish_epoch"]) == (False, 0, 2)
    assert row["live_ended_reason"] == "streamer_stopped"
    await world.advance(61)
    assert await world.done(streamer, "UPDATE live_streams SET live_available = true") == 1
    assert (await world.stream(stream))["live_since"] == await world.now()
    assert (await world.keep_lease(stream))["lost"] == []
    await world.advance(61)
    await world.reconcile()
    assert (await world.stream(stream))["live_ended_reason"] == "lease_expired"


@pytest.mark.spec("S5")
async def test_nobody_else_changes_a_stream(world: World) -> None:
    streamer, other = await world.people("streamer", "other")
    stream = await world.live(streamer)
    for change in ("live_available = false", "title = 'mine'", "slow_mode_seconds = 9"):
        assert await world.done(other, f"UPDATE live_streams SET {change}") == 0
        with refused("42501"):
            await world.done("anon", f"UPDATE live_streams SET {change}")
    row = await world.stream(stream)
    assert (row["live_available"], row["title"], row["slow_mode_seconds"]) == (True, "Hello", 0)
    assert len(await world.sql("anon", "SELECT * FROM live_streams")) == 1


@pytest.mark.spec("D1")
async def test_guests_go_live_only_where_the_operator_allows_it(world: World) -> None:
    guest = await world.person("visitor", guest=True)
    with refused("LW032"):
        await world.live(guest)
    assert await world.rows("SELECT 1 FROM live_streams") == []
    await world.call("service_role", "configure", p_settings={"guests_may_go_live": True})
    await world.live(guest)
    await world.call(guest, "stop_stream")
    await world.call("service_role", "configure", p_settings={"guests_may_go_live": False})
    await world.advance(61)
    with refused("LW032"):
        await world.done(guest, "UPDATE live_streams SET live_available = true")


@pytest.mark.spec("D6")
async def test_a_second_studio_is_told_no_or_takes_over(world: World) -> None:
    streamer, viewer = await world.people("streamer", "viewer")
    first, second = tab(), tab()
    stream = await world.live(streamer, first)
    await world.beat(Beat(viewer, stream, 1))
    with refused("LW030"):
        await world.live(streamer, second)
    assert (await world.keep_lease(stream, first))["lost"] == []
    taken = await world.call(
        streamer, "start_stream", p_title=None, p_session_id=second, p_take_over=True
    )
    assert taken["replaced_session_id"] == str(first)
    assert taken["change"]["publisher_session_id"] == str(second)
    assert (taken["stream"]["title"], taken["stream"]["publish_epoch"]) == ("Hello", 1)
    assert len((await world.keep_lease(stream, first))["lost"]) == 1
    assert (await world.keep_lease(stream, second))["lost"] == []
    assert await world.rows("SELECT count(*) FROM private.live_intervals") == [(1,)]


@pytest.mark.spec("D6")
async def test_the_same_session_may_say_it_twice(world: World) -> None:
    streamer = await world.person("streamer")
    session = tab()
    stream = await world.live(streamer, session)
    again = await world.call(streamer, "start_stream", p_title="Again", p_session_id=session)
    assert (again["stream"]["id"], again["replaced_session_id"]) == (str(stream), None)
    assert again["stream"]["title"] == "Again"
    assert await world.rows("SELECT count(*) FROM private.live_intervals") == [(1,)]


@pytest.mark.spec("D6", "S18")
async def test_time_without_any_server_does_not_count_as_live(world: World) -> None:
    streamer = await world.person("streamer")
    began = await world.now()
    stream = await world.live(streamer)
    await world.advance(3600)
    await world.live(streamer)
    lapsed, current = await world.rows(
        "SELECT ended_at, ended_reason FROM private.live_intervals ORDER BY started_at"
    )
    assert lapsed == (began + timedelta(seconds=60), "lease_expired")
    assert current == (None, None)
    assert (await world.stream(stream))["live_since"] == await world.now()


@pytest.mark.spec("D6")
async def test_a_silent_studio_is_taken_over_without_asking(world: World) -> None:
    streamer = await world.person("streamer")
    stream = await world.live(streamer, tab())
    await world.advance(61)
    assert await world.live(streamer, tab()) == stream


@pytest.mark.spec("D6")
async def test_stopping_when_not_live_says_so(world: World) -> None:
    streamer = await world.person("streamer")
    with refused("LW033"):
        await world.call(streamer, "stop_stream")
    stream = await world.live(streamer)
    await world.call(streamer, "stop_stream")
    with refused("LW033"):
        await world.call(streamer, "stop_stream")
    assert (await world.keep_lease(stream))["lost"] != []


@pytest.mark.spec("S5")
async def test_title_and_slow_mode_are_the_owners(world: World) -> None:
    streamer = await world.person("streamer")
    assert await world.call(streamer, "update_stream", p_title="x") is None
    await world.live(streamer)
    edited = await world.call(
        streamer, "update_stream", p_title="\u202eHi  all", p_slow_mode_seconds=5
    )
    assert (edited["title"], edited["slow_mode_seconds"]) == ("Hi all", 5)
    with refused("live_streams_title_length"):
        await world.call(streamer, "update_stream", p_title="x" * 81)


@pytest.mark.spec("D6")
async def test_who_is_live_is_listed_in_pages_most_watched_first(world: World) -> None:
    viewer, *cast = await world.people("viewer", *(f"cast.{n}" for n in range(5)))
    streams = [await world.live(person) for person in cast]
    await world.beat(Beat(viewer, streams[3], 1))
    await world.call(cast[0], "stop_stream")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await world.call("anon", "list_live_streams", p_limit=2, p_cursor=cursor)
        seen += [stream["id"] for stream in page["streams"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen[0] == str(streams[3])
    assert sorted(seen) == sorted(str(stream) for stream in streams[1:])
    assert (await world.call("anon", "get_stream", p_live_stream_id=streams[0]))[
        "live_since"
    ] is None
    assert await world.call("anon", "get_stream", p_live_stream_id=tab()) is None
    for limit in (0, -1):
        page = await world.call("anon", "list_live_streams", p_limit=limit)
        assert [stream["id"] for stream in page["streams"]] == [str(streams[3])]
        assert page["next"].endswith(f"~{streams[3]}")


async def picture(world: World, who: Person, stream: object, data: bytes = b"\xff\xd8jpeg") -> None:
    """Store a preview as the web server does."""
    await world.call(
        who, "store_preview", p_live_stream_id=stream, p_jpeg=base64.b64encode(data).decode()
    )


@pytest.mark.spec("D6")
async def test_a_preview_is_the_streamers_alone_to_set(world: World) -> None:
    streamer, other = await world.people("streamer", "other")
    stream = await world.live(streamer)
    assert await world.call("anon", "get_preview", p_live_stream_id=stream) is None
    await picture(world, streamer, stream)
    got = await world.call("anon", "get_preview", p_live_stream_id=stream)
    assert (got["version"], base64.b64decode(got["jpeg_base64"])) == (1, b"\xff\xd8jpeg")
    with refused("LW003"):
        await picture(world, other, stream)
    with refused("LW052"):
        await picture(world, streamer, stream)
    await world.advance(1.1)
    with refused("previews_small"):
        await picture(world, streamer, stream, b"x" * 65537)
    await world.call(streamer, "stop_stream")
    with refused("LW033"):
        await picture(world, streamer, stream)


@pytest.mark.spec("D6")
async def test_the_snapshot_holds_what_a_socket_starts_from(world: World) -> None:
    streamer, viewer = await world.people("streamer", "viewer")
    stream = await world.live(streamer)
    await world.beat(Beat(viewer, stream, 1))
    own = await world.call(streamer, "socket_snapshot", p_session_id=DEFAULT_SESSION)
    assert own["account"]["profile"]["name"] == "streamer"
    assert [s["id"] for s in own["streams"]] == [str(stream)]
    assert own["own_stream"] == own["streams"][0] == own["own_change"]["stream"]
    assert own["own_change"]["why"]["watchers"] == ["viewer"]
    theirs = await world.call(viewer, "socket_snapshot", p_session_id=DEFAULT_SESSION)
    assert (theirs["own_stream"], theirs["own_change"]) == (None, None)
