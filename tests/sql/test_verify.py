"""`private.verify_ledger`: every check turns red by the damage it is there for, and green again."""

from uuid import UUID

import pytest

from tests.databases import Person
from tests.sql.money import (
    CENTS,
    LARGE_CENTS,
    LARGE_COINS,
    captured,
    dispute,
    fold,
    gift,
    give_coins,
    head,
    held,
    paid,
    report,
    rich_fan,
    staff,
    verify,
    wallet,
)
from tests.sql.tampering import TAMPERS, Tamper
from tests.sql.test_limits import DAY, buy_for, configure
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


async def post(world: World, kind: str, source: object, *entries: tuple[str, str, int]) -> None:
    """Post what nothing is behind, as the owner could: SQL for each account, currency, amount."""
    accounts, currencies, amounts = zip(*entries, strict=True)
    await world.admin.execute(
        f"SELECT private.post('{kind}', '{source}', ARRAY[{','.join(accounts)}]::bigint[],"
        f" ARRAY{list(currencies)}, ARRAY{list(amounts)})"
    )
    for account, currency, amount in entries:
        if currency == "coins":
            await world.admin.execute(
                "SELECT private.move(id, $1) FROM private.ledger_accounts"
                f" WHERE id = {account} AND kind IN ('wallet', 'debt')",
                amount,
            )
    await fold(world)


def account(of: Person, kind: str) -> str:
    """Return SQL for the account of somebody."""
    currency = "earnings" if kind == "earnings" else "coins"
    return f"private.account_of('{of.id}', '{kind}', '{currency}')"


@pytest.mark.spec("S2", "S26")
@pytest.mark.parametrize(
    ("kind", "currency", "platform"), [("wallet", "coins", 5), ("earnings", "earnings", 6)]
)
async def test_coins_from_nowhere_behind_the_purchase_of_another_are_seen(
    world: World, kind: str, currency: str, platform: int
) -> None:
    fan, thief = await world.people("fan", "thief")
    purchase, _ = await paid(world, fan)
    mine = account(thief, kind)
    minted = (str(platform), currency, -1_000_000), (mine, currency, 1_000_000)
    await post(world, "refund", purchase["id"], *minted)
    assert (await wallet(world, thief))[currency] == 1_000_000
    found = await verify(world)
    assert set(found) == {"purchases_match_entries"}
    [(thiefs,)] = await world.rows(f"SELECT {mine}")
    assert found["purchases_match_entries"] == (
        f"purchase P-1 has 700 coins, its entries 700, and they touch account {platform}, {thiefs}"
    )
    # Given back they were there all the same, and may have been spent meanwhile.
    await post(world, "refund", purchase["id"], *((a, c, -n) for a, c, n in minted))
    assert set(await verify(world)) == {"purchases_match_entries"}


@pytest.mark.spec("S26")
async def test_a_purchase_that_differs_names_accounts_only_where_one_is_strange(
    world: World,
) -> None:
    await paid(world, await world.person("fan"))
    await world.admin.execute(
        f"{UNGUARDED}; UPDATE coin_purchases SET posted_coins = 699; {GUARDED}"
    )
    found = await verify(world)
    assert found["purchases_match_entries"] == "purchase P-1 has 699 coins, its entries 700"


@pytest.mark.spec("S26")
async def test_money_in_a_currency_that_never_came_is_seen(world: World) -> None:
    purchase, _ = await paid(world, await world.person("fan"))
    for currency, amount in (("eur", 5), ("jpy", -5)):
        suspense, sold = [
            f"private.platform_account('{kind}', '{currency}')"
            for kind in ("suspense", "money_to_coins")
        ]
        if amount < 0:
            suspense = f"private.platform_account('provider', '{currency}')"
        await post(
            world, "hold", purchase["id"], (suspense, currency, amount), (sold, currency, -amount)
        )
    assert set(await verify(world)) == {"purchases_match_entries"}


