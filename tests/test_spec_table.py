"""The table of requirements tells open from proven and from failed."""

import pytest

from tests import spec_table
from tests.spec_table import ROOT, is_partial, table, titles

pytest_plugins = ["pytester"]

CONFTEST = """
from tests.spec_table import SpecRecorder
import tests.spec_table
from pathlib import Path
tests.spec_table.RESULT = Path("result.json").resolve()
def pytest_configure(config):
    config.addinivalue_line("markers", "spec(id): one")
    config.addinivalue_line("markers", "abuse(id): one")
    config.pluginmanager.register(SpecRecorder(config))
"""


def test_every_requirement_has_a_title() -> None:
    expected = [*(f"S{n}" for n in range(1, 40)), *(f"D{n}" for n in range(1, 9))]
    expected += [*(f"A{n}" for n in range(1, 36)), *(f"T{n}" for n in range(1, 12))]
    assert list(titles()) == expected


def test_the_page_lists_the_tests_that_are_collected(request: pytest.FixtureRequest) -> None:
    collected = spec_table.carried(request.session.items)
    text = spec_table.PAGE.read_text(encoding="utf-8")
    written = spec_table.listed(text)
    # `make docs` writes it anew. Of a run of some tests only those can be compared.
    unwritten = {id_: tests - written[id_] for id_, tests in collected.items()}
    assert {id_: tests for id_, tests in unwritten.items() if tests} == {}
    assert is_partial(request.config) or text == spec_table.page(collected)


def test_the_page_says_what_it_was_made_of() -> None:
    tests = {
        "S1": {"tests/sql/test_a.py::test_b", "tests/test_c.py::test_d"},
        "A1": {"x.py::test_y"},
    }
    written = spec_table.listed(spec_table.page(tests))
    assert {id_: found for id_, found in written.items() if found} == tests
    assert list(written) == list(titles())


def test_states() -> None:
    outcomes = {
        "S1": {"a": "passed", "b": "passed"},
        "S2": {"a": "passed", "b": "failed"},
        "S3": {"a": "skipped"},
    }
    states = {row.id: row.state for row in table(outcomes)}
    assert (states["S1"], states["S2"], states["S3"], states["S4"]) == (
        "proven",
        "FAILED",
        "open",
        "open",
    )


def test_a_run_records_what_it_proves(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.spec("S14")
        def test_good(): pass
        @pytest.mark.abuse("A6")
        def test_bad(): assert False
        """
    )
    pytester.runpytest_subprocess()
    result = (pytester.path / "result.json").read_text()
    assert '"A6": {' in result
    assert result.count('"passed"') == result.count('"failed"') == 1


def test_an_unknown_id_is_refused(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile('import pytest\n@pytest.mark.spec("S99")\ndef test_it(): pass')
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*names S99, which does not exist.*"])
