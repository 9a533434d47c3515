"""The sandbox: a provider of our own that takes no money, for development and tests.

It behaves like a remote one. Its payments live in tables of their own, the buyer pays on its page,
and what happened comes back as signed events over HTTP, again and again until they are taken. The
webhook route neither knows nor trusts that the sender is this very process.
"""

import asyncio
import contextlib
import hmac
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal, TypedDict, TypeVar
from uuid import UUID

import httpx
import msgspec
import structlog

from livewall.db import SERVICE, Argument, Database, cause_of
from livewall.errors import Refusal
from livewall.payments import (
    Authorized,
    Canceled,
    Captured,
    Fact,
    Failed,
    Intent,
    Processing,
    ProviderAway,
    ProviderEvent,
    ProviderRefused,
    Redirect,
    Refund,
    RequiresAction,
    Started,
    read_payload,
)
from livewall.settings import Settings

T = TypeVar("T")
SIGNATURE_HEADER = "sandbox-signature"
SIGNATURE = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")
MOST_AGE = 300
POLL_SECONDS = 0.5
DELIVERY_SECONDS = 10.0
AT_ONCE = 20
CARD_COUNTRY = "US"
Action = Literal["pay", "confirm", "fail", "delay", "repeat"]
log = structlog.get_logger()


class SandboxPayment(msgspec.Struct, frozen=True):
    """A payment as the sandbox knows it; what the pay page shows."""

    id: str
    purchase_id: UUID
    number: int
    amount_cents: int
    currency: str
    capture: Literal["automatic", "manual"]
    status: Literal["open", "requires_action", "processing", "authorized", "captured", "canceled"]
    captured_cents: int
    refunded_cents: int
    capture_before: datetime | None
    last_error: str | None
    created_at: datetime


class SandboxRefund(msgspec.Struct, frozen=True):
    """A part of a payment that went back."""

    id: str
    amount_cents: int
    status: Literal["succeeded"]


class SandboxEvent(msgspec.Struct, frozen=True):
    """What the sandbox reports: the payment as it was then, and the refund if there was one."""

    id: str
    type: str
    created_at: datetime
    payment: SandboxPayment
    refund: SandboxRefund | None


class _Due(msgspec.Struct):
    """An event to be sent now; the body goes out as it is."""

    id: str
    body: str
    attempts: int


class _Common(TypedDict):
    """What every fact says."""

    payment_id: str
    at: datetime
    currency: str
    purchase_id: UUID


