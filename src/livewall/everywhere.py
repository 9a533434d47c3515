"""What has to happen at every server, not only at the one that was asked.

`Everywhere` does it here and tells the other servers, which do the same.
"""

from uuid import UUID

from livewall.callers import Callers
from livewall.cluster import Cluster
from livewall.cluster_messages import (
    AccountDeleted,
    Banned,
    BlockChanged,
    ChatSaid,
    EverywhereMessage,
    Left,
    ProfileChanged,
    SeatMessage,
    SessionClosed,
    StreamsChanged,
    WallSaved,
)
from livewall.errors import Refusal
from livewall.hub import Hub
from livewall.messages import Error, Goodbye
from livewall.watching import Presence

SIGNED_OUT = Goodbye("signed_out", 0)


class Everywhere:
    """Acts on what this server or another one reports (`cluster.Listener`)."""

    def __init__(self, hub: Hub, callers: Callers, presence: Presence, cluster: Cluster) -> None:
        self._hub = hub
        self._callers = callers
        self._presence = presence
        self._cluster = cluster

    def __call__(self, message: EverywhereMessage) -> None:
        """Act here and at every other server."""
        self._act(message)
        self._cluster.tell(message)

    def hear(self, sender: UUID, message: EverywhereMessage | SeatMessage) -> None:
        """Act on what another server says."""
        if isinstance(message, SeatMessage):
            self._presence.seats.hear(sender, message)
        else:
            self._act(message)

    def met(self, server_id: UUID) -> None:
        """Tell a new server which streams have their home here."""
        self._presence.seats.announce(server_id)

    def lost(self, server_id: UUID) -> None:
        """Do without a server."""
        self._presence.seats.lost(server_id)

    def missed(self) -> None:
        """Start over, with snapshots, which nobody gets who was signed out or banned meanwhile."""
        self._presence.seats.announce()
        self._callers.forget_all()
        self._hub.resync_all()

    def _act(self, message: EverywhereMessage) -> None:
        hub = self._hub
        match message:
            case ChatSaid():
                hub.to_chat(message.stream_id, message.event, message.sender_id)
            case WallSaved():
                self._save_wall(message)
            case ProfileChanged():
                self._show_profile(message)
            case BlockChanged():
                self._change_block(message)
            case SessionClosed():
                self._callers.forget_session(message.session_id)
                clients = hub.clients.values()
                closing = [c for c in clients if c.caller.session_id == message.session_id]
                hub.close_soon(closing, 4401, SIGNED_OUT)
            case AccountDeleted():
                self._callers.forget_profile(message.profile_id)
                hub.close_soon(hub.of_profile(message.profile_id), 4401, SIGNED_OUT)
            case Banned():
                self._callers.forget_profile(message.profile_id)
                self._presence.plane.drop_profile(message.profile_id)
                banned = Error(Refusal("banned").problem())
                hub.close_soon(hub.of_profile(message.profile_id), 4403, banned)
            case StreamsChanged():
                self._presence.changes.apply(message.changes)
            case Left():
                self._presence.left(message.member, message.sequence, message.stream_ids)

    def _save_wall(self, message: WallSaved) -> None:
        for client in self._hub.of_profile(message.profile_id):
            client.wall = frozenset(slot.streamer_id for slot in message.slots.slots)
            self._hub.refollow(client)
        self._hub.to_profile(message.profile_id, message.slots, but=message.but)

    def _show_profile(self, message: ProfileChanged) -> None:
        for client in self._hub.of_profile(message.profile_id):
            client.resync()
        if message.stream is None:
            return
        stream = message.stream.stream
        if stream.live_available:
            self._hub.to_everybody(message.stream)
        else:
            self._hub.to_topics((stream.id, message.profile_id), message.stream)

    def _change_block(self, message: BlockChanged) -> None:
        """End what two people have with each other, now and not with the next snapshot."""
        mine, theirs = self._hub.of_profile(message.by), self._hub.of_profile(message.other)
        if message.is_blocked:
            self._presence.plane.separate(message.by, message.other)
            for client, stranger in (
                *((c, message.other) for c in mine),
                *((c, message.by) for c in theirs),
            ):
                client.blocked |= {stranger}
        # Who is blocked is part of the snapshot of both.
        for client in mine:
            client.resync()
        for client in theirs:
            client.resync_soon()
