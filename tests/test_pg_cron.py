"""A real pg_cron: Debian 12's 1.4, which has no seconds, and how it runs what a newer one gets."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from livewall import bundle
from livewall.administrator import connected
from livewall.backup import dumped, take
from livewall.code_catalog import Connection
from livewall.jobs import LEADER_LOCK
from livewall.migrate import migrate
from livewall.postgres_folder import ADMIN
from livewall.preflight.checks import Site
from livewall.preflight.run import Outcome, run
from livewall.proof import Check as LedgerCheck
from livewall.restore import drill
from livewall.settings import Settings
from tests.cron_server import DATABASE, CronServer, cron_server, lowered
from tests.sql.supabase import PROJECT, Platform, new_project_folder
from tests.waiting import until

PATIENCE_SECONDS = 30
JOBS = ("cleanup_stale_viewers", "remove_old_records", "update_publish_state_from_viewers")
SCHEDULED = "SELECT jobname, schedule, username, jobid FROM cron.job ORDER BY 1"
RUNS = "SELECT job, failures, cron_success_at IS NOT NULL FROM private.job_runs"
BREAK = """
CREATE OR REPLACE FUNCTION public.remove_old_records(p_most integer DEFAULT 100) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RAISE EXCEPTION 'out of order'; END $$
"""
ANEW = """
DROP EXTENSION IF EXISTS pg_cron;
CREATE EXTENSION pg_cron;
DELETE FROM private.job_runs;
"""


@pytest.fixture(scope="module")
def cron() -> Generator[CronServer]:
    """A server for this file, with our schema in the database that pg_cron works in."""
    with cron_server() as started:
        asyncio.run(_prepare(started))
        yield started


async def _prepare(started: CronServer) -> None:
    async with connected(started.server.url("postgres")) as connection:
        await connection.execute("CREATE ROLE ops LOGIN CREATEROLE PASSWORD 'ops'")
        await connection.execute(f"CREATE DATABASE {DATABASE}")
    assert (await migrate(started.url)).cron is None


@pytest_asyncio.fixture
async def admin(cron: CronServer) -> AsyncGenerator[Connection]:
    """The superuser, at a pg_cron that has no jobs yet."""
    async with connected(cron.url) as connection:
        await connection.execute(ANEW)
        yield connection


async def seen(url: str, admin: Connection) -> dict[str, Outcome]:
    """Return what preflight says of the jobs."""
    site = Site(Settings(database_url=url), admin, None, no_proof)
    return {outcome.id: outcome for outcome in await run(site, ("S30", "S31"))}


async def no_proof() -> list[LedgerCheck]:
    """Stand for the proof of the ledger, which no job asks for."""
    raise AssertionError


async def scheduled(admin: Connection) -> list[tuple[str, str, str, int]]:
    """Return the jobs that pg_cron has, as (name, schedule, whose, id)."""
    return [tuple(row) for row in await admin.fetch(SCHEDULED)]


@pytest.mark.spec("S30", "S31")
async def test_a_pg_cron_without_seconds_gets_no_jobs_and_the_checklist_says_so(
    cron: CronServer, admin: Connection
) -> None:
    told = (await migrate(cron.url)).cron
    assert told == "pg_cron 1.4-1 has no seconds, 1.5 has: it gets no jobs, our leader runs them."
    assert await scheduled(admin) == []
    await admin.execute(
        "SELECT public.record_job_run(job, true, 3) FROM unnest($1::text[]) AS job", JOBS
    )
    await admin.execute("SELECT pg_advisory_lock($1)", LEADER_LOCK)
    for outcome in (await seen(cron.url, admin)).values():
        assert outcome.status == "pass"
        assert outcome.evidence.endswith(
            "by our leader: pg_cron 1.4-1 has no seconds (1.5 has) and no jobs"
        )
    await admin.execute("SELECT pg_advisory_unlock($1)", LEADER_LOCK)
    assert {o.status for o in (await seen(cron.url, admin)).values()} == {"fail"}


async def test_a_pg_cron_that_refuses_seconds_all_the_same_stops_no_migration(
    cron: CronServer, admin: Connection, tmp_path: Path
) -> None:
    told = (await migrate(cron.url, lowered(tmp_path / "sql", schedule="12 seconds"))).cron
    assert told is not None
    assert told.startswith(f"pg_cron 1.4-1 takes no jobs from {ADMIN} (invalid schedule: 12 secon")
    assert await scheduled(admin) == []


async def test_what_a_release_does_not_have_any_more_is_taken_back(
    cron: CronServer, admin: Connection, tmp_path: Path
) -> None:
    sql = lowered(tmp_path / "sql")
    assert (await migrate(cron.url, sql)).cron == (
        f"pg_cron 1.4-1 runs jobs as {ADMIN}, beside our leader."
    )
    before = await scheduled(admin)
    assert [job[:3] for job in before] == [
        ("livewall: cleanup_stale_viewers", "@reboot", ADMIN),
        ("livewall: forget runs", "23 * * * *", ADMIN),
        ("livewall: remove_old_records", "@reboot", ADMIN),
        ("livewall: update_publish_state_from_viewers", "@reboot", ADMIN),
    ]
    await admin.execute("SELECT cron.alter_job($1, active := false)", before[0][3])
    await admin.execute("SELECT cron.schedule('livewall is not it', '@reboot', 'SELECT 1')")
    await migrate(cron.url, sql)
    assert [job for job in await scheduled(admin) if "is not it" not in job[0]] == before
    assert await admin.fetchval("SELECT count(*) FROM cron.job WHERE NOT active") == 1
    await migrate(cron.url, lowered(tmp_path / "next", without="update_publish_state_from_viewers"))
    kept = [job for job in before if "update" not in job[0]]
    assert [job for job in await scheduled(admin) if "is not it" not in job[0]] == kept


async def test_jobs_belong_to_who_migrates_and_may_schedule(
    cron: CronServer, admin: Connection, tmp_path: Path
) -> None:
    await admin.execute("REVOKE USAGE ON SCHEMA cron FROM ops; GRANT livewall_owner TO ops")
    sql = lowered(tmp_path / "sql")
    assert (await migrate(cron.url_of("ops"), sql)).cron == (
        "pg_cron 1.4-1 takes no jobs from ops (permission denied for schema cron): "
        "our leader runs them."
    )
    await admin.execute("GRANT USAGE ON SCHEMA cron TO ops")
    told = (await migrate(cron.url_of("ops"), sql)).cron
    assert told == "pg_cron 1.4-1 runs jobs as ops, beside our leader."
    assert {whose for _, _, whose, _ in await scheduled(admin)} == {"ops"}


@pytest.mark.spec("S30", "S31")
async def test_what_pg_cron_runs_as_no_superuser_leaves_our_record(
    cron: CronServer, admin: Connection, tmp_path: Path
) -> None:
    await admin.execute("GRANT livewall_owner TO ops; GRANT USAGE ON SCHEMA cron TO ops")
    await migrate(cron.url_of("ops"), lowered(tmp_path / "sql"))
    whole = await admin.fetchval("SELECT pg_get_functiondef('public.remove_old_records'::regproc)")
    await admin.execute(BREAK)
    await asyncio.to_thread(cron.restart)
    async with connected(cron.url) as again:
        await all_ran(again)
        await again.execute(whole)
        rows = await again.fetch(RUNS)
        assert {tuple(row) for row in rows} == {
            ("cleanup_stale_viewers", 0, True),
            ("remove_old_records", 1, False),
            ("update_publish_state_from_viewers", 0, True),
        }
        for outcome in (await seen(cron.url, again)).values():
            assert outcome.status == "pass"
            assert "by pg_cron 1.4-1 and nobody else" in outcome.evidence
        await again.execute("UPDATE cron.job_run_details SET end_time = end_time - interval '25 h'")
        forget = await again.fetchval("SELECT command FROM cron.job WHERE jobname ~ 'forget'")
        await again.execute("SET ROLE ops")
        assert await again.execute(forget) == f"DELETE {len(JOBS)}"


async def all_ran(admin: Connection) -> None:
    """Wait until pg_cron is done with each job."""

    async def so() -> bool:
        ended = "SELECT count(*) FROM cron.job_run_details WHERE end_time IS NOT NULL"
        return await admin.fetchval(ended) == len(JOBS)

    await until(so, PATIENCE_SECONDS, "pg_cron ran each job")


async def test_a_backup_comes_back_where_there_is_no_pg_cron(
    cron: CronServer, admin: Connection, tmp_path: Path
) -> None:
    await migrate(cron.url, lowered(tmp_path / "sql"))
    assert len(await scheduled(admin)) == len(JOBS) + 1
    backup = await take(cron.url, tmp_path / "backup", None, print, dumped)
    proof = await asyncio.to_thread(drill, backup, None, print)
    assert proof.differences == []


async def test_a_bundle_schedules_as_the_projects_operator(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    migrations = new_project_folder(folder) / "supabase" / "migrations"
    with cron_server() as started:
        platform = Platform(started.server, "authenticator")
        await platform.execute(f"CREATE DATABASE {DATABASE}")
        async with connected(started.url) as admin:
            await admin.execute(PROJECT)
            await admin.execute("CREATE EXTENSION pg_cron")
            await platform.push(DATABASE, migrations)
            assert await scheduled(admin) == []
            bundle.write(folder, lowered(tmp_path / "next"))
            await platform.push(DATABASE, migrations)
            assert await scheduled(admin) == [], "the operator may not"
            # As the platform does for whoever creates the extension there.
            await admin.execute("GRANT USAGE ON SCHEMA cron TO postgres")
            bundle.write(folder, lowered(tmp_path / "later", schedule="* * * * *"))
            await platform.push(DATABASE, migrations)
            assert {job[1:3] for job in await scheduled(admin)} == {
                ("* * * * *", "postgres"),
                ("23 * * * *", "postgres"),
            }
