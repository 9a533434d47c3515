"""Figures of real browsers with real video: killed, cut off for a while, and undisturbed."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

from playwright.async_api import Playwright

from bench.figures import Figure, say, shown
from tests.browser.cable import Cable, cable_to
from tests.browser.chromium import Chromium, start_chromium
from tests.browser.people import demo_streamers
from tests.browser.site import Site
from tests.browser.window import Window, open_window
from tests.waiting import until

ROUNDS = 5
KILLED_LIMIT_SECONDS = 75.0
CUT_SECONDS = 20.0
STAY_SECONDS = 60.0
RELOAD_EVERY_SECONDS = 5.0


@asynccontextmanager
async def chromiums(playwright: Playwright, count: int) -> AsyncGenerator[list[Chromium]]:
    """Run so many browser processes; those that are left are closed."""
    started = [await start_chromium(playwright) for _ in range(count)]
    yield started
    for chromium in started:
        if chromium.browser.is_connected():
            await chromium.browser.close()


async def _until_none(
    check: Callable[[UUID], Awaitable[bool]], streams: list[UUID], started: float
) -> tuple[float, ...]:
    """Return for each stream the seconds until it was not so any more."""
    ended: dict[UUID, float] = {}

    async def are_over() -> bool:
        for stream in streams:
            if stream not in ended and not await check(stream):
                ended[stream] = round(time.monotonic() - started, 1)
        return len(ended) == len(streams)

    await until(are_over, KILLED_LIMIT_SECONDS + 30, "all of them are over")
    return tuple(ended[stream] for stream in streams)


async def killed_viewers(site: Site, playwright: Playwright) -> Figure:
    """Kill the browser of each stream's only viewer."""
    say("Viewers' browsers killed")
    async with demo_streamers(site, ROUNDS) as names, chromiums(playwright, ROUNDS) as browsers:
        streams = [await site.stream_id(name) for name in names]
        for name, chromium in zip(names, browsers, strict=True):
            window = await (await open_window(chromium.browser, site.url)).continue_as_guest()
            await window.watch(name)
            await window.expect_moving(name, 20)
        started = time.monotonic()
        for chromium in browsers:
            chromium.kill()
        found = await _until_none(site.is_published, streams, started)
    return shown(Figure("viewer killed to unpublished", "s", KILLED_LIMIT_SECONDS, found, True))


async def killed_streamers(site: Site, playwright: Playwright) -> Figure:
    """Kill the browsers of streamers."""
    say("Streamers' browsers killed")
    async with chromiums(playwright, ROUNDS) as browsers:
        streams: list[UUID] = []
        for chromium in browsers:
            window = await (await open_window(chromium.browser, site.url)).continue_as_guest()
            await window.go_live()
            streams.append(await site.stream_id(window.name))
        started = time.monotonic()
        for chromium in browsers:
            chromium.kill()
        found = await _until_none(site.is_live, streams, started)
    return shown(Figure("streamer killed to not live", "s", KILLED_LIMIT_SECONDS, found, True))


async def _watch_all(browser: Chromium, site: Site, names: list[str], cables: list[Cable]) -> None:
    for name, cable in zip(names, cables, strict=True):
        window = await (await open_window(browser.browser, cable.url)).continue_as_guest()
        await window.watch(name)
        await window.expect_moving(name, 20)


async def undisturbed(site: Site, playwright: Playwright) -> list[Figure]:
    """Each stream has one viewer who stays: through what others do, and through a cut line."""
    async with AsyncExitStack() as stack:
        names = await stack.enter_async_context(demo_streamers(site, ROUNDS))
        one, other = await stack.enter_async_context(chromiums(playwright, 2))
        cables = [await stack.enter_async_context(cable_to(site.port)) for _ in names]
        streams = [await site.stream_id(name) for name in names]
        await _watch_all(one, site, names, cables)
        before = [await site.epoch(stream) for stream in streams]

        say("One stays on each stream while another reloads and moves tiles for a minute")
        restless = await (await open_window(other.browser, site.url)).continue_as_guest()
        await _be_restless(restless, names[:4])
        stayed = [await site.epoch(stream) for stream in streams]

        say("The line of every viewer cut for 20 s")
        for cable in cables:
            cable.cut()
        await asyncio.sleep(CUT_SECONDS)
        for cable in cables:
            cable.mend()
        await asyncio.sleep(CUT_SECONDS)
        mended = [await site.epoch(stream) for stream in streams]
    still = tuple(float(after - at) for at, after in zip(before, stayed, strict=True))
    cut = tuple(float(after - at) for at, after in zip(stayed, mended, strict=True))
    return [
        shown(Figure("transitions while one viewer stays", "", 0, still, True)),
        shown(Figure("transitions by a cut of 20 s", "", 0, cut, True)),
    ]


async def _be_restless(window: Window, names: list[str]) -> None:
    """Watch four streams, reload every few seconds, and move a tile in between."""
    for name in names:
        await window.watch(name)
    ends = time.monotonic() + STAY_SECONDS
    while time.monotonic() < ends:
        await asyncio.sleep(RELOAD_EVERY_SECONDS)
        await window.drag(names[0], window.page.get_by_test_id("tile-11"))
        await window.drag(names[0], window.page.get_by_test_id("tile-9"))
        await window.reload(names[1])
    await window.context.close()


async def loss_figures(site: Site, playwright: Playwright) -> list[Figure]:
    """Measure everything that takes a browser."""
    return [
        *await undisturbed(site, playwright),
        await killed_viewers(site, playwright),
        await killed_streamers(site, playwright),
    ]
