"""The page where a card is paid, with a stand-in for Stripe's script: no test talks to Stripe."""

import re

import pytest
from playwright.async_api import Route, expect

from tests.browser.conftest import OpenWindow, StartSite
from tests.browser.money import create_account
from tests.browser.window import Window

# Draws a form that says for which payment it is, refuses once, and then leads back as Stripe does.
STRIPE = """window.Stripe = key => {
  let refused = false;
  return {
    elements: ({ clientSecret }) => ({
      create: kind => {
        const handlers = {};
        return {
          on: (event, handle) => void (handlers[event] = handle),
          mount: place => {
            place.textContent = `${kind} form of ${key}: ${clientSecret}`;
            handlers.ready();
          },
        };
      },
    }),
    confirmPayment: async ({ confirmParams }) => {
      if (!refused) {
        refused = true;
        return { error: { message: "Your card was declined." } };
      }
      location.assign(confirmParams.return_url);
      return new Promise(() => undefined);
    },
  };
};"""
CHECKOUT = {"kind": "stripe", "client_secret": "pi_1_secret_2", "publishable_key": "pk_test_3"}
KEYS = {
    "payments": "stripe",
    "stripe_secret_key": "sk_test_1",
    "stripe_publishable_key": "pk_test_3",
    "stripe_webhook_secret": "whsec_1",
}
PURCHASE = {
    "id": "00000000-0000-4000-8000-000000000001",
    "number": 1,
    "status": "pending",
    "coin_amount": 700,
    "usd_cents": 999,
    "requires_approval": False,
}


async def pay_by_card(route: Route) -> None:
    """Answer a purchase as a server that reaches Stripe does."""
    if route.request.method == "POST":
        await route.fulfill(status=201, json={"purchase": PURCHASE, "checkout": CHECKOUT})
    else:
        await route.continue_()


async def order_by_card(window: Window) -> None:
    """Press a pack; the page for cards opens, loaded anew."""
    await window.page.route("**/api/purchases", pay_by_card)
    await window.open("/wallet")
    async with window.page.expect_navigation(url="**/pay"):
        await window.page.get_by_role("button", name="Buy 700 coins for $9.99").click()
    await expect(window.page.get_by_role("heading", name="Pay $9.99")).to_be_visible()


@pytest.mark.spec("D4")
async def test_a_card_is_paid_in_stripes_form_and_leads_to_the_receipt(
    start_site: StartSite, open_in: OpenWindow
) -> None:
    ben = await create_account(await open_in(await start_site(**KEYS), 1), "ben")
    page = ben.page
    await page.route(
        "https://js.stripe.com/**",
        lambda route: route.fulfill(body=STRIPE, content_type="text/javascript"),
    )
    await order_by_card(ben)
    await expect(page.get_by_text("payment form of pk_test_3: pi_1_secret_2")).to_be_visible()
    assert "secret" not in page.url
    pay = page.get_by_role("button", name="Pay $9.99")
    await pay.click()
    await expect(page.get_by_role("alert")).to_have_text("Your card was declined.")
    ben.forgive("404")  # the purchase is made up
    await pay.click()
    await expect(page).to_have_url(re.compile(f"/wallet/purchases/{PURCHASE['id']}$"))


@pytest.mark.spec("D4")
async def test_when_stripes_form_can_not_be_loaded_the_page_says_what_to_do(
    start_site: StartSite, open_in: OpenWindow
) -> None:
    ben = await create_account(await open_in(await start_site(**KEYS), 1), "ben")
    ben.forgive("ERR_FAILED", "404")
    await ben.page.route("https://js.stripe.com/**", lambda route: route.abort())
    await order_by_card(ben)
    await expect(ben.page.get_by_role("alert")).to_contain_text("Your card is not charged")
    await expect(ben.page.get_by_role("button", name="Pay $9.99")).to_be_disabled()
    await ben.page.get_by_role("link", name="Not now").click()
    await expect(ben.page).to_have_url(re.compile(f"/wallet/purchases/{PURCHASE['id']}$"))
