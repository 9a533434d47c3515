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
    expect_coins,
    expect_lines,
    give_from_tile,
    newest_purchase,
    order,
    post,
    refund,
    sign_up,
)
from tests.browser.site import Site
from tests.browser.window import Window


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
        await ben.try_now()
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
    # Whoever uses a keyboard goes on from where the buttons were.
    await expect(newest_purchase(other).locator(".purchase-state")).to_be_focused()

    # Begun with a provider that the site has no more: said where the button was pressed.
    await order(ben, "70 coins for $0.99")
    await expect(newest_purchase(other)).to_contain_text("P-3")
    await site.admin.execute(
        "UPDATE public.coin_purchases SET payment_provider = 'stripe' WHERE number = 3"
    )
    pay = newest_purchase(other).get_by_role("button", name="Go on to payment")
    await pay.press("Enter")
    await expect(newest_purchase(other).get_by_role("alert")).to_contain_text("Cancel it, and")
    await expect(other.page).to_have_url(re.compile("/wallet$"))
    await expect(pay).to_be_focused()
    await newest_purchase(other).get_by_role("button", name="Cancel P-3").press("Enter")
    await expect(newest_purchase(other)).to_contain_text(re.compile("Being cancelled|Cancelled"))
    await expect(newest_purchase(other).get_by_role("button")).to_have_count(0)
    await expect(newest_purchase(other).locator(".purchase-state")).to_be_focused()
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
    await crown.click()
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
    older = page.get_by_role("region", name="Purchases").get_by_role("button", name="Show older")
    await older.click()
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
