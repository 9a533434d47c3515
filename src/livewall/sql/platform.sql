-- What a Supabase project has and a plain PostgreSQL lacks: roles, auth.users, auth.uid().
-- Run by the administrator before any migration. May run any number of times, creates only what
-- is missing, and needs no superuser: CREATEROLE, and CREATE on the database, are enough.

-- Roles belong to the whole server, so another database may have made them already.
DO $$
DECLARE
    role_name text;
    may_become_owner boolean;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['anon', 'authenticated', 'service_role', 'livewall_owner'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN NOINHERIT', role_name);
            EXECUTE pg_catalog.format('COMMENT ON ROLE %I IS %L', role_name, 'created by livewall');
        END IF;
    END LOOP;

    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'authenticator') THEN
        CREATE ROLE authenticator LOGIN NOINHERIT;
        COMMENT ON ROLE authenticator IS 'created by livewall';
        -- The one-round-trip call sets nothing itself: a limit inside it would not fire.
        ALTER ROLE authenticator SET statement_timeout = '8s';
        ALTER ROLE authenticator SET idle_in_transaction_session_timeout = '30s';
    END IF;

    FOREACH role_name IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        IF NOT pg_catalog.pg_has_role('authenticator', role_name, 'MEMBER') THEN
            EXECUTE pg_catalog.format('GRANT %I TO authenticator', role_name);
        END IF;
    END LOOP;

    -- Since PostgreSQL 16 whoever creates a role may administer it, yet not become it.
    IF pg_catalog.current_setting('server_version_num')::integer >= 160000 THEN
        may_become_owner := pg_catalog.pg_has_role('livewall_owner', 'SET');
    ELSE
        may_become_owner := pg_catalog.pg_has_role('livewall_owner', 'MEMBER');
    END IF;
    IF NOT may_become_owner THEN
        EXECUTE pg_catalog.format('GRANT livewall_owner TO %I', current_user);
    END IF;
END
$$;

-- Somebody else may have made the owner. Then it must be what ours is: a role that nobody logs in as or has from outside, that
-- may nothing by itself, and whose new tables are nobody else's. What PUBLIC gets of them everywhere we take away below.
DO $$
DECLARE
    to_run text;
BEGIN
    SELECT pg_catalog.string_agg(DISTINCT f.statement, '; ' ORDER BY f.statement) INTO to_run
    FROM (
        SELECT 'ALTER ROLE livewall_owner NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION'
        FROM pg_catalog.pg_roles
        WHERE rolname = 'livewall_owner'
            AND (rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)
        UNION ALL
        SELECT pg_catalog.format('REVOKE livewall_owner FROM %s', m.member::regrole)
        FROM pg_catalog.pg_auth_members AS m
        WHERE m.roleid = 'livewall_owner'::regrole AND EXISTS (
            SELECT FROM pg_catalog.pg_roles AS r
            WHERE r.rolname IN ('anon', 'authenticated', 'service_role', 'authenticator') AND NOT r.rolsuper
                AND pg_catalog.pg_has_role(r.oid, m.member, 'MEMBER'))
        UNION ALL
        SELECT pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE livewall_owner%s REVOKE ALL ON %s FROM %s',
            ' IN SCHEMA ' || NULLIF(d.defaclnamespace, 0)::regnamespace,
            CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES'
                WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END,
            CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END)
        FROM pg_catalog.pg_default_acl AS d, pg_catalog.aclexplode(d.defaclacl) AS acl
        WHERE d.defaclrole = 'livewall_owner'::regrole AND acl.grantee <> d.defaclrole
            AND (d.defaclnamespace, acl.grantee) <> (0, 0)
    ) AS f (statement);
    IF to_run IS NOT NULL THEN
        RAISE EXCEPTION 'role livewall_owner may more than the owner of our tables should. If it is nobody else''s, run: %', to_run;
    END IF;
END
$$;

