"""How money comes in, behind one small interface.

A provider starts payments, is told to capture, cancel or refund them, and reports by signed events
what became of them. Whatever it reports is boiled down to facts, the only words about payments that
the database understands. Each provider has a module here, and nobody else knows its names.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast
from uuid import UUID

import msgspec

from livewall.errors import Refusal
from livewall.settings import Settings

if TYPE_CHECKING:
    from livewall.db import Database

# Every escape of a JSON text, so that a backslash which is escaped itself begins none: a whole pair
# of surrogates, what PostgreSQL stores in no text (U+0000, half a pair), any other.
ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<unstorable>u0000|u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
# Longer integers and greater numbers than these fit no type of ours.
MOST_DIGITS = 18


# A call to a provider may take so long. It is taken for 30 s at least (take_provider_calls): we
# give up before somebody else takes it.
CALL_SECONDS = 25.0


class Intent(msgspec.Struct, frozen=True):
    """What a buyer is about to pay; `number` is what receipts call the purchase.

    `payment_id` is the payment started for it before, whose checkout is wanted once more.
    """

    purchase_id: UUID
    number: int
    usd_cents: int
    capture: Literal["automatic", "manual"]
    idempotency_key: str
    payment_id: str | None = None


class Redirect(msgspec.Struct, frozen=True, tag_field="kind", tag="redirect"):
    """The buyer pays on another page and comes back; `url` may be a path of our own."""

    url: str


class CardForm(msgspec.Struct, frozen=True, tag_field="kind", tag="stripe"):
    """The buyer pays in our page, in a form that Stripe's script draws."""

    client_secret: str
    publishable_key: str


Checkout: TypeAlias = Redirect | CardForm


class Started(msgspec.Struct, frozen=True):
    """A payment exists at the provider; `checkout` is what the buyer's browser needs to pay it."""

    payment_id: str
    checkout: Checkout


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What is true of a payment since `at`, by the provider's clock.

    `amount_cents` is in minor units of `currency` (ISO code in small letters) as the provider says
    them, `purchase_id` what we once wrote on the payment: the database holds what does not fit.
    """

    payment_id: str
    at: datetime
    amount_cents: int
    currency: str
    purchase_id: UUID | None = None


class RequiresAction(_Fact, frozen=True, kw_only=True, tag="requires_action"):
    """The buyer's bank asks the buyer to confirm."""


class Processing(_Fact, frozen=True, kw_only=True, tag="processing"):
    """The buyer has done their part; the money may take days."""


class Authorized(_Fact, frozen=True, kw_only=True, tag="authorized"):
    """The money is reserved until `capture_before`, and not ours yet."""

    capture_before: datetime | None = None
    card_country: str | None = None


class Captured(_Fact, frozen=True, kw_only=True, tag="captured"):
    """The money is ours; `amount_cents` of it."""

    card_country: str | None = None


class Failed(_Fact, frozen=True, kw_only=True, tag="failed"):
    """An attempt to pay failed; the buyer may try again with the same payment."""

    reason: str


class Canceled(_Fact, frozen=True, kw_only=True, tag="canceled"):
    """The payment is over, nothing was taken, what was reserved is free again."""


class Refund(_Fact, frozen=True, kw_only=True, tag="refund"):
    """Money goes back: `amount_cents` of this refund alone."""

    refund_id: str
    status: Literal["pending", "succeeded", "failed", "canceled"]


class Dispute(_Fact, frozen=True, kw_only=True, tag="dispute"):
    """The buyer's bank took `amount_cents` back (open), for good (lost), or returned it (won)."""

    dispute_id: str
    status: Literal["open", "won", "lost"]


Fact: TypeAlias = (
    RequiresAction | Processing | Authorized | Captured | Failed | Canceled | Refund | Dispute
)


