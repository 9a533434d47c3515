"""What every HTTP route uses: who asks, the parts of the server, and documented refusals."""

from typing import Annotated, cast

import msgspec
import structlog
from litestar import Litestar, Request, Response
from litestar.datastructures import Cookie, State
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from litestar.routes import HTTPRoute

from livewall.callers import Visit
from livewall.db import Caller
from livewall.errors import CATALOGUE, Problem, Refusal
from livewall.server import Server

PROBLEM_JSON = "application/problem+json"
# What any call may answer: malformed, bad token, forged, too slow or too fast, database away.
ALWAYS = (
    "invalid_message",
    "invalid_token",
    "csrf",
    "too_slow",
    "foreign_host",
    "rate_limited",
    "internal",
    "database_away",
)
BY_STATUS = {
    400: "invalid_message",
    401: "not_signed_in",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}
# What routes ask for, by these names (see app.py).
TheServer = NamedDependency[Server]
TheVisit = NamedDependency[Visit]
Anybody = NamedDependency[Caller]
SignedInCaller = NamedDependency[Caller]
AnyRequest = Request[object, object, State]
# How lists are read in pages.
LARGEST_ID = 2**63 - 1
BeforeId = Annotated[int | None, QueryParameter(ge=1, le=LARGEST_ID)]
PageSize = Annotated[int, QueryParameter(ge=1, le=100)]


class StrictRequest(Request[object, object, State]):
    """A request whose JSON body is taken as it is: `"1"` is no number, `1` is no text."""

    async def json(self) -> object:
        """Decode the body as the type that its route declares for `data`. Raises Refusal."""
        declared = self.scope["route_handler"].parsed_fn_signature.parameters.get("data")
        expected: object = declared.annotation if declared else object
        try:
            return msgspec.json.decode(await self.body(), type=expected)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Refusal("invalid_message", f"{error}.") from error


log = structlog.get_logger()


def bodies_of(api: Litestar) -> list[type]:
    """Return the types that routes take as their JSON body."""
    handlers = [handler for route in api.routes for handler in _handlers(route)]
    parameters = [handler.parsed_fn_signature.parameters.get("data") for handler in handlers]
    return [cast("type", field.annotation) for field in parameters if field is not None]


def _handlers(route: object) -> list[HTTPRouteHandler]:
    return list(route.route_handlers) if isinstance(route, HTTPRoute) else []


def visit_of(request: AnyRequest) -> Visit:
    """Return who sent this request."""
    return cast("Visit", request.scope["state"]["visit"])  # pyright: ignore[reportTypedDictNotRequiredAccess, reportIndexIssue]


# The others ask for the server, so Litestar provides it first and them afterwards. What it can
# provide at once it does, in a task of its own for each, which costs more than most routes do.


def provide_server(request: AnyRequest) -> Server:
    """Give a route the parts of the server."""
    return cast("Server", request.app.state["server"])


def provide_visit(request: AnyRequest, server: TheServer) -> Visit:
    """Give a route the whole visit: address, proof and caller."""
    return visit_of(request)


def provide_caller(request: AnyRequest, server: TheServer) -> Caller:
    """Give a route its caller, perhaps nobody."""
    return visit_of(request).caller


def provide_person(request: AnyRequest, server: TheServer) -> Caller:
    """Give a route a signed-in caller. Raises Refusal `not_signed_in`."""
    caller = visit_of(request).caller
    if caller.profile_id is None:
        raise Refusal("not_signed_in")
    return caller


def problems(*codes: str) -> dict[int, ResponseSpec]:
    """Return the refusals of a route for its documentation, by status."""
    texts: dict[int, list[str]] = {}
    for code in (*ALWAYS, *codes):
        texts.setdefault(CATALOGUE[code].status, []).append(code)
    return {
        status: ResponseSpec(
            data_container=Problem,
            generate_examples=False,
            description=", ".join(names),
            media_type=PROBLEM_JSON,
        )
        for status, names in texts.items()
    }


def problem_response(refusal: Refusal, request_id: str) -> Response[bytes]:
    """Return a refusal as HTTP says it."""
    return Response(
        content=msgspec.json.encode(refusal.problem(request_id)),
        status_code=refusal.entry.status,
        media_type=PROBLEM_JSON,
        headers=refusal_headers(refusal),
    )


def refusal_headers(refusal: Refusal) -> dict[str, str]:
    """Return the headers that go with a refusal."""
    headers = {"Cache-Control": "no-store"}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.entry.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def answer_refusal(request: AnyRequest, refusal: Refusal) -> Response[bytes]:
    """Answer what a route refused."""
    return problem_response(refusal, request_id_of(request))


def answer_http(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Answer what the framework refused: paths, methods, bodies that do not fit."""
    code = BY_STATUS.get(error.status_code, "internal")
    if error.status_code < 500 and code == "internal":
        code = "invalid_message"
    refusal = Refusal(code, _explain(error) if code == "invalid_message" else "")
    response = problem_response(refusal, request_id_of(request))
    if error.headers and "allow" in error.headers:
        allowed = error.headers["allow"].split(", ")
        response.headers["Allow"] = ", ".join(m for m in sorted(allowed) if m != "OPTIONS")
    return response


def answer_bug(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer an error nobody foresaw: a code, an id to ask about, no inner details."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, Refusal):
        return answer_refusal(request, cause)
    log.error("request_broke", exc_info=error)
    return problem_response(Refusal("internal"), request_id_of(request))


def request_id_of(request: AnyRequest) -> str:
    """Return the id that logs and problems of this request carry."""
    return cast("str", request.scope["state"].get("request_id", ""))  # pyright: ignore[reportTypedDictNotRequiredAccess, reportIndexIssue, reportAttributeAccessIssue]


def _explain(error: HTTPException) -> str:
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        for item in cast("list[dict[str, object]]", error.extra):
            key, message = item.get("key"), item.get("message")
            return f"{key}: {message}." if key else f"{message}."
    return ""


def cookie(name: str, value: str, seconds: int, *, secure: bool, hidden: bool) -> Cookie:
    """Return a cookie for the whole site; zero seconds removes it, `hidden` from scripts."""
    return Cookie(
        key=name,
        value=value,
        path="/",
        max_age=seconds,
        samesite="lax",
        secure=secure,
        httponly=hidden,
    )
