"""Who hears what: open sockets by account, session, stream and chat, each with a bounded outbox.

In this process only; everywhere.py does what has to happen at other servers too.
"""

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple
from uuid import UUID, uuid4

from livewall import metrics
from livewall.db import Caller
from livewall.errors import Refusal
from livewall.messages import Error, ToClient, frame

# Whoever has one of these roles hears of purchases that wait for a decision.
FINANCE = frozenset({"finance", "admin"})
# What may wait for one socket. Whoever is further behind gets a snapshot instead.
OUTBOX_BYTES = 256 * 1024
FAREWELL_SECONDS = 1.0
RESYNC_SECONDS = 5.0


class Member(NamedTuple):
    """One session of one account."""

    profile_id: UUID
    session_id: UUID


class Wire(NamedTuple):
    """How a client reaches its socket. `load` returns the frames of a fresh snapshot."""

    send: Callable[[str], Awaitable[None]]
    load: "Callable[[Client], Awaitable[list[str]]]"
    failed: Callable[[Exception], Awaitable[None]]
    close: Callable[[int], Awaitable[None]]


class _Item(NamedTuple):
    text: str
    is_answer: bool

    @property
    def size(self) -> int:
        """What it takes on the wire, in bytes."""
        return len(self.text) if self.text.isascii() else len(self.text.encode())


