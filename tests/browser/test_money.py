"""Coins bought and given in real browsers, with the sandbox as payment provider."""

import re

import httpx
import pytest
from playwright.async_api import Route, expect

from tests.browser.cable import cable_to
from tests.browser.conftest import OpenWindow
from tests.browser.money import (
    buy,
    choose,
    create_account,
    create_staff,
    decide,
    expect_coins,
    expect_lines,
    give_from_tile,
    held_row,
    newest_purchase,
    open_console,
    order,
    post,
    refund,
    sign_up,
)
from tests.browser.site import Site
from tests.browser.window import Window

LARGE = "2,275,000 coins for $32,500.00"


@pytest.mark.spec("D4")
@pytest.mark.spec("D5")
@pytest.mark.spec("D6")
@pytest.mark.spec("S27")
async def test_coins_bought_become_a_gift_before_the_streamers_eyes(
    site: Site, open_in: OpenWindow
) -> None:
    ana = await create_account(await open_in(site, 0), "ana")
    await ana.go_live("Late-night lo-fi")
    await expect(ana.page.get_by_test_id("earned-tonight")).to_contain_text("0 earned")

    ben = await create_account(await open_in(site, 1), "ben")
    await expect_coins(ben, "0 coins")
    await buy(ben, "700 coins for $9.99")
    await expect_coins(ben, "700 coins")
    await expect(ben.page.get_by_test_id("balance")).to_contain_text("700")
    await expect(newest_purchase(ben)).to_contain_text("Completed")

    await ben.page.get_by_role("link", name="Wall", exact=True).click()
    await ben.watch(ana.name)
    await ben.expect_moving(ana.name)
    await give_from_tile(ben, "ana", "Aurora for ana, 500 coins")
    await expect_coins(ben, "200 coins")
    await expect(ben.tile(ana.name).get_by_test_id("gift-sign")).to_contain_text("Aurora")
    for window in (ana, ben):
        await expect(window.messages).to_contain_text(re.compile(r"ben sent ana .*Aurora\s·\s500"))
    await expect(ana.page.get_by_test_id("earned-tonight")).to_contain_text("350 earned")
    await expect(ana.page.get_by_test_id("gifts-tonight")).to_have_text("1")
    await expect(ana.page.get_by_test_id("earned-in-all")).to_contain_text("350 earned")

    await ben.page.get_by_role("link", name="Wallet: you have").click()
    await expect_lines(
        ben,
        "coins",
        ("Aurora for ana", "−500", "200 coins"),  # noqa: RUF001 - a minus sign
        ("Coins bought, P-1", "+700", "700 coins"),
    )
    await ana.page.get_by_role("link", name="Every gift is in your statement").click()
    await ana.page.get_by_role("button", name="Earnings", exact=True).click()
    await expect_lines(ana, "earnings", ("Aurora from ben", "+350", "350 earned"))
    slot = await site.admin.fetchval("SELECT slot_index FROM public.gifts")
    await ben.page.get_by_role("link", name="Wall", exact=True).click()
    assert slot == await ben.place(ana.name)


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
    await expect(page.get_by_text("so no purchase ever waits for a second")).to_be_visible()
    await threshold.fill("5.00")
    await expect(page.get_by_text("so no purchase ever waits for a second")).to_have_count(0)
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
    await expect(page.get_by_text("What was raised applies from")).to_be_visible()
    await buy(ben, "700 coins for $9.99")
    await expect(page.get_by_role("link", name="2 waiting")).to_be_visible()


@pytest.mark.spec("D4")
async def test_what_was_paid_while_the_line_was_cut_is_there_after_it(
    site: Site, open_in: OpenWindow
) -> None:
    async with cable_to(site.port) as cable:
        ben = await open_in(site, 1)
        ben.url = cable.url
        ben.forgive("WebSocket connection", "ERR_")
        await create_account(ben, "ben")
        await order(ben, "70 coins for $0.99")
        payment = ben.page.url.rpartition("/")[2]
        await ben.page.get_by_role("link", name="Back to the wallet").click()
        await expect(newest_purchase(ben)).to_contain_text("Not paid yet")

        cable.cut()
        await expect(ben.page.get_by_text("Connection lost.")).to_be_visible()
        async with httpx.AsyncClient(trust_env=False) as elsewhere:
            paid = await elsewhere.post(f"{site.url}/api/sandbox/payments/{payment}/pay")
        assert paid.status_code == 200
        cable.mend()
        await ben.page.get_by_role("button", name="Try now").click()
        await expect_coins(ben, "70 coins")
        await expect(newest_purchase(ben)).to_contain_text("Completed")


