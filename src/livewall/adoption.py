"""Move from the previous schema to this one, in one transaction: all of it, or nothing happened.

The old tables go to schema `previous`, ours are created, and what fits is copied, set by set
(sql/adoption). Whatever does not fit stays in `previous` and is reported. A dry run does the same
and rolls it back, so what it reports is what will happen.
"""

from typing import Literal, TypeAlias

import asyncpg
import msgspec
from asyncpg.transaction import Transaction

from livewall import previous_schema
from livewall.administrator import connected, first_line
from livewall.adoption_rules import (
    ACCOUNT_MISSING,
    ADAPTED,
    COLUMN_NOT_FOUND,
    KEPT_BACK,
    REFUSALS,
)
from livewall.code_catalog import Connection
from livewall.db import AWAY
from livewall.migrate import prepare_platform
from livewall.migrate_within import migrate_within
from livewall.previous_schema import ENDING, KEPT, STAGE, Found
from livewall.sql_files import SQL_FOLDER, MigrationError
from livewall.visible import visible

ROLES = "PUBLIC, anon, authenticated, service_role"
# What old tables become, those with another name: the rest keep theirs.
BECOMES = {"box_viewers": "user_grid_slots"}
SHOWN = 20
# Plans of the first minute are made by these, before autovacuum comes by.
STATISTICS = """
ANALYZE public.profiles, public.gifts, public.coin_purchases, private.ledger_accounts,
    private.ledger_queue, private.ledger_seals
"""
Outcome: TypeAlias = Literal["refused", "kept back", "dropped", "adapted"]


class Copy(msgspec.Struct, frozen=True):
    """How many rows of an old table come along, and where to."""

    table: str
    becomes: str
    rows: int
    copied: int


class Finding(msgspec.Struct, frozen=True):
    """Rows that break a rule, and what becomes of them."""

    rule: str
    table: str
    outcome: Outcome
    count: int
    words: str
    rows: list[str]


class Openings(msgspec.Struct, frozen=True):
    """What purchases and gifts do not explain of the old balances."""

    people: int
    coins: int
    earnings: int


class Report(msgspec.Struct):
    """What was done, or would be. With a finding that is refused, nothing."""

    outcome: Literal["adopted", "would adopt", "refused", "adopted before"]
    copies: list[Copy]
    findings: list[Finding]
    openings: Openings | None
    missing: list[str]
    unread: list[str]
    dropped: list[str]


async def adopt(url: str, *, apply: bool) -> Report:
    """Move, or with `apply` false only try to, and report.

    Raises MigrationError, one line, if there is nothing to adopt or the database does not let us;
    nothing happened then, or the line says that nobody knows.
    """
    async with connected(url) as connection:
        if await _is_adopted(connection):
            return Report("adopted before", [], [], None, [], [], [])
        found = await _require_previous(connection)
        outcome = "adopted" if apply else "would adopt"
        report = Report(outcome, [], [], None, found.missing, found.unread, [])
        transaction = connection.transaction()
        await transaction.start()
        try:
            await _move(connection, found, report)
        except asyncpg.LockNotAvailableError as error:
            raise MigrationError(
                "Somebody is using the old tables: stop the old application, then run this again."
            ) from error
        except (asyncpg.PostgresError, *AWAY) as error:
            raise MigrationError(f"Nothing was changed: {first_line(error)}") from error
        if report.outcome == "adopted":  # neither a dry run nor refused
            await _commit(transaction)
        # Whatever was not committed is rolled back when the connection closes.
        return report


async def _commit(transaction: Transaction) -> None:
    """End the move. Raises MigrationError; nobody knows how it ended if the connection is lost."""
    try:
        await transaction.commit()
    except AWAY as error:
        raise MigrationError(
            "The connection was lost at the very end. Run this again: it does it, or says that it "
            f"is done ({first_line(error)})."
        ) from error
    except asyncpg.PostgresError as error:
        raise MigrationError(f"Nothing was changed: {first_line(error)}") from error


