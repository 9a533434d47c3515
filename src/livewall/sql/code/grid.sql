-- livewall: after foundation, identity, streams, presence
-- The personal wall of 12 slots.

CREATE POLICY user_grid_slots_select_own ON public.user_grid_slots FOR SELECT TO authenticated
    USING (viewer_id = (SELECT auth.uid()));
CREATE POLICY user_grid_slots_insert_own ON public.user_grid_slots FOR INSERT TO authenticated
    WITH CHECK (viewer_id = (SELECT private.acting_profile()));
CREATE POLICY user_grid_slots_update_own ON public.user_grid_slots FOR UPDATE TO authenticated
    USING (viewer_id = (SELECT private.acting_profile())) WITH CHECK (viewer_id = (SELECT private.acting_profile()));
CREATE POLICY user_grid_slots_delete_own ON public.user_grid_slots FOR DELETE TO authenticated
    USING (viewer_id = (SELECT private.acting_profile()));
GRANT SELECT, DELETE,
    INSERT (viewer_id, slot_index, streamer_id, is_pinned, is_muted, is_active, volume),
    UPDATE (slot_index, streamer_id, is_pinned, is_muted, is_active, volume)
    ON public.user_grid_slots TO authenticated;

CREATE TRIGGER user_grid_slots_need_present_view BEFORE INSERT OR UPDATE ON public.user_grid_slots
    FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_old_view();

CREATE FUNCTION private.limit_active_slots() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Two transactions could each find room for the last active tile; the second waits, and counts what the first wrote.
    PERFORM FROM public.profiles WHERE id = NEW.viewer_id FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM public.user_grid_slots AS g WHERE g.viewer_id = NEW.viewer_id AND g.is_active)
        > (SELECT max_active_tiles FROM private.settings)
    THEN
        PERFORM private.fail_watching('LW024');
    END IF;
    RETURN NULL;
END;
$$;
-- Deferred to the end of the statement's transaction, so that one tile may go down and another up in any order.
CREATE CONSTRAINT TRIGGER user_grid_slots_limit_active AFTER INSERT OR UPDATE OF is_active ON public.user_grid_slots
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.is_active) EXECUTE FUNCTION private.limit_active_slots();

CREATE FUNCTION private.slots_json(p_viewer_id uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'slot_index', g.slot_index, 'streamer_id', g.streamer_id, 'is_pinned', g.is_pinned, 'is_muted', g.is_muted,
        'is_active', g.is_active, 'volume', g.volume,
        'streamer', private.person_json(g.streamer_id), 'stream', private.stream_json(s)) ORDER BY g.slot_index), '[]')
    FROM public.user_grid_slots AS g
    LEFT JOIN public.live_streams AS s ON s.streamer_id = g.streamer_id
    WHERE g.viewer_id = p_viewer_id;
END;

CREATE FUNCTION public.get_grid() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN private.slots_json(private.require_caller());
COMMENT ON FUNCTION public.get_grid IS 'The caller''s wall: [Slot].';
GRANT EXECUTE ON FUNCTION public.get_grid TO authenticated;

-- A slot index as JSON sent it, or LW040: jsonb casts would round a fraction and take a text.
CREATE FUNCTION private.slot_index(p_slot jsonb) RETURNS smallint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF jsonb_typeof(p_slot -> 'slot_index') IS DISTINCT FROM 'number' OR p_slot ->> 'slot_index' !~ '^([1-9]|1[0-2])$' THEN
        PERFORM private.fail('LW040', 'A slot is a whole number from 1 to 12.', 'Check slot_index.',
            jsonb_build_object('slot_index', p_slot -> 'slot_index'));
    END IF;
    RETURN (p_slot ->> 'slot_index')::smallint;
END;
$$;

CREATE FUNCTION public.save_grid(p_slots jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
    v_most integer := (SELECT max_tiles FROM private.settings);
BEGIN
    IF jsonb_typeof(p_slots) IS DISTINCT FROM 'array' THEN
        PERFORM private.fail('LW040', 'A wall is a list of slots.', 'Send a list, an empty one for an empty wall.');
    ELSIF jsonb_array_length(p_slots) > v_most THEN
        PERFORM private.fail('LW023', format('A wall has %s tiles.', v_most), 'Remove a tile first.',
            jsonb_build_object('limit', v_most, 'got', jsonb_array_length(p_slots)));
    END IF;
    -- Two tabs that save at once queue here; the later one wins whole.
    PERFORM FROM public.profiles WHERE id = v_caller FOR NO KEY UPDATE;
    DELETE FROM public.user_grid_slots WHERE viewer_id = v_caller;
    INSERT INTO public.user_grid_slots (viewer_id, slot_index, streamer_id, is_pinned, is_muted, is_active, volume)
    SELECT v_caller, private.slot_index(slot), (slot ->> 'streamer_id')::uuid,
           coalesce((slot ->> 'is_pinned')::boolean, false), coalesce((slot ->> 'is_muted')::boolean, false),
           coalesce((slot ->> 'is_active')::boolean, false), coalesce((slot ->> 'volume')::smallint, 100)
    FROM jsonb_array_elements(p_slots) AS slot;
    -- The limit of active tiles is checked now, so that the caller of this function gets its error here.
    SET CONSTRAINTS public.user_grid_slots_limit_active IMMEDIATE;
    RETURN private.slots_json(v_caller);
END;
$$;
COMMENT ON FUNCTION public.save_grid IS 'Replaces the caller''s wall, 0 to 12 slots: [Slot].';
GRANT EXECUTE ON FUNCTION public.save_grid TO authenticated;
