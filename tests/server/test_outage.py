"""The database goes away and comes back; the server stops; a port is taken."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from uuid import UUID

import asyncpg
import httpx
import pytest
from prometheus_client import REGISTRY

from livewall import ending, jobs
from livewall.app import create_app
from livewall.db import SERVICE
from livewall.errors import Refusal
from tests.databases import Cluster, Database
from tests.processes import free_port
from tests.server.world import (
    ROOT,
    SERVE_ALONE,
    Live,
    environment_for,
    serving,
    settings_for,
    started_process,
)
from tests.waiting import until

# A process starts, works and ends within this on any machine.
PROCESS_SECONDS = 60
JOBS = {
    "cleanup_stale_viewers",
    "deliver_outbox",
    "expire_purchases",
    "fold_ledger",
    "perform_provider_calls",
    "process_payment_events",
    "remove_old_records",
    "update_publish_state_from_viewers",
}


@contextlib.asynccontextmanager
async def away(cluster: Cluster, database: Database) -> AsyncGenerator[None]:
    """Cut every connection to this test's database and let nobody in until the block ends."""
    await cluster.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false")
    await cluster.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.name}'"
    )
    try:
        yield
    finally:
        await cluster.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS true")


async def _eventually(http: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    for _ in range(100):
        answer = await http.get(path)
        if answer.status_code == status:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(f"{path} never answered {status}")


async def test_requests_get_503_while_the_database_is_away(live: Live, cluster: Cluster) -> None:
    http = live.visitor().http
    assert (await http.get("/readyz")).status_code == 200
    async with away(cluster, live.database):
        answer = await http.get("/api/streams")
        assert (answer.status_code, answer.json()["code"]) == (503, "database_away")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get("/healthz")).status_code == 200
    await _eventually(http, "/api/streams", 200)
    await _eventually(http, "/readyz", 200)


async def test_heartbeats_outlive_an_outage(live: Live, cluster: Cluster) -> None:
    studio, stream_id = await (await live.guest("ada")).go_live()
    tab = await (await live.guest()).tab()
    async with away(cluster, live.database):
        await asyncio.sleep(0.3)
        await tab.watch(stream_id, is_unmuted=False)
        await tab.watch(stream_id)
        assert (await tab.expect("error"))["problem"]["code"] == "database_away"
        answer = await studio.ask(type="stop")
        assert answer["problem"]["code"] == "database_away"
    await tab.expect("seat", state="granted")
    await studio.expect("publish", is_published=True)
    errors = [m for m in tab.heard if m["type"] == "error"]
    assert len(errors) == 1, "told once, not at every try"


