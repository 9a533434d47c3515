"""How video gets from a streamer to viewers, behind one small interface.

`peer` connects browsers to each other. A plane for a forwarding server (LiveKit) offers the same
methods: it would hand out access tokens where `peer` hands out seats.
"""

from typing import Protocol
from uuid import UUID

from livewall.hub import Client, Member
from livewall.messages import Signal, ToClient


class Endpoint(Protocol):
    """An open socket, here or at another server."""

    @property
    def member(self) -> Member:
        """Whose it is."""
        ...

    @property
    def connection(self) -> UUID:
        """Its id, to which signals are addressed."""
        ...

    @property
    def name(self) -> str:
        """What its owner is called."""
        ...

    def tell(self, message: ToClient) -> None:
        """Queue a message."""
        ...

    def push(self, text: str) -> None:
        """Queue an encoded frame."""
        ...


class MediaPlane(Protocol):
    """What the rest of the server needs from whatever carries the video."""

    def ask(self, member: Member, stream_id: UUID) -> bool | None:
        """A tile wants video. Return whether it may count as watching now, or has to wait.

        None: it is not known yet. The heartbeat is written once it is.
        """
        ...

    def drop(self, member: Member, stream_id: UUID) -> None:
        """A tile wants no video any more."""
        ...

    def drop_all(self, member: Member) -> None:
        """A session left everything."""
        ...

    def drop_profile(self, profile_id: UUID) -> None:
        """Everybody signed in to an account has to go."""
        ...

    def confirm(self, member: Member, stream_id: UUID, *, watching: bool) -> None:
        """The database agreed to what `ask` returned: only now anybody is told."""
        ...

    def set_publisher(self, stream_id: UUID, publisher: Member | None) -> None:
        """Whose session sends this stream; None when it is not live."""
        ...

    def separate(self, one: UUID, other: UUID) -> None:
        """End what two accounts watch of each other, at once."""
        ...

    def connected(self, client: Client) -> None:
        """A session has a new socket: tell the other sides."""
        ...

    def disconnected(self, client: Client) -> None:
        """A session's socket is gone; that alone ends nothing."""
        ...

    def state_for(self, client: Client) -> list[ToClient]:
        """Return what a socket must know beside its snapshot."""
        ...

    def relay(self, client: Client, signal: Signal) -> None:
        """Pass a signal to the other side. Raises Refusal if it is not theirs to send."""
        ...

    def expire(self, now: float) -> None:
        """Free what belongs to sessions not heard of for 60 seconds."""
        ...
