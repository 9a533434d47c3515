"""The embedded PostgreSQL through every way a machine ends it."""

import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import asyncpg
import psutil
import pytest

from livewall import embedded
from livewall.embedded import Launch
from livewall.postgres_process import EmbeddedError, server_pid
from tests.conftest import BINARIES
from tests.databases import FAST, data_folder

LAUNCH = Launch(bin_dir=BINARIES, parameters=FAST, timeout=60)

# Another Livewall process: says so when its database runs, and then waits to be ended.
OTHER_PROCESS = """
import sys, time
from pathlib import Path
from livewall import embedded
launch = embedded.Launch(
    bin_dir=Path(sys.argv[2]) if sys.argv[2] else None, parameters={"fsync": "off"}
)
with embedded.running(Path(sys.argv[1]), launch):
    print("running", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def made() -> Generator[Path]:
    """A data folder with a database in it, made once: making one takes a second."""
    with data_folder() as path:
        with embedded.running(path, LAUNCH):
            pass
        yield path


@pytest.fixture
def folder(made: Path) -> Generator[Path]:
    """A data folder of this test's own with a database in it."""
    with data_folder() as path:
        subprocess.run(["/bin/cp", "-a", str(made), str(path)], check=True)
        yield path


@pytest.fixture
def new_folder() -> Generator[Path]:
    """A data folder that does not exist yet."""
    with data_folder() as path:
        yield path


async def _write(server: embedded.Server) -> None:
    connection = await asyncpg.connect(server.url())
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def _read(server: embedded.Server) -> int:
    connection = await asyncpg.connect(server.url())
    answer = await connection.fetchval("SELECT answer FROM kept")
    await connection.close()
    return answer


def _start_other(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OTHER_PROCESS, str(folder), str(BINARIES or "")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _pid(server: embedded.Server) -> int:
    pid = server_pid(server.pgdata)
    assert pid is not None
    return pid


async def test_data_survive_a_clean_stop(folder: Path) -> None:
    with embedded.running(folder, LAUNCH) as server:
        await _write(server)
    assert embedded.find(folder) is None
    with embedded.running(folder, LAUNCH) as server:
        assert await _read(server) == 42


async def test_a_killed_process_leaves_a_server_that_the_next_one_takes_over(folder: Path) -> None:
    other = _start_other(folder)
    _kill(other)
    left = embedded.find(folder)
    assert left is not None
    pid = _pid(left)
    with embedded.running(folder, LAUNCH) as server:
        assert _pid(server) == pid
        await _write(server)
    assert embedded.find(folder) is None
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_a_killed_postmaster_is_recovered_from(folder: Path) -> None:
    with embedded.running(folder, LAUNCH) as server:
        await _write(server)
        os.kill(_pid(server), signal.SIGKILL)
        # Our dead child is a zombie now, and its children may still hold the shared memory.
        with embedded.running(folder, LAUNCH) as again:
            assert await _read(again) == 42


async def test_both_killed_at_once(folder: Path) -> None:
    other = _start_other(folder)
    server = embedded.find(folder)
    assert server is not None
    await _write(server)
    os.kill(_pid(server), signal.SIGKILL)
    _kill(other)
    with embedded.running(folder, LAUNCH) as again:
        assert await _read(again) == 42


async def test_a_reused_process_id_in_the_lock_file_does_not_block(folder: Path) -> None:
    with embedded.running(folder, LAUNCH) as server:
        await _write(server)
    lock = server.pgdata / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{server.pgdata}\n1\n5432\n{server.socket_dir}\n\n\nready\n")
    assert embedded.find(folder) is None
    with embedded.running(folder, LAUNCH) as again:
        assert await _read(again) == 42


def test_the_last_user_stops_the_server(folder: Path) -> None:
    other = _start_other(folder)
    with embedded.running(folder, LAUNCH):
        pass
    assert embedded.find(folder) is not None, "somebody else still uses it"
    with embedded.running(folder, LAUNCH):
        _kill(other)
    assert embedded.find(folder) is None


def test_started_on_purpose_it_stays_until_stopped(folder: Path) -> None:
    started = embedded.start(folder, LAUNCH)
    with embedded.running(folder, LAUNCH) as server:
        assert _pid(server) == _pid(started)
    assert embedded.find(folder) is not None
    assert embedded.stop(folder)
    assert not embedded.stop(folder)


async def test_a_long_path_gets_a_short_socket(new_folder: Path) -> None:
    long = new_folder / ("deep" * 15) / ("deeper" * 10)
    long.parent.mkdir(parents=True)
    for parent in (new_folder, long.parent):
        parent.chmod(0o711)
    with embedded.running(long, LAUNCH) as server:
        await _write(server)
        assert len(str(server.socket_dir)) < 80
        assert server.socket_dir.stat().st_mode & 0o777 == 0o700
    assert not server.socket_dir.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand a closed folder to another user")
async def test_a_folder_closed_to_others_works_as_root(new_folder: Path) -> None:
    new_folder.mkdir(mode=0o700)
    closed = new_folder / "clone" / ".livewall"
    with embedded.running(closed, LAUNCH) as server:
        await _write(server)
        owner = psutil.Process(_pid(server)).uids().real
        assert owner != 0
        assert pwd.getpwuid(owner).pw_name in {"livewall", "postgres", "nobody"}
    with embedded.running(closed, LAUNCH) as server:
        assert await _read(server) == 42
    embedded.destroy(closed)
    assert not server.pgdata.exists()


async def test_nobody_gets_in_without_the_password(folder: Path) -> None:
    with embedded.running(folder, LAUNCH) as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.url(password="guess"))
        assert server.socket_dir.stat().st_mode & 0o777 == 0o700
        assert (folder / "postgres-password").stat().st_mode & 0o777 == 0o600
        connection = await asyncpg.connect(server.url())
        assert await connection.fetchval("SHOW listen_addresses") == ""
        methods = await connection.fetch("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        assert [row["auth_method"] for row in methods] == ["scram-sha-256"]
        await connection.close()


async def test_tcp_only_when_asked_for(folder: Path, unused_tcp_port: int) -> None:
    launch = Launch(bin_dir=BINARIES, parameters=FAST, port=unused_tcp_port)
    with embedded.running(folder, launch) as server:
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=unused_tcp_port,
            user=embedded.ADMIN,
            password=server.password,
            database=embedded.DATABASE,
        )
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


