-- A stream is a streamer's one place on everybody's wall: one row per streamer, live or not.

CREATE TABLE public.live_streams (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    streamer_id uuid NOT NULL,
    title text NOT NULL DEFAULT '',
    slow_mode_seconds smallint NOT NULL DEFAULT 0,
    live_available boolean NOT NULL DEFAULT false,
    live_since timestamptz,
    live_ended_reason text,
    -- Derived by private.derive_publish_state alone; no API role may write these.
    is_published boolean NOT NULL DEFAULT false,
    active_viewer_count integer NOT NULL DEFAULT 0,
    publish_epoch bigint NOT NULL DEFAULT 0,
    published_since timestamptz,
    watched_until timestamptz,
    unpublish_due_at timestamptz,
    unpublish_reason text,
    preview_version integer NOT NULL DEFAULT 0,
    revision bigint NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT private.clock(),
    created_at timestamptz NOT NULL DEFAULT private.clock(),
    CONSTRAINT live_streams_one_per_streamer UNIQUE (streamer_id),
    CONSTRAINT live_streams_of_streamer FOREIGN KEY (streamer_id) REFERENCES public.profiles (id) ON DELETE CASCADE,
    CONSTRAINT live_streams_title_length CHECK (char_length(title) <= 80),
    CONSTRAINT live_streams_slow_mode_range CHECK (slow_mode_seconds BETWEEN 0 AND 300),
    CONSTRAINT live_streams_count_not_negative CHECK (active_viewer_count >= 0),
    CONSTRAINT live_streams_published_only_while_live CHECK (live_available OR NOT is_published)
-- Half-full pages keep the frequent raises of watched_until on their page (heap-only updates).
) WITH (fillfactor = 50);
CREATE INDEX live_streams_live ON public.live_streams (id) WHERE live_available;
CREATE INDEX live_streams_published ON public.live_streams (id) WHERE is_published;
-- Servers ask "what changed since"; raising watched_until does not touch changed_at, so it stays heap-only.
CREATE INDEX live_streams_by_change ON public.live_streams (changed_at);
ALTER TABLE public.live_streams ENABLE ROW LEVEL SECURITY;

-- The one session of the streamer that may send video.
CREATE TABLE private.publisher_leases (
    live_stream_id uuid PRIMARY KEY,
    session_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT publisher_leases_of_stream FOREIGN KEY (live_stream_id) REFERENCES public.live_streams (id) ON DELETE CASCADE
) WITH (fillfactor = 50);

-- Every stretch of sending video, and every stretch of being live, each with why it began and ended.
CREATE TABLE private.publish_intervals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    live_stream_id uuid NOT NULL,
    epoch bigint NOT NULL,
    started_at timestamptz NOT NULL,
    started_reason text NOT NULL,
    ended_at timestamptz,
    ended_reason text,
    CONSTRAINT publish_intervals_of_stream FOREIGN KEY (live_stream_id) REFERENCES public.live_streams (id) ON DELETE CASCADE,
    CONSTRAINT publish_intervals_epoch_once UNIQUE (live_stream_id, epoch),
    CONSTRAINT publish_intervals_start_reason_known CHECK (started_reason IN ('viewer_arrived', 'went_live_watched')),
    CONSTRAINT publish_intervals_end_reason_known CHECK (
        ended_reason IN ('viewers_left', 'viewers_silent', 'streamer_stopped', 'lease_expired', 'banned')),
    CONSTRAINT publish_intervals_end_has_reason CHECK ((ended_at IS NULL) = (ended_reason IS NULL)),
    CONSTRAINT publish_intervals_end_after_start CHECK (ended_at >= started_at)
);
CREATE UNIQUE INDEX publish_intervals_one_open ON private.publish_intervals (live_stream_id) WHERE ended_at IS NULL;
CREATE INDEX publish_intervals_by_end ON private.publish_intervals (live_stream_id, ended_at DESC);

CREATE TABLE private.live_intervals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    live_stream_id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_reason text,
    CONSTRAINT live_intervals_of_stream FOREIGN KEY (live_stream_id) REFERENCES public.live_streams (id) ON DELETE CASCADE,
    CONSTRAINT live_intervals_end_reason_known CHECK (ended_reason IN ('streamer_stopped', 'lease_expired', 'banned')),
    CONSTRAINT live_intervals_end_has_reason CHECK ((ended_at IS NULL) = (ended_reason IS NULL))
);
CREATE UNIQUE INDEX live_intervals_one_open ON private.live_intervals (live_stream_id) WHERE ended_at IS NULL;
CREATE INDEX live_intervals_by_start ON private.live_intervals (live_stream_id, started_at DESC);

CREATE TABLE private.previews (
    live_stream_id uuid PRIMARY KEY,
    jpeg bytea NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT private.clock(),
    CONSTRAINT previews_of_stream FOREIGN KEY (live_stream_id) REFERENCES public.live_streams (id) ON DELETE CASCADE,
    CONSTRAINT previews_small CHECK (octet_length(jpeg) BETWEEN 1 AND 65536)
);
-- A JPEG does not compress; do not try.
ALTER TABLE private.previews ALTER COLUMN jpeg SET STORAGE EXTERNAL;
