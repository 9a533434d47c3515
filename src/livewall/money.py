"""Purchases and payment events as HTTP, the socket and commands write them.

Here and not with their routes, because commands must not wait for a web server to be imported.
Money is in whole US cents unless a shape names its currency, coins are whole numbers.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from livewall.shapes import Person

PurchaseStatus = Literal[
    "created",
    "pending",
    "processing",
    "held",
    "approved",
    "completed",
    "rejected",
    "expired",
    "canceled",
    "failed",
    "refunded",
    "disputed",
    "dispute_lost",
]

EventOutcome = Literal["waiting", "applied", "parked", "ignored", "failed"]


class Purchase(msgspec.Struct, frozen=True):
    """One purchase of coins. `number` is what receipts call it, `usd_cents` the price.

    What was authorized, captured, refunded and disputed is in the smallest unit of `currency` (ISO
    code in small letters). `paid_coins` is what the captured money was credited as, 0 before;
    `repaid_coins` of them went to a debt instead of the wallet. While `is_being_canceled` the buyer
    has given it up, and the provider has yet to agree.
    """

    id: UUID
    number: int
    status: PurchaseStatus
    is_being_canceled: bool
    coin_pack_id: str | None
    platform: str
    payment_provider: str
    provider_payment_id: str | None
    coin_amount: int
    usd_cents: int
    requires_approval: bool
    hold_reason: str | None
    decide_by: datetime | None
    created_at: datetime
    completed_at: datetime | None
    currency: str
    authorized_cents: int
    captured_cents: int
    paid_coins: int
    repaid_coins: int
    refunded_cents: int
    refunded_coins: int
    disputed_cents: int


class History(msgspec.Struct, frozen=True):
    """How many purchases a buyer has made, had refunded and disputed."""

    purchases: int
    refunds: int
    disputes: int


class HeldPurchase(msgspec.Struct, frozen=True):
    """A purchase that waits for a decision, with what helps to decide.

    Nobody decides about their own; what a buyer who has left (None) paid, and what did not come in
    dollars, can only be rejected.
    """

    purchase: Purchase
    buyer: Person | None
    card_country: str | None
    country_code: str | None
    is_captured: bool
    history: History
    may_decide: bool
    may_approve: bool
    coins_if_approved: int


class OrderedRefund(Purchase, frozen=True):
    """A purchase of which `ordered_cents` are to be given back; the provider is told next."""

    ordered_cents: int


class TakenBack(msgspec.Struct, frozen=True):
    """A refund or a dispute that the provider reported.

    `cents` is in the smallest unit of `currency`, which may be another than that of the purchase.
    """

    id: str
    cents: int
    currency: str
    status: str


class OrderedCall(msgspec.Struct, frozen=True):
    """What a provider is to do about a purchase, or has done."""

    call: Literal["capture", "cancel", "refund"]
    cents: int
    status: Literal["waiting", "done", "failed"]
    ordered_at: datetime
    error: str | None


class PurchaseRecord(msgspec.Struct, frozen=True):
    """A purchase with all that is known about it. Who decided is in the audit log."""

    purchase: Purchase
    buyer: Person | None
    decision: Literal["approve", "reject", "expire"] | None
    decided_at: datetime | None
    refunds: list[TakenBack]
    disputes: list[TakenBack]
    calls: list[OrderedCall]


class RulesInForce(msgspec.Struct, frozen=True):
    """The limit and the thresholds that purchases are held to at this moment."""

    limit_cents: int
    threshold_cents: int
    daily_threshold_cents: int | None


class PurchaseSettings(msgspec.Struct, frozen=True):
    """What is refused, what waits for approval, and how a gift is split, as it is set.

    Before `raises_apply_at` purchases are still held to the lowest limit and thresholds of the
    last 24 hours, which are `in_force`; null: everything applies as it stands.
    """

    limit_cents: int
    threshold_cents: int
    velocity: int
    daily_threshold_cents: int | None
    streamer_share_percent: int
    raises_apply_at: datetime | None
    in_force: RulesInForce


class PaymentEvent(msgspec.Struct, frozen=True):
    """A report of a provider, and what became of it."""

    provider: str
    event_id: str
    type: str
    payment_id: str | None
    outcome: EventOutcome
    error: str | None
    received_at: datetime
    attempts: int


class PaymentEvents(msgspec.Struct):
    """A page of reports, newest first; `next` is the `before` of the page after.

    It is longer than asked where several came at the same moment as its last.
    """

    events: list[PaymentEvent]
    next: datetime | None
