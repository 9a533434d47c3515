-- livewall: after foundation, identity
-- Double entry: posting, folding, sealing; what people see of it. docs/money.md explains accounts and kinds.

-- History stands: no statement of anybody, the owner's included, changes or removes a row.
CREATE FUNCTION private.refuse_change() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM private.fail('LW090', format('%s: %s is refused, rows are only added.', TG_TABLE_NAME, TG_OP),
        'Post a correcting transaction instead.');
    RETURN NULL;
END;
$$;
CREATE TRIGGER ledger_transactions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON private.ledger_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change();
CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON public.ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change();
CREATE TRIGGER ledger_seals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON private.ledger_seals
    FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change();
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON private.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change();
-- An account's balance moves; what it is does not.
CREATE TRIGGER ledger_accounts_stay BEFORE DELETE OR TRUNCATE OR UPDATE OF id, kind, profile_id, currency ON private.ledger_accounts
    FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change();

-- Every statement that adds entries leaves each transaction at zero in each currency, on accounts that exist. The account
-- is looked up by a scalar subquery, which no plan turns into a scan of all accounts.
CREATE FUNCTION private.check_posting() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM posted AS p GROUP BY p.transaction_id, p.currency HAVING sum(p.amount) <> 0)
        OR EXISTS (
            SELECT FROM posted AS p
            WHERE (SELECT a.currency FROM private.ledger_accounts AS a WHERE a.id = p.account_id) IS DISTINCT FROM p.currency)
    THEN
        PERFORM private.fail('LW091', 'The entries do not sum to zero, or name an account that does not exist in their currency.',
            'Post every side of the transaction in one statement, on accounts of its currency.');
    END IF;
    RETURN NULL;
END;
$$;
CREATE TRIGGER ledger_entries_check AFTER INSERT ON public.ledger_entries REFERENCING NEW TABLE AS posted
    FOR EACH STATEMENT EXECUTE FUNCTION private.check_posting();

