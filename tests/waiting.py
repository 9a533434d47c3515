"""Waiting for what must become true, and no longer."""

import asyncio
import time
from collections.abc import Awaitable, Callable

EVERY_SECONDS = 0.05


async def until(condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> float:
    """Return after how many seconds the condition held. Raises AssertionError at the deadline."""
    started = time.monotonic()
    while not await condition():
        waited = time.monotonic() - started
        if waited > seconds:
            raise AssertionError(f"After {waited:.1f} s it is still not so that {what}.")
        await asyncio.sleep(EVERY_SECONDS)
    return time.monotonic() - started


async def throughout(condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """Assert that a condition holds all the time. Raises AssertionError the moment it does not."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        after = time.monotonic() - started
        assert await condition(), f"After {after:.1f} s it is not so any more that {what}."
        await asyncio.sleep(EVERY_SECONDS)
