"""The ledger's head and its proof, by the administrator's connection."""

from datetime import datetime

import msgspec

from livewall.administrator import connected


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


async def recompute(url: str, head: str | None) -> list[Check]:
    """Return every check, all of one moment, by the administrator's connection."""
    async with (
        connected(url) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        rows = await connection.fetch("SELECT * FROM private.verify_ledger($1)", head)
    return [Check(row["check_name"], row["is_ok"], row["detail"]) for row in rows]
