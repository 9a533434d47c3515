"""Money with many connections at once, on the real clock: no deadlock, nothing twice or lost."""

import asyncio
import json
from collections.abc import Awaitable, Sequence
from typing import Any

import asyncpg
import pytest

from livewall.code_catalog import Connection
from tests.databases import Database, Person
from tests.sql.money import (
    ACT,
    COINS,
    LARGE,
    LARGE_CENTS,
    authorized,
    captured,
    key,
    payment_id,
)

DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
GIFT = "SELECT public.process_gift($1, 'rose', 1, NULL, $2)"
WALLETS = "SELECT sum(balance)::bigint FROM private.ledger_accounts WHERE kind = 'wallet'"
TELL = "SELECT public.receive_payment_event('sandbox', $1, 'x', 'digest', '{}', $2)"
# What somebody had locked, or another server had taken; due again a second later.
ACT_ON_THE_LEFT = """
SELECT public.process_payment_event(payment_provider, event_id)
FROM private.payment_events WHERE outcome IN ('waiting', 'parked')
"""


async def act_on_some(server: Connection) -> int:
    """Act on events that wait as a server does, each in a transaction of its own: how many."""
    taken = await server.fetchval("SELECT public.take_payment_events(3)")
    events = json.loads(taken)["events"]
    for event in events:
        await server.execute(
            "SELECT public.process_payment_event($1, $2)", event["provider"], event["event_id"]
        )
    return len(events)


async def codes(work: Sequence[Awaitable[object]]) -> list[str]:
    """Do everything at once; return what each was refused with, `ok` for the others."""
    results = await asyncio.gather(*work, return_exceptions=True)
    said: list[str] = []
    for result in results:
        if isinstance(result, asyncpg.PostgresError):
            said.append(str(result.sqlstate))
        elif isinstance(result, BaseException):
            raise result
        else:
            said.append("ok")
    return sorted(said)


async def coins_for(service: Connection, person: Person, coins: int) -> None:
    """Give somebody coins."""
    await service.execute(
        "SELECT public.process_coin_purchase($1, 'web', 'sandbox', $2, $2, $3, 1)",
        person.id,
        payment_id(),
        coins,
    )


async def large_purchase(service: Connection, buyer: Person) -> tuple[Any, str]:
    """Return a purchase that is held, and its payment."""
    text = await service.fetchval(
        "SELECT public.create_coin_purchase($1, $2, 'web', 'sandbox', $3)", buyer.id, LARGE, key()
    )
    purchase, payment = json.loads(text), payment_id()
    await service.execute("SELECT public.attach_payment($1, $2)", purchase["id"], payment)
    await service.execute(TELL, key(), json.dumps([authorized(payment)]))
    await service.execute(ACT)
    return purchase, payment


async def assert_well(database: Database) -> None:
    """Fold what waits; the proof has to hold, and nothing was in a deadlock."""
    admin = await database.admin()
    while await admin.fetchval("SELECT private.fold(100000)"):
        pass
    async with admin.transaction(isolation="repeatable_read"):
        checks = await admin.fetch("SELECT * FROM private.verify_ledger()")
    assert [tuple(check) for check in checks if not check["is_ok"]] == []
    assert await admin.fetchval(DEADLOCKS) == 0


@pytest.mark.spec("S26", "D5")
@pytest.mark.abuse("A33")
async def test_opposing_gifts_neither_deadlock_nor_lose_a_coin(database: Database) -> None:
    one, other = await database.person("one"), await database.person("other")
    service = await database.as_role("service_role")
    for person in (one, other):
        await coins_for(service, person, 5000)
    folder = await database.as_role("service_role")
    busy = True

    async def send(sender: Person, recipient: Person, count: int) -> None:
        connection = await database.as_person(sender)
        for _ in range(count):
            await connection.execute(GIFT, recipient.id, key())

    async def keep_folding() -> int:
        seals = 0
        while busy:
            folded = await folder.fetchval("SELECT (public.fold_ledger() ->> 'transactions')::int")
            seals += folded > 0
            await asyncio.sleep(0.01)
        return seals

    folding = asyncio.create_task(keep_folding())
    # 2 x 500, over two connections for each direction.
    await asyncio.gather(*(send(*order, 250) for order in ((one, other), (other, one)) * 2))
    busy = False
    assert await folding > 3, "folds ran meanwhile"
    admin = await database.admin()
    assert await admin.fetchval(WALLETS) == 0
    await assert_well(database)
    earned = "SELECT balance FROM private.ledger_accounts WHERE kind = 'earnings'"
    assert [row["balance"] for row in await admin.fetch(earned)] == [3500, 3500]


