"""Which other servers share this database, and what is said between them.

Each says every few seconds that it is alive. Alone, a server says nothing else.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

import msgspec
import structlog

from livewall import metrics
from livewall.bus import Bus
from livewall.cluster_messages import Alive, EverywhereMessage, Gone, SeatMessage, ServerMessage
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

    def hear(self, sender: UUID, message: EverywhereMessage | SeatMessage) -> None:
        """Another server said something."""
        ...

    def met(self, server_id: UUID) -> None:
        """A server is there, or there again; it knows nothing of us."""
        ...

    def lost(self, server_id: UUID) -> None:
        """A server ended, or was not heard of for 10 seconds."""
        ...

    def missed(self) -> None:
        """We missed something that others said, and they perhaps something that we said."""
        ...


class Cluster:
    """The other servers, as the bus tells of them (`bus.Ear`). `run` is its only task."""

    _listener: Listener  # from `run` on, and nothing is heard before

    def __init__(self, server_id: UUID, name: str, bus: Bus) -> None:
        self._id = server_id
        self._name = name
        self._bus = bus
        self._heard_at: dict[UUID, float] = {}
        self._names: dict[UUID, str] = {}
        self._is_listening = False
        self._has_listened = False

    @property
    def others(self) -> list[UUID]:
        """The other servers that are alive, as far as we have heard."""
        return list(self._heard_at)

    def tell(self, message: ServerMessage, to: UUID | None = None) -> None:
        """Tell the other servers, or one of them; nobody, if there are none."""
        # Who does not hear can not know that nobody is there: the bus keeps it for later.
        if self._heard_at or not self._is_listening:
            self._send(message, to)

    def _send(self, message: ServerMessage, to: UUID | None = None) -> None:
        self._bus.send(_encode(_Envelope(self._id, to, message)))

    async def run(self, listener: Listener) -> None:
        """Carry messages for ever, and say goodbye when cancelled."""
        self._listener = listener
        carrying = asyncio.create_task(self._bus.run(self))
        try:
            while not carrying.done():
                await asyncio.sleep(ALIVE_SECONDS)
                if self._is_listening:
                    self._send(Alive(self._name))
                self._count()
            await carrying
        finally:
            self.tell(Gone())
            await asyncio.sleep(FAREWELL_SECONDS)
            await end(carrying)

    def _count(self) -> None:
        now = time.monotonic()
        silent = [id_ for id_, heard_at in self._heard_at.items() if now - heard_at > LOST_SECONDS]
        for server_id in silent:
            self._lose(server_id)
        if silent:
            self.missed()  # its last words, perhaps
        metrics.OTHER_SERVERS.set(len(self._heard_at))

    def _lose(self, server_id: UUID) -> None:
        if self._heard_at.pop(server_id, None) is not None:
            log.info("server_lost", server=self._names.pop(server_id, ""))
            _act(lambda: self._listener.lost(server_id))

    # What the bus tells.

    def listening(self) -> None:
        """Introduce ourselves whenever we begin to hear."""
        self._is_listening = True
        self._send(Alive(self._name, is_new=True))
        if self._has_listened:
            self.missed()
        self._has_listened = True

    def deaf(self) -> None:
        """Go on as if the others were there: they may well be."""
        self._is_listening = False

    def missed(self) -> None:
        """Pass on that something was lost."""
        _act(self._listener.missed)

    def hear(self, message: bytes) -> None:
        """Act on a message, if it is of another server and for us."""
        try:
            envelope = _decode(message)
        except msgspec.ValidationError:
            # A server of the next version says something that this one does not know yet.
            metrics.BUS_MESSAGES.labels("unknown").inc()
            return
        sender, said = envelope.sender, envelope.message
        if sender == self._id or envelope.to not in {None, self._id}:
            return
        if isinstance(said, Gone):
            self._lose(sender)
            return
        if sender not in self._heard_at:
            self._send(Alive(self._name), sender)
        self._heard_at[sender] = time.monotonic()
        if isinstance(said, Alive):
            self._meet(sender, said)
        else:
            _act(lambda: self._listener.hear(sender, said))

    def _meet(self, sender: UUID, alive: Alive) -> None:
        is_met = sender in self._names
        self._names[sender] = alive.name
        if not is_met:
            log.info("server_met", server=alive.name)
        if alive.is_new or not is_met:
            _act(lambda: self._listener.met(sender))


def _act(act: Callable[[], None]) -> None:
    """Do something for the others; a fault in it must not end what is heard after it."""
    try:
        act()
    except Exception:
        log.exception("bus_message_broke")
