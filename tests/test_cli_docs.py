"""Commands in the documents, typed as they stand there, on a database that has what they name."""

import re
from pathlib import Path
from uuid import uuid4

from livewall import backup
from tests.databases import Database
from tests.doc_code import ROOT, blocks
from tests.shell import on
from tests.shell_code import calls

SETTINGS = {"LIVEWALL_SECRET": "a secret of at least thirty-two bytes"}
# What runs in other tests: it needs another database, a server beside it, or does not end.
ELSEWHERE = {
    "worker": "tests/server/test_outage.py::test_a_worker_runs_the_jobs_by_itself",
    "preflight": "tests/preflight/test_preflight_command.py::test_all_that_was_asked_passes",
    "db adopt": "tests/test_cli_adopt.py::test_it_tells_what_it_would_do_refuses_and_does_it",
    "db bundle": "tests/test_cli.py::test_a_bundle_for_the_supabase_cli",
}


def _typed() -> list[str]:
    """Return each command of the blocks once, in the order of the pages."""
    found = [
        " ".join(words)
        for block in blocks()
        if block.language == "sh"
        for words in calls(block.text)
    ]
    return list(dict.fromkeys(found))


async def _arranged(database: Database) -> dict[str, str]:
    """Have what the pages name: purchase P-4, a report of a provider, somebody who may decide."""
    ada, finn = await database.person("ada"), await database.person("finn")
    service = await database.as_role("service_role")
    for _ in range(4):
        paid = "SELECT process_coin_purchase($1, 'web', 'elsewhere', $2, $3, 700, 9.99)"
        await service.fetchval(paid, ada.id, f"evt_{uuid4()}", f"pay_{uuid4()}")
    await service.execute("SELECT receive_payment_event('sandbox', 'evt_1', 'x', 'x', '{}', '[]')")
    admin = await database.admin()
    await admin.execute("SELECT grant_staff_role($1, 'finance')", finn.id)
    await admin.execute("SELECT fold_ledger()")
    return {"NAME": finn.name, "ID": "evt_1"}


async def test_commands_in_documents_do_what_the_page_is_about(
    database: Database, empty_database: Database, tmp_path: Path
) -> None:
    shell = on(database, tmp_path / "data", **SETTINGS)
    known = await _arranged(database)
    known["HASH"] = re.findall(r"\b[0-9a-f]{64}\b", shell.ok("ledger", "head"))[0]
    kept = tmp_path / "kept"
    first = shell.ok("backup", str(kept), "--keep", "14").strip()
    # Backups are named by the second, and the next one is to be the newer.
    Path(first).rename(kept / "livewall-20260101-000000")
    done: set[str] = set()
    for command in _typed():
        said = re.sub(r"/\S+/livewall-\d+-\d+", "BACKUP", command)
        said = re.sub(r"/var/\S+", str(kept), said)
        if said in done or said.startswith(tuple(ELSEWHERE)):
            continue
        done.add(said)
        # The page restores into a new machine's database.
        new = {"DATABASE_URL": empty_database.admin_url} if said.startswith("restore B") else {}
        known["BACKUP"] = str(backup.find(kept).folder)  # the newest
        said = re.sub(r"\b(NAME|ID|HASH|BACKUP)\b", lambda name: known[name[1]], said)
        result = shell.run(*said.split(), **new)
        assert result.returncode == 0, (command, result.stderr, result.stdout)
    assert len(done) > 10


def test_what_is_not_typed_here_runs_elsewhere() -> None:
    for place in ELSEWHERE.values():
        file, _, name = place.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text()
