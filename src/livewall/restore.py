"""Restoring a backup into an empty database, and the proof that not a coin moved.

Of a dump only rows are taken (dump_rows.py): tables, functions, triggers and policies are made by
our own SQL, so nothing that somebody wrote into a dump runs. All of it is one transaction, and the
proof is part of it: it is made by our functions, and believes no file.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import msgspec

from livewall import dump_rows, embedded
from livewall.administrator import connected, first_line
from livewall.backup import Backup, Manifest, server_major, stored_files
from livewall.claims import abandoned, claimed
from livewall.code_catalog import Connection
from livewall.comparison import differences
from livewall.contents import Contents, read_contents
from livewall.kept_files import check_file
from livewall.migrate_within import migrate_around
from livewall.postgres_tools import BackupError
from livewall.proof import find_head, recompute_in
from livewall.shipped_code import require_our_code
from livewall.sql_files import Folder, read_folder

Tell = Callable[[str], None]
DRILL = "livewall-drill-"
# Nothing of a drill survives it.
THROWAWAY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
# What tables and indexes take besides the data, and the log of writing them.
ROOM = 2.0
IN_USE = """
SELECT EXISTS (
    SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
) OR to_regnamespace('private') IS NOT NULL
"""
# Whether a server seals in time says nothing about a copy that no server runs on.
ABOUT_RUNNING = "sealed_in_time"


class Proof(msgspec.Struct, frozen=True):
    """What a restored database was found to be, beside what the manifest says.

    `left_out` are tables of a dump that are not Livewall's: they were not restored.
    """

    taken_at: str
    head: str
    rows: int
    balances: dict[str, int]
    seconds: float
    differences: list[str]
    left_out: list[str] = []

    @property
    def holds(self) -> bool:
        """Whether everything is as it was."""
        return not self.differences


def check_files(backup: Backup) -> None:
    """Compare the files with the manifest's checksums. Raises BackupError."""
    for path, said in stored_files(backup).items():
        check_file(path, said)


async def restore(backup: Backup, url: str, head: str | None, tell: Tell) -> Proof:
    """Restore into the empty database at this address, and prove it.

    Raises BackupError or MigrationError, one line; the database is still empty then. `head` is one
    exported earlier and kept elsewhere: it must be in the restored chain.
    """
    started = time.monotonic()
    tell("Checksums")
    check_files(backup)
    check_known(backup.manifest, read_folder())
    try:
        async with connected(url) as connection:
            await _require_empty(connection, backup.manifest)
            async with connection.transaction(isolation="repeatable_read"):
                proof = await _made_anew(connection, backup, head, tell)
    except asyncpg.PostgresError as error:
        raise BackupError(
            f"The backup can not be restored: {first_line(error)}. The database is empty as before."
        ) from error
    return msgspec.structs.replace(proof, seconds=round(time.monotonic() - started, 2))


async def _made_anew(connection: Connection, backup: Backup, head: str | None, tell: Tell) -> Proof:
    """Make everything in the caller's transaction, with the rows of a dump, and prove it."""
    manifest = backup.manifest
    found: list[Contents] = []
    left_out: list[str] = []

    async def load() -> None:
        tell("Restoring")
        left_out.extend(await dump_rows.load(connection, backup.dump, manifest.dumped_by))
        # Before what newer migrations do to the rows.
        found.append(await read_contents(connection))

    await migrate_around(connection, manifest.migrations.keys(), load)
    # Without statistics the proof of a long history takes minutes.
    await connection.execute("ANALYZE")
    tell("Proving")
    proof = await _proven(connection, manifest, found[0], head)
    return msgspec.structs.replace(proof, left_out=left_out)


