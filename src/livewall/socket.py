"""The WebSocket, from handshake to farewell. What messages do is in conversation.py."""

import asyncio
import contextlib
import time
from collections import Counter
from functools import partial
from uuid import UUID

import msgspec
import structlog
from litestar.types import Receive, Send, WebSocketScope

from livewall import messages, metrics
from livewall.callers import Visit, read_headers
from livewall.conversation import Conversation
from livewall.errors import Refusal
from livewall.hub import Client, Wire
from livewall.limits import Bucket
from livewall.messages import Error, Hello
from livewall.server import Server

HELLO_SECONDS = 10.0
CLOSE_SECONDS = 1.0
# So many sockets ask the database who they are, or for a snapshot, at once. When all of a server's
# come at once, they wait here, and half of the connections are left to what else there is to do.
ARRIVALS_AT_ONCE = 5
# Beyond its burst a socket is read more slowly, never skipped: what it says still counts.
MESSAGES_PER_SECOND = 50.0
MESSAGES_BURST = 400.0
CLOSE_CODES = {
    "invalid_message": 4400,
    "not_signed_in": 4401,
    "invalid_token": 4401,
    "session_closed": 4401,
    "banned": 4403,
    "foreign_origin": 4403,
    "foreign_host": 4403,
    "no_hello": 4408,
    "replaced": 4409,
    "too_large": 4413,
    "too_many_sockets": 4429,
    "rate_limited": 4429,
    "database_away": 1013,
    "internal": 1011,
}
log = structlog.get_logger()


class Gone(Exception):  # noqa: N818 - not an error: people close pages
    """The client closed the socket or lost it."""


class Sockets:
    """The endpoint `/ws`. Counts sockets by address; accounts are counted by the hub."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._by_address: Counter[str] = Counter()
        self._turns = asyncio.Semaphore(ARRIVALS_AT_ONCE)

    async def __call__(self, scope: WebSocketScope, receive: Receive, send: Send) -> None:
        """Serve one socket for as long as it lives."""
        line = _Line(receive, send)
        if not await line.accept():
            return
        try:
            visit = await self._admit(scope)
        except Refusal as refusal:
            await line.refuse(refusal)
            return
        try:
            await self._serve(line, visit)
        except Refusal as refusal:
            await line.refuse(refusal)
        except Gone:
            pass
        except Exception:
            log.exception("socket_broke")
            await line.refuse(Refusal("internal"))
        finally:
            self._by_address[visit.subscriber] -= 1
            if not self._by_address[visit.subscriber]:
                del self._by_address[visit.subscriber]

    async def _admit(self, scope: WebSocketScope) -> Visit:
        """Return who connects; count them. Raises Refusal."""
        if scope["path"] != "/ws":
            raise Refusal("invalid_message", "The socket is at /ws.")
        headers = read_headers(scope["headers"])
        callers = self._server.callers
        callers.check_host(headers)
        peer = (scope["client"] or ("", 0))[0]
        async with self._turns:
            visit = await callers.identify(headers, peer)
        if visit.proof != "bearer":
            callers.check_origin(headers)
        if visit.caller.profile_id is None:
            raise Refusal("not_signed_in")
        limit = self._server.settings.sockets_per_address
        if self._by_address[visit.subscriber] >= limit:
            raise Refusal("too_many_sockets", fields={"limit": limit})
        self._by_address[visit.subscriber] += 1
        return visit

    async def _serve(self, line: "_Line", visit: Visit) -> None:
        hello = await line.hello()
        profile_id = visit.caller.profile_id
        if profile_id is None:
            raise Refusal("not_signed_in")
        self._check_account(profile_id, hello.session_id)
        conversation = Conversation(self._server, visit.expires_at)
        wire = Wire(line.send_text, partial(self._load, conversation), line.fail, line.close)
        client = Client(visit.caller, profile_id, hello.session_id, wire)
        self._server.hub.join(client)
        client.start()
        try:
            async with asyncio.timeout(visit.expires_at - time.time()):
                await self._listen(line, conversation, client)
        except TimeoutError as error:
            raise Refusal("invalid_token", "This token has expired.") from error
        finally:
            client.is_open = False
            if self._server.hub.leave(client):
                self._server.presence.plane.disconnected(client)

    async def _load(self, conversation: Conversation, client: Client) -> list[str]:
        async with self._turns:
            # Who waited too long for it has gone.
            return await conversation.load(client) if client.is_open else []

    def _check_account(self, profile_id: UUID, session_id: UUID) -> None:
        hub, limit = self._server.hub, self._server.settings.sockets_per_account
        others = [c for c in hub.of_profile(profile_id) if c.session_id != session_id]
        if len(others) >= limit:
            raise Refusal("too_many_sockets", fields={"limit": limit})

    async def _listen(self, line: "_Line", conversation: Conversation, client: Client) -> None:
        bucket = Bucket(MESSAGES_PER_SECOND, MESSAGES_BURST)
        while True:
            message = await line.message()
            if not client.is_open:
                raise Gone
            metrics.SOCKET_MESSAGES.labels(type(message).__name__).inc()
            wait = bucket.take()
            if wait > 0:
                await asyncio.sleep(wait)
                bucket.take()
            await conversation.hear(client, message)


class _Line:
    """One ASGI socket: accepts, decodes, closes once with a code."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._closed = False

    async def accept(self) -> bool:
        """Accept first and judge then: only an open socket can be closed with a code."""
        if (await self._receive())["type"] != "websocket.connect":
            return False
        await self._send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        return True

    async def hello(self) -> Hello:
        """Return the first message. Raises Refusal if it is late or another."""
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                message = await self.message()
        except TimeoutError as error:
            raise Refusal("no_hello") from error
        if not isinstance(message, Hello):
            raise Refusal("invalid_message", "The first message must be hello.")
        return message

    async def message(self) -> messages.ClientMessage:
        """Return the next message. Raises Refusal for what is none, Gone at the end."""
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            self._closed = True
            raise Gone
        text = event.get("text") if event["type"] == "websocket.receive" else None
        if text is None:
            raise Refusal("invalid_message", "Send text, not bytes.")
        if len(text) > messages.LARGEST or len(text.encode()) > messages.LARGEST:
            raise Refusal("too_large", f"A message has up to {messages.LARGEST} bytes.")
        try:
            return messages.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Refusal("invalid_message", str(error)) from error

    async def send_text(self, text: str) -> None:
        """Send one frame."""
        await self._send({"type": "websocket.send", "bytes": None, "text": text})

    async def refuse(self, refusal: Refusal) -> None:
        """Say why, and close."""
        if self._closed:
            return
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.send_text(messages.frame(Error(refusal.problem())))
        code = CLOSE_CODES.get(refusal.code, CLOSE_CODES["internal"])
        metrics.SOCKETS_CLOSED.labels(str(code)).inc()
        await self.close(code)

    async def close(self, code: int) -> None:
        """Close, once."""
        if self._closed:
            return
        self._closed = True
        # A client that reads nothing does not even let us say so.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._send({"type": "websocket.close", "code": code, "reason": ""})

    async def fail(self, error: Exception) -> None:
        """End a socket whose outgoing side broke: it is gone, or has no snapshot to live by."""
        if self._closed or isinstance(error, OSError):
            return
        if not isinstance(error, Refusal):
            log.error("socket_broke", exc_info=error)
            error = Refusal("internal")
        await self.refuse(error)
