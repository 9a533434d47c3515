"""Each role really runs each verb on each table, with rows of other people there."""

from typing import Any

import asyncpg
import pytest

from tests.databases import Person
from tests.sql.world import Beat, Who, World, become, refused

# How many of the two rows there (one of alice, one of bob) a plain statement over the whole table
# meets, or "no" where the privilege is missing: its owner's column, a column that is written, what
# anon, alice and service_role read, what alice's UPDATE and DELETE touch.
BEHAVIOUR = {
    "profiles": ("id", "bio", 2, 2, 2, 1, "no"),
    "user_links": ("profile_id", "label", 2, 2, 2, 1, 1),
    "follows": ("follower_id", "created_at", 2, 2, 2, "no", 1),
    "blocks": ("blocker_id", "created_at", "no", 1, "no", "no", "no"),
    "live_streams": ("streamer_id", "title", 2, 2, 2, 1, "no"),
    "user_grid_slots": ("viewer_id", "volume", "no", 1, "no", 1, 1),
    "active_viewers": ("viewer_id", "is_visible", "no", 1, "no", 1, 1),
    "chat_messages": ("sender_id", "body", 2, 2, 2, "no", "no"),
}
INSERT_FOR_BOB = {
    "profiles": "(id, name, display_name) VALUES (gen_random_uuid(), 'fresh', 'x')",
    "user_links": "(profile_id, position, label, url) VALUES ($1, 5, 'x', 'https://a.example')",
    "follows": "(follower_id, followee_id) SELECT $1, id FROM profiles WHERE name = 'carol'",
    "blocks": "(blocker_id, blocked_id) SELECT $1, id FROM profiles WHERE name = 'alice'",
    "live_streams": "(streamer_id) SELECT id FROM profiles WHERE name = 'dave'",
    "user_grid_slots": "(viewer_id, slot_index, streamer_id) VALUES ($1, 5, $1)",
    "active_viewers": (
        "(viewer_id, live_stream_id, session_id)"
        " SELECT $1, id, gen_random_uuid() FROM live_streams LIMIT 1"
    ),
    "chat_messages": (
        "(sender_id, live_stream_id, body) SELECT $1, id, 'x' FROM live_streams LIMIT 1"
    ),
}
TABLES = list(BEHAVIOUR)


async def populated(world: World) -> tuple[Person, Person]:
    """Give alice and bob one row in every table; return the two."""
    alice, bob, _, dave = await world.people("alice", "bob", "carol", "dave")
    streams = {person: await world.live(person) for person in (alice, bob)}
    link = [{"label": "Me", "url": "https://a.example"}]
    for sequence, person in enumerate((alice, bob), 1):
        await world.call(person, "replace_links", p_links=link)
        await world.call(person, "follow", p_name="dave")
        await world.call(person, "block", p_name="carol")
        await world.call(person, "save_grid", p_slots=[{"slot_index": 1, "streamer_id": dave.id}])
        stream = streams[person]
        await world.beat(Beat(person, stream, sequence))
        await world.call(person, "send_chat_message", p_live_stream_id=stream, p_body="hello")
    return alice, bob


async def tried(world: World, who: Who, statement: str, *arguments: object) -> int | str:
    """Run a statement, roll it back, and return the rows it met or "no" for 42501."""
    transaction = world.login.transaction()
    await transaction.start()
    try:
        await become(world.login, who)
        return int((await world.login.execute(statement, *arguments)).split()[-1])
    except asyncpg.InsufficientPrivilegeError:
        return "no"
    finally:
        await transaction.rollback()


@pytest.mark.spec("S1", "S5", "S6", "S7", "S8", "S9", "S10")
async def test_each_role_reads_exactly_the_rows_promised(world: World) -> None:
    alice, bob = await populated(world)
    found: dict[str, list[int | str]] = {}
    for table, (owner, *_) in BEHAVIOUR.items():
        query = f"SELECT FROM {table} WHERE {owner} = ANY ($1)"
        both = [alice.id, bob.id]
        found[table] = [
            await tried(world, who, query, both) for who in ("anon", alice, "service_role")
        ]
    assert found == {table: list(cells[2:5]) for table, cells in BEHAVIOUR.items()}


@pytest.mark.spec("S1", "S5", "S6", "S7", "S8", "S9", "S10")
async def test_each_role_changes_exactly_the_rows_promised(world: World) -> None:
    alice, _ = await populated(world)
    found: dict[str, list[int | str]] = {}
    others: dict[str, set[int | str]] = {}
    for table, (_, column, *_) in BEHAVIOUR.items():
        statements = (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}")
        found[table] = [await tried(world, alice, statement) for statement in statements]
        others[table] = {
            await tried(world, who, statement)
            for who in ("anon", "service_role")
            for statement in statements
        }
    assert found == {table: list(cells[5:]) for table, cells in BEHAVIOUR.items()}
    assert others == {table: {"no"} for table in TABLES}


@pytest.mark.spec("S1", "S5", "S6", "S7", "S8", "S9", "S10")
@pytest.mark.abuse("A1", "A14")
@pytest.mark.parametrize("table", TABLES)
async def test_nobody_inserts_a_row_for_somebody_else(world: World, table: str) -> None:
    alice, bob = await populated(world)
    statement = f"INSERT INTO {table} {INSERT_FOR_BOB[table]}"
    arguments: list[Any] = [bob.id] if "$1" in statement else []
    for who in (alice, "anon", "service_role"):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await world.done(who, statement, *arguments)
        assert caught.value.sqlstate in ("42501", "LW020"), table


@pytest.mark.spec("S29")
@pytest.mark.parametrize("table", [*TABLES, "private.credentials", "auth.users"])
async def test_nobody_gets_around_policies(world: World, table: str) -> None:
    alice = await world.person("alice")
    for who in (alice, "anon", "service_role"):
        for statement in (
            f"TRUNCATE {table}",
            f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
            f"DROP TABLE {table} CASCADE",
            f"CREATE POLICY mine ON {table} USING (true)",
            (
                f"CREATE TRIGGER mine BEFORE INSERT ON {table}"
                " EXECUTE FUNCTION private.normalize_profile()"
            ),
            f"CREATE TABLE public.mine (LIKE {table})",
        ):
            with refused("42501"):
                await world.sql(who, statement)


@pytest.mark.spec("S6", "S10", "S29")
async def test_a_row_cannot_be_found_out_by_an_error(world: World) -> None:
    alice, bob = await populated(world)
    # Were the policy's check to come after a leaky condition, the division would tell.
    leaky = "SELECT 1 / (volume - volume) FROM user_grid_slots WHERE viewer_id = $1"
    assert await world.sql(alice, leaky, bob.id) == []
    with refused("22012"):
        await world.sql(alice, leaky, alice.id)
