"""`private.verify_ledger`: every check turns red by the damage it is there for, and green again."""

from dataclasses import dataclass

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
from tests.sql.world import World, refused

UNGUARDED = "SET session_replication_role = replica"
GUARDED = "SET session_replication_role = origin"


@dataclass(frozen=True)
class Tamper:
    """What somebody with the owner's rights does behind the triggers, and which checks see it."""

    name: str
    damage: str
    repair: str
    seen: set[str]


def entries(change: str, back: str, *seen: str) -> tuple[str, str, set[str]]:
    """Return a change of one gift's entries."""
    return (
        f"UPDATE ledger_entries SET {change} WHERE transaction_id = 2 AND line = 4",
        f"UPDATE ledger_entries SET {back} WHERE transaction_id = 2 AND line = 4",
        set(seen),
    )


SPARE = "'00000000-0000-0000-0000-000000000009'"
SWAP = "; ".join(
    f"UPDATE private.ledger_accounts SET profile_id = {{{to}}} WHERE kind = 'earnings'"
    f" AND profile_id = {{{of}}}"
    for of, to in ((0, 2), (1, 0), (2, 1))
)
ONE, OTHER = (f"(SELECT id FROM profiles WHERE name = '{name}')" for name in ("streamer", "rival"))
SWAPPED = SWAP.format(ONE, OTHER, SPARE)
GIFTS_SWAPPED = f"""
UPDATE gifts SET recipient_id = CASE WHEN recipient_id = {ONE} THEN {OTHER} ELSE {ONE} END
"""
EARLIER, LATER = (
    "UPDATE private.ledger_transactions"
    f" SET created_at = created_at {sign} interval '1 s' WHERE id = 2"
    for sign in "-+"
)

