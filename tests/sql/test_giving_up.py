"""S25: what nobody decides in time, or nobody pays, is given up."""

from datetime import datetime, timedelta

import pytest

from tests.sql.money import (
    CENTS,
    COINS,
    DAY,
    LARGE,
    LARGE_CENTS,
    Purchase,
    attach,
    audit,
    authorized,
    buy,
    calls,
    captured,
    decide,
    deliver,
    events,
    expire,
    fact,
    finish,
    held,
    look_up,
    payment_id,
    report,
    staff,
    started,
    take_call,
    wallet,
)
from tests.sql.world import START, World, refused


@pytest.mark.spec("S25")
@pytest.mark.parametrize(
    ("capture_before", "expected"),
    [
        (None, timedelta(days=5)),
        (timedelta(days=7), timedelta(days=5)),
        (timedelta(days=5, hours=12, seconds=-1), timedelta(days=5, seconds=-1)),
        (timedelta(days=2), timedelta(days=1, hours=12)),
    ],
)
async def test_the_deadline_is_five_days_or_half_a_day_before_the_money_is_let_go(
    world: World, capture_before: timedelta | None, expected: timedelta
) -> None:
    buyer = await world.person("buyer")
    purchase, payment = await started(world, buyer, LARGE)
    until = None if capture_before is None else (START + capture_before).isoformat()
    await report(world, authorized(payment, capture_before=until))
    purchase = await look_up(world, purchase)
    assert datetime.fromisoformat(purchase["decide_by"]) == START + expected
    await world.advance(expected.total_seconds())
    assert await expire(world) == 0
    await world.advance(1)
    assert await expire(world) == 1
    assert (await look_up(world, purchase))["status"] == "expired"


@pytest.mark.spec("S25")
async def test_an_undecided_purchase_goes_back_and_both_sides_hear_of_it(world: World) -> None:
    buyer = await world.person("buyer")
    purchase, payment = await held(world, buyer)
    await report(world, captured(payment, LARGE_CENTS))
    await deliver(world)
    last = (await world.call("service_role", "take_events"))["last"]
    await world.advance(5 * DAY + 1)
    assert await expire(world) == 1
    assert await expire(world) == 0
    assert await calls(world, purchase) == [("refund", LARGE_CENTS)]
    await deliver(world)
    told = [(e["kind"], e["profile_id"], e["payload"]["status"]) for e in await events(world, last)]
    assert told == [("purchase", str(buyer.id), "expired"), ("held", None, "expired")]
    assert [row[:2] for row in await audit(world, "purchase_expired")] == [(None, purchase["id"])]


@pytest.mark.spec("S25")
async def test_those_nobody_paid_do_not_keep_the_job_from_the_held(world: World) -> None:
    buyer = await world.person("buyer")
    await world.call(
        await staff(world, "boss", "admin"),
        "configure_purchases",
        p_changes={"velocity": 1000},
        p_reason="a test",
    )
    for _ in range(3):
        await started(world, buyer)
    await world.advance(DAY)
    purchase, _ = await held(world, buyer)
    await world.advance(1)
    later, _ = await held(world, buyer)
    await world.advance(5 * DAY + 1)
    for number, statuses in enumerate((("expired", "held"), ("expired", "expired"))):
        await world.call("service_role", "expire_purchases", p_limit=1)
        seen = [(await look_up(world, one))["status"] for one in (purchase, later)]
        assert tuple(seen) == statuses, number
    assert await expire(world) == 3
    assert await expire(world) == 0, "each is cancelled once"


@pytest.mark.spec("D4")
async def test_a_buyer_gives_up_what_is_not_paid(world: World) -> None:
    buyer, other = await world.people("buyer", "other")
    unknown, (known, payment) = await buy(world, buyer), await started(world, buyer)

    async def cancel(purchase: Purchase) -> str:
        answer = await world.call(buyer, "cancel_my_purchase", p_purchase_id=purchase["id"])
        return answer["status"]

    with refused("LW004"):
        await world.call(other, "cancel_my_purchase", p_purchase_id=known["id"])
    for _ in range(2):
        assert await cancel(unknown) == "canceled"
        assert await cancel(known) == "pending", "the provider is asked first"
        assert (await look_up(world, known))["is_being_canceled"]
    assert await calls(world, known) == [("cancel", CENTS)]
    # It was paid meanwhile: that counts, and now it is too late.
    await finish(world, await take_call(world, known), captured(payment))
    now = await look_up(world, known)
    assert (now["status"], now["is_being_canceled"]) == ("completed", False)
    for late in (known, (await held(world, buyer))[0]):
        with refused("LW084"):
            await cancel(late)
    assert (await wallet(world, buyer))["coins"] == COINS


@pytest.mark.spec("D4")
async def test_what_nobody_here_can_cancel_ends_in_our_own_books(world: World) -> None:
    buyer = await world.person("buyer")
    purchase, payment = await started(world, buyer)
    await world.call(buyer, "cancel_my_purchase", p_purchase_id=purchase["id"])
    call = await take_call(world, purchase)
    assert await finish(world, call, p_error="not set up here", p_is_gone=True)
    assert (await look_up(world, purchase))["status"] == "canceled"
    [(actor, subject, details)] = await audit(world, "provider_call_failed")
    assert (actor, subject) == (None, purchase["id"])
    assert (details["call"], details["error"]) == ("cancel", "not set up here")
    assert not await finish(world, call, p_error="not set up here", p_is_gone=True), "once"
    await report(world, captured(payment))
    assert (await wallet(world, buyer))["coins"] == COINS, "money that comes all the same counts"


