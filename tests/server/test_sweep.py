"""The sweep tells of every change, also of one that was committed long after it was written."""

from uuid import UUID

import pytest

from livewall import jobs
from livewall.db import Database as Pool
from livewall.errors import Refusal
from tests.databases import Database

WRITTEN = (
    "UPDATE public.live_streams SET changed_at = clock_timestamp() - interval '{seconds} seconds'"
)


@pytest.mark.spec("S16")
async def test_a_change_committed_late_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    streamer = await database.as_person(await database.person("streamer"))
    await streamer.execute("SELECT public.start_stream('Hello', $1)", UUID(int=0))
    pool = Pool(database.authenticator_url, size=1)
    told: list[UUID] = []
    sweeper = jobs.Sweeper(pool, lambda changes: told.extend(c.stream.id for c in changes))
    try:
        await sweeper.sweep()
        told.clear()
        admin = await database.admin()
        await admin.execute("SET session_replication_role = replica")
        # Idle for 30 s, then a statement of 8 s, and seen only 3 s after the commit.
        await admin.execute(WRITTEN.format(seconds=30 + 8 + 3))
        for _ in range(jobs.LONG_EVERY - 1):
            await sweeper.sweep()
        assert told == [], "short looks do not reach so far"
        with monkeypatch.context() as away:
            away.setattr(pool, "call", _refuse)
            with pytest.raises(Refusal):
                await sweeper.sweep()
        await sweeper.sweep()
        assert len(told) == 1, "a long look that failed is taken again"
    finally:
        await pool.close()


async def _refuse(*_arguments: object, **_named: object) -> None:
    raise Refusal("database_away")
