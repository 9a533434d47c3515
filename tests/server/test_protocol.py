"""docs/protocol.md and the code name the same things."""

import re
from pathlib import Path

import msgspec

from livewall import app, messages
from livewall.settings import Settings
from livewall.socket import CLOSE_CODES

PROTOCOL = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()


def _tags(base: type[msgspec.Struct]) -> set[str]:
    return {str(kind.__struct_config__.tag) for kind in base.__subclasses__()}


def test_every_message_is_in_the_protocol_and_no_other() -> None:
    described = set(re.findall(r'\{"type": "(\w+)"', PROTOCOL))
    assert described == _tags(messages.FromClient) | _tags(messages.ToClient)


def test_every_close_code_is_explained() -> None:
    explained = set(re.findall(r"\b(4\d{3}|1\d{3})\b", PROTOCOL.split("| close code |")[1]))
    # 1001, 1009 and 1012 come from uvicorn: it stops, or a message is far too large for it.
    assert explained == {str(code) for code in CLOSE_CODES.values()} | {"1001", "1009", "1012"}


def test_every_call_is_in_the_protocol_and_no_other() -> None:
    settings = Settings(secret="x" * 32, authenticator_url="postgresql://nowhere")
    document = app.create_app(settings).openapi()
    served = {
        (method.upper(), re.sub(r"\{(stream|purchase)_id\}", "{id}", path))
        for path, operations in document["paths"].items()
        for method in operations
        if path.startswith("/api")
    }
    described: set[tuple[str, str]] = set()
    for cell in re.findall(r"^\| (`.*?) \|", PROTOCOL, re.MULTILINE):
        for others, call in re.findall(r"((?:`[A-Z]+`, )*)`([A-Z]+ /api\S*)`", cell):
            last, path = call.split(" ")
            methods = [*re.findall(r"[A-Z]+", others), last]
            described |= {(method, path.split("?")[0]) for method in methods}
    assert served == described
