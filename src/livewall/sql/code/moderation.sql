-- livewall: after foundation, identity, streams, presence
-- Bans by moderators.

CREATE FUNCTION public.ban_profile(p_name text, p_reason text, p_seconds integer DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
    v_other uuid;
    v_streams uuid[];
BEGIN
    IF NOT private.has_staff_role(v_caller, 'moderator', 'admin') THEN
        PERFORM private.fail('LW003', 'Only moderators can ban.', 'Report the message instead.');
    END IF;
    v_other := (private.profile_by_name(p_name)).id;
    IF v_other = v_caller OR private.has_staff_role(v_other, 'moderator', 'finance', 'admin') THEN
        PERFORM private.fail('LW003', 'Staff can not be banned here.', 'Remove their role first.');
    ELSIF p_seconds < 1 THEN
        PERFORM private.fail('LW005', 'A ban lasts at least a second.', 'Leave the duration out to ban for good.');
    END IF;
    PERFORM private.lock_viewer(v_other);
    -- Their own stream with those they watch, before anything is written: who is just going live is waited for.
    v_streams := private.end_watching(
        ARRAY[v_other], p_also => ARRAY(SELECT id FROM public.live_streams WHERE streamer_id = v_other));
    INSERT INTO private.bans (profile_id, banned_by, reason, expires_at)
    VALUES (v_other, v_caller, private.clean_text(p_reason), private.clock() + make_interval(secs => p_seconds))
    ON CONFLICT (profile_id) DO UPDATE
    SET banned_by = excluded.banned_by, reason = excluded.reason, expires_at = excluded.expires_at, created_at = private.clock();
    UPDATE private.sessions SET closed_at = private.clock() WHERE profile_id = v_other AND closed_at IS NULL;
    UPDATE public.live_streams SET live_available = false, live_ended_reason = 'banned'
    WHERE streamer_id = v_other AND live_available;
    -- What the ban may be about must not stay in sight: nobody asks for the old picture under a new version.
    DELETE FROM private.previews USING public.live_streams AS s WHERE s.id = live_stream_id AND s.streamer_id = v_other;
    UPDATE public.live_streams SET title = '', preview_version = preview_version + 1 WHERE streamer_id = v_other;
    RETURN jsonb_build_object('profile_id', v_other, 'changes', private.stream_changes(
        v_streams || ARRAY(SELECT id FROM public.live_streams WHERE streamer_id = v_other)));
END;
$$;
COMMENT ON FUNCTION public.ban_profile IS 'Bans somebody: sessions end, watching ends, their stream stops, its title and preview go. {profile_id, changes}.';
GRANT EXECUTE ON FUNCTION public.ban_profile TO authenticated;

CREATE FUNCTION public.unban_profile(p_name text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_other uuid := (private.profile_by_name(p_name)).id;
BEGIN
    IF NOT private.has_staff_role(private.require_caller(), 'moderator', 'admin') THEN
        PERFORM private.fail('LW003', 'Only moderators can lift a ban.', 'Ask a moderator.');
    END IF;
    DELETE FROM private.bans WHERE profile_id = v_other;
    RETURN to_jsonb(v_other);
END;
$$;
COMMENT ON FUNCTION public.unban_profile IS 'Lifts a ban.';
GRANT EXECUTE ON FUNCTION public.unban_profile TO authenticated;
