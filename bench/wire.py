"""Figures over sockets alone: how soon a command reaches the streamer, how often it changes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from bench.figures import Figure, say, shown
from livewall.client import Tab, sign_in_guest
from livewall.client.messages import Other, Publish, PublisherBeat, ServerMessage
from tests.browser.people import Visitor, visitor
from tests.browser.site import Site

ROUNDS = 5
COMMANDS = 20
COMMAND_LIMIT_MS = 50.0
# The rules, and a second for the sweep and the way.
LEAVE_LIMIT_SECONDS = 5.0 + 1.0
EARLY_LEAVE_LIMIT_SECONDS = 10.0 + 1.0
TOGGLES, TOGGLE_SECONDS = 200, 20.0
OFF_LIMIT = 4.0


@dataclass
class Sender:
    """A streamer who hears commands, and notes when; nothing is sent."""

    tab: Tab
    stream_id: str = ""
    epoch: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    heard: list[tuple[float, bool]] = field(default_factory=list[tuple[float, bool]])

    def hear(self, message: ServerMessage | Other) -> None:
        """Note a command of a new epoch, with its time."""
        if isinstance(message, Publish) and message.epoch > self.epoch:
            self.epoch = message.epoch
            self.heard.append((time.monotonic(), message.is_published))
            self.news.set()

    def beat(self) -> PublisherBeat | None:
        """Keep the lease."""
        return PublisherBeat(self.stream_id) if self.stream_id else None

    async def told(self, *, is_published: bool, seconds: float = 30) -> float:
        """Return when the newest command came, once it says so. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not self.heard or self.heard[-1][1] != is_published:
                self.news.clear()
                await self.news.wait()
        return self.heard[-1][0]


@asynccontextmanager
async def sender(site: Site) -> AsyncGenerator[Sender]:
    """Be live until the block ends."""
    api, _ = await sign_in_guest(site.url)
    tab = Tab(api.base_url, api.token)
    live = Sender(tab)
    tab.listeners.append(live.hear)
    tab.publishing = live.beat
    line = asyncio.create_task(tab.run())
    try:
        await asyncio.wait_for(tab.connected.wait(), 10)
        answer = await tab.go_live("A bench")
        assert answer.stream is not None
        live.stream_id, live.epoch = answer.stream.id, answer.stream.publish_epoch
        tab.beat()
        yield live
    finally:
        await tab.stop()
        await tab.close()
        with contextlib.suppress(asyncio.CancelledError):
            await line


@asynccontextmanager
async def pairs(site: Site, count: int) -> AsyncGenerator[list[tuple[Sender, Visitor]]]:
    """Run so many streamers, each with a viewer who does not watch yet."""
    async with AsyncExitStack() as stack:
        yield [
            (
                await stack.enter_async_context(sender(site)),
                await stack.enter_async_context(visitor(site)),
            )
            for _ in range(count)
        ]


async def command_figure(site: Site) -> Figure:
    """From the first qualifying heartbeat, as it is sent, to the command, as it is heard."""
    say("First heartbeat to command")
    found: list[float] = []
    async with pairs(site, COMMANDS) as people:
        for live, viewer in people:
            started = time.monotonic()
            viewer.viewer.watch(live.stream_id)
            found.append(round((await live.told(is_published=True) - started) * 1000, 1))
    return shown(Figure("first heartbeat to publish command", "ms", COMMAND_LIMIT_MS, tuple(found)))


async def _leave(live: Sender, viewer: Visitor, stay: float) -> tuple[float, float]:
    """Watch a while and leave; return the seconds to off, from the leave and from the start."""
    viewer.viewer.watch(live.stream_id)
    started = await live.told(is_published=True)
    await asyncio.sleep(stay)
    left = time.monotonic()
    viewer.viewer.leave(live.stream_id)
    ended = await live.told(is_published=False)
    return round(ended - left, 2), round(ended - started, 2)


async def leave_figures(site: Site) -> list[Figure]:
    """A clean leave after a while, and one right after the start."""
    say("Clean leave to unpublish")
    async with pairs(site, ROUNDS) as people:
        late = await asyncio.gather(*(_leave(live, viewer, 11) for live, viewer in people))
    async with pairs(site, ROUNDS) as people:
        early = await asyncio.gather(*(_leave(live, viewer, 0.5) for live, viewer in people))
    after_leave = tuple(seconds for seconds, _ in late)
    after_start = tuple(seconds for _, seconds in early)
    return [
        shown(Figure("clean leave to unpublish", "s", LEAVE_LIMIT_SECONDS, after_leave, True)),
        shown(
            Figure("start to unpublish, left at once", "s", EARLY_LEAVE_LIMIT_SECONDS, after_start)
        ),
    ]


async def _toggle(live: Sender, viewer: Visitor) -> None:
    for number in range(TOGGLES):
        viewer.viewer.watch(live.stream_id, is_visible=number % 2 == 0)
        await asyncio.sleep(TOGGLE_SECONDS / TOGGLES)


def most_in_a_minute(moments: Sequence[datetime]) -> float:
    """Return how many of these moments lie in the fullest minute."""
    minute = timedelta(minutes=1)
    return float(max((sum(m <= n < m + minute for n in moments) for m in moments), default=0))


async def toggle_figure(site: Site) -> Figure:
    """Toggle as fast as a person cannot, and count how often the camera was switched off."""
    say("200 toggles of visibility in 20 s, and the minute after")
    async with pairs(site, ROUNDS) as people:
        await asyncio.gather(*(_toggle(live, viewer) for live, viewer in people))
        await asyncio.sleep(60)
        found: list[float] = []
        for live, _ in people:
            rows = await site.admin.fetch(
                "SELECT ended_at FROM private.publish_intervals"
                " WHERE live_stream_id = $1 AND ended_at IS NOT NULL",
                UUID(live.stream_id),
            )
            found.append(most_in_a_minute([row["ended_at"] for row in rows]))
    return shown(Figure("off-transitions a minute, 200 toggles", "", OFF_LIMIT, tuple(found), True))


async def wire_figures(site: Site) -> list[Figure]:
    """Measure everything that needs no browser."""
    return [
        await command_figure(site),
        *await leave_figures(site),
        await toggle_figure(site),
    ]
