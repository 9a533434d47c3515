"""Who is recorded as watching: identity, sequences, sessions, limits, silence, cleanup."""

from uuid import UUID

import pytest

from tests.databases import Person
from tests.sql.world import DEFAULT_SESSION, NONE, Beat, Leave, World, refused, tab

FLAGS = """
SELECT is_active, is_unmuted, is_visible, is_subscribed FROM public.active_viewers
WHERE viewer_id = $1 AND session_id = $2
"""
WATCHED_ONLY = 14  # everything but active: a preview tile


async def pair(world: World) -> tuple[Person, Person, UUID]:
    """Return a streamer, a viewer and the live stream that nobody watches yet."""
    streamer, viewer = await world.people("streamer", "viewer")
    return streamer, viewer, await world.live(streamer)


async def live_streams(world: World, count: int) -> list[UUID]:
    """Return that many live streams of as many streamers."""
    return [await world.live(await world.person(f"cast.{n}")) for n in range(count)]


@pytest.mark.spec("S13", "S15")
async def test_a_heartbeat_upserts_the_callers_row(world: World) -> None:
    _, viewer, stream = await pair(world)
    answer = await world.watch(viewer, stream)
    assert answer["is_published"] is True
    assert await world.rows(FLAGS, viewer.id, DEFAULT_SESSION) == [(True, True, True, True)]
    first = await world.rows("SELECT first_active_at, last_active_at FROM active_viewers")
    await world.advance(12)
    await world.watch(viewer, stream, is_visible=False)
    assert await world.rows(FLAGS, viewer.id, DEFAULT_SESSION) == [(True, True, False, True)]
    second = await world.rows("SELECT first_active_at, last_active_at FROM active_viewers")
    assert second[0][0] == first[0][0]
    assert (second[0][1] - first[0][1]).total_seconds() == 12


@pytest.mark.spec("S15")
async def test_a_heartbeat_needs_no_more_than_the_stream(world: World) -> None:
    _, viewer, stream = await pair(world)
    call = "SELECT public.update_viewer_heartbeat($1)"
    assert (await world.one(viewer, call, stream))["active_viewer_count"] == 1
    own = "SELECT public.update_viewer_heartbeat($1, p_viewer_id => $2)"
    assert (await world.one(viewer, own, stream, viewer.id))["active_viewer_count"] == 1
    with refused("LW005"):
        await world.watch(viewer, stream, is_active="null")


@pytest.mark.abuse("A1", "A14")
async def test_a_heartbeat_for_somebody_else_is_refused(world: World) -> None:
    streamer, viewer, stream = await pair(world)
    call = "SELECT public.update_viewer_heartbeat($1, p_viewer_id => $2)"
    with refused("LW020"):
        await world.sql(viewer, call, stream, streamer.id)
    assert await world.rows("SELECT 1 FROM active_viewers") == []


@pytest.mark.abuse("A1")
async def test_nobody_in_particular_cannot_watch(world: World) -> None:
    _, viewer, stream = await pair(world)
    with refused("42501"):
        await world.watch("anon", stream)
    ghost = Person(tab(), "ghost")
    with refused("LW001"):
        await world.watch(ghost, stream)
    answer = await world.beat(Beat(ghost, stream, 1), Beat(viewer, stream, 1))
    assert [refusal["code"] for refusal in answer["refused"]] == ["LW001"]
    assert answer["changes"][0]["stream"]["active_viewer_count"] == 1


@pytest.mark.abuse("A2")
async def test_an_unknown_or_ended_stream_is_refused_and_leaves_no_row(world: World) -> None:
    streamer, viewer, stream = await pair(world)
    await world.call(streamer, "stop_stream")
    with refused("LW021"):
        await world.watch(viewer, stream)
    with refused("LW004"):
        await world.watch(viewer, tab())
    answer = await world.beat(Beat(viewer, stream, 1), Beat(viewer, tab(), 1))
    assert sorted(refusal["code"] for refusal in answer["refused"]) == ["LW004", "LW021"]
    assert answer["changes"] == []
    assert await world.rows("SELECT 1 FROM active_viewers") == []


