"""Lost lines and killed browsers: nothing stays published, and a short loss costs nothing."""

import asyncio
import signal

import pytest
from playwright.async_api import Playwright, expect

from tests.browser.cable import cable_to
from tests.browser.chromium import start_chromium
from tests.browser.conftest import OpenWindow
from tests.browser.site import Site
from tests.browser.window import open_window
from tests.waiting import throughout, until

# The rule says 60 seconds; these tests hold the same rule to fewer. A heartbeat comes every 12.
SILENCE = "16 seconds"
SILENCE_SECONDS = 16.0
SLACK_SECONDS = 10.0


@pytest.mark.spec("S18")
@pytest.mark.abuse("A5")
async def test_a_killed_viewer_leaves_nothing_published(
    site: Site, open_in: OpenWindow, playwright: Playwright
) -> None:
    await site.rules(viewer_silence=SILENCE)
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live()
    stream = await site.stream_id(ana.name)
    doomed = await start_chromium(playwright)
    ben = await (await open_window(doomed.browser, site.url)).continue_as_guest()
    await ben.watch(ana.name)
    await ben.expect_moving(ana.name)

    doomed.kill()
    await site.until_published(stream, False, SILENCE_SECONDS + SLACK_SECONDS)
    await ana.expect_studio("idle")
    assert (await site.transitions(stream)).reasons == ("viewers_silent",)
    assert await ana.open_peers() == 0


@pytest.mark.spec("S18")
async def test_a_killed_streamer_is_not_live_for_long(
    site: Site, open_in: OpenWindow, playwright: Playwright
) -> None:
    await site.rules(lease_time=SILENCE)
    doomed = await start_chromium(playwright)
    ana = await (await open_window(doomed.browser, site.url)).continue_as_guest()
    await ana.go_live()
    stream = await site.stream_id(ana.name)
    ben = await (await open_in(site, 1)).continue_as_guest()
    await ben.watch(ana.name)
    await ben.expect_moving(ana.name)

    doomed.kill()

    async def is_over() -> bool:
        return not await site.is_live(stream)

    await until(is_over, SILENCE_SECONDS + SLACK_SECONDS, "the stream is not live")
    await ben.expect_tile(ana.name, "ended")
    assert (await site.transitions(stream)).reasons == ("lease_expired",)


@pytest.mark.spec("S18")
@pytest.mark.abuse("A5")
async def test_a_line_cut_for_twenty_seconds_costs_nothing(site: Site, open_in: OpenWindow) -> None:
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live()
    stream = await site.stream_id(ana.name)
    async with cable_to(site.port) as cable:
        ben = await open_in(site, 1)
        ben.url = cable.url
        ben.forgive("WebSocket connection", "ERR_")
        await ben.continue_as_guest()
        await ben.watch(ana.name)
        await ben.expect_moving(ana.name)

        cable.cut()
        await expect(ben.page.get_by_text("Connection lost.")).to_be_visible()

        async def is_published() -> bool:
            return await site.is_published(stream)

        await throughout(is_published, 20, "the stream is published")
        await ben.expect_moving(ana.name)
        cable.mend()
        await ben.try_now()
        await expect(ben.page.get_by_text("Connection lost.")).to_be_hidden()
        await ben.expect_moving(ana.name)
        await throughout(is_published, 2, "the stream is published")
    transitions = await site.transitions(stream)
    assert (transitions.on, transitions.off) == (1, 0)


@pytest.mark.spec("S18")
async def test_a_line_that_dies_without_a_word_is_noticed(site: Site, open_in: OpenWindow) -> None:
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live()
    stream = await site.stream_id(ana.name)
    async with cable_to(site.port) as cable:
        ben = await open_in(site, 1)
        ben.url = cable.url
        ben.forgive("WebSocket connection", "ERR_")
        await ben.continue_as_guest()
        await ben.watch(ana.name)
        await ben.expect_moving(ana.name)

        # Two heartbeats at most, and the patience for an answer to one.
        async with ben.page.expect_websocket(timeout=30_000):
            cable.let_die()
        await expect(ben.page.locator(".connection-bar")).to_be_hidden()
        await ben.expect_moving(ana.name)
        await site.until_viewers(stream, 1)
    transitions = await site.transitions(stream)
    assert (transitions.on, transitions.off) == (1, 0)


@pytest.mark.spec("S18")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_video_goes_on_while_the_server_restarts(
    site: Site, open_in: OpenWindow, number: signal.Signals
) -> None:
    await site.rules(restart_grace="15 seconds")
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live()
    stream = await site.stream_id(ana.name)
    ben = await (await open_in(site, 1)).continue_as_guest()
    await ben.watch(ana.name)
    await ben.expect_moving(ana.name)
    for window in (ana, ben):
        window.forgive("WebSocket connection", "ERR_")

    await site.stop(number)
    await expect(ben.page.get_by_text("Connection lost.")).to_be_visible()
    await ben.expect_moving(ana.name)
    await site.start()
    await expect(ben.page.get_by_text("Connection lost.")).to_be_hidden(timeout=20_000)
    await ben.expect_moving(ana.name)
    await ana.expect_studio("sending")
    await site.until_viewers(stream, 1)
    await asyncio.sleep(2)
    await ben.expect_moving(ana.name)
    transitions = await site.transitions(stream)
    assert (transitions.on, transitions.off) == (1, 0)


@pytest.mark.spec("S18")
async def test_who_is_cut_off_for_a_minute_stops_sending(site: Site, open_in: OpenWindow) -> None:
    async with cable_to(site.port) as cable:
        ana = await open_in(site, 0)
        ana.url = cable.url
        ana.forgive("WebSocket connection", "ERR_")
        await ana.page.clock.install()
        await ana.continue_as_guest()
        await ana.go_live()
        ben = await (await open_in(site, 1)).continue_as_guest()
        await ben.watch(ana.name)
        await ben.expect_moving(ana.name)

        cable.cut()
        await expect(ana.page.get_by_text("Connection lost.")).to_be_visible()
        await ana.expect_studio("sending")
        await ana.page.clock.fast_forward(60_000)
        await ana.expect_studio("idle")
        assert await ana.open_peers() == 0
        cable.mend()
        await ana.try_now()
        await ana.expect_studio("sending")
        await ben.expect_moving(ana.name)
