"""`livewall db bundle`: the schema in a Supabase project, by the Supabase CLI."""

import re
import shutil
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from livewall import bundle, code_catalog
from livewall.migrate import Outcome, migrate
from livewall.preflight.checks import Site
from livewall.preflight.schema import schema_as_written
from livewall.proof import Check
from livewall.settings import Settings
from livewall.sql_files import SQL_FOLDER, MigrationError
from livewall.sql_lint import lint
from tests.databases import Cluster, Person
from tests.sql.supabase import Platform, new_project_folder, ours, split
from tests.sql.world import Beat, World, refused

pytestmark = pytest.mark.sql
KEPT = "SELECT kind, identity FROM private.code_objects ORDER BY 1, 2"
TEXTS = """
SELECT pg_get_functiondef(p.oid) || p.proacl::text FROM pg_proc AS p
WHERE p.proowner = 'livewall_owner'::regrole AND p.pronamespace <> to_regnamespace('auth')
UNION ALL SELECT format('%s %s %s %s', polrelid::regclass, polname, pg_get_expr(polqual, polrelid),
    pg_get_expr(polwithcheck, polrelid)) FROM pg_policy
UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(c.oid))
FROM pg_constraint AS c JOIN pg_class AS r ON r.oid = c.conrelid
WHERE r.relowner = 'livewall_owner'::regrole AND c.connamespace <> to_regnamespace('auth')
"""
KEPT_BY_FILE = "SELECT file, kind, identity FROM private.code_objects ORDER BY 1, 2, 3"


async def member(project: World, name: str) -> Person:
    """Sign up at the project's service and visit for the first time."""
    id_ = uuid4()
    await project.admin.execute("INSERT INTO auth.users (id) VALUES ($1)", id_)
    account = await project.call("service_role", "ensure_profile", p_profile_id=id_, p_name=name)
    return Person(id_, account["profile"]["name"])


async def test_the_owner_gets_what_anybody_has_and_nobody_gets_the_owner(project: World) -> None:
    members = await project.rows(
        "SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members"
        " WHERE 'livewall_owner'::regrole IN (member, roleid) ORDER BY 1, 2"
    )
    assert set(members) == {("anon", "livewall_owner"), ("livewall_owner", "postgres")}


@pytest.mark.spec("D1", "S4")
async def test_people_of_the_project_live_through_the_api_as_inours(project: World) -> None:
    ada, bob = await member(project, "ada"), await member(project, "bob")
    stream = await project.live(ada)
    await project.beat(Beat(bob, stream, 1))
    assert await project.is_published(stream)
    await project.call(bob, "send_chat_message", p_live_stream_id=stream, p_body="hello")
    follow = "INSERT INTO follows (followee_id) VALUES ($1)"
    assert await project.done(bob, follow, ada.id) == 1
    with refused("42501"):
        await project.done("anon", follow, ada.id)
    with refused("42501"):
        await project.done(bob, "UPDATE profiles SET is_guest = true")
    with refused("42501"):
        await project.done(bob, "TRUNCATE active_viewers")
    with refused("42501"):
        await project.sql(bob, "SELECT * FROM private.settings")
    with refused("42501"):
        await project.call(bob, "fold_ledger")
    assert await project.one("anon", "SELECT count(*) FROM profiles") == 2
    assert await project.one(ada, "SELECT count(*) FROM active_viewers") == 0


@pytest.mark.spec("S29")
async def test_preflight_sees_it_as_written_beside_what_is_the_projects(
    platform: Platform, bundled_template: str
) -> None:
    name = await platform.create(bundled_template)
    operator = await asyncpg.connect(platform.operator_url(name))

    async def proof() -> list[Check]:
        return []

    site = Site(settings=Settings(), admin=operator, web=None, prove=proof)
    try:
        found = await schema_as_written(site)
        # The table of the project's own migration, which a project grants to everybody.
        assert (found.status, found.facts["beside"]) == ("pass", ["table public.todos"])
        await operator.execute(
            "CREATE FUNCTION hashes() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"
        )
        assert (await schema_as_written(site)).status == "not_proven"
        await operator.execute("CREATE VIEW people AS SELECT name FROM profiles")
        assert (await schema_as_written(site)).facts["leading"] == ["view public.people"]
    finally:
        await operator.close()


