-- livewall: after foundation, identity, streams, social, publishing, presence
-- S6: people manage their own viewing records by plain SQL, within the limits of heartbeats.

-- Whether a write asks for less than before, or still for nothing. Asking for less is always allowed.
CREATE FUNCTION private.only_lowers(p_old public.active_viewers, p_new public.active_viewers) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN (p_new.is_active <= p_old.is_active AND p_new.is_unmuted <= p_old.is_unmuted
        AND p_new.is_visible <= p_old.is_visible AND p_new.is_subscribed <= p_old.is_subscribed)
    AND ((p_new.is_active, p_new.is_unmuted, p_new.is_visible, p_new.is_subscribed)
            <> (p_old.is_active, p_old.is_unmuted, p_old.is_visible, p_old.is_subscribed)
        OR NOT (p_new.is_active OR p_new.is_unmuted OR p_new.is_visible OR p_new.is_subscribed));

-- A direct UPDATE is a heartbeat too, but one that only lowers flags keeps nothing alive that no heartbeat would: a tile
-- of an ended stream, or one that is gone already and no longer counts as one of the wall's 12.
-- The batch path runs as the table's owner and does not pay for this trigger.
CREATE FUNCTION private.stamp_direct_write() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    v_now timestamptz := private.clock();
    v_gone boolean := OLD.has_left OR OLD.last_active_at <= v_now - (SELECT viewer_silence FROM private.settings);
BEGIN
    IF NOT private.only_lowers(OLD, NEW) OR NOT (v_gone OR private.refusal(NEW.live_stream_id, NEW.viewer_id) IS NOT NULL) THEN
        NEW.last_active_at := v_now;
        NEW.has_left := false;
    END IF;
    RETURN NEW;
END;
$$;
CREATE TRIGGER active_viewers_stamp BEFORE UPDATE ON public.active_viewers
    FOR EACH ROW WHEN (current_user = 'authenticated') EXECUTE FUNCTION private.stamp_direct_write();

-- Direct writes take effect at once, as calls do; the reconciler is only their safety net. Once per statement, so that
-- all its streams are locked in order. Without a transition table, which the batch path would fill too: the rows that
-- this transaction wrote name the streams, and where a subtransaction wrote them, all rows of the viewer do.
CREATE FUNCTION private.follow_direct_write() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    v_own uuid[];
    v_written uuid[];
BEGIN
    SELECT array_agg(DISTINCT a.live_stream_id),
           array_agg(DISTINCT a.live_stream_id) FILTER (WHERE a.xmin = pg_current_xact_id()::xid)
    INTO v_own, v_written
    FROM public.active_viewers AS a
    WHERE a.viewer_id = auth.uid();
    PERFORM private.derive_publish_state(coalesce(v_written, v_own));
    RETURN NULL;
END;
$$;
CREATE TRIGGER active_viewers_follow AFTER INSERT OR UPDATE ON public.active_viewers
    FOR EACH STATEMENT WHEN (current_user = 'authenticated') EXECUTE FUNCTION private.follow_direct_write();

CREATE FUNCTION private.follow_direct_delete() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    PERFORM private.derive_publish_state(ARRAY(SELECT DISTINCT g.live_stream_id FROM gone AS g));
    RETURN NULL;
END;
$$;
CREATE TRIGGER active_viewers_follow_delete AFTER DELETE ON public.active_viewers REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT WHEN (current_user = 'authenticated') EXECUTE FUNCTION private.follow_direct_delete();

-- The acting profile, with its viewer lock taken. A subquery of USING runs once and before any row is locked, so a direct
-- UPDATE takes lock and rows in the same order as a batch.
CREATE FUNCTION private.lock_acting_viewer() RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    v_viewer uuid := private.acting_profile();
BEGIN
    PERFORM private.lock_viewer(v_viewer);
    RETURN v_viewer;
END;
$$;
GRANT EXECUTE ON FUNCTION private.lock_acting_viewer TO authenticated;

-- The policy check of a direct write: the same limits as the functions, raised with the same codes.
CREATE FUNCTION private.admit_direct_write(p_stream_id uuid, p_viewer_id uuid, p_session_id uuid, p_is_active boolean) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    v_code text;
BEGIN
    PERFORM private.lock_viewer(p_viewer_id);
    v_code := coalesce(
        private.refusal(p_stream_id, p_viewer_id),
        private.wall_refusal(p_viewer_id, p_session_id, ARRAY[p_stream_id], ARRAY[p_is_active]));
    IF v_code IS NOT NULL THEN
        PERFORM private.fail_watching(v_code);
    END IF;
    RETURN true;
END;
$$;
GRANT EXECUTE ON FUNCTION private.admit_direct_write TO authenticated;

-- The row as it was is still what a query finds: policies are checked before the new one is stored. Without an old row
-- nothing compares as lower.
CREATE FUNCTION private.admit_direct_update(p_new public.active_viewers) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    v_old public.active_viewers;
BEGIN
    SELECT * INTO v_old FROM public.active_viewers AS a
    WHERE a.viewer_id = p_new.viewer_id AND a.session_id = p_new.session_id AND a.live_stream_id = p_new.live_stream_id;
    RETURN private.only_lowers(v_old, p_new)
        OR private.admit_direct_write(p_new.live_stream_id, p_new.viewer_id, p_new.session_id, p_new.is_active);
END;
$$;
GRANT EXECUTE ON FUNCTION private.admit_direct_update TO authenticated;

-- Seen by their owner alone; counts are public on live_streams. Time, sequence and derived columns have no grant.
CREATE POLICY active_viewers_select_own ON public.active_viewers FOR SELECT TO authenticated
    USING (viewer_id = (SELECT auth.uid()));
CREATE POLICY active_viewers_insert_own ON public.active_viewers FOR INSERT TO authenticated
    WITH CHECK (viewer_id = (SELECT private.acting_profile())
        AND private.admit_direct_write(live_stream_id, viewer_id, session_id, is_active));
CREATE POLICY active_viewers_update_own ON public.active_viewers FOR UPDATE TO authenticated
    USING (viewer_id = (SELECT private.lock_acting_viewer()))
    WITH CHECK (viewer_id = (SELECT private.acting_profile())
        AND private.admit_direct_update(active_viewers));
CREATE POLICY active_viewers_delete_own ON public.active_viewers FOR DELETE TO authenticated
    USING (viewer_id = (SELECT auth.uid()));
GRANT SELECT, DELETE ON public.active_viewers TO authenticated;
GRANT INSERT (live_stream_id, viewer_id, session_id, is_active, is_unmuted, is_visible, is_subscribed),
    UPDATE (is_active, is_unmuted, is_visible, is_subscribed) ON public.active_viewers TO authenticated;
