"""The streamer's role: be live, send to whoever holds a seat, send nothing while unpublished."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import structlog

from livewall.client.api import Api, ProblemError
from livewall.client.demand import Demand
from livewall.client.media import Call, Camera
from livewall.client.messages import (
    Other,
    Publish,
    PublisherBeat,
    PublisherLost,
    SeatedViewer,
    SendSignal,
    ServerMessage,
    Signal,
    SignalData,
    Snapshot,
    Stream,
    StreamChanged,
    Watchers,
)
from livewall.client.tab import SocketLostError, Tab, backoff
from livewall.client.tasks import Tasks

log = structlog.get_logger(__name__)

PREVIEW_SECONDS_PUBLISHED = 10.0
PREVIEW_SECONDS_QUIET = 30.0
# The lease and the viewers' silence both end after 60 seconds; sending longer would serve nobody.
OFFLINE_SECONDS = 60.0
CONNECT_SECONDS = 15.0
_ENDED = ("failed", "closed")


@dataclass(frozen=True)
class Show:
    """What a streamer shows: `preview` returns a JPEG of at most 320x180 and 64 KiB."""

    title: str
    camera: Camera
    preview: Callable[[], bytes] | None = None


class Publisher:
    """Streams `show` through `tab`.

    After `start` everything follows the server; `stop` ends it with a word. `on_lost` hears the
    reason when another session took over, and nothing is sent from then on.
    """

    def __init__(
        self, tab: Tab, api: Api, show: Show, on_lost: Callable[[str], None] = lambda _: None
    ) -> None:
        self.demand = Demand()
        self.stream: Stream | None = None
        self.sent_previews = 0
        self._tab, self._api, self._show, self._on_lost = tab, api, show, on_lost
        self._calls: dict[str, Call] = {}
        self._viewers: dict[str, SeatedViewer] = {}
        self._tasks = Tasks()
        # Apart from the rest, because a close that is cancelled leaves its sockets open.
        self._closing = Tasks()
        self._going_live: asyncio.Task[None] | None = None
        self._lease_session: str | None = None
        self._is_wanted = False
        self._preview_now = asyncio.Event()
        tab.listeners.append(self.hear)
        tab.publishing = self._beat

    @property
    def is_sending(self) -> bool:
        """Whether video leaves on at least one connection."""
        return any(call.state == "connected" for call in self._calls.values())

    @property
    def call_count(self) -> int:
        """How many connections are open or opening."""
        return len(self._calls)

    def start(self) -> None:
        """Want to be live, from now on and after every interruption."""
        self._is_wanted = True
        if self._tab.connected.is_set():
            self._be_live()
        self._tasks.start(self._upload_previews())
        self._tasks.start(self._watch_the_line())

    async def stop(self) -> None:
        """End the stream and every connection. The server hears it if there is a socket."""
        is_ours, self._is_wanted = self._is_wanted, False
        self._hang_up_all()
        try:
            # Once somebody took over, the word would end their stream.
            if is_ours:
                await self._tab.stop()
        except (SocketLostError, ProblemError) as error:
            log.debug("stop_unheard", reason=str(error))
        await self._closing.finish()
        await self._tasks.cancel()

    def hear(self, message: ServerMessage | Other) -> None:
        """Act on one message of the server."""
        match message:
            case Snapshot():
                self._take_snapshot(message)
            case StreamChanged(stream):
                self._take_stream(stream)
            case Publish(stream_id, epoch, is_published):
                self.demand.see_epoch(stream_id, epoch, is_published)
                self._follow()
            case Watchers():
                self.demand.see_watchers(message)
                self._follow()
            case Signal():
                self._tasks.start(self._take_signal(message))
            case PublisherLost():
                self._lose(message)
            case _:
                return

    # What is true.

    def _take_snapshot(self, snapshot: Snapshot) -> None:
        self.demand.expect_new_revisions()
        # An offer that went out on the old socket may never have arrived.
        for media_id in [key for key, call in self._calls.items() if call.state != "connected"]:
            self._hang_up(media_id)
        if snapshot.own_stream is not None:
            self._take_stream(snapshot.own_stream)
        if self._is_wanted:
            self._be_live()

    def _take_stream(self, stream: Stream) -> None:
        snapshot = self._tab.snapshot
        if snapshot is None or stream.streamer.id != snapshot.account.profile.id:
            return
        self.stream = stream
        self.demand.see_stream(stream.id)
        self.demand.see_epoch(stream.id, stream.publish_epoch, stream.is_published)
        if not stream.live_available and self._has_lease():
            self._lease_session = None
            if self._is_wanted:
                self._be_live()
        self._follow()

    def _lose(self, message: PublisherLost) -> None:
        if message.stream_id != self.demand.stream_id:
            return
        self._lease_session = None
        if not self._is_wanted:
            return  # we are leaving anyway
        if message.reason == "lease_expired":
            self._be_live()
            return
        self._is_wanted = False
        self._hang_up_all()
        self._on_lost(message.reason)

    # Being live.

    def _be_live(self) -> None:
        if self._going_live is None or self._going_live.done():
            self._going_live = self._tasks.start(self._go_live())

    async def _go_live(self) -> None:
        attempt = 0
        while self._is_wanted and not self._has_lease() and self._tab.connected.is_set():
            # Seats of the coming stream may be counted from the start, and come before the answer.
            self.demand.expect_new_revisions()
            try:
                # This person is nobody else, so an older session of theirs is a leftover.
                answer = await self._tab.go_live(self._show.title, take_over=True)
            except SocketLostError:
                return
            except ProblemError as error:
                log.warning("not_live", code=error.problem.code, detail=error.problem.detail)
                await asyncio.sleep(max(error.retry_after or 0.0, 1.0) + backoff(attempt))
                attempt += 1
                continue
            self._lease_session = self._tab.session_id
            if answer.stream is not None:
                self._take_stream(answer.stream)
            self._preview_now.set()
            self._tab.beat()

    def _has_lease(self) -> bool:
        return self._lease_session == self._tab.session_id

    def _beat(self) -> PublisherBeat | None:
        if not self._has_lease() or self.demand.stream_id is None:
            return None
        return PublisherBeat(self.demand.stream_id)

    # Sending.

    def _follow(self) -> None:
        """Make the open connections equal to the wanted ones."""
        wanted = self.demand.wanted()
        for media_id in [key for key in self._calls if key not in wanted]:
            self._hang_up(media_id)
        for viewer in wanted.values():
            if self._viewers.get(viewer.media_id) != viewer and self._tab.connected.is_set():
                self._ring(viewer)

    def _ring(self, viewer: SeatedViewer) -> None:
        snapshot = self._tab.snapshot
        if snapshot is None:
            return
        media_id = viewer.media_id
        if media_id in self._calls:
            # The viewer came back on another connection, perhaps as a reloaded page without a
            # video of its own. No `ended`, which would end the call that follows.
            self._closing.start(self._calls.pop(media_id).close())
        self._viewers[media_id] = viewer
        call = Call(snapshot, lambda data: self._tell(media_id, data), self._line_changed)
        self._calls[media_id] = call
        self._tasks.start(self._offer(media_id, call))

    async def _offer(self, media_id: str, call: Call) -> None:
        await call.offer(self._show.camera.track())
        await asyncio.sleep(CONNECT_SECONDS)
        if self._calls.get(media_id) is call and call.state != "connected":
            log.debug("no_connection", media_id=media_id)
            self._hang_up(media_id)
            self._follow()

    def _hang_up(self, media_id: str) -> None:
        call = self._calls.pop(media_id, None)
        if call is None:  # closing another one has ended it already
            return
        self._tell(media_id, SignalData("ended"))
        del self._viewers[media_id]
        self._closing.start(call.close())
        self._line_changed()

    def _hang_up_all(self) -> None:
        for media_id in list(self._calls):
            self._hang_up(media_id)

    def _tell(self, media_id: str, data: SignalData) -> None:
        viewer = self._viewers.get(media_id)
        if viewer is not None:
            self._tab.send(SendSignal(viewer.connection, media_id, data))

    async def _take_signal(self, signal: Signal) -> None:
        call, viewer = self._calls.get(signal.media_id), self._viewers.get(signal.media_id)
        if call is None or viewer is None or viewer.connection != signal.sender:
            return
        try:
            await call.take(signal.data)
        except ValueError as error:
            log.warning("signal_useless", kind=signal.data.kind, reason=str(error))

    def _line_changed(self) -> None:
        for media_id in [key for key, call in self._calls.items() if call.state in _ENDED]:
            self._hang_up(media_id)

    async def _watch_the_line(self) -> None:
        """Reopen what failed while still wanted, and give up when the server is long gone."""
        heard = time.monotonic()
        while True:
            await asyncio.sleep(1.0)
            if self._tab.connected.is_set():
                heard = time.monotonic()
                self._follow()
            elif time.monotonic() - heard > OFFLINE_SECONDS:
                self._hang_up_all()

    # Previews.

    async def _upload_previews(self) -> None:
        while (preview := self._show.preview) is not None:
            self._preview_now.clear()
            if self._has_lease() and self._tab.connected.is_set():
                await self._upload_preview(preview)
            published = self.demand.is_published
            seconds = PREVIEW_SECONDS_PUBLISHED if published else PREVIEW_SECONDS_QUIET
            try:
                await asyncio.wait_for(self._preview_now.wait(), seconds)
            except TimeoutError:
                continue

    async def _upload_preview(self, preview: Callable[[], bytes]) -> None:
        path = f"/api/streams/{quote(self.demand.stream_id or '')}/preview"
        try:
            jpeg = await asyncio.to_thread(preview)
            await self._api.send("PUT", path, jpeg, "image/jpeg")
            self.sent_previews += 1
        except (ProblemError, OSError) as error:
            log.debug("preview_refused", reason=str(error))