class Client:
    """One open socket, as the rest of the server sees it.

    Whatever is pushed while a snapshot is read is sent after it, so nothing that happens between
    reading and subscribing is missed.
    """

    def __init__(self, caller: Caller, profile_id: UUID, session_id: UUID, wire: Wire) -> None:
        self.connection = uuid4()
        self.caller = caller
        self.profile_id = profile_id
        self.session_id = session_id
        self.name = ""
        self.roles: frozenset[str] = frozenset()
        self.blocked: frozenset[UUID] = frozenset()
        self.wall: frozenset[UUID] = frozenset()
        self.tiles: frozenset[UUID] = frozenset()
        self.chat: UUID | None = None
        self.topics: frozenset[UUID] = frozenset()
        self.is_open = True
        self.is_closing = False
        # By the database's clock, in seconds since 1970; not known before the first snapshot.
        self.opened_at = float("inf")
        self._wire = wire
        self._items: deque[_Item] = deque()
        self._bytes = 0
        self._stale = True
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.Future[None] | None = None
        self._resynced_at = float("-inf")
        self._later: asyncio.TimerHandle | None = None

    @property
    def member(self) -> Member:
        """Account and session: what a newer socket replaces and a seat belongs to."""
        return Member(self.profile_id, self.session_id)

    @property
    def backlog(self) -> int:
        """What waits to be sent, in bytes."""
        return self._bytes

    def push(self, text: str, *, is_answer: bool = False) -> None:
        """Queue an encoded frame; if the socket is too far behind, a snapshot instead of it."""
        if not self.is_open:
            return
        item = _Item(text, is_answer)
        self._items.append(item)
        self._bytes += item.size
        if self._bytes > OUTBOX_BYTES:
            metrics.SOCKET_RESYNCS.inc()
            self._forget_events()
            if self._bytes > OUTBOX_BYTES:
                # It asks and does not read the answers: no snapshot helps.
                self.is_open = False
                self._closing = asyncio.ensure_future(self._wire.close(4429))
        self._wake()

    def tell(self, message: ToClient, *, is_answer: bool = False) -> None:
        """Queue a message for this socket alone."""
        self.push(frame(message), is_answer=is_answer)

    def resync(self) -> None:
        """Send a fresh snapshot, before whatever is queued."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._resynced_at = asyncio.get_running_loop().time()
        self._stale = True
        self._wake()

    def resync_soon(self) -> None:
        """The same for a cause that lies with others: not again and again, however often."""
        loop = asyncio.get_running_loop()
        wait = self._resynced_at + RESYNC_SECONDS - loop.time()
        if wait <= 0:
            self.resync()
        elif self._later is None:
            self._later = loop.call_later(wait, self.resync)

    def _forget_events(self) -> None:
        # Answers stay: somebody waits for exactly those.
        self._items = deque(item for item in self._items if item.is_answer)
        self._bytes = sum(item.size for item in self._items)
        self._stale = True

    def _wake(self) -> None:
        if self._task is None and self.is_open:
            self._task = asyncio.create_task(self._drain())

    start = _wake

    async def _drain(self) -> None:
        try:
            while self.is_open and (self._stale or self._items):
                if self._stale:
                    await self._reload()
                    continue
                item = self._items.popleft()
                self._bytes -= item.size
                await self._wire.send(item.text)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this socket only
            self.is_open = False
            await self._wire.failed(error)
        finally:
            self._task = None

    async def _reload(self) -> None:
        self._stale = False
        items = [_Item(text, is_answer=False) for text in await self._wire.load(self)]
        self._items.extendleft(reversed(items))
        self._bytes += sum(item.size for item in items)

    async def close(self, code: int, farewell: ToClient | None = None) -> None:
        """Say farewell, give what is queued a moment to leave, and close."""
        if farewell is not None:
            self.tell(farewell, is_answer=True)
        if self._task is not None:
            await asyncio.wait([self._task], timeout=FAREWELL_SECONDS)
        self.is_open = False
        metrics.SOCKETS_CLOSED.labels(str(code)).inc()
        await self._wire.close(code)


class Hub:
    """All open sockets of this process."""

    def __init__(self) -> None:
        self.clients: dict[UUID, Client] = {}
        self.loading: set[Client] = set()
        self._sessions: dict[Member, Client] = {}
        self._profiles: defaultdict[UUID, set[Client]] = defaultdict(set)
        self._topics: defaultdict[UUID, set[Client]] = defaultdict(set)
        self._chats: defaultdict[UUID, set[Client]] = defaultdict(set)
        self._closing: set[asyncio.Task[None]] = set()

    def join(self, client: Client) -> None:
        """Add a socket, in place of an older one of the same session."""
        older = self._sessions.get(client.member)
        if older is not None:
            self.supersede(older)
        self.clients[client.connection] = client
        self._sessions[client.member] = client
        self._profiles[client.profile_id].add(client)
        metrics.SOCKETS.set(len(self.clients))

    def supersede(self, older: Client) -> None:
        """End a socket whose session has a newer one, here or at another server."""
        self.leave(older)
        self.close_soon([older], 4409, Error(Refusal("replaced").problem()))

    def leave(self, client: Client) -> bool:
        """Remove a socket; say whether it was still the one of its session."""
        if self.clients.pop(client.connection, None) is None:
            return False
        del self._sessions[client.member]
        _discard(self._profiles, client.profile_id, client)
        self._follow(client, frozenset())
        if client.chat is not None:
            _discard(self._chats, client.chat, client)
        metrics.SOCKETS.set(len(self.clients))
        return True

    def has(self, client: Client) -> bool:
        """Whether a socket is here still; whoever has left must not be subscribed again."""
        return client.connection in self.clients

    def refollow(self, client: Client) -> None:
        """Subscribe a socket to what it shows: streamers on its wall, tiles, chat, own stream."""
        if not self.has(client):
            return
        own = {client.profile_id} if client.chat is None else {client.profile_id, client.chat}
        self._follow(client, client.wall | client.tiles | own)

    def _follow(self, client: Client, wanted: frozenset[UUID]) -> None:
        for topic in client.topics - wanted:
            _discard(self._topics, topic, client)
        for topic in wanted - client.topics:
            self._topics[topic].add(client)
        client.topics = wanted

    def open_chat(self, client: Client, stream_id: UUID | None) -> None:
        """Set the one chat a socket hears."""
        if not self.has(client):
            return
        if client.chat is not None:
            _discard(self._chats, client.chat, client)
        client.chat = stream_id
        if stream_id is not None:
            self._chats[stream_id].add(client)
        self.refollow(client)

    def of_connection(self, connection: UUID | None) -> Client | None:
        """Return the socket with this connection id."""
        return None if connection is None else self.clients.get(connection)

    def of_session(self, profile_id: UUID, session_id: UUID | None) -> Client | None:
        """Return the open socket of a session."""
        return None if session_id is None else self._sessions.get(Member(profile_id, session_id))

    def of_profile(self, profile_id: UUID) -> list[Client]:
        """Return every open socket of an account."""
        return list(self._profiles.get(profile_id, ()))

    def resync_all(self) -> None:
        """Send everybody a fresh snapshot, spread over some seconds: all read the database."""
        loop = asyncio.get_running_loop()
        for client in self.clients.values():
            loop.call_later(random.uniform(0, RESYNC_SECONDS), client.resync_soon)  # noqa: S311

    def close_soon(self, clients: Iterable[Client], code: int, farewell: ToClient) -> None:
        """Say farewell to these sockets and close them, all at the same time."""
        for client in clients:
            if client.is_closing:
                continue
            client.is_closing = True
            closing = asyncio.create_task(client.close(code, farewell))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def to_profile(self, profile_id: UUID, message: ToClient, but: UUID | None = None) -> None:
        """Tell every socket of an account, except those of the session `but`."""
        text = frame(message)
        for client in self.of_profile(profile_id):
            if client.session_id != but:
                client.push(text)

    def to_finance(self, message: ToClient) -> None:
        """Tell the staff who decide about money."""
        self._deliver({c for c in self.clients.values() if c.roles & FINANCE}, message)

    def to_topics(self, topics: Iterable[UUID], message: ToClient) -> None:
        """Tell whoever shows one of these, and whoever reads a snapshot this moment."""
        self._deliver(self._showing(topics) | self.loading, message)

    def to_onlookers(self, topics: Iterable[UUID], message: ToClient, sender_id: UUID) -> None:
        """Tell whoever shows one of these of something passing that is in no snapshot.

        Nobody in a blocked pair with the sender hears it.
        """
        onlookers = {c for c in self._showing(topics) if sender_id not in c.blocked}
        self._deliver(onlookers, message)

    def _showing(self, topics: Iterable[UUID]) -> set[Client]:
        reached: set[Client] = set()
        for topic in topics:
            reached |= self._topics.get(topic, set())
        return reached

    def to_everybody(self, message: ToClient) -> None:
        """Tell every socket."""
        self._deliver(set(self.clients.values()), message)

    def to_chat(self, stream_id: UUID, message: ToClient, sender_id: UUID | None = None) -> None:
        """Tell whoever has this chat open, but nobody in a blocked pair with the sender."""
        readers = self._chats.get(stream_id, set())
        self._deliver({c for c in readers if sender_id not in c.blocked}, message)

    def _deliver(self, clients: set[Client], message: ToClient) -> None:
        metrics.FAN_OUT.observe(len(clients))
        if not clients:
            return
        text = frame(message)
        for client in clients:
            client.push(text)


def _discard(index: dict[UUID, set[Client]], key: UUID, client: Client) -> None:
    members = index.get(key)
    if members is not None:
        members.discard(client)
        if not members:
            del index[key]
