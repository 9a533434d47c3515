"""Fixtures for the tests of the database; all of them carry the mark `sql`."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.databases import Cluster
from tests.sql.world import World, make_template, new_world

HERE = Path(__file__).parent
# Damaging the SQL on purpose proves something about the tests, not about a version of PostgreSQL.
NOT_PER_VERSION = "test_mutations.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make test` runs on every supported PostgreSQL."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.path.name != NOT_PER_VERSION:
            item.add_marker("sql")


@pytest.fixture(scope="session")
def world_template(cluster: Cluster) -> str:
    """The name of a migrated database with the test clock, made once for the run."""
    return asyncio.run(make_template(cluster))


@pytest_asyncio.fixture
async def world(cluster: Cluster, world_template: str) -> AsyncGenerator[World]:
    """A database of this test's own, with a clock that stands still until the test moves it."""
    async with new_world(cluster, world_template) as fresh:
        yield fresh
