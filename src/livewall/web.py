"""What stands in front of every HTTP request: id, identity, forgery check, size limit, headers."""

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
API_PATHS = ("/api/", "/docs", "/healthz", "/readyz", "/metrics")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# What visitors meet by visiting: not signed in, mistyped, taken already, refused by a form.
ORDINARY = frozenset({401, 404, 409, 422})
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
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


def content_policy(host: str) -> bytes:
    """Return the Content-Security-Policy: everything from here, nothing inline.

    Safari does not take `self` for sockets, so our own host is named for them.
    """
    sockets = f" ws://{host} wss://{host}" if HOST.fullmatch(host) else ""
    return (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        f"media-src 'self' blob:; connect-src 'self'{sockets}"
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
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        try:
            await self._serve(scope, receive, reply, headers)
        except Refusal as refusal:
            await reply.refuse(refusal)
        finally:
            self._note(scope, reply.status, time.perf_counter() - started)
            structlog.contextvars.unbind_contextvars("request_id")

    async def _serve(
        self, scope: HTTPScope, receive: Receive, reply: "_Reply", headers: dict[str, str]
    ) -> None:
        scope["state"] = {**scope["state"], "request_id": reply.request_id}
        if not scope["path"].startswith(API_PATHS):
            await self._pages(scope, receive, reply)
            return
        peer = (scope["client"] or ("", 0))[0]
        visit = Visit(ANYBODY, peer)
        if scope["path"].startswith("/api/"):
            visit = await self._server.callers.identify(headers, peer)
            self._server.callers.check_forgery(scope["method"], headers, visit)
            reply.renewed = visit.renewed
        scope["state"]["visit"] = visit
        if scope["method"] == "OPTIONS":
            # Pages elsewhere may not call us, so there is nothing to negotiate: 405, with Allow.
            scope = {**scope, "method": cast("Method", "NONE")}
        await self._api(scope, _limited(receive, headers), reply)

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
            (b"content-security-policy", content_policy(self._host)),
            (b"x-request-id", self.request_id.encode()),
        ]
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


def _limited(receive: Receive, headers: dict[str, str]) -> Receive:
    """Refuse a body over the limit, announced or not. Raises Refusal `too_large`."""
    announced = headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > LARGEST_BODY:
        raise _too_large()
    taken = 0

    async def limited() -> HTTPReceiveMessage | WebSocketReceiveMessage:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message["body"])
            if taken > LARGEST_BODY:
                raise _too_large()
        return message

    return limited


def _too_large() -> Refusal:
    return Refusal("too_large", f"A body has up to {LARGEST_BODY} bytes.")


def session_cookies(server: Server, session: Session) -> list[Cookie]:
    """Return the cookies that carry a session and its CSRF value."""
    callers = server.callers
    token = sign_session(server, session)
    csrf = tokens.csrf_token(callers.rules, session.session_id)
    return [
        cookie(callers.cookie, token, SESSION_SECONDS, secure=callers.secure, hidden=True),
        cookie("livewall_csrf", csrf, SESSION_SECONDS, secure=callers.secure, hidden=False),
    ]


def sign_session(server: Server, session: Session) -> str:
    """Return the token of a session."""
    return tokens.sign(
        server.callers.rules,
        session.account.profile.id,
        session.session_id,
        session.expires_at.timestamp(),
    )
