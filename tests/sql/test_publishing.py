"""When a camera sends video: on with the first viewer, off after the last, told to whom."""

import pytest

from tests.sql.world import Beat, Leave, World, refused, seconds_until_off, tab, watched

INTERVALS = """
SELECT epoch, started_reason, ended_reason, extract(epoch FROM ended_at - started_at)::integer
FROM private.publish_intervals WHERE live_stream_id = $1 ORDER BY epoch
"""


@pytest.mark.spec("S14")
async def test_nobody_watching_means_not_published(world: World) -> None:
    streamer = await world.person("streamer")
    stream = await world.live(streamer)
    await world.pass_time(3)
    assert not await world.is_published(stream)
    why = await world.why(stream)
    assert (why["code"], why["is_published"], why["epoch"]) == ("nobody_watching", False, 0)


@pytest.mark.spec("S14", "S15")
async def test_first_viewer_publishes_in_the_same_statement(world: World) -> None:
    streamer, viewer = await world.people("streamer", "viewer")
    stream = await world.live(streamer)
    answer = await world.beat(Beat(viewer, stream, 1))
    [change] = answer["changes"]
    assert change["stream"]["is_published"] is True
    assert change["stream"]["active_viewer_count"] == 1
    assert change["stream"]["publish_epoch"] == 1
    assert change["why"]["code"] == "watched"
    assert change["why"]["watchers"] == ["viewer"]
    assert await world.is_published(stream)


@pytest.mark.spec("S13", "S14")
@pytest.mark.parametrize("missing", [1, 2, 4, 8])
async def test_every_flag_is_needed_to_count(world: World, missing: int) -> None:
    streamer, viewer = await world.people("streamer", "viewer")
    stream = await world.live(streamer)
    await world.beat(Beat(viewer, stream, 1, flags=15 - missing))
    assert (await world.stream(stream))["active_viewer_count"] == 0
    assert not await world.is_published(stream)
    await world.beat(Beat(viewer, stream, 2))
    assert await world.is_published(stream)


@pytest.mark.spec("S14")
async def test_viewers_are_counted_once_whatever_their_sessions(world: World) -> None:
    _, viewer, stream = await watched(world)
    await world.beat(Beat(viewer, stream, 1, session=tab()), Beat(viewer, stream, 1, session=tab()))
    assert (await world.stream(stream))["active_viewer_count"] == 1
    other = await world.person("other")
    await world.beat(Beat(other, stream, 1))
    assert (await world.stream(stream))["active_viewer_count"] == 2


@pytest.mark.spec("S14")
async def test_a_leave_lingers_for_five_seconds(world: World) -> None:
    _, viewer, stream = await watched(world)
    await world.pass_time(20, lease=stream)
    await world.leave(Leave(viewer, 2))
    row = await world.stream(stream)
    assert (row["is_published"], row["active_viewer_count"]) == (True, 0)
    assert (await world.why(stream))["code"] == "lingering"
    assert await seconds_until_off(world, stream) == 5
    assert await world.rows(INTERVALS, stream) == [(1, "viewer_arrived", "viewers_left", 25)]
    assert (await world.stream(stream))["publish_epoch"] == 2


@pytest.mark.spec("S14")
async def test_video_stays_on_for_ten_seconds_at_least(world: World) -> None:
    _, viewer, stream = await watched(world)
    await world.advance(1)
    await world.leave(Leave(viewer, 2))
    assert await seconds_until_off(world, stream) == 9


@pytest.mark.spec("S14")
async def test_a_return_within_the_linger_changes_nothing_for_the_camera(world: World) -> None:
    _, viewer, stream = await watched(world)
    await world.pass_time(20, lease=stream)
    await world.leave(Leave(viewer, 2))
    await world.pass_time(4, lease=stream)
    await world.beat(Beat(viewer, stream, 3))
    await world.pass_time(10, lease=stream)
    row = await world.stream(stream)
    assert (row["is_published"], row["publish_epoch"]) == (True, 1)
    assert row["unpublish_due_at"] is None


@pytest.mark.spec("S18")
@pytest.mark.abuse("A5")
async def test_silence_of_sixty_seconds_ends_publishing(world: World) -> None:
    _, _, stream = await watched(world)
    await world.pass_time(59, lease=stream)
    assert await world.is_published(stream)
    await world.pass_time(1, lease=stream)
    assert not await world.is_published(stream)
    assert await world.rows(INTERVALS, stream) == [(1, "viewer_arrived", "viewers_silent", 60)]


