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

CREATE FUNCTION private.require_idempotency_key(p_key text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_key IS NULL OR p_key !~ '^[!-~]{8,100}$' THEN
        PERFORM private.fail('LW005', 'An idempotency key has 8 to 100 visible characters.', 'Use a new random UUID for each gift or purchase.');
    END IF;
END;
$$;

-- Who repeats a key gets the same id, and so meets the primary key: 128 bits of SHA-256 in the form of a UUID.
CREATE FUNCTION private.gift_id(p_sender_id uuid, p_key text) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM private.require_idempotency_key(p_key);
    RETURN encode(substr(sha256(convert_to(p_sender_id || ' ' || p_key, 'UTF8')), 1, 16), 'hex')::uuid;
END;
$$;

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

-- Why a gift can not be sent at all.
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
    END IF;
    PERFORM private.fail('LW004', 'This stream is not theirs.', 'Reload your wall.');
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

-- One look says whether the gift may be sent, what it costs and which accounts it moves; only a refusal pays for finding
-- out why. The streamer gets the whole coins of their share, the platform the rest.
CREATE FUNCTION public.process_gift(
    p_recipient_id uuid, p_gift_type_id text, p_slot_index integer, p_live_stream_id uuid, p_idempotency_key text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- The platform's accounts by the ids that they were made with: every gift moves them, so nothing is looked up.
    v_given_coins CONSTANT bigint := 5;
    v_given_earnings CONSTANT bigint := 6;
    v_revenue CONSTANT bigint := 7;
    v_sender uuid := private.require_caller();
    v_id uuid := private.gift_id(v_sender, p_idempotency_key);
    v_ok record;
    v_gift public.gifts;
    v_answer jsonb;
    v_coins bigint;
BEGIN
    SELECT t AS type, t.price, t.price * m.streamer_share_percent / 100 AS share,
           (SELECT a.id FROM private.ledger_accounts AS a
            WHERE a.profile_id = v_sender AND a.kind = 'wallet' AND a.currency = 'coins') AS wallet,
           (SELECT a.id FROM private.ledger_accounts AS a
            WHERE a.profile_id = p_recipient_id AND a.kind = 'earnings' AND a.currency = 'earnings') AS earnings
    INTO v_ok
    FROM public.gift_types AS t, private.money_settings AS m
    WHERE t.id = p_gift_type_id AND t.is_active AND p_slot_index BETWEEN 1 AND 12 AND p_recipient_id <> v_sender
        AND EXISTS (SELECT FROM public.profiles AS p WHERE p.id = p_recipient_id)
        AND NOT private.is_blocked_pair(v_sender, p_recipient_id)
        AND (p_live_stream_id IS NULL OR EXISTS (
            SELECT FROM public.live_streams AS s WHERE s.id = p_live_stream_id AND s.streamer_id = p_recipient_id));
    IF NOT FOUND THEN
        v_answer := private.repeated_gift(v_id, p_recipient_id, p_gift_type_id, p_slot_index, p_live_stream_id);
        IF v_answer IS NULL THEN
            PERFORM private.refuse_gift(v_sender, p_recipient_id, p_gift_type_id, p_slot_index, p_live_stream_id);
        END IF;
        RETURN v_answer;
    END IF;

    INSERT INTO public.gifts (id, sender_id, recipient_id, gift_type_id, live_stream_id, slot_index, price, streamer_share,
        platform_share)
    VALUES (v_id, v_sender, p_recipient_id, p_gift_type_id, p_live_stream_id, p_slot_index, v_ok.price, v_ok.share,
        v_ok.price - v_ok.share)
    ON CONFLICT (id) DO NOTHING
    RETURNING * INTO v_gift;
    IF v_gift.id IS NULL THEN
        RETURN private.repeated_gift(v_id, p_recipient_id, p_gift_type_id, p_slot_index, p_live_stream_id);
    END IF;
    PERFORM private.post('gift', v_id,
        ARRAY[coalesce(v_ok.wallet, private.account_of(v_sender, 'wallet', 'coins')), v_given_coins, v_given_earnings,
            coalesce(v_ok.earnings, private.account_of(p_recipient_id, 'earnings', 'earnings')), v_revenue],
        ARRAY['coins', 'coins', 'earnings', 'earnings', 'earnings'],
        ARRAY[-v_ok.price, v_ok.price, -v_ok.price, v_ok.share, v_ok.price - v_ok.share]);
    INSERT INTO private.outbox (kind, profile_id, source_id) VALUES ('gift', p_recipient_id, v_id);
    -- Last, so that the one row that two gifts of a sender share is locked for as short as can be.
    UPDATE private.ledger_accounts SET balance = balance - v_ok.price WHERE id = v_ok.wallet AND balance >= v_ok.price
    RETURNING balance INTO v_coins;
    IF v_coins IS NULL THEN
        PERFORM private.refuse_spending(v_sender, v_ok.price);
    END IF;
    RETURN private.gift_json(v_gift, v_ok.type, v_coins, false);
END;
$$;
COMMENT ON FUNCTION public.process_gift IS 'Sends a gift from the caller: {gift_id, gift_type_id, title, emoji, price, streamer_share, platform_share, coins, is_repeat}.';
GRANT EXECUTE ON FUNCTION public.process_gift TO authenticated;
