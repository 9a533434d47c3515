-- livewall: after foundation, identity, streams
-- The publish state: derived from who watches, never set.
--
-- Lock order, everywhere: advisory locks of pairs (social.sql), advisory locks of viewers in order of id, rows of
-- active_viewers, rows of live_streams in order of id, then the private tables of that stream. live_streams rows are taken
-- FOR NO KEY UPDATE, which the share locks of foreign keys do not meet.

-- Until when nothing is unpublished for want of viewers: one heartbeat period after the database or a server started, or
-- the viewing records were lost. Lost and not yet noted counts as lost this moment.
CREATE FUNCTION private.grace_until() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT greatest(
        pg_postmaster_start_time(),
        (SELECT max(started_at) FROM private.server_starts),
        coalesce((SELECT since FROM private.records_since), private.clock())) + restart_grace
    FROM private.settings;
END;

CREATE FUNCTION private.note_lost_records() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM private.records_since) THEN
        INSERT INTO private.records_since (since) VALUES (private.clock()) ON CONFLICT DO NOTHING;
    END IF;
END;
$$;

-- When an off-transition for want of viewers may happen next. One of the allowed transitions a minute is kept back for
-- the streamer, who may always stop at once.
CREATE FUNCTION private.off_transition_allowed_at(p_stream_id uuid, p_now timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT i.ended_at + interval '1 minute'
    FROM private.publish_intervals AS i
    WHERE i.live_stream_id = p_stream_id AND i.ended_at > p_now - interval '1 minute'
    ORDER BY i.ended_at DESC
    OFFSET (SELECT max_off_transitions - 2 FROM private.settings)
    LIMIT 1;
END;

-- What active_viewers says of these streams: distinct viewers with a qualifying session, those sessions, and the newest
-- heartbeat of one.
CREATE FUNCTION private.demand(p_stream_ids uuid[], p_now timestamptz)
RETURNS TABLE (live_stream_id uuid, viewers integer, sessions integer, heard_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT a.live_stream_id, count(DISTINCT a.viewer_id)::integer, count(*)::integer, max(a.last_active_at)
    FROM public.active_viewers AS a, private.settings AS rule
    WHERE a.live_stream_id = ANY (p_stream_ids) AND a.is_watching AND a.last_active_at > p_now - rule.viewer_silence
    GROUP BY a.live_stream_id;
END;

-- The heart of the publish state, in one statement for any number of streams: decides each by the rules of
-- docs/features/publishing.md, writes only rows that differ, keeps the intervals, and returns the streams that changed.
CREATE FUNCTION private.derive_publish_state(p_stream_ids uuid[]) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_rule private.settings;
    v_now timestamptz;
    v_grace_until timestamptz := private.grace_until();
    v_changed uuid[];
BEGIN
    SELECT * INTO v_rule FROM private.settings;
    -- Locks first, in their own statement: the counts below must come from a snapshot taken after them, or a viewer who
    -- arrived while we waited would be missed.
    PERFORM FROM public.live_streams WHERE id = ANY (p_stream_ids) ORDER BY id FOR NO KEY UPDATE;
    v_now := private.clock();
    WITH wanted AS (
        SELECT s.id, s.is_published AS was_published, s.active_viewer_count AS was_count, s.watched_until, s.unpublish_due_at,
               CASE WHEN s.live_available THEN coalesce(d.viewers, 0) ELSE 0 END AS viewers,
               CASE WHEN s.live_available THEN coalesce(d.sessions, 0) ELSE 0 END AS sessions,
               s.watching_sessions AS was_sessions,
               d.heard_at + v_rule.viewer_silence AS heard_until,
               s.live_available AND (l.expires_at > v_now OR v_grace_until > v_now) AS may_publish,
               coalesce(s.unpublish_reason, CASE WHEN s.watched_until <= v_now THEN 'viewers_silent' ELSE 'viewers_left' END)
                   AS off_reason,
               -- Silence has lasted its 60 seconds already; a leave lingers.
               greatest(
                   coalesce(s.unpublish_due_at, CASE WHEN s.watched_until <= v_now THEN v_now ELSE v_now + v_rule.linger END),
                   s.published_since + v_rule.minimum_on_time) AS due_at
        FROM public.live_streams AS s
        LEFT JOIN private.demand(p_stream_ids, v_now) AS d ON d.live_stream_id = s.id
        LEFT JOIN private.publisher_leases AS l ON l.live_stream_id = s.id
        WHERE s.id = ANY (p_stream_ids)
    ), bounded AS (
        SELECT w.*,
               CASE WHEN w.was_published AND w.viewers = 0 THEN greatest(
                   w.due_at,
                   private.off_transition_allowed_at(w.id, v_now),
                   CASE WHEN v_grace_until > v_now THEN v_grace_until END) END AS off_at
        FROM wanted AS w
    -- Materialized: written refers to these columns again and again, and each would ask for the off time anew.
    ), decided AS MATERIALIZED (
        SELECT b.*,
               CASE WHEN b.viewers > 0 THEN b.was_published OR b.may_publish
                    ELSE b.was_published AND b.off_at > v_now END AS publish
        FROM bounded AS b
    ), written AS (
        UPDATE public.live_streams AS s
        SET is_published = d.publish,
            active_viewer_count = d.viewers,
            watching_sessions = d.sessions,
            publish_epoch = s.publish_epoch + (d.publish <> d.was_published)::integer,
            published_since = CASE WHEN d.publish THEN coalesce(s.published_since, v_now) END,
            watched_until = CASE WHEN d.viewers > 0 THEN d.heard_until ELSE s.watched_until END,
            unpublish_due_at = CASE WHEN d.publish THEN d.off_at END,
            unpublish_reason = CASE WHEN d.publish AND d.off_at IS NOT NULL THEN d.off_reason END
        FROM decided AS d
        WHERE s.id = d.id AND (
            d.publish <> d.was_published
            OR d.viewers <> d.was_count
            OR d.sessions <> d.was_sessions
            OR (d.publish AND d.off_at IS DISTINCT FROM d.unpublish_due_at)
            OR (d.viewers > 0 AND d.heard_until IS DISTINCT FROM d.watched_until))
        RETURNING s.id, s.publish_epoch, d.publish, d.was_published, d.off_reason,
                  d.publish <> d.was_published OR d.viewers <> d.was_count
                      OR d.off_at IS DISTINCT FROM d.unpublish_due_at AS is_visible_change
    ), opened AS (
        INSERT INTO private.publish_intervals (live_stream_id, epoch, started_at, started_reason)
        SELECT w.id, w.publish_epoch, v_now, 'viewer_arrived' FROM written AS w WHERE w.publish AND NOT w.was_published
    ), closed AS (
        UPDATE private.publish_intervals AS i SET ended_at = v_now, ended_reason = w.off_reason
        FROM written AS w
        WHERE i.live_stream_id = w.id AND i.ended_at IS NULL AND w.was_published AND NOT w.publish
    )
    SELECT coalesce(array_agg(w.id) FILTER (WHERE w.is_visible_change), '{}') INTO v_changed FROM written AS w;
    RETURN v_changed;
END;
$$;

-- Going live and stopping, whoever flips live_available: start_stream, stop_stream, an expired lease, a ban, or the
-- owner by a plain UPDATE. A BEFORE trigger, because the row is locked already and may be completed in place.
CREATE FUNCTION private.begin_live(p_stream public.live_streams, p_now timestamptz) RETURNS public.live_streams
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_rule private.settings;
    v_room_at timestamptz;
BEGIN
    -- The row is ours now: a ban that was written while we waited for it is seen.
    PERFORM private.refuse_banned(p_stream.streamer_id);
    SELECT * INTO v_rule FROM private.settings;
    IF NOT v_rule.guests_may_go_live AND (SELECT is_guest FROM public.profiles WHERE id = p_stream.streamer_id) THEN
        PERFORM private.fail('LW032', 'Guests can watch but not go live here.', 'Create an account first; it keeps your wall.');
    END IF;
    -- With all transitions of this minute used, going live again could force one more by stopping: wait instead.
    SELECT max(t.at) + interval '1 minute' INTO v_room_at
    FROM (SELECT ended_at AS at, row_number() OVER (ORDER BY ended_at DESC) AS n
          FROM private.publish_intervals WHERE live_stream_id = p_stream.id AND ended_at > p_now - interval '1 minute'
          UNION ALL
          SELECT started_at, row_number() OVER (ORDER BY started_at DESC)
          FROM private.live_intervals WHERE live_stream_id = p_stream.id AND started_at > p_now - interval '1 minute') AS t
    WHERE t.n = v_rule.max_off_transitions;
    IF v_room_at > p_now THEN
        PERFORM private.fail('LW031', 'You went live several times within a minute.', 'Wait a moment, then go live again.',
            jsonb_build_object('retry_after', ceil(extract(epoch FROM v_room_at - p_now))));
    END IF;
    -- A plain UPDATE brings no lease with it: it gets one for the default session, which expires unless kept.
    INSERT INTO private.publisher_leases AS l (live_stream_id, session_id, expires_at)
    VALUES (p_stream.id, '00000000-0000-0000-0000-000000000000', p_now + v_rule.lease_time)
    ON CONFLICT (live_stream_id) DO UPDATE SET session_id = excluded.session_id, expires_at = excluded.expires_at
    WHERE l.expires_at <= p_now;
    INSERT INTO private.live_intervals (live_stream_id, started_at) VALUES (p_stream.id, p_now);
    p_stream.live_since := p_now;
    p_stream.live_ended_reason := NULL;
    SELECT d.viewers, d.sessions, d.heard_at + v_rule.viewer_silence
    INTO p_stream.active_viewer_count, p_stream.watching_sessions, p_stream.watched_until
    FROM private.demand(ARRAY[p_stream.id], p_now) AS d;
    p_stream.active_viewer_count := coalesce(p_stream.active_viewer_count, 0);
    p_stream.watching_sessions := coalesce(p_stream.watching_sessions, 0);
    IF p_stream.active_viewer_count > 0 THEN
        p_stream.is_published := true;
        p_stream.published_since := p_now;
        p_stream.publish_epoch := p_stream.publish_epoch + 1;
        INSERT INTO private.publish_intervals (live_stream_id, epoch, started_at, started_reason)
        VALUES (p_stream.id, p_stream.publish_epoch, p_now, 'went_live_watched');
    END IF;
    RETURN p_stream;
END;
$$;

CREATE FUNCTION private.end_live(p_stream public.live_streams, p_now timestamptz) RETURNS public.live_streams
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    p_stream.live_ended_reason := coalesce(p_stream.live_ended_reason, 'streamer_stopped');
    -- With no server running nobody ends a lapsed lease; being live ended when it lapsed all the same.
    UPDATE private.live_intervals AS i
    SET ended_at = CASE WHEN p_stream.live_ended_reason = 'lease_expired' THEN least(l.expires_at, p_now) ELSE p_now END,
        ended_reason = p_stream.live_ended_reason
    FROM public.live_streams AS s
    LEFT JOIN private.publisher_leases AS l ON l.live_stream_id = s.id
    WHERE i.live_stream_id = p_stream.id AND i.ended_at IS NULL AND s.id = p_stream.id;
    DELETE FROM private.publisher_leases WHERE live_stream_id = p_stream.id;
    IF p_stream.is_published THEN
        p_stream.publish_epoch := p_stream.publish_epoch + 1;
        UPDATE private.publish_intervals SET ended_at = p_now, ended_reason = p_stream.live_ended_reason
        WHERE live_stream_id = p_stream.id AND ended_at IS NULL;
    END IF;
    p_stream.is_published := false;
    p_stream.active_viewer_count := 0;
    p_stream.watching_sessions := 0;
    p_stream.published_since := NULL;
    p_stream.unpublish_due_at := NULL;
    p_stream.unpublish_reason := NULL;
    p_stream.live_since := NULL;
    RETURN p_stream;
END;
$$;

CREATE FUNCTION private.follow_live_available() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.live_available THEN
        RETURN private.begin_live(NEW, private.clock());
    END IF;
    RETURN private.end_live(NEW, private.clock());
END;
$$;
CREATE TRIGGER live_streams_follow_live_available BEFORE UPDATE OF live_available ON public.live_streams
    FOR EACH ROW WHEN (OLD.live_available IS DISTINCT FROM NEW.live_available)
    EXECUTE FUNCTION private.follow_live_available();

-- Named to fire last: counts a revision for everything that clients see, and for nothing else.
CREATE FUNCTION private.count_stream_revision() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.revision := OLD.revision + 1;
    NEW.changed_at := private.clock();
    RETURN NEW;
END;
$$;
CREATE TRIGGER live_streams_revision BEFORE UPDATE ON public.live_streams
    FOR EACH ROW WHEN (
        (OLD.title, OLD.slow_mode_seconds, OLD.live_available, OLD.is_published, OLD.active_viewer_count, OLD.publish_epoch,
            OLD.preview_version, OLD.unpublish_due_at)
        IS DISTINCT FROM
        (NEW.title, NEW.slow_mode_seconds, NEW.live_available, NEW.is_published, NEW.active_viewer_count, NEW.publish_epoch,
            NEW.preview_version, NEW.unpublish_due_at))
    EXECUTE FUNCTION private.count_stream_revision();

-- Clears live_available where the publisher's lease ran out. Called by the sweep and by the reconciler.
CREATE FUNCTION private.end_expired_leases() RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_now timestamptz := private.clock();
    v_expired uuid[];
BEGIN
    IF private.grace_until() > v_now THEN
        RETURN '{}';
    END IF;
    v_expired := ARRAY(SELECT live_stream_id FROM private.publisher_leases WHERE expires_at <= v_now ORDER BY live_stream_id);
    IF v_expired = '{}' THEN
        RETURN v_expired;
    END IF;
    -- SKIP LOCKED, here and below: a stream whose row somebody holds waits for the next tick, and no other waits for it.
    v_expired := ARRAY(SELECT id FROM public.live_streams WHERE id = ANY (v_expired) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED);
    WITH ended AS (
        UPDATE public.live_streams AS s SET live_available = false, live_ended_reason = 'lease_expired'
        FROM private.publisher_leases AS l
        WHERE s.id = ANY (v_expired) AND s.live_available AND l.live_stream_id = s.id AND l.expires_at <= v_now
        RETURNING s.id
    )
    SELECT coalesce(array_agg(id), '{}') INTO v_expired FROM ended;
    RETURN v_expired;
END;
$$;

-- The fast tick, several times a second. Reads only what can be due: published streams whose watched_until or off time
-- has come, and leases that ran out. Also tells a server what changed since it last asked, whoever changed it.
CREATE FUNCTION public.sweep_publish_state(p_since timestamptz) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_now timestamptz := private.clock();
    v_due uuid[];
BEGIN
    PERFORM private.note_lost_records(), private.end_expired_leases();
    v_due := ARRAY(SELECT id FROM public.live_streams
                   WHERE is_published AND (watched_until <= v_now OR unpublish_due_at <= v_now)
                   ORDER BY id FOR NO KEY UPDATE SKIP LOCKED);
    IF v_due <> '{}' THEN
        PERFORM private.derive_publish_state(v_due);
    END IF;
    RETURN jsonb_build_object(
        'now', v_now,
        'changes', private.stream_changes(ARRAY(SELECT id FROM public.live_streams WHERE changed_at > p_since)));
END;
$$;
COMMENT ON FUNCTION public.sweep_publish_state IS 'Ends what is due and reports what changed since: {now, changes}.';
GRANT EXECUTE ON FUNCTION public.sweep_publish_state TO service_role;

-- S16. The reconciler: reads every viewing record once, follows whatever was written past the functions, and derives
-- only the streams whose state differs from what the records say or whose time has come.
CREATE FUNCTION public.update_publish_state_from_viewers() RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_now timestamptz := private.clock();
    v_silence interval := (SELECT viewer_silence FROM private.settings);
    v_ended uuid[] := private.end_expired_leases();
    v_derive uuid[];
BEGIN
    PERFORM private.note_lost_records();
    -- No way leads to such a record, but if one is found it must not keep a camera on.
    DELETE FROM public.active_viewers WHERE (viewer_id, session_id, live_stream_id) IN (
        SELECT a.viewer_id, a.session_id, a.live_stream_id
        FROM (SELECT b.blocker_id, b.blocked_id FROM public.blocks AS b UNION ALL SELECT b.blocked_id, b.blocker_id FROM public.blocks AS b)
            AS pair (streamer_id, viewer_id)
        JOIN public.live_streams AS s ON s.streamer_id = pair.streamer_id AND s.live_available
        JOIN public.active_viewers AS a ON a.viewer_id = pair.viewer_id AND a.live_stream_id = s.id
        FOR UPDATE OF a SKIP LOCKED);
    WITH seen AS (
        SELECT a.live_stream_id, count(*) AS sessions
        FROM public.active_viewers AS a
        WHERE a.is_watching AND a.last_active_at > v_now - v_silence
        GROUP BY a.live_stream_id
    )
    SELECT array_agg(s.id) INTO v_derive
    FROM public.live_streams AS s
    LEFT JOIN seen ON seen.live_stream_id = s.id
    WHERE s.live_available AND (
        s.watching_sessions <> coalesce(seen.sessions, 0)
        OR s.is_published <> (seen.sessions IS NOT NULL)
        OR s.unpublish_due_at IS NOT NULL);
    v_derive := ARRAY(SELECT id FROM public.live_streams WHERE id = ANY (v_derive) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED);
    IF v_derive = '{}' THEN
        RETURN cardinality(v_ended);
    END IF;
    RETURN cardinality(v_ended) + cardinality(private.derive_publish_state(v_derive));
END;
$$;
COMMENT ON FUNCTION public.update_publish_state_from_viewers IS
    'Derives every stream''s publish state from active_viewers, every 10 to 15 seconds: how many streams changed.';
GRANT EXECUTE ON FUNCTION public.update_publish_state_from_viewers TO service_role;

-- Keeps leases alive. A session that no longer holds its stream's lease is told so.
CREATE FUNCTION public.record_publisher_heartbeats(p_stream_ids uuid[], p_session_ids uuid[]) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH beat AS (
        SELECT * FROM unnest(p_stream_ids, p_session_ids) AS b (stream_id, session_id)
    ), kept AS (
        UPDATE private.publisher_leases AS l SET expires_at = private.clock() + rule.lease_time
        FROM beat AS b, private.settings AS rule
        WHERE l.live_stream_id = b.stream_id AND l.session_id = b.session_id
        RETURNING l.live_stream_id, l.session_id
    )
    SELECT jsonb_build_object('lost', coalesce(
        jsonb_agg(jsonb_build_object('stream_id', b.stream_id, 'session_id', b.session_id)), '[]'))
    FROM beat AS b
    WHERE NOT EXISTS (SELECT FROM kept AS k WHERE k.live_stream_id = b.stream_id AND k.session_id = b.session_id);
END;
COMMENT ON FUNCTION public.record_publisher_heartbeats IS 'Renews publisher leases: {lost: [{stream_id, session_id}]}.';
GRANT EXECUTE ON FUNCTION public.record_publisher_heartbeats TO service_role;
