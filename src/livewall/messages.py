"""The messages of the socket, both ways. The `type` field tells them apart."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from livewall.errors import Problem
from livewall.money import Purchase
from livewall.shapes import (
    Account,
    ChatMessage,
    Count,
    Gift,
    ShortText,
    Slot,
    Stream,
    Why,
)

MOST_TILES = 12
MOST_ACTIVE = 4
LARGEST = 32 * 1024


class FromClient(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, kw_only=True):
    """What every client message may carry: an id that its answer repeats."""

    id: Count | None = None


class Hello(FromClient, tag="hello"):
    """The first message: which tab this is."""

    protocol: Literal[1]
    session_id: UUID


class Tile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tile in a heartbeat; with all four flags true it counts as watching."""

    stream_id: UUID
    is_active: bool
    is_unmuted: bool
    is_visible: bool
    is_subscribed: bool

    @property
    def flags(self) -> int:
        """The flags as the database takes them."""
        return self.is_active + 2 * self.is_unmuted + 4 * self.is_visible + 8 * self.is_subscribed


class Publisher(msgspec.Struct, forbid_unknown_fields=True):
    """The streamer's part of a heartbeat: keeps the lease."""

    stream_id: UUID


class Heartbeat(FromClient, tag="heartbeat"):
    """Every tile of the wall that holds a live stream."""

    sequence: Count
    # One more than allowed is read, so that its sender hears what is wrong with it.
    tiles: Annotated[list[Tile], Meta(max_length=200)]
    publisher: Publisher | None = None


class Leave(FromClient, tag="leave"):
    """An explicit goodbye to some streams, or to all of this session."""

    sequence: Count
    stream_ids: Annotated[list[UUID], Meta(max_length=MOST_TILES)] | None = None


class GoLive(FromClient, tag="go_live"):
    """Take the publisher lease for this session."""

    title: ShortText = ""
    take_over: bool = False


class Stop(FromClient, tag="stop"):
    """Stop being live."""


class SignalData(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What two browsers tell each other to connect."""

    kind: Literal["offer", "answer", "candidate", "ended"]
    sdp: str | UnsetType = UNSET
    candidate: dict[str, str | int | None] | UnsetType | None = UNSET


class Signal(FromClient, tag="signal"):
    """Something for the other side of a seat."""

    to: UUID
    media_id: UUID
    data: SignalData


class OpenChat(FromClient, tag="open_chat"):
    """Which chat this socket wants to hear."""

    stream_id: UUID | None


ClientMessage = Hello | Heartbeat | Leave | GoLive | Stop | Signal | OpenChat


class ToClient(msgspec.Struct, tag_field="type", kw_only=True):
    """What the server says."""


class Limits(msgspec.Struct, frozen=True):
    """How much of what."""

    tiles: int
    active: int
    seats: int


class Snapshot(ToClient, tag="snapshot"):
    """The whole truth at one moment."""

    connection: UUID
    account: Account
    streams: list[Stream]
    slots: list[Slot]
    blocked: list[UUID]
    own_stream: Stream | None
    heartbeat_seconds: int
    limits: Limits
    ice_servers: list[dict[str, str | list[str]]]
    relay_only: bool
    server_time: datetime


class StreamEvent(ToClient, tag="stream"):
    """A stream changed; this is all of it."""

    stream: Stream


class SlotsEvent(ToClient, tag="slots"):
    """The wall was saved; this is all of it."""

    slots: list[Slot]


class SeatEvent(ToClient, tag="seat"):
    """Whether this tile gets video, from whom, or its place in the queue."""

    stream_id: UUID
    state: Literal["granted", "waiting", "none"]
    media_id: UUID | None = None
    publisher: UUID | None = None
    position: int | None = None


class PublishEvent(ToClient, tag="publish"):
    """The command to the streamer; act on the highest epoch."""

    stream_id: UUID
    epoch: int
    is_published: bool
    why: Why


class Seated(msgspec.Struct, frozen=True):
    """A viewer to send video to."""

    connection: UUID
    media_id: UUID
    name: str


class Waiting(msgspec.Struct, frozen=True):
    """A viewer without a seat."""

    name: str


class WatchersEvent(ToClient, tag="watchers"):
    """Everybody with a seat and everybody waiting for one."""

    stream_id: UUID
    revision: int
    seated: list[Seated]
    waiting: list[Waiting]


class PublisherAway(ToClient, tag="publisher_away"):
    """The streamer's socket is gone for the moment."""

    stream_id: UUID


class PublisherLost(ToClient, tag="publisher_lost"):
    """This session does not publish any more."""

    stream_id: UUID
    reason: Literal["taken_over", "lease_expired", "banned", "stopped"]


class SignalEvent(ToClient, tag="signal"):
    """Something from the other side of a seat; `from` on the wire."""

    sender: UUID = msgspec.field(name="from")
    stream_id: UUID
    media_id: UUID
    data: SignalData


class ChatEvent(ToClient, tag="chat"):
    """Somebody said something in the open chat."""

    message: ChatMessage


class ChatDeleted(ToClient, tag="chat_deleted"):
    """A message of the open chat lost its words."""

    stream_id: UUID
    id: int


class GiftEvent(ToClient, tag="gift"):
    """Somebody gave something to the streamer of a stream that this socket shows."""

    stream_id: UUID
    gift: Gift


class WalletEvent(ToClient, tag="wallet"):
    """One's own wallet changed: read it again."""


class PurchaseEvent(ToClient, tag="purchase"):
    """One's own purchase changed; this is all of it."""

    purchase: Purchase


class HeldEvent(ToClient, tag="held"):
    """For finance: the list of held purchases changed, read it again."""


class Ok(ToClient, tag="ok", omit_defaults=True):
    """The answer to a message with an id."""

    re: int | None = None
    stream: Stream | UnsetType = UNSET


class Error(ToClient, tag="error", omit_defaults=True):
    """Something is refused; with `re` if the message had an id."""

    problem: Problem
    re: int | None = None


class Goodbye(ToClient, tag="goodbye"):
    """The server closes this socket in a moment."""

    reason: Literal["restart", "signed_out"]
    reconnect_after_ms: int


_encoder = msgspec.json.Encoder()
decode = msgspec.json.Decoder(ClientMessage).decode


def frame(message: ToClient) -> str:
    """Encode a message once, for any number of sockets."""
    return _encoder.encode(message).decode()
