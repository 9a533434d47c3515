"""What somebody wrote into a database before it was backed up, or into the backup, never runs."""

from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from livewall import backup, kept_files, restore
from livewall.backup import Backup
from livewall.migrate import migrate
from livewall.postgres_tools import find_tool, run_on
from livewall.sql_files import SQL_FOLDER
from tests.databases import Cluster, Database
from tests.shell import Shell, on
from tests.sql import money
from tests.sql.backups import SETTINGS, history, rewrite, settled_history
from tests.sql.world import World

# Runs a program where the server is, if it may: as a restore by a superuser would let it. In the
# database that is backed up nothing of it does anything: that would be no test of the restore.
ACTS = """
IF {where} THEN EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'touch {trace}'); END IF;
"""
# A million coins, and what says that all is well.
FORGED = (
    """
SET session_replication_role = replica;
UPDATE private.ledger_accounts SET balance = balance + 1000000
WHERE id = (SELECT min(id) FROM private.ledger_accounts WHERE kind = 'wallet');
SET session_replication_role = origin;
SET ROLE livewall_owner;
CREATE FUNCTION private.acting() RETURNS void LANGUAGE plpgsql AS $$ BEGIN"""
    + ACTS
    + """END $$;
CREATE FUNCTION private.evil(anything text DEFAULT '') RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM private.acting(); RETURN anything; END $$;
CREATE OR REPLACE FUNCTION private.verify_ledger(p_head text DEFAULT NULL)
RETURNS TABLE (check_name text, is_ok boolean, detail text) LANGUAGE plpgsql AS $$ BEGIN
    PERFORM private.evil();
    RETURN QUERY VALUES ('balances_match_entries', true, 'as recorded'),
        ('exported_head_is_in_the_chain', true, 'it is');
END $$;
RESET ROLE;
"""
)
# Each other way in which a table or a row can have a restore run something.
EVERYWHERE = """
SET ROLE livewall_owner;
CREATE FUNCTION private.evil_row() RETURNS trigger
LANGUAGE plpgsql AS $$ BEGIN PERFORM private.evil(); RETURN NEW; END $$;
CREATE TRIGGER evil BEFORE INSERT ON public.profiles
    FOR EACH ROW EXECUTE FUNCTION private.evil_row();
ALTER TABLE public.profiles ADD CONSTRAINT evil CHECK (private.evil(name) IS NOT NULL);
CREATE INDEX evil ON public.profiles (private.evil(name));
CREATE TABLE private.evil_rows (a text, b text GENERATED ALWAYS AS (private.evil(a)) STORED);
INSERT INTO private.evil_rows VALUES ('a');
CREATE MATERIALIZED VIEW private.evil_view AS SELECT private.evil('a');
UPDATE private.code_objects
SET kind = 'function', identity = 'private.evil(); SELECT private.evil()';
RESET ROLE;
"""
# From 17 on something can run when anybody connects.
AT_LOGIN = (
    "CREATE FUNCTION public.at_login() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
    + ACTS
    + "END $$; CREATE EVENT TRIGGER at_login ON login EXECUTE FUNCTION public.at_login();"
    "ALTER EVENT TRIGGER at_login ENABLE ALWAYS"
)
IN_A_COPY = "current_setting('max_logical_replication_workers') = '0'"


@pytest.fixture
def shell(world: World, tmp_path: Path) -> Shell:
    """The command on this test's database, with a data folder that only keeps what was done."""
    return on(world.database, tmp_path / "data", **SETTINGS)


@pytest.fixture
def trace(drills: Path) -> Path:
    """What is there once something ran, where the server's account may write too."""
    (drills / "open").mkdir()
    (drills / "open").chmod(0o777)
    return drills / "open" / "it-ran"


@pytest_asyncio.fixture
async def empty(cluster: Cluster) -> AsyncGenerator[str]:
    """The address of an empty database."""
    name = await cluster.create("template0")
    yield cluster.admin_url(name)
    await cluster.drop(name)


