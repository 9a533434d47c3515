"""The other end of the line: a server that hears requests and says what a test tells it to say."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
ENOUGH = 10.0


@dataclass(frozen=True)
class Heard:
    """One request: headers by lower-case name, the body byte for byte."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Remote:
    """Answers each request with the next of `answers`, then for ever with the last one.

    An idempotency key gets its first answer again, whatever that was, as at Stripe. Status 0: it
    hangs up instead.
    """

    url: str = ""
    heard: list[Heard] = field(default_factory=list[Heard])
    answers: list[tuple[int, Json]] = field(default_factory=lambda: [(200, {})])
    saved: dict[str, tuple[int, Json]] = field(default_factory=dict[str, tuple[int, Json]])
    pause: float = 0.0
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    lines: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def __post_init__(self) -> None:
        """Answer at once, until a test clears `answering` to hold its answers back."""
        self.answering.set()

    def say(self, *answers: tuple[int, Json]) -> None:
        """Set what is answered from now on."""
        self.answers = list(answers)

    async def until(self, fits: Callable[[list[Heard]], bool], what: str) -> list[Heard]:
        """Wait until what was heard fits and return it."""
        deadline = time.monotonic() + ENOUGH
        while not fits(self.heard):
            self.news.clear()
            left = deadline - time.monotonic()
            assert left > 0, f"no {what}; heard {[h.body[:200] for h in self.heard]}"
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait(), left)
        return self.heard

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side closes it."""
        line = asyncio.create_task(self._serve(reader, writer))
        self.lines.add(line)
        line.add_done_callback(self.lines.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        pairs = (line.split(":", 1) for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.heard.append(Heard(method, path, headers, body))
        self.news.set()
        await asyncio.sleep(self.pause)
        await self.answering.wait()
        status, said = self._answer(headers.get("idempotency-key"))
        if status == 0:
            raise ConnectionError
        text = json.dumps(said).encode()
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\nrequest-id: req_1\r\n"
            b"content-length: %d\r\n\r\n%s" % (status, len(text), text)
        )
        await writer.drain()

    def _answer(self, key: str | None) -> tuple[int, Json]:
        if key in self.saved:
            return self.saved[key]
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if key and answer[0]:
            self.saved[key] = answer
        return answer


@contextlib.asynccontextmanager
async def remote() -> AsyncGenerator[Remote]:
    """Listen on a free port until the block ends."""
    there = Remote()
    server = await asyncio.start_server(there.connected, "127.0.0.1", 0)
    there.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield there
    finally:
        server.close()
        for line in list(there.lines):
            line.cancel()
        await asyncio.gather(*there.lines, return_exceptions=True)