TAMPERS = [
    Tamper(
        "an amount",
        *entries(
            "amount = 8",
            "amount = 7",
            "transactions_sum_to_zero",
            "balances_match_entries",
            "gifts_match_entries",
            "seals_chain",
        ),
    ),
    Tamper(
        "an entry moved to another account",
        *entries(
            "account_id = 7",
            "account_id = 102",
            "balances_match_entries",
            "gifts_match_entries",
            "seals_chain",
        ),
    ),
    Tamper(
        "an entry on no account",
        *entries(
            "account_id = 98",
            "account_id = 102",
            "entries_have_accounts",
            "balances_match_entries",
            "gifts_match_entries",
            "seals_chain",
        ),
    ),
    Tamper(
        "a transaction emptied",
        "CREATE TABLE private.kept AS SELECT * FROM ledger_entries WHERE transaction_id = 2;"
        "DELETE FROM ledger_entries WHERE transaction_id = 2",
        "INSERT INTO ledger_entries SELECT * FROM private.kept; DROP TABLE private.kept",
        {
            "transactions_have_entries",
            "balances_match_entries",
            "gifts_match_entries",
            "seals_chain",
        },
    ),
    Tamper(
        "a wallet's balance",
        "UPDATE private.ledger_accounts SET balance = balance + 1 WHERE id = 100",
        "UPDATE private.ledger_accounts SET balance = balance - 1 WHERE id = 100",
        {"balances_match_entries"},
    ),
    Tamper(
        "the platform's balance",
        "UPDATE private.ledger_accounts SET balance = balance + 1 WHERE kind = 'revenue'",
        "UPDATE private.ledger_accounts SET balance = balance - 1 WHERE kind = 'revenue'",
        {"balances_match_entries"},
    ),
    Tamper(
        "coins beside a debt",
        "UPDATE private.ledger_accounts SET balance = 5 WHERE kind = 'wallet' AND balance = 0;"
        "UPDATE private.ledger_accounts SET balance = -495 WHERE balance = -490",
        "UPDATE private.ledger_accounts SET balance = 0 WHERE kind = 'wallet' AND balance = 5;"
        "UPDATE private.ledger_accounts SET balance = -490 WHERE balance = -495",
        {"nobody_who_owes_can_spend", "balances_match_entries"},
    ),
    Tamper(
        "what a purchase has posted",
        "UPDATE coin_purchases SET posted_coins = 99 WHERE number = 1",
        "UPDATE coin_purchases SET posted_coins = 100 WHERE number = 1",
        {"purchases_match_entries"},
    ),
    Tamper(
        "a purchase of somebody else's",
        f"UPDATE coin_purchases SET profile_id = {OTHER} WHERE number = 1",
        "UPDATE coin_purchases SET profile_id = (SELECT id FROM profiles WHERE name = 'fan')"
        " WHERE number = 1",
        {"purchases_match_entries"},
    ),
    Tamper(
        "a gift's price",
        "UPDATE gifts SET price = 11, platform_share = 4 WHERE price = 10",
        "UPDATE gifts SET price = 10, platform_share = 3 WHERE price = 11",
        {"gifts_match_entries"},
    ),
    Tamper(
        "a gift's shares",
        "UPDATE gifts SET streamer_share = 8, platform_share = 2 WHERE price = 10",
        "UPDATE gifts SET streamer_share = 7, platform_share = 3 WHERE price = 10",
        {"gifts_match_entries"},
    ),
    Tamper(
        "a gift to somebody else",
        f"UPDATE gifts SET recipient_id = {OTHER} WHERE price = 10",
        f"UPDATE gifts SET recipient_id = {ONE} WHERE price = 10",
        {"gifts_match_entries"},
    ),
    Tamper(
        "a gift without its row",
        "CREATE TABLE private.kept AS SELECT * FROM gifts WHERE price = 10;"
        "DELETE FROM gifts WHERE price = 10",
        "INSERT INTO gifts SELECT * FROM private.kept; DROP TABLE private.kept",
        {"gifts_match_entries"},
    ),
    Tamper(
        "accounts of two people swapped",
        SWAPPED,
        SWAPPED,
        {"gifts_match_entries", "seals_chain"},
    ),
    Tamper(
        "accounts swapped, and the gifts with them",
        SWAPPED + "; " + GIFTS_SWAPPED,
        SWAPPED + "; " + GIFTS_SWAPPED,
        {"seals_chain"},
    ),
    Tamper(
        "when it was",
        EARLIER,
        LATER,
        {"seals_chain"},
    ),
    Tamper(
        "a seal's hash",
        "UPDATE private.ledger_seals SET hash = sha256('x') WHERE number = 1",
        "UPDATE private.ledger_seals SET hash = (SELECT previous_hash FROM private.ledger_seals"
        " WHERE number = 2) WHERE number = 1",
        {"seals_chain"},
    ),
    Tamper(
        "a transaction in no seal",
        "UPDATE private.ledger_seals SET transaction_ids = '{}' WHERE number = 2",
        "UPDATE private.ledger_seals SET transaction_ids = '{2}' WHERE number = 2",
        {"seals_chain", "sealed_exactly_once"},
    ),
    Tamper(
        "a transaction in two seals",
        "UPDATE private.ledger_seals SET transaction_ids = '{1,2}' WHERE number = 2",
        "UPDATE private.ledger_seals SET transaction_ids = '{2}' WHERE number = 2",
        {"seals_chain", "sealed_exactly_once"},
    ),
    Tamper(
        "a sealed transaction queued again",
        "INSERT INTO private.ledger_queue VALUES (2)",
        "DELETE FROM private.ledger_queue WHERE transaction_id = 2",
        {"balances_match_entries"},
    ),
    Tamper(
        "a guard switched off",
        "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_append_only",
        "ALTER TABLE ledger_entries ENABLE TRIGGER ledger_entries_append_only",
        {"history_is_guarded"},
    ),
    Tamper(
        "a guard that stands elsewhere",
        "DROP TRIGGER gifts_append_only ON gifts; CREATE TRIGGER gifts_append_only BEFORE"
        " UPDATE OR DELETE OR TRUNCATE ON private.outbox"
        " FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change()",
        "DROP TRIGGER gifts_append_only ON private.outbox; CREATE TRIGGER gifts_append_only BEFORE"
        " UPDATE OR DELETE OR TRUNCATE ON gifts"
        " FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change()",
        {"history_is_guarded"},
    ),
    Tamper(
        "a guard that watches less",
        "DROP TRIGGER gifts_append_only ON gifts; CREATE TRIGGER gifts_append_only BEFORE DELETE"
        " ON gifts FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change()",
        "DROP TRIGGER gifts_append_only ON gifts; CREATE TRIGGER gifts_append_only BEFORE"
        " UPDATE OR DELETE OR TRUNCATE ON gifts"
        " FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change()",
        {"history_is_guarded"},
    ),
    Tamper(
        "purchases unguarded",
        "ALTER TABLE coin_purchases DISABLE TRIGGER coin_purchases_stay",
        "ALTER TABLE coin_purchases ENABLE TRIGGER coin_purchases_stay",
        {"history_is_guarded"},
    ),
]


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
    with refused("LW005"):
        await world.admin.fetch("SELECT * FROM private.verify_ledger()")
    for who in ("anon", "service_role"):
        with refused("42501"):
            await world.sql(who, "SELECT * FROM private.verify_ledger()")


async def somebody(world: World, name: str) -> Person:
    """Return a person by name."""
    [(id_,)] = await world.rows("SELECT id FROM profiles WHERE name = $1", name)
    return Person(id_, name)
