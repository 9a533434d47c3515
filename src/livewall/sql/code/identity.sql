-- livewall: after foundation
-- Profiles, accounts and sessions.

CREATE POLICY profiles_select_all ON public.profiles FOR SELECT TO anon, authenticated, service_role USING (true);
CREATE POLICY profiles_update_own ON public.profiles FOR UPDATE TO authenticated
    USING (id = (SELECT private.acting_profile())) WITH CHECK (id = (SELECT private.acting_profile()));
GRANT SELECT ON public.profiles TO anon, authenticated, service_role;
GRANT UPDATE (name, display_name, bio) ON public.profiles TO authenticated;

-- Letters and digits of a name in the forms they are mistaken for, for words that only staff may use.
CREATE FUNCTION private.plain_letters(p_name text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN translate(
    replace(replace(replace(regexp_replace(lower(normalize(p_name, NFKC)), '[^a-z0-9]', '', 'g'), 'vv', 'w'), 'rn', 'm'), 'cl', 'd'),
    '013457i', 'oleastl');

-- Names that read as if the platform spoke: with these beginnings, or made of such a word and perhaps a number.
CREATE FUNCTION private.speaks_for_the_platform(p_name text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN private.plain_letters(p_name) ~ '^(admln|llvewall|moderator)'
    OR EXISTS (
        SELECT FROM regexp_split_to_table(p_name, '[._]') AS part
        WHERE private.plain_letters(rtrim(part, '0123456789')) IN ('staff', 'support'))
    OR private.plain_letters(rtrim(p_name, '0123456789')) IN ('staff', 'support', 'operator', 'system', 'root', 'offlclal');

-- The same for shown names, which may hold spaces and any script: the whole name counts, for people may like support.
CREATE FUNCTION private.shows_as_the_platform(p_name text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN private.plain_letters(p_name)
    ~ '^((the)?(admln|admlnlstrator|moderator|operator|staff|support|system)s?[0-9ol]*|llvewall.*)$';

-- Names are stored composed and in lower case whoever writes them, so the unique skeleton sees one spelling.
CREATE FUNCTION private.normalize_profile() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.name := lower(btrim(normalize(NEW.name, NFKC)));
    NEW.display_name := private.clean_text(NEW.display_name);
    NEW.bio := private.clean_text(NEW.bio);
    IF NEW.name !~ '^[a-z0-9][a-z0-9._]{1,22}[a-z0-9]$'
        OR ((TG_OP = 'INSERT' OR NEW.name <> OLD.name) AND private.speaks_for_the_platform(NEW.name))
    THEN
        PERFORM private.fail('LW010', 'This name can not be used.',
            'Take 3 to 24 of a-z, 0-9, dot and underscore, with a letter or digit at both ends.', jsonb_build_object('name', NEW.name));
    END IF;
    IF (TG_OP = 'INSERT' OR NEW.display_name <> OLD.display_name) AND private.shows_as_the_platform(NEW.display_name)
        AND NOT private.has_staff_role(NEW.id, 'moderator', 'finance', 'admin')
    THEN
        PERFORM private.fail('LW010', 'This shown name can not be used.', 'Take one that nobody mistakes for the people who run this site.',
            jsonb_build_object('display_name', NEW.display_name));
    END IF;
    IF char_length(NEW.display_name) NOT BETWEEN 1 AND 40 OR char_length(NEW.bio) > 300 THEN
        PERFORM private.fail('LW016', 'The shown name takes 1 to 40 characters, the text about you up to 300.',
            'Shorten it and save again.',
            jsonb_build_object('display_name_length', char_length(NEW.display_name), 'bio_length', char_length(NEW.bio)));
    END IF;
    RETURN NEW;
END;
$$;
CREATE TRIGGER profiles_normalize BEFORE INSERT OR UPDATE OF name, display_name, bio ON public.profiles
    FOR EACH ROW EXECUTE FUNCTION private.normalize_profile();

-- How a person looks in answers: Profile and the short form inside streams, slots and messages.
CREATE FUNCTION private.profile_json(p_profile public.profiles) RETURNS jsonb
LANGUAGE sql STABLE
RETURN jsonb_build_object(
    'id', p_profile.id, 'name', p_profile.name, 'display_name', p_profile.display_name, 'bio', p_profile.bio,
    'is_guest', p_profile.is_guest, 'is_demo', p_profile.is_demo, 'created_at', p_profile.created_at);
GRANT EXECUTE ON FUNCTION private.profile_json TO anon, authenticated, service_role;

CREATE FUNCTION private.person_json(p_profile_id uuid) RETURNS jsonb
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT jsonb_build_object('id', p.id, 'name', p.name, 'display_name', p.display_name)
    FROM public.profiles AS p
    WHERE p.id = p_profile_id;
END;
GRANT EXECUTE ON FUNCTION private.person_json TO anon, authenticated, service_role;

CREATE FUNCTION private.account_json(p_profile_id uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT jsonb_build_object(
        'profile', private.profile_json(p),
        'is_guest', p.is_guest,
        'roles', coalesce(
            (SELECT jsonb_agg(r.role ORDER BY r.role) FROM private.staff_roles AS r WHERE r.profile_id = p.id), '[]'))
    FROM public.profiles AS p
    WHERE p.id = p_profile_id;
END;

-- The profile behind a name as people type it, or LW004.
CREATE FUNCTION private.profile_by_name(p_name text) RETURNS public.profiles
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_profile public.profiles;
BEGIN
    SELECT * INTO v_profile FROM public.profiles WHERE name = lower(btrim(normalize(p_name, NFKC)));
    IF v_profile.id IS NULL THEN
        PERFORM private.fail('LW004', 'Nobody has this name.', 'Check the spelling.', jsonb_build_object('name', p_name));
    END IF;
    RETURN v_profile;
END;
$$;
GRANT EXECUTE ON FUNCTION private.profile_by_name TO anon, authenticated;

-- Whether auth.users is our own. In a Supabase project it belongs to its sign-in service, which alone adds and removes
-- accounts; our owner may only refer to it.
CREATE FUNCTION private.accounts_are_ours() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT pg_catalog.pg_get_userbyid(c.relowner) = 'livewall_owner'
    FROM pg_catalog.pg_class AS c
    WHERE c.oid = 'auth.users'::regclass;
END;

CREATE FUNCTION private.require_own_accounts() RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT private.accounts_are_ours() THEN
        PERFORM private.fail('LW017', 'Accounts are not kept here.', 'Sign in with the service that this site uses for accounts.');
    END IF;
END;
$$;

CREATE FUNCTION private.create_person(p_id uuid, p_name text, p_display_name text, p_is_guest boolean) RETURNS public.profiles
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_profile public.profiles;
BEGIN
    IF private.accounts_are_ours() THEN
        INSERT INTO auth.users (id, is_anonymous) VALUES (p_id, p_is_guest) ON CONFLICT (id) DO NOTHING;
    END IF;
    INSERT INTO public.profiles (id, name, display_name, is_guest)
    VALUES (p_id, p_name, coalesce(nullif(private.clean_text(p_display_name), ''), btrim(p_name)), p_is_guest)
    RETURNING * INTO v_profile;
    RETURN v_profile;
END;
$$;

-- A free name of the form prefix.number; the unique skeleton decides, so we try until one is free.
CREATE FUNCTION private.create_person_with_any_name(p_id uuid, p_prefix text, p_is_guest boolean) RETURNS public.profiles
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    FOR v_try IN 1 .. 50 LOOP
        BEGIN
            RETURN private.create_person(
                p_id, p_prefix || '.' || (1000 * 10 ^ (v_try / 10) * (1 + 9 * random()))::bigint, NULL, p_is_guest);
        EXCEPTION WHEN unique_violation THEN
            NULL;
        END;
    END LOOP;
    PERFORM private.fail('LW011', 'No free name was found.', 'Choose a name yourself.');
END;
$$;

CREATE FUNCTION public.create_guest(p_name text DEFAULT NULL, p_is_demo boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_profile public.profiles;
BEGIN
    PERFORM private.require_own_accounts();
    IF p_name IS NULL THEN
        v_profile := private.create_person_with_any_name(gen_random_uuid(), 'guest', true);
    ELSE
        v_profile := private.create_person(gen_random_uuid(), p_name, NULL, true);
    END IF;
    IF p_is_demo THEN
        UPDATE public.profiles SET is_demo = true WHERE id = v_profile.id RETURNING * INTO v_profile;
    END IF;
    RETURN private.profile_json(v_profile);
END;
$$;
COMMENT ON FUNCTION public.create_guest IS 'A profile without a password, of a person or of a demo streamer: Profile.';
GRANT EXECUTE ON FUNCTION public.create_guest TO service_role;

-- With p_guest_id the guest keeps their profile, wall and follows, and becomes an account.
CREATE FUNCTION public.create_account(
    p_name text, p_password_hash text, p_display_name text DEFAULT NULL, p_guest_id uuid DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_profile public.profiles;
BEGIN
    PERFORM private.require_own_accounts();
    IF p_guest_id IS NULL THEN
        v_profile := private.create_person(gen_random_uuid(), p_name, p_display_name, false);
    ELSE
        UPDATE public.profiles
        SET name = p_name, display_name = coalesce(nullif(private.clean_text(p_display_name), ''), btrim(p_name)), is_guest = false
        WHERE id = p_guest_id AND is_guest
        RETURNING * INTO v_profile;
        IF v_profile.id IS NULL THEN
            PERFORM private.fail('LW014', 'This is an account already.', 'Sign out first to create another one.');
        END IF;
        UPDATE auth.users SET is_anonymous = false WHERE id = p_guest_id;
    END IF;
    INSERT INTO private.credentials (profile_id, password_hash) VALUES (v_profile.id, p_password_hash);
    RETURN private.profile_json(v_profile);
END;
$$;
COMMENT ON FUNCTION public.create_account IS 'An account with a password hash, new or grown from a guest: Profile.';
GRANT EXECUTE ON FUNCTION public.create_account TO service_role;

CREATE FUNCTION public.find_credentials(p_name text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT jsonb_build_object('profile_id', c.profile_id, 'password_hash', c.password_hash)
    FROM private.credentials AS c
    JOIN public.profiles AS p ON p.id = c.profile_id
    WHERE p.name = lower(btrim(normalize(p_name, NFKC)));
END;
COMMENT ON FUNCTION public.find_credentials IS 'What a password is checked against, or null.';
GRANT EXECUTE ON FUNCTION public.find_credentials TO service_role;

CREATE FUNCTION public.set_password_hash(p_profile_id uuid, p_password_hash text) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT private.require_own_accounts();
    INSERT INTO private.credentials (profile_id, password_hash) VALUES (p_profile_id, p_password_hash)
    ON CONFLICT (profile_id) DO UPDATE SET password_hash = excluded.password_hash, changed_at = private.clock()
    RETURNING to_jsonb(profile_id);
END;
COMMENT ON FUNCTION public.set_password_hash IS 'Replaces the stored hash, for a new password or stronger hashing.';
GRANT EXECUTE ON FUNCTION public.set_password_hash TO service_role;

CREATE FUNCTION private.session_json(p_session private.sessions) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN jsonb_build_object(
    'session_id', p_session.id, 'expires_at', p_session.expires_at,
    'account', private.account_json(p_session.profile_id) || jsonb_build_object('expires_at', p_session.expires_at));

CREATE FUNCTION private.refuse_banned(p_profile_id uuid) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF private.is_banned(p_profile_id) THEN
        PERFORM private.fail('LW002', 'This account is banned.', 'Write to the operator if you think this is a mistake.');
    END IF;
END;
$$;

CREATE FUNCTION public.open_session(p_profile_id uuid, p_lifetime interval) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_session private.sessions;
BEGIN
    PERFORM private.refuse_banned(p_profile_id);
    INSERT INTO private.sessions (profile_id, expires_at) VALUES (p_profile_id, private.clock() + p_lifetime)
    RETURNING * INTO v_session;
    RETURN private.session_json(v_session);
END;
$$;
COMMENT ON FUNCTION public.open_session IS 'A session for a token to name: {session_id, expires_at, account}. Refuses the banned.';
GRANT EXECUTE ON FUNCTION public.open_session TO service_role;

CREATE FUNCTION public.renew_session(p_session_id uuid, p_lifetime interval) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_session private.sessions;
BEGIN
    UPDATE private.sessions SET expires_at = private.clock() + p_lifetime
    WHERE id = p_session_id AND closed_at IS NULL AND expires_at > private.clock()
    RETURNING * INTO v_session;
    IF v_session.id IS NULL THEN
        PERFORM private.fail('LW015', 'This session has ended.', 'Sign in again.');
    END IF;
    PERFORM private.refuse_banned(v_session.profile_id);
    RETURN private.session_json(v_session);
END;
$$;
COMMENT ON FUNCTION public.renew_session IS 'Extends an open session; refuses closed ones and the banned.';
GRANT EXECUTE ON FUNCTION public.renew_session TO service_role;

-- Tokens outlive a sign-out, and the server of a socket may not have heard of it. An issuer elsewhere names sessions of
-- its own, which are not on record here.
CREATE FUNCTION private.require_open_session() RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
BEGIN
    IF EXISTS (
        SELECT FROM private.sessions
        WHERE profile_id = v_caller AND closed_at IS NOT NULL
            AND id::text = nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'session_id') THEN
        PERFORM private.fail('LW015', 'This session has ended.', 'Sign in again.');
    END IF;
    RETURN v_caller;
END;
$$;

CREATE FUNCTION public.close_session(p_session_id uuid) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE private.sessions SET closed_at = coalesce(closed_at, private.clock()) WHERE id = p_session_id
    RETURNING to_jsonb(id);
END;
COMMENT ON FUNCTION public.close_session IS 'Ends a session; it can not be renewed afterwards.';
GRANT EXECUTE ON FUNCTION public.close_session TO service_role;

CREATE FUNCTION public.ensure_profile(p_profile_id uuid, p_name text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Also before a profile is made: who deleted a banned account comes back with the id of the ban.
    PERFORM private.refuse_banned(p_profile_id);
    IF NOT EXISTS (SELECT FROM public.profiles WHERE id = p_profile_id) THEN
        BEGIN
            PERFORM private.create_person(p_profile_id, p_name, NULL, false);
        EXCEPTION WHEN unique_violation OR not_null_violation OR SQLSTATE 'LW010' OR SQLSTATE 'LW016' THEN
            -- Somebody else's issuer may send any name, or one that is taken here: then we choose.
            IF NOT EXISTS (SELECT FROM public.profiles WHERE id = p_profile_id) THEN
                PERFORM private.create_person_with_any_name(p_profile_id, 'member', false);
            END IF;
        END;
    END IF;
    RETURN private.account_json(p_profile_id);
END;
$$;
COMMENT ON FUNCTION public.ensure_profile IS 'The account of a person known to an outside issuer, created at the first visit. Refuses the banned.';
GRANT EXECUTE ON FUNCTION public.ensure_profile TO service_role;

CREATE FUNCTION public.my_account() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN private.account_json(private.require_caller());
COMMENT ON FUNCTION public.my_account IS 'The caller''s own account.';
GRANT EXECUTE ON FUNCTION public.my_account TO authenticated;

CREATE FUNCTION public.update_profile(p_name text DEFAULT NULL, p_display_name text DEFAULT NULL, p_bio text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY INVOKER
BEGIN ATOMIC
    UPDATE public.profiles AS p
    SET name = coalesce(p_name, p.name), display_name = coalesce(p_display_name, p.display_name), bio = coalesce(p_bio, p.bio)
    WHERE p.id = private.require_caller()
    RETURNING private.profile_json(p);
END;
COMMENT ON FUNCTION public.update_profile IS 'Changes what a person may edit of their own profile: Profile.';
GRANT EXECUTE ON FUNCTION public.update_profile TO authenticated;
