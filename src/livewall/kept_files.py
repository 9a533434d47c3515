"""The files of a backup: how each is described, and whether it is still that."""

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path

import msgspec

from livewall.postgres_tools import BackupError


class StoredFile(msgspec.Struct, frozen=True):
    """A file of a backup."""

    bytes: int
    sha256: str


@contextmanager
def opened(path: Path) -> Generator[BufferedReader]:
    """Open a file to read it. Raises BackupError for what can not be, and for what is no file.

    A pipe is not waited for, and a device is not read to an end that it has not.
    """
    try:
        # Not blocking: else opening a pipe waits for somebody who writes.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BackupError(f"{path} can not be read: it is no ordinary file.")
            yield file
    except OSError as error:
        raise BackupError(f"{path} can not be read: {error.strerror}.") from error


def read_whole(path: Path, at_most: int) -> bytes:
    """Return what is in a file of at most so many bytes. Raises BackupError."""
    with opened(path) as file:
        content = file.read(at_most + 1)
    if len(content) > at_most:
        raise BackupError(f"{path} is damaged: it has over {at_most:,} bytes.")
    return content


def describe_file(path: Path) -> StoredFile:
    """Return a file's size and checksum. Raises BackupError."""
    with opened(path) as file:
        digest = file_digest(file, "sha256").hexdigest()
        return StoredFile(os.fstat(file.fileno()).st_size, digest)


def describe_files(folder: Path) -> dict[str, StoredFile]:
    """Return size and checksum of each file that lies in a folder itself. Raises BackupError."""
    return {file.name: describe_file(file) for file in sorted(folder.iterdir()) if file.is_file()}


def check_file(path: Path, said: StoredFile) -> None:
    """Compare a file with what the manifest says of it. Raises BackupError."""
    found = describe_file(path)
    if found != said:
        raise BackupError(
            f"{path} is not what was backed up ({found.bytes:,} bytes, {said.bytes:,} then; "
            "its SHA-256 is another): take another backup."
        )


def check_size(path: Path, said: StoredFile) -> None:
    """Compare a file's size alone, without reading it. Raises BackupError."""
    with opened(path) as file:
        found = os.fstat(file.fileno()).st_size
    if found != said.bytes:
        raise BackupError(f"{path} has {found:,} bytes, and {said.bytes:,} were backed up.")


def bytes_in(folder: Path) -> int:
    """Return the size of all files in a folder, also of one that is being written."""
    size = 0
    for inner, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(inner, name)).st_size  # noqa: PTH118 - thousands
            except FileNotFoundError:
                continue
    return size


def sync(folder: Path) -> None:
    """Have names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that was not there, which only we can read, and have it survive a power cut."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
