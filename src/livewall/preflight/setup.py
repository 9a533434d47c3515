"""P1 to P6: what the settings say, and what answers at the addresses in them."""

import asyncio
import hmac
import secrets
import time
from urllib.parse import urlsplit

import httpx

from livewall.errors import Refusal
from livewall.preflight.checks import Result, Site, check, failed, not_proven, passed
from livewall.settings import SECRET_BYTES, SECRET_CHARACTERS

HSTS = "strict-transport-security"
REACH_SECONDS = 3.0
# A STUN binding request (RFC 8489): type 1, no attributes, the magic cookie. TURN servers answer.
STUN = b"\x00\x01\x00\x00\x21\x12\xa4\x42"
FORGED = b'{"id": "evt_preflight", "type": "preflight"}'


@check(
    "P1",
    title="Runs in production mode",
    why="Development trusts whoever is on the machine, answers to any of them, and makes its own "
    "secrets.",
    fix="Set LIVEWALL_ENV=production and follow docs/production.md.",
)
async def production_mode(at: Site) -> Result:
    """Reads LIVEWALL_ENV as it is set where this command runs: give it the server's settings."""
    if at.settings.production:
        return passed("LIVEWALL_ENV is production")
    return failed(f"LIVEWALL_ENV is {at.settings.env}")


@check(
    "P2",
    title="The secret can not be guessed",
    why="Whoever has it signs tokens as anybody, staff included.",
    fix="LIVEWALL_SECRET=$(openssl rand -hex 32); a new one signs everybody out.",
)
async def secret(at: Site) -> Result:
    """Counts the bytes of LIVEWALL_SECRET and how many of its characters differ."""
    size, different = len(at.settings.secret.encode()), len(set(at.settings.secret))
    facts = {"bytes": size, "different": different}
    if size < SECRET_BYTES or different < SECRET_CHARACTERS:
        return failed(f"{size} bytes, {different} different characters", **facts)
    return passed(f"{size} bytes, {different} different characters", **facts)


@check(
    "P3",
    title="Nobody gets coins for nothing",
    why="The sandbox, and Stripe's test mode, credit coins that nobody paid for.",
    fix="LIVEWALL_PAYMENTS=stripe with live keys (sk_live_ or rk_live_, pk_live_), or none.",
)
async def payments_are_real(at: Site) -> Result:
    """Reads which provider takes the money, and whether its keys are of its test mode."""
    chosen = at.settings.payments
    if chosen == "sandbox":
        return failed("the sandbox sells coins for nothing", payments=chosen)
    keys = (at.settings.stripe_secret_key, at.settings.stripe_publishable_key)
    if chosen == "stripe" and any("_test_" in key for key in keys):
        return failed("Stripe's keys are of its test mode", payments=chosen)
    if chosen == "none":
        return passed("nothing can be bought here", payments=chosen)
    return passed("Stripe takes the money, with live keys", payments=chosen)


@check(
    "P4",
    title="Video takes a way that fits strangers",
    why="Browser to browser shows people's addresses to each other. Through a relay that does not "
    "answer there is no video at all.",
    fix="Set LIVEWALL_TURN_URL, LIVEWALL_TURN_SECRET and LIVEWALL_TURN_RELAY_ONLY=1; see The relay "
    "in docs/production.md.",
)
async def media_plane(at: Site) -> Result:
    """Reads whether video goes through a relay only, or whether the operator accepts in so many
    words that addresses are seen; and asks each relay for an answer, by UDP or TCP.
    """
    if not at.settings.turn_relay_only:
        if at.settings.accept_peer_addresses:
            return passed("addresses are seen, which LIVEWALL_ACCEPT_PEER_ADDRESSES accepts")
        return failed("people see each other's addresses, and nobody accepted that")
    urls = [url.strip() for url in at.settings.turn_url.split(",") if url.strip()]
    silent = [url for url in urls if not await _answers(url)]
    facts = {"relays": urls, "silent": silent}
    if silent:
        return not_proven(
            f"no answer from here of {', '.join(silent)}",
            "Open its port, or run this where the relay can be reached.",
            **facts,
        )
    return passed(f"through a relay only, and it answers: {', '.join(urls)}", **facts)


