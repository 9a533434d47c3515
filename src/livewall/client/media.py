"""Pictures over WebRTC with aiortc: the one module of the client that knows that library."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol, cast

import aioice.ice
import numpy as np
import structlog
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcconfiguration import RTCIceTransportPolicy
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from aiortc.sdp import candidate_from_sdp
from av import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from livewall.client.messages import SignalData
from livewall.client.tasks import Tasks

log = structlog.get_logger(__name__)

Picture = NDArray[np.uint8]
"""A picture: height x width x 3, red, green and blue from 0 to 255."""

CLOCK = Fraction(1, 90_000)
SETTLE_SECONDS = 1.0


class Camera:
    """Draws pictures while, and only while, somebody takes them.

    `paint` returns the picture of now; it runs in a thread, never twice at a time. `drawn` counts
    its calls. One picture is drawn for all who take it.
    """

    def __init__(self, paint: Callable[[], Picture], frames_per_second: float = 12.0) -> None:
        self.drawn = 0
        self._paint = paint
        self._period = 1.0 / frames_per_second
        self._tracks: set[CameraTrack] = set()
        self._task: asyncio.Task[None] | None = None
        self._reformatter = VideoReformatter()

    def track(self) -> "CameraTrack":
        """A new taker of pictures. Drawing starts when it first asks, ends with the last stop."""
        return CameraTrack(self)

    def start_for(self, track: "CameraTrack") -> None:
        """Begin to hand pictures to `track`."""
        self._tracks.add(track)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._draw_while_taken())

    def stop_for(self, track: "CameraTrack") -> None:
        """Stop handing pictures to `track`; the loop ends by itself after the last one."""
        self._tracks.discard(track)

    @property
    def is_drawing(self) -> bool:
        """Whether the drawing loop runs."""
        return self._task is not None and not self._task.done()

    async def _draw_while_taken(self) -> None:
        due = time.monotonic()
        while self._tracks:
            planes = await asyncio.to_thread(self._draw)
            stamp = int(time.monotonic() * 90_000)
            for track in self._tracks:
                track.offer(planes, stamp)
            # After a stall the clock starts anew, instead of catching up with a burst.
            due = max(due + self._period, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    def _draw(self) -> Picture:
        self.drawn += 1
        frame = VideoFrame.from_ndarray(self._paint(), format="rgb24")
        planes = self._reformatter.reformat(frame, format="yuv420p").to_ndarray()
        return cast("Picture", planes)


class CameraTrack(MediaStreamTrack):
    """One viewer's view of a camera: always the newest picture, never a backlog."""

    kind = "video"

    def __init__(self, camera: Camera) -> None:
        super().__init__()
        self.taken = 0
        self._camera = camera
        self._newest: tuple[Picture, int] | None = None
        self._arrived = asyncio.Event()

    def offer(self, planes: Picture, stamp: int) -> None:
        """Put `planes` (yuv420p, 3/2 height x width) up for taking; `stamp` in 1/90000 s."""
        self._newest = (planes, stamp)
        self._arrived.set()

    async def recv(self) -> VideoFrame:
        """The next picture. The encoder marks frames, so each viewer gets a frame of their own."""
        self._camera.start_for(self)
        await self._arrived.wait()
        if self.readyState != "live" or self._newest is None:
            raise MediaStreamError
        self._arrived.clear()
        planes, stamp = self._newest
        frame = VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = stamp, CLOCK
        self.taken += 1
        return frame

    def stop(self) -> None:
        """End the track, and the drawing if this was the last one."""
        super().stop()
        self._camera.stop_for(self)
        self._arrived.set()


class Ice(Protocol):
    """What a snapshot says about the ways two browsers may find each other."""

    @property
    def ice_servers(self) -> list[dict[str, Any]]: ...
    @property
    def relay_only(self) -> bool: ...


