"""A35 at the same moment as something else: what is written about a buyer goes with them, too."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from livewall.code_catalog import Connection
from tests.databases import Database, Person
from tests.sql.money import PACK, captured, key, payment_id
from tests.sql.test_money_races import DEADLOCKS, assert_well

BUY = """
SELECT public.create_coin_purchase(
    $1, $2, 'web', 'sandbox', $3, '203.0.113.7', 'SE', 'Telltale/1.0')
"""
SETTLE = """
SELECT public.process_coin_purchase(
    $1, 'web', 'sandbox', $2 || $3, $3, 700, 9.99, '203.0.113.7', 'SE', 'Telltale/1.0')
"""
ACT_ON = "SELECT public.process_payment_event('sandbox', $1)"
LEAVE = "SELECT public.delete_account()"
TELL = "SELECT public.receive_payment_event('sandbox', $1, 'x', 'digest', $2, $3, $4)"
PERSONAL = """
SELECT count(*) FROM coin_purchases
WHERE num_nonnulls(ip_address, country_code, user_agent, card_country) > 0
"""
TOLD = """SELECT count(*) FROM private.payment_events WHERE payload <> '{"redacted": true}'"""


async def waits(task: "asyncio.Task[Any]", admin: Connection) -> None:
    """Return once the database says that somebody waits for a lock; fail if the task ends."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    for _ in range(200):
        if await admin.fetchval(waiting):
            return
        assert not task.done(), "it did not wait"
        await asyncio.sleep(0.01)
    pytest.fail("nobody waits")


async def buyer_and_server(database: Database) -> tuple[Person, Connection, Connection, Connection]:
    """Return somebody, their connection, a server's, and the superuser's."""
    buyer = await database.person("gone.girl")
    return (
        buyer,
        await database.as_person(buyer),
        await database.as_role("service_role"),
        await database.admin(),
    )


@pytest.mark.spec("S24", "S26")
@pytest.mark.abuse("A35")
async def test_a_purchase_that_is_being_made_is_forgotten(database: Database) -> None:
    buyer, theirs, service, admin = await buyer_and_server(database)
    async with service.transaction():
        await service.execute(BUY, buyer.id, PACK, key())
        leaving = asyncio.create_task(theirs.execute(LEAVE))
        await waits(leaving, admin)
    await leaving
    assert await admin.fetchval("SELECT count(*) FROM coin_purchases") == 1
    assert await admin.fetchval(PERSONAL) == 0
    await assert_well(database)


@pytest.mark.spec("S24", "S26")
@pytest.mark.abuse("A35")
@pytest.mark.parametrize("buying", [BUY, SETTLE])
async def test_nobody_buys_who_is_leaving(database: Database, buying: str) -> None:
    buyer, theirs, service, admin = await buyer_and_server(database)
    async with theirs.transaction():
        await theirs.execute(LEAVE)
        purchase = asyncio.create_task(service.execute(buying, buyer.id, PACK, key()))
        await waits(purchase, admin)
    with pytest.raises(asyncpg.PostgresError) as refused:
        await purchase
    assert refused.value.sqlstate == "LW004"
    assert await admin.fetchval("SELECT count(*) FROM coin_purchases") == 0


@pytest.mark.spec("S26")
@pytest.mark.abuse("A35")
@pytest.mark.parametrize("says", ["nothing", "captured"])
async def test_an_event_is_acted_on_before_its_buyer_leaves_or_after(
    database: Database, says: str
) -> None:
    buyer, theirs, service, admin = await buyer_and_server(database)
    purchase, payment = json.loads(await service.fetchval(BUY, buyer.id, PACK, key())), payment_id()
    await service.execute("SELECT public.attach_payment($1, $2)", purchase["id"], payment)
    facts = [captured(payment, card_country="SE")] if says == "captured" else None
    event = key()
    async with theirs.transaction():
        await theirs.execute(LEAVE)
        personal = json.dumps({"email": "telltale@example.org"})
        await service.execute(TELL, event, personal, facts and json.dumps(facts), payment)
        assert await service.fetchval(ACT_ON, event) is None, "it is left to the next attempt"
    assert await service.fetchval(ACT_ON, event) is not None
    assert (await admin.fetchval(TOLD), await admin.fetchval(PERSONAL)) == (0, 0)
    await assert_well(database)


@pytest.mark.spec("S26")
@pytest.mark.abuse("A28", "A35")
async def test_deleting_an_account_takes_purchases_in_the_order_of_everybody(
    database: Database,
) -> None:
    buyer, theirs, service, admin = await buyer_and_server(database)
    made: list[str] = []
    # Until their order is not that of their ids, by which everybody else locks them.
    while made == sorted(made) and len(made) < 5:
        made.append(json.loads(await service.fetchval(BUY, buyer.id, PACK, key()))["id"])
    assert made != sorted(made), "one in 120"
    async with admin.transaction():
        await admin.execute("SELECT private.lock_purchase($1)", min(made))
        leaving = asyncio.create_task(theirs.execute(LEAVE))
        await waits(leaving, await database.admin())
        for purchase in sorted(made)[1:]:
            await admin.execute("SELECT private.lock_purchase($1)", purchase)
    await leaving
    assert await admin.fetchval(DEADLOCKS) == 0
    assert await admin.fetchval(PERSONAL) == 0
