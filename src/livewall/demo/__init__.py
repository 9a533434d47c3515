"""Demo streamers: people who are not there, on a wall that is.

They are ordinary guests of the public protocol (docs/protocol.md) who draw their pictures. They
send only while somebody watches, as everybody does.
"""

import asyncio
import signal
from pathlib import Path

import structlog

from livewall.demo.people import PEOPLE
from livewall.demo.state import KeptTokens
from livewall.demo.streamer import DemoStreamer
from livewall.log import configure
from livewall.settings import SettingsError, load

log = structlog.get_logger(__name__)

# A moment between two of them, so that a wall fills up instead of appearing with a jolt.
APART_SECONDS = 0.15


def run(base_url: str, count: int = 8, *, state_file: Path | None = None) -> None:
    """Run `count` demo streamers against the server at `base_url` until SIGTERM or SIGINT.

    `state_file` keeps who they are between runs. Raises `SettingsError` in production.
    """
    asyncio.run(run_until_told(base_url, count, state_file=state_file))


async def run_until_told(base_url: str, count: int = 8, *, state_file: Path | None = None) -> None:
    """Like `run`, on a loop that already runs; it takes over its SIGTERM and SIGINT."""
    settings = load()
    if settings.production:
        raise SettingsError("Demo streamers are refused in production.")
    configure(settings.log)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    people = await start(base_url, count, state_file=state_file)
    await told.wait()
    await stop(people)


async def start(
    base_url: str, count: int = 8, *, state_file: Path | None = None
) -> list[asyncio.Task[None]]:
    """Start `count` demo streamers beside the caller; hand what comes back to `stop`."""
    tokens = KeptTokens(base_url, state_file)
    tasks: list[asyncio.Task[None]] = []
    for person in PEOPLE[:count]:
        streamer = DemoStreamer(base_url, person, tokens)
        tasks.append(asyncio.create_task(streamer.run(), name=person.name))
        await asyncio.sleep(APART_SECONDS)
    log.info("demo_started", people=len(tasks))
    return tasks


async def stop(people: list[asyncio.Task[None]]) -> None:
    """End the streams with a word to the server, and wait until they are gone."""
    for task in people:
        task.cancel()
    await asyncio.gather(*people, return_exceptions=True)
    log.info("demo_stopped", people=len(people))
