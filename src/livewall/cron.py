"""pg_cron: where the database has it, it runs some of the jobs beside our leader (cron.sql)."""

import asyncpg

from livewall.administrator import first_line
from livewall.code_catalog import Connection

IS_HERE = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron')"


async def schedule(connection: Connection) -> str | None:
    """Give pg_cron its jobs, as the administrator whose connection this is.

    Return what became of it, in a sentence, or None where there is no pg_cron. It is no error if
    it takes none: the leader runs the jobs all the same.
    """
    if not await connection.fetchval(IS_HERE):
        return None
    try:
        return await connection.fetchval("SELECT private.schedule_by_cron()")
    except asyncpg.InsufficientPrivilegeError as error:
        return f"pg_cron gets no jobs ({first_line(error)}): our leader runs them."
