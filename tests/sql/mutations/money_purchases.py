"""Damage to buying: who may, for how much, how often, once."""

# ruff: noqa: E501 - SQL is quoted as it stands there, in longer lines

from tests.sql import test_limits, test_money_settings, test_purchases
from tests.sql.mutations.damage import Mutation, edit, everybody

PURCHASES = "code/purchases"
PAYMENTS = "code/payments"
SETTINGS = "code/money_settings"

MUTATIONS = [
    Mutation(
        "purchases: everybody sees all",
        everybody("coin_purchases_select_own", "coin_purchases", "USING (true)"),
        test_purchases.test_one_sees_ones_own_purchases_and_writes_none,
    ),
    Mutation(
        "purchases: the price may change later",
        "DROP TRIGGER coin_purchases_stay ON public.coin_purchases",
        test_purchases.test_what_was_bought_stays_whoever_writes,
        {"statement": "UPDATE coin_purchases SET usd_amount = 1"},
    ),
    Mutation(
        "purchases: another default for the limit",
        "ALTER TABLE public.coin_purchases ALTER COLUMN max_purchase_limit SET DEFAULT 100",
        test_purchases.test_the_guardrail_columns_are_as_specified,
    ),
    Mutation(
        "purchases: the velocity check has no index",
        "DROP INDEX public.idx_coin_purchases_profile_purchased_at",
        test_purchases.test_the_velocity_check_reads_its_index,
    ),
    Mutation(
        "purchases: the velocity check reads all of a buyer's",
        edit(
            PURCHASES,
            (
                "c.purchased_at > v_now - interval '1 minute'",
                "c.purchased_at > private.clock() - interval '1 minute'",
            ),
            (
                "c.purchased_at > v_now - interval '24 hours'",
                "c.purchased_at > private.clock() - interval '24 hours'",
            ),
        ),
        test_purchases.test_the_velocity_check_reads_its_index,
    ),
    Mutation(
        "purchases: address and country are forgotten",
        edit(
            PURCHASES,
            (
                "p_idempotency_key, p_ip_address, upper(p_country_code)",
                "p_idempotency_key, NULL, NULL",
            ),
        ),
        test_purchases.test_address_country_and_browser_are_kept,
    ),
    Mutation(
        "purchases: no limit",
        edit(PURCHASES, ("IF p_usd_amount > v_rule.purchase_limit THEN", "IF false THEN")),
        test_limits.test_limit_and_threshold_are_exact_to_the_cent,
        {"dollars": "50000.01", "expected": "LW070"},
    ),
    Mutation(
        "purchases: the limit itself is over the limit",
        edit(
            PURCHASES,
            (
                "IF p_usd_amount > v_rule.purchase_limit THEN",
                "IF p_usd_amount >= v_rule.purchase_limit THEN",
            ),
        ),
        test_limits.test_limit_and_threshold_are_exact_to_the_cent,
        {"dollars": "50000.00", "expected": True},
    ),
    Mutation(
        "purchases: the threshold itself is over the threshold",
        edit(
            PURCHASES,
            (
                "p_usd_amount > v_rule.approval_threshold",
                "p_usd_amount >= v_rule.approval_threshold",
            ),
        ),
        test_limits.test_limit_and_threshold_are_exact_to_the_cent,
        {"dollars": "25000.00", "expected": False},
    ),
    Mutation(
        "purchases: nothing needs approval",
        edit(
            PURCHASES,
            (
                "requires_approval := p_usd_amount > v_rule.approval_threshold",
                "requires_approval := false",
            ),
        ),
        test_limits.test_limit_and_threshold_are_exact_to_the_cent,
        {"dollars": "25000.01", "expected": True},
    ),
    Mutation(
        "purchases: six in a minute",
        edit(
            PURCHASES,
            (
                "IF v_recent >= v_rule.purchases_per_minute THEN",
                "IF v_recent > v_rule.purchases_per_minute THEN",
            ),
            ("LIMIT v_rule.purchases_per_minute\n", "LIMIT v_rule.purchases_per_minute + 1\n"),
        ),
        test_limits.test_a_sixth_purchase_within_a_minute_is_refused,
    ),
    Mutation(
        "purchases: buyers are not locked",
        edit(
            PURCHASES,
            (
                "RETURN pg_advisory_xact_lock(hashtextextended('buyer ' || p_profile_id::text, 0));",
                "RETURN pg_notify('', NULL);",
            ),
        ),
        test_limits.test_of_twenty_purchases_at_once_exactly_five_pass,
    ),
    Mutation(
        "purchases: each purchase has a day of its own",
        edit(
            PURCHASES,
            (
                "v_day + p_usd_amount > v_rule.daily_threshold",
                "p_usd_amount > v_rule.daily_threshold",
            ),
        ),
        test_limits.test_five_purchases_of_25000_in_a_minute_can_be_stopped,
    ),
    Mutation(
        "purchases: a refused card makes room",
        edit(
            PURCHASES,
            (
                "NOT IN ('canceled', 'rejected', 'expired')",
                "NOT IN ('failed', 'canceled', 'rejected', 'expired')",
            ),
        ),
        test_limits.test_what_may_still_be_paid_counts_for_the_day,
        {"ending": "failed", "counts": True},
    ),
    Mutation(
        "purchases: packs that are not sold",
        edit(PURCHASES, ("AND platform = p_platform AND is_active;", "AND platform = p_platform;")),
        test_purchases.test_coins_and_price_come_from_the_catalogue,
    ),
    Mutation(
        "purchases: people settle their own payments",
        "GRANT EXECUTE ON FUNCTION public.process_coin_purchase TO authenticated",
        test_purchases.test_coins_and_price_come_from_the_catalogue,
    ),
    Mutation(
        "purchases: guests buy",
        edit(PURCHASES, ("WHERE id = p_profile_id AND is_guest)", "WHERE false)")),
        test_purchases.test_guests_the_banned_and_strangers_can_not_buy,
    ),
    Mutation(
        "purchases: no coins for money",
        edit(PAYMENTS, ("p_coins < 1", "false")),
        test_purchases.test_amounts_that_are_none_are_refused,
        {"coins": 0, "dollars": "1", "code": "LW078"},
    ),
    Mutation(
        "purchases: parts of cents",
        edit(PAYMENTS, (" OR round(p_usd_amount, 2) <> p_usd_amount", "")),
        test_purchases.test_amounts_that_are_none_are_refused,
        {"coins": 5, "dollars": "1.001", "code": "LW078"},
    ),
    Mutation(
        "purchases: a key for anything",
        edit(
            PURCHASES,
            (
                "IF (v_purchase.coin_pack_id, v_purchase.platform) IS DISTINCT FROM (p_coin_pack_id, p_platform) THEN",
                "IF false THEN",
            ),
        ),
        test_purchases.test_the_same_key_is_the_same_purchase_and_other_content_is_refused,
    ),
    Mutation(
        "purchases: a payment for anything",
        edit(
            PAYMENTS,
            (
                "IF v_purchase.id IS NOT NULL AND (v_purchase.profile_id",
                "IF false AND (v_purchase.profile_id",
            ),
        ),
        test_purchases.test_a_payment_is_recorded_once_by_event_and_by_payment,
    ),
    Mutation(
        "purchases: money over the limit is dropped",
        edit(
            PAYMENTS,
            (
                "    WHEN SQLSTATE 'LW070' THEN PERFORM private.hold_payment(p_provider, p_event_id, p_fact, 'purchase_over_limit');\n",
                "",
            ),
        ),
        test_limits.test_money_over_the_limit_is_held_not_dropped,
    ),
    Mutation(
        "settings: everybody changes the rules",
        edit(
            SETTINGS, ("PERFORM private.require_staff('admin'), set_config", "PERFORM set_config")
        ),
        test_limits.test_only_admins_change_the_rules_and_say_why,
    ),
    Mutation(
        "settings: what somebody else changes meanwhile is lost",
        edit(SETTINGS, ("    PERFORM FROM private.money_settings FOR NO KEY UPDATE;\n", "")),
        test_limits.test_two_admins_change_two_rules_at_once,
    ),
    Mutation(
        "settings: no trail",
        "DROP TRIGGER money_settings_record ON private.money_settings",
        test_limits.test_the_rules_are_settings_with_a_trail,
    ),
    Mutation(
        "settings: a raised threshold applies at once",
        edit(
            SETTINGS,
            (
                "least(v_rule.approval_threshold, v_lowest.approval_threshold)",
                "v_rule.approval_threshold",
            ),
        ),
        test_money_settings.test_nobody_lifts_a_threshold_for_a_purchase_of_their_own,
        {"before": {}, "lifted": {"threshold_cents": 5_000_000}},
    ),
    Mutation(
        "settings: no daily threshold applies at once",
        edit(
            SETTINGS,
            (
                "least(v_rule.daily_threshold, v_lowest.daily_threshold)",
                "v_rule.daily_threshold",
            ),
        ),
        test_money_settings.test_nobody_lifts_a_threshold_for_a_purchase_of_their_own,
        {
            "before": {"threshold_cents": 5_000_000, "daily_threshold_cents": 2_500_000},
            "lifted": {"daily_threshold_cents": None},
        },
    ),
    Mutation(
        "settings: a raised limit applies at once",
        edit(
            SETTINGS,
            (
                "least(v_rule.purchase_limit, v_lowest.purchase_limit)",
                "v_rule.purchase_limit",
            ),
        ),
        test_money_settings.test_a_raise_applies_a_day_later_and_what_is_lowered_at_once,
    ),
    Mutation(
        "settings: every change is said to wait",
        edit(
            SETTINGS,
            (
                "'approval_threshold')::numeric < m.approval_threshold",
                "'approval_threshold')::numeric <> m.approval_threshold",
            ),
        ),
        test_money_settings.test_what_is_no_raise_waits_for_nothing,
    ),
    *(
        Mutation(
            f"settings: {name}",
            edit(SETTINGS, change),
            test_money_settings.test_a_figure_is_a_whole_number_and_nothing_else,
        )
        for name, change in (
            ("parts of cents", (" OR v_value <> trunc(v_value)", "")),
            (
                "words are figures",
                (
                    "CASE jsonb_typeof(p_changes -> p_name) WHEN 'number' THEN (p_changes ->> p_name)::numeric END",
                    "(p_changes ->> p_name)::numeric",
                ),
            ),
        )
    ),
    Mutation(
        "settings: their trail has no index",
        "DROP INDEX private.audit_log_of_settings",
        test_money_settings.test_a_purchase_does_not_read_the_audit_log_for_what_is_in_force,
    ),
]
