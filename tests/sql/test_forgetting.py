"""A35: whoever deletes their account leaves amounts behind, and nothing that says who it was."""

import json

import pytest

from tests.databases import Person
from tests.sql.money import (
    CENTS,
    COINS,
    LARGE,
    LARGE_CENTS,
    attach,
    audit,
    authorized,
    buy,
    calls,
    captured,
    decide,
    deliver,
    dispute,
    events,
    fact,
    finish,
    fold,
    gift,
    head,
    held,
    look_up,
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

PERSONAL = {
    "p_ip_address": "203.0.113.7",
    "p_country_code": "SE",
    "p_user_agent": "Telltale/1.0",
}
TRACES = ["gone.girl", "203.0.113.7", "Telltale", "telltale@example.org", '"SE"', '"FI"']
TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n
ON n.oid = c.relnamespace WHERE n.nspname IN ('public', 'private', 'auth') AND c.relkind = 'r'
"""


async def traces(world: World) -> list[tuple[str, str]]:
    """Return where in the whole database something still tells who it was."""
    found: list[tuple[str, str]] = []
    for (table,) in await world.rows(TABLES):
        for (text,) in await world.rows(f"SELECT to_jsonb(t)::text FROM {table} AS t"):
            found += [(table, trace) for trace in TRACES if trace in text]
    return found


async def leave(world: World, who: Person, how: str) -> None:
    """Delete an account: by its owner, or as an identity service does."""
    if how == "function":
        await world.call(who, "delete_account")
    else:
        await world.admin.execute("DELETE FROM auth.users WHERE id = $1", who.id)


async def history(world: World) -> tuple[Person, Person, str]:
    """Let somebody buy, give, get, be refunded, disputed and held."""
    person, streamer = await world.people("gone.girl", "streamer")
    purchase = await buy(world, person, **PERSONAL)
    payment = "pay_known"
    personal = {"email": "telltale@example.org"}
    await report(world, fact("processing", payment), p_payload=personal)
    await report(
        world,
        captured(payment, card_country="fi", purchase_id=purchase["id"]),
        p_payload=personal,
    )
    # Of a kind that we do not know, and of one that means nothing to us.
    await report(world, p_payload=personal, p_payment_id=payment)
    await report(world, p_payload=personal, p_facts=[], p_payment_id=payment)
    stream = await world.live(streamer)
    await gift(world, person, streamer, "aurora", p_live_stream_id=stream)
    await deliver(world)
    await report(world, refund(payment, "r", 100), p_payload=personal)
    await report(world, dispute(payment, "d", 800), p_payload=personal)
    return person, streamer, payment


@pytest.mark.spec("D1", "S26")
@pytest.mark.abuse("A35")
@pytest.mark.parametrize("how", ["function", "row"])
async def test_money_history_stays_and_personal_data_goes(world: World, how: str) -> None:
    person, streamer, _ = await history(world)
    await fold(world)
    exported = await head(world)
    amounts = await world.rows("SELECT * FROM ledger_entries ORDER BY transaction_id, line")
    assert len(await traces(world)) > 10
    await leave(world, person, how)
    assert await traces(world) == []
    assert await world.rows("SELECT * FROM ledger_entries ORDER BY transaction_id, line") == amounts
    kept = await world.rows("SELECT profile_id, usd_amount::text, status FROM coin_purchases")
    assert kept == [(person.id, "9.99", "disputed")]
    assert await world.rows("SELECT sender_id, price FROM gifts") == [(person.id, 500)]
    assert (await wallet(world, streamer))["earnings"] == 350
    [line] = (await world.call(streamer, "list_statement", p_currency="earnings"))["entries"]
    assert (line["amount"], line["title"], line["counterpart"]) == (350, "Aurora", None)
    await fold(world)
    assert await verify(world, exported) == {}


@pytest.mark.spec("S26")
@pytest.mark.abuse("A35")
async def test_what_is_heard_later_is_applied_and_tells_nothing(world: World) -> None:
    person, _, payment = await history(world)
    await leave(world, person, "function")
    personal = {"email": "telltale@example.org"}
    event = await report(
        world,
        dispute(payment, "d", 800, "won"),
        captured(payment, card_country="FI"),
        p_payload=personal,
    )
    assert await traces(world) == []
    [(status, facts, text)] = await world.rows(
        "SELECT c.status, e.facts, e.payload FROM coin_purchases AS c, private.payment_events AS e"
        " WHERE e.event_id = $1",
        event,
    )
    assert (status, json.loads(text)) == ("completed", {"redacted": True})
    assert len(json.loads(facts)) == 2
    await world.call(
        "service_role",
        "replay_payment_event",
        p_provider="sandbox",
        p_event_id=event,
        p_facts=None,
    )
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.spec("S26")
@pytest.mark.abuse("A35")
@pytest.mark.parametrize("facts", [None, []])
async def test_what_is_heard_later_and_means_nothing_tells_nothing(
    world: World, facts: list[object] | None
) -> None:
    person, _, payment = await history(world)
    neighbour = await world.person("neighbour")
    theirs = f"{payment}0"
    await attach(world, await buy(world, neighbour), theirs)
    kept = await report(world, p_payment_id=theirs, p_facts=facts)
    await leave(world, person, "function")
    personal = {"email": "telltale@example.org"}
    await report(world, p_payload=personal, p_facts=facts, p_payment_id=payment)
    assert await traces(world) == []
    assert await world.rows(
        "SELECT payload ->> 'email' FROM private.payment_events WHERE event_id = $1", kept
    ) == [("buyer@example.org",)]


@pytest.mark.spec("S26")
@pytest.mark.abuse("A35")
async def test_a_payment_that_is_named_after_its_buyer_left_tells_nothing(world: World) -> None:
    person = await world.person("gone.girl")
    purchase = await buy(world, person, **PERSONAL)
    await leave(world, person, "function")
    await report(world, p_payload={"email": "telltale@example.org"}, p_payment_id="pay_late")
    await attach(world, purchase, "pay_late")
    assert await traces(world) == []


@pytest.mark.spec("S25")
@pytest.mark.abuse("A35")
@pytest.mark.parametrize("how", ["function", "row"])
async def test_what_waits_for_a_decision_is_given_back(world: World, how: str) -> None:
    person, clerk = await world.person("gone.girl"), await staff(world)
    aside, _ = await held(world, person)
    arrived, payment = await held(world, person)
    await report(world, captured(payment, LARGE_CENTS))
    await leave(world, person, how)
    assert await calls(world, aside) == [("cancel", LARGE_CENTS)]
    assert await calls(world, arrived) == [("refund", LARGE_CENTS)]
    assert await world.call(clerk, "list_held_purchases") == []
    assert {row[1] for row in await audit(world, "purchase_rejected")} == {
        aside["id"],
        arrived["id"],
    }
    await report(world, refund(payment, "r", LARGE_CENTS))
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.spec("S25")
@pytest.mark.abuse("A35")
@pytest.mark.parametrize("in_flight", [False, True])
async def test_what_was_approved_but_not_captured_is_given_back(
    world: World, *, in_flight: bool
) -> None:
    person, clerk = await world.person("gone.girl"), await staff(world)
    purchase, payment = await held(world, person)
    await decide(world, clerk, purchase, "approve")
    call = await take_call(world, purchase) if in_flight else None
    await leave(world, person, "function")
    assert (await look_up(world, purchase))["status"] == "rejected"
    if call is None:
        assert (await take_call(world, purchase))["call"] == "cancel", "not captured any more"
        return
    await finish(world, call, captured(payment, LARGE_CENTS))
    assert await calls(world, purchase) == [
        ("capture", LARGE_CENTS),
        ("cancel", LARGE_CENTS),
        ("refund", LARGE_CENTS),
    ]
    assert await world.rows("SELECT posted_coins FROM coin_purchases") == [(0,)]
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.spec("S26")
@pytest.mark.abuse("A35")
async def test_money_that_comes_for_somebody_gone_is_held(world: World) -> None:
    person, clerk = await world.person("gone.girl"), await staff(world)
    purchase, payment = await started(world, person)
    await leave(world, person, "function")
    await report(world, captured(payment))
    [waiting] = await world.call(clerk, "list_held_purchases")
    assert (waiting["purchase"]["hold_reason"], waiting["buyer"]) == ("buyer_gone", None)
    assert (waiting["may_decide"], waiting["may_approve"]) == (True, False)
    with refused("LW085"):
        await decide(world, clerk, purchase, "approve")
    assert await calls(world, purchase) == []
    assert await world.rows("SELECT posted_coins, decision FROM coin_purchases") == [(0, None)]
    await decide(world, clerk, purchase, "reject")
    assert await calls(world, purchase) == [("refund", CENTS)]
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.spec("S25")
@pytest.mark.abuse("A35")
async def test_a_card_is_not_charged_for_somebody_gone(world: World) -> None:
    person, clerk = await world.person("gone.girl"), await staff(world)
    purchase, payment = await started(world, person, LARGE)
    await leave(world, person, "function")
    await report(world, authorized(payment))
    [waiting] = await world.call(clerk, "list_held_purchases")
    assert (waiting["is_captured"], waiting["may_decide"], waiting["may_approve"]) == (
        False,
        True,
        False,
    )
    with refused("LW085"):
        await decide(world, clerk, purchase, "approve")
    assert await calls(world, purchase) == []
    await decide(world, clerk, purchase, "reject")
    assert await calls(world, purchase) == [("cancel", LARGE_CENTS)]


@pytest.mark.spec("S25")
@pytest.mark.abuse("A35")
async def test_an_approval_that_brought_no_money_ends_with_the_account(world: World) -> None:
    person, clerk = await world.person("gone.girl"), await staff(world)
    purchase, payment = await held(world, person)
    await decide(world, clerk, purchase, "approve")
    call = await take_call(world, purchase)
    await finish(world, call, p_error="expired card", p_is_final=True)
    await leave(world, person, "function")
    assert (await look_up(world, purchase))["status"] == "canceled"
    await report(world, captured(payment, LARGE_CENTS))
    waiting = await world.call(clerk, "list_held_purchases")
    held_for = [(item["purchase"]["hold_reason"], item["may_approve"]) for item in waiting]
    assert held_for == [("buyer_gone", False)]
    assert await world.rows("SELECT posted_coins FROM coin_purchases") == [(0,)]
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.spec("S26")
@pytest.mark.abuse("A35")
async def test_earnings_of_somebody_gone_stay_accounted_for(world: World) -> None:
    fan, person = await world.people("fan", "gone.girl")
    await paid(world, fan)
    stream = await world.live(person)
    await gift(world, fan, person, "star", p_live_stream_id=stream)
    await leave(world, person, "function")
    await deliver(world)
    [event] = [e for e in await events(world) if e["kind"] == "gift"]
    assert event["payload"]["message"] is None, "their stream is gone, too"
    await fold(world)
    assert await verify(world) == {}
    [sent, _] = (await world.call(fan, "list_statement"))["entries"]
    assert (sent["amount"], sent["balance"], sent["counterpart"]) == (-100, COINS - 100, None)
