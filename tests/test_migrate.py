"""The migration runner: what it applies, what it refuses, and that parts equal the whole."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import pytest

from livewall import code_catalog, sql_files
from livewall.code_catalog import Connection
from livewall.migrate import Outcome, migrate, require_current
from livewall.sql_files import MigrationError
from tests.databases import Cluster, Database

NOTES = """
CREATE TABLE public.notes (id integer NOT NULL, body text NOT NULL);
ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
"""
READING = """-- livewall: after words
CREATE FUNCTION public.note_words(note integer) RETURNS integer LANGUAGE sql STABLE
BEGIN ATOMIC SELECT private.words(body) FROM public.notes WHERE id = note; END;
CREATE VIEW public.long_notes AS SELECT id FROM public.notes WHERE private.words(body) > 9;
CREATE POLICY notes_select_all ON public.notes FOR SELECT TO anon USING (private.words(body) > 0);
GRANT SELECT ON public.notes TO anon;
GRANT UPDATE (body) ON public.notes TO authenticated;
GRANT EXECUTE ON FUNCTION public.note_words TO anon;
"""
WORDS = """
CREATE FUNCTION private.words(body text) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN array_length(string_to_array(body, ' '), 1);
GRANT EXECUTE ON FUNCTION private.words TO anon;
"""
STAMPS = """
CREATE FUNCTION private.refuse_empty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.body = '' THEN RAISE EXCEPTION 'empty; really'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER notes_refuse_empty BEFORE INSERT ON public.notes
    FOR EACH ROW EXECUTE FUNCTION private.refuse_empty();
