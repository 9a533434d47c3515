"""The demo as the process that `make run` starts."""

import asyncio
import signal
import sys
from pathlib import Path

import msgspec
import pytest

from livewall.client import Api
from livewall.client.messages import Stream
from tests.browser.site import Site
from tests.browser.waiting import until

COUNT = 3
pytestmark = pytest.mark.asyncio(loop_scope="module")
PROGRAM = """
import sys, pathlib, livewall.demo
livewall.demo.run(sys.argv[1], int(sys.argv[2]), state_file=pathlib.Path(sys.argv[3]))
"""


class Streams(msgspec.Struct):
    """Who is live."""

    streams: list[Stream]


async def start(site: Site, folder: Path) -> asyncio.subprocess.Process:
    """Start the demo streamers."""
    command = ("-W", "error", "-c", PROGRAM, site.url, str(COUNT), str(folder / "demo.json"))
    return await asyncio.create_subprocess_exec(sys.executable, *command, env=site.environ)


async def live(site: Site) -> set[str]:
    """The names of everybody who is live."""
    answer = await Api(site.url).get("/api/streams", Streams)
    return {stream.streamer.name for stream in answer.streams}


@pytest.mark.spec("D1")
async def test_sigterm_ends_the_streams_at_once_and_the_same_people_come_back(
    site: Site, folder: Path
) -> None:
    async def all_live() -> bool:
        return len(await live(site)) == COUNT

    people: list[set[str]] = []
    for _ in range(2):
        demo = await start(site, folder)
        try:
            await until(all_live, 15, "everybody is live")
            people.append(await live(site))
            demo.send_signal(signal.SIGTERM)
            async with asyncio.timeout(8):
                assert await demo.wait() == 0
        finally:
            if demo.returncode is None:
                demo.kill()
                await demo.wait()
        assert await live(site) == set()
    assert people == [{"ana", "kofi", "mei"}] * 2
