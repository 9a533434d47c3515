"""A running server and the people who use it, as tests see them: real uvicorn, real PostgreSQL."""

import asyncio
import base64
import contextlib
import io
import json
import os
import socket
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import httpx
import msgspec
from PIL import Image
from prometheus_client import REGISTRY
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from livewall.app import App, create_app
from livewall.pages import Pages
from livewall.serving import PoliteServer, configure
from livewall.settings import Settings
from tests.databases import Database
from tests.waiting import until

Json = dict[str, Any]
Pair: TypeAlias = "tuple[Live, Live]"
ROOT = Path(__file__).parents[2]
# The server alone, without the command that prepares its database.
SERVE_ALONE = "from livewall import serving, settings; serving.serve(settings.load())"
SECRET = "a secret of tests, long enough to sign with"
PASSWORD = "correct horse battery"
# Longer than anything takes on a machine that tests four things at once.
PATIENCE_SECONDS = 15.0
# A process loads what it imports first.
START_SECONDS = 60.0


async def _process_ends_itself() -> None:
    """A server in a process of its own is ended by a signal."""


@dataclass
class Live:
    """A server that runs for one test; with `beside`, people are on both in turn."""

    url: str
    app: App
    settings: Settings
    database: Database
    people: list["Visitor"] = field(default_factory=list["Visitor"])
    beside: "Live | None" = None
    # Tells the server to end, as SIGTERM does, and returns once it has.
    end: Callable[[], Awaitable[None]] = _process_ends_itself

    def visitor(self, token: str = "") -> "Visitor":
        """Somebody with a browser's worth of HTTP: nobody, or with a bearer token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self.url
        if self.beside is not None and sum(bool(p.token) for p in self.people) % 2:
            url = self.beside.url
        http = httpx.AsyncClient(base_url=url, headers=headers, timeout=10)
        visitor = Visitor(self, http, token)
        self.people.append(visitor)
        return visitor

    async def guest(self, name: str | None = None) -> "Visitor":
        """A guest with a bearer token."""
        body: Json = {"return_token": True} | ({"name": name} if name else {})
        return await self._sign_up("/api/session/guest", body)

    async def account(self, name: str) -> "Visitor":
        """An account with PASSWORD and a bearer token."""
        body = {"name": name, "password": PASSWORD, "return_token": True}
        return await self._sign_up("/api/accounts", body)

    async def moderator(self, name: str) -> "Visitor":
        """An account with the role of a moderator."""
        moderator = await self.account(name)
        admin = await self.database.admin()
        await admin.execute("SELECT public.grant_staff_role($1, 'moderator')", moderator.id)
        return moderator

    async def _sign_up(self, path: str, body: Json) -> "Visitor":
        nobody = self.visitor()
        answer = await nobody.http.post(path, json=body)
        assert answer.status_code == 201, answer.text
        visitor = self.visitor(answer.json()["token"])
        visitor.profile = answer.json()["account"]["profile"]
        return visitor

    async def rules(self, **rules: str) -> None:
        """Change figures of the publish-state rules, such as linger='1 second'."""
        admin = await self.database.admin()
        for name, value in rules.items():
            await admin.execute(f"UPDATE private.settings SET {name} = $1::text::interval", value)

    async def close(self) -> None:
        """Close what people left open."""
        for visitor in self.people:
            for tab in visitor.tabs:
                await tab.close()
            await visitor.http.aclose()


@dataclass
class Visitor:
    """One person."""

    live: Live
    http: httpx.AsyncClient
    token: str = ""
    profile: Json = field(default_factory=dict[str, Any])
    tabs: list["Tab"] = field(default_factory=list["Tab"])

    @property
    def id(self) -> UUID:
        """Their profile's id."""
        return UUID(self.profile["id"])

    @property
    def name(self) -> str:
        """Their name."""
        return self.profile["name"]

    async def connect(self, headers: dict[str, str] | None = None) -> "Tab":
        """Open a socket and say nothing."""
        bearer = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        address = f"{self.http.base_url}".replace("http", "ws", 1).rstrip("/") + "/ws"
        line = await connect(
            address,
            additional_headers=bearer | (headers or {}),
            compression=None,
            ping_interval=None,
            max_size=None,
        )
        tab = Tab(line)
        tab.reader = asyncio.create_task(tab.read())
        self.tabs.append(tab)
        return tab

    async def tab(self, session_id: UUID | None = None) -> "Tab":
        """Open a socket, say hello and wait for the snapshot."""
        tab = await self.connect()
        tab.session_id = session_id or tab.session_id
        await tab.hello()
        return tab

    async def go_live(self, title: str = "") -> tuple["Tab", UUID]:
        """Open a studio and go live; return the tab and the stream's id."""
        tab = await self.tab()
        answer = await tab.ask(type="go_live", title=title)
        assert answer["type"] == "ok", answer
        return tab, UUID(answer["stream"]["id"])


