"""Buying from click to coins over real HTTP: with the sandbox, and with localstripe as Stripe."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
import pytest_asyncio

from tests.databases import Database
from tests.payments.conftest import stripe_at, stripes_script
from tests.payments.test_stripe_events import signed
from tests.server.money import bought, buy, coins, eventually, staff, status, told
from tests.server.test_gifts import give
from tests.server.world import Json, Live, Visitor, serving, settings_for


@pytest_asyncio.fixture
async def sandbox(database: Database) -> AsyncGenerator[Live]:
    """A server with the settings of development."""
    async with serving(settings_for(database), database) as live:
        yield live


async def _press(buyer: Visitor, purchase: Json, action: str) -> None:
    path = f"/api/sandbox/payments/{purchase['provider_payment_id']}/{action}"
    answer = await buyer.http.post(path)
    assert answer.status_code == 200, answer.text


@pytest.mark.spec("S26")
@pytest.mark.spec("D4")
async def test_the_sandbox_pays_fails_asks_delays_and_repeats(sandbox: Live) -> None:
    ada = await sandbox.account("ada")
    tab = await ada.tab()
    purchase = await bought(ada)
    await _press(ada, purchase, "fail")
    await told(tab, purchase, "failed")
    await _press(ada, purchase, "pay")
    await told(tab, purchase, "completed")
    await _press(ada, purchase, "repeat")
    asked = await bought(ada, "coins_350")
    for _ in range(2):
        await _press(ada, asked, "confirm")  # asked to confirm, then confirmed
    await status(ada, asked, "completed")
    slow = await bought(ada, "coins_70")
    await _press(ada, slow, "delay")
    await status(ada, slow, "processing")
    await told(tab, slow, "completed")
    assert await coins(ada) == 700 + 350 + 70
    entries = (await ada.http.get("/api/wallet/statement")).json()["entries"]
    assert [e["amount"] for e in entries] == [70, 350, 700]


@pytest.mark.spec("S25")
async def test_the_sandbox_holds_what_is_large(sandbox: Live) -> None:
    ada, fin = await sandbox.account("ada"), await staff(sandbox, "fin")
    first, second = [await bought(ada, "coins_2275000") for _ in range(2)]
    for purchase in (first, second):
        await _press(ada, purchase, "pay")
        await status(ada, purchase, "held")
    held = (await fin.http.get("/api/admin/purchases/held")).json()["purchases"]
    assert {h["purchase"]["id"] for h in held} == {first["id"], second["id"]}
    await _decide(fin, first, "approve")
    await _decide(fin, second, "reject")
    await status(ada, first, "completed")
    await status(ada, second, "rejected")
    assert await coins(ada) == 2_275_000
    await _refund(fin, first)
    done = await status(ada, first, "refunded")
    assert (done["refunded_cents"], await coins(ada)) == (3_250_000, 0)


async def _decide(member: Visitor, purchase: Json, decision: str) -> None:
    wish = {"decision": decision, "reason": "looked at it"}
    path = f"/api/admin/purchases/{purchase['id']}/decision"
    assert (await member.http.post(path, json=wish)).status_code == 200


async def _refund(member: Visitor, purchase: Json) -> None:
    wish = {"usd_cents": None, "reason": "goodwill", "idempotency_key": str(uuid4())}
    path = f"/api/admin/purchases/{purchase['id']}/refunds"
    assert (await member.http.post(path, json=wish)).status_code == 201


@dataclass
class Shop:
    """A server that sells through localstripe, and a buyer's browser in front of both."""

    live: Live
    stripe: httpx.AsyncClient

    async def pay(self, purchase: Json, card: str = "pm_card_visa") -> None:
        """Enter a card and press the button, as Stripe's script does."""
        path = f"/v1/payment_intents/{purchase['provider_payment_id']}"
        await self.stripe.post(path, data={"payment_method": card})
        await self.stripe.post(f"{path}/confirm")

    async def state(self, purchase: Json) -> str:
        """What Stripe says of a payment."""
        path = f"/v1/payment_intents/{purchase['provider_payment_id']}"
        return (await self.stripe.get(path)).json()["status"]

    async def authorized(self, purchase: Json) -> None:
        """Report what localstripe never reports: the card is authorized, nothing is taken."""
        path = f"/v1/payment_intents/{purchase['provider_payment_id']}"
        intent: Json = (await self.stripe.get(path)).json()
        intent |= {"amount_capturable": intent["amount"], "livemode": False}
        kind = "payment_intent.amount_capturable_updated"
        await self.report(kind, intent)

    async def report(self, kind: str, about: Json) -> None:
        """Deliver an event, signed as Stripe signs."""
        event: dict[str, Any] = {
            "id": f"evt_{uuid4().hex}",
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": about["created"],
            "type": kind,
            "data": {"object": about},
            "livemode": False,
            "pending_webhooks": 1,
            "request": None,
        }
        body = msgspec.json.encode(event)
        http = self.live.visitor().http
        answer = await http.post("/webhooks/stripe", content=body, headers=signed(body))
        assert answer.status_code == 200, answer.text


