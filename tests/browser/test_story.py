"""The story of issue 2, told once in two real browsers and once in a single window."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenWindow
from tests.browser.people import demo_streamers
from tests.browser.site import Site
from tests.waiting import until


@pytest.mark.spec("S13")
@pytest.mark.spec("S14")
@pytest.mark.spec("S39")
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
    assert await ana.open_peers() == 0

    await ben.watch(ana.name)
    await ben.expect_moving(ana.name)
    assert await ben.first_frame_ms(stream) < 5000
    await ana.expect_studio("sending")
    await expect(ana.page.get_by_test_id("publish-state")).to_have_text(
        "Sending video, 1 person is watching"
    )
    await expect(ana.page.get_by_test_id("watchers")).to_contain_text(ben.name)

    await ben.page.close(run_before_unload=True)
    await ana.expect_studio("idle", seconds=20)
    await expect(ana.page.get_by_test_id("why")).to_have_text(
        re.compile("left|nobody", re.IGNORECASE)
    )
    assert await ana.open_peers() == 0
    assert (await site.transitions(stream)).reasons == ("viewers_left",)


@pytest.mark.spec("S11")
@pytest.mark.spec("S38")
@pytest.mark.spec("D1")
async def test_a_wall_is_after_a_reload_as_it_was_left(site: Site, open_in: OpenWindow) -> None:
    async with demo_streamers(site, 3) as (first, second, third):
        ben = await (await open_in(site, 1)).continue_as_guest()
        places = {name: await ben.place(name) for name in (first, second, third)}
        assert sorted(places.values()) == [1, 2, 3]

        await ben.drag(first, ben.page.get_by_test_id("tile-9"))
        await expect(ben.tile(first)).to_have_attribute("data-slot", "9")
        await ben.choose(second, f"Pin {second}")
        await ben.choose(second, f"Move {second}")
        await ben.page.keyboard.press("ArrowDown")
        await ben.page.keyboard.press("Enter")
        await expect(ben.tile(second)).not_to_have_attribute("data-slot", str(places[second]))
        moved = await ben.place(second)
        await ben.watch(third)
        await ben.expect_moving(third)
        await ben.set_volume(third, 35)
        await ben.saved(lambda wall: wall[third]["volume"] == 35)
        assert moved != places[second]

        await ben.reload(third)
        await expect(ben.tile(first)).to_have_attribute("data-slot", "9")
        await expect(ben.tile(second)).to_have_attribute("data-slot", str(moved))
        await expect(ben.tile(second).get_by_role("button", name=f"Unpin {second}")).to_be_visible()
        await expect(ben.page.get_by_label(f"Volume of {third}")).to_have_value("35")

        carla = await (await open_in(site, 0)).continue_as_guest()
        assert sorted([await carla.place(name) for name in places]) == [1, 2, 3]


@pytest.mark.spec("S7")
@pytest.mark.spec("S8")
@pytest.mark.spec("D2")
async def test_people_chat_follow_and_block(site: Site, open_in: OpenWindow) -> None:
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live()
    ben = await (await open_in(site, 1)).continue_as_guest()
    await ben.watch(ana.name)
    await ben.say(ana.name, "Hello, is this on?")
    await expect(ana.messages).to_contain_text("Hello, is this on?")
    await ana.say(ana.name, "It is, now that you look")
    await expect(ben.messages).to_contain_text("It is, now that you look")

    await ben.page.get_by_role("button", name=f"Follow {ana.name}").click()
    await expect(ben.page.get_by_role("button", name=f"Following {ana.name}")).to_be_visible()
    await ben.page.get_by_role("link", name="Following", exact=True).click()
    await expect(ben.page.get_by_role("listitem").filter(has_text=ana.name)).to_be_visible()

    ana.forgive("403")
    ben.forgive("403")
    await ana.page.get_by_role("button", name=f"More about {ben.name}").first.click()
    await ana.page.get_by_role("button", name=f"Block {ben.name}").first.click()
    stream = await site.stream_id(ana.name)
    await site.until_viewers(stream, 0)
    await ben.open(f"/@{ana.name}")
    await expect(ben.page.get_by_role("heading", name=ana.name, exact=True)).to_be_visible()
    await expect(ana.messages).not_to_contain_text("Hello, is this on?")


@pytest.mark.spec("S12")
@pytest.mark.spec("S14")
async def test_alone_with_one_window_one_sees_a_living_wall(
    site: Site, open_in: OpenWindow
) -> None:
    async with demo_streamers(site, 5) as names:
        window = await (await open_in(site, 0)).open("/")
        await expect(window.page.get_by_role("heading", name="Live now")).to_be_visible()
        await window.continue_as_guest()
        for name in names:
            picture = window.tile(name).locator("img")
            await expect(picture).to_be_visible()
            assert await picture.evaluate("img => img.decode().then(() => img.naturalWidth)") > 0

        await window.watch(names[2])
        await window.expect_moving(names[2])
        await window.watch(names[0])
        await window.expect_moving(names[0])
        await window.expect_moving(names[2])
        for unwatched in (names[1], names[3], names[4]):
            await window.expect_tile(unwatched, "preview")

        async def two_are_published() -> bool:
            published = await site.admin.fetchval(
                "SELECT count(*) FROM public.live_streams WHERE is_published"
            )
            return published == 2

        await until(two_are_published, 5, "only the two that are watched are published")
