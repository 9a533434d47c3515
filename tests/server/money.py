"""What tests about money share: a payment provider in memory, staff, and coins to begin with."""

import asyncio
import contextlib
import functools
import hmac
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import msgspec
import pytest

from livewall.db import SERVICE
from livewall.errors import Refusal
from livewall.payments import (
    Authorized,
    Canceled,
    Captured,
    Fact,
    Intent,
    ProviderEvent,
    Redirect,
    Refund,
    Started,
    as_arguments,
    read_payload,
)
from livewall.settings import Settings
from tests.databases import Database
from tests.server.world import Json, Live, Tab, Visitor, serving, settings_for

T = TypeVar("T")
SECRET = b"what the fake provider signs with"


class FakeProvider:
    """Keeps payments in memory, does what it is told once per key, and can be made to fail."""

    name = "fake"

    def __init__(self) -> None:
        self.intents: dict[str, Intent] = {}
        self.calls: list[tuple[str, str, int, str]] = []
        self.trouble: list[Exception] = []
        self.known = {"money"}

    async def create(self, intent: Intent) -> Started:
        """One payment for each key."""
        self._fail()
        payment_id = f"pay_{intent.idempotency_key}"
        self.intents.setdefault(payment_id, intent)
        return Started(payment_id, Redirect(f"/pay/{payment_id}"))

    async def capture(self, payment_id: str, amount_cents: int, idempotency_key: str) -> list[Fact]:
        """Take the money."""
        self._note("capture", payment_id, amount_cents, idempotency_key)
        return [self.fact(Captured, payment_id, amount_cents)]

    async def cancel(self, payment_id: str, amount_cents: int, idempotency_key: str) -> list[Fact]:
        """Let go of the money."""
        self._note("cancel", payment_id, amount_cents, idempotency_key)
        return [self.fact(Canceled, payment_id, amount_cents)]

    async def refund(self, payment_id: str, amount_cents: int, idempotency_key: str) -> list[Fact]:
        """Give the money back."""
        self._note("refund", payment_id, amount_cents, idempotency_key)
        back = {"refund_id": f"re_{idempotency_key}", "status": "succeeded"}
        return [self.fact(Refund, payment_id, amount_cents, **back)]

    def _note(self, call: str, payment_id: str, amount_cents: int, key: str) -> None:
        self.calls.append((call, payment_id, amount_cents, key))
        self._fail()

    def _fail(self) -> None:
        if self.trouble:
            raise self.trouble.pop(0)

    def fact(self, kind: type[Any], payment_id: str, amount_cents: int, **more: Any) -> Fact:
        """A fact of now about a payment."""
        more.setdefault("currency", "usd")
        return kind(payment_id=payment_id, amount_cents=amount_cents, at=datetime.now(UTC), **more)

    def read_event(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """Check and read a report."""
        expected = hmac.digest(SECRET, body, "sha256").hex()
        if not hmac.compare_digest(headers.get("x-fake-signature", ""), expected):
            raise Refusal("bad_signature")
        payload = read_payload(body)
        event = msgspec.convert(payload, dict[str, Any])
        about: list[Json] = [event, *event["facts"]]
        payment_id = next((a["payment_id"] for a in about if "payment_id" in a), None)
        return ProviderEvent(
            event["id"], event["type"], payment_id, self.facts_of(payload), payload
        )

    def facts_of(self, payload: dict[str, object]) -> list[Fact] | None:
        """Read the facts of a report whose type is known."""
        if payload["type"] not in self.known:
            return None
        return msgspec.convert(payload["facts"], list[Fact])

    async def run(self) -> None:
        """Nothing to do beside."""

    async def close(self) -> None:
        """Nothing to let go of."""


def report(*facts: Fact, kind: str = "money", event_id: str = "", **more: Any) -> bytes:
    """The body of an event."""
    event_id = event_id or f"evt_{uuid4()}"
    event = {"id": event_id, "type": kind, "facts": as_arguments(facts), **more}
    return msgspec.json.encode(event)


def signature_of(body: bytes) -> dict[str, str]:
    """Return the header that the provider signs a body with."""
    return {"X-Fake-Signature": hmac.digest(SECRET, body, "sha256").hex()}


async def send(live: Live, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    """Deliver an event as the provider does: signed, without a cookie."""
    http = live.visitor().http
    headers = signature_of(body) | (headers or {})
    return await http.post("/webhooks/fake", content=body, headers=headers)


def _open(provider: FakeProvider, _settings: object, _database: object) -> FakeProvider:
    return provider


@contextlib.asynccontextmanager
async def selling(
    database: Database, provider: FakeProvider, settings: Settings | None = None
) -> AsyncGenerator[Live]:
    """Serve with this provider."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("livewall.server.open_provider", functools.partial(_open, provider))
        async with serving(settings or settings_for(database), database) as live:
            yield live


async def staff(live: Live, name: str, role: str = "finance") -> Visitor:
    """An account with a role."""
    member = await live.account(name)
    admin = await live.database.admin()
    await admin.execute("SELECT public.grant_staff_role($1, $2)", member.id, role)
    return member


async def give_coins(live: Live, buyer: Visitor, coins: int = 1_000) -> None:
    """Have a settled payment credited, without a provider."""
    await live.app.server.database.call(
        SERVICE,
        "process_coin_purchase",
        object,
        p_profile_id=buyer.id,
        p_platform="web",
        p_payment_provider="elsewhere",
        p_provider_event_id=f"evt_{uuid4()}",
        p_provider_payment_id=f"pay_{uuid4()}",
        p_coin_amount=coins,
        p_usd_amount=10,
    )


async def buy(buyer: Visitor, pack: str = "coins_700", key: str = "") -> httpx.Response:
    """Ask for a purchase."""
    wish = {"pack_id": pack, "idempotency_key": key or str(uuid4())}
    return await buyer.http.post("/api/purchases", json=wish)


async def bought(buyer: Visitor, pack: str = "coins_700") -> Json:
    """A new purchase."""
    answer = await buy(buyer, pack)
    assert answer.status_code == 201, answer.text
    return answer.json()["purchase"]


def captured(provider: FakeProvider, purchase: Json, **more: Any) -> Fact:
    """The money for a purchase has come."""
    return provider.fact(Captured, purchase["provider_payment_id"], purchase["usd_cents"], **more)


def authorized(provider: FakeProvider, purchase: Json, **more: Any) -> Fact:
    """The money for a purchase is reserved."""
    return provider.fact(Authorized, purchase["provider_payment_id"], purchase["usd_cents"], **more)


async def held(live: Live, provider: FakeProvider, buyer: Visitor) -> Json:
    """A purchase over the threshold whose money is reserved."""
    purchase = await bought(buyer, "coins_2275000")
    assert (await send(live, report(authorized(provider, purchase)))).status_code == 200
    return await status(buyer, purchase, "held")


async def eventually(ask: Callable[[], Awaitable[T]], fits: Callable[[T], bool]) -> T:
    """Ask again and again until the answer fits; return it."""
    answer = await ask()
    for _ in range(100):
        if fits(answer):
            return answer
        await asyncio.sleep(0.05)
        answer = await ask()
    raise AssertionError(f"never so, but {answer}")


async def status(buyer: Visitor, purchase: Json, wanted: str) -> Json:
    """Wait until a purchase has this status; return it as the buyer sees it."""

    async def ask() -> Json:
        return (await buyer.http.get(f"/api/purchases/{purchase['id']}")).json()

    return await eventually(ask, lambda found: found["status"] == wanted)


async def told(tab: Tab, purchase: Json, wanted: str) -> Json:
    """Wait until a socket hears that a purchase has this status; return what it heard."""

    def fits(message: Json) -> bool:
        found = message.get("purchase", {})
        return (found.get("id"), found.get("status")) == (purchase["id"], wanted)

    return (await tab.find(fits, f"purchase that is {wanted}"))["purchase"]


async def coins(visitor: Visitor) -> int:
    """What somebody can spend."""
    return (await visitor.http.get("/api/wallet")).json()["coins"]


async def audited(member: Visitor) -> list[str]:
    """What the audit log says happened, newest first."""
    entries = (await member.http.get("/api/admin/audit")).json()["entries"]
    return [entry["action"] for entry in entries]
