-- livewall: after chat, gifts, purchases
-- What is told after a commit: from the outbox of transactions to chat and to the events that servers poll.

-- A gift as sockets hear it.
CREATE FUNCTION private.gift_event_json(p_gift public.gifts) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT jsonb_build_object(
        'id', p_gift.id, 'gift_type_id', t.id, 'title', t.title, 'emoji', t.emoji, 'price', p_gift.price,
        'sender_id', p_gift.sender_id, 'sender', private.person_json(p_gift.sender_id), 'recipient_id', p_gift.recipient_id)
    FROM public.gift_types AS t
    WHERE t.id = p_gift.gift_type_id;
END;

-- The outbox has one reader at a time, so the ids of events are in the order of their commits. Gifts are said in the chat
-- of their stream, as long as there is one.
CREATE FUNCTION public.deliver_outbox(p_limit integer DEFAULT 1000) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_delivered integer;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('outbox', 0)) THEN
        RETURN jsonb_build_object('delivered', 0);
    END IF;
    WITH taken AS (
        DELETE FROM private.outbox AS o
        WHERE o.id IN (SELECT w.id FROM private.outbox AS w ORDER BY w.id LIMIT p_limit)
        RETURNING o.*
    ), items AS (
        -- In the order they were written: storage has another, once it fills the holes that deletions leave.
        -- A gift is looked up as a scalar, which no plan turns into a scan of all gifts.
        SELECT t.id, t.kind, t.profile_id, t.source_id,
            (SELECT g FROM public.gifts AS g WHERE t.kind = 'gift' AND g.id = t.source_id) AS g
        FROM taken AS t
        ORDER BY t.id
    ), said AS (
        INSERT INTO public.chat_messages AS m (live_stream_id, sender_id, type, body, gift_id)
        SELECT s.id, (SELECT p.id FROM public.profiles AS p WHERE p.id = (i.g).sender_id), 'gift',
            -- The price stays in the line of the title: chr(160) does not break.
            concat(y.emoji, ' ', y.title, chr(160), '·', chr(160), to_char((i.g).price, 'FM999,999,999,999,999,999')), (i.g).id
        FROM items AS i
        JOIN public.live_streams AS s ON s.id = (i.g).live_stream_id
        JOIN public.gift_types AS y ON y.id = (i.g).gift_type_id
        ORDER BY i.id
        RETURNING m.gift_id, private.chat_message_json(m) AS message
    )
    INSERT INTO private.events (kind, profile_id, stream_id, payload)
    SELECT i.kind, i.profile_id, (i.g).live_stream_id, CASE i.kind
        WHEN 'gift' THEN jsonb_build_object('message', a.message, 'gift', private.gift_event_json(i.g))
        WHEN 'wallet' THEN '{}'
        ELSE private.purchase_event_json(i.source_id) END
    FROM items AS i
    LEFT JOIN said AS a ON a.gift_id = (i.g).id
    ORDER BY i.id;
    GET DIAGNOSTICS v_delivered = ROW_COUNT;
    -- Servers look several times a second; whoever was away for longer starts from a fresh snapshot anyway.
    DELETE FROM private.events AS e
    WHERE e.id IN (SELECT w.id FROM private.events AS w ORDER BY w.id LIMIT 1000) AND e.created_at < private.clock() - interval '10 minutes';
    RETURN jsonb_build_object('delivered', v_delivered);
END;
$$;
COMMENT ON FUNCTION public.deliver_outbox IS 'Turns what transactions left to be told into chat messages and events: {delivered}. Run every quarter second.';
GRANT EXECUTE ON FUNCTION public.deliver_outbox TO service_role;

CREATE FUNCTION public.take_events(p_after bigint DEFAULT NULL) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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