async def _is_adopted(connection: Connection) -> bool:
    if not await connection.fetchval("SELECT to_regclass('private.audit_log') IS NOT NULL"):
        return False
    await connection.execute("SET ROLE livewall_owner")
    told = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM private.audit_log WHERE action = 'previous_schema_adopted')"
    )
    await connection.execute("RESET ROLE")
    return bool(told)


async def _require_previous(connection: Connection) -> Found:
    if await connection.fetchval("SELECT to_regclass('private.schema_migrations') IS NOT NULL"):
        raise MigrationError(
            "This database has Livewall's schema already: `livewall db migrate` keeps it current."
        )
    found = await previous_schema.find_tables(connection, "public")
    if not found.is_previous:
        raise MigrationError(
            "There is no previous schema here (a table profiles, and video_boxes, box_viewers, "
            "gifts.box_position or a balance on profiles). Check DATABASE_URL."
        )
    for schema in (KEPT, STAGE):
        if await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", schema):
            raise MigrationError(f"Schema {schema} is in the way: rename it, then run this again.")
    return found


async def _move(connection: Connection, found: Found, report: Report) -> None:
    await connection.execute(
        "SET LOCAL lock_timeout = '3s'; SET LOCAL statement_timeout = 0;"
        "SET LOCAL client_min_messages = warning"
    )
    await _refuse_foreign_triggers(connection)
    without_account = await _people_without_account(connection)
    await prepare_platform(connection)
    await _set_aside(connection)
    await migrate_within(connection)
    # From here on as livewall_owner, who has the old tables now and makes the new ones.
    await connection.execute(previous_schema.views(found))
    await _run(connection, "1_prepare.sql")
    refused = without_account + await _refusals(connection, found)
    report.findings = refused + await _findings(connection)
    report.copies = await _copies(connection)
    if any(finding.outcome == "refused" for finding in report.findings):
        report.outcome = "refused"
        return
    await _give_accounts(connection)
    await _run(connection, "2_people.sql")
    await _run(connection, "3_money.sql")
    while await connection.fetchval("SELECT private.fold(5000)"):
        pass
    await connection.execute(STATISTICS)
    report.openings = await _openings(connection)
    report.dropped = [table for table in ENDING if table in found.tables]
    await connection.execute(f"DROP SCHEMA {STAGE} CASCADE")
    for table in report.dropped:
        await connection.execute(f"DROP TABLE {KEPT}.{table} CASCADE")


async def _run(connection: Connection, file: str) -> None:
    await connection.execute((SQL_FOLDER / "adoption" / file).read_text(encoding="utf-8"))


async def _refuse_foreign_triggers(connection: Connection) -> None:
    """Raise if sign-ups run the old application's code: it would write into tables that moved."""
    name = await connection.fetchval(
        "SELECT t.tgname FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid"
        " WHERE t.tgrelid = to_regclass('auth.users') AND NOT t.tgisinternal"
        " AND p.pronamespace = 'public'::regnamespace LIMIT 1"
    )
    if name:
        raise MigrationError(
            f"Trigger {visible(name)} on auth.users writes into the old tables at every sign-up. "
            "Livewall makes profiles itself: drop that trigger, then run this again."
        )


async def _people_without_account(connection: Connection) -> list[Finding]:
    """Return whom the sign-in service does not know, where there is one and we may read its rows.

    Asked before anything moves: livewall_owner may only refer to accounts that are not ours.
    """
    if not await connection.fetchval(
        "SELECT has_table_privilege(t, 'SELECT') AND NOT row_security_active(t)"
        " FROM to_regclass('auth.users') AS t"
    ):
        return []
    query = (
        "SELECT p.id::text FROM public.profiles AS p WHERE p.id IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id::text = p.id::text) ORDER BY 1"
    )
    rows = [str(row[0]) for row in await connection.fetch(query)]
    if not rows:
        return []
    return [Finding("account_missing", "profiles", "refused", len(rows), ACCOUNT_MISSING, rows)]


