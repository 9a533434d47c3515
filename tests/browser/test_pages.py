"""Every page, wide and on a phone, dark and light: nothing overlaps, and everybody can use it."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import ViewportSize, expect

from tests.browser.conftest import ROOT, OpenWindow
from tests.browser.money import (
    buy,
    choose,
    create_account,
    create_staff,
    expect_coins,
    open_console,
    order,
)
from tests.browser.people import demo_streamers
from tests.browser.site import Site
from tests.browser.window import DESKTOP, PHONE, Window
from tests.waiting import until

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# A picture of a stream is not text that anybody chose colours for.
PICTURES = [".preview", "video"]

# What axe finds, one line each: rule, element, and what is wrong with it.
JUDGE = """async ([standard, pictures]) => {
  const { violations } = await axe.run(
    { exclude: pictures.map(picture => [picture]) },
    { runOnly: { type: "tag", values: standard }, resultTypes: ["violations"] },
  );
  const line = (id, node) => [id, node.target.join(" "), node.failureSummary].join(": ");
  return violations.flatMap(({ id, nodes }) => nodes.map(node => line(id, node)));
}"""

# Controls whose middle another control covers, controls that stick out, a page that is too wide.
MISPLACED = """() => {
  const kind = "a[href], button, input, select, textarea, [role=button]";
  const wrong = [];
  const nameOf = control => control.getAttribute("aria-label") || control.textContent.trim();
  const inFront = document.querySelector("dialog:modal") ?? document;
  for (const control of inFront.querySelectorAll(kind)) {
    if (!control.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    control.scrollIntoView({ block: "center", behavior: "instant" });
    const { left, right, top, width, height } = control.getBoundingClientRect();
    if (width < 2 || height < 2 || right <= 0) continue;
    if (left < -1 || right > innerWidth + 1) wrong.push(`${nameOf(control)} sticks out`);
    const hit = document.elementFromPoint(left + width / 2, top + height / 2)?.closest(kind);
    if (hit && hit !== control && !control.contains(hit) && !hit.contains(control)) {
      wrong.push(`${nameOf(hit)} covers ${nameOf(control)}`);
    }
  }
  scrollTo(0, 0);
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) wrong.push(`${scrollWidth - clientWidth} px too wide`);
  return wrong;
}"""


# Colours that are still on their way would be judged by the wrong ground. What inherits a colour
# sets out when its parent has arrived, so one round of waiting is not enough.
CHANGE_THEME = """async theme => {
  document.documentElement.dataset.theme = theme;
  const running = () => document.getAnimations().filter(({ playState }) => playState === "running");
  do {
    await new Promise(frame => requestAnimationFrame(() => requestAnimationFrame(frame)));
    await Promise.allSettled(running().map(animation => animation.finished));
  } while (running().length > 0);
}"""


async def pages(window: Window, name: str) -> AsyncGenerator[str]:
    """Go from page to page as a guest does; gives the name of each once it is there."""
    page = window.page
    for path, heading in (("/", "Live now"), ("/sign-in", None), ("/create-account", None)):
        await window.open(path)
        await expect(page.get_by_role("heading", name=heading).first).to_be_visible()
        yield path.strip("/") or "welcome"
    await window.continue_as_guest()
    await expect(window.tile(name)).to_be_visible()
    yield "wall-of-previews"
    await window.watch(name)
    await window.expect_moving(name)
    await window.say(name, "What a night, and what a long line to break somewhere")
    yield "wall"
    for path in ("/discover", "/following", f"/@{name.lower()}", "/settings", "/nowhere"):
        await window.open(path)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        yield path.strip("/@")
    await window.open("/")
    await window.go_live("A quiet evening")
    yield "studio"


async def money_pages(site: Site, window: Window, name: str) -> AsyncGenerator[str]:
    """Go through what has to do with money, as somebody of the staff who also buys and gives."""
    page = window.page
    await window.continue_as_guest()
    await window.open("/wallet")
    await expect(page.get_by_text("Buying coins needs an account")).to_be_visible()
    await expect(page.locator(".skeleton")).to_have_count(0)
    yield "wallet-of-a-guest"
    await create_staff(site, window, "fay", "admin")
    await order(window, "7,000 coins for $99.99")
    yield "sandbox"
    await choose(window, "Ask for confirmation")
    await expect(page.get_by_role("button", name="Yes, it is me")).to_be_visible()
    yield "sandbox-asks"
    await page.get_by_role("button", name="Yes, it is me").click()
    await buy(window, "2,275,000 coins for $32,500.00")
    await expect(page.get_by_text("Held for approval")).to_be_visible()
    await expect(page.get_by_test_id("statement-coins")).to_be_visible()
    yield "wallet"
    await page.get_by_test_id("purchases").get_by_role("link").first.click()
    await expect(page.get_by_test_id("receipt")).to_be_visible()
    yield "receipt"
    await window.open("/pay")
    await expect(page.get_by_role("heading", name="Nothing to pay here")).to_be_visible()
    yield "nothing-to-pay"
    await window.open("/")
    await window.watch(name)
    await window.expect_moving(name)
    await window.tile(name).get_by_role("button", name=f"Send {name} a gift").click()
    sheet = page.get_by_role("dialog")
    await sheet.get_by_role("button", name=f"Send Rose for {name}, 10 coins").click()
    await expect(page.get_by_test_id("gift-sign")).to_be_visible()
    handle = page.get_by_role("button", name="Make the chat larger")
    if await handle.is_visible():  # on a phone the chat starts small
        await handle.click()
    await expect(window.messages).to_contain_text("Rose")
    yield "wall-with-a-gift"
    await window.tile(name).get_by_role("button", name=f"Send {name} a gift").click()
    await sheet.get_by_role("button", name=f"Send Crown for {name}").click()
    await expect(sheet.get_by_text("Press again")).to_be_visible()
    yield "gifts"
    await page.keyboard.press("Escape")
    await open_console(window)
    await expect(page.get_by_test_id("held")).to_be_visible()
    yield "console"
    for tab in ("Webhooks", "Audit", "Settings"):
        await page.get_by_role("link", name=tab, exact=True).click()
        await expect(page.get_by_role("heading", name=tab)).to_be_visible()
        await expect(page.locator(".skeleton")).to_have_count(0)
        yield tab.lower()


async def problems(window: Window) -> list[str]:
    """Return what is wrong with the page as it stands, in both themes."""
    page = window.page
    wrong: list[str] = await page.evaluate(MISPLACED)
    await page.evaluate(AXE.read_text())
    for theme in ("light", "dark"):
        await page.evaluate(CHANGE_THEME, theme)
        found: list[str] = await page.evaluate(JUDGE, [STANDARD, PICTURES])
        wrong += [f"{theme}: {problem}" for problem in found]
    return wrong


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["wide", "phone"])
async def test_every_page_is_in_order(
    site: Site, open_in: OpenWindow, tmp_path: Path, size: ViewportSize
) -> None:
    touch: dict[str, Any] = {"has_touch": True, "is_mobile": True} if size is PHONE else {}
    found: list[str] = []
    async with demo_streamers(site, 3) as names:
        window = await open_in(site, 0, size, reduced_motion="reduce", **touch)
        async for name in pages(window, names[0]):
            await window.page.screenshot(path=tmp_path / f"{name}.png")
            found += [f"{name}: {problem}" for problem in await problems(window)]
    assert not found, "\n" + "\n".join(found)


async def test_every_door_leads_to_the_others(site: Site, open_in: OpenWindow) -> None:
    window = await (await open_in(site, 0)).open("/sign-in")
    page = window.page
    window.forgive("404")
    await page.get_by_role("main").get_by_role("link", name="Create account").click()
    await expect(page.get_by_text("8 characters or more")).to_be_visible()
    await page.get_by_role("main").get_by_role("link", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await window.open("/@nobody.here")
    await expect(
        page.get_by_role("heading", name="Nobody here is called nobody.here")
    ).to_be_visible()
    await page.get_by_role("link", name="See who is live").click()
    await expect(page.get_by_role("heading", name="Discover")).to_be_visible()
    await window.open("/sign-in")
    await page.get_by_role("button", name="continue as guest").click()
    await expect(page.get_by_test_id("wall")).to_be_visible()
    await window.open("/create-account")
    await page.get_by_role("link", name="back to your wall").click()
    await expect(page.get_by_test_id("wall")).to_be_visible()


async def test_on_a_phone_the_chat_starts_small_and_rises_to_write(
    site: Site, open_in: OpenWindow
) -> None:
    async with demo_streamers(site, 1) as (ana,):
        window = await open_in(site, 1, PHONE, has_touch=True, is_mobile=True)
        await window.continue_as_guest()
        chat = window.page.get_by_label(f"Chat of {ana}")

        async def top() -> float:
            box = await chat.bounding_box()
            assert box is not None
            return box["y"]

        assert await top() > 0.8 * PHONE["height"]
        await window.choose(ana, f"Pin {ana}")
        toast = await window.page.locator(".status-line span").bounding_box()
        assert toast is not None
        assert toast["y"] + toast["height"] < await top()
        await window.say(ana, "Hello from a small screen")

        async def has_risen() -> bool:
            return await top() < 0.6 * PHONE["height"]

        await until(has_risen, 3, "the chat has risen")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["wide", "phone"])
async def test_every_page_about_money_is_in_order(
    site: Site, open_in: OpenWindow, tmp_path: Path, size: ViewportSize
) -> None:
    touch: dict[str, Any] = {"has_touch": True, "is_mobile": True} if size is PHONE else {}
    found: list[str] = []
    async with demo_streamers(site, 2) as names:
        window = await open_in(site, 0, size, reduced_motion="reduce", **touch)
        async for name in money_pages(site, window, names[0]):
            await window.page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
            found += [f"{name}: {problem}" for problem in await problems(window)]
    assert not found, "\n" + "\n".join(found)


async def tab_to(window: Window, name: str) -> None:
    """Press Tab until the control with this name has the focus, and see that it shows it."""
    for _ in range(80):
        await window.page.keyboard.press("Tab")
        focused: dict[str, Any] = await window.page.evaluate(
            """() => {
              const at = document.activeElement;
              // The button that is a whole tile shows its focus by the tile's own edge.
              const style = getComputedStyle(at.closest(".tile-cover") ? at.closest(".tile") : at);
              const isRinged = style.outlineStyle !== "none" || style.boxShadow !== "none";
              const said = at.cloneNode(true);
              for (const unsaid of said.querySelectorAll("[aria-hidden=true]")) unsaid.remove();
              const words = at.getAttribute("aria-label") || said.textContent.trim();
              return { name: words, isRinged };
            }"""
        )
        if focused["name"] == name:
            assert focused["isRinged"], f"nothing shows that {name} has the focus"
            return
    raise AssertionError(f"Tab does not reach {name}.")


async def test_a_keyboard_is_enough(site: Site, open_in: OpenWindow) -> None:
    async with demo_streamers(site, 2) as (ana, kofi):
        window = await (await open_in(site, 1)).open("/")
        keyboard = window.page.keyboard
        await expect(window.page.get_by_role("button", name="Continue as guest")).to_be_visible()
        await tab_to(window, "Skip to the content")
        await tab_to(window, "Continue as guest")
        await keyboard.press("Enter")
        await expect(window.tile(ana)).to_be_visible()

        await tab_to(window, f"Watch {kofi}")
        await keyboard.press("Enter")
        await window.expect_moving(kofi)

        place = await window.place(ana)
        await tab_to(window, f"More for {ana}")
        await keyboard.press("Enter")
        await tab_to_item(window, f"Move {ana}")
        await keyboard.press("Enter")
        await expect(window.page.get_by_text("Arrow keys choose a place")).to_be_visible()
        await keyboard.press("ArrowDown")
        await keyboard.press("Enter")
        await expect(window.tile(ana)).not_to_have_attribute("data-slot", str(place))

        await tab_to(window, f"Mute {kofi}")
        await keyboard.press("Enter")
        await window.expect_tile(kofi, "preview")
        await tab_to(window, f"Unmute {kofi}")


async def tab_to_item(window: Window, name: str) -> None:
    """Choose an entry of an open menu with the arrow keys."""
    item = window.page.get_by_role("button", name=name, exact=True)
    for _ in range(10):
        if await item.evaluate("item => item === document.activeElement"):
            return
        await window.page.keyboard.press("ArrowDown")
    raise AssertionError(f"The arrow keys do not reach {name}.")


async def test_a_keyboard_is_enough_to_buy_and_to_give(site: Site, open_in: OpenWindow) -> None:
    async with demo_streamers(site, 1) as (ana,):
        window = await create_account(await open_in(site, 1), "ben")
        keyboard = window.page.keyboard
        await tab_to(window, "Wallet: you have 0 coins")
        await keyboard.press("Enter")
        await tab_to(window, "Buy 700 coins for $9.99")
        await keyboard.press("Enter")
        await expect(window.page.get_by_role("heading", name="Pay $9.99")).to_be_visible()
        await tab_to(window, "Pay")
        await keyboard.press("Enter")
        await expect_coins(window, "700 coins")

        await tab_to(window, "Livewall, to the wall")
        await keyboard.press("Enter")
        await tab_to(window, f"Watch {ana}")
        await keyboard.press("Enter")
        await window.expect_moving(ana)
        await tab_to(window, f"Send {ana} a gift")
        await keyboard.press("Enter")
        await tab_to(window, f"Send Rose for {ana}, 10 coins")
        await keyboard.press("Enter")
        await expect_coins(window, "690 coins")

        # However a dialog ends, one goes on from where one was.
        gift = window.page.get_by_role("button", name=f"Send {ana} a gift")
        await expect(gift).to_be_focused()
        await keyboard.press("Enter")
        await tab_to(window, "Close")
        await keyboard.press("Enter")
        await expect(gift).to_be_focused()
