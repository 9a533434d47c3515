"""The settings in docs/production.md, read as systemd does and as the runbooks' shell."""

import re
import subprocess
from pathlib import Path

from livewall import settings
from tests.doc_code import ROOT, blocks_of
from tests.shell_code import LEFT_OUT

NAMED = "/etc/livewall.env"
# Letters that neither of the two takes for anything but themselves.
PLAIN = re.compile(r"[\w:/.,@-]*")


def _file() -> str:
    page = ROOT / "docs" / "production.md"
    found = [b.text for b in blocks_of(page) if b.text.startswith(f"# {NAMED}")]
    assert len(found) == 2  # the second is for a PostgreSQL of one's own
    return "".join(found).replace("...", LEFT_OUT)


def _as_systemd(text: str) -> dict[str, str]:
    """Read an EnvironmentFile, see systemd.exec(5): only a whole line is a comment."""
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.partition("=") for line in lines if line and line[0] not in "#;"]
    return {name: re.sub(r"^'([^']*)'$", r"\1", value.strip()) for name, _, value in pairs}


def _as_the_runbooks(text: str, tmp_path: Path) -> dict[str, str]:
    (line,) = re.findall(r"^    runuser .*bash -c '(.*)'$", _runbooks(), re.MULTILINE)
    file = tmp_path / "livewall.env"
    file.write_text(text)
    assert line.endswith("exec bash")
    script = line.replace(NAMED, str(file)).replace("HOME=/var/lib/livewall", f"HOME={tmp_path}")
    seen = subprocess.run(
        ["/bin/bash", "-c", script.removesuffix("bash") + "env -0"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not seen.stderr
    return dict(pair.split("=", 1) for pair in seen.stdout.split("\0") if pair)


def _runbooks() -> str:
    return (ROOT / "docs" / "runbooks.md").read_text()


def test_systemd_and_the_runbooks_read_the_same(tmp_path: Path) -> None:
    read = _as_systemd(_file())
    assert len(read) > 8
    for value in re.findall(r"^\w+=(.*)$", _file(), re.MULTILINE):
        assert PLAIN.fullmatch(value) or re.fullmatch(r"'[^']*'", value), value
    shell = _as_the_runbooks(_file(), tmp_path)
    assert {name: shell[name] for name in read} == read
    assert shell["LIVEWALL_DATA_DIR"] == shell["HOME"] == shell["PWD"] == str(tmp_path)
    assert shell["PATH"].startswith("/opt/livewall/bin:")


def test_livewall_starts_with_what_systemd_reads() -> None:
    loaded = settings.load(_as_systemd(_file()))
    assert loaded.production
    assert loaded.secret == loaded.turn_secret == LEFT_OUT
    assert loaded.trusted_proxies == ("127.0.0.1",)


def test_units_name_what_the_page_installs() -> None:
    page = (ROOT / "docs" / "production.md").read_text()
    for unit in (ROOT / "deploy").glob("*.service"):
        text = unit.read_text()
        assert f"EnvironmentFile={NAMED}\n" in text
        assert re.findall(r"^User=(.*)$", text, re.MULTILINE) == ["livewall"]
        (folder,) = set(re.findall(r"^Exec\w+=(/opt/\S+)/bin/livewall", text, re.MULTILINE))
        assert f"python3 -m venv {folder}\n" in page
    assert "useradd --system --home-dir /var/lib/livewall " in page
    assert f"-g livewall /dev/null {NAMED}\n" in page
