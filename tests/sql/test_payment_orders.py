"""Every order of a payment's events comes to one state of purchase, wallet and ledger."""

import json
from collections.abc import Sequence

import pytest

from tests.sql.money import (
    CENTS,
    LARGE,
    LARGE_CENTS,
    PACK,
    Fact,
    authorized,
    captured,
    dispute,
    fact,
    fold,
    refund,
    verify,
)
from tests.sql.payment_histories import (
    PAYMENT as P,
)
from tests.sql.payment_histories import (
    Scenario,
    Step,
    at,
    not_applied,
    open_theatre,
    play,
)
from tests.sql.world import World


def in_time(*facts: Fact) -> tuple[Fact, ...]:
    """Give facts the order in which the provider saw them."""
    return tuple(at(one, second) for second, one in enumerate(facts))


OF_ITS_PURCHASE: Fact = {"purchase_id": "its own"}
SCENARIOS = [
    Scenario(
        "partial refunds, one fails",
        PACK,
        (
            captured(P),
            refund(P, "one", 300, "pending"),
            refund(P, "one", 300),
            refund(P, "two", 699),
            refund(P, "two", 699, "failed"),
        ),
        "completed",
    ),
    Scenario(
        "a dispute is lost and reinstated beside a refund",
        PACK,
        (
            captured(P),
            dispute(P, "one", 600),
            dispute(P, "one", 600, "lost"),
            dispute(P, "one", 600, "won"),
            refund(P, "one", 399),
        ),
        "completed",
    ),
    Scenario(
        "a dispute is lost beside a refund",
        PACK,
        (captured(P), dispute(P, "one", 600), dispute(P, "one", 600, "lost"), refund(P, "r", 399)),
        "dispute_lost",
    ),
    Scenario(
        "two disputes, one lost, one open",
        PACK,
        (
            captured(P),
            dispute(P, "one", 400),
            dispute(P, "one", 400, "lost"),
            dispute(P, "two", 300),
        ),
        "disputed",
    ),
    Scenario(
        "two disputes, one lost, one won",
        PACK,
        (
            captured(P),
            dispute(P, "one", 400, "lost"),
            dispute(P, "two", 300),
            dispute(P, "two", 300, "won"),
        ),
        "dispute_lost",
    ),
    Scenario(
        "a card is tried until it is paid, then all is refunded",
        PACK,
        (
            *in_time(fact("failed", P), fact("processing", P)),
            captured(P),
            refund(P, "all", CENTS),
        ),
        "refunded",
    ),
    Scenario(
        "a card is tried in vain",
        PACK,
        (
            *in_time(
                fact("requires_action", P),
                fact("failed", P),
                fact("processing", P),
                fact("failed", P),
            ),
        ),
        "failed",
    ),
    Scenario(
        "given up at the provider",
        PACK,
        (*in_time(fact("processing", P), fact("failed", P)), fact("canceled", P)),
        "canceled",
    ),
    Scenario(
        "paid although it was given up",
        PACK,
        (fact("canceled", P), fact("failed", P), captured(P), refund(P, "r", 500)),
        "completed",
    ),
    Scenario(
        "one payment, two kinds of event, refunded and disputed in full",
        PACK,
        (
            captured(P),
            captured(P),
            dispute(P, "d", CENTS),
            refund(P, "r", CENTS),
        ),
        "refunded",
    ),
    Scenario(
        "more refunded than paid",
        PACK,
        (captured(P), refund(P, "a", 800), refund(P, "b", 800), refund(P, "b", 800, "failed")),
        "completed",
    ),
    Scenario(
        "too little money, disputed and won",
        PACK,
        (
            captured(P, 500),
            refund(P, "r", 200),
            dispute(P, "d", 300),
            dispute(P, "d", 300, "won"),
        ),
        "held",
    ),
    Scenario(
        "another currency, a refund fails",
        PACK,
        (
            captured(P, CENTS, currency="eur"),
            refund(P, "r", CENTS, currency="eur"),
            refund(P, "r", CENTS, "failed", currency="eur"),
            dispute(P, "d", 100, "lost", currency="eur"),
        ),
        "dispute_lost",
    ),
    Scenario(
        "set aside was another amount than what came",
        PACK,
        (authorized(P, 500), captured(P), refund(P, "r", 100)),
        "completed",
    ),
    Scenario(
        "a part is captured, then all of it",
        PACK,
        (captured(P, 500), captured(P), refund(P, "r", 100)),
        "completed",
    ),
    Scenario(
        "more is captured than was ordered",
        PACK,
        (captured(P), captured(P, 1500), refund(P, "r", 100)),
        "held",
    ),
    Scenario(
        "more is captured than was ordered, all that was ordered refunded and disputed",
        PACK,
        (captured(P), captured(P, 1500), refund(P, "r", CENTS), dispute(P, "d", 100, "won")),
        "held",
    ),
    Scenario(
        "one amount in two currencies",
        PACK,
        (captured(P), captured(P, currency="eur"), refund(P, "r", 100, currency="eur")),
        "held",
    ),
    Scenario(
        "one amount in three currencies, refunded",
        PACK,
        (
            captured(P),
            captured(P, currency="eur"),
            captured(P, currency="sek"),
            refund(P, "r", CENTS, currency="sek"),
        ),
        "refunded",
    ),
    Scenario(
        "refunded and disputed in another currency than paid",
        PACK,
        (
            captured(P),
            refund(P, "r", CENTS, currency="krw"),
            dispute(P, "d", CENTS, currency="krw"),
            refund(P, "s", 100),
        ),
        "completed",
    ),
    Scenario(
        "the amount of a dispute is corrected as it is lost",
        PACK,
        (
            captured(P),
            dispute(P, "d", 100),
            dispute(P, "d", 400),
            dispute(P, "d", 700, "lost"),
        ),
        "dispute_lost",
    ),
    Scenario(
        "the amount of a refund is corrected, and its currency",
        PACK,
        (
            captured(P),
            refund(P, "r", 100, "pending"),
            refund(P, "r", 700, currency="eur"),
            refund(P, "r", 700),
            refund(P, "s", 300),
            refund(P, "s", 200, "failed"),
        ),
        "completed",
    ),
    Scenario(
        "a part in another currency, then all of it",
        PACK,
        (captured(P, 500, currency="eur"), captured(P), refund(P, "r", 100)),
        "completed",
    ),
    Scenario(
        "a part set aside, then all of it, and the card is refused",
        PACK,
        (authorized(P, 500), authorized(P, CENTS), fact("failed", P)),
        "failed",
    ),
    Scenario(
        "set aside twice, and let go",
        LARGE,
        (
            authorized(P, capture_before="2031-05-08T12:00:00Z"),
            authorized(P, capture_before="2031-05-07T12:00:00Z"),
            fact("canceled", P),
        ),
        "canceled",
    ),
    Scenario(
        "approved, but the bank lets go",
        LARGE,
        (authorized(P), fact("capture_failed", P), fact("canceled", P)),
        "canceled",
        "approve",
    ),
    Scenario(
        "approved, captured, a part refunded",
        LARGE,
        (
            authorized(P),
            captured(P, LARGE_CENTS),
            refund(P, "r", 100),
            refund(P, "s", 100, "failed"),
        ),
        "completed",
        "approve",
    ),
    Scenario(
        "rejected, captured all the same, given back",
        LARGE,
        (authorized(P), captured(P, LARGE_CENTS), fact("canceled", P), refund(P, "r", 100)),
        "rejected",
        "reject",
    ),
    Scenario(
        "rejected, a part captured first",
        LARGE,
        (authorized(P), captured(P, 1000), captured(P, LARGE_CENTS), "refunds"),
        "rejected",
        "reject",
    ),
    Scenario(
        "rejected, a part captured first, a part refunded elsewhere",
        LARGE,
        (authorized(P), captured(P, 1000), captured(P, LARGE_CENTS), refund(P, "r", 100)),
        "rejected",
        "reject",
    ),
    Scenario(
        "rejected, disputed and won",
        LARGE,
        (
            authorized(P),
            captured(P, LARGE_CENTS),
            dispute(P, "d", 1000),
            dispute(P, "d", 1000, "won"),
            "refunds",
        ),
        "rejected",
        "reject",
    ),
    Scenario(
        "rejected, and a refund made elsewhere fails",
        LARGE,
        (
            authorized(P),
            captured(P, LARGE_CENTS),
            refund(P, "r", 100),
            refund(P, "r", 100, "failed"),
        ),
        "rejected",
        "reject",
    ),
    Scenario(
        "the events come before the payment is known",
        PACK,
        ("attach", captured(P), refund(P, "r", 300), dispute(P, "d", 200)),
        "disputed",
    ),
    Scenario(
        "known by our own id before our own answer",
        PACK,
        (
            "attach",
            captured(P, **OF_ITS_PURCHASE),
            refund(P, "r", 300),
            dispute(P, "d", 200, "lost"),
        ),
        "dispute_lost",
    ),
]


def told(order: Sequence[Step]) -> str:
    """Return an order in a few words."""
    words = ("kind", "amount_cents", "currency", "status", "at")
    return ", ".join(
        step if isinstance(step, str) else " ".join(str(step[w]) for w in words if w in step)
        for step in order
    )


@pytest.mark.spec("S26", "D4")
@pytest.mark.abuse("A21", "A22", "A23", "A26", "A28", "A29")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_every_order_of_a_payments_events_comes_to_one_state(
    world: World, scenario: Scenario
) -> None:
    await open_theatre(world)
    states = [
        (told(order), json.loads(state)) for state, order in (await play(world, scenario)).items()
    ]
    assert await not_applied(world) == []
    assert len(states) == 1, "\n".join(f"{order}: {state}" for order, state in states)
    [(_, state)] = states
    assert state["status"] == scenario.status
    if scenario.decision == "reject":
        assert state["ledger"] is None, "everything went back"
    await fold(world)
    assert await verify(world) == {}
