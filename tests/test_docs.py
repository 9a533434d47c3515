"""What the documents and the files of deploy/ name exists: commands, metrics, logs, tests, pages.

Blocks of code are proved in test_doc_code.py.
"""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import typer.main
from prometheus_client import REGISTRY

from livewall import configuration, metrics
from livewall.cli import app
from livewall.settings import Settings
from tests import spec_table
from tests.doc_code import PAGES, ROOT, spans_of
from tests.shell_code import wrong_call

SOURCE = ROOT / "src" / "livewall"
DEPLOY = ROOT / "deploy"
DOCS = ROOT / "docs"
OURS = r"^Exec\w+=(?:/usr/bin/env LIVEWALL_PORT=%i )?/opt/livewall/bin/livewall (.*)$"
ALERTS = (DEPLOY / "alerts.yml").read_text()
RUNBOOKS = (DOCS / "runbooks.md").read_text()
LEVELS = {"debug", "info", "warning", "error", "exception"}


def _wrong(words: list[str]) -> str:
    """Return what of a call `livewall` does not know, or nothing; the text may leave things out."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands") and rest:
        name = rest.pop(0).rstrip(",.;:")
        if name not in command.commands:
            return f"no command {' '.join(words)}"
        command = command.commands[name]
    known = {"--help", *(option for param in command.params for option in param.opts)}
    given = [word.partition("=")[0] for word in rest if re.match(r"--[a-z]", word)]
    return ", ".join(f"no {option} in {' '.join(words)}" for option in given if option not in known)


def _calls(spans: list[str]) -> Iterator[list[str]]:
    for span in spans:
        for found in re.findall(r"(?:^|\$\()(?:\S*/)?livewall ([a-z][^#)]*)", span):
            yield found.replace("[", " ").replace("]", " ").split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_text_exist(page: Path) -> None:
    assert [wrong for words in _calls(spans_of(page)) if (wrong := _wrong(words))] == []


def test_a_command_that_does_not_exist_is_seen() -> None:
    calls = _calls(["livewall ledger prove", ".venv/bin/livewall backup [x] --kep 3", "livewall"])
    assert [_wrong(words) for words in calls] == [
        "no command ledger prove",
        "no --kep in backup x --kep 3",
    ]


def test_pages_are_what_the_code_says() -> None:
    # `make docs` writes them anew.
    assert (DOCS / "configuration.md").read_text() == configuration.document()
    assert (DOCS / "metrics.md").read_text() == metrics.document()


def test_settings_and_metrics_in_the_text_exist() -> None:
    text = "".join(page.read_text() for page in PAGES)
    settings = {shown.variable for shown in configuration.describe(Settings(), {})}
    settings |= {"LIVEWALL_TEST_POSTGRES"}  # of the tests alone
    assert set(re.findall(r"\bLIVEWALL_[A-Z_]*[A-Z]", text)) - settings == set()
    counted = set(re.findall(r"`(livewall_\w+)`", metrics.document()))
    others = {"livewall_owner", "livewall_session", "livewall_csrf"}  # a role and two cookies
    assert set(re.findall(r"\blivewall_[a-z_]*[a-z]", text)) - others == counted


def _logged(path: Path) -> Iterator[tuple[str, str]]:
    """Return event and level of everything that a module logs."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        words = [n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant)]
        match node.func:
            case ast.Attribute(value=ast.Name(id="log" | "log_"), attr=level) if level in LEVELS:
                level = "error" if level == "exception" else level
            case ast.Name(id="note"):  # whichever level it was bound to
                level = "info"
            case _:
                continue
        yield from ((str(word), level) for word in words)


@pytest.mark.spec("D8")
def test_every_event_in_the_log_is_documented() -> None:
    ours = [
        path
        for path in SOURCE.rglob("*.py")
        if not {"client", "demo"} & set(path.relative_to(SOURCE).parts)
    ]
    logged = {event for path in ours for event in _logged(path)}
    _, _, section = (DOCS / "operations.md").read_text().partition("\n## Logs\n")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", section.partition("\n## ")[0], re.MULTILINE)
    assert len(rows) > 30
    assert set(rows) == logged


def test_threats_are_stopped_by_tests_that_exist() -> None:
    """Each row of docs/security.md names ids, and tests that carry one of them."""
    carried = spec_table.listed(spec_table.PAGE.read_text())
    text = (DOCS / "security.md").read_text()
    rows = re.findall(
        r"^\| ((?:\[\w+\]\(\S+\)(?:, )?)+) \| (.+) \| (.+) \| (.+) \|$", text, re.MULTILINE
    )
    assert len(rows) == text.count("\n| [") > 50
    told: set[str] = set()
    for ids_cell, threat, stopped, tests_cell in rows:
        ids = re.findall(r"\[(\w+)\]\(spec\.md#\w+\)", ids_cell)
        names = {test.partition("::")[2] for id_ in ids for test in carried[id_]}
        tests = set(re.findall(r"`(\w+)`", tests_cell))
        assert tests, threat
        assert stopped
        assert tests - names == set(), (ids, threat)
        told.update(ids)
    assert {id_ for id_ in spec_table.titles() if id_[0] in "AT"} - told == set()


@pytest.mark.spec("D8")
def test_alerts_use_metrics_and_pages_that_exist() -> None:
    assert metrics.SOCKETS is not None  # counted, and so registered
    families = list(REGISTRY.collect())
    names = {family.name for family in families}
    used = set(re.findall(r"\blivewall_[a-z_]+", ALERTS))
    assert len(used) > 6
    kinds = ("", "_total", "_bucket", "_count", "_sum")
    assert [n for n in used if not any(n.removesuffix(k) in names for k in kinds)] == []
    headings = {
        re.sub(r"[^a-z -]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^## (.+)$", RUNBOOKS, re.MULTILINE)
    }
    assert set(re.findall(r"docs/runbooks\.md#([a-z-]+)", ALERTS)) <= headings
    for alert in re.findall(r"`(Livewall[A-Z]\w+)`", RUNBOOKS):
        assert f"alert: {alert}\n" in ALERTS
    jobs = set(re.findall(r'exported_job=~"([a-z_|]+)"', ALERTS).pop().split("|"))
    assert all(job in (SOURCE / "jobs.py").read_text() for job in jobs)


def test_units_are_valid_and_call_what_exists(tmp_path: Path) -> None:
    units = sorted([*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")])
    assert len(units) == 4
    for unit in units:
        text = unit.read_text()
        calls = re.findall(OURS, text, re.MULTILINE)
        others = re.findall(r"^Exec\w+=/usr/bin/test .*$", text, re.MULTILINE)
        assert len(calls) + len(others) == text.count("Exec")
        assert [wrong for call in calls if (wrong := wrong_call(call.split()))] == []
        (tmp_path / unit.name).write_text(text.replace("/opt/livewall/bin/livewall", "/bin/true"))
        parser = RawConfigParser(strict=False)
        parser.read(unit)
        assert parser.has_section("Service") != parser.has_section("Timer")
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        copies = [str(tmp_path / unit.name) for unit in units]
        checked = subprocess.run(
            [analyze, "verify", "--man=no", *copies], capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, "")
