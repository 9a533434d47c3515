"""The messages of docs/protocol.md as types: what a client sends, and what it may hear.

Outgoing structs carry exactly the documented fields, because the server refuses unknown ones.
Incoming structs ignore fields they do not know, so an older client keeps working beside a newer
server.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

SignalKind = Literal["offer", "answer", "candidate", "ended"]


class Person(Struct, frozen=True):
    """Who somebody is, in lists and on messages."""

    id: str
    name: str
    display_name: str = ""


class Stream(Struct, frozen=True):
    """One person's stream as everybody sees it; `publish_epoch` only grows."""

    id: str
    streamer: Person
    title: str
    live_available: bool
    is_published: bool
    active_viewer_count: int
    publish_epoch: int
    preview_version: int
    live_since: str | None
    slow_mode_seconds: int = 0


class Profile(Struct, frozen=True):
    """A public profile, without what depends on who asks."""

    id: str
    name: str
    display_name: str
    bio: str
    is_guest: bool


class Account(Struct, frozen=True):
    """The caller: their profile and what they may do."""

    profile: Profile
    is_guest: bool
    roles: list[str]
    expires_at: str | None = None


class SignedIn(Struct, frozen=True):
    """The answer to signing in; `token` is there when `return_token` asked for it."""

    account: Account
    token: str = ""


class Why(Struct, frozen=True):
    """Why a stream is sending or not, as a code to branch on and as words to read."""

    stream_id: str
    is_published: bool
    code: str
    text: str


class Problem(Struct, frozen=True):
    """An error as the server states it; branch on `code`, show `title` and `hint`."""

    code: str
    title: str
    status: int = 0
    detail: str = ""
    hint: str = ""
    fields: dict[str, Any] = {}


class SignalData(Struct, frozen=True, omit_defaults=True):
    """One step of setting up a connection; `candidate` may be null, which ends the candidates."""

    kind: SignalKind
    sdp: str | UnsetType = UNSET
    candidate: dict[str, Any] | UnsetType | None = UNSET


# What a client says.


class Hello(Struct, frozen=True, tag="hello"):
    """The first message of a socket."""

    session_id: str
    protocol: int = 1


class TileBeat(Struct, frozen=True):
    """One tile that holds a live stream; watching means all four flags are true."""

    stream_id: str
    is_active: bool = True
    is_unmuted: bool = True
    is_visible: bool = True
    is_subscribed: bool = True


class PublisherBeat(Struct, frozen=True):
    """Keeps the publisher lease."""

    stream_id: str


class Heartbeat(Struct, frozen=True, tag="heartbeat"):
    """All tiles of the wall at once, every 12 seconds and when a flag changes."""

    sequence: int
    tiles: list[TileBeat]
    publisher: PublisherBeat | UnsetType = UNSET


class Leave(Struct, frozen=True, tag="leave"):
    """A clean goodbye to some tiles, or to all of them."""

    sequence: int
    stream_ids: list[str] | UnsetType = UNSET


class GoLive(Struct, frozen=True, tag="go_live"):
    """Takes the publisher lease for this session."""

    id: int
    title: str
    take_over: bool = False


class Stop(Struct, frozen=True, tag="stop"):
    """Ends the stream at once."""

    id: int


class SendSignal(Struct, frozen=True, tag="signal"):
    """A step of the video set-up, for one connection and one seat."""

    to: str
    media_id: str
    data: SignalData


ClientMessage = Hello | Heartbeat | Leave | GoLive | Stop | SendSignal


# What a client hears.


class Limits(Struct, frozen=True):
    """How much of everything one wall and one streamer may have."""

    tiles: int = 12
    active: int = 4
    seats: int = 6


class Snapshot(Struct, frozen=True, tag="snapshot"):
    """The whole truth; it replaces everything heard before."""

    connection: str
    account: Account
    streams: list[Stream]
    own_stream: Stream | None
    heartbeat_seconds: float = 12.0
    limits: Limits = Limits()
    ice_servers: list[dict[str, Any]] = []
    relay_only: bool = False


class StreamChanged(Struct, frozen=True, tag="stream"):
    """The whole state of one stream."""

    stream: Stream


class Seat(Struct, frozen=True, tag="seat"):
    """The viewer's place at a stream: video, a place in the queue, or neither."""

    stream_id: str
    state: Literal["granted", "waiting", "none"]
    media_id: str | None = None
    publisher: str | None = None
    position: int | None = None


class Publish(Struct, frozen=True, tag="publish"):
    """To the streamer: send, or do not; the highest epoch decides."""

    stream_id: str
    epoch: int
    is_published: bool
    why: Why


class SeatedViewer(Struct, frozen=True):
    """A viewer who is to get video under `media_id`."""

    connection: str
    media_id: str
    name: str


class Watchers(Struct, frozen=True, tag="watchers"):
    """To the streamer: everybody who has a seat; `revision` only grows."""

    stream_id: str
    revision: int
    seated: list[SeatedViewer]


class PublisherAway(Struct, frozen=True, tag="publisher_away"):
    """The streamer's socket is gone; they may come back."""

    stream_id: str


class PublisherLost(Struct, frozen=True, tag="publisher_lost"):
    """To the streamer: this session is no longer the one that publishes."""

    stream_id: str
    reason: str


class Signal(Struct, frozen=True, tag="signal"):
    """A step of the video set-up, from the other side."""

    sender: str = msgspec.field(name="from")
    stream_id: str
    media_id: str
    data: SignalData


class Ok(Struct, frozen=True, tag="ok"):
    """The answer to a message that carried `id`."""

    re: int
    stream: Stream | None = None


class Error(Struct, frozen=True, tag="error"):
    """A refusal, of the message `re` if that carried an `id`."""

    problem: Problem
    re: int | None = None


class Goodbye(Struct, frozen=True, tag="goodbye"):
    """The server is about to close this socket."""

    reason: str
    reconnect_after_ms: int = 0


class Other(Struct, frozen=True):
    """A message this client has no use for, such as chat."""

    type: str


ServerMessage = (
    Snapshot
    | StreamChanged
    | Seat
    | Publish
    | Watchers
    | PublisherAway
    | PublisherLost
    | Signal
    | Ok
    | Error
    | Goodbye
)

_KNOWN: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_OTHER = msgspec.json.Decoder(Other)
_HANDLED = frozenset(
    [
        "snapshot",
        "stream",
        "seat",
        "publish",
        "watchers",
        "publisher_away",
        "publisher_lost",
        "signal",
        "ok",
        "error",
        "goodbye",
    ]
)


def read(raw: bytes | str) -> ServerMessage | Other:
    """Decode one server message; a type this client does not handle comes back as `Other`.

    Raises `msgspec.MalformedError` subclasses if a handled message breaks the protocol.
    """
    other = _OTHER.decode(raw)
    return _KNOWN.decode(raw) if other.type in _HANDLED else other
