-- livewall: after ledger, purchases, gifts, money_settings
-- The proof: everything the ledger promises, recomputed from its entries. `livewall ledger verify` prints it.

CREATE FUNCTION private.broken_seal() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    v_previous bytea := private.first_hash();
    v_number bigint := 0;
    v_total bigint := 0;
    v_seal private.ledger_seals;
BEGIN
    FOR v_seal IN SELECT * FROM private.ledger_seals ORDER BY number LOOP
        v_number := v_number + 1;
        v_total := v_total + cardinality(v_seal.transaction_ids);
        IF v_seal.number <> v_number OR v_seal.previous_hash <> v_previous OR v_seal.total_transactions <> v_total
            OR v_seal.hash <> private.seal_hash(v_previous, v_seal.transaction_ids)
        THEN
            RETURN format('seal %s does not match its transactions', v_seal.number);
        END IF;
        v_previous := v_seal.hash;
    END LOOP;
    RETURN NULL;
END;
$$;

CREATE FUNCTION private.drifting_accounts() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    WITH entered AS (
        SELECT e.account_id, sum(e.amount) AS amount FROM public.ledger_entries AS e GROUP BY e.account_id
    ), waiting AS (
        SELECT e.account_id, sum(e.amount) AS amount
        FROM private.ledger_queue AS q JOIN public.ledger_entries AS e ON e.transaction_id = q.transaction_id
        GROUP BY e.account_id
    )
    SELECT string_agg(format('account %s (%s) has %s, its entries say %s', drift.id, drift.kind, drift.balance, drift.entered), '; ')
    FROM (
        SELECT a.id, a.kind, a.balance,
               coalesce(e.amount, 0) - CASE WHEN a.kind IN ('wallet', 'debt') THEN 0 ELSE coalesce(w.amount, 0) END AS entered
        FROM private.ledger_accounts AS a
        LEFT JOIN entered AS e ON e.account_id = a.id
        LEFT JOIN waiting AS w ON w.account_id = a.id
        WHERE a.balance <> coalesce(e.amount, 0) - CASE WHEN a.kind IN ('wallet', 'debt') THEN 0 ELSE coalesce(w.amount, 0) END
        ORDER BY a.id LIMIT 10
    ) AS drift;
END;

CREATE FUNCTION private.drifting_purchases() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    WITH posted AS (
        SELECT t.source_id,
               coalesce(sum(-e.amount) FILTER (WHERE a.kind = 'money_to_coins' AND e.currency = 'coins'), 0) AS coins,
               coalesce(sum(e.amount) FILTER (WHERE a.profile_id = c.profile_id), 0) AS buyers_coins,
               coalesce(sum(e.amount) FILTER (WHERE a.kind = 'money_to_coins' AND e.currency <> 'coins'), 0) AS cents,
               coalesce(sum(e.amount) FILTER (WHERE a.kind = 'suspense'), 0) AS held
        FROM private.ledger_transactions AS t
        JOIN public.ledger_entries AS e ON e.transaction_id = t.id
        JOIN private.ledger_accounts AS a ON a.id = e.account_id
        LEFT JOIN public.coin_purchases AS c ON c.id = t.source_id
        WHERE t.kind <> 'gift'
        GROUP BY t.source_id
    )
    SELECT string_agg(format('purchase P-%s says %s coins, its entries %s', drift.number, drift.posted_coins, drift.coins), '; ')
    FROM (
        SELECT c.number, c.posted_coins, coalesce(p.buyers_coins, 0) AS coins
        FROM public.coin_purchases AS c
        FULL JOIN posted AS p ON p.source_id = c.id
        WHERE (c.posted_coins, c.posted_coins, c.posted_cents, c.posted_held_cents)
            IS DISTINCT FROM (coalesce(p.coins, 0), coalesce(p.buyers_coins, 0), coalesce(p.cents, 0), coalesce(p.held, 0))
        ORDER BY c.number LIMIT 10
    ) AS drift;
END;

