"""The viewer's role: ask for a stream's video, answer the streamer's offer, count real pictures."""

import asyncio
import time
from dataclasses import dataclass

import structlog

from livewall.client.media import Call, Picture
from livewall.client.messages import (
    Other,
    Seat,
    SendSignal,
    ServerMessage,
    Signal,
    SignalData,
    TileBeat,
)
from livewall.client.tab import Tab
from livewall.client.tasks import Tasks

log = structlog.get_logger(__name__)


@dataclass
class Tile:
    """One tile: its flags, its seat and what came of it."""

    beat: TileBeat
    asked_at: float
    seat: Seat | None = None
    call: Call | None = None
    frames_before: int = 0
    first_frame_at: float | None = None

    @property
    def frames(self) -> int:
        """Pictures decoded since the tile was opened, over all its connections."""
        return self.frames_before + (self.call.frames if self.call else 0)

    @property
    def first_frame_seconds(self) -> float | None:
        """From `watch` to the first decoded picture, or none yet."""
        found = self.first_frame_at or (self.call.first_frame_at if self.call else None)
        return None if found is None else found - self.asked_at


class Viewer:
    """Watches streams through `tab`. `tiles` holds each watched stream by id."""

    def __init__(self, tab: Tab) -> None:
        self.tiles: dict[str, Tile] = {}
        self._tab = tab
        self._tasks = Tasks()
        tab.listeners.append(self.hear)
        tab.tiles = lambda: [tile.beat for tile in self.tiles.values()]

    def watch(self, stream_id: str, *, is_unmuted: bool = True, is_visible: bool = True) -> Tile:
        """Open a tile, or change its flags; video comes exactly while all of them are true.

        To go on with a session, open its tiles before `Tab.run`: its seats come with the snapshot.
        """
        tile = self.tiles.get(stream_id)
        beat = TileBeat(stream_id, is_unmuted=is_unmuted, is_visible=is_visible)
        if tile is None:
            tile = self.tiles[stream_id] = Tile(beat, time.monotonic())
        tile.beat = beat
        self._tab.beat()
        return tile

    def leave(self, stream_id: str) -> None:
        """Close a tile with a clean word to the server."""
        tile = self.tiles.pop(stream_id, None)
        if tile is not None:
            self._end_call(tile)
            self._tab.leave([stream_id])

    async def wait_for_frames(self, stream_id: str, count: int = 1, seconds: float = 15.0) -> None:
        """Return when `count` pictures were decoded. Raises `TimeoutError` saying the state."""
        deadline = time.monotonic() + seconds
        while (tile := self.tiles[stream_id]).frames < count:
            if time.monotonic() > deadline:
                state = tile.call.state if tile.call else "no connection"
                raise TimeoutError(f"{tile.frames} of {count} frames, {state}, seat {tile.seat}")
            await asyncio.sleep(0.01)

    def picture(self, stream_id: str) -> Picture | None:
        """The newest decoded picture of a stream, or none yet."""
        call = self.tiles[stream_id].call
        return call.picture if call else None

    async def close(self) -> None:
        """End all connections, without a word: what a leave means is `leave`'s business."""
        for tile in self.tiles.values():
            self._end_call(tile)
        await self._tasks.finish()

    def hear(self, message: ServerMessage | Other) -> None:
        """Act on one message of the server."""
        match message:
            case Seat(stream_id) if stream_id in self.tiles:
                self._take_seat(self.tiles[stream_id], message)
            case Signal(stream_id=stream_id) if stream_id in self.tiles:
                self._take_signal(self.tiles[stream_id], message)
            case _:
                return

    def _take_seat(self, tile: Tile, seat: Seat) -> None:
        if tile.seat is not None and tile.seat.media_id != seat.media_id:
            self._end_call(tile)
        tile.seat = seat

    def _take_signal(self, tile: Tile, signal: Signal) -> None:
        if tile.seat is None or signal.media_id != tile.seat.media_id:
            return
        if signal.data.kind == "ended":
            self._end_call(tile)
        elif signal.data.kind == "offer":
            self._end_call(tile)
            tile.call = self._new_call(signal)
        if tile.call is not None and signal.data.kind in ("offer", "candidate"):
            self._tasks.start(_take(tile.call, signal.data))

    def _new_call(self, signal: Signal) -> Call:
        snapshot = self._tab.snapshot
        if snapshot is None:
            raise RuntimeError("A signal arrived before the snapshot.")

        def tell(data: SignalData) -> None:
            self._tab.send(SendSignal(signal.sender, signal.media_id, data))

        return Call(snapshot, tell, lambda: None)

    def _end_call(self, tile: Tile) -> None:
        call, tile.call = tile.call, None
        if call is not None:
            tile.frames_before += call.frames
            tile.first_frame_at = tile.first_frame_at or call.first_frame_at
            self._tasks.start(call.close())


async def _take(call: Call, data: SignalData) -> None:
    try:
        await call.take(data)
    except ValueError as error:
        log.warning("signal_useless", kind=data.kind, reason=str(error))
