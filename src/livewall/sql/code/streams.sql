-- livewall: after foundation, identity
-- Streams as people meet them: who is live, going live and stopping, titles, previews, and why the camera is on or off.

CREATE POLICY live_streams_select_all ON public.live_streams FOR SELECT TO anon, authenticated, service_role USING (true);
CREATE POLICY live_streams_update_own ON public.live_streams FOR UPDATE TO authenticated
    USING (streamer_id = (SELECT private.acting_profile())) WITH CHECK (streamer_id = (SELECT private.acting_profile()));
GRANT SELECT ON public.live_streams TO anon, authenticated, service_role;
GRANT UPDATE (live_available, title, slow_mode_seconds) ON public.live_streams TO authenticated;

CREATE FUNCTION private.stream_json(p_stream public.live_streams) RETURNS jsonb
LANGUAGE sql STABLE
RETURN CASE WHEN p_stream.id IS NOT NULL THEN jsonb_build_object(
    'id', p_stream.id, 'streamer', private.person_json(p_stream.streamer_id), 'title', p_stream.title,
    'live_available', p_stream.live_available, 'is_published', p_stream.is_published,
    'active_viewer_count', p_stream.active_viewer_count, 'publish_epoch', p_stream.publish_epoch,
    'preview_version', p_stream.preview_version, 'live_since', p_stream.live_since,
    'slow_mode_seconds', p_stream.slow_mode_seconds) END;
GRANT EXECUTE ON FUNCTION private.stream_json TO anon, authenticated, service_role;

CREATE FUNCTION private.clean_stream_title() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.title := private.clean_text(NEW.title);
    RETURN NEW;
END;
$$;
CREATE TRIGGER live_streams_clean_title BEFORE INSERT OR UPDATE OF title ON public.live_streams
    FOR EACH ROW EXECUTE FUNCTION private.clean_stream_title();

-- Why a stream is published or not, as a code for programs and a sentence for people. p_names adds who is watching, up
-- to 50 names, which is the streamer's to know.
CREATE FUNCTION private.why_json(p_stream public.live_streams, p_names boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_now timestamptz := private.clock();
    v_rule private.settings := (SELECT rule FROM private.settings AS rule);
    v_count text := CASE p_stream.active_viewer_count WHEN 1 THEN '1 person is watching'
                    ELSE p_stream.active_viewer_count || ' people are watching' END;
    v_code text;
    v_text text;
    v_why jsonb;
BEGIN
    IF NOT p_stream.live_available THEN
        v_code := CASE p_stream.live_ended_reason WHEN 'lease_expired' THEN 'publisher_silent' WHEN 'banned' THEN 'banned' ELSE 'not_live' END;
        v_text := CASE v_code
            WHEN 'publisher_silent' THEN format('Not live: the studio was not heard from for %s seconds.', extract(epoch FROM v_rule.lease_time)::integer)
            WHEN 'banned' THEN 'Not live: stopped by a moderator.'
            ELSE 'Not live.' END;
    ELSIF NOT p_stream.is_published THEN
        v_code := 'nobody_watching';
        v_text := 'Live, not sending: nobody is watching. Sending starts as soon as somebody does.';
    ELSIF p_stream.active_viewer_count > 0 THEN
        v_code := 'watched';
        v_text := format('Sending video: %s. It stops %s seconds after the last one leaves.', v_count, extract(epoch FROM v_rule.linger)::integer);
    ELSIF p_stream.unpublish_due_at <= private.grace_until() AND private.grace_until() > v_now THEN
        v_code := 'after_restart';
        v_text := 'Sending video: the server has just restarted and gives viewers a moment to come back.';
    ELSIF p_stream.unpublish_due_at = private.off_transition_allowed_at(p_stream.id, v_now) THEN
        v_code := 'steadied';
        v_text := 'Sending video: it went on and off often this minute, so it stays on a little longer.';
    ELSE
        v_code := 'lingering';
        v_text := 'Sending video: the last one just left. It stops in a few seconds unless somebody comes back.';
    END IF;
    v_why := jsonb_build_object(
        'stream_id', p_stream.id, 'is_published', p_stream.is_published, 'code', v_code, 'text', v_text,
        'active_viewer_count', p_stream.active_viewer_count, 'epoch', p_stream.publish_epoch,
        'since', coalesce(
            p_stream.published_since,
            greatest(p_stream.live_since, (SELECT max(i.ended_at) FROM private.publish_intervals AS i WHERE i.live_stream_id = p_stream.id)),
            p_stream.created_at),
        'until', p_stream.unpublish_due_at);
    IF p_names THEN
        v_why := v_why || jsonb_build_object('watchers', coalesce((
            SELECT jsonb_agg(p.name ORDER BY p.name)
            FROM public.profiles AS p
            WHERE p.id IN (
                SELECT DISTINCT a.viewer_id FROM public.active_viewers AS a
                WHERE a.live_stream_id = p_stream.id AND a.is_watching
                    AND a.last_active_at > v_now - v_rule.viewer_silence
                LIMIT 50)), '[]'));
    END IF;
    RETURN v_why;
END;
$$;

CREATE FUNCTION public.explain_publish_state(p_live_stream_id uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_stream public.live_streams;
BEGIN
    SELECT * INTO v_stream FROM public.live_streams WHERE id = p_live_stream_id;
    IF v_stream.id IS NULL THEN
        PERFORM private.fail('LW004', 'There is no such stream.', 'Reload the list of who is live.');
    END IF;
    RETURN private.why_json(v_stream, v_stream.streamer_id IS NOT DISTINCT FROM auth.uid());
END;
$$;
COMMENT ON FUNCTION public.explain_publish_state IS 'Why a stream sends video or not, right now: Why.';
GRANT EXECUTE ON FUNCTION public.explain_publish_state TO anon, authenticated, service_role;

-- What servers tell the world about changed streams: [{stream, revision, publisher_session_id, why}]. VOLATILE, so that
-- it reads a snapshot of its own and sees what the statement that calls it has just changed.
CREATE FUNCTION private.stream_changes(p_stream_ids uuid[]) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'stream', private.stream_json(s), 'revision', s.revision, 'publisher_session_id', l.session_id,
        'why', private.why_json(s, true)) ORDER BY s.id), '[]')
    FROM public.live_streams AS s
    LEFT JOIN private.publisher_leases AS l ON l.live_stream_id = s.id
    WHERE s.id = ANY (p_stream_ids);
