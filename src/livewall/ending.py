"""How what runs for ever is ended."""

import asyncio

AGAIN_SECONDS = 5.0


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
