"""Whose heartbeats wait because somebody holds their rows, so that nobody else's do.

A client who speaks SQL may leave a transaction open that holds its own viewer's lock, its rows or
its stream. The writer waits for a moment, asks the database whose it is, and keeps those back.
"""

import time
from collections.abc import Collection
from typing import cast
from uuid import UUID

import asyncpg
import msgspec
import structlog

from livewall.pending import Beat, Pending

AGAIN_SECONDS = 1.0
# As often in a row nothing was found to be held: then it is no row, and the database is away.
MOST_IN_VAIN = 20
FIND = "SELECT public.find_locked($1::uuid[], $2::uuid[])"
log = structlog.get_logger()


class _Found(msgspec.Struct):
    viewers: frozenset[UUID] = frozenset()
    streams: frozenset[UUID] = frozenset()
    leavers: frozenset[UUID] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.viewers or self.streams)


class Locked:
    """Keeps back what can not be written now, and looks again every second."""

    def __init__(self) -> None:
        self._found = _Found()
        self._kept = Pending()
        self._looked_at = 0.0
        self._in_vain = 0

    def wait(self) -> float | None:
        """Return for how long there is nothing to do here; None: until somebody is locked."""
        if not self._found:
            return None
        return max(0.0, self._looked_at + AGAIN_SECONDS - time.monotonic())

    @property
    def streams(self) -> list[UUID]:
        """The streams that are held, which a leave of everything is written without."""
        return list(self._found.streams)

    def is_due(self) -> bool:
        """Whether it is time to look again."""
        return self.wait() == 0

    def keep_back(self, batch: Pending) -> Pending:
        """Take out what is locked; return the batch without it."""
        found = self._found
        if found:
            self._kept.add_all(batch.take_out(found.viewers, found.streams, found.leavers))
        return batch

    async def find(self, connection: asyncpg.Connection, batch: Pending) -> None:
        """Ask who of a batch is locked. Raises the timeout of a lock that no row explains."""
        await self._ask(connection, batch, also=self._found)
        self._in_vain = 0 if self._found else self._in_vain + 1
        if self._in_vain > MOST_IN_VAIN:
            self._in_vain = 0
            raise asyncpg.LockNotAvailableError("held, and by no row")
        if self._found:
            log.warning(
                "rows_held", viewers=len(self._found.viewers), streams=len(self._found.streams)
            )

    async def look_again(self, connection: asyncpg.Connection) -> Pending:
        """Ask who is still locked; return what was kept back of all of them.

        It stays here if the question fails.
        """
        self._kept.drop_old()
        await self._ask(connection, self._kept, also=_Found())
        kept, self._kept = self._kept, Pending()
        return kept

    async def _ask(self, connection: asyncpg.Connection, batch: Pending, also: _Found) -> None:
        self._looked_at = time.monotonic()
        intents = list(batch.intents())
        viewers = {i.tile.viewer_id if isinstance(i, Beat) else i.viewer_id for i in intents}
        streams = {i.tile.stream_id if isinstance(i, Beat) else i.stream_id for i in intents}
        streams |= {lease.stream_id for lease in batch.leases()}
        named: list[Collection[UUID | None]] = [viewers | also.viewers, streams | also.streams]
        text = cast("str", await connection.fetchval(FIND, *map(list, named)))
        self._found = msgspec.json.decode(text, type=_Found)