class ProviderEvent(msgspec.Struct, frozen=True):
    """A genuine report of a provider. `facts` is None for a type that we do not know.

    A known type that changes nothing for us has an empty list. `payment_id` is read whatever the
    type, by which the payload is found again once its buyer is to be forgotten; None for a report
    about no payment.
    """

    id: str
    type: str
    payment_id: str | None
    facts: list[Fact] | None
    payload: dict[str, object]


class ProviderAway(Refusal):
    """The provider could not be asked, or did not answer: the same call may succeed later."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("provider_away", detail)


class ProviderRefused(Refusal):
    """The provider's final no. `reason` is its own word for it; it holds no secrets."""

    def __init__(self, detail: str = "", reason: str = "") -> None:
        super().__init__("provider_refused", detail, fields={"reason": reason} if reason else None)


class PaymentProvider(Protocol):
    """What the rest of the server needs from whoever takes the money.

    Each call to the provider raises ProviderAway (try again with the same key) or ProviderRefused
    (final). The same idempotency key does the same thing once, however often it is sent.
    """

    @property
    def name(self) -> str:
        """What purchases, events and `/webhooks/{name}` call this provider."""
        ...

    async def create(self, intent: Intent) -> Started:
        """Start a payment; nothing is taken before the buyer pays it."""
        ...

    async def capture(self, payment_id: str, amount_cents: int, idempotency_key: str) -> list[Fact]:
        """Take what is reserved. Return what is true of the payment now, captured or not."""
        ...

    async def cancel(self, payment_id: str, amount_cents: int, idempotency_key: str) -> list[Fact]:
        """End a payment that was not captured. Return what is true of it now, canceled or not."""
        ...

    async def refund(self, payment_id: str, amount_cents: int, idempotency_key: str) -> list[Fact]:
        """Give back so much of what was captured. Return the refund."""
        ...

    def read_event(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """Check who sent a report and when, and read it; `headers` by lower-case name.

        Raises Refusal `bad_signature` for a wrong, missing or old signature and `invalid_message`
        for a signed body that is no event.
        """
        ...

    def facts_of(self, payload: dict[str, object]) -> list[Fact] | None:
        """Read the facts of a stored event again, as `read_event` does: for a replay."""
        ...

    async def run(self) -> None:
        """Do what has to be done beside the requests, until cancelled; may return at once."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def open_provider(settings: Settings, database: "Database") -> PaymentProvider | None:
    """Return the provider that the settings name; None where nothing can be bought."""
    # Imported by who uses it: Stripe's SDK alone takes half a second.
    if settings.payments == "stripe":
        from livewall.payments.stripe import Stripe  # noqa: PLC0415

        return Stripe(settings)
    if settings.payments == "sandbox" and not settings.production:
        from livewall.payments.sandbox import Sandbox  # noqa: PLC0415

        return Sandbox(settings, database)
    return None


def read_payload(body: bytes) -> dict[str, object]:
    """Read the JSON object of a report. Raises Refusal `invalid_message` for anything else.

    A genuine report is kept whatever it says: characters that PostgreSQL stores in no text become
    U+FFFD, numbers that are too large to be a number here stay as the text they were.
    """
    said = ESCAPE.sub(_storable, body).decode(errors="replace")
    try:
        payload: object = json.loads(
            said, parse_int=_integer, parse_float=_number, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise Refusal("invalid_message", "The body is no JSON object.")
    return cast("dict[str, object]", payload)


def _storable(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape["unstorable"] else escape[0]


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MOST_DIGITS else digits


def _refuse(word: str) -> None:
    raise ValueError(word)  # NaN and Infinity are no JSON.


def _number(digits: str) -> float | str:
    return number if math.isfinite(number := float(digits)) else digits


def as_arguments(facts: Sequence[Fact]) -> list[dict[str, object]]:
    """Return facts as the database takes them: `[{"kind", "payment_id", "at", ...}]`."""
    return [msgspec.to_builtins(fact) for fact in facts]