@pytest.mark.spec("D4", "S25")
async def test_money_waits_until_its_provider_can_be_asked(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    reserved, _ = await held(world, buyer)
    await decide(world, clerk, reserved, "reject")
    captured_later, payment = await started(world, buyer)
    await world.call(buyer, "cancel_my_purchase", p_purchase_id=captured_later["id"])
    await report(world, fact("processing", payment))
    for attempt in range(2):
        for call in await world.call("service_role", "take_provider_calls"):
            assert call["attempts"] == attempt + 1
            assert await finish(world, call, p_error="not set up here", p_is_gone=True)
        await world.advance(60)
    assert (await look_up(world, captured_later))["status"] == "processing"
    assert len(await world.call("service_role", "take_provider_calls")) == 2
    assert await audit(world, "provider_call_failed") == []


@pytest.mark.spec("D4")
async def test_what_was_never_paid_is_given_up_after_a_day(world: World) -> None:
    buyer = await world.person("buyer")
    unknown, (known, payment) = await buy(world, buyer), await started(world, buyer)
    await world.advance(DAY)
    assert await expire(world) == 0
    await world.advance(1)
    assert await expire(world) == 2
    assert (await look_up(world, unknown))["status"] == "canceled"
    await finish(world, await take_call(world, known), fact("canceled", payment))
    assert (await look_up(world, known))["status"] == "canceled"
    await report(world, captured(payment))
    assert (await wallet(world, buyer))["coins"] == 700, "money that comes all the same counts"


@pytest.mark.spec("D4")
@pytest.mark.parametrize("by", ["buyer", "job"])
async def test_a_cancel_that_the_provider_refused_is_ordered_anew_and_not_for_ever(
    world: World, by: str
) -> None:
    buyer = await world.person("buyer")
    purchase, payment = await started(world, buyer)
    await world.advance(DAY + 1)

    async def give_up() -> None:
        if by == "job":
            await expire(world)
        else:
            await world.call(buyer, "cancel_my_purchase", p_purchase_id=purchase["id"])

    keys: list[str] = []
    for _ in range(2):
        await give_up()
        call = await take_call(world, purchase)
        keys.append(call["idempotency_key"])
        await finish(world, call, p_error="being paid", p_is_final=True)
        await world.advance(60)
        await expire(world)
        assert len(await calls(world, purchase)) == len(keys), "the job asks once a day"
        await world.advance(DAY + 1)
    assert keys == [f"{purchase['id']}:cancel", f"{purchase['id']}:cancel:1"]
    for _ in range(2):
        await give_up()
    assert len(await calls(world, purchase)) == 3, "one that is open is not ordered again"
    await finish(world, await take_call(world, purchase), fact("canceled", payment))
    assert (await look_up(world, purchase))["status"] == "canceled"


@pytest.mark.spec("S25", "D4")
async def test_a_rejection_lets_go_of_a_card_though_a_cancel_was_refused_before(
    world: World,
) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await started(world, buyer, LARGE)
    await world.call(buyer, "cancel_my_purchase", p_purchase_id=purchase["id"])
    await finish(world, await take_call(world, purchase), p_error="being paid", p_is_final=True)
    await world.advance(1)
    await report(world, authorized(payment))
    await decide(world, clerk, purchase, "reject")
    for _ in range(2):
        assert len(await calls(world, purchase)) == 2
        await world.advance(1)
        # Refused once more it stays on record and is not tried for ever.
        waiting = await world.call("service_role", "take_provider_calls")
        for call in waiting:
            await finish(world, call, p_error="no", p_is_final=True)


@pytest.mark.spec("D4")
@pytest.mark.parametrize("known_by", ["answer", "event"])
async def test_what_is_given_up_while_its_payment_is_made_is_canceled_at_the_provider(
    world: World, known_by: str
) -> None:
    buyer = await world.person("buyer")
    purchase, payment = await buy(world, buyer, LARGE), payment_id()
    await world.call(buyer, "cancel_my_purchase", p_purchase_id=purchase["id"])
    if known_by == "event":
        await report(world, authorized(payment, purchase_id=purchase["id"]))
        assert await calls(world, purchase) == [("cancel", LARGE_CENTS)]
    await attach(world, purchase, payment)
    await report(world, authorized(payment))
    assert (await look_up(world, purchase))["status"] == "canceled"
    assert await calls(world, purchase) == [("cancel", LARGE_CENTS)], "the card is let go"
    # What the provider canceled by itself, or was paid all the same, needs no call.
    for number, known in enumerate((fact("canceled", "p0"), captured("p1"))):
        other = await buy(world, buyer)
        await report(world, known)
        if number:
            await world.call(buyer, "cancel_my_purchase", p_purchase_id=other["id"])
        await attach(world, other, f"p{number}")
        assert await calls(world, other) == []
