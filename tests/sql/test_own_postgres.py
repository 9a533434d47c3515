"""PostgreSQL made as docs/production.md says, and the runbooks' statements as its administrator."""

import re
from collections.abc import AsyncGenerator

import asyncpg
import pytest
import pytest_asyncio

from livewall import embedded
from livewall.administrator import set_authenticator_password
from livewall.code_catalog import Connection
from livewall.migrate import Outcome, migrate
from tests.conftest import BINARIES
from tests.databases import FAST, data_folder
from tests.doc_code import ROOT, blocks_of
from tests.waiting import until

pytestmark = pytest.mark.sql

PRODUCTION = (ROOT / "docs" / "production.md").read_text()
MADE = re.findall(r'^    runuser -u postgres -- psql -c "(.*)"$', PRODUCTION, re.MULTILINE)
OPERATIONS = ROOT / "docs" / "operations.md"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncGenerator[embedded.Server]:
    """A server with a database and its administrator, by the statements of the page, migrated."""
    launch = embedded.Launch(bin_dir=BINARIES, parameters=FAST)
    with data_folder() as folder, embedded.running(folder, launch) as started:
        superuser = await asyncpg.connect(started.url("postgres"))
        await superuser.execute("DROP DATABASE livewall")  # the one that comes with ours
        for statement in MADE:
            await superuser.execute(statement)
        await superuser.close()
        url = _administrator(started)
        assert (await migrate(url)).migrations
        await set_authenticator_password(url, _authenticator(started))
        yield started


def _administrator(server: embedded.Server) -> str:
    return server.url("livewall", "administrator", "...")


def _authenticator(server: embedded.Server) -> str:
    return server.url("livewall", "authenticator", "p")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.spec("D8")
async def test_the_administrator_of_the_page_needs_no_more(server: embedded.Server) -> None:
    assert len(MADE) == 2
    admin = await asyncpg.connect(_administrator(server))
    mine = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
    assert await admin.fetchval(mine) is False
    await admin.close()
    assert await migrate(_administrator(server)) == Outcome()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.spec("D8")
async def test_that_administrator_finds_and_ends_what_holds_rows(server: embedded.Server) -> None:
    holding = await asyncpg.connect(_authenticator(server))
    await holding.execute("BEGIN")
    admin = await asyncpg.connect(_administrator(server))
    (block,) = (b.text for b in blocks_of(OPERATIONS) if "pg_stat_activity" in b.text)
    grant, look = (f"{part};" for part in block.split(";") if part.strip())
    assert await admin.fetch(look) == []
    await admin.execute(grant)
    assert await _pids(admin, look) == [holding.get_server_pid()]
    pid = holding.get_server_pid()
    assert await admin.fetchval("SELECT pg_terminate_backend($1)", pid)

    async def is_gone() -> bool:
        alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1"
        return await admin.fetchval(alive, pid) == 0

    await until(is_gone, 30, "the session has ended")
    holding.terminate()
    await admin.close()


async def _pids(admin: Connection, look: str) -> list[int]:
    return [row["pid"] for row in await admin.fetch(look)]
