"""P1 to P6: what the settings say, and what answers at the addresses in them."""

import asyncio
import hmac
import ssl
import time

import httpx

from livewall.administrator import first_line
from livewall.errors import Refusal
from livewall.preflight.checks import Result, Site, check, failed, not_proven, passed
from livewall.preflight.relay import Answer, ask_relays
from livewall.settings import SECRET_BYTES, SECRET_CHARACTERS

HSTS = "strict-transport-security"
TRUST = (
    "Browsers refuse it as well, unless its authority is one that they know. If it is one of your "
    "own, name its certificate to this command: SSL_CERT_FILE=/path/to/ca.pem livewall preflight"
)
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
    """Reads which provider takes the money, and whether its keys are of its test mode. Whether
    Stripe takes them is not asked.
    """
    chosen = at.settings.payments
    if chosen == "sandbox":
        return failed("the sandbox sells coins for nothing", payments=chosen)
    keys = (at.settings.stripe_secret_key, at.settings.stripe_publishable_key)
    if chosen == "stripe" and any("_test_" in key for key in keys):
        return failed("Stripe's keys are of its test mode", payments=chosen)
    if chosen == "none":
        return passed("nothing can be bought here", payments=chosen)
    return passed("Stripe is to take the money, with keys that say live", payments=chosen)


@check(
    "P4",
    title="Video takes a way that fits strangers",
    why="Browser to browser shows people's addresses to each other. Through a relay that does not "
    "answer, or does not take our passwords, there is no video at all.",
    fix="Set LIVEWALL_TURN_URL, LIVEWALL_TURN_SECRET and LIVEWALL_TURN_RELAY_ONLY=1; see The relay "
    "in docs/production.md.",
)
async def media_plane(at: Site) -> Result:
    """Reads whether video goes through a relay only, or whether the operator accepts in so many
    words that addresses are seen; and asks each relay for a place to relay by, as a browser does,
    by UDP, TCP or TLS, with a password as people get it, and gives it back.
    """
    if not at.settings.turn_relay_only:
        if at.settings.accept_peer_addresses:
            return passed("addresses are seen, which LIVEWALL_ACCEPT_PEER_ADDRESSES accepts")
        return failed("people see each other's addresses, and nobody accepted that")
    try:
        answers = await ask_relays(at.settings)
    except ImportError:
        return not_proven(
            "what asks a relay is not installed here",
            'Install it (pip install "livewall[demo]"), or see that people at home get video.',
            relays=at.settings.turn_url,
        )
    return _judge_relays(answers)


def _judge_relays(answers: list[Answer]) -> Result:
    """Say what is wrong with the worst of them."""
    facts = {"relays": {answer.url: answer.verdict for answer in answers}}
    said = {
        verdict: ", ".join(f"{a.url} ({a.said})" for a in answers if a.verdict == verdict)
        for verdict in ("refuses", "untrusted", "silent")
    }
    if said["refuses"]:
        return failed(
            f"refuses the passwords that people get: {said['refuses']}",
            "LIVEWALL_TURN_SECRET has to be its static-auth-secret, or LIVEWALL_TURN_USERNAME and "
            "LIVEWALL_TURN_CREDENTIAL one of its users; and the clocks of both have to agree.",
            **facts,
        )
    if said["untrusted"]:
        return not_proven(
            f"the certificate is not trusted here: {said['untrusted']}",
            TRUST,
            **facts,
        )
    if said["silent"]:
        return not_proven(
            f"no place to relay by from here: {said['silent']}",
            "Open its port, or run this where the relay can be reached.",
            **facts,
        )
    urls = ", ".join(answer.url for answer in answers)
    return passed(f"through a relay only, and it relays with our passwords: {urls}", **facts)


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
        untrusted = _untrusted(error)
        if untrusted:
            return not_proven(
                f"the certificate of {url} is not trusted here: {untrusted}", TRUST, url=url
            )
        return not_proven(
            f"{url} did not answer here: {type(error).__name__}: {first_line(error)}",
            "Start the server and its proxy, or run this where that address can be reached.",
            url=url,
        )
    if HSTS not in headers:
        return failed(f"{url} answers without {HSTS}: is it this server?", url=url)
    return passed(f"{url} answers with {HSTS}; cookies are Secure and of this host", url=url)


def _untrusted(error: BaseException | None) -> str:
    """Return why a certificate is not trusted, empty if that is not what went wrong."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return ""


@check(
    "P6",
    title="Reports about payments are believed only with a signature",
    why="Whoever can forge one gives themselves coins.",
    fix="Set LIVEWALL_STRIPE_WEBHOOK_SECRET to the signing secret of the endpoint in Stripe's "
    "dashboard.",
)
async def signed_webhooks(at: Site) -> Result:
    """Hands a forged report to the code that reads Stripe's, here and not over the network: with
    no signature, a wrong one and an old one it has to be refused. Whether the secret is the one
    of your endpoint, only a report of Stripe's shows: `livewall webhooks list`.
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
