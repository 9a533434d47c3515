"""What servers report about themselves, and how long records are kept."""

from time import monotonic
from uuid import UUID

import pytest

from livewall.jobs import LEADER_LOCK, LEADER_PID
from tests.databases import Database
from tests.doc_code import ROOT, blocks_of
from tests.sql.world import World, another_login, refused, tab, watched


@pytest.mark.spec("S30", "S31")
async def test_each_job_shows_when_it_last_ran_and_how_it_went(world: World) -> None:
    run = {"p_job": "cleanup", "p_millis": 7}
    await world.call("service_role", "record_job_run", p_ok=True, **run)
    succeeded = await world.now()
    await world.advance(45)
    await world.call("service_role", "record_job_run", p_ok=False, **run)
    [job] = await world.call("service_role", "job_runs")
    assert (job["job"], job["runs"], job["failures"]) == ("cleanup", 2, 1)
    assert job["last_success_at"][:19] == succeeded.isoformat()[:19]
    assert job["last_run_at"] > job["last_success_at"]


async def test_the_runbook_names_the_leaders_session_and_no_other(database: Database) -> None:
    (query,) = (
        block.text for block in blocks_of(ROOT / "docs/runbooks.md") if block.language == "sql"
    )
    leader, writer, admin = [await database.admin() for _ in range(3)]
    await writer.execute("SELECT pg_advisory_lock($1)", LEADER_LOCK + 1)
    assert await admin.fetch(query) == await admin.fetch(LEADER_PID) == []
    await leader.execute("SELECT pg_advisory_lock($1)", LEADER_LOCK)
    pid = await leader.fetchval("SELECT pg_backend_pid()")
    for asked in (query, LEADER_PID):
        assert [row["pid"] for row in await admin.fetch(asked)] == [pid]


@pytest.mark.spec("S18")
async def test_a_server_is_registered_once_per_start(world: World) -> None:
    server = tab()
    await world.call("service_role", "register_server_start", p_server_id=server)
    await world.advance(100)
    await world.call("service_role", "register_server_start", p_server_id=server)
    [(started,)] = await world.rows("SELECT started_at FROM private.server_starts")
    assert (await world.now() - started).total_seconds() == 100
    await world.advance(100_000)
    await world.call("service_role", "register_server_start", p_server_id=tab())
    assert await world.rows("SELECT count(*) FROM private.server_starts") == [(1,)]


@pytest.mark.spec("D7")
async def test_people_cannot_act_as_a_server(world: World) -> None:
    alice = await world.person("alice")
    for who in (alice, "anon"):
        for function in (
            "job_runs",
            "cleanup_stale_viewers",
            "remove_old_records",
            "update_publish_state_from_viewers",
        ):
            with refused("42501"):
                await world.call(who, function)
        with refused("42501"):
            await world.call(who, "configure", p_settings={"guests_may_go_live": True})


DAY = 86_400


async def open_session(world: World, days: int) -> UUID:
    """Open a session of a new person that lasts so many days; return its id."""
    person = await world.person(f"p.{tab().hex[:12]}")
    opened = await world.call(
        "service_role", "open_session", p_profile_id=person.id, p_lifetime=f"{days} days"
    )
    return UUID(opened["session_id"])


@pytest.mark.spec("D1", "S17")
async def test_sessions_go_thirty_days_after_their_end(world: World) -> None:
    expired, closed, kept = [await open_session(world, days) for days in (1, 100, 32)]
    await world.advance(DAY)
    await world.call("service_role", "close_session", p_session_id=closed)
    everything = "SELECT id FROM private.sessions"
    await world.advance(30 * DAY)
    await world.remove_old()
    assert len(await world.rows(everything)) == 3
    await world.advance(1)
    assert await world.remove_old() == 2
    assert await world.rows(everything) == [(kept,)]
    await world.call("service_role", "renew_session", p_session_id=kept, p_lifetime="1 day")
    with refused("LW015"):
        await world.call("service_role", "renew_session", p_session_id=expired, p_lifetime="1 day")


@pytest.mark.spec("D6", "S17")
async def test_intervals_go_ninety_days_after_their_end(world: World) -> None:
    streamer, viewer, stream = await watched(world)
    await world.call(streamer, "stop_stream")
    await world.live(streamer)
    await world.watch(viewer, stream)
    count = (
        "SELECT (SELECT count(*) FROM private.publish_intervals),"
        " (SELECT count(*) FROM private.live_intervals)"
    )
    for seconds, left in ((90 * DAY, 2), (1, 1), (200 * DAY, 1)):
        await world.advance(seconds)
        await world.remove_old()
        assert await world.rows(count) == [(left, left)], "an open one stays however old it is"


