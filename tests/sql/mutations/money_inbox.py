"""Damage to how events of providers are taken, kept apart and kept, and to money that goes back."""

# ruff: noqa: E501 - SQL is quoted as it stands there, in longer lines

from tests.sql import test_inbox, test_payment_orders, test_refunds
from tests.sql.mutations.damage import Mutation, edit

APPROVALS = "code/approvals"
PAYMENTS = "code/payments"
FORGETTING = "code/forgetting"
INBOX = "code/inbox"
SCENARIO = {scenario.name: {"scenario": scenario} for scenario in test_payment_orders.SCENARIOS}
orders = test_payment_orders.test_every_order_of_a_payments_events_comes_to_one_state

MUTATIONS = [
    Mutation(
        "inbox: an attempt that breaks is not counted",
        edit(
            INBOX,
            (
                "next_attempt_at = v_now + least(interval '1 hour', interval '1 second' * 2 ^ least(e.attempts, 12))",
                "next_attempt_at = e.next_attempt_at",
            ),
        ),
        test_inbox.test_an_event_that_breaks_whatever_acts_on_it_is_behind_the_others,
    ),
    Mutation(
        "inbox: each event of who left redacts all of theirs",
        edit(
            INBOX,
            (
                "    v_is_of_nobody := private.is_payment_of_nobody(p_event.payment_provider, p_event.payment_id);\n",
                (
                    "    v_is_of_nobody := private.is_payment_of_nobody(p_event.payment_provider, p_event.payment_id);\n"
                    "    UPDATE private.payment_events SET payload = private.redacted() WHERE payment_id = p_event.payment_id;\n"
                ),
            ),
        ),
        test_inbox.test_what_is_forgotten_already_is_not_written_again_for_each_later_event,
    ),
    Mutation(
        "inbox: an event is acted on again and again",
        edit(
            INBOX,
            (
                "e.event_id = p_event_id AND e.outcome IN ('waiting', 'failed', 'parked')",
                "e.event_id = p_event_id",
            ),
        ),
        test_inbox.test_an_event_is_acted_on_once,
    ),
    Mutation(
        "inbox: what is locked is waited for",
        edit(INBOX, (" SET lock_timeout = '250ms'", "")),
        test_inbox.test_who_leaves_and_does_not_commit_keeps_only_their_own_payments,
    ),
    Mutation(
        "inbox: what is locked has failed",
        edit(
            INBOX,
            ("WHEN lock_not_available THEN RETURN NULL;", "WHEN no_data_found THEN RETURN NULL;"),
        ),
        test_inbox.test_who_leaves_and_does_not_commit_keeps_only_their_own_payments,
    ),
    Mutation(
        "inbox: what has failed is not old",
        edit(INBOX, ("'failed', private.oldest_event_seconds('failed')", "'failed', NULL")),
        test_inbox.test_how_long_the_oldest_event_waits_is_told,
    ),
    Mutation(
        "inbox: refused cards are kept for ever",
        edit(FORGETTING, ("AND received_at < v_steps_until", "AND false")),
        test_inbox.test_refused_cards_are_not_kept_for_ever_and_money_is,
    ),
    Mutation(
        "inbox: reports of money are not kept",
        edit(
            FORGETTING, ("AND private.is_without_money(facts) AND received_at", "AND received_at")
        ),
        test_inbox.test_refused_cards_are_not_kept_for_ever_and_money_is,
    ),
    Mutation(
        "blocks: who may lift one may lock them all",
        "GRANT DELETE ON public.blocks TO authenticated",
        test_inbox.test_nobody_locks_a_table_that_gifts_look_into,
    ),
    *(
        Mutation(
            f"refunds: any currency counts for a {kind}",
            edit(PAYMENTS, (f"AND {letter}.currency = c.currency ", "")),
            test_refunds.test_money_that_goes_back_in_another_currency_is_not_counted_but_on_record,
            {"kind": kind, "heard": "after"},
        )
        for kind, letter in (("refund", "r"), ("dispute", "d"))
    ),
    *(
        Mutation(
            f"refunds: another currency {name}",
            edit(PAYMENTS, change),
            test_refunds.test_money_that_goes_back_in_another_currency_is_not_counted_but_on_record,
            {"kind": "refund", "heard": heard},
        )
        for name, heard, change in (
            (
                "leaves no trace",
                "after",
                ("c.captured_cents > 0 AND w.currency", "false AND w.currency"),
            ),
            ("leaves a trace each time", "after", (" AND l.details @> w.what);", " AND false);")),
        )
    ),
    Mutation(
        "refunds: another currency leaves no trace if it was heard of before",
        edit(
            PAYMENTS,
            (
                "    -- Its currency may be another one now.\n    PERFORM private.count_what_went_back(p_purchase_id);\n",
                "",
            ),
        ),
        test_refunds.test_money_that_goes_back_in_another_currency_is_not_counted_but_on_record,
        {"kind": "dispute", "heard": "before"},
    ),
    Mutation(
        "refunds: yen are logged as dollars",
        edit(APPROVALS, ("'currency', v_purchase.currency,", "'currency', 'usd',")),
        test_refunds.test_yen_are_ordered_back_as_yen,
    ),
    Mutation(
        "refunds: a failed refund of yen is logged as dollars",
        edit(
            PAYMENTS,
            (
                "                'currency', v_currency, 'number'",
                "                'currency', 'usd', 'number'",
            ),
        ),
        test_refunds.test_yen_are_ordered_back_as_yen,
    ),
    *(
        Mutation(
            f"inbox: {name}",
            edit(INBOX, change),
            test_inbox.test_what_can_never_apply_is_on_record_and_not_tried_for_ever,
        )
        for name, change in (
            (
                "what is refused for good is tried for ever",
                ("SQLSTATE IN ('LW076', 'LW078')", "false"),
            ),
            (
                "what is refused for good is on record each time",
                (
                    "IF v_is_final AND p_event.next_attempt_at < 'infinity' THEN",
                    "IF v_is_final THEN",
                ),
            ),
            ("what is refused for good is old", (" AND e.next_attempt_at < 'infinity');", ");")),
        )
    ),
    Mutation(
        "refunds: the payment that is heard of later counts what went before",
        edit(PAYMENTS, ("    PERFORM private.count_what_went_back(p_purchase_id);\n", "")),
        orders,
        SCENARIO["one amount in two currencies"],
    ),
    *(
        Mutation(
            f"refunds: the first amount of a {kind} counts",
            edit(
                PAYMENTS,
                (
                    (
                        "SET status = excluded.status, amount_cents = excluded.amount_cents, currency = excluded.currency\n"
                        f"    WHERE {letter}.purchase_id"
                    ),
                    f"SET status = excluded.status\n    WHERE {letter}.purchase_id",
                ),
            ),
            orders,
            SCENARIO[scenario],
        )
        for kind, letter, scenario in (
            ("refund", "r", "the amount of a refund is corrected, and its currency"),
            ("dispute", "d", "the amount of a dispute is corrected as it is lost"),
        )
    ),
    Mutation(
        "refunds: of any payment",
        edit(PAYMENTS, ("IF p_known_id <> p_purchase_id THEN", "IF false THEN")),
        test_refunds.test_what_goes_back_of_one_payment_never_changes_another,
        {"kind": "refund"},
    ),
]