@pytest.mark.spec("D4")
async def test_a_payment_may_be_confirmed_repeated_refused_and_late(
    site: Site, open_in: OpenWindow
) -> None:
    ben = await create_account(await open_in(site, 1), "ben")
    page = ben.page
    await order(ben, "70 coins for $0.99")
    await choose(ben, "Ask for confirmation")
    await page.get_by_role("button", name="Yes, it is me").click()
    await expect_coins(ben, "70 coins")

    await page.go_back()
    await choose(ben, "Send the event again")
    await expect(newest_purchase(ben)).to_contain_text("Completed")

    await order(ben, "70 coins for $0.99")
    await choose(ben, "Delay")
    await expect(newest_purchase(ben)).to_contain_text("Payment on its way")
    await page.go_back()
    # Its end is seen without anybody asking.
    await expect(page.get_by_text("This is paid.")).to_be_visible()
    await expect_coins(ben, "140 coins")


@pytest.mark.spec("D4")
async def test_what_is_not_paid_is_paid_or_given_up_in_another_tab(
    site: Site, open_in: OpenWindow
) -> None:
    ben = await create_account(await open_in(site, 1), "ben")
    ben.forgive("404", "422")
    page = ben.page
    await order(ben, "350 coins for $4.99")
    await choose(ben, "Fail")
    await expect(newest_purchase(ben)).to_contain_text("Payment failed")
    await newest_purchase(ben).get_by_role("link").click()
    other = Window(await ben.context.new_page(), ben.url, "ben")
    await other.page.goto(page.url)
    for tab in (page, other.page):
        await tab.get_by_role("button", name="Go on to payment").click()
        await expect(tab.get_by_text("The bank refused the payment.")).to_be_visible()
    # One tab pays; the other presses before it has heard of that.
    async with httpx.AsyncClient(trust_env=False) as elsewhere:
        payment = page.url.rpartition("/")[2]
        await page.route("**/pay", lambda route: _paid_before(route, elsewhere, site, payment))
        await choose(ben, "Pay")
        await expect(page.get_by_role("alert")).to_contain_text("how the payment stands now.")
    for tab in (page, other.page):
        await expect(tab.get_by_text("This is paid.")).to_be_visible()
        await expect(tab.get_by_role("button", name="Fail")).to_have_count(0)
    await expect_coins(ben, "350 coins")

    await order(ben, "70 coins for $0.99")
    await other.open("/wallet")
    await newest_purchase(other).get_by_role("button", name="Cancel P-2").click()
    await expect(newest_purchase(other)).to_contain_text("Cancelled")
    await expect(newest_purchase(other).get_by_role("button")).to_have_count(0)
    await expect(page.get_by_text("This payment is cancelled.")).to_be_visible()
    await ben.open("/sandbox/pay/sbp_unknown")
    await expect(page.get_by_text("There is no such payment")).to_be_visible()
    await page.get_by_role("link", name="Back to the wallet").click()
    await expect(page.get_by_role("heading", name="Wallet", exact=True)).to_be_visible()


async def _paid_before(
    route: Route, elsewhere: httpx.AsyncClient, site: Site, payment: str
) -> None:
    await elsewhere.post(f"{site.url}/api/sandbox/payments/{payment}/pay")
    await route.continue_()


@pytest.mark.spec("D1")
@pytest.mark.spec("D4")
async def test_a_guest_is_told_why_an_account_is_needed_and_keeps_the_wall(
    site: Site, open_in: OpenWindow
) -> None:
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live()
    ben = await (await open_in(site, 1)).continue_as_guest()
    place = await ben.place(ana.name)
    crown = ben.page.get_by_role("button", name=f"Send Crown for {ana.name}, 5,000 coins")
    await expect(crown).to_have_accessible_description(
        "Crown costs 5,000 coins, and you have 0 coins."
    )
    await crown.press("Enter")
    note = ben.page.get_by_role("alert")
    await expect(note).to_contain_text("Crown costs 5,000 coins, and you have 0 coins.")
    await note.get_by_role("link", name="Open the wallet").click()
    await expect(ben.page.get_by_text("Buying coins needs an account")).to_be_visible()
    await expect(ben.page.get_by_role("button", name="Buy 70 coins for $0.99")).to_be_disabled()

    # The way to an account leads back to where it was begun.
    page = ben.page
    await page.get_by_role("main").get_by_role("link", name="Create account").click()
    await page.get_by_role("main").get_by_role("link", name="Sign in").click()
    await page.reload()
    await page.get_by_role("main").get_by_role("link", name="Create account").click()
    await sign_up(ben, "ben")
    await expect(page.get_by_role("heading", name="Wallet", exact=True)).to_be_visible()
    await buy(ben, "70 coins for $0.99")
    await expect_coins(ben, "70 coins")
    await ben.page.get_by_role("link", name="Wall", exact=True).click()
    assert await ben.place(ana.name) == place
    # What was said to the guest is not true any more.
    await expect(crown).to_have_accessible_description(re.compile("you have 70 coins"))
    await expect(ben.page.get_by_role("alert")).to_have_count(0)