# What is in public and no extension brought: functions and views would stand in the way of ours,
# or show old rows to anybody. Indexes, sequences and row types go with their tables.
RELATIONS = """
SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
        WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, c.oid::regclass::text AS name
FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass
        AND d.objid = c.oid AND (d.deptype = 'e' OR d.deptype IN ('a', 'i') AND c.relkind = 'S'))
"""
# Asked once the tables are gone: a function of their rows is called by their new names then.
ROUTINES = """
SELECT 'ROUTINE' AS kind, p.oid::regprocedure::text AS name FROM pg_proc AS p
WHERE p.pronamespace = 'public'::regnamespace AND NOT EXISTS (
    SELECT FROM pg_depend AS d
    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
"""
# An account that is deleted here is neither held by what is kept, nor does it take that along.
TIES_OUTSIDE = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', t.conrelid::regclass, t.conname)
FROM pg_constraint AS t JOIN pg_class AS c ON c.oid = t.conrelid
JOIN pg_class AS f ON f.oid = t.confrelid
WHERE t.contype = 'f' AND c.relnamespace = 'previous'::regnamespace
    AND f.relnamespace <> c.relnamespace AND t.conparentid = 0
"""
# Types that are no table's and no extension's; an array or a multirange goes with what it is of.
TYPES = """
SELECT t.oid::regtype::text
FROM pg_type AS t LEFT JOIN pg_class AS c ON c.oid = t.typrelid
WHERE t.typnamespace = 'public'::regnamespace AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c')
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_type'::regclass
        AND d.objid = t.oid AND d.deptype = 'e')
"""
# Whatever kind of thing it is: a dump names owners, and where it is restored there is ours alone.
# Nothing of it may act as that owner, who can do everything here.
TAKE_OVER = """
SELECT format('ALTER ROUTINE %s SECURITY INVOKER', p.oid::regprocedure) FROM pg_proc AS p
WHERE p.pronamespace = 'previous'::regnamespace AND p.prosecdef
UNION ALL
SELECT format('ALTER %s %s OWNER TO livewall_owner', o.kind, o.name)
FROM (
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
            WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass::text
    FROM pg_class AS c
    WHERE c.relnamespace = 'previous'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
        AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass
            AND d.objid = c.oid AND d.deptype IN ('a', 'i') AND c.relkind = 'S')
    UNION ALL
    SELECT 'ROUTINE', p.oid::regprocedure::text FROM pg_proc AS p
    WHERE p.pronamespace = 'previous'::regnamespace
    UNION ALL
    SELECT 'TYPE', t.oid::regtype::text
    FROM pg_type AS t LEFT JOIN pg_class AS c ON c.oid = t.typrelid
    WHERE t.typnamespace = 'previous'::regnamespace
        AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c')
) AS o (kind, name)
"""


async def _set_aside(connection: Connection) -> None:
    """Move what is in public to schema `previous`, where no role of the API gets at it."""
    await connection.execute(
        f"CREATE SCHEMA {KEPT} AUTHORIZATION livewall_owner;"
        f"CREATE SCHEMA {STAGE} AUTHORIZATION livewall_owner;"
        "SET LOCAL search_path = pg_catalog, pg_temp"
    )
    for whatever in (RELATIONS, ROUTINES):
        for row in await connection.fetch(whatever):
            await connection.execute(f"ALTER {row['kind']} {row['name']} SET SCHEMA {KEPT}")
    for (statement,) in await connection.fetch(TIES_OUTSIDE):
        await connection.execute(statement)
    for (name,) in await connection.fetch(TYPES):
        await connection.execute(f"ALTER TYPE {name} SET SCHEMA {KEPT}")
    await connection.execute(
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {KEPT} FROM {ROLES};"
        f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {KEPT} FROM {ROLES};"
        f"REVOKE ALL ON ALL ROUTINES IN SCHEMA {KEPT} FROM {ROLES}"
    )
    tables = await connection.fetch(
        "SELECT oid::regclass::text FROM pg_class"
        " WHERE relnamespace = 'previous'::regnamespace AND relkind IN ('r', 'p')"
    )
    for (table,) in tables:
        await connection.execute(
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"
            f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"
        )
    for (statement,) in await connection.fetch(TAKE_OVER):
        await connection.execute(statement)


async def _refusals(connection: Connection, found: Found) -> list[Finding]:
    """What must be put right before: money that does not add up, people without an account."""
    findings = await _absent_columns(connection, found)
    for rule, (table, words, query) in REFUSALS.items():
        if table not in found.tables:
            continue
        rows = [str(row[0]) for row in await connection.fetch(query)]
        if rows:
            findings.append(Finding(rule, table, "refused", len(rows), words, rows))
    return findings


async def _absent_columns(connection: Connection, found: Found) -> list[Finding]:
    """Return what is needed and not there, of tables with rows: one finding for each table."""
    findings: list[Finding] = []
    for table in found.tables:
        needed = [a.words for a in found.absent if a.table == table and a.is_needed]
        if not needed:
            continue
        count = await connection.fetchval(f"SELECT count(*) FROM {STAGE}.old_{table}")  # noqa: S608 - a table of SHAPES
        if count:
            unread = ", ".join(found.unread_of(table)) or "none"
            rows = [*needed, f"columns of {table} that go by none of our names: {unread}"]
            findings.append(
                Finding("column_not_found", table, "refused", count, COLUMN_NOT_FOUND, rows)
            )
    return findings


JUDGED = """
SELECT old_table, rule, is_kept_back, count(*) AS count,
    (array_agg(coalesce(left(label, 200), '?')))[:$1] AS labels