async def test_what_was_the_projects_stays_as_it_was(
    platform: Platform, project: World, bundled_folder: Path
) -> None:
    theirs = (
        "SELECT rolname, rolinherit, rolbypassrls, rolconfig::text FROM pg_roles"
        " WHERE rolname <> 'livewall_owner' AND rolname !~ '^pg_'"
        " UNION ALL SELECT format('%s %s', oid::regclass, relowner::regrole), false, false,"
        " relacl::text FROM pg_class WHERE relnamespace = 'auth'::regnamespace"
        " UNION ALL SELECT proname, false, false, concat(proacl::text, prosrc) FROM pg_proc"
        " WHERE pronamespace = 'auth'::regnamespace"
        " UNION ALL SELECT nspname, false, false, nspacl::text FROM pg_namespace"
        " WHERE nspname IN ('auth', 'extensions') ORDER BY 1"
    )
    name = await platform.new_project()
    untouched = await asyncpg.connect(platform.admin_url(name))
    before = [tuple(row) for row in await untouched.fetch(theirs)]
    await untouched.close()
    assert await project.rows(theirs) == before
    temporary = "SELECT has_database_privilege('anon', current_database(), 'TEMPORARY')"
    assert await project.rows(temporary) == [(True,)]


async def test_the_runner_finds_it_up_to_date_and_recorded_as_its_own(
    cluster: Cluster, platform: Platform, project: World
) -> None:
    assert await migrate(platform.operator_url(project.database.name)) == Outcome()
    await project.admin.execute("DROP TABLE public.todos")
    assert await lint(platform.operator_url(project.database.name)) == []
    own = await asyncpg.connect(cluster.admin_url("livewall_template"))
    kept = [tuple(row) for row in await own.fetch(KEPT_BY_FILE)]
    await own.close()
    assert await project.rows(KEPT_BY_FILE) == kept
    assert await project.rows("SELECT to_regprocedure('private.record_code(text)')") == [(None,)]


def test_the_same_folder_gives_the_same_file_and_a_second_run_none(
    bundled_folder: Path, tmp_path: Path
) -> None:
    again = new_project_folder(tmp_path / "again") / "supabase" / "migrations"
    first = bundled_folder / "supabase" / "migrations"
    assert ours(again) == ours(first)
    name = ours(first)[0]
    assert (again / name).read_bytes() == (first / name).read_bytes()
    assert name.startswith("20270204000000_")  # after the project's own, past midnight
    assert bundle.write(bundled_folder) == bundle.Outcome(None, first / name)


async def test_an_upgrade_is_one_more_file_and_gives_what_a_new_installation_has(
    cluster: Cluster, platform: Platform, project: World, bundled_folder: Path, tmp_path: Path
) -> None:
    sql = _next_release(tmp_path / "sql")
    folder = tmp_path / "project"
    shutil.copytree(bundled_folder, folder)
    migrations = folder / "supabase" / "migrations"
    before = {file.name: file.read_bytes() for file in migrations.iterdir()}
    added = bundle.write(folder, sql).written
    assert added is not None
    assert added.name > max(before)
    assert {n: (migrations / n).read_bytes() for n in before} == before
    await platform.push(project.database.name, migrations)
    assert await migrate(platform.operator_url(project.database.name), sql) == Outcome()
    with pytest.raises(MigrationError, match="newer than this code"):
        bundle.write(folder)

    name = await cluster.create("template0")
    await migrate(cluster.admin_url(name), sql)
    own = await asyncpg.connect(cluster.admin_url(name))
    kept = [tuple(row) for row in await own.fetch(KEPT)]
    schema = await _schema(own)
    await own.close()
    await cluster.drop(name)
    assert await project.rows(KEPT) == kept
    assert sorted(await _schema(project.admin)) == sorted(schema)


async def test_the_runner_can_take_over_where_the_owner_may_not_refer_to_users(
    platform: Platform, project: World, tmp_path: Path
) -> None:
    sql = _next_release(tmp_path / "sql")
    outcome = await migrate(platform.operator_url(project.database.name), sql)
    assert outcome.migrations == ("migrations/9001_next.sql",)
    assert await project.rows("SELECT private.next_release()") == [("a;b",)]


async def _schema(connection: code_catalog.Connection) -> list[str]:
    """Return what there is, functions and policies by their text."""
    async with connection.transaction():
        found = await code_catalog.snapshot(connection)
    # Schema auth is the project's.
    names = [f"{i.kind} {i.identity}" for i in found if "ON SCHEMA auth" not in i.identity]
    return [*names, *(row[0] for row in await connection.fetch(TEXTS))]


