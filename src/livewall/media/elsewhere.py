"""What a server knows of sockets, homes and places at other servers."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from livewall.cluster import Tell
from livewall.cluster_messages import FrameTold, SeatTold
from livewall.hub import Hub, Member
from livewall.media import Endpoint
from livewall.messages import SeatEvent, ToClient, frame


@dataclass
class AwayPlace:
    """What a viewer of ours has at another home: a seat if there is a media id."""

    asked_at: float
    media_id: UUID | None = None
    told: SeatEvent | None = None
    is_answered: bool = False

    @property
    def held(self) -> UUID | None:
        """The media id of a seat that the viewer knows of."""
        return self.told.media_id if self.told is not None else None

    def is_settled(self, *, watching: bool) -> bool:
        """Whether the viewer has heard what follows from a heartbeat that was written."""
        has_seat = self.media_id is not None
        return self.told is not None and self.held == self.media_id and watching == has_seat


class HomeServer(NamedTuple):
    """The server that gives a stream's seats, since its streamer's socket was opened there."""

    server_id: UUID
    since: float


@dataclass(frozen=True)
class Remote:
    """A socket at another server."""

    server_id: UUID
    member: Member
    connection: UUID
    name: str
    send: Tell

    def tell(self, message: ToClient) -> None:
        """Queue a message there."""
        if isinstance(message, SeatEvent):
            self.send(SeatTold(self.member, message), self.server_id)
        else:
            self.push(frame(message))

    def push(self, text: str) -> None:
        """Queue an encoded frame there."""
        self.send(FrameTold(self.connection, text), self.server_id)


class Endpoints:
    """Sockets here, and those elsewhere that have a place in a room of ours."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._remotes: dict[Member, Remote] = {}
        self._connections: dict[UUID, Remote] = {}

    def of_session(self, profile_id: UUID, session_id: UUID) -> Endpoint | None:
        """Return the open socket of a session."""
        here = self._hub.of_session(profile_id, session_id)
        return here or self._remotes.get(Member(profile_id, session_id))

    def of_connection(self, connection: UUID) -> Endpoint | None:
        """Return the socket with this connection id."""
        return self._hub.of_connection(connection) or self._connections.get(connection)

    def remote(self, member: Member) -> Remote | None:
        """Return a session's socket if it is elsewhere."""
        return self._remotes.get(member)

    def remotes(self) -> list[Remote]:
        """Return every socket elsewhere that is known here."""
        return list(self._remotes.values())

    def add(self, remote: Remote) -> bool:
        """Know a session's socket; say whether it is another than before."""
        if self._remotes.get(remote.member) == remote:
            return False
        self.remove(remote.member)
        self._remotes[remote.member] = remote
        self._connections[remote.connection] = remote
        return True

    def remove(self, member: Member) -> None:
        """Forget a session's socket."""
        remote = self._remotes.pop(member, None)
        if remote is not None:
            del self._connections[remote.connection]
