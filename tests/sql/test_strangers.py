"""What others put into `public`, and a role of our owner's name, before Livewall is installed."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest

from livewall.administrator import set_authenticator_password
from livewall.adoption import adopt
from livewall.bus.postgres import NOTIFY
from livewall.code_catalog import Connection
from livewall.db import Database as Server
from livewall.heartbeats import RECORD_HEARTBEATS, RECORD_LEASES, RECORD_LEAVES
from livewall.locked import FIND
from livewall.migrate import migrate
from livewall.sql_files import MigrationError
from livewall.sql_lint import lint
from tests.databases import Database
from tests.sql.previous import settle
from tests.sql.supabase import Platform

pytestmark = pytest.mark.sql

Install: TypeAlias = Callable[[], Awaitable[object]]
FAULTS = (asyncpg.RaiseError, MigrationError)

# Each takes the place of one of PostgreSQL's for the arguments that a statement of ours has.
TRAPS = """
GRANT CREATE ON SCHEMA public TO authenticated;
CREATE TABLE public.loot (who text);
GRANT ALL ON public.loot TO PUBLIC;
SET ROLE authenticated;
CREATE FUNCTION public.jsonb_build_object(text, timestamptz) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.loot VALUES (current_user);
    RETURN pg_catalog.jsonb_build_object($1, $2);
END $$;
CREATE FUNCTION public.joined(uuid, text) RETURNS text IMMUTABLE LANGUAGE sql
    RETURN pg_catalog.concat($1, $2);
