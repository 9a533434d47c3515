"""What answers at the addresses in the settings: a real coturn, and a page behind real TLS."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from livewall.preflight.checks import Site
from livewall.preflight.run import Outcome
from tests.certificates import self_signed
from tests.preflight.conftest import Stage
from tests.processes import free_port
from tests.waiting import until

SECRET = "shared with the relay"
# As docs/production.md sets it up, on this machine only.
COTURN = (
    *("turnserver", "-n", "--no-cli", "--fingerprint", "--log-file=stdout", "--simple-log"),
    *("--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=live.example"),
    *("--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--no-dtls"),
)
HEALTHY = b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Place:
    """Ports of 127.0.0.1, and the certificate of what answers by TLS."""

    plain: int
    tls: int
    certificate: Path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that nobody knows, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    folder.chmod(0o755)  # coturn may give up being root
    return self_signed(folder)


@pytest.fixture
def relay(certificate: tuple[Path, Path], tmp_path: Path) -> Generator[Place]:
    """A coturn, running."""
    place = Place(free_port(), free_port(), certificate[0])
    ports = (f"--listening-port={place.plain}", f"--tls-listening-port={place.tls}")
    files = (f"--cert={certificate[0]}", f"--pkey={certificate[1]}", f"--pidfile={tmp_path}/pid")
    database = f"--db={tmp_path / 'turn.db'}"
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen([*COTURN, *ports, *files, database], stdout=log, stderr=log)
        try:
            yield place
        finally:
            server.kill()
            server.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest_asyncio.fixture
async def running(relay: Place) -> Place:
    """The same, once it answers."""
    await until(lambda: _listens(relay.tls), 20, "coturn listens")
    return relay


async def _media(stage: Stage, url: str, secret: str = SECRET) -> Outcome:
    settings = msgspec.structs.replace(
        stage.site.settings, turn_relay_only=True, turn_url=url, turn_secret=secret
    )
    stage.site = replace(stage.site, settings=settings)
    return (await stage.seen("P4"))["P4"]


async def test_a_relay_relays_with_the_passwords_that_people_get(
    stage: Stage, running: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    udp = f"turn:127.0.0.1:{running.plain}"
    found = await _media(stage, f"{udp}, {udp}?transport=tcp")
    assert (found.status, found.facts["relays"]) == (
        "pass",
        {udp: "relays", f"{udp}?transport=tcp": "relays"},
    )
    refused = await _media(stage, f"turn:127.0.0.1:1, {udp}", "another secret")
    assert (refused.status, "401" in refused.evidence) == ("fail", True)
    assert "LIVEWALL_TURN_SECRET" in refused.next
    tls = f"turns:127.0.0.1:{running.tls}"
    unknown = await _media(stage, tls)
    assert (unknown.status, unknown.facts["relays"]) == ("not_proven", {tls: "untrusted"})
    assert "SSL_CERT_FILE=" in unknown.next
    monkeypatch.setenv("SSL_CERT_FILE", str(running.certificate))
    assert (await _media(stage, tls)).status == "pass"


@asynccontextmanager
async def _page(certificate: tuple[Path, Path]) -> AsyncGenerator[str]:
    """A page that answers as Livewall's does, behind TLS; yields its address."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEALTHY)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_certificate_that_nobody_knows_is_named(
    stage: Stage, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _page(certificate) as url:
        settings = msgspec.structs.replace(stage.site.settings, public_url=url)
        stage.site = replace(stage.site, settings=settings, fetch=Site.fetch)
        found = (await stage.seen("P5"))["P5"]
        assert (found.status, "self-signed certificate" in found.evidence) == ("not_proven", True)
        assert "SSL_CERT_FILE=" in found.next
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        assert (await stage.seen("P5"))["P5"].status == "pass"
