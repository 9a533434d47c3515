"""One heartbeat, leave or lease that the database can not take harms nobody else's."""

import asyncio
from uuid import UUID, uuid4

import pytest

from livewall import heartbeats
from livewall.pending import Beat, Leave, Tile, now
from tests.databases import Cluster
from tests.server.test_outage import away
from tests.server.world import Live, Tab

# What no rule of ours refuses: the statement itself fails as soon as it meets this one row.
POISON = """
CREATE FUNCTION private.poison() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'poisoned' USING ERRCODE = '22003'; END $$;
CREATE TRIGGER poison BEFORE {verb} ON {table} FOR EACH ROW
    WHEN (NEW.{column} = '{value}') EXECUTE FUNCTION private.poison();
"""


async def _poison(live: Live, verb: str, table: str, column: str, value: UUID) -> None:
    admin = await live.database.admin()
    await admin.execute(POISON.format(verb=verb, table=table, column=column, value=value))


async def _watching(live: Live, count: int) -> tuple[UUID, list[tuple[UUID, Tab]]]:
    """Return a stream and that many viewers who watch it, with their tabs."""
    _, stream_id = await (await live.guest("ada")).go_live()
    viewers = [await live.guest() for _ in range(count)]
    tabs = [(viewer.id, await viewer.tab()) for viewer in viewers]
    for _, tab in tabs:
        await tab.watch(stream_id)
    await _counted(live, stream_id, count)
    return stream_id, tabs


async def _counted(live: Live, stream_id: UUID, count: int) -> None:
    admin = await live.database.admin()
    query = "SELECT active_viewer_count FROM public.live_streams WHERE id = $1"
    found = -1
    for _ in range(50):
        found = await admin.fetchval(query, stream_id)
        if found == count:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{found} viewers, not {count}")


async def test_a_large_backlog_is_written_in_parts(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeats, "MOST_AT_ONCE", 2)
    stream_id, tabs = await _watching(live, 1)
    viewer_id = tabs[0][0]
    writer = live.app.server.presence.writer
    for _ in range(7):
        writer.beat(Beat(Tile(viewer_id, uuid4(), stream_id), 1, 15, now()))
    admin = await live.database.admin()
    query = "SELECT count(*) FROM public.active_viewers"
    for _ in range(50):
        if await admin.fetchval(query) == 8:
            break
        await asyncio.sleep(0.1)
    assert await admin.fetchval(query) == 8


@pytest.mark.spec("S15")
async def test_a_poisoned_heartbeat_is_refused_alone(live: Live) -> None:
    _, stream_id = await (await live.guest("ada")).go_live()
    viewers = [await live.guest() for _ in range(5)]
    await _poison(live, "INSERT", "public.active_viewers", "viewer_id", viewers[2].id)
    tabs = [await viewer.tab() for viewer in viewers]
    writer = live.app.server.presence.writer
    for viewer, tab in zip(viewers, tabs, strict=True):  # in one batch
        writer.beat(Beat(Tile(viewer.id, tab.session_id, stream_id), 1, 15, now()))
    assert (await tabs[2].expect("error"))["problem"]["code"] == "internal"
    await _counted(live, stream_id, 4)


@pytest.mark.spec("S14")
async def test_a_poisoned_leave_does_not_hold_up_the_others(live: Live) -> None:
    stream_id, tabs = await _watching(live, 5)
    await _poison(live, "UPDATE", "public.active_viewers", "viewer_id", tabs[2][0])
    writer = live.app.server.presence.writer
    for viewer_id, tab in tabs:  # in one batch
        writer.leave(Leave(viewer_id, tab.session_id, 10**9, None, now()))
    await _counted(live, stream_id, 1)


async def test_a_poisoned_lease_does_not_cost_others_theirs(live: Live) -> None:
    studios = [await (await live.guest(f"streamer.{n}")).go_live() for n in range(3)]
    poisoned = sorted(stream_id for _, stream_id in studios)[1]
    await _poison(live, "UPDATE", "private.publisher_leases", "live_stream_id", poisoned)
    admin = await live.database.admin()
    before = await admin.fetchval("SELECT max(expires_at) FROM private.publisher_leases")
    renewed = "SELECT live_stream_id FROM private.publisher_leases WHERE expires_at > $1"
    for studio, stream_id in studios:  # in one batch
        live.app.server.presence.writer.publisher(stream_id, studio.session_id)
    found: set[UUID] = set()
    for _ in range(50):
        found = {row["live_stream_id"] for row in await admin.fetch(renewed, before)}
        if len(found) == 2:
            break
        await asyncio.sleep(0.1)
    assert found == {stream_id for _, stream_id in studios} - {poisoned}


@pytest.mark.spec("S18")
async def test_after_an_outage_the_last_word_of_each_tile_counts(
    live: Live, cluster: Cluster
) -> None:
    stream_id, [(_, stays), (_, leaves), (_, returns)] = await _watching(live, 3)
    async with away(cluster, live.database):
        await asyncio.sleep(0.3)
        for _ in range(20):
            await leaves.watch(stream_id)
            await leaves.leave()
            await returns.leave(stream_id)
            await returns.watch(stream_id)
            await stays.watch(stream_id)
        await stays.expect("error")
        for tab in (stays, leaves, returns):  # an answer: all that was said before has come in
            assert (await tab.ask(type="stop"))["problem"]["code"] == "database_away"
        assert len(live.app.server.presence.writer.pending) == 3
    await _counted(live, stream_id, 2)
