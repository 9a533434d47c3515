"""The rows of a dump, and nothing else of it: none of the SQL in a dump is ever run.

Whoever owned the database, or got hold of the dump, can have put any SQL into it: into functions,
but also into defaults, checks and indexes, and into the script itself. So the tables are made by
our own SQL, and of the script that pg_restore writes two statements are read and made anew: COPY
with the rows behind it, and setval. What they name must be a table or sequence that is there.
"""

import re
from asyncio import StreamReader
from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg

from livewall.code_catalog import Connection
from livewall.postgres_tools import BackupError, find_tool, streamed

NAME = r'(?:"(?:[^"]|"")+"|[^\s".,()]+)'
COPY = re.compile(rf"COPY ({NAME})\.({NAME}) \(({NAME}(?:, {NAME})*)\) FROM stdin;")
SETVAL = re.compile(
    rf"SELECT pg_catalog\.setval\('({NAME})\.({NAME})', (\d{{1,18}}), (true|false)\);"
)
ENCODING = re.compile(r"SET client_encoding = '(.*)';")
END = b"\\.\n"
AT_ONCE = 2**18
# No row of ours is near it; a dump that has one would only fill the memory.
LONGEST_ROW = 2**28

OURS = """
SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'S' AS is_sequence,
    array(SELECT a.attname::text FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        ORDER BY a.attnum) AS columns,
    array(SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        ORDER BY a.attnum) AS types
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'S') AND n.nspname IN ('public', 'private', 'auth')
    AND c.relowner = 'livewall_owner'::regrole
"""
# Where it came from it may be somebody else's, with columns that we do not have.
USERS = "auth.users"
STAGE = "users_of_a_dump"
# `db migrate` gives pg_cron its jobs anew.
SCHEDULED = "cron."
# What migrating writes itself. Its rows name what is to be dropped, and so become SQL.
BOOKKEEPING = frozenset({"private.schema_migrations", "private.code_files", "private.code_objects"})
FOREIGN_KEYS = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname) AS drop,
    format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, k.conname,
        pg_get_constraintdef(k.oid)) AS add
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
WHERE k.contype = 'f' AND c.relowner = 'livewall_owner'::regrole
"""
SET_SEQUENCE = """
SELECT setval(c.oid::regclass, $3, $4) FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'S'
"""


async def load(connection: Connection, dump: Path, dumped_by: int) -> list[str]:
    """Fill our tables, in the caller's transaction, with what a dump has of them and nothing else.

    Returns the tables in it that are not ours, which stay out. Raises BackupError.
    """
    await connection.execute("SET LOCAL search_path = pg_catalog")
    ours = {f"{row['schema']}.{row['name']}": row for row in await connection.fetch(OURS)}
    keys = await connection.fetch(FOREIGN_KEYS)
    for key in keys:  # rows come in no order that they allow
        await connection.execute(key["drop"])
    # A migration has rows of its own, which may have been changed since.
    tables = [name for name, row in ours.items() if _is_filled(name, row)]
    await connection.execute(f"TRUNCATE {', '.join(tables)}")
    tool = find_tool("pg_restore", dumped_by)
    async with streamed(tool, ["--section=data", "--file=-", str(dump)]) as stream:
        left_out = await _read(_Script(stream), connection, ours)
    for key in keys:
        await connection.execute(key["add"])
    return left_out


def _is_filled(name: str, row: asyncpg.Record) -> bool:
    return not row["is_sequence"] and name not in BOOKKEEPING


async def _read(
    script: "_Script", connection: Connection, ours: dict[str, asyncpg.Record]
) -> list[str]:
    left_out: list[str] = []
    while (line := await script.line()) is not None:
        if line.startswith("COPY "):
            name, columns = _copied(line)
            if name in ours and _is_filled(name, ours[name]):
                left_out += await _copy(script, connection, ours[name], columns)
                continue
            if name not in ours and not name.startswith(SCHEDULED):
                left_out.append(name)
            async for _ in script.rows():
                pass
        elif (sequence := SETVAL.fullmatch(line)) is not None:
            schema, name = _plain(sequence[1]), _plain(sequence[2])
            if f"{schema}.{name}" in ours:
                value, is_called = int(sequence[3]), sequence[4] == "true"
                await connection.execute(SET_SEQUENCE, schema, name, value, is_called)
        elif (encoding := ENCODING.fullmatch(line)) is not None and encoding[1] != "UTF8":
            raise BackupError(f"The dump is in {encoding[1]}, and only UTF8 can be restored.")
    return left_out


def _copied(line: str) -> tuple[str, list[str]]:
    """Return the table and the columns of a COPY. Raises BackupError for what is none."""
    copy = COPY.fullmatch(line)
    if copy is None:
        raise BackupError(f"The dump can not be restored: it begins rows by {line[:200]!r}.")
    columns = [_plain(name) for name in re.findall(NAME, copy[3])]
    return f"{_plain(copy[1])}.{_plain(copy[2])}", columns


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


async def _copy(
    script: "_Script", connection: Connection, table: asyncpg.Record, columns: list[str]
) -> list[str]:
    """Load the rows of one of our tables; return the columns of it that can not be."""
    name = f"{table['schema']}.{table['name']}"
    unknown = sorted(set(columns) - set(table["columns"]))
    if not unknown:
        await _copy_into(connection, table["schema"], table["name"], columns, script)
    elif name == USERS:
        await _copy_users(script, connection, table, columns)
    else:
        raise BackupError(
            f"The dump has columns of {name} that its version of Livewall has not: "
            f"{', '.join(unknown)}."
        )
    return [f"{name}.{column}" for column in unknown]


async def _copy_into(
    connection: Connection, schema: str, table: str, columns: list[str], script: "_Script"
) -> None:
    await connection.copy_to_table(
        table, schema_name=schema, columns=columns, source=script.rows(), format="text"
    )


async def _copy_users(
    script: "_Script", connection: Connection, table: asyncpg.Record, columns: list[str]
) -> None:
    """Load the columns that we have, by way of a table that has all of them, as text."""
    staged = ", ".join(f"{_quoted(column)} text" for column in columns)
    await connection.execute(f"CREATE TABLE private.{STAGE} ({staged})")
    await _copy_into(connection, "private", STAGE, columns, script)
    ours = dict(zip(table["columns"], table["types"], strict=True))
    known = [column for column in columns if column in ours]
    names = ", ".join(_quoted(column) for column in known)
    values = ", ".join(f"{_quoted(column)}::{ours[column]}" for column in known)
    await connection.execute(
        f"INSERT INTO {USERS} ({names}) SELECT {values} FROM private.{STAGE};"  # noqa: S608
        f"DROP TABLE private.{STAGE}"
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class _Script:
    """What pg_restore writes, read line by line, and rows in large pieces."""

    def __init__(self, stream: StreamReader) -> None:
        self._stream = stream
        self._rest = b""

    async def line(self) -> str | None:
        """Return the next line, None after the last."""
        while b"\n" not in self._rest:
            if not await self._more():
                return None
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")

    async def rows(self) -> AsyncGenerator[bytes]:
        """Yield the rows up to the line that ends them. Raises BackupError if none does."""
        while True:
            whole = self._rest.rfind(b"\n") + 1
            piece, self._rest = self._rest[:whole], self._rest[whole:]
            # A backslash in a row is always doubled, or begins a letter: so nothing else ends it.
            end = 0 if piece.startswith(END) else piece.find(b"\n" + END) + 1
            if end or piece.startswith(END):
                self._rest = piece[end + len(END) :] + self._rest
                if end:
                    yield piece[:end]
                return
            if piece:
                yield piece
            if not await self._more():
                raise BackupError("The dump is cut off within the rows of a table.")

    async def _more(self) -> bool:
        if len(self._rest) > LONGEST_ROW:
            raise BackupError(f"The dump has a row of over {LONGEST_ROW:,} bytes.")
        more = await self._stream.read(AT_ONCE)
        self._rest += more
        return bool(more)
