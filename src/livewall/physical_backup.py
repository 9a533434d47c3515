"""A backup by pg_basebackup: every database of a PostgreSQL, file by file, while it runs.

In the backup's folder `cluster` is what a PostgreSQL of the same version starts on: with the log
that was written meanwhile, so that it needs nothing else. `tablespaces` has what lay elsewhere.
A copy is of the moment at which it was complete, at which nobody can look: the manifest says what
the database held before and after (docs/decisions/0041).
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

import msgspec

from livewall.administrator import connected
from livewall.backup import (
    FORMAT_OF_COPIES,
    Manifest,
    Physical,
    Tell,
    describe,
    patiently,
    require_livewall,
    server_major,
)
from livewall.contents import read_contents, read_growing, read_seals
from livewall.kept_files import StoredFile, bytes_in, describe_file
from livewall.postgres_tools import BackupError, Tool, find_tool, run_alone, run_on

CLUSTER = "cluster"
TABLESPACES = "tablespaces"
LIST = "backup_manifest"
# PostgreSQL's list leaves it out, and it can name programs that a server runs.
AUTO_CONF = "postgresql.auto.conf"
# One sends the files, one the log.
SENDERS_NEEDED = 2
# In what PostgreSQL says to a role or an address that may not copy.
NOT_ALLOWED = re.compile(r"pg_hba\.conf|wal ?sender|replication", re.IGNORECASE)
# The role with this id made the cluster, and can not be dropped.
SOURCE = """
SELECT current_database() AS database, r.rolname AS superuser,
    (SELECT system_identifier::text FROM pg_control_system()) AS system,
    current_setting('wal_level') AS wal_level,
    current_setting('max_wal_senders')::integer AS senders
FROM pg_roles AS r WHERE r.oid = 10
"""
PLACES = """
SELECT oid::text AS id, pg_tablespace_location(oid) AS place FROM pg_tablespace
WHERE starts_with(pg_tablespace_location(oid), '/') ORDER BY oid
"""


@dataclass(frozen=True)
class _Source:
    """What is to be copied, as it was before: `places` are the tablespaces' folders by their id."""

    manifest: Manifest
    tool: Tool
    database: str
    superuser: str
    system: str
    places: dict[str, str]


async def copied(url: str, partial: Path, tell: Tell, replication_url: str = "") -> Manifest:
    """Copy the cluster that this database is in; return the manifest, still without its files.

    `replication_url` is where to copy it from if the role or the way of `url` may not. Raises
    BackupError, one line.
    """
    tell("Counting what is in it")
    source = await _look(url)
    cluster = partial / CLUSTER
    await _copy(source, replication_url or url, partial, tell)
    if system_identifier(cluster) != source.system:
        raise BackupError("LIVEWALL_REPLICATION_URL leads to another PostgreSQL than DATABASE_URL.")
    _link_within(cluster)
    tell("Verifying what was copied")
    await verify_copy(cluster, source.manifest.postgres_major)
    # After the verification: what committed while the last of it was written can be seen by now.
    tell("Counting what is in it now")
    physical = await _physical(url, source, partial)
    return msgspec.structs.replace(source.manifest, format=FORMAT_OF_COPIES, physical=physical)


async def _look(url: str) -> _Source:
    async with connected(url) as connection:
        major = await server_major(connection)
        tool = find_tool("pg_basebackup", major)
        find_tool("pg_verifybackup", major)  # not only after hours of copying
        await require_livewall(connection)
        [row] = await connection.fetch(SOURCE)
        require_log(row["wal_level"], row["senders"])
        places = {place["id"]: place["place"] for place in await connection.fetch(PLACES)}
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await patiently(connection)
            manifest = await describe(connection, tool)
    return _Source(manifest, tool, row["database"], row["superuser"], row["system"], places)


def require_log(wal_level: str, senders: int) -> None:
    """Raise BackupError for a server whose settings do not let it be copied."""
    if wal_level == "minimal":
        raise BackupError(
            "PostgreSQL keeps too little of a log to be copied while it runs: ALTER SYSTEM SET "
            "wal_level = replica, restart it, and try again; or leave out --physical."
        )
    if senders < SENDERS_NEEDED:
        raise BackupError(
            f"PostgreSQL lets {senders} connections copy it, and {SENDERS_NEEDED} are needed: "
            "ALTER SYSTEM SET max_wal_senders = 10, restart it, and try again; or leave out "
            "--physical."
        )


async def _copy(source: _Source, url: str, partial: Path, tell: Tell) -> None:
    moved = [
        f"--tablespace-mapping={_escaped(place)}={_escaped(str(partial / TABLESPACES / id_))}"
        for id_, place in source.places.items()
    ]
    options = [
        f"--pgdata={partial / CLUSTER}",
        "--wal-method=stream",
        "--checkpoint=fast",
        "--manifest-checksums=SHA256",
        "--label=livewall",
        "--no-password",
        *moved,
    ]
    try:
        await run_on(
            *(url, source.tool, options),
            lambda: tell(f"Copying: {bytes_in(partial) / 1e6:,.1f} MB written"),
        )
    except BackupError as error:
        if NOT_ALLOWED.search(str(error)) is None:
            raise
        raise BackupError(
            f"{error} Copying needs a role with REPLICATION and a line `host replication ROLE "
            "ADDRESS scram-sha-256` in pg_hba.conf: name it in LIVEWALL_REPLICATION_URL."
        ) from error


def _escaped(path: str) -> str:
    return path.replace("=", "\\=")


def _link_within(cluster: Path) -> None:
    """Lead from the cluster to its tablespaces wherever the backup is moved to."""
    for link in (cluster / "pg_tblspc").iterdir():
        if link.is_symlink():
            link.unlink()
            link.symlink_to(Path("..", "..", TABLESPACES, link.name))


def system_identifier(cluster: Path) -> str:
    """Return the number that tells clusters apart: initdb writes it at the head of this file."""
    head = (cluster / "global" / "pg_control").read_bytes()[:8]
    return str(struct.unpack("=Q", head)[0])


async def verify_copy(cluster: Path, major: int) -> None:
    """Compare a copy with PostgreSQL's own list of its files. Raises BackupError.

    The log in it is read too where the programs are of that very version: others can not.
    """
    tool = find_tool("pg_verifybackup", major)
    reads_log = tool.major == major and (tool.path.parent / "pg_waldump").exists()
    options = ["--quiet", "--exit-on-error", *([] if reads_log else ["--no-parse-wal"])]
    await run_alone(tool, [*options, str(cluster)])


async def _physical(url: str, source: _Source, partial: Path) -> Physical:
    before = source.manifest.contents.head
    async with (
        connected(url) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await patiently(connection)
        return Physical(
            database=source.database,
            superuser=source.superuser,
            system=source.system,
            bytes=bytes_in(partial),
            after=await read_contents(connection),
            seals=[before.hash, *await read_seals(connection, before.number)],
            growing=await read_growing(connection),
            unlisted=_unlisted(partial / CLUSTER),
        )


def _unlisted(cluster: Path) -> dict[str, StoredFile]:
    names = [name for name in (LIST, AUTO_CONF) if (cluster / name).exists()]
    return {name: describe_file(cluster / name) for name in names}
