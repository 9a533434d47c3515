"""The sandbox over HTTP: what a buyer and a shop do, and the signed events that come of it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

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
)
from livewall.payments.sandbox import Sandbox
from tests.databases import Database
from tests.payments.remote import Remote
from tests.server.world import Live, serving, settings_for

Capture = Literal["automatic", "manual"]


@dataclass
class Till:
    """A server with the sandbox whose webhooks come to `there`."""

    live: Live
    there: Remote
    http: httpx.AsyncClient

    @property
    def sandbox(self) -> Sandbox:
        """The provider of the server."""
        assert isinstance(self.live.app.server.provider, Sandbox)
        return self.live.app.server.provider

    async def start(self, capture: Capture = "automatic", purchase: UUID | None = None) -> str:
        """Start a payment of 19.99 and return its id."""
        intent = Intent(purchase or uuid4(), 7, 1999, capture, str(uuid4()))
        return (await self.sandbox.create(intent)).payment_id

    async def act(self, payment_id: str, action: str) -> httpx.Response:
        """Press a button of the pay page."""
        return await self.http.post(f"/api/sandbox/payments/{payment_id}/{action}")

    async def press(self, payment_id: str, *actions: str) -> None:
        """Press buttons, each of which works."""
        for action in actions:
            answer = await self.act(payment_id, action)
            assert answer.status_code == 200, answer.text

    async def events(self, number: int) -> list[ProviderEvent]:
        """Wait for so many webhooks and read them as the route would."""
        heard = await self.there.until(lambda heard: len(heard) >= number, f"webhook {number}")
        assert len(heard) == number
        assert {h.path for h in heard} == {"/webhooks/sandbox"}
        return [self.sandbox.read_event(h.headers, h.body) for h in heard]

    async def facts(self, number: int) -> list[Fact]:
        """Wait for so many webhooks and return what they say."""
        events = await self.events(number)
        return [fact for event in events for fact in event.facts or []]

    async def passes(self, payment_id: str, column: str) -> None:
        """Let the time come that a payment waits for."""
        admin = await self.live.database.admin()
        await admin.execute(
            f"UPDATE private.sandbox_payments SET {column} = private.clock() WHERE id = $1",
            payment_id,
        )


@pytest_asyncio.fixture
async def till(database: Database, there: Remote) -> AsyncGenerator[Till]:
    """A running server with the settings of development."""
    async with (
        serving(settings_for(database), database) as live,
        httpx.AsyncClient(base_url=live.url, trust_env=False) as http,
    ):
        till = Till(live, there, http)
        assert till.sandbox.target == f"{live.url}/webhooks/sandbox"
        till.sandbox.target = f"{there.url}/webhooks/sandbox"
        yield till


async def test_a_payment_has_a_page_that_anybody_with_its_id_can_open(till: Till) -> None:
    purchase = uuid4()
    intent = Intent(purchase, 1042, 1999, "manual", "purchase 1042")
    started = await till.sandbox.create(intent)
    assert started.checkout == Redirect(f"/sandbox/pay/{started.payment_id}")
    assert await till.sandbox.create(intent) == started
    shown = (await till.http.get(f"/api/sandbox/payments/{started.payment_id}")).json()
    assert shown.pop("created_at")
    assert shown == {
        "id": started.payment_id,
        "purchase_id": str(purchase),
        "number": 1042,
        "amount_cents": 1999,
        "currency": "usd",
        "capture": "manual",
        "status": "open",
        "captured_cents": 0,
        "refunded_cents": 0,
        "capture_before": None,
        "last_error": None,
    }
    with pytest.raises(ProviderRefused):
        await till.sandbox.create(Intent(purchase, 1042, 2000, "manual", "purchase 1042"))


PATHS: list[tuple[Capture, tuple[str, ...], str, list[type]]] = [
    ("automatic", ("pay",), "captured", [Captured]),
    ("manual", ("pay",), "authorized", [Authorized]),
    ("automatic", ("confirm",), "requires_action", [RequiresAction]),
    ("automatic", ("confirm", "confirm"), "captured", [RequiresAction, Captured]),
    ("manual", ("confirm", "confirm"), "authorized", [RequiresAction, Authorized]),
    ("automatic", ("confirm", "fail"), "open", [RequiresAction, Failed]),
    ("automatic", ("fail", "fail", "pay"), "captured", [Failed, Failed, Captured]),
    ("automatic", ("delay",), "processing", [Processing]),
]


@pytest.mark.parametrize(("capture", "actions", "status", "kinds"), PATHS, ids=str)
async def test_each_action_is_reported(
    till: Till, capture: Capture, actions: tuple[str, ...], status: str, kinds: list[type]
) -> None:
    purchase = uuid4()
    payment = await till.start(capture, purchase)
    await till.press(payment, *actions)
    shown = (await till.http.get(f"/api/sandbox/payments/{payment}")).json()
    assert shown["status"] == status
    facts = await till.facts(len(kinds))
    assert [type(fact) for fact in facts] == kinds
    for fact in facts:
        assert (fact.payment_id, fact.purchase_id) == (payment, purchase)
        assert (fact.amount_cents, fact.currency) == (1999, "usd")
        assert abs(time.time() - fact.at.timestamp()) < 60
        if isinstance(fact, Failed):
            assert fact.reason == "card_declined"
        if isinstance(fact, Authorized):
            assert fact.capture_before is not None
            assert (fact.capture_before - fact.at).days in (6, 7)
            assert fact.card_country == "US"


@pytest.mark.parametrize(("capture", "kind"), [("automatic", Captured), ("manual", Authorized)])
async def test_a_delayed_payment_succeeds_by_itself(
    till: Till, capture: Capture, kind: type
) -> None:
    payment = await till.start(capture)
    started = time.monotonic()
    await till.press(payment, "delay")
    assert [type(fact) for fact in await till.facts(2)] == [Processing, kind]
    assert time.monotonic() - started > 2.5


async def test_a_repeated_event_is_the_same_byte_for_byte(till: Till) -> None:
    payment = await till.start()
    await till.press(payment, "pay")
    await till.events(1)
    await till.press(payment, "repeat")
    await till.events(2)
    await till.press(payment, "repeat")
    events = await till.events(3)
    assert len({heard.body for heard in till.there.heard}) == 1
    assert len({event.id for event in events}) == 1


async def test_a_shop_captures_and_refunds_and_the_events_say_the_same(till: Till) -> None:
    payment = await till.start("manual")
    await till.press(payment, "pay")
    captured = await till.sandbox.capture(payment, 1999, "capture")
    assert [type(fact) for fact in captured] == [Captured]
    assert await till.sandbox.capture(payment, 1999, "capture") == captured
    assert await till.sandbox.cancel(payment, 1999, "cancel") == captured
    first = await till.sandbox.refund(payment, 500, "refund 1")
    assert await till.sandbox.refund(payment, 500, "refund 1") == first
    second = await till.sandbox.refund(payment, 1499, "refund 2")
    assert [type(fact) for fact in (*first, *second)] == [Refund, Refund]
    assert (first[0].amount_cents, second[0].amount_cents) == (500, 1499)
    assert (await till.facts(4))[1:] == [*captured, *first, *second]
    assert await till.sandbox.capture(payment, 1999, "capture") == captured


async def test_a_shop_cancels(till: Till) -> None:
    payment = await till.start("manual")
    await till.press(payment, "pay")
    canceled = await till.sandbox.cancel(payment, 1999, "cancel")
    assert [type(fact) for fact in canceled] == [Canceled]
    for call in (till.sandbox.cancel, till.sandbox.capture):
        assert await call(payment, 1999, "again") == canceled
    assert (await till.facts(2))[1:] == canceled
    assert (await till.act(payment, "pay")).status_code == 422


async def test_what_nobody_captures_in_time_lapses(till: Till) -> None:
    payment = await till.start("manual")
    await till.press(payment, "pay")
    await till.passes(payment, "capture_before")
    assert [type(fact) for fact in await till.facts(2)] == [Authorized, Canceled]


async def test_refunds_never_exceed_what_was_captured(till: Till) -> None:
    payment = await till.start()
    calls: list[tuple[str, int, str]] = [(payment, 1, "not yet paid"), ("nobody", 1, "key")]
    for call in calls:
        with pytest.raises(ProviderRefused):
            await till.sandbox.refund(*call)
    await till.press(payment, "pay")
    for cents in (0, -1, 2000, 2**62):
        with pytest.raises(ProviderRefused):
            await till.sandbox.refund(payment, cents, f"refund {cents}")
    racing = [till.sandbox.refund(payment, 1000, f"racing {n}") for n in range(5)]
    done = await asyncio.gather(*racing, return_exceptions=True)
    assert sum(isinstance(result, list) for result in done) == 1
    with pytest.raises(ProviderRefused):
        await till.sandbox.refund(payment, 999, f"racing {[type(d) for d in done].index(list)}")
    await till.events(2)


async def test_a_payment_is_paid_once_however_many_press(till: Till) -> None:
    payment = await till.start()
    answers = await asyncio.gather(*(till.act(payment, "pay") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [422] * 9
    await till.events(1)


async def test_what_is_not_possible_is_said_with_a_code(till: Till) -> None:
    payment = await till.start()
    for path, status, code in (
        (f"{payment}/repeat", 422, "invalid_argument"),
        (f"{payment}/steal", 400, "invalid_message"),
        ("sbp_nobody/pay", 404, "not_found"),
    ):
        answer = await till.http.post(f"/api/sandbox/payments/{path}")
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    await till.press(payment, "pay")
    for action in ("pay", "confirm", "fail", "delay"):
        answer = await till.act(payment, action)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_argument")
        assert answer.json()["fields"] == {"status": "captured"}
    assert (await till.http.get("/api/sandbox/payments/nobody")).json()["code"] == "not_found"
    for call in (till.sandbox.capture, till.sandbox.cancel):
        with pytest.raises(ProviderRefused):
            await call("nobody", 1999, "key")


async def test_an_event_comes_again_until_it_is_taken(till: Till) -> None:
    till.there.say((500, {}), (404, {}), (200, {}))
    payment = await till.start()
    await till.press(payment, "pay")
    events = await till.events(3)
    assert len({heard.body for heard in till.there.heard}) == 1
    assert all(event.facts == events[0].facts for event in events)
    # Each is signed anew, or the last one would be too old after a while.
    assert len({heard.headers["sandbox-signature"] for heard in till.there.heard}) == 3
    await asyncio.sleep(1)
    await till.events(3)


async def test_nothing_is_lost_over_a_restart(database: Database, there: Remote) -> None:
    settings = settings_for(database)
    async with (
        serving(settings, database) as live,
        httpx.AsyncClient(base_url=live.url, trust_env=False) as http,
    ):
        first = Till(live, there, http)
        first.sandbox.target = "http://127.0.0.1:9/webhooks/sandbox"
        payment = await first.start()
        await first.press(payment, "fail", "pay")
    async with serving(settings, database) as live, httpx.AsyncClient() as http:
        second = Till(live, there, http)
        second.sandbox.target = f"{there.url}/webhooks/sandbox"
        assert {type(fact) for fact in await second.facts(2)} == {Failed, Captured}


@pytest.mark.abuse("A24")
async def test_an_event_that_is_not_ours_or_old_is_refused(till: Till) -> None:
    payment = await till.start()
    await till.press(payment, "pay")
    await till.events(1)
    heard, now = till.there.heard[0], int(time.time())
    header, body = heard.headers["sandbox-signature"], heard.body

    def refused(value: str, sent: bytes = body) -> str:
        with pytest.raises(Refusal) as caught:
            till.sandbox.read_event({"sandbox-signature": value}, sent)
        return caught.value.code

    other = settings_for(till.live.database, secret="x" * 40)
    stranger = Sandbox(other, till.live.app.server.database)
    for value in (
        "",
        "t=1",
        header[:-1],
        header.replace("t=", "t=1"),
        header.upper(),
        stranger.sign(body, now),
        till.sandbox.sign(body, now - 302),
        till.sandbox.sign(body, now + 302),
        f"t={now},v1=" + "ä" * 64,
    ):
        assert refused(value) == "bad_signature", value
    for sent in (body[:-1], body + b" ", body.replace(b"1999", b"9999"), b""):
        assert refused(header, sent) == "bad_signature"
    for sent in (b"", b"[]", b"{}", body[:-1], b"\xff", b'{"a":' * 100_000):
        assert refused(till.sandbox.sign(sent, now), sent) == "invalid_message"


async def test_a_type_we_do_not_know_has_no_facts(till: Till) -> None:
    payment = await till.start()
    await till.press(payment, "pay")
    (event,) = await till.events(1)
    assert till.sandbox.facts_of(event.payload) == event.facts
    assert till.sandbox.facts_of(event.payload | {"type": "payment.admired"}) is None
    assert till.sandbox.facts_of({"type": "payment.captured"}) is None


async def test_without_the_sandbox_its_page_does_not_exist(database: Database) -> None:
    async with (
        serving(settings_for(database, payments="none"), database) as live,
        httpx.AsyncClient(base_url=live.url, trust_env=False) as http,
    ):
        assert live.app.server.provider is None
        for answer in (
            await http.get("/api/sandbox/payments/x"),
            await http.post("/api/sandbox/payments/x/pay"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "sandbox_only")


async def test_with_the_database_away_the_sandbox_is_away(till: Till) -> None:
    await till.live.app.server.database.close()
    calls: list[Any] = [
        till.sandbox.create(Intent(uuid4(), 1, 100, "automatic", "key")),
        till.sandbox.capture("x", 100, "key"),
    ]
    for call in calls:
        with pytest.raises(ProviderAway):
            await call
