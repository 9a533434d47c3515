"""One tab of one person: a WebSocket that greets, beats, and comes back by itself."""

import asyncio
import itertools
import random
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import msgspec
import structlog
from msgspec import UNSET
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from livewall.client.api import ProblemError
from livewall.client.messages import (
    ClientMessage,
    Error,
    GoLive,
    Goodbye,
    Heartbeat,
    Hello,
    Leave,
    Ok,
    Other,
    PublisherBeat,
    ServerMessage,
    Snapshot,
    Stop,
    TileBeat,
    read,
)

log = structlog.get_logger(__name__)

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 15.0
ANSWER_SECONDS = 5.0
CLOSE_SECONDS = 2.0
# The snapshot of a busy house is large; a message without end is an attack.
LARGEST_MESSAGE = 8 * 1024 * 1024

Listener = Callable[[ServerMessage | Other], None]


class SocketLostError(Exception):
    """There is no socket right now, or it closed before the answer came."""


class SignedOutError(Exception):
    """The server does not know this token any more; sign in again."""


class BannedError(Exception):
    """The server does not want this person; do not come back."""


def backoff(attempt: int) -> float:
    """Seconds to wait before try number `attempt` (from 0): doubling, capped, with full jitter."""
    ceiling = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(attempt, 10))
    return random.uniform(0, ceiling)  # noqa: S311  jitter, not a secret


