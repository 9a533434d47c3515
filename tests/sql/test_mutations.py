"""The tests of this folder notice damage: each named mutation turns its test red."""

from typing import Any

import asyncpg
import pytest

from tests.databases import Cluster
from tests.sql.mutations import MUTATIONS
from tests.sql.mutations.damage import Check, Mutation
from tests.sql.world import is_crash, new_world

RED = (AssertionError, asyncpg.PostgresError, pytest.fail.Exception)

# What SQL decides; every one of these has a mutation. A13 is decided in Python, and damaged
# there: tests/server/test_token_damage.py.
DECIDED_BY_SQL = {
    *(f"S{n}" for n in range(1, 28)),
    *("D4", "D5"),
    *(f"A{n}" for n in range(1, 12)),
    *("A12", *(f"A{n}" for n in range(14, 24)), *(f"A{n}" for n in range(25, 36))),
}


def proves(check: Check) -> set[str]:
    """Return the ids that a test carries."""
    marks: list[Any] = getattr(check, "pytestmark", [])
    return {id_ for mark in marks if mark.name in ("spec", "abuse") for id_ in mark.args}


def test_every_requirement_that_sql_decides_has_a_mutation() -> None:
    covered = {id_ for mutation in MUTATIONS for id_ in proves(mutation.red)}
    assert sorted(DECIDED_BY_SQL - covered) == []
    names = [mutation.name for mutation in MUTATIONS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
async def test_damage_turns_its_test_red(
    cluster: Cluster, world_template: str, mutation: Mutation
) -> None:
    async with new_world(cluster, world_template) as world:
        await world.admin.execute("SET ROLE livewall_owner")
        await world.admin.execute(mutation.damage)
        await world.admin.execute("RESET ROLE")
        with pytest.raises(RED) as caught:
            await mutation.red(world, **mutation.arguments)
        assert not is_crash(caught.value), f"broke the code, not the rule: {caught.value}"