@pytest.mark.spec("S2", "S26")
@pytest.mark.abuse("A29")
async def test_a_debt_that_nobody_paid_is_seen(world: World) -> None:
    fan, streamer = await rich_fan(world)
    debtor = await world.person("debtor")
    _, payment = await paid(world, debtor)
    await gift(world, debtor, streamer, "aurora")
    await report(world, dispute(payment, "d", CENTS))
    assert (await wallet(world, debtor))["debt"] == 500
    sent = await gift(world, fan, streamer)
    forgiven = ("5", "coins", -500), (account(debtor, "debt"), "coins", 500)
    await post(world, "gift", sent["gift_id"], *forgiven)
    assert (await wallet(world, debtor))["debt"] == 0
    assert set(await verify(world)) == {"gifts_match_entries"}


@pytest.mark.spec("S2", "S26")
async def test_a_gift_that_was_paid_for_twice_is_seen(world: World) -> None:
    fan, streamer = await rich_fan(world)
    sent = await gift(world, fan, streamer)
    await post(
        world,
        "gift",
        sent["gift_id"],
        (account(fan, "wallet"), "coins", -10),
        ("5", "coins", 10),
        ("6", "earnings", -10),
        (account(streamer, "earnings"), "earnings", 7),
        ("7", "earnings", 3),
    )
    assert await verify(world) == {
        "gifts_match_entries": f"gift {sent['gift_id']} has 2 transactions"
    }


@pytest.mark.spec("S2", "S26")
async def test_what_hides_in_the_transaction_of_a_gift_is_seen(world: World) -> None:
    fan, streamer = await rich_fan(world)
    thief = await world.person("thief")
    await fold(world)
    sent = await gift(world, fan, streamer)
    await world.admin.execute(
        "INSERT INTO ledger_entries SELECT t.id, e.* FROM private.ledger_transactions AS t,"
        f" (VALUES (6, {account(fan, 'wallet')}, 'coins', -500),"
        f" (7, {account(thief, 'wallet')}, 'coins', 500)) AS e"
        " WHERE t.kind = 'gift'"
    )
    for whose, coins in ((fan, -500), (thief, 500)):
        await world.admin.execute(f"SELECT private.move({account(whose, 'wallet')}, {coins})")
    await fold(world)
    assert await verify(world) == {
        "gifts_match_entries": f"gift {sent['gift_id']} and its transaction disagree"
    }


