"""Restoring a backup into an empty database, and the proof that not a coin moved.

A dump has no roles: the first statement of platform.sql makes them, and the whole of it afterwards
gives what a dump leaves out. The proof reads the restored database and believes no file.
"""

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import msgspec

from livewall import embedded, named_roles
from livewall.administrator import connected, first_line
from livewall.backup import Backup, Manifest, StoredFile, describe_file, server_major
from livewall.claims import abandoned, claimed
from livewall.code_catalog import Connection
from livewall.comparison import differences
from livewall.contents import read_contents
from livewall.postgres_tools import BackupError, find_tool, run_alone, run_on
from livewall.proof import recompute
from livewall.sql_files import Folder, read_folder, statements

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
# What of a dump's list is not restored: what PostgreSQL's own functions allow, which is for a
# superuser to say and platform.sql does if it can; and pg_cron, which the new server may not have
# and which `db migrate` gives its jobs anew.
ELSEWHERE = re.compile(
    r"ACL pg_catalog |EXTENSION - pg_cron |- EXTENSION pg_cron|- SCHEMA cron "
    r"|^\d+; \d+ \d+ [A-Z ]+ cron "
)
# Whether a server seals in time says nothing about a copy that no server runs on.
ABOUT_RUNNING = "sealed_in_time"


class Proof(msgspec.Struct, frozen=True):
    """What a restored database was found to be, beside what the manifest says."""

    taken_at: str
    head: str
    rows: int
    balances: dict[str, int]
    seconds: float
    differences: list[str]

    @property
    def holds(self) -> bool:
        """Whether everything is as it was."""
        return not self.differences


def check_files(backup: Backup) -> None:
    """Compare the files with the manifest's checksums. Raises BackupError."""
    if backup.manifest.physical is None and backup.dump.name not in backup.manifest.files:
        raise BackupError(f"{backup.folder}: the manifest names no {backup.dump.name}.")
    for name, said in backup.manifest.files.items():
        check_file(backup.folder / Path(name).name, said)


def check_file(path: Path, said: StoredFile) -> None:
    """Compare a file with what the manifest says of it. Raises BackupError."""
    try:
        found = describe_file(path)
    except OSError as error:
        raise BackupError(f"{path} can not be read: {error.strerror}.") from error
    if found != said:
        raise BackupError(
            f"{path} is not what was backed up ({found.bytes:,} bytes, {said.bytes:,} then; "
            "its SHA-256 is another): take another backup."
        )


async def restore(backup: Backup, url: str, head: str | None, tell: Tell) -> Proof:
    """Restore into the empty database at this address, and prove it.

    Raises BackupError, one line; the database is still empty then. `head` is one exported
    earlier and kept elsewhere: it must be in the restored chain.
    """
    started = time.monotonic()
    tell("Checksums")
    check_files(backup)
    folder = read_folder()
    check_known(backup.manifest, folder)
    try:
        async with connected(url) as connection:
            await _require_empty(connection, backup.manifest)
            await _make_roles(connection, folder, backup.manifest.roles)
            tell("Restoring")
            await _load(backup, url)
            async with connection.transaction():
                await connection.execute(folder.platform.text)
            # Without statistics the proof of a long history takes minutes.
            await connection.execute("ANALYZE")
    except asyncpg.PostgresError as error:
        raise BackupError(f"The database can not be restored: {first_line(error)}.") from error
    tell("Proving")
    return await prove(backup.manifest, url, head, started)


async def prove(manifest: Manifest, url: str, head: str | None, started: float) -> Proof:
    """Recompute everything in a restored database and compare it with the manifest."""
    try:
        async with (
            connected(url) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            found = await read_contents(connection)
        checks = await recompute(url, manifest.contents.head.hash)
        checks += [c for c in await recompute(url, head) if head and c.check.startswith("exported")]
    except asyncpg.PostgresError as error:
        raise BackupError(f"What was restored can not be read: {first_line(error)}.") from error
    wrong = [f"{c.check}: {c.detail}" for c in checks if not c.is_ok and c.check != ABOUT_RUNNING]
    return Proof(
        taken_at=manifest.taken_at.isoformat(),
        head=found.head.hash,
        rows=sum(found.rows.values()),
        balances=found.balances,
        seconds=round(time.monotonic() - started, 2),
        differences=[*differences(manifest, found), *wrong],
    )


def check_known(manifest: Manifest, folder: Folder) -> None:
    """Raise BackupError for the backup of a newer Livewall, whose functions may be unknown here."""
    known = {migration.version for migration in folder.migrations}
    newest = max(manifest.migrations, default=0)
    if newest not in known:
        raise BackupError(
            f"The backup is of Livewall {manifest.livewall} with migration {newest:04}, newer "
            "than this one: restore it with that."
        )


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


async def _make_roles(connection: Connection, folder: Folder, named: list[str]) -> None:
    """Make the roles that the dump names, and let the owner create where its tables will be."""
    async with connection.transaction():
        await connection.execute(statements(folder.platform.text)[0])
        await named_roles.make_missing(connection, named)
        await connection.execute("GRANT USAGE, CREATE ON SCHEMA public TO livewall_owner")


async def _load(backup: Backup, url: str) -> None:
    """Load the dump, all of it or nothing."""
    tool = find_tool("pg_restore", backup.manifest.dumped_by)
    listed = await run_alone(tool, ["--list", str(backup.dump)])
    wanted = [line for line in listed.splitlines() if not ELSEWHERE.search(line)]
    with tempfile.NamedTemporaryFile("w", prefix="livewall-") as use_list:
        use_list.write("\n".join(wanted) + "\n")
        use_list.flush()
        await run_on(
            url,
            tool,
            [
                "--single-transaction",
                "--exit-on-error",
                "--no-password",
                f"--use-list={use_list.name}",
                str(backup.dump),
            ],
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
