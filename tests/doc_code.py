"""The code in the documents: blocks, spans within the text, and links, as Markdown has them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A block of code. An indented one has no language of its own: it is what one types, `sh`."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        """Say where it is."""
        return f"{self.page}:{self.line}"


@cache
def _tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def blocks_of(page: Path) -> Iterator[Block]:
    """Return every block of a page."""
    name = str(page.relative_to(ROOT))
    for token in _tokens(page):
        if token.type in ("fence", "code_block"):
            language = "sh" if token.type == "code_block" else token.info.strip()
            yield Block(name, (token.map or [0])[0] + 1, language, token.content)


def spans_of(page: Path) -> list[str]:
    """Return every `span` of code in the text of a page."""
    return [part.content for part in _parts(page) if part.type == "code_inline"]


def links_of(page: Path) -> list[str]:
    """Return where the links and pictures of a page lead."""
    targets = [part.attrGet("href") or part.attrGet("src") for part in _parts(page)]
    return [target for target in targets if isinstance(target, str)]


def anchors_of(page: Path) -> set[str]:
    """Return what a link to a page may have behind its `#`, as GitHub makes it of headings."""
    tokens = _tokens(page)
    titles = [
        "".join(part.content for part in after.children or [])
        for token, after in pairwise(tokens)
        if token.type == "heading_open"
    ]
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def _parts(page: Path) -> Iterator[Token]:
    for token in _tokens(page):
        yield from token.children or []


def blocks() -> list[Block]:
    """Return every block of every page."""
    return [block for page in PAGES for block in blocks_of(page)]