CREATE OPERATOR public.|| (LEFTARG = uuid, RIGHTARG = text, FUNCTION = public.joined);
CREATE FUNCTION public.looted(text, name, text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.loot VALUES (current_user);
    RETURN NULL;
END $$;
CREATE AGGREGATE public.string_agg(name, text) (SFUNC = public.looted, STYPE = text);
CREATE FUNCTION public.shobj_description(regrole, text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.loot VALUES (current_user);
    RETURN pg_catalog.shobj_description($1, $2::name);
END $$;
CREATE FUNCTION public.unnest(text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.loot VALUES (current_user);
    RETURN QUERY SELECT pg_catalog.unnest($1);
END $$;
RESET ROLE;
"""
# A name that is ours too, so that the guard of a bundle has something to say.
EARLIER_TABLES = "CREATE TABLE public.gifts (id integer)"
LOOT = "SELECT array_agg(DISTINCT who) FROM public.loot"


@asynccontextmanager
async def _place(
    how: str, empty: Database, platform: Platform, bundled_folder: Path
) -> AsyncGenerator[tuple[Connection, str, Install]]:
    """Yield an administrator of a database without Livewall, its address, and the way there."""
    if how == "bundle":
        name = await platform.new_project()
        url = platform.admin_url(name)
        migrations = bundled_folder / "supabase" / "migrations"
        admin = await asyncpg.connect(url)
        try:
            yield admin, url, lambda: platform.push(name, migrations)
        finally:
            await admin.close()
            await platform.drop(name)
        return
    admin = await empty.admin()
    if how == "adopt":
        await settle(admin, 20)
        yield admin, empty.admin_url, lambda: adopt(empty.admin_url, apply=True)
    else:
        yield admin, empty.admin_url, lambda: migrate(empty.admin_url)


ways = pytest.mark.parametrize("how", ["migrate", "bundle", "adopt"])


@ways
@pytest.mark.spec("S29")
async def test_no_name_of_ours_means_what_a_stranger_made(
    how: str, empty_database: Database, platform: Platform, bundled_folder: Path
) -> None:
    async with _place(how, empty_database, platform, bundled_folder) as (admin, url, install):
        await admin.execute(TRAPS)
        await install()
        found = [(finding.rule, finding.object) for finding in await lint(url)]
        assert [of for rule, of in found if rule == "nothing_of_strangers"] == []
        loot = "previous.loot" if how == "adopt" else "public.loot"
        assert await admin.fetchval(LOOT.replace("public.loot", loot)) is None


@pytest.mark.spec("S29")
async def test_the_guard_of_a_bundle_runs_nothing_of_a_stranger(
    platform: Platform, bundled_folder: Path
) -> None:
    name = await platform.new_project()
    admin = await asyncpg.connect(platform.admin_url(name))
    await admin.execute(TRAPS + EARLIER_TABLES)
    with pytest.raises(asyncpg.RaiseError, match="names that Livewall needs: gifts"):
        await platform.push(name, bundled_folder / "supabase" / "migrations")
    await admin.close()
    await platform.drop(name)


@pytest.mark.spec("S29")
async def test_administrators_and_servers_run_nothing_of_a_stranger(database: Database) -> None:
    admin = await database.admin()
    await admin.execute(TRAPS)
    wrong = database.authenticator_url.replace("authenticator:", "authenticator:not-", 1)
    await set_authenticator_password(database.admin_url, wrong, for_all=True)
    own = database.authenticator_url
    await set_authenticator_password(database.admin_url, own, for_all=True)
    async with Server(database.authenticator_url).dedicated() as connection:
        await connection.execute(NOTIFY, "livewall", ["hello"])
    assert await admin.fetchval(LOOT) is None


# Of a function's name, with arguments that fit a call of ours as well as the function's own.
OVERLOADS = """
CREATE FUNCTION public.remove_old_records() RETURNS integer LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO public.loot VALUES (current_user); RETURN 0; END $$;
CREATE FUNCTION public.process_coin_purchase(uuid, text, text, text, text, bigint, numeric)
    RETURNS jsonb LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO public.loot VALUES (current_user); RETURN '{}'; END $$;
CREATE FUNCTION public.record_leaves(text[], text[], text[], text[], text[]) RETURNS jsonb
    LANGUAGE sql RETURN NULL::jsonb;
CREATE FUNCTION public.record_heartbeats(text[], text[], text[], text[], text[]) RETURNS jsonb
    LANGUAGE sql RETURN NULL::jsonb;
CREATE FUNCTION public.record_publisher_heartbeats(text[], text[]) RETURNS jsonb
    LANGUAGE sql RETURN NULL::jsonb;
CREATE FUNCTION public.find_locked(text[], text[]) RETURNS jsonb LANGUAGE sql RETURN NULL::jsonb;
"""
BOUGHT = """
SELECT private.settle_unannounced('sandbox', 'evt_1', jsonb_build_object('payment_id', 'pay_1',
    'profile_id', $1::uuid, 'currency', 'usd', 'coin_amount', 700, 'amount_cents', 999))
"""


@pytest.mark.spec("S29")
async def test_a_function_that_fits_as_well_is_not_in_the_way_of_ours(database: Database) -> None:
    admin, ada = await database.admin(), await database.person("ada")
    await admin.execute(TRAPS + OVERLOADS)
    assert await admin.fetchval("SELECT private.run_by_cron('remove_old_records')") == "done"
    await admin.execute("SET search_path = pg_catalog")
    await admin.execute(BOUGHT, ada.id)
    server = await database.as_role("service_role")
    for statement in (RECORD_LEAVES, RECORD_HEARTBEATS, RECORD_LEASES, FIND):
        nothing: list[list[object]] = [[]] * statement.count("$")
        assert await server.fetchval(statement, *nothing) is not None
    assert await admin.fetchval(LOOT) is None


@ways
async def test_a_database_where_everybody_may_create_in_public_is_taken(
    how: str, empty_database: Database, platform: Platform, bundled_folder: Path
) -> None:
    async with _place(how, empty_database, platform, bundled_folder) as (admin, url, install):
        # As PostgreSQL 14 made them.
        await admin.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        await install()
        assert await admin.fetchval("SELECT count(*) FROM public.profiles") is not None
        may = "SELECT has_schema_privilege($1, 'public', 'CREATE')"
        assert await admin.fetchval(may, "livewall_owner")
        assert not await admin.fetchval(may, "anon")
        assert "no_create_in_schemas" not in {finding.rule for finding in await lint(url)}


TOO_MUCH = """
ALTER ROLE livewall_owner LOGIN;
GRANT livewall_owner TO authenticated;
ALTER DEFAULT PRIVILEGES FOR ROLE livewall_owner IN SCHEMA public GRANT ALL ON TABLES TO anon;
ALTER DEFAULT PRIVILEGES FOR ROLE livewall_owner GRANT USAGE ON SCHEMAS TO authenticated;
"""
DEFAULTS = "ALTER DEFAULT PRIVILEGES FOR ROLE livewall_owner"
NO_ATTRIBUTES = "NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION"
TOLD = {
    f"{DEFAULTS} IN SCHEMA public REVOKE ALL ON TABLES FROM anon",
    f"{DEFAULTS} REVOKE ALL ON SCHEMAS FROM authenticated",
    f"ALTER ROLE livewall_owner NOLOGIN {NO_ATTRIBUTES}",
    "REVOKE livewall_owner FROM authenticated",
}
# Roles are the server's, and other tests use it.
AS_BEFORE = "ALTER ROLE livewall_owner NOLOGIN; REVOKE livewall_owner FROM authenticated"


@ways
@pytest.mark.spec("S29")
async def test_an_owner_that_may_more_is_refused_until_what_is_told_was_run(
    how: str, empty_database: Database, platform: Platform, bundled_folder: Path
) -> None:
    async with _place(how, empty_database, platform, bundled_folder) as (admin, url, install):
        if not await admin.fetchval("SELECT to_regrole('livewall_owner') IS NOT NULL"):
            await admin.execute("CREATE ROLE livewall_owner; GRANT livewall_owner TO postgres")
        await admin.execute(TOO_MUCH)
        try:
            with pytest.raises(FAULTS, match="may more than the owner") as caught:
                await install()
            assert await admin.fetchval("SELECT to_regnamespace('private')") is None
            told = str(caught.value).partition("run: ")[2].rstrip(".").split("; ")
            assert set(told) == TOLD
            for statement in told:
                await admin.execute(statement)
            await install()
        finally:
            await admin.execute(AS_BEFORE)
        assert "owner_is_nobody" not in {finding.rule for finding in await lint(url)}
