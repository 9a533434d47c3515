"""From a click on a preview to the first picture, through the whole product, in real browsers.

    python -m bench.media        about six minutes; progress, then one JSON line

The page itself marks the click and the first decoded picture: the figures are what a person sees.
"""

import asyncio
import time
from statistics import median
from uuid import UUID

from playwright.async_api import async_playwright

from bench.figures import Figure, finish, say, shown
from bench.product import running_product
from livewall.demo.people import PEOPLE, DemoPerson
from tests.browser.chromium import Chromium, start_chromium
from tests.browser.people import demo_streamers
from tests.browser.site import Site
from tests.browser.window import Window, open_window

ROUNDS = 5
LIMIT_MS = 1000.0
# A camera is switched off for want of viewers three times a minute at most: rounds wait for that.
OFF_SECONDS = 75.0
PICTURES = 100
# 8 % of one core at 12 pictures a second.
DRAWING_MS = 1000 * 0.08 / 12


def drawing_ms(person: DemoPerson) -> float:
    """Return the processor time in ms of a demo person's picture, the median of many."""
    paint, spent = person.scene(), list[float]()
    for number in range(PICTURES):
        before = time.thread_time()
        paint(number / person.frames_per_second)
        spent.append(1000 * (time.thread_time() - before))
    return round(median(spent), 2)


async def click_ms(window: Window, name: str, stream: UUID) -> float:
    """Watch a preview; return the milliseconds from the click to the first picture."""
    await window.watch(name)
    await window.expect_moving(name)
    return round(await window.first_frame_ms(stream), 1)


async def stop_watching(window: Window, name: str) -> None:
    """Turn a tile into a preview again."""
    await window.choose(name, f"Stop watching {name}")
    await window.expect_tile(name, "preview")


async def rounds(site: Site, window: Window, name: str, stream: UUID) -> tuple[float, ...]:
    """Click so many times on a stream that is not published."""
    found: list[float] = []
    for number in range(ROUNDS):
        found.append(await click_ms(window, name, stream))
        await stop_watching(window, name)
        await site.until_published(stream, False, OFF_SECONDS)
        say(f"    round {number + 1}: {found[-1]} ms")
    return tuple(found)


async def browser_figures(site: Site, one: Chromium, other: Chromium) -> list[Figure]:
    """One person streams from a browser, others watch in another browser."""
    ana = await (await open_window(one.browser, site.url)).continue_as_guest()
    await ana.go_live()
    stream = await site.stream_id(ana.name)
    ben = await (await open_window(other.browser, site.url)).continue_as_guest()
    await ben.tile(ana.name).wait_for()

    say("Browser to browser, camera open but nothing sent")
    warm = await rounds(site, ben, ana.name, stream)
    say("Browser to browser, camera closed")
    await ana.page.get_by_text("Camera off while nobody watches").click()
    await asyncio.sleep(1)
    cold = await rounds(site, ben, ana.name, stream)

    say("Browser to browser, somebody watches already")
    await click_ms(ben, ana.name, stream)
    joined: list[float] = []
    for _ in range(ROUNDS):
        carla = await (await open_window(other.browser, site.url)).continue_as_guest()
        joined.append(await click_ms(carla, ana.name, stream))
        await carla.context.close()
    await ana.context.close()
    await ben.context.close()
    return [
        shown(Figure("click to first picture, camera closed", "ms", LIMIT_MS, cold)),
        shown(Figure("click to first picture, camera open", "ms", LIMIT_MS, warm)),
        shown(Figure("click to first picture, already sending", "ms", LIMIT_MS, tuple(joined))),
    ]


async def demo_figures(site: Site, chromium: Chromium) -> list[Figure]:
    """Demo streamers, one by one and four at once."""
    async with demo_streamers(site, 4) as names:
        streams = {name: await site.stream_id(name) for name in names}
        ben = await (await open_window(chromium.browser, site.url)).continue_as_guest()
        await ben.tile(names[0]).wait_for()
        say("Demo streamer to browser")
        single = await rounds(site, ben, names[0], streams[names[0]])
        say("Four demo streamers, clicked one after the other, all playing")
        four = [await click_ms(ben, name, streams[name]) for name in names]
        await ben.context.close()
    return [
        shown(Figure("click to first picture, demo streamer", "ms", LIMIT_MS, single)),
        shown(Figure("click to first picture, up to four playing", "ms", LIMIT_MS, tuple(four))),
    ]


async def measure() -> list[Figure]:
    """Run everything on one product."""
    drawing = tuple(drawing_ms(person) for person in PEOPLE)
    figures = [shown(Figure("drawing a demo person's picture", "ms", DRAWING_MS, drawing, True))]
    async with running_product() as site, async_playwright() as playwright:
        one, other = await start_chromium(playwright), await start_chromium(playwright)
        figures += await browser_figures(site, one, other)
        figures += await demo_figures(site, other)
        await one.browser.close()
        await other.browser.close()
    return figures


if __name__ == "__main__":
    finish("media", asyncio.run(measure()))
