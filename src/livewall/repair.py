"""Makes again what protects the data, although the files say that nothing has changed.

Migrating compares files with files. What somebody changed in the database by hand it does not see.
"""

import asyncpg

from livewall.administrator import connected, first_line
from livewall.code_catalog import Connection
from livewall.migrate import CONFLICTS, recreate_code
from livewall.preflight.differences import Difference, read_differences, split
from livewall.sql_files import MigrationError

# A check of rows that are there may fail, and takes as long as there are many: never on its own.
BY_HAND = ("constraint", "view")


async def repair(url: str) -> tuple[list[Difference], list[Difference]]:
    """Create all code again, in one transaction; return what was mended, and what was left.

    Left is what others made, which is never removed, and constraints: each says the statement
    that would. Raises MigrationError, one line, if migrations are pending or a file fails; the
    database is then as it was.
    """
    async with connected(url) as connection:
        before = await read_differences(connection)
        await recreate_code(connection, _mend)
        left = await read_differences(connection)
    remaining = {difference.item for difference in left}
    return [difference for difference in before if difference.item not in remaining], left


async def _mend(connection: Connection) -> None:
    """Mend what no code file makes, as the owner: what migrations made, and row security."""
    for _ in range(2):  # a function that had to be made again has no grants yet
        for difference in await read_differences(connection):
            if difference.is_ours and difference.statement and not _is_by_hand(difference):
                await _execute(connection, difference)


async def _execute(connection: Connection, difference: Difference) -> None:
    try:
        await connection.execute(difference.statement)
    except CONFLICTS:
        raise
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{difference.item}: {first_line(error)}") from error


def _is_by_hand(difference: Difference) -> bool:
    return split(difference.item)[0] in BY_HAND
