"""Bring a database up to date: platform, versioned migrations, then repeatable code.

One transaction under one lock. Code is compared file by file and only what changed is created
again; where that is not certain to give the same as starting from nothing, all code is. Works as
any role with CREATEROLE and CREATE on the database; everything made belongs to `livewall_owner`.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import asyncpg

from livewall import code_catalog, cron
from livewall.administrator import SEARCH_PATH, connected, first_line
from livewall.code_catalog import Connection, Snapshot
from livewall.previous_schema import find_tables
from livewall.sql_files import (
    SQL_FOLDER,
    Folder,
    Migration,
    MigrationError,
    SqlFile,
    read_folder,
    statements,
)

LOCK = 0x4C69_7665_7761_6C6C  # "Livewall"
LOCK_TIMEOUT = "3s"
ATTEMPTS = 10

# Roles are shared by all databases of a server: two of them may be prepared at the same time.
CONFLICTS = (
    *code_catalog.RETRIABLE,
    asyncpg.UniqueViolationError,
    asyncpg.DuplicateObjectError,
    asyncpg.InternalServerError,
)


Finish: TypeAlias = Callable[[Connection], Awaitable[None]]


@dataclass(frozen=True)
class Outcome:
    """What was done: labels of the files that ran, none if the database was up to date.

    `cron` says what became of the jobs with pg_cron, None where there is none.
    """

    migrations: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    cron: str | None = None


@dataclass(frozen=True)
class _State:
    """What the database says about itself."""

    applied: dict[int, str]
    names: dict[int, str]
    files: dict[str, str]


async def migrate(url: str, sql_folder: Path = SQL_FOLDER) -> Outcome:
    """Bring the database at this administrator's address up to date.

    Raises MigrationError, one line, if an applied file was edited, if the database is newer than
    the files, if it has the previous schema, or if a file fails; the database is then as it was
    before.
    """
    folder = read_folder(sql_folder)
    async with connected(url) as connection:
        state = await _read_state(connection)
        is_current = _nothing_to_do(folder, state)
        if is_current and not await connection.fetchval(cron.IS_HERE):
            return Outcome()
        if not state.applied:
            await _refuse_previous(connection)
        async with _locked(connection):
            outcome = Outcome() if is_current else await _apply(connection, folder)
            # Each time: pg_cron may be newer than our schema.
            return replace(outcome, cron=await cron.schedule(connection))


async def _refuse_previous(connection: Connection) -> None:
    if (await find_tables(connection, "public")).is_previous:
        raise MigrationError(
            "This database has the previous schema (tables profiles, video_boxes and others): "
            "`livewall db adopt --dry-run` says how it moves here with its data."
        )


async def require_current(url: str, sql_folder: Path = SQL_FOLDER) -> None:
    """Raise MigrationError if the database is not what this code needs."""
    async with connected(url) as connection:
        if not _nothing_to_do(read_folder(sql_folder), await _read_state(connection)):
            raise MigrationError("The database is not up to date: run `livewall db migrate`.")


async def prepare_platform(connection: Connection) -> None:
    """Create what is missing of roles and schemas, in the caller's transaction."""
    await _run_platform(connection, read_folder().platform)


async def recreate_code(connection: Connection, finish: Finish) -> None:
    """Create all code again, changed or not, in one transaction; `finish` is the end of it.

    It runs as `livewall_owner`. Raises MigrationError, one line, if a migration is pending or a
    file fails; the database is then as it was before.
    """
    folder = read_folder()
    async with _locked(connection):
        if _pending(folder, await _read_state(connection)):
            raise MigrationError("The database is not up to date: run `livewall db migrate`.")
        work = Work(folder, (), fresh=True, with_code=True, finish=finish)
        await _retried(connection, work)


async def pending_work(connection: Connection, sql_folder: Path = SQL_FOLDER) -> tuple[str, ...]:
    """Return the labels of the files that `migrate` would run or forget. Raises MigrationError."""
    folder, state = read_folder(sql_folder), await _read_state(connection)
    wanted = _wanted(folder)
    changed = (label for label, checksum in wanted.items() if state.files.get(label) != checksum)
    migrations = (migration.file.label for migration in _pending(folder, state))
    return (*migrations, *changed, *sorted(state.files.keys() - wanted.keys()))