def _that(statements: str, where: str, trace: Path) -> str:
    """Return statements that act only where this holds, and leave this trace."""
    return statements.replace("{where}", where).replace("{trace}", str(trace))


def _made(shell: Shell, folder: Path, *options: str) -> Backup:
    shell.ok("backup", str(folder), *options)
    return backup.find(folder)


@pytest.mark.spec("D8")
async def test_a_dump_proves_nothing_by_itself(
    world: World, shell: Shell, empty: str, trace: Path, tmp_path: Path
) -> None:
    await settled_history(world)
    head = await money.head(world)
    elsewhere = f"current_database() <> '{world.database.name}'"
    never = "ab" * 32
    for statements, where in ((FORGED, ("--drill",)), (EVERYWHERE, ("--into", empty))):
        await world.admin.execute(_that(statements, elsewhere, trace))
        made = _made(shell, tmp_path / where[0])
        found = shell.run("restore", str(made.folder), *where, "--head", never)
        assert not trace.exists(), "code out of the dump ran"
        assert found.returncode == 1, found.stderr
        assert "balances_match_entries: " in found.stdout
        assert f"no seal has the head {never}" in found.stdout
        assert head not in found.stdout
    restored = await asyncpg.connect(empty)
    assert await restored.fetchval("SELECT to_regproc('private.evil') IS NULL")
    assert "1 when backed up, none restored" in found.stdout, "of a table that is not ours"
    # What differs is there to be looked at, and said to be in the way.
    await restored.close()
    assert "is not empty" in shell.refused("restore", str(made.folder), "--into", empty)


@pytest.mark.spec("D8")
async def test_the_script_of_a_dump_is_only_read(
    world: World, shell: Shell, empty: str, trace: Path, tmp_path: Path
) -> None:
    await history(world)
    made = _made(shell, tmp_path / "kept")
    whole = made.dump.read_bytes()
    program = f"TO PROGRAM 'touch {trace}';--"
    cases = {
        b"COPY public.follows (": b"COPY public.follows /",
        b"SELECT pg_catalog.setval('public.coin_purchases_number_seq'": b"x",
    }
    assert all(part in whole for part in cases), "pg_dump writes it in another way"
    for part, other in cases.items():
        instead = other if len(other) == len(part) else program.encode()[: len(part)]
        made.dump.write_bytes(whole.replace(part, instead.ljust(len(part), b"-")))
        _rewritten(made)
        found = shell.run("restore", str(made.folder), "--into", empty)
        assert not trace.exists()
        if other == b"x":
            assert found.returncode == 0, found.stderr
        else:
            assert "it begins rows by" in found.stderr


def _rewritten(made: Backup) -> None:
    file = kept_files.describe_file(made.dump)
    rewrite(made, files={made.dump.name: {"bytes": file.bytes, "sha256": file.sha256}})


@pytest.mark.spec("D8")
async def test_what_can_not_be_restored_leaves_nothing(
    world: World, shell: Shell, empty: str, tmp_path: Path
) -> None:
    await history(world)
    await world.admin.execute(
        "SET session_replication_role = replica; DELETE FROM auth.users;"
        "SET session_replication_role = origin"
    )
    made = _made(shell, tmp_path / "kept")
    for _ in range(2):
        refused = shell.refused("restore", str(made.folder), "--into", empty)
        assert "profiles_are_users" in refused
        assert "The database is empty as before" in refused
    admin = await asyncpg.connect(empty)
    assert not await admin.fetchval(restore.IN_USE)
    await admin.close()


