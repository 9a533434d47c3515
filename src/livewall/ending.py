"""How what runs for ever is ended."""

import asyncio
from collections.abc import Coroutine

AGAIN_SECONDS = 5.0


async def until(ending: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Run what runs for ever until `ending` is set, or we are ended ourselves."""
    running = asyncio.ensure_future(work)
    try:
        await ending.wait()
    finally:
        await end(running)


async def end(*tasks: "asyncio.Future[None]") -> None:
    """Cancel tasks until they are over, whatever they end with.

    Once is not enough: before Python 3.12 `asyncio.wait_for` forgets a cancellation that comes in
    the same moment as what it waits for, and what loops for ever would go on.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
