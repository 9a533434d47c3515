-- livewall: after ledger, purchases, settlement, approvals, gifts, money_settings, openings
-- The proof: everything the ledger promises, recomputed from its entries. `livewall ledger verify` prints it.

CREATE FUNCTION private.broken_seal() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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

-- What the transactions of a purchase come to, account by account. They touch the platform's accounts for money, its
-- account for the coins that are sold, and the buyer's wallet and debt; whatever else they touch is a stranger's.
CREATE FUNCTION private.drifting_purchases() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH netted AS (
        SELECT t.source_id, e.account_id, sum(e.amount) AS amount
        FROM private.ledger_transactions AS t
        JOIN public.ledger_entries AS e ON e.transaction_id = t.id
        WHERE t.kind NOT IN ('gift', 'opening')
        GROUP BY t.source_id, e.account_id
    ), placed AS (
        SELECT n.source_id, n.account_id, n.amount, CASE
            WHEN a.kind = 'money_to_coins' AND a.currency = 'coins' THEN 'sold'
            WHEN a.kind IN ('wallet', 'debt') AND a.currency = 'coins' AND a.profile_id = c.profile_id THEN 'buyer'
            WHEN a.kind NOT IN ('provider', 'suspense', 'money_to_coins') THEN 'stranger'
            WHEN a.currency = c.posted_currency THEN a.kind
            -- What came in a currency that counts no more has gone back whole.
            WHEN n.amount <> 0 THEN 'stranger' END AS place
        FROM netted AS n
        JOIN private.ledger_accounts AS a ON a.id = n.account_id
        LEFT JOIN public.coin_purchases AS c ON c.id = n.source_id
    ), posted AS (
        SELECT p.source_id,
               coalesce(sum(-p.amount) FILTER (WHERE p.place = 'sold'), 0) AS coins,
               coalesce(sum(p.amount) FILTER (WHERE p.place = 'buyer'), 0) AS buyers_coins,
               coalesce(sum(p.amount) FILTER (WHERE p.place = 'money_to_coins'), 0) AS cents,
               coalesce(sum(p.amount) FILTER (WHERE p.place = 'suspense'), 0) AS held,
               string_agg(p.account_id::text, ', ' ORDER BY p.account_id) FILTER (WHERE p.place = 'stranger') AS strangers
        FROM placed AS p
        GROUP BY p.source_id
    )
    SELECT string_agg(format('%s has %s coins, its entries %s', drift.name, drift.posted_coins, drift.coins)
        || coalesce(', and they touch account ' || drift.strangers, ''), '; ')
    FROM (
        SELECT coalesce('purchase P-' || c.number, 'no purchase ' || p.source_id) AS name,
               coalesce(c.posted_coins, 0) AS posted_coins, coalesce(p.buyers_coins, 0) AS coins, p.strangers
        FROM public.coin_purchases AS c
        FULL JOIN posted AS p ON p.source_id = c.id
        WHERE (c.posted_coins, c.posted_coins, c.posted_cents, c.posted_held_cents, NULL)
            IS DISTINCT FROM (coalesce(p.coins, 0), coalesce(p.buyers_coins, 0), coalesce(p.cents, 0), coalesce(p.held, 0), p.strangers)
        ORDER BY c.number LIMIT 10
    ) AS drift;
END;

-- Purchases that are not what follows from their facts, whatever their entries say. The facts themselves are from outside:
-- only the provider's own list can prove those.
CREATE FUNCTION private.unfounded_purchases() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH refunded AS (
        SELECT r.purchase_id, sum(r.amount_cents) AS cents
        FROM private.refunds AS r JOIN public.coin_purchases AS c ON c.id = r.purchase_id AND c.currency = r.currency
        WHERE r.status = 'succeeded' GROUP BY r.purchase_id
    ), disputed AS (
        SELECT d.purchase_id, sum(d.amount_cents) AS cents, max(d.status) AS state
        FROM private.disputes AS d JOIN public.coin_purchases AS c ON c.id = d.purchase_id AND c.currency = d.currency
        WHERE d.status <> 'won' GROUP BY d.purchase_id
    )
    SELECT string_agg(format('purchase P-%s is %s with %s coins, its facts say %s with %s',
        drift.number, drift.status, drift.posted_coins, drift.status_due, drift.coins_due), '; ')
    FROM (
        SELECT c.number, c.status, c.posted_coins, private.purchase_status(c) AS status_due, private.coins_due(c) AS coins_due
        FROM public.coin_purchases AS c
        LEFT JOIN refunded AS r ON r.purchase_id = c.id
        LEFT JOIN disputed AS d ON d.purchase_id = c.id
        WHERE (c.status, c.posted_coins, c.posted_cents, c.posted_held_cents, c.completed_at IS NOT NULL,
                c.refunded_cents, c.disputed_cents, c.dispute_state)
            IS DISTINCT FROM (private.purchase_status(c), private.coins_due(c), private.cents_due(c), private.held_cents_due(c),
                private.is_credited(c), coalesce(r.cents, 0), coalesce(d.cents, 0), d.state)
            OR (c.posted_currency <> c.currency AND c.posted_cents + c.posted_held_cents > 0)
        ORDER BY c.number LIMIT 10
    ) AS drift;