CREATE FUNCTION private.drifting_gifts() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    WITH posted AS (
        SELECT t.source_id,
               sum(-e.amount) FILTER (WHERE a.kind = 'wallet') AS price,
               array_agg(a.profile_id) FILTER (WHERE a.kind = 'wallet') AS senders,
               coalesce(sum(e.amount) FILTER (WHERE a.kind = 'earnings'), 0) AS streamer_share,
               array_agg(a.profile_id) FILTER (WHERE a.kind = 'earnings') AS recipients,
               coalesce(sum(e.amount) FILTER (WHERE a.kind = 'revenue'), 0) AS platform_share
        FROM private.ledger_transactions AS t
        LEFT JOIN public.ledger_entries AS e ON e.transaction_id = t.id
        LEFT JOIN private.ledger_accounts AS a ON a.id = e.account_id
        WHERE t.kind = 'gift'
        GROUP BY t.source_id
    )
    SELECT string_agg(format('gift %s and its transaction disagree', drift.id), '; ')
    FROM (
        SELECT coalesce(g.id, p.source_id) AS id
        FROM public.gifts AS g
        FULL JOIN posted AS p ON p.source_id = g.id
        WHERE (g.price, g.streamer_share, g.platform_share, ARRAY[g.sender_id], CASE WHEN g.streamer_share > 0 THEN ARRAY[g.recipient_id] END)
            IS DISTINCT FROM (p.price, p.streamer_share, p.platform_share, p.senders, p.recipients)
        LIMIT 10
    ) AS drift;
END;

-- Triggers that are gone, switched off, moved elsewhere, or that watch less than they should. The number is what
-- pg_trigger.tgtype says of when they fire: 1 for each row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate.
CREATE FUNCTION private.missing_guards() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT string_agg(format('trigger %s of %s is missing or disabled', g.name, g.place), '; ')
    FROM (VALUES
        ('ledger_transactions_append_only', 'private.ledger_transactions', 58, 'private.refuse_change'),
        ('ledger_entries_append_only', 'public.ledger_entries', 58, 'private.refuse_change'),
        ('ledger_entries_check', 'public.ledger_entries', 4, 'private.check_posting'),
        ('ledger_seals_append_only', 'private.ledger_seals', 58, 'private.refuse_change'),
        ('ledger_accounts_stay', 'private.ledger_accounts', 58, 'private.refuse_change'),
        ('gifts_append_only', 'public.gifts', 58, 'private.refuse_change'),
        ('coin_purchases_stay', 'public.coin_purchases', 58, 'private.refuse_change'),
        ('coin_purchases_transition', 'public.coin_purchases', 19, 'private.check_transition'),
        ('money_settings_stay', 'private.money_settings', 42, 'private.refuse_change'),
        ('money_settings_record', 'private.money_settings', 17, 'private.record_money_settings'),
        ('audit_log_append_only', 'private.audit_log', 58, 'private.refuse_change')
    ) AS g (name, place, fires, calls)
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_trigger AS t
        WHERE t.tgname = g.name AND t.tgrelid = to_regclass(g.place) AND t.tgfoid = to_regproc(g.calls)
            AND t.tgtype & g.fires = g.fires AND t.tgenabled IN ('O', 'A'));
END;

