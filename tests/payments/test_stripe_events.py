"""Stripe's events in their real shape, written by us from its documentation, signed as it signs."""

import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livewall.errors import Refusal
from livewall.payments import (
    Authorized,
    Canceled,
    Captured,
    Dispute,
    Fact,
    Failed,
    Processing,
    Refund,
    RequiresAction,
    as_arguments,
)
from livewall.payments.stripe import Stripe
from livewall.payments.stripe_events import READERS
from tests.payments.conftest import WEBHOOK_SECRET

FIXTURES = Path(__file__).parent / "fixtures"
PURCHASE = UUID("0b4f7a52-6c1e-4f0e-9d54-2b8f6a1c7e90")
START = datetime.fromtimestamp(1795600000, UTC)
WEEK = START + timedelta(days=7)
AUTO: dict[str, Any] = {"payment_id": "pi_3TLwAutoPay0000001", "amount_cents": 1999}
MANUAL: dict[str, Any] = {"payment_id": "pi_3TLwManualPay00002", "amount_cents": 3250000}
LESS = MANUAL | {"amount_cents": 3000000}
OURS: dict[str, Any] = {"currency": "usd", "purchase_id": PURCHASE}
REFUND: dict[str, Any] = {
    "payment_id": "pi_3TLwAutoPay0000001",
    "amount_cents": 500,
    "currency": "usd",
    "refund_id": "re_3TLwPart000000001",
}
DISPUTE: dict[str, Any] = AUTO | {"currency": "usd", "dispute_id": "du_3TLwDispute000001"}


def after(seconds: int) -> dict[str, Any]:
    """The time of an event."""
    return {"at": START + timedelta(seconds=seconds)}


LATE = after(900_000)
AUTHORIZED = Authorized(**MANUAL, **OURS, **after(61), capture_before=WEEK, card_country="DE")
EXPECTED: dict[str, list[Fact] | None] = {
    "payment_intent.requires_action": [RequiresAction(**AUTO, **OURS, **after(50))],
    "payment_intent.processing": [Processing(**AUTO, **OURS, **after(55))],
    "payment_intent.amount_capturable_updated": [Authorized(**MANUAL, **OURS, **after(61))],
    "payment_intent.amount_capturable_updated-expanded": [AUTHORIZED],
    "payment_intent.amount_capturable_updated-nothing": [],
    "payment_intent.succeeded": [Captured(**AUTO, **OURS, **after(62))],
    "payment_intent.succeeded-jpy": [
        Captured(**AUTO, **after(62), currency="jpy", purchase_id=PURCHASE)
    ],
    "payment_intent.succeeded-foreign": [
        Captured(payment_id="pi_3TLwOtherShop00009", amount_cents=1999, currency="usd", **after(62))
    ],
    "payment_intent.succeeded-less": [Captured(**LESS, **OURS, **after(401))],
    "payment_intent.payment_failed": [
        Failed(**AUTO, **OURS, **after(58), reason="insufficient_funds")
    ],
    "payment_intent.canceled": [Canceled(**MANUAL, **OURS, **after(500))],
    "charge.succeeded": [Captured(**AUTO, **OURS, **after(61), card_country="DE")],
    "charge.succeeded-manual": [AUTHORIZED],
    "charge.succeeded-no-payment": [],
    "charge.captured": [Captured(**MANUAL, **OURS, **after(400), card_country="DE")],
    "charge.captured-less": [Captured(**LESS, **OURS, **after(401), card_country="DE")],
    "charge.refunded": [],
    "charge.refunded-listed": [
        Refund(**REFUND, **after(7300), status="succeeded"),
        Refund(
            **REFUND | {"refund_id": "re_3TLwPart000000002", "amount_cents": 250},
            **after(7300),
            status="pending",
        ),
    ],
    "charge.refund.updated": [Refund(**REFUND, **after(7205), status="succeeded")],
    "refund.created": [Refund(**REFUND, **after(7200), status="pending")],
    "refund.updated": [Refund(**REFUND, **after(7205), status="succeeded")],
    "refund.updated-canceled": [Refund(**REFUND, **after(7206), status="canceled")],
    "refund.failed": [Refund(**REFUND, **after(90_000), status="failed")],
    "charge.dispute.created": [Dispute(**DISPUTE, **after(86_400), status="open")],
    "charge.dispute.created-inquiry": [],
    "charge.dispute.updated": [Dispute(**DISPUTE, **after(90_000), status="open")],
    "charge.dispute.updated-escalated": [Dispute(**DISPUTE, **after(90_000), status="open")],
    "charge.dispute.closed": [Dispute(**DISPUTE, **LATE, status="lost")],
    "charge.dispute.closed-won": [Dispute(**DISPUTE, **LATE, status="won")],
    "charge.dispute.closed-inquiry": [],
    "charge.dispute.closed-prevented": [Dispute(**DISPUTE, **LATE, status="lost")],
    "charge.dispute.funds_withdrawn": [Dispute(**DISPUTE, **after(86_401), status="open")],
    "charge.dispute.funds_withdrawn-inquiry": [Dispute(**DISPUTE, **after(86_401), status="open")],
    "charge.dispute.funds_reinstated": [Dispute(**DISPUTE, **after(900_001), status="won")],
    "radar.early_fraud_warning.created": None,
}

