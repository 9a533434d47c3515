"""Copies of a whole PostgreSQL come back, and whatever is not a whole one is refused in a line."""

import asyncio
import os
import shutil
import signal
import sys
from asyncio import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from livewall import backup, operations, physical_backup
from livewall.backup import Backup
from livewall.comparison import differences
from livewall.physical_restore import CONFIGURATION, PASSWORDS
from livewall.postgres_process import server_account
from livewall.postgres_tools import BackupError
from tests.conftest import BINARIES
from tests.databases import Cluster
from tests.shell import Shell, on
from tests.sql import money
from tests.sql.backups import SETTINGS, as_shipped, history, rewrite, settled_history
from tests.sql.world import World
from tests.waiting import until

OWN = pytest.mark.skipif(BINARIES is not None, reason="the embedded one is of another version")
CHECKPOINTER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
COPYING = "SELECT count(*) FROM pg_stat_progress_basebackup"
WAITING = "SELECT count(*) FROM pg_stat_progress_basebackup WHERE phase LIKE 'waiting for check%'"


@pytest.fixture
def shell(world: World, drills: Path) -> Shell:
    """The command on this test's database, with a data folder that only keeps what was done."""
    return on(world.database, drills / "operator", **SETTINGS)


def _own(folder: Path) -> Shell:
    """The command on the embedded database of a folder."""
    return Shell(LIVEWALL_DATA_DIR=str(folder), **SETTINGS)


def _copied(shell: Shell, folder: Path) -> Backup:
    shell.ok("backup", "--physical", str(folder))
    return backup.find(folder)


@asynccontextmanager
async def _tablespace(world: World, cluster: Cluster, folder: Path) -> AsyncGenerator[None]:
    """A tablespace with a table of this test's database in it."""
    folder.mkdir(mode=0o700)
    account = server_account(cluster.server.pgdata)
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    await cluster.execute(f"CREATE TABLESPACE far LOCATION '{folder}'")
    admin = await world.database.admin()
    try:
        await admin.execute("CREATE TABLE public.far TABLESPACE far AS SELECT 42 AS answer")
        await admin.execute("ALTER TABLE public.far OWNER TO livewall_owner")
        yield
    finally:
        await admin.execute("DROP TABLE public.far")
        await cluster.execute("DROP TABLESPACE far")


@pytest.mark.spec("D8")
async def test_a_copy_is_proven_while_money_moves(
    world: World, cluster: Cluster, shell: Shell, drills: Path
) -> None:
    await history(world)
    folder = drills / "kept"
    async with _tablespace(world, cluster, drills / "far=away"):
        command = (sys.executable, "-m", "livewall", "backup", "--physical", str(folder))
        process = await asyncio.create_subprocess_exec(*command, env=shell.environment)
        given = 0
        while process.returncode is None:
            given += 1
            late = await world.person(f"late_{given}")
            await money.give_coins(world, late, 70)
            await money.fold(world)
        assert await process.wait() == 0
        made = backup.find(folder)
        shutil.move(folder, drills / "moved")
    assert {path.name for path in (drills / "moved").iterdir()} == {
        *("cluster", "manifest.json", "tablespaces")
    }
    physical = made.manifest.physical
    assert physical is not None
    assert len(physical.seals) > 1
    assert physical.seals[-1] == physical.after.head.hash
    proof = shell.read("restore", "--drill", str(drills / "moved"))
    assert (proof["differences"], proof["head"] in physical.seals) == ([], True)
    assert proof["rows"] > sum(made.manifest.contents.rows.values())
    done = operations.read(drills / "operator", "drill")
    assert done is not None
    assert done.is_ok
    assert list(drills.glob("livewall-drill-*")) == []


