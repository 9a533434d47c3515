"""Stripe as a payment provider, through its own SDK: the only module that imports it."""

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from typing import TypeVar
from uuid import uuid4

import msgspec
import stripe
import structlog

from livewall.errors import Refusal
from livewall.payments import (
    CALL_SECONDS,
    CardForm,
    Fact,
    Intent,
    ProviderAway,
    ProviderEvent,
    ProviderRefused,
    Started,
    read_payload,
)
from livewall.payments.stripe_events import (
    READERS,
    IntentObject,
    RefundList,
    RefundObject,
    intent_facts,
    moment,
    payment_of,
    refund_facts,
)
from livewall.settings import Settings

T = TypeVar("T")
# The version our code and fixtures were written for; the SDK would follow its own otherwise.
API_VERSION = "2026-10-28.endive"
REQUEST_SECONDS = 10.0
MOST_AGE = 300
REFUNDS_OF_A_PAYMENT = 100
# An answer to these says nothing about the payment: the same call may succeed later.
BUSY = frozenset({"lock_timeout", "rate_limit", "idempotency_key_in_use"})
log = structlog.get_logger()

# It would send timings with every call and keep an id in the operator's home folder.
stripe.enable_telemetry = False


class _Envelope(msgspec.Struct):
    """An event around its object."""

    created: int
    data: "_Data"


class _Data(msgspec.Struct):
    object: dict[str, object]


class _Broken(ProviderAway):
    """A 5xx. Stripe saves it and answers it to the same key for a day, however well it is by then.

    So the same key helps when no answer came, and a new one after this.
    """


