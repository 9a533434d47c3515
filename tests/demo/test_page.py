"""The client in docs/demo.md watches a real stream."""

import ast
import types
from typing import Any

import pytest

from tests.browser.site import Site
from tests.demo.world import Performer
from tests.doc_code import ROOT, blocks_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
PAGE = ROOT / "docs" / "demo.md"
ADDRESS = "http://127.0.0.1:8400"


async def test_the_client_on_the_page_sees_pictures(site: Site, performer: Performer) -> None:
    (block,) = (block for block in blocks_of(PAGE) if block.language == "python")
    assert block.text.count(ADDRESS) == 1
    text = block.text.replace(ADDRESS, site.url)
    names: dict[str, Any] = {}
    code = compile(text, str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await types.FunctionType(code, names)()
    await names["line"]
    assert str(names["stream"].id) == performer.stream_id
    assert names["tab"].snapshot is not None
