"""Random histories of viewers, streamers and jobs against the rules in `publish_model`.

A quick profile runs by default; HYPOTHESIS_PROFILE=deep runs many more and longer histories.
"""

import asyncio
import json
import os
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar, cast
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from tests.databases import Cluster, Person
from tests.sql.publish_model import (
    MAX_ACTIVE,
    MAX_SESSIONS,
    MAX_TILES,
    WATCHING,
    Key,
    Model,
    Stream,
)
from tests.sql.world import START, World, new_world, tab

T = TypeVar("T")

STREAMS, PEOPLE = 4, 6
EXAMPLES, STEPS = (1500, 80) if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else (60, 40)
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
UPSERT = """
INSERT INTO active_viewers
    (live_stream_id, session_id, is_active, is_unmuted, is_visible, is_subscribed)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (viewer_id, session_id, live_stream_id) DO UPDATE
SET is_active = $3, is_unmuted = $4, is_visible = $5, is_subscribed = $6
"""
SQL_CODES = {
    "lease_expired": "publisher_silent",
    "banned": "banned",
    "streamer_stopped": "not_live",
}

people = st.integers(0, PEOPLE - 1)
streamers = st.integers(0, STREAMS - 1)
sessions = st.integers(0, len(SESSIONS) - 1)
flags = st.sampled_from([WATCHING, WATCHING, WATCHING, 14, 11, 7, 0])
pauses = st.sampled_from(
    [100, 250, 250, 1000, 2500, 4999, 5000, 5001, 10_000, 12_000, 20_000, 55_000, 60_000, 61_000]
)
keys = st.builds(Key, people, sessions, streamers)
lateness = st.sampled_from([0, 0, 0, 0, 1, 3])


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


