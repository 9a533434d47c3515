"""Restoring a copy of a whole cluster: PostgreSQL of its version is started on a copy of the copy.

It starts with a configuration of ours, whatever the copied one says: that may archive its log to
where the real one's is, load what is not here, or open doors. Only we can connect, by a socket. It
recovers from the log it brought, and then the same proof is made as of a dump.
"""

import asyncio
import os
import pwd
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg

from livewall import embedded, postgres_folder
from livewall.administrator import connected, first_line
from livewall.backup import Backup, Physical, Tell
from livewall.code_catalog import Connection
from livewall.kept_files import check_file, sync
from livewall.physical_backup import AUTO_CONF, CLUSTER, LIST, TABLESPACES, verify_copy
from livewall.postgres_folder import ADMIN, DATABASE, Place
from livewall.postgres_tools import TELL_SECONDS, BackupError, find_server
from livewall.restore import (
    THROWAWAY,
    Proof,
    check_files,
    check_known,
    drill_folder,
    prove,
    require_room,
)
from livewall.sql_files import read_folder

# The copy, and what is written while it recovers.
ROOM = 1.2
# A copy must not receive what the server that it is of subscribed to: it would be lost there.
ALONE = {"max_logical_replication_workers": "0"}
# From this version on a trigger can run when somebody logs in, before anything can be looked at.
LOGIN_TRIGGERS_SINCE = 17
CONFIGURATION = ("postgresql.conf", AUTO_CONF, "pg_hba.conf", "pg_ident.conf")
# A copy of a standby must not go on being one, nor must a copy believe that a server runs on it.
LEFT_OUT = {
    *CONFIGURATION,
    *("standby.signal", "recovery.signal", "postmaster.pid", "postmaster.opts", LIST),
}
# As initdb writes it for the embedded one: nobody gets in without a password.
PASSWORDS = """\
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
local replication all scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
host replication all ::1/128 scram-sha-256
"""
# What a database of a copied cluster is called whose name the restored one needs.
MADE_WAY = f"{DATABASE}_before_restore"
ONLY_US = "local all all peer map=livewall\n"


def drill(backup: Backup, head: str | None, patience: float, tell: Tell) -> Proof:
    """Start a PostgreSQL on a copy, prove it, and remove both; nothing in use is touched.

    `patience` is for its recovery, in seconds. Raises BackupError or EmbeddedError, one line.
    """
    started = time.monotonic()
    physical = _physical(backup)
    programs = find_server(backup.manifest.postgres_major)
    tell("Verifying the files")
    check(backup)
    launch = embedded.Launch(
        bin_dir=programs, parameters=THROWAWAY | _alone(backup), timeout=patience
    )
    with drill_folder(int(physical.bytes * ROOM)) as data:
        postgres_folder.prepare_folder(data)
        place = postgres_folder.find_place(data, programs)
        _lay_out(backup, place, tell)
        tell("Recovering")
        with embedded.running(data, launch, tell) as server:
            tell("Proving")
            return asyncio.run(_prove(backup, server, head, started))


def restore(backup: Backup, data_dir: Path, head: str | None, patience: float, tell: Tell) -> Proof:
    """Make a copy the embedded database of a data folder that has none, and prove it.

    It gets its place once it has recovered and was looked at, so what is interrupted or refused
    leaves the folder without a database. Raises BackupError or EmbeddedError, one line.
    """
    started = time.monotonic()
    physical = _physical(backup)
    postgres_folder.prepare_folder(data_dir)
    # Whoever wants to use the folder meanwhile waits, and finds what was restored.
    with embedded.exclusive(data_dir):
        final = postgres_folder.find_place(data_dir, None)
        _require_none(final)
        _require_same_version(final, backup)
        tell("Verifying the files")
        check(backup)
        with _staged(final) as place:
            require_room(
                place.pgdata.parent, int(physical.bytes * ROOM), "set LIVEWALL_DATA_DIR to another"
            )
            _lay_out(backup, place, tell)
            tell("Recovering")
            launch = embedded.Launch(parameters=_alone(backup), timeout=patience)
            with embedded.running(place.data_dir, launch, tell) as server:
                tell("Proving")
                proof = asyncio.run(_prove(backup, server, head, started))
                password = postgres_folder.admin_password(data_dir)
                asyncio.run(_take_over(server, physical, password))
            with _written(final.pgdata):
                _link_tablespaces(place.pgdata, final.pgdata)
                _configure(place, _lasting(backup, physical))
                place.pgdata.rename(final.pgdata)
                sync(final.pgdata.parent)
    return proof


