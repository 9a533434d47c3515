"""What payment providers report: signed, stored first, acted on after, once."""

from uuid import uuid4

import msgspec
import pytest

from livewall.payments import Captured, Refund
from livewall.web import LARGEST_EVENT
from tests.databases import Cluster
from tests.server.money import (
    FakeProvider,
    audited,
    bought,
    captured,
    coins,
    eventually,
    report,
    send,
    signature_of,
    staff,
    status,
)
from tests.server.test_outage import away
from tests.server.world import Json, Live, Visitor, metric


async def _events(member: Visitor, **query: str | int) -> list[Json]:
    answer = await member.http.get("/api/admin/webhooks", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["events"]


async def _stored(shop: Live) -> int:
    admin = await shop.database.admin()
    return await admin.fetchval("SELECT count(*) FROM private.payment_events")


@pytest.mark.abuse("A24")
async def test_a_bad_signature_leaves_nothing_behind(shop: Live, provider: FakeProvider) -> None:
    purchase = await bought(await shop.account("ada"))
    body = report(captured(provider, purchase))
    http = shop.visitor().http
    altered = body.replace(b"999", b"1")
    assert altered != body
    for sent, signature in (
        (body, {}),
        (body, {"X-Fake-Signature": ""}),
        (body, {"X-Fake-Signature": "0" * 64}),
        (altered, signature_of(body)),
    ):
        answer = await http.post("/webhooks/fake", content=sent, headers=signature)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_signature")
    assert await _stored(shop) == 0
    assert (await send(shop, body)).status_code == 200
    assert await _stored(shop) == 1, "the same body under its own signature is taken"


@pytest.mark.spec("S26")
@pytest.mark.abuse("A21")
async def test_the_same_event_ten_times_is_one(shop: Live, provider: FakeProvider) -> None:
    ada, fin = await shop.account("ada"), await staff(shop, "fin")
    purchase = await bought(ada)
    fact = captured(provider, purchase)
    for attempt in range(10):
        # Stripe counts down what it still has to deliver; that makes no other event.
        body = report(fact, event_id="evt_1", pending_webhooks=10 - attempt)
        answer = await send(shop, body)
        assert (answer.status_code, answer.json()) == (200, {"is_new": attempt == 0})
    await status(ada, purchase, "completed")
    assert await coins(ada) == 700
    other = await send(shop, report(fact, fact, event_id="evt_1"))
    assert (other.status_code, other.json()["code"]) == (409, "event_conflict")
    assert "payment_event_altered" in await audited(fin)
    assert await coins(ada) == 700
    assert await _stored(shop) == 1


@pytest.mark.abuse("A23")
async def test_two_events_for_one_payment_credit_once(shop: Live, provider: FakeProvider) -> None:
    ada = await shop.account("ada")
    purchase = await bought(ada)
    for _ in range(2):
        assert (await send(shop, report(captured(provider, purchase)))).status_code == 200
    await status(ada, purchase, "completed")
    assert await coins(ada) == 700


@pytest.mark.abuse("A22")
async def test_what_comes_before_its_purchase_waits_for_it(
    shop: Live, provider: FakeProvider
) -> None:
    ada, fin = await shop.account("ada"), await staff(shop, "fin")
    purchase = await bought(ada)
    early = provider.fact(Captured, "pay_unknown", 999)
    await send(shop, report(early))
    back = {"refund_id": "re_1", "status": "succeeded"}
    await send(shop, report(provider.fact(Refund, purchase["provider_payment_id"], 500, **back)))
    await eventually(
        lambda: _events(fin), lambda found: {e["outcome"] for e in found} == {"parked", "applied"}
    )
    assert [e["payment_id"] for e in await _events(fin, outcome="parked")] == ["pay_unknown"]
    await send(shop, report(captured(provider, purchase)))
    found = await status(ada, purchase, "completed")
    assert (found["refunded_cents"], await coins(ada)) == (500, 700 - found["refunded_coins"])


@pytest.mark.abuse("A26")
@pytest.mark.parametrize(
    ("cents", "currency", "reason"),
    [(998, "usd", "amount_mismatch"), (999, "jpy", "currency_mismatch")],
)
async def test_money_that_does_not_fit_is_held_and_visible(
    shop: Live, provider: FakeProvider, cents: int, currency: str, reason: str
) -> None:
    ada, fin = await shop.account("ada"), await staff(shop, "fin")
    tab = await fin.tab()
    purchase = await bought(ada)
    payment_id = purchase["provider_payment_id"]
    await send(shop, report(provider.fact(Captured, payment_id, cents, currency=currency)))
    await tab.expect("held")
    held = (await fin.http.get("/api/admin/purchases/held")).json()["purchases"]
    assert [h["purchase"]["hold_reason"] for h in held] == [reason]
    assert held[0]["is_captured"] is True
    assert await coins(ada) == 0


async def test_a_provider_needs_no_cookie_and_no_origin(shop: Live, provider: FakeProvider) -> None:
    ada = await shop.account("ada")
    purchase = await bought(ada)
    strange = {"Origin": "https://elsewhere.example", "Authorization": "Basic bm9ib2R5"}
    answer = await send(shop, report(captured(provider, purchase)), strange)
    assert (answer.status_code, answer.json()) == (200, {"is_new": True})


@pytest.mark.abuse("T6")
async def test_events_may_be_large_but_not_endless(shop: Live) -> None:
    large = report(kind="news", filler="x" * 200_000)
    assert (await send(shop, large)).status_code == 200
    larger = report(kind="news", filler="x" * LARGEST_EVENT)
    answer = await send(shop, larger)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    elsewhere = await shop.visitor().http.post("/webhooks/elsewhere", content=b"{}")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (404, "not_found")
    assert (await shop.visitor().http.get("/webhooks/fake")).status_code == 405


@pytest.mark.spec("S26")
async def test_a_character_that_can_not_be_stored_drops_no_event(shop: Live) -> None:
    fin = await staff(shop, "fin")
    said = r"nul \u0000 and a backslash before u0000"
    for _ in range(2):
        body = report(kind="news", event_id="evt_nul", said=said, nul="a\0b", **{"\0": "\\\0"})
        assert (await send(shop, body)).status_code == 200
    (event,) = await _events(fin)
    admin = await shop.database.admin()
    payload = await admin.fetchval("SELECT payload FROM private.payment_events")
    assert msgspec.json.decode(payload) == {
        "id": event["event_id"],
        "type": "news",
        "facts": [],
        "said": said,
        "nul": "a\ufffdb",
        "\ufffd": "\\\ufffd",
    }


@pytest.mark.spec("S26")
@pytest.mark.abuse("A24")
@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (rb'"\ud83d"', "\ufffd"),
        (rb'"a\ude00b \ud83d\ude00"', "a\ufffdb \U0001f600"),
        (b"-1e400", "-1e400"),
        (b"9" * 5000, "9" * 5000),
        (b'"\xff"', "\ufffd"),
    ],
    ids=["half a character", "the other half", "too great", "too long", "no text"],
)
async def test_what_fits_no_type_of_ours_drops_no_event(
    shop: Live, said: bytes, kept: object
) -> None:
    body = report(kind="news", event_id="evt_odd", said="odd").replace(b'"odd"', said)
    for is_new in (True, False):
        answer = await send(shop, body)
        assert (answer.status_code, answer.json()) == (200, {"is_new": is_new})
    admin = await shop.database.admin()
    payload = await admin.fetchval("SELECT payload FROM private.payment_events")
    assert msgspec.json.decode(payload)["said"] == kept


