"""Who goes live while one looks: walls that fill themselves, and walls that somebody arranged."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenWindow
from tests.browser.people import demo_streamers
from tests.browser.site import Site
from tests.browser.window import PHONE
from tests.waiting import throughout


@pytest.mark.spec("S11")
async def test_who_goes_live_arrives_on_a_wall_that_nobody_arranged(
    site: Site, open_in: OpenWindow
) -> None:
    async with demo_streamers(site, 1) as (ana,):
        ben = await (await open_in(site, 1)).continue_as_guest()
        await ben.watch(ana)
        await ben.expect_moving(ana)
        carla = await (await open_in(site, 0)).continue_as_guest()
        await carla.go_live()
        await ben.expect_tile(carla.name, "preview")
        assert (await ben.place(ana), await ben.place(carla.name)) == (1, 2)
        await ben.expect_moving(ana)
        await ben.saved(lambda slots: set(slots) == {ana, carla.name})

        await ben.page.reload()
        await expect(ben.tile(carla.name)).to_be_visible()
        dora = await (await open_in(site, 0)).continue_as_guest()
        await dora.go_live()
        await ben.expect_tile(dora.name, "preview")
        assert await ben.place(dora.name) == 3
        await expect(carla.tile(carla.name)).to_have_count(0)


@pytest.mark.spec("S11")
@pytest.mark.parametrize("is_phone", [False, True], ids=["wide", "phone"])
async def test_an_arranged_wall_is_offered_who_goes_live(
    site: Site, open_in: OpenWindow, *, is_phone: bool
) -> None:
    touch = {"has_touch": True, "is_mobile": True} if is_phone else {}
    async with demo_streamers(site, 2) as (ana, kofi):
        ben = await open_in(site, 1, *([PHONE] if is_phone else []), **touch)
        await ben.continue_as_guest()
        await ben.choose(ana, f"Remove {ana} from wall")
        carla = await (await open_in(site, 0)).continue_as_guest()
        await carla.go_live()
        add = ben.page.get_by_role("button", name=f"{carla.name} went live")
        await expect(add).to_be_visible()
        said = ben.page.get_by_text(f"{carla.name} went live and can be added to your wall.")
        await expect(said).to_be_attached()

        async def stays_as_it_is() -> bool:
            return await ben.tile(carla.name).count() + await ben.tile(ana).count() == 0

        await throughout(stays_as_it_is, 1, "nobody walks onto an arranged wall")
        await ben.page.get_by_role("button", name=f"Do not add {carla.name} now").click()
        await expect(add).to_have_count(0)

        await carla.page.get_by_role("button", name="Stop", exact=True).click()
        await carla.page.get_by_role("button", name="Go live").click()
        await add.focus()
        await ben.page.keyboard.press("Enter")
        await ben.expect_tile(carla.name, "preview")
        assert (await ben.place(carla.name), await ben.place(kofi)) == (1, 2)


async def test_a_wall_that_was_emptied_stays_empty(site: Site, open_in: OpenWindow) -> None:
    async with demo_streamers(site, 1) as (ana,):
        ben = await (await open_in(site, 1)).continue_as_guest()
        await ben.choose(ana, f"Remove {ana} from wall")
        await ben.saved(lambda slots: slots == {})
        await ben.page.reload()
        await expect(ben.page.get_by_test_id("tile-1")).to_be_visible()

        async def is_empty() -> bool:
            return await ben.tile(ana).count() == 0

        await throughout(is_empty, 1, "the wall stays empty")
