-- People. The world-readable profile carries nothing private; the rest is in schema private.

CREATE TABLE public.profiles (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    name_skeleton text NOT NULL GENERATED ALWAYS AS (private.name_skeleton(name)) STORED,
    display_name text NOT NULL,
    bio text NOT NULL DEFAULT '',
    is_guest boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT private.clock(),
    CONSTRAINT profiles_are_users FOREIGN KEY (id) REFERENCES auth.users (id) ON DELETE CASCADE,
    CONSTRAINT profiles_name_unlike_others UNIQUE (name_skeleton),
    CONSTRAINT profiles_name_well_formed CHECK (name ~ '^[a-z0-9][a-z0-9._]{1,22}[a-z0-9]$'),
    CONSTRAINT profiles_display_name_length CHECK (char_length(display_name) BETWEEN 1 AND 40),
    CONSTRAINT profiles_bio_length CHECK (char_length(bio) <= 300)
);
CREATE UNIQUE INDEX profiles_name_unique ON public.profiles (name);
ALTER TABLE public.profiles ENABLE ROW LEVEL SECURITY;

CREATE TABLE private.credentials (
    profile_id uuid PRIMARY KEY,
    password_hash text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT private.clock(),
    CONSTRAINT credentials_of_profile FOREIGN KEY (profile_id) REFERENCES public.profiles (id) ON DELETE CASCADE
);

CREATE TABLE private.sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    profile_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT private.clock(),
    expires_at timestamptz NOT NULL,
    closed_at timestamptz,
    CONSTRAINT sessions_of_profile FOREIGN KEY (profile_id) REFERENCES public.profiles (id) ON DELETE CASCADE
);
CREATE INDEX sessions_by_profile ON private.sessions (profile_id);

CREATE TABLE private.staff_roles (
    profile_id uuid NOT NULL,
    role text NOT NULL,
    granted_at timestamptz NOT NULL DEFAULT private.clock(),
    CONSTRAINT staff_roles_once PRIMARY KEY (profile_id, role),
    CONSTRAINT staff_roles_known CHECK (role IN ('moderator', 'finance', 'admin')),
    CONSTRAINT staff_roles_of_profile FOREIGN KEY (profile_id) REFERENCES public.profiles (id) ON DELETE CASCADE
);

CREATE TABLE private.bans (
    profile_id uuid PRIMARY KEY,
    banned_by uuid,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT private.clock(),
    expires_at timestamptz,
    CONSTRAINT bans_of_profile FOREIGN KEY (profile_id) REFERENCES public.profiles (id) ON DELETE CASCADE,
    CONSTRAINT bans_by_profile FOREIGN KEY (banned_by) REFERENCES public.profiles (id) ON DELETE SET NULL,
    CONSTRAINT bans_reason_length CHECK (char_length(reason) BETWEEN 1 AND 500)
);
CREATE INDEX bans_by_moderator ON private.bans (banned_by);
