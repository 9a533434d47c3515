"""A demo streamer and somebody who watches, both through a real server."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from livewall.client import Api, Publisher, Tab, Viewer, sign_in_guest
from livewall.demo.people import DemoPerson
from livewall.demo.state import KeptTokens
from livewall.demo.streamer import DemoStreamer
from tests.browser.site import Site
from tests.waiting import until


@dataclass
class Watcher:
    """Somebody with a wall; `line` keeps their socket up."""

    api: Api
    tab: Tab
    viewer: Viewer
    line: asyncio.Task[None] = field(repr=False)


@asynccontextmanager
async def watching(site: Site, reloaded: Watcher | None = None) -> AsyncGenerator[Watcher]:
    """A guest with an open wall, or the same tab after a reload, with the tiles it had."""
    api = reloaded.api if reloaded else (await sign_in_guest(site.url))[0]
    tab = Tab(site.url, api.token, reloaded.tab.session_id if reloaded else None)
    viewer = Viewer(tab)
    for stream_id in reloaded.viewer.tiles if reloaded else ():
        viewer.watch(stream_id)
    line = asyncio.create_task(tab.run())
    try:
        async with asyncio.timeout(10):
            await tab.connected.wait()
        yield Watcher(api, tab, viewer, line)
    finally:
        await viewer.close()
        await tab.close()
        await line


@dataclass
class Performer:
    """A demo streamer who runs beside the test."""

    streamer: DemoStreamer
    stream_id: str

    @property
    def publisher(self) -> Publisher:
        """Their publisher of this moment."""
        assert self.streamer.publisher is not None
        return self.streamer.publisher

    @property
    def drawn(self) -> int:
        """Pictures drawn for video so far; previews are not among them."""
        return self.streamer.camera.drawn

    async def until_quiet(self, seconds: float = 10) -> None:
        """Wait until every connection is closed and nothing is drawn."""

        async def quiet() -> bool:
            return self.publisher.call_count == 0 and not self.streamer.camera.is_drawing

        await until(quiet, seconds, "nothing is sent")


@asynccontextmanager
async def performing(site: Site, person: DemoPerson, folder: Path) -> AsyncGenerator[Performer]:
    """`person`, live."""
    streamer = DemoStreamer(site.url, person, KeptTokens(site.url, folder / "demo.json"))
    task = asyncio.create_task(streamer.run())

    async def live() -> bool:
        publisher = streamer.publisher
        return (
            publisher is not None
            and publisher.stream is not None
            and bool(publisher.stream.live_available)
        )

    try:
        await until(live, 10, "the demo streamer is live")
        yield Performer(streamer, str(await site.stream_id(person.name)))
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