END;

-- A cursor is COUNT~ID of the last stream of the page before. Counts move while one reads, so a page may repeat a
-- stream; clients key by id.
CREATE FUNCTION public.list_live_streams(p_limit integer DEFAULT 60, p_cursor text DEFAULT NULL) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
BEGIN ATOMIC
    WITH size AS (
        SELECT greatest(1, least(p_limit, 100)) AS n
    ), page AS (
        SELECT s, row_number() OVER (ORDER BY s.active_viewer_count DESC, s.id) AS n
        FROM public.live_streams AS s
        WHERE s.live_available AND (
            p_cursor IS NULL
            OR s.active_viewer_count < split_part(p_cursor, '~', 1)::integer
            OR (s.active_viewer_count = split_part(p_cursor, '~', 1)::integer AND s.id > split_part(p_cursor, '~', 2)::uuid))
        ORDER BY s.active_viewer_count DESC, s.id
        LIMIT (SELECT size.n FROM size) + 1
    )
    SELECT jsonb_build_object(
        'streams', coalesce(jsonb_agg(private.stream_json(page.s) ORDER BY page.n) FILTER (WHERE page.n <= size.n), '[]'),
        'next', (SELECT (last.s).active_viewer_count || '~' || (last.s).id
                 FROM page AS last, size
                 WHERE last.n = size.n AND EXISTS (SELECT FROM page AS p WHERE p.n > last.n)))
    FROM page, size;
END;
COMMENT ON FUNCTION public.list_live_streams IS 'Who is live, most watched first: {streams, next}.';
GRANT EXECUTE ON FUNCTION public.list_live_streams TO anon, authenticated;

