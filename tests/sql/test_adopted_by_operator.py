"""The move from the previous schema by an administrator who is no superuser and owned all of it."""

import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from livewall.adoption import adopt
from livewall.migrate import Outcome, migrate
from livewall.preflight.checks import Result, Site
from livewall.preflight.schema import schema_as_written
from livewall.proof import Check as LedgerCheck
from livewall.settings import Settings
from tests.databases import Cluster, Database, data_folder
from tests.doc_code import ROOT, blocks_of
from tests.shell import on
from tests.sql.previous import settle

# What a project of that kind has besides tables, in every kind that belongs to somebody.
BESIDE_TABLES = """
CREATE TYPE public.mood AS ENUM ('fine', 'tired');
CREATE DOMAIN public.cents AS bigint CHECK (VALUE >= 0);
CREATE TYPE public.pair AS (a integer, b public.cents);
CREATE SEQUENCE public.tickets;
CREATE MATERIALIZED VIEW public.richest AS SELECT username FROM public.profiles LIMIT 3;
CREATE PROCEDURE public.tidy() LANGUAGE sql AS $$ SELECT 1 $$;
CREATE AGGREGATE public.total(bigint) (sfunc = int8pl, stype = bigint, initcond = '0');
ALTER TABLE public.profiles ADD mood public.mood DEFAULT 'fine';
"""
# An auth of their own, not a sign-in service's: one table, and nothing that reads tokens.
NO_FUNCTIONS = "DROP FUNCTION auth.role(), auth.uid(), auth.jwt()"
# What is somebody else's than ours, other than an account's table.
FOREIGN = """
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_shdepend AS d
WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND d.deptype = 'o' AND d.refobjid = current_user::regrole
    AND NOT (d.classid = 'pg_namespace'::regclass AND d.objid = 'auth'::regnamespace)
    AND NOT (d.classid = 'pg_class'::regclass AND d.objid = 'auth.users'::regclass)
"""


@pytest_asyncio.fixture
async def operated(cluster: Cluster) -> AsyncGenerator[Database]:
    """An empty database of an administrator who may create roles, and no more."""
    name = await cluster.create("template0")
    role = f"operator_{name}"
    await cluster.execute(f"CREATE ROLE {role} LOGIN CREATEROLE PASSWORD 'p'")
    await cluster.execute(f"GRANT livewall_owner TO {role} WITH ADMIN OPTION")
    await cluster.execute(f"ALTER DATABASE {name} OWNER TO {role}")
    own = Database(name, cluster.server.url(name, role, "p"), cluster.authenticator_url(name))
    yield own
    await own.close()
    await cluster.drop(name)
    await cluster.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.spec("S28")
async def test_what_the_administrator_owned_is_ours_afterwards(
    operated: Database, tmp_path: Path
) -> None:
    admin = await operated.admin()
    await settle(admin, 15)
    await admin.execute(BESIDE_TABLES + NO_FUNCTIONS)
    done = await adopt(operated.admin_url, apply=True)
    assert done.outcome == "adopted"
    assert await admin.fetch(FOREIGN) == []
    assert await migrate(operated.admin_url) == Outcome()
    # Accounts are kept by whoever has that table, and that may be us.
    shell = on(operated, tmp_path, LIVEWALL_SECRET="a secret of at least thirty-two bytes")
    password = ("user", "password", "old_3")
    assert "Accounts are not kept here" in shell.refused(*password, said="long enough")
    [block] = (b for b in blocks_of(ROOT / "docs/adopting.md") if b.language == "sql")
    await admin.execute(block.text)
    given = shell.run(*password, said="long enough")
    assert given.returncode == 0, given.stderr


async def _s29(database: Database) -> Result:
    async def prove() -> list[LedgerCheck]:
        return []

    return await schema_as_written(Site(Settings(), await database.admin(), None, prove))


@pytest.mark.spec("S28")
@pytest.mark.spec("S29")
async def test_what_the_move_keeps_passes_the_checklist_while_it_is_closed(
    operated: Database, database: Database
) -> None:
    admin = await operated.admin()
    await settle(admin, 15, accounts=False)
    await admin.execute(BESIDE_TABLES)
    await adopt(operated.admin_url, apply=True)
    seen = await _s29(operated)
    assert seen.status == "pass", seen.facts
    assert "schema previous is kept since the move of 20" in seen.evidence
    await admin.execute("GRANT USAGE ON SCHEMA previous TO anon")
    opened = await _s29(operated)
    assert (opened.status, opened.facts["extra"]) == (
        "fail",
        ["grant USAGE on schema previous to anon"],
    )
    # A schema of that name alone proves nothing: the audit log tells of the move.
    other = await database.admin()
    await other.execute(
        "CREATE SCHEMA previous AUTHORIZATION livewall_owner; SET ROLE livewall_owner;"
        "CREATE TABLE previous.notes (body text)"
    )
    assert (await _s29(database)).facts["extra"] == ["row security previous.notes"]


@pytest.mark.spec("D8")
async def test_a_backup_of_it_comes_back_where_the_administrator_is_unknown(
    operated: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await operated.admin()
    await settle(admin, 15)
    await admin.execute(BESIDE_TABLES)
    await adopt(operated.admin_url, apply=True)
    # Something that stays the administrator's, and a right of theirs on something of ours.
    role = await admin.fetchval("SELECT current_user")
    await admin.execute(
        "CREATE SCHEMA theirs; CREATE TABLE theirs.notes (body text);"
        f"SET ROLE livewall_owner; GRANT SELECT ON public.gifts TO {role}"
    )
    shell = on(operated, tmp_path / "data", LIVEWALL_SECRET="a secret of at least thirty-two bytes")
    shell.ok("backup", str(tmp_path / "kept"))
    with data_folder() as data:
        monkeypatch.setattr(tempfile, "tempdir", str(data.parent))
        drilled = shell.run("restore", "--drill", str(tmp_path / "kept"))
    assert drilled.returncode == 0, drilled.stderr + drilled.stdout