async def _answers(url: str) -> bool:
    """Ask a TURN server for a sign of life: a STUN answer by UDP, or a TCP connection."""
    scheme, _, rest = url.partition(":")
    place = urlsplit(f"//{rest}")
    port = place.port or (5349 if scheme == "turns" else 3478)
    host = place.hostname or ""
    try:
        async with asyncio.timeout(REACH_SECONDS):
            if scheme == "turns" or "transport=tcp" in place.query:
                _, writer = await asyncio.open_connection(host, port)
                writer.close()
                return True
            return await _answers_stun(host, port)
    except (OSError, TimeoutError):
        return False


class _Waiting(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answered = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.answered.done() and data[4:8] == STUN[4:8]:
            self.answered.set_result(True)

    def error_received(self, exc: Exception) -> None:
        if not self.answered.done():
            self.answered.set_result(False)


async def _answers_stun(host: str, port: int) -> bool:
    loop = asyncio.get_running_loop()
    transport, waiting = await loop.create_datagram_endpoint(_Waiting, remote_addr=(host, port))
    try:
        transport.sendto(STUN + secrets.token_bytes(12))
        return await waiting.answered
    finally:
        transport.close()


@check(
    "P5",
    title="People come by https, and cookies only go that way",
    why="Without TLS whoever carries the bytes reads the cookie and is signed in as its owner; and "
    "browsers give no camera to a page that came without.",
    fix="Set LIVEWALL_PUBLIC_URL=https://..., with a proxy that ends TLS in front; see TLS in "
    "docs/production.md.",
)
async def https_and_cookies(at: Site) -> Result:
    """Reads the public address and the flags that cookies get, then fetches /healthz there and
    looks for Strict-Transport-Security, which the server sends where its cookies are Secure.
    """
    url = at.settings.url
    if not url.startswith("https://"):
        return failed(f"people use {url}", url=url)
    if not at.settings.production:
        return failed("cookies are Secure in production mode only", url=url)
    try:
        headers = await at.fetch(f"{url}/healthz")
    except httpx.HTTPError as error:
        return not_proven(
            f"{url} did not answer here: {type(error).__name__}",
            "Start the server and its proxy, or run this where that address can be reached.",
            url=url,
        )
    if HSTS not in headers:
        return failed(f"{url} answers without {HSTS}: is it this server?", url=url)
    return passed(f"{url} answers with {HSTS}; cookies are Secure and of this host", url=url)


@check(
    "P6",
    title="Reports about payments are believed only with a signature",
    why="Whoever can forge one gives themselves coins.",
    fix="Set LIVEWALL_STRIPE_WEBHOOK_SECRET to the signing secret of the endpoint in Stripe's "
    "dashboard.",
)
async def signed_webhooks(at: Site) -> Result:
    """Hands a forged report to the code that reads Stripe's, here and not over the network: with
    no signature, a wrong one and an old one it has to be refused.
    """
    if at.settings.payments != "stripe":
        return passed("no outside provider reports payments", payments=at.settings.payments)
    if not at.settings.stripe_webhook_secret:
        return failed("there is no signing secret")
    believed = await asyncio.to_thread(_believed_forgeries, at)
    if believed:
        return failed(f"believed: {', '.join(believed)}", believed=believed)
    return passed("refused without a signature, with a wrong one and with an old one")


def _believed_forgeries(at: Site) -> list[str]:
    """Return which forged reports the provider's code takes for genuine, and a genuine one that it
    does not.
    """
    from livewall.payments.stripe import Stripe  # noqa: PLC0415 - its SDK takes half a second

    now, own = int(time.time()), at.settings.stripe_webhook_secret
    provider = Stripe(at.settings)

    def is_believed(headers: dict[str, str]) -> bool:
        try:
            provider.read_event(headers, FORGED)
        except Refusal:
            return False
        return True

    forged = {
        "no signature": {},
        "a wrong signature": _signed("whsec_another", now),
        "an old signature": _signed(own, now - 86_400),
    }
    wrong = [name for name, headers in forged.items() if is_believed(headers)]
    return wrong if is_believed(_signed(own, now)) else [*wrong, "(and a genuine one refused)"]


def _signed(secret: str, at: int) -> dict[str, str]:
    """Sign the report as Stripe does."""
    mac = hmac.digest(secret.encode(), b"%d.%s" % (at, FORGED), "sha256").hex()
    return {"stripe-signature": f"t={at},v1={mac}"}
