"""Preflight where all is well: it passes, leaves no trace, and what it expects is what we ship."""

from pathlib import Path

import pytest

from livewall import preflight
from livewall.code_catalog import Connection
from livewall.preflight import CHECKS, expected
from tests.databases import Database
from tests.preflight.conftest import Stage

ROOT = Path(__file__).parent.parent.parent
CHECKLIST = [f"S{number}" for number in range(29, 40)]


@pytest.mark.spec(*CHECKLIST)
async def test_where_all_is_well_everything_passes(stage: Stage) -> None:
    seen = await stage.seen()
    assert {item: found.evidence for item, found in seen.items() if found.status != "pass"} == {}
    assert [item for item in seen if item.startswith("S")] == CHECKLIST
    assert not any(outcome.next for outcome in seen.values())


TABLES = """
SELECT c.oid::regclass::text FROM pg_class AS c
WHERE c.relowner = 'livewall_owner'::regrole AND c.relkind = 'r' ORDER BY 1
"""


async def everything(admin: Connection) -> dict[str, list[str]]:
    """Return every row of every table."""
    tables = [row[0] for row in await admin.fetch(TABLES)]
    return {
        table: [row[0] for row in await admin.fetch(f"SELECT t::text FROM {table} AS t ORDER BY 1")]
        for table in tables
    }


@pytest.mark.spec("S34", "S35", "S36", "S37", "S38", "S39")
async def test_it_leaves_no_trace_and_waits_for_nobody(stage: Stage) -> None:
    before = await everything(stage.admin)
    await stage.leader.execute("BEGIN")
    for table in before:
        await stage.leader.execute(f"SELECT FROM {table} FOR UPDATE")
    # Whoever waits for one of these gives up after a second, and says "not proven".
    assert await stage.wrong("S33", "S34", "S35", "S36", "S37", "S38", "S39") == {}
    assert await everything(stage.admin) == before


async def test_a_lock_that_others_hold_is_no_failure(stage: Stage) -> None:
    await stage.leader.execute("BEGIN; LOCK TABLE public.coin_purchases")
    assert await stage.wrong("S36") == {"S36": "not_proven"}


@pytest.mark.spec("S29")
async def test_what_is_expected_is_what_the_files_make(database: Database) -> None:
    made = expected.document(await expected.read_schema(await database.admin()))
    command = "python -m livewall.preflight expected > /tmp/e && mv /tmp/e " + str(
        expected.EXPECTED.relative_to(ROOT)
    )
    assert expected.EXPECTED.read_text(encoding="utf-8") == made, f"run: {command}"


def test_the_page_about_it_is_written_from_the_checks() -> None:
    written = (ROOT / "docs" / "preflight.md").read_text()
    assert written == preflight.document(), "run: python -m livewall.preflight > docs/preflight.md"


def test_every_check_says_why_and_what_it_does() -> None:
    for check in CHECKS:
        assert all((check.title, check.why, check.fix, check.how)), check.id