class Sandbox:
    """A payment is paid at `/sandbox/pay/{payment_id}`, a page of the web client."""

    name = "sandbox"

    def __init__(self, settings: Settings, database: Database) -> None:
        self.target = f"{settings.local_url}/webhooks/sandbox"
        self._secret = settings.derive("sandbox webhooks").encode()
        self._database = database
        self._news = asyncio.Event()

    async def create(self, intent: Intent) -> Started:
        """Start a payment and send the buyer to its page."""
        payment = await self._ask(
            "create_sandbox_payment",
            SandboxPayment,
            p_purchase_id=intent.purchase_id,
            p_number=intent.number,
            p_amount_cents=intent.usd_cents,
            p_capture=intent.capture,
            p_idempotency_key=intent.idempotency_key,
        )
        return Started(payment.id, Redirect(f"/sandbox/pay/{payment.id}"))

    async def capture(self, payment_id: str, amount_cents: int, idempotency_key: str) -> list[Fact]:
        """Capture what is authorized; a second time changes nothing, whatever the key."""
        return await self._tell(
            "capture_sandbox_payment", p_payment_id=payment_id, p_amount_cents=amount_cents
        )

    async def cancel(self, payment_id: str, amount_cents: int, idempotency_key: str) -> list[Fact]:
        """Cancel what is not captured; a second time changes nothing, whatever the key."""
        return await self._tell("cancel_sandbox_payment", p_payment_id=payment_id)

    async def refund(self, payment_id: str, amount_cents: int, idempotency_key: str) -> list[Fact]:
        """Refund a part of what was captured, once per key."""
        return await self._tell(
            "refund_sandbox_payment",
            p_payment_id=payment_id,
            p_amount_cents=amount_cents,
            p_idempotency_key=idempotency_key,
        )

    async def _tell(self, function: str, **arguments: Argument) -> list[Fact]:
        """Have something done and return what its event says, which is also sent."""
        event = await self._ask(function, SandboxEvent, **arguments)
        self._news.set()
        return _facts(event) or []

    async def _ask(self, function: str, returning: type[T], **arguments: Argument) -> T:
        """Ask the sandbox as if it were far away. Raises ProviderAway or ProviderRefused."""
        try:
            return await self._database.call(SERVICE, function, returning, **arguments)
        except Refusal as refusal:
            if refusal.entry.status >= 500:
                raise ProviderAway(refusal.detail) from None
            raise ProviderRefused(refusal.detail, refusal.code) from None

    async def find(self, payment_id: str) -> SandboxPayment:
        """Return a payment for its page. Raises Refusal `not_found`."""
        payment = await self._database.find(
            SERVICE, "get_sandbox_payment", SandboxPayment, p_payment_id=payment_id
        )
        if payment is None:
            raise Refusal("not_found", "There is no such payment in the sandbox.")
        return payment

    async def act(self, payment_id: str, action: Action) -> SandboxPayment:
        """Do what the buyer chose on the page. Raises Refusal if it is not possible now."""
        payment = await self._database.call(
            SERVICE,
            "act_on_sandbox_payment",
            SandboxPayment,
            p_payment_id=payment_id,
            p_action=action,
        )
        self._news.set()
        return payment

    def sign(self, body: bytes, now: int) -> str:
        """Return the value of the signature header for a body sent at `now`, in seconds."""
        return f"t={now},v1={self._signature(body, now)}"

    def _signature(self, body: bytes, now: int) -> str:
        return hmac.digest(self._secret, b"%d.%s" % (now, body), "sha256").hex()

    def read_event(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """Check signature and age, then read the event."""
        given = SIGNATURE.fullmatch(headers.get(SIGNATURE_HEADER, ""))
        if given is None or not hmac.compare_digest(given[2], self._signature(body, int(given[1]))):
            raise Refusal("bad_signature")
        if abs(time.time() - int(given[1])) > MOST_AGE:
            raise Refusal("bad_signature", "The signature is too old.")
        payload = read_payload(body)
        try:
            event = msgspec.convert(payload, SandboxEvent)
        except msgspec.ValidationError:
            raise Refusal("invalid_message", "The body is no event of the sandbox.") from None
        return ProviderEvent(event.id, event.type, event.payment.id, _facts(event), payload)

    def facts_of(self, payload: dict[str, object]) -> list[Fact] | None:
        """Read the facts of a stored event again."""
        try:
            return _facts(msgspec.convert(payload, SandboxEvent))
        except msgspec.ValidationError:
            return None

    async def run(self) -> None:
        """Send what is due, for ever: at once after a call of ours, else twice a second."""
        # Past any proxy: this goes to ourselves.
        async with httpx.AsyncClient(timeout=DELIVERY_SECONDS, trust_env=False) as http:
            while True:
                self._news.clear()
                try:
                    await self._deliver(http)
                except Refusal as refusal:
                    log.warning("sandbox_waits", code=refusal.code, **cause_of(refusal))
                except Exception:
                    log.exception("sandbox_broke")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), POLL_SECONDS)

    async def _deliver(self, http: httpx.AsyncClient) -> None:
        due = await self._database.call(SERVICE, "take_sandbox_events", list[_Due], p_limit=AT_ONCE)
        for event in due:
            if await self._post(http, event):
                await self._database.call(
                    SERVICE,
                    "note_sandbox_delivery",
                    object,
                    p_event_id=event.id,
                    p_attempts=event.attempts,
                )

    async def _post(self, http: httpx.AsyncClient, event: _Due) -> bool:
        """Send one event; False if it has to be sent again."""
        body = event.body.encode()
        headers = {
            SIGNATURE_HEADER: self.sign(body, int(time.time())),
            "content-type": "application/json",
        }
        try:
            answer = await http.post(self.target, content=body, headers=headers)
        except httpx.HTTPError as error:
            log.info("sandbox_event_not_sent", event_id=event.id, error=type(error).__name__)
            return False
        if not answer.is_success:
            log.info("sandbox_event_not_taken", event_id=event.id, status=answer.status_code)
        return answer.is_success

    async def close(self) -> None:
        """Nothing to let go of: `run` closes what it opened."""


def _facts(event: SandboxEvent) -> list[Fact] | None:
    reader = READERS.get(event.type)
    return None if reader is None else reader(event)


def _about(event: SandboxEvent) -> _Common:
    payment = event.payment
    return {
        "payment_id": payment.id,
        "at": event.created_at,
        "currency": payment.currency,
        "purchase_id": payment.purchase_id,
    }


def _authorized(event: SandboxEvent) -> list[Fact]:
    payment = event.payment
    return [
        Authorized(
            **_about(event),
            amount_cents=payment.amount_cents,
            capture_before=payment.capture_before,
            card_country=CARD_COUNTRY,
        )
    ]


def _captured(event: SandboxEvent) -> list[Fact]:
    cents = event.payment.captured_cents
    return [Captured(**_about(event), amount_cents=cents, card_country=CARD_COUNTRY)]


def _failed(event: SandboxEvent) -> list[Fact]:
    payment = event.payment
    reason = payment.last_error or "unknown"
    return [Failed(**_about(event), amount_cents=payment.amount_cents, reason=reason)]


def _refund(event: SandboxEvent) -> list[Fact]:
    if event.refund is None:
        return []
    return [
        Refund(
            **_about(event),
            amount_cents=event.refund.amount_cents,
            refund_id=event.refund.id,
            status=event.refund.status,
        )
    ]


def _step(
    kind: type[RequiresAction | Processing | Canceled],
) -> Callable[[SandboxEvent], list[Fact]]:
    return lambda event: [kind(**_about(event), amount_cents=event.payment.amount_cents)]


READERS: Mapping[str, Callable[[SandboxEvent], list[Fact]]] = {
    "payment.requires_action": _step(RequiresAction),
    "payment.processing": _step(Processing),
    "payment.authorized": _authorized,
    "payment.captured": _captured,
    "payment.failed": _failed,
    "payment.canceled": _step(Canceled),
    "refund.succeeded": _refund,
}
