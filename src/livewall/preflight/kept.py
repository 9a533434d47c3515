"""What the move from the previous schema left on purpose: schema `previous`, as it was."""

from datetime import datetime

from livewall.code_catalog import Connection

KEPT = "previous"
IS_HERE = """
SELECT to_regnamespace('previous') IS NOT NULL AND to_regclass('private.audit_log') IS NOT NULL
"""
MOVED_AT = """
SELECT at FROM private.audit_log WHERE action = 'previous_schema_adopted' ORDER BY id LIMIT 1
"""


async def since(connection: Connection) -> datetime | None:
    """Return when this database was moved, by the audit log; None unless `previous` is here."""
    if not await connection.fetchval(IS_HERE):
        return None
    async with connection.transaction():
        role = await connection.fetchval("SELECT current_setting('role')")
        await connection.execute("SET LOCAL ROLE livewall_owner")
        moved_at = await connection.fetchval(MOVED_AT)
        await connection.execute("SELECT set_config('role', $1, true)", role)
    return moved_at


async def words(connection: Connection) -> str:
    """Return what there is to say of it, to follow other evidence; empty if it is not here."""
    moved_at = await since(connection)
    return f"; schema {KEPT} is kept since the move of {moved_at:%Y-%m-%d}" if moved_at else ""


async def schema(connection: Connection) -> str:
    """Return the schema whose content is none of ours to judge; empty if there is none."""
    return KEPT if await since(connection) else ""
