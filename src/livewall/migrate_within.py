"""The whole schema within a transaction that somebody else began, for a move or for a restore."""

from collections.abc import Awaitable, Callable, Collection

from livewall.code_catalog import Connection
from livewall.migrate import Work, transact
from livewall.sql_files import Folder, MigrationError, read_folder


async def migrate_within(connection: Connection) -> None:
    """Create everything in the caller's transaction, whose role is `livewall_owner` from then on.

    Raises MigrationError if a file refuses transactions.
    """
    folder = _read_for_one_transaction()
    await transact(connection, Work(folder, folder.migrations, fresh=True, with_code=True))


async def migrate_around(
    connection: Connection, versions: Collection[int], load: Callable[[], Awaitable[None]]
) -> None:
    """Create everything in the caller's transaction, with rows that are of an earlier version.

    `load` fills the tables as these migrations leave them, when there are no functions, triggers
    and policies yet. The role is `livewall_owner` then, and afterwards. Raises MigrationError.
    """
    folder = _read_for_one_transaction()
    before = tuple(m for m in folder.migrations if m.version in versions)
    after = tuple(m for m in folder.migrations if m.version not in versions)
    await transact(connection, Work(folder, before, fresh=True, with_code=False))
    await load()
    await connection.execute("RESET ROLE")
    await transact(connection, Work(folder, after, fresh=True, with_code=True))


def _read_for_one_transaction() -> Folder:
    folder = read_folder()
    for migration in folder.migrations:
        if not migration.transactional:
            raise MigrationError(f"{migration.file.label} can not run in one transaction.")
    return folder
