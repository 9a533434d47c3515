"""Backups come back as they were, to the coin; whatever is not a whole one is refused in a line."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from livewall import backup, operations, restore
from livewall.claims import claimed
from livewall.contents import Contents
from tests.databases import Cluster
from tests.shell import Shell, on
from tests.sql import money
from tests.sql.backups import SETTINGS, history, rewrite, settled_history
from tests.sql.world import World


@pytest.fixture
def shell(world: World, tmp_path: Path) -> Shell:
    """The command on this test's database, with a data folder that only keeps what was done."""
    return on(world.database, tmp_path / "data", **SETTINGS)


@pytest_asyncio.fixture
async def empty(cluster: Cluster) -> AsyncGenerator[str]:
    """The address of an empty database."""
    name = await cluster.create("template0")
    yield cluster.admin_url(name)
    await cluster.drop(name)


@pytest.mark.spec("D8")
async def test_not_a_coin_moved(world: World, shell: Shell, empty: str, tmp_path: Path) -> None:
    await history(world)
    [fan, streamer] = await world.rows("SELECT id FROM profiles ORDER BY name LIMIT 2")
    balances = "SELECT id, profile_id, balance FROM private.ledger_accounts ORDER BY id"
    before, head = await world.rows(balances), await money.head(world)
    folder = Path(shell.ok("backup", str(tmp_path / "kept")).strip())
    assert folder == tmp_path / "kept"
    assert {path.name for path in folder.iterdir()} == {"database.dump", "manifest.json"}
    # What happens afterwards is not in it.
    await money.give_coins(world, await world.person("late"), 70)
    await money.fold(world)
    proof = shell.read("restore", str(folder), "--into", empty, "--head", head)
    assert (proof["head"], proof["differences"]) == (head, [])
    admin = await asyncpg.connect(empty)
    assert [tuple(row) for row in await admin.fetch(balances)] == before
    # Policies and grants came along: a person sees what is theirs, and writes no money.
    await admin.execute(
        "SET ROLE authenticated;"
        f"SET request.jwt.claims = '{json.dumps({'sub': str(fan[0]), 'role': 'authenticated'})}'"
    )
    assert await admin.fetchval("SELECT count(*) FROM public.ledger_entries") > 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await admin.execute("UPDATE private.ledger_accounts SET balance = 9")
    await admin.close()
    assert fan != streamer
    lint = ("db", "lint")  # a world has a clock of its own, which the linter sees in both
    assert shell.run(*lint, DATABASE_URL=empty).stdout == shell.run(*lint).stdout
    # The difference of one coin, or of one person, is seen and named.
    made = backup.find(folder)
    contents = msgspec.to_builtins(made.manifest.contents)
    more_gifts = contents["rows"] | {"public.gifts": 3}
    other_head = contents["head"] | {"hash": "0" * 64}
    damages: list[tuple[dict[str, object], str]] = [
        ({"rows": more_gifts}, "rows of public.gifts: 3 when backed up, 2 restored"),
        ({"balances": {}}, "balance of coins wallet: none when backed up"),
        ({"head": other_head}, "exported_head_is_in_the_chain"),
    ]
    for damage, words in damages:
        said = msgspec.structs.replace(
            made.manifest,
            contents=msgspec.convert(contents | damage, Contents),
        )
        found = await restore.prove(said, empty, None, 0)
        assert any(words in line for line in found.differences), found
    admin = await asyncpg.connect(empty)
    # Sums alone would not see it.
    await admin.execute(
        "UPDATE private.ledger_accounts SET balance = balance + CASE WHEN balance > 10 THEN -1 ELSE"
        " 1 END WHERE kind = 'wallet'"
    )
    await admin.close()
    found = await restore.prove(made.manifest, empty, None, 0)
    assert not any("balance of" in line for line in found.differences)
    assert any(line.startswith("balances_match_entries") for line in found.differences)
    assert "balances: somebody's is another than when backed up" in found.differences


@pytest.mark.spec("D8")
async def test_a_drill_touches_nothing_and_leaves_nothing(
    world: World, shell: Shell, tmp_path: Path, drills: Path
) -> None:
    await settled_history(world)
    (tmp_path / "all").mkdir()
    shell.ok("backup", str(tmp_path / "all"), "--with-secret")
    made = backup.find(tmp_path / "all")
    assert (made.folder / "secret").read_text().strip() == SETTINGS["LIVEWALL_SECRET"]
    (drills / "livewall-drill-killed").mkdir()
    (drills / "livewall-drill-other").mkdir()
    with claimed(drills / "livewall-drill-other"):
        drilled = shell.run("restore", "--drill", str(tmp_path / "all"))
    assert drilled.returncode == 0, drilled.stderr
    assert [path.name for path in drills.iterdir()] == ["livewall-drill-other"]
    assert f"head {await money.head(world)}" in drilled.stdout
    assert "Proven in" in drilled.stderr
    done = operations.read(tmp_path / "data", "drill")
    assert done is not None
    assert (done.is_ok, done.place) == (True, str(made.folder))
    # One that does not prove true is a failed one, which the last success stays beside.
    contents = msgspec.to_builtins(made.manifest.contents)
    contents["balances"]["coins wallet"] += 1
    rewrite(made, contents=contents)
    wrong = shell.run("restore", "--drill", str(made.folder))
    assert wrong.returncode == 1
    assert wrong.stdout.startswith("balance of coins wallet: ")
    failed = operations.read(tmp_path / "data", "drill")
    assert failed is not None
    assert (failed.is_ok, failed.succeeded_at) == (False, done.succeeded_at)
    assert failed.wrong in wrong.stdout


async def test_no_superuser_is_needed(
    world: World, cluster: Cluster, empty: str, tmp_path: Path
) -> None:
    await settled_history(world)
    name = empty.rpartition("/")[2].partition("?")[0]
    role = f"operator_{name}"
    await cluster.execute(f"CREATE ROLE {role} LOGIN CREATEROLE PASSWORD 'p'")
    try:
        await cluster.execute(f"GRANT livewall_owner TO {role} WITH ADMIN OPTION")
        await cluster.execute(f"ALTER DATABASE {name} OWNER TO {role}")
        shell = Shell(
            DATABASE_URL=cluster.server.url(world.database.name, role, "p"),
            LIVEWALL_DATA_DIR=str(tmp_path / "data"),
            **SETTINGS,
        )
        shell.ok("backup", str(tmp_path / "kept"))
        into = cluster.server.url(name, role, "p")
        proof = shell.read("restore", str(tmp_path / "kept"), "--into", into)
        assert proof["differences"] == []
    finally:
        await cluster.execute(f"ALTER DATABASE {name} OWNER TO CURRENT_USER")
        admin = await asyncpg.connect(empty)
        await admin.execute(f"DROP OWNED BY {role}")
        await admin.close()
        await cluster.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