FROM (
    SELECT old_table, kept_back AS rule, true AS is_kept_back, label
    FROM adopting.judged WHERE kept_back IS NOT NULL
    UNION ALL
    SELECT old_table, unnest(changed), false, label FROM adopting.judged WHERE kept_back IS NULL
) AS f
GROUP BY 1, 2, 3 ORDER BY 3 DESC, 1, 2
"""


async def _findings(connection: Connection) -> list[Finding]:
    findings: list[Finding] = []
    for row in await connection.fetch(JUDGED, SHOWN):
        rule, kept = row["rule"], row["is_kept_back"]
        words = (KEPT_BACK if kept else ADAPTED)[rule]
        table: str = row["old_table"]
        left: Outcome = "dropped" if table in ENDING else "kept back"
        outcome: Outcome = left if kept else "adapted"
        findings.append(Finding(rule, table, outcome, row["count"], words, row["labels"]))
    return findings


async def _copies(connection: Connection) -> list[Copy]:
    rows = await connection.fetch(
        "SELECT old_table, count(*) AS rows, count(*) FILTER (WHERE kept_back IS NULL) AS copied"
        " FROM adopting.judged GROUP BY old_table ORDER BY old_table"
    )
    copies: list[Copy] = []
    for row in rows:
        table: str = row["old_table"]
        copies.append(Copy(table, BECOMES.get(table, table), row["rows"], row["copied"]))
    return copies


async def _give_accounts(connection: Connection) -> None:
    """Give everybody a row of auth.users, where that table is ours to write."""
    if await connection.fetchval("SELECT private.accounts_are_ours()"):
        await connection.execute(
            "INSERT INTO auth.users (id, is_anonymous, created_at)"
            " SELECT id, is_guest, created_at FROM adopting.people ON CONFLICT (id) DO NOTHING"
        )


async def _openings(connection: Connection) -> Openings:
    text: str = await connection.fetchval(
        "SELECT json_build_object('people', details -> 'openings', 'coins', details -> 'coins',"
        " 'earnings', details -> 'earnings')"
        " FROM private.audit_log WHERE action = 'previous_schema_adopted'"
    )
    return msgspec.json.decode(text, type=Openings)