async def prove(manifest: Manifest, url: str, head: str | None, started: float) -> Proof:
    """Recompute everything in a database that was restored whole, and compare with the manifest.

    Its functions came along: none of them runs unless all are ours. Raises BackupError.
    """
    try:
        async with (
            connected(url) as connection,
            connection.transaction(isolation="repeatable_read"),
        ):
            await require_our_code(connection, manifest.livewall)
            # Without statistics the proof of a long history takes hours, and a copy has only those
            # that were there. Not earlier: what an index is about may call a function.
            await connection.execute("ANALYZE; SET TRANSACTION READ ONLY")
            found = await read_contents(connection)
            proof = await _proven(connection, manifest, found, head)
    except asyncpg.PostgresError as error:
        raise BackupError(f"What was restored can not be read: {first_line(error)}.") from error
    return msgspec.structs.replace(proof, seconds=round(time.monotonic() - started, 2))


async def _proven(
    connection: Connection, manifest: Manifest, found: Contents, head: str | None
) -> Proof:
    """Prove what the caller's transaction sees, by functions that are known to be ours."""
    checks = await recompute_in(connection, manifest.contents.head.hash)
    if head:
        checks.append(await find_head(connection, head))
    wrong = [f"{c.check}: {c.detail}" for c in checks if not c.is_ok and c.check != ABOUT_RUNNING]
    return Proof(
        taken_at=manifest.taken_at.isoformat(),
        head=found.head.hash,
        rows=sum(found.rows.values()),
        balances=found.balances,
        seconds=0.0,
        differences=[*differences(manifest, found), *wrong],
    )


def check_known(manifest: Manifest, folder: Folder) -> None:
    """Raise BackupError for the backup of a newer Livewall, whose tables are unknown here."""
    known = [migration.version for migration in folder.migrations]
    applied = sorted(manifest.migrations)
    newest = applied[-1] if applied else 0
    if newest not in known:
        raise BackupError(
            f"The backup is of Livewall {manifest.livewall} with migration {newest:04}, newer "
            "than this one: restore it with that."
        )
    if applied != known[: len(applied)]:
        raise BackupError("The manifest leaves out migrations that came before others.")


async def _require_empty(connection: Connection, manifest: Manifest) -> None:
    if await connection.fetchval(IN_USE):
        raise BackupError(
            "The database is not empty, and a restore never replaces anything: create another "
            "one and name it with --into, or an empty LIVEWALL_DATA_DIR."
        )
    major = await server_major(connection)
    if major < manifest.postgres_major:
        raise BackupError(
            f"The backup is of PostgreSQL {manifest.postgres_major} and this one is {major}: "
            f"restore it into {manifest.postgres_major} or newer."
        )


def drill(backup: Backup, head: str | None, tell: Tell) -> Proof:
    """Restore into a PostgreSQL that is made for it and removed, and prove it.

    Nothing that is in use is touched. Raises BackupError, one line.
    """
    launch = embedded.Launch(parameters=THROWAWAY)
    with (
        drill_folder(int(backup.manifest.database_bytes * ROOM)) as folder,
        embedded.running(folder, launch, tell) as server,
    ):
        return asyncio.run(restore(backup, server.url(), head, tell))


@contextmanager
def drill_folder(needed: int) -> Generator[Path]:
    """Make a data folder for one drill, where so many bytes have room; remove it afterwards."""
    base = Path(tempfile.gettempdir())
    for left in abandoned(base, f"{DRILL}*"):
        _remove(left)
    require_room(base, needed, "set TMPDIR to a folder with more")
    try:
        folder = Path(tempfile.mkdtemp(prefix=DRILL, dir=base))
    except OSError as error:
        raise BackupError(f"{base} can not be written: {error.strerror}.") from error
    try:
        # As root another account runs the server: it may pass through, but see nothing.
        folder.chmod(0o711)
        with claimed(folder):
            yield folder / "data"
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    embedded.destroy(folder / "data")
    shutil.rmtree(folder, ignore_errors=True)


def require_room(folder: Path, needed: int, otherwise: str) -> None:
    """Raise BackupError if a folder has not so many bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BackupError(
            f"{folder} has {_size(free)} free and {_size(needed)} are needed to restore this "
            f"backup: {otherwise}."
        )


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
