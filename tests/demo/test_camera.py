"""Drawing and sending happen while somebody takes the pictures, and not a moment longer."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from livewall.client import Camera, Picture
from livewall.client.media import Call
from livewall.client.messages import SignalData


def stripes() -> Picture:
    """A bright stripe on dark ground that moves to the right."""
    picture = np.zeros((360, 640, 3), np.uint8)
    x = int(time.time() * 200) % 600
    picture[:, x : x + 40] = (240, 180, 60)
    return picture


@dataclass
class NoServers:
    """Both sides are on this machine and find each other by themselves."""

    ice_servers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    relay_only: bool = False


@asynccontextmanager
async def pair() -> AsyncGenerator[tuple[Call, Call]]:
    """A sender and a receiver whose steps reach each other in order."""
    steps: tuple[asyncio.Queue[SignalData], ...] = (asyncio.Queue(), asyncio.Queue())
    sender = Call(NoServers(), steps[1].put_nowait, lambda: None)
    receiver = Call(NoServers(), steps[0].put_nowait, lambda: None)

    async def carry(call: Call, queue: asyncio.Queue[SignalData]) -> None:
        while True:
            await call.take(await queue.get())

    lines = [
        asyncio.create_task(carry(call, queue))
        for call, queue in zip((sender, receiver), steps, strict=True)
    ]
    try:
        yield sender, receiver
    finally:
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, sender.close(), receiver.close(), return_exceptions=True)


async def frames(call: Call, count: int) -> None:
    """Wait until `call` has decoded `count` pictures."""
    async with asyncio.timeout(15):
        while call.frames < count:  # noqa: ASYNC110  a count has no event
            await asyncio.sleep(0.01)


@pytest.mark.spec("S14")
async def test_nothing_is_drawn_before_somebody_is_connected() -> None:
    camera = Camera(stripes)
    async with pair() as (sender, receiver):
        camera.track()
        await asyncio.sleep(0.3)
        assert camera.drawn == 0
        await sender.offer(camera.track())
        await frames(receiver, 3)
        assert camera.drawn >= 3


async def test_decoded_pictures_are_the_drawn_ones() -> None:
    async with pair() as (sender, receiver):
        await sender.offer(Camera(stripes).track())
        await frames(receiver, 5)
        picture = receiver.picture
    assert picture is not None
    assert picture.shape == (360, 640, 3)
    red, green, blue = (int(part) for part in picture.reshape(-1, 3).max(axis=0))
    assert red > 180
    assert green > 120
    assert blue < 140
    assert picture.mean() < 60


@pytest.mark.spec("S14")
async def test_drawing_ends_with_the_last_taker() -> None:
    camera = Camera(stripes)
    async with pair() as (one, first), pair() as (two, second):
        await one.offer(camera.track())
        await two.offer(camera.track())
        await asyncio.gather(frames(first, 3), frames(second, 3))
        await one.close()
        await frames(second, second.frames + 3)
        assert camera.is_drawing
        await two.close()
        await asyncio.sleep(0.2)
        drawn = camera.drawn
        await asyncio.sleep(0.5)
        assert camera.drawn == drawn
        assert not camera.is_drawing


async def test_one_picture_is_drawn_for_all() -> None:
    camera = Camera(stripes, frames_per_second=12)
    async with pair() as (one, first), pair() as (two, second):
        await one.offer(camera.track())
        await two.offer(camera.track())
        await asyncio.gather(frames(first, 10), frames(second, 10))
        assert camera.drawn < 1.5 * max(first.frames, second.frames)


async def test_closing_before_the_answer_leaves_nothing_behind() -> None:
    camera = Camera(stripes)
    call = Call(NoServers(), lambda _: None, lambda: None)
    await call.offer(camera.track())
    await call.close()
    await call.take(SignalData("candidate", candidate={"candidate": "nonsense"}))
    await call.offer(camera.track())
    assert call.state == "closed"
    assert camera.drawn == 0


async def test_closing_at_any_moment_leaves_no_task_behind() -> None:
    camera = Camera(stripes)
    before = len(asyncio.all_tasks())
    for moment in range(12):
        async with pair() as (sender, receiver):
            offer = asyncio.create_task(sender.offer(camera.track()))
            await asyncio.sleep(moment * 0.015)
            await asyncio.gather(sender.close(), receiver.close(), offer)
    await asyncio.sleep(0.1)
    assert len(asyncio.all_tasks()) == before
