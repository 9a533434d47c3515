"""The built web client: hashed assets kept for ever, one page for every address of the app."""

import mimetypes
from pathlib import Path
from typing import NamedTuple

from litestar.types import Receive, Scope, Send

DIST = Path(__file__).parent / "web_dist"
FOREVER = b"public, max-age=31536000, immutable"
PLAIN = b"text/plain; charset=utf-8"
HTML = b"text/html; charset=utf-8"
MISSING = b"""<!doctype html><html lang="en"><title>Livewall</title>
<h1>The web client is not built</h1>
<p>Run <code>make run</code>, or <code>npm ci &amp;&amp; npm run build</code> in <code>web/</code>,
then reload this page.</p><p>The API is here: <a href="/docs">/docs</a>.</p></html>
"""


class _Page(NamedTuple):
    status: int
    kind: bytes
    body: bytes
    caching: bytes = b"no-store"


class Pages:
    """Serves files of one folder, and `index.html` for every other path."""

    def __init__(self, folder: Path = DIST) -> None:
        self._folder = folder.resolve()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer GET and HEAD."""
        if scope["type"] != "http":
            return
        if scope["method"] not in {"GET", "HEAD"}:
            page = _Page(405, PLAIN, b"Method not allowed\n")
        else:
            page = self._choose(scope["path"])
        headers = [
            (b"content-type", page.kind),
            (b"cache-control", page.caching),
            (b"content-length", str(len(page.body)).encode()),
        ]
        await send({"type": "http.response.start", "status": page.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else page.body
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _choose(self, path: str) -> _Page:
        file = self._find(path)
        if file is not None:
            kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            caching = FOREVER if file.parent.name == "assets" else b"no-cache"
            return _Page(200, kind.encode(), file.read_bytes(), caching)
        if "." in path.rsplit("/", 1)[-1] and not path.startswith("/@"):
            return _Page(404, PLAIN, b"Not found\n")
        index = self._folder / "index.html"
        if index.is_file():
            return _Page(200, HTML, index.read_bytes())
        return _Page(503, HTML, MISSING)

    def _find(self, path: str) -> Path | None:
        try:
            file = (self._folder / path.lstrip("/")).resolve()
            inside = file.is_relative_to(self._folder) and file.name != "index.html"
            return file if inside and file.is_file() else None
        except (OSError, ValueError):
            return None  # too long for a file name, a loop of links, a NUL