DO $$
BEGIN
    IF pg_catalog.to_regnamespace('private') IS NULL THEN
        CREATE SCHEMA private AUTHORIZATION livewall_owner;
        COMMENT ON SCHEMA private IS 'What no API role may use: helpers and bookkeeping.';
    END IF;
    IF pg_catalog.to_regnamespace('auth') IS NULL THEN
        CREATE SCHEMA auth AUTHORIZATION livewall_owner;
        COMMENT ON SCHEMA auth IS 'Accounts and the caller''s identity, as in a Supabase project.';
    END IF;

    -- In this order: what the owner may do as part of PUBLIC, which may create here before PostgreSQL 15, is gone then.
    IF EXISTS (
        SELECT FROM pg_catalog.pg_namespace AS schema,
            pg_catalog.aclexplode(schema.nspacl) AS privilege
        WHERE schema.nspname = 'public'
            AND privilege.grantee = 0
            AND privilege.privilege_type = 'CREATE'
    ) THEN
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    END IF;
    IF NOT pg_catalog.has_schema_privilege('livewall_owner', 'public', 'CREATE') THEN
        GRANT USAGE, CREATE ON SCHEMA public TO livewall_owner;
    END IF;
END
$$;

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        IF NOT pg_catalog.has_schema_privilege(role_name, 'public', 'USAGE') THEN
            EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA public TO %I', role_name);
        END IF;
    END LOOP;
END
$$;

-- A caller who may make temporary objects may shadow names with them. Our functions look into pg_temp last; not to have
-- one at all is better. Only the database's owner can take that away. A bundle leaves it: a project's other services share
-- the database.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_database AS d,
            pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) AS acl
        WHERE d.datname = pg_catalog.current_database() AND acl.grantee = 0 AND acl.privilege_type = 'TEMPORARY'
            AND pg_catalog.pg_has_role(d.datdba, 'MEMBER')
    ) AND pg_catalog.current_setting('livewall.bundle', true) IS DISTINCT FROM 'on' THEN
        EXECUTE pg_catalog.format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', pg_catalog.current_database());
    END IF;
END
$$;

-- Whatever role an API caller has, PUBLIC may write large objects, which no policy sees, and hold advisory locks, which the
-- server's own work waits for. Only the owner of these functions can take that away, which is a superuser: as another
-- administrator we leave it, and the writer's lock_timeout bounds what somebody's locks cost.
DO $$
DECLARE
    taken regprocedure;
BEGIN
    FOR taken IN
        SELECT p.oid
        FROM pg_catalog.pg_proc AS p,
            pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS acl
        WHERE p.pronamespace = 'pg_catalog'::regnamespace
            AND (p.proname ~ '^(lo_|pg_(try_)?advisory_)' OR p.proname IN ('loread', 'lowrite'))
            AND acl.grantee = 0 AND acl.privilege_type = 'EXECUTE'
            AND pg_catalog.pg_has_role(p.proowner, 'MEMBER')
    LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', taken);
        IF taken::text ~ 'advisory' THEN
            EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO livewall_owner, authenticator', taken);
        END IF;
    END LOOP;
END
$$;

-- Schema auth may be somebody else's. A Supabase project keeps its own auth.users, to which the owner of our tables then only
-- refers; in one that an administrator made we make what is missing, below. In a bundle the operator makes the key to
-- auth.users, who may; once it is there, nobody needs to. A GRANT by somebody who may not pass the privilege on is a warning
-- or an error, by what else they have, so look again afterwards.
DO $$
DECLARE
    made_for_it boolean := pg_catalog.current_setting('livewall.bundle', true) IS NOT DISTINCT FROM 'on'
        OR EXISTS (
            SELECT FROM pg_catalog.pg_constraint
            WHERE conname = 'profiles_are_users' AND contype = 'f'
                AND conrelid = pg_catalog.to_regclass('public.profiles'));
    is_whole boolean := pg_catalog.to_regclass('auth.users') IS NOT NULL AND pg_catalog.to_regprocedure('auth.jwt()') IS NOT NULL
        AND pg_catalog.to_regprocedure('auth.uid()') IS NOT NULL AND pg_catalog.to_regprocedure('auth.role()') IS NOT NULL;
    lacking text;
