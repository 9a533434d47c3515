"""One event never keeps those of others: not by what it costs, breaks or waits for."""

import json

import asyncpg
import pytest

from tests.databases import Person
from tests.sql.money import (
    CENTS,
    COINS,
    audit,
    authorized,
    captured,
    fact,
    gift,
    give_coins,
    key,
    look_up,
    outcome,
    process,
    report,
    rich_fan,
    started,
    wallet,
)
from tests.sql.world import World, another_login, refused

DAY = 86_400
# Declined cards, as many as somebody likes.
TELL = """
SELECT public.receive_payment_event('sandbox', 'evt_' || n, 'payment.failed', 'digest', '{}',
    jsonb_build_array(jsonb_build_object('kind', 'failed', 'payment_id', $1::text,
        'at', now(), 'currency', 'usd', 'amount_cents', 999)))
FROM generate_series($2::integer, $3::integer) AS n
"""
WAITING = "SELECT attempts FROM private.payment_events WHERE event_id = $1 AND outcome = 'waiting'"


async def receive(world: World, payment: str) -> str:
    """Receive that a payment was captured; return the event, which waits."""
    event = key()
    await world.call(
        "service_role",
        "receive_payment_event",
        p_provider="sandbox",
        p_event_id=event,
        p_type="payment",
        p_digest="digest",
        p_payload={},
        p_facts=[captured(payment)],
    )
    return event


async def act_on(world: World, event: str) -> object:
    """Act on one event, as the server does with each that it has taken."""
    return await world.call(
        "service_role", "process_payment_event", p_provider="sandbox", p_event_id=event
    )


async def leaver(world: World, cards: int) -> tuple[Person, str]:
    """Return somebody who was refused so many cards and deletes their account, and the payment."""
    person = await world.person("leaver")
    _, payment = await started(world, person)
    await world.admin.execute(TELL, payment, 1, cards)
    assert await process(world) == cards
    await world.call(person, "delete_account")
    return person, payment


@pytest.mark.spec("S26")
@pytest.mark.abuse("A35")
async def test_what_is_forgotten_already_is_not_written_again_for_each_later_event(
    world: World,
) -> None:
    _, payment = await leaver(world, 50)
    written = "SELECT sum(xmin::text::bigint) FROM private.payment_events WHERE event_id < 'evt_a'"
    before = await world.rows(written)
    later = await report(world, fact("failed", payment, CENTS), event="evt_later")
    assert await world.rows(written) == before, "all of them were written for one event"
    [(payload,)] = await world.rows(
        "SELECT payload FROM private.payment_events WHERE event_id = $1", later
    )
    assert json.loads(payload) == {"redacted": True}


@pytest.mark.spec("S26")
@pytest.mark.abuse("A21")
async def test_an_event_that_breaks_whatever_acts_on_it_is_behind_the_others(world: World) -> None:
    mallory, honest = await world.people("mallory", "honest")
    (_, bad), (_, good) = await started(world, mallory), await started(world, honest)
    # What no block catches, as if the statement had taken too long.
    await world.admin.execute(
        "CREATE FUNCTION private.test_break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE SQLSTATE '57014'; END $$;"
        " CREATE TRIGGER test_break BEFORE UPDATE ON public.coin_purchases FOR EACH ROW"
        f" WHEN (OLD.provider_payment_id = '{bad}') EXECUTE FUNCTION private.test_break()"
    )
    first = await receive(world, bad)
    await world.advance(1)
    second = await receive(world, good)
    for expected in (first, second):
        due = await world.call("service_role", "take_payment_events", p_limit=1)
        assert [event["event_id"] for event in due["events"]] == [expected]
        if expected == first:
            with pytest.raises(asyncpg.QueryCanceledError):
                await act_on(world, first)
            assert await world.rows(WAITING, first) == [(1,)], "the attempt is counted"
        else:
            assert await act_on(world, second) == "applied"
    assert (await wallet(world, honest))["coins"] == COINS


@pytest.mark.spec("D7")
async def test_how_long_the_oldest_event_waits_is_told(world: World) -> None:
    buyer = await world.person("buyer")
    _, payment = await started(world, buyer)
    due = await world.call("service_role", "take_payment_events")
    assert due == {"events": [], "oldest_seconds": {"waiting": None, "failed": None}}
    event = await receive(world, payment)
    await report(world, fact("miracle", payment))
    await world.advance(90)
    due = await world.call("service_role", "take_payment_events", p_limit=0)
    assert due["oldest_seconds"] == {"waiting": None, "failed": 90}
    assert await outcome(world, event) == ("applied", None)
    await receive(world, payment)
    await world.advance(30)
    due = await world.call("service_role", "take_payment_events", p_limit=0)
    assert due["oldest_seconds"] == {"waiting": 30, "failed": 120}


