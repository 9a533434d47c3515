"""The publish-state rules once more, in plain Python: who counts, who is refused, what may change.

All times are milliseconds since the start of an example. The model knows every viewing record and
predicts what a heartbeat, a leave or a direct write does to it. Of the camera it predicts no exact
moment; it says which transitions are allowed, forced or forbidden (`judge`).
"""

from dataclasses import dataclass, field
from typing import NamedTuple

SILENCE = 60_000
LINGER = 5_000
MINIMUM_ON = 10_000
GRACE = 15_000
LEASE = 60_000
MINUTE = 60_000
RAISE_STEP = 5_000  # watched_until may lag behind the newest heartbeat by this much
MAX_OFF = 4
MAX_TILES = 3
MAX_ACTIVE = 2
MAX_SESSIONS = 2

WATCHING = 15


class Key(NamedTuple):
    """A viewing record: viewer, session and stream by their numbers."""

    viewer: int
    session: int
    stream: int


@dataclass
class Row:
    """What the database should know of one viewing record."""

    flags: int
    sequence: int
    heard: int
    left: bool = False


@dataclass
class Stream:
    """One stream as the model sees it; `published` and `epoch` follow what was observed."""

    live: bool = False
    lease_session: int | None = None
    lease_until: int = 0
    published: bool = False
    epoch: int = 0
    since: int = 0
    offs: list[int] = field(default_factory=list[int])
    starts: list[int] = field(default_factory=list[int])
    ended_reason: str = ""
    # When the last qualifying viewer was gone, whether silently, and when they were last heard.
    quiet_at: int | None = None
    quiet_silently: bool = False
    quiet_heard: int = 0
    watch_end: int = 0


