"""The ledger's head and its proof, by the administrator's connection."""

from datetime import datetime

import msgspec

from livewall.administrator import connected
from livewall.code_catalog import Connection

# The head of an empty ledger is in every chain.
IN_THE_CHAIN = """
SELECT $1::text = encode(sha256('livewall ledger'::bytea), 'hex')
    OR EXISTS (SELECT FROM private.ledger_seals AS s WHERE encode(s.hash, 'hex') = $1)
"""


class Head(msgspec.Struct, frozen=True):
    """The newest seal; its hash says everything that was posted before it."""

    number: int
    hash: str
    transactions: int
    sealed_at: datetime | None


class Check(msgspec.Struct, frozen=True):
    """One thing that was recomputed, and whether it is as recorded."""

    check: str
    is_ok: bool
    detail: str


async def read_head(url: str) -> Head:
    """Return the head by the administrator's connection."""
    async with connected(url) as connection:
        text: str = await connection.fetchval("SELECT private.ledger_head()")
    return msgspec.json.decode(text, type=Head)


async def recompute(url: str, head: str | None, lock_wait: str = "5s") -> list[Check]:
    """Return every check, all of one moment, by the administrator's connection.

    Raises LockNotAvailableError rather than wait longer than this for who holds a table.
    """
    async with (
        connected(url) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(f"SET LOCAL lock_timeout = '{lock_wait}'")
        return await recompute_in(connection, head)


async def recompute_in(connection: Connection, head: str | None) -> list[Check]:
    """Return every check, in the caller's transaction, which has one snapshot for all of it.

    It calls the functions that the database has.
    """
    rows = await connection.fetch("SELECT * FROM private.verify_ledger($1::text)", head)
    return [Check(row["check_name"], row["is_ok"], row["detail"]) for row in rows]


async def find_head(connection: Connection, head: str) -> Check:
    """Look for one more head in a chain of seals that was recomputed already."""
    known = await connection.fetchval(IN_THE_CHAIN, head.lower())
    detail = "no rewritten history" if known else f"no seal has the head {head}"
    return Check("exported_head_is_in_the_chain", known, detail)
