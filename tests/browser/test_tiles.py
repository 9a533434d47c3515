"""What counts as watching, tile by tile, and who waits when the seats are taken."""

import pytest
from playwright.async_api import FloatRect, Locator, expect

from tests.browser.conftest import OpenWindow, StartSite
from tests.browser.people import demo_streamers
from tests.browser.site import Site
from tests.browser.window import PHONE
from tests.waiting import throughout, until


@pytest.mark.spec("S13")
async def test_a_muted_tile_is_a_preview_and_a_silent_one_still_counts(
    site: Site, open_in: OpenWindow
) -> None:
    async with demo_streamers(site, 1) as (ana,):
        stream = await site.stream_id(ana)
        ben = await (await open_in(site, 1)).continue_as_guest()
        await ben.watch(ana)
        await ben.expect_moving(ana)
        await site.until_viewers(stream, 1)

        await ben.set_volume(ana, 0)

        async def counts() -> bool:
            return await site.viewers(stream) == 1

        await throughout(counts, 2, "a viewer at volume 0 counts")
        await ben.expect_tile(ana, "playing")

        await ben.tile(ana).hover()
        await ben.tile(ana).get_by_role("button", name=f"Mute {ana}", exact=True).click()
        await ben.expect_tile(ana, "preview")
        await site.until_viewers(stream, 0)
        await expect(ben.tile(ana).locator("video")).to_have_count(0)

        await ben.tile(ana).get_by_role("button", name=f"Unmute {ana}").click()
        await ben.expect_moving(ana)
        await site.until_viewers(stream, 1)


@pytest.mark.spec("S13")
async def test_a_page_in_the_background_does_not_count(site: Site, open_in: OpenWindow) -> None:
    async with demo_streamers(site, 1) as (ana,):
        stream = await site.stream_id(ana)
        ben = await (await open_in(site, 1)).continue_as_guest()
        await ben.watch(ana)
        await site.until_viewers(stream, 1)
        await ben.hide(is_hidden=True)
        await site.until_viewers(stream, 0)
        await ben.hide(is_hidden=False)
        await site.until_viewers(stream, 1)
        await ben.expect_moving(ana)


@pytest.mark.spec("S13")
async def test_a_tile_scrolled_out_of_sight_does_not_count(site: Site, open_in: OpenWindow) -> None:
    async with demo_streamers(site, 2) as (ana, kofi):
        stream = await site.stream_id(ana)
        low = {"width": 700, "height": 420}
        ben = await (await open_in(site, 1, low)).continue_as_guest()
        await ben.watch(ana)
        await site.until_viewers(stream, 1)
        await expect(ben.tile(kofi)).to_be_attached()
        await ben.page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await expect(ben.tile(ana)).not_to_be_in_viewport()
        await site.until_viewers(stream, 0)
        await ben.page.evaluate("scrollTo(0, 0)")
        await site.until_viewers(stream, 1)
        await ben.expect_moving(ana)


@pytest.mark.spec("S12")
async def test_a_fifth_tile_turns_one_into_a_preview_but_never_a_pinned_one(
    site: Site, open_in: OpenWindow
) -> None:
    async with demo_streamers(site, 5) as names:
        ben = await (await open_in(site, 1)).continue_as_guest()
        for name in names[:4]:
            await ben.watch(name)
            await ben.expect_tile(name, "playing", 20)
        await ben.tile(names[0]).hover()
        await ben.tile(names[0]).get_by_role("button", name=f"Pin {names[0]}").click()

        await ben.watch(names[4])
        await expect(ben.page.get_by_text(f"{names[1]} is a preview now")).to_be_visible()
        await ben.expect_moving(names[4])
        await ben.expect_tile(names[1], "preview")
        for name in (names[0], names[2], names[3]):
            await ben.expect_moving(name)


