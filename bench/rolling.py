"""Servers restart under a thousand sockets: how long people are without one, what is switched.

python -m bench.rolling        this alone, about five minutes
"""

import asyncio
import logging
import resource
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

import structlog
import uvloop

from bench.balancer import balancing
from bench.figures import Figure, finish, say, shown
from bench.product import administrator, data_folder, environ_for, livewall
from livewall.code_catalog import Connection
from tests.browser.site import Site
from tests.crowd import Crowd, crowd, people
from tests.processes import free_port

SOCKETS, STREAMERS = 1_000, 20
LIMIT_SECONDS = 10.0
PATIENCE_SECONDS = 120.0
# Whoever is missed is missed a minute after the last heartbeat, and a sweep later.
SILENCE_SECONDS = 65.0
# The grace after a start is over: from now on only viewers keep a camera on.
SETTLED_SECONDS = 20.0
RESTART_CODE = 1012


@dataclass(frozen=True)
class Shared:
    """A PostgreSQL of its own, and the environment of servers that share it."""

    admin: Connection
    environ: dict[str, str]


@dataclass
class Noticed:
    """What restarts cost: seconds without that server, and without a socket, by restart."""

    down: list[float] = field(default_factory=list[float])
    absences: list[Sequence[float]] = field(default_factory=list[Sequence[float]])


@asynccontextmanager
async def shared_database() -> AsyncGenerator[Shared]:
    """Run a PostgreSQL on disk until the block ends."""
    with data_folder() as folder:
        own = environ_for(folder, 0) | {"LIVEWALL_SECRET": secrets.token_urlsafe(48)}
        await livewall(own, "db", "start")
        try:
            environ = own | {
                "DATABASE_URL": await livewall(own, "db", "url"),
                "LIVEWALL_SOCKETS_PER_ADDRESS": str(10 * SOCKETS),
            }
            await livewall(environ, "db", "migrate")
            admin = await administrator(environ)
            yield Shared(admin, environ)
            await admin.close()
        finally:
            await livewall(own, "db", "stop")


@asynccontextmanager
async def servers(shared: Shared, count: int) -> AsyncGenerator[list[Site]]:
    """Run so many servers until the block ends."""
    async with AsyncExitStack() as stack:
        sites: list[Site] = []
        for port in [free_port() for _ in range(count)]:
            folder = f"{shared.environ['LIVEWALL_DATA_DIR']}-{port}"
            own = {"LIVEWALL_PORT": str(port), "LIVEWALL_DATA_DIR": folder}
            sites.append(Site(shared.admin, port, shared.environ | own))
            stack.push_async_callback(sites[-1].stop)
            await sites[-1].start()
        yield sites


async def restart(sites: Sequence[Site], everybody: Crowd) -> Noticed:
    """Restart one server after the other, each as soon as the one before is ready again."""
    noticed = Noticed()
    for site in sites:
        began = time.monotonic()
        await site.stop()
        ended = time.monotonic()
        await site.start()
        noticed.down.append(round(time.monotonic() - ended, 2))
        await everybody.until_here(PATIENCE_SECONDS)
        absences = sorted(everybody.take_absences())
        noticed.absences.append(absences)
        say(
            f"  {len(absences)} sockets told, gone after {ended - began:.1f} s; half of them back "
            f"in {median(absences):.1f} s, all in {absences[-1]:.1f} s"
        )
    return noticed


async def watched(kind: str, sites: Sequence[Site], everybody: Crowd) -> list[Figure]:
    """Restart under a crowd; wait until whoever was missed would have been found out."""
    await everybody.until_all_are_sent(PATIENCE_SECONDS)
    await asyncio.sleep(SETTLED_SECONDS)
    before = await everybody.switching()
    noticed = await restart(sites, everybody)
    await asyncio.sleep(SILENCE_SECONDS)
    after = await everybody.switching()
    switched = sum(abs(after.epochs[id_] - epoch) for id_, epoch in before.epochs.items())
    codes = everybody.close_codes
    say(f"  close codes: {dict(codes)}")
    limit = LIMIT_SECONDS if len(sites) > 1 else None
    last = tuple(round(absences[-1], 2) for absences in noticed.absences)
    half = tuple(round(median(absences), 2) for absences in noticed.absences)
    return [
        shown(Figure(f"{kind}: goodbye to the last socket back", "s", limit, last, True)),
        shown(Figure(f"{kind}: goodbye to half of them back", "s", None, half)),
        shown(Figure(f"{kind}: start of a server, until ready", "s", None, tuple(noticed.down))),
        shown(Figure(f"{kind}: transitions", "", 0, (float(switched),), True)),
        shown(Figure(f"{kind}: leases lost", "", 0, (float(everybody.lost_leases),), True)),
        shown(
            Figure(f"{kind}: other closes", "", 0, (float(codes.total() - codes[RESTART_CODE]),))
        ),
    ]


async def rolling_figures() -> list[Figure]:
    """Two servers behind nginx, one after the other; and a server alone."""
    # What each of a thousand clients has to say about its line is no progress.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    # A thousand sockets of the crowd, and as many twice in nginx.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    figures: list[Figure] = []
    async with shared_database() as shared:
        bearers = await people(shared.admin, shared.environ["LIVEWALL_SECRET"], SOCKETS)
        say(f"  two servers behind nginx, {SOCKETS} sockets, {STREAMERS} streams")
        async with (
            servers(shared, 2) as sites,
            balancing([site.port for site in sites]) as url,
            crowd(shared.admin, url, bearers, STREAMERS) as everybody,
        ):
            figures += await watched("rolling restart", sites, everybody)
        say("  one server alone")
        async with (
            servers(shared, 1) as sites,
            crowd(shared.admin, sites[0].url, bearers, STREAMERS) as everybody,
        ):
            figures += await watched("one server alone", sites, everybody)
    return figures


if __name__ == "__main__":
    finish("rolling", uvloop.run(rolling_figures()))
