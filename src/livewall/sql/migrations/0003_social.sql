-- Links, follows and blocks between people.

CREATE TABLE public.user_links (
    profile_id uuid NOT NULL DEFAULT auth.uid(),
    position smallint NOT NULL,
    label text NOT NULL,
    url text NOT NULL,
    CONSTRAINT user_links_one_per_position PRIMARY KEY (profile_id, position),
    CONSTRAINT user_links_of_profile FOREIGN KEY (profile_id) REFERENCES public.profiles (id) ON DELETE CASCADE,
    CONSTRAINT user_links_at_most_ten CHECK (position BETWEEN 1 AND 10),
    CONSTRAINT user_links_label_length CHECK (char_length(label) BETWEEN 1 AND 40),
    CONSTRAINT user_links_label_clean CHECK (label = private.clean_text(label)),
    -- http and https only, a host, and none of the characters that hide where a link leads.
    CONSTRAINT user_links_url_is_web CHECK (
        char_length(url) <= 300
        AND url ~ '^https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[!-~]*|[?#][!-~]*)?$'
        AND url !~ '["<>\\^`{|}]'
    )
);
ALTER TABLE public.user_links ENABLE ROW LEVEL SECURITY;

CREATE TABLE public.follows (
    follower_id uuid NOT NULL DEFAULT auth.uid(),
    followee_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT private.clock(),
    CONSTRAINT follows_once PRIMARY KEY (follower_id, followee_id),
    CONSTRAINT follows_by_profile FOREIGN KEY (follower_id) REFERENCES public.profiles (id) ON DELETE CASCADE,
    CONSTRAINT follows_of_profile FOREIGN KEY (followee_id) REFERENCES public.profiles (id) ON DELETE CASCADE,
    CONSTRAINT follows_not_oneself CHECK (follower_id <> followee_id)
);
CREATE INDEX follows_by_followee ON public.follows (followee_id);
ALTER TABLE public.follows ENABLE ROW LEVEL SECURITY;

CREATE TABLE public.blocks (
    blocker_id uuid NOT NULL DEFAULT auth.uid(),
    blocked_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT private.clock(),
    CONSTRAINT blocks_once PRIMARY KEY (blocker_id, blocked_id),
    CONSTRAINT blocks_by_profile FOREIGN KEY (blocker_id) REFERENCES public.profiles (id) ON DELETE CASCADE,
    CONSTRAINT blocks_of_profile FOREIGN KEY (blocked_id) REFERENCES public.profiles (id) ON DELETE CASCADE,
    CONSTRAINT blocks_not_oneself CHECK (blocker_id <> blocked_id)
);
CREATE INDEX blocks_by_blocked ON public.blocks (blocked_id);
ALTER TABLE public.blocks ENABLE ROW LEVEL SECURITY;
