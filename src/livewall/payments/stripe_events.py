"""What Stripe's objects say, as facts. Imports nothing of Stripe's: the shapes name what we read.

Stripe adds fields freely, so unknown ones are ignored; a field we need and miss is an error.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal, TypeVar
from uuid import UUID

import msgspec

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
)

T = TypeVar("T")
Metadata = dict[str, str]
# What is not final yet is pending; `requires_action` waits for the buyer's bank details.
REFUNDS: Mapping[str, Literal["succeeded", "failed", "canceled"]] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "canceled",
}
DISPUTES: Mapping[str, Literal["open", "won", "lost"]] = {
    "needs_response": "open",
    "under_review": "open",
    "appeal_needs_response": "open",
    "appeal_under_review": "open",
    "won": "won",
    "lost": "lost",
}


class CardDetails(msgspec.Struct):
    """The card that was charged; `capture_before` in seconds, with manual capture only."""

    country: str | None = None
    capture_before: int | None = None


class MethodDetails(msgspec.Struct):
    """How a charge was paid; anything but a card has no field here."""

    card: CardDetails | None = None


class RefundObject(msgspec.Struct):
    """A refund; of a payment of ours only if it names one."""

    id: str
    amount: int
    currency: str
    status: str | None = None
    payment_intent: str | None = None
    metadata: Metadata | None = None


class RefundList(msgspec.Struct):
    """Refunds; of a charge in events of old API versions only."""

    data: list[RefundObject]


class ChargeObject(msgspec.Struct):
    """One attempt to move the money of a payment."""

    id: str
    amount: int
    currency: str
    captured: bool = False
    amount_captured: int | None = None
    payment_intent: str | None = None
    metadata: Metadata = {}
    payment_method_details: MethodDetails | None = None
    refunds: RefundList | None = None

    @property
    def card(self) -> CardDetails:
        """The card, or one of which nothing is known."""
        details = self.payment_method_details
        return (details and details.card) or CardDetails()


class PaymentError(msgspec.Struct):
    """Why the last attempt failed."""

    code: str | None = None
    decline_code: str | None = None


class IntentObject(msgspec.Struct):
    """A payment from its start to its end."""

    id: str
    amount: int
    currency: str
    status: str
    amount_capturable: int | None = None
    amount_received: int | None = None
    client_secret: str | None = None
    metadata: Metadata = {}
    latest_charge: str | ChargeObject | None = None
    last_payment_error: PaymentError | None = None

    @property
    def card(self) -> CardDetails:
        """The card, which only an expanded charge shows."""
        charge = self.latest_charge
        return charge.card if isinstance(charge, ChargeObject) else CardDetails()


class Movement(msgspec.Struct):
    """Money that a dispute took (negative) or returned."""

    amount: int


class DisputeObject(msgspec.Struct):
    """A dispute or an inquiry."""

    id: str
    amount: int
    currency: str
    status: str
    payment_intent: str | None = None
    balance_transactions: list[Movement] = []


def moment(seconds: int) -> datetime:
    """Return Stripe's time. Raises ValueError, OverflowError or OSError for nonsense."""
    return datetime.fromtimestamp(seconds, UTC)


def purchase_of(metadata: Metadata | None) -> UUID | None:
    """Return the purchase that we wrote on an object; None for objects of somebody else."""
    try:
        return UUID((metadata or {}).get("purchase_id", ""))
    except ValueError:
        return None


class _Belonging(msgspec.Struct):
    """A payment, or anything that names the payment it belongs to, by its id or as a whole."""

    id: str | None = None
    object: str | None = None
    payment_intent: "str | _Belonging | None" = None


class _AnyData(msgspec.Struct):
    object: _Belonging


class _AnyEvent(msgspec.Struct):
    data: _AnyData


def payment_of(payload: dict[str, object]) -> str | None:
    """Return the payment that an event of any type is about; None for one about no payment."""
    try:
        about = msgspec.convert(payload, _AnyEvent).data.object
    except msgspec.ValidationError:
        return None
    if about.object == "payment_intent":
        return about.id
    named = about.payment_intent
    return named.id if isinstance(named, _Belonging) else named


def _step(
    fact: type[RequiresAction | Processing | Canceled],
) -> Callable[[IntentObject, datetime], list[Fact]]:
    """Return a reader of the steps that say nothing but that they were taken."""
    return lambda intent, at: [
        fact(
            payment_id=intent.id,
            at=at,
            amount_cents=intent.amount,
            currency=intent.currency,
            purchase_id=purchase_of(intent.metadata),
        )
    ]


def _authorized(intent: IntentObject, at: datetime) -> list[Fact]:
    if intent.amount_capturable == 0:
        return []  # what was reserved is captured or free again, which has events of its own
    before = intent.card.capture_before
    return [
        Authorized(
            payment_id=intent.id,
            at=at,
            amount_cents=_known(intent.amount_capturable, intent.amount),
            currency=intent.currency,
            purchase_id=purchase_of(intent.metadata),
            capture_before=None if before is None else moment(before),
            card_country=intent.card.country,
        )
    ]


def _captured(intent: IntentObject, at: datetime) -> list[Fact]:
    return [
        Captured(
            payment_id=intent.id,
            at=at,
            amount_cents=_known(intent.amount_received, intent.amount),
            currency=intent.currency,
            purchase_id=purchase_of(intent.metadata),
            card_country=intent.card.country,
        )
    ]