@pytest.mark.spec("D4")
async def test_an_old_purchase_is_followed_and_a_short_failure_goes_by_itself(
    site: Site, open_in: OpenWindow
) -> None:
    await site.admin.execute("UPDATE private.money_settings SET purchases_per_minute = 10")
    ben = await create_account(await open_in(site, 1), "ben")
    page = ben.page
    packs = [{"pack_id": "coins_70", "idempotency_key": f"purchase-{at}"} for at in range(6)]
    made = [await post(ben, "/api/purchases", pack) for pack in packs]
    ben.forgive("ERR_INTERNET_DISCONNECTED")
    await ben.context.set_offline(True)
    await page.get_by_role("link", name="Wallet: you have").click()
    await expect(page.get_by_role("button", name="Try again")).to_have_count(3)
    await ben.context.set_offline(False)
    await expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    await expect(page.get_by_role("button", name="Buy 70 coins for $0.99")).to_be_enabled()

    rows = page.get_by_test_id("purchases").get_by_role("listitem")
    await expect(rows).to_have_count(5)
    await page.get_by_role("region", name="Purchases").get_by_role("button").click()
    await expect(rows).to_have_count(6)
    oldest = made[0]["purchase"]["provider_payment_id"]
    async with httpx.AsyncClient(trust_env=False) as elsewhere:
        paid = await elsewhere.post(f"{site.url}/api/sandbox/payments/{oldest}/pay")
    assert paid.status_code == 200
    await expect(rows.last).to_contain_text("Completed")
    await expect(rows).to_have_count(6)


@pytest.mark.spec("S26")
async def test_what_is_asked_again_after_a_lost_answer_happens_once(
    site: Site, open_in: OpenWindow
) -> None:
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live()
    ben = await create_account(await open_in(site, 1), "ben")
    lost: set[str] = set()

    async def lose_first_answer(route: Route) -> None:
        if route.request.method == "POST" and route.request.url not in lost:
            lost.add(route.request.url)
            await route.fetch()
            await route.abort()
        else:
            await route.continue_()

    ben.forgive("ERR_FAILED")
    await ben.page.route(re.compile("/api/(purchases|gifts)$"), lose_first_answer)
    await ben.page.get_by_role("link", name="Wallet: you have").click()
    pack = ben.page.get_by_role("button", name="Buy 70 coins for $0.99")
    await pack.click()
    await expect(ben.page.get_by_role("alert")).to_contain_text("can not be reached")
    await newest_purchase(ben).get_by_role("link").click()
    await expect(ben.page.get_by_role("button", name="Go on to payment")).to_be_visible()
    await expect(ben.page.get_by_role("alert")).to_have_count(0)
    await ben.page.get_by_role("link", name="Wallet", exact=True).click()
    await expect(ben.page.get_by_role("alert")).to_have_count(0)
    await pack.click()
    await choose(ben, "Pay")
    await expect_coins(ben, "70 coins")
    assert await site.admin.fetchval("SELECT count(*) FROM public.coin_purchases") == 1

    await ben.page.get_by_role("link", name="Wall", exact=True).click()
    await ben.page.get_by_role("button", name=f"Send Rose for {ana.name}, 10 coins").click()
    await expect_coins(ben, "60 coins")
    assert await site.admin.fetchval("SELECT count(*) FROM public.gifts") == 1
    assert len(lost) == 2


@pytest.mark.spec("D4")
@pytest.mark.abuse("A29")
async def test_who_owes_is_told_so_and_how_it_ends(site: Site, open_in: OpenWindow) -> None:
    ana = await (await open_in(site, 0)).continue_as_guest()
    await ana.go_live()
    ben = await create_account(await open_in(site, 1), "ben")
    await buy(ben, "70 coins for $0.99")
    await expect_coins(ben, "70 coins")
    await ben.page.get_by_role("link", name="Wall", exact=True).click()
    await ben.page.get_by_role("button", name=f"Send Heart for {ana.name}, 50 coins").click()
    await expect_coins(ben, "20 coins")

    purchase = (await ben.ask("/api/purchases"))["purchases"][0]["id"]
    fay = await create_staff(site, await open_in(site, 0), "fay")
    await refund(fay, purchase)
    await expect_coins(ben, "0 coins")
    await ben.page.get_by_role("button", name=f"Send Rose for {ana.name}, 10 coins").press("Enter")
    note = ben.page.get_by_role("alert")
    await expect(note).to_contain_text("You owe 50 coins, so gifts are on hold.")
    await note.get_by_role("link", name="Open the wallet").click()
    await expect(ben.page.get_by_text("You owe 50 coins, and until that is repaid")).to_be_visible()
    await expect_lines(
        ben,
        "coins",
        ("Coins taken back for the refund of P-1", "−70", "−50 coins"),  # noqa: RUF001
        ("Heart for", "−50", "20 coins"),  # noqa: RUF001
        ("Coins bought, P-1", "+70", "70 coins"),
    )
    await expect(newest_purchase(ben)).to_contain_text("Refunded")
    await buy(ben, "350 coins for $4.99")
    await expect_coins(ben, "300 coins")
    await expect(ben.page.get_by_text("You owe")).to_have_count(0)
    await newest_purchase(ben).get_by_role("link").click()
    await expect(ben.page.get_by_test_id("receipt")).to_contain_text(
        "50 coins repaid what you owed. The other 300 coins went into your wallet."
    )
