"""Repeatable SQL code: what each file created, dropped and created again when the file changes.

PostgreSQL does not say which file an object came from, so the runner compares the catalogs before
and after a file and records the difference: functions, views, policies, triggers and grants.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from livewall.sql_files import MigrationError, SqlFile, statements

if TYPE_CHECKING:  # generic in its stubs only
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

# Another migrator or a busy table: the whole transaction is worth another try.
RETRIABLE = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)

# `version` changes when the object is replaced; `sequence` is the order of creation.
SNAPSHOT = """
WITH owned AS (
    SELECT relation.*, relation.oid::regclass::text AS name
    FROM pg_class AS relation
    JOIN pg_namespace AS schema ON schema.oid = relation.relnamespace
    WHERE relation.relowner = 'livewall_owner'::regrole
        AND schema.nspname NOT LIKE 'pg\\_%' AND schema.nspname <> 'auth'
), routine AS (
    SELECT routine.*, routine.oid::regprocedure::text AS name
    FROM pg_proc AS routine
    JOIN pg_namespace AS schema ON schema.oid = routine.pronamespace
    WHERE routine.proowner = 'livewall_owner'::regrole AND schema.nspname <> 'auth'
)
SELECT 'function' AS kind, name AS identity, oid::bigint AS sequence,
    md5(concat(prosrc, prosqlbody::text, proconfig::text, prosecdef::text, provolatile)) AS version
FROM routine
UNION ALL
SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'versioned' END,
    name, oid::bigint,
    CASE WHEN relkind IN ('v', 'm') THEN md5(pg_get_viewdef(oid)) ELSE '' END
FROM owned WHERE relkind <> 't'
UNION ALL
SELECT 'versioned', type.oid::regtype::text, type.oid::bigint, ''
FROM pg_type AS type
WHERE type.typowner = 'livewall_owner'::regrole AND type.typtype IN ('e', 'd', 'r')
UNION ALL
SELECT 'policy', format('%I ON %s', policy.polname, owned.name), policy.oid::bigint, ''
FROM pg_policy AS policy JOIN owned ON owned.oid = policy.polrelid
UNION ALL
SELECT 'trigger', format('%I ON %s', trigger.tgname, trigger.tgrelid::regclass),
    trigger.oid::bigint, ''
FROM pg_trigger AS trigger JOIN pg_proc AS routine ON routine.oid = trigger.tgfoid
WHERE NOT trigger.tgisinternal AND trigger.tgparentid = 0
    AND routine.proowner = 'livewall_owner'::regrole
UNION ALL
SELECT 'grant',
    format('%s ON %s FROM %s', privilege.privilege_type, target,
        CASE privilege.grantee WHEN 0 THEN 'PUBLIC' ELSE privilege.grantee::regrole::text END),
    0, privilege.is_grantable::text
FROM (
    SELECT format('%s %s', CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, name), relacl,
        relowner
    FROM owned WHERE relkind <> 'i'
    UNION ALL
    SELECT format('ROUTINE %s', name), proacl, proowner FROM routine
    UNION ALL
    SELECT format('SCHEMA %I', nspname), nspacl, nspowner FROM pg_namespace
    WHERE nspowner = 'livewall_owner'::regrole
    UNION ALL
    SELECT format('TYPE %s', oid::regtype), typacl, typowner FROM pg_type
    WHERE typowner = 'livewall_owner'::regrole
) AS object (target, acl, owner), aclexplode(acl) AS privilege
WHERE privilege.grantee <> object.owner
UNION ALL
SELECT 'grant',
    format('%s (%I) ON TABLE %s FROM %s', privilege.privilege_type, attribute.attname, owned.name,
        CASE privilege.grantee WHEN 0 THEN 'PUBLIC' ELSE privilege.grantee::regrole::text END),
    0, privilege.is_grantable::text
FROM owned
JOIN pg_attribute AS attribute ON attribute.attrelid = owned.oid AND NOT attribute.attisdropped,
    aclexplode(attribute.attacl) AS privilege