class Stripe:
    """Payments are PaymentIntents; which methods they offer is set in Stripe's dashboard."""

    name = "stripe"

    def __init__(self, settings: Settings) -> None:
        self._publishable_key = settings.stripe_publishable_key
        self._webhook_secret = settings.stripe_webhook_secret
        self._http = stripe.HTTPXClient(timeout=REQUEST_SECONDS)
        base = settings.stripe_api_base.rstrip("/")
        self._client = stripe.StripeClient(
            settings.stripe_secret_key,
            stripe_version=API_VERSION,
            http_client=self._http,
            base_addresses={"api": base} if base else {},
            max_network_retries=1,
        ).v1

    async def create(self, intent: Intent) -> Started:
        """Start a PaymentIntent, which the buyer confirms in our page by Stripe's script."""
        made = await self._intent_for(intent)
        if not made.client_secret:
            raise ProviderRefused("Stripe gave no secret to pay with.")
        return Started(made.id, CardForm(made.client_secret, self._publishable_key))

    async def _intent_for(self, intent: Intent) -> IntentObject:
        if intent.payment_id is not None:
            return await self._retrieve(intent.payment_id)
        try:
            return await self._create(intent, intent.idempotency_key)
        except _Broken:
            # Should there be two payments now, nobody can pay the first: its secret was lost.
            return await self._create(intent, str(uuid4()))

    async def _create(self, intent: Intent, key: str) -> IntentObject:
        answer = await _ask(
            "create",
            self._client.payment_intents.create_async(
                {
                    "amount": intent.usd_cents,
                    "currency": "usd",
                    "capture_method": intent.capture,
                    "metadata": {
                        "purchase_id": str(intent.purchase_id),
                        "purchase_number": str(intent.number),
                    },
                },
                {"idempotency_key": key},
            ),
        )
        return _shape(answer, IntentObject)

    async def capture(self, payment_id: str, amount_cents: int, idempotency_key: str) -> list[Fact]:
        """Capture, or find out that it was captured or canceled already.

        A payment is captured once whatever the key, so each try has one of its own.
        """
        return await self._end(
            payment_id,
            "capture",
            self._client.payment_intents.capture_async(
                payment_id,
                {"amount_to_capture": amount_cents, "expand": ["latest_charge"]},
                {"idempotency_key": str(uuid4())},
            ),
        )

    async def cancel(self, payment_id: str, amount_cents: int, idempotency_key: str) -> list[Fact]:
        """Cancel, or find out that it was canceled or captured already; keys as for capture."""
        return await self._end(
            payment_id,
            "cancel",
            self._client.payment_intents.cancel_async(
                payment_id, {"expand": ["latest_charge"]}, {"idempotency_key": str(uuid4())}
            ),
        )

    async def _end(
        self, payment_id: str, call: str, answer: Awaitable[stripe.PaymentIntent]
    ) -> list[Fact]:
        """End a payment. Whatever comes back instead of it, the payment itself knows better."""
        try:
            intent = _shape(await _ask(call, answer), IntentObject)
        except (ProviderAway, ProviderRefused):
            intent = await self._retrieve(payment_id)
            if intent.status == "processing":
                raise ProviderAway("Stripe still works on this payment.") from None
            if intent.status not in ("succeeded", "canceled"):
                raise
        return intent_facts(intent, _now())

    async def _retrieve(self, payment_id: str) -> IntentObject:
        answer = await _ask(
            "retrieve",
            self._client.payment_intents.retrieve_async(payment_id, {"expand": ["latest_charge"]}),
        )
        return _shape(answer, IntentObject)

    async def refund(self, payment_id: str, amount_cents: int, idempotency_key: str) -> list[Fact]:
        """Refund a part or all of it, once per key of ours, which the refund carries."""
        wish = (payment_id, amount_cents, idempotency_key)
        refund = await self._refund_made_by(payment_id, idempotency_key)
        try:
            refund = refund or await self._refund(*wish, key=idempotency_key)
        except _Broken:
            refund = await self._refund_made_by(payment_id, idempotency_key)
            refund = refund or await self._refund(*wish, key=str(uuid4()))
        return refund_facts(refund, _now())

    async def _refund(self, payment_id: str, cents: int, call: str, *, key: str) -> RefundObject:
        answer = await _ask(
            "refund",
            self._client.refunds.create_async(
                {"payment_intent": payment_id, "amount": cents, "metadata": {"call": call}},
                {"idempotency_key": key},
            ),
        )
        return _shape(answer, RefundObject)

    async def _refund_made_by(self, payment_id: str, idempotency_key: str) -> RefundObject | None:
        """Find a refund by our key: Stripe forgets keys after a day, and would refund again."""
        answer = await _ask(
            "list refunds",
            self._client.refunds.list_async(
                {"payment_intent": payment_id, "limit": REFUNDS_OF_A_PAYMENT}
            ),
        )
        made = _shape(answer, RefundList).data
        return next((r for r in made if (r.metadata or {}).get("call") == idempotency_key), None)

    def read_event(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """Check the signature with the SDK, then read the event."""
        try:
            stripe.WebhookSignature.verify_header(  # pyright: ignore[reportUnknownMemberType]
                body, headers.get("stripe-signature"), self._webhook_secret, MOST_AGE
            )
        except (stripe.SignatureVerificationError, UnicodeDecodeError, TypeError):
            # TypeError: a signature with letters beyond ASCII, which can not be compared.
            raise Refusal("bad_signature") from None
        payload = read_payload(body)
        event_id, event_type = payload.get("id"), payload.get("type")
        if not isinstance(event_id, str) or not isinstance(event_type, str) or not event_id:
            raise Refusal("invalid_message", "The body is no event: it has no id or no type.")
        return ProviderEvent(
            event_id, event_type, payment_of(payload), self.facts_of(payload), payload
        )

    def facts_of(self, payload: dict[str, object]) -> list[Fact] | None:
        """Read the facts of an event; None for a type, or a shape of it, that we do not know.

        A shape we do not know is a mistake of ours: the event is kept and can be replayed.
        """
        reader = READERS.get(str(payload.get("type")))
        if reader is None:
            return None
        try:
            event = msgspec.convert(payload, _Envelope)
            return reader(event.data.object, moment(event.created))
        except (msgspec.ValidationError, ValueError, OverflowError, OSError) as error:
            log.error("event_not_understood", id=payload.get("id"), error=str(error))  # noqa: TRY400
            return None

    async def run(self) -> None:
        """Nothing to do: Stripe calls us."""

    async def close(self) -> None:
        """Close the connections to Stripe."""
        await self._http.close_async()


async def _ask(call: str, answer: Awaitable[T]) -> T:
    """Wait for an answer. Raises ProviderAway or ProviderRefused, which name no secrets."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return await answer
    except TimeoutError:
        raise ProviderAway("Stripe took too long.") from None
    except stripe.StripeError as error:
        # The SDK's error holds the whole answer; its own text and code are all we pass on.
        raise _refusal(call, error) from None


def _refusal(call: str, error: stripe.StripeError) -> ProviderAway | ProviderRefused:
    code = error.code or (error.error.code if error.error else None) or ""
    noted = {"call": call, "status": error.http_status, "code": code, "request": error.request_id}
    final = (stripe.CardError, stripe.InvalidRequestError, stripe.IdempotencyError)
    if isinstance(error, (stripe.AuthenticationError, stripe.PermissionError)):
        log.error("stripe_does_not_take_our_key", **noted)
        return ProviderAway("The provider does not take our key.")
    log.warning("stripe_refused" if isinstance(error, final) else "stripe_away", **noted)
    if (error.http_status or 0) >= 500:
        return _Broken()
    if code in BUSY or not isinstance(error, final):
        return ProviderAway()
    # Only what is said about a card is meant for the person who holds it.
    said = error.user_message if isinstance(error, stripe.CardError) else None
    return ProviderRefused(said or "", code or type(error).__name__)


def _shape(answer: stripe.StripeObject, shape: type[T]) -> T:
    """Read an answer. Raises ProviderAway if it is not what we know: nothing may be assumed."""
    try:
        return msgspec.convert(answer.to_dict(), shape)
    except msgspec.ValidationError as error:
        log.error("stripe_not_understood", error=str(error))  # noqa: TRY400
        raise ProviderAway("Stripe answered something that we do not understand.") from None


def _now() -> datetime:
    """Return the time of an answer: Stripe's objects do not say when they became what they are."""
    return datetime.now(UTC)
