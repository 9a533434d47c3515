"""How uvicorn's connections bear clients who break off, dawdle or never read.

Every limit here ends one connection. Behind a proxy that reads requests whole (docs/production.md)
the first of them is never met.
"""

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from livewall.limits import Bucket

HEADER_SECONDS = 10.0
MOST_HEADER = 64 * 1024
# A ping now and then is all that browsers and the libraries we know send.
CONTROL_PER_SECOND = 2.0
CONTROL_BURST = 20.0
# Answers to pings are written at once, read or not.
MOST_UNREAD = 256 * 1024
MOST_PIECES = 64


class RequestConnection(HttpToolsProtocol):
    """HTTP. Whoever begins a request, or a connection, says all of its header within 10 seconds."""

    _deadline: asyncio.TimerHandle | None = None
    _is_header = True
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Start the clock."""
        super().connection_made(transport)
        self._judge()

    def data_received(self, data: bytes) -> None:
        """Take what came; stop the clock once a request is whole."""
        super().data_received(data)
        self._header_bytes = self._header_bytes + len(data) if self._is_header else 0
        if self._header_bytes > MOST_HEADER and not self.transport.is_closing():
            self.send_400_response("The header is too large.")
        self._judge()

    def on_message_begin(self) -> None:
        """Begin a request with its header."""
        super().on_message_begin()
        self._is_header = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. What follows the body looks the same, but nobody has checked it."""
        if self._is_header:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Go on to the body."""
        super().on_headers_complete()
        self._is_header = False

    def handle_websocket_upgrade(self) -> None:
        """Hand over to the socket, which has its own time for hello."""
        super().handle_websocket_upgrade()
        self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        self._stop()
        super().connection_lost(exc)

    def _judge(self) -> None:
        # The rest of a body nobody waits for counts as well: its answer is given.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        owes = cycle is None or cycle.response_complete
        if not owes or self.transport.get_protocol() is not self:
            self._stop()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class SocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket. Messages wait for their reader (see socket.py); control frames are counted."""

    _control: Bucket | None = None

    def handle_ping(self) -> None:
        """Answer, unless there are too many or nobody reads the answers."""
        self._count()
        super().handle_ping()
        if self.transport.get_write_buffer_size() > MOST_UNREAD:
            self.transport.abort()

    def handle_pong(self, event: Frame) -> None:
        """Take an answer to our own ping, and count those that are none."""
        self._count()
        super().handle_pong(event)

    def handle_cont(self, event: Frame) -> None:
        """Take a piece; empty ones cost nothing to send and are bounded by no size."""
        super().handle_cont(event)
        if len(self.frames) > MOST_PIECES:
            self.transport.abort()

    def _count(self) -> None:
        if self._control is None:
            self._control = Bucket(CONTROL_PER_SECOND, CONTROL_BURST)
        if self._control.take() > 0:
            self.transport.abort()
