"""A server for each test, on a database of its own."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.databases import Database
from tests.server.money import FakeProvider, selling
from tests.server.world import Live, Pair, meet, serving, settings_for


@pytest_asyncio.fixture
async def live(database: Database) -> AsyncGenerator[Live]:
    """A running server with the settings of development."""
    async with serving(settings_for(database), database) as running:
        yield running


@pytest.fixture
def provider() -> FakeProvider:
    """A provider that does what it is told."""
    return FakeProvider()


@pytest_asyncio.fixture
async def shop(database: Database, provider: FakeProvider) -> AsyncGenerator[Live]:
    """A server that sells coins through it."""
    async with selling(database, provider) as live:
        yield live


@pytest_asyncio.fixture
async def pair(database: Database) -> AsyncGenerator[Pair]:
    """Two servers that know of each other."""
    settings = settings_for(database)
    async with serving(settings, database) as one, serving(settings, database) as other:
        await meet(one, other)
        yield one, other
