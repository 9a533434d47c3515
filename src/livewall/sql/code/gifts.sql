-- livewall: after foundation, identity, social, streams, chat, ledger
-- Gifts: the sender pays inline, streamer and platform are folded in; chat hears of it through the outbox.

CREATE POLICY gift_types_select_all ON public.gift_types FOR SELECT TO anon, authenticated, service_role USING (true);
GRANT SELECT ON public.gift_types TO anon, authenticated, service_role;
CREATE POLICY gifts_select_all ON public.gifts FOR SELECT TO anon, authenticated, service_role USING (true);
GRANT SELECT ON public.gifts TO anon, authenticated, service_role;

CREATE TRIGGER gifts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON public.gifts
    FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change();

CREATE FUNCTION public.list_gift_types() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'title', t.title, 'emoji', t.emoji, 'price', t.price)
        ORDER BY t.price, t.id), '[]')
    FROM public.gift_types AS t
    WHERE t.is_active;
END;
COMMENT ON FUNCTION public.list_gift_types IS 'What can be given, cheapest first: [{id, title, emoji, price}].';
GRANT EXECUTE ON FUNCTION public.list_gift_types TO anon, authenticated;

-- Who repeats a key gets the same id, and so meets the primary key: 128 bits of SHA-256 in the form of a UUID.
CREATE FUNCTION private.gift_id(p_sender_id uuid, p_key text) RETURNS uuid
LANGUAGE sql IMMUTABLE
RETURN encode(substr(sha256(convert_to(p_sender_id || ' ' || p_key, 'UTF8')), 1, 16), 'hex')::uuid;

CREATE FUNCTION private.gift_json(p_gift public.gifts, p_type public.gift_types, p_coins bigint, p_is_repeat boolean) RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN jsonb_build_object(
    'gift_id', p_gift.id, 'gift_type_id', p_type.id, 'title', p_type.title, 'emoji', p_type.emoji, 'price', p_gift.price,
    'streamer_share', p_gift.streamer_share, 'platform_share', p_gift.platform_share, 'coins', p_coins, 'is_repeat', p_is_repeat);

-- The answer to a key that was used before: the first one if the content is the same, else a refusal. Null for a new key.
CREATE FUNCTION private.repeated_gift(
    p_id uuid, p_recipient_id uuid, p_gift_type_id text, p_slot_index integer, p_live_stream_id uuid) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_gift public.gifts;
    v_type public.gift_types;
BEGIN
    SELECT * INTO v_gift FROM public.gifts WHERE id = p_id;
    IF v_gift.id IS NULL THEN
        RETURN NULL;
    ELSIF (v_gift.recipient_id, v_gift.gift_type_id, v_gift.slot_index::integer, v_gift.live_stream_id)
        IS DISTINCT FROM (p_recipient_id, p_gift_type_id, p_slot_index, p_live_stream_id)
    THEN
        PERFORM private.fail('LW075', 'This idempotency key was used for another gift.', 'Use a new key for each gift.');
    END IF;
    SELECT * INTO v_type FROM public.gift_types WHERE id = v_gift.gift_type_id;
    RETURN private.gift_json(v_gift, v_type, private.balance_of(v_gift.sender_id, 'wallet'), true);
END;
$$;

-- Raises if a gift can not be sent at all, however many coins there are.
CREATE FUNCTION private.refuse_gift(
    p_sender_id uuid, p_recipient_id uuid, p_gift_type_id text, p_slot_index integer, p_live_stream_id uuid) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_slot_index IS NULL OR p_slot_index NOT BETWEEN 1 AND 12 THEN
        PERFORM private.fail('LW040', 'A slot is a whole number from 1 to 12.', 'Send the slot of your own wall.');
    ELSIF p_recipient_id = p_sender_id THEN
        PERFORM private.fail('LW082', 'A gift goes to somebody else.', 'Choose another streamer.');
    ELSIF p_recipient_id IS NULL OR NOT EXISTS (SELECT FROM public.profiles AS p WHERE p.id = p_recipient_id) THEN
        PERFORM private.fail('LW004', 'There is no such person.', 'Reload your wall.');
    ELSIF private.is_blocked_pair(p_sender_id, p_recipient_id) THEN
        PERFORM private.fail('LW022', 'You can not send this person a gift.', 'One of you has blocked the other.');
    ELSIF NOT EXISTS (SELECT FROM public.gift_types AS t WHERE t.id = p_gift_type_id AND t.is_active) THEN
        PERFORM private.fail('LW004', 'There is no such gift.', 'Reload the list of gifts.');
    ELSIF p_live_stream_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM public.live_streams AS s WHERE s.id = p_live_stream_id AND s.streamer_id = p_recipient_id)
    THEN
        PERFORM private.fail('LW004', 'This stream is not theirs.', 'Reload your wall.');
    ELSIF EXISTS (SELECT FROM public.live_streams AS s WHERE s.id = p_live_stream_id AND NOT s.live_available) THEN
        PERFORM private.fail('LW021', 'This stream has ended.', 'Wait until it is live again.');
    END IF;
