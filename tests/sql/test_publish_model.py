"""Random histories of viewers, streamers and jobs against the rules in `publish_model`.

A quick profile runs by default; HYPOTHESIS_PROFILE=deep runs many more and longer histories.
"""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
)

from tests.databases import Cluster
from tests.sql.histories import DEEP, run_histories
from tests.sql.publish_history import PEOPLE, SESSIONS, STREAMS, History, Stage
from tests.sql.publish_model import WATCHING, Key
from tests.sql.world import START, tab

# Examples, and steps of each.
SIZE = (1500, 80) if DEEP else (60, 40)

UPSERT = """
INSERT INTO active_viewers
    (live_stream_id, session_id, is_active, is_unmuted, is_visible, is_subscribed)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (viewer_id, session_id, live_stream_id) DO UPDATE
SET is_active = $3, is_unmuted = $4, is_visible = $5, is_subscribed = $6
"""
people = st.integers(0, PEOPLE - 1)
streamers = st.integers(0, STREAMS - 1)
sessions = st.integers(0, len(SESSIONS) - 1)
flags = st.sampled_from([WATCHING, WATCHING, WATCHING, 14, 11, 7, 0])
pauses = st.sampled_from(
    [100, 250, 250, 1000, 2500, 4999, 5000, 5001, 10_000, 12_000, 20_000, 55_000, 60_000, 61_000]
)
keys = st.builds(Key, people, sessions, streamers)
lateness = st.sampled_from([0, 0, 0, 0, 1, 3])


