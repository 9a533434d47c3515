-- Purchases and gifts of then, posted as what they are under their own ids; then for each person one opening, by their
-- profile's id, with what those do not explain of the old balance. So every balance comes out as it was.

INSERT INTO public.coin_packs AS c (id, platform, title, coins, usd_amount, is_active)
SELECT DISTINCT ON (p.id, p.platform) p.id, p.platform, p.title, p.coins, p.usd, p.is_active
FROM adopting.packs AS p WHERE p.kept_back IS NULL
ON CONFLICT (id, platform) DO UPDATE
SET title = excluded.title, coins = excluded.coins, usd_amount = excluded.usd_amount, is_active = excluded.is_active;

INSERT INTO public.gift_types AS t (id, title, emoji, price, is_active)
SELECT DISTINCT ON (g.id) g.id, g.title, g.emoji, g.price, g.is_active
FROM adopting.gift_types AS g WHERE g.kept_back IS NULL
ON CONFLICT (id) DO UPDATE
SET title = excluded.title, emoji = excluded.emoji, price = excluded.price, is_active = excluded.is_active;
-- What was given once and is in no catalogue any more keeps its name.
INSERT INTO public.gift_types (id, title, emoji, price, is_active)
SELECT g.gift_type_id, g.gift_type_id, '🎁', max(g.price), false
FROM adopting.gifts AS g WHERE g.kept_back IS NULL GROUP BY g.gift_type_id
ON CONFLICT (id) DO NOTHING;

-- What was paid then was admitted by the rules of then; what is still open meets those of today.
INSERT INTO public.coin_purchases (id, profile_id, coin_pack_id, platform, payment_provider, provider_event_id, provider_payment_id,
    coin_amount, usd_amount, max_purchase_limit, requires_approval, status, metadata, purchased_at, payment_step, payment_step_at,
    captured_cents, captured_at, refunded_cents, canceled_at, posted_coins, posted_cents, completed_at)
SELECT p.id, p.profile_id, p.coin_pack_id, p.platform, p.provider, p.event_id, p.payment_id, p.coins, p.usd,
       CASE WHEN f.is_paid THEN greatest(p.usd, m.purchase_limit) ELSE m.purchase_limit END,
       NOT f.is_paid AND p.usd > m.approval_threshold, p.status, '{"from": "previous schema"}', p.purchased_at,
       CASE WHEN p.status IN ('processing', 'failed') THEN p.status END,
       CASE WHEN p.status IN ('processing', 'failed') THEN p.purchased_at END,
       CASE WHEN f.is_paid THEN f.cents ELSE 0 END, CASE WHEN f.is_paid THEN p.purchased_at END,
       CASE WHEN p.status = 'refunded' THEN f.cents ELSE 0 END, CASE WHEN p.status = 'canceled' THEN p.purchased_at END,
       CASE WHEN p.status = 'completed' THEN p.coins ELSE 0 END, CASE WHEN p.status = 'completed' THEN f.cents ELSE 0 END,
       CASE WHEN f.is_paid THEN p.purchased_at END
FROM adopting.purchases AS p
CROSS JOIN private.money_settings AS m
CROSS JOIN LATERAL (SELECT p.status IN ('completed', 'refunded') AS is_paid, private.usd_cents(p.usd) AS cents) AS f
WHERE p.kept_back IS NULL
ORDER BY p.purchased_at, p.id;
INSERT INTO private.refunds (payment_provider, refund_id, purchase_id, amount_cents, status, currency)
SELECT p.provider, 'previous:' || p.id, p.id, private.usd_cents(p.usd), 'succeeded', 'usd'
FROM adopting.purchases AS p WHERE p.kept_back IS NULL AND p.status = 'refunded';

INSERT INTO public.gifts (
    id, sender_id, recipient_id, gift_type_id, live_stream_id, slot_index, price, streamer_share, platform_share, created_at)
SELECT g.id, g.sender_id, g.recipient_id, g.gift_type_id, g.stream_id, g.slot_index, g.price, g.share, g.price - g.share, g.created_at
FROM adopting.gifts AS g WHERE g.kept_back IS NULL;

-- Everybody who has money, or had a part in it and is gone. What they end up with is what they had.
CREATE UNLOGGED TABLE adopting.holders AS
WITH part AS (
    SELECT p.profile_id, p.coins AS spendable, 0::numeric AS earned
    FROM adopting.purchases AS p WHERE p.kept_back IS NULL AND p.status = 'completed'
    UNION ALL SELECT g.sender_id, -g.price, 0 FROM adopting.gifts AS g WHERE g.kept_back IS NULL
    UNION ALL SELECT g.recipient_id, 0, g.share FROM adopting.gifts AS g WHERE g.kept_back IS NULL AND g.share > 0
), posted AS (
    SELECT t.profile_id, sum(t.spendable) AS spendable, sum(t.earned) AS earned, bool_or(t.spendable <> 0) AS has_wallet,
           bool_or(t.earned > 0) AS has_earnings
    FROM part AS t GROUP BY t.profile_id
), had AS (
    SELECT coalesce(h.id, t.profile_id) AS profile_id, coalesce(h.coins, 0) AS coins, coalesce(h.earnings, 0) AS earnings,
           coalesce(t.spendable, 0) AS spendable, coalesce(t.earned, 0) AS earned,
           coalesce(t.has_wallet, false) AS has_wallet, coalesce(t.has_earnings, false) AS has_earnings
    FROM adopting.people AS h FULL JOIN posted AS t ON t.profile_id = h.id
)
SELECT a.*, (greatest(a.coins, 0) - a.spendable)::bigint AS wallet_opening, least(a.coins, 0)::bigint AS debt_opening,
       (a.earnings - a.earned)::bigint AS earnings_opening, NULL::bigint AS wallet, NULL::bigint AS debt, NULL::bigint AS account_of_earnings
