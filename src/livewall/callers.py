"""From the headers of a request to the person who sent it: cookie or bearer token, never a body."""

import asyncio
import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from http.cookies import CookieError, SimpleCookie
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from livewall import addresses, tokens
from livewall.db import ANYBODY, SERVICE, Caller, Database
from livewall.errors import Refusal
from livewall.settings import Settings, proxy_network
from livewall.shapes import Account
from livewall.tokens import Claims, Verifier

# How long a session lives without being used, and how often we ask whether it still does.
SESSION_SECONDS = 30 * 24 * 3600
RECHECK_SECONDS = 300.0
REMEMBERED = 50_000
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
COUNTRY = re.compile(r"[A-Z]{2}")
# What Cloudflare says for an address that it can not place.
NO_COUNTRY = "XX"
Headers = Iterable[tuple[bytes, bytes]]


class Session(msgspec.Struct, frozen=True):
    """A session as the database answers it."""

    session_id: UUID
    expires_at: datetime
    account: Account

    def token(self, rules: tokens.Rules) -> str:
        """Return the token that proves this session."""
        expires_at = self.expires_at.timestamp()
        return tokens.sign(rules, self.account.profile.id, self.session_id, expires_at)


@dataclass(frozen=True)
class Visit:
    """One request or socket: who, by what proof, from where, and a cookie to renew, if any."""

    caller: Caller
    address: str
    proof: Literal["none", "cookie", "bearer"] = "none"
    expires_at: float = 0.0
    renewed: Session | None = None
    country_code: str | None = None

    @property
    def ip_address(self) -> str | None:
        """The address as PostgreSQL takes it, without a zone; None if it is none at all."""
        parsed = addresses.parse(self.address)
        return None if parsed is None else str(parsed)

    @property
    def subscriber(self) -> str:
        """What is counted where addresses are: no IPv6 subscriber has only one of them."""
        return addresses.subscriber(self.address)


