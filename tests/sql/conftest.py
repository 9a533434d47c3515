"""Fixtures for the tests of the database."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.databases import Cluster
from tests.sql.world import World, make_template, new_world


@pytest.fixture(scope="session")
def world_template(cluster: Cluster) -> str:
    """The name of a migrated database with the test clock, made once for the run."""
    return asyncio.run(make_template(cluster))


@pytest_asyncio.fixture
async def world(cluster: Cluster, world_template: str) -> AsyncGenerator[World]:
    """A database of this test's own, with a clock that stands still until the test moves it."""
    async with new_world(cluster, world_template) as fresh:
        yield fresh
