"""A backup: a folder with the database's dump and a manifest that says what must be in it.

The manifest is of the very moment of the dump: both read one snapshot. Until it is complete the
folder has another name, so what was interrupted never passes for a backup.
"""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path

import asyncpg
import msgspec

from livewall import __version__
from livewall.administrator import connected, first_line
from livewall.claims import abandoned, claimed
from livewall.code_catalog import Connection
from livewall.postgres_tools import BackupError, find_tool, run_on
from livewall.proof import Head

FORMAT = 1
MANIFEST = "manifest.json"
DUMP = "database.dump"
SECRET = "secret"  # noqa: S105 - the name of a file
DATED = re.compile(r"livewall-\d{8}-\d{6}")
Tell = Callable[[str], None]

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
MIGRATIONS = "SELECT version, name FROM private.schema_migrations ORDER BY version"


class Contents(msgspec.Struct, frozen=True):
    """What a database holds, said so that two of them can be compared."""

    head: Head
    rows: dict[str, int]
    balances: dict[str, int]
    each_balance: str


class StoredFile(msgspec.Struct, frozen=True):
    """A file of a backup."""

    bytes: int
    sha256: str


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


@dataclass(frozen=True)
class Backup:
    """A complete backup on disk."""

    folder: Path
    manifest: Manifest

    @property
    def dump(self) -> Path:
        """The dump, as pg_dump wrote it."""
        return self.folder / DUMP


def choose_folder(given: Path, *, one_of_many: bool) -> Path:
    """Return where a backup is to be: in a folder by its time, or a new one by this name.

    A folder that is there already is for many, and so is one of which some are to be kept.
    """
    if (given / MANIFEST).exists():
        raise BackupError(f"{given} is a backup already: name another folder.")
    if given.is_dir() or (one_of_many and not given.exists()):
        return given / f"livewall-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    if given.exists():
        raise BackupError(f"{given} is a file: name a folder, which may be a new one.")
    return given


async def take(url: str, folder: Path, secret: str | None, tell: Tell) -> Backup:
    """Back the database at this address up into a new folder.

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
            manifest = await _fill(url, partial, secret, tell)
            _refuse_existing(folder)  # it may have come into being meanwhile
            partial.rename(folder)
            _sync(folder.parent)
    except OSError as error:
        raise BackupError(f"{folder} can not be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Backup(folder, manifest)


def _refuse_existing(folder: Path) -> None:
    if folder.exists():
        raise BackupError(f"{folder} is there already: name another folder.")


async def _fill(url: str, partial: Path, secret: str | None, tell: Tell) -> Manifest:
    started = time.monotonic()
    try:
        async with connected(url) as connection:
            manifest = await _dumped(connection, url, partial, tell)
    except asyncpg.PostgresError as error:
        raise BackupError(f"The database can not be read: {first_line(error)}.") from error
    if secret is not None:
        _write(partial / SECRET, f"{secret}\n".encode())
    tell("Checksums")
    files = _describe_files(partial)
    seconds = round(time.monotonic() - started, 2)
    manifest = msgspec.structs.replace(manifest, files=files, seconds=seconds)
    _write(partial / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    _sync(partial)
    return manifest


async def _dumped(connection: Connection, url: str, partial: Path, tell: Tell) -> Manifest:
    """Dump and describe one snapshot; return the manifest, still without its files."""
    major = await server_major(connection)
    tool = find_tool("pg_dump", major)
    dump = partial / DUMP
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
        if await connection.fetchval("SELECT to_regclass('private.schema_migrations') IS NULL"):
            raise BackupError("There is no Livewall in this database: check DATABASE_URL.")
        [row] = await connection.fetch(
            "SELECT now() AS at, current_setting('server_version') AS version,"
            " pg_database_size(current_database()) AS bytes"
        )
        await run_on(
            url,
            tool,
            ["--format=custom", f"--snapshot={snapshot}", f"--file={dump}", "--no-password"],
            lambda: tell(f"Dumping: {_megabytes(dump)} written"),
        )
        tell("Counting what is in it")
        contents = await read_contents(connection)
        migrations = {r["version"]: r["name"] for r in await connection.fetch(MIGRATIONS)}
    return Manifest(
        format=FORMAT,
        livewall=__version__,
        taken_at=row["at"].astimezone(UTC),
        seconds=0.0,
        postgres=row["version"],
        postgres_major=major,
        dumped_by=tool.major,
        database_bytes=row["bytes"],
        migrations=migrations,
        contents=contents,
        files={},
    )


async def server_major(connection: Connection) -> int:
    """Return the major version of the server."""
    return int(await connection.fetchval("SHOW server_version_num")) // 10_000


async def read_contents(connection: Connection) -> Contents:
    """Return what a database holds; the caller's transaction makes it one moment."""
    tables = [row[0] for row in await connection.fetch(TABLES)]
    rows = {
        table: await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - from %I
        for table in tables
    }
    balances = {row[0]: row[1] for row in await connection.fetch(BALANCES)}
    head = await connection.fetchval("SELECT private.ledger_head()")
    each = await connection.fetchval(EACH_BALANCE)
    return Contents(msgspec.json.decode(head, type=Head), rows, balances, each)


def find(given: Path) -> Backup:
    """Return the backup in this folder, or the newest of those in it. Raises BackupError."""
    folder = given.parent if given.is_file() else given
    if not (folder / MANIFEST).exists():
        dated = dated_backups(folder)
        if not dated:
            raise BackupError(
                f"{given} is no backup of `livewall backup`: a complete one is a folder with "
                f"{MANIFEST}."
            )
        folder = dated[-1]
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise BackupError(f"{folder / MANIFEST} can not be read: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise BackupError(f"{folder / MANIFEST} is damaged: {error}.") from error
    if manifest.format != FORMAT:
        raise BackupError(f"{folder} was made by Livewall {manifest.livewall}: restore with that.")
    return Backup(folder, manifest)


def dated_backups(folder: Path) -> list[Path]:
    """Return the complete backups in a folder that have a time as their name, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if DATED.fullmatch(path.name) and (path / MANIFEST).exists()
    )


def remove_older(folder: Path, keep: int) -> list[Path]:
    """Remove all but the newest so many of the backups with a time as their name."""
    old = dated_backups(folder)[:-keep]
    for path in old:
        # First what makes it a backup: half of one must not pass for a whole.
        with contextlib.suppress(FileNotFoundError):
            (path / MANIFEST).unlink()
        shutil.rmtree(path, ignore_errors=True)
    return old


def describe_file(path: Path) -> StoredFile:
    """Return a file's size and checksum."""
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return StoredFile(path.stat().st_size, digest)


def _describe_files(folder: Path) -> dict[str, StoredFile]:
    return {file.name: describe_file(file) for file in sorted(folder.iterdir())}


def _megabytes(path: Path) -> str:
    size = path.stat().st_size if path.exists() else 0
    return f"{size / 1e6:,.1f} MB"


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Have names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
