"""Tokens: ours are HS256, signed with LIVEWALL_SECRET; another issuer's are checked by its JWKS.

A token only says who somebody is and for how long. Its role may only ever be `authenticated`: a
token that claims more is refused, whoever signed it.
"""

import asyncio
import base64
import hashlib
import hmac
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OctKey

from livewall.errors import Refusal

ISSUER = "livewall"
OUR_ALGORITHMS = ["HS256"]
THEIR_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
LEEWAY = 30.0
LONGEST = 8_192
CACHE_SIZE = 20_000
KEYS_LIFETIME = 3_600.0
KEYS_FLOOR = 30.0
log = structlog.get_logger()


class Claims(msgspec.Struct, frozen=True):
    """The claims we read, each of the type the standard gives it."""

    sub: UUID
    iss: str
    aud: str | list[str]
    exp: float
    role: Literal["authenticated"]
    iat: float | None = None
    nbf: float | None = None
    session_id: UUID | None = None
    name: str | None = None

    @property
    def is_ours(self) -> bool:
        """Whether we opened the session this token names."""
        return self.iss == ISSUER


class _Header(msgspec.Struct):
    alg: str
    kid: str | None = None


@dataclass(frozen=True)
class Rules:
    """What a token must satisfy. `secret` signs ours; the rest describes another issuer."""

    secret: str
    audience: str = "authenticated"
    issuer: str = ""
    jwks_url: str = ""


def sign(
    rules: Rules, profile_id: UUID, session_id: UUID, expires_at: float, *, now: float | None = None
) -> str:
    """Return a token of ours; times are seconds since 1970."""
    issued = time.time() if now is None else now
    claims: dict[str, object] = {
        "iss": ISSUER,
        "aud": rules.audience,
        "sub": str(profile_id),
        "session_id": str(session_id),
        "role": "authenticated",
        "iat": int(issued),
        "exp": int(expires_at),
    }
    return jwt.encode({"alg": "HS256"}, claims, _secret_key(rules), algorithms=OUR_ALGORITHMS)


def csrf_token(rules: Rules, session_id: UUID) -> str:
    """Return the value that proves a request comes from a page that could read our cookie."""
    digest = hmac.new(rules.secret.encode(), b"csrf " + session_id.bytes, hashlib.sha256)
    return digest.hexdigest()


def _secret_key(rules: Rules) -> OctKey:
    return OctKey.import_key(rules.secret)


class Verifier:
    """Checks tokens; remembers those it found good until they expire, in bounded memory."""

    def __init__(self, rules: Rules, clock: Callable[[], float] = time.time) -> None:
        self._rules = rules
        self._clock = clock
        self._key = _secret_key(rules)
        self._good: OrderedDict[str, Claims] = OrderedDict()
        self._issuer_keys = IssuerKeys(rules.jwks_url)

    async def verify(self, token: str) -> Claims:
        """Return the claims of a good token. Raises Refusal `invalid_token`, never says why."""
        claims = self._good.get(token)
        if claims is None:
            claims = await self._check(token)
            self._remember(token, claims)
        if claims.exp + LEEWAY < self._clock():
            self._good.pop(token, None)
            raise Refusal("invalid_token", "This token has expired.")
        return claims

    def _remember(self, token: str, claims: Claims) -> None:
        self._good[token] = claims
        if len(self._good) > CACHE_SIZE:
            self._good.popitem(last=False)

    async def _check(self, token: str) -> Claims:
        if len(token) > LONGEST:
            raise Refusal("invalid_token")
        try:
            claims = msgspec.convert(await self._decode(token), Claims)
        except (JoseError, msgspec.ValidationError, ValueError, TypeError) as error:
            raise Refusal("invalid_token") from error
        self._check_claims(claims)
        return claims

    async def _decode(self, token: str) -> dict[str, object]:
        header = _header(token)
        if header.alg in OUR_ALGORITHMS:
            return jwt.decode(token, self._key, algorithms=OUR_ALGORITHMS).claims
        if header.alg not in THEIR_ALGORITHMS or not self._rules.jwks_url:
            raise Refusal("invalid_token")
        keys = await self._issuer_keys.having(header.kid)
        claims = jwt.decode(token, keys, algorithms=THEIR_ALGORITHMS).claims
        # Only our own signature may speak in our own name.
        if claims.get("iss") == ISSUER:
            raise Refusal("invalid_token")
        return claims

    def _check_claims(self, claims: Claims) -> None:
        now = self._clock()
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        issuers = {ISSUER, self._rules.issuer} - {""}
        sound = (
            self._rules.audience in audiences
            and claims.iss in issuers
            and (claims.nbf is None or claims.nbf <= now + LEEWAY)
            and (claims.iat is None or claims.iat <= now + LEEWAY)
            and not (claims.is_ours and claims.session_id is None)
        )
        if not sound:
            raise Refusal("invalid_token")


def _header(token: str) -> _Header:
    part = token.split(".", 1)[0]
    decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    return msgspec.json.decode(decoded, type=_Header)


class IssuerKeys:
    """The issuer's public keys, fetched when first needed and again for a key id we do not know.

    Between two fetches pass at least KEYS_FLOOR seconds, so invented key ids cost the issuer
    nothing.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched_at = -KEYS_LIFETIME
        self._fetching = asyncio.Lock()

    async def having(self, kid: str | None) -> KeySet:
        """Return the keys, fresh enough to hold `kid` if the issuer has it."""
        async with self._fetching:
            age = self._clock() - self._fetched_at
            if age > KEYS_LIFETIME or (age > KEYS_FLOOR and not self._knows(kid)):
                self._fetched_at = self._clock()
                await self._fetch()
        if self._keys is None:
            raise Refusal("invalid_token", "The issuer's keys can not be had at the moment.")
        return self._keys

    def _knows(self, kid: str | None) -> bool:
        return self._keys is not None and any(key.kid == kid for key in self._keys)

    async def _fetch(self) -> None:
        try:
            body = await asyncio.to_thread(_download, self._url)
            self._keys = KeySet.import_key_set(msgspec.json.decode(body))
        except (OSError, ValueError, JoseError, msgspec.DecodeError) as error:
            log.warning("issuer_keys_not_fetched", error=type(error).__name__)


def _download(url: str) -> bytes:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError("LIVEWALL_JWKS_URL must be http or https")
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - scheme checked above
        return response.read(256 * 1024)
