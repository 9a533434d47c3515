"""What providers report: stored first, then acted on; repeated, early, late, altered or unknown."""

import pytest

from tests.sql.money import (
    CENTS,
    COINS,
    attach,
    audit,
    authorized,
    buy,
    calls,
    captured,
    decide,
    dispute,
    fact,
    finish,
    fold,
    held,
    look_up,
    outcome,
    payment_id,
    process,
    refund,
    report,
    settle,
    staff,
    started,
    take_call,
    verify,
    wallet,
)
from tests.sql.world import World, refused, rows_read

DAY = 86_400
ENTRIES = "SELECT count(*) FROM ledger_entries"


@pytest.mark.spec("S26")
@pytest.mark.abuse("A21")
async def test_the_same_event_again_changes_nothing(world: World) -> None:
    buyer = await world.person("buyer")
    purchase, payment = await started(world, buyer)
    event = await report(world, captured(payment))
    first = await look_up(world, purchase)
    entries = await world.rows(ENTRIES)
    for _ in range(2):
        answer = await world.call(
            "service_role",
            "receive_payment_event",
            p_provider="sandbox",
            p_event_id=event,
            p_type="payment",
            p_digest="digest",
            p_payload={},
            p_facts=[captured(payment)],
        )
        assert answer == {"event_id": event, "is_new": False, "is_conflict": False}
        assert await process(world) == 0
    assert (await wallet(world, buyer))["coins"] == COINS
    assert await look_up(world, purchase) == first
    assert await world.rows(ENTRIES) == entries


@pytest.mark.abuse("A21")
async def test_an_altered_event_is_refused_and_alerted(world: World) -> None:
    buyer = await world.person("buyer")
    _, payment = await started(world, buyer)
    event = await report(world, fact("processing", payment))
    answer = await world.call(
        "service_role",
        "receive_payment_event",
        p_provider="sandbox",
        p_event_id=event,
        p_type="payment",
        p_digest="another",
        p_payload={"amount": "much"},
        p_facts=[captured(payment)],
    )
    assert answer == {"event_id": event, "is_new": False, "is_conflict": True}
    assert await process(world) == 0
    assert (await wallet(world, buyer))["coins"] == 0
    assert await audit(world, "payment_event_altered") == [
        (None, f"sandbox {event}", {"known": "digest", "received": "another"})
    ]


