"""Money as the tests use it: buyers, staff, what a provider reports, and the proof at the end."""

import json
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from tests.databases import Person
from tests.sql.world import START, World

Fact: TypeAlias = dict[str, Any]
Purchase: TypeAlias = dict[str, Any]

PACK = "coins_700"  # 700 coins for $9.99, automatic capture
COINS, CENTS = 700, 999
LARGE = "coins_2275000"  # $32,500.00, over the threshold
LARGE_COINS, LARGE_CENTS = 2_275_000, 3_250_000
DAY = 86_400


def key() -> str:
    """Return a new idempotency key."""
    return str(uuid4())


def payment_id() -> str:
    """Return what a provider might call a new payment."""
    return f"pay_{uuid4().hex[:16]}"


# -- people


async def staff(world: World, name: str = "treasurer", role: str = "finance") -> Person:
    """Create somebody with a role that decides about money."""
    person = await world.person(name)
    await world.call("service_role", "grant_staff_role", p_profile_id=person.id, p_role=role)
    return person


async def configure(world: World, who: Person, **changes: object) -> Purchase:
    """Change the rules of money as staff."""
    return await world.call(
        who, "configure_purchases", p_changes=changes, p_reason="the risk has changed"
    )


async def wallet(world: World, who: Person) -> Any:
    """Return what somebody sees of their money."""
    return await world.call(who, "my_wallet")


async def give_coins(world: World, who: Person, coins: int, cents: int = 100) -> Purchase:
    """Let somebody have coins by a settled payment."""
    return await settle(world, who, p_coin_amount=coins, p_usd_amount=f"{cents / 100:.2f}")


async def settle(
    world: World, who: Person, by: Person | str = "service_role", **more: object
) -> Purchase:
    """Record a settled payment as `process_coin_purchase` takes it."""
    payment = payment_id()
    arguments: dict[str, object] = {
        "p_profile_id": who.id,
        "p_platform": "web",
        "p_payment_provider": "sandbox",
        "p_provider_event_id": f"event of {payment}",
        "p_provider_payment_id": payment,
        "p_coin_amount": COINS,
        "p_usd_amount": f"{CENTS / 100:.2f}",
    }
    return await world.call(by, "process_coin_purchase", **(arguments | more))


# -- buying as the server does it


async def buy(world: World, who: Person, pack: str = PACK, **more: object) -> Purchase:
    """Create a purchase; a payment is not there yet."""
    arguments: dict[str, object] = {
        "p_profile_id": who.id,
        "p_coin_pack_id": pack,
        "p_platform": "web",
        "p_payment_provider": "sandbox",
        "p_idempotency_key": key(),
    }
    return await world.call("service_role", "create_coin_purchase", **(arguments | more))


async def buy_for(world: World, who: Person, dollars: str) -> Purchase:
    """Buy at a price of one's own choice: a pack is put into the catalogue for it."""
    await world.admin.execute(
        "INSERT INTO coin_packs (id, platform, title, coins, usd_amount)"
        " VALUES ($1::text, 'web', 'A pack', 1000, $1::text::numeric) ON CONFLICT DO NOTHING",
        dollars,
    )
    return await buy(world, who, dollars)


async def attach(world: World, purchase: Purchase, payment: str | None = None) -> str:
    """Say which payment of the provider a purchase has; return its id."""
    payment = payment or payment_id()
    await world.call(
        "service_role",
        "attach_payment",
        p_purchase_id=purchase["id"],
        p_provider_payment_id=payment,
    )
    return payment


async def started(world: World, who: Person, pack: str = PACK) -> tuple[Purchase, str]:
    """Create a purchase with its payment, as a click on a pack does."""
    purchase = await buy(world, who, pack)
    return purchase, await attach(world, purchase)


async def paid(world: World, who: Person, pack: str = PACK) -> tuple[Purchase, str]:
    """Buy a pack and pay for it."""
    purchase, payment = await started(world, who, pack)
    await report(world, captured(payment, purchase["usd_cents"]))
    return await look_up(world, purchase), payment


async def held(world: World, who: Person) -> tuple[Purchase, str]:
    """Buy more than the threshold; the money is authorised and waits for a decision."""
    purchase, payment = await started(world, who, LARGE)
    await report(world, authorized(payment))
    return await look_up(world, purchase), payment


async def decide(world: World, who: Person, purchase: Purchase, decision: str) -> Purchase:
    """Approve or reject a purchase as staff."""
    return await world.call(
        who,
        "decide_purchase",
        p_purchase_id=purchase["id"],
        p_decision=decision,
        p_reason="as agreed by telephone",
    )


async def order_refund(
    world: World, who: Person, purchase: Purchase, cents: int | None, with_key: str | None = None
) -> object:
    """Order a refund as staff."""
    return await world.call(
        who,
        "refund_purchase",
        p_purchase_id=purchase["id"],
        p_usd_cents=cents,
        p_reason="goodwill",
        p_idempotency_key=with_key or key(),
    )


async def look_up(world: World, purchase: Purchase) -> Purchase:
    """Return a purchase as its buyer would see it now."""
    [(text,)] = await world.rows(
        "SELECT private.purchase_event_json($1)", UUID(str(purchase["id"]))
    )
    return json.loads(text)


# -- what a provider reports

# All that waits in one transaction, for those who play a history and race with nobody.
ACT = """
SELECT public.process_payment_event(e ->> 'provider', e ->> 'event_id')
FROM jsonb_array_elements(public.take_payment_events(1000) -> 'events') AS due (e)
"""


