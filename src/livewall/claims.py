"""Folders that a process works in until they are complete or removed.

Each is claimed by a lock that the system drops when the process ends, however it ends. So what
somebody left behind who was killed can be told from what somebody works in right now.
"""

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def claimed(folder: Path) -> Generator[None]:
    """Hold a folder, also under another name, while this lasts."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def abandoned(parent: Path, pattern: str) -> Iterator[Path]:
    """Yield our folders of that name that nobody holds any more, each held while it is ours."""
    for folder in parent.glob(pattern):
        if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.geteuid():
            continue
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
