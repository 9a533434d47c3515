"""Server and PostgreSQL are killed amid a thousand purchases and gifts: not a coin is lost."""

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import psutil
import pytest

from livewall import embedded, tokens
from tests.databases import data_folder
from tests.processes import SERVE, answers, free_port
from tests.waiting import until

SECRET = "a secret of this test alone, thirty-two bytes and more"
BUYERS, SENDERS, EACH = 100, 50, 10
PURSE, PACK, ROSE = 1_750_000, 700, 10
AT_ONCE = 16
PEOPLE = f"""
SELECT count(public.create_account('buyer.' || n, 'x')) FROM generate_series(1, {BUYERS}) AS n;
SELECT count(public.create_account('sender.' || n, 'x')) FROM generate_series(1, {SENDERS}) AS n;
SELECT count(public.create_account('streamer.' || n, 'x')) FROM generate_series(1, 5) AS n;
INSERT INTO public.live_streams (id, streamer_id)
SELECT p.id, p.id FROM public.profiles AS p WHERE p.name LIKE 'streamer.%';
INSERT INTO private.publisher_leases (live_stream_id, session_id, expires_at)
SELECT id, gen_random_uuid(), 'infinity' FROM public.live_streams;
UPDATE public.live_streams SET live_available = true;
SELECT count(public.process_coin_purchase(p.id, 'web', 'purse', 'e' || p.name, 'p' || p.name, {PURSE}, 25000))
FROM public.profiles AS p WHERE p.name LIKE 'sender.%';
"""  # noqa: E501 - a statement a line

Wish = Callable[[httpx.AsyncClient], Awaitable[None]]


@dataclass
class Product:
    """A server with the database it started itself, as `livewall serve` runs them."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start the server, and the database if it does not run; wait until both answer."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LIVEWALL_")}
        ours = {
            "LIVEWALL_DATA_DIR": str(self.folder),
            "LIVEWALL_PORT": str(self.port),
            "LIVEWALL_SECRET": SECRET,
        }
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVE, "serve"),
            env=kept | ours,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )

        async def is_ready() -> bool:
            return await asyncio.to_thread(answers, f"{self.url}/readyz")

        await until(is_ready, 60, "the server answers")

    async def kill(self, *, database: bool) -> None:
        """End the server as a crash does, and the postmaster before it if asked."""
        assert self.process is not None
        if database:
            pid = int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])
            psutil.Process(pid).kill()
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    @contextlib.asynccontextmanager
    async def admin(self) -> AsyncGenerator[asyncpg.Connection]:
        """Connect past every policy."""
        server = embedded.find(self.folder)
        assert server is not None
        connection = await asyncpg.connect(server.url())
        try:
            yield connection
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def product() -> AsyncGenerator[Product]:
    """Run one until the block ends."""
    with data_folder() as folder:
        running = Product(folder)
        await running.start()
        try:
            yield running
        finally:
            assert running.process is not None
            running.process.terminate()
            await running.process.wait()


async def insist(http: httpx.AsyncClient, path: str, *statuses: int, **body: Any) -> Any:
    """Send it until the answer comes, as a client does that keeps its idempotency key."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            answer = await http.post(path, json=body or None)
            if answer.status_code in statuses:
                return answer.json()
            assert answer.status_code == 429 or answer.status_code >= 500, answer.text
        await asyncio.sleep(0.1)
    raise AssertionError(f"{path} never answered {statuses}")


def purchase(token: str, key: str) -> Wish:
    """Buy a pack and pay it."""

    async def wish(http: httpx.AsyncClient) -> None:
        http.headers["Authorization"] = f"Bearer {token}"
        body = {"pack_id": "coins_700", "idempotency_key": key}
        bought = await insist(http, "/api/purchases", 201, **body)
        if bought["checkout"] is not None:
            payment = bought["purchase"]["provider_payment_id"]
            # 422: it is paid already, and only the answer was lost.
            await insist(http, f"/api/sandbox/payments/{payment}/pay", 200, 422)

    return wish


