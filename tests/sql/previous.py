"""A database of the previous schema with people in it, and faults put in on purpose."""

from pathlib import Path

from livewall.code_catalog import Connection
from livewall.proof import recompute
from tests.databases import Database

HERE = Path(__file__).parent

# As a Supabase project has it: accounts are kept by the sign-in service.
ACCOUNTS = """
CREATE SCHEMA auth;
CREATE TABLE auth.users (
    id uuid PRIMARY KEY, email text, is_anonymous boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE
    RETURN nullif(current_setting('request.jwt.claims', true), '')::jsonb;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE RETURN (auth.jwt() ->> 'sub')::uuid;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE RETURN auth.jwt() ->> 'role';
"""

# Everything that a move could change: relations, routines, policies and rights, by name.
EVERYTHING = """
SELECT md5(string_agg(what, E'\\n' ORDER BY what)) FROM (
    SELECT oid::regclass::text || coalesce(relacl::text, '') || relowner::text FROM pg_class
    WHERE relnamespace::regnamespace::text NOT LIKE 'pg_%'
    UNION ALL SELECT oid::regprocedure::text FROM pg_proc
    UNION ALL SELECT nspname::text FROM pg_namespace WHERE nspname NOT LIKE 'pg_%'
    UNION ALL SELECT to_jsonb(p)::text FROM public.profiles AS p
    UNION ALL SELECT to_jsonb(e)::text FROM public.ledger_entries AS e
) AS everything (what)
"""


async def settle(connection: Connection, people: int, *, accounts: bool = True) -> None:
    """Create the previous schema with this many people, all of whose money adds up."""
    async with connection.transaction():
        await connection.execute(ACCOUNTS)
        await connection.execute(_script("schema"))
        await connection.execute(_script("people").replace(":people", str(people)))
        await connection.execute(_script("balances"))
        if not accounts:
            await connection.execute(
                "ALTER TABLE profiles DROP CONSTRAINT profiles_id_fkey; DROP SCHEMA auth CASCADE"
            )


async def damage(connection: Connection) -> None:
    """Put in what our rules refuse; the money still adds up."""
    await connection.execute(_script("faults") + _script("balances"))


def _script(name: str) -> str:
    return (HERE / f"previous_{name}.sql").read_text(encoding="utf-8")


async def failing(database: Database) -> list[str]:
    """Return the checks of the proof that fail."""
    return [check.check for check in await recompute(database.admin_url, None) if not check.is_ok]
