"""Which requirement is proved by which test: kept by a pytest plugin, printed by `make spec`.

Tests name requirements by `@pytest.mark.spec("S14")` and `@pytest.mark.abuse("A6")`. A run writes
the outcomes to `.spec-result.json`; a run of some tests only replaces what it ran. What does not
depend on a run, the tests that carry an id, is docs/spec.md: `python -m tests.spec_table page`
prints it from what pytest collects, and a test compares.
"""

import contextlib
import io
import json
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / ".spec-result.json"
REQUIREMENTS = ROOT / "tests" / "requirements.toml"
PAGE = ROOT / "docs" / "spec.md"
REQUIREMENT = "requirement"
HEAD = """\
# What Livewall does, and which tests prove it

Written by `make docs` from `tests/requirements.toml` and from the marks of the tests
(`@pytest.mark.spec("S14")`, `@pytest.mark.abuse("A6")`). `make spec` says of each whether the last
run proved it.
"""

Outcomes = dict[str, dict[str, str]]
Tests = dict[str, set[str]]


def chapters() -> dict[str, dict[str, str]]:
    """Return every chapter with its ids, each with its short title, in order."""
    return tomllib.loads(REQUIREMENTS.read_text(encoding="utf-8"))


def titles() -> dict[str, str]:
    """Return every id with its short title, in order."""
    return {id_: title for ids in chapters().values() for id_, title in ids.items()}


class SpecRecorder:
    """Collects the outcome of every test that names a requirement.

    A test's ids travel in its report's `user_properties`, so that a run spread over processes is
    recorded by the one that gathers the reports.
    """

    def __init__(self, config: pytest.Config) -> None:
        """Record for this run; a run without any selection replaces the whole result."""
        self.partial = is_partial(config)
        self.gathers = not hasattr(config, "workerinput")
        self.outcomes: Outcomes = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Refuse ids that no chapter knows: a typing mistake proves nothing."""
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


def is_partial(config: pytest.Config) -> bool:
    """Whether this run was asked for some of the tests only."""
    chosen = [argument for argument in config.args if argument not in ("tests", str(ROOT))]
    ways = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf")
    return bool(chosen or any(getattr(config.option, way) for way in ways))


def _ids(item: pytest.Item) -> list[str]:
    marks = (*item.iter_markers("spec"), *item.iter_markers("abuse"))
    return [str(argument) for mark in marks for argument in mark.args]


def carried(items: Iterable[pytest.Item]) -> Tests:
    """Return the tests (`tests/x.py::test_y`, whatever their parameters) that carry each id."""
    found: Tests = defaultdict(set)
    for item in items:
        for id_ in _ids(item):
            found[id_].add(item.nodeid.partition("[")[0])
    return dict(found)


def page(tests: Tests) -> str:
    """Return docs/spec.md."""
    lines = [HEAD]
    for chapter, ids in chapters().items():
        lines += [f"## {chapter}", ""]
        for id_, title in ids.items():
            lines += [f"### {id_}", "", f"{title}.", ""]
            lines += [*_by_file(tests.get(id_, set())), ""]
    return "\n".join(lines)


def _by_file(tests: set[str]) -> list[str]:
    files: Tests = defaultdict(set)
    for test in tests:
        file, _, name = test.partition("::")
        files[file].add(name)
    return [
        f"- [{file}](../{file}): {', '.join(f'`{name}`' for name in sorted(names))}"
        for file, names in sorted(files.items())
    ]


def listed(text: str) -> Tests:
    """Return what `page` wrote: the tests of each id."""
    return {
        id_: {
            f"{file}::{name}"
            for file, names in re.findall(r"^- \[(\S+?)\].*?: (.+)$", section, re.MULTILINE)
            for name in re.findall(r"`(\w+)`", names)
        }
        for id_, section in re.findall(
            r"^### (\w+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL
        )
    }


class _Collector:
    def __init__(self) -> None:
        self.tests: Tests = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.tests = carried(session.items)


def collect() -> Tests:
    """Have pytest collect everything and run nothing; return the tests of each id."""
    collector = _Collector()
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = pytest.main(["--collect-only", "-q", str(ROOT)], plugins=[collector])
    if code != pytest.ExitCode.OK:
        sys.exit(said.getvalue())
    return collector.tests


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
    """Print the table, with `-v` also the tests behind each row; or the page."""
    if arguments == ["page"]:
        print(page(collect()), end="")
        return
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