def check(backup: Backup) -> None:
    """Compare every file with what was copied. Raises BackupError."""
    check_files(backup)
    check_known(backup.manifest, read_folder())
    for name, said in _physical(backup).unlisted.items():
        check_file(backup.folder / CLUSTER / Path(name).name, said)
    asyncio.run(verify_copy(backup.folder / CLUSTER, backup.manifest.postgres_major))


def _alone(backup: Backup) -> dict[str, str]:
    """Return the parameters by which a copy does nothing of its own accord."""
    has_triggers = backup.manifest.postgres_major >= LOGIN_TRIGGERS_SINCE
    return ALONE | ({"event_triggers": "off"} if has_triggers else {})


def _physical(backup: Backup) -> Physical:
    assert backup.manifest.physical is not None  # noqa: S101 - the caller looked
    return backup.manifest.physical


def _require_none(place: Place) -> None:
    """Raise BackupError if there is a database, whether it runs or not."""
    if not place.pgdata.exists() or not any(place.pgdata.iterdir()):
        return
    running = embedded.find(place.data_dir) is not None
    raise BackupError(
        f"There is a database in {place.pgdata}{', and it runs' if running else ''}; a restore "
        "never replaces anything: set LIVEWALL_DATA_DIR to an empty folder, or move that one away."
    )


def _require_same_version(place: Place, backup: Backup) -> None:
    here, there = postgres_folder.major(place.bin_dir), backup.manifest.postgres_major
    if here != there:
        raise BackupError(
            f"The backup is a copy of PostgreSQL {there} and the embedded one is {here}: put its "
            f"{CLUSTER} in place of the data of a PostgreSQL {there}, or restore a backup that "
            "was made without --physical."
        )


@contextmanager
def _staged(final: Place) -> Generator[Place]:
    """Yield a place beside the final one; what is still there at the end is removed."""
    staging = final.data_dir / "restoring"
    pgdata = final.pgdata.with_name(f"{final.pgdata.name}.partial")
    _remove(staging)  # of a restore that was killed, with its server
    shutil.rmtree(pgdata, ignore_errors=True)
    try:
        postgres_folder.prepare_folder(staging)
        (staging / "postgres.path").write_text(f"{pgdata}\n")
        yield replace(final, data_dir=staging, pgdata=pgdata)
    finally:
        _remove(staging)


def _remove(staging: Path) -> None:
    embedded.destroy(staging)
    shutil.rmtree(staging, ignore_errors=True)


