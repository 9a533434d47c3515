"""Token buckets: how often somebody may do something, in bounded memory."""

import time
from collections import OrderedDict
from collections.abc import Callable

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

    def check(self, key: str) -> None:
        """Count one use. Raises Refusal `rate_limited` with `retry_after` in seconds."""
        bucket = self._buckets.pop(key, None) or Bucket(self._rate, self._burst, self._clock)
        self._buckets[key] = bucket
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)
        wait = bucket.take()
        if wait > 0:
            seconds = int(wait) + 1
            raise Refusal(
                "rate_limited", f"Try again in {seconds} s.", fields={"retry_after": seconds}
            )
