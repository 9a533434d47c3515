"""`livewall ledger`, `purchases` and `webhooks` as people type them."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest

from livewall import cli
from tests.databases import Database, Person, data_folder

SETTINGS = {"LIVEWALL_SECRET": "a secret of at least thirty-two bytes", "LIVEWALL_PAYMENTS": "none"}


@pytest.fixture(scope="module")
def folder() -> Generator[Path]:
    """A data folder, which these commands need not fill."""
    with data_folder() as path:
        yield path


class Shell:
    """Runs the command against one database: here, because a new Python takes seconds to start."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._environment = {
            **os.environ,
            **SETTINGS,
            "DATABASE_URL": database.admin_url,
            "LIVEWALL_AUTHENTICATOR_URL": database.authenticator_url,
            "LIVEWALL_DATA_DIR": str(folder),
        }

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run to the end, whatever that is, in a thread: a command has an event loop of its own."""
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, self._environment | settings),
            patch.object(sys, "argv", ["livewall", *arguments]),
            patch("livewall.cli.signal.signal"),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            ThreadPoolExecutor(1) as thread,
        ):
            code = thread.submit(_exit_code).result(120)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def typed(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run to the end as a process."""
        return subprocess.run(
            [sys.executable, "-m", "livewall", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def ok(self, *arguments: str, **settings: str) -> str:
        """Run, succeed, and return what was printed."""
        result = self.run(*arguments, **settings)
        assert result.returncode == 0, result.stderr + result.stdout
        return result.stdout

    def read(self, *arguments: str) -> Any:
        """Run with --json and return it."""
        return json.loads(self.ok(*arguments, "--json"))

    def refused(self, *arguments: str) -> str:
        """Run, fail with one line, and return it."""
        result = self.run(*arguments)
        assert result.returncode == 1, result.stdout
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1, result.stderr
        assert result.stderr.startswith("livewall: ")
        return result.stderr


def _exit_code() -> int:
    """Run the command; return what the process would end with."""
    try:
        cli.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


@pytest.fixture
def shell(database: Database, folder: Path) -> Shell:
    """The command, on this test's database."""
    return Shell(database, folder)


async def _pay(database: Database, buyer: Person, usd: int = 10, coins: int = 1_000) -> UUID:
    """Have a payment settled; return its purchase."""
    service = await database.as_role("service_role")
    text = await service.fetchval(
        "SELECT public.process_coin_purchase($1, 'web', 'elsewhere', $2, $3, $4, $5)",
        buyer.id,
        f"evt_{uuid4()}",
        f"pay_{uuid4()}",
        coins,
        usd,
    )
    return UUID(json.loads(text)["id"])


async def _report(database: Database, buyer: Person, cents: int, currency: str) -> str:
    """Have money reported for a new purchase of 700 coins for $9.99; return its id."""
    service = await database.as_role("service_role")
    created = "SELECT public.create_coin_purchase($1, 'coins_700', 'web', 'sandbox', $2) ->> 'id'"
    purchase_id = await service.fetchval(created, buyer.id, str(uuid4()))
    fact = {
        "kind": "captured",
        "payment_id": f"pay_{purchase_id}",
        "purchase_id": purchase_id,
        "amount_cents": cents,
        "currency": currency,
        "at": "2026-11-25T12:00:00Z",
    }
    await service.execute(
        "SELECT public.receive_payment_event("
        "'sandbox', $1, 'captured', 'x', '{}', $2::text::jsonb)",
        f"evt_{uuid4()}",
        json.dumps([fact]),
    )
    await service.execute("SELECT public.process_payment_events()")
    return purchase_id


async def _finance(database: Database, name: str, role: str = "finance") -> Person:
    person = await database.person(name)
    admin = await database.admin()
    await admin.execute("SELECT public.grant_staff_role($1, $2)", person.id, role)
    return person


async def _fold(database: Database) -> None:
    await (await database.admin()).execute("SELECT public.fold_ledger()")


async def test_every_command_teaches(shell: Shell) -> None:
    for command, words in {
        ("ledger", "head"): "Keep it where the operator",
        ("ledger", "verify"): "exit code is 1",
        ("purchases", "held"): "no coins are credited",
        ("purchases", "approve"): "--as mia",
        ("purchases", "reject"): "--as mia",
        ("purchases", "refund"): "pro rata",
        ("purchases", "settings"): "daily_threshold_cents",
        ("webhooks", "list"): "parked",
        ("webhooks", "replay"): "changes nothing",
    }.items():
        text = " ".join(shell.ok(*command, "--help").replace("│", " ").split())
        assert words in text, command


async def test_as_typed_it_is_the_same(shell: Shell) -> None:
    # Prints, complains and fails, all three.
    command = ("ledger", "verify", "--head", "0" * 64)
    typed, here = shell.typed(*command), shell.run(*command)
    assert (typed.returncode, typed.stdout, typed.stderr) == (1, here.stdout, here.stderr)
    assert here.returncode == 1
    assert "exported_head_is_in_the_chain" in typed.stderr


@pytest.mark.spec("D7")
async def test_head_and_proof(database: Database, shell: Shell) -> None:
    empty = shell.read("ledger", "head")
    assert (empty["number"], empty["transactions"], empty["sealed_at"]) == (0, 0, None)
    await _pay(database, await database.person("ada"))
    await _fold(database)
    head = shell.read("ledger", "head")
    assert (head["number"], head["transactions"]) == (1, 1)
    assert shell.ok("ledger", "head") == head["hash"] + "\n"
    said = shell.ok("ledger", "verify", "--head", head["hash"])
    assert all(line.startswith("ok  ") for line in said.splitlines()), said
    checks = shell.read("ledger", "verify")
    assert len(checks) > 5
    assert all(check["is_ok"] for check in checks)


async def test_drift_is_found_and_named(database: Database, shell: Shell) -> None:
    await _pay(database, await database.person("ada"))
    await _fold(database)
    admin = await database.admin()
    await admin.execute(
        "UPDATE private.ledger_accounts SET balance = balance + 1 WHERE kind = 'wallet'"
    )
    found = shell.run("ledger", "verify")
    assert found.returncode == 1
    assert [line for line in found.stdout.splitlines() if line.startswith("DRIFT")] != []
    assert found.stderr.startswith("livewall: the ledger does not add up: ")
    assert found.stderr.count("\n") == 1
    assert shell.run("ledger", "verify", "--json").returncode == 1
    wrong = shell.run("ledger", "verify", "--head", "0" * 64)
    assert "exported_head_is_in_the_chain" in wrong.stderr


async def test_entries_that_nobody_seals_are_drift(database: Database, shell: Shell) -> None:
    await _pay(database, await database.person("ada"))
    admin = await database.admin()
    await admin.execute("UPDATE private.ledger_queue SET queued_at = now() - interval '6 seconds'")
    found = shell.run("ledger", "verify")
    assert found.returncode == 1
    assert "sealed_in_time" in found.stderr
    assert "livewall worker" in found.stdout


@pytest.mark.spec("S25")
@pytest.mark.spec("D7")
@pytest.mark.abuse("A34")
async def test_decisions_by_a_second_person(database: Database, shell: Shell) -> None:
    ada, _ = await _finance(database, "ada"), await _finance(database, "mia")
    first = await _pay(database, ada, 30_000)
    second = await _pay(database, ada, 30_000)
    table = shell.ok("purchases", "held")
    assert str(first) in table
    assert "$30,000.00" in table
    assert {h["purchase"]["id"] for h in shell.read("purchases", "held")} == {
        str(first),
        str(second),
    }
    decide = ("--reason", "spoke to them")
    own = shell.refused("purchases", "approve", str(first), "--as", "ada", *decide)
    assert "your own" in own
    stranger = shell.refused("purchases", "approve", str(first), "--as", "nobody", *decide)
    assert "Nobody has this name" in stranger
    assert "why" in shell.refused("purchases", "approve", str(first), "--as", "mia", "--reason", "")
    said = shell.ok("purchases", "approve", str(first), "--as", "mia", *decide)
    assert said.endswith("is completed.\n"), "its money had been captured already"
    assert "not held" in shell.refused("purchases", "reject", str(first), "--as", "mia", *decide)
    assert "rejected" in shell.ok("purchases", "reject", str(second), "--as", "mia", *decide)
    nothing = shell.run("purchases", "held")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, "", "Nothing waits.\n")
    admin = await database.admin()
    calls = await admin.fetch("SELECT call, purchase_id FROM private.provider_calls")
    assert [(c["call"], c["purchase_id"]) for c in calls] == [("refund", second)]
    logged = await admin.fetch("SELECT details ->> 'via' AS via FROM private.audit_log")
    assert [entry["via"] for entry in logged] == ["command line"] * 2


@pytest.mark.spec("S25", "D7")
@pytest.mark.abuse("A26")
async def test_what_came_is_shown_not_what_was_ordered(database: Database, shell: Shell) -> None:
    await _finance(database, "mia")
    less = await _report(database, await database.person("ada"), 333, "usd")
    yen = await _report(database, await database.person("bob"), 999, "jpy")
    table = {line.split()[0]: line for line in shell.ok("purchases", "held").splitlines()}
    assert " 233 " in table[less]
    assert "$3.33 arrived, ordered for $9.99" in table[less]
    assert "JPY 999 (smallest unit) arrived, ordered for $9.99" in table[yen]
    decide = ("--as", "mia", "--reason", "looked at it")
    assert "in dollars only" in shell.refused("purchases", "approve", yen, *decide)
    assert "rejected" in shell.ok("purchases", "reject", yen, *decide)
    assert "completed" in shell.ok("purchases", "approve", less, *decide)


@pytest.mark.spec("D4")
async def test_refunds(database: Database, shell: Shell) -> None:
    await _finance(database, "mia")
    purchase_id = str(await _pay(database, await database.person("ada")))
    order = ("purchases", "refund", purchase_id, "--as", "mia", "--reason", "goodwill")
    for _ in range(2):
        shell.ok(*order, "--cents", "400", "--key", "refund-of-tuesday")
    assert "600 cents" in shell.refused(*order, "--cents", "601", "--key", "refund-of-wednesday")
    first = shell.run(*order)
    assert first.returncode == 0, first.stderr
    again = re.search(r"run it again with (--key \S+)\.\n", first.stderr)
    assert again, first.stderr
    shell.ok(*order, *again[1].split())
    admin = await database.admin()
    calls = await admin.fetch("SELECT amount_cents FROM private.provider_calls ORDER BY id")
    assert [c["amount_cents"] for c in calls] == [400, 600]


@pytest.mark.spec("D7")
async def test_rules(database: Database, shell: Shell) -> None:
    await _finance(database, "mia")
    await _finance(database, "eve", "admin")
    assert "$25,000.00" in shell.ok("purchases", "settings")
    rules = shell.read("purchases", "settings")
    assert rules["velocity"] == 5
    why = ("--reason", "five at once")
    wish = ("purchases", "settings", "daily_threshold_cents=5000000", "velocity=4")
    assert "--as NAME" in shell.refused(*wish, *why)
    assert "admin" in shell.refused(*wish, *why, "--as", "mia")
    shell.ok(*wish, *why, "--as", "eve")
    rules |= {"daily_threshold_cents": 5_000_000, "velocity": 4}
    assert shell.read("purchases", "settings") == rules
    shell.ok("purchases", "settings", "daily_threshold_cents=none", *why, "--as", "eve")
    assert shell.read("purchases", "settings")["daily_threshold_cents"] is None
    for wrong in ("speed=3", "velocity=fast", "velocity", "limit_cents=none", "velocity=-1"):
        assert "livewall" in shell.refused("purchases", "settings", wrong, *why, "--as", "eve")


async def test_events_of_providers(database: Database, shell: Shell) -> None:
    service = await database.as_role("service_role")
    await service.execute(
        "SELECT public.receive_payment_event('sandbox', 'evt_1', 'captured', 'x', '{}', NULL)"
    )
    assert "evt_1" in shell.ok("webhooks", "list")
    (event,) = shell.read("webhooks", "list", "--outcome", "waiting")
    assert (event["event_id"], event["attempts"]) == ("evt_1", 0)
    assert shell.read("webhooks", "list", "--outcome", "failed") == []
    mia, _ = await _finance(database, "mia"), await database.person("ada")
    replay = ("webhooks", "replay", "evt_1", "--provider", "sandbox")
    assert "not set up" in shell.refused(*replay, "--as", "mia")
    assert "finance" in shell.refused(*replay, "--as", "ada")
    assert "evt_1" in shell.ok(*replay, "--as", "mia", LIVEWALL_PAYMENTS="sandbox")
    admin = await database.admin()
    (entry,) = await admin.fetch("SELECT actor_id, details FROM private.audit_log")
    assert (entry["actor_id"], json.loads(entry["details"])) == (mia.id, {"via": "command line"})
