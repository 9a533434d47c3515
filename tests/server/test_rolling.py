"""Servers restart one after the other, under people who stream and watch: nobody notices."""

import asyncio
import signal
import socket
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.balancer import balancer
from tests.browser.site import Site, environ_for
from tests.crowd import crowd, people
from tests.databases import Database
from tests.processes import free_port
from tests.server.world import SECRET

PEOPLE, STREAMERS = 40, 4
PATIENCE_SECONDS = 60.0
# Longer than the linger below.
AWAY_SECONDS = 2.0
SETTLED_SECONDS = 2.0


@asynccontextmanager
async def servers(database: Database, folder: Path, count: int) -> AsyncGenerator[list[Site]]:
    """Run so many servers on one database, each with a data folder and a port of its own."""
    admin = await database.admin()
    async with AsyncExitStack() as stack:
        sites: list[Site] = []
        for port in [free_port() for _ in range(count)]:
            own = environ_for(
                database, folder / str(port), port, secret=SECRET, sockets_per_address="1000"
            )
            sites.append(Site(admin, port, own))
            stack.push_async_callback(sites[-1].stop)
        # No rule but the silence of a minute keeps a camera on without its viewers.
        await sites[0].rules(
            restart_grace="0 seconds", linger="1 second", minimum_on_time="0 seconds"
        )
        await asyncio.gather(*(site.start() for site in sites))
        yield sites


@pytest.mark.spec("S14", "D8")
async def test_a_rolling_restart_switches_no_camera(database: Database, tmp_path: Path) -> None:
    async with servers(database, tmp_path, 2) as sites:
        bearers = await people(sites[0].admin, SECRET, PEOPLE)
        ports = [site.port for site in sites]
        async with (
            balancer(ports) as front,
            crowd(sites[0].admin, front.url, bearers, STREAMERS) as everybody,
        ):
            await everybody.until_all_are_sent(PATIENCE_SECONDS)
            before = await everybody.switching()
            told: list[int] = []
            for site in sites:
                # Nobody comes back before a camera without viewers would be off.
                front.is_closed = True
                await site.stop()
                await asyncio.sleep(AWAY_SECONDS)
                front.is_closed = False
                await everybody.until_here(PATIENCE_SECONDS)
                told.append(len(everybody.take_absences()))
                await site.start()
            await asyncio.sleep(SETTLED_SECONDS)
            assert await everybody.switching() == before
            assert await everybody.published() == STREAMERS
            assert everybody.lost_leases == 0
            # Half of them were on the first server, and then everybody on the second one.
            assert told == [PEOPLE // 2, PEOPLE]
            assert everybody.close_codes == Counter({1012: sum(told)})


async def test_systemd_hears_when_a_server_is_ready_and_when_it_stops(
    database: Database, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        notified.setblocking(False)
        port = free_port()
        own = environ_for(database, tmp_path / "data", port, secret=SECRET)
        site = Site(await database.admin(), port, own | {"NOTIFY_SOCKET": str(tmp_path / "notify")})

        async def heard() -> bytes:
            loop = asyncio.get_running_loop()
            return await asyncio.wait_for(loop.sock_recv(notified, 1_000), PATIENCE_SECONDS)

        await site.start()
        try:
            assert await heard() == b"READY=1"
            assert site.process is not None
            site.process.send_signal(signal.SIGTERM)
            assert await heard() == b"STOPPING=1"
            # What the units name a success.
            assert await site.process.wait() == 143
        finally:
            await site.stop()
