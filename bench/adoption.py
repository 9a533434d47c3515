"""Moving a database of the previous schema with 100,000 people in it, by the command for it."""

import asyncio
import sys
import time

import asyncpg

from bench.figures import Figure, say, shown
from bench.product import data_folder, environ_for
from livewall import embedded
from tests.sql.previous import damage, settle

PEOPLE = 100_000
LIMIT_SECONDS = 60


async def adopt_figures() -> list[Figure]:
    """Measure `livewall db adopt --apply` on a database on disk, with fsync."""
    with data_folder() as folder, embedded.running(folder) as server:
        url = server.url()
        say(f"  {PEOPLE} people in the previous schema")
        connection = await asyncpg.connect(url)
        await settle(connection, PEOPLE)
        await damage(connection)
        await connection.close()
        environ = environ_for(folder, 0) | {"DATABASE_URL": url}
        seconds = await _timed(environ, "db", "adopt", "--apply")
        await _timed(environ, "ledger", "verify")
    return [
        shown(Figure(f"adopt of {PEOPLE:,} users", "s", LIMIT_SECONDS, (seconds,))),
    ]


async def _timed(environ: dict[str, str], *arguments: str) -> float:
    """Run the command, which has to succeed, and return how long it took."""
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "livewall", *arguments),
        env=environ,
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0
    return round(time.monotonic() - started, 1)
