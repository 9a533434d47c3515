"""The application on one screen: routes, what runs beside them, and how it is served."""

import asyncio
import contextlib
import random
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from typing import Any

import structlog
import uvicorn
from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ASGIApp, Receive, Scope, Send

from livewall import (
    __version__,
    chat,
    grid,
    health,
    identity,
    jobs,
    log,
    moderation,
    presence,
    routing,
    social,
    streams,
)
from livewall.docs_page import DocsPage, close_objects
from livewall.errors import Refusal
from livewall.messages import Goodbye
from livewall.pages import Pages
from livewall.server import Server, assemble
from livewall.settings import Settings
from livewall.socket import Sockets
from livewall.web import Front

FEATURES = (identity, social, grid, streams, presence, chat, moderation, health)
RECONNECT_MS = (500, 3_000)
BACKLOG = 2_048
# Twice what a client may send: a little too much gets a coded close, far too much just an end.
SOCKET_BYTES = 64 * 1024
log_ = structlog.get_logger()


class App:
    """The ASGI application. `server` is what tests and `serve` look into."""

    def __init__(self, settings: Settings, pages: Pages | None = None) -> None:
        self.server = assemble(settings)
        self._api = _api(self.server)
        self._sockets = Sockets(self.server)
        self._front = Front(self.server, self._api, pages or Pages())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand each kind of connection to its part."""
        if scope["type"] == "http":
            await self._front(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
        else:
            await self._api(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the document that /docs/openapi.json serves."""
        return self._api.openapi_schema.to_schema()

    async def farewell(self) -> None:
        """Tell every socket that the server restarts, and close it."""
        clients = list(self.server.hub.clients.values())
        # Spread, or everybody would come back in the same moment.
        waits = [random.randint(*RECONNECT_MS) for _ in clients]  # noqa: S311
        goodbyes = [Goodbye("restart", wait) for wait in waits]
        pairs = zip(clients, goodbyes, strict=True)
        await asyncio.gather(*(client.close(1012, goodbye) for client, goodbye in pairs))


def create_app(settings: Settings, pages: Pages | None = None) -> App:
    """Return the application for any ASGI server, with the built web client or other pages."""
    return App(settings, pages)


def _api(server: Server) -> Litestar:
    @contextlib.asynccontextmanager
    async def running(app: Litestar) -> AsyncGenerator[None]:
        app.state["server"] = server
        async with beside(server):
            yield

    api = Litestar(
        route_handlers=[route for feature in FEATURES for route in feature.ROUTES],
        dependencies={
            "server": Provide(routing.provide_server, sync_to_thread=False),
            "visit": Provide(routing.provide_visit, sync_to_thread=False),
            "caller": Provide(routing.provide_caller, sync_to_thread=False),
            "person": Provide(routing.provide_person, sync_to_thread=False),
        },
        exception_handlers={
            Refusal: routing.answer_refusal,
            HTTPException: routing.answer_http,
            Exception: routing.answer_bug,
        },
        lifespan=[running],
        logging_config=None,
        request_class=routing.StrictRequest,
        openapi_config=OpenAPIConfig(
            title="Livewall",
            version=__version__,
            description="Errors are problems (RFC 9457): branch on `code`. See docs/protocol.md.",
            path="/docs",
            render_plugins=[DocsPage()],
            security=[{"bearer": []}, {"cookie": []}, {}],
            components=Components(
                security_schemes={
                    "bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT"),
                    "cookie": SecurityScheme(
                        type="apiKey",
                        name="livewall_session",
                        security_scheme_in="cookie",
                        description="With X-CSRF-Token on every unsafe method.",
                    ),
                }
            ),
            use_handler_docstrings=True,
        ),
        debug=False,
    )
    close_objects(api.openapi_schema, routing.bodies_of(api))
    return api


@contextlib.asynccontextmanager
async def beside(server: Server) -> AsyncGenerator[None]:
    """Run what works beside the requests: the heartbeat writer, jobs, the registration."""
    tasks = [
        asyncio.create_task(work, name=name)
        for name, work in (
            ("heartbeats", server.presence.writer.run()),
            ("jobs", jobs.run(server.database, server.changes.apply)),
            ("tick", _tick(server)),
            ("register", _register(server)),
        )
    ]
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.database.close()


async def _tick(server: Server) -> None:
    while True:
        await asyncio.sleep(1)
        try:
            server.presence.tick()
        except Exception:
            # One bad place must not keep the seats of all others from ever becoming free.
            log_.exception("tick_broke")


async def _register(server: Server) -> None:
    """Keep trying until the database knows that we started."""
    while True:
        try:
            await server.register()
        except Refusal as refusal:
            log_.warning("not_registered", code=refusal.code)
            await asyncio.sleep(1)
        else:
            return


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log_.error("task_ended", task=task.get_name(), exc_info=task.exception())


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
        ws="websockets-sansio",
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
    app = create_app(settings)
    listening = _listen(settings)
    server = _Uvicorn(configure(app, settings), app.farewell)
    with contextlib.suppress(KeyboardInterrupt):
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
