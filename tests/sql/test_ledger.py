"""The ledger: own entries only, rows only added, no late commit missed by fold and seal."""

import asyncio
from itertools import pairwise
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from livewall.code_catalog import Connection
from tests.sql.money import (
    CENTS,
    COINS,
    captured,
    deliver,
    fold,
    gift,
    give_coins,
    head,
    held,
    paid,
    refund,
    report,
    staff,
    verify,
    wallet,
)
from tests.sql.world import World, become, refused

ENTRY = (
    "INSERT INTO ledger_entries (transaction_id, line, account_id, currency, amount)"
    " VALUES (1, 9, 1, 'usd', 5)"
)
HISTORY = [
    "public.ledger_entries",
    "private.ledger_transactions",
    "private.ledger_seals",
    "private.ledger_accounts",
    "private.audit_log",
    "public.gifts",
]


async def seconds_connection(world: World) -> Connection:
    """Connect once more as superuser."""
    connection = await asyncpg.connect(world.database.admin_url)
    world.database.connections.append(connection)
    return connection


# -- S2


@pytest.mark.spec("S2")
async def test_one_sees_ones_own_entries(world: World) -> None:
    one, other = await world.people("one", "other")
    await give_coins(world, one, 100)
    await gift(world, one, other)
    seen = "SELECT amount::int FROM ledger_entries ORDER BY transaction_id, line"
    assert await world.sql(one, seen) == [(100,), (-10,)]
    assert await world.sql(other, seen) == [(7,)]
    for who in ("anon", "service_role"):
        with refused("42501"):
            await world.sql(who, seen)


@pytest.mark.spec("S2")
@pytest.mark.parametrize(
    "statement",
    [
        ENTRY,
        "UPDATE ledger_entries SET amount = 1",
        "DELETE FROM ledger_entries",
        "TRUNCATE ledger_entries",
    ],
)
async def test_nobody_writes_entries(world: World, statement: str) -> None:
    one = await world.person("one")
    await give_coins(world, one, 100)
    for who in (one, "anon", "service_role"):
        with refused("42501"):
            await world.sql(who, statement)


@pytest.mark.spec("S2")
@pytest.mark.parametrize("table", HISTORY)
@pytest.mark.parametrize("role", ["livewall_admin", "livewall_owner"])
async def test_history_stands_against_owner_and_superuser(
    world: World, table: str, role: str
) -> None:
    one, clerk = await world.person("one"), await staff(world, "boss", "admin")
    await give_coins(world, one, 100)
    await gift(world, one, clerk)
    await fold(world)
    columns = {"private.ledger_accounts": "kind", "private.audit_log": "action"}
    column = columns.get(table) or await world.admin.fetchval(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum = 2", table
    )
    await world.admin.execute(f"SET ROLE {role}")
    for statement in (
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        f"DELETE FROM {table} WHERE false",
        f"TRUNCATE {table} CASCADE",
    ):
        with refused("LW090"):
            await world.admin.execute(statement)


# -- postings


@pytest.mark.spec("S2", "S26")
@pytest.mark.parametrize(
    ("accounts", "currencies", "amounts", "code"),
    [
        ([3, 1], ["usd", "usd"], [5, -4], "LW091"),
        ([3], ["usd"], [5], "LW091"),
        ([4, 5, 6], ["coins", "coins", "earnings"], [5, -4, -1], "LW091"),
        ([3, 4], ["usd", "coins"], [5, -5], "LW091"),
        ([1, 99], ["usd", "usd"], [5, -5], "LW091"),
        ([4, 1], ["coins", "coins"], [5, -5], "LW091"),
    ],
)
async def test_unbalanced_and_homeless_postings_are_refused(
    world: World, accounts: list[int], currencies: list[str], amounts: list[int], code: str
) -> None:
    for role in ("livewall_owner", "livewall_admin"):
        await world.admin.execute(f"SET ROLE {role}")
        with refused(code):
            await world.admin.fetchval(
                "SELECT private.post('purchase', $1, $2, $3, $4)",
                uuid4(),
                accounts,
                currencies,
                amounts,
            )
    assert await world.rows("SELECT count(*) FROM ledger_entries") == [(0,)]