@pytest.mark.spec("S12")
async def test_a_phone_plays_one_tile(site: Site, open_in: OpenWindow) -> None:
    async with demo_streamers(site, 2) as (ana, kofi):
        ben = await open_in(site, 1, PHONE, has_touch=True, is_mobile=True)
        await ben.continue_as_guest()
        await ben.watch(ana)
        await ben.expect_moving(ana)
        await ben.watch(kofi)
        await ben.expect_moving(kofi)
        await ben.expect_tile(ana, "preview")
        await site.until_viewers(await site.stream_id(ana), 0)


def apart(one: FloatRect, other: FloatRect) -> bool:
    """Say whether two boxes on the page do not touch."""
    beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
    above = one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
    return beside or above


async def box(part: Locator) -> FloatRect:
    """Where something is drawn."""
    found = await part.bounding_box()
    assert found is not None
    return found


MARKS = """tile => ["muted, .tool-unmute", "pinned, .tool-pin"].map(kind =>
  [...tile.querySelectorAll(`.mark-${kind}`)].filter(icon =>
    icon.checkVisibility({ opacityProperty: true, visibilityProperty: true })).length)"""


async def expect_marks(tile: Locator, muted: int, pinned: int) -> None:
    """Wait until so many icons in sight say that a tile is muted, and that it is pinned."""

    async def so_many() -> bool:
        return await tile.evaluate(MARKS) == [muted, pinned]

    await until(so_many, 3, f"{muted} icons say muted and {pinned} say pinned")


@pytest.mark.parametrize("is_phone", [False, True], ids=["wide", "phone"])
async def test_a_muted_and_pinned_tile_says_each_once_and_ended_hides_no_name(
    site: Site, open_in: OpenWindow, *, is_phone: bool
) -> None:
    touch = {"has_touch": True, "is_mobile": True} if is_phone else {}
    async with demo_streamers(site, 2) as (ana, kofi):
        ben = await open_in(site, 1, *([PHONE] if is_phone else []), **touch)
        await ben.continue_as_guest()
        tile = ben.tile(ana)
        await ben.choose(ana, f"Pin {ana}")
        await ben.watch(ana)
        await ben.expect_moving(ana)
        await tile.hover()
        await expect_marks(tile, 0, 1)
        await tile.get_by_role("button", name=f"Mute {ana}", exact=True).click()
        await ben.expect_tile(ana, "preview")
        for other in (tile, ben.tile(kofi)):
            await other.hover()
            await expect_marks(tile, 1, 1)

    await ben.expect_tile(ana, "ended")
    note, more = tile.get_by_text("Not live"), tile.get_by_role("button", name=f"More for {ana}")
    assert apart(await box(note), await box(tile.get_by_role("strong")))
    assert apart(await box(note), await box(more))
    await expect_marks(tile, 1, 1)
    whole, inside = await box(tile), await box(more)
    assert inside["x"] + inside["width"] <= whole["x"] + whole["width"]


@pytest.mark.spec("S14")
async def test_whoever_finds_no_seat_waits_in_sight_and_is_not_counted(
    start_site: StartSite, open_in: OpenWindow
) -> None:
    site = await start_site(seats="1")
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live()
    stream = await site.stream_id(ana.name)
    ben = await (await open_in(site, 1)).continue_as_guest()
    await ben.watch(ana.name)
    await ben.expect_moving(ana.name)

    carla = await (await open_in(site, 1)).continue_as_guest()
    await carla.watch(ana.name)
    await carla.expect_tile(ana.name, "waiting")
    await expect(carla.tile(ana.name)).to_contain_text("You are next")
    await expect(ana.page.get_by_test_id("waiting")).to_contain_text(carla.name)
    assert await site.viewers(stream) == 1

    await ben.choose(ana.name, f"Stop watching {ana.name}")
    await carla.expect_moving(ana.name)
    await expect(ana.page.get_by_test_id("watchers")).to_contain_text(carla.name)
    await site.until_viewers(stream, 1)
    assert (await site.transitions(stream)).off == 0