GRANT SELECT ON public.notes TO service_role;
"""
SAMPLE = {
    "migrations/0001_notes.sql": NOTES,
    "code/words.sql": WORDS,
    "code/reading.sql": READING,
    "code/stamps.sql": STAMPS,
}


def _folder(path: Path, files: Mapping[str, str]) -> Path:
    """Write a SQL folder that holds exactly these files."""
    for name in ("migrations", "code"):
        (path / name).mkdir(parents=True, exist_ok=True)
        for old in (path / name).iterdir():
            old.unlink()
    for name, text in files.items():
        (path / name).write_text(text)
    return path


async def _catalogs(url: str) -> list[tuple[str, ...]]:
    """Return everything the owner has, with definitions and privileges, without row ids."""
    connection = await asyncpg.connect(url)
    await connection.execute("BEGIN; SET LOCAL search_path = ''")
    described = await connection.fetch(
        """
        SELECT 'function', oid::regprocedure::text, pg_get_functiondef(oid),
            (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(proacl) AS x)
        FROM pg_proc WHERE proowner = 'livewall_owner'::regrole
        UNION ALL
        SELECT 'relation', oid::regclass::text, coalesce(pg_get_viewdef(oid), relkind::text),
            (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(relacl) AS x)
        FROM pg_class WHERE relowner = 'livewall_owner'::regrole AND relkind IN ('r', 'v')
        UNION ALL
        SELECT 'column', attrelid::regclass || '.' || attname, atttypid::regtype::text,
            (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(attacl) AS x)
        FROM pg_attribute WHERE attnum > 0 AND attrelid IN (
            SELECT oid FROM pg_class
            WHERE relowner = 'livewall_owner'::regrole AND relkind IN ('r', 'v'))
        UNION ALL
        SELECT 'policy', polname::text, pg_get_expr(polqual, polrelid), polroles::regrole[]::text
        FROM pg_policy
        UNION ALL
        SELECT 'trigger', tgname::text, pg_get_triggerdef(oid), '' FROM pg_trigger
        WHERE NOT tgisinternal
        UNION ALL
        SELECT 'record', file, kind, identity FROM private.code_objects
        """
    )
    await connection.close()
    return sorted(tuple(str(value) for value in row.values()) for row in described)


async def _from_scratch(cluster: Cluster, folder: Path) -> list[tuple[str, ...]]:
    name = await cluster.create("template0")
    await migrate(cluster.admin_url(name), folder)
    catalogs = await _catalogs(cluster.admin_url(name))
    await cluster.drop(name)
    return catalogs


async def test_an_empty_database_gets_everything(empty_database: Database, tmp_path: Path) -> None:
    outcome = await migrate(empty_database.admin_url, _folder(tmp_path, SAMPLE))
    assert outcome.migrations == ("migrations/0001_notes.sql",)
    assert outcome.code == ("code/stamps.sql", "code/words.sql", "code/reading.sql")
    anon = await empty_database.admin()
    await anon.execute("INSERT INTO public.notes VALUES (1, 'three little words'); SET ROLE anon")
    assert await anon.fetchval("SELECT public.note_words(1)") == 3


async def test_nothing_pending_changes_nothing(empty_database: Database, tmp_path: Path) -> None:
    folder = _folder(tmp_path, SAMPLE)
    await migrate(empty_database.admin_url, folder)
    before = await _function_ids(await empty_database.admin())
    assert await migrate(empty_database.admin_url, folder) == Outcome()
    assert await _function_ids(await empty_database.admin()) == before


async def _function_ids(connection: Connection) -> dict[str, int]:
    rows = await connection.fetch(
        "SELECT proname, oid FROM pg_proc WHERE proowner = 'livewall_owner'::regrole"
    )
    return {row["proname"]: row["oid"] for row in rows}


async def test_only_the_changed_file_is_recreated(
    empty_database: Database, cluster: Cluster, tmp_path: Path
) -> None:
    folder = _folder(tmp_path, SAMPLE)
    await migrate(empty_database.admin_url, folder)
    before = await _function_ids(await empty_database.admin())
    (folder / "code/stamps.sql").write_text(STAMPS.replace("really", "truly"))
    outcome = await migrate(empty_database.admin_url, folder)
    assert outcome == Outcome(code=("code/stamps.sql",))
    after = await _function_ids(await empty_database.admin())
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"refuse_empty"}
    assert await _catalogs(empty_database.admin_url) == await _from_scratch(cluster, folder)


CHANGES = {
    "a function that others depend on gets another signature": {
        "code/words.sql": WORDS.replace("(body text)", "(body text, per integer DEFAULT 1)"),
    },
    "a body changes under others": {"code/words.sql": WORDS.replace("' '", "'  '")},
    "a grant goes": {"code/reading.sql": READING.replace("GRANT SELECT ON public.notes", "--")},
    "a column grant moves": {"code/reading.sql": READING.replace("UPDATE (body)", "UPDATE (id)")},
    "a grant goes that another file gives too": {
        "code/reading.sql": READING + "GRANT SELECT ON public.notes TO service_role;",
        "code/stamps.sql": STAMPS.replace("GRANT SELECT", "-- "),
    },
    "a policy is renamed": {"code/reading.sql": READING.replace("notes_select_all", "notes_x")},
    "a trigger goes": {"code/stamps.sql": STAMPS[: STAMPS.index("CREATE TRIGGER")]},
    "a file goes": {"code/stamps.sql": ""},
    "a function moves to another file": {
        "code/words.sql": "-- moved",
        "code/reading.sql": WORDS + READING.replace("-- livewall: after words", ""),
    },
    "a grant on another file's function, which changes": {
        "code/stamps.sql": "-- livewall: after words\n"
        + STAMPS
        + "GRANT EXECUTE ON FUNCTION private.words TO service_role;",
        "code/words.sql": WORDS.replace("' '", "','"),
    },
    "a migration changes what code stands on": {
        "migrations/0002_bodies.sql": "ALTER TABLE public.notes ALTER body TYPE varchar(99);"
    },
    "everything at once": {
        "migrations/0002_more.sql": "CREATE TABLE public.more (id integer);",
        "code/more.sql": "GRANT SELECT ON public.more TO anon;",
        "code/words.sql": WORDS.replace("' '", "';'"),
        "code/stamps.sql": "",
    },
}


@pytest.mark.parametrize("change", CHANGES)
async def test_an_update_equals_a_start_from_nothing(
    empty_database: Database, cluster: Cluster, tmp_path: Path, change: str
) -> None:
    await migrate(empty_database.admin_url, _folder(tmp_path, SAMPLE))
    files = {name: text for name, text in {**SAMPLE, **CHANGES[change]}.items() if text}
    folder = _folder(tmp_path, files)
    await migrate(empty_database.admin_url, folder)
    assert await _catalogs(empty_database.admin_url) == await _from_scratch(cluster, folder)
    # And back again.
    if not any(name.startswith("migrations") for name in CHANGES[change]):
        await migrate(empty_database.admin_url, _folder(tmp_path, SAMPLE))
        assert await _catalogs(empty_database.admin_url) == await _from_scratch(cluster, folder)


async def test_livewalls_own_code_updates_file_by_file(
    database: Database, cluster: Cluster, tmp_path: Path
) -> None:
    own = sql_files.SQL_FOLDER
    files = {f"{kind}/{file.name}": file.read_text() for kind in ("migrations", "code")
             for file in (own / kind).glob("*.sql")}  # fmt: skip
    for name in sorted(name for name in files if name.startswith("code/")):
        _folder(tmp_path, {**files, name: f"{files[name]}\n-- touched\n"})
        await migrate(database.admin_url, tmp_path)
    expected = await _from_scratch(cluster, tmp_path)
    assert await _catalogs(database.admin_url) == expected


async def test_an_edited_migration_aborts(empty_database: Database, tmp_path: Path) -> None:
    folder = _folder(tmp_path, SAMPLE)
    await migrate(empty_database.admin_url, folder)
    (folder / "migrations/0001_notes.sql").write_text(NOTES + "-- later thought")
    with pytest.raises(MigrationError, match=r"0001_notes\.sql was edited after it was applied"):
        await migrate(empty_database.admin_url, folder)


async def test_a_newer_database_aborts(empty_database: Database, tmp_path: Path) -> None:
    newer = {**SAMPLE, "migrations/0002_more.sql": "CREATE TABLE public.more (id integer);"}
    await migrate(empty_database.admin_url, _folder(tmp_path, newer))
    folder = _folder(tmp_path, SAMPLE)
    with pytest.raises(MigrationError, match="newer than this code: it has migration 0002"):
        await migrate(empty_database.admin_url, folder)
    with pytest.raises(MigrationError, match="newer than this code"):
        await require_current(empty_database.admin_url, folder)


async def test_a_late_number_aborts(empty_database: Database, tmp_path: Path) -> None:
    later = {"migrations/0003_notes.sql": NOTES}
    await migrate(empty_database.admin_url, _folder(tmp_path, later))
    late = {**later, "migrations/0002_late.sql": "SELECT 1;"}
    with pytest.raises(MigrationError, match="renumber it"):
        await migrate(empty_database.admin_url, _folder(tmp_path, late))


BROKEN = {
    "migration": ({"migrations/0002_oops.sql": "SELECT 1;\nCREATE TABEL x();"}, "line 2: syntax"),
    "code": ({"code/oops.sql": "CREATE FUNCTION private.f() RETURNS int RETURN x;"}, "oops.sql"),
    "body": (
        {
            "code/oops.sql": "CREATE FUNCTION private.f() RETURNS int LANGUAGE plpgsql"
            " AS $$ BEGIN RETRUN 1; END $$;"
        },
        r"Function private\.f\(\): .*syntax error",
    ),
    "table in code": ({"code/oops.sql": "CREATE TABLE public.t ();"}, "belongs into a migration"),
    "another file's function": (
        {"code/oops.sql": WORDS.replace("CREATE", "CREATE OR REPLACE").replace("' '", "'-'")},
        r"words\.sql: .* already exists",
    ),
    "ends the transaction": ({"migrations/0002_oops.sql": "COMMIT;"}, "must not end"),
    "circle": (
        {"code/a.sql": "-- livewall: after b", "code/b.sql": "-- livewall: after a"},
        "in a circle",
    ),
    "unknown need": ({"code/a.sql": "-- livewall: after nowhere"}, "directive"),
    "odd name": ({"migrations/2_oops.sql": ""}, "name it NNNN_what_it_does.sql"),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_file_changes_nothing(
    empty_database: Database, tmp_path: Path, case: str
) -> None:
    folder = _folder(tmp_path, SAMPLE)
    await migrate(empty_database.admin_url, folder)
    before = await _catalogs(empty_database.admin_url)
    extra, words = BROKEN[case]
    with pytest.raises(MigrationError, match=words):
        await migrate(empty_database.admin_url, _folder(tmp_path, {**SAMPLE, **extra}))
    assert await _catalogs(empty_database.admin_url) == before


async def test_a_non_transactional_file_runs_between_transactions(
    empty_database: Database, tmp_path: Path
) -> None:
    files = {
        **SAMPLE,
        "migrations/0002_index.sql": "-- livewall: non-transactional\n"
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS notes_by_body ON public.notes (body);\n"
        "COMMENT ON INDEX public.notes_by_body IS 'a; semicolon';\n",
        "migrations/0003_after.sql": "CREATE TABLE public.after_it (id integer);",
    }
    outcome = await migrate(empty_database.admin_url, _folder(tmp_path, files))
    assert len(outcome.migrations) == 3
    admin = await empty_database.admin()
    owner = await admin.fetchval(
        "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'notes_by_body'"
    )
    assert owner == "livewall_owner"
    assert await migrate(empty_database.admin_url, tmp_path) == Outcome()


async def test_two_migrators_at_once(empty_database: Database, tmp_path: Path) -> None:
    concurrent = "-- livewall: non-transactional\nCREATE INDEX CONCURRENTLY i ON public.notes (id);"
    folder = _folder(tmp_path, {**SAMPLE, "migrations/0002_index.sql": concurrent})
    outcomes = await asyncio.gather(*(migrate(empty_database.admin_url, folder) for _ in range(4)))
    assert sum(outcome != Outcome() for outcome in outcomes) == 1


async def test_a_long_transaction_delays_but_does_not_fail(
    empty_database: Database, tmp_path: Path
) -> None:
    folder = _folder(tmp_path, SAMPLE)
    await migrate(empty_database.admin_url, folder)
    (folder / "code/stamps.sql").write_text(STAMPS + "-- new")
    reader = await empty_database.admin()
    await reader.execute("BEGIN; SELECT * FROM public.notes")
    updating = asyncio.create_task(migrate(empty_database.admin_url, folder))
    await asyncio.sleep(4)
    assert not updating.done()
    await reader.execute("COMMIT")
    assert (await updating).code == ("code/stamps.sql",)


async def test_somebody_elses_view_on_our_code_is_named(
    empty_database: Database, tmp_path: Path
) -> None:
    folder = _folder(tmp_path, SAMPLE)
    await migrate(empty_database.admin_url, folder)
    admin = await empty_database.admin()
    await admin.execute("CREATE VIEW public.theirs AS SELECT private.words('a b')")
    (folder / "code/words.sql").write_text(WORDS + "-- new")
    with pytest.raises(MigrationError, match=r"depends on private\.words\(text\)"):
        await migrate(empty_database.admin_url, folder)


async def test_no_superuser_is_needed(cluster: Cluster, tmp_path: Path) -> None:
    name = await cluster.create("template0")
    role = f"operator_{name}"
    await cluster.execute(f"CREATE ROLE {role} LOGIN CREATEROLE PASSWORD 'p'")
    await cluster.execute(f"ALTER DATABASE {name} OWNER TO {role}")
    url = cluster.server.url(name, role, "p")
    folder = _folder(tmp_path, SAMPLE)
    try:
        await cluster.execute(f"GRANT livewall_owner TO {role} WITH ADMIN OPTION")
        await migrate(url, folder)
        assert await migrate(url, folder) == Outcome()
    finally:
        await cluster.drop(name)
        await cluster.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:1/x", "postgresql://[", "mysql://x", "postgresql:///?"]
)
async def test_a_wrong_address_is_one_clear_line(url: str) -> None:
    with pytest.raises(MigrationError, match="check DATABASE_URL") as caught:
        await migrate(url)
    assert "\n" not in str(caught.value)


def test_statements_end_only_at_their_own_semicolons() -> None:
    script = """
    -- one; not yet
    SELECT 'a;b', "c;d", $$e;f$$, $x$g;$$;h$x$, E'i\\';j'; /* k;l */ SELECT 2;
    -- the end;
    """
    found = sql_files.statements(script)
    assert [statement.split()[-1] for statement in found] == ["E'i\\';j'", "2"]


async def test_the_snapshot_sees_every_kind(database: Database) -> None:
    admin = await database.admin()
    async with admin.transaction():
        kinds = {item.kind for item in await code_catalog.snapshot(admin)}
    assert {"function", "policy", "trigger", "grant", "versioned"} <= kinds
