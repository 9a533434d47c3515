"""The studio: who sends when two tabs could, what it says without a camera, how it ends."""

import pytest
from playwright.async_api import Playwright, expect

from tests.browser.chromium import start_chromium
from tests.browser.conftest import OpenWindow
from tests.browser.site import Site
from tests.browser.window import Window, listen, open_window
from tests.waiting import until

HAS_CAMERA = "video => video.srcObject?.getVideoTracks()[0]?.readyState === 'live'"


async def second_tab(window: Window) -> Window:
    """Open another tab of the same person."""
    tab = Window(await window.context.new_page(), window.url, window.name)
    listen(tab)
    return await tab.open("/studio")


async def test_a_second_studio_says_where_one_is_live_and_may_take_over(
    site: Site, open_in: OpenWindow
) -> None:
    first = await (await open_in(site, 0)).continue_as_guest()
    await first.go_live("One of us")
    ben = await (await open_in(site, 1)).continue_as_guest()
    await ben.watch(first.name)
    await ben.expect_moving(first.name)

    second = await second_tab(first)
    state = second.page.get_by_test_id("publish-state")
    await expect(state).to_have_text("Live in another tab or on another device")
    await expect(second.page.get_by_test_id("why")).to_contain_text("Nothing leaves this one")
    await expect(second.page.get_by_text("Not live", exact=True)).to_have_count(0)
    await expect(second.page.get_by_role("button", name="Go live")).to_have_count(0)
    await second.open("/")
    await expect(second.page.get_by_role("link", name="Live elsewhere")).to_be_visible()
    await second.open("/studio")
    await first.expect_studio("sending")

    await second.page.get_by_role("button", name="Take over here").click()
    await second.expect_studio("sending")
    await first.expect_studio("off")
    await expect(first.page.get_by_text("You went live from another tab")).to_be_visible()
    await ben.expect_moving(first.name)
    assert await first.open_peers() == 0
    assert second.unforgiven == []
    stream = await site.stream_id(first.name)
    assert (await site.transitions(stream)).off == 0


async def test_without_a_camera_the_studio_says_what_to_do(
    site: Site, playwright: Playwright
) -> None:
    asking = await start_chromium(playwright, asks=True)
    try:
        ana = await (await open_window(asking.browser, site.url)).continue_as_guest()
        await ana.page.get_by_role("link", name="Go live").click()
        await expect(ana.page.get_by_role("alert")).to_contain_text(
            "The browser may not use your camera. Allow it beside the address, then try again."
        )
        await expect(ana.page.get_by_role("button", name="Go live")).to_be_disabled()
        await ana.expect_studio("off")

        await ana.context.grant_permissions(["camera", "microphone"])
        await ana.page.get_by_role("button", name="Try again").click()
        await expect(ana.page.get_by_role("alert")).to_have_count(0)
        await ana.page.get_by_role("button", name="Go live").click()
        await ana.expect_studio("idle")
        assert ana.unforgiven == []
    finally:
        await asking.browser.close()


@pytest.mark.spec("S14")
async def test_when_the_streamer_stops_viewers_see_it_at_once(
    site: Site, open_in: OpenWindow
) -> None:
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live()
    await expect(ana.page.get_by_test_id("publish-state")).to_contain_text("Live, not sending")
    stream = await site.stream_id(ana.name)
    ben = await (await open_in(site, 1)).continue_as_guest()
    await ben.watch(ana.name)
    await ben.expect_moving(ana.name)

    await ana.page.get_by_role("button", name="Stop", exact=True).click()
    await ben.expect_tile(ana.name, "ended", 3)
    await expect(ben.tile(ana.name)).to_contain_text("Not live")
    await ana.expect_studio("off")
    assert await ana.open_peers() == 0
    assert await ben.open_peers() == 0
    assert (await site.transitions(stream)).reasons == ("streamer_stopped",)


@pytest.mark.spec("S14")
async def test_signing_out_in_another_tab_ends_what_this_one_sends(
    site: Site, open_in: OpenWindow
) -> None:
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live()
    await ana.page.get_by_role("link", name="Livewall, to the wall").click()
    ben = await (await open_in(site, 1)).continue_as_guest()
    await ben.watch(ana.name)
    await ben.expect_moving(ana.name)
    assert await ana.open_peers() == 1
    assert await ana.open_devices() > 0

    other = await (await second_tab(ana)).open("/settings")
    await other.page.get_by_role("button", name="Sign out").click()
    await expect(ana.page.get_by_role("button", name="Continue as guest")).to_be_visible()

    async def is_over() -> bool:
        return (await ana.open_peers(), await ana.open_devices()) == (0, 0)

    await until(is_over, 5, "nothing is sent, and the camera is released")
    assert other.unforgiven == []


@pytest.mark.spec("S14")
async def test_the_camera_is_released_while_nobody_watches(site: Site, open_in: OpenWindow) -> None:
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live()
    picture = ana.page.get_by_test_id("self-preview")

    async def is_open() -> bool:
        return bool(await picture.evaluate(HAS_CAMERA))

    async def is_released() -> bool:
        return not await is_open()

    await until(is_open, 5, "the camera is open")
    await ana.page.get_by_text("Camera off while nobody watches").click()
    await until(is_released, 5, "the camera is released")
    ben = await (await open_in(site, 1)).continue_as_guest()
    await ben.watch(ana.name)
    await ben.expect_moving(ana.name)
    assert await is_open()
    await ben.page.close(run_before_unload=True)
    await until(is_released, 20, "the camera is released again")