@pytest.mark.spec("S25")
@pytest.mark.abuse("A34")
async def test_a_decision_that_nobody_made_who_may_is_seen(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    purchase, payment = await held(world, buyer)
    decided = "UPDATE coin_purchases SET decision = $2, decided_at = now() WHERE id = $1"
    await world.admin.execute(decided, UUID(purchase["id"]), "approve")
    await report(world, captured(payment, LARGE_CENTS))
    await fold(world)
    assert (await wallet(world, buyer))["coins"] == LARGE_COINS
    line = "SELECT private.audit($1, $2, $3)"
    for actor, action in (
        (None, "purchase_approved"),
        (buyer.id, "purchase_approved"),
        (clerk.id, "purchase_rejected"),
    ):
        await world.admin.execute(line, actor, action, purchase["id"])
        assert await verify(world) == {
            "decisions_are_on_record": "no line of the audit log names who may have decided"
            " purchase P-1: approve"
        }
    await world.admin.execute(line, clerk.id, "purchase_approved", purchase["id"])
    assert await verify(world) == {}
    for decision, action, actor in (
        # Only for a buyer who is gone does the server reject by itself.
        ("reject", "purchase_rejected", None),
        ("expire", "purchase_expired", clerk.id),
    ):
        other, _ = await held(world, buyer)
        await world.admin.execute(decided, UUID(other["id"]), decision)
        await world.admin.execute(line, actor, action, other["id"])
        found = (await verify(world)).get("decisions_are_on_record", "")
        assert f"P-{other['number']}: {decision}" in found


SECRETLY = (
    "ALTER TABLE private.money_settings DISABLE TRIGGER money_settings_record;"
    " UPDATE private.money_settings SET {};"
    " ALTER TABLE private.money_settings ENABLE TRIGGER money_settings_record"
)
LIFTED = [
    ("threshold", "approval_threshold = 50000", "approval_threshold = 25000"),
    ("limit", "purchase_limit = 90000", "purchase_limit = 50000"),
]


@pytest.mark.spec("S21", "S23", "S25")
@pytest.mark.abuse("A34")
@pytest.mark.parametrize(("lifted", "put_back"), [case[1:] for case in LIFTED])
async def test_rules_that_were_lifted_for_a_purchase_and_put_back_are_seen(
    world: World, lifted: str, put_back: str
) -> None:
    thief, boss = await world.person("thief"), await staff(world, "boss", "admin")
    await configure(world, boss, velocity=9)
    await world.advance(DAY)
    assert await verify(world) == {}
    await world.admin.execute(SECRETLY.format(lifted))
    assert set(await verify(world)) == {"settings_are_on_record"}
    price = "60000.00" if "limit" in lifted else "32500.00"
    purchase = await buy_for(world, thief, price)
    await world.admin.execute(SECRETLY.format(put_back))
    assert purchase["requires_approval"] == ("limit" in lifted)
    assert await verify(world) == {
        "purchases_kept_to_the_rules": f"purchase P-1 of ${price} passed a limit or threshold"
        " that was in force"
    }


@pytest.mark.spec("S21", "S25")
@pytest.mark.abuse("A34")
async def test_a_day_that_was_lifted_for_a_purchase_is_seen(world: World) -> None:
    thief, boss = await world.person("thief"), await staff(world, "boss", "admin")
    await configure(world, boss, daily_threshold_cents=3_000_000)
    # Lowered this moment: who began to buy before is not taken for a thief.
    await buy_for(world, thief, "20000.00")
    await world.advance(3600)
    await world.admin.execute(SECRETLY.format("daily_threshold = NULL"))
    purchase = await buy_for(world, thief, "10000.01")
    assert not purchase["requires_approval"]
    await world.admin.execute(SECRETLY.format("daily_threshold = 30000"))
    assert set(await verify(world)) == {"purchases_kept_to_the_rules"}
    # A purchase that was given up made room.
    await world.admin.execute(
        "UPDATE coin_purchases SET canceled_at = purchased_at, status = 'canceled' WHERE number = 1"
    )
    assert await verify(world) == {}


@pytest.mark.spec("S25")
@pytest.mark.abuse("A34")
async def test_a_change_that_the_next_line_takes_for_granted_is_seen(world: World) -> None:
    boss = await staff(world, "boss", "admin")
    await world.admin.execute(SECRETLY.format("approval_threshold = 50000"))
    await configure(world, boss, velocity=6)
    found = await verify(world)
    assert set(found) == {"settings_are_on_record"}
    assert '"approval_threshold": 25000' in found["settings_are_on_record"]


@pytest.mark.spec("S21", "S23", "S25")
async def test_whoever_keeps_to_the_rules_as_they_change_is_not_accused(world: World) -> None:
    buyer, boss = await world.person("buyer"), await staff(world, "boss", "admin")
    for changes in (
        {"limit_cents": 9_000_000, "threshold_cents": 8_000_000, "velocity": 900},
        {"daily_threshold_cents": 9_000_000},
        {"limit_cents": 3_000_000, "threshold_cents": 100, "daily_threshold_cents": None},
        {"limit_cents": 5_000_000, "threshold_cents": 2_500_000},
    ):
        await configure(world, boss, **changes)
        for seconds in (0, 1, 60, DAY - 61, 1):
            await world.advance(seconds)
            await buy_for(world, buyer, "0.99")
            await buy_for(world, buyer, "25000.01")
    await fold(world)
    assert await verify(world) == {}


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
