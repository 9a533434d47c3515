"""The database of the money model beside its model: every step is done in both and compared."""

import asyncio
import json
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from tests.databases import Person
from tests.sql.money import Fact, staff
from tests.sql.money_model import Model
from tests.sql.money_model import Person as Owner
from tests.sql.world import World

T = TypeVar("T")
PEOPLE = 4

LOOK = """
CREATE FUNCTION private.test_look() RETURNS jsonb LANGUAGE sql AS $$
SELECT jsonb_build_object(
    'people', (SELECT jsonb_object_agg(p.profile_id, jsonb_build_array(
            private.balance_of(p.profile_id, 'wallet'), -private.balance_of(p.profile_id, 'debt'),
            private.balance_of(p.profile_id, 'earnings')))
        FROM (SELECT DISTINCT profile_id FROM private.ledger_accounts
            WHERE profile_id IS NOT NULL) AS p),
    'purchases', (SELECT jsonb_agg(jsonb_build_array(c.status, c.posted_coins) ORDER BY c.number)
        FROM coin_purchases AS c),
    'entries', (SELECT count(*) FROM ledger_entries),
    'drift', private.drifting_accounts(),
    'uneven', (SELECT count(*) FROM (SELECT FROM ledger_entries
        GROUP BY transaction_id, currency HAVING sum(amount) <> 0) AS u),
    'negative', (SELECT count(*) FROM private.ledger_accounts
        WHERE balance < 0 AND kind IN ('wallet', 'earnings', 'revenue', 'suspense')),
    'misrepaid', (SELECT count(*) FROM coin_purchases AS c
        WHERE NOT (private.purchase_json(c) ->> 'repaid_coins')::bigint
            BETWEEN 0 AND private.coins_paid(c)),
    'issued', (SELECT coalesce(sum(private.coins_paid(c)), 0) FROM coin_purchases AS c),
    'refunded', (SELECT coalesce(sum(private.coins_paid(c) - c.posted_coins), 0)
        FROM coin_purchases AS c),
    'spent', (SELECT coalesce(sum(price), 0) FROM gifts),
    'owned', (SELECT coalesce(sum(balance), 0) FROM private.ledger_accounts WHERE kind = 'wallet'),
    'owed', (SELECT coalesce(-sum(balance), 0) FROM private.ledger_accounts WHERE kind = 'debt'))
$$;
CREATE FUNCTION private.test_tell(p_event text, p_facts jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.receive_payment_event('sandbox', p_event, 'x', p_event, '{}', p_facts);
    PERFORM public.process_payment_event('sandbox', p_event);
    RETURN (SELECT outcome FROM private.payment_events WHERE event_id = p_event);
END $$;
"""
TABLES = """
ledger_entries gifts coin_purchases private.ledger_transactions private.ledger_seals
private.ledger_queue private.outbox private.events private.refunds private.disputes
private.payment_events private.provider_calls private.audit_log
"""
RESET = (
    "SET session_replication_role = replica; "
    + "; ".join(f"DELETE FROM {table}" for table in TABLES.split())
    + "; DELETE FROM private.ledger_accounts WHERE id >= 100;"
    " UPDATE private.ledger_accounts SET balance = 0;"
    " UPDATE private.test_clock SET now = '2031-05-01 12:00:00+00';"
    " SET session_replication_role = origin;"
)


class Stage:
    """The database that all examples of a run share, and the loop to talk to it."""

    def __init__(self, runner: asyncio.Runner, world: World) -> None:
        """Take a world that has nobody in it yet."""
        self.runner, self.world = runner, world
        self.example = 0
        self.run(world.admin.execute(LOOK))
        self.clerk = self.run(staff(world))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for something to happen in the database."""
        return self.runner.run(work)


class History:
    """One random history, in the database and in the model."""

    def __init__(self, stage: Stage) -> None:
        """Start with people who have nothing."""
        self.stage, self.world = stage, stage.world
        stage.run(self.world.admin.execute(RESET))
        stage.example += 1
        self.people = [self._person(number) for number in range(PEOPLE)]
        self.model = Model([Owner() for _ in self.people])
        self.ids: list[str] = []
        self.events: list[tuple[str, list[Fact]]] = []
        self.keys = 0

    def _person(self, number: int) -> Person:
        return self.stage.run(self.world.person(f"p{number}.{self.stage.example:05}"))

    def key(self) -> str:
        """Return a new idempotency key."""
        self.keys += 1
        return f"a-key-{self.keys:05}"

    def payment(self, number: int) -> str:
        """Return the payment of a purchase."""
        return f"pay {number}"

    def attempt(self, who: Person | str, function: str, /, **arguments: object) -> tuple[Any, str]:
        """Call a function; return its answer and the code it is refused with, or ''."""
        try:
            return self.stage.run(self.world.call(who, function, **arguments)), ""
        except asyncpg.PostgresError as error:
            return None, str(error.sqlstate)

    def service(self, function: str, **arguments: object) -> Any:
        """Call a function as the server."""
        return self.stage.run(self.world.call("service_role", function, **arguments))

    def tell(self, fact: Fact) -> None:
        """Report a fact as an event of its own."""
        event = f"evt {len(self.events)}"
        self.events.append((event, [fact]))
        outcome = self.stage.run(
            self.world.admin.fetchval("SELECT private.test_tell($1, $2)", event, json.dumps([fact]))
        )
        assert outcome == "applied"

    def pass_time(self, seconds: int) -> None:
        """Move both clocks."""
        self.model.now += seconds
        self.stage.run(
            self.world.admin.execute(
                "UPDATE private.test_clock SET now = now + $1", timedelta(seconds=seconds)
            )
        )

    def look(self) -> dict[str, Any]:
        """Look at everything, and compare it with the model and the invariants."""
        seen = json.loads(self.stage.run(self.world.admin.fetchval("SELECT private.test_look()")))
        assert (seen["drift"], seen["uneven"], seen["negative"]) == (None, 0, 0)
        assert seen["misrepaid"] == 0, "0 <= repaid <= paid"
        # Coins issued = held + spent + refunded - debts.
        assert seen["issued"] == seen["owned"] + seen["spent"] + seen["refunded"] - seen["owed"]
        expected = [[purchase.status, purchase.posted] for purchase in self.model.purchases]
        assert (seen["purchases"] or []) == expected
        money: dict[str, list[int]] = seen["people"] or {}
        for person, owner in zip(self.people, self.model.people, strict=True):
            assert money.get(str(person.id), [0, 0, 0]) == [owner.coins, owner.debt, owner.earnings]
        return seen

    def find(self, payment: str) -> int:
        """Return the purchase of a payment."""
        return int(payment.split()[1])

    def purchase_id(self, number: int) -> UUID:
        """Return the id of a purchase."""
        return UUID(self.ids[number])