@pytest.mark.abuse("A2")
async def test_a_watcher_of_a_stream_that_ends_is_told_at_the_next_heartbeat(world: World) -> None:
    streamer, viewer, stream = await pair(world)
    await world.beat(Beat(viewer, stream, 1))
    await world.call(streamer, "stop_stream")
    answer = await world.beat(Beat(viewer, stream, 2))
    assert [refusal["code"] for refusal in answer["refused"]] == ["LW021"]


@pytest.mark.abuse("A4")
async def test_two_tabs_with_different_flags_qualify_if_any_does(world: World) -> None:
    _, viewer, stream = await pair(world)
    one, other = tab(), tab()
    await world.beat(Beat(viewer, stream, 1, session=one))
    await world.beat(Beat(viewer, stream, 1, NONE, session=other))
    assert await world.is_published(stream)
    assert await world.rows(FLAGS, viewer.id, one) == [(True, True, True, True)]
    await world.leave(Leave(viewer, 2, session=other))
    assert (await world.stream(stream))["active_viewer_count"] == 1
    await world.beat(Beat(viewer, stream, 2, NONE, session=one))
    assert (await world.stream(stream))["active_viewer_count"] == 0


@pytest.mark.abuse("A5")
async def test_a_zombie_tab_does_not_hold_the_camera_once_silent(world: World) -> None:
    _, viewer, stream = await pair(world)
    zombie, living = tab(), tab()
    await world.beat(
        Beat(viewer, stream, 1, session=zombie), Beat(viewer, stream, 1, session=living)
    )
    await world.advance(40)
    await world.leave(Leave(viewer, 2, session=living))
    assert (await world.stream(stream))["active_viewer_count"] == 1
    await world.keep_lease(stream)
    await world.advance(20)
    await world.sweep()
    assert not await world.is_published(stream)


@pytest.mark.abuse("A7")
@pytest.mark.parametrize("late", [1, 2, 3])
async def test_an_older_or_equal_sequence_is_ignored(world: World, late: int) -> None:
    _, viewer, stream = await pair(world)
    await world.beat(Beat(viewer, stream, 3, NONE))
    await world.advance(5)
    answer = await world.beat(Beat(viewer, stream, late))
    assert answer == {"changes": [], "refused": []}
    assert await world.rows("SELECT sequence, is_watching FROM active_viewers") == [(3, False)]
    assert not await world.is_published(stream)


@pytest.mark.abuse("A7")
async def test_a_repeated_renewal_does_not_lengthen_a_life(world: World) -> None:
    _, viewer, stream = await pair(world)
    await world.beat(Beat(viewer, stream, 1))
    await world.advance(30)
    await world.beat(Beat(viewer, stream, 1))
    await world.keep_lease(stream)
    await world.advance(30)
    await world.sweep()
    assert not await world.is_published(stream)


@pytest.mark.abuse("A7")
async def test_a_leave_beats_an_older_heartbeat_that_arrives_late(world: World) -> None:
    _, viewer, stream = await pair(world)
    await world.beat(Beat(viewer, stream, 1))
    await world.leave(Leave(viewer, 5))
    await world.beat(Beat(viewer, stream, 4))
    assert (await world.stream(stream))["active_viewer_count"] == 0
    await world.beat(Beat(viewer, stream, 6))
    assert (await world.stream(stream))["active_viewer_count"] == 1
    await world.leave(Leave(viewer, 5))
    assert (await world.stream(stream))["active_viewer_count"] == 1


@pytest.mark.spec("S13", "S18")
async def test_a_leave_names_one_stream_or_all_of_its_own_session(world: World) -> None:
    viewer = await world.person("viewer")
    one, two, three = await live_streams(world, 3)
    other = tab()
    await world.beat(
        *(Beat(viewer, stream, 1) for stream in (one, two, three)),
        Beat(viewer, three, 1, session=other),
    )
    await world.leave(Leave(viewer, 2, stream=one))
    counts = "SELECT active_viewer_count FROM live_streams WHERE id = ANY ($1) ORDER BY id = $2"
    assert await world.rows(counts, [one, two], one) == [(1,), (0,)]
    await world.leave(Leave(viewer, 3))
    assert (await world.stream(two))["active_viewer_count"] == 0
    assert (await world.stream(three))["active_viewer_count"] == 1


