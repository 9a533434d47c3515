"""A picture that does not flap: what people do to their walls never switches a camera off."""

import asyncio

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenWindow
from tests.browser.people import demo_streamers, visitor
from tests.browser.site import Site
from tests.waiting import throughout

# Longer than a leave takes to switch a camera off that has been on for a while.
SETTLED_SECONDS = 6.0


@pytest.mark.spec("S14")
@pytest.mark.spec("S19")
async def test_nothing_that_others_do_interrupts_one_who_stays(
    site: Site, open_in: OpenWindow
) -> None:
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live()
    stream = await site.stream_id(ana.name)
    ben = await (await open_in(site, 1)).continue_as_guest()
    await ben.watch(ana.name)
    await ben.expect_moving(ana.name)
    epoch = await site.epoch(stream)

    carla = await (await open_in(site, 0)).continue_as_guest()
    await carla.watch(ana.name)
    for _ in range(3):
        await carla.reload(ana.name)
    for place in (12, 4, 7):
        await ben.drag(ana.name, ben.page.get_by_test_id(f"tile-{place}"))
        await expect(ben.tile(ana.name)).to_have_attribute("data-slot", str(place))
        await ben.expect_moving(ana.name)
    # Gone from the page and back, faster than a tile counts as hidden.
    await ben.page.get_by_role("link", name="Discover").click()
    await ben.page.get_by_role("link", name="Wall", exact=True).click()
    await ben.expect_moving(ana.name)
    await carla.page.close(run_before_unload=True)

    async def is_as_before() -> bool:
        return await site.epoch(stream) == epoch

    await throughout(is_as_before, SETTLED_SECONDS, "the camera was never switched")
    await ben.expect_moving(ana.name)
    assert (await site.transitions(stream)).on == 1


@pytest.mark.spec("S18")
async def test_the_only_viewer_reloads_and_the_camera_stays_on(
    site: Site, open_in: OpenWindow
) -> None:
    # Only the linger is left to bridge the reload.
    await site.rules(minimum_on_time="0 seconds")
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live()
    stream = await site.stream_id(ana.name)
    ben = await (await open_in(site, 1)).continue_as_guest()
    await ben.watch(ana.name)
    await ben.expect_moving(ana.name)
    for _ in range(2):
        await ben.reload(ana.name)
    await ana.expect_studio("sending")
    transitions = await site.transitions(stream)
    assert (transitions.on, transitions.off) == (1, 0)


@pytest.mark.abuse("A6")
async def test_two_hundred_toggles_in_twenty_seconds_switch_the_camera_four_times_at_most(
    site: Site, open_in: OpenWindow
) -> None:
    async with demo_streamers(site, 2) as (seen, toggled):
        ben = await (await open_in(site, 1)).continue_as_guest()
        await ben.watch(seen)
        await ben.expect_moving(seen)
        by_page, by_protocol = [await site.stream_id(name) for name in (seen, toggled)]
        async with visitor(site) as carla:
            for number in range(200):
                is_visible = number % 2 == 1
                await ben.hide(is_hidden=not is_visible)
                carla.viewer.watch(str(by_protocol), is_visible=is_visible)
                await asyncio.sleep(0.1)
            await carla.viewer.wait_for_frames(str(by_protocol), 5)
            await ben.expect_moving(seen)
            # The page is patient by itself; a client without patience meets the bound.
            assert (await site.transitions(by_page)).off <= 4
            assert (await site.transitions(by_protocol)).off <= 4
