"""A backup: a folder with a dump or a copy, and a manifest that says what must be in it.

The manifest is of the very moment of the dump: both read one snapshot. `physical_backup.py` makes
copies of whole clusters. Until it is complete the folder has another name, so what was interrupted
never passes for a backup.
"""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import asyncpg
import msgspec

from livewall import __version__
from livewall.administrator import connected, first_line
from livewall.claims import abandoned, claimed
from livewall.code_catalog import Connection
from livewall.contents import Contents, read_contents
from livewall.kept_files import (
    StoredFile,
    bytes_in,
    check_size,
    describe_files,
    read_whole,
    sync,
    write_new,
)
from livewall.postgres_tools import BackupError, Tool, find_tool, run_on

# What older ones do not know they refuse: to them a copy of a cluster is of a newer Livewall.
FORMAT_OF_DUMPS, FORMAT_OF_COPIES = 1, 2
MANIFEST = "manifest.json"
DUMP = "database.dump"
SECRET = "secret"  # noqa: S105 - the name of a file
# One of a dump has some kilobytes; that of a copy names every seal that was made meanwhile.
LARGEST_MANIFEST = 2**28
# So long a backup waits for a table that somebody holds, in seconds; nobody waits for a backup.
LOCK_WAIT = 60
DATED = re.compile(r"livewall-\d{8}-\d{6}")
Tell = Callable[[str], None]

MIGRATIONS = "SELECT version, name FROM private.schema_migrations ORDER BY version"


class _Format(msgspec.Struct, frozen=True):
    """What a manifest of any format says, and by whom."""

    format: int
    livewall: str


class Physical(msgspec.Struct, frozen=True):
    """What a copy of a whole cluster has besides.

    It is of a moment between two: the manifest's own contents are from before it was copied,
    `after` is from afterwards, `seals` are the hashes of the heads from the one to the other.
    """

    database: str
    superuser: str
    system: str
    bytes: int
    after: Contents
    seals: list[str]
    growing: list[str]
    # Of the cluster's folder, what PostgreSQL's own list of its files leaves out, and that list.
    unlisted: dict[str, StoredFile]


class _Dated(msgspec.Struct, frozen=True):
    """What every format of the manifest has."""

    taken_at: datetime


class Manifest(msgspec.Struct, frozen=True):
    """What a backup is of, and what must be in it."""

    format: int
    livewall: str
    taken_at: datetime
    seconds: float
    postgres: str
    postgres_major: int
    dumped_by: int
    database_bytes: int
    migrations: dict[int, str]
    contents: Contents
    files: dict[str, StoredFile]
    physical: Physical | None = None


@dataclass(frozen=True)
class Backup:
    """A complete backup on disk."""

    folder: Path
    manifest: Manifest

    @property
    def dump(self) -> Path:
        """The dump, as pg_dump wrote it."""
        return self.folder / DUMP

    @property
    def bytes(self) -> int:
        """What it takes on disk, but for its manifest."""
        copied = self.manifest.physical.bytes if self.manifest.physical else 0
        return copied + sum(file.bytes for file in self.manifest.files.values())


# Makes what is backed up in a folder and returns its manifest, still without its files.
Make: TypeAlias = Callable[[str, Path, Tell], Awaitable[Manifest]]


def choose_folder(given: Path, *, one_of_many: bool) -> Path:
    """Return where a backup is to be: in a folder by its time, or a new one by this name.

    A folder that is there already is for many, and so is one of which some are to be kept.
    """
    with _looking_at(given):
        if (given / MANIFEST).exists():
            raise BackupError(f"{given} is a backup already: name another folder.")
        if given.is_dir() or (one_of_many and not given.exists()):
            return given / f"livewall-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        if given.exists():
            raise BackupError(f"{given} is a file: name a folder, which may be a new one.")
    return given


