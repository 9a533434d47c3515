"""What sockets said and the database has not heard yet: one intent for each tile, the newest.

While the database is away this is all that waits, so it is bounded: by what one session may say,
by a total, and by age. Whoever is dropped here is silent to the database, as if their line had
been cut for a while; those who are still there say it again within a heartbeat.
"""

import time
from collections import OrderedDict
from collections.abc import Iterator, Set
from typing import NamedTuple, TypeAlias
from uuid import UUID

# Twice the tiles of a wall: what a client says beyond them, only the newest counts.
MOST_PER_SESSION = 24
# About 100 MB. A write every 100 ms leaves a few thousand.
MOST_INTENTS = 200_000
# After this long a viewer or a publisher is silent (viewer_silence, lease_time in SQL): an older
# heartbeat would bring back somebody who has gone.
OLDEST_SECONDS = 60.0


class Tile(NamedTuple):
    """What a heartbeat is about: one viewer's session watching one stream."""

    viewer_id: UUID
    session_id: UUID
    stream_id: UUID


class Beat(NamedTuple):
    """The newest word of a tile; `flags` 1 active, 2 unmuted, 4 visible, 8 subscribed."""

    tile: Tile
    sequence: int
    flags: int
    heard_at: float


class Leave(NamedTuple):
    """A clean leave; without a stream, of every tile of the session."""

    viewer_id: UUID
    session_id: UUID
    sequence: int
    stream_id: UUID | None
    heard_at: float


class Lease(NamedTuple):
    """A publisher's word that it is still there."""

    stream_id: UUID
    session_id: UUID
    heard_at: float


Intent: TypeAlias = Beat | Leave
Session: TypeAlias = tuple[UUID, UUID]


class Pending:
    """Collects intents. The order of its sessions is that of their last words."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[Session, dict[UUID | None, Intent]] = OrderedDict()
        self._leases: OrderedDict[UUID, Lease] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count + len(self._leases)

    def intents(self) -> Iterator[Intent]:
        """Go through heartbeats and leaves, those of the longest silent session first."""
        for said in self._sessions.values():
            yield from said.values()

    def beats(self) -> list[Beat]:
        """Return the heartbeats that are not too old, sorted as their rows are to be locked."""
        since = now() - OLDEST_SECONDS
        beats = (i for i in self.intents() if isinstance(i, Beat) and i.heard_at > since)
        return sorted(beats, key=_place)

    def leaves(self) -> list[Leave]:
        """Return the leaves, each tile at most once."""
        return [intent for intent in self.intents() if isinstance(intent, Leave)]

    def leases(self) -> list[Lease]:
        """Return the leases to renew."""
        return list(self._leases.values())

    def add(self, intent: Intent) -> None:
        """Take a heartbeat or a leave in place of what the same tile said before."""
        key, stream_id = _key(intent)
        said = self._sessions.setdefault(key, {})
        self._sessions.move_to_end(key)
        before = len(said)
        if stream_id is None:
            for old in [id_ for id_, i in said.items() if i.sequence < intent.sequence]:
                del said[old]
        if all(
            known is None or known.sequence < intent.sequence
            for known in (said.get(stream_id), said.get(None))
        ):
            said.pop(stream_id, None)
            said[stream_id] = intent
            if len(said) > MOST_PER_SESSION:
                del said[next(iter(said))]
        self._count += len(said) - before
        while self._count > MOST_INTENTS:
            self._drop_oldest_session()

    def renew(self, lease: Lease) -> None:
        """Take a publisher's heartbeat; a stream has one publisher, the newest."""
        self._leases.pop(lease.stream_id, None)
        self._leases[lease.stream_id] = lease

    def add_all(self, newer: "Pending") -> None:
        """Take what was said later."""
        for intent in newer.intents():
            self.add(intent)
        for lease in newer.leases():
            self.renew(lease)

    def take_out(self, viewers: Set[UUID], streams: Set[UUID], leavers: Set[UUID]) -> "Pending":
        """Remove and return what is of these viewers or about these streams.

        A leave of everything by one of `leavers` is returned too, and stays: it is also about
        streams that it does not name.
        """
        taken = Pending()
        for key in list(self._sessions):
            said = self._sessions[key]
            all_of_it = key[0] in viewers
            if key[0] in leavers and None in said:
                taken.add(said[None])
            for stream_id in [id_ for id_ in said if all_of_it or id_ in streams]:
                taken.add(said.pop(stream_id))
                self._count -= 1
            if not said:
                del self._sessions[key]
        for lease in [lease for lease in self._leases.values() if lease.stream_id in streams]:
            del self._leases[lease.stream_id]
            taken.renew(lease)
        return taken

    def forget(self, session: Session) -> None:
        """Drop what a session said."""
        self._count -= len(self._sessions.pop(session, ()))

    def drop(self, kind: type[Intent]) -> None:
        """Forget the heartbeats, or the leaves: they are written."""
        for said in self._sessions.values():
            for stream_id in [id_ for id_, intent in said.items() if isinstance(intent, kind)]:
                del said[stream_id]
                self._count -= 1

    def drop_leases(self) -> None:
        """Forget the leases: they are written."""
        self._leases.clear()

    def drop_old(self) -> int:
        """Forget sessions and publishers that have been silent for too long; return how many."""
        since, before = now() - OLDEST_SECONDS, len(self)
        while self._sessions and _last(next(iter(self._sessions.values()))) <= since:
            self._drop_oldest_session()
        while self._leases and next(iter(self._leases.values())).heard_at <= since:
            self._leases.popitem(last=False)
        return before - len(self)

    def _drop_oldest_session(self) -> None:
        _, said = self._sessions.popitem(last=False)
        self._count -= len(said)


def _key(intent: Intent) -> tuple[Session, UUID | None]:
    if isinstance(intent, Leave):
        return (intent.viewer_id, intent.session_id), intent.stream_id
    viewer_id, session_id, stream_id = intent.tile
    return (viewer_id, session_id), stream_id


def _place(beat: Beat) -> tuple[int, int, int]:
    # By number: UUIDs compare ten times slower.
    viewer_id, session_id, stream_id = beat.tile
    return viewer_id.int, session_id.int, stream_id.int


def _last(said: dict[UUID | None, Intent]) -> float:
    return max((intent.heard_at for intent in said.values()), default=0.0)


def now() -> float:
    """Return the clock that `heard_at` is measured by."""
    return time.monotonic()
