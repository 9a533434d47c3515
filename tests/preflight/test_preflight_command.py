"""`livewall preflight` as people type it."""

from collections.abc import Generator
from pathlib import Path

import pytest

from livewall.preflight import CHECKS
from tests.databases import data_folder
from tests.preflight.conftest import GOOD, Stage
from tests.shell import Shell

PRODUCTION = {
    "LIVEWALL_ENV": "production",
    "LIVEWALL_SECRET": GOOD.secret,
    "LIVEWALL_PUBLIC_URL": "https://127.0.0.1:1",
    "LIVEWALL_ACCEPT_PEER_ADDRESSES": GOOD.accept_peer_addresses,
}


@pytest.fixture(scope="module")
def folder() -> Generator[Path]:
    """A data folder for the test that starts a database."""
    with data_folder() as path:
        yield path


@pytest.fixture
def shell(stage: Stage, folder: Path) -> Shell:
    """The command, on a database in which everything passes."""
    web = stage.authenticator_url
    return Shell(
        DATABASE_URL=stage.site.settings.database_url,
        LIVEWALL_AUTHENTICATOR_URL=web,
        LIVEWALL_DATA_DIR=str(folder),
        **PRODUCTION,
    )


async def test_it_teaches(shell: Shell) -> None:
    said = " ".join(shell.ok("preflight", "--help").split())
    assert "2 if none fails and something is not proven" in said
    assert "livewall preflight --only S30,S36" in said


@pytest.mark.spec("S30", "S36")
async def test_all_that_was_asked_passes(shell: Shell) -> None:
    said = shell.ok("preflight", "--only", "s30, S36")
    lines = said.splitlines()
    assert lines[0] == "pass        S30  The publish job is scheduled and runs"
    assert lines[2] == "pass        S36  At most five purchases a minute"
    assert lines[-1] == "2 pass, 0 fail, 0 not proven."
    assert "next:" not in said


async def test_what_is_not_proven_is_not_passed(shell: Shell) -> None:
    found = shell.run("preflight", "--only", "P5,P13")
    assert found.returncode == 2
    assert "not proven  P13  " in found.stdout
    assert "next: Keep `livewall ledger head` elsewhere" in found.stdout
    assert found.stderr == ""


async def test_one_failure_is_a_failure(stage: Stage, shell: Shell) -> None:
    await stage.admin.execute("DELETE FROM private.staff_roles")
    found = shell.run("preflight", "--json", "--only", "S33,P13,P1")
    assert found.returncode == 1
    items = {item["id"]: item for item in shell.decoded(found)}
    assert {item: items[item]["status"] for item in items} == {
        "S33": "fail",
        "P1": "pass",
        "P13": "not_proven",
    }
    assert items["S33"]["facts"] == {"threshold": "25000.00", "approvers": []}
    assert items["S33"]["next"]
    assert items["S33"]["why"]


@pytest.mark.spec("S29")
async def test_what_was_changed_by_hand_is_shown_beside_what_should_be(
    stage: Stage, shell: Shell
) -> None:
    await stage.admin.execute(
        "ALTER POLICY user_grid_slots_select_own ON public.user_grid_slots USING (true);"
        "GRANT DELETE ON public.gifts TO anon"
    )
    [item] = shell.decoded(shell.run("preflight", "--json", "--only", "S29"))
    assert "`livewall db repair`" in item["next"]
    granted, policy = item["facts"]["differences"]
    assert (granted["item"], granted["expected"], granted["statement"]) == (
        "grant DELETE on table public.gifts to anon",
        "",
        "REVOKE DELETE ON TABLE public.gifts FROM anon",
    )
    assert "auth.uid()" in policy["expected"]
    assert "auth.uid()" not in policy["found"]


async def test_a_head_in_the_chain_and_one_that_is_none(stage: Stage, shell: Shell) -> None:
    assert stage.site.head
    shell.ok("preflight", "--only", "P12,P13", "--head", stage.site.head)
    found = shell.run("preflight", "--only", "P13", "--head", "0" * 64)
    assert (found.returncode, "no seal has the head" in found.stdout) == (1, True)
    assert shell.run("preflight", "--head", "zzz").returncode == 2


async def test_with_the_database_away_the_rest_is_looked_at(shell: Shell) -> None:
    away = "postgresql://nobody@127.0.0.1:1/live"
    found = shell.run("preflight", "--json", DATABASE_URL=away)
    assert found.returncode == 2
    items = {item["id"]: item for item in shell.decoded(found)}
    assert {item for item in items if items[item]["status"] == "pass"} >= {"P1", "P2", "P4"}
    for item in ("S29", "S30", "S33", "S38", "P7", "P8", "P10", "P12"):
        assert items[item]["status"] == "not_proven", item
        assert "Cannot use the database at 127.0.0.1 port 1" in items[item]["evidence"], item


