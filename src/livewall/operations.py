"""What operators did last: backups, restore drills and proofs, each in a file of the data folder.

A timer does them in processes of their own. Here `/metrics` and `livewall preflight` find when each
last went well: `operations/backup.json`, `operations/drill.json`, `operations/verify.json`.
"""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import msgspec

Name: TypeAlias = Literal["backup", "drill", "verify"]
NAMES: tuple[Name, ...] = get_args(Name)


class Operation(msgspec.Struct, frozen=True):
    """The last attempt, and the last success before or with it."""

    attempted_at: datetime
    is_ok: bool
    wrong: str = ""
    succeeded_at: datetime | None = None
    # Of the last success: the backup's folder, and how long it took.
    place: str = ""
    seconds: float = 0.0


def read(data_path: Path, name: Name) -> Operation | None:
    """Return what is known of an operation; None if it never ran, or its file is not readable."""
    try:
        return msgspec.json.decode(_file(data_path, name).read_bytes(), type=Operation)
    except (OSError, msgspec.DecodeError):
        return None


def note(data_path: Path, name: Name, place: str = "", seconds: float = 0.0) -> bool:
    """Keep that an operation went well; say whether that could be kept."""
    now = datetime.now(UTC)
    return _write(data_path, name, Operation(now, True, "", now, place, round(seconds, 2)))


def note_failure(data_path: Path, name: Name, wrong: str) -> bool:
    """Keep that an operation failed, beside its last success; say whether that could be kept."""
    failed = Operation(datetime.now(UTC), False, wrong)
    last = read(data_path, name)
    if last is not None:
        failed = msgspec.structs.replace(
            failed, succeeded_at=last.succeeded_at, place=last.place, seconds=last.seconds
        )
    return _write(data_path, name, failed)


def _write(data_path: Path, name: Name, operation: Operation) -> bool:
    folder = _file(data_path, name).parent
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # We may be root, and the owner of the data folder may have put a link there.
        inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _write_inside(inside, f"{name}.json", operation, data_path.stat())
        finally:
            os.close(inside)
        return True
    return False


def _write_inside(inside: int, name: str, operation: Operation, owner: os.stat_result) -> None:
    """Write a file whole or not at all; as root it is the owner's, as whom the server may run."""
    partial = f".{name}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial, dir_fd=inside)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=inside)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(operation) + b"\n")
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
            os.fchown(inside, owner.st_uid, owner.st_gid)
    os.rename(partial, name, src_dir_fd=inside, dst_dir_fd=inside)


def _file(data_path: Path, name: Name) -> Path:
    return data_path / "operations" / f"{name}.json"
