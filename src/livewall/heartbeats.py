"""Heartbeats and leaves of all sockets, written in batches by one connection.

At rest a heartbeat is written at once; under load, batches form by themselves: the pause after a
write grows with its size, up to 100 ms. While the database is away only the newest heartbeat per
tile is kept, so memory is bounded by the tiles that are open.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, cast
from uuid import UUID

import asyncpg
import msgspec
import structlog

from livewall import metrics
from livewall.db import AWAY, Database
from livewall.errors import BY_SQLSTATE, Refusal
from livewall.shapes import StreamChange

LONGEST_PAUSE = 0.1
SHORTEST_PAUSE = 0.005
PAUSE_PER_ROW = 0.0002
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)
log = structlog.get_logger()


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

    def covers(self, beat: Beat) -> bool:
        """Whether this leave comes after that heartbeat, and concerns it."""
        return (
            (beat.tile.viewer_id, beat.tile.session_id) == (self.viewer_id, self.session_id)
            and self.stream_id in {None, beat.tile.stream_id}
            and self.sequence > beat.sequence
        )


class Listener(Protocol):
    """Who is told what became of heartbeats."""

    def changed(self, changes: Sequence[StreamChange], heard_at: dict[UUID, float]) -> None:
        """Streams changed; `heard_at` is when we heard of the first tile of each."""
        ...

    def accepted(self, beat: Beat) -> None:
        """The database took this heartbeat."""
        ...

    def refused(self, tile: Tile, code: str) -> None:
        """The database refused it, with a code of the catalogue."""
        ...

    def publisher_lost(self, stream_id: UUID, session_id: UUID) -> None:
        """This session does not hold the publisher lease any more."""
        ...

    def database_away(self) -> None:
        """Nothing can be written for now; heartbeats are kept."""
        ...


class _Refused(msgspec.Struct):
    viewer_id: UUID
    session_id: UUID
    stream_id: UUID
    code: str


class _Answer(msgspec.Struct):
    changes: list[StreamChange] = []
    refused: list[_Refused] = []


class _Lease(msgspec.Struct, frozen=True):
    stream_id: UUID
    session_id: UUID


class _Leases(msgspec.Struct):
    lost: list[_Lease]


@dataclass
class _Batch:
    beats: dict[Tile, Beat] = field(default_factory=dict[Tile, Beat])
    leaves: list[Leave] = field(default_factory=list[Leave])
    leases: set[_Lease] = field(default_factory=set[_Lease])

    def __bool__(self) -> bool:
        return bool(self.beats or self.leaves or self.leases)

    def __len__(self) -> int:
        return len(self.beats) + len(self.leaves) + len(self.leases)

    def add(self, beat: Beat) -> None:
        """Keep the newest heartbeat of each tile."""
        known = self.beats.get(beat.tile)
        if known is None or known.sequence < beat.sequence:
            self.beats[beat.tile] = beat

    def leave(self, leave: Leave) -> None:
        """A leave removes the heartbeats before it."""
        for tile in [tile for tile, beat in self.beats.items() if leave.covers(beat)]:
            del self.beats[tile]
        self.leaves.append(leave)


class HeartbeatWriter:
    """Collects, writes, and tells the listener. `run` is its only task."""

    def __init__(self, database: Database, listener: Listener) -> None:
        self._database = database
        self._listener = listener
        self._batch = _Batch()
        self._wake = asyncio.Event()
        self._is_away = False

    def beat(self, beat: Beat) -> None:
        """Write this heartbeat soon."""
        metrics.HEARTBEATS.inc()
        self._batch.add(beat)
        self._wake.set()

    def leave(self, leave: Leave) -> None:
        """Write this leave soon."""
        self._batch.leave(leave)
        self._wake.set()

    def publisher(self, stream_id: UUID, session_id: UUID) -> None:
        """Renew this publisher's lease soon."""
        self._batch.leases.add(_Lease(stream_id, session_id))
        self._wake.set()

    async def run(self) -> None:
        """Write for ever; reconnect when the connection is lost."""
        failures = 0
        while True:
            try:
                async with self._database.dedicated("service_role") as connection:
                    failures = 0
                    await self._write_all(connection)
            except (Refusal, *AWAY, TimeoutError, asyncpg.PostgresError) as error:
                metrics.FLUSH_FAILURES.inc()
                log.warning("heartbeats_not_written", error=type(error).__name__)
                if self._batch and not self._is_away:
                    self._is_away = True
                    self._listener.database_away()
            except Exception:
                # A mistake of ours must not end the only writer: nobody would count any more.
                metrics.FLUSH_FAILURES.inc()
                log.exception("heartbeats_broke")
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            failures += 1

    async def _write_all(self, connection: asyncpg.Connection) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._batch = self._batch, _Batch()
            size = len(batch)
            try:
                with metrics.FLUSH_SECONDS.time():
                    await self._write(connection, batch)
            except BaseException:
                self._take_back(batch)
                raise
            self._is_away = False
            metrics.BATCH_ROWS.observe(size)
            pause = min(LONGEST_PAUSE, SHORTEST_PAUSE + size * PAUSE_PER_ROW)
            await asyncio.sleep(pause)

    def _take_back(self, batch: _Batch) -> None:
        """Put what was not written in front of what came meanwhile."""
        newer, self._batch = self._batch, batch
        for leave in newer.leaves:
            batch.leave(leave)
        for beat in newer.beats.values():
            batch.add(beat)
        batch.leases |= newer.leases
        self._wake.set()

    async def _write(self, connection: asyncpg.Connection, batch: _Batch) -> None:
        # Each part is dropped as soon as it is written, so that a failure repeats only the rest.
        if batch.leaves:
            answer = await self._write_leaves(connection, batch.leaves)
            batch.leaves = []
            self._listener.changed(answer.changes, {})
        if batch.beats:
            beats = sorted(batch.beats.values())
            await self._write_beats(connection, beats)
            batch.beats = {}
        if batch.leases:
            lost = await self._write_leases(connection, list(batch.leases))
            batch.leases = set()
            for lease in lost:
                self._listener.publisher_lost(lease.stream_id, lease.session_id)

    async def _write_leaves(self, connection: asyncpg.Connection, leaves: list[Leave]) -> _Answer:
        # The newest leave of a tile is enough, and the statement must not meet a row twice.
        newest = {(e.viewer_id, e.session_id, e.stream_id): e for e in sorted(leaves, key=_age)}
        viewers, sessions, sequences, streams = zip(*newest.values(), strict=True)
        text = await _fetch(
            connection,
            "SELECT public.record_leaves($1, $2, $3, $4)",
            *map(list, (viewers, sessions, sequences, streams)),
        )
        return msgspec.json.decode(text, type=_Answer)

    async def _write_beats(self, connection: asyncpg.Connection, beats: list[Beat]) -> None:
        """Write sorted, distinct heartbeats; if they can not be written together, halve them.

        So one that breaks the statement harms only itself.
        """
        try:
            answer = await _record(connection, beats)
        except AWAY:
            raise
        except asyncpg.PostgresError as error:
            if len(beats) == 1:
                log.exception("heartbeat_broken", sqlstate=error.sqlstate)
                self._listener.refused(beats[0].tile, "internal")
                return
            half = len(beats) // 2
            await self._write_beats(connection, beats[:half])
            await self._write_beats(connection, beats[half:])
            return
        self._report(beats, answer)

    def _report(self, beats: list[Beat], answer: _Answer) -> None:
        heard_at: dict[UUID, float] = {}
        for beat in beats:
            stream_id = beat.tile.stream_id
            heard_at[stream_id] = min(beat.heard_at, heard_at.get(stream_id, beat.heard_at))
        refused = {Tile(r.viewer_id, r.session_id, r.stream_id): r.code for r in answer.refused}
        self._listener.changed(answer.changes, heard_at)
        for beat in beats:
            if beat.tile not in refused:
                self._listener.accepted(beat)
        for tile, sqlstate in refused.items():
            code = BY_SQLSTATE.get(sqlstate, "internal")
            metrics.HEARTBEATS_REFUSED.labels(code).inc()
            self._listener.refused(tile, code)

    async def _write_leases(
        self, connection: asyncpg.Connection, leases: list[_Lease]
    ) -> list[_Lease]:
        text = await _fetch(
            connection,
            "SELECT public.record_publisher_heartbeats($1, $2)",
            [lease.stream_id for lease in leases],
            [lease.session_id for lease in leases],
        )
        return msgspec.json.decode(text, type=_Leases).lost


def _age(leave: Leave) -> int:
    return leave.sequence


async def _record(connection: asyncpg.Connection, beats: list[Beat]) -> _Answer:
    text = await _fetch(
        connection,
        "SELECT public.record_heartbeats($1, $2, $3, $4, $5)",
        [beat.tile.stream_id for beat in beats],
        [beat.tile.viewer_id for beat in beats],
        [beat.tile.session_id for beat in beats],
        [beat.sequence for beat in beats],
        [beat.flags for beat in beats],
    )
    return msgspec.json.decode(text, type=_Answer)


async def _fetch(connection: asyncpg.Connection, query: str, *arrays: list[object]) -> str:
    return cast("str", await connection.fetchval(query, *arrays))


def now() -> float:
    """Return the clock that `heard_at` is measured by."""
    return time.monotonic()
