"""Runs the checks, one after the other, whatever becomes of each."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn, cast

import asyncpg
import msgspec

from livewall import operations
from livewall import settings as livewall_settings
from livewall.administrator import connected, first_line
from livewall.backup import BackupError, find, require_whole
from livewall.code_catalog import Connection
from livewall.preflight import CHECKS
from livewall.preflight.checks import Check, NotProven, Result, Site, Status, WrongError
from livewall.proof import Check as LedgerCheck
from livewall.proof import recompute
from livewall.settings import Settings
from livewall.sql_files import MigrationError

# It may be right all the same: somebody held a lock, the connection went, a right is missing.
UNSURE = (
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.DeadlockDetectedError,
    OSError,
    TimeoutError,
)


# People can hold tables that they may delete from: what waits for one is not proven.
LOCK_WAIT = "1s"
PATIENCE = f"SET lock_timeout = '{LOCK_WAIT}'; SET statement_timeout = '60s'"


class Outcome(msgspec.Struct, frozen=True):
    """One item of the list with what was seen, as `--json` prints it."""

    id: str
    title: str
    status: Status
    evidence: str
    next: str
    why: str
    facts: dict[str, object]


def settings_here() -> Settings:
    """Return the settings as they are, unsafe ones too: what is wrong with them is for the checks.

    Raises SettingsError for what can not be read.
    """
    read = livewall_settings.read(os.environ)
    return read if read.secret or read.production else livewall_settings.load()


@dataclass(frozen=True)
class Asked:
    """What somebody wants to know: which items (none: all), and what to compare with."""

    only: tuple[str, ...] = ()
    head: str = ""
    backups: str = ""
    is_embedded: bool = False


@asynccontextmanager
async def site(settings: Settings, asked: Asked) -> AsyncGenerator[Site]:
    """Connect as the administrator and as the server. Raises MigrationError, one line."""
    async with connected(settings.database_url) as admin, _as_server(settings) as web:
        await admin.execute(PATIENCE)
        proof: list[LedgerCheck] = []

        async def prove() -> list[LedgerCheck]:
            if not proof:
                proof.extend(await recompute(settings.database_url, asked.head or None, LOCK_WAIT))
            return proof

        yield Site(
            settings=settings,
            admin=admin,
            web=web,
            prove=prove,
            head=asked.head,
            newest_backup=lambda: _newest_backup(asked.backups, settings.data_path),
            is_embedded=asked.is_embedded,
        )


class _Away:
    """Stands for a connection that can not be had: what needs it is not proven."""

    def __init__(self, why: str) -> None:
        self._why = why

    def __getattr__(self, name: str) -> NoReturn:
        raise NotProven(self._why, "Start the database, or give the settings of the server.")


def _site_without(settings: Settings, asked: Asked, why: str) -> Site:
    """Return what can be looked at while the database is away: settings, addresses and files."""
    away = cast("Connection", _Away(why))

    async def prove() -> list[LedgerCheck]:
        raise NotProven(why, "Start the database.")

    return Site(
        settings=settings,
        admin=away,
        web=away,
        prove=prove,
        head=asked.head,
        newest_backup=lambda: _newest_backup(asked.backups, settings.data_path),
    )


def _newest_backup(named: str, data_path: Path) -> datetime | None:
    """Return when the newest backup was taken, in this folder or where the last one was made.

    None if no folder is known.
    """
    last = operations.read(data_path, "backup")
    place = named or (last.place if last else "")
    if not place:
        if last is not None:
            raise NotProven(f"no backup went well so far: {last.wrong}", "livewall backup FOLDER")
        return None
    try:
        newest = find(Path(place))
    except BackupError as error:
        raise NotProven(str(error), "Name the folder that `livewall backup` writes to.") from error
    try:
        require_whole(newest)
    except BackupError as error:
        raise WrongError(str(error)) from error
    return newest.manifest.taken_at


@asynccontextmanager
async def _as_server(settings: Settings) -> AsyncGenerator[Connection | None]:
    try:
        web = await asyncpg.connect(settings.web_database_url, timeout=10, statement_cache_size=0)
    except (OSError, asyncpg.PostgresError, asyncpg.ClientConfigurationError, ValueError):
        yield None
        return
    try:
        yield web
    finally:
        await web.close()


async def run(
    at: Site, only: Iterable[str] = (), begin: Callable[[Check], None] = lambda _check: None
) -> list[Outcome]:
    """Run the checks with these ids, all without; `begin` hears of each before it runs."""
    wanted = set(only)
    outcomes: list[Outcome] = []
    for check in CHECKS:
        if not wanted or check.id in wanted:
            begin(check)
            outcomes.append(_outcome(check, await _examined(check, at)))
    return outcomes


async def _examined(check: Check, at: Site) -> Result:
    try:
        return await check.examine(at)
    except NotProven as reason:
        return Result("not_proven", str(reason), next=reason.next_step)
    except WrongError as wrong:
        return Result("fail", str(wrong))
    except UNSURE as error:
        retry = "Run it again; if it stays, look at what holds locks or which right is missing."
        return Result("not_proven", f"could not be looked at: {first_line(error)}", next=retry)
    except asyncpg.PostgresError as error:
        return Result("fail", f"the database refused: {first_line(error)}")
    except Exception as error:  # noqa: BLE001 - one broken check must not hide the others
        broke = f"the check itself broke: {type(error).__name__}: {first_line(error)}"
        return Result("not_proven", broke, next="Report it, with the output of --json.")


def _outcome(check: Check, result: Result) -> Outcome:
    step = "" if result.status == "pass" else result.next or check.fix
    return Outcome(
        check.id, check.title, result.status, result.evidence, step, check.why, result.facts
    )


def run_here(settings: Settings, asked: Asked, begin: Callable[[Check], None]) -> list[Outcome]:
    """Connect and run, from a command."""

    async def connected_run() -> list[Outcome]:
        try:
            async with site(settings, asked) as at:
                return await run(at, asked.only, begin)
        except MigrationError as error:
            # Checks break by themselves, so it was the connecting.
            return await run(_site_without(settings, asked, str(error)), asked.only, begin)

    return asyncio.run(connected_run())
