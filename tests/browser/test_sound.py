"""After a reload a browser may refuse sound: then a tap is asked for, and nothing is counted."""

import asyncio

import pytest
from playwright.async_api import ConsoleMessage

from tests.browser.conftest import OpenWindow
from tests.browser.people import demo_streamers
from tests.browser.site import Site
from tests.browser.window import Window, listen

# Whatever Playwright asks a page counts as a press of its user, so here the page tells by itself.
TELL = """setInterval(() => {
  const tile = document.querySelector("article[data-stream-id]:not([data-state=empty])");
  if (tile) console.debug(`tile is ${tile.dataset.state}`);
}, 100);"""


@pytest.mark.spec("S13")
async def test_a_tile_whose_sound_is_refused_waits_for_a_tap_uncounted(
    site: Site, open_in: OpenWindow
) -> None:
    async with demo_streamers(site, 1) as (ana,):
        stream = await site.stream_id(ana)
        ben = await (await open_in(site, 1)).continue_as_guest()
        await ben.watch(ana)
        await ben.expect_moving(ana)
        await ben.saved(lambda wall: wall[ana]["is_active"])
        await ben.page.close(run_before_unload=True)
        await site.until_viewers(stream, 0)

        await ben.context.add_init_script(TELL)
        again = Window(await ben.context.new_page(), site.url, ben.name)
        listen(again)
        told: asyncio.Queue[str] = asyncio.Queue()

        def hear(message: ConsoleMessage) -> None:
            told.put_nowait(message.text)

        again.page.on("console", hear)
        await again.open("/")
        async with asyncio.timeout(15):
            while await told.get() != "tile is blocked":
                pass
        assert await site.viewers(stream) == 0

        await again.page.get_by_role("button", name=f"Tap to resume {ana}").click()
        await again.expect_moving(ana)
        await site.until_viewers(stream, 1)
        assert again.unforgiven == []
