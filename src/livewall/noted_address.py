"""Where the server that runs on a data folder is found: commands beside it tell people.

The port may have been given to the server alone, so it notes its address in `server-address` and
holds a lock on that file while it runs. What a killed one left has no lock, and so says nothing.
"""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager

from livewall.settings import Settings

NAME = "server-address"


@contextmanager
def noted(settings: Settings) -> Generator[None]:
    """Note the address while this lasts, unless another server on the folder has noted its own."""
    path = settings.data_path / NAME
    try:
        file = path.open("a")
    except OSError:  # no reason not to serve: whoever asks is told less
        yield
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield
            return
        file.truncate(0)
        file.write(settings.url)
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def find(settings: Settings) -> str | None:
    """Return the address people use, or None if that is unknown here: no server says it."""
    if settings.public_url:
        return settings.url
    try:
        with (settings.data_path / NAME).open() as file:
            return file.read() if _is_held(file.fileno()) else None
    except OSError:  # none there, or none that we may read
        return None


def _is_held(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