class Tab:
    """One session at one server.

    `listeners` hear every message in order. `tiles` and `publishing` are asked for at each
    heartbeat. `run` keeps the socket up until `close`, or until the server ends the friendship.
    `close_codes` counts how its sockets ended; 1006 is without a word.
    """

    def __init__(self, base_url: str, token: str, session_id: str | None = None) -> None:
        url = urlsplit(base_url)
        scheme = "wss" if url.scheme == "https" else "ws"
        self.url = f"{scheme}://{url.netloc}{url.path.rstrip('/')}/ws"
        self.session_id = session_id or str(uuid.uuid4())
        self.snapshot: Snapshot | None = None
        self.listeners: list[Listener] = []
        self.tiles: Callable[[], list[TileBeat]] = list
        self.publishing: Callable[[], PublisherBeat | None] = lambda: None
        self.connected = asyncio.Event()
        self.close_codes: Counter[int] = Counter()
        self._token = token
        self._socket: ClientConnection | None = None
        self._outbox: asyncio.Queue[ClientMessage] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[Ok]] = {}
        self._ids = itertools.count(1)
        self._sequence = 0
        self._beat_now = asyncio.Event()
        self._closing = asyncio.Event()
        self._reconnect_after: float | None = None

    async def run(self) -> None:
        """Stay connected until `close`. Raises `SignedOutError` or `BannedError`."""
        attempt = 0
        while not self._closing.is_set():
            self._reconnect_after = None
            try:
                await self._one_socket()
            except (OSError, InvalidHandshake, ConnectionClosed, msgspec.DecodeError) as error:
                log.debug("socket_lost", reason=str(error))
            attempt = 0 if self.connected.is_set() else attempt + 1
            self._forget_socket()
            self._obey_close_code()
            await self._pause(self._delay(attempt))

    def send(self, message: ClientMessage) -> bool:
        """Queue `message`; false if there is no socket, then it is dropped."""
        if not self.connected.is_set():
            return False
        self._outbox.put_nowait(message)
        return True

    async def go_live(self, title: str, *, take_over: bool = False) -> Ok:
        """Take the publisher lease. Raises `ProblemError` or `SocketLostError`."""
        return await self._ask(lambda re: GoLive(re, title, take_over))

    async def stop(self) -> Ok:
        """End the stream at once. Raises `ProblemError` or `SocketLostError`."""
        return await self._ask(Stop)

    def leave(self, stream_ids: list[str] | None = None) -> None:
        """Leave the given tiles, or all of them."""
        ids = UNSET if stream_ids is None else stream_ids
        self.send(Leave(self._next_sequence(), ids))

    def beat(self) -> None:
        """Send a heartbeat at once, because a flag changed."""
        self._beat_now.set()

    @property
    def is_closing(self) -> bool:
        """Whether `close` was called."""
        return self._closing.is_set()

    async def close(self) -> None:
        """Close the socket; `run` returns. Say `leave` or `stop` first if it is meant for good."""
        self._closing.set()
        if self._socket is not None:
            await self._flush()
            await self._socket.close()

    async def _ask(self, message: Callable[[int], ClientMessage]) -> Ok:
        number = next(self._ids)
        answer = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            if not self.send(message(number)):
                raise SocketLostError
            return await asyncio.wait_for(answer, ANSWER_SECONDS)
        except TimeoutError as error:
            raise SocketLostError from error
        finally:
            self._answers.pop(number, None)

    async def _one_socket(self) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        async with connect(
            self.url,
            additional_headers=headers,
            compression=None,
            proxy=None,
            max_size=LARGEST_MESSAGE,
            close_timeout=CLOSE_SECONDS,
        ) as socket:
            self._socket = socket
            await socket.send(msgspec.json.encode(Hello(self.session_id)).decode())
            await _first_to_end(self._receive(socket), self._transmit(socket), self._keep_beating())

    async def _receive(self, socket: ClientConnection) -> None:
        async for raw in socket:
            message = read(raw)
            if isinstance(message, Snapshot):
                self.snapshot = message
                self.connected.set()
            self._settle(message)
            for listener in self.listeners:
                listener(message)

    async def _transmit(self, socket: ClientConnection) -> None:
        while True:
            message = await self._outbox.get()
            # Text, because the protocol is JSON and some proxies drop binary frames.
            await socket.send(msgspec.json.encode(message).decode())
            self._outbox.task_done()

    async def _keep_beating(self) -> None:
        await self.connected.wait()
        while True:
            self._beat_now.clear()
            publishing = self.publishing() or UNSET
            self.send(Heartbeat(self._next_sequence(), self.tiles(), publishing))
            seconds = self.snapshot.heartbeat_seconds if self.snapshot else 12.0
            await _until(self._beat_now, seconds)

    def _settle(self, message: ServerMessage | Other) -> None:
        if isinstance(message, Goodbye):
            self._reconnect_after = message.reconnect_after_ms / 1000
        if not isinstance(message, Ok | Error) or message.re is None:
            return
        answer = self._answers.get(message.re)
        if answer is None or answer.done():
            return
        if isinstance(message, Ok):
            answer.set_result(message)
        else:
            answer.set_exception(ProblemError(message.problem))

    def _forget_socket(self) -> None:
        self.connected.clear()
        self._outbox = asyncio.Queue()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(SocketLostError())

    def _obey_close_code(self) -> None:
        code = self._socket.close_code if self._socket else None
        self._socket = None
        if code is not None:
            self.close_codes[code] += 1
        if self._closing.is_set():
            return
        if code == 4401:
            raise SignedOutError
        if code == 4403:
            raise BannedError
        if code == 4409:
            self.session_id = str(uuid.uuid4())

    def _delay(self, attempt: int) -> float:
        jittered = backoff(attempt)
        return jittered if self._reconnect_after is None else self._reconnect_after + jittered

    async def _pause(self, seconds: float) -> None:
        await _until(self._closing, seconds)

    async def _flush(self) -> None:
        try:
            await asyncio.wait_for(self._outbox.join(), 1.0)
        except TimeoutError:
            log.debug("socket_slow_to_close")

    def _next_sequence(self) -> int:
        # Milliseconds since 1970 also grow across a restart that keeps the session.
        self._sequence = max(self._sequence + 1, int(time.time() * 1000))
        return self._sequence


async def _until(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


async def _first_to_end(*parts: Awaitable[None]) -> None:
    """Run `parts` together until one ends, end the others, and raise what went wrong."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
