"""Every block of code in the documents is proved by what its language says.

`python` blocks run in the tests that RUN names, `sql` blocks and statements in
tests/sql/test_doc_statements.py, and commands of `sh` blocks also in tests/test_cli_docs.py.
"""

import ast
import re
from collections.abc import Callable, Iterator
from configparser import RawConfigParser
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from livewall import messages, web
from livewall.addresses import parse
from livewall.errors import CATALOGUE, Problem
from tests.doc_code import PAGES, ROOT, Block, anchors_of, blocks, links_of, spans_of
from tests.shell_code import TARGETS, wrong_with

SOURCE = ROOT / "src" / "livewall"
RUN = {
    "CONTRIBUTING.md": "tests/sql/test_doc_statements.py",
    "docs/demo.md": "tests/demo/test_page.py",
}
# Of one type: `signal` goes both ways.
MESSAGES: dict[str, list[type[msgspec.Struct]]] = {}
for kind in vars(messages).values():
    if isinstance(kind, type) and issubclass(kind, messages.FromClient | messages.ToClient):
        MESSAGES.setdefault(str(kind.__struct_config__.tag), []).append(kind)
for base in (messages.FromClient, messages.ToClient):
    del MESSAGES[base.__name__]


def _sh(block: Block) -> None:
    assert wrong_with(block.text) == []


