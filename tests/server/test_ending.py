"""A server that is told to end: what is under way is finished, and others take over at once."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable

import httpx
import pytest

from livewall import heartbeats, jobs, serving
from livewall.app import return_times
from livewall.payments import Fact
from tests.databases import Database
from tests.server import world
from tests.server.money import FakeProvider, bought, selling
from tests.server.test_connections import open_socket
from tests.server.world import Live, settings_for
from tests.waiting import until

PATIENCE_SECONDS = 30.0
# So long something is under way when everything else has ended.
WHILE_SECONDS = 0.7
LEADER = """
SELECT a.pid FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()
    AND l.objsubid = 1 AND (l.classid::bigint << 32 | l.objid::bigint) = $1
"""

FOLLOWS = """
SELECT EXISTS (SELECT FROM pg_stat_activity AS a
    WHERE a.datname = current_database() AND a.query LIKE '%pg_try_advisory_lock%'
        AND a.pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')
        AND a.pid <> pg_backend_pid())
"""
WAITS = """
SELECT EXISTS (SELECT FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
    WHERE d.datname = current_database() AND NOT l.granted)
"""


@contextlib.asynccontextmanager
async def _ending(live: Live) -> AsyncGenerator[None]:
    """Have the server told to end while the block runs, and wait until it has."""
    ending = asyncio.ensure_future(live.end())
    try:
        await asyncio.wait_for(live.app.server.ending.wait(), PATIENCE_SECONDS)
        yield
    finally:
        await ending


async def _refuses(live: Live) -> bool:
    url = httpx.URL(live.url)
    try:
        _, writer = await asyncio.open_connection(url.host, url.port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


@pytest.mark.spec("D8")
async def test_a_balancer_sees_the_end_before_it_comes(database: Database) -> None:
    async with world.serving(settings_for(database, drain_seconds=2), database) as live:
        http = live.visitor().http
        assert (await http.get("/readyz")).status_code == 200
        async with _ending(live):
            answer = await http.get("/readyz")
            assert (answer.status_code, answer.json()["code"]) == (503, "ending")
            # Whoever has not noticed yet is served, in connections that are not used again.
            assert answer.headers["connection"] == "close"
            assert (await live.guest()).token
        assert await _refuses(live)


async def test_a_request_under_way_is_answered(live: Live) -> None:
    ada = await live.account("ada")
    admin = await live.database.admin()
    async with admin.transaction():
        await admin.execute("LOCK TABLE public.user_grid_slots IN ACCESS EXCLUSIVE MODE")
        saving = asyncio.create_task(ada.http.put("/api/grid", json={"slots": []}))
        await until(lambda: admin.fetchval(WAITS), PATIENCE_SECONDS, "the request waits")
        ending = asyncio.ensure_future(live.end())
        await until(lambda: _refuses(live), PATIENCE_SECONDS, "nobody new is let in")
        await asyncio.sleep(WHILE_SECONDS)
    assert (await saving).status_code == 200
    await ending


@pytest.mark.spec("S18")
async def test_the_last_leave_is_written(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.serving(settings_for(database), database) as live:
        _, stream_id = await (await live.guest("ada")).go_live()
        viewer = await live.guest()
        tab = await viewer.tab()
        for pause in ("LONGEST_PAUSE", "SHORTEST_PAUSE"):
            monkeypatch.setattr(heartbeats, pause, 1.0)
        await tab.watch(stream_id)
        await tab.expect("seat", state="granted")
        body = {"session_id": str(tab.session_id), "sequence": tab.sequence + 1}
        assert (await viewer.http.post("/api/presence/leave", json=body)).status_code == 204
        assert live.app.server.presence.writer.pending, "the writer rests from the heartbeat"
    admin = await database.admin()
    assert await admin.fetch("SELECT is_watching FROM public.active_viewers") == [(False,)]


class SlowProvider(FakeProvider):
    """Answers a cancel when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()

    async def cancel(self, payment_id: str, amount_cents: int, idempotency_key: str) -> list[Fact]:
        """Let go of the money, in the end."""
        facts = await super().cancel(payment_id, amount_cents, idempotency_key)
        await self.may_answer.wait()
        return facts


@pytest.mark.spec("D4")
async def test_what_a_provider_was_told_is_noted(database: Database) -> None:
    provider = SlowProvider()
    async with selling(database, provider) as live:
        ada = await live.account("ada")
        purchase = await bought(ada)
        admin = await database.admin()
        await admin.execute("SELECT private.order_call($1, 'cancel', 999, 'x')", purchase["id"])

        async def is_told() -> bool:
            return bool(provider.calls)

        async def nobody_leads() -> bool:
            return await admin.fetchval(LEADER, jobs.LEADER_LOCK) is None

        await until(is_told, PATIENCE_SECONDS, "the provider is told")
        async with _ending(live):
            # The leader's jobs are over by now; the call is not.
            await until(nobody_leads, PATIENCE_SECONDS, "nobody leads")
            asyncio.get_running_loop().call_later(WHILE_SECONDS, provider.may_answer.set)
    status = "SELECT status FROM public.coin_purchases"
    assert await admin.fetchval(status) == "canceled"
    assert len(provider.calls) == 1


async def test_another_server_leads_at_once_and_nothing_failed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How soon a leader that died is missed; one that ends says so.
    monkeypatch.setattr(jobs, "LEADER_SECONDS", 600)
    admin = await database.admin()

    async def leads() -> bool:
        return await admin.fetchval(LEADER, jobs.LEADER_LOCK) is not None

    def so(query: str, what: str) -> Awaitable[float]:
        return until(lambda: admin.fetchval(query), PATIENCE_SECONDS, what)

    async with world.serving(settings_for(database), database) as first:
        await until(leads, PATIENCE_SECONDS, "one leads")
        pid = await admin.fetchval(LEADER, jobs.LEADER_LOCK)
        async with world.serving(settings_for(database), database):
            await so(FOLLOWS, "another has asked")
            async with admin.transaction():
                await admin.execute("LOCK TABLE private.outbox IN ACCESS EXCLUSIVE MODE")
                await so(WAITS, "a job of the leader waits")
                await first.end()
            await until(leads, PATIENCE_SECONDS, "another leads")
            assert await admin.fetchval(LEADER, jobs.LEADER_LOCK) != pid
    assert await admin.fetchval("SELECT sum(failures) FROM private.job_runs") == 0


async def test_who_reads_nothing_keeps_no_server_from_ending(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "ANSWER_SECONDS", 0.2)
    async with open_socket(live, await live.guest()):
        await asyncio.wait_for(live.end(), PATIENCE_SECONDS)


async def test_whoever_comes_too_late_for_the_goodbye_is_told_by_a_code(live: Live) -> None:
    late = await (await live.guest()).connect()
    await live.end()
    assert await late.closed() == 1012


def test_sockets_come_back_no_faster_than_they_can_be_taken_in() -> None:
    assert return_times(0) == []
    for count, last in ((1, 500), (100, 1_000), (5_000, 20_500), (100_000, 30_500)):
        times = return_times(count)
        assert times == sorted(times)
        assert times[0] == 500
        assert last * 0.99 <= times[-1] <= last


async def test_who_streams_comes_back_first(live: Live) -> None:
    viewers = [await (await live.guest()).tab() for _ in range(3)]
    studio, _ = await (await live.guest("ada")).go_live()
    await live.end()
    waits = [(await tab.expect("goodbye"))["reconnect_after_ms"] for tab in (studio, *viewers)]
    assert waits[0] == min(waits) < max(waits)
