"""`livewall backup` and `restore` as people type them: whatever goes wrong is one clear line."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec
import psutil
import pytest

from livewall import (
    backup,
    kept_files,
    operations,
    physical_backup,
    postgres_tools,
    restore,
)
from livewall.backup import Backup
from livewall.postgres_tools import BackupError
from tests.databases import Database
from tests.shell import Shell, on

SETTINGS = {"LIVEWALL_SECRET": "a secret of at least thirty-two bytes", "LIVEWALL_PAYMENTS": "none"}
LOCKED = "LOCK TABLE public.gifts IN ACCESS EXCLUSIVE MODE"


@pytest.fixture
def shell(database: Database, tmp_path: Path) -> Shell:
    """The command on this test's database, with a data folder that only keeps what was done."""
    return on(database, tmp_path / "data", **SETTINGS)


async def _until(is_so: Callable[[], Awaitable[int]]) -> None:
    deadline = time.monotonic() + 30
    while not await is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _stuck(
    database: Database, shell: Shell, folder: Path
) -> AsyncGenerator[subprocess.Popen[str]]:
    """A backup in a process of its own, whose pg_dump waits for a table."""
    admin = await database.admin()
    # Within a transaction the list of backends stands still, so another one looks.
    watching = await database.admin()

    async def dumps() -> int:
        return await watching.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump'"
            " AND wait_event_type = 'Lock' AND datname = current_database()"
        )

    async with admin.transaction():
        await admin.execute(LOCKED)
        process = subprocess.Popen(  # noqa: ASYNC220 - what it does is looked at from outside
            [sys.executable, "-m", "livewall", "backup", str(folder)],
            env=shell.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            await _until(dumps)
            yield process
        finally:
            process.kill()
            process.communicate(timeout=30)


def _rewrite(made: Backup, **changes: object) -> None:
    said = msgspec.json.decode((made.folder / backup.MANIFEST).read_bytes())
    (made.folder / backup.MANIFEST).write_bytes(msgspec.json.encode(said | changes))


@pytest.mark.spec("D8")
async def test_what_was_interrupted_is_no_backup(
    database: Database, shell: Shell, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    async with _stuck(database, shell, folder) as process:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert [p.name for p in tmp_path.iterdir() if p.name != "data"] == []
    async with _stuck(database, shell, folder) as process:
        process.kill()
        process.communicate(timeout=30)
        [left] = tmp_path.glob(".*")
        assert "is no backup" in shell.refused("restore", str(left))
    assert not folder.exists()
    shell.ok("backup", str(folder))
    assert not left.exists()
    assert backup.dated_backups(tmp_path) == []
    assert backup.find(folder).folder == folder


def test_what_is_not_in_it_is_said(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "all"
    first = shell.ok("backup", str(folder), "--keep", "1").strip()
    # Backups are named by the second, and this one is to be the older.
    Path(first).rename(folder / "livewall-20260101-000000")
    said = shell.run("backup", str(folder), "--keep", "1")
    assert said.returncode == 0, said.stderr
    assert "Not in it: settings, and the secret that signs tokens (LIVEWALL_SECRET)" in said.stderr
    assert "Removed 1 older" in said.stderr
    assert [str(path) for path in backup.dated_backups(folder)] == said.stdout.split()


@pytest.mark.parametrize(
    ("options", "words"),
    [("", "pg_dump failed: File size limit"), ("--physical", "pg_basebackup failed: ")],
)
def test_a_full_disk(shell: Shell, tmp_path: Path, options: str, words: str) -> None:
    command = f"ulimit -f 200; exec {sys.executable} -m livewall backup {tmp_path}/kept {options}"
    full = subprocess.run(
        ["/bin/bash", "-c", command],
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (full.returncode, full.stdout) == (1, "")
    assert full.stderr.startswith(f"livewall: {words}")
    assert full.stderr.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir() if p.name != "data"] == []
    last = operations.read(tmp_path / "data", "backup")
    assert last is not None
    assert (last.is_ok, last.succeeded_at) == (False, None)
    assert words in last.wrong
    assert "can not be written" in shell.refused("backup", "/proc/nowhere/kept")


async def test_a_program_that_is_killed_takes_along_what_it_started(tmp_path: Path) -> None:
    # As pg_basebackup, whose child keeps our pipe open.
    script = tmp_path / "killed"
    script.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/child\nkill -KILL $$\n")
    script.chmod(0o755)
    tool = postgres_tools.Tool(script, 18)
    with pytest.raises(BackupError, match="killed failed: Killed"):
        await asyncio.wait_for(postgres_tools.run_alone(tool, []), 30)
    child = int((tmp_path / "child").read_text())

    async def gone() -> int:
        return not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"

    await _until(gone)


@pytest.mark.spec("D8")
async def test_damaged_and_foreign_ones(
    empty_database: Database, shell: Shell, tmp_path: Path
) -> None:
    empty = empty_database.admin_url
    shell.ok("backup", str(tmp_path / "kept"))
    made = backup.find(tmp_path / "kept")
    into = ("restore", str(made.folder), "--into", empty)
    assert "is a backup already" in shell.refused("backup", str(made.folder))
    assert "is a file" in shell.refused("backup", str(made.dump))
    assert "is no backup" in shell.refused("restore", str(tmp_path / "data"))
    assert "is not empty" in shell.refused("restore", str(made.folder))
    assert "leave out --into" in shell.refused(*into, "--drill")
    assert "no Livewall in this database" in shell.refused(
        "backup", str(tmp_path / "of-nothing"), DATABASE_URL=empty
    )
    manifest = (made.folder / backup.MANIFEST).read_bytes()
    _rewrite(made, migrations={"9999": "of_tomorrow"})
    assert "newer than this one" in shell.refused(*into)
    _rewrite(made, migrations={"1": "foundation"}, postgres_major=99)
    assert "restore it into 99 or newer" in shell.refused(*into)
    _rewrite(made, format=2)
    assert "damaged: format 2" in shell.refused(*into)
    _rewrite(made, format=3, contents="in another way")
    assert "restore with that" in shell.refused(*into)
    (made.folder / backup.MANIFEST).write_bytes(manifest[:-9])
    assert "manifest.json is damaged" in shell.refused(*into)
    (made.folder / backup.MANIFEST).write_bytes(manifest)
    with made.dump.open("r+b") as dump:
        dump.seek(-1, os.SEEK_END)
        dump.write(b"?")
    assert "is not what was backed up" in shell.refused(*into)
    # With a checksum that fits it is PostgreSQL's own program that refuses; nothing was done.
    made.dump.write_bytes(made.dump.read_bytes()[:-50_000])
    _rewrite(made, files={made.dump.name: msgspec.to_builtins(kept_files.describe_file(made.dump))})
    assert "pg_restore failed" in shell.refused(*into)
    made.dump.unlink()
    assert "can not be read" in shell.refused(*into)
    admin = await asyncpg.connect(empty)
    assert not await admin.fetchval(restore.IN_USE)
    await admin.close()


async def test_programs_that_are_too_old(
    database: Database, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n")
    old.chmod(0o755)
    major = (await database.admin()).get_server_version().major
    for places, words in (([old], "only 9 is"), ([], "none is"), ([tmp_path / "no"], "none is")):

        def only_these(_name: str, found: list[Path] = places) -> Iterator[Path]:
            return iter(found)

        monkeypatch.setattr(postgres_tools, "places", only_these)
        said = shell.refused("backup", str(tmp_path / "kept"))
        assert f"pg_dump {major} or newer is needed and {words} here" in said
        assert f"postgresql-client-{major}" in said


def test_the_oldest_make_room(tmp_path: Path) -> None:
    for name in ("livewall-20260101-000000", "livewall-20260102-000000", "livewall-mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / backup.MANIFEST).write_text("{}")
    (tmp_path / "livewall-20260103-000000").mkdir()
    removed = backup.remove_older(tmp_path, 1)
    assert [path.name for path in removed] == ["livewall-20260101-000000"]
    left = sorted(path.name for path in tmp_path.iterdir())
    # Somebody gave one a name, and a third is not complete.
    assert left == ["livewall-20260102-000000", "livewall-20260103-000000", "livewall-mine"]


def test_the_newest_is_the_one_taken_last(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "all"
    shell.ok("backup", str(folder), "--keep", "1")
    shell.ok("backup", str(folder / "by-name"))
    assert backup.find(folder).folder.name == "by-name"
    # Of one that is damaged nobody knows more than when it was written: last, so it is not hidden.
    (folder / "damaged").mkdir()
    (folder / "damaged" / backup.MANIFEST).write_text("{")
    assert "damaged/manifest.json is damaged" in shell.refused("restore", "--drill", str(folder))
    # Nor does what is no backup, or can not be looked into, stand in the way.
    (folder / "damaged" / backup.MANIFEST).unlink()
    (folder / "loop").symlink_to("loop")
    (folder / ".by-name.1.partial").mkdir()
    (folder / ".by-name.1.partial" / backup.MANIFEST).write_text("{")
    assert backup.find(folder).folder.name == "by-name"


def test_a_place_that_can_not_be_looked_at_is_one_line(shell: Shell, tmp_path: Path) -> None:
    # As root no folder is closed; a name that is too long is refused to everybody in the same way.
    place = str(tmp_path / ("x" * 300))
    for command in (("backup",), ("restore",), ("restore", "--drill")):
        assert "can not be looked at: File name too long" in shell.refused(*command, place)


def test_room_is_told_so_that_the_numbers_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    little = shutil.disk_usage(tmp_path)._replace(free=10**6)

    def usage(_folder: Path) -> object:
        return little

    monkeypatch.setattr(shutil, "disk_usage", usage)
    for needed, words in ((16_300_000, "16.3 MB"), (2 * 10**12, "2,000.0 GB")):
        with pytest.raises(BackupError, match=f"has 1.0 MB free and {words} are needed"):
            restore.require_room(tmp_path, needed, "set TMPDIR")


def test_the_one_just_made_stays_and_so_does_what_a_link_leads_to(
    shell: Shell, tmp_path: Path
) -> None:
    folder, precious = tmp_path / "all", tmp_path / "precious"
    for place in (*(folder / f"livewall-2099010{n}-000000" for n in (1, 2)), precious):
        place.mkdir(parents=True)
        (place / backup.MANIFEST).write_text("{}")
    (folder / "livewall-20000101-000000").symlink_to(precious)
    made = Path(shell.ok("backup", str(folder), "--keep", "2").strip())
    assert backup.find(made).folder == made
    assert (precious / backup.MANIFEST).exists()
    assert made.joinpath("database.dump").stat().st_mode & 0o777 == 0o600


def test_what_is_no_file_is_refused_at_once(shell: Shell, tmp_path: Path) -> None:
    shell.ok("backup", str(tmp_path / "kept"))
    made = backup.find(tmp_path / "kept")
    drill = ("restore", "--drill", str(made.folder))
    made.dump.unlink()
    os.mkfifo(made.dump)
    assert "database.dump can not be read: it is no ordinary file" in shell.refused(*drill)
    (made.folder / backup.MANIFEST).unlink()
    (made.folder / backup.MANIFEST).symlink_to("/dev/zero")
    assert "manifest.json can not be read: it is no ordinary file" in shell.refused(*drill)


def test_a_backup_writes_nothing_into_a_terminal(shell: Shell, tmp_path: Path) -> None:
    shell.ok("backup", str(tmp_path / "kept"))
    made = backup.find(tmp_path / "kept")
    evil, seen = "\x1b[2J\nProven in 1 s", "\\x1b[2J\\nProven in 1 s"
    contents = msgspec.to_builtins(made.manifest.contents)
    _rewrite(made, contents=contents | {"balances": {evil: 1}})
    found = shell.run("restore", "--drill", str(made.folder))
    assert (found.returncode, evil in found.stdout, seen in found.stdout) == (1, False, True)
    _rewrite(made, livewall=evil, format=3)
    assert seen in shell.refused("restore", "--drill", str(made.folder))


async def test_a_held_table_is_not_waited_for_without_end(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "LOCK_WAIT", 1)
    admin = await database.admin()
    for make in (backup.dumped, physical_backup.copied):
        async with admin.transaction():
            await admin.execute(LOCKED)
            with pytest.raises(BackupError, match="Somebody holds a table for over 1 seconds"):
                await backup.take(database.admin_url, tmp_path / "kept", None, print, make)


def test_an_operation_is_not_noted_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "operations").symlink_to(tmp_path / "others")
    # Whoever owns the data folder may have put the link there.
    os.chown(tmp_path / "data", *((65534, 65534) if os.geteuid() == 0 else (-1, -1)))
    assert not operations.note(tmp_path / "data", "backup")
    assert list((tmp_path / "others").iterdir()) == []
    assert (tmp_path / "others").stat().st_uid == os.geteuid()
    (tmp_path / "data" / "operations").unlink()
    assert operations.note(tmp_path / "data", "backup")
    noted = tmp_path / "data" / "operations" / "backup.json"
    for made in (noted, noted.parent):
        assert made.stat().st_uid == (tmp_path / "data").stat().st_uid


@pytest.mark.abuse("T9")
def test_a_password_is_no_argument() -> None:
    for url in (
        "postgresql://me:p%40ss@db.example:5433/live?sslmode=require",
        "postgresql://me@db.example:5433/live?sslmode=require&password=p%40ss",
    ):
        address, secret = postgres_tools.without_password(url)
        assert secret == "p@ss"
        assert address == "postgresql://me@db.example:5433/live?sslmode=require"
