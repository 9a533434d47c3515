"""The pictures of the documentation, taken from the running product: wall, studio, phone.

    python -m bench.screenshots        writes docs/images/wall.png, studio.png and phone.png

Streamers are the demo's, people in the chats are guests, and every large picture is video that
went from one browser, or one demo streamer, to another.
"""

import asyncio
import io
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

from PIL import Image, ImageOps
from playwright.async_api import Playwright, async_playwright, expect

from bench.figures import say
from bench.product import running_product
from livewall.demo.scenes import lofi
from tests.browser.chromium import Chromium, start_chromium
from tests.browser.people import Visitor, demo_streamers, visitor
from tests.browser.site import Site
from tests.browser.window import DESKTOP, PHONE, Window, open_window

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
FILM_START, FILM_PICTURES, FILM_RATE = 1_700_000_000, 90, 15
# Chromium names such a camera by the file's whole path.
NAME_CAMERA = """Object.defineProperty(MediaStreamTrack.prototype, "label", {
  get() { return this.kind === "video" ? "Desk camera" : "Desk microphone"; },
});"""
TALK = (
    ("lia", "that bass line"),
    ("otto", "hello from Lisbon"),
    ("lia", "is this the new synth?"),
    ("rue", "just arrived, the wall is full tonight"),
    ("otto", "the tape hiss is half of it"),
)
GIFT_AFTER = "is this the new synth?"


def film(path: Path) -> None:
    """Draw a streamer's evening as a file of JPEG pictures, which Chromium takes for a camera.

    Drawn as in a mirror, because that is how the studio shows people themselves.
    """
    paint = lofi()
    with path.open("wb") as file:
        for number in range(FILM_PICTURES):
            content = io.BytesIO()
            ImageOps.mirror(paint(FILM_START + number / FILM_RATE)).save(content, "JPEG")
            file.write(content.getvalue())


@asynccontextmanager
async def guests(site: Site) -> AsyncGenerator[dict[str, Visitor]]:
    """Three people who watch and talk."""
    async with AsyncExitStack() as stack:
        names = ("lia", "otto", "rue")
        yield {name: await stack.enter_async_context(visitor(site, name)) for name in names}


async def talk(site: Site, people: dict[str, Visitor], stream: object) -> None:
    """Say a few lines in a chat, as fast as its limits allow, with a gift among them."""
    recipient = await site.admin.fetchval(
        "SELECT streamer_id FROM public.live_streams WHERE id = $1::text::uuid", str(stream)
    )
    for name, words in TALK:
        await people[name].say(stream, words)
        if words == GIFT_AFTER:
            gift = {"recipient_id": str(recipient), "gift_type_id": "heart", "slot_index": 1}
            about = {"stream_id": str(stream), "idempotency_key": str(uuid4())}
            await people[name].api.call("POST", "/api/gifts", gift | about)
        await asyncio.sleep(1.2)


async def earn(site: Site, name: str) -> None:
    """Put coins into somebody's wallet, as if they had paid for them."""
    await site.admin.execute(
        "SELECT public.process_coin_purchase(p.id, 'web', 'pictures', 'event ' || p.name,"
        " 'payment ' || p.name, 7000, 99.99) FROM public.profiles AS p WHERE p.name = $1",
        name,
    )


async def enter(browser: Chromium, site: Site, *, phone: bool = False) -> Window:
    """Open a window for a guest."""
    touch = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2} if phone else {}
    size = PHONE if phone else DESKTOP
    return await (await open_window(browser.browser, site.url, size, **touch)).continue_as_guest()


async def take(window: Window, name: str) -> None:
    """Take a picture when status line and pointer are gone."""
    await window.page.mouse.move(700, 880)
    await expect(window.page.locator(".status-line span")).to_have_count(0, timeout=20_000)
    await asyncio.sleep(0.5)  # what the pointer had brought up fades out
    taken = Image.open(io.BytesIO(await window.page.screenshot())).convert("RGB")
    IMAGES.mkdir(exist_ok=True)
    taken.save(IMAGES / f"{name}.png", optimize=True)
    say(f"  {name}.png")


async def wall_and_phone(site: Site, browser: Chromium, people: dict[str, Visitor]) -> None:
    """A wall with four playing tiles and a phone with one."""
    async with demo_streamers(site, 8) as names:
        await _watch(site, people, {"lia": names[:3], "otto": names[:1], "rue": names[1:2]})
        window = await enter(browser, site)
        for name in ("lia", window.name):
            await earn(site, name)
        for name in reversed(names[:4]):
            await window.watch(name)
            await window.expect_moving(name)
        await talk(site, people, await site.stream_id(names[0]))
        await take(window, "wall")
        await window.context.close()
        window = await enter(browser, site, phone=True)
        await window.watch(names[0])
        await window.expect_moving(names[0])
        await take(window, "phone")
        await window.context.close()


async def _watch(site: Site, people: dict[str, Visitor], wishes: dict[str, list[str]]) -> None:
    for person, names in wishes.items():
        for name in names:
            people[person].viewer.watch(str(await site.stream_id(name)))


async def studio(site: Site, playwright: Playwright, people: dict[str, Visitor]) -> None:
    """A studio that sends to three people, after a pause in which nobody watched."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mjpeg"
        await asyncio.to_thread(film, path)
        browser = await start_chromium(playwright, film=path)
        window = await enter(browser, site)
        await window.context.add_init_script(NAME_CAMERA)
        await window.open("/")
        await window.go_live("Late-night lo-fi")
        stream = str(await site.stream_id(window.name))
        for sent in (20, 0):
            for person in people.values():
                person.viewer.watch(stream)
            await window.expect_studio("sending")
            await asyncio.sleep(sent)
            if sent:
                for person in people.values():
                    person.viewer.leave(stream)
                await window.expect_studio("idle", 30)
                await asyncio.sleep(15)
        await talk(site, people, stream)
        await asyncio.sleep(30)
        await take(window, "studio")
        await browser.browser.close()


async def main() -> None:
    """Take all pictures."""
    async with running_product() as site, async_playwright() as playwright, guests(site) as people:
        browser = await start_chromium(playwright)
        await wall_and_phone(site, browser, people)
        await studio(site, playwright, people)
        await browser.browser.close()


if __name__ == "__main__":
    asyncio.run(main())