@pytest.mark.abuse("A8")
async def test_time_comes_from_the_database_alone(world: World) -> None:
    _, viewer, stream = await pair(world)
    await world.watch(viewer, stream)
    ahead = "UPDATE active_viewers SET last_active_at = last_active_at + interval '1 day'"
    with refused("42501"):
        await world.sql(viewer, ahead)
    first = "INSERT INTO active_viewers (live_stream_id, session_id, last_active_at) VALUES"
    with refused("42501"):
        await world.sql(viewer, f"{first} ($1, $2, now() + interval '1 day')", stream, tab())
    stamps = await world.rows("SELECT first_active_at, last_active_at FROM active_viewers")
    assert stamps == [(await world.now(), await world.now())]


@pytest.mark.spec("S12")
@pytest.mark.abuse("A9")
async def test_a_thirteenth_tile_is_refused(world: World) -> None:
    viewer = await world.person("viewer")
    streams = await live_streams(world, 13)
    whole = [Beat(viewer, stream, 1, WATCHED_ONLY) for stream in streams]
    answer = await world.beat(*whole)
    assert {refusal["code"] for refusal in answer["refused"]} == {"LW023"}
    assert await world.rows("SELECT 1 FROM active_viewers") == []
    assert (await world.beat(*whole[:12]))["refused"] == []
    answer = await world.beat(Beat(viewer, streams[12], 2, WATCHED_ONLY))
    assert [refusal["code"] for refusal in answer["refused"]] == ["LW023"]
    with refused("LW023"):
        await world.watch(viewer, streams[12], is_active=False)
    assert (await world.beat(Beat(viewer, streams[12], 1, WATCHED_ONLY, tab())))["refused"] == []


@pytest.mark.spec("S12")
@pytest.mark.abuse("A9")
async def test_a_fifth_active_tile_is_refused(world: World) -> None:
    viewer = await world.person("viewer")
    streams = await live_streams(world, 5)
    answer = await world.beat(*(Beat(viewer, stream, 1) for stream in streams))
    assert {refusal["code"] for refusal in answer["refused"]} == {"LW024"}
    assert not await world.is_published(streams[0])
    assert (await world.beat(*(Beat(viewer, stream, 2) for stream in streams[:4])))["refused"] == []
    with refused("LW024"):
        await world.watch(viewer, streams[4])
    # One down and another up in the same message is no fifth.
    swapped = await world.beat(
        Beat(viewer, streams[0], 3, WATCHED_ONLY), Beat(viewer, streams[4], 3)
    )
    assert swapped["refused"] == []


@pytest.mark.abuse("A9")
async def test_a_refused_message_changes_nothing(world: World) -> None:
    viewer = await world.person("viewer")
    streams = await live_streams(world, 5)
    await world.beat(*(Beat(viewer, stream, 1) for stream in streams[:4]))
    before = await world.rows("SELECT * FROM active_viewers ORDER BY live_stream_id")
    await world.advance(10)
    answer = await world.beat(
        *(Beat(viewer, stream, 2, 13) for stream in streams[:4]), Beat(viewer, streams[4], 2)
    )
    assert {refusal["code"] for refusal in answer["refused"]} == {"LW024"}
    after = await world.rows("SELECT * FROM active_viewers ORDER BY live_stream_id")
    assert after == before


@pytest.mark.spec("S12")
async def test_tiles_that_were_left_or_fell_silent_make_room(world: World) -> None:
    viewer = await world.person("viewer")
    streams = await live_streams(world, 13)
    await world.beat(*(Beat(viewer, stream, 1, WATCHED_ONLY) for stream in streams[1:9]))
    await world.beat(*(Beat(viewer, stream, 1) for stream in streams[9:]))
    await world.leave(Leave(viewer, 2, stream=streams[12]))
    await world.watch(viewer, streams[0])
    with refused("LW023"):
        await world.watch(viewer, streams[12])
    with refused("LW024"):
        await world.watch(viewer, streams[1])
    await world.advance(60)
    for stream in streams[:4]:
        await world.watch(viewer, stream)


