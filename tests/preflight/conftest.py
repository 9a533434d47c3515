"""A system in which everything passes, for tests that break it."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import pytest_asyncio

from livewall.code_catalog import Connection
from livewall.jobs import LEADER_LOCK
from livewall.preflight import CHECKS
from livewall.preflight.checks import Site
from livewall.preflight.run import Outcome, run
from livewall.proof import Check as LedgerCheck
from livewall.proof import recompute
from livewall.settings import PEERS_SEE_ADDRESSES, Settings
from tests.databases import Cluster, Database

JOBS = ("update_publish_state_from_viewers", "cleanup_stale_viewers")
SEEN_TO_RUN = "SELECT public.record_job_run(job, true, 3) FROM unnest($1::text[]) AS job"
# P8 reads what the whole server is set to, and a server for tests is set to forget.
HERE = [check.id for check in CHECKS if check.id != "P8"]

GOOD = Settings(
    env="production",
    secret="0123456789abcdefghijklmnopqrstuvwxyz",
    public_url="https://live.example",
    accept_peer_addresses=PEERS_SEE_ADDRESSES,
    payments="stripe",
    stripe_secret_key="sk_live_of_nobody",
    stripe_publishable_key="pk_live_of_nobody",
    stripe_webhook_secret="whsec_of_nobody",
)


async def _answering(_url: str) -> Mapping[str, str]:
    return {"strict-transport-security": "max-age=31536000"}


@dataclass
class Stage:
    """A system in which everything passes, to be broken."""

    site: Site
    admin: Connection
    leader: Connection
    authenticator_url: str

    async def seen(self, *only: str) -> dict[str, Outcome]:
        """Run the checks; return what each saw."""
        return {outcome.id: outcome for outcome in await run(self.site, only or HERE)}

    async def wrong(self, *only: str) -> dict[str, str]:
        """Run the checks; return what did not pass."""
        seen = await self.seen(*only)
        return {item: outcome.status for item, outcome in seen.items() if outcome.status != "pass"}


@pytest.fixture(scope="session")
def ready_template(cluster: Cluster) -> str:
    """A database with two people in finance and nobody to come back after a restart."""

    async def make() -> str:
        name = await cluster.create()
        database = Database(name, cluster.admin_url(name), cluster.authenticator_url(name))
        admin = await database.admin()
        for person in (await database.person("mia"), await database.person("noah")):
            await admin.execute("SELECT public.grant_staff_role($1, 'finance')", person.id)
        await admin.execute("UPDATE private.settings SET restart_grace = '0'")
        await database.close()
        return name

    return asyncio.run(make())


@pytest_asyncio.fixture
async def stage(cluster: Cluster, ready_template: str) -> AsyncGenerator[Stage]:
    """The system, with jobs that just ran and a process that leads them."""
    name = await cluster.create(ready_template)
    database = Database(name, cluster.admin_url(name), cluster.authenticator_url(name))
    admin, leader = await database.admin(), await database.admin()
    await admin.execute(SEEN_TO_RUN, JOBS)
    await leader.execute("SELECT pg_advisory_lock($1)", LEADER_LOCK)
    proof: list[LedgerCheck] = []

    async def prove() -> list[LedgerCheck]:
        if not proof:
            proof.extend(await recompute(database.admin_url, site.head))
        return proof

    site = Site(
        settings=msgspec.structs.replace(GOOD, database_url=database.admin_url),
        admin=admin,
        web=await database.as_role("authenticator"),
        prove=prove,
        head=await admin.fetchval("SELECT private.ledger_head() ->> 'hash'"),
        newest_backup=lambda: datetime.now(UTC) - timedelta(hours=3),
        fetch=_answering,
        space=lambda _folder: (100 * 2**30, 50 * 2**30),
    )
    yield Stage(site, admin, leader, database.authenticator_url)
    await database.close()
    await cluster.drop(name)
