"""What keeps a camera steady: bounded transitions, and a grace after restarts."""

from datetime import timedelta

import pytest

from tests.sql.world import NONE, Beat, Leave, World, refused, seconds_until_off, tab, watched


@pytest.mark.spec("S14")
@pytest.mark.abuse("A6")
async def test_visibility_toggled_without_end_stays_within_the_bound(world: World) -> None:
    _, viewer, stream = await watched(world)
    offs: list[float] = []
    before = await world.is_published(stream)
    for second in range(1, 241):
        await world.advance(1)
        hide = (second // 7) % 2 == 0
        await world.beat(Beat(viewer, stream, second + 1, NONE if hide else 15))
        await world.keep_lease(stream)
        await world.sweep()
        after = await world.is_published(stream)
        if before and not after:
            offs.append(second)
        before = after
    assert len(offs) >= 4, "the camera must still go off now and then"
    assert all(later - earlier >= 60 for earlier, later in zip(offs, offs[3:], strict=False))
    rapid = [2 * n for n in range(100)]
    epoch = (await world.stream(stream))["publish_epoch"]
    for step in rapid:
        await world.beat(Beat(viewer, stream, 1000 + step, NONE))
        await world.beat(Beat(viewer, stream, 1001 + step))
        await world.advance(0.1)
        await world.sweep()
    assert (await world.stream(stream))["publish_epoch"] <= epoch + 1


@pytest.mark.spec("S14")
@pytest.mark.abuse("A6")
async def test_a_steadied_camera_says_so(world: World) -> None:
    _, viewer, stream = await watched(world)
    sequence = 1
    for _ in range(4):
        await world.leave(Leave(viewer, sequence := sequence + 1))
        await world.pass_time(11, lease=stream)
        await world.beat(Beat(viewer, stream, sequence := sequence + 1))
    assert await world.is_published(stream)
    await world.pass_time(11, lease=stream)
    await world.leave(Leave(viewer, sequence + 1))
    assert (await world.why(stream))["code"] == "steadied"
    await seconds_until_off(world, stream)
    ends = [
        row[0]
        for row in await world.rows(
            "SELECT ended_at FROM private.publish_intervals ORDER BY ended_at"
        )
    ]
    assert all(
        later - earlier >= timedelta(seconds=60)
        for earlier, later in zip(ends, ends[3:], strict=False)
    )


@pytest.mark.spec("S14")
@pytest.mark.abuse("A6")
async def test_going_live_and_stopping_without_end_is_bounded(world: World) -> None:
    streamer, viewer, stream = await watched(world)
    await world.call(streamer, "stop_stream")
    for _ in range(3):
        await world.advance(1)
        await world.live(streamer)
        await world.beat(Beat(viewer, stream, int((await world.now()).timestamp())))
        await world.call(streamer, "stop_stream")
    await world.advance(1)
    with refused("LW031"):
        await world.live(streamer)
    with refused("LW031"):
        await world.done(streamer, "UPDATE live_streams SET live_available = true")
    await world.advance(56)
    await world.live(streamer)
    ended = "SELECT count(*) FROM private.publish_intervals WHERE ended_at IS NOT NULL"
    assert await world.rows(ended) == [(4,)]


@pytest.mark.spec("S18")
async def test_a_restarted_server_gives_viewers_a_heartbeat_period(world: World) -> None:
    _, viewer, stream = await watched(world)
    await world.advance(61)
    await world.one("service_role", "SELECT public.register_server_start($1)", tab())
    await world.sweep()
    await world.reconcile()
    row = await world.stream(stream)
    assert (row["live_available"], row["is_published"], row["active_viewer_count"]) == (
        True,
        True,
        0,
    )
    assert (await world.why(stream))["code"] == "after_restart"
    await world.keep_lease(stream)
    await world.beat(Beat(viewer, stream, 2))
    await world.pass_time(20, lease=stream)
    row = await world.stream(stream)
    assert (row["is_published"], row["publish_epoch"]) == (True, 1)


@pytest.mark.spec("S16", "S18")
async def test_grace_after_a_restart_ends(world: World) -> None:
    _, _, stream = await watched(world)
    await world.advance(61)
    await world.one("service_role", "SELECT public.register_server_start($1)", tab())
    await world.reconcile()
    await world.advance(14)
    await world.reconcile()
    assert await world.is_published(stream)
    await world.advance(2)
    await world.keep_lease(stream)
    await world.reconcile()
    assert not await world.is_published(stream)


@pytest.mark.spec("S16", "S18")
async def test_a_restarted_database_gives_the_same_grace(world: World) -> None:
    streamer, viewer = await world.people("streamer", "viewer")
    at_start = "UPDATE private.test_clock SET now = pg_postmaster_start_time()"
    await world.admin.execute(at_start)
    stream = await world.live(streamer)
    await world.beat(Beat(viewer, stream, 1))
    await world.admin.execute("TRUNCATE active_viewers")  # what a crash does to it
    await world.advance(1)
    await world.reconcile()
    await world.advance(13)  # longer than linger and minimum on-time
    await world.reconcile()
    assert await world.is_published(stream)
    await world.advance(1)
    await world.reconcile()
    assert not await world.is_published(stream)


@pytest.mark.spec("S16", "S18")
async def test_records_lost_without_a_restart_give_the_same_grace(world: World) -> None:
    _, viewer, stream = await watched(world)
    await world.advance(30)
    # What recovery from the crash of one backend does: it empties the tables without a log, and
    # pg_postmaster_start_time() stays as it was.
    await world.admin.execute("TRUNCATE active_viewers, private.records_since")
    for _ in range(7):
        await world.sweep()
        await world.reconcile()
        await world.advance(2)
    assert await world.is_published(stream)
    assert (await world.why(stream))["code"] == "after_restart"
    await world.beat(Beat(viewer, stream, 2))
    await world.pass_time(20, lease=stream)
    assert (await world.stream(stream))["publish_epoch"] == 1


@pytest.mark.spec("S16", "S18")
async def test_grace_after_lost_records_ends(world: World) -> None:
    _, _, stream = await watched(world)
    await world.advance(30)
    await world.admin.execute("TRUNCATE active_viewers, private.records_since")
    await world.reconcile()
    await world.advance(16)
    await world.keep_lease(stream)
    await world.reconcile()
    assert not await world.is_published(stream)
