"""`make test-pg-cron`: a pg_cron with seconds runs what we ship, by the clock.

It is Debian 13's, in a folder with a Debian 13 of its own, and takes three minutes: not in
`make test`.
"""

import subprocess
from collections.abc import Generator
from pathlib import Path

import asyncpg
import pytest

from livewall.administrator import connected
from livewall.code_catalog import Connection
from livewall.migrate import migrate
from tests.processes import free_port
from tests.test_pg_cron import scheduled, seen
from tests.waiting import until

DEBIAN13 = Path(__file__).parents[1] / ".stamps" / "debian13"
PROGRAMS = "/usr/lib/postgresql/17/bin"
DATA = "/var/lib/postgresql/livewall-test"
# The cleanup is due every 45 seconds; each job has to come twice.
PATIENCE_SECONDS = 180
TWICE = """
SELECT count(*) = 3 FROM (
    SELECT FROM cron.job_run_details AS d JOIN cron.job AS j USING (jobid)
    WHERE j.jobname LIKE 'livewall: %' AND d.status = 'succeeded'
    GROUP BY j.jobid HAVING count(*) > 1
) AS ran
"""
APART = """
SELECT jobname, round(extract(epoch FROM (max(start_time) - min(start_time)) / (count(*) - 1)))::int
FROM cron.job_run_details JOIN cron.job USING (jobid) GROUP BY 1 ORDER BY 1
"""


def inside(*command: str) -> None:
    """Run a program of that Debian as its user postgres."""
    chroot = ["chroot", "--userspec=postgres:postgres", str(DEBIAN13)]
    subprocess.run([*chroot, *command], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(params=["on", "off"], ids=["background workers", "connections"])
def port(request: pytest.FixtureRequest) -> Generator[int]:
    """The port of a server whose people need no password, pg_cron's connections neither."""
    port = free_port()
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "shared_preload_libraries": "pg_cron",
        "cron.database_name": "scheduled",
        "cron.host": "127.0.0.1",
        "cron.use_background_workers": request.param,
        "dynamic_shared_memory_type": "mmap",  # there is no /dev/shm
    }
    inside(f"{PROGRAMS}/initdb", "-D", DATA, "-A", "trust", "-U", "boss", "-N", "--locale=C.UTF-8")
    options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
    try:
        inside(f"{PROGRAMS}/pg_ctl", "-D", DATA, "-w", "-l", f"{DATA}/log", "-o", options, "start")
        yield port
    finally:
        inside(f"{PROGRAMS}/pg_ctl", "-D", DATA, "-m", "immediate", "stop")
        inside("rm", "-r", DATA)


async def test_what_we_ship_runs_by_the_second(port: int) -> None:
    async with connected(f"postgresql://boss@127.0.0.1:{port}/postgres") as first:
        await first.execute("CREATE ROLE ops LOGIN CREATEROLE")
        await first.execute("CREATE DATABASE scheduled OWNER ops")
    url = f"postgresql://ops@127.0.0.1:{port}/scheduled"
    async with connected(f"postgresql://boss@127.0.0.1:{port}/scheduled") as admin:
        await admin.execute("CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO ops")
        assert (await migrate(url)).cron == "pg_cron 1.6 runs jobs as ops, beside our leader."
        jobs = await scheduled(admin)
        for schedule in ("60 seconds", "0 seconds", "1 minute"):
            with pytest.raises(asyncpg.InvalidParameterValueError, match="invalid schedule"):
                await admin.execute("SELECT cron.schedule('too long', $1, 'SELECT 1')", schedule)
        await each_ran_twice(admin)
        assert [tuple(row) for row in await admin.fetch(APART)] == [
            ("livewall: cleanup_stale_viewers", 45),
            ("livewall: remove_old_records", 5),
            ("livewall: update_publish_state_from_viewers", 12),
        ]
        for outcome in (await seen(url, admin)).values():
            assert outcome.status == "pass", outcome.evidence
            assert "by pg_cron 1.6 and nobody else" in outcome.evidence
        await migrate(url)
        assert await scheduled(admin) == jobs


async def each_ran_twice(admin: Connection) -> None:
    """Wait until every job of seconds came well a second time."""

    async def so() -> bool:
        return await admin.fetchval(TWICE)

    await until(so, PATIENCE_SECONDS, "pg_cron ran each job twice")
