"""The table of transitions: each row happens, and nothing happens beside them."""

from itertools import permutations

import pytest

from tests.sql.money import (
    CENTS,
    LARGE,
    LARGE_CENTS,
    PACK,
    Fact,
    attach,
    authorized,
    buy,
    captured,
    dispute,
    fact,
    refund,
    report,
    staff,
    started,
)
from tests.sql.payment_histories import PAYMENT as P
from tests.sql.payment_histories import Scenario, Step, at, open_theatre, play
from tests.sql.world import World, refused

ATTACH = "attach"
OWN: Fact = {"purchase_id": "its own"}

# Histories whose orders together take every row. Staff decides, where it does, as soon as it can.
HISTORIES: list[tuple[str, str | None, tuple[Step, ...]]] = [
    (PACK, None, (fact("processing", P), fact("failed", P), captured(P))),
    (PACK, None, (at(fact("failed", P), 1), at(fact("requires_action", P), 2))),
    (PACK, None, (at(fact("processing", P), 1), at(fact("requires_action", P), 2))),
    (PACK, None, (at(fact("failed", P), 1), at(fact("processing", P), 2))),
    (PACK, None, (at(fact("processing", P), 1), at(fact("failed", P), 2))),
    (PACK, None, (fact("canceled", P), captured(P), refund(P, "r", CENTS))),
    (PACK, None, (fact("canceled", P), captured(P, 5), dispute(P, "d", CENTS))),
    (PACK, None, (fact("canceled", P), captured(P), dispute(P, "d", CENTS, "lost"))),
    (PACK, None, (fact("processing", P), captured(P), refund(P, "r", CENTS))),
    (PACK, None, (fact("processing", P), captured(P), dispute(P, "d", CENTS))),
    (PACK, None, (fact("processing", P), captured(P, 5), dispute(P, "d", CENTS, "lost"))),
    (PACK, None, (fact("failed", P), captured(P), refund(P, "r", CENTS))),
    (PACK, None, (fact("failed", P), captured(P), dispute(P, "d", CENTS))),
    (PACK, None, (fact("failed", P), captured(P, 5), dispute(P, "d", CENTS, "lost"))),
    (PACK, None, (fact("failed", P), fact("canceled", P), fact("processing", P))),
    (PACK, None, (captured(P), refund(P, "r", CENTS), refund(P, "r", CENTS, "failed"))),
    (PACK, None, (captured(P, 5), refund(P, "r", 5), refund(P, "r", 5, "failed"))),
    (PACK, None, (captured(P), dispute(P, "d", 9, "lost"), dispute(P, "d", 9, "won"))),
    (PACK, None, (captured(P, 5), dispute(P, "d", 9, "lost"), dispute(P, "d", 9, "won"))),
    (PACK, None, (captured(P), dispute(P, "d", 9), dispute(P, "d", 9, "won"))),
    (PACK, None, (captured(P, 5), dispute(P, "d", 9), dispute(P, "d", 9, "won"))),
    (PACK, None, (captured(P), dispute(P, "d", 9), dispute(P, "e", 9, "lost"))),
    (PACK, None, (captured(P), dispute(P, "d", 9), dispute(P, "d", 9, "lost"))),
    (
        PACK,
        None,
        (captured(P), dispute(P, "d", 9), refund(P, "r", CENTS), refund(P, "r", CENTS, "failed")),
    ),
    (
        PACK,
        None,
        (
            captured(P),
            dispute(P, "d", 9, "lost"),
            refund(P, "r", CENTS),
            refund(P, "r", CENTS, "failed"),
        ),
    ),
    (LARGE, None, (authorized(P), fact("capture_failed", P), fact("canceled", P))),
    (LARGE, "approve", (authorized(P), fact("capture_failed", P), fact("canceled", P))),
    (LARGE, "approve", (authorized(P), captured(P, LARGE_CENTS), refund(P, "r", LARGE_CENTS))),
    (LARGE, "approve", (authorized(P), captured(P, LARGE_CENTS), dispute(P, "d", 9))),
    (LARGE, "approve", (authorized(P), captured(P, LARGE_CENTS), dispute(P, "d", 9, "lost"))),
    (LARGE, "reject", (authorized(P), captured(P, LARGE_CENTS))),
    (LARGE, "approve", (ATTACH, captured(P, LARGE_CENTS, **OWN))),
    (PACK, None, (ATTACH, captured(P, **OWN))),
    (PACK, None, (ATTACH, fact("processing", P, **OWN))),
    (PACK, None, (ATTACH, fact("failed", P, **OWN))),
    (PACK, None, (ATTACH, fact("canceled", P, **OWN))),
    (PACK, None, (captured(P, 5), refund(P, "r", 5), dispute(P, "d", 9))),
    (PACK, None, (captured(P, 5), refund(P, "r", 5), dispute(P, "d", 9, "lost"))),
    (PACK, None, (captured(P), captured(P, 1500))),
    (PACK, None, (authorized(P, 5), authorized(P, CENTS), fact("failed", P))),
    (PACK, None, (authorized(P, 5), authorized(P, CENTS), fact("processing", P))),
]
# Only if a provider's one answer tells of the payment and of its end at once.
AT_ONCE = {("created", "refunded"), ("created", "disputed"), ("created", "dispute_lost")}


