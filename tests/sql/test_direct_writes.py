"""S6: people manage their own rows of active_viewers by plain SQL, within the same limits."""

import asyncio
from uuid import UUID

import asyncpg
import pytest

from tests.databases import Person
from tests.sql.world import (
    Beat,
    Leave,
    World,
    another_login,
    become,
    refused,
    tab,
    waiting,
    watched,
)

INSERT = """
INSERT INTO active_viewers
    (live_stream_id, session_id, is_active, is_unmuted, is_visible, is_subscribed)
VALUES ($1, $2, true, true, true, true)
"""
UPSERT = f"""{INSERT} ON CONFLICT (viewer_id, session_id, live_stream_id)
DO UPDATE SET is_active = true, is_unmuted = true, is_visible = true, is_subscribed = true
"""
ALL_DOWN = (
    "UPDATE active_viewers"
    " SET is_active = false, is_unmuted = false, is_visible = false, is_subscribed = false"
)
PREVIEWS = "INSERT INTO active_viewers (live_stream_id) SELECT unnest($1::uuid[])"


async def cast(world: World, count: int) -> list[UUID]:
    """Return that many live streams of as many streamers."""
    return [await world.live(await world.person(f"cast.{n}")) for n in range(count)]


@pytest.mark.spec("S6", "S13", "S14")
async def test_an_inserted_row_counts_and_a_deleted_one_no_longer(world: World) -> None:
    viewer = await world.person("viewer")
    [stream] = await cast(world, 1)
    assert await world.done(viewer, INSERT, stream, tab()) == 1
    assert await world.is_published(stream)
    assert (await world.stream(stream))["active_viewer_count"] == 1
    assert await world.done(viewer, "DELETE FROM active_viewers") == 1
    assert (await world.stream(stream))["active_viewer_count"] == 0
    await world.pass_time(10, lease=stream)
    assert not await world.is_published(stream)


@pytest.mark.spec("S6", "S15")
async def test_an_update_is_a_heartbeat_and_changes_flags_at_once(world: World) -> None:
    viewer = await world.person("viewer")
    [stream] = await cast(world, 1)
    await world.done(viewer, INSERT, stream, tab())
    await world.advance(30)
    assert await world.done(viewer, "UPDATE active_viewers SET is_active = true") == 1
    assert await world.rows("SELECT last_active_at FROM active_viewers") == [(await world.now(),)]
    await world.done(viewer, "UPDATE active_viewers SET is_visible = false")
    assert (await world.stream(stream))["active_viewer_count"] == 0


@pytest.mark.spec("S6")
async def test_an_upsert_works_as_supabase_clients_write_it(world: World) -> None:
    viewer = await world.person("viewer")
    [stream] = await cast(world, 1)
    session = tab()
    for _ in range(2):
        assert await world.done(viewer, UPSERT, stream, session) == 1
        await world.advance(12)
    assert (await world.stream(stream))["active_viewer_count"] == 1


@pytest.mark.spec("S6")
@pytest.mark.abuse("A1")
async def test_rows_of_others_cannot_be_written_or_seen(world: World) -> None:
    viewer, other = await world.people("viewer", "other")
    [stream] = await cast(world, 1)
    await world.watch(other, stream)
    with refused("42501"):
        await world.sql(
            viewer,
            "INSERT INTO active_viewers (live_stream_id, viewer_id) VALUES ($1, $2)",
            stream,
            other.id,
        )
    assert await world.sql(viewer, "SELECT 1 FROM active_viewers") == []
    assert await world.done(viewer, "UPDATE active_viewers SET is_active = false") == 0
    assert await world.done(viewer, "DELETE FROM active_viewers") == 0
    with refused("42501"):
        await world.sql(viewer, "UPDATE active_viewers SET viewer_id = $1", viewer.id)
    with refused("42501"):
        await world.sql("anon", "SELECT 1 FROM active_viewers")
    assert (await world.stream(stream))["active_viewer_count"] == 1


@pytest.mark.spec("S6", "S12")
@pytest.mark.abuse("A9")
async def test_direct_writes_obey_the_limits_of_tiles(world: World) -> None:
    viewer = await world.person("viewer")
    streams = await cast(world, 13)
    with refused("LW023"):
        await world.done(viewer, PREVIEWS, streams)
    assert await world.done(viewer, PREVIEWS, streams[:12]) == 12
    with refused("LW023"):
        await world.done(viewer, PREVIEWS, streams[12:])
    with refused("LW024"):
        await world.done(viewer, "UPDATE active_viewers SET is_active = true")
    four = "UPDATE active_viewers SET is_active = true WHERE live_stream_id = ANY ($1)"
    assert await world.done(viewer, four, streams[:4]) == 4
    with refused("LW024"):
        await world.done(viewer, four, streams[4:5])