@pytest.mark.spec("S26", "D5")
async def test_gifts_sent_together_and_alone_race_for_the_same_wallets(database: Database) -> None:
    service = await database.as_role("service_role")
    streamer = await database.person("streamer")
    fans = [await database.person(f"fan.{number}") for number in range(8)]
    for fan in fans:
        await coins_for(service, fan, 1000)
    alone = await database.as_person(fans[0])
    await alone.execute(GIFT, streamer.id, key())

    async def together(order: Sequence[Person], keys: Sequence[str]) -> None:
        connection = await database.as_role("service_role")
        for number in keys:
            gifts = [
                {
                    "sender_id": str(fan.id),
                    "recipient_id": str(streamer.id),
                    "gift_type_id": "rose",
                    "slot_index": 1,
                    "idempotency_key": number,
                }
                for fan in order
            ]
            await connection.execute("SELECT public.process_gifts($1)", json.dumps(gifts))

    async def one_by_one(keys: Sequence[str]) -> None:
        for number in keys:
            await alone.execute(GIFT, streamer.id, number)

    keys = [key() for _ in range(30)]
    await asyncio.gather(
        together(fans, keys), together(fans[::-1], keys), together(fans, keys), one_by_one(keys)
    )
    admin = await database.admin()
    assert await admin.fetchval(WALLETS) == 8 * 1000 - 10 - 8 * 30 * 10, "each key gave once"
    await assert_well(database)


@pytest.mark.spec("S26", "D5")
async def test_everybody_gives_to_one_streamer_whose_account_is_new(database: Database) -> None:
    service = await database.as_role("service_role")
    streamer = await database.person("streamer")
    fans = [await database.person(f"fan.{number}") for number in range(10)]
    for fan in fans:
        await coins_for(service, fan, 30)
    connections = [await database.as_person(fan) for fan in fans for _ in range(2)]
    said = await codes([connection.execute(GIFT, streamer.id, key()) for connection in connections])
    assert said == ["ok"] * 20
    admin = await database.admin()
    assert await admin.fetchval(WALLETS) == 100
    await assert_well(database)


@pytest.mark.spec("S26")
@pytest.mark.abuse("A21", "A23")
async def test_one_event_ten_times_at_once_is_one_credit(database: Database) -> None:
    buyer = await database.person("buyer")
    connections = [await database.as_role("service_role") for _ in range(10)]
    payment = payment_id()
    facts = json.dumps([captured(payment, profile_id=str(buyer.id), coin_amount=COINS)])

    async def hear(connection: Connection, event: str) -> None:
        await connection.execute(TELL, event, facts)
        await connection.execute(ACT)

    # The same event, and beside it other events of the same payment.
    events = ["evt_same"] * 7 + ["evt_1", "evt_2", "evt_3"]
    await asyncio.gather(*(hear(c, event) for c, event in zip(connections, events, strict=True)))
    admin = await database.admin()
    outcomes = await admin.fetch("SELECT DISTINCT outcome FROM private.payment_events")
    assert [row["outcome"] for row in outcomes] == ["applied"]
    assert await admin.fetchval(WALLETS) == COINS
    await assert_well(database)


