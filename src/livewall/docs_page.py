"""The page at /docs: every call of the API, written from the OpenAPI document. No scripts."""

from collections.abc import Iterable
from html import escape
from typing import cast

import msgspec
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import OpenAPI

from livewall.routing import AnyRequest

Json = dict[str, object]
STYLE = """
body{margin:2rem auto;max-width:60rem;padding:0 1rem;background:#0c0e13;color:#e9ebf0;
font:16px/1.5 system-ui,sans-serif}a{color:#7aa2ff}h1{font-size:1.6rem}
section{margin:1rem 0;padding:.8rem 1rem;background:#14171f;border-radius:12px}
h2{margin:0;font:600 1rem ui-monospace,monospace}p{margin:.3rem 0}
.quiet{color:#8b93a5}pre{overflow:auto;margin:.5rem 0 0;color:#8b93a5}
"""


def close_objects(schema: OpenAPI, bodies: Iterable[type]) -> None:
    """Say in the document that unknown fields are refused where they are: Litestar does not."""
    _, strict = msgspec.json.schema_components(bodies)
    for name, described in (schema.components.schemas if schema.components else {}).items():
        if strict.get(name, {}).get("additionalProperties") is False:
            described.additional_properties = False


class DocsPage(OpenAPIRenderPlugin):
    """Renders the document as one plain page."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: AnyRequest, openapi_schema: Json) -> bytes:
        """Return the page."""
        del request
        paths = cast("dict[str, Json]", openapi_schema.get("paths", {}))
        sections = [
            _section(method, path, cast("Json", operation))
            for path, operations in sorted(paths.items())
            for method, operation in operations.items()
            if isinstance(operation, dict)
        ]
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><title>Livewall API</title>'
            '<link rel="stylesheet" href="/docs/style.css"><h1>Livewall API</h1>'
            '<p>The same as a document: <a href="/docs/openapi.json">openapi.json</a>.</p>'
            f"{''.join(sections)}</html>"
        ).encode()


def _section(method: str, path: str, operation: Json) -> str:
    text = escape(str(operation.get("description") or operation.get("summary") or ""))
    answers = cast("dict[str, Json]", operation.get("responses", {}))
    lines = [
        f"{status}  {escape(str(answer.get('description', '')))}"
        for status, answer in sorted(answers.items())
    ]
    body = _names(cast("Json", operation.get("requestBody", {})))
    return (
        f"<section><h2>{escape(method.upper())} {escape(path)}</h2><p>{text}</p>"
        f'<p class="quiet">{body}</p><pre>{chr(10).join(lines)}</pre></section>'
    )


def _names(body: Json) -> str:
    kinds: list[str] = []
    for kind, media in cast("dict[str, Json]", body.get("content", {})).items():
        schema = cast("Json", media.get("schema", {}))
        name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
        kinds.append(f"Takes {escape(kind)} {escape(name)}")
    return ", ".join(kinds)
