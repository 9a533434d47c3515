-- Chat of a stream. People write text; system and gift messages come from the server.

CREATE TABLE public.chat_messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    live_stream_id uuid NOT NULL,
    sender_id uuid DEFAULT auth.uid(),
    type text NOT NULL DEFAULT 'text',
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT private.clock(),
    deleted_at timestamptz,
    CONSTRAINT chat_messages_of_stream FOREIGN KEY (live_stream_id) REFERENCES public.live_streams (id) ON DELETE CASCADE,
    CONSTRAINT chat_messages_by_sender FOREIGN KEY (sender_id) REFERENCES public.profiles (id) ON DELETE SET NULL,
    CONSTRAINT chat_messages_type_known CHECK (type IN ('text', 'system', 'gift')),
    CONSTRAINT chat_messages_body_length CHECK (char_length(body) <= 500),
    -- A deleted message keeps its place in the history and loses its words.
    CONSTRAINT chat_messages_deleted_is_empty CHECK ((deleted_at IS NOT NULL) = (body = ''))
);
CREATE INDEX chat_messages_by_stream ON public.chat_messages (live_stream_id, id DESC);
CREATE INDEX chat_messages_by_sender_in_stream ON public.chat_messages (sender_id, live_stream_id, id DESC);
ALTER TABLE public.chat_messages ENABLE ROW LEVEL SECURITY;

-- A token bucket per person: losing it in a crash costs nobody anything.
CREATE UNLOGGED TABLE private.chat_buckets (
    profile_id uuid PRIMARY KEY,
    tokens double precision NOT NULL,
    refilled_at timestamptz NOT NULL,
    CONSTRAINT chat_buckets_of_profile FOREIGN KEY (profile_id) REFERENCES public.profiles (id) ON DELETE CASCADE
) WITH (fillfactor = 50);

CREATE TABLE private.chat_mutes (
    live_stream_id uuid NOT NULL,
    profile_id uuid NOT NULL,
    muted_by uuid,
    expires_at timestamptz NOT NULL,
    CONSTRAINT chat_mutes_once PRIMARY KEY (live_stream_id, profile_id),
    CONSTRAINT chat_mutes_in_stream FOREIGN KEY (live_stream_id) REFERENCES public.live_streams (id) ON DELETE CASCADE,
    CONSTRAINT chat_mutes_of_profile FOREIGN KEY (profile_id) REFERENCES public.profiles (id) ON DELETE CASCADE,
    CONSTRAINT chat_mutes_by_profile FOREIGN KEY (muted_by) REFERENCES public.profiles (id) ON DELETE SET NULL
);
CREATE INDEX chat_mutes_by_profile_id ON private.chat_mutes (profile_id);
CREATE INDEX chat_mutes_by_moderator ON private.chat_mutes (muted_by);

CREATE TABLE private.chat_reports (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id bigint NOT NULL,
    reporter_id uuid,
    -- The words as they were when reported: deleting the message later does not destroy the report.
    body text NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT private.clock(),
    CONSTRAINT chat_reports_of_message FOREIGN KEY (message_id) REFERENCES public.chat_messages (id) ON DELETE CASCADE,
    CONSTRAINT chat_reports_by_profile FOREIGN KEY (reporter_id) REFERENCES public.profiles (id) ON DELETE SET NULL,
    CONSTRAINT chat_reports_once UNIQUE (message_id, reporter_id),
    CONSTRAINT chat_reports_reason_length CHECK (char_length(reason) BETWEEN 1 AND 500)
);
CREATE INDEX chat_reports_by_reporter ON private.chat_reports (reporter_id);
