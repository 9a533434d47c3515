"""Everything behind Debian's PgBouncer in transaction mode, which keeps nothing of a session."""

import asyncio
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from livewall import jobs
from livewall.database import ask, bring_up_to_date
from livewall.db import ANYBODY
from livewall.db import Database as Pool
from livewall.errors import Refusal
from livewall.migrate import Outcome
from livewall.settings import Settings
from tests.databases import Cluster, Database
from tests.processes import free_port
from tests.server.money import bought, coins, told
from tests.server.test_gifts import give
from tests.server.world import PATIENCE_SECONDS, Live, serving, settings_for
from tests.waiting import until

PGBOUNCER = Path("/usr/sbin/pgbouncer")
# Its own connections carry the client's address in their name, so that one can tell them.
CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
pool_mode = transaction
auth_type = scram-sha-256
auth_file = {users}
default_pool_size = 2
application_name_add_host = 1
"""
LEADERS = f"SELECT application_name FROM pg_stat_activity WHERE pid IN ({jobs.LEADER_PID})"


@contextmanager
def pgbouncer(cluster: Cluster) -> Generator[int]:
    """Run one in front of the tests' server, as the user whose server that is; return its port."""
    if not PGBOUNCER.exists():
        pytest.fail(f"No {PGBOUNCER}: apt-get install pgbouncer")
    owner = cluster.server.pgdata.stat()
    folder = Path(tempfile.mkdtemp(prefix="lwt-pool-", dir="/tmp"))
    port = free_port()
    users = folder / "users.txt"
    users.write_text(f'"authenticator" "{cluster.authenticator_password}"\n')
    configuration = folder / "pgbouncer.ini"
    server = cluster.server
    configuration.write_text(
        CONFIGURATION.format(
            host=server.socket_dir, port=server.port, listen_port=port, users=users
        )
    )
    folder.chmod(0o755)
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [PGBOUNCER, configuration], user=owner.st_uid, group=owner.st_gid, stderr=log, cwd=folder
    )
    try:
        _wait_for(port, process, folder / "log")
        yield port
    finally:
        process.terminate()
        process.wait(10)
        log.close()
        shutil.rmtree(folder)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    while True:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            continue
        return


@pytest.fixture(scope="module")
def pooler(cluster: Cluster) -> Generator[int]:
    """The port of a pooler with two connections for each database."""
    with pgbouncer(cluster) as port:
        yield port


@pytest.fixture
def pooled(database: Database, pooler: int, cluster: Cluster) -> Settings:
    """Settings of a server whose calls go by the pooler."""
    password = quote(cluster.authenticator_password, safe="")
    url = f"postgresql://authenticator:{password}@127.0.0.1:{pooler}/{database.name}"
    return settings_for(database, authenticator_url=url, direct_url=database.authenticator_url)


@pytest_asyncio.fixture
async def live(pooled: Settings, database: Database) -> AsyncGenerator[Live]:
    """A server behind the pooler."""
    async with serving(pooled, database) as running:
        yield running


async def _until_led(live: Live) -> list[str]:
    admin = await live.database.admin()

    async def is_led() -> bool:
        return bool(await admin.fetch(LEADERS))

    await until(is_led, PATIENCE_SECONDS, "a process leads")
    return [row[0] for row in await admin.fetch(LEADERS)]


@pytest.mark.spec("D4", "D5")
async def test_people_sign_in_go_live_watch_buy_and_give_through_a_pooler(live: Live) -> None:
    ada, vera = await live.account("ada"), await live.account("vera")
    studio, stream_id = await ada.go_live()
    viewer = await vera.tab()
    await viewer.watch(stream_id)
    await studio.expect("publish", is_published=True)
    purchase = await bought(vera)
    path = f"/api/sandbox/payments/{purchase['provider_payment_id']}/pay"
    assert (await vera.http.post(path)).status_code == 200
    await told(viewer, purchase, "completed")
    assert (await give(vera, ada, stream_id)).status_code == 201
    assert await coins(vera) == 600
    assert (await give(vera, vera, stream_id)).status_code >= 400  # refused, and no call is stuck
    assert await coins(vera) == 600


async def test_jobs_lead_past_the_pooler_and_calls_go_by_it(live: Live) -> None:
    assert await _until_led(live) == ["livewall"]
    admin = await live.database.admin()

    async def have_run() -> bool:
        return bool(await admin.fetch("SELECT FROM private.job_runs"))

    await until(have_run, PATIENCE_SECONDS, "jobs have run")
    names = await admin.fetch(
        "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
        " AND usename = 'authenticator' AND application_name LIKE 'livewall - 127.0.0.1:%'"
    )
    assert 1 <= len(names) <= 2


async def test_many_calls_share_two_connections_and_each_gets_its_own_answer(
    pooled: Settings, database: Database
) -> None:
    names = [(await database.person(name)).name for name in ("ada", "bob", "cyd")]
    pool = Pool(pooled.web_database_url, size=5, direct_url=pooled.direct_url)

    async def look(number: int) -> None:
        name = [*names, "nobody"][number % 4]
        try:
            found = await pool.call(ANYBODY, "get_profile", dict[str, Any], p_name=name)
        except Refusal as refusal:
            found = {"name": "nobody" if refusal.code == "not_found" else refusal.code}
        assert found["name"] == name

    async def prepare_something_else() -> None:
        # What PgBouncer would run in place of ours, had it switched to a connection of this one.
        other = await asyncpg.connect(pooled.web_database_url, statement_cache_size=0)
        for number in range(60):
            assert await other.fetchval("SELECT $1::integer", number) == number
        await other.close()

    others = [prepare_something_else() for _ in range(2)]
    try:
        await asyncio.gather(*others, *(look(number) for number in range(60)))
    finally:
        await pool.close()


async def test_migrating_goes_past_the_pooler_and_commands_go_by_it(
    pooled: Settings, database: Database
) -> None:
    settings = msgspec.structs.replace(pooled, database_url=database.admin_url)
    assert await asyncio.to_thread(ask, settings, Pool.is_ready) is None
    nowhere = f"postgresql://authenticator@127.0.0.1:{free_port()}/{database.name}"
    cut_off = msgspec.structs.replace(settings, authenticator_url=nowhere)
    assert await asyncio.to_thread(bring_up_to_date, cut_off) == Outcome()
    with pytest.raises(Refusal):
        await asyncio.to_thread(ask, cut_off, Pool.is_ready)


async def test_a_pooler_that_is_gone_is_a_database_that_is_away(database: Database) -> None:
    url = f"postgresql://authenticator:x@127.0.0.1:{free_port()}/{database.name}"
    pool = Pool(url, direct_url=database.authenticator_url)
    with pytest.raises(Refusal) as refused:
        await pool.is_ready()
    assert refused.value.code == "database_away"
    async with pool.dedicated("service_role") as connection:
        assert isinstance(connection, asyncpg.Connection)
    await pool.close()
