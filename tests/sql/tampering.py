"""What somebody with the owner's rights may do to money, and which check of the proof sees it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tamper:
    """What somebody with the owner's rights does behind the triggers, and which checks see it."""

    name: str
    damage: str
    repair: str
    seen: set[str]


def entries(change: str, back: str, *seen: str) -> tuple[str, str, set[str]]:
    """Return a change of one gift's entries."""
    return (
        f"UPDATE ledger_entries SET {change} WHERE transaction_id = 2 AND line = 4",
        f"UPDATE ledger_entries SET {back} WHERE transaction_id = 2 AND line = 4",
        set(seen),
    )


SPARE = "'00000000-0000-0000-0000-000000000009'"
SWAP = "; ".join(
    f"UPDATE private.ledger_accounts SET profile_id = {{{to}}} WHERE kind = 'earnings'"
    f" AND profile_id = {{{of}}}"
    for of, to in ((0, 2), (1, 0), (2, 1))
)
ONE, OTHER = (f"(SELECT id FROM profiles WHERE name = '{name}')" for name in ("streamer", "rival"))
SWAPPED = SWAP.format(ONE, OTHER, SPARE)
GIFTS_SWAPPED = f"""
UPDATE gifts SET recipient_id = CASE WHEN recipient_id = {ONE} THEN {OTHER} ELSE {ONE} END
"""
EARLIER, LATER = (
    "UPDATE private.ledger_transactions"
    f" SET created_at = created_at {sign} interval '1 s' WHERE id = 2"
    for sign in "-+"
)

