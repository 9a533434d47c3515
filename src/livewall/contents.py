"""What a database holds, in a form in which two of them can be compared."""

import msgspec

from livewall.code_catalog import Connection
from livewall.proof import Head

TABLES = """
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('public', 'private', 'auth')
    AND pg_get_userbyid(c.relowner) = 'livewall_owner'
ORDER BY 1
"""
BALANCES = """
SELECT format('%s %s', currency, kind) AS account, sum(balance)::bigint AS balance
FROM private.ledger_accounts GROUP BY currency, kind ORDER BY 1
"""
# Sums would not see a coin that went from one person to another.
EACH_BALANCE = """
SELECT encode(sha256(convert_to(coalesce(string_agg(
    format('%s %s %s %s %s', id, kind, currency, profile_id, balance), ';' ORDER BY id), ''), 'UTF8')), 'hex')
FROM private.ledger_accounts
"""  # noqa: E501 - one statement
# The eighth bit of a trigger's type says that it fires on DELETE.
GROWING = """
SELECT DISTINCT format('%I.%I', n.nspname, c.relname)
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE t.tgfoid = to_regproc('private.refuse_change') AND t.tgtype & 8 > 0
ORDER BY 1
"""
# As private.ledger_head() has it, which need not be what it says in a database that was restored.
HEAD = """
(SELECT number, encode(hash, 'hex') AS hash, total_transactions AS transactions, sealed_at
    FROM private.ledger_seals ORDER BY number DESC LIMIT 1)
UNION ALL
SELECT 0, encode(sha256('livewall ledger'::bytea), 'hex'), 0, NULL
ORDER BY number DESC LIMIT 1
"""
SEALS = "SELECT encode(hash, 'hex') FROM private.ledger_seals WHERE number > $1 ORDER BY number"


class Contents(msgspec.Struct, frozen=True):
    """What a database holds, said so that two of them can be compared."""

    head: Head
    rows: dict[str, int]
    balances: dict[str, int]
    each_balance: str


async def read_contents(connection: Connection) -> Contents:
    """Return what a database holds; the caller's transaction makes it one moment.

    It reads tables only, and calls no function that the database has of its own.
    """
    rows = {
        table: await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - from %I
        for table in await _names(connection, TABLES)
    }
    balances = {row[0]: row[1] for row in await connection.fetch(BALANCES)}
    [head] = await connection.fetch(HEAD)
    each = await connection.fetchval(EACH_BALANCE)
    return Contents(Head(**head), rows, balances, each)


async def read_growing(connection: Connection) -> list[str]:
    """Return the tables that nobody may delete from: their rows only grow in number."""
    return await _names(connection, GROWING)


async def read_seals(connection: Connection, after: int) -> list[str]:
    """Return the hashes of all seals after the one with this number, oldest first."""
    return [row[0] for row in await connection.fetch(SEALS, after)]


async def _names(connection: Connection, query: str) -> list[str]:
    return [row[0] for row in await connection.fetch(query)]