@pytest.mark.spec("D8")
async def test_one_of_an_older_release_comes_back_as_todays(
    cluster: Cluster, empty_database: Database, empty: str, tmp_path: Path
) -> None:
    older = tmp_path / "sql" / "migrations"
    older.mkdir(parents=True)
    for file in sorted((SQL_FOLDER / "migrations").glob("*.sql"))[:18]:
        (older / file.name).write_bytes(file.read_bytes())
    await migrate(empty_database.admin_url, tmp_path / "sql")
    admin = await empty_database.admin()
    await admin.execute("UPDATE public.gift_types SET title = 'Changed since' WHERE id = 'heart'")
    shell = on(empty_database, tmp_path / "data", **SETTINGS)
    made = _made(shell, tmp_path / "kept")
    proof = shell.read("restore", str(made.folder), "--into", empty)
    assert proof["differences"] == []
    restored = await asyncpg.connect(empty)
    title = await restored.fetchval("SELECT title FROM public.gift_types WHERE id = 'heart'")
    assert title == "Changed since"
    assert await restored.fetchval("SELECT count(*) FROM private.ledger_accounts WHERE id = 9") == 1
    await restored.close()
    assert shell.ok("db", "migrate", DATABASE_URL=empty) == ""


@pytest.mark.spec("D8")
async def test_the_ledger_is_recomputed_once(
    world: World, cluster: Cluster, shell: Shell, empty: str, tmp_path: Path
) -> None:
    await settled_history(world)
    made = _made(shell, tmp_path / "kept")
    name = empty.rpartition("/")[2].partition("?")[0]
    await cluster.execute(f"ALTER DATABASE {name} SET track_functions = 'all'")
    head = await money.head(world)
    shell.ok("restore", str(made.folder), "--into", empty, "--head", head)
    admin = await asyncpg.connect(empty)
    calls = "SELECT calls FROM pg_stat_user_functions WHERE funcname = 'verify_ledger'"
    assert await admin.fetchval(calls) == 1
    await admin.close()


@pytest.mark.spec("D8")
async def test_what_is_not_ours_is_named_and_stays_out(
    world: World, shell: Shell, empty: str, tmp_path: Path
) -> None:
    await history(world)
    await world.admin.execute(
        """
        ALTER TABLE auth.users OWNER TO CURRENT_USER;
        ALTER TABLE auth.users ADD COLUMN "of their ""own" integer DEFAULT 3;
        CREATE SCHEMA previous; CREATE TABLE previous."odd ""one" (a text);
        INSERT INTO previous."odd ""one"
        VALUES ('COPY public.gifts (id) FROM stdin;'), (E'\\\\.\\n')
        """
    )
    made = _made(shell, tmp_path / "kept")
    found = shell.run("restore", str(made.folder), "--into", empty)
    assert found.returncode == 0, found.stdout
    assert 'auth.users.of their "own, previous.odd "one' in found.stderr
    # As docs/operations.md says.
    admin = await asyncpg.connect(empty)
    await admin.execute("CREATE SCHEMA previous")
    tool = find_tool("pg_restore", made.manifest.dumped_by)
    options = ["--schema=previous", "--no-owner", "--no-acl", str(made.dump)]
    await run_on(empty, tool, options)
    assert await admin.fetchval('SELECT count(*) FROM previous."odd ""one"') == 2
    users = await admin.fetchval("SELECT count(*) FROM auth.users")
    assert users == len(await world.rows("SELECT FROM auth.users"))
    await admin.close()


@pytest.mark.spec("D8")
async def test_a_copy_runs_nothing_that_is_not_ours(
    world: World, shell: Shell, trace: Path, drills: Path
) -> None:
    await settled_history(world)
    await world.admin.execute(_that(FORGED + EVERYWHERE, IN_A_COPY, trace))
    if await world.admin.fetchval("SHOW server_version_num") >= "170000":
        await world.admin.execute(_that(AT_LOGIN, IN_A_COPY, trace))
    made = _made(shell, drills / "kept", "--physical")
    refused = shell.refused("restore", "--drill", str(made.folder))
    assert " functions or tables are not as this Livewall makes them (function " in refused
    assert not trace.exists(), "code out of the copy ran"