async def _read_state(connection: Connection) -> _State:
    exists = await connection.fetchval(
        "SELECT count(*) = 3 FROM pg_class AS t JOIN pg_namespace AS s ON s.oid = t.relnamespace"
        " WHERE s.nspname = 'private' AND t.relkind = 'r'"
        " AND t.relname IN ('schema_migrations', 'code_files', 'code_objects')"
    )
    if not exists:
        return _State({}, {}, {})
    await connection.execute("SET ROLE livewall_owner")
    migrations = await connection.fetch("SELECT * FROM private.schema_migrations")
    files = await connection.fetch("SELECT file, checksum FROM private.code_files")
    await connection.execute("RESET ROLE")
    return _State(
        {row["version"]: row["checksum"] for row in migrations},
        {row["version"]: row["name"] for row in migrations},
        {row["file"]: row["checksum"] for row in files},
    )


def _nothing_to_do(folder: Folder, state: _State) -> bool:
    return not _pending(folder, state) and state.files == _wanted(folder)


def _wanted(folder: Folder) -> dict[str, str]:
    return {file.label: file.checksum for file in (folder.platform, *folder.code)}


def _pending(folder: Folder, state: _State) -> list[Migration]:
    """Return the migrations to apply. Raises MigrationError if history and files disagree."""
    known = {migration.version: migration for migration in folder.migrations}
    newest = max(state.applied, default=0)
    for version in sorted(state.applied.keys() - known.keys()):
        raise MigrationError(
            f"The database is newer than this code: it has migration {version:04} "
            f"({state.names[version]}). Install the newer Livewall."
        )
    for version, checksum in state.applied.items():
        if known[version].file.checksum != checksum:
            raise MigrationError(
                f"{known[version].file.label} was edited after it was applied: "
                "restore it and write a new migration."
            )
    pending = [
        migration for migration in folder.migrations if migration.version not in state.applied
    ]
    for migration in pending:
        if migration.version < newest:
            raise MigrationError(
                f"{migration.file.label} comes before {newest:04}, which is applied: renumber it."
            )
    return pending


@asynccontextmanager
async def _locked(connection: Connection) -> AsyncGenerator[None]:
    """Let one migrator at a time work on this database.

    It asks again and again: a statement that waits for the lock would hold a snapshot, and
    CREATE INDEX CONCURRENTLY of the migrator that has the lock would wait for it.
    """
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.fetchval("SELECT pg_advisory_unlock($1)", LOCK)


async def _apply(connection: Connection, folder: Folder) -> Outcome:
    """Apply what is pending, in one transaction unless a file refuses to run in one."""
    pending = _pending(folder, await _read_state(connection))
    groups = _groups(pending)
    code: tuple[str, ...] = ()
    for number, group in enumerate(groups):
        if group and not group[0].transactional:
            await _apply_outside(connection, group[0])
            continue
        last = number == len(groups) - 1
        work = Work(folder, tuple(group), fresh=bool(pending), with_code=last)
        code = await _retried(connection, work)
    return Outcome(tuple(migration.file.label for migration in pending), code)


def _groups(pending: list[Migration]) -> list[list[Migration]]:
    """Split migrations into runs that share a transaction, and single ones that refuse any.

    The first and the last run may be empty: they carry the platform and the code.
    """
    groups: list[list[Migration]] = [[]]
    for migration in pending:
        if migration.transactional:
            groups[-1].append(migration)
        else:
            groups += [[migration], []]
    return groups


@dataclass(frozen=True)
class Work:
    """What one transaction does; `fresh` creates all code again, not only what changed."""

    folder: Folder
    migrations: tuple[Migration, ...]
    fresh: bool
    with_code: bool
    finish: Finish | None = None


async def _retried(connection: Connection, work: Work) -> tuple[str, ...]:
    """Do the work in a transaction, again if somebody holds a lock that it needs."""
    for attempt in range(ATTEMPTS):
        try:
            async with connection.transaction():
                return await transact(connection, work)
        except CONFLICTS as error:
            if attempt == ATTEMPTS - 1:
                raise MigrationError(f"The database stays busy: {first_line(error)}") from error
            await asyncio.sleep(0.2 * (attempt + 1))
    raise AssertionError("the last attempt returns or raises")


async def transact(connection: Connection, work: Work) -> tuple[str, ...]:
    """Do the work in the caller's transaction, whose role is `livewall_owner` from then on."""
    await connection.execute(
        f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; SET LOCAL statement_timeout = 0;"
        f"SET LOCAL search_path = {SEARCH_PATH}; SET LOCAL check_function_bodies = off;"
        "SET LOCAL client_min_messages = warning"
    )
    await _run_platform(connection, work.folder.platform)
    await connection.execute("SET LOCAL ROLE livewall_owner")
    await _record_code_file(connection, work.folder.platform)
    if work.migrations:
        # As on an empty database: no code there to stand in the way, none to rely on.
        await _drop_all(connection)
    for migration in work.migrations:
        await code_catalog.run_script(connection, migration.file)
        await _record_migration(connection, migration)
    if not work.with_code:
        return ()
    made = await _sync_code(connection, work.folder.code, fresh=work.fresh)
    if work.finish:
        await work.finish(connection)
    return made