CREATE FUNCTION public.get_stream(p_live_stream_id uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
BEGIN ATOMIC
    SELECT private.stream_json(s) FROM public.live_streams AS s WHERE s.id = p_live_stream_id;
END;
COMMENT ON FUNCTION public.get_stream IS 'One stream, or null: Stream.';
GRANT EXECUTE ON FUNCTION public.get_stream TO anon, authenticated;

CREATE FUNCTION public.update_stream(p_title text DEFAULT NULL, p_slow_mode_seconds integer DEFAULT NULL) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY INVOKER
BEGIN ATOMIC
    UPDATE public.live_streams AS s
    SET title = coalesce(p_title, s.title), slow_mode_seconds = coalesce(p_slow_mode_seconds, s.slow_mode_seconds)
    WHERE s.streamer_id = private.require_caller()
    RETURNING private.stream_json(s);
END;
COMMENT ON FUNCTION public.update_stream IS 'Changes title or slow mode of the caller''s stream: Stream, or null before the first time live.';
GRANT EXECUTE ON FUNCTION public.update_stream TO authenticated;

-- One session of the streamer holds the lease. Another one of theirs is told no, unless it takes over.
CREATE FUNCTION public.start_stream(p_title text, p_session_id uuid, p_take_over boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
    v_stream public.live_streams;
    v_holder uuid;
    v_lapsed boolean;
    v_now timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM public.live_streams WHERE streamer_id = v_caller) THEN
        -- A ban waits for the row of who goes live; for one that is not there yet, for this.
        PERFORM private.lock_viewer(v_caller);
        INSERT INTO public.live_streams (streamer_id) VALUES (v_caller) ON CONFLICT DO NOTHING;
    END IF;
    SELECT * INTO v_stream FROM public.live_streams WHERE streamer_id = v_caller FOR NO KEY UPDATE;
    v_now := private.clock();
    SELECT CASE WHEN expires_at > v_now AND session_id <> p_session_id THEN session_id END, expires_at <= v_now
    INTO v_holder, v_lapsed
    FROM private.publisher_leases WHERE live_stream_id = v_stream.id;
    -- A lease that lapsed while no server looked: that time live is over, this is a new one.
    IF v_lapsed AND v_stream.live_available THEN
        UPDATE public.live_streams SET live_available = false, live_ended_reason = 'lease_expired' WHERE id = v_stream.id;
    END IF;
    IF v_holder IS NOT NULL AND NOT p_take_over THEN
        PERFORM private.fail('LW030', 'You are live in another window.', 'Stop there, or take over here.');
    END IF;
    INSERT INTO private.publisher_leases (live_stream_id, session_id, expires_at)
    VALUES (v_stream.id, p_session_id, v_now + (SELECT lease_time FROM private.settings))
    ON CONFLICT (live_stream_id) DO UPDATE SET session_id = excluded.session_id, expires_at = excluded.expires_at;
    -- Who publishes is news like any other, though no column shows it: the sweep of every server finds it, and of two
    -- takeovers whose answers overtake each other the later one counts.
    UPDATE public.live_streams
    SET live_available = true, title = coalesce(p_title, title),
        revision = revision + (v_holder IS NOT NULL)::integer,
        changed_at = CASE WHEN v_holder IS NULL THEN changed_at ELSE v_now END
    WHERE id = v_stream.id
    RETURNING * INTO v_stream;
    RETURN jsonb_build_object(
        'stream', private.stream_json(v_stream), 'change', private.stream_changes(ARRAY[v_stream.id]) -> 0,
        'replaced_session_id', v_holder);
END;
$$;
COMMENT ON FUNCTION public.start_stream IS 'Goes live with this session as the publisher: {stream, change, replaced_session_id}.';
GRANT EXECUTE ON FUNCTION public.start_stream TO authenticated;

CREATE FUNCTION public.stop_stream() RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
    v_id uuid;
BEGIN
    UPDATE public.live_streams SET live_available = false WHERE streamer_id = v_caller AND live_available
    RETURNING id INTO v_id;
    IF v_id IS NULL THEN
        PERFORM private.fail('LW033', 'You are not live.', 'Go live first.');
    END IF;
    RETURN jsonb_build_object('change', private.stream_changes(ARRAY[v_id]) -> 0);
END;
$$;
COMMENT ON FUNCTION public.stop_stream IS 'Stops being live; sending stops at once: {change}.';
GRANT EXECUTE ON FUNCTION public.stop_stream TO authenticated;

CREATE FUNCTION public.list_publish_intervals(p_hours integer DEFAULT 3) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH own AS (
        SELECT s.id, private.clock() - make_interval(hours => greatest(1, least(p_hours, 24))) AS since
        FROM public.live_streams AS s
        WHERE s.streamer_id = auth.uid()
    )
    SELECT jsonb_build_object(
        'intervals', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'epoch', i.epoch, 'started_at', i.started_at, 'ended_at', i.ended_at,
                'started_reason', i.started_reason, 'ended_reason', i.ended_reason) ORDER BY i.started_at)
            FROM private.publish_intervals AS i JOIN own ON own.id = i.live_stream_id
            WHERE i.ended_at IS NULL OR i.ended_at > own.since), '[]'),
        'live', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'started_at', i.started_at, 'ended_at', i.ended_at, 'ended_reason', i.ended_reason) ORDER BY i.started_at)
            FROM private.live_intervals AS i JOIN own ON own.id = i.live_stream_id
            WHERE i.ended_at IS NULL OR i.ended_at > own.since), '[]'));
