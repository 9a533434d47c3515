"""The command as people type it: exit codes, one clear line, and a life from up to stop."""

import json
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

from livewall import cli_up, noted_address
from livewall.settings import Settings
from tests.databases import Database, data_folder
from tests.shell import Shell, on

SECRET = "a secret of at least thirty-two bytes"


@pytest.fixture(scope="module")
def folder() -> Generator[Path]:
    """A data folder for the tests that start a database; making one takes a second."""
    with data_folder() as path:
        yield path


@pytest.fixture
def shell(folder: Path) -> Shell:
    """The command, on the data folder."""
    return Shell(LIVEWALL_DATA_DIR=str(folder))


def test_version_and_help(shell: Shell) -> None:
    assert shell.typed("--version").stdout == "0.1.0\n"
    assert "Start everything on this machine" in shell.ok("--help")


def test_config_shows_settings_but_no_secret(shell: Shell) -> None:
    said = shell.ok("config", LIVEWALL_SECRET=SECRET, LIVEWALL_PORT="9999")
    assert "9999" in said
    assert SECRET not in said


def test_a_bundle_for_the_supabase_cli(shell: Shell, tmp_path: Path) -> None:
    assert "supabase db push" in shell.ok("db", "bundle", "--help")
    refusal = shell.run("db", "bundle", str(tmp_path))
    assert refusal.returncode == 1
    assert "has no folder supabase" in refusal.stderr
    assert len(refusal.stderr.splitlines()) == 1
    (tmp_path / "supabase").mkdir()
    written = Path(shell.ok("db", "bundle", str(tmp_path)).strip())
    assert written.read_text().startswith("-- Written by `livewall db bundle`.")
    assert [*(tmp_path / "supabase" / "migrations").iterdir()] == [written]
    again = json.loads(shell.ok("db", "bundle", str(tmp_path), "--json"))
    assert again == {"written": None, "newest": str(written)}


def test_the_token_that_opens_the_metrics(shell: Shell) -> None:
    said = shell.ok("metrics-token", LIVEWALL_SECRET=SECRET)
    assert said == f"{Settings(secret=SECRET).metrics_token}\n"


def test_help_loads_no_database_driver() -> None:
    """It is the first thing people type, and every import delays it."""
    script = "import sys, livewall.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert not {"asyncpg", "structlog", "rich.table", "litestar"} & set(loaded.stdout.split())


def test_a_misspelled_setting(shell: Shell) -> None:
    # Its exit code is the process's.
    result = shell.typed("config", LIVEWALL_PROT="1")
    assert (result.returncode, result.stdout) == (1, "")
    assert "did you mean LIVEWALL_PORT?" in result.stderr
    assert result.stderr == shell.refused("config", LIVEWALL_PROT="1")


def test_an_unwritable_data_folder(shell: Shell) -> None:
    refusal = shell.refused("db", "start", LIVEWALL_DATA_DIR="/proc/nowhere")
    assert "set LIVEWALL_DATA_DIR" in refusal