BEGIN
    FOR attempt IN 1 .. 2 LOOP
        SELECT pg_catalog.string_agg(g.statement, '; ' ORDER BY g.place) INTO lacking
        FROM (VALUES
            (1, 'GRANT USAGE ON SCHEMA auth TO livewall_owner',
                NOT pg_catalog.has_schema_privilege('livewall_owner', 'auth', 'USAGE')),
            (2, 'GRANT CREATE ON SCHEMA auth TO livewall_owner',
                NOT is_whole AND NOT pg_catalog.has_schema_privilege('livewall_owner', 'auth', 'CREATE')),
            (3, 'GRANT REFERENCES ON auth.users TO livewall_owner',
                NOT made_for_it
                AND NOT pg_catalog.has_table_privilege('livewall_owner', pg_catalog.to_regclass('auth.users'), 'REFERENCES')),
            (4, 'GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role',
                NOT (pg_catalog.has_schema_privilege('anon', 'auth', 'USAGE')
                    AND pg_catalog.has_schema_privilege('authenticated', 'auth', 'USAGE')
                    AND pg_catalog.has_schema_privilege('service_role', 'auth', 'USAGE')))
        ) AS g (place, statement, is_lacking)
        WHERE g.is_lacking;
        EXIT WHEN lacking IS NULL;
        IF attempt = 2 THEN
            RAISE EXCEPTION 'schema auth is not ours, and % may not pass on the rights to it. Let its owner run: %',
                current_user, lacking;
        END IF;
        BEGIN
            EXECUTE lacking;
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END;
    END LOOP;
END
$$;

SET LOCAL ROLE livewall_owner;

-- Global, not per schema: a default privilege of a schema can only add to the global ones, so
-- revoking there has no effect. It holds for what livewall_owner creates, which is everything.
ALTER DEFAULT PRIVILEGES FOR ROLE livewall_owner REVOKE ALL ON TABLES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE livewall_owner REVOKE ALL ON SEQUENCES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE livewall_owner REVOKE ALL ON ROUTINES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE livewall_owner REVOKE ALL ON TYPES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE livewall_owner REVOKE ALL ON SCHEMAS FROM PUBLIC;

DO $$
BEGIN
    IF pg_catalog.to_regclass('auth.users') IS NULL THEN
        CREATE TABLE auth.users (
            id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
            email text,
            is_anonymous boolean NOT NULL DEFAULT false,
            created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
            CONSTRAINT users_are_identified PRIMARY KEY (id),
            CONSTRAINT users_email_is_unique UNIQUE (email)
        );
        COMMENT ON TABLE auth.users IS 'One row for each account; every person refers to one.';
        -- No policy and no grant: API roles never read accounts.
        ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
    END IF;

    IF pg_catalog.to_regprocedure('auth.jwt()') IS NULL THEN
        CREATE FUNCTION auth.jwt() RETURNS jsonb
            LANGUAGE sql STABLE PARALLEL SAFE
            RETURN nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb;
        COMMENT ON FUNCTION auth.jwt() IS 'The claims of the caller''s token; null without one.';
        GRANT EXECUTE ON FUNCTION auth.jwt() TO anon, authenticated, service_role;
    END IF;
    IF pg_catalog.to_regprocedure('auth.uid()') IS NULL THEN
        CREATE FUNCTION auth.uid() RETURNS uuid
            LANGUAGE sql STABLE PARALLEL SAFE
            RETURN nullif(
                nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub',
                ''
            )::uuid;
        COMMENT ON FUNCTION auth.uid() IS 'Who calls, by the token; null for nobody.';
        GRANT EXECUTE ON FUNCTION auth.uid() TO anon, authenticated, service_role;
    END IF;
    IF pg_catalog.to_regprocedure('auth.role()') IS NULL THEN
        CREATE FUNCTION auth.role() RETURNS text
            LANGUAGE sql STABLE PARALLEL SAFE
            RETURN nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'role';
        COMMENT ON FUNCTION auth.role() IS 'The role named by the caller''s token.';
        GRANT EXECUTE ON FUNCTION auth.role() TO anon, authenticated, service_role;
    END IF;
END
$$;

CREATE TABLE IF NOT EXISTS private.schema_migrations (
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    CONSTRAINT schema_migrations_are_numbered PRIMARY KEY (version)
);
COMMENT ON TABLE private.schema_migrations IS 'The versioned files that were applied, and their content.';

CREATE TABLE IF NOT EXISTS private.code_files (
    file text NOT NULL,
    checksum text NOT NULL,
    CONSTRAINT code_files_are_named PRIMARY KEY (file)
);
COMMENT ON TABLE private.code_files IS 'The repeatable files as they stand in this database.';

CREATE TABLE IF NOT EXISTS private.code_objects (
    file text NOT NULL,
    position integer NOT NULL,
    kind text NOT NULL,
    identity text NOT NULL,
    CONSTRAINT code_objects_are_counted PRIMARY KEY (file, position)
);
COMMENT ON TABLE private.code_objects IS 'What each repeatable file created, in order, to drop it again.';

RESET ROLE;