@pytest.mark.spec("D8")
async def test_what_lies_not_between_is_seen(world: World, shell: Shell, drills: Path) -> None:
    await settled_history(world)
    made = _copied(shell, drills / "kept").manifest
    before, physical = made.contents, made.physical
    assert physical is not None
    assert "public.gifts" in physical.growing
    assert differences(made, before) == differences(made, physical.after) == []
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"rows": before.rows | {"public.gifts": 3}}, "rows of public.gifts: 2 to 2 while"),
        ({"rows": {}}, "table public.gifts is missing"),
        ({"balances": {}}, "balance of coins wallet: "),
        ({"each_balance": "another"}, "balances: somebody's is another"),
    ]
    for number in (0, before.head.number, before.head.number + 1):
        head = msgspec.structs.replace(before.head, number=number, hash="0" * 64)
        wrong.append(({"head": head}, f"head: {'0' * 64} restored is none of the 1 that"))
    for damage, words in wrong:
        found = msgspec.structs.replace(before, **damage)
        assert any(line.startswith(words) for line in differences(made, found)), words
    # Money that moved meanwhile is proven by the entries, and no longer by what was there before.
    later = msgspec.structs.replace(physical.after, rows=before.rows | {"public.gifts": 3})
    moved = msgspec.structs.replace(made, physical=msgspec.structs.replace(physical, after=later))
    assert differences(moved, msgspec.structs.replace(before, each_balance="another")) == []


@pytest.mark.spec("D8")
async def test_damaged_and_foreign_copies(world: World, shell: Shell, drills: Path) -> None:
    await settled_history(world)
    made = _copied(shell, drills / "kept")
    cluster, drill = made.folder / "cluster", ("restore", "--drill", str(made.folder))
    assert made.folder.stat().st_mode & 0o777 == 0o700
    for option in ("--into", "DATABASE_URL"):
        into = ("--into", world.database.admin_url) if option == "--into" else ()
        assert f"leave {option} out" in shell.refused("restore", str(made.folder), *into)
    manifest = (made.folder / backup.MANIFEST).read_bytes()
    rewrite(made, postgres_major=99)
    assert "apt-get install postgresql-99" in shell.refused(*drill)
    (made.folder / backup.MANIFEST).write_bytes(manifest)
    rewrite(made, migrations={"9999": "of_tomorrow"})
    assert "newer than this one" in shell.refused(*drill)
    (made.folder / backup.MANIFEST).write_bytes(manifest)
    damages = {
        "global/pg_control": "pg_verifybackup failed: ",
        "postgresql.auto.conf": "postgresql.auto.conf is not what was backed up",
        "backup_manifest": "backup_manifest is not what was backed up",
    }
    for name, words in damages.items():
        whole = (cluster / name).read_bytes()
        (cluster / name).write_bytes(whole[:-1] + b"?")
        assert words in shell.refused(*drill)
        (cluster / name).write_bytes(whole)
    (cluster / "planted").touch()
    assert "pg_verifybackup failed" in shell.refused(*drill)
    (cluster / "planted").unlink()
    shell.ok(*drill)
    if BINARIES is not None:
        refused = _own(drills / "new").refused("restore", str(made.folder))
        assert "is a copy of PostgreSQL 15 and the embedded one is 18" in refused


@OWN
@pytest.mark.spec("D8")
async def test_a_copy_becomes_the_embedded_database(
    world: World, cluster: Cluster, shell: Shell, drills: Path
) -> None:
    await settled_history(world)
    head = await money.head(world)
    async with _tablespace(world, cluster, drills / "far"):
        made = _copied(shell, drills / "kept")
    # What a copy of a standby brings along, which would never let anybody write.
    (made.folder / "cluster" / "standby.signal").touch()
    own = _own(drills / "new")
    # One that is killed leaves nothing in place, and the next one begins anew.
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "livewall", "restore", str(made.folder)), env=own.environment
    )
    started = drills / "new" / "restoring" / "postgres.json"
    await until(lambda: asyncio.to_thread(started.exists), 60, "its server starts")
    killed.kill()
    await killed.wait()
    assert not (drills / "new" / "postgres").exists()
    proof = own.read("restore", str(made.folder), "--head", head)
    assert (proof["head"], proof["differences"]) == (head, [])
    assert not (drills / "new" / "restoring").exists()
    for name in CONFIGURATION:
        kept = (made.folder / "cluster" / name).read_text()
        assert (drills / "new" / "postgres" / name).read_text() == kept != ""
    own.ok("db", "migrate")
    assert own.ok("ledger", "head").strip() == head
    refused = own.refused("restore", str(made.folder))
    assert "There is a database in" in refused
    assert "never replaces anything" in refused
    # It can be copied again, with what lay in a tablespace.
    again = _copied(own, drills / "again")
    assert (again.folder / "tablespaces").is_dir()
    assert again.manifest.contents.rows["public.far"] == 1
    own.ok("restore", "--drill", str(again.folder))


