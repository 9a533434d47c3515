"""What runs beside the requests for as long as a server lives: writers, jobs, the registration."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import structlog

from livewall import jobs
from livewall.db import cause_of
from livewall.ending import end
from livewall.errors import Refusal
from livewall.events import POLL_SECONDS, Events
from livewall.server import Server

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def beside(server: Server) -> AsyncGenerator[None]:
    """Run what works beside the requests: heartbeats, other servers, events, jobs, payments."""
    events = Events(server.database, server.hub)
    beside = {
        "cluster": server.cluster.run(server.everywhere),
        "heartbeats": server.presence.writer.run(),
        "events": jobs.repeat("take_events", POLL_SECONDS, events.poll),
        "jobs": jobs.run(server.database, server.changes.apply, server.settlement, server.ending),
        "settlement": server.settlement.run(),
        "tick": _tick(server),
        "register": _register(server),
    }
    if server.provider is not None:
        beside["provider"] = server.provider.run()
    tasks = [asyncio.create_task(work, name=name) for name, work in beside.items()]
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield
    finally:
        await server.presence.writer.finish()
        await end(*tasks)
        await server.settlement.finish()
        if server.provider is not None:
            await server.provider.close()
        await server.database.close()


async def _tick(server: Server) -> None:
    while True:
        await asyncio.sleep(1)
        try:
            server.presence.tick()
        except Exception:
            # One bad place must not keep the seats of all others from ever becoming free.
            log.exception("tick_broke")


async def _register(server: Server) -> None:
    """Keep trying until the database knows that we started."""
    while True:
        try:
            await server.register()
        except Refusal as refusal:
            log.warning("not_registered", code=refusal.code, **cause_of(refusal))
            await asyncio.sleep(1)
        else:
            return


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("task_ended", task=task.get_name(), exc_info=task.exception())