@pytest.mark.spec("S26", "D7")
async def test_what_can_never_apply_is_on_record_and_not_tried_for_ever(world: World) -> None:
    purchase, payment = await started(world, await world.person("buyer"))
    none, later = captured(payment, 0), fact("miracle", payment)
    refused_for_good, tried_again = [await report(world, one) for one in (none, later)]
    assert (await outcome(world, refused_for_good))[0] == "failed"
    found = await audit(world, "payment_event_refused")
    assert [subject for _, subject, _ in found] == [f"sandbox {refused_for_good}"]
    assert found[0][2]["error"].startswith("LW078: ")
    await world.advance(DAY)
    due = await world.call("service_role", "take_payment_events")
    assert [event["event_id"] for event in due["events"]] == [tried_again]
    assert due["oldest_seconds"]["failed"] == DAY
    await world.admin.execute("DELETE FROM private.payment_events WHERE event_id = $1", tried_again)
    due = await world.call("service_role", "take_payment_events")
    assert due["oldest_seconds"]["failed"] is None, "nothing waits for time"
    # A person who has read it anew replays it.
    for facts, becomes in (([none], "failed"), ([captured(payment)], "applied")):
        replayed = await world.call(
            "service_role",
            "replay_payment_event",
            p_provider="sandbox",
            p_event_id=refused_for_good,
            p_facts=facts,
        )
        assert replayed["outcome"] == becomes
    assert (await look_up(world, purchase))["status"] == "completed"
    assert len(await audit(world, "payment_event_refused")) == 1


@pytest.mark.spec("S26")
async def test_an_event_is_acted_on_once(world: World) -> None:
    buyer = await world.person("buyer")
    _, payment = await started(world, buyer)
    event = await receive(world, payment)
    assert [await act_on(world, event) for _ in range(2)] == ["applied", None]
    assert (await wallet(world, buyer))["coins"] == COINS


@pytest.mark.spec("S26")
@pytest.mark.abuse("A35")
async def test_who_leaves_and_does_not_commit_keeps_only_their_own_payments(world: World) -> None:
    mallory, honest = await world.people("mallory", "honest")
    await give_coins(world, mallory, 100)
    (_, theirs), (_, payment) = await started(world, mallory), await started(world, honest)
    mine = await another_login(world, mallory)
    await mine.execute("SELECT public.delete_account()")
    late = await report(world, captured(theirs))
    await report(world, captured(payment))
    assert (await wallet(world, honest))["coins"] == COINS
    assert await outcome(world, late) == ("waiting", None)
    await mine.execute("ROLLBACK")
    await world.advance(1)
    await process(world)
    assert (await wallet(world, mallory))["coins"] == 100 + COINS


@pytest.mark.spec("D5")
@pytest.mark.abuse("A20")
async def test_nobody_locks_a_table_that_gifts_look_into(world: World) -> None:
    fan, streamer = await rich_fan(world)
    tables = "blocks profiles gift_types gifts live_streams ledger_entries coin_purchases"
    for table in tables.split():
        with refused("42501"):
            await world.sql(fan, f"LOCK TABLE public.{table} IN ACCESS EXCLUSIVE MODE")
    await gift(world, fan, streamer)


@pytest.mark.spec("S26")
async def test_refused_cards_are_not_kept_for_ever_and_money_is(world: World) -> None:
    buyer = await world.person("buyer")
    _, payment = await started(world, buyer)
    refused_card = await report(world, fact("failed", payment))
    reports = [
        await report(world, *facts)
        for facts in ([authorized(payment, CENTS)], [captured(payment)], [], [fact("miracle", "p")])
    ]
    await world.advance(90 * DAY - 60)
    assert await world.remove_old() == 0
    await world.advance(120)
    assert await world.remove_old() == 1
    kept = await world.rows("SELECT event_id FROM private.payment_events")
    assert {event for (event,) in kept} == set(reports), refused_card
    assert (await wallet(world, buyer))["coins"] == COINS
