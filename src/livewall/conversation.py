"""What each message of a socket does, and what a socket is told when it starts or starts over."""

import base64
import hashlib
import hmac
import time
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from livewall import streams
from livewall.changes import publish_event
from livewall.errors import Refusal
from livewall.hub import Client
from livewall.messages import (
    MOST_ACTIVE,
    MOST_TILES,
    ClientMessage,
    Error,
    FromClient,
    GoLive,
    Heartbeat,
    Hello,
    Leave,
    Limits,
    Ok,
    OpenChat,
    PublisherLost,
    Signal,
    Snapshot,
    Stop,
    ToClient,
    frame,
)
from livewall.server import Server
from livewall.settings import Settings
from livewall.shapes import Account, Slot, Stream, StreamChange

HEARTBEAT_SECONDS = 12
TURN_SECONDS = 12 * 3600
# These mean that the client does not speak the protocol: it is told, and cut off.
FATAL = frozenset({"invalid_message", "banned", "not_signed_in", "session_closed"})


class _Row(msgspec.Struct):
    """The snapshot as the database reads it, all of one moment."""

    account: Account
    streams: list[Stream]
    slots: list[Slot]
    blocked: list[UUID]
    own_stream: Stream | None
    own_change: StreamChange | None
    server_time: datetime


class Conversation:
    """One socket's side of the protocol."""

    def __init__(self, server: Server, expires_at: float) -> None:
        self._server = server
        self._expires_at = datetime.fromtimestamp(expires_at, UTC)
        self._met = False

    async def load(self, client: Client) -> list[str]:
        """Return the frames of a fresh snapshot. Raises Refusal.

        While it is read the socket hears of every stream, so nothing in between is missed.
        """
        hub = self._server.hub
        hub.loading.add(client)
        try:
            row = await self._server.database.call(
                client.caller, "socket_snapshot", _Row, p_session_id=client.session_id
            )
        finally:
            hub.loading.discard(client)
        client.name = row.account.profile.name
        client.roles = frozenset(row.account.roles)
        client.blocked = frozenset(row.blocked)
        client.wall = frozenset(slot.streamer_id for slot in row.slots)
        hub.refollow(client)
        if row.own_change is not None:
            self._server.changes.apply([row.own_change])
        if not self._met and hub.has(client):
            self._met = True
            client.opened_at = row.server_time.timestamp()
            self._server.presence.plane.connected(client)
        return [frame(message) for message in self._opening(client, row)]

    def _opening(self, client: Client, row: _Row) -> list[ToClient]:
        settings = self._server.settings
        snapshot = Snapshot(
            connection=client.connection,
            account=msgspec.structs.replace(row.account, expires_at=self._expires_at),
            streams=row.streams,
            slots=row.slots,
            blocked=row.blocked,
            own_stream=row.own_stream,
            heartbeat_seconds=HEARTBEAT_SECONDS,
            limits=Limits(MOST_TILES, MOST_ACTIVE, settings.seats),
            ice_servers=ice_servers(settings, client.connection),
            relay_only=settings.turn_relay_only,
            server_time=row.server_time,
        )
        opening: list[ToClient] = [snapshot]
        change = row.own_change
        if change is not None and change.publisher_session_id == client.session_id:
            opening.append(publish_event(change))
        return opening + self._server.presence.plane.state_for(client)

    async def hear(self, client: Client, message: ClientMessage) -> None:
        """Act on a message and answer it. Raises Refusal for what ends the socket."""
        try:
            await self._act(client, message)
        except Refusal as refusal:
            if refusal.code in FATAL:
                raise
            client.tell(Error(refusal.problem(), re=message.id), is_answer=True)

    async def _act(self, client: Client, message: ClientMessage) -> None:
        match message:
            case Heartbeat():
                self._server.presence.heartbeat(client, message)
            case Leave():
                member = client.member
                self._server.presence.leave(member, message.sequence, message.stream_ids)
            case Signal():
                self._server.presence.plane.relay(client, message)
            case OpenChat():
                self._server.hub.open_chat(client, message.stream_id)
            case GoLive():
                await self._go_live(client, message)
                return
            case Stop():
                await self._stop(client, message)
                return
            case Hello():
                raise Refusal("invalid_message", "hello is said once, first.")
        _answer(client, message, Ok(re=message.id))

    async def _go_live(self, client: Client, message: GoLive) -> None:
        started = await streams.start(
            self._server,
            client.caller,
            client.session_id,
            message.title,
            take_over=message.take_over,
        )
        client.tell(Ok(re=message.id, stream=started.stream), is_answer=True)
        known = self._server.changes.publisher_of(started.stream.id)
        self._server.changes.apply_own(started.change)
        replaced = started.replaced_session_id
        if replaced is not None and (known is None or known.session_id != replaced):
            # We did not know that it published; it still has to hear that it does not.
            other = self._server.hub.of_session(client.profile_id, replaced)
            if other is not None:
                other.tell(PublisherLost(started.stream.id, "taken_over"))

    async def _stop(self, client: Client, message: Stop) -> None:
        change = await streams.stop(self._server, client.caller)
        client.tell(Ok(re=message.id, stream=change.stream), is_answer=True)
        self._server.changes.apply_own(change, stopped_by=client.session_id)


def _answer(client: Client, message: FromClient, ok: Ok) -> None:
    if message.id is not None:
        client.tell(ok, is_answer=True)


def ice_servers(settings: Settings, connection: UUID) -> list[dict[str, str | list[str]]]:
    """Return what browsers need to find each other.

    With the secret shared with the TURN server (coturn's `use-auth-secret`) each socket gets a
    name and password of its own for 12 hours; else all get the fixed ones.
    """
    if not settings.turn_url:
        return []
    name, password = settings.turn_username, settings.turn_credential
    if settings.turn_secret:
        name = f"{int(time.time()) + TURN_SECONDS}:{connection.hex}"
        digest = hmac.new(settings.turn_secret.encode(), name.encode(), hashlib.sha1).digest()
        password = base64.b64encode(digest).decode()
    urls = [url.strip() for url in settings.turn_url.split(",")]
    return [{"urls": urls, "username": name, "credential": password}]
