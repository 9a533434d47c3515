"""The leader of the jobs is lost: how long until another server leads.

python -m bench.leaders        this alone, about two minutes
"""

import asyncio
import signal
import time

import uvloop

from bench.figures import Figure, finish, say, shown
from bench.rolling import Shared, servers, shared_database
from livewall.jobs import LEADER_PID
from tests.browser.site import Site
from tests.waiting import until

ROUNDS = 3
LIMIT_SECONDS = 15.0
WAYS = {"killed": signal.SIGKILL, "hung": signal.SIGSTOP}
PATIENCE_SECONDS = 60.0


async def until_led(shared: Shared, but: int | None = None) -> int:
    """Wait until somebody leads who is not `but`; return the leader's session in the database."""
    found: list[int] = []

    async def is_led() -> bool:
        found[:] = [row["pid"] for row in await shared.admin.fetch(LEADER_PID)]
        return bool(found) and found[0] != but

    await until(is_led, PATIENCE_SECONDS, "somebody leads")
    return found[0]


async def lose(shared: Shared, how: signal.Signals) -> float:
    """Start a server, another one once it leads, lose the first; seconds until the other leads."""
    async with servers(shared, 1) as first:
        before = await until_led(shared)
        async with servers(shared, 1):
            lost = _process(first[0])
            began = time.monotonic()
            lost.send_signal(how)
            await until_led(shared, but=before)
            seconds = time.monotonic() - began
        if lost.returncode is None:
            lost.send_signal(signal.SIGCONT)
    return round(seconds, 2)


def _process(site: Site) -> asyncio.subprocess.Process:
    assert site.process is not None
    return site.process


async def leader_figures() -> list[Figure]:
    """Kill the leader, and stop it without its connections being closed."""
    figures: list[Figure] = []
    async with shared_database() as shared:
        for way, how in WAYS.items():
            times = tuple([await lose(shared, how) for _ in range(ROUNDS)])
            say(f"  {way}: {times}")
            name = f"another leads after the leader was {way}"
            figures.append(shown(Figure(name, "s", LIMIT_SECONDS, times, True)))
    return figures


if __name__ == "__main__":
    finish("leaders", uvloop.run(leader_figures()))
