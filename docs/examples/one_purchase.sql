-- One purchase from click to entries, then a gift, a partial refund and a dispute. Run it on your own database; it
-- takes everything back in the end but the numbers it used, for PostgreSQL gives each out once: your first purchase
-- after it is P-2. (Numbers of purchases may have gaps, and mean nothing else.)
--
--     psql -X "$(.venv/bin/livewall db url)" -f docs/examples/one_purchase.sql
\set QUIET on
\pset footer off
\pset null -
BEGIN;
SET LOCAL client_min_messages = warning;

-- What the ledger has, by account. Money is in cents.
CREATE FUNCTION pg_temp.accounts() RETURNS TABLE (account text, currency text, balance bigint) LANGUAGE sql AS $$
    SELECT a.kind || coalesce(' of ' || p.name, ''), a.currency,
           (SELECT coalesce(sum(e.amount), 0)::bigint FROM ledger_entries AS e WHERE e.account_id = a.id)
    FROM private.ledger_accounts AS a LEFT JOIN profiles AS p ON p.id = a.profile_id
    WHERE EXISTS (SELECT FROM ledger_entries AS e JOIN private.ledger_transactions AS t ON t.id = e.transaction_id
                  WHERE e.account_id = a.id AND t.created_at >= now())
    ORDER BY a.id
$$;
CREATE FUNCTION pg_temp.entries() RETURNS TABLE (transaction text, account text, currency text, amount bigint) LANGUAGE sql AS $$
    SELECT CASE e.line WHEN min(e.line) OVER (PARTITION BY t.id) THEN t.kind ELSE '' END,
           a.kind || coalesce(' of ' || p.name, ''), e.currency, e.amount
    FROM private.ledger_transactions AS t
    JOIN ledger_entries AS e ON e.transaction_id = t.id
    JOIN private.ledger_accounts AS a ON a.id = e.account_id
    LEFT JOIN profiles AS p ON p.id = a.profile_id
    WHERE t.created_at >= now()
    ORDER BY t.id, e.line
$$;
CREATE FUNCTION pg_temp.heard(event text, fact jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT receive_payment_event('sandbox', event, fact ->> 'kind', event, '{}',
        jsonb_build_array(fact || '{"payment_id": "pay_example", "currency": "usd", "at": "2026-11-25T12:00:00Z"}'));
    SELECT process_payment_event('sandbox', event);
    SELECT 'the purchase is ' || status FROM coin_purchases WHERE provider_payment_id = 'pay_example';
$$;

CREATE FUNCTION pg_temp.wallet() RETURNS TABLE (coins bigint, debt bigint, is_frozen boolean) LANGUAGE sql AS $$
    SELECT * FROM jsonb_to_record(my_wallet()) AS w (coins bigint, debt bigint, is_frozen boolean)
$$;

-- Ada buys, Bob streams.
SELECT create_account('ada.example', 'no hash') ->> 'id' AS ada, create_account('bob.example', 'no hash') ->> 'id' AS bob \gset

\echo '1. Ada clicks on a pack. The purchase is there before anything is paid.'
SELECT create_coin_purchase(:'ada', 'coins_700', 'web', 'sandbox', 'click-0001') ->> 'id' AS purchase \gset
SELECT status, coin_amount, usd_amount, requires_approval FROM coin_purchases WHERE id = :'purchase';

\echo '2. The provider knows the payment; she pays; the provider tells us, twice.'
SELECT attach_payment(:'purchase', 'pay_example') ->> 'status' AS status;
SELECT pg_temp.heard('event 1', '{"kind": "captured", "amount_cents": 999}');
SELECT pg_temp.heard('event 1', '{"kind": "captured", "amount_cents": 999}');
SELECT * FROM pg_temp.entries();

\echo '3. She sends Bob an Aurora for 500 coins: 70 % are his, the rest is the platform\'s.'
SELECT set_config('request.jwt.claims', json_build_object('sub', :'ada')::text, true) AS claims \gset
SELECT price, streamer_share, platform_share FROM jsonb_to_record(process_gift(:'bob', 'aurora', 1, NULL, 'gift-0001'))
    AS g (price bigint, streamer_share bigint, platform_share bigint);
SELECT * FROM pg_temp.wallet();

\echo '4. A third of the money is refunded: a third of the coins, rounded down, goes back; she has only 200 left.'
SELECT pg_temp.heard('event 2', '{"kind": "refund", "refund_id": "re_1", "status": "succeeded", "amount_cents": 333}');
SELECT * FROM pg_temp.wallet();

\echo '5. The rest is disputed: what is spent becomes a debt, and spending stops.'
SELECT pg_temp.heard('event 3', '{"kind": "dispute", "dispute_id": "dp_1", "status": "open", "amount_cents": 666}');
SELECT * FROM pg_temp.wallet();

\echo '6. The dispute is won: everything is as before it.'
SELECT pg_temp.heard('event 4', '{"kind": "dispute", "dispute_id": "dp_1", "status": "won", "amount_cents": 666}');
SELECT * FROM pg_temp.wallet();

\echo 'Every account it touched:'
SELECT * FROM pg_temp.accounts();
\echo 'Every currency sums to zero:'
SELECT currency, sum(amount) FROM pg_temp.entries() GROUP BY currency ORDER BY currency;
ROLLBACK;