def test_a_wrong_database_url(shell: Shell) -> None:
    refusal = shell.refused("db", "migrate", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert "check DATABASE_URL" in refusal
    assert "at 127.0.0.1 port 1," in refusal


def test_a_database_url_that_is_none(shell: Shell) -> None:
    for url in ("garbage", "http://127.0.0.1/secret", "postgresql://u:secret@host:port/x"):
        refusal = shell.refused("db", "lint", DATABASE_URL=url)
        assert "use one such as postgresql://" in refusal
        assert "secret" not in refusal


@pytest.mark.parametrize("command", ["up", "serve"])
def test_a_port_in_use(shell: Shell, folder: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        fresh = folder / f"fresh-{command}"
        refusal = shell.refused(command, LIVEWALL_PORT=port, LIVEWALL_DATA_DIR=str(fresh))
    assert "set LIVEWALL_PORT" in refusal
    assert not fresh.exists()


@pytest.mark.parametrize(
    "url", ["nonsense", "ftp://127.0.0.1", "http://", "http://a:b", "http://a..b"]
)
def test_a_demo_for_an_address_that_is_none(shell: Shell, url: str) -> None:
    assert f"{url!r} is not an address" in shell.refused("demo", "--url", url)


def test_a_demo_for_a_server_that_is_not_there_says_so_and_keeps_trying(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    process = subprocess.Popen(
        [sys.executable, "-m", "livewall", "demo", "--url", url],
        env=shell.environment,
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
    refusal = on(database, folder).refused(*command, LIVEWALL_PORT="0")
    assert "newer than this code" in refusal


async def test_serve_wants_a_prepared_database(empty_database: Database, folder: Path) -> None:
    refusal = on(empty_database, folder).refused("serve", LIVEWALL_PORT="0")
    assert "run `livewall db migrate`" in refusal


async def test_the_database_from_start_to_stop(shell: Shell, folder: Path) -> None:
    # A process of its own: the database outlives whoever started it.
    assert shell.typed("db", "start").returncode == 0
    try:
        url = shell.ok("db", "url").strip()
        shell.ok("db", "migrate")
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE mine ()")
        await connection.close()
        tokens = folder / "demo.json"
        tokens.write_text("{}")
        shell.ok("db", "reset", "--yes")
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT to_regclass('public.mine')") is None
        assert await connection.fetchval("SELECT to_regclass('public.profiles')") is not None
        assert not tokens.exists()
        await connection.close()
    finally:
        assert shell.ok("db", "stop") == "Stopped.\n"
    assert "not running" in shell.ok("db", "stop")
    assert "not running" in shell.refused("db", "url")


def test_reset_asks_first_and_never_in_production(shell: Shell) -> None:
    asked = shell.run("db", "reset")
    assert asked.returncode == 1
    assert "Delete every account" in asked.stdout
    refused = shell.refused(
        "db",
        "reset",
        "--yes",
        LIVEWALL_ENV="production",
        LIVEWALL_SECRET=SECRET,
        LIVEWALL_ACCEPT_PEER_ADDRESSES="viewers and streamers see each other's addresses",
    )
    assert "refused in production" in refused


@pytest.mark.spec("D1")
async def test_a_user_with_a_role_and_a_token(database: Database, folder: Path) -> None:
    shell = on(database, folder)
    made = shell.run("user", "create", "mia", "--role", "moderator", "--print-token")
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1].count(".") == 2
    admin = await database.admin()
    roles = await admin.fetch("SELECT role FROM private.staff_roles")
    assert [row["role"] for row in roles] == ["moderator"]
    assert "taken" in shell.refused("user", "create", "MIA")


@pytest.mark.spec("D1")
async def test_users_and_their_passwords(database: Database, folder: Path) -> None:
    shell = on(database, folder)
    assert "user create NAME" in shell.run("user", "list").stderr
    create = ("user", "create", "ada", "--role", "moderator", "--password")
    assert "8 to 200 characters" in shell.refused(*create, said="short")
    made = shell.run(*create, said="long enough")
    assert made.stderr == "Created ada. Sign in with name and password.\n"
    admin = await database.admin()
    hashes = "SELECT password_hash FROM private.credentials"
    before = await admin.fetchval(hashes)
    changed = shell.run("user", "password", "Ada", said="another one")
    assert changed.returncode == 0, changed.stderr
    after = await admin.fetchval(hashes)
    verify = PasswordHash((Argon2Hasher(),)).verify
    assert verify("long enough", before)
    assert verify("another one", after)
    await admin.execute("SELECT public.create_guest('some.guest')")
    for nobody in ("nobody", "some.guest"):
        refused = shell.refused("user", "password", nobody, said="another one")
        assert f"No account is called {nobody}" in refused
    listed = shell.run("user", "list").stdout.splitlines()
    assert listed[1].split()[:3] == ["ada", "ada", "moderator"]
    assert len(listed) == 2
    assert [(user["name"], user["roles"]) for user in shell.read("user", "list")] == [
        ("ada", ["moderator"])
    ]


def test_a_password_is_asked_for_twice_and_never_shown(shell: Shell) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "livewall", "user", "password", "ada"],
        env=shell.environment | {"DATABASE_URL": "postgresql://x@127.0.0.1:1/x"},
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
    shell = on(database, folder)
    clean = shell.run("db", "lint")
    assert (clean.returncode, clean.stdout, clean.stderr) == (0, "", "")
    admin = await database.admin()
    await admin.execute("ALTER TABLE public.profiles DISABLE ROW LEVEL SECURITY")
    found = shell.run("db", "lint")
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


def test_up_from_ready_to_stopped(shell: Shell, folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "livewall", "up"],
        env=shell.environment | {"LIVEWALL_PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        url = _ready_url(process)
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            assert answer.status == 200
        assert "postgresql://" in shell.ok("db", "url")
        # By another shell, which was not told the port.
        made = shell.run("user", "create", "finn", "--password", said="long enough")
        assert made.stderr == f"Created finn. Sign in at {url}/sign-in.\n"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        assert process.stdout is not None
        process.stdout.close()
    assert "not running" in shell.refused("db", "url")
    assert not (folder / noted_address.NAME).exists()


def test_an_address_that_can_not_be_read_is_unknown(tmp_path: Path) -> None:
    (tmp_path / noted_address.NAME).mkdir()
    settings = Settings(data_dir=str(tmp_path))
    with noted_address.noted(settings):
        assert noted_address.find(settings) is None


def _ready_url(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        if "Livewall is ready: " in line:
            return line.split()[-1]
    raise AssertionError("no address was printed")
