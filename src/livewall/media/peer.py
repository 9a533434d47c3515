"""Browser to browser: each streamer has a few seats, further viewers wait in a queue.

The streamer's browser is the only one that offers. `watchers` tells it who sits and who waits;
`seat` tells a viewer theirs. The server relays their signals, and never sees the video.
"""

import time
from collections.abc import Callable, Iterable
from uuid import UUID, uuid4

from livewall import metrics
from livewall.errors import Refusal
from livewall.hub import Member
from livewall.limits import Limiter
from livewall.media import Endpoint
from livewall.media.elsewhere import Endpoints
from livewall.media.rooms import Place, Room, first_revision
from livewall.messages import (
    MOST_TILES,
    PublisherAway,
    Seated,
    SeatEvent,
    Signal,
    SignalEvent,
    ToClient,
    Waiting,
    WatchersEvent,
    frame,
)

SILENCE = 60.0
MOST_PLACES = 2 * MOST_TILES
# What one side of a seat may send the other: an offer and its candidates are under 20 KB.
SIGNAL_BYTES = 128 * 1024
SIGNAL_BYTES_PER_SECOND = 4 * 1024

Promoted = Callable[[Member, UUID], None]


class PeerPlane:
    """The seats of all streams. `promoted` writes the heartbeat of somebody who got a seat."""

    def __init__(
        self,
        endpoints: Endpoints,
        seats: int,
        promoted: Promoted,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoints = endpoints
        self._limit = seats
        self._promoted = promoted
        self._clock = clock
        self._rooms: dict[UUID, Room] = {}
        self._members: dict[Member, dict[UUID, None]] = {}
        self._publishing: dict[Member, UUID] = {}
        self._signals = Limiter(SIGNAL_BYTES_PER_SECOND, SIGNAL_BYTES)

    def ask(self, member: Member, stream_id: UUID, held: UUID | None = None) -> bool:
        """Take or keep a seat and return True, or take or keep a place in the queue.

        `held` is the media id of a seat that another server gave, and that the database agreed to.
        """
        room = self._rooms.setdefault(stream_id, Room(stream_id))
        place = room.place(member)
        if place is None:
            place = Place(self._clock())
            self._remember(member, stream_id)
            self._sit(room, member, place, held)
        place.heard_at = self._clock()
        return place.media_id is not None

    def seat(self, member: Member, stream_id: UUID) -> UUID | None:
        """Return the media id of a seat; None for a place in the queue, or none."""
        room = self._rooms.get(stream_id)
        place = room.seats.get(member) if room else None
        return place.media_id if place else None

    def has_places(self, member: Member) -> bool:
        """Whether a session has a seat or waits for one."""
        return member in self._members

    def _remember(self, member: Member, stream_id: UUID) -> None:
        own = self._members.get(member, {})
        # The database refuses more than a wall; while it is away somebody may ask for any number.
        while len(own) >= MOST_PLACES:
            self.drop(member, next(iter(own)))
        self._members.setdefault(member, {})[stream_id] = None

    def _sit(self, room: Room, member: Member, place: Place, held: UUID | None) -> None:
        """Give a seat, or a place in the queue.

        Nobody overtakes the queue: a free seat belongs to its first. The seat of an account moves
        to its newest session: that is the tab its owner looks at.
        """
        own = room.seat_of(member.profile_id)
        if own is not None:
            self._stand_up(room, own)
        elif len(room.seats) >= self._limit or (room.line() and held is None):
            room.queue[member] = place
            return
        place.media_id = held or uuid4()
        room.seats[member] = place
        if held is not None:
            self.confirm(member, room.stream_id, watching=True)

    def _stand_up(self, room: Room, member: Member) -> None:
        place = room.seats.pop(member)
        place.media_id = None
        place.seated = None
        room.queue[member] = place
        if place.confirmed:
            self._tell(member, place, self._seat_event(room, member, place))

    def confirm(self, member: Member, stream_id: UUID, *, watching: bool) -> None:
        """Tell viewer and streamer of a seat, or of a place in the queue."""
        room = self._rooms.get(stream_id)
        place = room.place(member) if room else None
        if room is None or place is None or place.confirmed:
            return
        if watching != (place.media_id is not None):
            # An older heartbeat, from before this place; its own is on the way.
            return
        place.confirmed = True
        self._tell_viewers(room)
        self._tell_publisher(room)

    def tell_again(self, member: Member, stream_id: UUID, known: SeatEvent | None) -> None:
        """Tell a viewer of their place if that is not what they know."""
        room = self._rooms.get(stream_id)
        place = room.place(member) if room else None
        if room is not None and place is not None and place.confirmed:
            place.told = known
            self._tell(member, place, self._seat_event(room, member, place))

    def drop(self, member: Member, stream_id: UUID) -> None:
        """Free the seat or the place in the queue; the first who waits moves up."""
        room = self._rooms.get(stream_id)
        if room is None:
            return
        place = room.seats.pop(member, None) or room.queue.pop(member, None)
        if place is None:
            return
        self._forget(member, stream_id)
        self._tell(member, place, SeatEvent(stream_id, "none"))
        if place.media_id is not None:
            self._hand_over(room, member.profile_id)
        self._promote(room)
        if place.confirmed:
            self._tell_viewers(room)
            self._tell_publisher(room)
        self._sweep_out(room)

    def _hand_over(self, room: Room, profile_id: UUID) -> None:
        """The seat stays with an account as long as another of its tabs wants it."""
        own = [m for m in room.queue if m.profile_id == profile_id]
        present = [m for m in own if self._endpoints.of_session(*m) is not None]
        if present:
            self._give_seat(room, present[-1])

    def drop_all(self, member: Member) -> None:
        """Free every place of a session."""
        for stream_id in list(self._members.get(member, ())):
            self.drop(member, stream_id)

    def drop_profile(self, profile_id: UUID) -> None:
        """Free every place of every session of an account."""
        for member in [member for member in self._members if member.profile_id == profile_id]:
            self.drop_all(member)

    def _promote(self, room: Room) -> None:
        present = [m for m in room.line() if self._endpoints.of_session(*m) is not None]
        for member in present[: max(0, self._limit - len(room.seats))]:
            self._give_seat(room, member)

    def _give_seat(self, room: Room, member: Member) -> None:
        place = room.queue.pop(member)
        place.media_id = uuid4()
        # Told again once the heartbeat that makes them count is written.
        place.confirmed = False
        room.seats[member] = place
        self._promoted(member, room.stream_id)

    def vacate(self, stream_id: UUID) -> dict[Member, SeatEvent | None]:
        """Take everybody out of a room without a word: another server gives its seats now.

        Returns what each was told last.
        """
        room = self._rooms.get(stream_id)
        if room is None:
            return {}
        places = room.seats | room.queue
        for member in places:
            self._forget(member, stream_id)
        room.seats.clear()
        room.queue.clear()
        return {member: place.told for member, place in places.items()}

    def renumber(self, stream_id: UUID) -> None:
        """Number what the streamer is told from now on above what another server told them."""
        room = self._rooms.setdefault(stream_id, Room(stream_id))
        room.revision = max(room.revision, first_revision())

    def set_publisher(self, stream_id: UUID, publisher: Member | None) -> None:
        """Bind a stream to the session that sends it, or close its room."""
        if publisher is None:
            self._close(stream_id)
            return
        room = self._rooms.setdefault(stream_id, Room(stream_id))
        if room.publisher != publisher:
            self._bind(room, publisher)
            self._tell_viewers(room)
            self._tell_publisher(room)

    def _bind(self, room: Room, publisher: Member | None) -> None:
        if room.publisher is not None:
            self._publishing.pop(room.publisher, None)
        room.publisher = publisher
        if publisher is not None:
            self._publishing[publisher] = room.stream_id

    def _close(self, stream_id: UUID) -> None:
        room = self._rooms.pop(stream_id, None)
        if room is None:
            return
        for member in room.members():
            self._forget(member, stream_id)
            client = self._endpoints.of_session(*member)
            if client is not None:
                client.tell(SeatEvent(stream_id, "none"))
        room.seats.clear()
        room.queue.clear()
        self._tell_publisher(room)
        self._bind(room, None)

    def separate(self, one: UUID, other: UUID) -> None:
        """Take every place that one of the two has with the other."""
        for room in list(self._rooms.values()):
            streamer = room.publisher.profile_id if room.publisher else None
            for member in room.members():
                if {streamer, member.profile_id} == {one, other}:
                    self.drop(member, room.stream_id)

    def connected(self, client: Endpoint) -> None:
        """Tell the other sides the new connection of a session."""
        member = client.member
        for stream_id in list(self._members.get(member, ())):
            room = self._rooms[stream_id]
            self._promote(room)  # a seat may have become free while nobody who waits was here
            self._tell_publisher(room)
        own = self._published_by(member)
        if own is not None:
            self._tell_viewers(own)

    def disconnected(self, client: Endpoint) -> None:
        """Tell the viewers of a streamer whose socket is gone."""
        stream_id = self.published_by(client.member)
        if stream_id is not None:
            self.publisher_away(stream_id)

    def publisher_away(self, stream_id: UUID) -> None:
        """Tell whoever has a seat that the streamer can not be reached for the moment."""
        room = self._rooms.get(stream_id)
        for viewer in self._clients(room.seats) if room else ():
            viewer.tell(PublisherAway(stream_id))

    def published_by(self, member: Member) -> UUID | None:
        """Return the stream that a session publishes."""
        return self._publishing.get(member)

    def _published_by(self, member: Member) -> Room | None:
        stream_id = self._publishing.get(member)
        return None if stream_id is None else self._rooms.get(stream_id)

    def state_for(self, client: Endpoint) -> list[ToClient]:
        """Return the seats of a viewer and the watchers of a streamer."""
        member = client.member
        messages: list[ToClient] = []
        for stream_id in self._members.get(member, ()):
            room = self._rooms[stream_id]
            place = room.place(member)
            if place is not None and place.confirmed:
                place.told = self._seat_event(room, member, place)
                messages.append(place.told)
        own = self._published_by(member)
        if own is not None:
            messages.append(self._watchers_event(own))
        return messages

    def relay(self, client: Endpoint, signal: Signal) -> None:
        """Pass a signal between a streamer and a viewer who holds that seat.

        Raises Refusal `not_allowed` for anybody else, `rate_limited` for more than it takes.
        """
        other = self._endpoints.of_connection(signal.to)
        room = self._shared_room(client, other, signal.media_id) if other else None
        if other is None or room is None:
            raise Refusal(
                "not_allowed",
                "This seat is not shared with that connection.",
                "Wait for the next `seat` or `watchers`.",
                {"media_id": str(signal.media_id)},
            )
        # A tab that watches its own stream is both sides.
        wrong = "answer" if room.publisher == client.member else "offer"
        if client is not other and signal.data.kind == wrong:
            raise Refusal("not_allowed", "The streamer offers, the viewer answers.")
        event = SignalEvent(client.connection, room.stream_id, signal.media_id, signal.data)
        text = frame(event)
        # By accounts and not by seat: leaving and coming back brings no new allowance.
        self._signals.check(f"{client.member.profile_id} {other.member.profile_id}", len(text))
        metrics.SIGNALS.inc()
        other.push(text)

    def _shared_room(self, client: Endpoint, other: Endpoint, media_id: UUID) -> Room | None:
        for publisher, viewer in ((client, other), (other, client)):
            member = viewer.member
            for stream_id in self._members.get(member, ()):
                room = self._rooms[stream_id]
                seat = room.seats.get(member)
                if room.publisher == publisher.member and seat and seat.media_id == media_id:
                    return room if seat.confirmed else None
        return None

    def expire(self, now: float) -> None:
        """Free the places of sessions not heard of for 60 seconds."""
        silent = [
            (member, room.stream_id)
            for room in self._rooms.values()
            for member in room.members()
            if (place := room.place(member)) and now - place.heard_at > SILENCE
        ]
        for member, stream_id in silent:
            self.drop(member, stream_id)
        metrics.SEATS.set(sum(len(room.seats) for room in self._rooms.values()))
        metrics.WAITING.set(sum(len(room.queue) for room in self._rooms.values()))

    def _tell_viewers(self, room: Room) -> None:
        positions = room.positions()
        for member in room.members():
            place = room.place(member)
            if place is not None and place.confirmed:
                self._tell(member, place, self._seat_event(room, member, place, positions))

    def _tell(self, member: Member, place: Place, event: SeatEvent) -> None:
        if place.told == event or (place.told is None and event.state == "none"):
            return
        place.told = event
        client = self._endpoints.of_session(*member)
        if client is not None:
            client.tell(event)

    def _seat_event(
        self, room: Room, member: Member, place: Place, positions: dict[UUID, int] | None = None
    ) -> SeatEvent:
        if place.media_id is None:
            known = room.positions() if positions is None else positions
            # Who waits for the seat of another tab of theirs has nobody in front of them.
            return SeatEvent(room.stream_id, "waiting", position=known.get(member.profile_id, 1))
        publisher = self._endpoints.of_session(*room.publisher) if room.publisher else None
        connection = publisher.connection if publisher else None
        return SeatEvent(room.stream_id, "granted", place.media_id, connection)

    def _tell_publisher(self, room: Room) -> None:
        client = self._endpoints.of_session(*room.publisher) if room.publisher else None
        if client is not None:
            client.tell(self._watchers_event(room))

    def _watchers_event(self, room: Room) -> WatchersEvent:
        room.revision += 1
        seats = [self._seated(member, place) for member, place in room.seats.items()]
        seated = [seat for seat in seats if seat is not None]
        confirmed = [member for member in room.line() if room.queue[member].confirmed]
        waiting = [Waiting(viewer.name) for viewer in self._clients(confirmed)]
        return WatchersEvent(room.stream_id, room.revision, seated, waiting)

    def _seated(self, member: Member, place: Place) -> Seated | None:
        """Return a seat as the streamer shall know it, by its last connection if that is gone.

        A socket that closes is silence: the video goes on, for it needs no socket.
        """
        viewer = self._endpoints.of_session(*member)
        if viewer is not None and place.media_id is not None:
            place.seated = Seated(viewer.connection, place.media_id, viewer.name)
        return place.seated if place.confirmed else None

    def _clients(self, members: Iterable[Member]) -> list[Endpoint]:
        found = (self._endpoints.of_session(*member) for member in members)
        return [client for client in found if client is not None]

    def _forget(self, member: Member, stream_id: UUID) -> None:
        streams = self._members.get(member)
        if streams is not None:
            streams.pop(stream_id, None)
            if not streams:
                del self._members[member]

    def _sweep_out(self, room: Room) -> None:
        if room.publisher is None and not room.seats and not room.queue:
            self._rooms.pop(room.stream_id, None)
