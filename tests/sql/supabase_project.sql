-- What a Supabase project has before anybody's first migration, as its own image and its sign-in service leave it:
-- roles, who owns what, and everything in public granted to everybody by default. Run as superuser, any number of times.
DO $$
DECLARE
    role_name text;
BEGIN
    IF to_regrole('supabase_admin') IS NOT NULL THEN
        RETURN;
    END IF;
    CREATE ROLE supabase_admin SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS LOGIN;
    CREATE ROLE supabase_auth_admin NOINHERIT CREATEROLE LOGIN;
    CREATE ROLE anon NOLOGIN;
    CREATE ROLE authenticated NOLOGIN;
    CREATE ROLE service_role NOLOGIN BYPASSRLS;
    CREATE ROLE authenticator NOINHERIT LOGIN PASSWORD 'authenticator';
    GRANT anon, authenticated, service_role TO authenticator;
    -- No superuser: it creates roles, and may hand on those of callers.
    CREATE ROLE postgres CREATEDB CREATEROLE BYPASSRLS LOGIN PASSWORD 'postgres';
    GRANT anon, authenticated, service_role TO postgres WITH ADMIN OPTION;
    ALTER ROLE anon SET statement_timeout = '3s';
    ALTER ROLE authenticated SET statement_timeout = '8s';
    ALTER ROLE authenticator SET statement_timeout = '8s';
    -- As whom the CLI logs in, to become postgres at once.
    CREATE ROLE cli_login_postgres NOINHERIT LOGIN PASSWORD 'cli';
    GRANT postgres TO cli_login_postgres;
END
$$;

DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO postgres', current_database()); END $$;
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;

CREATE SCHEMA extensions AUTHORIZATION postgres;
GRANT USAGE ON SCHEMA extensions TO anon, authenticated, service_role;

-- The operator may refer to users and may not hand that on.
CREATE SCHEMA auth AUTHORIZATION supabase_auth_admin;
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role, postgres;
SET ROLE supabase_auth_admin;
CREATE TABLE auth.users (
    id uuid PRIMARY KEY,
    aud text,
    role text,
    email text,
    encrypted_password text,
    is_anonymous boolean NOT NULL DEFAULT false,
    created_at timestamptz DEFAULT now()
);
ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
GRANT INSERT, UPDATE, DELETE, REFERENCES, TRIGGER, TRUNCATE ON auth.users TO postgres;
GRANT SELECT ON auth.users TO postgres WITH GRANT OPTION;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE
AS $$
    SELECT coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
$$;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE
AS $$
    SELECT coalesce(
        nullif(current_setting('request.jwt.claim.role', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role')
$$;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE
AS $$
    SELECT coalesce(
        nullif(current_setting('request.jwt.claim', true), ''),
        nullif(current_setting('request.jwt.claims', true), ''))::jsonb
$$;
RESET ROLE;

CREATE SCHEMA supabase_migrations AUTHORIZATION postgres;
SET ROLE postgres;
CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text);
RESET ROLE;
