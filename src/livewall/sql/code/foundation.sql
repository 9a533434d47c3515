-- livewall: after
-- The one-round-trip call, coded errors, and who is acting.

-- Raises one of Livewall's own errors. p_code is 'LWnnn' from the catalogue in errors.py and docs/errors.md.
CREATE FUNCTION private.fail(p_code text, p_message text, p_hint text, p_fields jsonb DEFAULT '{}') RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = p_code, MESSAGE = p_message, HINT = p_hint, DETAIL = p_fields::text;
END;
$$;
GRANT EXECUTE ON FUNCTION private.fail TO anon, authenticated, service_role;

CREATE FUNCTION private.is_banned(p_profile_id uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT EXISTS (
        SELECT FROM private.bans AS b
        WHERE b.profile_id = p_profile_id AND (b.expires_at IS NULL OR b.expires_at > private.clock()));
END;

-- The caller's profile, or null for nobody and for the banned: what policies compare owners with when rows are written.
CREATE FUNCTION private.acting_profile() RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN NOT private.is_banned(auth.uid()) THEN auth.uid() END;
GRANT EXECUTE ON FUNCTION private.acting_profile TO anon, authenticated, service_role;

-- The same for functions, which owe the caller a reason.
CREATE FUNCTION private.require_caller() RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := auth.uid();
BEGIN
    IF v_caller IS NULL OR NOT EXISTS (SELECT FROM public.profiles WHERE id = v_caller) THEN
        PERFORM private.fail('LW001', 'You are not signed in.', 'Sign in or continue as a guest.');
    END IF;
    IF private.is_banned(v_caller) THEN
        PERFORM private.fail('LW002', 'This account is banned.', 'Write to the operator if you think this is a mistake.');
    END IF;
    RETURN v_caller;
END;
$$;
GRANT EXECUTE ON FUNCTION private.require_caller TO anon, authenticated;

CREATE FUNCTION private.has_profile(p_profile_id uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT EXISTS (SELECT FROM public.profiles AS p WHERE p.id = p_profile_id);
END;

-- Limits and blocks are checked against what is committed now. A transaction that reads an older snapshot would not see
-- the block or the tile that a concurrent one has just written, however well both are locked.
CREATE FUNCTION private.require_present_view() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        PERFORM private.fail('LW007', 'This can not be written in a transaction that reads an older snapshot.',
            'Use READ COMMITTED, the default.', jsonb_build_object('isolation', current_setting('transaction_isolation')));
    END IF;
END;
$$;

-- For tables whose rules look at other rows: a statement trigger, whoever writes.
CREATE FUNCTION private.refuse_old_view() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM private.require_present_view();
    RETURN NULL;
END;
$$;

CREATE FUNCTION private.has_staff_role(p_profile_id uuid, VARIADIC p_roles text[]) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT EXISTS (SELECT FROM private.staff_roles AS r WHERE r.profile_id = p_profile_id AND r.role = ANY (p_roles));
END;
GRANT EXECUTE ON FUNCTION private.has_staff_role TO authenticated;

CREATE FUNCTION private.require_staff(VARIADIC p_roles text[]) RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
BEGIN
    IF NOT private.has_staff_role(v_caller, VARIADIC p_roles) THEN
        PERFORM private.fail('LW003', format('This takes the role %s.', array_to_string(p_roles, ' or ')), 'Ask somebody who has it.');
    END IF;
    RETURN v_caller;
END;
$$;

-- `role` is what was switched to, also inside a definer's function; claims would only say what somebody wrote there.
CREATE FUNCTION private.require_operator() RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('role') <> 'service_role' THEN
        PERFORM private.require_staff('finance', 'admin');
    END IF;
END;
$$;

-- By length and by the characters it may not have: a bounded repetition costs a regular expression ten times as much.
CREATE FUNCTION private.is_idempotency_key(p_key text) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN octet_length(p_key) BETWEEN 8 AND 100 AND p_key !~ '[^!-~]';

CREATE FUNCTION private.require_idempotency_key(p_key text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF private.is_idempotency_key(p_key) IS NOT TRUE THEN
        PERFORM private.fail('LW005', 'An idempotency key has 8 to 100 visible characters.', 'Use a new random UUID for each gift or purchase.');
    END IF;
END;
$$;

-- A whole request in one round trip: role and claims hold for this statement's transaction and are gone after it, on
-- success and on error alike. The target is looked up in public only, and its EXECUTE privilege is checked after the
-- switch, as the caller's role. Arguments are matched by name; one that the target does not have is refused.
CREATE FUNCTION public.call_as(p_role text, p_claims jsonb, p_function text, p_args jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_names text;
    v_columns text;
    v_known integer;
    v_result jsonb;
BEGIN
    IF p_role NOT IN ('anon', 'authenticated', 'service_role') OR p_role IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'LW003', MESSAGE = format('Role %s can not be used here.', coalesce(p_role, 'null')),
            HINT = 'Use anon, authenticated or service_role.', DETAIL = '{}';
    END IF;
    SELECT string_agg(format('%1$I => a.%1$I', arg.name), ', '),
           string_agg(format('%I %s', arg.name, format_type(arg.type, NULL)), ', '),
           count(*)
    INTO v_names, v_columns, v_known
    FROM pg_catalog.pg_proc AS p,
         unnest(p.proargnames[1:p.pronargs], p.proargtypes::oid[]) AS arg (name, type)
    WHERE p.pronamespace = 'public'::regnamespace AND p.proname = p_function AND p_args ? arg.name;
    IF v_known <> (SELECT count(*) FROM jsonb_object_keys(p_args)) THEN
        RAISE EXCEPTION USING ERRCODE = 'LW006', MESSAGE = format('%s does not take these arguments.', p_function),
            HINT = 'Check the names against the documentation.',
            DETAIL = jsonb_build_object('function', p_function, 'given', (SELECT jsonb_agg(k) FROM jsonb_object_keys(p_args) AS k))::text;
    END IF;
    PERFORM set_config('request.jwt.claims', p_claims::text, true), set_config('role', p_role, true);
    IF v_known = 0 THEN
        EXECUTE format('SELECT to_jsonb(public.%I())', p_function) INTO v_result;
    ELSE
        EXECUTE format('SELECT to_jsonb(public.%I(%s)) FROM jsonb_to_record($1) AS a (%s)', p_function, v_names, v_columns)
        INTO v_result USING p_args;
    END IF;
    RETURN v_result;
END;
$$;
COMMENT ON FUNCTION public.call_as IS 'Calls a public function as one of the API roles, with the claims of a token, in one round trip.';
GRANT EXECUTE ON FUNCTION public.call_as TO authenticator;
