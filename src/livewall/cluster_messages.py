"""What the servers of one deployment tell each other. The `type` field tells them apart.

All servers run the same version, or two that follow each other for the length of a rolling
restart: a field may be added with a default, none may change its meaning.
"""

from uuid import UUID

import msgspec

from livewall.hub import Member
from livewall.messages import ChatDeleted, ChatEvent, SeatEvent, Signal, SlotsEvent, StreamEvent
from livewall.shapes import StreamChange


class ToServers(msgspec.Struct, frozen=True, tag_field="type"):
    """What a server says to the others, or to one of them."""


class Alive(ToServers, frozen=True, tag="alive"):
    """Said every few seconds, with host and port. `is_new`: please tell me what I have to know."""

    name: str = ""
    is_new: bool = False


class Gone(ToServers, frozen=True, tag="gone"):
    """This server ends."""


# What has to happen at every server (everywhere.py).


class ChatSaid(ToServers, frozen=True, tag="chat_said"):
    """For whoever has the chat of a stream open, but nobody in a blocked pair with the sender."""

    stream_id: UUID
    event: ChatEvent | ChatDeleted
    sender_id: UUID | None = None


class WallSaved(ToServers, frozen=True, tag="wall_saved"):
    """An account's wall is another; the session that saved it knows."""

    profile_id: UUID
    slots: SlotsEvent
    but: UUID | None


class ProfileChanged(ToServers, frozen=True, tag="profile_changed"):
    """An account's own sockets need a fresh snapshot; everybody, its stream with the new name."""

    profile_id: UUID
    stream: StreamEvent | None = None


class BlockChanged(ToServers, frozen=True, tag="block_changed"):
    """Two people block each other, or do no longer. `by` did it."""

    by: UUID
    other: UUID
    is_blocked: bool


class SessionClosed(ToServers, frozen=True, tag="session_closed"):
    """Somebody signed out."""

    session_id: UUID


class AccountDeleted(ToServers, frozen=True, tag="account_deleted"):
    """An account is no more."""

    profile_id: UUID


class Banned(ToServers, frozen=True, tag="banned"):
    """An account has to go."""

    profile_id: UUID


class StreamsChanged(ToServers, frozen=True, tag="streams_changed"):
    """What the database reported to one server, before the sweeps of the others find it."""

    changes: list[StreamChange]


class Left(ToServers, frozen=True, tag="left"):
    """A page that closed said so to a server that may not be the one of its socket."""

    member: Member
    sequence: int
    stream_ids: list[UUID] | None


# Seats of a stream are given by the server its streamer is connected to, its home
# (media/shared.py).


class Connected(ToServers, frozen=True, tag="connected"):
    """A session has a new socket. `opened_at` is in seconds since 1970, by the database's clock."""

    member: Member
    connection: UUID
    name: str
    opened_at: float


class Disconnected(ToServers, frozen=True, tag="disconnected"):
    """A session's socket is gone; that alone ends nothing."""

    member: Member
    connection: UUID


class Home(ToServers, frozen=True, tag="home"):
    """The sender is the home of these streams, each since its streamer's socket was opened."""

    streams: dict[UUID, float]


class Ask(ToServers, frozen=True, tag="ask"):
    """A tile wants video. `told` is what its viewer has heard, of this home or one before."""

    member: Member
    connection: UUID
    name: str
    stream_id: UUID
    told: SeatEvent | None


class Placed(ToServers, frozen=True, tag="placed"):
    """The home's answer: a seat, or a place in the queue."""

    member: Member
    stream_id: UUID
    media_id: UUID | None


class Confirmed(ToServers, frozen=True, tag="confirmed"):
    """The database agreed to a place."""

    member: Member
    stream_id: UUID
    watching: bool


class Dropped(ToServers, frozen=True, tag="dropped"):
    """A tile wants no video any more."""

    member: Member
    stream_id: UUID


class SeatTold(ToServers, frozen=True, tag="seat_told"):
    """What a viewer is to hear of their seat."""

    member: Member
    event: SeatEvent


class FrameTold(ToServers, frozen=True, tag="frame_told"):
    """Something else for one socket, encoded."""

    connection: UUID
    text: str


class Relayed(ToServers, frozen=True, tag="relayed"):
    """A viewer's signal, for the streamer."""

    member: Member
    signal: Signal


EverywhereMessage = (
    ChatSaid
    | WallSaved
    | ProfileChanged
    | BlockChanged
    | SessionClosed
    | AccountDeleted
    | Banned
    | StreamsChanged
    | Left
)
SeatMessage = (
    Connected
    | Disconnected
    | Home
    | Ask
    | Placed
    | Confirmed
    | Dropped
    | SeatTold
    | FrameTold
    | Relayed
)
ServerMessage = Alive | Gone | EverywhereMessage | SeatMessage
