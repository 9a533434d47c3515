-- livewall: after foundation, identity, streams
-- Links, follows and blocks.

CREATE FUNCTION private.is_blocked_pair(p_one uuid, p_other uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT EXISTS (
        SELECT FROM public.blocks AS b
        WHERE (b.blocker_id, b.blocked_id) IN ((p_one, p_other), (p_other, p_one)));
END;

-- Whoever follows and whoever blocks holds this for the two, and then sees what the one before has committed. In order: one
-- statement may write many rows.
CREATE FUNCTION private.lock_pairs(p_ones uuid[], p_others uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(pair.key)
    FROM (
        SELECT DISTINCT hashtextextended(format('pair %s %s', least(p.one, p.other), greatest(p.one, p.other)), 0) AS key
        FROM unnest(p_ones, p_others) AS p (one, other)
        ORDER BY key) AS pair;
END;
$$;

CREATE POLICY user_links_select_all ON public.user_links FOR SELECT TO anon, authenticated, service_role USING (true);
CREATE POLICY user_links_insert_own ON public.user_links FOR INSERT TO authenticated
    WITH CHECK (profile_id = (SELECT private.acting_profile()));
CREATE POLICY user_links_update_own ON public.user_links FOR UPDATE TO authenticated
    USING (profile_id = (SELECT private.acting_profile())) WITH CHECK (profile_id = (SELECT private.acting_profile()));
CREATE POLICY user_links_delete_own ON public.user_links FOR DELETE TO authenticated
    USING (profile_id = (SELECT private.acting_profile()));
GRANT SELECT ON public.user_links TO anon, authenticated, service_role;
GRANT INSERT (profile_id, position, label, url), UPDATE (position, label, url), DELETE ON public.user_links TO authenticated;

CREATE POLICY follows_select_all ON public.follows FOR SELECT TO anon, authenticated, service_role USING (true);
CREATE POLICY follows_insert_own ON public.follows FOR INSERT TO authenticated
    WITH CHECK (follower_id = (SELECT private.acting_profile()));
CREATE POLICY follows_delete_own ON public.follows FOR DELETE TO authenticated
    USING (follower_id = (SELECT private.acting_profile()));
GRANT SELECT ON public.follows TO anon, authenticated, service_role;
GRANT INSERT (follower_id, followee_id), DELETE ON public.follows TO authenticated;

CREATE TRIGGER follows_need_present_view BEFORE INSERT ON public.follows
    FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_old_view();

CREATE FUNCTION private.refuse_blocked_follows() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM private.lock_pairs(array_agg(m.follower_id), array_agg(m.followee_id)) FROM made AS m;
    IF EXISTS (SELECT FROM made AS m WHERE private.is_blocked_pair(m.follower_id, m.followee_id)) THEN
        PERFORM private.fail('LW022', 'You can not follow this person.', 'One of you has blocked the other.');
    END IF;
    RETURN NULL;
END;
$$;
CREATE TRIGGER follows_refuse_blocked AFTER INSERT ON public.follows REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_blocked_follows();

CREATE POLICY blocks_select_own ON public.blocks FOR SELECT TO authenticated USING (blocker_id = (SELECT auth.uid()));
CREATE POLICY blocks_insert_own ON public.blocks FOR INSERT TO authenticated
    WITH CHECK (blocker_id = (SELECT private.acting_profile()));
-- Whoever may DELETE may LOCK the whole table, and every gift looks here: blocks are lifted by a function.
GRANT SELECT, INSERT (blocker_id, blocked_id) ON public.blocks TO authenticated;

-- A new block ends what the two have going on, whoever writes the row: follows both ways and watching both ways. Once per
-- statement, so that all its locks are taken in order.
CREATE FUNCTION private.apply_blocks() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_ones uuid[];
    v_others uuid[];
BEGIN
    SELECT array_agg(m.blocker_id) || array_agg(m.blocked_id), array_agg(m.blocked_id) || array_agg(m.blocker_id)
    INTO v_ones, v_others
    FROM made AS m;
    PERFORM private.lock_pairs(v_ones, v_others);
    DELETE FROM public.follows
    WHERE (follower_id, followee_id) IN (SELECT p.one, p.other FROM unnest(v_ones, v_others) AS p (one, other));
    PERFORM private.end_watching(v_ones, v_others);
    RETURN NULL;
END;
$$;
CREATE TRIGGER blocks_apply AFTER INSERT ON public.blocks REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION private.apply_blocks();

-- Whom a person shall not meet: blocked by them, or having blocked them.
CREATE FUNCTION private.blocked_with(p_profile_id uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT b.blocked_id FROM public.blocks AS b WHERE b.blocker_id = p_profile_id
    UNION
    SELECT b.blocker_id FROM public.blocks AS b WHERE b.blocked_id = p_profile_id;
END;

CREATE FUNCTION private.my_blocked() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT private.blocked_with(auth.uid());
END;
GRANT EXECUTE ON FUNCTION private.my_blocked TO anon, authenticated;

-- anon has no privilege on blocks, so the page of get_profile asks through this.
CREATE FUNCTION private.my_blocks() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT b.blocked_id FROM public.blocks AS b WHERE b.blocker_id = auth.uid();
END;
GRANT EXECUTE ON FUNCTION private.my_blocks TO anon, authenticated;

CREATE FUNCTION private.links_json(p_profile_id uuid) RETURNS jsonb
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(jsonb_build_object('label', l.label, 'url', l.url) ORDER BY l.position), '[]')
    FROM public.user_links AS l
    WHERE l.profile_id = p_profile_id;
END;
GRANT EXECUTE ON FUNCTION private.links_json TO anon, authenticated;

CREATE FUNCTION public.get_profile(p_name text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
BEGIN ATOMIC
    SELECT private.profile_json(p) || jsonb_build_object(
        'followers', (SELECT count(*) FROM public.follows AS f WHERE f.followee_id = p.id),
        'following', (SELECT count(*) FROM public.follows AS f WHERE f.follower_id = p.id),
        'links', private.links_json(p.id),
        'stream', (SELECT private.stream_json(s) FROM public.live_streams AS s WHERE s.streamer_id = p.id),
        'you_follow', EXISTS (SELECT FROM public.follows AS f WHERE f.follower_id = auth.uid() AND f.followee_id = p.id),
        'you_block', EXISTS (SELECT FROM private.my_blocks() AS b WHERE b = p.id))
    FROM private.profile_by_name(p_name) AS p;
END;
COMMENT ON FUNCTION public.get_profile IS 'A profile page: Profile with counts, links and stream.';
GRANT EXECUTE ON FUNCTION public.get_profile TO anon, authenticated;

CREATE FUNCTION public.replace_links(p_links jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
BEGIN
    IF jsonb_typeof(p_links) IS DISTINCT FROM 'array' OR jsonb_array_length(p_links) > 10 THEN
        PERFORM private.fail('LW013', 'A profile takes up to 10 links.', 'Remove one first.');
    END IF;
    PERFORM FROM public.profiles WHERE id = v_caller FOR NO KEY UPDATE;
    DELETE FROM public.user_links WHERE profile_id = v_caller;
    INSERT INTO public.user_links (profile_id, position, label, url)
    SELECT v_caller, link.position, private.clean_text(link.item ->> 'label'), link.item ->> 'url'
    FROM jsonb_array_elements(p_links) WITH ORDINALITY AS link (item, position);
    RETURN private.links_json(v_caller);
END;
$$;
COMMENT ON FUNCTION public.replace_links IS 'The caller''s links, whole and in order: [Link]. http and https only.';
GRANT EXECUTE ON FUNCTION public.replace_links TO authenticated;

CREATE FUNCTION public.list_following() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
BEGIN ATOMIC
    SELECT coalesce(
        jsonb_agg(private.profile_json(p) || jsonb_build_object('stream', private.stream_json(s))
            ORDER BY s.live_available DESC NULLS LAST, p.name), '[]')
    FROM public.follows AS f
    JOIN public.profiles AS p ON p.id = f.followee_id
    LEFT JOIN public.live_streams AS s ON s.streamer_id = p.id
    WHERE f.follower_id = (SELECT auth.uid());
END;
COMMENT ON FUNCTION public.list_following IS 'Whom the caller follows, who is live first: [Profile with stream].';
GRANT EXECUTE ON FUNCTION public.list_following TO authenticated;

CREATE FUNCTION public.follow(p_name text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
    v_other uuid := (private.profile_by_name(p_name)).id;
BEGIN
    INSERT INTO public.follows (follower_id, followee_id) VALUES (v_caller, v_other) ON CONFLICT DO NOTHING;
    RETURN to_jsonb(v_other);
END;
$$;
COMMENT ON FUNCTION public.follow IS 'Follows somebody by name; following twice is following once.';
GRANT EXECUTE ON FUNCTION public.follow TO authenticated;

CREATE FUNCTION public.unfollow(p_name text) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY INVOKER
BEGIN ATOMIC
    DELETE FROM public.follows
    WHERE follower_id = private.require_caller() AND followee_id = (private.profile_by_name(p_name)).id;
    SELECT to_jsonb(true);
END;
COMMENT ON FUNCTION public.unfollow IS 'Stops following somebody.';
GRANT EXECUTE ON FUNCTION public.unfollow TO authenticated;

CREATE FUNCTION public.list_blocks() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(private.profile_json(p) ORDER BY p.name), '[]')
    FROM public.blocks AS b
    JOIN public.profiles AS p ON p.id = b.blocked_id
    WHERE b.blocker_id = (SELECT auth.uid());
END;
COMMENT ON FUNCTION public.list_blocks IS 'Whom the caller has blocked: [Profile].';
GRANT EXECUTE ON FUNCTION public.list_blocks TO authenticated;

CREATE FUNCTION public.block(p_name text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
    v_other uuid := (private.profile_by_name(p_name)).id;
BEGIN
    INSERT INTO public.blocks (blocker_id, blocked_id) VALUES (v_caller, v_other) ON CONFLICT DO NOTHING;
    RETURN jsonb_build_object(
        'profile_id', v_other,
        'changes', private.stream_changes(ARRAY(SELECT id FROM public.live_streams WHERE streamer_id IN (v_caller, v_other))));
END;
$$;
COMMENT ON FUNCTION public.block IS 'Blocks somebody: ends follows and watching both ways. {profile_id, changes}.';
GRANT EXECUTE ON FUNCTION public.block TO authenticated;

CREATE FUNCTION public.unblock(p_name text) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    DELETE FROM public.blocks
    WHERE blocker_id = private.require_caller() AND blocked_id = (private.profile_by_name(p_name)).id;
    SELECT to_jsonb((private.profile_by_name(p_name)).id);
END;
COMMENT ON FUNCTION public.unblock IS 'Lifts a block: the other''s id.';
GRANT EXECUTE ON FUNCTION public.unblock TO authenticated;
