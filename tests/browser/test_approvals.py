"""S25 in real browsers: a second person decides about a large purchase."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenWindow
from tests.browser.money import (
    buy,
    choose,
    create_account,
    create_staff,
    decide,
    expect_coins,
    held_row,
    newest_purchase,
    open_console,
    order,
    post,
)
from tests.browser.site import Site

LARGE = "2,275,000 coins for $32,500.00"


@pytest.mark.spec("S23")
@pytest.mark.spec("S25")
@pytest.mark.spec("D7")
async def test_a_very_large_pack_waits_for_a_second_person(site: Site, open_in: OpenWindow) -> None:
    ben = await create_account(await open_in(site, 1), "ben")
    ben.forgive("403")
    await ben.page.get_by_role("link", name="Wallet: you have").click()
    pack = ben.page.get_by_role("button", name=f"Buy {LARGE}", exact=True)
    await expect(pack).to_have_accessible_description(re.compile("A second person approves it"))
    await order(ben, LARGE)
    await expect(ben.page.get_by_text("2,275,000 coins")).to_be_visible()
    await expect(ben.page.get_by_text("after a second person has approved")).to_be_visible()
    await choose(ben, "Pay")
    await expect(ben.page.get_by_role("status").filter(has_text="reserved, not")).to_be_visible()
    await expect(newest_purchase(ben)).to_contain_text("Held for approval")
    await expect(newest_purchase(ben)).to_contain_text("Your card is not charged before that.")
    await expect_coins(ben, "0 coins")
    # Told while the page was open, and gone in the same way.
    waiting = ben.page.get_by_test_id("held-coins")
    await expect(waiting).to_contain_text("2,275,000")

    fay = await create_staff(site, await open_in(site, 0), "fay")
    await open_console(fay)
    row = held_row(fay, "P-1")
    await expect(row).to_contain_text("$32,500.00")
    await expect(row).to_contain_text("first purchase")
    await expect(fay.page.get_by_test_id("ledger-health")).to_contain_text("Ledger sealed")
    await decide(fay, "Approve", "P-1")
    await expect(fay.page.get_by_text("Nothing waits for a decision.")).to_be_visible()

    # The buyer's page was never touched.
    await expect_coins(ben, "2,275,000 coins")
    await expect(waiting).to_have_count(0)
    await ben.page.set_viewport_size({"width": 320, "height": 640})
    assert await ben.page.evaluate("document.documentElement.scrollWidth") == 320
    await ben.page.get_by_role("button", name="You are").click()
    await expect(ben.page.get_by_role("button", name="Operator's console")).to_have_count(0)
    assert (await ben.ask("/api/admin/purchases/held"))["code"] == "not_allowed"
    await expect(newest_purchase(ben)).to_contain_text("Completed")
    await fay.page.get_by_role("link", name="Audit", exact=True).click()
    entry = fay.page.get_by_role("row").filter(has_text="purchase approved")
    await expect(entry).to_contain_text("Called the buyer back")
    await expect(entry).to_contain_text("fay")
    await expect(entry).to_contain_text("P-1 of ben")
    await expect(entry).to_contain_text("price $32,500.00")
    await fay.page.get_by_role("link", name="Webhooks", exact=True).click()
    await fay.page.get_by_role("button", name="Refresh").click()
    event = fay.page.get_by_role("row").filter(has_text="payment.captured").first
    await expect(event).to_contain_text("Applied")
    await event.get_by_role("button", name=re.compile("^Replay")).click()
    await expect(fay.page.get_by_role("status").filter(has_text="applied.")).to_be_visible()
    await expect_coins(ben, "2,275,000 coins")


@pytest.mark.spec("S25")
@pytest.mark.abuse("A34")
async def test_nobody_decides_about_their_own_purchase_and_a_rejected_one_costs_nothing(
    site: Site, open_in: OpenWindow
) -> None:
    fay = await create_staff(site, await open_in(site, 0), "fay")
    await buy(fay, LARGE)
    await expect(newest_purchase(fay)).to_contain_text("Held for approval")
    await open_console(fay)
    await expect(held_row(fay, "P-1")).to_contain_text("Your own purchase: somebody else")
    await expect(fay.page.get_by_role("button", name="Approve P-1")).to_have_count(0)

    gus = await create_staff(site, await open_in(site, 1), "gus", "admin")
    await open_console(gus)
    await gus.page.get_by_role("button", name="Reject P-1").click()
    dialog = gus.page.get_by_role("dialog")
    await dialog.get_by_label("Reason").fill("Not the name on the card")
    purchase = (await fay.ask("/api/purchases"))["purchases"][0]["id"]
    decision = {"decision": "reject", "reason": "Decided in another tab"}
    await post(gus, f"/api/admin/purchases/{purchase}/decision", decision)
    await expect(dialog.get_by_role("alert")).to_contain_text("Somebody has decided")
    await expect(dialog.get_by_role("button", name="Reject", exact=True)).to_be_disabled()
    await gus.page.keyboard.press("Escape")
    await expect(gus.page.get_by_role("heading", name="Held purchases")).to_be_focused()
    await expect(fay.page.get_by_text("Nothing waits for a decision.")).to_be_visible()
    await fay.open("/wallet")
    await expect(newest_purchase(fay)).to_contain_text("Rejected")
    await newest_purchase(fay).get_by_role("link").click()
    receipt = fay.page.get_by_test_id("receipt")
    await expect(receipt).to_contain_text("Your card was not charged.")
    # On paper it is dark on light, whatever the theme.
    await expect(receipt).to_have_css("color", "rgb(233, 235, 240)")
    await fay.page.emulate_media(media="print")
    await expect(receipt).to_have_css("color", "rgb(23, 27, 36)")
    await fay.page.emulate_media(media="screen")
    await expect_coins(fay, "0 coins")


@pytest.mark.spec("S25")
@pytest.mark.spec("D7")
async def test_an_admin_changes_from_where_on_a_second_person_is_asked(
    site: Site, open_in: OpenWindow
) -> None:
    gus = await create_staff(site, await open_in(site, 0), "gus", "admin")
    page = gus.page
    await open_console(gus)
    await page.get_by_role("link", name="Settings", exact=True).click()
    save = page.get_by_role("button", name="Save settings")
    threshold = page.get_by_label("Approval over, in US dollars")
    await page.get_by_label("Reason").fill("A quiet week")
    for wrong in ("five", "999,999,999"):
        await threshold.fill(wrong)
        await expect(threshold).to_have_accessible_description(re.compile("from .0.00 to .99,999"))
        await expect(save).to_be_disabled()
    await threshold.fill("50,000")
    await expect(page.get_by_text("so none waits for a second")).to_be_visible()
    await threshold.fill("5.00")
    await expect(page.get_by_text("so none waits for a second")).to_have_count(0)
    await save.click()
    await expect(page.get_by_text("The settings are saved.")).to_be_visible()
    await page.get_by_role("link", name="Audit", exact=True).click()
    await expect(page.get_by_role("row").filter(has_text="A quiet week")).to_contain_text("gus")

    ben = await create_account(await open_in(site, 1), "ben")
    await buy(ben, "350 coins for $4.99")
    await expect_coins(ben, "350 coins")
    await buy(ben, "700 coins for $9.99")
    await expect(newest_purchase(ben)).to_contain_text("Held for approval")
    await expect(page.get_by_role("link", name="1 waiting")).to_be_visible()

    await page.get_by_role("link", name="Settings", exact=True).click()
    await expect(page.get_by_text("What was raised applies from")).to_have_count(0)
    await page.get_by_label("Approval over, in US dollars").fill("25,000")
    await page.get_by_label("Reason").fill("A loud week")
    await save.click()
    await expect(page.get_by_text("What was raised applies from")).to_contain_text(
        "Until then purchases are at most $50,000.00, and those over $5.00 wait for approval."
    )
    await buy(ben, "700 coins for $9.99")
    await expect(page.get_by_role("link", name="2 waiting")).to_be_visible()