@pytest.mark.abuse("A21")
@pytest.mark.spec("D7")
async def test_a_replay_changes_nothing_and_is_in_the_audit_log(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await started(world, buyer)
    facts = [captured(payment), refund(payment, "r", 333)]
    event = await report(world, *facts)
    first = await look_up(world, purchase)
    entries = await world.rows(ENTRIES)
    for _ in range(2):
        answer = await world.call(
            "service_role",
            "replay_payment_event",
            p_provider="sandbox",
            p_event_id=event,
            p_facts=facts,
            p_actor_id=clerk.id,
        )
        assert answer["outcome"] == "applied"
    assert await look_up(world, purchase) == first
    assert await world.rows(ENTRIES) == entries
    assert [row[:2] for row in await audit(world, "payment_event_replayed")] == [
        (clerk.id, f"sandbox {event}")
    ] * 2
    with refused("LW004"):
        await world.call(
            "service_role", "replay_payment_event", p_provider="sandbox", p_event_id="?", p_facts=[]
        )


@pytest.mark.abuse("A21")
async def test_a_replay_that_understands_less_keeps_what_was_understood(world: World) -> None:
    buyer = await world.person("buyer")
    purchase = await buy(world, buyer)
    payment = payment_id()
    event = await report(world, captured(payment))
    answer = await world.call(
        "service_role",
        "replay_payment_event",
        p_provider="sandbox",
        p_event_id=event,
        p_facts=None,
    )
    assert (answer["outcome"], answer["payment_id"]) == ("parked", payment)
    await attach(world, purchase, payment)
    assert (await wallet(world, buyer))["coins"] == COINS


@pytest.mark.abuse("A22")
@pytest.mark.parametrize("kind", ["refund", "dispute"])
async def test_what_comes_before_its_purchase_is_parked_and_applied_later(
    world: World, kind: str
) -> None:
    buyer, payment = await world.person("buyer"), payment_id()
    early = refund(payment, "r", CENTS) if kind == "refund" else dispute(payment, "d", CENTS)
    event = await report(world, early)
    assert await outcome(world, event) == ("parked", None)
    purchase = await buy(world, buyer)
    await attach(world, purchase, payment)
    assert await outcome(world, event) == ("applied", None)
    await report(world, captured(payment))
    expected = {"refund": "refunded", "dispute": "disputed"}[kind]
    assert (await look_up(world, purchase))["status"] == expected
    assert (await wallet(world, buyer))["coins"] == 0


@pytest.mark.abuse("A22")
async def test_a_parked_event_is_applied_once_our_own_id_leads_to_its_purchase(
    world: World,
) -> None:
    # The server was killed before it could say which payment belongs to the purchase.
    buyer, payment = await world.person("buyer"), payment_id()
    purchase = await buy(world, buyer)
    event = await report(world, refund(payment, "r", CENTS))
    await report(world, captured(payment, purchase_id=purchase["id"]))
    await world.advance(60)
    await process(world)
    assert await outcome(world, event) == ("applied", None)
    assert (await look_up(world, purchase))["status"] == "refunded"


@pytest.mark.abuse("A22")
async def test_an_event_that_was_parked_while_its_payment_was_attached_is_not_forgotten(
    world: World,
) -> None:
    buyer, payment = await world.person("buyer"), payment_id()
    purchase = await buy(world, buyer)
    event = await report(world, captured(payment))
    # As if the event had been parked by a transaction that had not seen the payment yet.
    await world.admin.execute(
        "UPDATE coin_purchases SET provider_payment_id = $1 WHERE number = $2",
        payment,
        purchase["number"],
    )
    await world.advance(60)
    await process(world)
    assert await outcome(world, event) == ("applied", None)
    assert (await wallet(world, buyer))["coins"] == COINS


@pytest.mark.abuse("A22")
async def test_a_payment_of_another_shop_is_not_looked_for_for_ever(world: World) -> None:
    event = await report(world, captured(payment_id()))
    await world.advance(7 * DAY - 3600)
    await process(world)
    assert await outcome(world, event) == ("parked", None)
    await world.advance(2 * 3600)
    await process(world)
    assert await outcome(world, event) == ("ignored", None)
    await world.advance(DAY)
    assert await process(world) == 0


@pytest.mark.spec("S26")
async def test_what_is_not_due_costs_nothing(world: World) -> None:
    await world.admin.execute(
        "INSERT INTO private.payment_events"
        " (payment_provider, event_id, type, digest, payload, outcome, next_attempt_at)"
        " SELECT 'sandbox', n::text, 'x', '', '{}', 'parked', private.clock() + n * interval '1 s'"
        " FROM generate_series(1, 3000) AS n"
    )
    await world.admin.execute("ANALYZE private.payment_events")
    before = await rows_read(world, "private.payment_events")
    assert await process(world) == 0
    assert await rows_read(world, "private.payment_events") - before < 50


@pytest.mark.abuse("A22")
async def test_a_refund_finds_an_unannounced_payment_that_is_held(world: World) -> None:
    buyer, payment = await world.person("buyer"), payment_id()
    early = await report(world, refund(payment, "r", 100))
    await report(
        world, captured(payment, 5_000_001, profile_id=str(buyer.id), coin_amount=1_000_000)
    )
    assert await outcome(world, early) == ("applied", None)
    [purchase] = (await world.call(buyer, "list_my_purchases"))["purchases"]
    assert (purchase["hold_reason"], purchase["refunded_cents"]) == ("purchase_over_limit", 100)


@pytest.mark.abuse("A23")
async def test_two_kinds_of_event_for_one_payment_give_one_credit(world: World) -> None:
    buyer = await world.person("buyer")
    purchase, payment = await started(world, buyer)
    await report(world, captured(payment), p_type="payment_intent.succeeded")
    await report(world, captured(payment), p_type="charge.captured")
    await settle(
        world,
        buyer,
        p_provider_payment_id=payment,
        p_provider_event_id="another event",
    )
    assert (await wallet(world, buyer))["coins"] == COINS
    assert (await look_up(world, purchase))["status"] == "completed"
    assert await world.rows("SELECT captured_cents FROM coin_purchases") == [(CENTS,)]


@pytest.mark.spec("S26")
async def test_unknown_events_are_kept_and_ignored(world: World) -> None:
    event = await report(world)
    assert await outcome(world, event) == ("ignored", None)
    seen = await world.call(
        "service_role", "get_payment_event", p_provider="sandbox", p_event_id=event
    )
    assert (seen["type"], seen["payload"]) == ("payment", {"email": "buyer@example.org"})


@pytest.mark.spec("S26", "D7")
async def test_an_event_that_can_not_be_applied_stays_with_what_went_wrong(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    _, payment = await started(world, buyer)
    event = await report(world, fact("miracle", payment))
    assert (await outcome(world, event))[0] == "failed"
    listed = await world.call(clerk, "list_payment_events", p_outcome="failed")
    assert [(e["event_id"], e["error"][:5]) for e in listed["events"]] == [(event, "LW005")]
    with refused("LW003"):
        await world.call(buyer, "list_payment_events")
    await world.advance(60)
    assert await process(world) == 1, "it is tried again"


@pytest.mark.spec("D7")
async def test_events_of_one_moment_are_on_one_page(world: World) -> None:
    clerk, made = await staff(world), [await report(world) for _ in range(2)]
    await world.advance(1)
    made += [await report(world) for _ in range(3)]
    seen: list[str] = []
    page = {"next": None}
    for size in (3, 2):
        page = await world.call(clerk, "list_payment_events", p_before=page["next"], p_limit=1)
        assert len(page["events"]) == size
        seen += [event["event_id"] for event in page["events"]]
    assert (sorted(seen), page["next"]) == (sorted(made), None)


@pytest.mark.abuse("A26")
@pytest.mark.parametrize(
    ("cents", "currency", "reason"),
    [
        (CENTS, "eur", "currency_mismatch"),
        (CENTS * 100, "usd", "amount_mismatch"),
        (9, "usd", "amount_mismatch"),
    ],
)
async def test_another_currency_or_amount_is_held_and_visible(
    world: World, cents: int, currency: str, reason: str
) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await started(world, buyer)
    await report(world, captured(payment, cents, currency=currency))
    assert (await wallet(world, buyer))["coins"] == 0
    assert (await wallet(world, buyer))["held_coins"] == COINS
    [waiting] = await world.call(clerk, "list_held_purchases")
    assert (waiting["purchase"]["id"], waiting["is_captured"]) == (purchase["id"], True)
    assert waiting["purchase"]["hold_reason"] == reason
    await fold(world)
    assert await world.rows(
        "SELECT balance FROM private.ledger_accounts WHERE kind = 'suspense' AND currency = $1",
        currency,
    ) == [(cents,)]
    await decide(world, clerk, purchase, "reject")
    assert await calls(world, purchase) == [("refund", cents)]
    assert await verify(world) == {}


@pytest.mark.abuse("A26", "A25")
async def test_an_unannounced_payment_in_another_currency_is_held(world: World) -> None:
    buyer = await world.person("buyer")
    event = await report(
        world,
        captured(
            payment_id(), 5000, currency="jpy", profile_id=str(buyer.id), coin_amount=1_000_000
        ),
    )
    assert await outcome(world, event) == ("applied", None)
    assert (await wallet(world, buyer))["coins"] == 0
    [purchase] = (await world.call(buyer, "list_my_purchases"))["purchases"]
    assert (purchase["status"], purchase["hold_reason"]) == ("held", "currency_mismatch")
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.abuse("A25", "A35")
async def test_an_unannounced_payment_for_nobody_is_held_and_given_back(world: World) -> None:
    clerk, nobody = await staff(world), "00000000-0000-0000-0000-00000000dead"
    event = await report(world, captured(payment_id(), 500, profile_id=nobody, coin_amount=350))
    assert await outcome(world, event) == ("applied", None)
    [waiting] = await world.call(clerk, "list_held_purchases")
    purchase = waiting["purchase"]
    assert (purchase["hold_reason"], waiting["buyer"]) == ("buyer_gone", None)
    await decide(world, clerk, purchase, "reject")
    assert await calls(world, purchase) == [("refund", 500)]
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.spec("S26")
async def test_a_payment_can_not_be_taken_off_its_purchase(world: World) -> None:
    buyer = await world.person("buyer")
    purchase, payment = await started(world, buyer)
    other = await buy(world, buyer)
    for wrong, code in ((payment_id(), "LW076"), (None, "LW005"), ("", "LW005")):
        with refused(code):
            await world.call(
                "service_role",
                "attach_payment",
                p_purchase_id=purchase["id"],
                p_provider_payment_id=wrong,
            )
    with refused("coin_purchases_once_per_payment"):
        await attach(world, other, payment)
    assert (await look_up(world, purchase))["provider_payment_id"] == payment


@pytest.mark.spec("S25", "S26")
async def test_a_call_is_made_until_it_is_answered_and_answered_once(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await held(world, buyer)
    await decide(world, clerk, purchase, "approve")
    call = await take_call(world, purchase)
    assert (call["call"], call["amount_cents"], call["attempts"]) == ("capture", 3_250_000, 1)
    assert await world.call("service_role", "take_provider_calls") == []
    assert await finish(world, call, p_error="the provider is away")
    await world.advance(30)
    again = await take_call(world, purchase)
    assert (again["idempotency_key"], again["attempts"]) == (call["idempotency_key"], 2)
    assert await finish(world, again, captured(payment, 3_250_000))
    assert not await finish(world, again, captured(payment, 3_250_000))
    await world.advance(86_400)
    assert await world.call("service_role", "take_provider_calls") == []
    assert (await look_up(world, purchase))["status"] == "completed"


@pytest.mark.spec("S26")
async def test_an_authorisation_alone_credits_nothing(world: World) -> None:
    buyer = await world.person("buyer")
    purchase, payment = await started(world, buyer)
    await report(world, authorized(payment, CENTS))
    assert (await wallet(world, buyer))["coins"] == 0
    assert (await look_up(world, purchase))["status"] == "pending"
