"""The application on one screen: routes and their wiring."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import Receive, Scope, Send

from livewall import (
    __version__,
    chat,
    gifts,
    grid,
    health,
    identity,
    ledger,
    moderation,
    presence,
    purchases,
    routing,
    social,
    streams,
)
from livewall.beside import beside
from livewall.docs_page import DocsPage, close_objects
from livewall.errors import Refusal
from livewall.messages import Goodbye
from livewall.pages import Pages
from livewall.payments import sandbox_page, webhooks
from livewall.server import Server, assemble
from livewall.settings import Settings
from livewall.socket import Sockets
from livewall.web import Front

FEATURES = (
    *(identity, social, grid, streams, presence, chat, moderation, health),
    *(ledger, purchases, gifts, webhooks, sandbox_page),
)
# When sockets come back after a goodbye. Spread, because whoever takes them in does beside it what
# they did before; and all of them before anybody who was heard 12 s ago is silent for 60.
SOONEST_MS = 500
SPREAD_MS = (500, 30_000)
RETURNS_PER_SECOND = 250
READY_AGAIN_SECONDS = 0.1


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

    async def until_ready(self) -> None:
        """Wait until the database answers."""
        while True:
            with contextlib.suppress(Refusal):
                await self.server.database.is_ready()
                return
            await asyncio.sleep(READY_AGAIN_SECONDS)

    async def drain(self) -> None:
        """Be ready no more and lead no jobs, but serve on until a balancer has noticed."""
        self.server.ending.set()
        await asyncio.sleep(self.server.settings.drain_seconds)

    async def farewell(self) -> None:
        """Tell every socket that the server restarts, and close it."""
        clients = list(self.server.hub.clients.values())
        streaming = self.server.changes.publishers()
        # Whoever streams comes first: the others find them there.
        clients.sort(key=lambda client: client.member not in streaming)
        goodbyes = [Goodbye("restart", wait) for wait in return_times(len(clients))]
        pairs = zip(clients, goodbyes, strict=True)
        await asyncio.gather(*(client.close(1012, goodbye) for client, goodbye in pairs))


def return_times(count: int) -> list[int]:
    """Return after how many milliseconds each of so many sockets is to come back, rising."""
    shortest, longest = SPREAD_MS
    spread = min(max(shortest, count * 1000 // RETURNS_PER_SECOND), longest)
    return [SOONEST_MS + spread * n // count for n in range(count)]


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