@contextlib.contextmanager
def _looking_at(given: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(f"{given} can not be looked at: {error.strerror}.") from error


async def take(url: str, folder: Path, secret: str | None, tell: Tell, make: Make) -> Backup:
    """Back the database at this address up into a new folder, in the way that `make` does.

    Raises BackupError, one line; nothing of that name is there then.
    """
    _refuse_existing(folder)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in abandoned(folder.parent, ".*.partial"):
            shutil.rmtree(left, ignore_errors=True)
        partial.mkdir(mode=0o700)
        with claimed(partial):
            manifest = await _fill(url, partial, secret, tell, make)
            _refuse_existing(folder)  # it may have come into being meanwhile
            partial.rename(folder)
            sync(folder.parent)
    except OSError as error:
        raise BackupError(f"{folder} can not be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Backup(folder, manifest)


def _refuse_existing(folder: Path) -> None:
    if folder.exists():
        raise BackupError(f"{folder} is there already: name another folder.")


async def _fill(url: str, partial: Path, secret: str | None, tell: Tell, make: Make) -> Manifest:
    started = time.monotonic()
    try:
        manifest = await make(url, partial, tell)
    except asyncpg.LockNotAvailableError as error:
        raise BackupError(_held()) from error
    except asyncpg.PostgresError as error:
        raise BackupError(f"The database can not be read: {first_line(error)}.") from error
    if secret is not None:
        write_new(partial / SECRET, f"{secret}\n".encode())
    tell("Checksums")
    files = describe_files(partial)
    seconds = round(time.monotonic() - started, 2)
    manifest = msgspec.structs.replace(manifest, files=files, seconds=seconds)
    write_new(partial / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    sync(partial)
    return manifest


def _held() -> str:
    return (
        f"Somebody holds a table for over {LOCK_WAIT} seconds, so there is no backup: "
        "docs/operations.md says how to see who (Another PostgreSQL)."
    )


async def dumped(url: str, partial: Path, tell: Tell) -> Manifest:
    """Dump and describe one snapshot; return the manifest, still without its files."""
    async with connected(url) as connection:
        tool = find_tool("pg_dump", await server_major(connection))
        dump = partial / DUMP
        # pg_dump would let everybody read what it makes.
        dump.touch(mode=0o600)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await patiently(connection)
            snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
            await require_livewall(connection)
            await _dump(url, tool, snapshot, dump, tell)
            tell("Counting what is in it")
            return await describe(connection, tool)


async def _dump(url: str, tool: Tool, snapshot: str, dump: Path, tell: Tell) -> None:
    options = [
        *("--format=custom", "--encoding=UTF8", f"--snapshot={snapshot}"),
        *(f"--lock-wait-timeout={LOCK_WAIT}s", f"--file={dump}", "--no-password"),
    ]
    try:
        await run_on(url, tool, options, lambda: tell(f"Dumping: {_megabytes(dump)} written"))
    except BackupError as error:
        # By which it limits the waiting for locks, and that alone.
        if "due to statement timeout" in str(error):
            raise BackupError(_held()) from error
        raise


async def patiently(connection: Connection) -> None:
    """Have the caller's transaction wait for a table that somebody holds, but not for ever."""
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}s'")


async def require_livewall(connection: Connection) -> None:
    """Raise BackupError for a database without Livewall."""
    if await connection.fetchval("SELECT to_regclass('private.schema_migrations') IS NULL"):
        raise BackupError("There is no Livewall in this database: check DATABASE_URL.")


async def describe(connection: Connection, tool: Tool) -> Manifest:
    """Return the manifest of what the caller's transaction sees, as of a dump, without files."""
    [row] = await connection.fetch(
        "SELECT now() AS at, current_setting('server_version') AS version,"
        " pg_database_size(current_database()) AS bytes"
    )
    return Manifest(
        format=FORMAT_OF_DUMPS,
        livewall=__version__,
        taken_at=row["at"].astimezone(UTC),
        seconds=0.0,
        postgres=row["version"],
        postgres_major=await server_major(connection),
        dumped_by=tool.major,
        database_bytes=row["bytes"],
        migrations={r["version"]: r["name"] for r in await connection.fetch(MIGRATIONS)},
        contents=await read_contents(connection),
        files={},
    )


async def server_major(connection: Connection) -> int:
    """Return the major version of the server."""
    return int(await connection.fetchval("SHOW server_version_num")) // 10_000


def find(given: Path) -> Backup:
    """Return the backup in this folder, or the newest of those in it. Raises BackupError."""
    with _looking_at(given):
        folder = given.parent if given.is_file() else given
        if not (folder / MANIFEST).exists():
            folder = _newest(folder)
    return Backup(folder, _read_manifest(folder))


def _read_manifest(folder: Path) -> Manifest:
    content = read_whole(folder / MANIFEST, LARGEST_MANIFEST)
    try:
        # First who made it: what a newer one says besides need not fit ours.
        made = msgspec.json.decode(content, type=_Format)
        if made.format not in (FORMAT_OF_DUMPS, FORMAT_OF_COPIES):
            raise BackupError(f"{folder} was made by Livewall {made.livewall}: restore with that.")
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BackupError(f"{folder / MANIFEST} is damaged: {error}.") from error
    if (manifest.physical is None) != (manifest.format == FORMAT_OF_DUMPS):
        raise BackupError(f"{folder / MANIFEST} is damaged: format {manifest.format}.")
    return manifest


def stored_files(backup: Backup) -> dict[Path, StoredFile]:
    """Return the files that a backup must have, but for those of a copied cluster.

    Raises BackupError for a manifest that does not name them.
    """
    if backup.manifest.physical is None and DUMP not in backup.manifest.files:
        raise BackupError(f"{backup.folder}: the manifest names no {DUMP}.")
    return {backup.folder / Path(n).name: said for n, said in backup.manifest.files.items()}


def require_whole(backup: Backup) -> None:
    """Raise BackupError unless all is there in the size that it had; nothing of it is read."""
    for path, said in stored_files(backup).items():
        check_size(path, said)
    there = bytes_in(backup.folder) - (backup.folder / MANIFEST).stat().st_size
    if there < backup.bytes:
        raise BackupError(
            f"{backup.folder} has {there:,} bytes, and {backup.bytes:,} were backed up."
        )


def _newest(folder: Path) -> Path:
    """Return the newest complete backup in a folder, whatever it is called."""
    complete = [
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        # Not Path.exists, which raises where we may not look, such as in lost+found.
        if not path.name.startswith(".") and os.path.exists(path / MANIFEST)  # noqa: PTH110
    ]
    if not complete:
        raise BackupError(
            f"{folder} is no backup of `livewall backup`: a complete one is a folder with "
            f"{MANIFEST}."
        )
    return max(complete, key=_taken_at)


def _taken_at(folder: Path) -> datetime:
    """Return when a backup was taken; of one that is damaged, when its manifest was written."""
    file = folder / MANIFEST
    try:
        return msgspec.json.decode(read_whole(file, LARGEST_MANIFEST), type=_Dated).taken_at
    except (BackupError, msgspec.DecodeError, RecursionError):
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)


def dated_backups(folder: Path) -> list[Path]:
    """Return the complete backups in a folder that have a time as their name, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if DATED.fullmatch(path.name) and (path / MANIFEST).exists()
    )


def remove_older(folder: Path, keep: int, made: Path | None = None) -> list[Path]:
    """Remove all but the newest so many of the backups with a time as their name.

    The one just `made` stays, also if others are named by a time to come, and so does what a link
    leads to: it is somebody else's. One that somebody gave a name is theirs to remove.
    """
    dated = [path for path in dated_backups(folder) if not path.is_symlink()]
    old = [path for path in dated[:-keep] if path != made]
    for path in old:
        # First what makes it a backup: half of one must not pass for a whole.
        with contextlib.suppress(FileNotFoundError):
            (path / MANIFEST).unlink()
        shutil.rmtree(path, ignore_errors=True)
    return old


def _megabytes(path: Path) -> str:
    size = path.stat().st_size if path.exists() else 0
    return f"{size / 1e6:,.1f} MB"