class PublishMachine(RuleBasedStateMachine):
    """One random history; every rule ends by looking at all streams and judging each."""

    def __init__(self, stage: Stage) -> None:
        """Start from nobody live and nobody watching."""
        super().__init__()
        self.stage, self.world = stage, stage.world
        self.model = Model([Stream() for _ in range(STREAMS)])
        self.sequences = [0] * (PEOPLE * len(SESSIONS))
        stage.run(self.world.admin.execute(RESET))

    # -- the audience

    @rule(wanted=st.dictionaries(keys, flags, min_size=1, max_size=6), late=lateness)
    def heartbeats(self, wanted: dict[Key, int], late: int) -> None:
        """A server's batch; late ones carry a sequence that was used before."""
        beats = {key: (self._sequence(key, late), flag) for key, flag in wanted.items()}
        expected = self.model.heartbeats(beats)
        answer = self._service(
            "record_heartbeats",
            p_stream_ids=[self.stage.streams[key.stream] for key in beats],
            p_viewer_ids=[self.stage.people[key.viewer].id for key in beats],
            p_session_ids=[SESSIONS[key.session] for key in beats],
            p_sequences=[sequence for sequence, _ in beats.values()],
            p_flags=[flag for _, flag in beats.values()],
        )
        got = {self._key(refusal): refusal["code"] for refusal in answer["refused"]}
        assert got == expected
        self._look(asked={key.stream for key in beats if key not in expected})

    @rule(key=keys, flag=flags)
    def heartbeat(self, key: Key, flag: int) -> None:
        """A single call of S15 by a client that speaks SQL."""
        row = self.model.rows.get(key)
        if key.viewer in self.model.banned:
            expected = {key: "LW002"}
        else:
            expected = self.model.heartbeats({key: (row.sequence + 1 if row else 1, flag)})
        code = self._refused(
            key.viewer,
            "update_viewer_heartbeat",
            p_live_stream_id=self.stage.streams[key.stream],
            p_session_id=SESSIONS[key.session],
            p_is_active=flag & 1 > 0,
            p_is_unmuted=flag & 2 > 0,
            p_is_visible=flag & 4 > 0,
            p_is_subscribed=flag & 8 > 0,
        )
        # Who is banned hears that first, whatever else is wrong.
        banned = key.viewer in self.model.banned
        assert code == ("LW002" if banned else expected.get(key))
        self._look(asked=set() if code else {key.stream})

    @rule(key=keys, flag=flags)
    def direct_write(self, key: Key, flag: int) -> None:
        """An upsert by plain SQL (S6)."""
        banned = key.viewer in self.model.banned
        expected = "42501" if banned else self.model.write(key, flag)
        bits = [flag & bit > 0 for bit in (1, 2, 4, 8)]
        code = self._attempt(
            self.world.done(
                self.stage.people[key.viewer],
                UPSERT,
                self.stage.streams[key.stream],
                SESSIONS[key.session],
                *bits,
            )
        )
        # The policy's first condition turns the banned away, without a code of ours.
        banned = key.viewer in self.model.banned
        assert code == ("42501" if banned else expected)
        self._look(asked=set() if code else {key.stream})

    @rule(viewer=people, streams=st.sets(streamers, min_size=1))
    def direct_delete(self, viewer: int, streams: set[int]) -> None:
        """A DELETE by plain SQL: also a way to leave."""
        self.stage.run(
            self.world.done(
                self.stage.people[viewer],
                "DELETE FROM active_viewers WHERE live_stream_id = ANY ($1)",
                [self.stage.streams[stream] for stream in streams],
            )
        )
        self.model.forget(viewer, streams)
        self._look()

    @rule(viewer=people, session=sessions, stream=st.none() | streamers, late=lateness)
    def leave(self, viewer: int, session: int, stream: int | None, late: int) -> None:
        """A clean leave of a tile or a whole session, perhaps overtaken by a heartbeat."""
        sequence = self._sequence(Key(viewer, session, 0), late)
        self.model.leave(viewer, session, sequence, stream)
        self._service(
            "record_leaves",
            p_viewer_ids=[self.stage.people[viewer].id],
            p_session_ids=[SESSIONS[session]],
            p_sequences=[sequence],
            p_stream_ids=[None if stream is None else self.stage.streams[stream]],
        )
        self._look()

    @rule(person=people, streamer=streamers, undo=st.booleans())
    def block(self, person: int, streamer: int, *, undo: bool) -> None:
        """A viewer blocks a streamer, or takes it back."""
        if person == streamer:
            return
        name = self.stage.people[streamer].name
        if person in self.model.banned:
            return
        if undo:
            self.stage.run(self.world.call(self.stage.people[person], "unblock", p_name=name))
            self.model.blocks.discard((person, streamer))
        else:
            self.stage.run(self.world.call(self.stage.people[person], "block", p_name=name))
            if (person, streamer) not in self.model.blocks:
                self.model.forget(person, {streamer})
                self.model.forget(streamer, {person})
            self.model.blocks.add((person, streamer))
        self._look()

    @rule(person=people, seconds=st.sampled_from([None, 30]))
    def ban(self, person: int, seconds: int | None) -> None:
        """A moderator bans somebody; half of the time it is lifted at once."""
        name = self.stage.people[person].name
        warden = self.stage.warden
        self.stage.run(self.world.call(warden, "ban_profile", p_name=name, p_reason="test"))
        self.model.forget(person, set(range(STREAMS)))
        if person < STREAMS:
            self.model.end_live(person, "banned")
        self.model.banned.add(person)
        self._look()
        if seconds:
            self.stage.run(self.world.call(warden, "unban_profile", p_name=name))
            self.model.banned.discard(person)

    # -- the streamers

    @initialize(streamer=st.sets(streamers, min_size=2))
    def begin(self, streamer: set[int]) -> None:
        """Some are live from the start."""
        for number in sorted(streamer):
            self.go_live(number, 0, take_over=False)

    @rule(streamer=streamers, session=sessions, take_over=st.booleans())
    def go_live(self, streamer: int, session: int, *, take_over: bool) -> None:
        """Start or take over."""
        stream = self.model.streams[streamer]
        if stream.live and stream.lease_until <= self.model.now:
            # A lapsed lease ends being live: by the sweep, or by start_stream (test_streams.py).
            if self.model.grace_until > self.model.now:
                return
            self._step(0, "sweep")
        held = stream.lease_session not in (None, session) and stream.lease_until > self.model.now
        expected = "LW002" if streamer in self.model.banned else None
        if expected is None and stream.live and held and not take_over:
            expected = "LW030"
        was_live = stream.live
        if expected is None and not was_live:
            expected = self.model.start_refusal(streamer)
        code = self._refused(
            streamer,
            "start_stream",
            p_title="Hello",
            p_session_id=SESSIONS[session],
            p_take_over=take_over,
        )
        assert code == expected
        if code is None:
            self.model.go_live(streamer, session)
        self._look(asked=set() if code or was_live else {streamer})

    @rule(streamer=streamers, live=st.booleans())
    def flip_by_sql(self, streamer: int, *, live: bool) -> None:
        """The owner's plain UPDATE of live_available (S5)."""
        stream = self.model.streams[streamer]
        turns_on = live and not stream.live and streamer not in self.model.banned
        expected = self.model.start_refusal(streamer) if turns_on else None
        code = self._attempt(
            self.world.done(
                self.stage.people[streamer], "UPDATE live_streams SET live_available = $1", live
            )
        )
        assert code == expected
        if turns_on and code is None:
            self.model.go_live(streamer, 0)
        elif not live and streamer not in self.model.banned:
            self.model.end_live(streamer, "streamer_stopped")
        self._look(asked={streamer} if turns_on and code is None else set())

    @rule(streamer=streamers)
    def stop(self, streamer: int) -> None:
        """Stop by the function."""
        expected = "LW002" if streamer in self.model.banned else None
        if expected is None and not self.model.streams[streamer].live:
            expected = "LW033"
        assert self._refused(streamer, "stop_stream") == expected
        if expected is None:
            self.model.end_live(streamer, "streamer_stopped")
        self._look()

    @rule(streamer=streamers, session=sessions)
    def keep_lease(self, streamer: int, session: int) -> None:
        """A publisher's heartbeat, from the right session or another."""
        stream = self.model.streams[streamer]
        holds = stream.live and stream.lease_session == session
        answer = self.stage.run(
            self.world.keep_lease(self.stage.streams[streamer], SESSIONS[session])
        )
        assert (answer["lost"] == []) == holds
        if holds:
            stream.lease_until = self.model.now + 60_000
        self._look()

    # -- time and the periodic work

    @rule(
        pause=pauses,
        action=st.sampled_from(["look", "sweep", "sweep", "reconcile"]),
        keep=st.booleans(),
    )
    def pass_time(self, pause: int, action: str, *, keep: bool) -> None:
        """Time passes; perhaps a job runs, perhaps the studios are heard."""
        if keep:
            self._keep_leases()
        self._step(pause, action)

    @rule(seconds=st.integers(5, 40), period=st.sampled_from([1, 2]))
    def run_a_server(self, seconds: int, period: int) -> None:
        """A stretch with the fast tick running and studios alive."""
        for _ in range(0, seconds, period):
            self._keep_leases()
            self._step(period * 1000, "sweep")

    @rule(times=st.integers(1, 4))
    def run_without_server(self, times: int) -> None:
        """A stretch in which only a scheduler's reconciler runs."""
        for _ in range(times):
            self._keep_leases()
            self._step(12_000, "reconcile")

    @rule()
    def cleanup(self) -> None:
        """The cleanup job (S17)."""
        removed = self.model.cleanup()
        assert self._step(0, "cleanup") == removed

    @rule(crash=st.booleans())
    def restart(self, *, crash: bool) -> None:
        """A server starts; after a crash of the database the viewing records are gone."""
        if crash:
            self.stage.run(self.world.admin.execute("TRUNCATE active_viewers"))
            self.model.rows.clear()
        self._service("register_server_start", p_server_id=tab())
        self.model.grace_until = self.model.now + 15_000
        self.model.settle()
        self._step(0, "reconcile")

    # -- plumbing

    def _service(self, function: str, **arguments: object) -> Any:
        return self.stage.run(self.world.call("service_role", function, **arguments))

    def _refused(self, person: int, function: str, **arguments: object) -> str | None:
        return self._attempt(self.world.call(self.stage.people[person], function, **arguments))

    def _attempt(self, work: Coroutine[Any, Any, object]) -> str | None:
        """Do something and return the code it is refused with, or None."""
        try:
            self.stage.run(work)
        except asyncpg.PostgresError as error:
            return error.sqlstate
        return None

    def _sequence(self, key: Key, late: int) -> int:
        """Return the next sequence of a session, or one from its past."""
        place = key.viewer * len(SESSIONS) + key.session
        if late == 0:
            self.sequences[place] += 1
        return max(1, self.sequences[place] - late)

    def _key(self, refusal: dict[str, str]) -> Key:
        ids = [person.id for person in self.stage.people]
        return Key(
            ids.index(UUID(refusal["viewer_id"])),
            SESSIONS.index(UUID(refusal["session_id"])),
            self.stage.streams.index(UUID(refusal["stream_id"])),
        )

    def _keep_leases(self) -> None:
        """Let every studio be heard."""
        held = [
            (self.stage.streams[number], SESSIONS[stream.lease_session])
            for number, stream in enumerate(self.model.streams)
            if stream.live and stream.lease_session is not None
        ]
        answer = self._service(
            "record_publisher_heartbeats",
            p_stream_ids=[stream for stream, _ in held],
            p_session_ids=[session for _, session in held],
        )
        assert answer["lost"] == []
        for stream in self.model.streams:
            if stream.live:
                stream.lease_until = self.model.now + 60_000

    def _look(self, asked: set[int] | None = None) -> None:
        """Judge all streams after a change; `asked` must be on now if watched."""
        self.model.settle()
        self._observe(0, "look", asked or set())

    def _step(self, pause: int, action: str) -> int | None:
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

    def teardown(self) -> None:
        """At the end: intervals in order, never overlapping, and silence ends everything."""
        for _ in range(8):
            self._step(15_000, "reconcile")
        assert not any(stream.published for stream in self.model.streams)
        overlaps = self.stage.run(
            self.world.rows(
                "SELECT a.epoch FROM private.publish_intervals AS a"
                " JOIN private.publish_intervals AS b"
                " ON b.live_stream_id = a.live_stream_id AND b.epoch > a.epoch"
                " WHERE b.started_at < a.ended_at OR a.ended_at IS NULL OR a.epoch % 2 = 0"
            )
        )
        assert overlaps == []


@pytest.mark.spec("S13", "S14", "S16", "S17", "S18", "S39")
@pytest.mark.abuse("A5", "A6", "A7")
def test_publish_state_follows_its_rules(cluster: Cluster, world_template: str) -> None:
    assert START.year == 2031, "RESET sets the same moment"
    with asyncio.Runner() as runner:
        opened = new_world(cluster, world_template)
        world = runner.run(opened.__aenter__())
        try:
            stage = Stage(runner, world)
            run_state_machine_as_test(
                cast("type[RuleBasedStateMachine]", lambda: PublishMachine(stage)),
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    database=None,
                    derandomize=STEPS == 40,
                    print_blob=True,
                    phases=[Phase.generate, Phase.shrink],
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