@dataclass
class Model:
    """Streams are numbered, and stream n belongs to person n."""

    streams: list[Stream]
    now: int = 0
    rows: dict[Key, Row] = field(default_factory=dict[Key, Row])
    blocks: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    banned: set[int] = field(default_factory=set[int])
    grace_until: int = 0

    # -- who counts

    def is_fresh(self, row: Row) -> bool:
        """Say whether a record was heard within the last 60 seconds."""
        return row.heard > self.now - SILENCE

    def counts(self, row: Row) -> bool:
        """Say whether a record qualifies as watching (S13)."""
        return row.flags == WATCHING and not row.left and self.is_fresh(row)

    def viewers(self, stream: int) -> int:
        """Return the distinct viewers of a live stream (S14)."""
        if not self.streams[stream].live:
            return 0
        return len({key.viewer for key, row in self._of(stream) if self.counts(row)})

    def _of(self, stream: int) -> list[tuple[Key, Row]]:
        return [(key, row) for key, row in self.rows.items() if key.stream == stream]

    # -- time and quiet

    def pass_time(self, milliseconds: int) -> None:
        """Move the clock; notice streams whose last viewer has fallen silent meanwhile."""
        self.now += milliseconds
        for number, stream in enumerate(self.streams):
            if stream.quiet_at is None and self.viewers(number) == 0:
                stream.quiet_at, stream.quiet_silently = stream.watch_end, True

    def settle(self) -> None:
        """After a change: notice streams whose last viewer left by it."""
        for number, stream in enumerate(self.streams):
            counting = [row.heard for _, row in self._of(number) if self.counts(row)]
            if counting and stream.live:
                stream.quiet_at = None
                stream.quiet_heard = max(counting)
                stream.watch_end = stream.quiet_heard + SILENCE
            elif stream.quiet_at is None:
                stream.quiet_at, stream.quiet_silently = self.now, False

    # -- admission

    def refusal(self, stream: int, viewer: int) -> str | None:
        """Return why this person may not watch this stream at all."""
        if not self.streams[stream].live:
            return "LW021"
        if viewer in self.banned:
            return "LW002"
        if {(stream, viewer), (viewer, stream)} & self.blocks:
            return "LW022"
        return None

    def wall_refusal(self, viewer: int, session: int, wanted: dict[int, bool]) -> str | None:
        """Return why these tiles (stream -> active) do not fit on the session's wall."""
        fresh = {
            key: row
            for key, row in self.rows.items()
            if key.viewer == viewer and not row.left and self.is_fresh(row)
        }
        others = [
            row for key, row in fresh.items() if key.session == session and key.stream not in wanted
        ]
        if len(others) + len(wanted) > MAX_TILES:
            return "LW023"
        if sum(row.flags & 1 for row in others) + sum(wanted.values()) > MAX_ACTIVE:
            return "LW024"
        if len({key.session for key in fresh} - {session}) >= MAX_SESSIONS:
            return "LW025"
        return None

    def heartbeats(self, beats: dict[Key, tuple[int, int]]) -> dict[Key, str]:
        """Record a batch, key -> (sequence, flags); return the refused with their codes."""
        asking = {
            key for key, (sequence, flags) in beats.items() if self._asks(key, sequence, flags)
        }
        codes = {key: self.refusal(key.stream, key.viewer) for key in asking}
        for viewer, session in {(key.viewer, key.session) for key in asking}:
            wall = [key for key in asking if key[:2] == (viewer, session) and not codes[key]]
            wanted = {key.stream: beats[key][1] & 1 == 1 for key in wall}
            codes |= dict.fromkeys(wall, self.wall_refusal(viewer, session, wanted))
        for key, (sequence, flags) in beats.items():
            row = self.rows.get(key)
            if codes.get(key) is None and (row is None or sequence > row.sequence):
                self.rows[key] = Row(flags, sequence, self.now)
        return {key: code for key, code in codes.items() if code is not None}

    def _asks(self, key: Key, sequence: int, flags: int) -> bool:
        """Say whether a heartbeat needs admission; steady renewals and late ones do not."""
        row = self.rows.get(key)
        if row is None:
            return True
        steady = not row.left and self.is_fresh(row) and flags == row.flags
        return sequence > row.sequence and not (steady and self.streams[key.stream].live)

    def write(self, key: Key, flags: int) -> str | None:
        """Upsert a record by plain SQL; return the code of its refusal."""
        code = self.refusal(key.stream, key.viewer) or self.wall_refusal(
            key.viewer, key.session, {key.stream: flags & 1 == 1}
        )
        if code is None:
            row = self.rows.get(key)
            self.rows[key] = Row(flags, row.sequence if row else 0, self.now)
        return code

    def leave(self, viewer: int, session: int, sequence: int, stream: int | None) -> None:
        """Take the flags down of one tile or of the whole session."""
        for key, row in self.rows.items():
            mine = key[:2] == (viewer, session) and stream in (None, key.stream)
            if mine and sequence > row.sequence:
                row.flags, row.left, row.sequence = 0, True, sequence

    def forget(self, viewer: int, streams: set[int]) -> None:
        """Remove somebody's records at these streams."""
        self.rows = {
            key: row
            for key, row in self.rows.items()
            if key.viewer != viewer or key.stream not in streams
        }

    def cleanup(self) -> int:
        """Remove what was silent for 60 seconds (S17); return how many."""
        stale = [key for key, row in self.rows.items() if not self.is_fresh(row)]
        for key in stale:
            del self.rows[key]
        return len(stale)

    # -- being live

    def start_refusal(self, streamer: int) -> str | None:
        """Return why a streamer who is not live may not start now."""
        stream = self.streams[streamer]
        recent = [
            sum(at > self.now - MINUTE for at in times) for times in (stream.offs, stream.starts)
        ]
        return "LW031" if max(recent) >= MAX_OFF else None

    def go_live(self, streamer: int, session: int) -> None:
        """Make a stream live, or pass its lease to another session."""
        stream = self.streams[streamer]
        if not stream.live:
            stream.live = True
            stream.starts.append(self.now)
        stream.lease_session, stream.lease_until = session, self.now + LEASE

    def end_live(self, streamer: int, reason: str) -> None:
        """End being live, if it was."""
        stream = self.streams[streamer]
        if stream.live:
            stream.live, stream.lease_session, stream.ended_reason = False, None, reason

    def expire_leases(self) -> None:
        """What every sweep and reconciliation does first."""
        for number, stream in enumerate(self.streams):
            if stream.live and stream.lease_until <= self.now and self.grace_until <= self.now:
                self.end_live(number, "lease_expired")

    def may_publish(self, stream: Stream) -> bool:
        """Say whether a viewer's arrival has to publish."""
        return stream.live and (stream.lease_until > self.now or self.grace_until > self.now)

    # -- what the camera may do

    def earliest_off(self, stream: Stream) -> int:
        """Return before when a stream without viewers must not go off."""
        assert stream.quiet_at is not None
        # Somebody who leaves after almost a minute of silence may be taken for silent.
        lingers = not stream.quiet_silently and stream.quiet_at - stream.quiet_heard < (
            SILENCE - RAISE_STEP
        )
        recent = [at for at in stream.offs if at > self.now - MINUTE]
        return max(
            stream.quiet_at + (LINGER if lingers else 0),
            stream.since + MINIMUM_ON,
            self.grace_until,
            recent[1 - MAX_OFF] + MINUTE if len(recent) >= MAX_OFF - 1 else 0,
        )

    def latest_off(self, stream: Stream) -> int:
        """Return when a sweep or reconciliation must have turned a stream off."""
        assert stream.quiet_at is not None
        return max(self.earliest_off(stream), stream.quiet_at + LINGER)

    def judge(self, number: int, published: bool, *, swept: bool, asked: bool) -> str | None:
        """Say what is wrong with a stream's camera being on or off now, if anything.

        `swept`: a sweep or reconciliation has just run. `asked`: something has just happened that
        must publish a stream with viewers.
        """
        stream, viewers = self.streams[number], self.viewers(number)
        on, off = published and not stream.published, stream.published and not published
        quiet = stream.live and viewers == 0 and stream.published
        wrongs = {
            "published while not live": published and not stream.live,
            "turned on without a viewer or a publisher": on
            and (viewers == 0 or not self.may_publish(stream)),
            "turned off while watched": off and stream.live and viewers > 0,
            "not turned on although watched": asked
            and not published
            and viewers > 0
            and self.may_publish(stream),
            "turned off too early": quiet and off and self.now < self.earliest_off(stream),
            "left on too long": quiet
            and swept
            and published
            and self.now >= self.latest_off(stream),
        }
        return next((what for what, wrong in wrongs.items() if wrong), None)

    def follow(self, number: int, *, published: bool) -> None:
        """Take over what was observed, after it was judged."""
        stream = self.streams[number]
        if published and not stream.published:
            stream.since = self.now
        elif not published and stream.published:
            stream.offs.append(self.now)
        stream.published = published