ORDER BY sequence, identity
"""
ENDS_TRANSACTION = re.compile(r"(COMMIT|ROLLBACK|ABORT|PREPARE\s+TRANSACTION)\b", re.IGNORECASE)

GONE = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedFunctionError,
    asyncpg.UndefinedColumnError,
)

DROP = {
    "function": "DROP ROUTINE IF EXISTS",
    "view": "DROP VIEW IF EXISTS",
    "materialized view": "DROP MATERIALIZED VIEW IF EXISTS",
    "policy": "DROP POLICY IF EXISTS",
    "trigger": "DROP TRIGGER IF EXISTS",
    "grant": "REVOKE",
}


@dataclass(frozen=True)
class Item:
    """One thing in the catalogs, named as the statement that drops it names it."""

    kind: str
    identity: str

    @property
    def drop(self) -> str:
        """The statement that removes it, if nothing depends on it."""
        return f"{DROP[self.kind]} {self.identity}"


Snapshot = dict[Item, str]


async def snapshot(connection: Connection) -> Snapshot:
    """Return everything the owner has, in the order of creation, with its current version."""
    # Names print with their schema only while no schema is searched.
    path = await connection.fetchval("SELECT current_setting('search_path')")
    await connection.execute("SELECT set_config('search_path', '', true)")
    rows = await connection.fetch(SNAPSHOT)
    await connection.execute("SELECT set_config('search_path', $1, true)", path)
    return {Item(row["kind"], row["identity"]): row["version"] for row in rows}


async def recorded(connection: Connection) -> dict[str, list[Item]]:
    """Return what each file created when it last ran, in order."""
    rows = await connection.fetch(
        "SELECT file, kind, identity FROM private.code_objects ORDER BY file, position"
    )
    items: dict[str, list[Item]] = {}
    for row in rows:
        items.setdefault(row["file"], []).append(Item(row["kind"], row["identity"]))
    return items


async def run_script(connection: Connection, file: SqlFile) -> None:
    """Run a file in the open transaction. Raises MigrationError with the line that failed."""
    parts = statements(file.text)
    if any(ENDS_TRANSACTION.match(part) for part in parts):
        raise MigrationError(f"{file.label}: must not end the transaction it runs in.")
    if not parts:  # asyncpg fails on a script of comments only
        return
    try:
        await connection.execute(file.text)
    except RETRIABLE:
        raise
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{_place(error, file)}: {error}") from error


def _place(error: asyncpg.PostgresError, file: SqlFile) -> str:
    position = getattr(error, "position", None)
    if position is None:
        return file.label
    return f"{file.label} line {file.text[: int(position)].count(chr(10)) + 1}"


async def drop(connection: Connection, items: list[Item]) -> list[Item]:
    """Drop the newest first; return what remains because something else depends on it."""
    remaining = items[::-1]
    while remaining:
        blocked = [item for item in remaining if not await _dropped(connection, item)]
        if len(blocked) == len(remaining):
            return blocked
        remaining = blocked
    return []


async def _dropped(connection: Connection, item: Item) -> bool:
    try:
        async with connection.transaction():
            await connection.execute(item.drop)
    except asyncpg.DependentObjectsStillExistError:
        return False
    except GONE:
        return True  # it went with the object it belonged to
    return True


async def create(connection: Connection, file: SqlFile, before: Snapshot) -> Snapshot:
    """Run a code file, record what it created, and return the catalogs after it.

    Raises MigrationError if it makes what only a migration may, or redefines another file's.
    """
    await run_script(connection, file)
    after = await snapshot(connection)
    new = [item for item in after if item not in before]
    _refuse_odd(file, new, before, after)
    carriers = tuple(f" {item.identity} FROM " for item in new if item.kind != "grant")
    own = [item for item in new if not _carried(item, carriers)]
    await connection.execute("DELETE FROM private.code_objects WHERE file = $1", file.label)
    await connection.executemany(
        "INSERT INTO private.code_objects (file, position, kind, identity) VALUES ($1, $2, $3, $4)",
        [(file.label, position, item.kind, item.identity) for position, item in enumerate(own)],
    )
    await connection.execute(
        "INSERT INTO private.code_files (file, checksum) VALUES ($1, $2) "
        "ON CONFLICT (file) DO UPDATE SET checksum = excluded.checksum",
        file.label,
        file.checksum,
    )
    return after


def _carried(item: Item, carriers: tuple[str, ...]) -> bool:
    """Say whether a grant goes with an object of the same file when that is dropped."""
    return item.kind == "grant" and any(carrier in item.identity for carrier in carriers)


def _refuse_odd(file: SqlFile, new: list[Item], before: Snapshot, after: Snapshot) -> None:
    made = [item.identity for item in new if item.kind == "versioned"]
    if made:
        raise MigrationError(f"{file.label}: creates {made[0]}, which belongs into a migration.")
    changed = [item for item, version in before.items() if after.get(item, version) != version]
    gone = [item for item in before if item not in after]
    for item in (*changed, *gone):
        raise MigrationError(
            f"{file.label}: changes {item.kind} {item.identity}, which it did not create."
        )


async def forget(connection: Connection, file: str) -> None:
    """Remove the record of a file that is no more."""
    await connection.execute("DELETE FROM private.code_objects WHERE file = $1", file)
    await connection.execute("DELETE FROM private.code_files WHERE file = $1", file)


async def validate(connection: Connection) -> None:
    """Check the body of every function now that all of them exist.

    Not those that `livewall db adopt` keeps in schema previous: their tables moved away.

    Raises MigrationError naming the first that does not hold.
    """
    rows = await connection.fetch(
        "SELECT routine.oid, routine.oid::regprocedure::text AS name,"
        " validator.proname AS validator"
        " FROM pg_proc AS routine JOIN pg_language AS language ON language.oid = routine.prolang"
        " JOIN pg_proc AS validator ON validator.oid = language.lanvalidator"
        " WHERE routine.proowner = 'livewall_owner'::regrole"
        " AND routine.pronamespace IN ('public'::regnamespace, 'private'::regnamespace)"
        " AND language.lanname IN ('sql', 'plpgsql')"
    )
    await connection.execute("SELECT set_config('check_function_bodies', 'on', true)")
    for row in rows:
        try:
            await connection.execute(f"SELECT pg_catalog.{row['validator']}({row['oid']})")
        except asyncpg.PostgresError as error:
            raise MigrationError(f"Function {row['name']}: {error}") from error
