"""Clients who break off, dawdle or never read, as bytes on a line; and names that are not ours."""

import asyncio
import contextlib
import os
import struct
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from livewall import connections, web
from livewall.pages import Pages
from tests.databases import Database
from tests.server.world import Live, Visitor, jpeg, serving, settings_for

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]
UPGRADE = (
    "GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Authorization: Bearer {token}\r\n\r\n"
)


@contextlib.asynccontextmanager
async def _line(live: Live) -> AsyncGenerator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(live.url).port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def open_socket(live: Live, visitor: Visitor) -> AsyncGenerator[Line]:
    async with _line(live) as (reader, writer):
        host = live.url.removeprefix("http://")
        writer.write(UPGRADE.format(host=host, token=visitor.token).encode())
        await reader.readuntil(b"\r\n\r\n")
        hello = f'{{"type":"hello","protocol":1,"session_id":"{uuid4()}"}}'.encode()
        writer.write(_frame(0x81, hello))
        await reader.read(100)
        yield reader, writer


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
    return bytes([first]) + length + bytes(4) + payload


def _memory() -> int:
    with open(f"/proc/{os.getpid()}/statm") as statm:  # noqa: PTH123 - a pseudo file
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _ended(reader: asyncio.StreamReader, seconds: float = 5) -> bool:
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(seconds):
            while await reader.read(65_536):
                pass
    return True


@pytest.mark.abuse("T6")
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nx",
    ],
)
async def test_a_request_that_is_never_finished_is_cut_off(
    live: Live, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.5)
    async with _line(live) as (reader, writer):
        writer.write(text)
        drips = asyncio.create_task(_drip(writer))
        assert await _ended(reader)
        drips.cancel()
    # What is whole is not in a hurry: a socket and a kept connection outlive the header's time.
    tab = await (await live.guest()).tab()
    http = live.visitor().http
    await http.get("/healthz")
    await asyncio.sleep(0.8)
    assert (await tab.ask(type="open_chat", stream_id=None))["type"] == "ok"
    assert (await http.get("/healthz")).status_code == 200


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(0.1)
        writer.write(b"x")


@pytest.mark.abuse("T6")
async def test_a_body_that_never_ends_is_answered(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "BODY_SECONDS", 0.3)
    async with _line(live) as (reader, writer):
        writer.write(
            b"POST /api/session/guest HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
        answer = await asyncio.wait_for(reader.read(65_536), 5)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"too_slow"' in answer


@pytest.mark.abuse("A19")
async def test_a_header_without_end_is_cut_off(live: Live) -> None:
    async with _line(live) as (_reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"x" * 10_000)
        sent, until = 0, time.monotonic() + 5
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < until:
                writer.write(b"x" * 10_000)
                await writer.drain()
                sent += 10_000
                await asyncio.sleep(0.01)
    assert 50_000 < sent < 1_000_000


async def test_what_follows_the_body_is_no_header(live: Live) -> None:
    vera = await live.account("vera")
    async with _line(live) as (reader, writer):
        writer.write(
            b"POST /api/session/guest HTTP/1.1\r\nHost: localhost\r\n"
            b"Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
            b"0\r\nAuthorization: Bearer " + vera.token.encode() + b"\r\n"
            b"X-Request-Id: smuggled\r\n\r\n"
        )
        answer = await asyncio.wait_for(reader.read(65_536), 5)
    assert b"smuggled" not in answer


@pytest.mark.abuse("A19")
async def test_pings_of_somebody_who_never_reads_fill_no_memory(live: Live) -> None:
    async with open_socket(live, await live.guest()) as (_reader, writer):
        # What the kernel and this reader take until they are full is small; then nobody reads.
        before, sent, pings = _memory(), 0, _frame(0x89, b"x" * 125) * 500
        until = time.monotonic() + 10
        with contextlib.suppress(ConnectionError, TimeoutError):
            while sent < 40 * 2**20 and time.monotonic() < until:
                writer.write(pings)
                await asyncio.wait_for(writer.drain(), 2)
                sent += len(pings)
        assert sent < 4 * 2**20, "it was let go on"
        assert _memory() - before < 16 * 2**20
    assert (await live.visitor().http.get("/healthz")).status_code == 200


async def test_a_few_pings_are_answered(live: Live) -> None:
    async with open_socket(live, await live.guest()) as (reader, writer):
        for _ in range(5):
            writer.write(_frame(0x89, b"hello there"))
        heard = b""
        async with asyncio.timeout(5):
            while heard.count(b"\x8a\x0bhello there") < 5:
                heard += await reader.read(65_536)


@pytest.mark.abuse("T6")
async def test_a_message_in_endless_empty_pieces_is_cut_off(live: Live) -> None:
    async with open_socket(live, await live.guest()) as (reader, writer):
        writer.write(_frame(0x01, b"{"))
        writer.write(_frame(0x00, b"") * 1_000)
        assert await _ended(reader)


@pytest.mark.abuse("T5")
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("evil.example:8400", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost:8400", 200),
        ("127.0.0.1", 200),
        ("[::1]:8400", 200),
        ("192.0.2.7:8400", 200),
        ("my.box", 200),
    ],
)
async def test_without_an_address_of_its_own_a_server_takes_no_strangers_name(
    database: Database, host: str, status: int
) -> None:
    async with serving(settings_for(database, host="my.box"), database) as live:
        headers = {"Host": host}
        for path in ("/api/streams", "/metrics"):
            answer = await live.visitor().http.get(path, headers=headers)
            assert answer.status_code == status
        if status == 421:
            assert answer.json()["code"] == "foreign_host"
            guest = await live.guest()
            async with _line(live) as (reader, writer):
                writer.write(UPGRADE.format(host=host, token=guest.token).encode())
                heard = b""
                while b'"foreign_host"' not in heard:
                    heard += await asyncio.wait_for(reader.read(65_536), 5)


@pytest.mark.abuse("T5")
async def test_with_an_address_of_its_own_the_origin_decides(database: Database) -> None:
    settings = settings_for(database, public_url="https://live.example")
    async with serving(settings, database) as live:
        answer = await live.visitor().http.get("/api/streams", headers={"Host": "live.example"})
        assert answer.status_code == 200


async def test_a_path_too_long_for_a_file_is_a_page_or_nothing(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "assets").mkdir()
    async with serving(settings_for(database), database, Pages(tmp_path)) as live:
        http = live.visitor().http
        assert (await http.get("/" + "a" * 3_000)).status_code == 503, "as any path, not built"
        assert (await http.get("/assets/" + "a" * 3_000 + ".js")).status_code == 404


@pytest.mark.abuse("T6")
async def test_a_picture_that_claims_to_be_huge_is_refused(live: Live) -> None:
    ada = await live.guest("ada")
    _, stream_id = await ada.go_live()
    picture = bytearray(jpeg())
    at = picture.find(b"\xff\xc0") + 5
    for width, height in ((65_000, 65_000), (12_000, 10_000), (0, 0)):
        picture[at : at + 4] = struct.pack(">HH", height, width)
        answer = await ada.http.put(
            f"/api/streams/{stream_id}/preview",
            content=bytes(picture),
            headers={"Content-Type": "image/jpeg"},
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "preview_refused")
