"""The database that the settings name: an outside one, or the embedded one started on demand."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from livewall import embedded
from livewall.administrator import described, set_authenticator_password
from livewall.db import Database, open_database
from livewall.migrate import Outcome, migrate, require_current
from livewall.postgres_folder import has_database
from livewall.postgres_process import EmbeddedError
from livewall.settings import Settings, load, read

T = TypeVar("T")


def load_existing() -> Settings:
    """Load the settings where there is a database, and make nothing where there is none.

    For what looks into a database: in the wrong folder it would judge a new and empty one.
    Raises EmbeddedError and SettingsError, one line.
    """
    require_existing(read(os.environ))
    return load()


def require_existing(settings: Settings) -> None:
    """Raise EmbeddedError, one line, if the embedded database is meant and there is none."""
    if settings.database_url or has_database(settings.data_path):
        return
    raise EmbeddedError(
        f"There is no database in {settings.data_path}: go to the folder where Livewall was "
        "started, or name its data with LIVEWALL_DATA_DIR, or another PostgreSQL with "
        "DATABASE_URL. `livewall db migrate` makes a new one."
    )


def named(settings: Settings) -> str:
    """Return which database the settings mean, in words without a password."""
    if settings.database_url:
        return described(settings.database_url)
    return f"the database in {settings.data_path}"


@contextmanager
def available(settings: Settings) -> Generator[Settings]:
    """Yield settings whose `database_url` can be connected to while this lasts.

    Raises EmbeddedError, one line, if the embedded database cannot run.
    """
    if settings.database_url:
        yield settings
        return
    with embedded.running(settings.data_path, launch(settings)) as server:
        yield msgspec.structs.replace(settings, database_url=server.url())


@contextmanager
def up_to_date(settings: Settings) -> Generator[Settings]:
    """Like `available`, for a database that is up to date, and nothing of it is changed.

    A command without the server's secret must not give its role another password.
    Raises EmbeddedError and MigrationError, one line.
    """
    with available(settings) as ready:
        asyncio.run(require_current(ready.database_url))
        yield ready


@contextmanager
def prepared(settings: Settings) -> Generator[Settings]:
    """Like `available`, for a server: an outside database is only checked, the embedded migrated.

    Raises EmbeddedError and MigrationError, one line.
    """
    with available(settings) as ready:
        if settings.database_url:
            asyncio.run(require_current(settings.database_url))
        else:
            bring_up_to_date(ready, new_password=True)
        yield ready


def ask(settings: Settings, question: Callable[[Database], Awaitable[T]]) -> T:
    """Connect once and return what `question` makes of the database. Raises Refusal."""

    async def asked() -> T:
        database = open_database(settings, size=1)
        try:
            return await question(database)
        finally:
            await database.close()

    return asyncio.run(asked())


def launch(settings: Settings) -> embedded.Launch:
    """Return how the settings want the embedded database started."""
    return embedded.Launch(port=settings.db_port or None, timeout=settings.db_start_timeout)


def bring_up_to_date(settings: Settings, *, new_password: bool = False) -> Outcome:
    """Migrate, and let the server log in as `authenticator`. Raises MigrationError, one line.

    `new_password` changes that role's password even where other databases use it: of the embedded
    PostgreSQL, which serves one installation, and where somebody says so.
    """
    return asyncio.run(_bring_up_to_date(settings, new_password))


async def _bring_up_to_date(settings: Settings, new_password: bool) -> Outcome:
    outcome = await migrate(settings.database_url)
    # Not by a pooler: it would have to know the password already.
    login = settings.direct_url or settings.web_database_url
    await set_authenticator_password(settings.database_url, login, for_all=new_password)
    return outcome