@pytest.mark.spec("S25")
@pytest.mark.abuse("A34")
@pytest.mark.parametrize("turn", range(3))
async def test_approve_and_reject_at_once_is_one_decision(database: Database, turn: int) -> None:
    buyer = await database.person("buyer")
    clerks = [await database.person(f"clerk.{number}") for number in range(4)]
    service = await database.as_role("service_role")
    for clerk in clerks:
        await service.execute("SELECT public.grant_staff_role($1, 'finance')", clerk.id)
    purchase, payment = await large_purchase(service, buyer)
    connections = [await database.as_person(clerk) for clerk in clerks]
    job = await database.as_role("service_role")
    decide = "SELECT public.decide_purchase($1, $2, 'at once')"
    decisions = ["approve", "reject", "approve", "reject"]
    said, _, _ = await asyncio.gather(
        codes(
            [
                connection.execute(decide, purchase["id"], decision)
                for connection, decision in zip(connections, decisions, strict=True)
            ]
        ),
        job.execute("SELECT public.expire_purchases()"),
        service.execute(TELL, f"evt_{turn}", json.dumps([captured(payment, LARGE_CENTS)])),
    )
    assert said == ["LW072"] * 3 + ["ok"]
    await service.execute(ACT)
    admin = await database.admin()
    row = await admin.fetchrow("SELECT status, decision, posted_coins FROM coin_purchases")
    assert row is not None
    if row["decision"] == "approve":
        assert (row["status"], row["posted_coins"]) == ("completed", 2_275_000)
    else:
        assert (row["status"], row["posted_coins"]) == ("rejected", 0)
    decided = "SELECT count(*) FROM private.audit_log WHERE action LIKE 'purchase%'"
    assert await admin.fetchval(decided) == 1
    await assert_well(database)


@pytest.mark.spec("S26")
@pytest.mark.abuse("A22")
async def test_events_and_the_answer_that_names_the_payment_race(database: Database) -> None:
    buyers = [await database.person(f"buyer.{number}") for number in range(20)]
    service = await database.as_role("service_role")
    workers = [await database.as_role("service_role") for _ in range(3)]
    busy = True

    async def keep_acting(connection: Connection) -> None:
        while busy:
            await connection.execute(ACT)

    acting = [asyncio.create_task(keep_acting(worker)) for worker in workers]
    answering = await database.as_role("service_role")
    for buyer in buyers:
        payment = payment_id()
        purchase = json.loads(
            await service.fetchval(
                "SELECT public.create_coin_purchase($1, 'coins_700', 'web', 'sandbox', $2)",
                buyer.id,
                key(),
            )
        )
        await asyncio.gather(
            service.execute(TELL, key(), json.dumps([captured(payment)])),
            answering.execute("SELECT public.attach_payment($1, $2)", purchase["id"], payment),
        )
    # What was parked in between is looked at again.
    await asyncio.sleep(2)
    busy = False
    await asyncio.gather(*acting)
    admin = await database.admin()
    assert await admin.fetchval(WALLETS) == COINS * len(buyers)
    await assert_well(database)


@pytest.mark.spec("S26")
@pytest.mark.abuse("A33", "A29")
async def test_gifts_and_a_refund_of_their_coins_race(database: Database) -> None:
    fan, streamer = [await database.person(name) for name in ("fan", "streamer")]
    service = await database.as_role("service_role")
    payment = payment_id()
    facts = [captured(payment, 1000, profile_id=str(fan.id), coin_amount=100)]
    await service.execute(TELL, key(), json.dumps(facts))
    await service.execute(ACT)
    refund = captured(payment) | {
        "kind": "refund",
        "refund_id": "r",
        "status": "succeeded",
        "amount_cents": 1000,
    }
    await service.execute(TELL, key(), json.dumps([refund]))
    connections = [await database.as_person(fan) for _ in range(10)]
    said, _ = await asyncio.gather(
        codes([connection.execute(GIFT, streamer.id, key()) for connection in connections]),
        service.execute(ACT),
    )
    given = said.count("ok")
    admin = await database.admin()
    balances = "SELECT sum(balance)::bigint FROM private.ledger_accounts WHERE kind = $1"
    assert await admin.fetchval(balances, "debt") == -10 * given
    assert await admin.fetchval(balances, "wallet") == 0
    assert set(said) <= {"ok", "LW080", "LW081"}
    await assert_well(database)


