"""Calls of the SDK over real HTTP, and what Stripe's answers to them become."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import msgspec
import pytest
import stripe as sdk

from livewall.payments import (
    Canceled,
    Captured,
    CardForm,
    Fact,
    Intent,
    Processing,
    ProviderAway,
    ProviderRefused,
    Refund,
    Started,
)
from livewall.payments import stripe as module
from livewall.payments.stripe import Stripe
from tests.payments.conftest import SECRET_KEY, stripe_settings
from tests.payments.remote import Heard, Json, Remote
from tests.payments.test_stripe_events import body_of

PURCHASE = UUID("0b4f7a52-6c1e-4f0e-9d54-2b8f6a1c7e90")
INTENT = Intent(PURCHASE, 1042, 1999, "manual", "purchase 1042")
PAYMENT = "pi_3TLwAutoPay0000001"
Call = Callable[[Stripe], Awaitable[object]]
CALLS: dict[str, Call] = {
    "create": lambda provider: provider.create(INTENT),
    "capture": lambda provider: provider.capture(PAYMENT, 1999, "capture 1"),
    "cancel": lambda provider: provider.cancel(PAYMENT, 1999, "cancel 1"),
    "refund": lambda provider: provider.refund(PAYMENT, 500, "refund 1"),
}


def intent(status: str, **more: Any) -> Json:
    """A PaymentIntent as Stripe answers it."""
    made: Json = json.loads(body_of("payment_intent.succeeded"))["data"]["object"]
    return made | {"status": status} | more


def refund(**more: Any) -> Json:
    """A refund as Stripe answers it."""
    return json.loads(body_of("refund.updated"))["data"]["object"] | more


def listed(*objects: Json) -> Json:
    """A list as Stripe answers it."""
    return {"object": "list", "data": list(objects), "has_more": False, "url": "/v1/refunds"}


def error(code: str, kind: str = "invalid_request_error") -> Json:
    """An error as Stripe answers it."""
    return {"error": {"type": kind, "code": code, "message": "Something about sk_live_secret."}}


def form(heard: Heard) -> dict[str, str]:
    """The parameters of a request."""
    return {name: values[0] for name, values in parse_qs(heard.body.decode()).items()}


def facts(given: list[Fact]) -> list[tuple[type, int]]:
    """Kinds and amounts."""
    return [(type(fact), fact.amount_cents) for fact in given]


async def test_a_payment_is_created_with_all_that_it_needs(stubbed: Stripe, there: Remote) -> None:
    there.say((200, intent("requires_payment_method")))
    started = await stubbed.create(INTENT)
    secret = f"{PAYMENT}_secret_notarealsecret"
    assert started == Started(PAYMENT, CardForm(secret, "pk_test_1"))
    (heard,) = there.heard
    assert (heard.method, heard.path) == ("POST", "/v1/payment_intents")
    assert heard.headers["idempotency-key"] == "purchase 1042"
    assert heard.headers["authorization"] == f"Bearer {SECRET_KEY}"
    assert heard.headers["stripe-version"] == module.API_VERSION == sdk.api_version
    assert "telemetry" not in str(heard.headers)
    assert form(heard) == {
        "amount": "1999",
        "currency": "usd",
        "capture_method": "manual",
        "metadata[purchase_id]": str(PURCHASE),
        "metadata[purchase_number]": "1042",
    }


async def test_every_call_says_what_it_wants(stubbed: Stripe, there: Remote) -> None:
    there.say((200, intent("succeeded", amount_received=1999)))
    assert facts(await stubbed.capture(PAYMENT, 1999, "capture 1")) == [(Captured, 1999)]
    there.say((200, intent("canceled")))
    assert facts(await stubbed.cancel(PAYMENT, 1999, "cancel 1")) == [(Canceled, 1999)]
    there.say((200, listed()), (200, refund(status="pending")))
    assert facts(await stubbed.refund(PAYMENT, 500, "refund 1")) == [(Refund, 500)]
    posts = [heard for heard in there.heard if heard.method == "POST"]
    assert [heard.path for heard in posts] == [
        f"/v1/payment_intents/{PAYMENT}/capture",
        f"/v1/payment_intents/{PAYMENT}/cancel",
        "/v1/refunds",
    ]
    assert form(posts[0])["amount_to_capture"] == "1999"
    assert form(posts[2]) | {"payment_intent": ""} == {
        "payment_intent": "",
        "amount": "500",
        "metadata[call]": "refund 1",
    }
    assert posts[2].headers["idempotency-key"] == "refund 1"


async def test_a_refund_is_not_made_twice_when_stripe_has_forgotten_the_key(
    stubbed: Stripe, there: Remote
) -> None:
    others = [refund(id="re_other", metadata={"call": "refund 0"}), refund(id="re_x", metadata={})]
    there.say((200, listed(*others, refund(metadata={"call": "refund 1"}))))
    (fact,) = await stubbed.refund(PAYMENT, 500, "refund 1")
    assert isinstance(fact, Refund)
    assert (fact.refund_id, fact.status) == ("re_3TLwPart000000001", "succeeded")
    assert [heard.method for heard in there.heard] == ["GET"]


@pytest.mark.parametrize(("status", "kind"), [("succeeded", Captured), ("canceled", Canceled)])
async def test_a_refused_call_finds_out_how_the_payment_ended(
    stubbed: Stripe, there: Remote, status: str, kind: type
) -> None:
    for call in (stubbed.capture, stubbed.cancel):
        there.say((400, error("payment_intent_unexpected_state")), (200, intent(status)))
        assert facts(await call(PAYMENT, 1999, "again")) == [(kind, 1999)]


async def test_a_payment_that_did_not_end_keeps_its_refusal(stubbed: Stripe, there: Remote) -> None:
    unexpected = (400, error("payment_intent_unexpected_state"))
    there.say(unexpected, (200, intent("requires_payment_method")))
    with pytest.raises(ProviderRefused) as caught:
        await stubbed.capture(PAYMENT, 1999, "capture 1")
    assert caught.value.fields == {"reason": "payment_intent_unexpected_state"}
    there.say(unexpected, (200, intent("processing")))
    with pytest.raises(ProviderAway):
        await stubbed.cancel(PAYMENT, 1999, "cancel 1")


async def test_a_capture_that_takes_its_time_says_so(stubbed: Stripe, there: Remote) -> None:
    there.say((200, intent("processing")))
    assert facts(await stubbed.capture(PAYMENT, 1999, "capture 1")) == [(Processing, 1999)]


ANSWERS: list[tuple[int, Json, type[Exception]]] = [
    (400, error("parameter_invalid_integer"), ProviderRefused),
    (404, error("resource_missing"), ProviderRefused),
    (400, error("", "idempotency_error"), ProviderRefused),
    (401, error(""), ProviderAway),
    (403, error(""), ProviderAway),
    (409, error("idempotency_key_in_use", "idempotency_error"), ProviderAway),
    (429, error("rate_limit"), ProviderAway),
    (429, error("lock_timeout"), ProviderAway),
    (400, error("lock_timeout"), ProviderAway),
    (500, error("", "api_error"), ProviderAway),
    (503, {"html": "<h1>Bad gateway</h1>"}, ProviderAway),
    (200, {"object": "list", "data": "nonsense"}, ProviderAway),
]


@pytest.mark.parametrize(("status", "answer", "kind"), ANSWERS, ids=lambda value: str(value)[:70])
async def test_an_error_is_final_or_not_and_names_no_secret(
    there: Remote,
    status: int,
    answer: Json,
    kind: type[Exception],
    capfd: pytest.CaptureFixture[str],
) -> None:
    provider = Stripe(stripe_settings(there.url))
    there.say((status, answer))
    for call in CALLS.values():
        with pytest.raises(kind) as caught:
            await call(provider)
        shown = f"{caught.value} {caught.value.__dict__} {capfd.readouterr()}"
        assert SECRET_KEY not in shown
        assert "sk_live" not in shown
    await provider.close()


async def test_what_is_said_about_a_card_is_for_its_holder(stubbed: Stripe, there: Remote) -> None:
    said = {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}
    there.say((402, {"error": said}))
    with pytest.raises(ProviderRefused, match="Your card was declined"):
        await stubbed.create(INTENT)


async def test_whoever_does_not_answer_is_away(
    stubbed: Stripe, there: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALL_SECONDS", 0.3)
    there.pause = 5
    for call in CALLS.values():
        with pytest.raises(ProviderAway):
            await call(stubbed)


async def test_a_port_that_nobody_listens_on_is_away() -> None:
    provider = Stripe(stripe_settings("http://127.0.0.1:9"))
    for call in CALLS.values():
        with pytest.raises(ProviderAway):
            await call(provider)
    await provider.close()


async def test_a_lost_answer_is_asked_for_again_with_the_same_key(
    stubbed: Stripe, there: Remote
) -> None:
    there.say((0, {}), (200, intent("requires_payment_method")))
    assert (await stubbed.create(INTENT)).payment_id == PAYMENT
    assert [heard.headers["idempotency-key"] for heard in there.heard] == ["purchase 1042"] * 2


BROKEN: tuple[int, Json] = (500, error("", "api_error"))
NO_REFUNDS: tuple[int, Json] = (200, listed())


@pytest.mark.spec("S25")
@pytest.mark.parametrize(
    ("call", "before", "after"),
    [
        ("create", [], [intent("requires_payment_method")]),
        ("capture", [], [intent("succeeded")]),
        ("cancel", [], [intent("canceled")]),
        ("refund", [NO_REFUNDS], [listed(), listed(), refund()]),
    ],
)
async def test_a_500_does_not_stick_to_what_is_asked_again(
    stubbed: Stripe, there: Remote, call: str, before: list[tuple[int, Json]], after: list[Json]
) -> None:
    there.say(*before, BROKEN)
    with pytest.raises(ProviderAway):
        await CALLS[call](stubbed)
    # Well again, but whatever key got a 500 keeps it.
    there.say(*((200, answer) for answer in after))
    await CALLS[call](stubbed)


@pytest.mark.parametrize(
    ("call", "status", "kind"),
    [("capture", "succeeded", Captured), ("cancel", "canceled", Canceled)],
)
async def test_a_500_after_the_deed_is_found_out(
    stubbed: Stripe, there: Remote, call: str, status: str, kind: type
) -> None:
    there.say(BROKEN, (200, intent(status)))
    (fact,) = await getattr(stubbed, call)(PAYMENT, 1999, "key")
    assert isinstance(fact, kind)
    assert [heard.method for heard in there.heard] == ["POST", "POST", "GET"]


async def test_a_refund_that_was_made_in_spite_of_a_500_is_not_made_again(
    stubbed: Stripe, there: Remote
) -> None:
    made = listed(refund(metadata={"call": "refund 1"}))
    there.say((200, listed()), BROKEN, (200, made))
    (fact,) = await stubbed.refund(PAYMENT, 500, "refund 1")
    assert isinstance(fact, Refund)
    assert [heard.path.partition("?")[0] for heard in there.heard] == ["/v1/refunds"] * 4
    assert len({h.headers["idempotency-key"] for h in there.heard if h.method == "POST"}) == 1


async def test_a_payment_made_before_is_looked_up_not_made_again(
    stubbed: Stripe, there: Remote
) -> None:
    there.say((200, intent("requires_payment_method")))
    started = await stubbed.create(msgspec.structs.replace(INTENT, payment_id=PAYMENT))
    assert started == Started(PAYMENT, CardForm(f"{PAYMENT}_secret_notarealsecret", "pk_test_1"))
    assert [(h.method, h.path.partition("?")[0]) for h in there.heard] == [
        ("GET", f"/v1/payment_intents/{PAYMENT}")
    ]


async def test_calls_do_not_wait_for_each_other(stubbed: Stripe, there: Remote) -> None:
    there.answering.clear()
    there.say((200, intent("succeeded")))
    calls = asyncio.gather(*(stubbed.capture(PAYMENT, 1999, f"capture {n}") for n in range(20)))
    await there.until(lambda heard: len(heard) == 20, "twenty calls before the first answer")
    there.answering.set()
    await calls
