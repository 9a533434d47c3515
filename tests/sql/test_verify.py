"""`private.verify_ledger`: every check turns red by the damage it is there for, and green again."""

import pytest

from tests.databases import Person
from tests.sql.money import (
    dispute,
    fold,
    gift,
    give_coins,
    head,
    held,
    paid,
    report,
    verify,
)
from tests.sql.tampering import TAMPERS, Tamper
from tests.sql.world import World, refused

UNGUARDED = "SET session_replication_role = replica"
GUARDED = "SET session_replication_role = origin"


async def lived_in(world: World) -> None:
    """Let some money move: accounts 100 to 105, a purchase, gifts, a debt, a hold."""
    fan, streamer, rival = await world.people("fan", "streamer", "rival")
    await give_coins(world, fan, 100)  # wallet 100, debt 101
    await fold(world)
    await gift(world, fan, streamer)  # transaction 2
    await fold(world)
    await gift(world, fan, rival, "heart")
    debtor = await world.person("debtor")
    _, payment = await paid(world, debtor)
    await gift(world, debtor, rival, "aurora")
    await report(world, dispute(payment, "d", 979))
    await held(world, debtor)
    await fold(world)


@pytest.mark.spec("S2", "S26")
@pytest.mark.parametrize("tamper", TAMPERS, ids=lambda tamper: tamper.name)
async def test_tampering_is_seen_and_undoing_it_is_well(world: World, tamper: Tamper) -> None:
    await lived_in(world)
    exported = await head(world)
    assert await verify(world, exported) == {}
    for statement, seen in ((tamper.damage, tamper.seen), (tamper.repair, set[str]())):
        await world.admin.execute(f"{UNGUARDED}; {statement}; {GUARDED}")
        found = await verify(world, exported)
        assert set(found) == seen, found


@pytest.mark.spec("S2", "S25", "S26")
async def test_coins_that_nobody_paid_for_are_seen_though_every_guard_stands(world: World) -> None:
    await held(world, await world.person("buyer"))
    await world.admin.execute(
        "SELECT private.post('purchase', c.id, ARRAY[4, m.wallet_id], '{coins,coins}',"
        " ARRAY[-coin_amount, coin_amount])"
        " FROM coin_purchases AS c, private.move_coins(c.profile_id, c.coin_amount) AS m;"
        "UPDATE coin_purchases SET posted_coins = coin_amount"
    )
    await fold(world)
    assert await verify(world) == {
        "purchases_follow_from_facts": "purchase P-1 is held with 2275000 coins,"
        " its facts say held with 0"
    }


@pytest.mark.spec("S26")
async def test_entries_of_no_purchase_are_named_by_what_they_are_of(world: World) -> None:
    purchase = await give_coins(world, await world.person("fan"), 100)
    await fold(world)
    await world.admin.execute(f"{UNGUARDED}; DELETE FROM coin_purchases; {GUARDED}")
    found = await verify(world)
    assert set(found) == {"purchases_match_entries"}
    assert found["purchases_match_entries"].startswith(f"no purchase {purchase['id']} has 0 coins")


@pytest.mark.spec("S2", "S26")
async def test_a_rewritten_history_does_not_have_the_exported_head(world: World) -> None:
    await lived_in(world)
    exported = await head(world)
    # Thorough work: the last seal is taken back, its entries are changed, all is sealed anew.
    await world.admin.execute(
        f"{UNGUARDED};"
        "INSERT INTO private.ledger_queue (transaction_id) SELECT unnest(transaction_ids)"
        " FROM private.ledger_seals WHERE number = 2;"
        "DELETE FROM private.ledger_seals WHERE number >= 2;"
        "INSERT INTO private.ledger_queue (transaction_id) SELECT id FROM"
        " private.ledger_transactions WHERE id > 2;"
        "UPDATE private.ledger_accounts SET balance = 0 WHERE kind NOT IN ('wallet', 'debt');"
        "UPDATE private.ledger_accounts AS a SET balance = (SELECT coalesce(sum(e.amount), 0) FROM"
        " ledger_entries AS e WHERE e.account_id = a.id AND e.transaction_id = 1)"
        " WHERE kind NOT IN ('wallet', 'debt');"
        "UPDATE private.ledger_transactions SET created_at = created_at - interval '1 day'"
        f" WHERE id = 2; {GUARDED}"
    )
    # Each batch as it was, so that only the chain tells: the last seal has the same transactions.
    assert (await fold(world, 1), await fold(world)) == (1, 4)
    assert await verify(world) == {}, "by itself the forged history is consistent"
    assert set(await verify(world, exported)) == {"exported_head_is_in_the_chain"}
    assert await verify(world, await head(world)) == {}


@pytest.mark.spec("S26")
async def test_an_older_head_is_in_the_chain(world: World) -> None:
    first = await head(world)
    assert await verify(world, first) == {}
    await lived_in(world)
    older = await head(world)
    await gift(world, await somebody(world, "fan"), await somebody(world, "streamer"))
    await fold(world)
    assert await head(world) != older
    for exported in (first, older, older.upper()):
        assert await verify(world, exported) == {}
    assert set(await verify(world, "00")) == {"exported_head_is_in_the_chain"}


@pytest.mark.spec("S26")
async def test_what_waits_for_over_five_seconds_fails(world: World) -> None:
    await give_coins(world, await world.person("one"), 10)
    await world.advance(5)
    assert await verify(world) == {}
    await world.advance(0.001)
    assert set(await verify(world)) == {"sealed_in_time"}
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.spec("S26")
async def test_the_proof_needs_one_snapshot(world: World) -> None:
    for level in ("read_uncommitted", "read_committed"):
        with refused("LW005"):
            async with world.admin.transaction(isolation=level):
                await world.admin.fetch("SELECT * FROM private.verify_ledger()")
    for who in ("anon", "service_role"):
        with refused("42501"):
            await world.sql(who, "SELECT * FROM private.verify_ledger()")


async def somebody(world: World, name: str) -> Person:
    """Return a person by name."""
    [(id_,)] = await world.rows("SELECT id FROM profiles WHERE name = $1", name)
    return Person(id_, name)