async def test_a_mistake_of_ours_does_not_end_the_writer(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, stream_id = await (await live.guest("ada")).go_live()
    tab = await (await live.guest()).tab()

    def mistake(_tiles: object, _answer: object) -> None:
        monkeypatch.undo()
        raise KeyError("a mistake")

    monkeypatch.setattr(live.app.server.presence.writer, "_report", mistake)
    await tab.watch(stream_id)
    await tab.expect("seat", state="granted")


async def test_a_socket_that_comes_during_an_outage_is_told_to_come_back(
    live: Live, cluster: Cluster
) -> None:
    viewer = await live.guest()
    await viewer.http.get("/api/grid")  # its session is known to be open
    async with away(cluster, live.database):
        tab = await viewer.connect()
        await tab.say(type="hello", protocol=1, session_id=str(tab.session_id))
        assert (await tab.expect("error"))["problem"]["code"] == "database_away"
        assert await tab.closed() == 1013


@pytest.mark.spec("S16")
@pytest.mark.spec("S17")
async def test_jobs_run_and_leave_a_record(live: Live) -> None:
    done: set[object] = set()
    for _ in range(100):
        runs = await live.app.server.database.call(SERVICE, "job_runs", list[dict[str, object]])
        done = {run["job"] for run in runs if run["failures"] == 0}
        if done == JOBS:
            break
        await asyncio.sleep(0.1)
    assert done == JOBS
    admin = await live.database.admin()
    await asyncio.sleep(1.5)
    runs = await admin.fetchval("SELECT sum(runs)::integer FROM private.job_runs")
    assert runs == len(JOBS), "a job that runs twice a second is not recorded twice a second"
    assert 10 <= jobs.RECONCILE_SECONDS <= 15
    assert 30 <= jobs.CLEANUP_SECONDS <= 60


async def test_one_server_leads_and_another_takes_over(
    live: Live, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LEADER_SECONDS", 0.2)
    monkeypatch.setattr(jobs, "FOLLOWER_SECONDS", 0.05)
    leading: list[str] = []

    async def act(name: str) -> None:
        leading.append(name)
        await asyncio.Event().wait()

    holders = await _lock_holders(database)
    assert len(holders) == 1
    second = asyncio.create_task(jobs.lead(live.app.server.database, lambda: act("second")))
    try:
        await asyncio.sleep(0.5)
        assert leading == []
        admin = await database.admin()
        await admin.execute("SELECT pg_terminate_backend($1)", holders[0])
        for _ in range(50):
            await asyncio.sleep(0.1)
            if leading:
                break
        assert leading == ["second"]
    finally:
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)


async def test_a_job_that_never_went_well_is_counted_as_such() -> None:
    """An alert on what did not grow sees nothing where nothing is counted."""
    counted = {"job": "never_well", "result": "ok"}
    asked = asyncio.Event()

    async def fail() -> None:
        asked.set()
        raise Refusal("database_away")

    job = asyncio.create_task(jobs.repeat("never_well", 60, fail))
    await asked.wait()
    assert REGISTRY.get_sample_value("livewall_job_runs_total", counted) == 0
    await ending.end(job)


async def _lock_holders(database: Database) -> list[int]:
    admin = await database.admin()
    for _ in range(50):
        rows: list[asyncpg.Record] = await admin.fetch(jobs.LEADER_PID)
        if rows:
            return [row["pid"] for row in rows]
        await asyncio.sleep(0.1)
    return []


async def test_a_change_made_in_plain_sql_is_heard_soon(live: Live) -> None:
    ada = await live.guest("ada")
    studio, stream_id = await ada.go_live()
    admin = await live.database.admin()
    await admin.execute("UPDATE public.live_streams SET live_available = false")
    lost = await studio.expect("publisher_lost", seconds=5)
    assert UUID(lost["stream_id"]) == stream_id


async def test_serve_stops_with_a_goodbye_when_told_to(database: Database) -> None:
    port = free_port()
    async with started_process(environment_for(database, port)) as process:
        settings = settings_for(database)
        live = Live(f"http://127.0.0.1:{port}", create_app(settings), settings, database)
        tab = await (await live.guest()).tab()
        process.send_signal(signal.SIGTERM)
        assert (await tab.expect("goodbye"))["reason"] == "restart"
        assert await tab.closed() == 1012
        await live.close()
        _, said = await asyncio.wait_for(process.communicate(), PROCESS_SECONDS)
        assert b"Traceback" not in said, said.decode()


async def test_a_taken_port_is_one_line_and_exit_1(database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            SERVE_ALONE,
            env=environment_for(database, port),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(process.communicate(), PROCESS_SECONDS)
    assert process.returncode == 1
    assert said.decode().count("\n") == 1
    assert str(port) in said.decode()
    assert "LIVEWALL_PORT" in said.decode()


async def test_a_worker_runs_the_jobs_by_itself(database: Database) -> None:
    code = "from livewall.jobs import work; from livewall.settings import load; work(load())"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment_for(database, 0), cwd=ROOT
    )
    try:
        admin = await database.admin()

        async def all_ran() -> bool:
            return await admin.fetchval("SELECT count(*) FROM private.job_runs") == len(JOBS)

        await until(all_ran, PROCESS_SECONDS, "every job ran")
    finally:
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), PROCESS_SECONDS) == 0


async def test_what_forgets_that_it_was_cancelled_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ending, "AGAIN_SECONDS", 0.05)
    forgotten = 0

    async def forgetful() -> None:
        nonlocal forgotten
        while forgotten < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                forgotten += 1
        await asyncio.sleep(60)

    task = asyncio.create_task(forgetful())
    await asyncio.sleep(0)
    await asyncio.wait_for(ending.end(task), PROCESS_SECONDS)
    assert (task.cancelled(), forgotten) == (True, 2)


@pytest.mark.abuse("T9")
async def test_metrics_count_and_are_closed_to_strangers_in_production(database: Database) -> None:
    async with serving(settings_for(database), database) as live:
        _, stream_id = await (await live.guest("ada")).go_live()
        tab = await (await live.guest()).tab()
        await tab.watch(stream_id)
        await tab.expect("seat")
        await asyncio.sleep(1.1)  # seats are counted once a second
        text = (await live.visitor().http.get("/metrics")).text
        for name in (
            "livewall_sockets 2.0",
            "livewall_seats 1.0",
            "livewall_publish_command_seconds_count",
            'livewall_database_seconds_count{function="start_stream"}',
        ):
            assert name in text, name
    settings = settings_for(database, env="production", trusted_proxies=("127.0.0.1",))
    async with serving(settings, database) as live:
        http = live.visitor().http
        outside = {"X-Forwarded-For": "203.0.113.9"}
        assert (await http.get("/metrics", headers=outside)).status_code == 404
        for given in ("Bearer", "Bearer x", f"Bearer {settings.secret}"):
            wrong = outside | {"Authorization": given}
            assert (await http.get("/metrics", headers=wrong)).status_code == 404, given
        token = {"Authorization": f"Bearer {settings.metrics_token}"}
        assert (await http.get("/metrics", headers=outside | token)).status_code == 200
