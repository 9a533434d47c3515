"""Every setting in one typed place, read from the environment.

A setting `name` is the variable LIVEWALL_NAME, but for DATABASE_URL, whose name everybody knows.
The descriptions are what `livewall config` and docs/configuration.md show.
"""

import hmac
import os
import re
import secrets
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Meta

from livewall.addresses import is_loopback, parse_network
from livewall.postgres_folder import prepare_folder, write_secret

PREFIX = "LIVEWALL_"
SECRET_BYTES = 32
STRIPE_KEYS = {
    "stripe_secret_key": ("sk_", "rk_"),
    "stripe_publishable_key": ("pk_",),
    "stripe_webhook_secret": ("whsec_",),
}
# Random bytes have more in any notation; a repeated character or word has fewer.
SECRET_CHARACTERS = 10
# A proxy is a machine or a private network. Wider than these is everybody.
WIDEST_PROXIES = {4: 8, 6: 7}
PEERS_SEE_ADDRESSES = "viewers and streamers see each other's addresses"


class SettingsError(Exception):
    """A setting cannot be used; the message is one line that names it and says what it takes."""


def _secret(description: str, production: str = "") -> Meta:
    return Meta(description=description, extra={"secret": True, "production": production})


def _about(
    description: str, ge: int | None = None, le: int | None = None, production: str = ""
) -> Meta:
    return Meta(description=description, ge=ge, le=le, extra={"production": production})


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the operator decides. Empty text means: not set."""

    env: Annotated[
        Literal["development", "production"],
        _about("production refuses what is only safe on your own machine"),
    ] = "development"
    data_dir: Annotated[str, _about("folder of the embedded database and generated secrets")] = (
        "./.livewall"
    )
    database_url: Annotated[
        str, _secret("administrator's address of a PostgreSQL >= 15; empty: the embedded one")
    ] = ""
    authenticator_url: Annotated[
        str, _secret("address for role authenticator; empty: derived from DATABASE_URL")
    ] = ""
    direct_url: Annotated[
        str,
        _secret("role authenticator past a pooler, which AUTHENTICATOR_URL then names"),
    ] = ""
    replication_url: Annotated[
        str,
        _secret("role that may replicate, for `backup --physical`; empty: that of DATABASE_URL"),
    ] = ""
    db_port: Annotated[
        int, _about("TCP port of the embedded database on 127.0.0.1; 0: none", ge=0, le=65535)
    ] = 0
    db_start_timeout: Annotated[
        int, _about("seconds to wait for the embedded database to recover", ge=1)
    ] = 300
    host: Annotated[str, _about("address to listen on")] = "127.0.0.1"
    port: Annotated[int, _about("port to listen on; 0: any free one", ge=0, le=65535)] = 8400
    public_url: Annotated[
        str,
        _about(
            "address people use, such as https://live.example; empty: host and port",
            production="https, but for a loopback address",
        ),
    ] = ""
    open: Annotated[bool, _about("`livewall up` opens the address in a browser")] = True
    demo: Annotated[
        bool, _about("`livewall up` starts demo streamers", production="never, whatever it says")
    ] = True
    secret: Annotated[
        str,
        _secret(
            "signs tokens, at least 32 bytes; made and kept by itself in development",
            production="needed, and of random bytes",
        ),
    ] = ""
    jwks_url: Annotated[
        str,
        _about("keys of another issuer of tokens", production="https, but for a loopback address"),
    ] = ""
    jwt_audience: Annotated[str, _about("audience that tokens must have")] = "authenticated"
    jwt_issuer: Annotated[str, _about("issuer that tokens of JWKS_URL must have")] = ""
    log: Annotated[Literal["text", "json"], _about("form of the log lines")] = "text"
    seats: Annotated[
        int, _about("viewers who get video from one streamer at a time", ge=1, le=100)
    ] = 6
    turn_url: Annotated[str, _about("TURN server, such as turns:turn.example:5349")] = ""
    turn_username: Annotated[str, _about("user name at the TURN server")] = ""
    turn_credential: Annotated[str, _secret("password at the TURN server")] = ""
    turn_secret: Annotated[
        str, _secret("secret shared with the TURN server (coturn's use-auth-secret), preferred")
    ] = ""
    turn_relay_only: Annotated[
        bool,
        _about(
            "send video through the TURN server only",
            production="1, or the sentence of the next one",
        ),
    ] = False
    accept_peer_addresses: Annotated[
        Literal["", "viewers and streamers see each other's addresses"],
        _about("production without relay-only TURN takes this sentence as a yes"),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        _about(
            "addresses or networks whose X-Forwarded-For is believed, by comma",
            production="no network that is everybody",
        ),
    ] = ()
    country_header: Annotated[
        str, _about("header in which those proxies name the country, such as CF-IPCountry")
    ] = ""
    payments: Annotated[
        Literal["sandbox", "stripe", "none"],
        _about("who takes the money", production="not sandbox; none unless it is set"),
    ] = "sandbox"
    stripe_secret_key: Annotated[str, _secret("Stripe's secret or restricted key, sk_ or rk_")] = ""
    stripe_publishable_key: Annotated[str, _about("Stripe's publishable key, pk_")] = ""
    stripe_webhook_secret: Annotated[
        str, _secret("signing secret of the webhook endpoint in Stripe's dashboard, whsec_")
    ] = ""
    stripe_api_base: Annotated[
        str, _about("another address of Stripe's API, for tests", production="https")
    ] = ""
    drain_seconds: Annotated[
        int,
        _about("seconds between 503 at /readyz and the end, for a balancer that asks", ge=0, le=30),
    ] = 0
    sockets_per_account: Annotated[int, _about("open sockets of one account", ge=1)] = 8
    sockets_per_address: Annotated[int, _about("open sockets from one address", ge=1)] = 64

    def __repr__(self) -> str:
        """Name no secret: this text ends in logs and error reports."""
        return f"Settings(env={self.env!r}, url={self.url!r})"

    @property
    def production(self) -> bool:
        """Whether strangers may reach this server."""
        return self.env == "production"

    @property
    def data_path(self) -> Path:
        """The data folder, absolute."""
        return Path(self.data_dir).expanduser().absolute()

    @property
    def demo_tokens(self) -> Path:
        """The file in which the demo streamers keep who they are."""
        return self.data_path / "demo.json"

    @property
    def url(self) -> str:
        """The address people use, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url.rstrip("/") or f"http://{host}:{self.port}"

    @property
    def local_url(self) -> str:
        """The address from this machine, past any proxy that `public_url` names."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def web_database_url(self) -> str:
        """The address for role `authenticator`: given, or derived from the administrator's."""
        if self.authenticator_url:
            return self.authenticator_url
        parts = urlsplit(self.database_url)
        place = parts.netloc.rpartition("@")[2]
        return urlunsplit(
            parts._replace(netloc=f"authenticator:{self.derive('authenticator')}@{place}")
        )

    @property
    def metrics_token(self) -> str:
        """The bearer token that opens /metrics in production."""
        return self.derive("metrics")

    def derive(self, purpose: str) -> str:
        """Return a secret for one purpose, in hex, that tells nothing about `secret` itself."""
        return hmac.digest(self.secret.encode(), purpose.encode(), "sha256").hex()


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return "DATABASE_URL" if name == "database_url" else f"{PREFIX}{name.upper()}"


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings, and the kept secret in development.

    Raises SettingsError for an unknown variable, a bad value or an unsafe production, and
    EmbeddedError if the data folder cannot be written.
    """
    settings = read(os.environ if environ is None else environ)
    if settings.production:
        _refuse_unsafe(settings)
    if settings.secret:
        return settings
    return msgspec.structs.replace(settings, secret=_kept_secret(settings.data_path))


def read(environ: Mapping[str, str]) -> Settings:
    """Read the settings and touch nothing. Raises SettingsError."""
    kinds = hints()
    known = {variable(name): name for name in kinds}
    _refuse_unknown(environ, known)
    values = {
        name: _value(key, environ[key], kinds[name])
        for key, name in known.items()
        if key in environ
    }
    settings = _with_payments(Settings(**values), values)
    if settings.secret and len(settings.secret.encode()) < SECRET_BYTES:
        raise SettingsError(f"LIVEWALL_SECRET is too short: give it {SECRET_BYTES} bytes or more.")
    if settings.direct_url and not settings.authenticator_url:
        raise SettingsError(
            "LIVEWALL_DIRECT_URL leads past a pooler: give the pooler's address in "
            "LIVEWALL_AUTHENTICATOR_URL."
        )
    if settings.turn_relay_only and not settings.turn_url:
        raise SettingsError("LIVEWALL_TURN_RELAY_ONLY needs LIVEWALL_TURN_URL.")
    if settings.turn_url and not (
        settings.turn_secret or (settings.turn_username and settings.turn_credential)
    ):
        # Browsers refuse a TURN server without a name and a password.
        raise SettingsError(
            "LIVEWALL_TURN_URL needs LIVEWALL_TURN_SECRET, or _TURN_USERNAME and _TURN_CREDENTIAL."
        )
    return settings


def _with_payments(settings: Settings, given: Mapping[str, Any]) -> Settings:
    """Check who takes the money; nobody does in production unless asked to."""
    if settings.production and settings.payments == "sandbox":
        if "payments" in given:
            raise SettingsError(
                "LIVEWALL_PAYMENTS=sandbox sells coins for nothing, so production refuses it: "
                "use stripe or none."
            )
        return msgspec.structs.replace(settings, payments="none")
    if settings.payments == "stripe":
        _check_stripe(settings)
    return settings


def _check_stripe(settings: Settings) -> None:
    for name, prefixes in STRIPE_KEYS.items():
        if not getattr(settings, name).startswith(prefixes):
            raise SettingsError(
                f"LIVEWALL_PAYMENTS=stripe needs {variable(name)}, which begins with "
                f"{' or '.join(prefixes)}."
            )
    if settings.production and settings.stripe_api_base.startswith("http://"):
        raise SettingsError("LIVEWALL_STRIPE_API_BASE must be https in production.")


def hints() -> dict[str, Any]:
    """Return every setting with its type and what is known of it, in the order declared."""
    return get_type_hints(Settings, include_extras=True)


def _refuse_unknown(environ: Mapping[str, str], known: Mapping[str, str]) -> None:
    for key in environ:
        if key.startswith(PREFIX) and key not in known:
            names = [name.removeprefix(PREFIX) for name in known]  # the prefix resembles itself
            close = get_close_matches(key.removeprefix(PREFIX), names, 1)
            hint = f"did you mean {PREFIX}{close[0]}?" if close else "`livewall config` lists all."
            raise SettingsError(f"{key} is not a setting: {hint}")


def _value(key: str, text: str, kind: Any) -> Any:
    if re.search(r"\s#", text):
        # A shell strips it; systemd and others do not, and a secret would silently be another one.
        raise SettingsError(
            f"{key} holds a comment, which whoever read the file took for a part of it: put "
            "comments on lines of their own."
        )
    if get_args(kind)[0] == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        return msgspec.convert(text.strip(), kind, strict=False)
    except msgspec.ValidationError as error:
        shown = "" if is_secret(kind) else f" {text!r}"
        raise SettingsError(f"{key}{shown} does not fit: {_expectation(kind, error)}.") from None


def _expectation(kind: Any, error: msgspec.ValidationError) -> str:
    base = get_args(kind)[0]
    choices = [choice for choice in get_args(base) if choice]
    if choices:
        return "use " + " or ".join(f'"{choice}"' for choice in choices)
    if base is bool:
        return "use 1 or 0"
    bound = re.search(r"[<>]= \d+", str(error))
    return f"use a whole number {bound[0]}" if bound else "use a whole number"


def is_secret(kind: Any) -> bool:
    """Whether a setting of this kind is masked wherever it is shown."""
    meta: Meta = get_args(kind)[1]
    return bool((meta.extra or {}).get("secret"))


def _refuse_unsafe(settings: Settings) -> None:
    if not settings.secret:
        raise SettingsError("LIVEWALL_SECRET is needed in production: 32 random bytes or more.")
    if len(set(settings.secret)) < SECRET_CHARACTERS:
        raise SettingsError(
            "LIVEWALL_SECRET is easy to guess: make one with `openssl rand -hex 32`."
        )
    _refuse_plain("LIVEWALL_PUBLIC_URL", settings.public_url)
    _refuse_plain("LIVEWALL_JWKS_URL", settings.jwks_url)
    for proxy in settings.trusted_proxies:
        _refuse_wide(proxy)
    if not settings.turn_relay_only and not settings.accept_peer_addresses:
        raise SettingsError(
            "Without LIVEWALL_TURN_RELAY_ONLY=1 people see each other's addresses: set it, or "
            f'accept that with LIVEWALL_ACCEPT_PEER_ADDRESSES="{PEERS_SEE_ADDRESSES}".'
        )


def _refuse_plain(name: str, url: str) -> None:
    """Without TLS whoever carries the bytes reads cookies, or replaces the keys of an issuer."""
    parts = urlsplit(url)
    if url and parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise SettingsError(f"{name} {url!r} must begin with https:// in production.")


def proxy_network(proxy: str) -> IPv4Network | IPv6Network:
    """Return a trusted proxy as a network. Raises SettingsError."""
    network = parse_network(proxy)
    if network is None:
        raise SettingsError(
            f"LIVEWALL_TRUSTED_PROXIES {proxy!r} does not fit: use addresses or networks."
        )
    return network


def _refuse_wide(proxy: str) -> None:
    network = proxy_network(proxy)
    if network.prefixlen < WIDEST_PROXIES[network.version]:
        raise SettingsError(
            f"LIVEWALL_TRUSTED_PROXIES {proxy!r} lets strangers choose their address: "
            "name the proxy."
        )


def _kept_secret(folder: Path) -> str:
    path = folder / "secret"
    if not path.exists():
        prepare_folder(folder)
        write_secret(path, secrets.token_urlsafe(48))
    return path.read_text().strip()
