-- Balances that are older than this ledger. Whoever moves here from the previous schema gets the purchases and gifts of
-- then posted as what they are; what they do not explain of a balance is an opening, against an account of that name.

-- squawk-ignore ban-drop-constraint
ALTER TABLE private.ledger_accounts DROP CONSTRAINT ledger_accounts_kind_known;
-- In this transaction, as in 0018: the accounts are few, and read once.
ALTER TABLE private.ledger_accounts
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT ledger_accounts_kind_known CHECK (kind IN (
        'wallet', 'debt', 'earnings', 'revenue', 'money_to_coins', 'coins_to_earnings', 'provider', 'suspense', 'opening'));
-- squawk-ignore ban-drop-constraint
ALTER TABLE private.ledger_transactions DROP CONSTRAINT ledger_transactions_kind_known;
ALTER TABLE private.ledger_transactions
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT ledger_transactions_kind_known CHECK (kind IN (
        'gift', 'purchase', 'hold', 'return', 'refund', 'refund_failed', 'dispute', 'dispute_won', 'opening'));

INSERT INTO private.ledger_accounts (id, kind, currency) VALUES (8, 'opening', 'coins'), (9, 'opening', 'earnings');
