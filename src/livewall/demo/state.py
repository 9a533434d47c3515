"""The tokens of the demo streamers, kept so that a second start brings back the same people."""

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import msgspec
import structlog

log = structlog.get_logger(__name__)

TURN_SECONDS = 1.0

Tokens = dict[str, dict[str, str]]


class KeptTokens:
    """Tokens by server and name, in a JSON file that only its owner may read.

    Without a file they last as long as the process. The server is known by its host alone, because
    on one's own machine the port changes more often than the people.
    """

    def __init__(self, base_url: str, path: Path | None) -> None:
        self._server = _server(base_url)
        self._path = path
        self._tokens = _read(path)

    def get(self, name: str) -> str | None:
        """The token last kept for `name`."""
        return self._tokens.get(self._server, {}).get(name)

    def keep(self, name: str, token: str) -> None:
        """Remember `token`. A folder that cannot be written costs the memory, not the demo."""
        self._tokens.setdefault(self._server, {})[name] = token
        if self._path is None:
            return
        try:
            _write(self._path, msgspec.json.encode(self._tokens))
        except OSError as error:
            log.warning("demo_people_not_kept", path=str(self._path), reason=str(error))


@asynccontextmanager
async def our_turn(
    base_url: str, path: Path | None, busy: Callable[[], None]
) -> AsyncGenerator[None]:
    """Be the one process that plays the people of this file on this server.

    Two at once would take each other's streams away, with the same tokens. While another one
    plays, `busy` is called once and we wait for its end.
    """
    file = None if path is None else _lock_file(path, _server(base_url))
    if file is None:
        yield
        return
    with file:
        is_first = True
        while not _locked(file):
            if is_first:
                busy()
            is_first = False
            await asyncio.sleep(TURN_SECONDS)
        yield


def _server(base_url: str) -> str:
    return urlsplit(base_url).hostname or "localhost"


def _lock_file(path: Path, server: str) -> IO[str] | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(f"{path.stem}-{server}.lock").open("a")
    except OSError:
        return None  # nothing is kept in such a folder, so nobody comes twice out of it


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _read(path: Path | None) -> Tokens:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Tokens) if path else {}
    except (OSError, msgspec.DecodeError):
        return {}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.replace(path)