TAMPERS = [
    Tamper(
        "an amount",
        *entries(
            "amount = 8",
            "amount = 7",
            "transactions_sum_to_zero",
            "balances_match_entries",
            "gifts_match_entries",
            "seals_chain",
        ),
    ),
    Tamper(
        "an entry moved to another account",
        *entries(
            "account_id = 7",
            "account_id = 102",
            "balances_match_entries",
            "gifts_match_entries",
            "seals_chain",
        ),
    ),
    Tamper(
        "an entry on no account",
        *entries(
            "account_id = 98",
            "account_id = 102",
            "entries_have_accounts",
            "balances_match_entries",
            "gifts_match_entries",
            "seals_chain",
        ),
    ),
    Tamper(
        "a transaction emptied",
        "CREATE TABLE private.kept AS SELECT * FROM ledger_entries WHERE transaction_id = 2;"
        "DELETE FROM ledger_entries WHERE transaction_id = 2",
        "INSERT INTO ledger_entries SELECT * FROM private.kept; DROP TABLE private.kept",
        {
            "transactions_have_entries",
            "balances_match_entries",
            "gifts_match_entries",
            "seals_chain",
        },
    ),
    Tamper(
        "a wallet's balance",
        "UPDATE private.ledger_accounts SET balance = balance + 1 WHERE id = 100",
        "UPDATE private.ledger_accounts SET balance = balance - 1 WHERE id = 100",
        {"balances_match_entries"},
    ),
    Tamper(
        "the platform's balance",
        "UPDATE private.ledger_accounts SET balance = balance + 1 WHERE kind = 'revenue'",
        "UPDATE private.ledger_accounts SET balance = balance - 1 WHERE kind = 'revenue'",
        {"balances_match_entries"},
    ),
    Tamper(
        "coins beside a debt",
        "UPDATE private.ledger_accounts SET balance = 5 WHERE kind = 'wallet' AND balance = 0;"
        "UPDATE private.ledger_accounts SET balance = -495 WHERE balance = -490",
        "UPDATE private.ledger_accounts SET balance = 0 WHERE kind = 'wallet' AND balance = 5;"
        "UPDATE private.ledger_accounts SET balance = -490 WHERE balance = -495",
        {"nobody_who_owes_can_spend", "balances_match_entries"},
    ),
    Tamper(
        "what a purchase has posted",
        "UPDATE coin_purchases SET posted_coins = 99 WHERE number = 1",
        "UPDATE coin_purchases SET posted_coins = 100 WHERE number = 1",
        {"purchases_match_entries", "purchases_follow_from_facts"},
    ),
    *(
        Tamper(
            f"a fact: {table}, {to}",
            f"UPDATE {table} SET {to} WHERE {which}",
            f"UPDATE {table} SET {back} WHERE {which}",
            {"purchases_follow_from_facts"},
        )
        for table, which, to, back in (
            ("coin_purchases", "number = 1", "status = 'refunded'", "status = 'completed'"),
            ("coin_purchases", "number = 1", "completed_at = NULL", "completed_at = purchased_at"),
            ("coin_purchases", "number = 1", "captured_cents = 101", "captured_cents = 100"),
            ("coin_purchases", "number = 1", "currency = 'eur'", "currency = 'usd'"),
            ("coin_purchases", "number = 1", "refunded_cents = 1", "refunded_cents = 0"),
            ("coin_purchases", "number = 2", "disputed_cents = 978", "disputed_cents = 979"),
            ("coin_purchases", "number = 2", "dispute_state = 'lost'", "dispute_state = 'open'"),
            ("coin_purchases", "number = 3", "captured_cents = 3250000", "captured_cents = 0"),
            ("private.disputes", "true", "amount_cents = 978", "amount_cents = 979"),
            ("private.disputes", "true", "status = 'won'", "status = 'open'"),
        )
    ),
    Tamper(
        "a fact: a decision",
        "UPDATE coin_purchases SET decision = 'approve' WHERE number = 3",
        "UPDATE coin_purchases SET decision = NULL WHERE number = 3",
        {"purchases_follow_from_facts", "decisions_are_on_record"},
    ),
    *(
        Tamper(
            f"a fact: {column}",
            f"UPDATE coin_purchases SET {column} = {column} + 1 WHERE number = 2",
            f"UPDATE coin_purchases SET {column} = {column} - 1 WHERE number = 2",
            {"purchases_match_entries", "purchases_follow_from_facts"},
        )
        for column in ("posted_cents", "posted_held_cents")
    ),
    Tamper(
        "a refund that was never reported",
        "INSERT INTO private.refunds SELECT 'sandbox', 'r', id, 1, 'succeeded', currency"
        " FROM coin_purchases WHERE number = 1",
        "DELETE FROM private.refunds",
        {"purchases_follow_from_facts"},
    ),
    Tamper(
        "a purchase of somebody else's",
        f"UPDATE coin_purchases SET profile_id = {OTHER} WHERE number = 1",
        "UPDATE coin_purchases SET profile_id = (SELECT id FROM profiles WHERE name = 'fan')"
        " WHERE number = 1",
        {"purchases_match_entries"},
    ),
    *(
        Tamper(
            f"a figure of money: {column}",
            f"UPDATE private.money_settings SET {column} = 1",
            f"UPDATE private.money_settings SET {column} = {back}",
            {"settings_are_on_record"},
        )
        for column, back in (
            ("purchase_limit", "50000"),
            ("approval_threshold", "25000"),
            ("daily_threshold", "NULL"),
            ("purchases_per_minute", "5"),
            ("streamer_share_percent", "70"),
        )
    ),
    Tamper(
        "a gift's price",
        "UPDATE gifts SET price = 11, platform_share = 4 WHERE price = 10",
        "UPDATE gifts SET price = 10, platform_share = 3 WHERE price = 11",
        {"gifts_match_entries"},
    ),
    Tamper(
        "a gift's shares",
        "UPDATE gifts SET streamer_share = 8, platform_share = 2 WHERE price = 10",
        "UPDATE gifts SET streamer_share = 7, platform_share = 3 WHERE price = 10",
        {"gifts_match_entries"},
    ),
    Tamper(
        "a gift to somebody else",
        f"UPDATE gifts SET recipient_id = {OTHER} WHERE price = 10",
        f"UPDATE gifts SET recipient_id = {ONE} WHERE price = 10",
        {"gifts_match_entries"},
    ),
    Tamper(
        "a gift without its row",
        "CREATE TABLE private.kept AS SELECT * FROM gifts WHERE price = 10;"
        "DELETE FROM gifts WHERE price = 10",
        "INSERT INTO gifts SELECT * FROM private.kept; DROP TABLE private.kept",
        {"gifts_match_entries"},
    ),
    Tamper(
        "accounts of two people swapped",
        SWAPPED,
        SWAPPED,
        {"gifts_match_entries", "seals_chain"},
    ),
    Tamper(
        "accounts swapped, and the gifts with them",
        SWAPPED + "; " + GIFTS_SWAPPED,
        SWAPPED + "; " + GIFTS_SWAPPED,
        {"seals_chain"},
    ),
    Tamper(
        "when it was",
        EARLIER,
        LATER,
        {"seals_chain"},
    ),
    Tamper(
        "a seal's hash",
        "UPDATE private.ledger_seals SET hash = sha256('x') WHERE number = 1",
        "UPDATE private.ledger_seals SET hash = (SELECT previous_hash FROM private.ledger_seals"
        " WHERE number = 2) WHERE number = 1",
        {"seals_chain"},
    ),
    Tamper(
        "a transaction in no seal",
        "UPDATE private.ledger_seals SET transaction_ids = '{}' WHERE number = 2",
        "UPDATE private.ledger_seals SET transaction_ids = '{2}' WHERE number = 2",
        {"seals_chain", "sealed_exactly_once"},
    ),
    Tamper(
        "a transaction in two seals",
        "UPDATE private.ledger_seals SET transaction_ids = '{1,2}' WHERE number = 2",
        "UPDATE private.ledger_seals SET transaction_ids = '{2}' WHERE number = 2",
        {"seals_chain", "sealed_exactly_once"},
    ),
    Tamper(
        "a sealed transaction queued again",
        "INSERT INTO private.ledger_queue VALUES (2)",
        "DELETE FROM private.ledger_queue WHERE transaction_id = 2",
        {"balances_match_entries"},
    ),
    Tamper(
        "a guard switched off",
        "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_append_only",
        "ALTER TABLE ledger_entries ENABLE TRIGGER ledger_entries_append_only",
        {"history_is_guarded"},
    ),
    Tamper(
        "a guard that stands elsewhere",
        "DROP TRIGGER gifts_append_only ON gifts; CREATE TRIGGER gifts_append_only BEFORE"
        " UPDATE OR DELETE OR TRUNCATE ON private.outbox"
        " FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change()",
        "DROP TRIGGER gifts_append_only ON private.outbox; CREATE TRIGGER gifts_append_only BEFORE"
        " UPDATE OR DELETE OR TRUNCATE ON gifts"
        " FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change()",
        {"history_is_guarded"},
    ),
    Tamper(
        "a guard that watches less",
        "DROP TRIGGER gifts_append_only ON gifts; CREATE TRIGGER gifts_append_only BEFORE DELETE"
        " ON gifts FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change()",
        "DROP TRIGGER gifts_append_only ON gifts; CREATE TRIGGER gifts_append_only BEFORE"
        " UPDATE OR DELETE OR TRUNCATE ON gifts"
        " FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change()",
        {"history_is_guarded"},
    ),
    Tamper(
        "a guard of fewer columns",
        "DROP TRIGGER coin_purchases_stay ON coin_purchases; CREATE TRIGGER coin_purchases_stay"
        " BEFORE DELETE OR TRUNCATE OR UPDATE OF id, number, profile_id, coin_amount, purchased_at"
        " ON coin_purchases FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change()",
        "DROP TRIGGER coin_purchases_stay ON coin_purchases; CREATE TRIGGER coin_purchases_stay"
        " BEFORE DELETE OR TRUNCATE OR UPDATE OF id, number, profile_id, coin_amount, usd_amount,"
        " requires_approval, max_purchase_limit, purchased_at"
        " ON coin_purchases FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change()",
        {"history_is_guarded"},
    ),
    Tamper(
        "a guard that looks away",
        "CREATE TABLE private.kept AS SELECT pg_get_functiondef('private.refuse_change'::regproc)"
        " AS text; CREATE OR REPLACE FUNCTION private.refuse_change() RETURNS trigger"
        " LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "DO 'BEGIN EXECUTE (SELECT text FROM private.kept); END'; DROP TABLE private.kept",
        {"history_is_guarded"},
    ),
    Tamper(
        "purchases unguarded",
        "ALTER TABLE coin_purchases DISABLE TRIGGER coin_purchases_stay",
        "ALTER TABLE coin_purchases ENABLE TRIGGER coin_purchases_stay",
        {"history_is_guarded"},
    ),
]
