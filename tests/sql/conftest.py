"""Fixtures for the tests of the database."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.conftest import BINARIES
from tests.databases import Cluster, data_folder
from tests.sql.supabase import Platform, new_project_folder, running_platform
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


@pytest.fixture(scope="session")
def platform() -> Generator[Platform]:
    """A server whose roles are Supabase's."""
    with running_platform(BINARIES) as started:
        yield started


@pytest.fixture(scope="session")
def bundled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder with this release in it."""
    return new_project_folder(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def bundled_template(platform: Platform, bundled_folder: Path) -> str:
    """The name of a project's database to which the CLI has applied it, made once for the run."""

    async def made() -> str:
        name = await platform.new_project()
        pushed = await platform.push(name, bundled_folder / "supabase" / "migrations")
        assert len(pushed) == 2
        return name

    return asyncio.run(made())


@pytest_asyncio.fixture
async def project(platform: Platform, bundled_template: str) -> AsyncGenerator[World]:
    """A project of this test's own, with Livewall in it."""
    async with new_world(platform, bundled_template) as fresh:
        yield fresh


@pytest.fixture
def drills(monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """Where this test's drills are; nothing else is in it."""
    with data_folder() as data:
        monkeypatch.setattr(tempfile, "tempdir", str(data.parent))
        yield data.parent
