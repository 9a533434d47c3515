"""The bus over LISTEN and NOTIFY of the database that all servers share.

One connection listens and notifies, in batches: each commit with a NOTIFY in it waits for the one
before, whoever makes it, so nothing else notifies.
"""

import asyncio
import base64
import binascii
import hmac
import time
from collections import deque
from collections.abc import Callable
from uuid import UUID

import asyncpg
import structlog

from livewall import metrics
from livewall.bus import Ear
from livewall.bus.sealed import MOST_PARTS, PART_BYTES, Opener, SealBroken, Sealer
from livewall.db import AWAY, Database, cause_of
from livewall.errors import Refusal

NOTIFY = "SELECT pg_notify($1, part) FROM unnest($2::text[]) AS part"
BATCH_SECONDS = 0.005
RETRY_SECONDS = 1.0
# Half of what a receiver takes at once, for what msgpack adds.
BATCH_BYTES = PART_BYTES * MOST_PARTS // 2
# While the database is away. What is older is old news.
MOST_WAITING_BYTES = 8 * 1024 * 1024
# Strangers can make us refuse as much as they like.
REPORT_SECONDS = 60.0
log = structlog.get_logger()


def channel(key: bytes) -> str:
    """Return a name that strangers can not know, so that they neither listen nor flood."""
    return f"livewall_{hmac.digest(key, b'channel', 'sha256').hex()[:32]}"


class PostgresBus:
    """Sends in batches, hears what everybody sends, reconnects."""

    def __init__(self, database: Database, key: bytes, sender: UUID) -> None:
        self._database = database
        self.channel = channel(key)
        self._sealer = Sealer(key, sender)
        self._opener = Opener(key)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._refused = 0
        self._report_at = 0.0

    def send(self, message: bytes) -> None:
        """Send soon. While the database is away, the newest few megabytes are kept."""
        self._waiting.append(message)
        self._waiting_bytes += len(message)
        while self._waiting_bytes > MOST_WAITING_BYTES or len(self._waiting[0]) > BATCH_BYTES:
            self._waiting_bytes -= len(self._waiting.popleft())
            self._lose(1)
            if not self._waiting:
                return
        self._wake.set()

    def _lose(self, count: int) -> None:
        metrics.BUS_LOST.inc(count)
        self._sealer.skip()

    async def run(self, ear: Ear) -> None:
        """Carry messages for ever; reconnect when the connection is lost."""
        while True:
            try:
                async with self._database.dedicated() as connection:
                    # Else it would be noticed only when something is said.
                    connection.add_termination_listener(lambda _: self._wake.set())
                    await connection.add_listener(self.channel, self._listener(ear))
                    ear.listening()
                    await self._write_all(connection)
            except (Refusal, *AWAY, TimeoutError, asyncpg.PostgresError) as error:
                log.warning("bus_lost", **cause_of(error))
            except Exception:
                # Whatever it is: a server that is deaf and dumb for ever is worse.
                log.exception("bus_broke")
            ear.deaf()
            await asyncio.sleep(RETRY_SECONDS)

    async def _write_all(self, connection: asyncpg.Connection) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(BATCH_SECONDS)
            batch = self._batch()
            parts = [base64.b64encode(part).decode() for part in self._sealer.seal(batch)]
            try:
                await connection.execute(NOTIFY, self.channel, parts)
            except BaseException:
                self._lose(len(batch))
                raise
            metrics.BUS_MESSAGES.labels("sent").inc(len(batch))

    def _batch(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        while self._waiting and size + len(self._waiting[0]) <= BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += len(batch[-1])
        self._waiting_bytes -= size
        if not self._waiting:
            self._wake.clear()
        return batch

    def _refuse(self) -> None:
        metrics.BUS_REFUSED.inc()
        self._refused += 1
        if time.monotonic() >= self._report_at:
            log.warning("bus_refused", count=self._refused)
            self._refused = 0
            self._report_at = time.monotonic() + REPORT_SECONDS

    def _listener(self, ear: Ear) -> Callable[..., None]:
        def take(_connection: object, _pid: int, _channel: str, payload: object) -> None:
            try:
                opened = self._opener.open(base64.b64decode(str(payload), validate=True))
            except (binascii.Error, ValueError, SealBroken):
                self._refuse()
                return
            if opened.is_gap:
                ear.missed()
            metrics.BUS_MESSAGES.labels("heard").inc(len(opened.messages))
            for message in opened.messages:
                ear.hear(message)

        return take
