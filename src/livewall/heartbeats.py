"""Heartbeats and leaves of all sockets, written in batches by one connection.

At rest a heartbeat is written at once; under load, batches form by themselves: the pause after a
write grows with its size, up to 100 ms. What can not be written yet waits in `pending.py`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar, cast
from uuid import UUID

import asyncpg
import msgspec
import structlog

from livewall import metrics
from livewall.db import AWAY, Database, cause_of
from livewall.errors import BY_SQLSTATE, Refusal
from livewall.locked import Locked
from livewall.pending import Beat, Lease, Leave, Pending, Tile, now
from livewall.shapes import StreamChange

LONGEST_PAUSE = 0.1
SHORTEST_PAUSE = 0.005
PAUSE_PER_ROW = 0.0002
# Far longer than our own transactions hold a row, and short enough not to be felt.
LOCK_TIMEOUT = "250ms"
# After an outage more may wait; one statement for all of it would run into its timeout.
MOST_AT_ONCE = 5_000
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)
# So long what waits may still be written when the server ends; else it is said again elsewhere.
FINISH_SECONDS = 5.0
# With the types of ours, so that no function of that name with others fits as well.
RECORD_LEAVES = (
    "SELECT public.record_leaves($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::uuid[])"
)
RECORD_HEARTBEATS = (
    "SELECT public.record_heartbeats($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[],"
    " $5::smallint[])"
)
RECORD_LEASES = "SELECT public.record_publisher_heartbeats($1::uuid[], $2::uuid[])"
log = structlog.get_logger()
T = TypeVar("T")


class Listener(Protocol):
    """Who is told what became of heartbeats."""

    def changed(self, changes: list[StreamChange], heard_at: dict[UUID, float]) -> None:
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


class _Lost(msgspec.Struct, frozen=True):
    stream_id: UUID
    session_id: UUID


class _Leases(msgspec.Struct):
    lost: list[_Lost]


class HeartbeatWriter:
    """Collects, writes, and tells the listener. `run` is its only task."""

    def __init__(self, database: Database, listener: Listener) -> None:
        self._database = database
        self._listener = listener
        self.pending = Pending()
        self._locked = Locked()
        self._wake = asyncio.Event()
        self._is_away = False
        self._is_writing = False

    def beat(self, beat: Beat) -> None:
        """Write this heartbeat soon."""
        metrics.HEARTBEATS.inc()
        self.pending.add(beat)
        self._wake.set()

    def leave(self, leave: Leave) -> None:
        """Write this leave soon."""
        self.pending.add(leave)
        self._wake.set()

    def publisher(self, stream_id: UUID, session_id: UUID) -> None:
        """Renew this publisher's lease soon."""
        self.pending.renew(Lease(stream_id, session_id, now()))
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
                log.warning("heartbeats_not_written", **cause_of(error))
                if self.pending and not self._is_away:
                    self._is_away = True
                    self._listener.database_away()
            except Exception:
                # A mistake of ours must not end the only writer: nobody would count any more.
                metrics.FLUSH_FAILURES.inc()
                log.exception("heartbeats_broke")
            dropped = self.pending.drop_old()
            if dropped:
                log.warning("heartbeats_dropped", count=dropped)
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            failures += 1

    async def finish(self) -> None:
        """Wait until all that was said is written, or for as long as a restart can wait.

        A leave that is lost would leave a camera on for a minute. What somebody's transaction
        holds is not waited for.
        """
        deadline = now() + FINISH_SECONDS
        while self.pending or self._is_writing:
            if now() > deadline:
                log.warning("heartbeats_left", count=len(self.pending))
                return
            await asyncio.sleep(SHORTEST_PAUSE)

    def forget(self, viewer_id: UUID, session_id: UUID) -> None:
        """Drop what a session said and nobody has written yet."""
        self.pending.forget((viewer_id, session_id))

    async def _write_all(self, connection: asyncpg.Connection) -> None:
        await connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._locked.wait())
            self._wake.clear()
            if self._locked.is_due():
                self._take_back(await self._locked.look_again(connection))
            batch, self.pending = self._locked.keep_back(self.pending), Pending()
            size = len(batch)
            self._is_writing = True
            try:
                with metrics.FLUSH_SECONDS.time():
                    await self._write(connection, batch)
            except asyncpg.LockNotAvailableError:
                self._take_back(batch)
                await self._locked.find(connection, batch)
            except BaseException:
                self._take_back(batch)
                raise
            finally:
                self._is_writing = False
            self._is_away = False
            metrics.BATCH_ROWS.observe(size)
            pause = min(LONGEST_PAUSE, SHORTEST_PAUSE + size * PAUSE_PER_ROW)
            await asyncio.sleep(pause)

    def _take_back(self, batch: Pending) -> None:
        """Put what was not written in front of what came meanwhile."""
        batch.add_all(self.pending)
        self.pending = batch
        self._wake.set()

    async def _write(self, connection: asyncpg.Connection, batch: Pending) -> None:
        # Each part is dropped as soon as it is written, so that a failure repeats only the rest.
        await _in_halves(batch.leaves(), partial(self._write_leaves, connection), _ignore)
        batch.drop(Leave)
        await _in_halves(batch.beats(), partial(self._write_beats, connection), self._broken)
        batch.drop(Beat)
        await _in_halves(batch.leases(), partial(self._write_leases, connection), _ignore)
        batch.drop_leases()

    async def _write_leaves(self, connection: asyncpg.Connection, leaves: Sequence[Leave]) -> None:
        text = await _fetch(
            connection,
            RECORD_LEAVES,
            [leave.viewer_id for leave in leaves],
            [leave.session_id for leave in leaves],
            [leave.sequence for leave in leaves],
            [leave.stream_id for leave in leaves],
            self._locked.streams,
        )
        self._listener.changed(msgspec.json.decode(text, type=_Answer).changes, {})

    async def _write_beats(self, connection: asyncpg.Connection, beats: Sequence[Beat]) -> None:
        text = await _fetch(
            connection,
            RECORD_HEARTBEATS,
            [beat.tile.stream_id for beat in beats],
            [beat.tile.viewer_id for beat in beats],
            [beat.tile.session_id for beat in beats],
            [beat.sequence for beat in beats],
            [beat.flags for beat in beats],
        )
        self._report(beats, msgspec.json.decode(text, type=_Answer))

    def _broken(self, beat: Beat) -> None:
        self._listener.refused(beat.tile, "internal")

    def _report(self, beats: Sequence[Beat], answer: _Answer) -> None:
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

    async def _write_leases(self, connection: asyncpg.Connection, leases: Sequence[Lease]) -> None:
        text = await _fetch(
            connection,
            RECORD_LEASES,
            [lease.stream_id for lease in leases],
            [lease.session_id for lease in leases],
        )
        for lost in msgspec.json.decode(text, type=_Leases).lost:
            self._listener.publisher_lost(lost.stream_id, lost.session_id)


