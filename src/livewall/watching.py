"""Who watches what: heartbeats and leaves from sockets and closing pages, on their way to SQL.

The media plane says whether a tile has a seat; the database says whether it counts. This module
keeps, per session, the newest sequence, and turns answers into messages.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from livewall import metrics, pending
from livewall.changes import Changes
from livewall.cluster import Tell
from livewall.db import Database
from livewall.errors import Refusal
from livewall.heartbeats import HeartbeatWriter
from livewall.hub import Client, Hub, Member
from livewall.media import MediaPlane
from livewall.media.shared import SharedPlane
from livewall.messages import MOST_ACTIVE, MOST_TILES, Error, Heartbeat, PublisherLost
from livewall.pending import Beat, Leave, Tile
from livewall.shapes import StreamChange

# Room between two sequences of a client for heartbeats that the server writes on its own, when a
# seat frees. The largest sequence, 2^53, times this is still a bigint.
STEP = 1_000
WATCHING = 15
SUBSCRIBED = 8
FORGET_SECONDS = 300.0
# An account has at most 8 open; the others are pages just closed, or somebody who invents them.
MOST_SESSIONS = 16


@dataclass
class _Session:
    sequence: int = -1
    own: int = 0
    heard_at: float = field(default_factory=pending.now)

    def stored(self) -> int:
        return self.sequence * STEP + self.own


class Presence:
    """Takes heartbeats and leaves; hears from the writer what became of them."""

    def __init__(self, database: Database, hub: Hub, seats: int, tell: Tell) -> None:
        self._hub = hub
        self._sessions: dict[Member, _Session] = {}
        self._by_profile: dict[UUID, dict[Member, _Session]] = {}
        self.seats = SharedPlane(hub, seats, self._decided, tell)
        self.plane: MediaPlane = self.seats
        self.changes = Changes(hub, self.plane, tell)
        self.writer = HeartbeatWriter(database, self)

    def heartbeat(self, client: Client, message: Heartbeat) -> None:
        """Take one heartbeat of a socket. Raises Refusal if it breaks a limit."""
        _check(message)
        member = client.member
        session = self._advance(member, message.sequence)
        if session is None:
            return
        for tile in message.tiles:
            flags = tile.flags
            if flags != WATCHING:
                self.plane.drop(member, tile.stream_id)
            else:
                has_seat = self.plane.ask(member, tile.stream_id)
                if has_seat is None:
                    continue
                flags -= 0 if has_seat else SUBSCRIBED
            key = Tile(member.profile_id, member.session_id, tile.stream_id)
            self.writer.beat(Beat(key, session.stored(), flags, session.heard_at))
        if message.publisher is not None:
            self._keep_lease(member, message.publisher.stream_id)
        tiles = frozenset(tile.stream_id for tile in message.tiles)
        if tiles != client.tiles:
            client.tiles = tiles
            self._hub.refollow(client)

    def leave(self, member: Member, sequence: int, stream_ids: Sequence[UUID] | None) -> None:
        """Take a clean leave, of some streams or of all of the session."""
        session = self._advance(member, sequence)
        if session is None:
            return
        self._drop(member, stream_ids)
        for stream_id in [None] if stream_ids is None else sorted(set(stream_ids)):
            self.writer.leave(Leave(*member, session.stored(), stream_id, session.heard_at))

    def left(self, member: Member, sequence: int, stream_ids: Sequence[UUID] | None) -> None:
        """Free what another server was told that a session of ours has left."""
        if member in self._sessions and self._advance(member, sequence) is not None:
            self._drop(member, stream_ids)

    def _drop(self, member: Member, stream_ids: Sequence[UUID] | None) -> None:
        if stream_ids is None:
            self.plane.drop_all(member)
        for stream_id in stream_ids or ():
            self.plane.drop(member, stream_id)

    def _advance(self, member: Member, sequence: int) -> _Session | None:
        """Return the session, or None for a sequence that is not newer than the last one."""
        session = self._session(member)
        session.heard_at = pending.now()
        if sequence <= session.sequence:
            return None
        session.sequence = sequence
        session.own = 0
        return session

    def _session(self, member: Member) -> _Session:
        """Return a session, for a new one in place of the longest silent of its account."""
        known = self._sessions.get(member)
        if known is not None:
            return known
        own = self._by_profile.get(member.profile_id, {})
        if len(own) >= MOST_SESSIONS:
            closed = [m for m in own if self._hub.of_session(*m) is None]
            for silent in sorted(closed, key=lambda m: own[m].heard_at)[:1]:
                self._forget(silent)
        session = self._sessions[member] = _Session()
        self._by_profile.setdefault(member.profile_id, {})[member] = session
        return session

    def _forget(self, member: Member) -> None:
        del self._sessions[member]
        own = self._by_profile[member.profile_id]
        del own[member]
        if not own:
            del self._by_profile[member.profile_id]
        self.writer.forget(*member)

    def _keep_lease(self, member: Member, stream_id: UUID) -> None:
        if not self.changes.knows(stream_id):
            return  # we have just started; the snapshot on its way tells who publishes
        publisher = self.changes.publisher_of(stream_id)
        if publisher == member:
            self.writer.publisher(stream_id, member.session_id)
        elif publisher is None or publisher.profile_id == member.profile_id:
            self.publisher_lost_for(member, stream_id, taken=publisher is not None)
        else:
            raise Refusal("not_live", "This stream is not yours to send.")

    def publisher_lost_for(self, member: Member, stream_id: UUID, *, taken: bool) -> None:
        """Tell a session that still thinks it publishes that it does not."""
        client = self._hub.of_session(*member)
        if client is not None:
            client.tell(PublisherLost(stream_id, "taken_over" if taken else "lease_expired"))

    def _decided(self, member: Member, stream_id: UUID, has_seat: bool) -> None:
        session = self._session(member)
        session.own = min(session.own + 1, STEP - 1)
        key = Tile(member.profile_id, member.session_id, stream_id)
        flags = WATCHING if has_seat else WATCHING - SUBSCRIBED
        self.writer.beat(Beat(key, session.stored(), flags, pending.now()))

    def tick(self) -> None:
        """Free what belongs to silent sessions; forget sessions long gone."""
        now = pending.now()
        self.plane.expire(now)
        for member in [m for m, s in self._sessions.items() if now - s.heard_at > FORGET_SECONDS]:
            if self._hub.of_session(*member) is None:
                self._forget(member)

    # What the writer tells (`heartbeats.Listener`).

    def changed(self, changes: list[StreamChange], heard_at: dict[UUID, float]) -> None:
        """Pass on what a batch changed."""
        self.changes.apply_written(changes, heard_at)

    def accepted(self, beat: Beat) -> None:
        """Only now tell of a seat or a place in the queue."""
        member = Member(beat.tile.viewer_id, beat.tile.session_id)
        self.plane.confirm(member, beat.tile.stream_id, watching=beat.flags == WATCHING)

    def refused(self, tile: Tile, code: str) -> None:
        """Take the seat away and say why."""
        member = Member(tile.viewer_id, tile.session_id)
        self.plane.drop(member, tile.stream_id)
        client = self._hub.of_session(*member)
        if client is None:
            return
        error = Error(Refusal(code, fields={"stream_id": str(tile.stream_id)}).problem())
        if code != "banned":
            client.tell(error)
        else:
            # Banned by a command, or in SQL.
            self._hub.close_soon(self._hub.of_profile(client.profile_id), 4403, error)

    def publisher_lost(self, stream_id: UUID, session_id: UUID) -> None:
        """Tell the session that thought it held the lease."""
        publisher = self.changes.publisher_of(stream_id)
        if publisher is not None and publisher.session_id == session_id:
            self.publisher_lost_for(publisher, stream_id, taken=False)

    def database_away(self) -> None:
        """Tell everybody, once per outage of the writer."""
        metrics.HEARTBEATS_REFUSED.labels("database_away").inc()
        self._hub.to_everybody(Error(Refusal("database_away").problem()))


def _check(message: Heartbeat) -> None:
    tiles = message.tiles
    if len(tiles) > MOST_TILES:
        raise Refusal(
            "too_many_tiles",
            f"A wall has {MOST_TILES} tiles, {len(tiles)} were sent.",
            fields={"limit": MOST_TILES, "got": len(tiles)},
        )
    active = sum(tile.is_active for tile in tiles)
    if active > MOST_ACTIVE:
        raise Refusal(
            "too_many_active",
            f"At most {MOST_ACTIVE} tiles can be active video, {active} were sent.",
            fields={"limit": MOST_ACTIVE, "got": active},
        )
    if tiles and max(Counter(tile.stream_id for tile in tiles).values()) > 1:
        raise Refusal("invalid_message", "A stream is listed twice.")