# Whose payment it is when the facts do not say it.
PAYMENT_OF = {
    "payment_intent.amount_capturable_updated-nothing": MANUAL["payment_id"],
    "charge.succeeded-no-payment": None,
    "charge.refunded": AUTO["payment_id"],
    "charge.dispute.created-inquiry": AUTO["payment_id"],
    "charge.dispute.closed-inquiry": AUTO["payment_id"],
    "radar.early_fraud_warning.created": AUTO["payment_id"],
}


def body_of(name: str) -> bytes:
    """A fixture byte for byte."""
    return (FIXTURES / f"{name}.json").read_bytes()


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET, age: int = 0) -> dict[str, str]:
    """The headers of a delivery, signed by the scheme of Stripe's documentation."""
    sent = int(time.time()) - age
    mac = hmac.new(secret.encode(), b"%d.%s" % (sent, body), hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={sent},v1={mac}", "content-type": "application/json"}


def refusal_of(stripe: Stripe, headers: dict[str, str], body: bytes) -> str:
    """The code with which a delivery is refused."""
    with pytest.raises(Refusal) as caught:
        stripe.read_event(headers, body)
    return caught.value.code


def test_there_is_a_fixture_for_every_event_we_know() -> None:
    names = {path.stem for path in FIXTURES.glob("*.json")}
    assert names == set(EXPECTED)
    assert set(READERS) == {name.partition("-")[0] for name in names if EXPECTED[name] is not None}


@pytest.mark.parametrize("name", EXPECTED)
def test_each_event_says_its_facts(stripe: Stripe, name: str) -> None:
    body = body_of(name)
    event = stripe.read_event(signed(body), body)
    assert event.facts == EXPECTED[name]
    assert (event.id, event.type) == (event.payload["id"], name.partition("-")[0])
    assert event.payload == json.loads(body)
    named = {fact.payment_id for fact in event.facts or []} or {PAYMENT_OF[name]}
    assert {event.payment_id} == named
    # Again, as a repeated delivery and as a replay of what is stored.
    assert stripe.read_event(signed(body), body) == event
    assert stripe.facts_of(event.payload) == event.facts


def test_facts_are_plain_arguments_for_the_database() -> None:
    (argument,) = as_arguments([AUTHORIZED])
    assert json.loads(msgspec.json.encode(argument)) == {
        "kind": "authorized",
        "payment_id": "pi_3TLwManualPay00002",
        "at": "2026-11-25T09:47:41Z",
        "amount_cents": 3250000,
        "currency": "usd",
        "purchase_id": str(PURCHASE),
        "capture_before": "2026-12-02T09:46:40Z",
        "card_country": "DE",
    }
    assert msgspec.convert(argument, Authorized) == AUTHORIZED


@pytest.mark.abuse("A24")
def test_a_signature_that_is_wrong_or_old_is_refused(stripe: Stripe) -> None:
    body = body_of("payment_intent.succeeded")
    mac = signed(body)["stripe-signature"].partition("v1=")[2]
    now = int(time.time())
    refused: list[dict[str, str]] = [
        {},
        {"stripe-signature": ""},
        {"stripe-signature": "nonsense"},
        {"stripe-signature": f"t={now}"},
        {"stripe-signature": f"v1={mac}"},
        {"stripe-signature": f"t=soon,v1={mac}"},
        {"stripe-signature": f"t={now},v0={mac}"},
        {"stripe-signature": f"t={now - 1},v1={mac}"},
        {"stripe-signature": f"t={now},v1={mac[:-1]}"},
        {"stripe-signature": f"t={now},v1=äöü"},
        signed(body, secret="whsec_of_somebody_else"),
        signed(body, secret=""),
        signed(body, age=302),
        signed(body, age=86_400),
        signed(b"", age=0),
    ]
    for headers in refused:
        assert refusal_of(stripe, headers, body) == "bad_signature", headers
    assert stripe.read_event(signed(body, age=290), body).facts


def test_a_secret_being_rolled_is_taken_by_either_signature(stripe: Stripe) -> None:
    body = body_of("payment_intent.succeeded")
    old = signed(body, secret="whsec_before")["stripe-signature"].partition("v1=")[2]
    both = signed(body)["stripe-signature"] + f",v1={old},v0=ignored"
    assert stripe.read_event({"stripe-signature": both}, body).facts


@pytest.mark.abuse("A24")
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_an_altered_or_truncated_body_is_refused(stripe: Stripe, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(EXPECTED)))
    body = body_of(name)
    headers = signed(body)
    place = data.draw(st.integers(0, len(body) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != body[place]))
    altered = body[:place] + bytes([other]) + body[place + 1 :]
    assert refusal_of(stripe, headers, altered) == "bad_signature"
    assert refusal_of(stripe, headers, body[:place]) == "bad_signature"
    assert refusal_of(stripe, headers, body + b" ") == "bad_signature"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"event"',
        b"{",
        b'{"id": "evt_1"',
        b"payment=1&amount=2",
        b'{"id": "evt_1", "type": "refund.created", "amount": NaN}',
        b'{"type": "refund.created"}',
        b'{"id": "evt_1"}',
        b'{"id": "", "type": "refund.created"}',
        b'{"id": 7, "type": "refund.created"}',
        b'{"id": "evt_1", "type": null}',
        b'{"a":' * 100_000,
        body_of("refund.created")[:-30],
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_signed_body_that_is_no_event_is_refused(stripe: Stripe, body: bytes) -> None:
    assert refusal_of(stripe, signed(body), body) == "invalid_message"