async def _run_platform(connection: Connection, platform: SqlFile) -> None:
    try:
        await connection.execute(platform.text)
    except CONFLICTS:
        raise
    except asyncpg.RaiseError as error:
        raise MigrationError(f"platform.sql: {first_line(error)}.") from error
    except asyncpg.PostgresError as error:
        raise MigrationError(
            f"platform.sql: {first_line(error)}. The administrator needs CREATEROLE "
            "and CREATE on the database and on schema public."
        ) from error


async def _record_code_file(connection: Connection, file: SqlFile) -> None:
    await connection.execute(
        "INSERT INTO private.code_files (file, checksum) VALUES ($1, $2)"
        " ON CONFLICT (file) DO UPDATE SET checksum = excluded.checksum",
        file.label,
        file.checksum,
    )


async def _record_migration(connection: Connection, migration: Migration) -> None:
    await connection.execute(
        "INSERT INTO private.schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
        migration.version,
        migration.name,
        migration.file.checksum,
    )


async def _apply_outside(connection: Connection, migration: Migration) -> None:
    """Run a file that refuses transactions, statement by statement, and record it at the end.

    If it fails half way its statements run again next time: write them so that they may.
    """
    await connection.execute("SET ROLE livewall_owner")
    try:
        for statement in statements(migration.file.text):
            await connection.execute(statement)
        await _record_migration(connection, migration)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.file.label}: {first_line(error)}") from error
    finally:
        await connection.execute("RESET ROLE")


async def _sync_code(
    connection: Connection, code: tuple[SqlFile, ...], *, fresh: bool
) -> tuple[str, ...]:
    """Create again what changed, or everything; return the labels of the files that ran."""
    rows = await connection.fetch("SELECT file, checksum FROM private.code_files")
    stored = {row["file"]: row["checksum"] for row in rows if row["file"] != "platform.sql"}
    changed = [file for file in code if stored.get(file.label) != file.checksum]
    removed = sorted(stored.keys() - {file.label for file in code})
    if not changed and not removed and not fresh:
        return ()
    if fresh or not await _recreated(connection, changed, removed):
        await _drop_all(connection)
        changed = list(code)
        await _create(connection, changed)
    await code_catalog.validate(connection)
    return tuple(file.label for file in changed)


async def _create(connection: Connection, files: list[SqlFile]) -> Snapshot:
    catalogs = await code_catalog.snapshot(connection)
    for file in files:
        catalogs = await code_catalog.create(connection, file, catalogs)
    return catalogs


async def _drop_all(connection: Connection) -> None:
    recorded = await code_catalog.recorded(connection)
    blocked = await code_catalog.drop(connection, list(chain(*recorded.values())))
    if blocked:
        names = ", ".join(item.identity for item in blocked)
        raise MigrationError(f"Something that is not Livewall's depends on {names}: drop it first.")
    for file in recorded:
        await code_catalog.forget(connection, file)


async def _recreated(connection: Connection, changed: list[SqlFile], removed: list[str]) -> bool:
    """Recreate only these files; False, and nothing done, if that may differ from doing all."""
    try:
        async with connection.transaction():
            await _recreate(connection, changed, removed)
    except (UnsureError, MigrationError):
        return False  # doing all either works or says what is wrong
    return True


async def _recreate(connection: Connection, changed: list[SqlFile], removed: list[str]) -> None:
    recorded = await code_catalog.recorded(connection)
    labels = [*(file.label for file in changed), *removed]
    old = [item for label in labels for item in recorded.get(label, [])]
    if await code_catalog.drop(connection, old):
        raise UnsureError("another file's object depends on one of these")
    for label in removed:
        await code_catalog.forget(connection, label)
    catalogs = await _create(connection, changed)
    others = [item for file, items in recorded.items() if file not in labels for item in items]
    if any(item not in catalogs for item in others):
        raise UnsureError("something of another file went along")
    # Two files may grant the same; only the first has it recorded.
    if any(item.kind == "grant" and item not in catalogs for item in old):
        raise UnsureError("another file may also have granted what is gone now")


class UnsureError(Exception):
    """Recreating some files may not give the same as recreating all."""
