"""A crowd of tabs without pictures: some are live, the others watch them, and servers restart.

The suite runs it with tens of people, bench/rolling.py with a thousand.
"""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from livewall import tokens
from livewall.client import Tab
from livewall.client.messages import (
    Goodbye,
    Other,
    PublisherBeat,
    PublisherLost,
    ServerMessage,
    Snapshot,
    TileBeat,
)
from livewall.code_catalog import Connection
from tests.waiting import until

LIFETIME = 7_200
AT_ONCE = 25
TILES = 4
PEOPLE = f"""
SELECT id, (public.open_session(id, '{LIFETIME} seconds') ->> 'session_id')::uuid AS session
FROM (SELECT (public.create_account('crowd.' || n, 'x') ->> 'id')::uuid AS id
    FROM generate_series(1, $1::integer) AS n) AS p
"""


@dataclass
class Member:
    """One person's tab, and what a restart looked like from there."""

    tab: Tab
    told_at: float | None = None
    absences: list[float] = field(default_factory=list[float])
    lost_leases: int = 0

    def hear(self, message: ServerMessage | Other) -> None:
        """Note how long it takes from a goodbye to the next snapshot, in seconds."""
        match message:
            case Goodbye():
                self.told_at = time.monotonic()
            case Snapshot() if self.told_at is not None:
                self.absences.append(time.monotonic() - self.told_at)
                self.told_at = None
            case PublisherLost():
                self.lost_leases += 1
            case _:
                pass

    @property
    def is_here(self) -> bool:
        """Whether there is a socket, and no word of its end."""
        return self.told_at is None and self.tab.connected.is_set()


@dataclass(frozen=True)
class Switching:
    """How often each stream was switched, and how often anything began at all."""

    epochs: dict[UUID, int]
    intervals: int
    times_live: int


@dataclass
class Crowd:
    """Everybody; the streamers come first."""

    admin: Connection
    members: list[Member]
    stream_ids: list[str] = field(default_factory=list[str])

    @property
    def close_codes(self) -> Counter[int]:
        """How the sockets ended that everybody lost."""
        return sum((member.tab.close_codes for member in self.members), Counter[int]())

    @property
    def lost_leases(self) -> int:
        """How many streamers heard that they are not live any more."""
        return sum(member.lost_leases for member in self.members)

    def take_absences(self) -> list[float]:
        """Return for how many seconds each who was told goodbye was away, and begin anew."""
        found = [seconds for member in self.members for seconds in member.absences]
        for member in self.members:
            member.absences.clear()
        return found

    async def switching(self) -> Switching:
        """Read what the database recorded of switching cameras on and off."""
        streams = await self.admin.fetch("SELECT id, publish_epoch FROM public.live_streams")
        return Switching(
            {row["id"]: row["publish_epoch"] for row in streams},
            await self.admin.fetchval("SELECT count(*) FROM private.publish_intervals"),
            await self.admin.fetchval("SELECT count(*) FROM private.live_intervals"),
        )

    async def published(self) -> int:
        """Return how many streams are published."""
        return await self.admin.fetchval(
            "SELECT count(*) FROM public.live_streams WHERE is_published"
        )

    async def until_here(self, seconds: float) -> None:
        """Wait until everybody has a socket."""

        async def are_here() -> bool:
            return all(member.is_here for member in self.members)

        await until(are_here, seconds, "everybody has a socket")

    async def until_all_are_sent(self, seconds: float) -> None:
        """Wait until every stream is published."""

        async def are_sent() -> bool:
            return await self.published() == len(self.stream_ids)

        await until(are_sent, seconds, "every stream is published")

    async def go_live(self, count: int) -> None:
        """Let the first so many be live, and the others watch some of them each."""
        for member in self.members[:count]:
            # Whoever ran before under the same names may still be thought of as live.
            answer = await member.tab.go_live("A crowd", take_over=True)
            assert answer.stream is not None
            self.stream_ids.append(answer.stream.id)
            _send(member.tab, answer.stream.id)
        shown = itertools.cycle(self.stream_ids)
        for member in self.members[count:]:
            _watch(member.tab, [next(shown) for _ in range(min(TILES, count))])


def _send(tab: Tab, stream_id: str) -> None:
    tab.publishing = lambda: PublisherBeat(stream_id)
    tab.beat()


def _watch(tab: Tab, stream_ids: Sequence[str]) -> None:
    tiles = [TileBeat(stream_id) for stream_id in stream_ids]
    tab.tiles = lambda: tiles
    tab.beat()


async def people(admin: Connection, secret: str, count: int) -> list[str]:
    """Make so many accounts with a session each; return their tokens."""
    rows = await admin.fetch(PEOPLE, count)
    rules, expires_at = tokens.Rules(secret), time.time() + LIFETIME
    return [tokens.sign(rules, row["id"], row["session"], expires_at) for row in rows]


@asynccontextmanager
async def crowd(
    admin: Connection, url: str, bearers: Sequence[str], streamers: int
) -> AsyncGenerator[Crowd]:
    """Have a tab open for each token, and the first so many live, until the block ends."""
    everybody = Crowd(admin, [Member(Tab(url, bearer)) for bearer in bearers])
    lines: list[asyncio.Task[None]] = []
    try:
        for first in range(0, len(bearers), AT_ONCE):
            some = everybody.members[first : first + AT_ONCE]
            for member in some:
                member.tab.listeners.append(member.hear)
                lines.append(asyncio.create_task(member.tab.run()))
            await asyncio.gather(*(member.tab.connected.wait() for member in some))
        await everybody.go_live(streamers)
        yield everybody
    finally:
        await asyncio.gather(*(member.tab.close() for member in everybody.members))
        for line in lines:
            with contextlib.suppress(asyncio.CancelledError):
                await line