@pytest.mark.spec("S18")
async def test_silence_shorter_than_sixty_seconds_costs_nothing(world: World) -> None:
    _, viewer, stream = await watched(world)
    await world.pass_time(58, lease=stream)
    answer = await world.beat(Beat(viewer, stream, 2))
    assert answer == {"changes": [], "refused": []}
    await world.pass_time(59, lease=stream)
    row = await world.stream(stream)
    assert (row["is_published"], row["publish_epoch"], row["active_viewer_count"]) == (True, 1, 1)


@pytest.mark.spec("S18")
async def test_a_viewer_who_returns_after_silence_counts_again_at_once(world: World) -> None:
    _, viewer, stream = await watched(world)
    await world.pass_time(70, lease=stream)
    assert not await world.is_published(stream)
    await world.beat(Beat(viewer, stream, 2))
    row = await world.stream(stream)
    assert (row["is_published"], row["publish_epoch"]) == (True, 3)


@pytest.mark.spec("S14", "S16")
async def test_without_a_server_the_reconciler_ends_it(world: World) -> None:
    _, _, stream = await watched(world)
    for _ in range(4):
        await world.advance(15)
        await world.keep_lease(stream)
        await world.reconcile()
    row = await world.stream(stream)
    assert (row["is_published"], row["active_viewer_count"]) == (False, 0)


@pytest.mark.spec("S16", "S39")
async def test_the_reconciler_follows_what_was_written_past_the_functions(world: World) -> None:
    streamer, viewer = await world.people("streamer", "viewer")
    stream = await world.live(streamer)
    await world.admin.execute(
        "INSERT INTO active_viewers (live_stream_id, viewer_id, is_active, is_unmuted, is_visible,"
        " is_subscribed) VALUES ($1, $2, true, true, true, true)",
        stream,
        viewer.id,
    )
    assert not await world.is_published(stream)
    assert await world.reconcile() == 1
    assert await world.is_published(stream)
    assert await world.reconcile() == 0
    await world.admin.execute("TRUNCATE active_viewers")
    await world.advance(30)
    assert await world.reconcile() == 1
    await world.advance(6)
    await world.reconcile()
    row = await world.stream(stream)
    assert (row["is_published"], row["active_viewer_count"]) == (False, 0)


@pytest.mark.spec("S14", "S16")
async def test_one_viewer_of_two_falling_silent_is_seen_by_the_reconciler(world: World) -> None:
    _, viewer, stream = await watched(world)
    other = await world.person("other")
    await world.beat(Beat(other, stream, 1))
    for sequence in range(2, 8):
        await world.advance(12)
        await world.beat(Beat(viewer, stream, sequence))
        await world.keep_lease(stream)
        await world.reconcile()
    assert (await world.stream(stream))["active_viewer_count"] == 1


@pytest.mark.spec("S14")
async def test_stopping_is_immediate_even_within_the_minimum_on_time(world: World) -> None:
    streamer, _, stream = await watched(world)
    answer = await world.call(streamer, "stop_stream")
    change = answer["change"]
    assert (change["stream"]["is_published"], change["stream"]["live_available"]) == (False, False)
    assert change["stream"]["publish_epoch"] == 2
    assert change["why"]["code"] == "not_live"
    assert change["publisher_session_id"] is None
    assert await world.rows(INTERVALS, stream) == [(1, "viewer_arrived", "streamer_stopped", 0)]


@pytest.mark.spec("S14")
async def test_going_live_again_while_somebody_still_watches(world: World) -> None:
    streamer, _, stream = await watched(world)
    await world.call(streamer, "stop_stream")
    await world.advance(5)
    await world.live(streamer)
    row = await world.stream(stream)
    assert (row["is_published"], row["publish_epoch"], row["active_viewer_count"]) == (True, 3, 1)
    assert (await world.rows(INTERVALS, stream))[1] == (3, "went_live_watched", None, None)