@pytest.mark.abuse("A12")
async def test_one_account_watches_from_eight_sessions_at_most(world: World) -> None:
    _, viewer, stream = await pair(world)
    for _ in range(8):
        await world.watch(viewer, stream, tab())
    with refused("LW025"):
        await world.watch(viewer, stream, tab())
    answer = await world.beat(Beat(viewer, stream, 1, session=tab()))
    assert [refusal["code"] for refusal in answer["refused"]] == ["LW025"]
    assert (await world.stream(stream))["active_viewer_count"] == 1
    await world.advance(60)
    await world.watch(viewer, stream, tab())


@pytest.mark.abuse("A20")
async def test_a_blocked_pair_does_not_watch_each_other(world: World) -> None:
    streamer, viewer, stream = await pair(world)
    own = await world.live(viewer)
    await world.watch(viewer, stream)
    await world.watch(streamer, own)
    answer = await world.call(streamer, "block", p_name="viewer")
    counts = {
        change["stream"]["id"]: change["stream"]["active_viewer_count"]
        for change in answer["changes"]
    }
    assert counts == {str(stream): 0, str(own): 0}
    for blocked, theirs in ((viewer, stream), (streamer, own)):
        with refused("LW022"):
            await world.watch(blocked, theirs)
        refusals = (await world.beat(Beat(blocked, theirs, 99)))["refused"]
        assert [refusal["code"] for refusal in refusals] == ["LW022"]
    await world.call(streamer, "unblock", p_name="viewer")
    assert (await world.watch(viewer, stream))["active_viewer_count"] == 1


@pytest.mark.spec("S19")
async def test_a_streamer_watches_their_own_stream_like_everybody(world: World) -> None:
    streamer, _, stream = await pair(world)
    assert (await world.watch(streamer, stream))["active_viewer_count"] == 1
    assert await world.is_published(stream)
    assert await world.rows("SELECT viewer_id FROM active_viewers") == [(streamer.id,)]
    own = "SELECT viewer_id, is_watching FROM active_viewers"
    assert [tuple(row) for row in await world.sql(streamer, own)] == [(streamer.id, True)]


@pytest.mark.spec("S17")
async def test_cleanup_removes_only_what_was_silent_for_sixty_seconds(world: World) -> None:
    _, viewer, stream = await pair(world)
    other = await world.person("other")
    await world.beat(Beat(viewer, stream, 1))
    await world.advance(30)
    await world.beat(Beat(other, stream, 1))
    await world.advance(29)
    assert await world.cleanup() == 0
    await world.advance(1)
    assert await world.cleanup() == 1
    assert await world.rows("SELECT viewer_id FROM active_viewers") == [(other.id,)]
    assert await world.cleanup() == 0


@pytest.mark.spec("S17", "S35")
async def test_cleanup_counts_nobody_away(world: World) -> None:
    _, viewer, stream = await pair(world)
    await world.beat(Beat(viewer, stream, 1))
    await world.keep_lease(stream)
    await world.advance(61)
    await world.cleanup()
    await world.keep_lease(stream)
    await world.reconcile()
    row = await world.stream(stream)
    assert (row["active_viewer_count"], row["is_published"]) == (0, False)
    ended = await world.rows("SELECT ended_reason FROM private.publish_intervals")
    assert ended in ([("viewers_silent",)], [("lease_expired",)])


@pytest.mark.spec("S18")
async def test_a_viewer_who_deletes_their_account_stops_watching(world: World) -> None:
    _, viewer, stream = await pair(world)
    await world.watch(viewer, stream)
    await world.call(viewer, "delete_account")
    row = await world.stream(stream)
    assert (row["active_viewer_count"], row["is_published"]) == (0, True)
    await world.pass_time(10, lease=stream)
    assert not await world.is_published(stream)