@pytest.mark.spec("S2")
async def test_entries_without_a_transaction_or_of_nothing_are_refused(world: World) -> None:
    balanced = (
        "INSERT INTO ledger_entries (transaction_id, line, account_id, currency, amount)"
        " VALUES (77, 1, 1, 'usd', {0}), (77, 2, 2, 'usd', -{0})"
    )
    with refused("ledger_entries_of_transaction"):
        await world.admin.execute(balanced.format(5))
    with refused("ledger_entries_move_something"):
        await world.admin.execute(balanced.format(0))


# -- fold and seal


@pytest.mark.spec("S26")
async def test_a_commit_after_a_seal_is_not_missed(world: World) -> None:
    one, other = await world.people("one", "other")
    await give_coins(world, one, 100)
    await fold(world)
    late = await seconds_connection(world)
    await late.execute("BEGIN")
    await become(late, one)
    await late.execute("SELECT public.process_gift($1, 'rose', 1, NULL, 'a-late-commit')", other.id)
    await give_coins(world, other, 5)
    assert await fold(world) == 1, "an open transaction keeps nobody waiting"
    await late.execute("COMMIT")
    assert await world.rows("SELECT count(*) FROM private.ledger_queue") == [(1,)]
    assert (await wallet(world, other))["earnings"] == 7
    assert await fold(world) == 1
    assert (await wallet(world, other))["earnings"] == 7
    seals = await world.rows("SELECT transaction_ids FROM private.ledger_seals ORDER BY number")
    assert seals == [([1],), ([3],), ([2],)]
    assert await verify(world) == {}


@pytest.mark.spec("S26")
async def test_folders_take_turns_and_limits(world: World) -> None:
    one = await world.person("one")
    for _ in range(5):
        await give_coins(world, one, 10)
    other = await seconds_connection(world)
    await other.execute("BEGIN")
    assert await other.fetchval("SELECT private.fold(2)") == 2
    assert await fold(world) == 0, "one at a time; whoever comes meanwhile has nothing to do"
    await other.execute("COMMIT")
    assert [await fold(world, 2) for _ in range(3)] == [2, 1, 0]
    chain = await world.rows(
        "SELECT number, total_transactions, previous_hash, hash FROM private.ledger_seals"
        " ORDER BY number"
    )
    assert [row[:2] for row in chain] == [(1, 2), (2, 4), (3, 5)]
    assert [row[2] for row in chain[1:]] == [row[3] for row in chain[:-1]]
    assert await head(world) == chain[-1][3].hex()
    assert await verify(world) == {}


@pytest.mark.spec("S26")
async def test_no_gift_is_lost_or_counted_twice_while_folds_run(world: World) -> None:
    one, other = await world.people("one", "other")
    await give_coins(world, one, 1000)
    folder = await seconds_connection(world)
    running = True

    async def keep_folding() -> None:
        while running:
            await folder.execute("SELECT private.fold(3)")

    folding = asyncio.create_task(keep_folding())
    for number in range(50):
        await gift(world, one, other)
        assert (await wallet(world, other))["earnings"] == 7 * (number + 1)
    running = False
    await folding
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.spec("D7")
async def test_operators_see_the_health_of_the_ledger(world: World) -> None:
    one, clerk = await world.person("one"), await staff(world)
    await give_coins(world, one, 10)
    await world.advance(5)
    status = await world.call(clerk, "ledger_status")
    assert (status["unsealed"], status["oldest_unsealed_seconds"], status["is_healthy"]) == (
        1,
        5,
        True,
    )
    await world.advance(0.1)
    assert not (await world.call("service_role", "ledger_status"))["is_healthy"]
    await fold(world)
    status = await world.call(clerk, "ledger_status")
    assert status["is_healthy"]
    assert (status["transactions"], status["unsealed"], status["head"]) == (1, 0, await head(world))
    with refused("LW003"):
        await world.call(one, "ledger_status")
    with refused("42501"):
        await world.call("anon", "ledger_status")


# -- what people see


@pytest.mark.spec("D6", "D4")
async def test_a_wallet_includes_what_is_pending(world: World) -> None:
    one, other = await world.people("one", "other")
    await give_coins(world, one, 1000)
    await held(world, one)
    await gift(world, one, other, "star")
    pending = [await wallet(world, who) for who in (one, other)]
    await fold(world)
    assert [await wallet(world, who) for who in (one, other)] == pending
    assert pending[0] == {
        "coins": 900,
        "debt": 0,
        "is_frozen": False,
        "held_coins": 2_275_000,
        "earnings": 0,
    }
    assert pending[1]["earnings"] == 70
    with refused("42501"):
        await world.call("anon", "my_wallet")