class Call:
    """One connection for one seat; the streamer's side offers, the viewer's side answers.

    `tell` sends a step to the other side. `on_change` hears of every change of `state`.
    `frames` counts pictures that arrived and were decoded, `first_frame_at` is on
    `time.monotonic`, and `picture` is the newest one.
    """

    def __init__(
        self, ice: Ice, tell: Callable[[SignalData], object], on_change: Callable[[], None]
    ) -> None:
        self.frames = 0
        self.first_frame_at: float | None = None
        self._newest: VideoFrame | None = None
        self._tell = tell
        self._peer = RTCPeerConnection(_configuration(ice))
        self._tasks = Tasks()
        self._track: MediaStreamTrack | None = None
        self._negotiating = asyncio.Lock()
        self._settled = asyncio.Event()
        self._settled.set()
        self._early: list[dict[str, Any]] = []
        self._has_remote = False
        self._on_change = on_change
        self._peer.on("connectionstatechange", self._change)
        self._peer.on("track", self._take_track)

    @property
    def state(self) -> str:
        """`new`, `connecting`, `connected`, `failed` or `closed`."""
        return self._peer.connectionState

    @property
    def picture(self) -> Picture | None:
        """The newest decoded picture, or none yet."""
        if self._newest is None:
            return None
        return cast("Picture", self._newest.to_ndarray(format="rgb24"))

    async def offer(self, track: MediaStreamTrack) -> None:
        """Offer `track`, with every candidate in the description itself."""
        self._track = track
        async with self._negotiating:
            if self._peer.signalingState == "closed":
                return
            transceiver = self._peer.addTransceiver(track, direction="sendonly")
            transceiver.setCodecPreferences(_vp8())
            await self._peer.setLocalDescription(await self._peer.createOffer())
        self._tell(SignalData("offer", sdp=self._peer.localDescription.sdp))
        self._tell(SignalData("candidate", candidate=None))

    async def take(self, data: SignalData) -> None:
        """Take a step of the other side. Raises `ValueError` if it makes no sense."""
        if data.kind == "candidate":
            self._take_candidate(data.candidate)
        elif isinstance(data.sdp, str):
            async with self._negotiating:
                try:
                    await self._take_description(data.kind, data.sdp)
                except InvalidStateError as error:
                    log.debug("description_out_of_place", reason=str(error))

    async def close(self) -> None:
        """Close the connection and stop its track."""
        # Closed amid gathering, aiortc would forget the sockets it was about to open; closed amid
        # connecting, the tasks and threads it was about to start.
        async with self._negotiating:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), SETTLE_SECONDS)
            await self._peer.close()
        await self._tasks.cancel()
        # aiortc stops the track only if it ever began to send.
        if self._track is not None:
            self._track.stop()

    async def _take_description(self, kind: str, sdp: str) -> None:
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp, kind))
        if kind == "offer":
            await self._peer.setLocalDescription(await self._peer.createAnswer())
            self._tell(SignalData("answer", sdp=self._peer.localDescription.sdp))
            self._tell(SignalData("candidate", candidate=None))
        early, self._early, self._has_remote = self._early, [], True
        for candidate in early:
            self._tasks.start(self._add(candidate))

    def _take_candidate(self, candidate: object) -> None:
        # The end of candidates is not passed on: a browser may hide its addresses behind names that
        # do not resolve here, and is then only found when its own check arrives, after that end.
        if not isinstance(candidate, dict):
            return
        found = cast("dict[str, Any]", candidate)
        if not found.get("candidate"):
            return
        if self._has_remote:
            self._tasks.start(self._add(found))
        else:
            self._early.append(found)

    async def _add(self, found: dict[str, Any]) -> None:
        try:
            candidate = candidate_from_sdp(str(found["candidate"]).removeprefix("candidate:"))
            candidate.sdpMid = found.get("sdpMid")
            candidate.sdpMLineIndex = found.get("sdpMLineIndex")
            await self._peer.addIceCandidate(candidate)
        except (ValueError, AssertionError, OSError, InvalidStateError) as error:
            log.debug("candidate_useless", reason=str(error))

    def _change(self) -> None:
        if self.state == "connecting":
            self._settled.clear()
        else:
            self._settled.set()
        self._on_change()

    def _take_track(self, track: MediaStreamTrack) -> None:
        self._tasks.start(self._count(track))

    async def _count(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                self._newest = cast("VideoFrame", await track.recv())  # pyright: ignore[reportUnknownMemberType]
                self.frames += 1
                self.first_frame_at = self.first_frame_at or time.monotonic()
        except MediaStreamError:
            return


def _configuration(ice: Ice) -> RTCConfiguration:
    servers = [
        RTCIceServer(server["urls"], server.get("username"), server.get("credential"))
        for server in ice.ice_servers
    ]
    policy = RTCIceTransportPolicy.RELAY if ice.relay_only else RTCIceTransportPolicy.ALL
    # An empty list is not the same as none: with none, aiortc asks a public STUN server.
    return RTCConfiguration(iceServers=servers, iceTransportPolicy=policy)


def _vp8() -> list[RTCRtpCodecCapability]:
    """VP8 alone, because every browser decodes it and the bundled encoder is quick."""
    known = RTCRtpSender.getCapabilities("video").codecs
    return [codec for codec in known if codec.mimeType in ("video/VP8", "video/rtx")]


_addresses_without_loopback = aioice.ice.get_host_addresses


def _host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """Every address of this machine, and loopback if there is no other: a demo works offline."""
    return _addresses_without_loopback(use_ipv4, use_ipv6) or ["127.0.0.1"]


aioice.ice.get_host_addresses = _host_addresses
