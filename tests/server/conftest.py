"""A server for each test, on a database of its own."""

from collections.abc import AsyncGenerator

import pytest_asyncio

from tests.databases import Database
from tests.server.world import Live, serving, settings_for


@pytest_asyncio.fixture
async def live(database: Database) -> AsyncGenerator[Live]:
    """A running server with the settings of development."""
    async with serving(settings_for(database), database) as running:
        yield running
