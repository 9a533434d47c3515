"""How the application is served: uvicorn, one listening socket, and a goodbye before the end."""

import asyncio
import contextlib
import gc
import socket
import sys
from collections.abc import Callable

import msgspec
import structlog
import uvicorn
from litestar.types import ASGIApp

from livewall import log, noted_address
from livewall.app import create_app
from livewall.connections import RequestConnection, SocketConnection
from livewall.settings import Settings

BACKLOG = 2_048
# Twice what a client may send: a little too much gets a coded close, far too much just an end.
SOCKET_BYTES = 64 * 1024
log_ = structlog.get_logger()


class _Uvicorn(uvicorn.Server):
    """Says goodbye to sockets before uvicorn closes them without a word."""

    def __init__(self, config: uvicorn.Config, farewell: Callable[[], object]) -> None:
        super().__init__(config)
        self._farewell = farewell

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, say goodbye, then shut down as uvicorn does."""
        for server in self.servers:
            server.close()
        farewell = self._farewell()
        if asyncio.iscoroutine(farewell):
            await farewell
        await super().shutdown(sockets)


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
        timeout_graceful_shutdown=5,
    )


def serve(settings: Settings) -> None:
    """Serve until interrupted. Exits with one line and code 1 if it cannot listen."""
    log.configure(settings.log)
    listening = _listen(settings)
    # What we send to ourselves needs the port, which "any free one" does not say.
    settings = msgspec.structs.replace(settings, port=listening.getsockname()[1])
    app = create_app(settings)
    server = _Uvicorn(configure(app, settings), app.farewell)
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
