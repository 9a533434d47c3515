"""Which requirement is proved by which test: kept by a pytest plugin, printed by `make spec`.

Tests name requirements by `@pytest.mark.spec("S14")` and `@pytest.mark.abuse("A6")`. A run writes
the outcomes to `.spec-result.json`; a run of some tests only replaces what it ran.
"""

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / ".spec-result.json"
REQUIREMENT = "requirement"
ROW = re.compile(r"^\| (?P<id>[SDA]\d+) \| (?P<title>.+) \|$", re.MULTILINE)

Outcomes = dict[str, dict[str, str]]


def titles() -> dict[str, str]:
    """Return every id with its short title, in the order of docs/requirements.md."""
    text = (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8")
    return {row["id"]: row["title"] for row in ROW.finditer(text)}


class SpecRecorder:
    """Collects the outcome of every test that names a requirement.

    A test's ids travel in its report's `user_properties`, so that a run spread over processes is
    recorded by the one that gathers the reports.
    """

    def __init__(self, config: pytest.Config) -> None:
        """Record for this run; a run without any selection replaces the whole result."""
        option = config.option
        chosen = [argument for argument in config.args if argument not in ("tests", str(ROOT))]
        self.partial = bool(chosen or option.keyword or option.markexpr)
        self.gathers = not hasattr(config, "workerinput")
        self.outcomes: Outcomes = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Refuse ids that docs/requirements.md does not know: a typing mistake proves nothing."""
        known = titles()
        for item in items:
            for id_ in _ids(item):
                if id_ not in known:
                    raise pytest.UsageError(f"{item.nodeid} names {id_}, which does not exist.")
                item.user_properties.append((REQUIREMENT, id_))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst outcome of a test's phases."""
        if report.when == "call" or report.outcome != "passed":
            for name, id_ in report.user_properties:
                if name == REQUIREMENT:
                    self.outcomes.setdefault(str(id_), {})[report.nodeid] = report.outcome

    def pytest_sessionfinish(self) -> None:
        """Write the result beside the project, unless nothing of it ran."""
        if not self.outcomes or not self.gathers:
            return
        kept = read_result() if self.partial else {}
        for id_, outcomes in self.outcomes.items():
            kept.setdefault(id_, {}).update(outcomes)
        RESULT.write_text(json.dumps(kept, indent=1, sort_keys=True))


def _ids(item: pytest.Item) -> list[str]:
    marks = (*item.iter_markers("spec"), *item.iter_markers("abuse"))
    return [str(argument) for mark in marks for argument in mark.args]


def read_result() -> Outcomes:
    """Return the outcomes of the last runs, by requirement and test."""
    if not RESULT.exists():
        return {}
    loaded: Any = json.loads(RESULT.read_text())
    return loaded


@dataclass(frozen=True)
class Row:
    """One requirement and what is known about it."""

    id: str
    title: str
    state: str
    tests: tuple[str, ...]


def table(outcomes: Outcomes) -> list[Row]:
    """Return a row for each requirement: `proven`, `FAILED` or `open`."""
    return [
        Row(id_, title, _state(outcomes.get(id_, {}).values()), tuple(outcomes.get(id_, ())))
        for id_, title in titles().items()
    ]


def _state(outcomes: Iterable[str]) -> str:
    found = set(outcomes)
    if "failed" in found:
        return "FAILED"
    return "proven" if "passed" in found else "open"


def main(arguments: list[str]) -> None:
    """Print the table; with `-v` also the tests behind each row."""
    rows = table(read_result())
    for row in rows:
        count = f"{len(row.tests):3} tests" if row.tests else ""
        print(f"{row.id:4} {row.state:7} {count:10} {row.title}")
        if "-v" in arguments:
            print("".join(f"       {test}\n" for test in row.tests), end="")
    proven = sum(row.state == "proven" for row in rows)
    print(f"\n{proven} of {len(rows)} proven")


if __name__ == "__main__":
    main(sys.argv[1:])