END;

-- Money of rejected and expired purchases that stays here although nobody is giving it back.
CREATE FUNCTION private.kept_money() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT string_agg(format('%s cents of purchase P-%s are neither returned nor ordered to be: refund them', kept.cents, kept.number), '; ')
    FROM (
        SELECT c.number, private.refundable_cents(c) AS cents
        FROM public.coin_purchases AS c
        WHERE c.decision IN ('reject', 'expire') AND c.captured_cents > c.refunded_cents + c.disputed_cents
            AND private.refundable_cents(c) > 0
        ORDER BY c.number LIMIT 10
    ) AS kept;
END;

-- Decisions without a line of the audit log by whom they are due: a person who is not the buyer, or for what expired and
-- what a buyer left behind the job.
CREATE FUNCTION private.unnamed_decisions() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT string_agg(format('no line of the audit log names who may have decided purchase P-%s: %s', unnamed.number, unnamed.decision), '; ')
    FROM (
        SELECT c.number, c.decision
        FROM public.coin_purchases AS c
        LEFT JOIN public.profiles AS p ON p.id = c.profile_id
        WHERE c.decision IS NOT NULL AND NOT EXISTS (
            SELECT FROM private.audit_log AS l
            WHERE l.subject = c.id::text
                AND l.action = CASE c.decision
                    WHEN 'approve' THEN 'purchase_approved' WHEN 'reject' THEN 'purchase_rejected' ELSE 'purchase_expired' END
                AND CASE WHEN c.decision = 'expire' THEN l.actor_id IS NULL
                    ELSE l.actor_id <> c.profile_id OR (c.decision = 'reject' AND l.actor_id IS NULL AND p.id IS NULL) END)
        ORDER BY c.number LIMIT 10
    ) AS unnamed;
END;

-- A gift is one transaction: its price from the sender's wallet, the shares to the recipient and the platform, and both sides
-- of turning coins into earnings. As many entries as that, each where it belongs, so none is anywhere else. Whose accounts
-- they are is looked up once per transaction: there are far more entries than anything else.
CREATE FUNCTION private.drifting_gifts() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH entered AS (
        SELECT e.transaction_id, count(*) AS entries,
               sum(e.amount) FILTER (WHERE e.account_id = 5) AS given_coins,
               sum(e.amount) FILTER (WHERE e.account_id = 6) AS given_earnings,
               coalesce(sum(e.amount) FILTER (WHERE e.account_id = 7), 0) AS revenue,
               sum(e.amount) FILTER (WHERE e.account_id >= 100 AND e.currency = 'coins') AS paid,
               min(e.account_id) FILTER (WHERE e.account_id >= 100 AND e.currency = 'coins') AS payer,
               coalesce(sum(e.amount) FILTER (WHERE e.account_id >= 100 AND e.currency = 'earnings'), 0) AS earned,
               min(e.account_id) FILTER (WHERE e.account_id >= 100 AND e.currency = 'earnings') AS earner
        FROM public.ledger_entries AS e
        GROUP BY e.transaction_id
    ), posted AS (
        SELECT t.source_id, s.profile_id AS sender_id, r.profile_id AS recipient_id, p.*
        FROM private.ledger_transactions AS t
        LEFT JOIN entered AS p ON p.transaction_id = t.id
        LEFT JOIN private.ledger_accounts AS s ON s.id = p.payer AND s.kind = 'wallet'
        LEFT JOIN private.ledger_accounts AS r ON r.id = p.earner AND r.kind = 'earnings'
        WHERE t.kind = 'gift'
    )
    SELECT string_agg(drift.what, '; ')
    FROM (
        SELECT format('gift %s and its transaction disagree', coalesce(g.id, p.source_id)) AS what
        FROM public.gifts AS g
        FULL JOIN posted AS p ON p.source_id = g.id
        WHERE (g.sender_id, CASE WHEN g.streamer_share > 0 THEN g.recipient_id END, -g.price, g.price, -g.price,
                g.streamer_share, g.platform_share, 3 + (g.streamer_share > 0)::integer + (g.platform_share > 0)::integer)
            IS DISTINCT FROM (p.sender_id, p.recipient_id, p.paid, p.given_coins, p.given_earnings,
                p.earned, p.revenue, p.entries)
        UNION ALL
        SELECT format('gift %s has %s transactions', t.source_id, count(*))
        FROM private.ledger_transactions AS t WHERE t.kind = 'gift' GROUP BY t.source_id HAVING count(*) > 1
        LIMIT 10
    ) AS drift;
END;

