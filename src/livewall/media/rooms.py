"""The seats and the queue of a stream, and who is next."""

import time
from dataclasses import dataclass, field
from uuid import UUID

from livewall.hub import Member
from livewall.messages import Seated, SeatEvent


def first_revision() -> int:
    """Return a number from the time: it also grows from stream to stream, and across servers.

    In microseconds, faster than anything can be told.
    """
    return time.time_ns() // 1_000


@dataclass
class Place:
    """A seat, with a media id, or a place in the queue, without one.

    Until the database has agreed to it (`confirmed`) nobody is told of it. `seated` is how the
    streamer last saw it.
    """

    heard_at: float
    media_id: UUID | None = None
    confirmed: bool = False
    told: SeatEvent | None = None
    seated: Seated | None = None


@dataclass
class Room:
    """The seats and the queue of one stream, both in the order of arrival."""

    stream_id: UUID
    seats: dict[Member, Place] = field(default_factory=dict[Member, Place])
    queue: dict[Member, Place] = field(default_factory=dict[Member, Place])
    publisher: Member | None = None
    revision: int = field(default_factory=first_revision)

    def place(self, member: Member) -> Place | None:
        """Return the place of a session, seat or queue."""
        return self.seats.get(member) or self.queue.get(member)

    def members(self) -> list[Member]:
        """Return everybody, seated first."""
        return [*self.seats, *self.queue]

    def seat_of(self, profile_id: UUID) -> Member | None:
        """Which session of an account has its seat; an account has one, whatever it opens."""
        return next((m for m in self.seats if m.profile_id == profile_id), None)

    def line(self) -> list[Member]:
        """Who waits for a seat: the first session of each account that has none."""
        seated = {member.profile_id for member in self.seats}
        first: dict[UUID, Member] = {}
        for member in self.queue:
            if member.profile_id not in seated:
                first.setdefault(member.profile_id, member)
        return list(first.values())

    def positions(self) -> dict[UUID, int]:
        """Return the place of each account in the line."""
        return {member.profile_id: n for n, member in enumerate(self.line(), 1)}
