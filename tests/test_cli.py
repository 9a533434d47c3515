"""The command as people type it: exit codes, one clear line, and a life from up to stop."""

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import time
import urllib.request
from collections.abc import Generator
from pathlib import Path

import asyncpg
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from livewall import cli_up
from livewall.settings import Settings
from tests.databases import Database, data_folder

SECRET = "a secret of at least thirty-two bytes"


@pytest.fixture(scope="module")
def folder() -> Generator[Path]:
    """A data folder for the tests that start a database; making one takes a second."""
    with data_folder() as path:
        yield path


def _environment(**settings: str) -> dict[str, str]:
    return {**os.environ, "LIVEWALL_OPEN": "0", "LIVEWALL_DEMO": "0", **settings}


def _run(*arguments: str, said: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command; `said` is what a script says to it."""
    return subprocess.run(
        [sys.executable, "-m", "livewall", *arguments],
        env=_environment(**settings),
        input=said,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def _refusal(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of a command that failed as it should."""
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("livewall: ")
    return result.stderr


def test_version_and_help() -> None:
    assert _run("--version").stdout == "0.1.0\n"
    assert "Start everything on this machine" in _run("--help").stdout


def test_config_shows_settings_but_no_secret() -> None:
    result = _run("config", LIVEWALL_SECRET=SECRET, LIVEWALL_PORT="9999")
    assert result.returncode == 0
    assert "9999" in result.stdout
    assert SECRET not in result.stdout


def test_the_token_that_opens_the_metrics() -> None:
    result = _run("metrics-token", LIVEWALL_SECRET=SECRET)
    assert result.stdout == f"{Settings(secret=SECRET).metrics_token}\n"


def test_help_loads_no_database_driver() -> None:
    """It is the first thing people type, and every import delays it."""
    script = "import sys, livewall.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert not {"asyncpg", "structlog", "rich.table", "litestar"} & set(loaded.stdout.split())


def test_a_misspelled_setting() -> None:
    assert "did you mean LIVEWALL_PORT?" in _refusal(_run("config", LIVEWALL_PROT="1"))


def test_an_unwritable_data_folder() -> None:
    result = _run("db", "start", LIVEWALL_DATA_DIR="/proc/nowhere")
    assert "set LIVEWALL_DATA_DIR" in _refusal(result)


def test_a_wrong_database_url(folder: Path) -> None:
    result = _run(
        "db",
        "migrate",
        DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        LIVEWALL_DATA_DIR=str(folder),
    )
    refusal = _refusal(result)
    assert "check DATABASE_URL" in refusal
    assert "at 127.0.0.1 port 1," in refusal


def test_a_database_url_that_is_none(folder: Path) -> None:
    for url in ("garbage", "http://127.0.0.1/secret", "postgresql://u:secret@host:port/x"):
        refusal = _refusal(_run("db", "lint", DATABASE_URL=url, LIVEWALL_DATA_DIR=str(folder)))
        assert "use one such as postgresql://" in refusal
        assert "secret" not in refusal


@pytest.mark.parametrize("command", ["up", "serve"])
def test_a_port_in_use(folder: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        fresh = folder / f"fresh-{command}"
        result = _run(command, LIVEWALL_PORT=port, LIVEWALL_DATA_DIR=str(fresh))
    assert "set LIVEWALL_PORT" in _refusal(result)
    assert not fresh.exists()


@pytest.mark.parametrize(
    "url", ["nonsense", "ftp://127.0.0.1", "http://", "http://a:b", "http://a..b"]
)
def test_a_demo_for_an_address_that_is_none(folder: Path, url: str) -> None:
    result = _run("demo", "--url", url, LIVEWALL_DATA_DIR=str(folder))
    assert f"{url!r} is not an address" in _refusal(result)


def test_a_demo_for_a_server_that_is_not_there_says_so_and_keeps_trying(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    process = subprocess.Popen(
        [sys.executable, "-m", "livewall", "demo", "--url", url],
        env=_environment(LIVEWALL_DATA_DIR=str(folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert (
            said == f"livewall: No Livewall answers at {url} (Connection refused). Trying again.\n"
        )
        assert process.poll() is None
    finally:
        process.terminate()
        out, _ = process.communicate(timeout=20)
    assert out == ""
    assert process.returncode == 0


@pytest.mark.parametrize("command", [("db", "migrate"), ("serve",)])
async def test_a_database_newer_than_the_code(
    database: Database, folder: Path, command: tuple[str, ...]
) -> None:
    admin = await database.admin()
    await admin.execute("INSERT INTO private.schema_migrations VALUES (9999, 'next', 'x')")
    result = _run(
        *command,
        DATABASE_URL=database.admin_url,
        LIVEWALL_DATA_DIR=str(folder),
        LIVEWALL_PORT="0",
    )
    assert "newer than this code" in _refusal(result)


async def test_serve_wants_a_prepared_database(empty_database: Database, folder: Path) -> None:
    result = _run(
        "serve",
        DATABASE_URL=empty_database.admin_url,
        LIVEWALL_DATA_DIR=str(folder),
        LIVEWALL_PORT="0",
    )
    assert "run `livewall db migrate`" in _refusal(result)


async def test_the_database_from_start_to_stop(folder: Path) -> None:
    data = str(folder)
    assert "not running" in _refusal(_run("db", "url", LIVEWALL_DATA_DIR=data))
    assert _run("db", "start", LIVEWALL_DATA_DIR=data).returncode == 0
    try:
        url = _run("db", "url", LIVEWALL_DATA_DIR=data).stdout.strip()
        assert _run("db", "migrate", LIVEWALL_DATA_DIR=data).returncode == 0
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE mine ()")
        await connection.close()
        tokens = folder / "demo.json"
        tokens.write_text("{}")
        assert _run("db", "reset", "--yes", LIVEWALL_DATA_DIR=data).returncode == 0
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT to_regclass('public.mine')") is None
        assert await connection.fetchval("SELECT to_regclass('public.profiles')") is not None
        assert not tokens.exists()
        await connection.close()
    finally:
        assert _run("db", "stop", LIVEWALL_DATA_DIR=data).stdout == "Stopped.\n"
    assert "not running" in _run("db", "stop", LIVEWALL_DATA_DIR=data).stdout


def test_reset_asks_first_and_never_in_production(folder: Path) -> None:
    asked = _run("db", "reset", LIVEWALL_DATA_DIR=str(folder))
    assert asked.returncode == 1
    assert "Delete every account" in asked.stdout
    refused = _run(
        "db",
        "reset",
        "--yes",
        LIVEWALL_DATA_DIR=str(folder),
        LIVEWALL_ENV="production",
        LIVEWALL_SECRET=SECRET,
        LIVEWALL_ACCEPT_PEER_ADDRESSES="viewers and streamers see each other's addresses",
    )
    assert "refused in production" in _refusal(refused)


@pytest.mark.spec("D1")
async def test_a_user_with_a_role_and_a_token(database: Database, folder: Path) -> None:
    settings = {
        "DATABASE_URL": database.admin_url,
        "LIVEWALL_AUTHENTICATOR_URL": database.authenticator_url,
        "LIVEWALL_DATA_DIR": str(folder),
    }
    made = _run("user", "create", "mia", "--role", "moderator", "--print-token", **settings)
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1].count(".") == 2
    admin = await database.admin()
    roles = await admin.fetch("SELECT role FROM private.staff_roles")
    assert [row["role"] for row in roles] == ["moderator"]
    again = _run("user", "create", "MIA", **settings)
    assert "taken" in _refusal(again)


@pytest.mark.spec("D1")
async def test_users_and_their_passwords(database: Database, folder: Path) -> None:
    settings = {
        "DATABASE_URL": database.admin_url,
        "LIVEWALL_AUTHENTICATOR_URL": database.authenticator_url,
        "LIVEWALL_DATA_DIR": str(folder),
    }
    assert "user create NAME" in _run("user", "list", **settings).stderr
    made = _run(
        "user", "create", "ada", "--role", "moderator", "--password", **settings, said="short"
    )
    assert "8 to 200 characters" in _refusal(made)
    made = _run(
        "user", "create", "ada", "--role", "moderator", "--password", **settings, said="long enough"
    )
    assert "Created ada. Sign in at http://" in made.stderr
    admin = await database.admin()
    hashes = "SELECT password_hash FROM private.credentials"
    before = await admin.fetchval(hashes)
    changed = _run("user", "password", "Ada", **settings, said="another one")
    assert changed.returncode == 0, changed.stderr
    after = await admin.fetchval(hashes)
    verify = PasswordHash((Argon2Hasher(),)).verify
    assert verify("long enough", before)
    assert verify("another one", after)
    await admin.execute("SELECT public.create_guest('some.guest')")
    for nobody in ("nobody", "some.guest"):
        refused = _run("user", "password", nobody, **settings, said="another one")
        assert f"No account is called {nobody}" in _refusal(refused)
    listed = _run("user", "list", **settings).stdout.splitlines()
    assert listed[1].split()[:3] == ["ada", "ada", "moderator"]
    assert len(listed) == 2


def test_a_password_is_asked_for_twice_and_never_shown(folder: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "livewall", "user", "password", "ada"],
        env=_environment(
            LIVEWALL_DATA_DIR=str(folder), DATABASE_URL="postgresql://x@127.0.0.1:1/x"
        ),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = ""
    for question in ("Password:", "confirmation:"):
        while question not in shown:
            shown += os.read(ours, 1000).decode()
        # A person waits as well: what is typed before the terminal is quiet would be thrown away.
        while termios.tcgetattr(ours)[3] & termios.ECHO:
            time.sleep(0.02)
        os.write(ours, b"never to be seen\n")
        time.sleep(0.2)
    while process.poll() is None or select.select([ours], [], [], 0.1)[0]:
        try:
            shown += os.read(ours, 1000).decode()
        except OSError:  # the other side of a terminal is gone
            break
    process.wait(timeout=60)
    os.close(ours)
    assert "check DATABASE_URL" in shown
    assert "never" not in shown


async def test_lint_is_clean_and_finds_what_is_not(database: Database, folder: Path) -> None:
    settings = {
        "DATABASE_URL": database.admin_url,
        "LIVEWALL_AUTHENTICATOR_URL": database.authenticator_url,
        "LIVEWALL_DATA_DIR": str(folder),
    }
    clean = _run("db", "lint", **settings)
    assert (clean.returncode, clean.stdout, clean.stderr) == (0, "", "")
    admin = await database.admin()
    await admin.execute("ALTER TABLE public.profiles DISABLE ROW LEVEL SECURITY")
    found = _run("db", "lint", **settings)
    assert found.returncode == 1
    assert found.stdout.startswith("rls_enabled: public.profiles\n    why: ")


def test_demo_streamers_that_do_not_end_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    deaf = f"import signal, time; {ignore}; print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, text=True) as child:

        def started(_settings: Settings) -> subprocess.Popen[str]:
            return child

        monkeypatch.setattr(cli_up, "_start_demo", started)
        monkeypatch.setattr(cli_up, "END_WITHIN", 0.2)
        with cli_up.demo_streamers(Settings()):
            assert child.stdout is not None
            assert child.stdout.readline()
        assert child.returncode == -signal.SIGKILL


def test_up_from_ready_to_stopped(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "livewall", "up"],
        env=_environment(LIVEWALL_DATA_DIR=str(folder), LIVEWALL_PORT="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        url = _ready_url(process)
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            assert answer.status == 200
        assert "postgresql://" in _run("db", "url", LIVEWALL_DATA_DIR=str(folder)).stdout
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        assert process.stdout is not None
        process.stdout.close()
    assert "not running" in _run("db", "url", LIVEWALL_DATA_DIR=str(folder)).stderr


def _ready_url(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        if "Livewall is ready: " in line:
            return line.split()[-1]
    raise AssertionError("no address was printed")
