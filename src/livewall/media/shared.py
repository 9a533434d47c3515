"""Seats across servers: a stream's seats are given by its home, where its streamer is connected.

A server whose viewers watch a stream of another home asks there and passes on the answers. What a
home knows of sessions elsewhere looks like a socket to it (elsewhere.py). A stream whose streamer
is connected nowhere has no home: each server gives seats by itself until one appears.

Nothing said between servers is promised to arrive: tiles ask again with every heartbeat.
"""

import contextlib
import time
from collections.abc import Callable
from uuid import UUID

import msgspec

from livewall.cluster import Tell
from livewall.cluster_messages import (
    Ask,
    Confirmed,
    Connected,
    Disconnected,
    Dropped,
    FrameTold,
    Home,
    Placed,
    Relayed,
    SeatMessage,
    SeatTold,
)
from livewall.errors import Refusal
from livewall.hub import Client, Hub, Member
from livewall.limits import Limiter
from livewall.media import peer
from livewall.media.elsewhere import AwayPlace, Endpoints, HomeServer, Remote
from livewall.media.peer import (
    MOST_PLACES,
    SIGNAL_BYTES,
    SIGNAL_BYTES_PER_SECOND,
    PeerPlane,
)
from livewall.messages import SeatEvent, Signal, ToClient

ANNOUNCE_SECONDS = 10.0


# Tells the database of a seat, or of none, after the heartbeat that asked for it.
Decided = Callable[[Member, UUID, bool], None]


