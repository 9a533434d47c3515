-- livewall: after chat, gifts, purchases
-- What is told after a commit: from the outbox of transactions to chat and to the events that servers poll.

-- A gift as sockets hear it.
CREATE FUNCTION private.gift_event_json(p_gift public.gifts) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT jsonb_build_object(
        'id', p_gift.id, 'gift_type_id', t.id, 'title', t.title, 'emoji', t.emoji, 'price', p_gift.price,
        'sender_id', p_gift.sender_id, 'sender', private.person_json(p_gift.sender_id), 'recipient_id', p_gift.recipient_id)
    FROM public.gift_types AS t
    WHERE t.id = p_gift.gift_type_id;
END;

CREATE FUNCTION private.say_gift(p_gift public.gifts) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    INSERT INTO public.chat_messages AS m (live_stream_id, sender_id, type, body, gift_id)
    SELECT s.id, p.id, 'gift', t.emoji || ' ' || t.title || ' · ' || p_gift.price, p_gift.id
    FROM public.live_streams AS s
    JOIN public.gift_types AS t ON t.id = p_gift.gift_type_id
    LEFT JOIN public.profiles AS p ON p.id = p_gift.sender_id
    WHERE s.id = p_gift.live_stream_id
    RETURNING private.chat_message_json(m);
END;

-- The outbox has one reader at a time, so the ids of events are in the order of their commits.
CREATE FUNCTION public.deliver_outbox(p_limit integer DEFAULT 1000) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    v_item private.outbox;
    v_gift public.gifts;
    v_delivered integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('outbox', 0)) THEN
        RETURN jsonb_build_object('delivered', 0);
    END IF;
    FOR v_item IN
        WITH taken AS (
            DELETE FROM private.outbox AS o
            WHERE o.id IN (SELECT w.id FROM private.outbox AS w ORDER BY w.id LIMIT p_limit)
            RETURNING o.*
        )
        -- In the order they were written: storage has another, once it fills the holes that deletions leave.
        SELECT t.* FROM taken AS t ORDER BY t.id
    LOOP
        v_delivered := v_delivered + 1;
        SELECT * INTO v_gift FROM public.gifts WHERE id = v_item.source_id AND v_item.kind = 'gift';
        INSERT INTO private.events (kind, profile_id, stream_id, payload)
        VALUES (v_item.kind, v_item.profile_id, v_gift.live_stream_id, CASE v_item.kind
            WHEN 'gift' THEN jsonb_build_object('message', private.say_gift(v_gift), 'gift', private.gift_event_json(v_gift))
            WHEN 'wallet' THEN '{}'
            ELSE private.purchase_event_json(v_item.source_id) END);
    END LOOP;
    -- Servers look several times a second; whoever was away for longer starts from a fresh snapshot anyway.
    DELETE FROM private.events AS e
    WHERE e.id IN (SELECT w.id FROM private.events AS w ORDER BY w.id LIMIT 1000) AND e.created_at < private.clock() - interval '10 minutes';
    RETURN jsonb_build_object('delivered', v_delivered);
END;
$$;
COMMENT ON FUNCTION public.deliver_outbox IS 'Turns what transactions left to be told into chat messages and events: {delivered}. Run every quarter second.';
GRANT EXECUTE ON FUNCTION public.deliver_outbox TO service_role;

CREATE FUNCTION public.take_events(p_after bigint DEFAULT NULL) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    WITH fresh AS (
        SELECT e.* FROM private.events AS e WHERE p_after IS NOT NULL AND e.id > p_after ORDER BY e.id LIMIT 500
    )
    SELECT jsonb_build_object(
        'last', coalesce((SELECT max(f.id) FROM fresh AS f), p_after, (SELECT max(e.id) FROM private.events AS e), 0),
        'events', coalesce((SELECT jsonb_agg(jsonb_build_object('id', f.id, 'kind', f.kind, 'profile_id', f.profile_id,
            'stream_id', f.stream_id, 'payload', f.payload) ORDER BY f.id) FROM fresh AS f), '[]'));
END;
COMMENT ON FUNCTION public.take_events IS 'What happened after an event, for servers to tell their sockets: {last, events}. Null: from now on.';
GRANT EXECUTE ON FUNCTION public.take_events TO service_role;
