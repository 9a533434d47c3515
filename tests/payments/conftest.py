"""Stripe without Stripe: our provider, a server that says what it is told, and localstripe."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import msgspec
import pytest
import pytest_asyncio

from livewall.payments.stripe import Stripe
from livewall.settings import Settings
from tests.payments.remote import Remote, remote
from tests.processes import free_port

WEBHOOK_SECRET = "whsec_of_the_tests_and_nobody_else"
SECRET_KEY = "sk_test_of_the_tests_and_nobody_else"


def stripe_at(base: str) -> dict[str, str]:
    """What settings say to ask Stripe at this address."""
    return {
        "payments": "stripe",
        "stripe_secret_key": SECRET_KEY,
        "stripe_publishable_key": "pk_test_1",
        "stripe_webhook_secret": WEBHOOK_SECRET,
        "stripe_api_base": base,
    }


def stripe_settings(base: str = "http://127.0.0.1:9") -> Settings:
    """Settings that ask Stripe at this address."""
    return msgspec.convert(stripe_at(base), Settings)


@pytest_asyncio.fixture
async def there() -> AsyncGenerator[Remote]:
    """A server that answers what a test tells it to."""
    async with remote() as running:
        yield running


@pytest_asyncio.fixture
async def stripe() -> AsyncGenerator[Stripe]:
    """Our provider; nobody answers its calls."""
    provider = Stripe(stripe_settings())
    yield provider
    await provider.close()


@pytest_asyncio.fixture
async def stubbed(there: Remote) -> AsyncGenerator[Stripe]:
    """Our provider, with the test playing Stripe."""
    provider = Stripe(stripe_settings(there.url))
    yield provider
    await provider.close()


@pytest_asyncio.fixture
async def localstripe(tmp_path: Path) -> AsyncGenerator[str]:
    """A localstripe of this test's own; its address."""
    port = free_port()
    command = (sys.executable, "-m", "localstripe", "--from-scratch", "--port", str(port))
    with (tmp_path / "localstripe.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        await _answers(url)
        yield url
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def stripes_script(localstripe: str, shop: str) -> AsyncGenerator[httpx.AsyncClient]:
    """What Stripe's script asks in a buyer's browser; what comes of it is reported to the shop."""
    auth = ("sk_test_browser", "")
    async with httpx.AsyncClient(base_url=localstripe, auth=auth, trust_env=False) as http:
        hook = {"url": f"{shop}/webhooks/stripe", "secret": WEBHOOK_SECRET}
        assert (await http.post("/_config/webhooks/ours", json=hook)).is_success
        yield http


async def _answers(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        for _ in range(200):
            with contextlib.suppress(httpx.TransportError):
                await http.get(url)
                return
            await asyncio.sleep(0.05)
    pytest.fail("localstripe does not start")
