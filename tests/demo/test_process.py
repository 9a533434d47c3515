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
from tests.waiting import until

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
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, env=site.environ, stdout=asyncio.subprocess.PIPE
    )


async def word(demo: asyncio.subprocess.Process) -> str:
    """The next line that they say."""
    assert demo.stdout is not None
    return (await asyncio.wait_for(demo.stdout.readline(), 30)).decode()


async def end(demo: asyncio.subprocess.Process) -> int:
    """End them as `make run` does; their exit code."""
    demo.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        return await demo.wait()


async def make_sure(demo: asyncio.subprocess.Process) -> None:
    """Leave nothing behind, whatever happened."""
    if demo.returncode is None:
        demo.kill()
        await demo.wait()


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
            assert await word(demo) == f"3 demo streamers are live at {site.url}.\n"
            await until(all_live, 10, "everybody is live")
            people.append(await live(site))
            assert await end(demo) == 0
        finally:
            await make_sure(demo)
        assert await live(site) == set()
    assert people == [{"ana", "kofi", "mei"}] * 2


async def test_a_second_demo_leaves_the_first_alone_and_follows_it(
    site: Site, tmp_path: Path
) -> None:
    first = await start(site, tmp_path)
    second = None
    try:
        assert "are live at" in await word(first)
        people = await live(site)
        assert len(people) == COUNT
        second = await start(site, tmp_path)
        assert "live already" in await word(second)
        assert await live(site) == people
        assert await end(first) == 0
        assert "3 demo streamers are live" in await word(second)
        assert await live(site) == people
        assert await end(second) == 0
    finally:
        await make_sure(first)
        if second is not None:
            await make_sure(second)