@pytest.mark.spec("D4", "D6")
@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_statement_pages_add_up_to_the_balance(world: World, limit: int) -> None:
    one, other = await world.people("one", "other")
    _, payment = await paid(world, one)
    for what in ("rose", "heart", "aurora"):
        await gift(world, one, other, what)
        await fold(world)
    await report(world, refund(payment, "r", CENTS // 3), captured(payment))
    await report(world, refund(payment, "r2", CENTS - CENTS // 3))
    for who, currency, total in ((one, "coins", -560), (other, "earnings", 392)):
        lines: list[tuple[int, int, str]] = []
        cursor = None
        while True:
            page = await world.call(
                who, "list_statement", p_currency=currency, p_cursor=cursor, p_limit=limit
            )
            lines += [(e["amount"], e["balance"], e["kind"]) for e in page["entries"]]
            assert len(page["entries"]) <= limit
            cursor = page["next"]
            if cursor is None:
                break
        assert sum(amount for amount, _, _ in lines) == total
        assert lines[0][1] == total
        for newer, older in pairwise(lines):
            assert newer[1] - newer[0] == older[1]
        assert lines[-1][0] == lines[-1][1]
        assert len(lines) == (6 if currency == "coins" else 3)
    seen = await wallet(world, one)
    assert seen["coins"] - seen["debt"] == -560


@pytest.mark.spec("D4", "D6")
async def test_a_late_commit_between_two_pages_shifts_no_balance(world: World) -> None:
    one, other, streamer = await world.people("one", "other", "streamer")
    for fan in (one, other):
        await give_coins(world, fan, 1000)
    await gift(world, one, streamer)
    late = await seconds_connection(world)
    await late.execute("BEGIN")
    await become(late, one)
    await late.execute(
        "SELECT public.process_gift($1, 'rose', 1, NULL, 'a-late-commit')", streamer.id
    )
    for _ in range(2):
        await gift(world, other, streamer, "heart")
    earned: dict[str, Any] = {"p_currency": "earnings"}
    first = await world.call(streamer, "list_statement", **earned, p_limit=1)
    await late.execute("COMMIT")
    rest = await world.call(streamer, "list_statement", **earned, p_cursor=first["next"])
    lines = [(e["amount"], e["balance"]) for page in (first, rest) for e in page["entries"]]
    assert lines == [(35, 77), (35, 49), (7, 14), (7, 7)]


@pytest.mark.spec("D4", "D6")
async def test_a_balance_of_any_size_has_a_next_page(world: World) -> None:
    one = await world.person("one")
    for coins in (2**63 - 8, 1, 1):
        await give_coins(world, one, coins)
    balances: list[int] = []
    cursor = None
    for _ in range(3):
        page = await world.call(one, "list_statement", p_cursor=cursor, p_limit=1)
        balances += [entry["balance"] for entry in page["entries"]]
        cursor = page["next"]
    assert (balances, cursor) == ([2**63 - 6, 2**63 - 7, 2**63 - 8], None)


@pytest.mark.spec("D4", "D6")
async def test_a_statement_says_what_each_line_was(world: World) -> None:
    one, other = await world.people("one", "other")
    purchase, _ = await paid(world, one)
    sent = await gift(world, one, other, "star")
    lines = (await world.call(one, "list_statement"))["entries"]
    assert [(e["kind"], e["title"], e["source_id"]) for e in lines] == [
        ("gift", "Star", sent["gift_id"]),
        ("purchase", f"P-{purchase['number']}", purchase["id"]),
    ]
    assert [e["counterpart"] and e["counterpart"]["name"] for e in lines] == ["other", None]
    earned = (await world.call(other, "list_statement", p_currency="earnings"))["entries"]
    assert [(e["amount"], e["counterpart"]["name"]) for e in earned] == [(70, "one")]
    assert (await world.call(other, "list_statement"))["entries"] == []
    for wrong in ({"p_currency": "usd"}, {"p_cursor": "1; DROP TABLE"}, {"p_cursor": ""}):
        with refused("LW005"):
            await world.call(one, "list_statement", **wrong)
    with refused("42501"):
        await world.call("anon", "list_statement")
    assert await deliver(world) >= 1
    assert lines[1]["balance"] == COINS
