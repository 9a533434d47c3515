"""Plain HTTP calls of docs/protocol.md with a bearer token; nothing beyond the standard library."""

import asyncio
import http.client
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from livewall.client.messages import Problem, SignedIn

T = TypeVar("T")

TIMEOUT_SECONDS = 10.0


class ProblemError(Exception):
    """The server refused; `problem.code` says why, `retry_after` in seconds when to ask again."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(f"{problem.code}: {problem.title} {problem.detail}".strip())
        self.problem = problem
        self.retry_after = retry_after


class Api:
    """The HTTP side of one signed-in person. Calls run in a thread and never block the loop."""

    def __init__(self, base_url: str, token: str = "") -> None:
        self.base_url = base_url.rstrip("/")
        self.token = token

    async def call(self, method: str, path: str, body: object = None) -> bytes:
        """Send `body` as JSON and return the raw answer.

        Raises `ProblemError` for any status from 400, `OSError` if the server is not there.
        """
        content = b"" if body is None else msgspec.json.encode(body)
        return await self.send(method, path, content, "application/json")

    async def send(self, method: str, path: str, content: bytes, content_type: str) -> bytes:
        """Like `call`, with bytes of any type."""
        headers = {"Content-Type": content_type} if content else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return await asyncio.to_thread(_request, self.base_url, method, path, content, headers)

    async def get(self, path: str, answer: type[T]) -> T:
        """GET `path` and decode the answer as `answer`."""
        return msgspec.json.decode(await self.call("GET", path), type=answer)


async def sign_in_guest(
    base_url: str, name: str | None = None, *, demo: bool = False
) -> tuple[Api, SignedIn]:
    """Become a guest, under `name` if it is free. Raises `ProblemError` (such as `name_taken`)."""
    api = Api(base_url)
    body: dict[str, Any] = {"return_token": True}
    if demo:
        body["demo"] = True
    if name is not None:
        body["name"] = name
    signed_in = msgspec.json.decode(
        await api.call("POST", "/api/session/guest", body), type=SignedIn
    )
    api.token = signed_in.token
    return api, signed_in


def _request(
    base_url: str, method: str, path: str, content: bytes, headers: Mapping[str, str]
) -> bytes:
    url = urlsplit(base_url)
    secure = url.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(url.hostname or "localhost", url.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, url.path + path, content or None, dict(headers))
        response = connection.getresponse()
        answer = response.read()
    except http.client.HTTPException as error:
        raise OSError(f"{method} {path}: the server hung up ({error!r})") from error
    finally:
        connection.close()
    if response.status >= 400:
        raise ProblemError(*_problem(response, answer))
    return answer


def _problem(response: http.client.HTTPResponse, answer: bytes) -> tuple[Problem, float | None]:
    try:
        problem = msgspec.json.decode(answer, type=Problem)
    except msgspec.DecodeError:
        problem = Problem(f"http_{response.status}", response.reason, response.status)
    return problem, _seconds(response.getheader("Retry-After"))


def _seconds(header: str | None) -> float | None:
    try:
        return None if header is None else float(header)
    except ValueError:
        return None