def gift(token: str, key: str, streamer: UUID) -> Wish:
    """Send a rose; here a streamer and their stream share an id."""

    async def wish(http: httpx.AsyncClient) -> None:
        http.headers["Authorization"] = f"Bearer {token}"
        body = {
            "recipient_id": str(streamer),
            "gift_type_id": "rose",
            "slot_index": 1,
            "stream_id": str(streamer),
            "idempotency_key": key,
        }
        await insist(http, "/api/gifts", 201, **body)

    return wish


async def wishes(admin: asyncpg.Connection) -> list[Wish]:
    """Make the people and what they want: 500 purchases and 500 gifts, mixed."""
    await admin.execute(PEOPLE)
    rules = tokens.Rules(SECRET)
    people = await admin.fetch(
        "SELECT name, id, (public.open_session(id, '1 hour') ->> 'session_id')::uuid AS session"
        " FROM public.profiles ORDER BY name"
    )
    token = {
        p["name"]: tokens.sign(rules, p["id"], p["session"], time.time() + 3600) for p in people
    }
    streamers = itertools.cycle(p["id"] for p in people if p["name"].startswith("streamer"))
    buying = [
        purchase(token[f"buyer.{n}"], f"purchase-{n}-{k}")
        for k in range(5)
        for n in range(1, BUYERS + 1)
    ]
    giving = [
        gift(token[f"sender.{n}"], f"gift-{n}-{k:04}", next(streamers))
        for k in range(EACH)
        for n in range(1, SENDERS + 1)
    ]
    return [wish for pair in zip(buying, giving, strict=True) for wish in pair]


async def fulfil(url: str, todo: list[Wish], done: list[int]) -> None:
    """Work through the wishes, several at a time; `done` gets a number for each."""
    numbers = iter(range(len(todo)))

    async def work() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=10) as http:
            for number in numbers:
                await todo[number](http)
                done.append(number)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def got_to(done: list[int], count: int) -> bool:
    """Say whether so many wishes are fulfilled."""
    return len(done) >= count


async def verified(folder: Path) -> str:
    """Run `livewall ledger verify`; return what it says, nothing if all is well."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LIVEWALL_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "livewall", "ledger", "verify"),
        env=kept | {"LIVEWALL_DATA_DIR": str(folder), "LIVEWALL_SECRET": SECRET},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return "" if process.returncode == 0 else out.decode()


@pytest.mark.spec("S26", "D4", "D5")
@pytest.mark.abuse("A21")
async def test_a_thousand_purchases_and_gifts_survive_kill_9() -> None:
    async with product() as running:
        async with running.admin() as admin:
            todo = await wishes(admin)
        assert len(todo) == 1000
        done: list[int] = []
        working = asyncio.create_task(fulfil(running.url, todo, done))
        for reached, database in ((250, False), (500, True), (750, True)):
            await until(partial(got_to, done, reached), 120, f"{reached} wishes are fulfilled")
            await running.kill(database=database)
            await running.start()
        await working
        async with running.admin() as admin:

            async def is_settled() -> bool:
                return await admin.fetchval(
                    "SELECT count(*) FILTER (WHERE status = 'completed') = $1"
                    " AND NOT EXISTS (SELECT FROM private.ledger_queue)"
                    " FROM public.coin_purchases",
                    BUYERS * 5 + SENDERS,
                )

            await until(is_settled, 60, "every payment is credited and sealed")
            assert await verified(running.folder) == ""
            assert await purses(admin) == {
                "buyer": {PACK * 5},
                "sender": {PURSE - ROSE * EACH},
                "gifts": {SENDERS * EACH},
            }


async def purses(admin: asyncpg.Connection) -> dict[str, set[int]]:
    """Return the different amounts that people of each kind have, and how many gifts there are."""
    rows = await admin.fetch(
        "SELECT split_part(p.name, '.', 1) AS kind, private.balance_of(p.id, 'wallet') AS coins"
        " FROM public.profiles AS p WHERE p.name NOT LIKE 'streamer.%'"
    )
    found: dict[str, set[int]] = {}
    for row in rows:
        found.setdefault(row["kind"], set()).add(row["coins"])
    return found | {"gifts": {await admin.fetchval("SELECT count(*) FROM public.gifts")}}
