"""Damage to the ledger and to its proof."""

# ruff: noqa: E501 - SQL is quoted as it stands there, in longer lines

from tests.sql import test_given_back, test_ledger, test_verify
from tests.sql.mutations.damage import Mutation, edit, everybody

LEDGER = "code/ledger"
SETTINGS = "code/money_settings"
VERIFY = "code/verify"
LIFTED = {
    name: {"lifted": lifted, "put_back": put_back} for name, lifted, put_back in test_verify.LIFTED
}
TAMPER = {tamper.name: {"tamper": tamper} for tamper in test_verify.TAMPERS}

MUTATIONS = [
    Mutation(
        "ledger: everybody sees all entries",
        everybody("ledger_entries_select_own", "ledger_entries", "USING (true)"),
        test_ledger.test_one_sees_ones_own_entries,
    ),
    Mutation(
        "ledger: the server may truncate entries",
        "GRANT TRUNCATE ON public.ledger_entries TO service_role;"
        "DROP TRIGGER ledger_entries_append_only ON public.ledger_entries",
        test_ledger.test_nobody_writes_entries,
        {"statement": "TRUNCATE ledger_entries"},
    ),
    Mutation(
        "ledger: the owner may change entries",
        "DROP TRIGGER ledger_entries_append_only ON public.ledger_entries",
        test_ledger.test_history_stands_against_owner_and_superuser,
        {"table": "public.ledger_entries", "role": "livewall_owner"},
    ),
    Mutation(
        "ledger: seals may be truncated",
        edit(
            LEDGER,
            (
                "BEFORE UPDATE OR DELETE OR TRUNCATE ON private.ledger_seals",
                "BEFORE UPDATE OR DELETE ON private.ledger_seals",
            ),
        ),
        test_ledger.test_history_stands_against_owner_and_superuser,
        {"table": "private.ledger_seals", "role": "livewall_admin"},
    ),
    Mutation(
        "ledger: nobody adds up",
        edit(LEDGER, ("HAVING sum(p.amount) <> 0)", "HAVING false)")),
        test_ledger.test_unbalanced_and_homeless_postings_are_refused,
        {"accounts": [3, 1], "currencies": ["usd"] * 2, "amounts": [5, -4], "code": "LW091"},
    ),
    Mutation(
        "ledger: currencies are added up together",
        edit(LEDGER, ("GROUP BY p.transaction_id, p.currency", "GROUP BY p.transaction_id")),
        test_ledger.test_unbalanced_and_homeless_postings_are_refused,
        {"accounts": [3, 4], "currencies": ["usd", "coins"], "amounts": [5, -5], "code": "LW091"},
    ),
    Mutation(
        "ledger: entries on accounts of another currency",
        edit(LEDGER, ("p.account_id) IS DISTINCT FROM p.currency)", "p.account_id) IS NULL)")),
        test_ledger.test_unbalanced_and_homeless_postings_are_refused,
        {"accounts": [4, 1], "currencies": ["coins"] * 2, "amounts": [5, -5], "code": "LW091"},
    ),
    Mutation(
        "ledger: the fold takes what is newer than its last seal",
        edit(
            LEDGER,
            (
                "FROM private.ledger_queue AS w ORDER BY",
                "FROM private.ledger_queue AS w WHERE w.transaction_id > coalesce((SELECT max(x.id) FROM private.ledger_seals AS s, unnest(s.transaction_ids) AS x (id)), 0) ORDER BY",
            ),
        ),
        test_ledger.test_a_commit_after_a_seal_is_not_missed,
    ),
    Mutation(
        "ledger: the fold folds wallets, too",
        edit(LEDGER, (" AND a.kind NOT IN ('wallet', 'debt');", ";")),
        test_ledger.test_a_commit_after_a_seal_is_not_missed,
    ),
    Mutation(
        "ledger: a seal does not know the one before",
        edit(LEDGER, ("sha256(p_previous || ", "sha256('x'::bytea || ")),
        test_verify.test_a_rewritten_history_does_not_have_the_exported_head,
    ),
    Mutation(
        "ledger: a seal does not say whose the money is",
        edit(
            LEDGER, ("e.account_id, a.kind, a.profile_id, e.currency", "e.account_id, e.currency")
        ),
        test_verify.test_tampering_is_seen_and_undoing_it_is_well,
        TAMPER["accounts swapped, and the gifts with them"],
    ),
    Mutation(
        "ledger: what waits is not there",
        edit(
            LEDGER,
            (
                "CASE WHEN a.kind IN ('wallet', 'debt') THEN 0 ELSE private.waiting_for(a.id) END",
                "0",
            ),
        ),
        test_ledger.test_a_wallet_includes_what_is_pending,
    ),
    Mutation(
        "ledger: a page repeats the last line",
        edit(LEDGER, ("AND e.transaction_id < v_before", "AND e.transaction_id <= v_before")),
        test_ledger.test_statement_pages_add_up_to_the_balance,
        {"limit": 2},
    ),
    Mutation(
        "ledger: each page begins with the newest balance",
        edit(LEDGER, ("AND e.transaction_id >= v_before", "AND false")),
        test_ledger.test_a_late_commit_between_two_pages_shifts_no_balance,
    ),
    Mutation(
        "verify: any number of seconds is in time",
        edit(LEDGER, ("'is_healthy', q.oldest <= 5", "'is_healthy', true")),
        test_verify.test_what_waits_for_over_five_seconds_fails,
    ),
    Mutation(
        "verify: sums are not looked at",
        edit(VERIFY, ("HAVING sum(e.amount) <> 0 LIMIT 10", "HAVING false LIMIT 10")),
        test_verify.test_tampering_is_seen_and_undoing_it_is_well,
        TAMPER["an amount"],
    ),
    Mutation(
        "verify: seals are not looked at",
        edit(
            VERIFY,
            ("v_seal.hash <> private.seal_hash(v_previous, v_seal.transaction_ids)", "false"),
        ),
        test_verify.test_tampering_is_seen_and_undoing_it_is_well,
        TAMPER["when it was"],
    ),
    Mutation(
        "verify: balances are not looked at",
        edit(
            VERIFY,
            (
                "WHERE a.balance <> coalesce(e.amount, 0)",
                "WHERE false AND a.balance <> coalesce(e.amount, 0)",
            ),
        ),
        test_verify.test_tampering_is_seen_and_undoing_it_is_well,
        TAMPER["a wallet's balance"],
    ),
    Mutation(
        "verify: any trigger of that name will do for a guard",
        edit(
            VERIFY,
            (
                "pg_get_triggerdef(g.oid) = t.definition",
                "starts_with(t.definition, 'CREATE TRIGGER ' || g.tgname)",
            ),
        ),
        test_verify.test_tampering_is_seen_and_undoing_it_is_well,
        TAMPER["a guard of fewer columns"],
    ),
    Mutation(
        "verify: any function of that name will do for a guard",
        edit(VERIFY, ("WHERE f.hash IS DISTINCT FROM c.hash", "WHERE false")),
        test_verify.test_tampering_is_seen_and_undoing_it_is_well,
        TAMPER["a guard that looks away"],
    ),
    Mutation(
        "verify: facts are not looked at",
        edit(VERIFY, ("private.unfounded_purchases()\n", "NULL::text\n")),
        test_verify.test_coins_that_nobody_paid_for_are_seen_though_every_guard_stands,
    ),
    Mutation(
        "verify: what is kept is not looked at",
        edit(VERIFY, ("private.kept_money()\n", "NULL::text\n")),
        test_given_back.test_what_can_not_be_given_back_is_not_tried_for_ever_and_is_seen,
    ),
    Mutation(
        "verify: a gift's people are not looked at",
        edit(
            VERIFY,
            (
                "(g.sender_id, CASE WHEN g.streamer_share > 0 THEN g.recipient_id END, -g.price,",
                "(-g.price,",
            ),
            ("(p.sender_id, p.recipient_id, p.paid,", "(p.paid,"),
        ),
        test_verify.test_tampering_is_seen_and_undoing_it_is_well,
        TAMPER["a gift to somebody else"],
    ),
    Mutation(
        "verify: a gift may have more entries",
        edit(
            VERIFY,
            (
                ", 3 + (g.streamer_share > 0)::integer + (g.platform_share > 0)::integer)",
                ")",
            ),
            ("p.earned, p.revenue, p.entries)", "p.earned, p.revenue)"),
        ),
        test_verify.test_what_hides_in_the_transaction_of_a_gift_is_seen,
    ),
    Mutation(
        "verify: a gift may be posted twice",
        edit(VERIFY, ("t.source_id HAVING count(*) > 1", "t.source_id HAVING false")),
        test_verify.test_a_gift_that_was_paid_for_twice_is_seen,
    ),
    *(
        Mutation(
            f"verify: a purchase may touch anybody's accounts, {kind}",
            edit(VERIFY, ("coalesce(p.held, 0), p.strangers)", "coalesce(p.held, 0), NULL)")),
            test_verify.test_coins_from_nowhere_behind_the_purchase_of_another_are_seen,
            {"kind": kind, "currency": currency, "platform": platform},
        )
        for kind, currency, platform in (("wallet", "coins", 5), ("earnings", "earnings", 6))
    ),
    Mutation(
        "verify: other currencies are not looked at",
        edit(VERIFY, ("WHEN n.amount <> 0 THEN 'stranger' END", "END")),
        test_verify.test_money_in_a_currency_that_never_came_is_seen,
    ),
    Mutation(
        "verify: decisions need no line",
        edit(VERIFY, ("private.unnamed_decisions()\n", "NULL::text\n")),
        test_verify.test_a_decision_that_nobody_made_who_may_is_seen,
    ),
    Mutation(
        "verify: buyers may decide about their own",
        edit(VERIFY, ("l.actor_id <> c.profile_id OR (", "l.actor_id IS NOT NULL OR (")),
        test_verify.test_a_decision_that_nobody_made_who_may_is_seen,
    ),
    Mutation(
        "verify: the server may reject by itself",
        edit(VERIFY, (" AND l.actor_id IS NULL AND p.id IS NULL)", " AND l.actor_id IS NULL)")),
        test_verify.test_a_decision_that_nobody_made_who_may_is_seen,
    ),
    Mutation(
        "verify: settings need no line",
        edit(VERIFY, ("private.untold_settings()\n", "NULL::text\n")),
        test_verify.test_a_change_that_the_next_line_takes_for_granted_is_seen,
    ),
    Mutation(
        "verify: a purchase may pass any rule",
        edit(VERIFY, ("private.unruly_purchases()\n", "NULL::text\n")),
        test_verify.test_rules_that_were_lifted_for_a_purchase_and_put_back_are_seen,
        LIFTED["threshold"],
    ),
    Mutation(
        "verify: only the last line of the settings counts",
        edit(
            SETTINGS,
            ("coalesce(n.begins, (SELECT", "coalesce((SELECT"),
            ("AS m)) AS stood", "AS m), n.begins) AS stood"),
        ),
        test_verify.test_whoever_keeps_to_the_rules_as_they_change_is_not_accused,
    ),
    *(
        Mutation(
            f"verify: a purchase may pass {name}",
            edit(SETTINGS, change),
            test_verify.test_rules_that_were_lifted_for_a_purchase_and_put_back_are_seen,
            LIFTED[lifted],
        )
        for name, change, lifted in (
            ("the threshold", ("c.usd_amount > r.approval_threshold", "false"), "threshold"),
            ("the limit", ("c.max_purchase_limit > r.purchase_limit", "false"), "limit"),
        )
    ),
    Mutation(
        "verify: a purchase may pass the day's sum",
        edit(SETTINGS, ("c.usd_amount + coalesce(d.amount, 0) > r.daily_threshold", "false")),
        test_verify.test_a_day_that_was_lifted_for_a_purchase_is_seen,
    ),
    *(
        Mutation(
            f"verify: {name}",
            edit(SETTINGS, change),
            test_verify.test_whoever_keeps_to_the_rules_as_they_change_is_not_accused,
        )
        for name, change in (
            (
                "rules are obeyed before they are made",
                (
                    "r.since + interval '1 minute' AS since",
                    "r.since - interval '1 minute' AS since",
                ),
            ),
            (
                "rules stand for ever",
                ("r.until + interval '24 hours' AS until", "'infinity'::timestamptz AS until"),
            ),
        )
    ),
]
