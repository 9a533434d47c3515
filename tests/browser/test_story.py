"""The story of issue 2, told once in two real browsers and once in a single window."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenWindow
from tests.browser.site import Site


@pytest.mark.spec("S13")
@pytest.mark.spec("S14")
async def test_a_camera_sends_while_somebody_watches_and_says_why_it_stopped(
    site: Site, open_in: OpenWindow
) -> None:
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live("Evening light")
    stream = await site.stream_id(ana.name)

    ben = await (await open_in(site, 1)).continue_as_guest()
    picture = ben.tile(ana.name).locator("img")
    await expect(picture).to_be_visible()
    assert await picture.evaluate("img => img.decode().then(() => img.naturalWidth)") == 320
    await ben.expect_tile(ana.name, "preview")

    await ben.watch(ana.name)
    await ben.expect_moving(ana.name)
    assert await ben.first_frame_ms(stream) < 3000
    await ana.expect_studio("sending", 5000)
    await expect(ana.page.get_by_test_id("publish-state")).to_have_text(
        "Sending video, 1 person is watching"
    )

    await ben.page.close(run_before_unload=True)
    await ana.expect_studio("idle", 20_000)
    await expect(ana.page.get_by_test_id("why")).not_to_be_empty()
    assert (await site.transitions(stream)).reasons == ("viewers_left",)