@pytest.mark.spec("S26", "D7")
@pytest.mark.abuse("A21")
async def test_an_event_that_breaks_keeps_none_behind_it(
    shop: Live, provider: FakeProvider
) -> None:
    ada, eve = await shop.account("ada"), await shop.account("eve")
    bad, good = await bought(eve), await bought(ada)
    admin = await shop.database.admin()
    # What no block of the database catches, as if the statement had taken too long.
    await admin.execute(
        "CREATE FUNCTION private.test_break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE SQLSTATE '57014'; END $$;"
        " CREATE TRIGGER test_break BEFORE UPDATE ON public.coin_purchases FOR EACH ROW"
        f" WHEN (OLD.id = '{bad['id']}') EXECUTE FUNCTION private.test_break()"
    )
    for purchase in (bad, good):
        assert (await send(shop, report(captured(provider, purchase)))).status_code == 200
    await status(ada, good, "completed")
    assert await coins(ada) == 700
    counted = (await shop.visitor().http.get("/metrics")).text
    assert 'livewall_payment_events_total{outcome="broke",provider="fake"}' in counted
    await admin.execute(
        "UPDATE private.payment_events SET received_at = received_at - interval '100 seconds'"
        " WHERE outcome = 'waiting'"
    )
    await eventually(_oldest_waits, lambda seconds: 100 <= seconds < 200)


