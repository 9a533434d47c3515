"""What docs/money.md says is what the database does."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.databases import Database
from tests.sql.world import World

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "money.md"
EXAMPLE = DOCS / "examples" / "one_purchase.sql"
WALLET = re.compile(r"^ +(\d+) \| +(\d+) \| [tf]$", re.MULTILINE)
STEP = re.compile(r"^\| \d\. [^|]+\| (\d+) \| (\d+) \|$", re.MULTILINE)
ROW = re.compile(r"^\| `(\w+)` \| ((?:`\w+` ?)+)\|$", re.MULTILINE)


@pytest.mark.spec("D4", "D5")
def test_one_purchase_goes_as_the_page_says(database: Database) -> None:
    psql = shutil.which("psql")
    assert psql, "psql comes with postgresql-client: apt-get install postgresql-client"
    run = subprocess.run(
        [psql, "-X", database.admin_url, "-f", str(EXAMPLE)],
        capture_output=True,
        text=True,
        check=True,
        env={"PGCLIENTENCODING": "UTF8", "LC_ALL": "C.UTF-8"},
    )
    assert run.stderr == ""
    assert run.stdout == EXAMPLE.with_suffix(".out").read_text(encoding="utf-8")


@pytest.mark.spec("D4")
def test_the_page_counts_as_the_example_does() -> None:
    steps = STEP.findall(PAGE.read_text(encoding="utf-8"))
    printed = WALLET.findall(EXAMPLE.with_suffix(".out").read_text(encoding="utf-8"))
    assert steps == printed != []


@pytest.mark.spec("S2")
async def test_the_page_draws_every_account_and_kind_of_transaction(world: World) -> None:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("flowchart TB")
    drawn = set(re.findall(r"\w+", rest.partition("```")[0]))
    for constraint in ("ledger_accounts_kind_known", "ledger_transactions_kind_known"):
        [(text,)] = await world.rows(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1", constraint
        )
        kinds = set(re.findall(r"'(\w+)'", text))
        assert kinds
        assert kinds <= drawn, constraint


@pytest.mark.spec("S25")
async def test_the_page_draws_the_transitions_that_the_database_allows(world: World) -> None:
    text = PAGE.read_text(encoding="utf-8")
    drawn = {(start, end) for start, ends in ROW.findall(text) for end in re.findall(r"\w+", ends)}
    rows = await world.rows("SELECT from_status, to_status FROM private.purchase_transitions")
    assert drawn == set(rows)
    pictured = re.findall(r"^    (\w+) --> (\w+):", text.partition("stateDiagram")[2], re.MULTILINE)
    assert pictured
    assert set(pictured) <= drawn
