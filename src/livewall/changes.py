"""What the database reports about streams becomes events: for those who show a stream, for its
streamer, and for the media plane.

Reports come from several sides, late and repeated; `revision` decides which is news.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from livewall import metrics
from livewall.cluster import Tell
from livewall.cluster_messages import StreamsChanged
from livewall.hub import Hub, Member
from livewall.media import MediaPlane
from livewall.messages import PublisherLost, PublishEvent, StreamEvent
from livewall.shapes import StreamChange

Lost = Literal["taken_over", "lease_expired", "banned", "stopped"]
LOST_BECAUSE: dict[str, Lost] = {"publisher_silent": "lease_expired", "banned": "banned"}


@dataclass(frozen=True)
class _Known:
    revision: int
    live_available: bool
    is_published: bool
    publisher: Member | None


# Beyond this many, streams that are not live are forgotten: their next change is news again.
MOST_KNOWN = 100_000
# What an outage ends may be thousands of streams: too large for one message.
TOLD_AT_ONCE = 100
UNKNOWN = _Known(-1, live_available=False, is_published=False, publisher=None)


class Changes:
    """Remembers the newest state of each stream and passes on what is news."""

    def __init__(self, hub: Hub, plane: MediaPlane, tell: Tell) -> None:
        self._hub = hub
        self._plane = plane
        self._tell = tell
        self._known: dict[UUID, _Known] = {}

    def knows(self, stream_id: UUID) -> bool:
        """Whether anything was heard of this stream since we started."""
        return stream_id in self._known

    def publisher_of(self, stream_id: UUID) -> Member | None:
        """Return the session that publishes a stream, as far as we have heard."""
        return self._known.get(stream_id, UNKNOWN).publisher

    def publishers(self) -> set[Member]:
        """Return the sessions that publish a stream, as far as we have heard."""
        return {known.publisher for known in self._known.values() if known.publisher is not None}

    def apply(
        self, changes: Sequence[StreamChange], heard_at: dict[UUID, float] | None = None
    ) -> None:
        """Pass on what is news; `heard_at` is when the heartbeat that caused it came in."""
        for change in changes:
            if change.revision > self._known.get(change.stream.id, UNKNOWN).revision:
                self._pass_on(change, (heard_at or {}).get(change.stream.id))

    def apply_written(
        self, changes: list[StreamChange], heard_at: dict[UUID, float] | None = None
    ) -> None:
        """Pass on what this server's own writing changed, to other servers too.

        They find it by themselves with their next sweep; a command is not to wait for that.
        """
        for at in range(0, len(changes), TOLD_AT_ONCE):
            self._tell(StreamsChanged(changes[at : at + TOLD_AT_ONCE]))
        self.apply(changes, heard_at)

    def apply_own(self, change: StreamChange, stopped_by: UUID | None = None) -> None:
        """Pass on the answer to the streamer's own call, which also says who publishes now.

        It may be the one we know: a sweep was faster, or a tab of the same session says again that
        it is live and has to hear its command again.
        """
        self._tell(StreamsChanged([change]))
        if change.revision >= self._known.get(change.stream.id, UNKNOWN).revision:
            self._pass_on(change, None, stopped_by)

    def _pass_on(
        self, change: StreamChange, heard_at: float | None, stopped_by: UUID | None = None
    ) -> None:
        stream, before = change.stream, self._known.get(change.stream.id, UNKNOWN)
        publisher = _publisher(change)
        self._known[stream.id] = _Known(
            change.revision, stream.live_available, stream.is_published, publisher
        )
        if len(self._known) > MOST_KNOWN:
            self._known = {id_: known for id_, known in self._known.items() if known.live_available}
        event = StreamEvent(stream)
        if stream.live_available != before.live_available:
            self._hub.to_everybody(event)
        else:
            self._hub.to_topics((stream.id, stream.streamer.id), event)
        self._command(change, publisher or before.publisher)
        if before.publisher is not None and before.publisher != publisher:
            self._tell_loser(change, before.publisher, publisher, stopped_by)
        self._plane.set_publisher(stream.id, publisher)
        self._measure(change, before, heard_at)

    def _command(self, change: StreamChange, publisher: Member | None) -> None:
        client = self._hub.of_session(*publisher) if publisher else None
        if client is not None:
            client.tell(publish_event(change))

    def _tell_loser(
        self,
        change: StreamChange,
        loser: Member,
        publisher: Member | None,
        stopped_by: UUID | None,
    ) -> None:
        client = self._hub.of_session(*loser)
        if client is None or loser.session_id == stopped_by:
            return
        taken_over: Lost | None = "taken_over" if publisher else None
        reason = taken_over or LOST_BECAUSE.get(change.why.code, "stopped")
        client.tell(PublisherLost(change.stream.id, reason))

    def _measure(self, change: StreamChange, before: _Known, heard_at: float | None) -> None:
        published = change.stream.is_published
        if published == before.is_published:
            return
        metrics.TRANSITIONS.labels("on" if published else "off", change.why.code).inc()
        if published and heard_at is not None:
            metrics.COMMAND_SECONDS.observe(time.monotonic() - heard_at)


def publish_event(change: StreamChange) -> PublishEvent:
    """Return the command for the streamer that follows from a change."""
    stream = change.stream
    return PublishEvent(stream.id, stream.publish_epoch, stream.is_published, change.why)


def _publisher(change: StreamChange) -> Member | None:
    if not change.stream.live_available or change.publisher_session_id is None:
        return None
    return Member(change.stream.streamer.id, change.publisher_session_id)