def test_a_taken_tcp_port_is_one_clear_line(folder: Path, unused_tcp_port: int) -> None:
    launch = Launch(bin_dir=BINARIES, parameters=FAST, port=unused_tcp_port)
    with (
        socket.create_server(("127.0.0.1", unused_tcp_port)),
        pytest.raises(EmbeddedError, match="is in use: set LIVEWALL_DB_PORT") as caught,
    ):
        embedded.start(folder, launch)
    assert "\n" not in str(caught.value)


def test_an_unwritable_data_folder_is_one_clear_line() -> None:
    with pytest.raises(EmbeddedError, match="cannot be written") as caught:
        embedded.start(Path("/proc/livewall"), LAUNCH)
    assert "\n" not in str(caught.value)


def test_data_of_another_version_are_refused(folder: Path) -> None:
    with embedded.running(folder, LAUNCH) as server:
        pass
    (server.pgdata / "PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedError, match="was made by PostgreSQL 12"):
        embedded.start(folder, LAUNCH)


def test_a_server_that_refuses_its_settings_says_why(folder: Path) -> None:
    launch = Launch(bin_dir=BINARIES, parameters={"shared_buffers": "nonsense"})
    with pytest.raises(EmbeddedError, match=r"does not start: .*shared_buffers"):
        embedded.start(folder, launch)


def test_an_interrupted_creation_is_begun_again(new_folder: Path) -> None:
    embedded.prepare_folder(new_folder)
    (new_folder / "postgres.partial").mkdir()
    (new_folder / "postgres.partial" / "half").touch()
    with embedded.running(new_folder, LAUNCH) as server:
        assert not (server.pgdata / "half").exists()


async def test_recovery_is_waited_for_with_a_word(folder: Path) -> None:
    with embedded.running(folder, LAUNCH) as server:
        await _write(server)
        pid = _pid(server)
        os.kill(pid, signal.SIGSTOP)
        lines = server.pgdata.joinpath("postmaster.pid").read_text().splitlines()
        server.pgdata.joinpath("postmaster.pid").write_text("\n".join([*lines[:7], "starting"]))
        begin = time.monotonic()
        with pytest.raises(EmbeddedError, match="is not ready"):
            embedded.start(folder, Launch(bin_dir=BINARIES, timeout=0.3))
        assert time.monotonic() - begin < 5
        os.kill(pid, signal.SIGCONT)
        server.pgdata.joinpath("postmaster.pid").write_text("\n".join([*lines[:7], "ready", ""]))
