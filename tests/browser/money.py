"""What people do with money in a browser: get an account, buy in the sandbox, give, decide."""

import re
from typing import Any, Literal

from playwright.async_api import Locator, expect

from tests.browser.site import Site
from tests.browser.window import Window

PASSWORD = "correct horse"
Choice = Literal["Pay", "Ask for confirmation", "Fail", "Delay", "Send the event again"]


async def create_account(window: Window, name: str) -> Window:
    """Create an account on its page, as a guest or as nobody yet."""
    await window.open("/create-account")
    await sign_up(window, name)
    await expect(window.page.get_by_test_id("wall")).to_be_visible()
    return window


async def sign_up(window: Window, name: str) -> None:
    """Fill in the open page for a new account and press its button."""
    page = window.page
    await page.get_by_label("Name", exact=False).first.fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("main").get_by_role("button", name="Create account").click()
    window.name = name


async def create_staff(site: Site, window: Window, name: str, role: str = "finance") -> Window:
    """Create an account that has a role; the page knows it from its next snapshot on."""
    await create_account(window, name)
    person = await site.admin.fetchval("SELECT id FROM public.profiles WHERE name = $1", name)
    await site.admin.execute("SELECT public.grant_staff_role($1, $2)", person, role)
    return await window.open("/")


async def order(window: Window, pack: str) -> None:
    """Open the wallet by the balance in the bar and press a pack, such as "70 coins for $0.99"."""
    await window.page.get_by_role("link", name="Wallet: you have").click()
    await window.page.get_by_role("button", name=f"Buy {pack}", exact=True).click()
    price = pack.rpartition(" ")[2]
    await expect(window.page.get_by_role("heading", name=f"Pay {price}")).to_be_visible()


async def choose(window: Window, choice: Choice) -> None:
    """Press a button of the sandbox's pay page."""
    await window.page.get_by_role("button", name=choice, exact=True).click()


async def buy(window: Window, pack: str) -> None:
    """Buy a pack; returns to the wallet."""
    await order(window, pack)
    await choose(window, "Pay")
    await expect(window.page.get_by_role("heading", name="Wallet", exact=True)).to_be_visible()


async def expect_coins(window: Window, coins: str) -> None:
    """Wait until the bar shows a balance, such as "1,240 coins"."""
    balance = window.page.get_by_role("link", name=f"Wallet: you have {coins}", exact=True)
    await expect(balance).to_be_visible()


def newest_purchase(window: Window) -> Locator:
    """The first line of one's purchases in the wallet."""
    return window.page.get_by_test_id("purchases").get_by_role("listitem").first


async def give_from_tile(window: Window, to: str, gift: str) -> None:
    """Open the gifts of a tile and press one, such as "Rose for ana, 10 coins"."""
    await window.tile(to).hover()
    await window.tile(to).get_by_role("button", name=f"Send {to} a gift").click()
    sheet = window.page.get_by_role("dialog", name=f"A gift for {to}")
    await sheet.get_by_role("button", name=f"Send {gift}", exact=True).click()
    await expect(sheet).to_be_hidden()


async def expect_lines(window: Window, currency: str, *lines: tuple[str, str, str]) -> None:
    """Wait until a statement has these lines from the top: what happened, amount, balance."""
    rows = window.page.get_by_test_id(f"statement-{currency}").locator("tbody tr")
    await expect(rows).to_have_count(len(lines))
    for at, (words, amount, balance) in enumerate(lines):
        row = rows.nth(at)
        await expect(row.locator("td").nth(0)).to_contain_text(words)
        await expect(row.locator("td").nth(1)).to_have_text(
            re.compile(rf"^{re.escape(amount)}\s*$")
        )
        await expect(row.locator("td").nth(2)).to_contain_text(balance)


async def open_console(window: Window) -> None:
    """Go to the operator's console by the menu of one's account."""
    await window.page.get_by_role("button", name="You are").click()
    await window.page.get_by_role("button", name="Operator's console").click()
    await expect(window.page.get_by_role("heading", name="Held purchases")).to_be_visible()


def held_row(window: Window, number: str) -> Locator:
    """A held purchase in the console, by its number."""
    return window.page.get_by_test_id("held").get_by_role("row").filter(has_text=number)


async def decide(window: Window, decision: Literal["Approve", "Reject"], number: str) -> None:
    """Approve or reject a held purchase, with a reason."""
    await window.page.get_by_role("button", name=f"{decision} {number}", exact=True).click()
    dialog = window.page.get_by_role("dialog", name=f"{decision} {number}")
    await expect(dialog.get_by_label("Reason")).to_be_focused()
    await dialog.get_by_label("Reason").fill("Called the buyer back")
    await dialog.get_by_role("button", name=decision, exact=True).click()
    await expect(dialog).to_be_hidden()
    # The row is gone with its buttons: one goes on from the top.
    await expect(window.page.get_by_role("heading", name="Held purchases")).to_be_focused()


async def post(window: Window, path: str, body: dict[str, Any]) -> Any:
    """POST to the API as this person; gives the answer. Raises AssertionError if it is refused."""
    status, answer = await window.page.evaluate(
        """async ([path, body]) => {
          const csrf = document.cookie.match(/livewall_csrf=([^;]+)/)[1];
          const answer = await fetch(path, {
            method: "POST",
            headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
            body: JSON.stringify(body),
          });
          return [answer.status, await answer.json()];
        }""",
        [path, body],
    )
    assert status < 300, answer
    return answer


async def refund(window: Window, purchase_id: str) -> None:
    """Give all of a purchase back, as the staff does over HTTP."""
    body = {"reason": "Asked for it", "idempotency_key": f"refund-{purchase_id}"}
    await post(window, f"/api/admin/purchases/{purchase_id}/refunds", body)
