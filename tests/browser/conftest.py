"""Two browsers for all tests, and for each test a site with a database of its own."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Playwright, ViewportSize, async_playwright, expect

from hatch_build import build_web
from tests.browser.chromium import Chromium, start_chromium
from tests.browser.site import Site, running_site
from tests.browser.window import DESKTOP, Window, open_window
from tests.databases import Cluster, Database

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent

# What takes a tenth of a second on an idle machine may take long on one that tests three things.
expect.set_options(timeout=15_000)

StartSite = Callable[..., Awaitable[Site]]
OpenWindow = Callable[..., Awaitable[Window]]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here; all of it shares one event loop, as the browsers do."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="package")
def web_client() -> None:
    """The web client as it is in the tree, built if it is not."""
    build_web(ROOT)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def playwright() -> AsyncGenerator[Playwright]:
    """The driver of the browsers."""
    async with async_playwright() as driver:
        yield driver


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browsers(playwright: Playwright) -> AsyncGenerator[tuple[Chromium, Chromium]]:
    """Two browser processes: one for who streams, one for who watches."""
    pair = (await start_chromium(playwright), await start_chromium(playwright))
    yield pair
    for chromium in pair:
        await chromium.browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def database(cluster: Cluster) -> AsyncGenerator[Database]:
    """A migrated database of this test's own, on the event loop of the browsers."""
    name = await cluster.create()
    own = Database(name, cluster.admin_url(name), cluster.authenticator_url(name))
    yield own
    await own.close()
    await cluster.drop(name)


@pytest_asyncio.fixture(loop_scope="session")
async def start_site(
    web_client: None, database: Database, tmp_path: Path
) -> AsyncGenerator[StartSite]:
    """Starts the one site of a test with settings of its own, such as seats="1"."""
    async with AsyncExitStack() as stack:

        async def start(**settings: str) -> Site:
            return await stack.enter_async_context(running_site(database, tmp_path, **settings))

        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def site(start_site: StartSite) -> Site:
    """A site with the settings of development."""
    return await start_site()


@pytest_asyncio.fixture(loop_scope="session")
async def open_in(browsers: tuple[Chromium, Chromium]) -> AsyncGenerator[OpenWindow]:
    """Opens windows: `await open_in(site, 0)` in the first browser, 1 in the second.

    A test fails if any page of it complained: an error, a console error, a policy violation.
    """
    windows: list[Window] = []

    async def open_one(site: Site, at: int, size: ViewportSize = DESKTOP, **context: Any) -> Window:
        window = await open_window(browsers[at].browser, site.url, size, **context)
        windows.append(window)
        return window

    yield open_one
    for window in windows:
        await window.context.close()
    assert {window.name: window.unforgiven for window in windows if window.unforgiven} == {}
