"""`livewall ledger`, `purchases` and `webhooks` as people type them."""

import json
import re
import sys
from collections.abc import Generator
from io import StringIO
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from livewall import db
from livewall.errors import Refusal
from tests.databases import Database, Person, data_folder
from tests.shell import Shell, on
from tests.sql.money import ACT

SETTINGS = {"LIVEWALL_SECRET": "a secret of at least thirty-two bytes", "LIVEWALL_PAYMENTS": "none"}


@pytest.fixture(scope="module")
def folder() -> Generator[Path]:
    """A data folder, which these commands need not fill."""
    with data_folder() as path:
        yield path


@pytest.fixture
def shell(database: Database, folder: Path) -> Shell:
    """The command, on this test's database."""
    return on(database, folder, **SETTINGS)


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


async def _order(database: Database, buyer: Person) -> str:
    """Begin a purchase of 700 coins for $9.99; return its id."""
    service = await database.as_role("service_role")
    created = "SELECT public.create_coin_purchase($1, 'coins_700', 'web', 'sandbox', $2) ->> 'id'"
    return await service.fetchval(created, buyer.id, str(uuid4()))


async def _tell(
    database: Database, kind: str, purchase_id: str, cents: int, currency: str = "usd", **more: str
) -> None:
    """Have something reported of the payment of a purchase."""
    service = await database.as_role("service_role")
    basic = {"kind": kind, "payment_id": f"pay_{purchase_id}", "purchase_id": purchase_id}
    money = {"amount_cents": cents, "currency": currency, "at": "2026-11-25T12:00:00Z"}
    await service.execute(
        "SELECT public.receive_payment_event('sandbox', $1, $2, 'x', '{}', $3::text::jsonb)",
        f"evt_{uuid4()}",
        kind,
        json.dumps([basic | money | more]),
    )
    await service.execute(ACT)


async def _report(database: Database, buyer: Person, cents: int, currency: str) -> str:
    """Have money reported for a new purchase of 700 coins for $9.99; return its id."""
    purchase_id = await _order(database, buyer)
    await _tell(database, "captured", purchase_id, cents, currency)
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
        ("purchases", "show"): "livewall purchases show P-4",
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


async def test_a_mistyped_head_is_no_drift(shell: Shell) -> None:
    for wrong in ("zzz", "0" * 63, "g" * 64):
        found = shell.run("ledger", "verify", "--head", wrong)
        assert (found.returncode, found.stdout) == (2, "")
        assert f"{wrong} is not a head: " in " ".join(found.stderr.split())


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
    assert [line.split()[0] for line in table.splitlines()] == ["number", "P-1", "P-2"]
    assert "$30,000.00" in table
    assert {h["purchase"]["id"] for h in shell.read("purchases", "held")} == {
        str(first),
        str(second),
    }
    decide = ("--reason", "spoke to them")
    own = shell.refused("purchases", "approve", "P-1", "--as", "ada", *decide)
    assert "your own" in own
    stranger = shell.refused("purchases", "approve", str(first), "--as", "nobody", *decide)
    assert "Nobody has this name" in stranger
    assert "why" in shell.refused("purchases", "approve", str(first), "--as", "mia", "--reason", "")
    said = shell.ok("purchases", "approve", "p-1", "--as", "mia", *decide)
    # Its money had been captured already.
    assert said == "P-1 is approved and completed: 1,000 coins are credited.\n"
    twice = shell.refused("purchases", "reject", str(first), "--as", "mia", *decide)
    assert "is completed, not held. Look at it again" in twice
    said = shell.ok("purchases", "reject", str(second), "--as", "mia", *decide)
    assert said == "P-2 is rejected: $30,000.00 goes back to the buyer.\n"
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
    assert " 233 " in table["P-1"]
    assert "$3.33 arrived, ordered for $9.99" in table["P-1"]
    assert "JPY 999 (smallest unit) arrived, ordered for $9.99" in table["P-2"]
    decide = ("--as", "mia", "--reason", "looked at it")
    assert "in dollars only" in shell.refused("purchases", "approve", yen, *decide)
    said = shell.ok("purchases", "reject", yen, *decide)
    assert said == "P-2 is rejected: JPY 999 (smallest unit) goes back to the buyer.\n"
    said = shell.ok("purchases", "approve", less, *decide)
    assert said == "P-1 is approved and completed: 233 coins are credited.\n"


