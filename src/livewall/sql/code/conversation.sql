-- livewall: after foundation, identity, streams, social, grid
-- What a socket starts from, read in one statement so that it is of one moment.
CREATE FUNCTION public.socket_snapshot(p_session_id uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH me AS (SELECT private.require_open_session() AS id),
    own AS (SELECT s.* FROM public.live_streams AS s, me WHERE s.streamer_id = me.id)
    SELECT jsonb_build_object(
        'account', private.account_json(me.id),
        'streams', (
            SELECT coalesce(jsonb_agg(private.stream_json(s) ORDER BY s.active_viewer_count DESC, s.id), '[]')
            FROM (SELECT l.* FROM public.live_streams AS l WHERE l.live_available
                  ORDER BY l.active_viewer_count DESC, l.id LIMIT 200) AS s),
        'slots', private.slots_json(me.id),
        'blocked', (SELECT coalesce(jsonb_agg(b), '[]') FROM private.blocked_with(me.id) AS b),
        'own_stream', (SELECT private.stream_json(s) FROM public.live_streams AS s WHERE s.streamer_id = me.id),
        'own_change', private.stream_changes(ARRAY(SELECT o.id FROM own AS o)) -> 0,
        'server_time', private.clock())
    FROM me;
END;
COMMENT ON FUNCTION public.socket_snapshot IS 'Everything a new socket is told: {account, streams, slots, blocked, own_stream, own_change, server_time}.';
GRANT EXECUTE ON FUNCTION public.socket_snapshot TO authenticated;
