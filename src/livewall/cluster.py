"""Which other servers share this database, and what is said between them.

Each says every few seconds that it is alive. Alone, a server says nothing else.
"""

import asyncio
import time
from typing import Protocol
from uuid import UUID

import msgspec
import structlog

from livewall import metrics
from livewall.bus import Bus
from livewall.cluster_messages import Alive, Gone, ServerMessage
from livewall.ending import end

ALIVE_SECONDS = 2.0
# Silent for so long, a server is taken for dead.
LOST_SECONDS = 10.0
# For the last word to leave before the connection does.
FAREWELL_SECONDS = 0.1
log = structlog.get_logger()


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    sender: UUID
    to: UUID | None
    message: ServerMessage


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Envelope).decode


class Tell(Protocol):
    """Tells the other servers something, or one of them."""

    def __call__(self, message: ServerMessage, to: UUID | None = None) -> None:
        """Tell."""
        ...


class Listener(Protocol):
    """Who acts on what other servers say."""

    def hear(self, sender: UUID, message: ServerMessage) -> None:
        """Another server said something."""
        ...

    def met(self, server_id: UUID) -> None:
        """A server is there, or there again; it knows nothing of us."""
        ...

    def lost(self, server_id: UUID) -> None:
        """A server ended, or was not heard of for 10 seconds."""
        ...

    def missed(self) -> None:
        """We may have missed something that others said."""
        ...


class Cluster:
    """The other servers. `run` is its only task."""

    def __init__(self, server_id: UUID, bus: Bus) -> None:
        self._id = server_id
        self._bus = bus
        self._heard_at: dict[UUID, float] = {}
        self._is_first = True

    @property
    def others(self) -> list[UUID]:
        """The other servers that are alive, as far as we have heard."""
        return list(self._heard_at)

    def tell(self, message: ServerMessage, to: UUID | None = None) -> None:
        """Tell the other servers, or one of them; nobody, if there are none."""
        if self._heard_at:
            self._send(message, to)

    def _send(self, message: ServerMessage, to: UUID | None = None) -> None:
        self._bus.send(_encode(_Envelope(self._id, to, message)))

    async def run(self, listener: Listener) -> None:
        """Carry messages for ever, and say goodbye when cancelled."""
        carrying = asyncio.create_task(
            self._bus.run(
                lambda message: self._hear(listener, message), lambda: self._listening(listener)
            )
        )
        try:
            while not carrying.done():
                await asyncio.sleep(ALIVE_SECONDS)
                self._send(Alive())
                self._count(listener)
            await carrying
        finally:
            self.tell(Gone())
            await asyncio.sleep(FAREWELL_SECONDS)
            await end(carrying)

    def _listening(self, listener: Listener) -> None:
        self._send(Alive(is_new=True))
        if self._heard_at and not self._is_first:
            listener.missed()
        self._is_first = False

    def _count(self, listener: Listener) -> None:
        now = time.monotonic()
        for server_id, heard_at in list(self._heard_at.items()):
            if now - heard_at > LOST_SECONDS:
                self._lose(listener, server_id)
        metrics.OTHER_SERVERS.set(len(self._heard_at))

    def _lose(self, listener: Listener, server_id: UUID) -> None:
        if self._heard_at.pop(server_id, None) is not None:
            log.info("server_lost", server=str(server_id))
            listener.lost(server_id)

    def _hear(self, listener: Listener, text: bytes) -> None:
        envelope = _decode(text)
        sender, message = envelope.sender, envelope.message
        if sender == self._id or envelope.to not in {None, self._id}:
            return
        if isinstance(message, Gone):
            self._lose(listener, sender)
            return
        is_known = sender in self._heard_at
        self._heard_at[sender] = time.monotonic()
        is_new = isinstance(message, Alive) and message.is_new
        if not is_known:
            log.info("server_met", server=str(sender))
            self._send(Alive(), sender)
        if is_new or not is_known:
            listener.met(sender)
        if not isinstance(message, Alive):
            listener.hear(sender, message)