@pytest.mark.spec("S6")
@pytest.mark.abuse("A2", "A12")
async def test_direct_writes_obey_the_other_limits(world: World) -> None:
    viewer, streamer = await world.people("viewer", "streamer")
    stream = await world.live(streamer)
    for _ in range(8):
        await world.done(viewer, INSERT, stream, tab())
    with refused("LW025"):
        await world.done(viewer, INSERT, stream, tab())
    await world.call(streamer, "stop_stream")
    with refused("LW021"):
        await world.done(viewer, "UPDATE active_viewers SET is_active = true")
    await world.advance(61)
    with refused("LW021"):
        await world.done(viewer, INSERT, stream, tab())
    with refused("LW004"):
        await world.done(viewer, INSERT, tab(), tab())


@pytest.mark.spec("S6", "S14")
@pytest.mark.abuse("A2")
async def test_demand_may_be_lowered_after_the_stream_has_ended_but_not_raised(
    world: World,
) -> None:
    viewer, streamer = await world.people("viewer", "streamer")
    stream = await world.live(streamer)
    await world.done(viewer, INSERT, stream, tab())
    await world.call(streamer, "stop_stream")
    heard = await world.now()
    await world.advance(10)
    with refused("LW021"):
        await world.done(viewer, "UPDATE active_viewers SET is_active = true")
    assert await world.done(viewer, "UPDATE active_viewers SET is_visible = false") == 1
    for raising in ("is_visible = true", "is_active = false, is_visible = true"):
        with refused("LW021"):
            await world.done(viewer, f"UPDATE active_viewers SET {raising}")
    for _ in range(2):
        assert await world.done(viewer, ALL_DOWN) == 1
    assert await world.rows("SELECT last_active_at FROM active_viewers") == [(heard,)]
    await world.live(streamer)
    assert not await world.is_published(stream)


@pytest.mark.spec("S6", "S12")
@pytest.mark.abuse("A9")
async def test_lowering_brings_back_no_tile_that_is_gone(world: World) -> None:
    viewer = await world.person("viewer")
    streams = await cast(world, 13)
    await world.beat(*(Beat(viewer, stream, 1, flags=4) for stream in streams[:12]))
    await world.leave(Leave(viewer, 2, streams[0]))
    await world.beat(Beat(viewer, streams[12], 3, flags=4))
    assert await world.done(viewer, ALL_DOWN) == 13
    kept = "SELECT count(*) FROM active_viewers WHERE NOT has_left"
    assert await world.rows(kept) == [(12,)]
    await world.advance(61)
    assert await world.done(viewer, ALL_DOWN) == 13
    assert await world.cleanup() == 13


@pytest.mark.spec("S6")
@pytest.mark.abuse("A20")
async def test_direct_writes_of_a_blocked_pair_are_refused(world: World) -> None:
    viewer, streamer = await world.people("viewer", "streamer")
    stream = await world.live(streamer)
    await world.call(streamer, "block", p_name="viewer")
    with refused("LW022"):
        await world.done(viewer, INSERT, stream, tab())


@pytest.mark.spec("S6")
@pytest.mark.abuse("A15")
async def test_direct_writes_of_the_banned_are_refused(world: World) -> None:
    viewer, warden = await world.person("viewer"), await world.moderator()
    [stream] = await cast(world, 1)
    await world.done(viewer, INSERT, stream, tab())
    await world.call(warden, "ban_profile", p_name="viewer", p_reason="spam")
    assert (await world.stream(stream))["active_viewer_count"] == 0
    with pytest.raises(asyncpg.PostgresError) as caught:
        await world.done(viewer, INSERT, stream, tab())
    assert caught.value.sqlstate in ("42501", "LW002")


@pytest.mark.spec("S6", "S12")
@pytest.mark.abuse("A9")
async def test_two_direct_writes_race_for_the_last_tile(world: World) -> None:
    viewer = await world.person("viewer")
    streams = await cast(world, 13)
    await world.done(viewer, PREVIEWS, streams[:11])
    one, other = [await another_login(world, viewer) for _ in range(2)]
    await one.execute(PREVIEWS, streams[11:12])
    racing = await waiting(other, PREVIEWS, streams[12:])
    await one.execute("COMMIT")
    with refused("LW023"):
        await racing
    await other.execute("ROLLBACK")
    assert await world.rows("SELECT count(*) FROM active_viewers") == [(12,)]


