"""What stands in front of every HTTP request: id, identity, forgery check, size limit, headers."""

import asyncio
import dataclasses
import functools
import re
import time
from typing import cast
from uuid import uuid4

import msgspec
import structlog
from litestar.datastructures import Cookie
from litestar.types import (
    ASGIApp,
    HTTPReceiveMessage,
    HTTPScope,
    Message,
    Method,
    Receive,
    Send,
    WebSocketReceiveMessage,
)

from livewall import metrics, tokens
from livewall.callers import SESSION_SECONDS, Session, Visit, read_headers
from livewall.db import ANYBODY
from livewall.errors import Refusal
from livewall.routing import PROBLEM_JSON, cookie, refusal_headers
from livewall.server import Server

LARGEST_BODY = 64 * 1024
# A provider's event lists everything it knows about a payment.
LARGEST_EVENT = 256 * 1024
BODY_SECONDS = 20.0
API_PATHS = ("/api/", "/docs", "/healthz", "/readyz", "/metrics", "/webhooks/")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# What visitors meet by visiting: not signed in, mistyped, taken already, refused by a form.
ORDINARY = frozenset({401, 404, 409, 422})
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Scripts, frames and calls, as Stripe's guide to security asks for them.
STRIPE_SOURCES = (
    " https://js.stripe.com https://*.js.stripe.com",
    " https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com",
    " https://api.stripe.com",
)
HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
log = structlog.get_logger()

FIXED_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", b"camera=(self), microphone=(self), autoplay=(self), geolocation=()"),
]


@functools.lru_cache(maxsize=64)
def content_policy(host: str, payments: str = "none") -> bytes:
    """Return the Content-Security-Policy: everything from here, nothing inline.

    Safari does not take `self` for sockets, so our own host is named for them. Stripe allows its
    card form only with its own script, from its own address.
    """
    sockets = f" ws://{host} wss://{host}" if HOST.fullmatch(host) else ""
    scripts, frames, calls = STRIPE_SOURCES if payments == "stripe" else ("", " 'none'", "")
    return (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        f"object-src 'none'; script-src 'self'{scripts}; frame-src{frames}; style-src 'self'; "
        "img-src 'self' blob: data:; media-src 'self' blob:; "
        f"connect-src 'self'{sockets}{calls}"
    ).encode()


class Front:
    """Hands requests to the API or to the pages of the web client."""

    def __init__(self, server: Server, api: ASGIApp, pages: ASGIApp) -> None:
        self._server = server
        self._api = api
        self._pages = pages

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever happens, it is answered, counted and logged."""
        headers = read_headers(scope["headers"])
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        reply = _Reply(self._server, send, request_id, headers.get("host", ""))
        # Every request is a task of its own, and what is bound ends with it.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        try:
            await self._serve(scope, receive, reply, headers)
        except Refusal as refusal:
            await reply.refuse(refusal)
        except Exception:
            log.exception("front_broke")
            await reply.refuse(Refusal("internal"))
        finally:
            self._note(scope, reply.status, time.perf_counter() - started)

    async def _serve(
        self, scope: HTTPScope, receive: Receive, reply: "_Reply", headers: dict[str, str]
    ) -> None:
        scope["state"] = {**scope["state"], "request_id": reply.request_id}
        self._server.callers.check_host(headers)
        if not scope["path"].startswith(API_PATHS):
            await self._pages(scope, receive, reply)
            return
        peer = (scope["client"] or ("", 0))[0]
        visit = Visit(ANYBODY, peer)
        if scope["path"].startswith("/api/"):
            callers = self._server.callers
            visit = await callers.identify(headers, peer)
            callers.check_forgery(scope["method"], headers, visit)
            reply.renewed = visit.renewed
            visit = dataclasses.replace(visit, country_code=callers.country(headers, peer))
        scope["state"]["visit"] = visit
        if scope["method"] == "OPTIONS":
            # Pages elsewhere may not call us, so there is nothing to negotiate: 405, with Allow.
            scope = {**scope, "method": cast("Method", "NONE")}
        limit = LARGEST_EVENT if scope["path"].startswith("/webhooks/") else LARGEST_BODY
        await self._api(scope, _limited(receive, headers, limit), reply)

    def _note(self, scope: HTTPScope, status: int, seconds: float) -> None:
        # Any token is a method in HTTP; each label value is kept for ever.
        method = scope["method"] if scope["method"] in METHODS else "other"
        metrics.REQUESTS.labels(method, str(status)).observe(seconds)
        note = log.debug if status < 400 or status in ORDINARY else log.info
        note("request", method=method, status=status, ms=round(seconds * 1000, 1))


class _Reply:
    """Sends what the inner app says, with our headers added."""

    def __init__(self, server: Server, send: Send, request_id: str, host: str) -> None:
        self._server = server
        self._send = send
        self._host = host
        self.request_id = request_id
        self.renewed: Session | None = None
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", []), *self._headers()]
        await self._send(message)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = [
            *FIXED_HEADERS,
            (
                b"content-security-policy",
                content_policy(self._host, self._server.settings.payments),
            ),
            (b"x-request-id", self.request_id.encode()),
        ]
        if self._server.ending.is_set():
            # The next request goes to another server, not into a connection about to close.
            headers.append((b"connection", b"close"))
        if self._server.callers.secure:
            headers.append((b"strict-transport-security", b"max-age=31536000"))
        if self.renewed is not None:
            cookies = session_cookies(self._server, self.renewed)
            headers += [(b"set-cookie", c.to_header(header="").strip().encode()) for c in cookies]
        return headers

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with a problem, unless an answer has begun."""
        if self.status:
            return
        extra = refusal_headers(refusal).items()
        await self(
            {
                "type": "http.response.start",
                "status": refusal.entry.status,
                "headers": [
                    (b"content-type", PROBLEM_JSON.encode()),
                    *((name.lower().encode(), value.encode()) for name, value in extra),
                ],
            }
        )
        body = msgspec.json.encode(refusal.problem(self.request_id))
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def _limited(receive: Receive, headers: dict[str, str], limit: int) -> Receive:
    """Refuse a body over the limit, announced or not, and one that never ends. Raises Refusal."""
    announced = headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    taken, complete = 0, False
    until = asyncio.get_running_loop().time() + BODY_SECONDS

    async def limited() -> "HTTPReceiveMessage | WebSocketReceiveMessage":
        nonlocal taken, complete
        if complete:
            return await receive()  # what comes now is the end of the connection
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError as error:
            raise Refusal("too_slow", f"A body may take {BODY_SECONDS:.0f} seconds.") from error
        if message["type"] == "http.request":
            complete = not message["more_body"]
            taken += len(message["body"])
            if taken > limit:
                raise _too_large(limit)
        return message

    return limited


def _too_large(limit: int) -> Refusal:
    return Refusal("too_large", f"A body has up to {limit} bytes.")


def session_cookies(server: Server, session: Session) -> list[Cookie]:
    """Return the cookies that carry a session and its CSRF value."""
    callers = server.callers
    token = session.token(callers.rules)
    csrf = tokens.csrf_token(callers.rules, session.session_id)
    return [
        cookie(callers.cookie, token, SESSION_SECONDS, secure=callers.secure, hidden=True),
        cookie("livewall_csrf", csrf, SESSION_SECONDS, secure=callers.secure, hidden=False),
    ]