FROM had AS a WHERE a.coins <> 0 OR a.earnings <> 0 OR a.has_wallet OR a.has_earnings;

-- Wallets and debts are kept up to date by whoever posts; earnings are folded in.
INSERT INTO private.ledger_accounts (profile_id, kind, currency, balance)
SELECT h.profile_id, k.kind, k.currency, k.balance
FROM adopting.holders AS h CROSS JOIN LATERAL (VALUES
    ('wallet', 'coins', greatest(h.coins, 0), h.coins > 0 OR h.has_wallet),
    ('debt', 'coins', least(h.coins, 0), h.coins < 0),
    ('earnings', 'earnings', 0, h.earnings <> 0 OR h.has_earnings)) AS k (kind, currency, balance, is_needed)
WHERE k.is_needed;
UPDATE adopting.holders AS h SET wallet = a.wallet, debt = a.debt, account_of_earnings = a.earnings
FROM (
    SELECT a.profile_id, min(a.id) FILTER (WHERE a.kind = 'wallet') AS wallet, min(a.id) FILTER (WHERE a.kind = 'debt') AS debt,
           min(a.id) FILTER (WHERE a.kind = 'earnings') AS earnings
    FROM private.ledger_accounts AS a WHERE a.profile_id IS NOT NULL GROUP BY a.profile_id
) AS a
WHERE a.profile_id = h.profile_id;
CREATE UNIQUE INDEX ON adopting.holders (profile_id);
ANALYZE adopting.holders, private.ledger_accounts;

WITH posted AS (
    INSERT INTO private.ledger_transactions AS t (kind, source_id, created_at)
    SELECT 'purchase', p.id, p.purchased_at FROM adopting.purchases AS p
    WHERE p.kept_back IS NULL AND p.status = 'completed' ORDER BY p.purchased_at, p.id
    RETURNING t.id, t.source_id
)
INSERT INTO public.ledger_entries (transaction_id, line, account_id, currency, amount)
SELECT t.id, e.* FROM posted AS t
JOIN adopting.purchases AS p ON p.id = t.source_id AND p.kept_back IS NULL
JOIN adopting.holders AS h ON h.profile_id = p.profile_id
CROSS JOIN LATERAL (VALUES
    (1, 1, 'usd', -private.usd_cents(p.usd)), (2, 3, 'usd', private.usd_cents(p.usd)),
    (3, 4, 'coins', -p.coins::bigint), (4, h.wallet, 'coins', p.coins::bigint)) AS e (line, account_id, currency, amount);

WITH posted AS (
    INSERT INTO private.ledger_transactions AS t (kind, source_id, created_at)
    SELECT 'gift', g.id, g.created_at FROM adopting.gifts AS g WHERE g.kept_back IS NULL ORDER BY g.created_at, g.id
    RETURNING t.id, t.source_id
)
INSERT INTO public.ledger_entries (transaction_id, line, account_id, currency, amount)
SELECT t.id, e.* FROM posted AS t
JOIN adopting.gifts AS g ON g.id = t.source_id AND g.kept_back IS NULL
JOIN adopting.holders AS s ON s.profile_id = g.sender_id
LEFT JOIN adopting.holders AS r ON r.profile_id = g.recipient_id
CROSS JOIN LATERAL (VALUES
    (1, s.wallet, 'coins', -g.price::bigint), (2, 5, 'coins', g.price::bigint), (3, 6, 'earnings', -g.price::bigint),
    (4, r.account_of_earnings, 'earnings', g.share::bigint), (5, 7, 'earnings', (g.price - g.share)::bigint))
    AS e (line, account_id, currency, amount)
WHERE e.amount <> 0;

WITH posted AS (
    INSERT INTO private.ledger_transactions AS t (kind, source_id)
    SELECT 'opening', h.profile_id FROM adopting.holders AS h
    WHERE (h.wallet_opening, h.debt_opening, h.earnings_opening) <> (0, 0, 0) ORDER BY h.profile_id
    RETURNING t.id, t.source_id
)
INSERT INTO public.ledger_entries (transaction_id, line, account_id, currency, amount)
SELECT t.id, e.* FROM posted AS t
JOIN adopting.holders AS h ON h.profile_id = t.source_id
CROSS JOIN LATERAL (VALUES
    (1, 8, 'coins', -h.wallet_opening - h.debt_opening), (2, h.wallet, 'coins', h.wallet_opening), (3, h.debt, 'coins', h.debt_opening),
    (4, 9, 'earnings', -h.earnings_opening), (5, h.account_of_earnings, 'earnings', h.earnings_opening))
    AS e (line, account_id, currency, amount)
WHERE e.amount <> 0;

INSERT INTO private.ledger_queue (transaction_id) SELECT t.id FROM private.ledger_transactions AS t;
-- The proof compares every opening with this line: nobody can open a balance later.
SELECT private.audit(NULL, 'previous_schema_adopted', 'previous', jsonb_build_object(
    'people', (SELECT count(*) FROM public.profiles),
    'openings', (SELECT count(*) FROM private.ledger_transactions AS t WHERE t.kind = 'opening'),
    'coins', (SELECT coalesce(-sum(e.amount), 0) FROM public.ledger_entries AS e WHERE e.account_id = 8),
    'earnings', (SELECT coalesce(-sum(e.amount), 0) FROM public.ledger_entries AS e WHERE e.account_id = 9)));
ANALYZE public.ledger_entries, private.ledger_transactions, private.ledger_queue;
