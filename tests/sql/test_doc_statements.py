"""What the documents give to PostgreSQL, and the test in CONTRIBUTING.md, really run."""

import re
from typing import Any

import pytest

from tests.databases import Database
from tests.doc_code import PAGES, ROOT, blocks_of, spans_of
from tests.sql.world import World

CONTRIBUTING = ROOT / "CONTRIBUTING.md"
STATEMENT = re.compile(r"(?:SELECT|DELETE FROM|DROP SCHEMA|INSERT INTO) \S")
SPANS = sorted({span for page in PAGES for span in spans_of(page) if STATEMENT.match(span)})
BLOCKS = [block.text for page in PAGES for block in blocks_of(page) if block.language == "sql"]


@pytest.mark.parametrize("statement", [*SPANS, *BLOCKS])
async def test_statements_in_documents_run(world: World, statement: str) -> None:
    ada = await world.person("ada")
    stream = await world.live(ada)
    ids = {"STREAM_ID": stream, "PROFILE_ID": ada.id, "ID": ada.id}
    given = re.sub(r"\b(STREAM_ID|PROFILE_ID|ID)\b", lambda name: f"'{ids[name[1]]}'", statement)
    transaction = world.admin.transaction()
    await transaction.start()
    await world.admin.execute("CREATE SCHEMA previous")
    await world.admin.execute(given)
    await transaction.rollback()


def test_there_are_statements() -> None:
    assert len(SPANS) > 4


@pytest.mark.spec("S10")
async def test_the_test_in_contributing_passes(database: Database) -> None:
    (block,) = (block for block in blocks_of(CONTRIBUTING) if block.language == "python")
    names: dict[str, Any] = {"pytest": pytest, "Database": Database}
    exec(compile(block.text, str(block), "exec"), names)  # noqa: S102 - our own page
    (test,) = (names[name] for name in names if name.startswith("test_"))
    await test(database)
