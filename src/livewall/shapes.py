"""What clients read and write, by the names of docs/protocol.md, for HTTP and the socket."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

Name = Annotated[str, Meta(max_length=100, description="3 to 24 of a-z 0-9 . _")]
Text = Annotated[str, Meta(max_length=4_000)]
ShortText = Annotated[str, Meta(max_length=1_000)]
# Anything a double holds exactly, so that browsers can count it; never near the edge of bigint.
Count = Annotated[int, Meta(ge=0, le=2**53)]
IdempotencyKey = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=100,
        pattern="^[!-~]+$",
        description="8 to 100 printable characters without spaces; a new one for each new wish",
    ),
]


class Person(msgspec.Struct, frozen=True):
    """Somebody, as short as it gets."""

    id: UUID
    name: str
    display_name: str


class Profile(msgspec.Struct, frozen=True):
    """Somebody's public profile."""

    id: UUID
    name: str
    display_name: str
    bio: str
    is_guest: bool
    is_demo: bool
    created_at: datetime


class Account(msgspec.Struct, frozen=True):
    """Who is signed in, and until when."""

    profile: Profile
    is_guest: bool
    roles: list[str]
    expires_at: datetime | None = None


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A link on a profile; http and https only."""

    label: Annotated[str, Meta(max_length=200)]
    url: Annotated[str, Meta(max_length=2_000)]


class Stream(msgspec.Struct, frozen=True):
    """The whole public state of a stream; the highest `publish_epoch` is the newest."""

    id: UUID
    streamer: Person
    title: str
    live_available: bool
    is_published: bool
    active_viewer_count: int
    publish_epoch: int
    preview_version: int
    live_since: datetime | None
    slow_mode_seconds: int


class Why(msgspec.Struct, frozen=True):
    """Why a stream sends video or not; `watchers` for the streamer only."""

    stream_id: UUID
    is_published: bool
    code: str
    text: str
    active_viewer_count: int
    epoch: int
    since: datetime
    until: datetime | None
    watchers: list[str] | UnsetType = UNSET


class StreamChange(msgspec.Struct, frozen=True):
    """What the database reports about a changed stream; `revision` only grows."""

    stream: Stream
    revision: int
    publisher_session_id: UUID | None
    why: Why


class Slot(msgspec.Struct, frozen=True):
    """One tile of a wall, as answered."""

    slot_index: int
    streamer_id: UUID
    is_pinned: bool
    is_muted: bool
    is_active: bool
    volume: int
    streamer: Person
    stream: Stream | None


class ChatMessage(msgspec.Struct, frozen=True):
    """One message of a chat; a deleted one keeps its place and loses its words."""

    id: int
    stream_id: UUID
    type: Literal["text", "system", "gift"]
    sender: Person | None
    body: str
    created_at: datetime
    is_deleted: bool


class Gift(msgspec.Struct, frozen=True):
    """A gift as others see it; without a sender they are gone. The price is in coins."""

    id: UUID
    gift_type_id: str
    title: str
    emoji: str
    price: int
    sender_id: UUID
    sender: Person | None
    recipient_id: UUID
