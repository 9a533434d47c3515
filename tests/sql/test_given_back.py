"""What is rejected, expired or left behind goes back to the last cent; what does not is seen."""

import pytest

from tests.sql.money import (
    CENTS,
    LARGE_CENTS,
    Purchase,
    audit,
    calls,
    captured,
    decide,
    dispute,
    finish,
    fold,
    held,
    look_up,
    order_refund,
    paid,
    refund,
    report,
    staff,
    take_call,
    verify,
    wallet,
)
from tests.sql.world import World, refused


async def assert_all_is_back(world: World) -> None:
    """Fail unless no money is left here."""
    await fold(world)
    assert await verify(world) == {}
    left = "SELECT FROM private.ledger_accounts WHERE balance <> 0"
    assert await world.rows(left) == []


async def make_refund(world: World, purchase: Purchase, payment: str) -> int:
    """Let the provider do the refund that waits; return its cents."""
    call = await take_call(world, purchase)
    assert call["call"] == "refund"
    await finish(world, call, refund(payment, str(call["id"]), call["amount_cents"]))
    return call["amount_cents"]


@pytest.mark.spec("S25", "D4")
@pytest.mark.abuse("A22")
@pytest.mark.parametrize("status", ["pending", "succeeded"])
async def test_a_refund_that_is_heard_of_before_its_answer_is_not_counted_twice(
    world: World, status: str
) -> None:
    clerk = await staff(world)
    purchase, payment = await held(world, await world.person("buyer"))
    await report(world, captured(payment, LARGE_CENTS))
    await order_refund(world, clerk, purchase, 200)
    call = await take_call(world, purchase)
    await report(world, refund(payment, "staff's", 200, status))
    await decide(world, clerk, purchase, "reject")
    await finish(world, call, refund(payment, "staff's", 200))
    assert await make_refund(world, purchase, payment) == LARGE_CENTS - 200
    assert await calls(world, purchase) == [("refund", 200), ("refund", LARGE_CENTS - 200)]
    await assert_all_is_back(world)


@pytest.mark.spec("D4")
@pytest.mark.abuse("A22")
async def test_each_report_stands_for_one_call_of_its_amount(world: World) -> None:
    clerk = await staff(world)
    purchase, payment = await paid(world, await world.person("buyer"))
    for _ in range(2):
        await order_refund(world, clerk, purchase, 200)
    first, _ = await world.call("service_role", "take_provider_calls")
    await report(world, refund(payment, "one", 200))
    await finish(world, first, refund(payment, "one", 200))
    # Of the second nothing is heard, so it may still come.
    with refused("LW083"):
        await order_refund(world, clerk, purchase, CENTS - 399)
    await order_refund(world, clerk, purchase, CENTS - 400)


@pytest.mark.spec("S25", "S26")
@pytest.mark.abuse("A22")
async def test_what_is_captured_after_the_refund_was_ordered_goes_back_too(world: World) -> None:
    clerk = await staff(world)
    purchase, payment = await held(world, await world.person("buyer"))
    await report(world, captured(payment, 1000))
    await decide(world, clerk, purchase, "reject")
    assert await make_refund(world, purchase, payment) == 1000
    await report(world, captured(payment, LARGE_CENTS))
    assert await make_refund(world, purchase, payment) == LARGE_CENTS - 1000
    await assert_all_is_back(world)


@pytest.mark.spec("S25", "D4")
@pytest.mark.abuse("A29")
@pytest.mark.parametrize("heard", ["before", "after"])
async def test_a_refund_refused_for_a_dispute_is_ordered_again_once_it_is_won(
    world: World, heard: str
) -> None:
    clerk = await staff(world)
    purchase, payment = await held(world, await world.person("buyer"))
    await report(world, captured(payment, LARGE_CENTS))
    await decide(world, clerk, purchase, "reject")
    call = await take_call(world, purchase)
    if heard == "before":
        await report(world, dispute(payment, "d", LARGE_CENTS))
    await finish(world, call, p_error="disputed", p_is_final=True)
    if heard == "after":
        await report(world, dispute(payment, "d", LARGE_CENTS))
    assert len(await calls(world, purchase)) == 1
    await report(world, dispute(payment, "d", LARGE_CENTS, "won"))
    assert await make_refund(world, purchase, payment) == LARGE_CENTS
    await assert_all_is_back(world)


@pytest.mark.spec("S25", "S26")
async def test_a_refund_of_more_than_is_left_is_refused_and_ordered_anew(world: World) -> None:
    clerk = await staff(world)
    purchase, payment = await held(world, await world.person("buyer"))
    await report(world, captured(payment, LARGE_CENTS))
    await decide(world, clerk, purchase, "reject")
    call = await take_call(world, purchase)
    await report(world, refund(payment, "by hand, at the provider", 300))
    await finish(world, call, p_error="more than is left", p_is_final=True)
    assert await make_refund(world, purchase, payment) == LARGE_CENTS - 300
    await assert_all_is_back(world)


@pytest.mark.spec("S25", "S26", "D7")
async def test_what_can_not_be_given_back_is_not_tried_for_ever_and_is_seen(world: World) -> None:
    clerk = await staff(world)
    purchase, payment = await held(world, await world.person("buyer"))
    await report(world, captured(payment, LARGE_CENTS))
    await decide(world, clerk, purchase, "reject")
    await finish(world, await take_call(world, purchase), p_error="closed", p_is_final=True)
    await report(world, captured(payment, LARGE_CENTS))
    assert len(await calls(world, purchase)) == 1
    assert len(await audit(world, "provider_call_failed")) == 1
    await fold(world)
    assert await verify(world) == {
        "refused_money_goes_back": f"{LARGE_CENTS} cents of purchase P-{purchase['number']} are"
        " neither returned nor ordered to be: refund them"
    }
    await order_refund(world, clerk, purchase, None)
    assert await make_refund(world, purchase, payment) == LARGE_CENTS
    await assert_all_is_back(world)


@pytest.mark.spec("S26", "D1")
@pytest.mark.abuse("A35")
async def test_whoever_leaves_gets_everything_back(world: World) -> None:
    person, clerk = await world.person("gone.girl"), await staff(world)
    purchase, payment = await held(world, person)
    await report(world, captured(payment, 1000))
    await order_refund(world, clerk, purchase, 400)
    call = await take_call(world, purchase)
    await report(world, refund(payment, "staff's", 400, "pending"))
    await world.call(person, "delete_account")
    await finish(world, call, refund(payment, "staff's", 400))
    assert await make_refund(world, purchase, payment) == 600
    await report(world, captured(payment, LARGE_CENTS))
    assert await make_refund(world, purchase, payment) == LARGE_CENTS - 1000
    await assert_all_is_back(world)


@pytest.mark.spec("S25", "S26")
@pytest.mark.abuse("A26")
async def test_an_approval_of_dollars_credits_nothing_else(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await held(world, buyer)
    await decide(world, clerk, purchase, "approve")
    await report(world, captured(payment, LARGE_CENTS, currency="jpy"))
    assert (await look_up(world, purchase))["status"] == "held"
    assert (await wallet(world, buyer))["coins"] == 0
    await decide(world, clerk, purchase, "reject")
    assert await calls(world, purchase) == [("capture", LARGE_CENTS), ("refund", LARGE_CENTS)]
    await report(world, refund(payment, "all", LARGE_CENTS, currency="jpy"))
    await assert_all_is_back(world)