async def _oldest_waits() -> float:
    return metric("livewall_payment_event_oldest_seconds", outcome="waiting")


async def test_an_unknown_event_is_kept_and_can_be_replayed(
    shop: Live, provider: FakeProvider
) -> None:
    ada, fin = await shop.account("ada"), await staff(shop, "fin")
    purchase = await bought(ada)
    body = report(captured(provider, purchase), kind="money.of_tomorrow", event_id="evt_new")
    assert (await send(shop, body)).json() == {"is_new": True}
    (event,) = await eventually(
        lambda: _events(fin), lambda found: found[0]["outcome"] == "ignored"
    )
    assert event["payment_id"] == purchase["provider_payment_id"]
    provider.known.add("money.of_tomorrow")
    path = "/api/admin/webhooks/fake/evt_new/replay"
    for _ in range(2):
        answer = await fin.http.post(path)
        assert (answer.status_code, answer.json()["outcome"]) == (200, "applied")
    assert await coins(ada) == 700
    assert (await audited(fin)).count("payment_event_replayed") == 2
    for other in ("fake/evt_none", "stripe/evt_new"):
        answer = await fin.http.post(f"/api/admin/webhooks/{other}/replay")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    refused = await ada.http.post(path)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")


@pytest.mark.abuse("A35")
async def test_an_event_of_somebody_who_left_is_not_read_again(
    shop: Live, provider: FakeProvider
) -> None:
    ada, fin = await shop.account("ada"), await staff(shop, "fin")
    purchase = await bought(ada)
    await send(shop, report(captured(provider, purchase), event_id="evt_1"))
    await status(ada, purchase, "completed")
    assert (await ada.http.delete("/api/me")).status_code == 204
    answer = await fin.http.post("/api/admin/webhooks/fake/evt_1/replay")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    (event,) = await _events(fin)
    assert event["outcome"] == "applied"
    # Of a kind that means nothing to us, and only now: it names them all the same.
    late = report(
        kind="news", event_id="evt_2", payment_id=event["payment_id"], email="ada@example.org"
    )
    assert (await send(shop, late)).json() == {"is_new": True}
    await eventually(
        lambda: _events(fin), lambda found: [e["outcome"] for e in found] == ["ignored", "applied"]
    )
    admin = await shop.database.admin()
    payloads = await admin.fetch("SELECT payload::text FROM private.payment_events")
    assert {row[0] for row in payloads} == {'{"redacted": true}'}


async def test_events_are_listed_in_pages_for_finance_only(
    shop: Live, provider: FakeProvider
) -> None:
    ada, fin = await shop.account("ada"), await staff(shop, "fin")
    for number in range(3):
        await send(shop, report(provider.fact(Captured, f"pay_{number}", 1)))
    page = (await fin.http.get("/api/admin/webhooks?limit=2")).json()
    older = {"limit": 2, "before": page["next"]}
    rest = (await fin.http.get("/api/admin/webhooks", params=older)).json()
    ids = [e["payment_id"] for e in page["events"] + rest["events"]]
    assert ids == ["pay_2", "pay_1", "pay_0"]
    assert rest["next"] is None
    assert (await ada.http.get("/api/admin/webhooks")).json()["code"] == "not_allowed"
    assert (await shop.visitor().http.get("/api/admin/webhooks")).status_code == 401


async def test_an_event_that_can_not_be_stored_is_asked_for_again(
    shop: Live, provider: FakeProvider, cluster: Cluster
) -> None:
    ada = await shop.account("ada")
    purchase = await bought(ada)
    body = report(captured(provider, purchase), event_id=f"evt_{uuid4()}")
    async with away(cluster, shop.database):
        answer = await send(shop, body)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_away")
    answer = await eventually(lambda: send(shop, body), lambda found: found.status_code == 200)
    assert answer.json() == {"is_new": True}
    await status(ada, purchase, "completed")