async def moves(world: World) -> set[tuple[str, str]]:
    """Return the transitions that happened."""
    rows = await world.rows("SELECT DISTINCT from_status, to_status FROM private.test_moves")
    return {(row[0], row[1]) for row in rows}


@pytest.mark.spec("S25", "S26")
async def test_every_row_of_the_table_happens(world: World) -> None:
    await open_theatre(world)
    for number, (pack, decision, steps) in enumerate(HISTORIES):
        await play(world, Scenario("", pack, steps, "", decision), number)
    # What takes more than events: a refund is refused only for held money; deadlines; leaving.
    buyer, clerk = await world.person("buyer"), await staff(world)
    for pack, cents in ((LARGE, LARGE_CENTS), (PACK, CENTS)):
        _, payment = await started(world, buyer, pack)
        await report(world, authorized(payment, cents))
    await buy(world, buyer)
    await world.advance(6 * 86_400)
    await world.call("service_role", "expire_purchases")
    purchase, payment = await started(world, buyer, LARGE)
    await report(world, authorized(payment))
    await world.call(
        clerk, "decide_purchase", p_purchase_id=purchase["id"], p_decision="approve", p_reason="x"
    )
    await world.call(buyer, "delete_account")
    purchase, payment = await started(world, await world.person("other"), LARGE)
    await report(world, authorized(payment))
    await world.call(
        clerk, "decide_purchase", p_purchase_id=purchase["id"], p_decision="approve", p_reason="x"
    )
    await report(world, captured(payment, LARGE_CENTS, currency="eur"))
    rows = await world.rows("SELECT from_status, to_status FROM private.purchase_transitions")
    table = {(row[0], row[1]) for row in rows}
    happened = await moves(world)
    assert happened <= table
    assert table - happened == AT_ONCE, sorted(table - happened)


@pytest.mark.spec("S25", "S26")
async def test_everything_else_is_refused(world: World) -> None:
    buyer = await world.person("buyer")
    purchase = await buy(world, buyer)
    await attach(world, purchase)
    rows = await world.rows("SELECT from_status, to_status FROM private.purchase_transitions")
    allowed = {(row[0], row[1]) for row in rows}
    statuses = sorted({status for row in allowed for status in row})
    assert len(statuses) == 13
    move = "UPDATE coin_purchases SET status = $1"
    for before, after in permutations(statuses, 2):
        await world.admin.execute("SET session_replication_role = replica")
        await world.admin.execute(move, before)
        await world.admin.execute("SET session_replication_role = origin")
        if (before, after) in allowed:
            await world.admin.execute(move, after)
        else:
            with refused("LW084"):
                await world.admin.execute(move, after)
