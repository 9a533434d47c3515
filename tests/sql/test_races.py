"""Many connections at once, on the real clock: one step per change, no deadlock, one truth."""

import asyncio
import json
import random
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from time import monotonic
from uuid import UUID

import asyncpg
import pytest

from livewall.code_catalog import Connection
from livewall.db import Caller
from livewall.db import Database as Pool
from livewall.migrate import migrate
from livewall.sql_files import SQL_FOLDER
from tests.databases import Database, Person

BEATS = "SELECT public.record_heartbeats($1, $2, $3, $4, $5)"
LEAVES = "SELECT public.record_leaves($1, $2, $3, $4)"
SESSION = UUID(int=0)
SECONDS = 5.0

# What the rows say, beside what the streams say; a camera may linger, never be on while not live.
TRUTH = """
SELECT s.id, s.live_available, s.is_published, s.active_viewer_count, (
    SELECT count(DISTINCT a.viewer_id)::integer FROM active_viewers AS a
    WHERE a.live_stream_id = s.id AND s.live_available AND a.is_watching
        AND a.last_active_at > clock_timestamp() - interval '60 seconds') AS viewers,
    s.publish_epoch, s.unpublish_due_at IS NOT NULL AS lingers,
    (SELECT count(*)::integer FROM private.publish_intervals AS i WHERE i.live_stream_id = s.id)
        AS intervals
FROM live_streams AS s
"""
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


async def streams_of(database: Database, people: list[Person]) -> list[UUID]:
    """Make everybody live, without the grace that a fresh database gives; return their streams."""
    admin = await database.admin()
    await admin.execute("UPDATE private.settings SET restart_grace = '0'")
    found: list[UUID] = []
    for person in people:
        connection = await database.as_person(person)
        text = await connection.fetchval("SELECT public.start_stream('Hello', $1)", SESSION)
        found.append(UUID(json.loads(text)["stream"]["id"]))
    return found


@pytest.mark.spec("S14", "S15")
async def test_twenty_first_heartbeats_at_once_are_one_step(database: Database) -> None:
    people = [await database.person(f"person.{n}") for n in range(21)]
    [stream] = await streams_of(database, people[:1])
    viewers = [await database.as_person(person) for person in people[1:]]
    call = "SELECT public.update_viewer_heartbeat($1)"
    await asyncio.gather(*(viewer.fetchval(call, stream) for viewer in viewers))
    admin = await database.admin()
    [row] = await admin.fetch(TRUTH)
    assert (row["is_published"], row["active_viewer_count"], row["publish_epoch"]) == (True, 20, 1)
    assert row["intervals"] == 1


class Crowd:
    """Everybody who acts at once in the race: each `..._once` is one act of theirs."""

    def __init__(self, people: list[Person], streams: list[UUID]) -> None:
        """Take streamers, who come first in `people`, with their streams, and others."""
        self.people, self.streams = people, streams
        self.sequence = 0
        self.random = random.Random(1)  # noqa: S311 - no secret
        self.acts = 0

    def _pairs(self, count: int) -> tuple[list[UUID], list[UUID], list[int]]:
        """Return distinct streams and viewers with fresh sequences."""
        pairs = {
            (self.random.choice(self.streams), self.random.choice(self.people).id)
            for _ in range(count)
        }
        pairs = self.random.sample(sorted(pairs), len(pairs))
        self.sequence += 1
        return [p[0] for p in pairs], [p[1] for p in pairs], [self.sequence] * len(pairs)

    async def beat_once(self, connection: Connection) -> None:
        """A server's batch; what it refuses for limits is refused."""
        streams, viewers, sequences = self._pairs(20)
        flags = [self.random.choice([15, 15, 14, 11]) for _ in streams]
        await connection.execute(
            BEATS, streams, viewers, [SESSION] * len(streams), sequences, flags
        )

    async def leave_once(self, connection: Connection) -> None:
        """A server's batch of leaves."""
        streams, viewers, sequences = self._pairs(5)
        await connection.execute(LEAVES, viewers, [SESSION] * len(streams), sequences, streams)

    async def sweep_once(self, connection: Connection) -> None:
        """The periodic work, all of it."""
        await connection.execute("SELECT public.sweep_publish_state(now() - interval '5 seconds')")
        await connection.execute("SELECT public.update_publish_state_from_viewers()")
        await connection.execute("SELECT public.cleanup_stale_viewers()")
        await connection.execute("SELECT public.remove_old_records()")

    async def write_once(self, connection: Connection) -> None:
        """A viewer's own plain SQL over all their rows."""
        await connection.execute("UPDATE active_viewers SET is_visible = NOT is_visible")

    async def flip_once(self, connection: Connection) -> None:
        """A streamer's plain SQL: on and off."""
        await connection.execute("UPDATE live_streams SET live_available = NOT live_available")

    async def block_once(self, person: Person, connection: Connection) -> None:
        """Two people fall out and make up: often two streamers with each other."""
        others = [other for other in self.people if other != person]
        name = self.random.choice(others[:3] + others).name
        await connection.execute("SELECT public.block($1)", name)
        await connection.execute("SELECT public.unblock($1)", name)

    async def watch_once(self, connection: Connection) -> None:
        """A streamer watches another by SQL, and stops."""
        stream = self.random.choice(self.streams)
        await connection.execute("SELECT public.update_viewer_heartbeat($1)", stream)
        await connection.execute("DELETE FROM active_viewers WHERE live_stream_id = $1", stream)

    async def ban_once(self, connection: Connection) -> None:
        """A moderator bans a streamer or a viewer and thinks better of it."""
        name = self.random.choice(self.people[3:]).name
        await connection.execute("SELECT public.ban_profile($1, 'spam')", name)
        await connection.execute("SELECT public.unban_profile($1)", name)

    async def keep(
        self, act: Callable[[Connection], Awaitable[None]], connection: Connection, end: float
    ) -> None:
        """Repeat an act until the end; refusals by rule are part of life, deadlocks are not."""
        while monotonic() < end:
            try:
                await act(connection)
            except asyncpg.PostgresError as error:
                if not (error.sqlstate or "").startswith("LW"):
                    raise
            self.acts += 1


