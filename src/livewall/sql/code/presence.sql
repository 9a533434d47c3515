-- livewall: after foundation, identity, streams, social, publishing
-- Who is watching: heartbeats in batches or one by one, leaves, cleanup. Direct writes are in direct_writes.sql.

-- Why this viewer may not be recorded at this stream at all, or null.
CREATE FUNCTION private.refusal(p_stream_id uuid, p_viewer_id uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT CASE
        WHEN s.id IS NULL THEN 'LW004'
        WHEN p.id IS NULL THEN 'LW001'
        WHEN NOT s.live_available THEN 'LW021'
        WHEN private.is_banned(p_viewer_id) THEN 'LW002'
        WHEN private.is_blocked_pair(s.streamer_id, p_viewer_id) THEN 'LW022'
    END
    FROM (VALUES (p_stream_id, p_viewer_id)) AS asked (stream_id, viewer_id)
    LEFT JOIN public.live_streams AS s ON s.id = asked.stream_id
    LEFT JOIN public.profiles AS p ON p.id = asked.viewer_id;
END;

CREATE FUNCTION private.fail_watching(p_code text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_rule private.settings;
BEGIN
    SELECT * INTO v_rule FROM private.settings;
    CASE p_code
        WHEN 'LW001' THEN PERFORM private.fail(p_code, 'You are not signed in.', 'Sign in or continue as a guest.');
        WHEN 'LW002' THEN PERFORM private.fail(p_code, 'This account is banned.', 'Write to the operator if you think this is a mistake.');
        WHEN 'LW004' THEN PERFORM private.fail(p_code, 'There is no such stream.', 'Reload the list of who is live.');
        WHEN 'LW021' THEN PERFORM private.fail(p_code, 'This stream is not live.', 'Wait until it is live again.');
        WHEN 'LW022' THEN PERFORM private.fail(p_code, 'You can not watch this person.', 'One of you has blocked the other.');
        WHEN 'LW023' THEN PERFORM private.fail(p_code, format('A wall has %s tiles.', v_rule.max_tiles), 'Remove a tile first.',
            jsonb_build_object('limit', v_rule.max_tiles));
        WHEN 'LW024' THEN PERFORM private.fail(p_code, format('At most %s tiles can be active video.', v_rule.max_active_tiles),
            'Turn one into a preview first.', jsonb_build_object('limit', v_rule.max_active_tiles));
        WHEN 'LW025' THEN PERFORM private.fail(p_code, 'Your wall is open in too many places.', 'Close it somewhere else first.');
    END CASE;
END;
$$;

-- Limits of one session's wall once p_streams (active where p_active) are part of it, counting what else is fresh.
-- The caller holds the viewer's advisory lock, or two calls could each find room for the last tile.
CREATE FUNCTION private.wall_refusal(p_viewer_id uuid, p_session_id uuid, p_streams uuid[], p_active boolean[]) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_rule private.settings;
    v_tiles bigint;
    v_active bigint;
    v_sessions bigint;
BEGIN
    SELECT * INTO v_rule FROM private.settings;
    SELECT count(*) FILTER (WHERE a.session_id = p_session_id AND a.live_stream_id <> ALL (p_streams)),
           count(*) FILTER (WHERE a.session_id = p_session_id AND a.live_stream_id <> ALL (p_streams) AND a.is_active),
           count(DISTINCT a.session_id) FILTER (WHERE a.session_id <> p_session_id)
    INTO v_tiles, v_active, v_sessions
    FROM public.active_viewers AS a
    WHERE a.viewer_id = p_viewer_id AND NOT a.has_left AND a.last_active_at > private.clock() - v_rule.viewer_silence;
    RETURN CASE
        WHEN v_tiles + cardinality(p_streams) > v_rule.max_tiles THEN 'LW023'
        WHEN v_active + cardinality(array_positions(p_active, true)) > v_rule.max_active_tiles THEN 'LW024'
        WHEN v_sessions >= v_rule.max_sessions THEN 'LW025'
    END;
END;
$$;

CREATE FUNCTION private.viewer_key(p_viewer_id uuid) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN hashtextextended('viewer ' || p_viewer_id::text, 0);

-- Whoever decides about somebody's tiles holds this, and sees what the one before has committed.
CREATE FUNCTION private.lock_viewer(p_viewer_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM private.require_present_view();
    PERFORM pg_advisory_xact_lock(private.viewer_key(p_viewer_id));
END;
$$;

-- A client who speaks SQL may hold its own lock, its rows and its stream for as long as it likes. Servers never wait for
-- that long (lock_timeout); they ask here whose it is, and write for everybody else. Waits for nothing itself.
CREATE FUNCTION public.find_locked(p_viewer_ids uuid[], p_stream_ids uuid[]) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_viewers uuid[];
    v_streams uuid[];
BEGIN
    WITH free AS MATERIALIZED (
        SELECT a.viewer_id, a.session_id, a.live_stream_id FROM public.active_viewers AS a
        WHERE a.viewer_id = ANY (p_viewer_ids) FOR NO KEY UPDATE SKIP LOCKED
    )
    SELECT array_agg(v.id) INTO v_viewers
    FROM (SELECT DISTINCT unnest(p_viewer_ids) AS id) AS v
    WHERE NOT pg_try_advisory_xact_lock(private.viewer_key(v.id))
        OR EXISTS (
            SELECT FROM public.active_viewers AS a
            WHERE a.viewer_id = v.id
                AND (a.viewer_id, a.session_id, a.live_stream_id) NOT IN (SELECT f.viewer_id, f.session_id, f.live_stream_id FROM free AS f));
    WITH asked AS MATERIALIZED (
        SELECT unnest(p_stream_ids) AS id
        UNION
        SELECT a.live_stream_id FROM public.active_viewers AS a WHERE a.viewer_id = ANY (p_viewer_ids)
    ), free AS MATERIALIZED (
        SELECT s.id FROM public.live_streams AS s WHERE s.id IN (SELECT k.id FROM asked AS k) FOR NO KEY UPDATE SKIP LOCKED
    )
    SELECT array_agg(s.id) INTO v_streams
    FROM public.live_streams AS s
    WHERE s.id IN (SELECT k.id FROM asked AS k) AND s.id NOT IN (SELECT f.id FROM free AS f);
    RETURN jsonb_build_object(
        'viewers', coalesce(v_viewers, '{}'), 'streams', coalesce(v_streams, '{}'),
        'leavers', ARRAY(
            SELECT DISTINCT a.viewer_id FROM public.active_viewers AS a
            WHERE a.viewer_id = ANY (p_viewer_ids) AND a.live_stream_id = ANY (v_streams)));
END;
$$;
COMMENT ON FUNCTION public.find_locked IS 'Whose rows, lock or stream another transaction holds this moment: {viewers, streams, leavers: viewers at those streams}.';
GRANT EXECUTE ON FUNCTION public.find_locked TO service_role;

-- Beats that a plain renewal can not serve: a new row, a changed flag, a return after silence or after a leave. For
-- these, and only these, admission is decided: p_codes gets a refusal per beat, or null.
CREATE FUNCTION private.admission(p_streams uuid[], p_viewers uuid[], p_sessions uuid[], p_active boolean[]) RETURNS text[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_codes text[];
BEGIN
    -- Sorted, so that two batches that share viewers wait for each other instead of deadlocking.
    PERFORM private.lock_viewer(v.id) FROM (SELECT DISTINCT unnest(p_viewers) AS id ORDER BY id) AS v;
    WITH beat AS MATERIALIZED (
        SELECT b.*, private.refusal(b.stream_id, b.viewer_id) AS code
        FROM unnest(p_streams, p_viewers, p_sessions, p_active) WITH ORDINALITY AS b (stream_id, viewer_id, session_id, is_active, n)
    ), wall AS MATERIALIZED (
        SELECT b.viewer_id, b.session_id,
               private.wall_refusal(b.viewer_id, b.session_id, array_agg(b.stream_id), array_agg(b.is_active)) AS code
        FROM beat AS b
        WHERE b.code IS NULL
        GROUP BY b.viewer_id, b.session_id
    )
    SELECT array_agg(coalesce(b.code, w.code) ORDER BY b.n) INTO v_codes
    FROM beat AS b
    LEFT JOIN wall AS w USING (viewer_id, session_id);
    RETURN v_codes;
END;
$$;

-- Records heartbeats of any number of viewers. p_flags: 1 active, 2 unmuted, 4 visible, 8 subscribed. The rows of steady
-- viewers are renewed by one heap-only UPDATE; only streams with an admitted beat are derived anew.
-- Returns the streams that changed, and per refused beat its place in the arrays and its code.
CREATE FUNCTION private.apply_heartbeats(
    p_stream_ids uuid[], p_viewer_ids uuid[], p_session_ids uuid[], p_sequences bigint[], p_flags smallint[],
    OUT changed uuid[], OUT refused jsonb)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- Every beat is one key: probe the index, whatever size the tables had when a session cached its plan.
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    v_now timestamptz := private.clock();
    v_rule private.settings;
    v_streams uuid[];
    v_viewers uuid[];
    v_sessions uuid[];
    v_sequences bigint[];
    v_flags smallint[];
    v_codes text[] := '{}';
    v_derive uuid[] := '{}';
    v_watched uuid[];
BEGIN
    SELECT * INTO v_rule FROM private.settings;
    refused := '[]';
    SELECT array_agg(b.stream_id), array_agg(b.viewer_id), array_agg(b.session_id), array_agg(b.sequence), array_agg(b.flags)
    INTO v_streams, v_viewers, v_sessions, v_sequences, v_flags
    FROM unnest(p_stream_ids, p_viewer_ids, p_session_ids, p_sequences, p_flags) AS b (stream_id, viewer_id, session_id, sequence, flags)
    LEFT JOIN public.active_viewers AS a
        ON a.viewer_id = b.viewer_id AND a.session_id = b.session_id AND a.live_stream_id = b.stream_id
    LEFT JOIN public.live_streams AS s ON s.id = b.stream_id
    WHERE a.viewer_id IS NULL
        OR (b.sequence > a.sequence AND (
            a.has_left OR NOT s.live_available OR a.last_active_at <= v_now - v_rule.viewer_silence
            OR b.flags <> a.is_active::integer + 2 * a.is_unmuted::integer + 4 * a.is_visible::integer + 8 * a.is_subscribed::integer));

    IF v_streams IS NOT NULL THEN
        v_codes := private.admission(v_streams, v_viewers, v_sessions,
            ARRAY(SELECT f & 1 = 1 FROM unnest(v_flags) WITH ORDINALITY AS x (f, n) ORDER BY n));
        WITH admitted AS (
            INSERT INTO public.active_viewers AS a (
                live_stream_id, viewer_id, session_id, sequence, is_active, is_unmuted, is_visible, is_subscribed,
                first_active_at, last_active_at)
            SELECT b.stream_id, b.viewer_id, b.session_id, b.sequence,
                   b.flags & 1 > 0, b.flags & 2 > 0, b.flags & 4 > 0, b.flags & 8 > 0, v_now, v_now
            FROM unnest(v_streams, v_viewers, v_sessions, v_sequences, v_flags, v_codes)
                AS b (stream_id, viewer_id, session_id, sequence, flags, code)
            WHERE b.code IS NULL
            ORDER BY b.viewer_id, b.session_id, b.stream_id
            ON CONFLICT (viewer_id, session_id, live_stream_id) DO UPDATE
            SET sequence = excluded.sequence, is_active = excluded.is_active, is_unmuted = excluded.is_unmuted,
                is_visible = excluded.is_visible, is_subscribed = excluded.is_subscribed, has_left = false,
                last_active_at = excluded.last_active_at
            WHERE excluded.sequence > a.sequence
            RETURNING a.live_stream_id
        )
        SELECT coalesce(array_agg(DISTINCT live_stream_id), '{}') INTO v_derive FROM admitted;
        SELECT coalesce(jsonb_agg(jsonb_build_object(
                   'stream_id', b.stream_id, 'viewer_id', b.viewer_id, 'session_id', b.session_id, 'code', b.code)), '[]')
        INTO refused
        FROM unnest(v_streams, v_viewers, v_sessions, v_codes) AS b (stream_id, viewer_id, session_id, code)
        WHERE b.code IS NOT NULL;
    END IF;

    WITH renewed AS (
        UPDATE public.active_viewers AS a SET last_active_at = v_now, sequence = b.sequence
        FROM unnest(p_stream_ids, p_viewer_ids, p_session_ids, p_sequences, p_flags)
            AS b (stream_id, viewer_id, session_id, sequence, flags)
        JOIN public.live_streams AS s ON s.id = b.stream_id AND s.live_available
        WHERE a.viewer_id = b.viewer_id AND a.session_id = b.session_id AND a.live_stream_id = b.stream_id
            AND b.sequence > a.sequence AND NOT a.has_left AND a.last_active_at > v_now - v_rule.viewer_silence
            -- Other flags than the row's were refused above: a refused heartbeat keeps nothing alive.
            AND b.flags = a.is_active::integer + 2 * a.is_unmuted::integer + 4 * a.is_visible::integer + 8 * a.is_subscribed::integer
        RETURNING a.live_stream_id, a.is_watching
    )
    SELECT array_agg(DISTINCT live_stream_id) INTO v_watched FROM renewed WHERE is_watching;

    -- Locks of raised and derived streams in one sorted pass. Raising in steps of 5 s keeps writes rare; the sweep
    -- looks at the rows again before it believes that a stream's time is up.
    PERFORM FROM public.live_streams AS s
    WHERE s.id = ANY (v_derive) OR (s.id = ANY (v_watched) AND s.watched_until < v_now + v_rule.viewer_silence - interval '5 seconds')
    ORDER BY s.id FOR NO KEY UPDATE;
    UPDATE public.live_streams AS s SET watched_until = v_now + v_rule.viewer_silence
    WHERE s.id = ANY (v_watched) AND s.watched_until < v_now + v_rule.viewer_silence - interval '5 seconds';
    -- A renewal that found its stream off (a lease that came back, a sweep in between) turns it on again.
    v_derive := v_derive || ARRAY(
        SELECT s.id FROM public.live_streams AS s WHERE s.id = ANY (v_watched) AND s.live_available AND NOT s.is_published);
    changed := CASE WHEN v_derive <> '{}' THEN private.derive_publish_state(v_derive) ELSE v_derive END;
END;
$$;

CREATE FUNCTION public.record_heartbeats(
    p_stream_ids uuid[], p_viewer_ids uuid[], p_session_ids uuid[], p_sequences bigint[], p_flags smallint[]
) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT jsonb_build_object('changes', private.stream_changes(r.changed), 'refused', r.refused)
    FROM private.apply_heartbeats(p_stream_ids, p_viewer_ids, p_session_ids, p_sequences, p_flags) AS r;
END;
COMMENT ON FUNCTION public.record_heartbeats IS 'A server''s batch, distinct by stream, viewer and session: {changes, refused}.';
GRANT EXECUTE ON FUNCTION public.record_heartbeats TO service_role;

-- S15, for clients that speak SQL or RPC. Repeating it is harmless; p_viewer_id exists only to be refused when it is
-- somebody else.
CREATE FUNCTION public.update_viewer_heartbeat(
    p_live_stream_id uuid,
    p_is_active boolean DEFAULT true,
    p_is_unmuted boolean DEFAULT true,
    p_is_visible boolean DEFAULT true,
    p_is_subscribed boolean DEFAULT true,
    p_session_id uuid DEFAULT '00000000-0000-0000-0000-000000000000',
    p_viewer_id uuid DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
    v_result record;
    v_flags smallint := p_is_active::integer + 2 * p_is_unmuted::integer + 4 * p_is_visible::integer + 8 * p_is_subscribed::integer;
    v_sequence bigint;
BEGIN
    IF p_viewer_id IS DISTINCT FROM v_caller AND p_viewer_id IS NOT NULL THEN
        PERFORM private.fail('LW020', 'You can only report your own watching.', 'Leave p_viewer_id out.');
    END IF;
    IF v_flags IS NULL OR p_session_id IS NULL THEN
        PERFORM private.fail('LW005', 'A heartbeat needs all four flags and a session.', 'Pass true or false for each flag.');
    END IF;
    -- Two calls of one session may race; the lock gives each a sequence of its own.
    PERFORM private.lock_viewer(v_caller);
    SELECT sequence + 1 INTO v_sequence FROM public.active_viewers
    WHERE viewer_id = v_caller AND session_id = p_session_id AND live_stream_id = p_live_stream_id;
    SELECT * INTO v_result FROM private.apply_heartbeats(
        ARRAY[p_live_stream_id], ARRAY[v_caller], ARRAY[p_session_id], ARRAY[coalesce(v_sequence, 1)], ARRAY[v_flags]);
    IF v_result.refused <> '[]' THEN
        PERFORM private.fail_watching(v_result.refused -> 0 ->> 'code');
    END IF;
    RETURN (SELECT private.stream_json(s) FROM public.live_streams AS s WHERE s.id = p_live_stream_id);
END;
$$;
COMMENT ON FUNCTION public.update_viewer_heartbeat IS 'Upserts the caller''s viewing record with its flags, every 10 to 15 seconds: Stream.';
GRANT EXECUTE ON FUNCTION public.update_viewer_heartbeat TO authenticated;

-- Leaves: flags go down at once, the row stays until cleanup so that an older heartbeat that arrives late is recognised.
-- A null stream means every tile of that session, but for those at p_except: streams that somebody holds. Such a leave is
-- recorded again when they let go, which changes only what is left.
CREATE FUNCTION private.apply_leaves(
    p_viewer_ids uuid[],
    p_session_ids uuid[],
    p_sequences bigint[],
    p_stream_ids uuid[],
    p_except uuid[] DEFAULT '{}'
) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_derive uuid[];
BEGIN
    -- The viewer's lock serialises a leave with an admission of the same session that another connection brought.
    PERFORM private.lock_viewer(v.id) FROM (SELECT DISTINCT unnest(p_viewer_ids) AS id ORDER BY id) AS v;
    WITH gone AS (
        UPDATE public.active_viewers AS a
        SET is_active = false, is_unmuted = false, is_visible = false, is_subscribed = false, has_left = true, sequence = l.sequence
        FROM unnest(p_viewer_ids, p_session_ids, p_sequences, p_stream_ids) AS l (viewer_id, session_id, sequence, stream_id)
        WHERE a.viewer_id = l.viewer_id AND a.session_id = l.session_id AND l.sequence > a.sequence
            AND (a.live_stream_id = l.stream_id OR (l.stream_id IS NULL AND a.live_stream_id <> ALL (p_except)))
        RETURNING a.live_stream_id
    )
    SELECT array_agg(DISTINCT live_stream_id) INTO v_derive FROM gone;
    RETURN CASE WHEN v_derive IS NULL THEN '{}' ELSE private.derive_publish_state(v_derive) END;
END;
$$;

CREATE FUNCTION public.record_leaves(
    p_viewer_ids uuid[],
    p_session_ids uuid[],
    p_sequences bigint[],
    p_stream_ids uuid[],
    p_except uuid[] DEFAULT '{}'
) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN jsonb_build_object(
    'changes', private.stream_changes(private.apply_leaves(p_viewer_ids, p_session_ids, p_sequences, p_stream_ids, p_except)));
COMMENT ON FUNCTION public.record_leaves IS 'A server''s batch of clean leaves; a null stream leaves every tile of the session but those at p_except: {changes}.';
GRANT EXECUTE ON FUNCTION public.record_leaves TO service_role;

-- Ends the watching of viewer n at streamer n, or at everybody where that is null: for blocks, a ban, a deletion. Returns the
-- streams that were left. p_also are streams that the caller changes next: they are locked in one pass with those.
CREATE FUNCTION private.end_watching(p_viewer_ids uuid[], p_streamer_ids uuid[] DEFAULT NULL, p_also uuid[] DEFAULT '{}')
RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_left uuid[];
BEGIN
    PERFORM private.lock_viewer(v.id) FROM (SELECT DISTINCT unnest(p_viewer_ids) AS id ORDER BY id) AS v;
    WITH gone AS (
        DELETE FROM public.active_viewers AS a
        WHERE (a.viewer_id, a.session_id, a.live_stream_id) IN (
            SELECT b.viewer_id, b.session_id, b.live_stream_id
            FROM unnest(p_viewer_ids, p_streamer_ids) AS pair (viewer_id, streamer_id)
            JOIN public.active_viewers AS b ON b.viewer_id = pair.viewer_id
            JOIN public.live_streams AS s ON s.id = b.live_stream_id AND s.streamer_id = coalesce(pair.streamer_id, s.streamer_id)
            ORDER BY b.viewer_id, b.session_id, b.live_stream_id FOR UPDATE OF b)
        RETURNING a.live_stream_id
    )
    SELECT coalesce(array_agg(DISTINCT live_stream_id), '{}') INTO v_left FROM gone;
    PERFORM FROM public.live_streams WHERE id = ANY (v_left || p_also) ORDER BY id FOR NO KEY UPDATE;
    IF v_left <> '{}' THEN
        PERFORM private.derive_publish_state(v_left);
    END IF;
    RETURN v_left;
END;
$$;

-- S17. The publish state does not wait for this: it looks at last_active_at itself. Of all streams, or of those given: so
-- `livewall preflight` sees it work and touches no row but its own.
CREATE FUNCTION private.remove_stale_viewers(p_stream_ids uuid[] DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_removed integer;
BEGIN
    -- SKIP LOCKED: a row that a heartbeat is renewing this moment is not stale.
    DELETE FROM public.active_viewers AS a
    WHERE (a.viewer_id, a.session_id, a.live_stream_id) IN (
        SELECT b.viewer_id, b.session_id, b.live_stream_id
        FROM public.active_viewers AS b, private.settings AS rule
        WHERE b.last_active_at <= private.clock() - rule.viewer_silence
            AND (p_stream_ids IS NULL OR b.live_stream_id = ANY (p_stream_ids))
        FOR UPDATE OF b SKIP LOCKED);
    GET DIAGNOSTICS v_removed = ROW_COUNT;
    RETURN v_removed;
END;
$$;

CREATE FUNCTION public.cleanup_stale_viewers() RETURNS integer
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN private.remove_stale_viewers();
COMMENT ON FUNCTION public.cleanup_stale_viewers IS 'Removes viewing records silent for 60 seconds, every 30 to 60 seconds: how many.';
GRANT EXECUTE ON FUNCTION public.cleanup_stale_viewers TO service_role;