END;
COMMENT ON FUNCTION public.list_publish_intervals IS 'When the caller was live and when video was sent, with reasons: {intervals, live}.';
GRANT EXECUTE ON FUNCTION public.list_publish_intervals TO authenticated;

-- The caller's stream, locked, if a preview of it may be stored now.
CREATE FUNCTION private.stream_to_picture(p_live_stream_id uuid) RETURNS public.live_streams
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
    v_stream public.live_streams;
BEGIN
    SELECT * INTO v_stream FROM public.live_streams
    WHERE id = p_live_stream_id AND streamer_id = v_caller FOR NO KEY UPDATE;
    IF v_stream.id IS NULL THEN
        PERFORM private.fail('LW003', 'Only the streamer can set this preview.', 'Sign in as the streamer.');
    ELSIF NOT v_stream.live_available THEN
        PERFORM private.fail('LW033', 'You are not live.', 'Go live first.');
    ELSIF EXISTS (SELECT FROM private.previews
                  WHERE live_stream_id = p_live_stream_id AND taken_at > private.clock() - interval '1 second') THEN
        PERFORM private.fail('LW052', 'A preview was sent less than a second ago.', 'Send at most one a second.', '{"retry_after": 1}');
    END IF;
    RETURN v_stream;
END;
$$;

-- For servers, which clean a picture before they store it: a costly thing to do for somebody who may not.
CREATE FUNCTION public.admit_preview(p_live_stream_id uuid) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT to_jsonb((private.stream_to_picture(p_live_stream_id)).id);
END;
COMMENT ON FUNCTION public.admit_preview IS 'Refuses what store_preview would refuse, before there is a picture.';
GRANT EXECUTE ON FUNCTION public.admit_preview TO authenticated;

CREATE FUNCTION public.store_preview(p_live_stream_id uuid, p_jpeg text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_stream public.live_streams := private.stream_to_picture(p_live_stream_id);
BEGIN
    INSERT INTO private.previews (live_stream_id, jpeg, taken_at) VALUES (p_live_stream_id, decode(p_jpeg, 'base64'), private.clock())
    ON CONFLICT (live_stream_id) DO UPDATE SET jpeg = excluded.jpeg, taken_at = excluded.taken_at;
    UPDATE public.live_streams SET preview_version = preview_version + 1 WHERE id = p_live_stream_id
    RETURNING * INTO v_stream;
    RETURN private.stream_json(v_stream);
END;
$$;
COMMENT ON FUNCTION public.store_preview IS 'Stores a preview JPEG (base64) of the caller''s live stream: Stream.';
GRANT EXECUTE ON FUNCTION public.store_preview TO authenticated;

CREATE FUNCTION public.get_preview(p_live_stream_id uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT jsonb_build_object('version', s.preview_version, 'jpeg_base64', encode(v.jpeg, 'base64'))
    FROM private.previews AS v
    JOIN public.live_streams AS s ON s.id = v.live_stream_id
    WHERE v.live_stream_id = p_live_stream_id;
END;
COMMENT ON FUNCTION public.get_preview IS 'The newest preview, or null: {version, jpeg_base64}.';
GRANT EXECUTE ON FUNCTION public.get_preview TO anon, authenticated;