class PublishMachine(RuleBasedStateMachine):
    """One random history; every rule ends by looking at all streams and judging each."""

    def __init__(self, stage: Stage) -> None:
        """Start from nobody live and nobody watching."""
        super().__init__()
        self.history = History(stage)
        self.model, self.stage, self.world = self.history.model, stage, stage.world

    # -- the audience

    @rule(wanted=st.dictionaries(keys, flags, min_size=1, max_size=6), late=lateness)
    def heartbeats(self, wanted: dict[Key, int], late: int) -> None:
        """A server's batch; late ones carry a sequence that was used before."""
        beats = {key: (self.history.sequence(key, late), flag) for key, flag in wanted.items()}
        expected = self.model.heartbeats(beats)
        answer = self.history.service(
            "record_heartbeats",
            p_stream_ids=[self.stage.streams[key.stream] for key in beats],
            p_viewer_ids=[self.stage.people[key.viewer].id for key in beats],
            p_session_ids=[SESSIONS[key.session] for key in beats],
            p_sequences=[sequence for sequence, _ in beats.values()],
            p_flags=[flag for _, flag in beats.values()],
        )
        got = {self.history.key(refusal): refusal["code"] for refusal in answer["refused"]}
        assert got == expected
        self.history.look(asked={key.stream for key in beats if key not in expected})

    @rule(key=keys, flag=flags)
    def heartbeat(self, key: Key, flag: int) -> None:
        """A single call of S15 by a client that speaks SQL."""
        row = self.model.rows.get(key)
        if key.viewer in self.model.banned:
            expected = {key: "LW002"}
        else:
            expected = self.model.heartbeats({key: (row.sequence + 1 if row else 1, flag)})
        code = self.history.refused(
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
        self.history.look(asked=set() if code else {key.stream})

    @rule(key=keys, flag=flags)
    def direct_write(self, key: Key, flag: int) -> None:
        """An upsert by plain SQL (S6)."""
        banned = key.viewer in self.model.banned
        expected = "42501" if banned else self.model.write(key, flag)
        bits = [flag & bit > 0 for bit in (1, 2, 4, 8)]
        code = self.history.attempt(
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
        self.history.look(asked=set() if code else {key.stream})

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
        self.history.look()

    @rule(viewer=people, session=sessions, stream=st.none() | streamers, late=lateness)
    def leave(self, viewer: int, session: int, stream: int | None, late: int) -> None:
        """A clean leave of a tile or a whole session, perhaps overtaken by a heartbeat."""
        sequence = self.history.sequence(Key(viewer, session, 0), late)
        self.model.leave(viewer, session, sequence, stream)
        self.history.service(
            "record_leaves",
            p_viewer_ids=[self.stage.people[viewer].id],
            p_session_ids=[SESSIONS[session]],
            p_sequences=[sequence],
            p_stream_ids=[None if stream is None else self.stage.streams[stream]],
        )
        self.history.look()

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
        self.history.look()

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
        self.history.look()
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
            self.history.step(0, "sweep")
        held = stream.lease_session not in (None, session) and stream.lease_until > self.model.now
        expected = "LW002" if streamer in self.model.banned else None
        if expected is None and stream.live and held and not take_over:
            expected = "LW030"
        was_live = stream.live
        if expected is None and not was_live:
            expected = self.model.start_refusal(streamer)
        code = self.history.refused(
            streamer,
            "start_stream",
            p_title="Hello",
            p_session_id=SESSIONS[session],
            p_take_over=take_over,
        )
        assert code == expected
        if code is None:
            self.model.go_live(streamer, session)
        self.history.look(asked=set() if code or was_live else {streamer})

    @rule(streamer=streamers, live=st.booleans())
    def flip_by_sql(self, streamer: int, *, live: bool) -> None:
        """The owner's plain UPDATE of live_available (S5)."""
        stream = self.model.streams[streamer]
        turns_on = live and not stream.live and streamer not in self.model.banned
        expected = self.model.start_refusal(streamer) if turns_on else None
        code = self.history.attempt(
            self.world.done(
                self.stage.people[streamer],
                "UPDATE live_streams SET live_available = $1",
                live,
            )
        )
        assert code == expected
        if turns_on and code is None:
            self.model.go_live(streamer, 0)
        elif not live and streamer not in self.model.banned:
            self.model.end_live(streamer, "streamer_stopped")
        self.history.look(asked={streamer} if turns_on and code is None else set())

    @rule(streamer=streamers)
    def stop(self, streamer: int) -> None:
        """Stop by the function."""
        expected = "LW002" if streamer in self.model.banned else None
        if expected is None and not self.model.streams[streamer].live:
            expected = "LW033"
        assert self.history.refused(streamer, "stop_stream") == expected
        if expected is None:
            self.model.end_live(streamer, "streamer_stopped")
        self.history.look()

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
        self.history.look()

    # -- time and the periodic work

    @rule(
        pause=pauses,
        action=st.sampled_from(["look", "sweep", "sweep", "reconcile"]),
        keep=st.booleans(),
    )
    def pass_time(self, pause: int, action: str, *, keep: bool) -> None:
        """Time passes; perhaps a job runs, perhaps the studios are heard."""
        if keep:
            self.history.keep_leases()
        self.history.step(pause, action)

    @rule(seconds=st.integers(5, 40), period=st.sampled_from([1, 2]))
    def run_a_server(self, seconds: int, period: int) -> None:
        """A stretch with the fast tick running and studios alive."""
        for _ in range(0, seconds, period):
            self.history.keep_leases()
            self.history.step(period * 1000, "sweep")

    @rule(times=st.integers(1, 4))
    def run_without_server(self, times: int) -> None:
        """A stretch in which only a scheduler's reconciler runs."""
        for _ in range(times):
            self.history.keep_leases()
            self.history.step(12_000, "reconcile")

    @rule()
    def cleanup(self) -> None:
        """The cleanup job (S17)."""
        removed = self.model.cleanup()
        assert self.history.step(0, "cleanup") == removed

    @rule(crash=st.booleans())
    def restart(self, *, crash: bool) -> None:
        """A server starts; after a crash of the database the viewing records are gone."""
        if crash:
            self.stage.run(self.world.admin.execute("TRUNCATE active_viewers"))
            self.model.rows.clear()
        self.history.service("register_server_start", p_server_id=tab())
        self.model.grace_until = self.model.now + 15_000
        self.model.settle()
        self.history.step(0, "reconcile")

    def teardown(self) -> None:
        """At the end: intervals in order, never overlapping, and silence ends everything."""
        for _ in range(8):
            self.history.step(15_000, "reconcile")
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
    run_histories(cluster, world_template, Stage, PublishMachine, SIZE)
