"""One server for the tests of a file, with short waits after the last viewer."""

import itertools
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from livewall.demo.people import PEOPLE
from tests.browser.site import Site, running_site
from tests.databases import Cluster, Database
from tests.demo.world import Performer, Watcher, performing, watching

STAGE = itertools.cycle(PEOPLE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server and the demo streamers keep what they keep."""
    return tmp_path_factory.mktemp("demo")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(cluster: Cluster, folder: Path) -> AsyncGenerator[Site]:
    """A running server on a database of its own."""
    name = await cluster.create()
    database = Database(name, cluster.admin_url(name), cluster.authenticator_url(name))
    async with running_site(database, folder, log="json") as running:
        await running.rules(linger="0.5 seconds", minimum_on_time="1 second")
        yield running
    await database.close()
    await cluster.drop(name)


@pytest_asyncio.fixture(loop_scope="module")
async def performer(site: Site, folder: Path) -> AsyncGenerator[Performer]:
    """A demo streamer who is live, and has drawn nothing yet.

    Everybody in turn, because one person may go live only a few times a minute.
    """
    async with performing(site, next(STAGE), folder) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def watcher(site: Site, performer: Performer) -> AsyncGenerator[Watcher]:
    """Somebody with an open wall who watches nothing yet."""
    assert performer.stream_id
    async with watching(site) as found:
        yield found