def _lay_out(backup: Backup, place: Place, tell: Tell) -> None:
    """Put a copy to where its server looks for it, owned by that server's account."""
    physical, target = _physical(backup), place.pgdata
    told = _telling(physical.bytes, tell)
    with _written(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy_folder(backup.folder / CLUSTER, target, told)
        # Within the cluster, so that nobody has to look after a second folder.
        if (backup.folder / TABLESPACES).exists():
            _copy_folder(backup.folder / TABLESPACES, target / TABLESPACES, told)
        _link_tablespaces(target, target)
        _configure(place, _private(physical.superuser))


@contextmanager
def _written(folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(f"{folder} can not be written: {error.strerror}.") from error


def _copy_folder(source: Path, target: Path, told: Callable[[int], None]) -> None:
    """Copy files and folders, but no links, so that only their owner can read them."""
    for inner, _, names in os.walk(source):
        here = target / Path(inner).relative_to(source)
        here.mkdir(mode=0o700, exist_ok=True)
        for name in names:
            if Path(inner) == source and name in LEFT_OUT:
                continue
            copied = shutil.copyfile(Path(inner, name), here / name)
            copied.chmod(0o600)
            told(copied.stat().st_size)


def _telling(total: int, tell: Tell) -> Callable[[int], None]:
    """Return what adds up what was copied, and tells now and then how far it is."""
    copied, next_word = 0, time.monotonic()

    def told(size: int) -> None:
        nonlocal copied, next_word
        copied += size
        if time.monotonic() >= next_word:
            next_word = time.monotonic() + TELL_SECONDS
            tell(f"Copying: {copied / 1e6:,.1f} of {total / 1e6:,.1f} MB")

    return told


def _link_tablespaces(pgdata: Path, will_be: Path) -> None:
    """Lead from a cluster to the tablespaces in it, by the path that it will have.

    PostgreSQL wants whole paths there: by those it sees that they lie within.
    """
    links = pgdata / "pg_tblspc"
    for space in (pgdata / TABLESPACES).glob("*"):
        link = links / space.name
        link.unlink(missing_ok=True)
        link.symlink_to(will_be / TABLESPACES / space.name)


def _private(superuser: str) -> dict[str, str]:
    """Return a configuration by which the one who runs this can connect, and nobody else."""
    me = pwd.getpwuid(os.geteuid()).pw_name
    return {"pg_hba.conf": ONLY_US, "pg_ident.conf": f'livewall "{me}" "{superuser}"\n'}


def _lasting(backup: Backup, physical: Physical) -> dict[str, str]:
    """Return the copied configuration; one of ours if the copied one is for another place.

    What an embedded one was told by ALTER SYSTEM came along; what the configuration of another
    PostgreSQL names is not there. It can still be read in the backup.
    """
    if physical.superuser != ADMIN:
        return {"pg_hba.conf": PASSWORDS}
    files = [backup.folder / CLUSTER / name for name in CONFIGURATION]
    return {file.name: file.read_text() for file in files if file.exists()}


def _configure(place: Place, texts: dict[str, str]) -> None:
    """Write these files of a configuration, and the others empty; hand all to the account."""
    for name in CONFIGURATION:
        (place.pgdata / name).write_text(texts.get(name, ""))
        (place.pgdata / name).chmod(0o600)
    if place.account is not None:
        owner = (place.account.uid, place.account.gid)
        for inner, folders, names in os.walk(place.pgdata):
            for name in (".", *folders, *names):
                os.chown(Path(inner, name), *owner, follow_symlinks=False)


async def _prove(
    backup: Backup, server: embedded.Server, head: str | None, started: float
) -> Proof:
    physical = _physical(backup)
    return await prove(backup.manifest, _url(server, physical), head, started)


def _url(server: embedded.Server, physical: Physical, database: str = "") -> str:
    return server.url(database or physical.database, physical.superuser)


async def _take_over(server: embedded.Server, physical: Physical, password: str) -> None:
    """Give a restored cluster the names and the password by which the embedded one is used."""
    try:
        async with connected(_url(server, physical, "template1")) as connection:
            if not await connection.fetchval("SELECT to_regrole($1) IS NOT NULL", ADMIN):
                await connection.execute(f"CREATE ROLE {ADMIN}")
            quoted = await connection.fetchval("SELECT quote_literal($1)", password)
            await connection.execute(
                f"ALTER ROLE {ADMIN} SUPERUSER LOGIN PASSWORD {quoted} VALID UNTIL 'infinity'"
            )
            if physical.database != DATABASE:
                await _rename(connection, physical.database)
    except asyncpg.PostgresError as error:
        raise BackupError(f"What was restored can not be used: {first_line(error)}.") from error


async def _rename(connection: Connection, database: str) -> None:
    """Call a database as the embedded one is called; another of this name makes way."""
    taken = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
    if await connection.fetchval(taken, DATABASE):
        await connection.execute(f"ALTER DATABASE {DATABASE} RENAME TO {MADE_WAY}")
    quoted = await connection.fetchval("SELECT quote_ident($1)", database)
    await connection.execute(f"ALTER DATABASE {quoted} RENAME TO {DATABASE}")
