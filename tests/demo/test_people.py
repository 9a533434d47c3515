"""The same people come back, and nobody comes in production."""

import secrets
import stat
from pathlib import Path

import pytest

from livewall.demo import run
from livewall.demo.state import KeptTokens
from livewall.settings import SettingsError


def test_tokens_outlive_the_process_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "new" / "demo.json"
    KeptTokens("http://127.0.0.1:8400", path).keep("ana", "one")
    again = KeptTokens("http://127.0.0.1:9999", path)
    assert again.get("ana") == "one"
    assert again.get("kofi") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_token_is_never_shown_to_another_server(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    KeptTokens("https://live.example", path).keep("ana", "one")
    assert KeptTokens("https://other.example", path).get("ana") is None


def test_a_broken_file_is_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    path.write_text('{"127.0.0.1": ["ana"]}')
    kept = KeptTokens("http://127.0.0.1", path)
    assert kept.get("ana") is None
    kept.keep("ana", "two")
    assert KeptTokens("http://127.0.0.1", path).get("ana") == "two"


def test_a_folder_that_cannot_be_written_costs_only_the_memory(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    kept = KeptTokens("http://127.0.0.1", blocked / "demo.json")
    kept.keep("ana", "one")
    assert kept.get("ana") == "one"


def test_production_refuses_demo_streamers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIVEWALL_ENV", "production")
    monkeypatch.setenv("LIVEWALL_SECRET", secrets.token_urlsafe(48))
    monkeypatch.setenv("LIVEWALL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LIVEWALL_PUBLIC_URL", "https://live.example")
    monkeypatch.setenv(
        "LIVEWALL_ACCEPT_PEER_ADDRESSES", "viewers and streamers see each other's addresses"
    )
    with pytest.raises(SettingsError, match="refused in production"):
        run("http://127.0.0.1:1")