class SharedPlane:
    """The seats that this server gives, and the places its viewers have at other homes."""

    def __init__(self, hub: Hub, seats: int, decided: Decided, tell: Tell) -> None:
        self._hub = hub
        self._decided = decided
        self._tell = tell
        self._endpoints = Endpoints(hub)
        self._rooms = PeerPlane(self._endpoints, seats, self._seated)
        # Streams whose home is here, since when, and those whose home is another server.
        self._own: dict[UUID, float] = {}
        self._homes: dict[UUID, HomeServer] = {}
        self._away: dict[Member, dict[UUID, AwayPlace]] = {}
        self._signals = Limiter(SIGNAL_BYTES_PER_SECOND, SIGNAL_BYTES)
        self._announce_at = 0.0

    def _seated(self, member: Member, stream_id: UUID) -> None:
        """Somebody who waited got a seat in a room of ours."""
        remote = self._endpoints.remote(member)
        if remote is None:
            self._decided(member, stream_id, True)
        else:
            self._place(remote, stream_id)

    def _place(self, remote: Remote, stream_id: UUID) -> None:
        media_id = self._rooms.seat(remote.member, stream_id)
        self._tell(Placed(remote.member, stream_id, media_id), remote.server_id)

    # What this server's own sessions want.

    def ask(self, member: Member, stream_id: UUID) -> bool | None:
        """Take or keep a seat, or a place in the queue; None until the home has answered."""
        home = self._homes.get(stream_id)
        if home is None:
            return self._rooms.ask(member, stream_id)
        own = self._away.setdefault(member, {})
        place = own.setdefault(stream_id, AwayPlace(time.monotonic()))
        place.asked_at = time.monotonic()
        # As the rooms do: only while the database is away somebody may ask for any number.
        while len(own) > MOST_PLACES:
            self.drop(member, next(iter(own)))
        self._ask_home(member, stream_id, place, home)
        return place.media_id is not None if place.is_answered else None

    def _ask_home(
        self, member: Member, stream_id: UUID, place: AwayPlace, home: HomeServer
    ) -> None:
        client = self._hub.of_session(*member)
        if client is not None:
            ask = Ask(member, client.connection, client.name, stream_id, place.told)
            self._tell(ask, home.server_id)

    def confirm(self, member: Member, stream_id: UUID, *, watching: bool) -> None:
        """Pass on that the database agreed to a place."""
        home, place = self._homes.get(stream_id), self._place_of(member, stream_id)
        if home is None or place is None:
            self._rooms.confirm(member, stream_id, watching=watching)
        elif not place.is_settled(watching=watching):
            self._tell(Confirmed(member, stream_id, watching), home.server_id)

    def _place_of(self, member: Member, stream_id: UUID) -> AwayPlace | None:
        return self._away.get(member, {}).get(stream_id)

    def drop(self, member: Member, stream_id: UUID) -> None:
        """Free a place, here or at its home."""
        self._rooms.drop(member, stream_id)
        place, home = self._forget(member, stream_id), self._homes.get(stream_id)
        if place is not None and home is not None:
            self._tell(Dropped(member, stream_id), home.server_id)
            self._tell_none(member, stream_id, place)

    def _forget(self, member: Member, stream_id: UUID) -> AwayPlace | None:
        own = self._away.get(member, {})
        place = own.pop(stream_id, None)
        if not own:
            self._away.pop(member, None)
        return place

    def _forget_all(self, stream_id: UUID) -> list[tuple[Member, AwayPlace]]:
        members = [member for member, own in self._away.items() if stream_id in own]
        places = [(member, self._forget(member, stream_id)) for member in members]
        return [(member, place) for member, place in places if place is not None]

    def _tell_none(self, member: Member, stream_id: UUID, place: AwayPlace) -> None:
        client = self._hub.of_session(*member)
        if client is not None and place.told is not None:
            client.tell(SeatEvent(stream_id, "none"))

    def drop_all(self, member: Member) -> None:
        """Free every place of a session."""
        self._rooms.drop_all(member)
        for stream_id in list(self._away.get(member, ())):
            self.drop(member, stream_id)

    def drop_profile(self, profile_id: UUID) -> None:
        """Free every place of every session of an account."""
        self._rooms.drop_profile(profile_id)
        for member in [member for member in self._away if member.profile_id == profile_id]:
            self.drop_all(member)

    def separate(self, one: UUID, other: UUID) -> None:
        """Take every place that one of the two has with the other. Every home does it."""
        self._rooms.separate(one, other)

    def relay(self, client: Client, signal: Signal) -> None:
        """Pass a signal on, here or to the home. Raises Refusal as the rooms do."""
        found = self._away_seat(client, signal)
        if found is None:
            self._rooms.relay(client, signal)
            return
        stream_id, home = found
        if signal.data.kind == "offer":
            raise Refusal("not_allowed", "The streamer offers, the viewer answers.")
        self._signals.check(
            f"{client.profile_id} {stream_id}", len(msgspec.json.encode(signal.data))
        )
        self._tell(Relayed(client.member, signal), home)

    def _away_seat(self, client: Client, signal: Signal) -> tuple[UUID, UUID] | None:
        for stream_id, place in self._away.get(client.member, {}).items():
            told, home = place.told, self._homes.get(stream_id)
            if told is not None and home is not None and told.media_id == signal.media_id:
                return (stream_id, home.server_id) if told.publisher == signal.to else None
        return None

    # Sockets and streamers that come and go.

    def connected(self, client: Client) -> None:
        """Tell the other sides, here and elsewhere, that a session has a new socket."""
        self._endpoints.remove(client.member)
        self._rooms.connected(client)
        self._tell(Connected(client.member, client.connection, client.name, client.opened_at))
        own = self._rooms.published_by(client.member)
        if own is not None:
            self._settle(own, client.opened_at)

    def disconnected(self, client: Client) -> None:
        """Tell the other sides that a session's socket is gone; that alone ends nothing."""
        self._rooms.disconnected(client)
        self._tell(Disconnected(client.member, client.connection))

    def state_for(self, client: Client) -> list[ToClient]:
        """Return the seats of a viewer and the watchers of a streamer."""
        places = self._away.get(client.member, {}).values()
        away: list[ToClient] = [place.told for place in places if place.told is not None]
        return self._rooms.state_for(client) + away

    def set_publisher(self, stream_id: UUID, publisher: Member | None) -> None:
        """Bind a stream to the session that sends it, or end it."""
        self._rooms.set_publisher(stream_id, publisher)
        if publisher is None:
            self._own.pop(stream_id, None)
            self._homes.pop(stream_id, None)
            for member, place in self._forget_all(stream_id):
                self._tell_none(member, stream_id, place)
            return
        client = self._hub.of_session(*publisher)
        # One without its snapshot settles when it has it (`connected`).
        if client is not None and client.opened_at != float("inf"):
            self._settle(stream_id, client.opened_at)

    def _settle(self, stream_id: UUID, since: float) -> None:
        """Be the home of a stream, from when its streamer's socket was opened."""
        if self._own.get(stream_id) == since:
            return
        self._own[stream_id] = since
        self._homes.pop(stream_id, None)
        self._rooms.renumber(stream_id)
        self._take_back(stream_id)
        self._tell(Home({stream_id: since}))

    def _take_back(self, stream_id: UUID) -> None:
        """Give the seats that viewers of ours had at a home that is none any more.

        Those who had none come last; who gets one now counts from now on, not from the next
        heartbeat: the seats that the lost server's own viewers had may be all that counted.
        """
        back = self._forget_all(stream_id)
        for member, place in sorted(back, key=lambda found: found[1].held is None):
            has_seat = self._rooms.ask(member, stream_id, place.held)
            if has_seat != (place.held is not None) or not place.is_answered:
                self._decided(member, stream_id, has_seat)

    def expire(self, now: float) -> None:
        """Free what belongs to sessions not heard of for 60 seconds; say again what may be lost."""
        self._rooms.expire(now)
        if now >= self._announce_at:
            self._announce_at = now + ANNOUNCE_SECONDS
            self.announce()
        silent = [
            (member, stream_id)
            for member, own in self._away.items()
            for stream_id, place in own.items()
            if now - place.asked_at > peer.SILENCE
        ]
        for member, stream_id in silent:
            self.drop(member, stream_id)
        for remote in self._endpoints.remotes():
            if not self._rooms.has_places(remote.member):
                self._endpoints.remove(remote.member)

    # What other servers say.

    def announce(self, server_id: UUID | None = None) -> None:
        """Tell another server, or all, which streams have their home here."""
        if self._own:
            self._tell(Home(dict(self._own)), server_id)

    def lost(self, server_id: UUID) -> None:
        """Give the seats of a server that is gone, until its streamers appear elsewhere."""
        for remote in self._endpoints.remotes():
            if remote.server_id == server_id:
                self._endpoints.remove(remote.member)
        for stream_id in [s for s, home in self._homes.items() if home.server_id == server_id]:
            del self._homes[stream_id]
            self._take_back(stream_id)
            self._rooms.publisher_away(stream_id)

    def hear(self, sender: UUID, message: SeatMessage) -> None:
        """Act on what another server says."""
        match message:
            case Connected():
                self._hear_connected(sender, message)
            case Disconnected():
                remote = self._endpoints.remote(message.member)
                if remote is not None and remote.connection == message.connection:
                    self._endpoints.remove(message.member)
            case Home():
                for stream_id, since in message.streams.items():
                    self._move(stream_id, HomeServer(sender, since))
            case Placed() | SeatTold() | FrameTold():
                self._hear_home(sender, message)
            case Ask() | Confirmed() | Dropped() | Relayed():
                self._hear_viewer(sender, message)

    def _hear_home(self, sender: UUID, message: Placed | SeatTold | FrameTold) -> None:
        """The home of a stream says something for a viewer of ours."""
        match message:
            case Placed():
                self._hear_placed(sender, message)
            case SeatTold():
                self._hear_seat(sender, message)
            case FrameTold():
                client = self._hub.of_connection(message.connection)
                if client is not None:
                    client.push(message.text)

    def _hear_viewer(self, sender: UUID, message: Ask | Confirmed | Dropped | Relayed) -> None:
        """Another server says something of a viewer, for a stream whose home is here."""
        match message:
            case Ask():
                self._hear_ask(sender, message)
            case Confirmed():
                self._rooms.confirm(message.member, message.stream_id, watching=message.watching)
            case Dropped():
                self._rooms.drop(message.member, message.stream_id)
            case Relayed():
                remote = self._endpoints.remote(message.member)
                if remote is not None:
                    # What its server let pass may have become wrong on the way: a lost signal.
                    with contextlib.suppress(Refusal):
                        self._rooms.relay(remote, message.signal)

    def _hear_connected(self, sender: UUID, message: Connected) -> None:
        """A session has its socket at another server now."""
        older = self._hub.of_session(*message.member)
        if older is not None:
            if older.opened_at > message.opened_at:
                return  # it came here after it was there
            self._hub.supersede(older)
        self._away.pop(message.member, None)
        if self._rooms.has_places(message.member):
            self._meet(Remote(sender, message.member, message.connection, message.name, self._tell))

    def _meet(self, remote: Remote) -> None:
        if self._endpoints.add(remote):
            self._rooms.connected(remote)

    def _move(self, stream_id: UUID, home: HomeServer) -> None:
        """Another server says that it is the home of a stream: the newest socket decides."""
        if self._own.get(stream_id, 0.0) >= home.since:
            self._tell(Home({stream_id: self._own[stream_id]}), home.server_id)
            return
        known = self._homes.get(stream_id)
        if known is not None and known.since > home.since:
            return
        self._own.pop(stream_id, None)
        self._homes[stream_id] = home
        for member, told in self._rooms.vacate(stream_id).items():
            if self._endpoints.remote(member) is None:
                place = AwayPlace(time.monotonic(), told.media_id if told else None, told, True)
                self._away.setdefault(member, {})[stream_id] = place
        for member, own in self._away.items():
            place = own.get(stream_id)
            # Where the home was known it may not have heard of somebody.
            if place is not None and (home != known or place.told is None):
                self._ask_home(member, stream_id, place, home)

    def _hear_ask(self, sender: UUID, message: Ask) -> None:
        if message.stream_id not in self._own:
            return  # the home has moved; its server will hear of it
        remote = Remote(sender, message.member, message.connection, message.name, self._tell)
        self._meet(remote)
        held = message.told.media_id if message.told is not None else None
        self._rooms.ask(message.member, message.stream_id, held)
        self._place(remote, message.stream_id)
        self._rooms.tell_again(message.member, message.stream_id, message.told)

    def _hear_placed(self, sender: UUID, message: Placed) -> None:
        place = self._place_at(sender, message.member, message.stream_id)
        if place is None:
            self._tell(Dropped(message.member, message.stream_id), sender)
            return
        is_news = not place.is_answered or message.media_id != place.media_id
        place.is_answered = True
        place.media_id = message.media_id
        if is_news:
            self._decided(message.member, message.stream_id, message.media_id is not None)

    def _place_at(self, server_id: UUID, member: Member, stream_id: UUID) -> AwayPlace | None:
        """Return what a session has at a home, and not what one before says of it too late."""
        home = self._homes.get(stream_id)
        is_home = home is not None and home.server_id == server_id
        return self._place_of(member, stream_id) if is_home else None

    def _hear_seat(self, sender: UUID, message: SeatTold) -> None:
        place = self._place_at(sender, message.member, message.event.stream_id)
        if place is None or place.told == message.event:
            return
        is_none = message.event.state == "none"
        place.media_id = message.event.media_id
        place.told = None if is_none else message.event
        client = self._hub.of_session(*message.member)
        if client is not None:
            client.tell(message.event)