@pytest.mark.spec("S26", "D5")
@pytest.mark.abuse("A33")
async def test_gifts_given_together_and_events_acted_on_meanwhile_never_deadlock(
    database: Database,
) -> None:
    service, giver = [await database.as_role("service_role") for _ in range(2)]
    streamer = await database.person("streamer")
    fans = [await database.person(f"fan.{number}") for number in range(10)]
    for fan in fans:
        await coins_for(service, fan, 100_000)
    await (await database.as_person(fans[0])).execute(GIFT, streamer.id, key())
    admin = await database.admin()
    await admin.execute("UPDATE private.money_settings SET purchases_per_minute = 100000")
    busy = True

    async def give() -> None:
        wish = {"recipient_id": str(streamer.id), "gift_type_id": "rose", "slot_index": 1}
        while busy:
            gifts = [wish | {"sender_id": str(f.id), "idempotency_key": key()} for f in fans]
            await giver.execute("SELECT public.process_gifts($1)", json.dumps(gifts))

    giving = asyncio.create_task(give())
    for _ in range(10):
        # Whoever came last to the shop is told of first.
        for fan in reversed(fans):
            facts = [captured(payment_id(), profile_id=str(fan.id), coin_amount=COINS)]
            await service.execute(TELL, key(), json.dumps(facts))
        while await act_on_some(service):
            pass
    busy = False
    await giving
    await admin.execute(ACT_ON_THE_LEFT)
    failed = "SELECT error FROM private.payment_events WHERE outcome <> 'applied'"
    assert [row["error"] for row in await admin.fetch(failed)] == []
    await assert_well(database)


@pytest.mark.spec("S26")
@pytest.mark.abuse("A28")
async def test_servers_that_act_on_the_same_payments_never_deadlock(database: Database) -> None:
    service = await database.as_role("service_role")
    clerk, *buyers = [await database.person(f"person.{number}") for number in range(5)]
    await service.execute("SELECT public.grant_staff_role($1, 'finance')", clerk.id)
    payments = [payment_id() for _ in buyers]
    for buyer, payment in zip(buyers, payments, strict=True):
        facts = [captured(payment, 10_000, profile_id=str(buyer.id), coin_amount=10_000)]
        await service.execute(TELL, key(), json.dumps(facts))
    await service.execute(ACT)
    waiting = [await large_purchase(service, buyer) for buyer in buyers]
    for number in range(60):
        # Events of all of them, in one order for half of the batches and in another for the rest.
        for payment in payments if number % 20 < 10 else payments[::-1]:
            refund = {"kind": "refund", "refund_id": f"{payment} {number}", "status": "succeeded"}
            facts = [captured(payment) | refund | {"amount_cents": 10}]
            await service.execute(TELL, key(), json.dumps(facts))
    for _, payment in waiting:
        await service.execute(TELL, key(), json.dumps([captured(payment, LARGE_CENTS)]))
    workers = [await database.as_role("service_role") for _ in range(4)]
    deciding = await database.as_person(clerk)

    async def act(worker: Connection) -> None:
        while await act_on_some(worker):
            pass

    async def decide_all() -> None:
        for purchase, _ in waiting:
            await deciding.execute(
                "SELECT public.decide_purchase($1, 'approve', 'meanwhile')", purchase["id"]
            )

    await asyncio.gather(*(act(worker) for worker in workers), decide_all())
    admin = await database.admin()
    await admin.execute(ACT_ON_THE_LEFT)
    failed = "SELECT error FROM private.payment_events WHERE outcome <> 'applied'"
    assert [row["error"] for row in await admin.fetch(failed)] == []
    assert await admin.fetchval(WALLETS) == 4 * (10_000 - 600 + 2_275_000)
    await assert_well(database)