def fact(kind: str, payment: str, cents: int | None = None, **more: object) -> Fact:
    """Return one fact about a payment, as a provider module makes it of an event."""
    basic = {"payment_id": payment, "kind": kind, "at": START.isoformat(), "currency": "usd"}
    return basic | ({} if cents is None else {"amount_cents": cents}) | more


def authorized(payment: str, cents: int = LARGE_CENTS, **more: object) -> Fact:
    """The buyer's bank has set the money aside."""
    return fact("authorized", payment, cents, **more)


def captured(payment: str, cents: int = CENTS, **more: object) -> Fact:
    """The money is here."""
    return fact("captured", payment, cents, **more)


def refund(payment: str, name: str, cents: int, status: str = "succeeded", **more: object) -> Fact:
    """Money goes back to the buyer, or does not."""
    return fact("refund", payment, cents, refund_id=f"{payment} {name}", status=status, **more)


def dispute(payment: str, name: str, cents: int, status: str = "open", **more: object) -> Fact:
    """The buyer asks the bank for the money."""
    return fact("dispute", payment, cents, dispute_id=f"{payment} {name}", status=status, **more)


async def report(
    world: World, *facts: Fact, event: str | None = None, digest: str = "digest", **more: object
) -> str:
    """Receive an event of the sandbox and act on it; return its id."""
    event = event or f"evt_{uuid4().hex[:16]}"
    arguments: dict[str, object] = {
        "p_provider": "sandbox",
        "p_event_id": event,
        "p_type": "payment",
        "p_digest": digest,
        "p_payload": {"email": "buyer@example.org"},
        "p_facts": list(facts) or None,
    }
    await world.call("service_role", "receive_payment_event", **(arguments | more))
    await process(world)
    return event


async def process(world: World) -> int:
    """Act on the events that wait, each in a transaction of its own as the server does."""
    due = await world.call("service_role", "take_payment_events", p_limit=1000)
    for event in due["events"]:
        await world.call(
            "service_role",
            "process_payment_event",
            p_provider=event["provider"],
            p_event_id=event["event_id"],
        )
    return len(due["events"])


async def outcome(world: World, event: str) -> tuple[str, str | None]:
    """Return what became of an event, and what went wrong."""
    rows = await world.rows(
        "SELECT outcome, error FROM private.payment_events WHERE event_id = $1", event
    )
    assert len(rows) == 1
    return rows[0][0], rows[0][1]


async def calls(world: World, purchase: Purchase) -> list[tuple[str, int]]:
    """Return what providers were asked to do about a purchase, with the cents."""
    return [
        (row[0], row[1])
        for row in await world.rows(
            "SELECT call, amount_cents FROM private.provider_calls WHERE purchase_id = $1"
            " ORDER BY id",
            UUID(str(purchase["id"])),
        )
    ]


async def take_call(world: World, purchase: Purchase) -> Any:
    """Take the call that waits for a purchase, as the worker does before it calls out."""
    taken = await world.call("service_role", "take_provider_calls", p_limit=100)
    mine = [call for call in taken if call["idempotency_key"].startswith(str(purchase["id"]))]
    assert len(mine) == 1, taken
    return mine[0]


async def finish(world: World, call: Any, *facts: Fact, **more: object) -> bool:
    """Say how a call went: what the provider answered, or an error."""
    return await world.call(
        "service_role",
        "finish_provider_call",
        p_call_id=call["id"],
        **({"p_facts": list(facts)} if facts else {}),
        **more,
    )


# -- gifts


async def gift(world: World, sender: Person, recipient: Person, what: str = "rose", **more: Any):
    """Send a gift from slot 3."""
    arguments: dict[str, object] = {
        "p_recipient_id": recipient.id,
        "p_gift_type_id": what,
        "p_slot_index": 3,
        "p_live_stream_id": None,
        "p_idempotency_key": key(),
    }
    return await world.call(sender, "process_gift", **(arguments | more))


async def rich_fan(world: World, coins: int = 1000) -> tuple[Person, Person]:
    """Return somebody with coins, and a streamer."""
    fan, streamer = await world.people("fan", "streamer")
    await give_coins(world, fan, coins)
    return fan, streamer


async def deliver(world: World) -> int:
    """Turn the outbox into chat messages and events."""
    answer = await world.call("service_role", "deliver_outbox")
    return answer["delivered"]


async def events(world: World, after: int = 0) -> list[Any]:
    """Return what servers are told after an event."""
    answer = await world.call("service_role", "take_events", p_after=after)
    return answer["events"]


# -- the proof


async def fold(world: World, limit: int = 5000) -> int:
    """Fold and seal what waits."""
    answer = await world.call("service_role", "fold_ledger", p_limit=limit)
    return answer["transactions"]


async def verify(world: World, head: str | None = None) -> dict[str, str]:
    """Return the checks that fail, with why."""
    async with world.admin.transaction(isolation="repeatable_read"):
        rows = await world.admin.fetch("SELECT * FROM private.verify_ledger($1)", head)
    assert len(rows) >= 11
    return {row["check_name"]: row["detail"] for row in rows if not row["is_ok"]}


async def head(world: World) -> str:
    """Export the head of the chain, as `livewall ledger head` does."""
    text = await world.admin.fetchval("SELECT private.ledger_head()")
    return json.loads(text)["hash"]


async def audit(world: World, action: str) -> list[tuple[Any, ...]]:
    """Return who did something, to what, with details."""
    rows = await world.rows(
        "SELECT actor_id, subject, details FROM private.audit_log WHERE action = $1 ORDER BY id",
        action,
    )
    return [(row[0], row[1], json.loads(row[2])) for row in rows]


async def expire(world: World) -> int:
    """Run the job that gives up what nobody decided or paid; return how many that were."""
    return (await world.call("service_role", "expire_purchases"))["expired"]
