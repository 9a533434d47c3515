"""S25: a second person approves before anything is credited; what is rejected goes back."""

import pytest

from tests.sql.money import (
    CENTS,
    COINS,
    LARGE,
    LARGE_CENTS,
    LARGE_COINS,
    audit,
    authorized,
    buy,
    calls,
    captured,
    decide,
    expire,
    fact,
    finish,
    fold,
    held,
    look_up,
    order_refund,
    paid,
    refund,
    report,
    staff,
    started,
    take_call,
    verify,
    wallet,
)
from tests.sql.world import World, refused

DAY = 86_400


@pytest.mark.spec("S25", "S23")
async def test_an_approved_purchase_is_credited_when_its_capture_succeeds(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await held(world, buyer)
    assert (purchase["status"], purchase["requires_approval"]) == ("held", True)
    assert (await decide(world, clerk, purchase, "approve"))["status"] == "approved"
    seen = await wallet(world, buyer)
    assert (seen["coins"], seen["held_coins"]) == (0, LARGE_COINS)
    assert await finish(world, await take_call(world, purchase), captured(payment, LARGE_CENTS))
    assert (await wallet(world, buyer))["coins"] == LARGE_COINS
    after = await look_up(world, purchase)
    assert (after["status"], after["completed_at"] is None) == ("completed", False)
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.spec("S25")
async def test_money_captured_before_the_decision_is_held_all_the_same(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await held(world, buyer)
    await report(world, captured(payment, LARGE_CENTS))
    assert (await look_up(world, purchase))["status"] == "held"
    assert (await wallet(world, buyer))["coins"] == 0
    assert (await decide(world, clerk, purchase, "approve"))["status"] == "completed"
    assert (await wallet(world, buyer))["coins"] == LARGE_COINS
    assert await calls(world, purchase) == []


@pytest.mark.spec("S25", "D7")
@pytest.mark.parametrize(
    ("cents", "back", "gets"), [(333, 0, 233), (CENTS * 9, 0, COINS), (333, 111, 156)]
)
async def test_the_coins_shown_before_a_decision_are_those_that_it_gives(
    world: World, cents: int, back: int, gets: int
) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await started(world, buyer)
    await report(world, captured(payment, cents))
    if back:
        await report(world, refund(payment, "r", back))
    [waiting] = await world.call(clerk, "list_held_purchases")
    assert (waiting["may_approve"], waiting["coins_if_approved"]) == (True, gets)
    seen = waiting["purchase"]
    assert (seen["captured_cents"], seen["currency"], seen["paid_coins"]) == (cents, "usd", 0)
    done = await decide(world, clerk, purchase, "approve")
    assert (done["status"], done["paid_coins"] - done["refunded_coins"]) == ("completed", gets)
    assert (await wallet(world, buyer))["coins"] == gets


@pytest.mark.spec("S25", "D7")
async def test_what_is_only_authorized_is_shown_as_that(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    _, payment = await started(world, buyer, LARGE)
    await report(world, authorized(payment, LARGE_CENTS // 2))
    [waiting] = await world.call(clerk, "list_held_purchases")
    seen = waiting["purchase"]
    assert (seen["authorized_cents"], seen["captured_cents"]) == (LARGE_CENTS // 2, 0)
    assert waiting["coins_if_approved"] == LARGE_COINS // 2


@pytest.mark.spec("S25")
@pytest.mark.abuse("A26")
@pytest.mark.parametrize("kind", ["authorized", "captured"])
async def test_a_foreign_currency_can_only_be_sent_back(world: World, kind: str) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await started(world, buyer)
    await report(world, fact(kind, payment, CENTS, currency="jpy"))
    [waiting] = await world.call(clerk, "list_held_purchases")
    assert (waiting["may_decide"], waiting["may_approve"]) == (True, False)
    assert (waiting["purchase"]["currency"], waiting["coins_if_approved"]) == ("jpy", 0)
    with refused("LW086"):
        await decide(world, clerk, purchase, "approve")
    assert (await look_up(world, purchase))["status"] == "held"
    assert (await decide(world, clerk, purchase, "reject"))["status"] == "rejected"
    back = "refund" if kind == "captured" else "cancel"
    assert await calls(world, purchase) == [(back, CENTS)]
    assert (await wallet(world, buyer))["coins"] == 0


@pytest.mark.spec("S25")
@pytest.mark.abuse("A34")
async def test_nobody_approves_their_own_purchase(world: World) -> None:
    buyer = await staff(world, "buyer", "admin")
    purchase, _ = await held(world, buyer)
    [listed] = await world.call(buyer, "list_held_purchases")
    assert (listed["may_decide"], listed["may_approve"]) == (False, False)
    for decision in ("approve", "reject"):
        with refused("LW073"):
            await decide(world, buyer, purchase, decision)
    assert (await look_up(world, purchase))["status"] == "held"


@pytest.mark.spec("S25")
@pytest.mark.abuse("A34")
async def test_a_purchase_is_decided_once(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    other = await staff(world, "other")
    for first, second in (("approve", "reject"), ("reject", "approve"), ("approve", "approve")):
        purchase, _ = await held(world, buyer)
        await decide(world, clerk, purchase, first)
        with refused("LW072"):
            await decide(world, other, purchase, second)
        assert len(await calls(world, purchase)) == 1


@pytest.mark.spec("S25")
@pytest.mark.abuse("A34")
async def test_after_the_deadline_nobody_decides(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, _ = await held(world, buyer)
    await world.advance(5 * DAY + 1)
    with refused("LW074"):
        await decide(world, clerk, purchase, "approve")
    assert await expire(world) == 1
    with refused("LW072"):
        await decide(world, clerk, purchase, "approve")
    assert await calls(world, purchase) == [("cancel", LARGE_CENTS)]


@pytest.mark.spec("S25")
@pytest.mark.abuse("A34")
async def test_deciding_takes_the_role(world: World) -> None:
    buyer, bystander = await world.people("buyer", "bystander")
    moderator = await world.moderator()
    purchase, _ = await held(world, buyer)
    for who in (bystander, moderator):
        with refused("LW003"):
            await decide(world, who, purchase, "approve")
        with refused("LW003"):
            await world.call(who, "list_held_purchases")
    for role in ("anon", "service_role"):
        with refused("42501"):
            await world.call(
                role,
                "decide_purchase",
                p_purchase_id=purchase["id"],
                p_decision="approve",
                p_reason="x",
            )
    assert (await look_up(world, purchase))["status"] == "held"


@pytest.mark.spec("S25")
@pytest.mark.parametrize("reason", [None, "", " \u200b ", "x" * 501])
async def test_a_decision_says_why(world: World, reason: str | None) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, _ = await held(world, buyer)
    with refused("LW077"):
        await world.call(
            clerk,
            "decide_purchase",
            p_purchase_id=purchase["id"],
            p_decision="approve",
            p_reason=reason,
        )
    with refused("LW005"):
        await decide(world, clerk, purchase, "expire")


@pytest.mark.spec("S25")
async def test_rejecting_money_that_is_set_aside_cancels_it(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await held(world, buyer)
    assert (await decide(world, clerk, purchase, "reject"))["status"] == "rejected"
    assert await finish(world, await take_call(world, purchase), fact("canceled", payment))
    assert await calls(world, purchase) == [("cancel", LARGE_CENTS)]
    assert await wallet(world, buyer) == {
        "coins": 0,
        "debt": 0,
        "is_frozen": False,
        "held_coins": 0,
        "earnings": 0,
    }


@pytest.mark.spec("S25")
async def test_rejecting_money_that_has_arrived_refunds_it(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await held(world, buyer)
    await report(world, captured(payment, LARGE_CENTS))
    await decide(world, clerk, purchase, "reject")
    call = await take_call(world, purchase)
    assert (call["call"], call["amount_cents"]) == ("refund", LARGE_CENTS)
    await finish(world, call, refund(payment, "r", LARGE_CENTS))
    after = await look_up(world, purchase)
    assert (after["status"], after["refunded_cents"], after["refunded_coins"]) == (
        "rejected",
        LARGE_CENTS,
        0,
    )
    await fold(world)
    assert await world.rows(
        "SELECT DISTINCT balance FROM private.ledger_accounts WHERE currency = 'usd'"
    ) == [(0,)]
    assert await verify(world) == {}


@pytest.mark.spec("S25")
async def test_a_late_capture_after_a_reject_is_refunded(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await held(world, buyer)
    await decide(world, clerk, purchase, "reject")
    await report(world, captured(payment, LARGE_CENTS))
    await report(world, captured(payment, LARGE_CENTS))
    assert await calls(world, purchase) == [("cancel", LARGE_CENTS), ("refund", LARGE_CENTS)]
    assert (await look_up(world, purchase))["status"] == "rejected"
    assert (await wallet(world, buyer))["coins"] == 0


@pytest.mark.spec("S25")
async def test_a_reject_gives_back_what_no_other_refund_is_giving_back(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await held(world, buyer)
    await report(world, captured(payment, LARGE_CENTS), refund(payment, "r", 100, "pending"))
    await order_refund(world, clerk, purchase, 200)
    await decide(world, clerk, purchase, "reject")
    assert await calls(world, purchase) == [("refund", 200), ("refund", LARGE_CENTS - 300)]


@pytest.mark.spec("S25")
async def test_no_key_of_a_refund_gets_in_the_way_of_a_rejection(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await held(world, buyer)
    await report(world, captured(payment, LARGE_CENTS))
    await order_refund(world, clerk, purchase, 1, "refund:reject")
    await decide(world, clerk, purchase, "reject")
    assert await calls(world, purchase) == [("refund", 1), ("refund", LARGE_CENTS - 1)]


@pytest.mark.spec("S25")
async def test_a_refused_capture_lets_the_money_go_and_is_on_record(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await held(world, buyer)
    await decide(world, clerk, purchase, "approve")
    call = await take_call(world, purchase)
    await finish(world, call, p_error="expired card", p_is_final=True)
    # Not failed: what failed can be paid with another card, and a checkout would be shown.
    assert (await look_up(world, purchase))["status"] == "canceled"
    assert await calls(world, purchase) == [("capture", LARGE_CENTS), ("cancel", LARGE_CENTS)]
    assert (await wallet(world, buyer))["coins"] == 0
    [(actor, subject, details)] = await audit(world, "provider_call_failed")
    assert (actor, subject, details["error"]) == (None, purchase["id"], "expired card")
    await report(world, captured(payment, LARGE_CENTS))
    assert (await look_up(world, purchase))["status"] == "completed", "captured all the same"


@pytest.mark.spec("S25")
async def test_a_capture_refused_because_the_bank_has_let_go_is_answered(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await held(world, buyer)
    await decide(world, clerk, purchase, "approve")
    call = await take_call(world, purchase)
    await report(world, fact("canceled", payment))
    assert await finish(world, call, p_error="canceled before", p_is_final=True)
    assert (await look_up(world, purchase))["status"] == "canceled"


@pytest.mark.spec("S25", "D7")
async def test_the_audit_log_has_every_decision(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    approved, rejected = [(await held(world, buyer))[0] for _ in range(2)]
    await decide(world, clerk, approved, "approve")
    await decide(world, clerk, rejected, "reject")
    listed = await world.call(clerk, "list_audit")
    made = [(e["action"], e["actor"]["name"], e["subject"]) for e in listed["entries"]]
    assert made == [
        ("purchase_rejected", "treasurer", rejected["id"]),
        ("purchase_approved", "treasurer", approved["id"]),
    ]
    assert listed["entries"][0]["details"] == {
        "reason": "as agreed by telephone",
        "number": rejected["number"],
        "usd_amount": 32500.00,
        "buyer_id": str(buyer.id),
    }
    assert [e["buyer"]["id"] for e in listed["entries"]] == [str(buyer.id)] * 2
    page = await world.call(clerk, "list_audit", p_limit=1)
    older = await world.call(clerk, "list_audit", p_limit=1, p_before=page["next"])
    assert (older["entries"][0]["action"], older["next"]) == ("purchase_approved", None)
    with refused("LW003"):
        await world.call(buyer, "list_audit")


@pytest.mark.spec("S25", "D7")
@pytest.mark.abuse("A35")
async def test_a_decision_stays_somebodys_after_they_left(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    other = await staff(world, "other")
    purchase, _ = await held(world, buyer)
    await decide(world, clerk, purchase, "reject")
    late, _ = await held(world, buyer)
    await world.advance(5 * DAY + 1)
    await expire(world)
    await world.call(clerk, "delete_account")
    entries = (await world.call(other, "list_audit"))["entries"]
    assert [(e["subject"], e["actor_id"], e["actor"]) for e in entries] == [
        (late["id"], None, None),
        (purchase["id"], str(clerk.id), None),
    ]


@pytest.mark.spec("S25")
async def test_staff_sees_what_it_needs_to_decide(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    _, payment = await paid(world, buyer)
    await report(world, refund(payment, "r", 100))
    first = await buy(world, buyer, LARGE, p_country_code="de")
    await report(world, authorized("pay_first", purchase_id=first["id"], card_country="fr"))
    await world.advance(60)
    second, _ = await held(world, buyer)
    listed = await world.call(clerk, "list_held_purchases")
    assert [item["purchase"]["id"] for item in listed] == [first["id"], second["id"]]
    assert (listed[0]["card_country"], listed[0]["country_code"]) == ("FR", "DE")
    assert listed[0]["history"] == {"purchases": 1, "refunds": 1, "disputes": 0}
    assert listed[0]["buyer"]["name"] == "buyer"
    assert (listed[0]["may_decide"], listed[0]["may_approve"]) == (True, True)