-- Each check with why it failed, or null. Needs one snapshot for all of them: the caller's transaction is REPEATABLE READ.
CREATE FUNCTION private.verify_ledger(p_head text DEFAULT NULL) RETURNS TABLE (check_name text, is_ok boolean, detail text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    v_status jsonb := private.ledger_status();
BEGIN
    IF current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM private.fail('LW005', 'The proof needs one snapshot.', 'BEGIN ISOLATION LEVEL REPEATABLE READ first.');
    END IF;
    RETURN QUERY
    SELECT c.name, c.wrong IS NULL, coalesce(c.wrong, c.good)
    FROM (
        SELECT 'transactions_sum_to_zero', 'every transaction, in every currency', (
            SELECT string_agg(format('transaction %s is off by %s %s', u.transaction_id, u.off, u.currency), '; ')
            FROM (SELECT e.transaction_id, e.currency, sum(e.amount) AS off FROM public.ledger_entries AS e
                  GROUP BY e.transaction_id, e.currency HAVING sum(e.amount) <> 0 LIMIT 10) AS u)
        UNION ALL
        SELECT 'transactions_have_entries', 'none is empty', (
            SELECT string_agg(format('transaction %s has no entries', u.id), '; ')
            FROM (SELECT t.id FROM private.ledger_transactions AS t
                  WHERE NOT EXISTS (SELECT FROM public.ledger_entries AS e WHERE e.transaction_id = t.id) LIMIT 10) AS u)
        UNION ALL
        SELECT 'entries_have_accounts', 'each of its currency', (
            SELECT string_agg(format('account %s of %s is missing', u.account_id, u.currency), '; ')
            FROM (SELECT DISTINCT e.account_id, e.currency FROM public.ledger_entries AS e
                  WHERE NOT EXISTS (SELECT FROM private.ledger_accounts AS a WHERE a.id = e.account_id AND a.currency = e.currency)
                  LIMIT 10) AS u)
        UNION ALL
        SELECT 'balances_match_entries', 'every account, with what waits', private.drifting_accounts()
        UNION ALL
        SELECT 'nobody_who_owes_can_spend', 'whoever has a debt has an empty wallet', (
            SELECT string_agg(format('%s owes and has coins', u.profile_id), '; ')
            FROM (SELECT d.profile_id FROM private.ledger_accounts AS d
                  JOIN private.ledger_accounts AS w ON w.profile_id = d.profile_id AND w.kind = 'wallet'
                  WHERE d.kind = 'debt' AND d.balance < 0 AND w.balance > 0 LIMIT 10) AS u)
        UNION ALL
        SELECT 'purchases_match_entries', 'every purchase', private.drifting_purchases()
        UNION ALL
        SELECT 'gifts_match_entries', 'every gift', private.drifting_gifts()
        UNION ALL
        SELECT 'seals_chain', format('%s transactions, head %s', v_status ->> 'transactions', v_status ->> 'head'), private.broken_seal()
        UNION ALL
        SELECT 'sealed_exactly_once', 'every transaction is sealed or waits', (
            SELECT format('%s transactions are in no seal, %s in more than one', lost.n, twice.n)
            FROM (SELECT count(*) AS n FROM private.ledger_transactions AS t
                  WHERE NOT EXISTS (SELECT FROM private.ledger_seals AS s, unnest(s.transaction_ids) AS x (id) WHERE x.id = t.id)
                      AND NOT EXISTS (SELECT FROM private.ledger_queue AS q WHERE q.transaction_id = t.id)) AS lost,
                 (SELECT count(*) AS n FROM (
                      SELECT FROM private.ledger_seals AS s, unnest(s.transaction_ids) AS x (id) GROUP BY x.id HAVING count(*) > 1) AS d) AS twice
            WHERE lost.n + twice.n > 0)
        UNION ALL
        SELECT 'sealed_in_time', format('%s wait', v_status ->> 'unsealed'),
            CASE WHEN NOT (v_status ->> 'is_healthy')::boolean THEN format(
                '%s transactions wait, the oldest for %s s: is a server or `livewall worker` running?',
                v_status ->> 'unsealed', v_status ->> 'oldest_unsealed_seconds') END
        UNION ALL
        SELECT 'history_is_guarded', 'every trigger stands', private.missing_guards()
        UNION ALL
        SELECT 'exported_head_is_in_the_chain', 'no rewritten history', CASE WHEN NOT EXISTS (
            SELECT FROM private.ledger_seals AS s WHERE encode(s.hash, 'hex') = lower(p_head)) THEN format('no seal has the head %s', p_head) END
        WHERE p_head IS NOT NULL AND lower(p_head) <> encode(private.first_hash(), 'hex')
    ) AS c (name, good, wrong);
END;
$$;
