"""Which database a command means: never a new one by mistake, and never another one's password."""

from collections.abc import Generator
from pathlib import Path

import asyncpg
import pytest

from livewall import cli
from livewall.db import Database, cause_of
from livewall.errors import Refusal
from livewall.settings import Settings
from tests.databases import data_folder
from tests.shell import Shell

LOOKING = [
    "backup kept",
    "preflight",
    "db lint",
    "db stop",
    "db url",
    "ledger head",
    "ledger verify",
    "purchases held",
    "purchases settings",
    "user create mia",
    "user list",
    "user password mia",
    "webhooks list",
]


@pytest.mark.parametrize("command", LOOKING)
def test_what_looks_into_a_database_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = Shell().refused(*command.split())
    assert f"There is no database in {tmp_path}/.livewall" in said
    assert "LIVEWALL_DATA_DIR" in said
    assert "DATABASE_URL" in said
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_whose_database_lies_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "elsewhere").mkdir(parents=True)
    shell = Shell(LIVEWALL_DATA_DIR=str(folder))
    (folder / "postgres.path").write_text(f"{folder}/gone\n")
    assert "There is no database" in shell.refused("db", "url")
    (folder / "postgres.path").write_text(f"{folder}/elsewhere\n")
    assert "not running" in shell.refused("db", "url")


@pytest.fixture
def own() -> Generator[Shell]:
    """A PostgreSQL of this test's own, running, with Livewall in it."""
    with data_folder() as folder:
        shell = Shell(LIVEWALL_DATA_DIR=str(folder), LIVEWALL_SECRET=_secret("first"))
        shell.ok("db", "start")
        shell.ok("db", "migrate")
        yield shell
        shell.ok("db", "stop")


def _secret(name: str) -> str:
    return f"the {name} secret, of at least thirty-two bytes"


def _lets_in(shell: Shell, **settings: str) -> bool:
    result = shell.run("user", "list", **settings)
    said = "another password than goes with these settings: use those of the server."
    assert (result.returncode == 0) != (said in result.stderr), result.stderr
    return result.returncode == 0


async def test_a_new_secret_and_two_databases_that_share_the_role(own: Shell) -> None:
    url = own.ok("db", "url").strip()
    rotated = {"LIVEWALL_SECRET": _secret("second")}
    # Whoever has another secret at hand is refused, and changes nothing for the server.
    assert not _lets_in(own, **rotated)
    own.ok("ledger", "verify", **rotated)
    assert _lets_in(own)
    # Alone, a new secret needs no more than this.
    said = own.run("db", "migrate", **rotated)
    assert (said.returncode, said.stdout) == (0, "")
    assert said.stderr == (
        f"The database is up to date: the database in {own.environment['LIVEWALL_DATA_DIR']}.\n"
    )
    assert _lets_in(own, **rotated)

    admin = await asyncpg.connect(url)
    await admin.execute("CREATE DATABASE staging TEMPLATE template0")
    await admin.close()
    staging = {
        "DATABASE_URL": url.replace("/livewall?", "/staging?"),
        "LIVEWALL_SECRET": _secret("third"),
    }
    refused = own.refused("db", "migrate", **staging)
    assert "would lock out livewall, which shares the role" in refused
    assert "LIVEWALL_AUTHENTICATOR_URL" in refused
    assert _lets_in(own, **rotated)
    # The ways out that the line names.
    address = Settings(database_url=staging["DATABASE_URL"], secret=_secret("second"))
    known = staging | {"LIVEWALL_AUTHENTICATOR_URL": address.web_database_url}
    assert "database staging at the socket in" in own.run("db", "migrate", **known).stderr
    assert _lets_in(own, **known)
    own.ok("db", "migrate", **(staging | rotated))
    own.ok("db", "migrate", "--new-password", **staging)
    assert _lets_in(own, **staging)
    assert not _lets_in(own, **rotated)


async def test_a_password_that_the_administrator_may_not_change(own: Shell) -> None:
    url = own.ok("db", "url").strip()
    admin = await asyncpg.connect(url)
    # Not who made the role: that is whom PostgreSQL lets change it.
    await admin.execute("CREATE ROLE other LOGIN PASSWORD 'p'; GRANT livewall_owner TO other")
    await admin.close()
    place = url.partition("@")[2]
    refused = own.refused(
        *("db", "migrate"),
        DATABASE_URL=f"postgresql://other:p@{place}",
        LIVEWALL_SECRET=_secret("second"),
    )
    assert "this administrator may not change it" in refused


async def test_why_the_database_is_away_is_told(unused_tcp_port: int) -> None:
    nowhere = Database(f"postgresql://authenticator@127.0.0.1:{unused_tcp_port}/x")
    with pytest.raises(Refusal) as refused:
        await nowhere.is_ready()
    assert cause_of(refused.value) == {"error": "ConnectionRefusedError"}
    said = cli.known_failure(refused.value)
    assert said == "Database is away (ConnectionRefusedError). Try again in a few seconds."
