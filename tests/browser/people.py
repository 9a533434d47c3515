"""People without a browser, by the reference client: streamers to fill a wall, viewers."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from livewall.client import Api, Tab, Viewer, sign_in_guest
from livewall.demo import start, stop
from livewall.demo.people import PEOPLE
from tests.browser.site import Site
from tests.waiting import until


@asynccontextmanager
async def demo_streamers(site: Site, count: int) -> AsyncGenerator[list[str]]:
    """Run so many demo streamers; gives the names that their tiles show, once all are live."""
    names = [person.display_name for person in PEOPLE[:count]]
    people = await start(site.url, count)
    try:

        async def are_live() -> bool:
            live = await site.admin.fetchval(
                "SELECT count(*) FROM public.live_streams AS s"
                " JOIN public.profiles AS p ON p.id = s.streamer_id"
                " WHERE s.live_available AND s.preview_version > 0"
                " AND p.display_name = ANY ($1::text[])",
                names,
            )
            return live == count

        await until(are_live, 30, f"{count} demo streamers are live, with a preview")
        yield names
    finally:
        await stop(people)


@dataclass(frozen=True)
class Visitor:
    """A signed-in person with one tab."""

    name: str
    api: Api
    tab: Tab
    viewer: Viewer

    async def say(self, stream_id: object, words: str) -> None:
        """Write into a stream's chat. Raises ProblemError."""
        await self.api.call("POST", f"/api/streams/{stream_id}/chat", {"body": words})


@asynccontextmanager
async def visitor(site: Site, name: str | None = None) -> AsyncGenerator[Visitor]:
    """Be a guest with an open socket; whoever leaves the block leaves every tile."""
    api, me = await sign_in_guest(site.url, name)
    tab = Tab(api.base_url, api.token)
    viewer = Viewer(tab)
    line = asyncio.create_task(tab.run())
    try:
        await asyncio.wait_for(tab.connected.wait(), 10)
        yield Visitor(me.account.profile.name, api, tab, viewer)
    finally:
        for stream_id in list(viewer.tiles):
            viewer.leave(stream_id)
        await viewer.close()
        await tab.close()
        with contextlib.suppress(asyncio.CancelledError):
            await line
