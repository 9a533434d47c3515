"""Demo streamers: people who are not there, on a wall that is.

They are ordinary guests of the public protocol (docs/protocol.md) who draw their pictures. They
send only while somebody watches, as everybody does.
"""

import asyncio
import signal
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from livewall.client import Api, ProblemError
from livewall.demo.people import PEOPLE
from livewall.demo.state import KeptTokens, our_turn
from livewall.demo.streamer import DemoStreamer
from livewall.log import configure
from livewall.settings import SettingsError, load

log = structlog.get_logger(__name__)

# A moment between two of them, so that a wall fills up instead of appearing with a jolt.
APART_SECONDS = 0.15
LOOK_SECONDS = 0.25
# How often a server that is not there is mentioned again.
REMIND_SECONDS = 15.0


def run(
    base_url: str, count: int = 8, *, state_file: Path | None = None, patience: float = 0.0
) -> None:
    """Run `count` demo streamers against the server at `base_url` until SIGTERM or SIGINT.

    `state_file` keeps who they are between runs; a server that is not there is mentioned after
    `patience` seconds. Raises `SettingsError` in production, and for an address that is none.
    """
    asyncio.run(run_until_told(base_url, count, state_file=state_file, patience=patience))


async def run_until_told(
    base_url: str, count: int = 8, *, state_file: Path | None = None, patience: float = 0.0
) -> None:
    """Like `run`, on a loop that already runs; it takes over its SIGTERM and SIGINT."""
    settings = load()
    if settings.production:
        raise SettingsError("Demo streamers are refused in production.")
    _check_address(base_url)
    configure(settings.log)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    show = asyncio.create_task(_perform(base_url, count, state_file, patience))
    leaving = asyncio.create_task(told.wait())
    await asyncio.wait({show, leaving}, return_when=asyncio.FIRST_COMPLETED)
    for task in (show, leaving):
        task.cancel()
    outcome = (await asyncio.gather(show, leaving, return_exceptions=True))[0]
    if isinstance(outcome, Exception):
        raise outcome


async def _perform(base_url: str, count: int, state_file: Path | None, patience: float) -> None:
    """Wait for our turn and for the server, then be live until cancelled."""
    async with our_turn(base_url, state_file, _say_busy):
        await _until_reachable(base_url, patience)
        people = await _enter(base_url, count, state_file)
        try:
            while not all(streamer.is_live for streamer in people):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS)
            print(f"{len(people)} demo streamers are live at {base_url}.", flush=True)
            await asyncio.Event().wait()
        finally:
            await stop(list(people.values()))


def _say_busy() -> None:
    print(
        "Demo streamers of this data folder are live already; these follow when those stop.",
        flush=True,
    )


def _check_address(base_url: str) -> None:
    """Refuse what can never be reached. Raises SettingsError, one line."""
    try:
        parts = urlsplit(base_url)
        _ = parts.port  # raises for a port that is no number
        host = (parts.hostname or "").encode("idna")
    except ValueError:  # and so is a name that no host can have
        host = b""
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        raise SettingsError(
            f"{base_url!r} is not an address: use one such as http://127.0.0.1:8400."
        )


async def _until_reachable(base_url: str, patience: float) -> None:
    """Wait for the server, and say so now and then: a silent wait looks like success."""
    api, began, speak_after = Api(base_url), time.monotonic(), patience
    while (reason := await _unreachable_because(api)) is not None:
        waited = time.monotonic() - began
        if waited >= speak_after:
            speak_after = waited + REMIND_SECONDS
            line = f"livewall: No Livewall answers at {base_url} ({reason}). Trying again."
            print(line, file=sys.stderr, flush=True)
        await asyncio.sleep(LOOK_SECONDS)


async def _unreachable_because(api: Api) -> str | None:
    try:
        await api.call("GET", "/healthz")
    except ProblemError as error:
        return error.problem.title or error.problem.code
    except OSError as error:
        return error.strerror or str(error)
    return None


async def start(
    base_url: str, count: int = 8, *, state_file: Path | None = None
) -> list[asyncio.Task[None]]:
    """Start `count` demo streamers beside the caller; hand what comes back to `stop`."""
    return list((await _enter(base_url, count, state_file)).values())


async def _enter(
    base_url: str, count: int, state_file: Path | None
) -> dict[DemoStreamer, asyncio.Task[None]]:
    tokens = KeptTokens(base_url, state_file)
    people: dict[DemoStreamer, asyncio.Task[None]] = {}
    try:
        for person in PEOPLE[:count]:
            streamer = DemoStreamer(base_url, person, tokens)
            people[streamer] = asyncio.create_task(streamer.run(), name=person.name)
            await asyncio.sleep(APART_SECONDS)
    except asyncio.CancelledError:
        await stop(list(people.values()))
        raise
    log.info("demo_started", people=len(people))
    return people


async def stop(people: list[asyncio.Task[None]]) -> None:
    """End the streams with a word to the server, and wait until they are gone."""
    for task in people:
        task.cancel()
    await asyncio.gather(*people, return_exceptions=True)
    log.info("demo_stopped", people=len(people))