@pytest.mark.spec("S6")
async def test_a_direct_update_never_deadlocks_with_the_servers_batch(world: World) -> None:
    viewer = await world.person("viewer")
    streams = await cast(world, 2)
    await world.done(viewer, PREVIEWS, streams)
    # The batch holds the viewer's lock and is about to write the row; the person writes it too.
    batch, person = [await another_login(world, viewer) for _ in range(2)]
    await batch.execute("ROLLBACK")
    await batch.execute("BEGIN; SET LOCAL ROLE service_role")
    beats = "SELECT public.record_heartbeats($1, $2, $3, $4, $5)"
    who = ([viewer.id], [UUID(int=0)])
    await batch.execute(beats, streams[:1], *who, [1], [15])
    direct = asyncio.create_task(
        person.execute(
            "UPDATE active_viewers SET is_visible = true WHERE live_stream_id = $1", streams[1]
        )
    )
    await asyncio.sleep(0.1)
    await batch.execute(beats, streams[1:], *who, [1], [15])
    await batch.execute("COMMIT")
    await direct
    await person.execute("COMMIT")
    assert await world.rows("SELECT count(*) FROM active_viewers WHERE is_visible") == [(2,)]


@pytest.mark.spec("S6")
async def test_statements_over_many_streams_lock_them_in_one_order(world: World) -> None:
    people = await world.people("one", "other")
    streams = sorted(await cast(world, 4))
    orders = (streams, streams[::-1])
    for person, order in zip(people, orders, strict=True):
        for stream in order:
            await world.watch(person, stream)

    async def toggle(person: Person, order: list[UUID], turn: int) -> None:
        connection = await another_login(world, person)
        for visible in ([False, True] * turn)[:turn]:
            await connection.execute(
                "UPDATE active_viewers SET is_visible = $1"
                " WHERE live_stream_id = ANY (SELECT unnest($2::uuid[]))",
                visible,
                order,
            )
            await connection.execute("COMMIT; BEGIN")
            await become(connection, person)
        await connection.execute("ROLLBACK")

    await asyncio.gather(
        *(toggle(person, order, 40) for person, order in zip(people, orders, strict=True))
    )
    for stream in streams:
        assert (await world.stream(stream))["active_viewer_count"] == 2


@pytest.mark.abuse("A7")
async def test_a_direct_write_and_a_server_share_one_row(world: World) -> None:
    viewer = await world.person("viewer")
    [stream] = await cast(world, 1)
    await world.beat(Beat(viewer, stream, 10))
    await world.done(viewer, "UPDATE active_viewers SET is_visible = false")
    assert (await world.stream(stream))["active_viewer_count"] == 0
    await world.beat(Beat(viewer, stream, 11))
    assert (await world.stream(stream))["active_viewer_count"] == 1


@pytest.mark.abuse("A20")
@pytest.mark.abuse("A9")
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_no_rule_is_checked_against_an_old_snapshot(world: World, level: str) -> None:
    streamer, viewer = await world.people("streamer", "viewer")
    stream = await world.live(streamer)
    writes: list[tuple[str, tuple[object, ...]]] = [
        ("SELECT update_viewer_heartbeat($1)", (stream,)),
        (
            "INSERT INTO active_viewers (live_stream_id, session_id) VALUES ($1, $2)",
            (stream, tab()),
        ),
        ("INSERT INTO follows (followee_id) VALUES ($1)", (streamer.id,)),
        ("SELECT follow('streamer')", ()),
        ("INSERT INTO user_grid_slots (slot_index, streamer_id) VALUES (1, $1)", (streamer.id,)),
        ("UPDATE user_grid_slots SET is_active = true", ()),
        ("SELECT save_grid('[]')", ()),
        ("INSERT INTO chat_messages (live_stream_id, body) VALUES ($1, 'x')", (stream,)),
        ("SELECT send_chat_message($1, 'x')", (stream,)),
    ]
    connection = await world.database.as_person(viewer)
    for statement, arguments in writes:
        await connection.execute(f"BEGIN ISOLATION LEVEL {level}")
        await connection.execute("SELECT 1 FROM profiles")
        with refused("LW007"):
            await connection.fetch(statement, *arguments)
        await connection.execute("ROLLBACK")
    await world.call(streamer, "block", p_name="viewer")
    assert await world.rows("SELECT 1 FROM active_viewers") == []


@pytest.mark.abuse("A20")
@pytest.mark.spec("S16")
async def test_the_reconciler_finds_a_blocked_pair_however_it_came_about(world: World) -> None:
    streamer, viewer, stream = await watched(world)
    await world.admin.execute("ALTER TABLE blocks DISABLE TRIGGER USER")
    await world.admin.execute(
        "INSERT INTO blocks (blocker_id, blocked_id) VALUES ($1, $2)", viewer.id, streamer.id
    )
    await world.reconcile()
    assert await world.rows("SELECT 1 FROM active_viewers") == []
    assert (await world.stream(stream))["active_viewer_count"] == 0
