-- livewall: after foundation, identity, streams, social
-- Chat: sending under limits, history in pages without the blocked, deleting, reporting and muting.

CREATE FUNCTION private.may_moderate(p_stream_id uuid, p_profile_id uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN private.has_staff_role(p_profile_id, 'moderator', 'admin')
    OR EXISTS (SELECT FROM public.live_streams AS s WHERE s.id = p_stream_id AND s.streamer_id = p_profile_id);
GRANT EXECUTE ON FUNCTION private.may_moderate TO authenticated;

CREATE POLICY chat_messages_select_all ON public.chat_messages FOR SELECT TO anon, authenticated, service_role USING (true);
CREATE POLICY chat_messages_insert_own ON public.chat_messages FOR INSERT TO authenticated
    WITH CHECK (sender_id = (SELECT private.acting_profile()) AND type = 'text');
GRANT SELECT ON public.chat_messages TO anon, authenticated, service_role;
GRANT INSERT (live_stream_id, sender_id, type, body) ON public.chat_messages TO authenticated;

-- Five messages at once, then one every two seconds. Raises with the time to wait.
CREATE FUNCTION private.take_chat_token(p_profile_id uuid, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_capacity CONSTANT double precision := 5;
    v_per_second CONSTANT double precision := 0.5;
    v_tokens double precision;
BEGIN
    INSERT INTO private.chat_buckets AS b (profile_id, tokens, refilled_at) VALUES (p_profile_id, v_capacity - 1, p_now)
    ON CONFLICT (profile_id) DO UPDATE
    SET tokens = least(v_capacity, b.tokens + v_per_second * greatest(0, extract(epoch FROM p_now - b.refilled_at))) - 1,
        refilled_at = p_now
    RETURNING tokens INTO v_tokens;
    IF v_tokens < 0 THEN
        -- The error rolls the taking back.
        PERFORM private.fail('LW052', 'You write faster than others can read.', 'Wait a moment, then send it again.',
            jsonb_build_object('retry_after', ceil(-v_tokens / v_per_second)));
    END IF;
END;
$$;

CREATE FUNCTION private.refuse_in_slow_mode(p_stream public.live_streams, p_sender_id uuid, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_next timestamptz := (
        SELECT m.created_at + make_interval(secs => p_stream.slow_mode_seconds)
        FROM public.chat_messages AS m
        WHERE m.sender_id = p_sender_id AND m.live_stream_id = p_stream.id
        ORDER BY m.id DESC LIMIT 1);
BEGIN
    IF v_next > p_now THEN
        PERFORM private.fail('LW053', format('Slow mode: one message every %s seconds.', p_stream.slow_mode_seconds),
            'Wait a moment, then send it again.', jsonb_build_object('retry_after', ceil(extract(epoch FROM v_next - p_now))));
    END IF;
END;
$$;

-- Holds for every message that a person writes, by function or by plain INSERT. The server's own messages come from the
-- table's owner and pass untouched.
CREATE FUNCTION private.check_chat_message() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
    v_now timestamptz := private.clock();
    v_stream public.live_streams;
    v_muted_until timestamptz;
BEGIN
    IF NEW.type IS DISTINCT FROM 'text' THEN
        PERFORM private.fail('LW055', 'People send text messages only.', 'Leave the type out.');
    ELSIF NEW.sender_id IS DISTINCT FROM v_caller THEN
        PERFORM private.fail('LW020', 'You can only write as yourself.', 'Leave the sender out.');
    END IF;
    IF char_length(NEW.body) > 500 THEN
        PERFORM private.fail('LW051', 'A message has up to 500 characters.', 'Shorten it.', '{"limit": 500}');
    END IF;
    NEW.body := private.clean_text(NEW.body);
    IF coalesce(NEW.body, '') = '' THEN
        PERFORM private.fail('LW050', 'The message is empty.', 'Write something first.');
    END IF;
    SELECT * INTO v_stream FROM public.live_streams WHERE id = NEW.live_stream_id;
    IF v_stream.id IS NULL THEN
        PERFORM private.fail('LW004', 'There is no such stream.', 'Reload the list of who is live.');
    ELSIF private.is_blocked_pair(v_stream.streamer_id, v_caller) THEN
        PERFORM private.fail('LW022', 'You can not write here.', 'One of you has blocked the other.');
    END IF;
    SELECT expires_at INTO v_muted_until FROM private.chat_mutes
    WHERE live_stream_id = v_stream.id AND profile_id = v_caller AND expires_at > v_now;
    IF v_muted_until IS NOT NULL THEN
        PERFORM private.fail('LW054', 'You are muted in this chat.', 'You can read along; writing comes back when the mute ends.',
            jsonb_build_object('retry_after', ceil(extract(epoch FROM v_muted_until - v_now))));
    END IF;
    PERFORM private.take_chat_token(v_caller, v_now);
    IF v_stream.slow_mode_seconds > 0 AND NOT private.may_moderate(v_stream.id, v_caller) THEN
        PERFORM private.refuse_in_slow_mode(v_stream, v_caller, v_now);
    END IF;
    RETURN NEW;
END;
$$;
CREATE TRIGGER chat_messages_check BEFORE INSERT ON public.chat_messages
    FOR EACH ROW WHEN (current_user = 'authenticated') EXECUTE FUNCTION private.check_chat_message();

CREATE TRIGGER chat_messages_need_present_view BEFORE INSERT ON public.chat_messages
    FOR EACH STATEMENT WHEN (current_user = 'authenticated') EXECUTE FUNCTION private.refuse_old_view();

CREATE FUNCTION private.chat_message_json(p_message public.chat_messages) RETURNS jsonb
LANGUAGE sql STABLE
RETURN jsonb_build_object(
    'id', p_message.id, 'stream_id', p_message.live_stream_id, 'type', p_message.type,
    'sender', private.person_json(p_message.sender_id), 'body', p_message.body, 'created_at', p_message.created_at,
    'is_deleted', p_message.deleted_at IS NOT NULL);
GRANT EXECUTE ON FUNCTION private.chat_message_json TO anon, authenticated;

CREATE FUNCTION public.send_chat_message(p_live_stream_id uuid, p_body text) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY INVOKER
BEGIN ATOMIC
    INSERT INTO public.chat_messages AS m (live_stream_id, sender_id, body)
    VALUES (p_live_stream_id, private.require_caller(), p_body)
    RETURNING private.chat_message_json(m);
END;
COMMENT ON FUNCTION public.send_chat_message IS 'Says something in a stream''s chat: ChatMessage.';
GRANT EXECUTE ON FUNCTION public.send_chat_message TO authenticated;

CREATE FUNCTION public.list_chat_messages(p_live_stream_id uuid, p_before bigint DEFAULT NULL, p_limit integer DEFAULT 50)
RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
BEGIN ATOMIC
    WITH page AS (
        SELECT m, m.id, row_number() OVER (ORDER BY m.id DESC) AS n
        FROM public.chat_messages AS m
        WHERE m.live_stream_id = p_live_stream_id AND (p_before IS NULL OR m.id < p_before)
            AND (m.sender_id IS NULL OR m.sender_id NOT IN (SELECT private.my_blocked()))
        ORDER BY m.id DESC
        LIMIT greatest(1, least(p_limit, 100)) + 1
    )
    SELECT jsonb_build_object(
        'messages', coalesce(
            jsonb_agg(private.chat_message_json(page.m) ORDER BY page.n) FILTER (WHERE page.n <= greatest(1, least(p_limit, 100))), '[]'),
        'next', CASE WHEN count(*) > greatest(1, least(p_limit, 100))
                THEN min(page.id) FILTER (WHERE page.n <= greatest(1, least(p_limit, 100))) END)
    FROM page;
END;
COMMENT ON FUNCTION public.list_chat_messages IS 'A page of a chat, newest first, without people the caller has blocked or who blocked them: {messages, next}.';
GRANT EXECUTE ON FUNCTION public.list_chat_messages TO anon, authenticated;

CREATE FUNCTION public.delete_chat_message(p_message_id bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
    v_message public.chat_messages;
BEGIN
    SELECT * INTO v_message FROM public.chat_messages WHERE id = p_message_id;
    IF v_message.id IS NULL THEN
        PERFORM private.fail('LW004', 'There is no such message.', 'Reload the chat.');
    ELSIF v_message.sender_id IS DISTINCT FROM v_caller AND NOT private.may_moderate(v_message.live_stream_id, v_caller) THEN
        PERFORM private.fail('LW003', 'You can delete your own messages only.', 'Report it instead.');
    END IF;
    UPDATE public.chat_messages SET body = '', deleted_at = private.clock() WHERE id = p_message_id AND deleted_at IS NULL;
    RETURN jsonb_build_object('stream_id', v_message.live_stream_id, 'id', v_message.id);
END;
$$;
COMMENT ON FUNCTION public.delete_chat_message IS 'Empties a message: its author, the streamer or a moderator. {stream_id, id}.';
GRANT EXECUTE ON FUNCTION public.delete_chat_message TO authenticated;

CREATE FUNCTION public.report_chat_message(p_message_id bigint, p_reason text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
    v_message public.chat_messages;
BEGIN
    SELECT * INTO v_message FROM public.chat_messages WHERE id = p_message_id AND deleted_at IS NULL;
    IF v_message.id IS NULL THEN
        PERFORM private.fail('LW004', 'There is no such message.', 'Reload the chat.');
    END IF;
    INSERT INTO private.chat_reports (message_id, reporter_id, body, reason)
    VALUES (p_message_id, v_caller, v_message.body, private.clean_text(p_reason))
    ON CONFLICT (message_id, reporter_id) DO NOTHING;
    RETURN to_jsonb(p_message_id);
END;
$$;
COMMENT ON FUNCTION public.report_chat_message IS 'Tells moderators about a message; once per person and message.';
GRANT EXECUTE ON FUNCTION public.report_chat_message TO authenticated;

CREATE FUNCTION public.list_chat_reports(p_before bigint DEFAULT NULL, p_limit integer DEFAULT 50) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_limit integer := greatest(1, least(p_limit, 100));
BEGIN
    IF NOT private.has_staff_role(private.require_caller(), 'moderator', 'admin') THEN
        PERFORM private.fail('LW003', 'Only moderators can read reports.', 'Ask a moderator.');
    END IF;
    RETURN (
        WITH page AS (
            SELECT r.*, row_number() OVER (ORDER BY r.id DESC) AS n FROM private.chat_reports AS r
            WHERE p_before IS NULL OR r.id < p_before
            ORDER BY r.id DESC LIMIT v_limit + 1
        )
        SELECT jsonb_build_object(
            'entries', coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'reported_at', p.created_at, 'reason', p.reason,
                'reporter', private.person_json(p.reporter_id), 'body', p.body, 'message', private.chat_message_json(m))
                ORDER BY p.n) FILTER (WHERE p.n <= v_limit), '[]'),
            'next', CASE WHEN count(*) > v_limit THEN min(p.id) FILTER (WHERE p.n <= v_limit) END)
        FROM page AS p JOIN public.chat_messages AS m ON m.id = p.message_id);
END;
$$;
COMMENT ON FUNCTION public.list_chat_reports IS
    'For moderators: what was reported, newest first, with the words as they were: {entries, next}.';
GRANT EXECUTE ON FUNCTION public.list_chat_reports TO authenticated;

CREATE FUNCTION private.require_moderator_of(p_stream_id uuid) RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
BEGIN
    IF NOT private.may_moderate(p_stream_id, v_caller) THEN
        PERFORM private.fail('LW003', 'Only the streamer and moderators can do this.', 'Ask one of them.');
    END IF;
    RETURN v_caller;
END;
$$;

CREATE FUNCTION public.mute_in_chat(p_live_stream_id uuid, p_name text, p_seconds integer) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_moderator_of(p_live_stream_id);
    v_other uuid := (private.profile_by_name(p_name)).id;
BEGIN
    IF v_other = v_caller OR private.may_moderate(p_live_stream_id, v_other) THEN
        PERFORM private.fail('LW003', 'This person can not be muted here.', 'Streamers and moderators keep their voice.');
    ELSIF p_seconds IS NULL OR p_seconds NOT BETWEEN 1 AND 31536000 THEN
        PERFORM private.fail('LW005', 'A mute lasts from 1 second to a year.', 'Choose another duration.');
    END IF;
    INSERT INTO private.chat_mutes (live_stream_id, profile_id, muted_by, expires_at)
    VALUES (p_live_stream_id, v_other, v_caller, private.clock() + make_interval(secs => p_seconds))
    ON CONFLICT (live_stream_id, profile_id) DO UPDATE SET muted_by = excluded.muted_by, expires_at = excluded.expires_at;
    RETURN to_jsonb(v_other);
END;
$$;
COMMENT ON FUNCTION public.mute_in_chat IS 'Keeps somebody from writing in one chat for a while.';
GRANT EXECUTE ON FUNCTION public.mute_in_chat TO authenticated;

CREATE FUNCTION public.unmute_in_chat(p_live_stream_id uuid, p_name text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_other uuid := (private.profile_by_name(p_name)).id;
BEGIN
    PERFORM private.require_moderator_of(p_live_stream_id);
    DELETE FROM private.chat_mutes WHERE live_stream_id = p_live_stream_id AND profile_id = v_other;
    RETURN to_jsonb(v_other);
END;
$$;
COMMENT ON FUNCTION public.unmute_in_chat IS 'Ends a mute.';
GRANT EXECUTE ON FUNCTION public.unmute_in_chat TO authenticated;