@pytest_asyncio.fixture
async def shop(localstripe: str, database: Database) -> AsyncGenerator[Shop]:
    """A server that sells through a localstripe, whose webhooks come back to it."""
    async with (
        serving(settings_for(database, **stripe_at(localstripe)), database) as live,
        stripes_script(localstripe, live.url) as stripe,
    ):
        yield Shop(live, stripe)


@pytest.mark.spec("S26")
@pytest.mark.spec("D4")
async def test_a_card_is_charged_and_the_coins_are_there(shop: Shop) -> None:
    ada = await shop.live.account("ada")
    tab = await ada.tab()
    answer = (await buy(ada)).json()
    assert answer["checkout"]["kind"] == "stripe"
    assert answer["checkout"]["publishable_key"] == "pk_test_1"
    purchase = answer["purchase"]
    await shop.pay(purchase, "pm_card_chargeCustomerFail")
    await told(tab, purchase, "failed")
    assert await coins(ada) == 0
    purchase = await bought(ada)
    await shop.pay(purchase)
    await told(tab, purchase, "completed")
    assert await coins(ada) == 700


@pytest.mark.spec("D4")
@pytest.mark.spec("D5")
@pytest.mark.spec("D6")
async def test_coins_bought_by_card_become_a_gift_and_both_statements_say_so(shop: Shop) -> None:
    ada, bob = await shop.live.account("ada"), await shop.live.account("bob")
    _, stream_id = await bob.go_live()
    purchase = await bought(ada)
    await shop.pay(purchase)
    await status(ada, purchase, "completed")
    given = await give(ada, bob, stream_id, "aurora")
    assert (given.status_code, given.json()["coins"]) == (201, 200)
    assert await _statement(ada, "coins") == [
        ("gift", -500, 200, "Aurora", "bob"),
        ("purchase", 700, 700, f"P-{purchase['number']}", None),
    ]
    assert await _statement(bob, "earnings") == [("gift", 350, 350, "Aurora", "ada")]
    assert await _statement(bob, "coins") == []


async def _statement(person: Visitor, currency: str) -> list[tuple[str, int, int, str, str | None]]:
    """What somebody reads: kind, amount, balance, title, with whom; the newest first."""
    answer = await person.http.get("/api/wallet/statement", params={"currency": currency})
    return [
        (
            e["kind"],
            e["amount"],
            e["balance"],
            e["title"],
            e["counterpart"] and e["counterpart"]["name"],
        )
        for e in answer.json()["entries"]
    ]


@pytest.mark.spec("S25")
@pytest.mark.spec("S23")
async def test_over_the_threshold_a_second_person_has_the_card_charged(shop: Shop) -> None:
    ada, fin = await shop.live.account("ada"), await staff(shop.live, "fin")
    purchase = await bought(ada, "coins_2275000")
    await shop.pay(purchase)
    assert await shop.state(purchase) == "requires_capture"
    await shop.authorized(purchase)
    await status(ada, purchase, "held")
    assert await coins(ada) == 0
    await _decide(fin, purchase, "approve")
    await status(ada, purchase, "completed")
    assert await shop.state(purchase) == "succeeded"
    assert await coins(ada) == 2_275_000
    await _refund(fin, purchase)
    await status(ada, purchase, "refunded")
    assert await coins(ada) == 0
    charges = (await shop.stripe.get("/v1/charges")).json()["data"]
    assert [charge["amount_refunded"] for charge in charges] == [3_250_000]


@pytest.mark.spec("S25")
async def test_a_rejected_purchase_is_never_charged(shop: Shop) -> None:
    ada, fin = await shop.live.account("ada"), await staff(shop.live, "fin")
    purchase = await bought(ada, "coins_2275000")
    await shop.pay(purchase)
    await shop.authorized(purchase)
    await status(ada, purchase, "held")
    await _decide(fin, purchase, "reject")
    await status(ada, purchase, "rejected")
    await eventually(lambda: shop.state(purchase), lambda found: found == "canceled")
    assert await coins(ada) == 0
