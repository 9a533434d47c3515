"""Damage to what follows from reports of providers, and to forgetting."""

# ruff: noqa: E501 - SQL is quoted as it stands there, in longer lines

from tests.sql import (
    test_forgetting,
    test_given_back,
    test_payment_orders,
    test_payments,
    test_purchase_states,
    test_refunds,
)
from tests.sql.mutations.damage import Mutation, edit

PURCHASES = "code/purchases"
PAYMENTS = "code/payments"
SETTLEMENT = "code/settlement"
FORGETTING = "code/forgetting"
INBOX = "code/inbox"
SCENARIO = {scenario.name: {"scenario": scenario} for scenario in test_payment_orders.SCENARIOS}
orders = test_payment_orders.test_every_order_of_a_payments_events_comes_to_one_state

MONEY_ADDS_UP = edit(
    PAYMENTS,
    ("SET captured_cents = v_cents", "SET captured_cents = c.captured_cents + v_cents"),
    (" AND private.counts_more(v_cents, v_currency, c.captured_cents, c.currency)", ""),
)

MUTATIONS = [
    Mutation(
        "payments: altered events pass",
        edit(INBOX, ("IF v_known.digest <> p_digest THEN", "IF false THEN")),
        test_payments.test_an_altered_event_is_refused_and_alerted,
    ),
    Mutation(
        "payments: repeated money is more money",
        MONEY_ADDS_UP,
        test_payments.test_two_kinds_of_event_for_one_payment_give_one_credit,
    ),
    Mutation(
        "payments: a replay counts again",
        MONEY_ADDS_UP,
        test_payments.test_a_replay_changes_nothing_and_is_in_the_audit_log,
    ),
    Mutation(
        "payments: the parked stay parked",
        edit(INBOX, ("AND e.payment_id = p_payment_id AND e.outcome = 'parked'", "AND false")),
        test_payments.test_what_comes_before_its_purchase_is_parked_and_applied_later,
        {"kind": "refund"},
    ),
    Mutation(
        "payments: the parked are not looked at again",
        edit(
            INBOX,
            ("e.outcome IN ('waiting', 'failed', 'parked')", "e.outcome IN ('waiting', 'failed')"),
        ),
        test_payments.test_an_event_that_was_parked_while_its_payment_was_attached_is_not_forgotten,
    ),
    Mutation(
        "payments: unknown events are dropped",
        edit(
            INBOX,
            (
                "VALUES (p_provider, p_event_id, p_type, coalesce(p_payment_id, p_facts -> 0 ->> 'payment_id'), p_digest, p_payload, p_facts)",
                "SELECT p_provider, p_event_id, p_type, p_payment_id, p_digest, p_payload, p_facts WHERE p_facts IS NOT NULL",
            ),
        ),
        test_payments.test_unknown_events_are_kept_and_ignored,
    ),
    Mutation(
        "payments: another shop's are looked for for ever",
        edit(
            INBOX,
            (
                "CASE WHEN p_event.received_at > private.clock() - interval '7 days' THEN 'parked' ELSE 'ignored' END",
                "'parked'",
            ),
        ),
        test_payments.test_a_payment_of_another_shop_is_not_looked_for_for_ever,
    ),
    Mutation(
        "payments: what is not due is read, too",
        edit(INBOX, ("e.next_attempt_at <= v_now", "e.next_attempt_at <= private.clock()")),
        test_payments.test_what_is_not_due_costs_nothing,
    ),
    Mutation(
        "payments: events of one moment fall between two pages",
        edit(INBOX, ("ROWS WITH TIES", "ROWS ONLY")),
        test_payments.test_events_of_one_moment_are_on_one_page,
    ),
    Mutation(
        "payments: any currency is dollars",
        edit(PURCHASES, ("    WHEN p_currency <> 'usd' THEN 'currency_mismatch'\n", "")),
        test_payments.test_another_currency_or_amount_is_held_and_visible,
        {"cents": 999, "currency": "eur", "reason": "currency_mismatch"},
    ),
    Mutation(
        "payments: any amount will do",
        edit(
            PURCHASES,
            (
                "\n    WHEN p_cents <> private.usd_cents(p_usd_amount) THEN 'amount_mismatch' END;",
                " END;",
            ),
        ),
        test_payments.test_another_currency_or_amount_is_held_and_visible,
        {"cents": 9, "currency": "usd", "reason": "amount_mismatch"},
    ),
    Mutation(
        "payments: what came first counts",
        edit(
            PAYMENTS,
            (
                "RETURN (p_cents, p_currency <> 'usd', p_currency) > (p_known_cents, p_known_currency <> 'usd', p_known_currency);",
                "RETURN p_known_cents = 0;",
            ),
        ),
        orders,
        SCENARIO["a part is captured, then all of it"],
    ),
    Mutation(
        "payments: the currency that came first counts",
        edit(
            PAYMENTS,
            (
                "RETURN (p_cents, p_currency <> 'usd', p_currency) > (p_known_cents, p_known_currency <> 'usd', p_known_currency);",
                "RETURN p_cents > p_known_cents;",
            ),
        ),
        orders,
        SCENARIO["one amount in two currencies"],
    ),
    Mutation(
        "payments: more than was ordered is as good as all",
        edit(
            PURCHASES,
            (
                "WHEN p_cents <> private.usd_cents(p_usd_amount)",
                "WHEN p_cents < private.usd_cents(p_usd_amount)",
            ),
        ),
        orders,
        SCENARIO["more is captured than was ordered"],
    ),
    Mutation(
        "payments: whatever is approved is dollars",
        edit(PURCHASES, (" AND p_purchase.currency = 'usd'\n", "\n")),
        test_given_back.test_an_approval_of_dollars_credits_nothing_else,
    ),
    Mutation(
        "payments: unannounced money for nobody fails",
        edit(
            PAYMENTS,
            (
                "    WHEN SQLSTATE 'LW004' THEN PERFORM private.hold_payment(p_provider, p_event_id, p_fact, 'buyer_gone');\n",
                "",
            ),
        ),
        test_payments.test_an_unannounced_payment_for_nobody_is_held_and_given_back,
    ),
    Mutation(
        "payments: unannounced money is dollars",
        edit(PAYMENTS, ("IF lower(p_fact ->> 'currency') <> 'usd' THEN", "IF false THEN")),
        test_payments.test_an_unannounced_payment_in_another_currency_is_held,
    ),
    Mutation(
        "payments: pending refunds take coins",
        edit(
            PAYMENTS, ("AND r.status = 'succeeded')", "AND r.status IN ('pending', 'succeeded'))")
        ),
        test_refunds.test_partial_refunds_are_pro_rata_and_once_per_refund_id,
    ),
    Mutation(
        "payments: refunds without end",
        edit(
            PURCHASES,
            (
                "RETURN least(p_purchase.captured_cents, p_purchase.refunded_cents + p_purchase.disputed_cents);",
                "RETURN p_purchase.refunded_cents + p_purchase.disputed_cents;",
            ),
        ),
        test_refunds.test_refunds_are_capped_in_total,
    ),
    Mutation(
        "payments: what was spent is forgiven",
        edit(SETTLEMENT, (", private.move(debt_id, p_amount - to_wallet);", ";")),
        test_refunds.test_a_dispute_after_spending_is_a_debt_until_it_is_won,
    ),
    Mutation(
        "payments: debts are not repaid",
        edit(SETTLEMENT, ("p_amount - least(p_amount, v_owed)", "p_amount")),
        test_refunds.test_what_is_bought_repays_the_debt_first,
    ),
    Mutation(
        "payments: won disputes stay lost",
        edit(
            PAYMENTS,
            (
                "ARRAY['pending', 'open', 'succeeded', 'lost', 'won', 'canceled', 'failed']",
                "ARRAY['won', 'pending', 'open', 'succeeded', 'lost', 'canceled', 'failed']",
            ),
        ),
        orders,
        SCENARIO["a dispute is lost and reinstated beside a refund"],
    ),
    Mutation(
        "payments: the last word counts, not the most final",
        edit(
            PAYMENTS,
            (
                (
                    "(private.finality(excluded.status), excluded.amount_cents, excluded.currency)\n"
                    "        > (private.finality(r.status), r.amount_cents, r.currency);\n"
                ),
                "true;\n",
            ),
        ),
        orders,
        SCENARIO["partial refunds, one fails"],
    ),
    Mutation(
        "payments: a payment is taken off",
        edit(INBOX, ("IF coalesce(p_provider_payment_id, '') = '' THEN", "IF false THEN")),
        test_payments.test_a_payment_can_not_be_taken_off_its_purchase,
    ),
    Mutation(
        "purchases: from anywhere to anywhere",
        "DROP TRIGGER coin_purchases_transition ON public.coin_purchases",
        test_purchase_states.test_everything_else_is_refused,
    ),
    Mutation(
        "forgetting: an approval outlives the account",
        edit(
            FORGETTING,
            (
                ",\n        decision = CASE WHEN captured_cents > 0 OR decision <> 'approve' THEN decision END",
                "",
            ),
        ),
        test_forgetting.test_an_approval_that_brought_no_money_ends_with_the_account,
    ),
    Mutation(
        "payments: what was repaid before it was held counts again",
        edit(PURCHASES, ("h.kind IN ('hold', 'return')", "false")),
        test_refunds.test_what_was_held_again_repays_no_more_than_it_is_approved_for,
    ),
    Mutation(
        "forgetting: nobody is forgotten",
        "DROP TRIGGER profiles_forget_buyer ON public.profiles",
        test_forgetting.test_money_history_stays_and_personal_data_goes,
        {"how": "row"},
    ),
    Mutation(
        "forgetting: the payloads stay",
        edit(
            FORGETTING,
            (
                "    PERFORM private.redact_payment_events(OLD.id);\n",
                "",
            ),
        ),
        test_forgetting.test_money_history_stays_and_personal_data_goes,
        {"how": "function"},
    ),
    Mutation(
        "forgetting: what comes later stays",
        edit(INBOX, ("AND NOT private.has_profile(c.profile_id));", "AND false);")),
        test_forgetting.test_what_is_heard_later_is_applied_and_tells_nothing,
    ),
    Mutation(
        "forgetting: the payment of what has no facts is not known",
        edit(INBOX, ("coalesce(p_payment_id, p_facts", "coalesce(NULL, p_facts")),
        test_forgetting.test_what_is_heard_later_and_means_nothing_tells_nothing,
        {"facts": []},
    ),
    Mutation(
        "forgetting: the money goes with the person",
        "ALTER TABLE public.coin_purchases ADD CONSTRAINT of_profile FOREIGN KEY (profile_id)"
        " REFERENCES public.profiles (id) ON DELETE CASCADE",
        test_forgetting.test_money_history_stays_and_personal_data_goes,
        {"how": "row"},
    ),
    Mutation(
        "forgetting: the held stays held",
        edit(FORGETTING, ("PERFORM private.give_back_uncaptured(OLD.id);", "")),
        test_forgetting.test_what_waits_for_a_decision_is_given_back,
        {"how": "function"},
    ),
]