def _python(block: Block) -> None:
    compile(block.text, str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert block.page in (ROOT / RUN[block.page]).read_text(), "nothing runs it"


def _sql(block: Block) -> None:
    assert block.text.rstrip().endswith(";")


def _json(block: Block) -> None:
    problem = msgspec.json.decode(block.text, type=Problem)
    entry = CATALOGUE[problem.code]
    assert (problem.status, problem.title) == (entry.status, entry.title)
    assert set(msgspec.json.decode(block.text)) == set(Problem.__struct_fields__)


def _messages(block: Block) -> None:
    """Each message names the fields that its type has, all of them and no other."""
    lines = [line for line in block.text.splitlines() if line.startswith("{")]
    assert lines
    assert all(line.startswith('{"type": "') for line in lines)
    for tag, keys, is_whole in _drawn(block):
        assert any(_fits(kind, keys, is_whole) for kind in MESSAGES[tag]), (tag, keys)


def _fits(kind: type[msgspec.Struct], keys: set[str], is_whole: bool) -> bool:
    fields = {field.encode_name for field in msgspec.structs.fields(kind)}
    # Any message of a client may carry an id, which its answer repeats.
    implied = {"id"} if issubclass(kind, messages.FromClient) else {"re"}
    return keys <= fields and (not is_whole or fields - implied <= keys)


# The innermost object or list that is no message of its own: the value of a value.
VALUE = re.compile(r'(?<!^)([{\[])(?!"type": )[^{}\[\]]*[}\]]', re.MULTILINE)


def _drawn(block: Block) -> Iterator[tuple[str, set[str], bool]]:
    """Return type and fields of each message of a block, and whether those are all."""
    text = block.text
    while (flat := VALUE.sub("x", text)) != text:
        text = flat
    for message in re.findall(r'\{"type": .*?\}', text, re.DOTALL):
        tag, *keys = re.findall(r'\{"type": "(\w+)"|,\s*"(\w+)"', message)
        yield tag[0], {key for _, key in keys}, "…" not in message


def _nginx(block: Block) -> None:
    text = re.sub(r"#.*", "", block.text)
    assert text.count("{") == text.count("}")
    for words, end in re.findall(r"([^;{}]*)([;{}]|\Z)", text):
        # A line break within is a statement whose end was forgotten, and so is one before a brace.
        assert "\n" not in words.strip(), words
        assert bool(words.strip()) == (end in {";", "{"}), words
    if not re.search(r"\bserver \{", text):
        return  # an upstream lets everything through
    size = re.search(r"client_max_body_size (\d+)k;", text)
    assert size
    assert int(size[1]) * 1024 >= max(web.LARGEST_EVENT, web.LARGEST_BODY)


def _ini(block: Block) -> None:
    parser = RawConfigParser(allow_no_value=True, strict=False, delimiters="=")
    parser.read_string("[coturn]\n" + block.text)
    ranges = re.findall(r"^denied-peer-ip=(\S+)-(\S+)$", block.text, re.MULTILINE)
    assert all(parse(end) is not None for ends in ranges for end in ends)
    assert len(parser["coturn"]) > 1


def _mermaid(block: Block) -> None:
    kind, *lines = (line.strip() for line in block.text.splitlines())
    assert re.fullmatch(r"flowchart (TB|TD|LR)|stateDiagram-v2", kind)
    node = r'\w+(\[".*?"\])?'
    arrow = r'(-->|<-->)(\|".*?"\|)?|<?-\. ".*?" \.->'
    edge = rf"{node}( ({arrow}) {node})*(: .+)?"
    for line in lines:
        assert re.fullmatch(rf'{edge}|subgraph \w+ \[".*"\]|end|note right of \w+ : .+', line), line
    assert lines.count("end") == sum(line.startswith("subgraph") for line in lines)


def _text(block: Block) -> None:
    """A drawing. What it names of the code exists: functions, columns, modules."""
    code = "".join(
        path.read_text() for suffix in ("py", "sql") for path in SOURCE.rglob(f"*.{suffix}")
    )
    for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", block.text):
        assert re.search(rf"\b{word}\b", code), f"no {word}"
    for name in re.findall(r"\b[a-z_]+\.py\b", block.text):
        assert (SOURCE / name).exists(), f"no {name}"


PROOFS: dict[str, Callable[[Block], None]] = {
    "sh": _sh,
    "python": _python,
    "sql": _sql,
    "json": _json,
    "messages": _messages,
    "nginx": _nginx,
    "ini": _ini,
    "mermaid": _mermaid,
    "text": _text,
}


def prove(block: Block) -> None:
    """Raise AssertionError if a block is wrong, or of a language that nobody proves."""
    assert block.language in PROOFS, f"{block} is of language {block.language!r}: use one of PROOFS"
    PROOFS[block.language](block)


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_every_block_is_proved(block: Block) -> None:
    prove(block)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("", "x"),
        ("ruby", "x"),
        ("sh", "livewall ledger prove"),
        ("sh", ".venv/bin/livewall backup x --kep 3"),
        ("sh", "livewall backup"),
        ("sh", "livewall purchases held | livewall nothing"),
        ("sh", 'psql "$(livewall db uri)"'),
        ("sh", "make bench-nothing"),
        ("sh", "mak run"),
        ("sh", "if true"),
        ("sh", "LIVEWALL_PROT=1"),
        ("sh", "LIVEWALL_ENV=production"),
        ("sh", "psql -f docs/examples/none.sql"),
        ("python", "x ="),
        ("json", '{"code": "not_found"}'),
        ("messages", '{"type": "helo"}'),
        ("messages", '{"type": "hello", "protocol": 1}'),
        ("messages", '{"type": "stop", "now": true}'),
        ("nginx", "server {\n    listen 443\n}\nclient_max_body_size 256k;"),
        ("nginx", "server { listen 443; client_max_body_size 255k; }"),
        ("ini", "denied-peer-ip=10.0.0.0-10.255.255.256\nrealm=x"),
        ("mermaid", "flowchart TB\n  one -> two"),
        ("text", "▶ record_heartbeat ──"),
        ("text", "heart.py"),
    ],
)
def test_what_is_wrong_is_seen(language: str, text: str) -> None:
    with pytest.raises((AssertionError, SyntaxError, msgspec.ValidationError, KeyError)):
        prove(Block("docs/x.md", 1, language, text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in links_of(page):
        path, _, anchor = target.partition("#")
        if target.startswith(("http://", "https://")):
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors_of(there), target


def test_targets_in_the_text_exist() -> None:
    named = {
        word
        for page in PAGES
        for span in spans_of(page)
        if span.startswith("make ")
        for word in span.split()[1:2]
    }
    assert "run" in named
    assert named <= TARGETS


def test_every_message_is_in_the_protocol() -> None:
    found = [block for block in blocks() if block.language == "messages"]
    drawn = {tag for block in found for tag, _, _ in _drawn(block)}
    assert drawn == set(MESSAGES)
    assert {kind.__struct_config__.tag for kind in get_args(messages.ClientMessage)} <= drawn