@pytest.mark.spec("S17")
async def test_old_records_go_a_little_at_a_time(world: World) -> None:
    person = await world.person("ada")
    await world.admin.execute(
        "INSERT INTO private.sessions (profile_id, expires_at)"
        " SELECT $1, private.clock() - interval '31 days' FROM generate_series(1, 150)",
        person.id,
    )
    for left in (50, 0):
        await world.remove_old()
        assert await world.rows("SELECT count(*) FROM private.sessions") == [(left,)]


async def test_looking_for_old_records_reads_no_whole_table(world: World) -> None:
    person = await world.person("ada")
    await world.admin.execute(
        "INSERT INTO private.sessions (profile_id, expires_at)"
        " SELECT $1, private.clock() + interval '1 day' FROM generate_series(1, 20000)",
        person.id,
    )
    await world.admin.execute("ANALYZE private.sessions; SELECT pg_stat_reset()")
    await world.remove_old()
    await world.login.execute("SELECT pg_stat_force_next_flush()")
    read = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'sessions'"
    assert (await world.rows(read))[0][0] < 20_000


@pytest.mark.spec("D1")
@pytest.mark.abuse("A12")
async def test_guests_go_with_their_last_session_but_nobody_with_money_history(
    world: World,
) -> None:
    names = ("idle", "visiting", "paying", "staffed", "streaming", "talking")
    guests = {name: await world.person(name, guest=True) for name in names}
    member = await world.person("member")
    stream = await world.live(member)
    for person in (*guests.values(), member):
        await world.admin.execute(
            "INSERT INTO private.sessions (profile_id, expires_at) VALUES ($1, private.clock())",
            person.id,
        )
    await world.admin.execute(
        "INSERT INTO private.ledger_accounts (profile_id, kind, currency)"
        " VALUES ($1, 'wallet', 'coins')",
        guests["paying"].id,
    )
    await world.call(
        "service_role", "grant_staff_role", p_profile_id=guests["staffed"].id, p_role="finance"
    )
    await world.call(
        guests["talking"], "send_chat_message", p_live_stream_id=stream, p_body="a guest said"
    )
    everybody = "SELECT name FROM profiles ORDER BY name"
    await world.advance(30 * DAY)
    await world.call(
        "service_role", "open_session", p_profile_id=guests["visiting"].id, p_lifetime="1 day"
    )
    await world.admin.execute("UPDATE private.settings SET guests_may_go_live = true")
    await world.live(guests["streaming"])
    await world.remove_old()
    assert len(await world.rows(everybody)) == 7
    await world.advance(1)
    await world.remove_old()
    assert [row[0] for row in await world.rows(everybody)] == [
        "member",
        "paying",
        "staffed",
        "streaming",
        "visiting",
    ]
    assert await world.rows("SELECT sender_id, body FROM chat_messages") == [(None, "")]
    assert await world.rows("SELECT 1 FROM auth.users WHERE id = $1", guests["idle"].id) == []


@pytest.mark.spec("D1")
@pytest.mark.parametrize(
    "holding",
    [
        "INSERT INTO follows (followee_id) SELECT id FROM profiles WHERE name = 'held'",
        "DELETE FROM follows",
    ],
)
async def test_removal_waits_for_nobody(world: World, holding: str) -> None:
    member = await world.person("member")
    for name in ("held", "free"):
        guest = await world.person(name, guest=True)
        await world.admin.execute(
            "INSERT INTO private.sessions (profile_id, expires_at) VALUES ($1, private.clock())",
            guest.id,
        )
    if holding.startswith("DELETE"):
        await world.call(member, "follow", p_name="held")
    await world.advance(31 * DAY)
    holder = await another_login(world, member)
    await holder.execute(holding)
    started = monotonic()
    await world.remove_old()
    assert monotonic() - started < 1
    guests = "SELECT name FROM profiles WHERE is_guest"
    assert await world.rows(guests) == [("held",)]
    await holder.execute("COMMIT")
    await world.remove_old()
    assert await world.rows(guests) == []
    assert await world.rows("SELECT 1 FROM private.sessions") == []


@pytest.mark.spec("D1")
async def test_removing_people_reads_not_all_that_is_to_be_told(world: World) -> None:
    person = await world.person("ada")
    await world.admin.execute(
        "INSERT INTO private.events (kind, payload)"
        " SELECT 'gift', jsonb_build_object('gift', jsonb_build_object('sender_id', n))"
        " FROM generate_series(1, 20000) AS n"
    )
    await world.admin.execute("ANALYZE private.events; SELECT pg_stat_reset()")
    await world.call(person, "delete_account")
    await world.login.execute("SELECT pg_stat_force_next_flush()")
    read = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'events'"
    assert await world.rows(read) == [(0,)]
