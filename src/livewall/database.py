"""The database that the settings name: an outside one, or the embedded one started on demand."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from livewall import embedded
from livewall.administrator import set_authenticator_password
from livewall.db import Database
from livewall.migrate import Outcome, migrate, require_current
from livewall.settings import Settings

T = TypeVar("T")


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
def prepared(settings: Settings) -> Generator[Settings]:
    """Like `available`, and up to date: an outside database is only checked, never changed."""
    with available(settings) as ready:
        if settings.database_url:
            asyncio.run(require_current(settings.database_url))
        else:
            bring_up_to_date(ready)
        yield ready


def ask(settings: Settings, question: Callable[[Database], Awaitable[T]]) -> T:
    """Connect once and return what `question` makes of the database. Raises Refusal."""

    async def asked() -> T:
        database = Database(settings.web_database_url, size=1, direct_url=settings.direct_url)
        try:
            return await question(database)
        finally:
            await database.close()

    return asyncio.run(asked())


def launch(settings: Settings) -> embedded.Launch:
    """Return how the settings want the embedded database started."""
    return embedded.Launch(port=settings.db_port or None, timeout=settings.db_start_timeout)


def bring_up_to_date(settings: Settings) -> Outcome:
    """Migrate, and let the server log in as `authenticator`. Raises MigrationError, one line."""
    return asyncio.run(_bring_up_to_date(settings))


async def _bring_up_to_date(settings: Settings) -> Outcome:
    outcome = await migrate(settings.database_url)
    # Not by a pooler: it would have to know the password already.
    login = settings.direct_url or settings.web_database_url
    await set_authenticator_password(settings.database_url, login)
    return outcome
