"""The database of the model test beside its model: every step is done in both and judged."""

import asyncio
import json
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from tests.databases import Person
from tests.sql.publish_model import MAX_ACTIVE, MAX_SESSIONS, MAX_TILES, Key, Model, Stream
from tests.sql.world import World

T = TypeVar("T")

STREAMS, PEOPLE = 4, 6
SESSIONS = [UUID(int=n) for n in range(MAX_SESSIONS + 1)]  # the first is the default session

# One round trip per step: move the clock, do periodic work, look at everything.
STEP = """
CREATE FUNCTION private.test_step(p_advance interval, p_action text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_done integer;
BEGIN
    UPDATE private.test_clock SET now = now + p_advance;
    CASE p_action
        WHEN 'sweep' THEN PERFORM public.sweep_publish_state('-infinity');
        WHEN 'reconcile' THEN v_done := public.update_publish_state_from_viewers();
        WHEN 'cleanup' THEN v_done := public.cleanup_stale_viewers();
        WHEN 'look' THEN NULL;
    END CASE;
    RETURN jsonb_build_object('done', v_done, 'streams', (
        SELECT jsonb_object_agg(s.id, jsonb_build_object(
            'live', s.live_available, 'published', s.is_published, 'count', s.active_viewer_count,
            'epoch', s.publish_epoch, 'due', s.unpublish_due_at, 'why', private.why_json(s, true),
            'open', (SELECT count(*) FROM private.publish_intervals AS i
                     WHERE i.live_stream_id = s.id AND i.ended_at IS NULL),
            'ended', (SELECT jsonb_agg(i.ended_reason ORDER BY i.epoch)
                      FROM private.publish_intervals AS i
                      WHERE i.live_stream_id = s.id AND i.ended_at IS NOT NULL)))
        FROM public.live_streams AS s));
END $$;
"""
RESET = """
SET session_replication_role = replica;
TRUNCATE public.active_viewers;
DELETE FROM private.publish_intervals; DELETE FROM private.live_intervals;
DELETE FROM private.publisher_leases; DELETE FROM private.server_starts;
DELETE FROM public.blocks; DELETE FROM private.bans;
UPDATE public.live_streams SET live_available = false, live_since = NULL, is_published = false,
    live_ended_reason = NULL, active_viewer_count = 0, publish_epoch = 0, published_since = NULL,
    watched_until = NULL, unpublish_due_at = NULL, unpublish_reason = NULL;
UPDATE private.test_clock SET now = '2031-05-01 12:00:00+00';
SET session_replication_role = origin;
"""
SQL_CODES = {
    "lease_expired": "publisher_silent",
    "banned": "banned",
    "streamer_stopped": "not_live",
}


