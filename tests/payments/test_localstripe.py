"""The whole way over HTTP against localstripe, which answers and reports as Stripe does.

It knows neither idempotency keys nor API versions, and reports only payments that succeeded or
failed; test_stripe_calls.py and the fixtures prove the rest.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from livewall.payments import (
    Canceled,
    Captured,
    CardForm,
    Failed,
    Intent,
    ProviderAway,
    ProviderEvent,
    ProviderRefused,
    Refund,
    Started,
)
from livewall.payments.stripe import Stripe
from tests.payments.conftest import stripe_settings, stripes_script
from tests.payments.remote import Remote

GOOD = "pm_card_visa"
DECLINED = "pm_card_chargeCustomerFail"
ASKS = {"number": "4000002500003155", "exp_month": "12", "exp_year": "2030", "cvc": "123"}


@dataclass
class Shop:
    """Our provider and a buyer's browser in front of one localstripe."""

    provider: Stripe
    http: httpx.AsyncClient
    there: Remote

    async def start(self, capture: Literal["automatic", "manual"]) -> tuple[UUID, Started]:
        """A payment of 19.99 for a new purchase."""
        purchase = uuid4()
        return purchase, await self.provider.create(
            Intent(purchase, 7, 1999, capture, str(purchase))
        )

    async def post(self, path: str, **form: Any) -> httpx.Response:
        """What Stripe's script does in the browser."""
        return await self.http.post(f"/v1/{path}", data=form)

    async def pay(self, payment_id: str, method: str = GOOD) -> httpx.Response:
        """Enter a card and press the button."""
        await self.post(f"payment_intents/{payment_id}", payment_method=method)
        return await self.post(f"payment_intents/{payment_id}/confirm")

    async def event(self, number: int = 1) -> ProviderEvent:
        """Wait for a webhook and read it as our own route would."""
        heard = await self.there.until(lambda heard: len(heard) >= number, f"webhook {number}")
        return self.provider.read_event(heard[number - 1].headers, heard[number - 1].body)


@pytest_asyncio.fixture
async def shop(localstripe: str, there: Remote) -> AsyncGenerator[Shop]:
    """A shop whose webhooks come to `there`."""
    provider = Stripe(stripe_settings(localstripe))
    async with stripes_script(localstripe, there.url) as http:
        yield Shop(provider, http, there)
    await provider.close()


async def test_a_payment_is_captured_at_once_and_reported(shop: Shop) -> None:
    purchase, started = await shop.start("automatic")
    assert isinstance(started.checkout, CardForm)
    assert started.checkout.client_secret.startswith(started.payment_id)
    assert (await shop.pay(started.payment_id)).json()["status"] == "succeeded"
    event = await shop.event()
    assert event.type == "payment_intent.succeeded"
    assert event.facts is not None
    (fact,) = event.facts
    assert isinstance(fact, Captured)
    assert (fact.payment_id, fact.purchase_id) == (started.payment_id, purchase)
    assert (fact.amount_cents, fact.currency) == (1999, "usd")


async def test_a_large_payment_is_held_then_captured_once(shop: Shop) -> None:
    purchase, started = await shop.start("manual")
    assert (await shop.pay(started.payment_id)).json()["status"] == "requires_capture"
    (fact,) = await shop.provider.capture(started.payment_id, 1999, "capture")
    assert isinstance(fact, Captured)
    assert (fact.amount_cents, fact.purchase_id) == (1999, purchase)
    # The answer was lost, the worker asks again: localstripe refuses, we see that it is done.
    (again,) = await shop.provider.capture(started.payment_id, 1999, "capture")
    assert isinstance(again, Captured)
    (late,) = await shop.provider.cancel(started.payment_id, 1999, "cancel")
    assert isinstance(late, Captured)
    event = await shop.event()
    assert event.facts is not None
    assert [type(told) for told in event.facts] == [Captured]


async def test_a_held_payment_is_canceled_and_stays_so(shop: Shop) -> None:
    purchase, started = await shop.start("manual")
    await shop.pay(started.payment_id)
    for call in (shop.provider.cancel, shop.provider.cancel, shop.provider.capture):
        (fact,) = await call(started.payment_id, 1999, "key")
        assert isinstance(fact, Canceled)
        assert fact.purchase_id == purchase


async def test_refunds_in_parts_each_once(shop: Shop) -> None:
    _, started = await shop.start("automatic")
    await shop.pay(started.payment_id)
    (first,) = await shop.provider.refund(started.payment_id, 500, "refund 1")
    (again,) = await shop.provider.refund(started.payment_id, 500, "refund 1")
    (second,) = await shop.provider.refund(started.payment_id, 250, "refund 2")
    assert isinstance(first, Refund)
    assert isinstance(again, Refund)
    assert isinstance(second, Refund)
    assert first.refund_id == again.refund_id != second.refund_id
    assert (first.amount_cents, second.amount_cents) == (500, 250)
    assert {first.status, second.status} == {"succeeded"}
    charges = (await shop.http.get("/v1/charges")).json()["data"]
    assert [charge["amount_refunded"] for charge in charges] == [750]


async def test_a_declined_card_is_reported_and_another_one_pays(shop: Shop) -> None:
    _, started = await shop.start("automatic")
    assert (await shop.pay(started.payment_id, DECLINED)).status_code == 402
    event = await shop.event()
    assert event.type == "payment_intent.payment_failed"
    assert event.facts is not None
    (fact,) = event.facts
    assert isinstance(fact, Failed)
    assert (fact.payment_id, fact.reason) == (started.payment_id, "card_declined")


async def test_a_card_that_asks_its_bank(shop: Shop) -> None:
    _, started = await shop.start("automatic")
    card = {f"card[{name}]": value for name, value in ASKS.items()}
    method = (await shop.post("payment_methods", type="card", **card)).json()["id"]
    assert (await shop.pay(started.payment_id, method)).json()["status"] == "requires_action"
    assert isinstance(started.checkout, CardForm)
    done = await shop.post(
        f"payment_intents/{started.payment_id}/_authenticate",
        client_secret=started.checkout.client_secret,
        success="true",
    )
    assert done.json()["status"] == "succeeded"
    event = await shop.event()
    assert event.facts is not None
    assert [type(fact) for fact in event.facts] == [Captured]


async def test_what_does_not_exist_is_refused_and_a_bad_key_is_not_final(
    shop: Shop, localstripe: str
) -> None:
    for call in (shop.provider.capture, shop.provider.cancel):
        with pytest.raises(ProviderRefused):
            await call("pi_nobody", 100, "key")
    stranger = Stripe(stripe_settings(localstripe))
    stranger._client._requestor._options.api_key = "pk_wrong"  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]
    with pytest.raises(ProviderAway):
        await stranger.create(Intent(uuid4(), 1, 100, "automatic", "key"))
    await stranger.close()
