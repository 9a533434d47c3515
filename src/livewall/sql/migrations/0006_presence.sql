-- Who is watching what, right now: one row per stream, viewer and session. Losing this table costs nothing but one
-- heartbeat period (private.grace_until), so it is UNLOGGED; and no index covers a column that a heartbeat changes,
-- so renewals are heap-only updates.

CREATE UNLOGGED TABLE public.active_viewers (
    live_stream_id uuid NOT NULL,
    viewer_id uuid NOT NULL DEFAULT auth.uid(),
    session_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    is_active boolean NOT NULL DEFAULT false,
    is_unmuted boolean NOT NULL DEFAULT false,
    is_visible boolean NOT NULL DEFAULT false,
    is_subscribed boolean NOT NULL DEFAULT false,
    is_watching boolean NOT NULL GENERATED ALWAYS AS (is_active AND is_unmuted AND is_visible AND is_subscribed) STORED,
    -- A session that left keeps its row, flags down, until cleanup: an older heartbeat that arrives late finds the sequence.
    has_left boolean NOT NULL DEFAULT false,
    sequence bigint NOT NULL DEFAULT 0,
    first_active_at timestamptz NOT NULL DEFAULT private.clock(),
    last_active_at timestamptz NOT NULL DEFAULT private.clock(),
    CONSTRAINT active_viewers_one_per_session PRIMARY KEY (viewer_id, session_id, live_stream_id),
    CONSTRAINT active_viewers_of_stream FOREIGN KEY (live_stream_id) REFERENCES public.live_streams (id) ON DELETE CASCADE,
    CONSTRAINT active_viewers_of_viewer FOREIGN KEY (viewer_id) REFERENCES public.profiles (id) ON DELETE CASCADE
) WITH (fillfactor = 50);
CREATE INDEX active_viewers_by_stream ON public.active_viewers (live_stream_id, viewer_id);
ALTER TABLE public.active_viewers ENABLE ROW LEVEL SECURITY;
