"""What pg_cron is given, and what a run by it leaves behind; test_pg_cron.py has a real one."""

import re

import pytest

from livewall import jobs
from tests.sql.world import World, refused, watched

pytestmark = pytest.mark.sql
RUN = "SELECT private.run_by_cron('cleanup_stale_viewers')"
RECORD = (
    "SELECT runs, failures, last_success_at = private.clock(), cron_success_at = private.clock()"
    " FROM private.job_runs WHERE job = 'cleanup_stale_viewers'"
)
# What pg_cron 1.5 and newer take beside five fields: `sscanf(" %u secon%c%c %c")`, 0 < n < 60.
SECONDS = re.compile(r"\s*(?P<n>[1-9]|[1-5]\d)\s+seconds?\s*", re.IGNORECASE)
BREAK = """
CREATE OR REPLACE FUNCTION public.cleanup_stale_viewers() RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RAISE EXCEPTION 'out of order'; END $$
"""


@pytest.mark.spec("S30", "S31")
async def test_pg_cron_gets_the_leaders_jobs_in_a_form_that_it_takes(world: World) -> None:
    rows = await world.rows("SELECT name, schedule, command FROM private.cron_jobs()")
    periods: dict[str, float] = {}
    for name, schedule, command in rows:
        found = SECONDS.fullmatch(schedule)
        if found is None:
            assert re.fullmatch(r"\d+( \*){4}", schedule)
            continue
        job = name.removeprefix("livewall: ")
        periods[job] = float(found["n"])
        assert command == f"SELECT private.run_by_cron('{job}')"
        assert await world.rows(command) == [("done",)]
    assert periods == {
        "update_publish_state_from_viewers": jobs.RECONCILE_SECONDS,
        "cleanup_stale_viewers": jobs.CLEANUP_SECONDS,
        "remove_old_records": jobs.RETENTION_SECONDS,
    }
    assert [SECONDS.fullmatch(bad) for bad in ("60 seconds", "0 seconds", "1 minute")] == [None] * 3


@pytest.mark.parametrize(
    ("version", "knows"),
    [("1.4", False), ("1.4-1", False), ("1.5", True), ("1.10", True), ("2", True), ("x", False)],
)
async def test_seconds_came_with_1_5(world: World, version: str, knows: bool) -> None:
    answer = await world.rows("SELECT private.cron_knows_seconds($1)", version)
    assert answer == [(knows,)]


async def test_without_pg_cron_nothing_is_scheduled(world: World) -> None:
    assert await world.rows("SELECT private.schedule_by_cron()") == [(None,)]


@pytest.mark.spec("S16", "S30")
async def test_a_run_by_pg_cron_does_the_job(world: World) -> None:
    _, _, stream = await watched(world)
    await world.admin.execute("DELETE FROM public.active_viewers")
    await world.admin.execute("UPDATE public.live_streams SET unpublish_due_at = private.clock()")
    await world.advance(600)
    await world.rows("SELECT private.run_by_cron('update_publish_state_from_viewers')")
    assert not await world.is_published(stream)


@pytest.mark.spec("S30", "S31")
async def test_success_is_recorded_once_in_ten_seconds_and_a_failure_always(world: World) -> None:
    await world.rows(RUN)
    assert await world.rows(RECORD) == [(1, 0, True, True)]
    await world.advance(9)
    await world.rows(RUN)
    assert await world.rows(RECORD) == [(1, 0, False, False)]
    await world.advance(1)
    await world.rows(RUN)
    assert await world.rows(RECORD) == [(2, 0, True, True)]
    await world.admin.execute(BREAK)
    warned: list[object] = []
    world.admin.add_log_listener(lambda _connection, message: warned.append(message.message))
    for failures in (1, 2):
        await world.advance(1)
        assert await world.rows(RUN) == [("out of order",)]
        assert await world.rows(RECORD) == [(2 + failures, failures, False, False)]
    assert warned == ["Job cleanup_stale_viewers failed: out of order"] * 2


@pytest.mark.spec("S31")
async def test_a_record_of_the_leader_is_not_pg_crons(world: World) -> None:
    run = {"p_job": "cleanup_stale_viewers", "p_ok": True, "p_millis": 3}
    await world.call("service_role", "record_job_run", **run)
    assert await world.rows(RECORD) == [(1, 0, True, None)]
    await world.rows(RUN)
    assert await world.rows(RECORD) == [(2, 0, True, True)]


@pytest.mark.spec("D7")
async def test_nobody_who_calls_the_api_runs_or_schedules(world: World) -> None:
    for who in ("service_role", await world.person("alice"), "anon"):
        for statement in (RUN, "SELECT private.schedule_by_cron()"):
            with refused("42501"):
                await world.sql(who, statement)


async def test_an_unknown_job_is_refused_and_told(world: World) -> None:
    told = await world.rows("SELECT private.run_by_cron('fold_ledger')")
    assert told == [("case not found",)]


@pytest.mark.spec("S16", "S17")
async def test_two_runs_at_once_wait_for_nothing(world: World) -> None:
    """The leader and pg_cron may be at the same job: neither is kept by the other's locks."""
    streamer, _, stream = await watched(world)
    await world.admin.execute(
        "INSERT INTO private.sessions (profile_id, expires_at) VALUES ($1, private.clock())",
        streamer.id,
    )
    await world.advance(40 * 86_400)
    other = await world.database.admin()
    await other.execute("SET lock_timeout = '100 ms'")
    # The end of a stream takes its records along, so that comes last.
    for job in ("cleanup_stale_viewers", "remove_old_records", "update_publish_state_from_viewers"):
        async with world.admin.transaction():
            assert await world.admin.fetchval(f"SELECT public.{job}()"), job
            assert await other.fetchval(f"SELECT public.{job}()") == 0
    assert not await world.is_published(stream)