def _next_release(sql: Path) -> Path:
    """Copy our SQL, with a migration more, a function changed and one gone."""
    shutil.copytree(SQL_FOLDER, sql)
    (sql / "migrations" / "9001_next.sql").write_text(
        "ALTER TABLE public.profiles ADD COLUMN pronouns text; -- it's new; really\n"
    )
    with (sql / "code" / "social.sql").open("a") as file:
        file.write(
            "CREATE FUNCTION private.next_release() RETURNS text LANGUAGE sql IMMUTABLE\n"
            "BEGIN ATOMIC SELECT CASE WHEN true THEN 'a;b' END; END;\n"
        )
    jobs = sql / "code" / "jobs.sql"
    jobs.write_text(jobs.read_text().replace("GRANT EXECUTE", "-- for others\nGRANT EXECUTE"))
    return sql


async def test_a_database_that_is_elsewhere_refuses_the_file_and_keeps_what_it_has(
    platform: Platform, project: World, bundled_folder: Path, tmp_path: Path
) -> None:
    migrations = bundled_folder / "supabase" / "migrations"
    await project.admin.execute("TRUNCATE supabase_migrations.schema_migrations")
    (tmp_path / ours(migrations)[0]).write_bytes((migrations / ours(migrations)[0]).read_bytes())
    with pytest.raises(asyncpg.RaiseError, match="goes on from 0"):
        await platform.push(project.database.name, tmp_path)
    for taken, words in (
        ("CREATE TABLE public.gifts ()", "names that Livewall needs: gifts"),
        ("CREATE SCHEMA private", "a schema private of its own"),
    ):
        name = await platform.new_project()
        admin = await asyncpg.connect(platform.admin_url(name))
        await admin.execute(taken)
        with pytest.raises(asyncpg.RaiseError, match=words):
            await platform.push(name, tmp_path)
        assert await admin.fetchval("SELECT to_regclass('public.profiles')") is None
        await admin.close()
        await platform.drop(name)


def test_what_the_cli_can_not_apply_or_the_project_has_otherwise_is_refused(
    bundled_folder: Path, tmp_path: Path
) -> None:
    sql = _next_release(tmp_path / "sql")
    last = sql / "migrations" / "9001_next.sql"
    last.write_text("-- livewall: non-transactional\nSELECT 1;\n")
    with pytest.raises(MigrationError, match="Supabase CLI runs every file in one"):
        bundle.write(bundled_folder, sql)
    last.write_text("CREATE TABLE public.t (\n    id uuid REFERENCES auth.users (id)\n);\n")
    with pytest.raises(MigrationError, match=r"each key to auth\.users on a line"):
        bundle.write(bundled_folder, sql)
    first = sql / "migrations" / "0001_foundation.sql"
    first.write_text(first.read_text() + "\n")
    with pytest.raises(MigrationError, match=r"0001_foundation\.sql differs from what the project"):
        bundle.write(bundled_folder, sql)
    assert len(ours(bundled_folder / "supabase" / "migrations")) == 1


@pytest.mark.parametrize("parentheses", [True, False])
def test_the_clis_splitter_cuts_no_statement(bundled_folder: Path, parentheses: bool) -> None:
    migrations = bundled_folder / "supabase" / "migrations"
    text = (migrations / ours(migrations)[0]).read_text()
    parts = split(text, parentheses=parentheses)
    whole = re.compile(r"(--[^\n]*\n+)*(SELECT|DO|INSERT|DELETE|CREATE|DROP|ALTER) ")
    assert all(whole.match(part) for part in parts)
    # Each file is in one part, as it is; no part is near the 64 KB that old versions take.
    for file in (SQL_FOLDER / "code").glob("*.sql"):
        assert sum(file.read_text().rstrip() in part for part in parts) == 1, file.name
    assert max(map(len, parts)) < 60_000


def test_the_splitter_of_this_test_falls_into_the_known_trap() -> None:
    body = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END FROM t; END;"
    assert len(split(body)) == 2
    assert split("SELECT 'a;b', $$;$$, $t$;$t$ /* ; /* ; */ ; */; -- ;\nSELECT 2") == [
        "SELECT 'a;b', $$;$$, $t$;$t$ /* ; /* ; */ ; */",
        "-- ;\nSELECT 2",
    ]