@pytest.mark.spec("S25", "D7")
async def test_what_went_back_before_the_decision_goes_back_no_more(
    database: Database, shell: Shell
) -> None:
    await _finance(database, "mia")
    decide = ("--as", "mia", "--reason", "looked at it")
    for name in ("ada", "bob"):
        purchase_id = await _report(database, await database.person(name), 500, "usd")
        more = {"refund_id": f"re_{name}", "status": "succeeded"}
        await _tell(database, "refund", purchase_id, 200, **more)
    for number, decision, said in (
        (1, "reject", "rejected: $3.00 goes back to the buyer"),
        (2, "approve", "approved and completed: 210 coins are credited"),
    ):
        command = ("purchases", decision, f"P-{number}", *decide)
        assert shell.ok(*command) == f"P-{number} is {said}.\n"


@pytest.mark.spec("D4")
async def test_refunds(database: Database, shell: Shell) -> None:
    await _finance(database, "mia")
    await _pay(database, await database.person("ada"))
    order = ("purchases", "refund", "P-1", "--as", "mia", "--reason", "goodwill")
    for _ in range(2):
        said = shell.run(*order, "--cents", "400", "--key", "refund-of-tuesday")
        assert said.stdout == "A refund of $4.00 of P-1 is ordered.\n"
        assert "once the provider has refunded the money" in said.stderr
        assert "--key" not in said.stderr
    large = shell.run(*order, "--cents", "601")
    assert (large.returncode, large.stdout) == (1, "")
    assert "\nlivewall: $6.00 of this purchase can be refunded. Refund less.\n" in large.stderr
    assert shell.ok(*order) == "A refund of $6.00 of P-1 is ordered.\n"
    assert "Nothing of this purchase is left to refund" in shell.refused(*order)
    admin = await database.admin()
    calls = await admin.fetch("SELECT amount_cents FROM private.provider_calls ORDER BY id")
    assert [c["amount_cents"] for c in calls] == [400, 600]


@pytest.mark.spec("D4")
async def test_nothing_captured_is_nothing_to_refund(database: Database, shell: Shell) -> None:
    await _finance(database, "mia")
    await _order(database, await database.person("ada"))
    said = shell.refused("purchases", "refund", "P-1", "--as", "mia", "--reason", "goodwill")
    assert "Nothing was captured for this purchase, so there is nothing to refund." in said