class Stage:
    """The database that all examples of a run share, and the loop to talk to it."""

    def __init__(self, runner: asyncio.Runner, world: World) -> None:
        """Take a world that has nobody in it yet."""
        self.runner, self.world = runner, world
        self.people: list[Person] = []
        self.streams: list[UUID] = []
        self.run(self._prepare())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for something to happen in the database."""
        return self.runner.run(work)

    async def _prepare(self) -> None:
        world = self.world
        await world.set_rule(
            max_tiles=MAX_TILES, max_active_tiles=MAX_ACTIVE, max_sessions=MAX_SESSIONS
        )
        await world.admin.execute(STEP)
        self.people = await world.people(*(f"person.{n}" for n in range(PEOPLE)))
        self.streams = [await world.live(person) for person in self.people[:STREAMS]]
        self.warden = await world.moderator()


class History:
    """One random history, in the database and in the model."""

    def __init__(self, stage: Stage) -> None:
        """Start from nobody live and nobody watching."""
        self.stage, self.world = stage, stage.world
        self.model = Model([Stream() for _ in range(STREAMS)])
        self.sequences = [0] * (PEOPLE * len(SESSIONS))
        stage.run(self.world.admin.execute(RESET))

    def service(self, function: str, **arguments: object) -> Any:
        return self.stage.run(self.world.call("service_role", function, **arguments))

    def refused(self, person: int, function: str, **arguments: object) -> str | None:
        return self.attempt(self.world.call(self.stage.people[person], function, **arguments))

    def attempt(self, work: Coroutine[Any, Any, object]) -> str | None:
        """Do something and return the code it is refused with, or None."""
        try:
            self.stage.run(work)
        except asyncpg.PostgresError as error:
            return error.sqlstate
        return None

    def sequence(self, key: Key, late: int) -> int:
        """Return the next sequence of a session, or one from its past."""
        place = key.viewer * len(SESSIONS) + key.session
        if late == 0:
            self.sequences[place] += 1
        return max(1, self.sequences[place] - late)

    def key(self, refusal: dict[str, str]) -> Key:
        ids = [person.id for person in self.stage.people]
        return Key(
            ids.index(UUID(refusal["viewer_id"])),
            SESSIONS.index(UUID(refusal["session_id"])),
            self.stage.streams.index(UUID(refusal["stream_id"])),
        )

    def keep_leases(self) -> None:
        """Let every studio be heard."""
        held = [
            (self.stage.streams[number], SESSIONS[stream.lease_session])
            for number, stream in enumerate(self.model.streams)
            if stream.live and stream.lease_session is not None
        ]
        answer = self.service(
            "record_publisher_heartbeats",
            p_stream_ids=[stream for stream, _ in held],
            p_session_ids=[session for _, session in held],
        )
        assert answer["lost"] == []
        for stream in self.model.streams:
            if stream.live:
                stream.lease_until = self.model.now + 60_000

    def look(self, asked: set[int] | None = None) -> None:
        """Judge all streams after a change; `asked` must be on now if watched."""
        self.model.settle()
        self._observe(0, "look", asked or set())

    def step(self, pause: int, action: str) -> int | None:
        """Let time pass, run a job, judge all streams."""
        self.model.pass_time(pause)
        if action in ("sweep", "reconcile"):
            self.model.expire_leases()
            self.model.settle()
        asked = set(range(STREAMS)) if action == "reconcile" else set[int]()
        return self._observe(pause, action, asked)

    def _observe(self, pause: int, action: str, asked: set[int]) -> int | None:
        text = self.stage.run(
            self.world.admin.fetchval(
                "SELECT private.test_step($1, $2)", timedelta(milliseconds=pause), action
            )
        )
        seen = json.loads(text)
        for number, id_ in enumerate(self.stage.streams):
            self._check(number, seen["streams"][str(id_)], action, asked)
        return seen["done"]

    def _check(self, number: int, seen: dict[str, Any], action: str, asked: set[int]) -> None:
        stream, published = self.model.streams[number], seen["published"]
        swept = action in ("sweep", "reconcile")
        wrong = self.model.judge(number, published, swept=swept, asked=number in asked)
        assert wrong is None, f"stream {number} at {self.model.now}: {wrong} ({seen})"
        assert seen["live"] == stream.live
        assert seen["epoch"] == stream.epoch + (published != stream.published)
        if stream.published and not published:
            self._check_reason(stream, seen["ended"][-1])
        self._check_count(number, seen["count"], exact=action == "reconcile")
        self._check_records(stream, seen)
        stream.epoch = seen["epoch"]
        self.model.follow(number, published=published)
        assert sum(at > self.model.now - 60_000 for at in stream.offs) <= 4

    def _check_reason(self, stream: Stream, reason: str) -> None:
        """The recorded reason is the one that happened."""
        if not stream.live:
            assert reason == stream.ended_reason
        else:
            assert reason in ("viewers_left", "viewers_silent")

    def _check_count(self, number: int, count: int, *, exact: bool) -> None:
        """Nobody who watches is missed; the silent may be counted until the reconciler comes."""
        viewers = self.model.viewers(number)
        assert count == viewers if exact else count >= viewers
        if not self.model.streams[number].live:
            assert count == 0

    def _check_records(self, stream: Stream, seen: dict[str, Any]) -> None:
        """Intervals mirror the transitions, and the explanation agrees with the state."""
        why, published = seen["why"], seen["published"]
        assert seen["open"] == int(published)
        assert len(seen["ended"] or []) == seen["epoch"] // 2
        assert seen["epoch"] % 2 == int(published)
        assert (why["is_published"], why["epoch"], why["until"]) == (
            published,
            seen["epoch"],
            seen["due"],
        )
        if not stream.live:
            assert why["code"] == SQL_CODES.get(stream.ended_reason, "not_live")
        elif not published:
            assert why["code"] == "nobody_watching"
        elif seen["count"]:
            assert why["code"] == "watched"
        else:
            assert why["code"] in ("lingering", "steadied", "after_restart")
            assert seen["due"] is None or stream.quiet_at is not None