async def _in_halves(
    items: Sequence[T], write: Callable[[Sequence[T]], Awaitable[None]], broken: Callable[[T], None]
) -> None:
    """Write items together; too many at once, or some that can not be written, are halved.

    So one that breaks the statement harms only itself.
    """
    if not items or (len(items) <= MOST_AT_ONCE and await _is_done(items, write, broken)):
        return
    half = len(items) // 2
    await _in_halves(items[:half], write, broken)
    await _in_halves(items[half:], write, broken)


async def _is_done(
    items: Sequence[T], write: Callable[[Sequence[T]], Awaitable[None]], broken: Callable[[T], None]
) -> bool:
    """Write items in one statement; False if they are to be halved. A single one is given up."""
    try:
        await write(items)
    except AWAY:
        raise
    except asyncpg.PostgresError as error:
        if isinstance(error, asyncpg.LockNotAvailableError):
            raise
        if len(items) > 1:
            return False
        kind = type(items[0]).__name__.lower()
        log.exception("heartbeat_broken", kind=kind, sqlstate=error.sqlstate)
        broken(items[0])
    return True


def _ignore(_item: object) -> None:
    """A leave or a lease that can not be written: the rule of 60 seconds decides."""


async def _fetch(connection: asyncpg.Connection, query: str, *arrays: Sequence[object]) -> str:
    return cast("str", await connection.fetchval(query, *arrays))