@pytest.mark.spec("S14", "S16", "S17")
@pytest.mark.abuse("A6", "A12")
async def test_everybody_at_once_ends_in_what_the_rows_say(database: Database) -> None:
    people = [await database.person(f"person.{n}") for n in range(12)]
    crowd = Crowd(people, await streams_of(database, people[:4]))
    service = [await database.as_role("service_role") for _ in range(4)]
    viewers = [await database.as_person(person) for person in people[4:7]]
    streamers = [await database.as_person(person) for person in people[:4]]
    watching = [await database.as_person(person) for person in people[1:4]]
    warden = await database.person("warden")
    await service[0].execute("SELECT public.grant_staff_role($1, 'moderator')", warden.id)
    moderator = await database.as_person(warden)
    end = monotonic() + SECONDS
    await asyncio.gather(
        crowd.keep(crowd.beat_once, service[0], end),
        crowd.keep(crowd.beat_once, service[1], end),
        crowd.keep(crowd.leave_once, service[2], end),
        crowd.keep(crowd.sweep_once, service[3], end),
        *(crowd.keep(crowd.write_once, viewer, end) for viewer in viewers),
        crowd.keep(crowd.flip_once, streamers[0], end),
        *(
            crowd.keep(partial(crowd.block_once, person), streamer, end)
            for person, streamer in zip(people[1:4], streamers[1:], strict=True)
        ),
        *(crowd.keep(crowd.watch_once, streamer, end) for streamer in watching),
        crowd.keep(crowd.ban_once, moderator, end),
    )
    assert crowd.acts > 100
    await service[0].execute("SELECT public.update_publish_state_from_viewers()")
    admin = await database.admin()
    assert await admin.fetchval(DEADLOCKS) == 0
    for row in await admin.fetch(TRUTH):
        assert row["active_viewer_count"] == row["viewers"]
        assert row["intervals"] == (row["publish_epoch"] + 1) // 2
        wanted = row["live_available"] and (row["viewers"] > 0 or row["lingers"])
        assert row["is_published"] == wanted, dict(row)


@pytest.mark.spec("D8")
async def test_code_is_recreated_under_load_without_an_error(
    database: Database, tmp_path: Path
) -> None:
    people = [await database.person(f"person.{n}") for n in range(4)]
    [stream, *_] = await streams_of(database, people[:1])
    pool = Pool(database.authenticator_url, size=4)
    done = 0
    running = True

    async def keep_calling(person: Person) -> None:
        nonlocal done
        caller = Caller("authenticated", person.id)
        while running:
            await pool.call_json(caller, "update_viewer_heartbeat", {"p_live_stream_id": stream})
            done += 1

    calling = [asyncio.create_task(keep_calling(person)) for person in people]
    try:
        for turn in range(3):
            folder = tmp_path / f"sql{turn}"
            shutil.copytree(SQL_FOLDER, folder)
            for file in ("presence", "publishing", "foundation"):
                changed = folder / "code" / f"{file}.sql"
                changed.write_text(changed.read_text() + f"\n-- turn {turn}\n")
            before = done
            assert (await migrate(database.admin_url, folder)).code
            await asyncio.sleep(0.1)
            assert done > before, "calls go on"
    finally:
        running = False
        results = await asyncio.gather(*calling, return_exceptions=True)
        await pool.close()
    assert results == [None] * 4
