"""Large purchases: held, decided by a second person, carried out at the provider; and refunds."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from livewall.payments import Captured, ProviderAway, ProviderRefused
from tests.server.money import (
    FakeProvider,
    audited,
    authorized,
    bought,
    buy,
    captured,
    coins,
    eventually,
    held,
    report,
    send,
    staff,
    status,
    told,
)
from tests.server.world import Json, Live, Visitor


async def _decide(
    member: Visitor, purchase: Json, decision: str = "approve", reason: str = "spoke to them"
) -> httpx.Response:
    wish = {"decision": decision, "reason": reason}
    return await member.http.post(f"/api/admin/purchases/{purchase['id']}/decision", json=wish)


async def _refund(member: Visitor, purchase: Json, **wish: object) -> httpx.Response:
    wish = {"reason": "goodwill", "idempotency_key": str(uuid4())} | wish
    return await member.http.post(f"/api/admin/purchases/{purchase['id']}/refunds", json=wish)


async def _sold(shop: Live, provider: FakeProvider, buyer: Visitor) -> Json:
    purchase = await bought(buyer)
    await send(shop, report(captured(provider, purchase)))
    return await status(buyer, purchase, "completed")


@pytest.mark.spec("S25")
@pytest.mark.spec("S23")
@pytest.mark.spec("D7")
async def test_held_approved_captured_credited(shop: Live, provider: FakeProvider) -> None:
    ada, fin = await shop.account("ada"), await staff(shop, "fin")
    desk, tab = await fin.tab(), await ada.tab()
    stranger = await (await shop.account("bob")).tab()
    purchase = await held(shop, provider, ada)
    assert provider.intents[purchase["provider_payment_id"]].capture == "manual"
    assert (purchase["requires_approval"], purchase["hold_reason"]) == (True, None)
    await desk.expect("held")
    assert await told(tab, purchase, "held") == purchase
    wallet = (await ada.http.get("/api/wallet")).json()
    assert (wallet["coins"], wallet["held_coins"]) == (0, 2_275_000)
    (item,) = (await fin.http.get("/api/admin/purchases/held")).json()["purchases"]
    assert item["purchase"] == purchase
    assert (item["buyer"]["name"], item["is_captured"], item["may_decide"]) == ("ada", False, True)
    assert item["history"] == {"purchases": 0, "refunds": 0, "disputes": 0}
    answer = await _decide(fin, purchase)
    assert (answer.status_code, answer.json()["status"]) == (200, "approved")
    await status(ada, purchase, "completed")
    assert [call[:3] for call in provider.calls] == [
        ("capture", purchase["provider_payment_id"], 3_250_000)
    ]
    assert await coins(ada) == 2_275_000
    assert (await told(tab, purchase, "completed"))["completed_at"]
    await desk.expect("held")  # the list is shorter now
    assert (await fin.http.get("/api/admin/purchases/held")).json() == {"purchases": []}
    assert "purchase_approved" in await audited(fin)
    assert [m["type"] for m in stranger.heard if m["type"] in {"held", "purchase"}] == []


@pytest.mark.spec("S25")
async def test_rejected_is_released_and_nothing_credited(
    shop: Live, provider: FakeProvider
) -> None:
    ada, fin = await shop.account("ada"), await staff(shop, "fin")
    purchase = await held(shop, provider, ada)
    assert (await _decide(fin, purchase, "reject")).json()["status"] == "rejected"
    await _told(provider, 1)
    assert [call[0] for call in provider.calls] == ["cancel"]
    assert await coins(ada) == 0
    assert "purchase_rejected" in await audited(fin)


@pytest.mark.spec("S25")
@pytest.mark.abuse("A26")
async def test_finance_sees_what_arrived_and_yen_can_only_be_sent_back(
    shop: Live, provider: FakeProvider
) -> None:
    ada, fin = await shop.account("ada"), await staff(shop, "fin")
    purchase = await bought(ada)
    fact = provider.fact(Captured, purchase["provider_payment_id"], 999, currency="jpy")
    await send(shop, report(fact))
    await status(ada, purchase, "held")
    (item,) = (await fin.http.get("/api/admin/purchases/held")).json()["purchases"]
    came = (item["purchase"]["captured_cents"], item["purchase"]["currency"])
    assert (came, item["may_approve"], item["coins_if_approved"]) == ((999, "jpy"), False, 0)
    refused = await _decide(fin, purchase)
    assert (refused.status_code, refused.json()["code"]) == (409, "foreign_currency")
    assert (await _decide(fin, purchase, "reject")).json()["status"] == "rejected"
    await _told(provider, 1)
    assert [call[:3:2] for call in provider.calls] == [("refund", 999)]


@pytest.mark.abuse("A34")
async def test_who_may_not_decide_and_when(shop: Live, provider: FakeProvider) -> None:
    ada, fin = await staff(shop, "ada"), await staff(shop, "fin")
    purchase = await held(shop, provider, ada)
    own = await _decide(ada, purchase)
    assert (own.status_code, own.json()["code"]) == (403, "own_purchase")
    listed = (await ada.http.get("/api/admin/purchases/held")).json()["purchases"]
    assert [h["may_decide"] for h in listed] == [False]
    moderator = await shop.moderator("mod")
    for somebody in (moderator, await shop.account("bob")):
        answer = await _decide(somebody, purchase)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
        for path in ("purchases/held", "ledger", "audit", "purchase-settings"):
            refused = await somebody.http.get(f"/api/admin/{path}")
            assert refused.json()["code"] == "not_allowed", path
    unsaid = await _decide(fin, purchase, reason=" ")
    assert (unsaid.status_code, unsaid.json()["code"]) == (422, "reason_needed")
    assert (await _decide(fin, purchase)).status_code == 200
    for decision in ("approve", "reject"):
        twice = await _decide(fin, purchase, decision)
        assert (twice.status_code, twice.json()["code"]) == (409, "not_held")
    assert (await _decide(fin, {"id": uuid4()})).json()["code"] == "not_found"
    late = await held(shop, provider, await shop.account("late"))
    admin = await shop.database.admin()
    await admin.execute(
        "UPDATE public.coin_purchases SET authorized_at = now() - interval '6 days' WHERE id = $1",
        late["id"],
    )
    answer = await _decide(fin, late)
    assert (answer.status_code, answer.json()["code"]) == (409, "decision_too_late")


async def _told(provider: FakeProvider, calls: int) -> None:
    """Wait until the provider was told so often."""

    async def ask() -> int:
        return len(provider.calls)

    await eventually(ask, lambda found: found == calls)


async def _noted(shop: Live) -> bool:
    """Whether the outcome of the last try is noted."""
    admin = await shop.database.admin()
    return await admin.fetchval(
        "SELECT error IS NOT NULL OR done_at IS NOT NULL FROM private.provider_calls"
    )


async def _due_at_once(shop: Live) -> None:
    admin = await shop.database.admin()
    await admin.execute(
        "UPDATE private.provider_calls SET next_attempt_at = now(), error = NULL"
        " WHERE done_at IS NULL"
    )


@pytest.mark.spec("S26")
async def test_a_provider_away_at_capture_is_asked_again_with_the_same_key(
    shop: Live, provider: FakeProvider
) -> None:
    ada, fin = await shop.account("ada"), await staff(shop, "fin")
    purchase = await held(shop, provider, ada)
    provider.trouble = [ProviderAway("No route."), KeyError("a mistake of ours")]
    assert (await _decide(fin, purchase)).status_code == 200
    for tries in (1, 2, 3):
        await _told(provider, tries)
        await eventually(lambda: _noted(shop), bool)
        await _due_at_once(shop)
    await status(ada, purchase, "completed")
    assert len({call[3] for call in provider.calls}) == 1
    assert await coins(ada) == 2_275_000


async def test_a_capture_that_is_refused_for_good_is_visible(
    shop: Live, provider: FakeProvider
) -> None:
    ada, fin = await shop.account("ada"), await staff(shop, "fin")
    tab = await ada.tab()
    key = str(uuid4())
    purchase = (await buy(ada, "coins_2275000", key)).json()["purchase"]
    await send(shop, report(authorized(provider, purchase)))
    await status(ada, purchase, "held")
    provider.trouble = [ProviderRefused("The card was reported stolen.")]
    await _decide(fin, purchase)
    await status(ada, purchase, "canceled")
    await told(tab, purchase, "canceled")
    await _told(provider, 2)
    assert [call[0] for call in provider.calls] == ["capture", "cancel"]
    again = (await buy(ada, "coins_2275000", key)).json()
    assert (again["purchase"]["id"], again["checkout"]) == (purchase["id"], None)
    assert await coins(ada) == 0
    entries = (await fin.http.get("/api/admin/audit")).json()["entries"]
    failed = next(e for e in entries if e["action"] == "provider_call_failed")
    assert failed["details"]["error"] == "The card was reported stolen."
    assert failed["actor"] is None


@pytest.mark.spec("D4")
@pytest.mark.abuse("A28")
async def test_refunds_in_parts_and_never_too_much(shop: Live, provider: FakeProvider) -> None:
    ada, fin = await shop.account("ada"), await staff(shop, "fin")
    purchase = await _sold(shop, provider, ada)
    key = str(uuid4())
    for _ in range(3):
        answer = await _refund(fin, purchase, usd_cents=333, idempotency_key=key)
        assert answer.status_code == 201, answer.text
    conflict = await _refund(fin, purchase, usd_cents=334, idempotency_key=key)
    assert (conflict.status_code, conflict.json()["code"]) == (409, "idempotency_conflict")
    found = await eventually(
        lambda: status(ada, purchase, "completed"), lambda found: found["refunded_cents"] > 0
    )
    assert found["refunded_cents"] == 333
    assert await coins(ada) == 700 - found["refunded_coins"]
    large = await _refund(fin, purchase, usd_cents=667)
    assert (large.status_code, large.json()["code"]) == (422, "refund_refused")
    for wrong in (0, -1, 1.5, "5", 10**15):
        assert (await _refund(fin, purchase, usd_cents=wrong)).status_code in {400, 422}, wrong
    assert (await _refund(ada, purchase)).json()["code"] == "not_allowed"
    assert (await _refund(fin, purchase)).status_code == 201
    found = await status(ada, purchase, "refunded")
    assert (found["refunded_cents"], found["refunded_coins"], await coins(ada)) == (999, 700, 0)
    assert [call[:3:2] for call in provider.calls] == [("refund", 333), ("refund", 666)]
    kinds = [e["kind"] for e in (await ada.http.get("/api/wallet/statement")).json()["entries"]]
    assert kinds == ["refund", "refund", "purchase"]


@pytest.mark.spec("D7")
async def test_rules_change_only_by_admins_and_with_a_trail(shop: Live) -> None:
    admin, fin = await staff(shop, "eve", "admin"), await staff(shop, "fin")
    path = "/api/admin/purchase-settings"
    before = (await fin.http.get(path)).json()
    in_force = {"limit_cents": 5_000_000, "threshold_cents": 2_500_000}
    assert before == {
        "limit_cents": 5_000_000,
        "threshold_cents": 2_500_000,
        "velocity": 5,
        "daily_threshold_cents": None,
        "streamer_share_percent": 70,
        "raises_apply_at": None,
        "in_force": in_force | {"daily_threshold_cents": None},
    }
    wish = {"daily_threshold_cents": 5_000_000, "reason": "five at once"}
    assert (await fin.http.put(path, json=wish)).json()["code"] == "not_allowed"
    after = (await admin.http.put(path, json=wish)).json()
    daily = {"daily_threshold_cents": 5_000_000}
    assert after == before | daily | {"in_force": in_force | daily}
    back = {"daily_threshold_cents": None, "reason": "not needed"}
    removed = (await admin.http.put(path, json=back)).json()
    assert removed == before | {key: removed[key] for key in ("raises_apply_at", "in_force")}
    assert removed["in_force"] == in_force | daily, "removed, and in force for a day"
    waits = datetime.fromisoformat(removed["raises_apply_at"]) - datetime.now(UTC)
    assert timedelta(hours=23) < waits <= timedelta(hours=24)
    for wrong in ({"reason": "x", "nonsense": 1}, {"velocity": 5}):
        answer = await admin.http.put(path, json=wrong)
        assert answer.status_code == 400, wrong
    for setting, value, least, most in (
        ("velocity", 0, 1, 1_000_000),
        ("streamer_share_percent", 101, 0, 100),
        ("limit_cents", 0, 1, 9_999_999_999),
        ("threshold_cents", -1, 0, 9_999_999_999),
        ("daily_threshold_cents", 99_999_999_900, 0, 9_999_999_999),
    ):
        answer = await admin.http.put(path, json={"reason": "x", setting: value})
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "setting_out_of_range"), setting
        assert problem["detail"] == f"{setting} is a whole number from {least} to {most}."
        assert problem["fields"] == {"setting": setting, "least": least, "most": most}
    silent = await admin.http.put(path, json={"velocity": 6, "reason": ""})
    assert silent.json()["code"] == "reason_needed"
    entries = (await fin.http.get("/api/admin/audit")).json()["entries"]
    changes = [e for e in entries if e["action"] == "money_settings_changed"]
    assert [c["actor"]["name"] for c in changes] == ["eve", "eve"]
    assert changes[0]["details"]["reason"] == "not needed"


async def test_the_ledger_says_how_it_is(shop: Live, provider: FakeProvider) -> None:
    ada, fin = await shop.account("ada"), await staff(shop, "fin")
    await _sold(shop, provider, ada)

    async def ask() -> Json:
        return (await fin.http.get("/api/admin/ledger")).json()

    ledger = await eventually(ask, lambda found: found["unsealed"] == 0)
    assert (ledger["is_healthy"], ledger["unsealed"], ledger["transactions"]) == (True, 0, 1)
    assert len(ledger["head"]) == 64
