"""What the documents and the files of deploy/ name exists: commands, options, metrics, pages."""

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

from livewall import metrics
from livewall.cli import app

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# In a span of code, or on a line of a block, perhaps behind the folder it lies in.
CALL = re.compile(r"(?:`|^ {4}(?:\S*/)?|\$\()livewall ([a-z][^`#)\n]*)", re.MULTILINE)
ALERTS = (DEPLOY / "alerts.yml").read_text()
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()


def _calls(text: str) -> Iterator[list[str]]:
    for found in CALL.finditer(text):
        words = found[1].replace("[", " ").replace("]", " ")
        yield words.split()


def _wrong(words: list[str]) -> str:
    """Return what of a call `livewall` does not know, or nothing."""
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


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_documents_exist(page: Path) -> None:
    assert [wrong for words in _calls(page.read_text()) if (wrong := _wrong(words))] == []


def test_a_command_that_does_not_exist_is_seen() -> None:
    calls = list(
        _calls("`livewall ledger prove`, and\n\n    .venv/bin/livewall backup x --kep 3\n")
    )
    assert [_wrong(words) for words in calls] == [
        "no command ledger prove",
        "no --kep in backup x --kep 3",
    ]


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
    assert all(job in (ROOT / "src/livewall/jobs.py").read_text() for job in jobs)


def test_functions_in_runbooks_exist() -> None:
    code = "".join(p.read_text() for p in sorted((ROOT / "src/livewall/sql/code").glob("*.sql")))
    called = re.findall(r"SELECT ((?:public|private)\.\w+)\(", RUNBOOKS)
    assert called != []
    assert [name for name in called if f"CREATE FUNCTION {name}(" not in code] == []


def test_units_are_valid_and_call_what_exists(tmp_path: Path) -> None:
    units = sorted([*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")])
    assert len(units) == 3
    for unit in units:
        text = unit.read_text()
        calls = re.findall(r"^Exec\w+=/opt/livewall/bin/livewall (.*)$", text, re.MULTILINE)
        assert len(calls) == text.count("Exec")
        assert [_wrong(call.split()) for call in calls if _wrong(call.split())] == []
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