-- The account of a person, made at its first use.
CREATE FUNCTION private.account_of(p_profile_id uuid, p_kind text, p_currency text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_id bigint;
BEGIN
    LOOP
        SELECT a.id INTO v_id FROM private.ledger_accounts AS a
        WHERE a.profile_id = p_profile_id AND a.kind = p_kind AND a.currency = p_currency;
        IF v_id IS NOT NULL THEN
            RETURN v_id;
        END IF;
        INSERT INTO private.ledger_accounts (profile_id, kind, currency) VALUES (p_profile_id, p_kind, p_currency)
        ON CONFLICT ON CONSTRAINT ledger_accounts_once DO NOTHING;
    END LOOP;
END;
$$;

-- The platform's account for money of one currency; the one of US dollars is there from the start.
CREATE FUNCTION private.platform_account(p_kind text, p_currency text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_id bigint;
BEGIN
    INSERT INTO private.ledger_accounts (kind, currency)
    SELECT p_kind, p_currency
    WHERE NOT EXISTS (
        SELECT FROM private.ledger_accounts AS a WHERE a.profile_id IS NULL AND a.kind = p_kind AND a.currency = p_currency)
    ON CONFLICT ON CONSTRAINT ledger_accounts_once DO NOTHING;
    SELECT a.id INTO v_id FROM private.ledger_accounts AS a
    WHERE a.profile_id IS NULL AND a.kind = p_kind AND a.currency = p_currency;
    RETURN v_id;
END;
$$;

-- Adds a transaction with its entries, and queues it. Zero amounts are left out. Balances of wallets and debts are the
-- caller's to move (private.move), all others are folded in later: so no account of the platform or of a popular streamer
-- is a row that everybody waits for.
CREATE FUNCTION private.post(p_kind text, p_source_id uuid, p_accounts bigint[], p_currencies text[], p_amounts bigint[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_id bigint;
BEGIN
    INSERT INTO private.ledger_transactions (kind, source_id) VALUES (p_kind, p_source_id) RETURNING id INTO v_id;
    INSERT INTO public.ledger_entries (transaction_id, line, account_id, currency, amount)
    SELECT v_id, e.line, e.account_id, e.currency, e.amount
    FROM unnest(p_accounts, p_currencies, p_amounts) WITH ORDINALITY AS e (account_id, currency, amount, line)
    WHERE e.amount <> 0;
    INSERT INTO private.ledger_queue (transaction_id) VALUES (v_id);
    RETURN v_id;
END;
$$;

CREATE FUNCTION private.move(p_account_id bigint, p_amount bigint) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE private.ledger_accounts SET balance = balance + p_amount WHERE id = p_account_id AND p_amount <> 0;
END;

CREATE FUNCTION private.tell(p_kind text, p_profile_id uuid, p_source_id uuid DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO private.outbox (kind, profile_id, source_id) VALUES (p_kind, p_profile_id, p_source_id);
END;

-- Whoever has a shell on the server may act in anybody's name: then the caller's claims say `via`, and so does the log.
CREATE FUNCTION private.audit(p_actor_id uuid, p_action text, p_subject text, p_details jsonb DEFAULT '{}') RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO private.audit_log (actor_id, action, subject, details)
    VALUES (p_actor_id, p_action, p_subject, p_details || jsonb_strip_nulls(jsonb_build_object('via', auth.jwt() ->> 'via')));
END;

-- Folding and sealing ----------------------------------------------------------------------------------------------

-- What a seal says: every transaction with every entry and whose it is, as text, in order, behind the hash of the seal before.
CREATE FUNCTION private.seal_hash(p_previous bytea, p_transaction_ids bigint[]) RETURNS bytea
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
BEGIN ATOMIC
    SELECT sha256(p_previous || convert_to(coalesce(string_agg(
        concat_ws('|', t.id, t.kind, t.source_id, (extract(epoch FROM t.created_at) * 1000000)::bigint,
            e.line, e.account_id, a.kind, a.profile_id, e.currency, e.amount),
        E'\n' ORDER BY t.id, e.line), ''), 'UTF8'))
    FROM unnest(p_transaction_ids) AS sealed (id)
    LEFT JOIN private.ledger_transactions AS t ON t.id = sealed.id
    LEFT JOIN public.ledger_entries AS e ON e.transaction_id = t.id
    LEFT JOIN private.ledger_accounts AS a ON a.id = e.account_id;
END;

CREATE FUNCTION private.first_hash() RETURNS bytea
LANGUAGE sql IMMUTABLE
RETURN sha256('livewall ledger'::bytea);

-- One folder at a time; whoever comes meanwhile has nothing to do.
CREATE FUNCTION private.fold(p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    v_ids bigint[];
    v_last private.ledger_seals;
    v_previous bytea;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ledger fold', 0)) THEN
        RETURN 0;
    END IF;
    WITH taken AS (
        DELETE FROM private.ledger_queue AS q
        WHERE q.transaction_id IN (
            SELECT w.transaction_id FROM private.ledger_queue AS w ORDER BY w.transaction_id LIMIT p_limit)
        RETURNING q.transaction_id
    )
    SELECT array_agg(transaction_id ORDER BY transaction_id) INTO v_ids FROM taken;
    IF v_ids IS NULL THEN
        RETURN 0;
    END IF;
    UPDATE private.ledger_accounts AS a SET balance = a.balance + moved.amount
    FROM (
        SELECT e.account_id, sum(e.amount)::bigint AS amount
        FROM public.ledger_entries AS e
        WHERE e.transaction_id = ANY (v_ids)
        GROUP BY e.account_id
    ) AS moved
    WHERE a.id = moved.account_id AND a.kind NOT IN ('wallet', 'debt');
    SELECT * INTO v_last FROM private.ledger_seals ORDER BY number DESC LIMIT 1;
    v_previous := coalesce(v_last.hash, private.first_hash());
    INSERT INTO private.ledger_seals (number, transaction_ids, total_transactions, previous_hash, hash)
    VALUES (coalesce(v_last.number, 0) + 1, v_ids, coalesce(v_last.total_transactions, 0) + cardinality(v_ids),
        v_previous, private.seal_hash(v_previous, v_ids));
    RETURN cardinality(v_ids);
END;
$$;

CREATE FUNCTION public.fold_ledger(p_limit integer DEFAULT 5000) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN jsonb_build_object('transactions', private.fold(p_limit));
COMMENT ON FUNCTION public.fold_ledger IS 'Folds waiting transactions into balances and seals them: {transactions}. Run every half second.';
GRANT EXECUTE ON FUNCTION public.fold_ledger TO service_role;

-- What an account has with what waits to be folded into it. Wallets and debts are always up to date.
CREATE FUNCTION private.waiting_for(p_account_id bigint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(sum(e.amount), 0)::bigint
    FROM private.ledger_queue AS q
    JOIN public.ledger_entries AS e ON e.transaction_id = q.transaction_id
    WHERE e.account_id = p_account_id;
END;

CREATE FUNCTION private.balance_of(p_profile_id uuid, p_kind text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(sum(a.balance + CASE WHEN a.kind IN ('wallet', 'debt') THEN 0 ELSE private.waiting_for(a.id) END), 0)::bigint
    FROM private.ledger_accounts AS a
    WHERE a.profile_id = p_profile_id AND a.kind = p_kind;
END;

-- What people see --------------------------------------------------------------------------------------------------

CREATE FUNCTION private.my_ledger_accounts() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN ARRAY(SELECT a.id FROM private.ledger_accounts AS a WHERE a.profile_id = auth.uid());
GRANT EXECUTE ON FUNCTION private.my_ledger_accounts TO authenticated;

-- The first condition lets the index of people's accounts serve the second.
CREATE POLICY ledger_entries_select_own ON public.ledger_entries FOR SELECT TO authenticated
    USING (account_id >= 100 AND account_id = ANY ((SELECT private.my_ledger_accounts())::bigint[]));
GRANT SELECT ON public.ledger_entries TO authenticated;

CREATE FUNCTION private.wallet_json(p_profile_id uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN jsonb_build_object(
    'coins', private.balance_of(p_profile_id, 'wallet'),
    'debt', -private.balance_of(p_profile_id, 'debt'),
    'is_frozen', private.balance_of(p_profile_id, 'debt') < 0,
    'held_coins', (
        SELECT coalesce(sum(c.coin_amount), 0) FROM public.coin_purchases AS c
        WHERE c.profile_id = p_profile_id AND c.status IN ('held', 'approved')),
    'earnings', private.balance_of(p_profile_id, 'earnings'));

CREATE FUNCTION public.my_wallet() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN private.wallet_json(private.require_caller());
COMMENT ON FUNCTION public.my_wallet IS 'The caller''s money, what waits to be folded included: {coins, debt, is_frozen, held_coins, earnings}.';
GRANT EXECUTE ON FUNCTION public.my_wallet TO authenticated;

-- A line of a statement in words: the gift and the other side of it, or the purchase by its number.
CREATE FUNCTION private.statement_line(p_profile_id uuid, p_kind text, p_source_id uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT CASE WHEN p_kind = 'gift' THEN (
        SELECT jsonb_build_object('title', t.title, 'counterpart',
            private.person_json(CASE WHEN g.sender_id = p_profile_id THEN g.recipient_id ELSE g.sender_id END))
        FROM public.gifts AS g JOIN public.gift_types AS t ON t.id = g.gift_type_id
        WHERE g.id = p_source_id)
    ELSE (
        SELECT jsonb_build_object('title', 'P-' || c.number, 'counterpart', NULL)
        FROM public.coin_purchases AS c
        WHERE c.id = p_source_id)
    END;
END;

-- A cursor is the transaction where the page before ended. What is newer is added up anew for each page: a transaction may
-- commit after one with a higher id, and a balance that was carried along would be without it.
CREATE FUNCTION public.list_statement(p_currency text DEFAULT 'coins', p_cursor text DEFAULT NULL, p_limit integer DEFAULT 50)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
    v_limit integer := greatest(1, least(p_limit, 100));
    v_kinds text[] := CASE p_currency WHEN 'coins' THEN ARRAY['wallet', 'debt'] WHEN 'earnings' THEN ARRAY['earnings'] END;
    v_accounts bigint[];
    v_before bigint;
    v_balance bigint;
    v_page jsonb;
BEGIN
    IF v_kinds IS NULL THEN
        PERFORM private.fail('LW005', 'There are statements of coins and of earnings.', 'Use coins or earnings.');
    ELSIF p_cursor !~ '^\d{1,18}$' THEN
        PERFORM private.fail('LW005', 'This is not a cursor.', 'Use the `next` of the page before.');
    END IF;
    v_accounts := ARRAY(SELECT a.id FROM private.ledger_accounts AS a WHERE a.profile_id = v_caller AND a.kind = ANY (v_kinds));
    v_before := coalesce(p_cursor::bigint, 9223372036854775807);
    SELECT (SELECT sum(private.balance_of(v_caller, kind)) FROM unnest(v_kinds) AS kind) - coalesce(sum(e.amount), 0) INTO v_balance
    FROM public.ledger_entries AS e
    WHERE e.account_id = ANY (v_accounts) AND e.account_id >= 100 AND e.transaction_id >= v_before;
    WITH line AS (
        SELECT e.transaction_id, sum(e.amount)::bigint AS amount
        FROM public.ledger_entries AS e
        WHERE e.account_id = ANY (v_accounts) AND e.account_id >= 100 AND e.transaction_id < v_before
        GROUP BY e.transaction_id
        ORDER BY e.transaction_id DESC
        LIMIT v_limit + 1
    ), numbered AS (
        SELECT l.*, row_number() OVER newest AS n,
               v_balance - coalesce(sum(l.amount) OVER (newest ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS balance
        FROM line AS l
        WINDOW newest AS (ORDER BY l.transaction_id DESC)
    )
    SELECT jsonb_build_object(
        'entries', coalesce(jsonb_agg(jsonb_build_object(
            'transaction_id', n.transaction_id, 'kind', t.kind, 'amount', n.amount, 'balance', n.balance,
            'created_at', t.created_at, 'source_id', t.source_id)
            || coalesce(private.statement_line(v_caller, t.kind, t.source_id), '{"title": "", "counterpart": null}')
            ORDER BY n.n) FILTER (WHERE n.n <= v_limit), '[]'),
        'next', CASE WHEN count(*) > v_limit THEN (min(n.transaction_id) FILTER (WHERE n.n = v_limit))::text END)
    INTO v_page
    FROM numbered AS n
    JOIN private.ledger_transactions AS t ON t.id = n.transaction_id;
    RETURN v_page;
END;
$$;
COMMENT ON FUNCTION public.list_statement IS 'The caller''s coins or earnings, newest first, each with the balance after it: {entries, next}.';
GRANT EXECUTE ON FUNCTION public.list_statement TO authenticated;

-- What operators see -----------------------------------------------------------------------------------------------

CREATE FUNCTION private.ledger_head() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(
        (SELECT jsonb_build_object('number', s.number, 'hash', encode(s.hash, 'hex'), 'transactions', s.total_transactions,
             'sealed_at', s.sealed_at)
         FROM private.ledger_seals AS s ORDER BY s.number DESC LIMIT 1),
        jsonb_build_object('number', 0, 'hash', encode(private.first_hash(), 'hex'), 'transactions', 0, 'sealed_at', NULL));
END;

CREATE FUNCTION private.ledger_status() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH queue AS (
        SELECT count(*) AS unsealed, coalesce(extract(epoch FROM private.clock() - min(q.queued_at)), 0) AS oldest
        FROM private.ledger_queue AS q
    ), head AS (SELECT private.ledger_head() AS head)
    SELECT jsonb_build_object(
        'head', h.head -> 'hash', 'sealed_at', h.head -> 'sealed_at', 'transactions', h.head -> 'transactions',
        'unsealed', q.unsealed, 'oldest_unsealed_seconds', round(q.oldest, 1), 'is_healthy', q.oldest <= 5)
    FROM queue AS q, head AS h;
END;

CREATE FUNCTION public.ledger_status() RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM private.require_operator();
    RETURN private.ledger_status();
END;
$$;
COMMENT ON FUNCTION public.ledger_status IS 'For finance: {head, sealed_at, transactions, unsealed, oldest_unsealed_seconds, is_healthy}.';
GRANT EXECUTE ON FUNCTION public.ledger_status TO authenticated, service_role;

CREATE FUNCTION public.list_audit(p_before bigint DEFAULT NULL, p_limit integer DEFAULT 50) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_limit integer := greatest(1, least(p_limit, 100));
BEGIN
    PERFORM private.require_operator();
    RETURN (
        WITH page AS (
            SELECT l.*, row_number() OVER (ORDER BY l.id DESC) AS n FROM private.audit_log AS l
            WHERE p_before IS NULL OR l.id < p_before
            ORDER BY l.id DESC LIMIT v_limit + 1
        )
        SELECT jsonb_build_object(
            'entries', coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'at', p.at, 'actor', private.person_json(p.actor_id),
                'actor_id', p.actor_id, 'action', p.action, 'subject', p.subject,
                'buyer', private.person_json((p.details ->> 'buyer_id')::uuid), 'details', p.details) ORDER BY p.n) FILTER (WHERE p.n <= v_limit), '[]'),
            'next', CASE WHEN count(*) > v_limit THEN min(p.id) FILTER (WHERE p.n <= v_limit) END)
        FROM page AS p);
END;
$$;
COMMENT ON FUNCTION public.list_audit IS 'For finance: what staff and system did, newest first: {entries, next}.';
GRANT EXECUTE ON FUNCTION public.list_audit TO authenticated, service_role;
