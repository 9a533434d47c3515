"""How often somebody may do something, and how much may be under way, in bounded memory."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable

from livewall.errors import Refusal


class Bucket:
    """`burst` at once, then `rate` a second."""

    __slots__ = ("_burst", "_clock", "_filled_at", "_rate", "_tokens")

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._filled_at = clock()

    def take(self, amount: float = 1) -> float:
        """Take and return 0, or take nothing and return the seconds until there is enough."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < amount:
            return (amount - self._tokens) / self._rate
        self._tokens -= amount
        return 0.0

    def give_back(self) -> None:
        """Count one use less: it turned out to be none of those that are limited."""
        self._tokens = min(self._burst, self._tokens + 1)


class Limiter:
    """A bucket for each key. The keys used longest ago are forgotten first."""

    def __init__(
        self,
        rate: float,
        burst: float,
        *,
        size: int = 50_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._size = size
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def check(self, key: str, amount: float = 1) -> None:
        """Count one use, or so much. Raises Refusal `rate_limited` with `retry_after`, seconds."""
        bucket = self._buckets.pop(key, None) or Bucket(self._rate, self._burst, self._clock)
        self._buckets[key] = bucket
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)
        wait = bucket.take(amount)
        if wait > 0:
            seconds = int(wait) + 1
            raise Refusal(
                "rate_limited", f"Try again in {seconds} s.", fields={"retry_after": seconds}
            )

    def give_back(self, key: str) -> None:
        """Count one use less of those that `check` let pass."""
        if bucket := self._buckets.get(key):
            bucket.give_back()


class Recent:
    """A set that forgets what was added longest ago."""

    def __init__(self, size: int = 50_000) -> None:
        self._size = size
        self._keys: OrderedDict[str, None] = OrderedDict()

    def add(self, key: str) -> None:
        """Remember this one, as the newest."""
        self._keys[key] = None
        self._keys.move_to_end(key)
        if len(self._keys) > self._size:
            self._keys.popitem(last=False)

    def __contains__(self, key: str) -> bool:
        return key in self._keys


class Workbench:
    """Heavy work: so many at a time, so many more wait, the rest is told to come again."""

    def __init__(self, places: int, waiting: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._most = places + waiting
        self._inside = 0

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncGenerator[None]:
        """Hold a place while the block runs. Raises Refusal `busy`."""
        if self._inside >= self._most:
            raise Refusal("busy")
        self._inside += 1
        try:
            async with self._places:
                yield
        finally:
            self._inside -= 1