@OWN
@pytest.mark.spec("D8")
async def test_a_copy_of_another_postgresql_becomes_the_embedded_one(
    world: World, cluster: Cluster, shell: Shell, drills: Path
) -> None:
    other = f"other_{world.database.name}"
    await as_shipped(world)
    await cluster.execute(f"CREATE ROLE {other} SUPERUSER LOGIN")
    try:
        made = _copied(shell, drills / "kept")
    finally:
        await cluster.execute(f"DROP ROLE {other}")
    # As of a PostgreSQL that somebody else made, and whose settings lie elsewhere.
    rewrite(made, physical=msgspec.to_builtins(made.manifest.physical) | {"superuser": other})
    own = _own(drills / "new")
    own.ok("restore", str(made.folder))
    assert (drills / "new" / "postgres" / "pg_hba.conf").read_text() == PASSWORDS
    own.ok("db", "migrate")


@pytest.mark.spec("D8")
async def test_what_was_interrupted_is_no_backup(world: World, shell: Shell, drills: Path) -> None:
    admin = await world.database.admin()
    checkpointer = await admin.fetchval(CHECKPOINTER)
    folder = drills / "kept"

    async def waits() -> bool:
        return await admin.fetchval(WAITING) == 1

    async def nobody_copies() -> bool:
        return await admin.fetchval(COPYING) == 0

    for sign in (signal.SIGTERM, signal.SIGKILL):
        # PostgreSQL begins a copy with a checkpoint.
        os.kill(checkpointer, signal.SIGSTOP)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "livewall", "backup", "--physical", str(folder)),
                env=shell.environment,
                stderr=subprocess.DEVNULL,
            )
            await until(waits, 60, "it waits for a checkpoint")
            process.send_signal(sign)
            await process.wait()
        finally:
            os.kill(checkpointer, signal.SIGCONT)
        await until(nobody_copies, 60, "PostgreSQL is left alone")
        left = [path for path in drills.iterdir() if path.name.endswith(".partial")]
        assert len(left) == (sign == signal.SIGKILL)
        assert not folder.exists()
    assert "is no backup" in shell.refused("restore", "--drill", str(left[0]))
    _copied(shell, folder)
    assert not left[0].exists()


@pytest.mark.spec("D8")
async def test_who_may_copy(
    world: World, cluster: Cluster, shell: Shell, drills: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = world.database.name
    await cluster.execute(f"CREATE ROLE operator_{name} LOGIN PASSWORD 'p'")
    await cluster.execute(f"CREATE ROLE copier_{name} LOGIN REPLICATION PASSWORD 'p'")
    try:
        await cluster.execute(f"GRANT livewall_owner TO operator_{name}")
        operator = {"DATABASE_URL": cluster.server.url(name, f"operator_{name}", "p")}
        copy = ("backup", "--physical", str(drills / "kept"))
        assert "name it in LIVEWALL_REPLICATION_URL" in shell.refused(*copy, **operator)
        copier = cluster.server.url("postgres", f"copier_{name}", "p")
        both = {**operator, "LIVEWALL_REPLICATION_URL": copier}
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(physical_backup, "system_identifier", str)
            assert "to another PostgreSQL" in shell.refused(*copy, **both)
        assert [path.name for path in drills.iterdir()] == ["operator"]
        shell.ok(*copy, **both)
    finally:
        await cluster.execute(f"REVOKE livewall_owner FROM operator_{name}")
        await cluster.execute(f"DROP ROLE operator_{name}, copier_{name}")


@pytest.mark.spec("D8")
def test_a_server_that_can_not_be_copied_is_told_what_to_set() -> None:
    with pytest.raises(BackupError, match="ALTER SYSTEM SET wal_level = replica"):
        physical_backup.require_log("minimal", 10)
    with pytest.raises(BackupError, match="ALTER SYSTEM SET max_wal_senders = 10"):
        physical_backup.require_log("replica", 1)