@dataclass
class Tab:
    """One socket. Everything heard is kept in `heard`, in order."""

    line: ClientConnection
    session_id: UUID = field(default_factory=uuid4)
    heard: list[Json] = field(default_factory=list[Json])
    news: asyncio.Event = field(default_factory=asyncio.Event)
    reader: asyncio.Task[None] | None = None
    sequence: int = 0
    mark: int = 0
    ids: int = 0

    async def read(self) -> None:
        """Keep what comes in until the socket closes."""
        with contextlib.suppress(ConnectionClosed):
            async for text in self.line:
                self.heard.append(json.loads(text))
                self.news.set()
        self.news.set()

    async def hello(self) -> Json:
        """Say hello and return the snapshot."""
        await self.say(type="hello", protocol=1, session_id=str(self.session_id))
        return await self.expect("snapshot")

    async def say(self, **message: Any) -> None:
        """Send a message."""
        await self.line.send(msgspec.json.encode(message).decode())

    async def ask(self, **message: Any) -> Json:
        """Send a message with an id and return its answer."""
        self.ids += 1
        wanted = self.ids
        await self.say(id=wanted, **message)
        return await self.find(lambda m: m.get("re") == wanted, f"the answer to {message}")

    async def watch(self, *stream_ids: UUID, **flags: bool) -> None:
        """Send a heartbeat that watches these streams; flags as given, else true."""
        self.sequence += 1
        names = ("is_active", "is_unmuted", "is_visible", "is_subscribed")
        tile = {name: flags.get(name, True) for name in names}
        tiles = [{"stream_id": stream_id, **tile} for stream_id in stream_ids]
        await self.say(type="heartbeat", sequence=self.sequence, tiles=tiles)

    async def leave(self, *stream_ids: UUID) -> None:
        """Leave these streams, or all."""
        self.sequence += 1
        listed: Json = {"stream_ids": list(stream_ids)} if stream_ids else {}
        await self.say(type="leave", sequence=self.sequence, **listed)

    async def expect(self, kind: str, seconds: float = PATIENCE_SECONDS, **fields: Any) -> Json:
        """Return the next message of this type and with these fields, skipping others."""
        return await self.find(
            lambda m: m["type"] == kind and all(m.get(k) == v for k, v in fields.items()),
            f"{kind} {fields}",
            seconds,
        )

    async def find(
        self, fits: Callable[[Json], bool], what: str, seconds: float = PATIENCE_SECONDS
    ) -> Json:
        """Return the next message that fits."""
        until = time.monotonic() + seconds
        while True:
            while self.mark < len(self.heard):
                self.mark += 1
                if fits(self.heard[self.mark - 1]):
                    return self.heard[self.mark - 1]
            self.news.clear()
            ended = self.reader is None or self.reader.done()
            if ended or time.monotonic() >= until:
                heard = [m["type"] for m in self.heard]
                raise AssertionError(f"no {what}; heard {heard}; last {self.heard[-1:]}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait(), until - time.monotonic())

    async def quiet(self, kind: str, seconds: float, **fields: Any) -> None:
        """Assert that no such message comes for so long."""
        try:
            message = await self.expect(kind, seconds, **fields)
        except AssertionError:
            assert self.reader is not None, "nobody reads"
            assert not self.reader.done(), "it is closed, and that is why nothing came"
            return
        raise AssertionError(f"heard {message}")

    async def closed(self, seconds: float = PATIENCE_SECONDS) -> int | None:
        """Wait until the server closed this socket and return the code."""
        await asyncio.wait_for(self.line.wait_closed(), seconds)
        if self.reader is not None:
            await self.reader
        return self.line.close_code

    async def close(self) -> None:
        """Close properly."""
        await self.line.close()
        if self.reader is not None:
            await self.reader

    async def cut(self) -> None:
        """Lose the connection without a word."""
        self.line.transport.abort()
        if self.reader is not None:
            await self.reader


def at(server: Live, person: Visitor) -> Visitor:
    """The same person, at another server."""
    again = server.visitor(person.token)
    again.profile = person.profile
    return again


def settings_for(database: Database, **changes: Any) -> Settings:
    """Return settings for a server on a test's database and any free port."""
    base = Settings(secret=SECRET, authenticator_url=database.authenticator_url, port=0)
    return msgspec.structs.replace(base, **changes)


class Uvicorn(PoliteServer):
    """Our server inside a test's own event loop: pytest keeps the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals alone."""
        yield


@contextlib.asynccontextmanager
async def serving(
    settings: Settings, database: Database, pages: Pages | None = None
) -> AsyncGenerator[Live]:
    """Serve on a free port until the block ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    # As `livewall serve` does with port 0, so that the server can send things to itself.
    settings = msgspec.structs.replace(settings, port=listening.getsockname()[1])
    app = create_app(settings, pages)
    config = configure(app, settings)
    server = Uvicorn(config, app)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
        assert not task.done(), task
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"

    async def end() -> None:
        server.should_exit = True
        await task

    live = Live(url, app, settings, database, end=end)
    try:
        yield live
    finally:
        await live.close()
        await live.end()
        listening.close()


@contextlib.asynccontextmanager
async def two_servers(settings: Settings, database: Database) -> AsyncGenerator[Live]:
    """Serve twice on one database, each knowing of the other; people are on both in turn."""
    async with serving(settings, database) as one, serving(settings, database) as other:
        one.beside = other
        await meet(one, other)
        yield one


async def meet(*servers: Live, others: int = 1) -> None:
    """Wait until each of these servers knows of so many others."""

    async def have_met() -> bool:
        return all(len(server.app.server.cluster.others) == others for server in servers)

    await until(have_met, PATIENCE_SECONDS, f"{others} other servers are known")


def jpeg(width: int = 320, height: int = 180) -> bytes:
    """A small picture."""
    written = io.BytesIO()
    Image.new("RGB", (width, height), (200, 120, 40)).save(written, "JPEG")
    return written.getvalue()


def forged(header: Json, claims: Json) -> str:
    """A token without a signature."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in (header, claims)
    ]
    return b".".join([*parts, b""]).decode()


def environment_for(database: Database, port: int) -> dict[str, str]:
    """Return the environment of a server in a process of its own."""
    return {
        **os.environ,
        "LIVEWALL_SECRET": SECRET,
        "LIVEWALL_AUTHENTICATOR_URL": database.authenticator_url,
        "LIVEWALL_PORT": str(port),
    }


@contextlib.asynccontextmanager
async def started_process(
    environment: dict[str, str],
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A server as a process of its own, once it answers."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE_ALONE, env=environment, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    try:
        await _answers(f"http://127.0.0.1:{environment['LIVEWALL_PORT']}")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def metric(name: str, **labels: str) -> float:
    """Return the value of a metric of this process, 0 before it was first set."""
    return REGISTRY.get_sample_value(name, labels) or 0


async def _answers(url: str) -> None:
    async with httpx.AsyncClient(base_url=url) as http:

        async def is_up() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return (await http.get("/healthz")).status_code == 200
            return False

        await until(is_up, START_SECONDS, "the server answers")
