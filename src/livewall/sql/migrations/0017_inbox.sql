-- Money goes back in a currency, and reports that tell of none are not kept for ever.

ALTER TABLE private.refunds ADD COLUMN currency text NOT NULL DEFAULT 'usd';
ALTER TABLE private.disputes ADD COLUMN currency text NOT NULL DEFAULT 'usd';
-- So far they were counted whatever they said, as money of their payment.
UPDATE private.refunds AS r SET currency = c.currency FROM public.coin_purchases AS c
WHERE c.id = r.purchase_id AND c.currency <> r.currency;
UPDATE private.disputes AS d SET currency = c.currency FROM public.coin_purchases AS c
WHERE c.id = d.purchase_id AND c.currency <> d.currency;
-- squawk-ignore ban-drop-default
ALTER TABLE private.refunds ALTER COLUMN currency DROP DEFAULT;
-- squawk-ignore ban-drop-default
ALTER TABLE private.disputes ALTER COLUMN currency DROP DEFAULT;

ALTER TABLE private.settings ADD COLUMN payment_steps_kept interval NOT NULL DEFAULT '90 days';

-- Facts of a payment's steps alone: a refused card, a bank that asks, a payment that was given up. The purchase has what
-- followed from them, and no coin did.
CREATE FUNCTION private.is_without_money(p_facts jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(NOT jsonb_path_exists(p_facts,
    '$[*] ? (!(@.kind == "requires_action" || @.kind == "processing" || @.kind == "failed" || @.kind == "canceled"))'), false);

-- In this transaction, not concurrently: as in 0013.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX payment_events_without_money ON private.payment_events (received_at)
    WHERE outcome IN ('applied', 'ignored') AND private.is_without_money(facts);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX payment_events_unsettled ON private.payment_events (outcome, received_at)
    WHERE outcome IN ('waiting', 'failed') AND next_attempt_at < 'infinity';
-- Whether a refund in another currency is on record already is looked up by its purchase.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX audit_log_of_other_currency ON private.audit_log (subject) WHERE action = 'other_currency_not_counted';