@pytest.mark.spec("S14", "S18")
async def test_a_publisher_who_falls_silent_is_no_longer_live(world: World) -> None:
    streamer, viewer, stream = await watched(world)
    for sequence in range(2, 7):
        await world.advance(12)
        await world.beat(Beat(viewer, stream, sequence))
        await world.sweep()
    row = await world.stream(stream)
    assert (row["live_available"], row["is_published"]) == (False, False)
    why = await world.why(stream, streamer)
    assert why["code"] == "publisher_silent"
    assert (await world.rows(INTERVALS, stream))[0][2] == "lease_expired"
    assert await world.rows("SELECT ended_reason FROM private.live_intervals") == [
        ("lease_expired",)
    ]


@pytest.mark.spec("S18")
async def test_a_kept_lease_stays_and_a_strange_session_cannot_keep_it(world: World) -> None:
    streamer = await world.person("streamer")
    session = tab()
    stream = await world.live(streamer, session)
    await world.advance(50)
    assert await world.keep_lease(stream, session) == {"lost": []}
    await world.advance(50)
    stranger = tab()
    assert await world.keep_lease(stream, stranger) == {
        "lost": [{"stream_id": str(stream), "session_id": str(stranger)}]
    }
    await world.sweep()
    assert (await world.stream(stream))["live_available"]
    await world.advance(11)
    await world.reconcile()
    assert not (await world.stream(stream))["live_available"]


@pytest.mark.spec("D6")
async def test_the_streamer_alone_is_told_who_watches(world: World) -> None:
    streamer, viewer, stream = await watched(world)
    assert (await world.why(stream, streamer))["watchers"] == ["viewer"]
    assert "watchers" not in await world.why(stream, viewer)
    assert "watchers" not in await world.why(stream)
    with refused("LW004"):
        await world.why(tab())


@pytest.mark.spec("D6")
async def test_a_streamer_sees_their_own_intervals_only(world: World) -> None:
    streamer, viewer, stream = await watched(world)
    await world.pass_time(20, lease=stream)
    await world.leave(Leave(viewer, 2))
    await world.pass_time(5, lease=stream)
    seen = await world.call(streamer, "list_publish_intervals")
    assert [(i["epoch"], i["started_reason"], i["ended_reason"]) for i in seen["intervals"]] == [
        (1, "viewer_arrived", "viewers_left")
    ]
    assert len(seen["live"]) == 1
    assert await world.call(viewer, "list_publish_intervals") == {"intervals": [], "live": []}


@pytest.mark.spec("S14")
async def test_changes_since_tell_a_server_what_others_did(world: World) -> None:
    _, viewer, stream = await watched(world)
    first = await world.call("service_role", "sweep_publish_state", p_since=await world.now())
    assert first["changes"] == []
    since = await world.now()
    await world.advance(30)
    await world.leave(Leave(viewer, 2))
    told = await world.call("service_role", "sweep_publish_state", p_since=since)
    [change] = told["changes"]
    assert change["stream"]["id"] == str(stream)
    assert change["revision"] == (await world.stream(stream))["revision"]
    assert change["publisher_session_id"] == "00000000-0000-0000-0000-000000000000"


@pytest.mark.spec("S14")
async def test_a_renewal_that_finds_the_camera_off_turns_it_on(world: World) -> None:
    streamer, viewer = await world.people("streamer", "viewer")
    stream = await world.live(streamer)
    await world.advance(61)
    await world.beat(Beat(viewer, stream, 1))
    assert not await world.is_published(stream), "the lease has run out"
    await world.keep_lease(stream)
    await world.beat(Beat(viewer, stream, 2))
    assert await world.is_published(stream)


@pytest.mark.spec("D6")
async def test_a_takeover_is_news_for_every_server(world: World) -> None:
    streamer = await world.person("streamer")
    stream = await world.live(streamer, tab())
    before = (await world.stream(stream))["revision"]
    await world.advance(30)
    asked = await world.now()
    for number in (1, 2):
        taker = tab()
        await world.advance(1)
        answer = await world.call(
            streamer, "start_stream", p_title=None, p_session_id=taker, p_take_over=True
        )
        assert answer["change"]["revision"] == before + number
        swept = await world.call("service_role", "sweep_publish_state", p_since=asked)
        [change] = swept["changes"]
        assert change["publisher_session_id"] == str(taker)
        assert change["revision"] == before + number
    await world.call(streamer, "start_stream", p_title=None, p_session_id=taker)
    assert (await world.stream(stream))["revision"] == before + 2, "the same session again"
