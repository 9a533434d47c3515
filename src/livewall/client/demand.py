"""Who is to get video, worked out from commands that may be repeated, lost or reordered."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from livewall.client.messages import SeatedViewer, Watchers


@dataclass
class Demand:
    """The streamer's view of one stream: the highest epoch and the highest revision win.

    Every `see_` method returns whether anything changed.
    """

    stream_id: str | None = None
    epoch: int = -1
    is_published: bool = False
    revision: int = -1
    seated: Mapping[str, SeatedViewer] = field(default_factory=dict[str, SeatedViewer])

    def see_stream(self, stream_id: str) -> bool:
        """Turn to `stream_id`; epochs of another stream say nothing about this one."""
        if stream_id == self.stream_id:
            return False
        self.stream_id, self.epoch, self.is_published = stream_id, -1, False
        self.forget_watchers()
        return True

    def see_epoch(self, stream_id: str, epoch: int, is_published: bool) -> bool:
        """Take over a newer epoch; an older one is late news, the same one is a repetition."""
        if stream_id != self.stream_id or epoch <= self.epoch:
            return False
        self.epoch, self.is_published = epoch, is_published
        return True

    def see_watchers(self, watchers: Watchers) -> bool:
        """Take over a newer list of seats; it is the whole truth, not an addition."""
        if watchers.stream_id != self.stream_id or watchers.revision <= self.revision:
            return False
        self.revision = watchers.revision
        self.seated = {viewer.media_id: viewer for viewer in watchers.seated}
        return True

    def expect_new_revisions(self) -> None:
        """A new socket may lead to a server that counts from the start; the seats stay for now."""
        self.revision = -1

    def forget_watchers(self) -> None:
        """Nobody has a seat until a list says so."""
        self.revision, self.seated = -1, {}

    def wanted(self) -> Mapping[str, SeatedViewer]:
        """The viewers to send to now, by media id: nobody while unpublished."""
        return self.seated if self.is_published else {}
