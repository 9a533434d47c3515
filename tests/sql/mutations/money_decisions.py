"""Damage to decisions about money: approvals, what is given back, what is given up."""

# ruff: noqa: E501 - SQL is quoted as it stands there, in longer lines

from datetime import timedelta

from tests.sql import (
    test_approvals,
    test_forgetting,
    test_given_back,
    test_giving_up,
    test_refunds,
)
from tests.sql.mutations.damage import Mutation, edit

PURCHASES = "code/purchases"
SETTLEMENT = "code/settlement"
APPROVALS = "code/approvals"
FOUNDATION = "code/foundation"
INBOX = "code/inbox"

MUTATIONS = [
    Mutation(
        "approvals: credited before anybody approves",
        edit(
            PURCHASES,
            (
                "AND (NOT private.needs_decision(p_purchase) OR p_purchase.decision IS NOT DISTINCT FROM 'approve')",
                "",
            ),
        ),
        test_approvals.test_money_captured_before_the_decision_is_held_all_the_same,
    ),
    Mutation(
        "approvals: one's own",
        edit(APPROVALS, ("IF v_purchase.profile_id = v_caller THEN", "IF false THEN")),
        test_approvals.test_nobody_approves_their_own_purchase,
    ),
    Mutation(
        "approvals: twice",
        edit(APPROVALS, ("ELSIF v_purchase.status <> 'held' THEN", "ELSIF false THEN")),
        test_approvals.test_a_purchase_is_decided_once,
    ),
    Mutation(
        "approvals: after the deadline",
        edit(
            APPROVALS,
            ("ELSIF private.decide_by(v_purchase) < private.clock() THEN", "ELSIF false THEN"),
        ),
        test_approvals.test_after_the_deadline_nobody_decides,
    ),
    Mutation(
        "approvals: whoever left was the system",
        edit("code/ledger", ("'actor_id', p.actor_id, ", "'actor_id', NULL, ")),
        test_approvals.test_a_decision_stays_somebodys_after_they_left,
    ),
    Mutation(
        "approvals: for nobody",
        edit(
            APPROVALS,
            (
                "ELSIF p_decision = 'approve' AND NOT private.has_profile(v_purchase.profile_id) THEN",
                "ELSIF false THEN",
            ),
        ),
        test_forgetting.test_a_card_is_not_charged_for_somebody_gone,
    ),
    Mutation(
        "approvals: a currency in which coins have no price",
        edit(APPROVALS, ("AND NOT private.is_in_dollars(v_purchase) THEN", "AND false THEN")),
        test_approvals.test_a_foreign_currency_can_only_be_sent_back,
        {"kind": "captured"},
    ),
    Mutation(
        "approvals: any amount is the price",
        edit(
            PURCHASES,
            (
                "least(p_purchase.captured_cents, private.usd_cents(p_purchase.usd_amount))",
                "private.usd_cents(p_purchase.usd_amount)",
            ),
        ),
        test_approvals.test_the_coins_shown_before_a_decision_are_those_that_it_gives,
        {"cents": 333, "back": 0, "gets": 233},
    ),
    Mutation(
        "approvals: by anybody",
        edit(
            FOUNDATION,
            ("IF NOT private.has_staff_role(v_caller, VARIADIC p_roles) THEN", "IF false THEN"),
        ),
        test_approvals.test_deciding_takes_the_role,
    ),
    Mutation(
        "approvals: up to the last moment",
        edit(PURCHASES, ("- interval '12 hours'", "")),
        test_giving_up.test_the_deadline_is_five_days_or_half_a_day_before_the_money_is_let_go,
        {
            "capture_before": timedelta(days=2),
            "expected": timedelta(days=1, hours=12),
        },
    ),
    Mutation(
        "approvals: rejected money stays",
        edit(SETTLEMENT, ("ELSIF v_left > 0 THEN", "ELSIF false THEN")),
        test_approvals.test_a_late_capture_after_a_reject_is_refunded,
    ),
    Mutation(
        "approvals: rejected money goes back once",
        edit(
            SETTLEMENT,
            ("        p_purchase.captured_cents, p_purchase.captured_cents - p_left,\n", ""),
        ),
        test_given_back.test_what_is_captured_after_the_refund_was_ordered_goes_back_too,
    ),
    Mutation(
        "approvals: a won dispute gives nothing back",
        edit(SETTLEMENT, ("d.status = 'won'", "false")),
        test_given_back.test_a_refund_refused_for_a_dispute_is_ordered_again_once_it_is_won,
        {"heard": "before"},
    ),
    Mutation(
        "approvals: a refund and its report are two",
        edit(APPROVALS, ("WHERE NOT o.is_sent\n", "WHERE true\n")),
        test_given_back.test_a_refund_that_is_heard_of_before_its_answer_is_not_counted_twice,
        {"status": "pending"},
    ),
    Mutation(
        "approvals: any report stands for every call",
        edit(APPROVALS, (" AND NOT r.is_answer)", ")")),
        test_given_back.test_each_report_stands_for_one_call_of_its_amount,
    ),
    Mutation(
        "approvals: a key for any refund",
        edit(
            APPROVALS,
            (
                "IF p_usd_cents IS DISTINCT FROM v_ordered.asked_cents THEN",
                "IF p_usd_cents <> v_ordered.amount_cents THEN",
            ),
        ),
        test_refunds.test_a_refund_is_ordered_once_per_key,
    ),
    Mutation(
        "approvals: a refused capture keeps the card",
        edit(SETTLEMENT, (" OR p_purchase.capture_failed_at IS NOT NULL)", ")")),
        test_approvals.test_a_refused_capture_lets_the_money_go_and_is_on_record,
    ),
    *(
        Mutation(
            f"approvals: {name}",
            edit(file, change),
            test_giving_up.test_a_cancel_that_the_provider_refused_is_ordered_anew_and_not_for_ever,
            {"by": by},
        )
        for name, by, file, change in (
            (
                "a refused cancel is the last one",
                "buyer",
                SETTLEMENT,
                (", nullif(count(*), 0)))", "))"),
            ),
            (
                "a refused cancel is never tried again",
                "job",
                APPROVALS,
                (
                    "AND (p.failed_at IS NULL OR p.failed_at > private.clock() - interval '24 hours')",
                    "",
                ),
            ),
            (
                "a refused cancel is tried each minute",
                "job",
                APPROVALS,
                (" OR p.failed_at > private.clock() - interval '24 hours'", ""),
            ),
        )
    ),
    Mutation(
        "approvals: a cancel that was refused keeps the card",
        edit(SETTLEMENT, ("p.failed_at < p_asked_at", "false")),
        test_giving_up.test_a_rejection_lets_go_of_a_card_though_a_cancel_was_refused_before,
    ),
    Mutation(
        "approvals: a refused cancel of what was rejected is tried for ever",
        edit(SETTLEMENT, ("p.failed_at < p_asked_at", "p.failed_at IS NOT NULL")),
        test_giving_up.test_a_rejection_lets_go_of_a_card_though_a_cancel_was_refused_before,
    ),
    *(
        Mutation(
            f"approvals: given up while its payment was made, which comes by its {known_by}",
            edit(INBOX, change),
            test_giving_up.test_what_is_given_up_while_its_payment_is_made_is_canceled_at_the_provider,
            {"known_by": known_by},
        )
        for known_by, change in (
            ("answer", ("AND v_purchase.canceled_at IS NOT NULL THEN", "AND false THEN")),
            (
                "event",
                ("IF p_fact ->> 'kind' NOT IN ('captured', 'canceled') THEN", "IF false THEN"),
            ),
        )
    ),
    Mutation(
        "approvals: what a decision moved is answered as it was before",
        edit(
            APPROVALS,
            (
                "    v_purchase := private.settle_purchase(p_purchase_id, 'decision');\n",
                "    RETURN private.purchase_json(private.settle_purchase(p_purchase_id, 'decision'));\n",
            ),
        ),
        test_refunds.test_what_was_held_again_repays_no_more_than_it_is_approved_for,
    ),
    Mutation(
        "approvals: the abandoned first",
        edit(
            APPROVALS,
            (
                "ORDER BY c.status <> 'held', private.decide_by(c)",
                "ORDER BY c.status = 'held', private.decide_by(c)",
            ),
        ),
        test_giving_up.test_those_nobody_paid_do_not_keep_the_job_from_the_held,
    ),
    Mutation(
        "approvals: decisions without a trace",
        edit(
            APPROVALS,
            ("PERFORM private.audit(v_caller, 'purchase_'", "PERFORM (v_caller, 'purchase_'"),
        ),
        test_approvals.test_the_audit_log_has_every_decision,
    ),
    Mutation(
        "approvals: staff refunds more than there is",
        edit(
            APPROVALS,
            ("ELSIF v_left < greatest(coalesce(p_usd_cents, 0), 1) THEN", "ELSIF false THEN"),
        ),
        test_refunds.test_staff_refunds_no_more_than_is_left,
    ),
    Mutation(
        "approvals: money that is reserved is ended without its provider",
        edit(APPROVALS, (" AND c.authorized_cents = 0 AND c.captured_cents = 0\n", "\n")),
        test_giving_up.test_money_waits_until_its_provider_can_be_asked,
    ),
    Mutation(
        "approvals: money that is on its way is ended without its provider",
        edit(APPROVALS, ("AND c.payment_step IS DISTINCT FROM 'processing'", "")),
        test_giving_up.test_money_waits_until_its_provider_can_be_asked,
    ),
]