END;
$$;

CREATE FUNCTION private.refuse_spending(p_sender_id uuid, p_price bigint) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_coins bigint := private.balance_of(p_sender_id, 'wallet');
    v_debt bigint := -private.balance_of(p_sender_id, 'debt');
BEGIN
    IF v_debt > 0 THEN
        PERFORM private.fail('LW081', format('You owe %s coins from a refunded or disputed purchase.', v_debt),
            'Buy coins: they repay the debt first, then you can spend again.', jsonb_build_object('debt', v_debt));
    END IF;
    PERFORM private.fail('LW080', format('This costs %s coins, you have %s.', p_price, v_coins), 'Buy coins first.',
        jsonb_build_object('price', p_price, 'coins', v_coins));
END;
$$;

-- Gives what can simply be given, each gift with all its rows, in one statement; answers by position, from 1. What has no
-- answer is a repeat, a refusal, a second gift of the same sender or the first to a streamer: process_gift says which.
-- The streamer gets the whole coins of their share, the platform the rest.
CREATE FUNCTION private.give(p_gifts jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- The platform's accounts by the ids that they were made with: every gift moves them, so nothing is looked up.
    v_given_coins CONSTANT bigint := 5;
    v_given_earnings CONSTANT bigint := 6;
    v_revenue CONSTANT bigint := 7;
    v_answers jsonb;
BEGIN
    -- Every gift comes by here: looking costs far less than the call, which is for saying why.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM private.require_present_view();
    END IF;
    WITH asked AS MATERIALIZED (
        SELECT DISTINCT ON (g.sender_id)
            g.position, private.gift_id(g.sender_id, g.idempotency_key) AS id, g.sender_id, g.recipient_id, g.live_stream_id,
            g.slot_index, t AS type, t.price, t.price * m.streamer_share_percent / 100 AS share,
            (SELECT a.id FROM private.ledger_accounts AS a
             WHERE a.profile_id = g.sender_id AND a.kind = 'wallet' AND a.currency = 'coins') AS wallet,
            (SELECT a.id FROM private.ledger_accounts AS a
             WHERE a.profile_id = g.recipient_id AND a.kind = 'earnings' AND a.currency = 'earnings') AS earnings
        FROM ROWS FROM (jsonb_to_recordset(p_gifts) AS (
            sender_id uuid, recipient_id uuid, gift_type_id text, slot_index integer, live_stream_id uuid, idempotency_key text))
            WITH ORDINALITY AS g (sender_id, recipient_id, gift_type_id, slot_index, live_stream_id, idempotency_key, position),
            public.gift_types AS t, private.money_settings AS m
        WHERE t.id = g.gift_type_id AND t.is_active AND g.slot_index BETWEEN 1 AND 12 AND g.recipient_id <> g.sender_id
            AND private.is_idempotency_key(g.idempotency_key)
            -- As scalars, which no plan turns into a scan of everybody.
            AND (SELECT p.id FROM public.profiles AS p WHERE p.id = g.sender_id) IS NOT NULL
            AND (SELECT p.id FROM public.profiles AS p WHERE p.id = g.recipient_id) IS NOT NULL
            AND NOT private.is_banned(g.sender_id)
            AND NOT private.is_blocked_pair(g.sender_id, g.recipient_id)
            AND (g.live_stream_id IS NULL OR EXISTS (
                SELECT FROM public.live_streams AS s
                WHERE s.id = g.live_stream_id AND s.streamer_id = g.recipient_id AND s.live_available))
        ORDER BY g.sender_id, g.position
    ), wallets AS (
        -- The lock comes before the gift, so that a key used twice at once waits here; in order, so that nobody deadlocks.
        SELECT a.id, a.balance FROM private.ledger_accounts AS a
        WHERE a.id = ANY (ARRAY(SELECT q.wallet FROM asked AS q WHERE q.earnings IS NOT NULL))
        ORDER BY a.id FOR NO KEY UPDATE
    ), given AS (
        INSERT INTO public.gifts AS g (
            id, sender_id, recipient_id, gift_type_id, live_stream_id, slot_index, price, streamer_share, platform_share)
        SELECT q.id, q.sender_id, q.recipient_id, (q.type).id, q.live_stream_id, q.slot_index, q.price, q.share, q.price - q.share
        FROM asked AS q
        JOIN wallets AS w ON w.id = q.wallet AND w.balance >= q.price
        ON CONFLICT (id) DO NOTHING
        RETURNING g
    ), posted AS (
        INSERT INTO private.ledger_transactions AS t (kind, source_id) SELECT 'gift', (n.g).id FROM given AS n
        RETURNING t.id, t.source_id
    ), entries AS (
        INSERT INTO public.ledger_entries (transaction_id, line, account_id, currency, amount)
        SELECT t.id, e.line, e.account_id, e.currency, e.amount
        FROM posted AS t
        JOIN asked AS q ON q.id = t.source_id
        CROSS JOIN LATERAL (VALUES
            (1, q.wallet, 'coins', -q.price), (2, v_given_coins, 'coins', q.price), (3, v_given_earnings, 'earnings', -q.price),
            (4, q.earnings, 'earnings', q.share), (5, v_revenue, 'earnings', q.price - q.share)
        ) AS e (line, account_id, currency, amount)
        WHERE e.amount <> 0
    ), queued AS (
        INSERT INTO private.ledger_queue (transaction_id) SELECT t.id FROM posted AS t
    ), told AS (
        INSERT INTO private.outbox (kind, profile_id, source_id) SELECT 'gift', (n.g).recipient_id, (n.g).id FROM given AS n
    ), paid AS (
        UPDATE private.ledger_accounts AS a SET balance = a.balance - q.price
        FROM given AS n
        JOIN asked AS q ON q.id = (n.g).id
        WHERE a.id = q.wallet
        RETURNING q.position, private.gift_json(n.g, q.type, a.balance, false) AS answer
    )
    SELECT coalesce(jsonb_object_agg(p.position, p.answer), '{}') INTO v_answers FROM paid AS p;
    RETURN v_answers;
END;
$$;

CREATE FUNCTION public.process_gift(
    p_recipient_id uuid, p_gift_type_id text, p_slot_index integer, p_live_stream_id uuid, p_idempotency_key text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_sender uuid := private.require_caller();
    v_gifts jsonb := jsonb_build_array(jsonb_build_object(
        'sender_id', v_sender, 'recipient_id', p_recipient_id, 'gift_type_id', p_gift_type_id, 'slot_index', p_slot_index,
        'live_stream_id', p_live_stream_id, 'idempotency_key', p_idempotency_key));
    v_answer jsonb := private.give(v_gifts) -> '1';
    v_id uuid;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    PERFORM private.require_idempotency_key(p_idempotency_key);
    v_id := private.gift_id(v_sender, p_idempotency_key);
    v_answer := private.repeated_gift(v_id, p_recipient_id, p_gift_type_id, p_slot_index, p_live_stream_id);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    PERFORM private.refuse_gift(v_sender, p_recipient_id, p_gift_type_id, p_slot_index, p_live_stream_id),
        private.account_of(p_recipient_id, 'earnings', 'earnings');
    -- The streamer can be paid now. If that was not it, somebody used the key meanwhile, or coins are missing.
    v_answer := coalesce(private.give(v_gifts) -> '1',
        private.repeated_gift(v_id, p_recipient_id, p_gift_type_id, p_slot_index, p_live_stream_id));
    IF v_answer IS NULL THEN
        PERFORM private.refuse_spending(v_sender, (SELECT t.price FROM public.gift_types AS t WHERE t.id = p_gift_type_id));
    END IF;
    RETURN v_answer;
END;
$$;
COMMENT ON FUNCTION public.process_gift IS 'Sends a gift from the caller: {gift_id, gift_type_id, title, emoji, price, streamer_share, platform_share, coins, is_repeat}.';
GRANT EXECUTE ON FUNCTION public.process_gift TO authenticated;

-- For the server, which knows who sends: what comes in the same moment costs one statement and one commit.
CREATE FUNCTION public.process_gifts(p_gifts jsonb) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN private.give(p_gifts);
COMMENT ON FUNCTION public.process_gifts IS 'Sends gifts of many people, [{sender_id, recipient_id, gift_type_id, slot_index, live_stream_id, idempotency_key}]: answers as of process_gift by position, from 1. One without an answer was not sent: ask process_gift as its sender.';
GRANT EXECUTE ON FUNCTION public.process_gifts TO service_role;
