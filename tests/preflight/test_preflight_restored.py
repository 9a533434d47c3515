"""What a backup brings back is what S29 expects: nobody is told of a change that nobody made."""

from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from livewall.code_catalog import Connection
from livewall.preflight import expected
from livewall.preflight.printed import flat
from tests.databases import Cluster, Database
from tests.shell import on


@pytest_asyncio.fixture
async def restored(
    cluster: Cluster, database: Database, tmp_path: Path
) -> AsyncGenerator[Connection]:
    """The same database, out of a backup of it."""
    name = await cluster.create("template0")
    shell = on(database, tmp_path / "data")
    kept = shell.ok("backup", str(tmp_path / "kept")).strip()
    shell.ok("restore", kept, "--into", cluster.admin_url(name))
    admin = await asyncpg.connect(cluster.admin_url(name))
    yield admin
    await admin.close()
    await cluster.drop(name)


@pytest.mark.spec("S29", "D8")
async def test_a_backup_brings_back_what_is_expected(restored: Connection) -> None:
    wanted, found = expected.read_expected(), await expected.read_schema(restored)
    other = {item for item in wanted.keys() | found.keys() if wanted.get(item) != found.get(item)}
    assert other == set(), "a body that PostgreSQL prints in another way once it was read back"


MEANING_OTHERWISE = [
    ("((a OR b) AND c)", "(a OR b AND c)"),
    ("((a AND b) OR c)", "(a AND (b OR c))"),
    ("((NOT (a AND b)) AND c)", "(NOT (a AND b AND c))"),
    ("(f((a AND b)) AND c)", "(f(a) AND b AND c)"),
    ("(((a AND b) IS TRUE) AND c)", "((a AND b AND c) IS TRUE)"),
    ("(x = '((a AND b) AND c)')", "(x = '(a AND b AND c)')"),
    ("((a AND b) = c AND d)", "(a AND b = c AND d)"),
]


@pytest.mark.spec("S29")
@pytest.mark.parametrize(("one", "other"), MEANING_OTHERWISE)
def test_what_means_something_else_is_told_apart(one: str, other: str) -> None:
    assert flat(one) != flat(other)


def test_what_means_the_same_is_the_same() -> None:
    assert flat("((((a) AND (b)) AND c) OR d)") == flat("(((a) AND (b) AND c) OR d)")
    assert flat("x (((a OR b) OR (c OR d)))") == "x ((a OR b OR c OR d))"
    assert flat("never (closed AND (a") == "never (closed AND (a"