@pytest.mark.spec("D4")
async def test_a_refund_of_a_part_tells_its_key_before_it_is_ordered(
    database: Database, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _finance(database, "mia")
    await _pay(database, await database.person("ada"))
    order = ("purchases", "refund", "P-1", "--as", "mia", "--reason", "goodwill", "--cents", "100")
    call = db.Database.call
    told = ""

    async def lose(self: db.Database, *arguments: Any, **named: Any) -> Any:
        nonlocal told
        if arguments[1] != "refund_purchase":
            return await call(self, *arguments, **named)
        told = cast("StringIO", sys.stderr).getvalue()
        await call(self, *arguments, **named)
        raise Refusal("database_away")

    with monkeypatch.context() as patched:
        patched.setattr(db.Database, "call", lose)
        assert shell.run(*order).returncode == 1
    again = re.fullmatch(r"If no answer comes, run it again with (--key \S+)\n", told)
    assert again, told
    assert shell.ok(*order, *again[1].split()) == "A refund of $1.00 of P-1 is ordered.\n"
    admin = await database.admin()
    assert await admin.fetchval("SELECT count(*) FROM private.provider_calls") == 1


@pytest.mark.spec("D7")
async def test_one_purchase_is_shown(database: Database, shell: Shell) -> None:
    await _finance(database, "mia")
    purchase = str(await _pay(database, await database.person("ada")))
    refund = ("purchases", "refund", "P-1", "--as", "mia", "--reason", "x", "--cents", "400")
    shell.ok(*refund)
    service = await database.as_role("service_role")
    await service.execute(
        "SELECT public.finish_provider_call((c ->> 'id')::bigint, jsonb_build_array("
        """'{"kind": "refund", "refund_id": "re_1", "status": "succeeded", "amount_cents": 400}'"""
        "::jsonb)) FROM jsonb_array_elements(public.take_provider_calls()) AS c"
    )
    shown = shell.ok("purchases", "show", "P-1")
    for line in (
        *("P-1", f"id {purchase}", "buyer ada", "status completed", "captured $10.00"),
        *("refunded $4.00", "taken back 400 coins", "refund $4.00 succeeded, re_1"),
    ):
        assert line in [" ".join(line.split()) for line in shown.splitlines()]
    assert re.search(r"^order +refund of \$4.00, .*, done$", shown, re.MULTILINE)
    assert shell.ok("purchases", "show", purchase) == shown
    assert shell.read("purchases", "show", "p-1")["refunds"][0]["cents"] == 400
    await (await database.admin()).execute("UPDATE private.refunds SET currency = 'jpy'")
    shown = " ".join(shell.ok("purchases", "show", "P-1").split())
    assert "refund JPY 400 (smallest unit) succeeded, re_1" in shown, "yen are no dollars"
    assert "There is no purchase P-7" in shell.refused("purchases", "show", "P-7")
    wrong = shell.run("purchases", "show", "P4")
    assert wrong.returncode == 2
    assert "'P4' is not a purchase" in wrong.stderr


async def test_no_terminal_cuts_what_is_typed_again(database: Database, shell: Shell) -> None:
    await _pay(database, await database.person("ada"), 32_500, 3_250_000)
    event = f"sbe_{uuid4().hex}"
    service = await database.as_role("service_role")
    await service.execute(
        "SELECT public.receive_payment_event('sandbox', $1, 'captured', 'x', '{}', NULL)", event
    )
    for columns in (40, 80, 140):
        held = shell.watched(columns, "purchases", "held")
        events = shell.watched(columns, "webhooks", "list")
        assert {"P-1", "3,250,000", "$32,500.00"} <= set(held.split())
        assert event in events.split()
        assert "\u2026" not in held + events
        if columns >= 80:
            assert max(map(len, (held + events).splitlines())) <= columns


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
    assert shell.read("purchases", "settings") == rules | {
        "in_force": rules["in_force"] | {"daily_threshold_cents": 5_000_000}
    }
    shell.ok("purchases", "settings", "daily_threshold_cents=none", *why, "--as", "eve")
    removed = shell.read("purchases", "settings")
    assert removed["daily_threshold_cents"] is None
    assert removed["raises_apply_at"].startswith("20")
    assert removed["in_force"]["daily_threshold_cents"] == 5_000_000
    shown = shell.run("purchases", "settings")
    lines = {line.split()[0]: line.split()[1:] for line in shown.stdout.splitlines()}
    assert lines["daily_threshold_cents"] == ["none", "5000000"]
    assert lines["threshold_cents"] == ["2500000", "$25,000.00", "2500000"]
    assert "What was raised applies from 20" in shown.stderr
    share = shell.refused(
        "purchases", "settings", "streamer_share_percent=150", *why, "--as", "eve"
    )
    assert "streamer_share_percent is a whole number from 0 to 100." in share
    for wrong in (
        "speed=3",
        "velocity=fast",
        "velocity",
        "limit_cents=none",
        "velocity=-1",
        "raises_apply_at=1",
    ):
        assert "livewall" in shell.refused("purchases", "settings", wrong, *why, "--as", "eve")


async def test_events_of_providers(database: Database, shell: Shell) -> None:
    report = "SELECT public.receive_payment_event('sandbox', 'evt_1', 'captured', 'x', '{}', NULL)"
    await (await database.as_role("service_role")).execute(report)
    assert "evt_1" in shell.ok("webhooks", "list")
    (event,) = shell.read("webhooks", "list", "--outcome", "waiting")
    assert (event["event_id"], event["attempts"]) == ("evt_1", 0)
    assert shell.read("webhooks", "list", "--outcome", "failed") == []
    mia, _ = await _finance(database, "mia"), await database.person("ada")
    replay = ("webhooks", "replay", "evt_1", "--provider", "sandbox")
    assert "not set up" in shell.refused(*replay, "--as", "mia")
    assert "finance" in shell.refused(*replay, "--as", "ada")
    unknown = (*replay[:2], "evt_9", *replay[3:], "--as", "mia")
    said = shell.refused(*unknown, LIVEWALL_PAYMENTS="sandbox")
    assert "has not reported an event evt_9. Check its id in the list of events." in said
    assert "evt_1" in shell.ok(*replay, "--as", "mia", LIVEWALL_PAYMENTS="sandbox")
    trail = "SELECT actor_id, details FROM private.audit_log"
    (entry,) = await (await database.admin()).fetch(trail)
    assert (entry["actor_id"], json.loads(entry["details"])) == (mia.id, {"via": "command line"})