def _failed(intent: IntentObject, at: datetime) -> list[Fact]:
    error = intent.last_payment_error or PaymentError()
    return [
        Failed(
            payment_id=intent.id,
            at=at,
            amount_cents=intent.amount,
            currency=intent.currency,
            purchase_id=purchase_of(intent.metadata),
            reason=error.decline_code or error.code or "unknown",
        )
    ]


def _known(given: int | None, otherwise: int) -> int:
    return otherwise if given is None else given


def _charge(charge: ChargeObject, at: datetime) -> list[Fact]:
    """A charge that went through is captured, or only authorized; nothing if not of a payment."""
    if charge.payment_intent is None:
        return []
    purchase_id = purchase_of(charge.metadata)
    if charge.captured:
        return [
            Captured(
                payment_id=charge.payment_intent,
                at=at,
                amount_cents=_known(charge.amount_captured, charge.amount),
                currency=charge.currency,
                purchase_id=purchase_id,
                card_country=charge.card.country,
            )
        ]
    before = charge.card.capture_before
    return [
        Authorized(
            payment_id=charge.payment_intent,
            at=at,
            amount_cents=charge.amount,
            currency=charge.currency,
            purchase_id=purchase_id,
            capture_before=None if before is None else moment(before),
            card_country=charge.card.country,
        )
    ]


def _refunds_of_charge(charge: ChargeObject, at: datetime) -> list[Fact]:
    """Return the refunds that are listed; without a list the `refund.*` events tell of each."""
    refunds = charge.refunds.data if charge.refunds else []
    return [fact for refund in refunds for fact in refund_facts(refund, at)]


def refund_facts(refund: RefundObject, at: datetime) -> list[Fact]:
    """Return what a refund says; it stays pending until Stripe calls it something final."""
    if refund.payment_intent is None:
        return []
    return [
        Refund(
            payment_id=refund.payment_intent,
            at=at,
            amount_cents=refund.amount,
            currency=refund.currency,
            purchase_id=purchase_of(refund.metadata),
            refund_id=refund.id,
            status=REFUNDS.get(refund.status or "", "pending"),
        )
    ]


def _dispute(dispute: DisputeObject, at: datetime) -> list[Fact]:
    status = _dispute_status(dispute)
    if status is None or dispute.payment_intent is None:
        return []
    return [
        Dispute(
            payment_id=dispute.payment_intent,
            at=at,
            amount_cents=dispute.amount,
            currency=dispute.currency,
            dispute_id=dispute.id,
            status=status,
        )
    ]


def _dispute_status(dispute: DisputeObject) -> Literal["open", "won", "lost"] | None:
    """Return what a dispute means for the money; None while it moves none.

    Inquiries (`warning_*`) and what was settled before a dispute (`prevented`) usually move none;
    where they did, the dispute lists it.
    """
    if dispute.status in DISPUTES:
        return DISPUTES[dispute.status]
    if not dispute.balance_transactions:
        return None
    if sum(movement.amount for movement in dispute.balance_transactions) >= 0:
        return "won"
    return "lost" if dispute.status == "prevented" else "open"


def _reader(
    shape: type[T], facts: Callable[[T, datetime], list[Fact]]
) -> Callable[[object, datetime], list[Fact]]:
    return lambda data, at: facts(msgspec.convert(data, shape), at)


READERS: Mapping[str, Callable[[object, datetime], list[Fact]]] = {
    "payment_intent.requires_action": _reader(IntentObject, _step(RequiresAction)),
    "payment_intent.processing": _reader(IntentObject, _step(Processing)),
    "payment_intent.amount_capturable_updated": _reader(IntentObject, _authorized),
    "payment_intent.succeeded": _reader(IntentObject, _captured),
    "payment_intent.payment_failed": _reader(IntentObject, _failed),
    "payment_intent.canceled": _reader(IntentObject, _step(Canceled)),
    "charge.succeeded": _reader(ChargeObject, _charge),
    "charge.captured": _reader(ChargeObject, _charge),
    "charge.refunded": _reader(ChargeObject, _refunds_of_charge),
    "charge.refund.updated": _reader(RefundObject, refund_facts),
    "refund.created": _reader(RefundObject, refund_facts),
    "refund.updated": _reader(RefundObject, refund_facts),
    "refund.failed": _reader(RefundObject, refund_facts),
    "charge.dispute.created": _reader(DisputeObject, _dispute),
    "charge.dispute.updated": _reader(DisputeObject, _dispute),
    "charge.dispute.closed": _reader(DisputeObject, _dispute),
    "charge.dispute.funds_withdrawn": _reader(DisputeObject, _dispute),
    "charge.dispute.funds_reinstated": _reader(DisputeObject, _dispute),
}

BY_STATUS: Mapping[str, Callable[[IntentObject, datetime], list[Fact]]] = {
    "requires_action": _step(RequiresAction),
    "processing": _step(Processing),
    "requires_capture": _authorized,
    "succeeded": _captured,
    "canceled": _step(Canceled),
}


def intent_facts(intent: IntentObject, at: datetime) -> list[Fact]:
    """Return what is true of a payment as Stripe answered it at `at`."""
    reader = BY_STATUS.get(intent.status)
    return [] if reader is None else reader(intent, at)
