"""What PostgreSQL gives everybody beside tables and functions, and Livewall takes back."""

import pytest

from tests.sql.world import World, refused


@pytest.mark.spec("S29")
@pytest.mark.abuse("A3")
@pytest.mark.parametrize("who", ["anon", "authenticated", "service_role"])
async def test_no_api_role_writes_large_objects_or_holds_the_servers_locks(
    world: World, who: str
) -> None:
    for statement in (
        "SELECT lo_from_bytea(0, 'abc')",
        "SELECT lo_create(0)",
        "SELECT lo_creat(-1)",
        "SELECT lowrite(0, 'abc')",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock(1, 2)",
        "SELECT pg_advisory_xact_lock(hashtextextended('viewer', 0))",
    ):
        with refused("42501"):
            await world.sql(who, statement)
