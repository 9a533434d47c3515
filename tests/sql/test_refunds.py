"""Money that goes back: refunds by staff and provider, disputes, and the debts they leave."""

from typing import Any

import pytest

from tests.databases import Person
from tests.sql.money import (
    CENTS,
    COINS,
    LARGE_CENTS,
    PACK,
    audit,
    calls,
    captured,
    decide,
    dispute,
    finish,
    fold,
    gift,
    give_coins,
    held,
    look_up,
    order_refund,
    outcome,
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


async def lines_of(world: World, who: Person) -> list[tuple[str, int]]:
    """Return the lines of a statement of coins, newest first: what kind, how many."""
    entries = (await world.call(who, "list_statement"))["entries"]
    return [(entry["kind"], entry["amount"]) for entry in entries]


@pytest.mark.abuse("A26")
async def test_an_approved_mismatch_gives_coins_for_what_was_paid(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await started(world, buyer)
    await report(world, captured(payment, 333))
    await decide(world, clerk, purchase, "approve")
    after = await look_up(world, purchase)
    assert (after["status"], after["refunded_coins"]) == ("completed", 0)
    assert (await wallet(world, buyer))["coins"] == COINS * 333 // CENTS
    await report(world, refund(payment, "r", 333))
    after = await look_up(world, purchase)
    assert (after["status"], after["refunded_coins"]) == ("refunded", COINS * 333 // CENTS)
    assert (await wallet(world, buyer))["coins"] == 0


@pytest.mark.spec("D4")
async def test_a_refund_in_part_is_told_though_the_status_stays(world: World) -> None:
    buyer = await world.person("buyer")
    purchase, payment = await paid(world, buyer)
    told = "SELECT count(*) FROM private.outbox WHERE kind = 'purchase' AND source_id = $1"
    before = (await world.rows(told, purchase["id"]))[0][0]
    for _ in range(2):  # what is repeated is no news
        await report(world, refund(payment, "r", 100))
    assert (await look_up(world, purchase))["status"] == "completed"
    assert (await world.rows(told, purchase["id"]))[0][0] == before + 1


@pytest.mark.spec("S26", "D4")
@pytest.mark.abuse("A26")
async def test_a_statement_does_not_call_later_money_a_refund(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await started(world, buyer)
    steps: list[tuple[int, list[tuple[str, int]]]] = [
        (333, []),
        (0, [("purchase", 233)]),
        (CENTS, [("purchase", 467)]),
        (1500, []),
    ]
    expected: list[tuple[str, int]] = []
    for cents, lines in steps:
        if cents:
            await report(world, captured(payment, cents))
        else:
            await decide(world, clerk, purchase, "approve")
        expected = lines + expected
        assert await lines_of(world, buyer) == expected
    other = await world.person("other")
    purchase, payment = await paid(world, other)
    await report(world, captured(payment, 1500))
    assert (await look_up(world, purchase))["status"] == "held"
    assert await lines_of(world, other) == [("hold", -COINS), ("purchase", COINS)]
    await decide(world, clerk, purchase, "approve")
    assert await lines_of(world, other) == [
        ("purchase", COINS),
        ("hold", -COINS),
        ("purchase", COINS),
    ]
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.spec("D4")
@pytest.mark.abuse("A28")
async def test_partial_refunds_are_pro_rata_and_once_per_refund_id(world: World) -> None:
    buyer = await world.person("buyer")
    purchase, payment = await paid(world, buyer)
    await report(world, refund(payment, "one", 333, "pending"))
    assert (await wallet(world, buyer))["coins"] == COINS, "a pending refund takes nothing"
    taken = 0
    for name, cents in (("one", 333), ("two", 333), ("three", 333)):
        for _ in range(2):
            await report(world, refund(payment, name, cents))
        taken += cents
        assert (await wallet(world, buyer))["coins"] == COINS - COINS * taken // CENTS
    after = await look_up(world, purchase)
    assert (after["status"], after["refunded_cents"], after["refunded_coins"]) == (
        "refunded",
        CENTS,
        COINS,
    )


@pytest.mark.abuse("A28")
async def test_refunds_are_capped_in_total(world: World) -> None:
    buyer = await world.person("buyer")
    await give_coins(world, buyer, 50)
    purchase, payment = await paid(world, buyer)
    await report(world, refund(payment, "one", CENTS), refund(payment, "two", CENTS))
    seen = await wallet(world, buyer)
    assert (seen["coins"], seen["debt"]) == (50, 0)
    assert (await look_up(world, purchase))["refunded_coins"] == COINS
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.spec("D4")
@pytest.mark.abuse("A28")
async def test_a_failed_refund_gives_the_coins_back(world: World) -> None:
    buyer = await world.person("buyer")
    purchase, payment = await paid(world, buyer)
    await report(world, refund(payment, "one", CENTS))
    await report(world, refund(payment, "one", CENTS, "failed"))
    await report(world, refund(payment, "one", CENTS))
    assert (await wallet(world, buyer))["coins"] == COINS
    assert (await look_up(world, purchase))["status"] == "completed"


@pytest.mark.spec("D4")
@pytest.mark.abuse("A29")
async def test_a_dispute_after_spending_is_a_debt_until_it_is_won(world: World) -> None:
    buyer, streamer = await world.people("buyer", "streamer")
    purchase, payment = await paid(world, buyer)
    await gift(world, buyer, streamer, "aurora")  # 500 of 700
    await report(world, dispute(payment, "d", CENTS))
    seen = await wallet(world, buyer)
    assert (seen["coins"], seen["debt"], seen["is_frozen"]) == (0, 500, True)
    with refused("LW081"):
        await gift(world, buyer, streamer)
    await fold(world)
    assert await verify(world) == {}
    for _ in range(2):
        await report(world, dispute(payment, "d", CENTS, "won"))
        seen = await wallet(world, buyer)
        assert (seen["coins"], seen["debt"], seen["is_frozen"]) == (200, 0, False)
    assert (await look_up(world, purchase))["status"] == "completed"
    assert (await wallet(world, streamer))["earnings"] == 350, "no claw-back"
    await gift(world, buyer, streamer)
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.abuse("A29")
async def test_what_is_bought_repays_the_debt_first(world: World) -> None:
    buyer, streamer = await world.people("buyer", "streamer")
    _, payment = await paid(world, buyer)
    await gift(world, buyer, streamer, "aurora")
    await report(world, dispute(payment, "d", CENTS, "lost"))
    first = await give_coins(world, buyer, 300)
    assert (first["paid_coins"], first["repaid_coins"]) == (300, 300)
    seen = await wallet(world, buyer)
    assert (seen["coins"], seen["debt"]) == (0, 200)
    with refused("LW081"):
        await gift(world, buyer, streamer)
    second = await give_coins(world, buyer, 300)
    seen = await wallet(world, buyer)
    assert (seen["coins"], seen["debt"], seen["is_frozen"]) == (100, 0, False)
    assert [(await look_up(world, one))["repaid_coins"] for one in (first, second)] == [300, 200]


@pytest.mark.spec("S25", "S26")
@pytest.mark.abuse("A29")
async def test_what_was_held_again_repays_no_more_than_it_is_approved_for(world: World) -> None:
    clerk, (buyer, streamer) = await staff(world), await world.people("buyer", "streamer")
    _, disputed = await paid(world, buyer)
    await gift(world, buyer, streamer, "aurora")
    await report(world, dispute(disputed, "d", CENTS))
    await give_coins(world, buyer, 450)
    purchase, payment = await paid(world, buyer)
    assert (await look_up(world, purchase))["repaid_coins"] == 50
    await gift(world, buyer, streamer, "aurora")
    # More than was ordered: the coins are held again, what is spent of them is owed.
    await report(world, captured(payment, 2 * CENTS))
    assert (await look_up(world, purchase))["repaid_coins"] == 0
    assert (await wallet(world, buyer))["debt"] == 550
    answer = await decide(world, clerk, purchase, "approve")
    assert (answer["paid_coins"], answer["repaid_coins"]) == (COINS, 550)
    assert await look_up(world, purchase) == answer, "the answer is what is found after it"
    assert (await wallet(world, buyer))["coins"] == COINS - 550


@pytest.mark.spec("S25", "D7")
async def test_a_refund_that_fails_after_a_rejection_is_on_record_once(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await held(world, buyer)
    await report(world, captured(payment, LARGE_CENTS))
    await decide(world, clerk, purchase, "reject")
    call = await take_call(world, purchase)
    await finish(world, call, refund(payment, "r", LARGE_CENTS, "pending"))
    for _ in range(2):
        await report(world, refund(payment, "r", LARGE_CENTS, "failed"))
    assert await audit(world, "refund_failed") == [
        (
            None,
            purchase["id"],
            {
                "refund_id": f"{payment} r",
                "amount_cents": LARGE_CENTS,
                "currency": "usd",
                "number": purchase["number"],
            },
        )
    ]
    await order_refund(world, clerk, purchase, None)


@pytest.mark.spec("D4")
@pytest.mark.abuse("A28")
async def test_staff_refunds_no_more_than_is_left(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await paid(world, buyer, PACK)
    await order_refund(world, clerk, purchase, 333)
    with refused("LW083"):
        await order_refund(world, clerk, purchase, CENTS - 332)
    for wrong in (0, -1):
        with refused("LW078"):
            await order_refund(world, clerk, purchase, wrong)
    await finish(world, await take_call(world, purchase), refund(payment, "one", 333, "pending"))
    await order_refund(world, clerk, purchase, None)
    assert await calls(world, purchase) == [("refund", 333), ("refund", CENTS - 333)]
    with refused("LW083"):
        await order_refund(world, clerk, purchase, None)
    ordered = [(row[2]["amount_cents"], row[2]["currency"]) for row in await orders(world)]
    assert ordered == [(333, "usd"), (666, "usd")]


@pytest.mark.spec("D4", "D7")
@pytest.mark.abuse("A26")
async def test_yen_are_ordered_back_as_yen(world: World) -> None:
    clerk = await staff(world)
    purchase, payment = await started(world, await world.person("buyer"))
    await report(world, captured(payment, CENTS, currency="jpy"))
    await order_refund(world, clerk, purchase, 400)
    await report(world, refund(payment, "r", 400, "failed", currency="jpy"))
    said = [*await orders(world), *await audit(world, "refund_failed")]
    assert [(row[2]["amount_cents"], row[2]["currency"]) for row in said] == [(400, "jpy")] * 2
    record = await world.call("service_role", "get_purchase", p_number=purchase["number"])
    assert record["refunds"] == [
        {"id": f"{payment} r", "cents": 400, "currency": "jpy", "status": "failed"}
    ]


async def orders(world: World) -> list[tuple[Any, ...]]:
    """Return the refunds that staff ordered, as the audit log has them."""
    return await audit(world, "refund_ordered")


@pytest.mark.spec("D4", "S26")
@pytest.mark.abuse("A28")
async def test_a_refund_is_ordered_once_per_key(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, _ = await paid(world, buyer)
    for _ in range(2):
        await order_refund(world, clerk, purchase, 100, "the-same-key")
    with refused("LW075"):
        await order_refund(world, clerk, purchase, 200, "the-same-key")
    for first, others in ((333, (None, 332)), (None, (333, CENTS - 433))):
        name = f"key-of-{first}"
        for _ in range(2):
            await order_refund(world, clerk, purchase, first, name)
        for other in others:
            with refused("LW075"):
                await order_refund(world, clerk, purchase, other, name)
    ordered = [("refund", cents) for cents in (100, 333, CENTS - 433)]
    assert await calls(world, purchase) == ordered
    with refused("LW005"):
        await order_refund(world, clerk, purchase, 100, "short")
    boss = await staff(world, "boss", "admin")
    own, _ = await paid(world, boss)
    with refused("LW073"):
        await order_refund(world, boss, own, 100)
    with refused("LW003"):
        await order_refund(world, buyer, purchase, 100)


@pytest.mark.spec("D4", "S26")
@pytest.mark.abuse("A26", "A28")
@pytest.mark.parametrize("heard", ["after", "before"])
@pytest.mark.parametrize("kind", ["refund", "dispute"])
async def test_money_that_goes_back_in_another_currency_is_not_counted_but_on_record(
    world: World, kind: str, heard: str
) -> None:
    buyer = await world.person("buyer")
    purchase, payment = await started(world, buyer)
    make = {"refund": refund, "dispute": dispute}[kind]
    # 999 won are 70 cents.
    facts = [captured(payment), make(payment, "x", CENTS, currency="krw")]
    for one in facts if heard == "after" else reversed(facts):
        await report(world, one)
    assert (await wallet(world, buyer))["coins"] == COINS
    # A correction, and the same money told of once more, add nothing.
    await report(world, make(payment, "x", CENTS + 1, currency="krw"))
    await report(world, captured(payment))
    found = await audit(world, "other_currency_not_counted")
    said = [(subject, of["kind"], of["amount_cents"], of["currency"]) for _, subject, of in found]
    assert said == [(purchase["id"], kind, CENTS, "krw")]
    record = await world.call("service_role", "get_purchase", p_number=purchase["number"])
    assert [one["currency"] for one in record[f"{kind}s"]] == ["krw"]
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.spec("S26")
@pytest.mark.abuse("A21", "A28")
@pytest.mark.parametrize("kind", ["refund", "dispute"])
async def test_what_goes_back_of_one_payment_never_changes_another(world: World, kind: str) -> None:
    one, other = await world.people("one", "other")
    (_, first), (_, second) = await paid(world, one), await paid(world, other)
    taken = {"refund": refund(first, "x", 100), "dispute": dispute(first, "x", 100)}[kind]
    await report(world, taken)
    wrong = await report(world, taken | {"payment_id": second, "amount_cents": 900})
    state, error = await outcome(world, wrong)
    assert (state, (error or "")[:5]) == ("failed", "LW076")
    assert (await wallet(world, one))["coins"] == COINS - 70
    assert (await wallet(world, other))["coins"] == COINS
    await fold(world)
    assert await verify(world) == {}