class Callers:
    """Identifies callers; remembers for some minutes which sessions are still open."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self.rules = tokens.Rules(
            settings.secret, settings.jwt_audience, settings.jwt_issuer, settings.jwks_url
        )
        self._verifier = Verifier(self.rules)
        self._checked: OrderedDict[UUID, tuple[UUID, float]] = OrderedDict()
        self._asking: dict[UUID, asyncio.Future[Session | None]] = {}
        self._forgotten = 0
        self._proxies = [proxy_network(proxy) for proxy in settings.trusted_proxies]
        self._country_header = settings.country_header.lower()
        self._origin = _origin(settings.public_url)
        self._host = settings.host.lower()
        self.secure = settings.production and not settings.public_url.startswith("http://")
        self.cookie = "__Host-livewall_session" if self.secure else "livewall_session"

    def address(self, headers: dict[str, str], peer: str) -> str:
        """Return the client's address; X-Forwarded-For counts only from a proxy of ours.

        Raises Refusal if our proxy names something else than an address: whatever it passes on
        is chosen by the client, who would get a new allowance with every request.
        """
        hops = [hop.strip() for hop in headers.get("x-forwarded-for", "").split(",")]
        address = peer
        for hop in reversed([hop for hop in hops if hop]):
            if not self._is_proxy(address):
                break
            parsed = addresses.read_hop(hop)
            if parsed is None:
                raise Refusal("invalid_message", "X-Forwarded-For must name addresses.")
            address = str(parsed)
        return address

    def country(self, headers: dict[str, str], peer: str) -> str | None:
        """Return the country (ISO, 2 letters) in the header that the operator named.

        It counts only from a proxy of ours: anybody else could claim any country.
        """
        if not self._country_header or not self._is_proxy(peer):
            return None
        country = headers.get(self._country_header, "").strip().upper()
        return country if COUNTRY.fullmatch(country) and country != NO_COUNTRY else None

    def _is_proxy(self, address: str) -> bool:
        parsed = addresses.parse(address)
        return parsed is not None and any(parsed in network for network in self._proxies)

    async def identify(self, headers: dict[str, str], peer: str) -> Visit:
        """Return who calls. Raises Refusal for a bad bearer token, or a banned person.

        A cookie that does not hold any more makes a visitor, not an error: the page still opens.
        """
        address = self.address(headers, peer)
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme:
            if scheme.lower() != "bearer":
                raise Refusal("invalid_token", "Only bearer tokens are taken.")
            caller, claims, _ = await self._check(bearer.strip())
            return Visit(caller, address, "bearer", claims.exp)
        token = read_cookies(headers).get(self.cookie)
        if not token:
            return Visit(ANYBODY, address)
        try:
            caller, claims, renewed = await self._check(token)
        except Refusal as refusal:
            if refusal.entry.status != 401:
                raise
            return Visit(ANYBODY, address)
        if not claims.is_ours:
            # Only tokens with a session of ours have the CSRF value that cookies need.
            return Visit(ANYBODY, address)
        return Visit(caller, address, "cookie", claims.exp, renewed)

    async def _check(self, token: str) -> tuple[Caller, Claims, Session | None]:
        claims = await self._verifier.verify(token)
        key = claims.session_id or claims.sub
        session = None
        until = self._checked.get(key, (claims.sub, 0.0))[1]
        if until < time.monotonic():
            session = await self._recheck_once(key, claims)
        half_used = claims.exp - time.time() < SESSION_SECONDS / 2
        caller = Caller("authenticated", claims.sub, claims.session_id)
        return caller, claims, session if half_used else None

    async def _recheck_once(self, key: UUID, claims: Claims) -> Session | None:
        """Ask for a session once, however many of its requests wait for the answer."""
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.ensure_future(self._recheck_and_remember(key, claims))
            self._asking[key] = asking
        return await asyncio.shield(asking)

    async def _recheck_and_remember(self, key: UUID, claims: Claims) -> Session | None:
        """Ask and remember in one step, so that no request falls in between and asks again."""
        forgotten = self._forgotten
        try:
            session = await self._recheck(claims)
        finally:
            self._asking.pop(key, None)
        if forgotten != self._forgotten:
            return session  # somebody signed out meanwhile: this answer may be from before
        self._checked[key] = (claims.sub, time.monotonic() + RECHECK_SECONDS)
        self._checked.move_to_end(key)
        if len(self._checked) > REMEMBERED:
            self._checked.popitem(last=False)
        return session

    async def _recheck(self, claims: Claims) -> Session | None:
        """Ask the database whether the session is open, or the outside person welcome."""
        if not claims.is_ours:
            await self._database.call(
                SERVICE, "ensure_profile", Account, p_profile_id=claims.sub, p_name=claims.name
            )
            return None
        return await self._database.call(
            SERVICE,
            "renew_session",
            Session,
            p_session_id=claims.session_id,
            p_lifetime=f"{SESSION_SECONDS} seconds",
        )

    def forget_session(self, session_id: UUID) -> None:
        """Ask again at its next use."""
        self._forgotten += 1
        self._checked.pop(session_id, None)

    def forget_all(self) -> None:
        """Ask again at the next use of any session."""
        self._forgotten += 1
        self._checked.clear()

    def forget_profile(self, profile_id: UUID) -> None:
        """Ask again at the next use of any session of this person."""
        self._forgotten += 1
        for key in [key for key, (owner, _) in self._checked.items() if owner == profile_id]:
            del self._checked[key]

    def check_host(self, headers: dict[str, str]) -> None:
        """Refuse a name that is not ours, unless our address is set. Raises Refusal.

        Without an address of our own the Origin is compared with the Host, and a stranger's name
        can be made to lead to this machine. A page can not be served under an address in digits
        but from that address, so those are no danger.
        """
        host = (urlsplit(f"//{headers.get('host', '')}").hostname or "").rstrip(".")
        is_ours = not host or host == self._host or addresses.is_loopback(host)
        if not self._origin and not is_ours and addresses.parse(host) is None:
            raise Refusal("foreign_host", "", f"Set LIVEWALL_PUBLIC_URL to serve {host[:100]}.")

    def check_origin(self, headers: dict[str, str]) -> None:
        """Refuse a page of somebody else. Raises Refusal `foreign_origin`."""
        origin = headers.get("origin")
        if origin is None or origin == self._origin:
            return
        host = headers.get("host", "")
        if self._origin or urlsplit(origin).netloc != host or not host:
            raise Refusal("foreign_origin")

    def check_forgery(self, method: str, headers: dict[str, str], visit: Visit) -> None:
        """Refuse what a foreign page could have made a browser send.

        Raises Refusal `foreign_origin` or `csrf`.
        """
        if method in SAFE_METHODS:
            return
        if visit.proof != "bearer":
            self.check_origin(headers)
        if visit.proof != "cookie" or visit.caller.session_id is None:
            return
        if "origin" not in headers:
            raise Refusal("foreign_origin", "A request with a cookie must carry its Origin.")
        expected = tokens.csrf_token(self.rules, visit.caller.session_id)
        if not hmac.compare_digest(headers.get("x-csrf-token", "").encode(), expected.encode()):
            raise Refusal("csrf")


def read_cookies(headers: dict[str, str]) -> dict[str, str]:
    """Return the cookies of a request; none, if the header is broken."""
    try:
        return {k: v.value for k, v in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def read_headers(raw: Headers) -> dict[str, str]:
    """Return the headers by lower-case name; repeated ones joined as HTTP says."""
    joined: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        separator = "; " if key == "cookie" else ", "
        joined[key] = f"{joined[key]}{separator}{text}" if key in joined else text
    return joined


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
