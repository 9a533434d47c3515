"""How the application is served: uvicorn, one listening socket, and a goodbye before the end."""

import asyncio
import contextlib
import gc
import socket
import sys
import time

import msgspec
import structlog
import uvicorn
from litestar.types import ASGIApp

from livewall import log, noted_address, systemd
from livewall.app import App, create_app
from livewall.connections import RequestConnection, SocketConnection
from livewall.ending import end
from livewall.settings import Settings

BACKLOG = 2_048
# Twice what a client may send: a little too much gets a coded close, far too much just an end.
SOCKET_BYTES = 64 * 1024
# So long clients have to answer a goodbye; those that read nothing never do.
ANSWER_SECONDS = 3.0
# So long a request under way may take once the server ends: one that asks a payment provider waits
# 25 s for it (payments.CALL_SECONDS).
REQUEST_SECONDS = 30
log_ = structlog.get_logger()


class PoliteServer(uvicorn.Server):
    """Says goodbye to sockets before uvicorn closes them without a word."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app
        self._telling: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does; tell systemd as soon as requests can be answered."""
        await super().startup(sockets)
        self._telling = asyncio.create_task(self._tell_when_ready())

    async def _tell_when_ready(self) -> None:
        await self._app.until_ready()
        systemd.tell(systemd.READY)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End so that nobody misses anything: see docs/operations.md for the order."""
        if self._telling is not None:
            await end(self._telling)
        systemd.tell(systemd.STOPPING)
        await self._app.drain()
        for server in self.servers:
            server.close()
        await self._app.farewell()
        await self._see_off()
        # What is left are requests: uvicorn waits for their answers.
        await super().shutdown(sockets)

    async def _see_off(self) -> None:
        """Wait until clients have answered the goodbye: cut off before, they may not have read it.

        Whoever came too late for the goodbye is told by a code alone.
        """
        for connection in self._open_sockets():
            if not connection.close_sent and not connection.transport.is_closing():
                connection.shutdown()
        deadline = time.monotonic() + ANSWER_SECONDS
        while (left := self._open_sockets()) and not self.force_exit:
            if time.monotonic() > deadline:
                for connection in left:
                    connection.transport.abort()
            await asyncio.sleep(0.02)

    def _open_sockets(self) -> list[SocketConnection]:
        return [c for c in self.server_state.connections if isinstance(c, SocketConnection)]


def configure(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn shall run this."""
    return uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType]
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=RequestConnection,
        ws=SocketConnection,
        ws_max_size=SOCKET_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        backlog=BACKLOG,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=REQUEST_SECONDS,
    )


def serve(settings: Settings) -> None:
    """Serve until interrupted. Exits with one line and code 1 if it cannot listen."""
    log.configure(settings.log)
    if settings.production and not settings.public_url:
        log_.warning("no_public_url", next="set LIVEWALL_PUBLIC_URL")
    listening = _listen(settings)
    # What we send to ourselves needs the port, which "any free one" does not say.
    settings = msgspec.structs.replace(settings, port=listening.getsockname()[1])
    app = create_app(settings)
    server = PoliteServer(configure(app, settings), app)
    # What was loaded stays, and requests make few cycles: looking for them at the usual pace took
    # a seventh of the server's time under load.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    with noted_address.noted(settings), contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        sys.exit(
            f"Cannot listen on {settings.host} port {settings.port} ({error.strerror}): "
            "set LIVEWALL_PORT or LIVEWALL_HOST."
        )
    host, port = listening.getsockname()[:2]
    log_.info("listening", host=host, port=port)
    return listening
