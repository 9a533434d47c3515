"""Many purchases in one database, each with its own order of the same events.

The orders are played inside the database, one round trip each; what every purchase came to is
compared as rows.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from tests.sql.money import Fact, staff
from tests.sql.world import START, World

PAYMENT = "PAYMENT"  # in place of a payment's id, which each order has of its own

# A step is a fact, which arrives as an event of its own, "attach", our own answer from the
# provider, or "refunds", its answers to the refunds that we have ordered. Staff decides at the
# first moment that it can.
PLAY = """
CREATE TABLE private.test_moves (from_status text, to_status text);
CREATE FUNCTION private.test_note_move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO private.test_moves VALUES (OLD.status, NEW.status);
    RETURN NULL;
END $$;
CREATE TRIGGER test_moves AFTER UPDATE OF status ON public.coin_purchases
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION private.test_note_move();

-- The provider gives back what it has, and refuses what is more; also what is ordered because of that.
CREATE FUNCTION private.test_refund(p_purchase_id uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_call private.provider_calls;
    v_left bigint;
BEGIN
    LOOP
        SELECT * INTO v_call FROM private.provider_calls
        WHERE purchase_id = p_purchase_id AND call = 'refund' AND done_at IS NULL AND failed_at IS NULL
        ORDER BY id LIMIT 1;
        EXIT WHEN v_call.id IS NULL;
        SELECT captured_cents - refunded_cents - disputed_cents INTO v_left
        FROM coin_purchases WHERE id = p_purchase_id;
        IF v_call.amount_cents <= v_left THEN
            PERFORM public.finish_provider_call(v_call.id, jsonb_build_array(jsonb_build_object(
                'kind', 'refund', 'refund_id', v_call.id || ' ordered', 'status', 'succeeded',
                'amount_cents', v_call.amount_cents)));
        ELSE
            PERFORM public.finish_provider_call(v_call.id, NULL, 'more than is left', true);
        END IF;
    END LOOP;
END $$;

CREATE FUNCTION private.test_play(
    p_pack text, p_payment text, p_steps jsonb, p_decision text, p_name text) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    v_buyer uuid := (private.create_person(gen_random_uuid(), p_name, NULL, false)).id;
    v_id uuid := public.create_coin_purchase(v_buyer, p_pack, 'web', 'sandbox', p_name) ->> 'id';
    v_step jsonb;
    v_event text;
BEGIN
    IF NOT p_steps @> '["attach"]' THEN
        PERFORM public.attach_payment(v_id, p_payment);
    END IF;
    FOR v_step IN SELECT value FROM jsonb_array_elements(p_steps) LOOP
        IF v_step = '"attach"' THEN
            PERFORM public.attach_payment(v_id, p_payment);
        ELSIF v_step = '"refunds"' THEN
            PERFORM private.test_refund(v_id);
        ELSE
            IF v_step ? 'purchase_id' THEN
                v_step := jsonb_set(v_step, '{purchase_id}', to_jsonb(v_id));
            END IF;
            v_event := gen_random_uuid()::text;
            PERFORM public.receive_payment_event(
                'sandbox', v_event, 'x', v_event, '{}', jsonb_build_array(v_step));
            PERFORM public.process_payment_event('sandbox', v_event);
        END IF;
        IF p_decision IS NOT NULL AND (SELECT status FROM coin_purchases WHERE id = v_id) = 'held' THEN
            PERFORM public.decide_purchase(v_id, p_decision, 'as soon as it can be');
        END IF;
    END LOOP;
    PERFORM private.test_refund(v_id);
    RETURN v_id;
END $$;

CREATE FUNCTION private.test_state(p_purchase_id uuid) RETURNS jsonb LANGUAGE sql AS $$
SELECT to_jsonb(state) FROM (
    SELECT c.status, c.captured_cents, c.refunded_cents, c.disputed_cents, c.dispute_state,
        private.reason_to_hold(c) AS hold_reason, c.currency, c.completed_at IS NOT NULL AS is_completed, c.payment_step,
        c.capture_before, c.authorized_cents, c.canceled_at IS NOT NULL AS is_canceled,
        private.purchase_json(c) -> 'refunded_coins' AS refunded_coins,
        private.balance_of(c.profile_id, 'wallet') AS wallet,
        private.balance_of(c.profile_id, 'debt') AS debt,
        (SELECT jsonb_object_agg(k.account, k.amount)
         FROM (SELECT a.kind || ' ' || e.currency AS account, sum(e.amount) AS amount
               FROM private.ledger_transactions AS t
               JOIN public.ledger_entries AS e ON e.transaction_id = t.id
               JOIN private.ledger_accounts AS a ON a.id = e.account_id
               WHERE t.source_id = c.id
               GROUP BY 1 HAVING sum(e.amount) <> 0) AS k) AS ledger
    FROM public.coin_purchases AS c WHERE c.id = p_purchase_id) AS state
$$;

-- Each state that the orders come to, with the number of the first order that came to it.
CREATE FUNCTION private.test_states(p_pack text, p_orders jsonb, p_decision text, p_name text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_states jsonb := '{}';
    v_state text;
BEGIN
    FOR v_number IN 0 .. jsonb_array_length(p_orders) - 1 LOOP
        v_state := private.test_state(private.test_play(
            p_pack, format('pay %s.%s', p_name, v_number), p_orders -> v_number, p_decision, format('%s.%s', p_name, 1000 + v_number)));
        v_states := jsonb_build_object(v_state, v_number) || v_states;
    END LOOP;
    RETURN v_states;
END $$;
"""  # noqa: E501 - SQL in longer lines

Step = Fact | str


@dataclass(frozen=True)
class Scenario:
    """The events of one payment; every order of them has to come to one state."""

    name: str
    pack: str
    steps: tuple[Step, ...]
    status: str
    decision: str | None = None


async def open_theatre(world: World) -> None:
    """Add the functions that play, the record of moves, and somebody who decides."""
    await world.admin.execute(PLAY)
    decider = await staff(world, "decider")
    await world.admin.execute(
        "SELECT set_config('request.jwt.claims', $1, false)", json.dumps(decider.claims)
    )


async def play(world: World, scenario: Scenario, number: int = 0) -> dict[str, Sequence[Step]]:
    """Play every order in a purchase of its own; return each state with one order that led to it.

    Several orders that end in several states: the events of this payment do not converge.
    """
    orders = list(permutations(scenario.steps))
    named = [
        json.loads(json.dumps(order).replace(PAYMENT, f"pay history{number}.{n}"))
        for n, order in enumerate(orders)
    ]
    text = await world.admin.fetchval(
        "SELECT private.test_states($1, $2, $3, $4)",
        scenario.pack,
        json.dumps(named),
        scenario.decision,
        f"history{number}",
    )
    return {state: orders[number] for state, number in json.loads(text).items()}


async def not_applied(world: World) -> list[tuple[Any, ...]]:
    """Return the events that were not applied."""
    return await world.rows(
        "SELECT facts, outcome, error FROM private.payment_events WHERE outcome <> 'applied'"
    )


def at(fact: Fact, seconds: int) -> Fact:
    """Return a fact with another time of the provider's."""
    return fact | {"at": START.replace(second=seconds).isoformat()}