-- Triggers that are gone, switched off, moved elsewhere, or that watch less than they should; and what they call, by the
-- SHA-256 of its text: whoever changes one of these functions on purpose writes down what the check then says.
CREATE FUNCTION private.missing_guards() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH guard (name, fires) AS (VALUES
        ('ledger_transactions_append_only', 'BEFORE DELETE OR UPDATE OR TRUNCATE ON private.ledger_transactions'),
        ('ledger_entries_append_only', 'BEFORE DELETE OR UPDATE OR TRUNCATE ON public.ledger_entries'),
        ('ledger_seals_append_only', 'BEFORE DELETE OR UPDATE OR TRUNCATE ON private.ledger_seals'),
        ('ledger_accounts_stay', 'BEFORE DELETE OR UPDATE OF id, kind, profile_id, currency OR TRUNCATE ON private.ledger_accounts'),
        ('gifts_append_only', 'BEFORE DELETE OR UPDATE OR TRUNCATE ON public.gifts'),
        ('coin_purchases_stay', 'BEFORE DELETE OR UPDATE OF id, number, profile_id, coin_amount, usd_amount, requires_approval, '
            'max_purchase_limit, purchased_at OR TRUNCATE ON public.coin_purchases'),
        ('money_settings_stay', 'BEFORE DELETE OR TRUNCATE ON private.money_settings'),
        ('audit_log_append_only', 'BEFORE DELETE OR UPDATE OR TRUNCATE ON private.audit_log')
    ), trigger (definition) AS (
        SELECT format('CREATE TRIGGER %s %s FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change()', g.name, g.fires) FROM guard AS g
        UNION ALL VALUES
        ('CREATE TRIGGER ledger_entries_check AFTER INSERT ON public.ledger_entries REFERENCING NEW TABLE AS posted '
            'FOR EACH STATEMENT EXECUTE FUNCTION private.check_posting()'),
        ('CREATE TRIGGER coin_purchases_transition BEFORE UPDATE OF status ON public.coin_purchases '
            'FOR EACH ROW WHEN ((old.status <> new.status)) EXECUTE FUNCTION private.check_transition()'),
        ('CREATE TRIGGER money_settings_record AFTER UPDATE ON private.money_settings '
            'FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION private.record_money_settings()')
    ), called (name, hash) AS (VALUES
        ('private.refuse_change', '617abbbe3ace83dd2f5436d7da6fd598cd7be38c701cfe29d4a4380053961d70'),
        ('private.check_posting', '7b2fe05027db67c0b900f54bd6aa473c6516f184263f25bbfc3acef1926deaf1'),
        ('private.check_transition', '295836759f8eee154492dbd654452b7b683f9f1c9caada146973d07af2f8edfd'),
        ('private.record_money_settings', '6c4433a05da8366f87405d6fbed00a41ff7d0b9ab7a62ea549899b5c24ebd52f')
    ), found (name, hash) AS (
        SELECT c.name, encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex')
        FROM called AS c JOIN pg_catalog.pg_proc AS p ON p.oid = to_regproc(c.name)
    ), wrong (what) AS (
        SELECT format('missing or disabled: %s', t.definition) FROM trigger AS t
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_trigger AS g WHERE pg_get_triggerdef(g.oid) = t.definition AND g.tgenabled IN ('O', 'A'))
        UNION ALL
        SELECT format('function %s is another: %s', c.name, coalesce(f.hash, 'none')) FROM called AS c LEFT JOIN found AS f ON f.name = c.name
        WHERE f.hash IS DISTINCT FROM c.hash
    )
    SELECT string_agg(w.what, '; ') FROM wrong AS w;
END;

-- Each check with why it failed, or null. Needs one snapshot for all of them: the caller's transaction is REPEATABLE READ.
CREATE FUNCTION private.verify_ledger(p_head text DEFAULT NULL) RETURNS TABLE (check_name text, is_ok boolean, detail text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_status jsonb := private.ledger_status();
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('repeatable read', 'serializable') THEN
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
        SELECT 'purchases_follow_from_facts', 'every state, coin and cent', private.unfounded_purchases()
        UNION ALL
        SELECT 'refused_money_goes_back', 'what was rejected or expired', private.kept_money()
        UNION ALL
        SELECT 'decisions_are_on_record', 'every one names who may', private.unnamed_decisions()
        UNION ALL
        SELECT 'settings_are_on_record', 'every change', private.untold_settings()
        UNION ALL
        SELECT 'purchases_kept_to_the_rules', 'as they were in force', private.unruly_purchases()
        UNION ALL
        SELECT 'gifts_match_entries', 'every gift', private.drifting_gifts()
        UNION ALL
        SELECT 'openings_match_the_move', 'none, or those of the previous schema', private.drifting_openings()
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
        SELECT 'exported_head_is_in_the_chain', 'one of its seals has it', CASE WHEN NOT EXISTS (
            SELECT FROM private.ledger_seals AS s WHERE encode(s.hash, 'hex') = lower(p_head)) THEN format('no seal has the head %s', p_head) END
        WHERE p_head IS NOT NULL AND lower(p_head) <> encode(private.first_hash(), 'hex')
    ) AS c (name, good, wrong);
END;
$$;
