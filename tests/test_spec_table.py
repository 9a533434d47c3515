"""The table of requirements tells open from proven and from failed."""

import pytest

from tests.spec_table import ROOT, table, titles

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
    assert list(titles()) == [*expected, *(f"A{n}" for n in range(1, 36))]


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