def test_bytes_that_are_no_text_or_far_too_many_are_refused(stripe: Stripe) -> None:
    assert refusal_of(stripe, signed(b"\xff\xfe"), b"\xff\xfe") == "bad_signature"
    body = body_of("refund.created")
    assert refusal_of(stripe, signed(body), body + b" " * 20_000_000) == "bad_signature"


@pytest.mark.abuse("A35")
@pytest.mark.parametrize(
    ("about", "payment_id"),
    [
        ({"payment_intent": "pi_1"}, "pi_1"),
        ({"payment_intent": {"id": "pi_1", "object": "payment_intent"}}, "pi_1"),
        ({"object": "payment_intent", "id": "pi_1"}, "pi_1"),
        ({"object": "customer", "id": "cus_1"}, None),
        ({"payment_intent": 7}, None),
        ("nothing", None),
    ],
)
def test_an_event_of_any_kind_says_its_payment(
    stripe: Stripe, about: object, payment_id: str | None
) -> None:
    event = {"id": "evt_1", "type": "of.tomorrow", "data": {"object": about}}
    body = json.dumps(event).encode()
    read = stripe.read_event(signed(body), body)
    assert (read.payment_id, read.facts) == (payment_id, None)


@pytest.mark.parametrize(
    "change",
    [
        {"data": {}},
        {"data": {"object": {}}},
        {"data": {"object": {"id": "re_1", "amount": "500", "currency": "usd"}}},
        {"data": {"object": {"id": "re_1", "amount": 5.5, "currency": "usd"}}},
        {"created": None},
        {"created": 10**30},
        {"created": -(10**12)},
    ],
    ids=repr,
)
def test_an_event_in_a_shape_we_do_not_know_is_kept_without_facts(
    stripe: Stripe, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps(json.loads(body_of("refund.created")) | change).encode()
    assert stripe.read_event(signed(body), body).facts is None
    assert "event_not_understood" in capsys.readouterr().out