async def test_an_item_that_is_none(shell: Shell) -> None:
    found = shell.run("preflight", "--only", "S99")
    assert (found.returncode, found.stdout) == (2, "")
    assert "S99 is no item" in found.stderr


async def test_a_production_that_would_not_start_is_told_why(shell: Shell) -> None:
    found = shell.run("preflight", LIVEWALL_SECRET="a" * 40, LIVEWALL_ACCEPT_PEER_ADDRESSES="")
    assert found.returncode == 1
    for item in ("FAIL        P2 ", "FAIL        P4 "):
        assert item in found.stdout


def test_as_typed_on_the_embedded_database(folder: Path) -> None:
    shell = Shell(LIVEWALL_DATA_DIR=str(folder), **PRODUCTION)
    shell.ok("db", "migrate")
    found = shell.typed("preflight")
    assert found.returncode == 1, found.stderr
    verdicts = {line[12:16].strip(): line[:12].strip() for line in found.stdout.splitlines()}
    assert {check.id for check in CHECKS} <= verdicts.keys()
    wrong = {check.id for check in CHECKS if verdicts[check.id] != "pass"}
    # Nobody runs a server there, nobody is in finance, and nothing listens at that address.
    assert wrong - {"S39"} == {"S30", "S31", "S33", "P5", "P9", "P13"}, found.stdout


async def test_a_backup_is_read_where_it_lies(shell: Shell, tmp_path: Path) -> None:
    found = shell.run("preflight", "--only", "P9", "--backups", str(tmp_path))
    assert (found.returncode, "is no backup of" in found.stdout) == (2, True)
    shell.ok("backup", str(tmp_path))
    assert "the newest is 0 hours old" in shell.ok(
        "preflight", "--only", "P9", "--backups", str(tmp_path)
    )


async def test_a_backup_without_its_files_is_none(shell: Shell, tmp_path: Path) -> None:
    asked = ("preflight", "--only", "P9", "--backups", str(tmp_path / "kept"))
    shell.ok("backup", str(tmp_path / "kept"))
    dump = tmp_path / "kept" / "database.dump"
    whole = dump.read_bytes()
    dump.write_bytes(b"")
    found = shell.run(*asked)
    assert (found.returncode, "database.dump has 0 bytes, and " in found.stdout) == (1, True)
    dump.unlink()
    found = shell.run(*asked)
    assert (found.returncode, "database.dump can not be read" in found.stdout) == (1, True)
    dump.write_bytes(whole)
    shell.ok(*asked)


async def test_nobody_makes_it_wait_by_a_lock(shell: Shell, stage: Stage) -> None:
    fan, owner = stage.leader, stage.admin
    async with fan.transaction(), owner.transaction():
        await fan.execute("SET LOCAL ROLE authenticated")
        await fan.execute("LOCK TABLE public.follows IN ACCESS EXCLUSIVE MODE")
        await owner.execute("LOCK TABLE public.ledger_entries IN ACCESS EXCLUSIVE MODE")
        found = shell.run("preflight", "--only", "S29,P12")
        assert found.returncode == 2, found.stdout
        assert "could not be looked at: canceling statement due to lock" in found.stdout
        assert "Somebody holds a table of the ledger" in shell.refused("ledger", "verify")


async def test_the_last_backup_is_found_by_itself(shell: Shell, tmp_path: Path) -> None:
    there = {"LIVEWALL_DATA_DIR": str(tmp_path / "data")}
    asked = ("preflight", "--only", "P9")
    assert "no folder with backups is known" in shell.run(*asked, **there).stdout
    # None that went well is known, and why.
    shell.refused("backup", "/proc/nowhere/kept", **there)
    found = shell.run(*asked, **there)
    assert (found.returncode, "no backup went well so far: /proc/" in found.stdout) == (2, True)
    kept = tmp_path / "kept"
    shell.ok("backup", str(kept), **there)
    assert "the newest is 0 hours old" in shell.ok(*asked, **there)
    kept.rename(tmp_path / "taken away")
    found = shell.run(*asked, **there)
    assert (found.returncode, f"{kept} is no backup" in found.stdout) == (2, True)
    shell.ok(*asked, "--backups", str(tmp_path / "taken away"), **there)
