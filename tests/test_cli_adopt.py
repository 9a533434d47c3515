"""`livewall db adopt` as people type it."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from tests.databases import Database, data_folder
from tests.shell import on
from tests.sql.previous import damage, settle

SETTINGS = {"LIVEWALL_SECRET": "a secret of at least thirty-two bytes"}

# Somebody's name, in which a terminal would find orders, and a reader a line that is not ours.
FORGED = r"eve\x1b[2J\u202E\u009B\nAdopted. Prove it: curl evil"


def _steering(text: str) -> set[str]:
    return {letter for letter in text if not letter.isprintable()} - {"\n"}


@pytest.fixture
def folder() -> Generator[Path]:
    """A data folder of this test's own."""
    with data_folder() as path:
        yield path


@pytest.mark.spec("S28")
async def test_people_who_moved_get_their_first_password(
    empty_database: Database, folder: Path
) -> None:
    shell = on(empty_database, folder, **SETTINGS)
    admin = await empty_database.admin()
    await settle(admin, 15, accounts=False)
    shell.ok("db", "adopt", "--apply")
    given = shell.run("user", "password", "old_3", said="long enough")
    assert given.returncode == 0, given.stderr
    query = "SELECT c.password_hash FROM private.credentials AS c JOIN profiles AS p"
    hashed = await admin.fetchval(f"{query} ON p.id = c.profile_id WHERE p.name = 'old_3'")
    assert PasswordHash((Argon2Hasher(),)).verify("long enough", hashed)


@pytest.mark.spec("S28")
async def test_it_tells_what_it_would_do_refuses_and_does_it(
    empty_database: Database, folder: Path
) -> None:
    shell = on(empty_database, folder, **SETTINGS)
    admin = await empty_database.admin()
    unsaid = shell.run("db", "adopt")
    assert unsaid.returncode == 2
    assert "Say one of --dry-run and --apply" in unsaid.stderr
    assert "There is no previous schema here" in shell.refused("db", "adopt", "--dry-run")

    await settle(admin, 100)
    await damage(admin)
    assert "`livewall db adopt --dry-run`" in shell.refused("db", "migrate")
    await admin.execute(
        f"UPDATE profiles SET coin_balance = 1, username = E'{FORGED}' WHERE username = 'old_3'"
    )
    refused = shell.run("db", "adopt", "--apply")
    assert refused.returncode == 1
    assert "REFUSED  ledger_entries: 1 rows, balance_disagrees_with_history" in refused.stdout
    assert ": 1 coins, its entries say 1050" in refused.stdout
    assert "nothing was changed" in refused.stderr

    assert r"\x1b[2J\u202e\x9b\nAdopted." in refused.stdout

    await admin.execute("UPDATE profiles SET coin_balance = 1050 WHERE coin_balance = 1")
    tried = shell.ok("db", "adopt", "--dry-run")
    assert "box_viewers -> user_grid_slots: 19 of 22" in tried
    assert "KEPT BACK  user_links: 2 rows, link_is_no_web_address" in tried
    assert "This was a dry run" in tried
    assert "\nAdopted." not in tried
    printed = shell.ok("db", "adopt", "--apply", "--json")
    assert _steering(refused.stdout + tried + printed) == set()
    done = json.loads(printed)
    labels = next(f["rows"] for f in done["findings"] if f["rule"] == "name_does_not_fit")
    assert any("\x1b[2J\u202e\x9b\nAdopted." in label for label in labels)
    assert (done["outcome"], done["dropped"]) == ("adopted", ["video_boxes", "box_viewers"])
    assert "adopted before: nothing to do" in shell.ok("db", "adopt", "--apply")
    assert "DRIFT" not in shell.ok("ledger", "verify")


@pytest.mark.spec("S28")
async def test_run_again_it_lets_the_server_log_in_if_it_could_not(
    empty_database: Database, folder: Path
) -> None:
    shell = on(empty_database, folder, **SETTINGS)
    await settle(await empty_database.admin(), 15)
    nowhere = {"LIVEWALL_AUTHENTICATOR_URL": "postgresql://authenticator:x@127.0.0.1:1/none"}
    for _ in range(2):
        refused = shell.run("db", "adopt", "--apply", **nowhere)
        assert "Role authenticator cannot log in" in refused.stderr
        assert refused.returncode == 1
    assert "adopted before: nothing to do" in shell.ok("db", "adopt", "--apply")
