"""S11: everybody's own wall of 12 slots, stored and given back, never shared."""

from typing import Any

import pytest

from tests.databases import Person
from tests.sql.world import World, refused, tab


def slots(streamers: list[Person], **more: object) -> list[dict[str, Any]]:
    """Return a layout with these streamers in slots 1, 2, 3, ..."""
    return [
        {"slot_index": index, "streamer_id": streamer.id, **more}
        for index, streamer in enumerate(streamers, 1)
    ]


async def layout(world: World, who: Person) -> list[tuple[int, str]]:
    """Return somebody's wall as they get it: slot and name."""
    return [
        (slot["slot_index"], slot["streamer"]["name"]) for slot in await world.call(who, "get_grid")
    ]


@pytest.mark.spec("S11", "S38")
async def test_two_people_have_twelve_slots_each_and_share_none(world: World) -> None:
    alice, bob, *cast = await world.people("alice", "bob", *(f"cast.{n}" for n in range(12)))
    saved = await world.call(alice, "save_grid", p_slots=slots(cast))
    assert [slot["slot_index"] for slot in saved] == list(range(1, 13))
    await world.call(bob, "save_grid", p_slots=slots(cast[::-1]))
    assert await layout(world, alice) == [(n + 1, person.name) for n, person in enumerate(cast)]
    await world.call(bob, "save_grid", p_slots=[])
    assert await layout(world, bob) == []
    assert len(await layout(world, alice)) == 12


@pytest.mark.spec("S11")
async def test_a_wall_comes_back_as_it_was_saved(world: World) -> None:
    alice, one, two = await world.people("alice", "one", "two")
    stream = await world.live(two)
    wanted = [
        {
            "slot_index": 3,
            "streamer_id": str(one.id),
            "is_pinned": True,
            "is_muted": True,
            "is_active": False,
            "volume": 0,
        },
        {
            "slot_index": 12,
            "streamer_id": str(two.id),
            "is_pinned": False,
            "is_muted": False,
            "is_active": True,
            "volume": 55,
        },
    ]
    await world.call(alice, "save_grid", p_slots=wanted)
    got = await world.call(alice, "get_grid")
    assert [{key: slot[key] for key in wanted[0]} for slot in got] == wanted
    assert (got[0]["stream"], got[1]["stream"]["id"]) == (None, str(stream))
    snapshot = await world.call(alice, "socket_snapshot", p_session_id=tab())
    assert snapshot["slots"] == got


@pytest.mark.spec("S10", "S11")
async def test_plain_sql_sees_and_changes_only_the_own_wall(world: World) -> None:
    alice, bob, star = await world.people("alice", "bob", "star")
    insert = "INSERT INTO user_grid_slots (slot_index, streamer_id) VALUES ($1, $2)"
    await world.done(alice, insert, 1, star.id)
    await world.done(bob, insert, 7, star.id)
    seen = await world.sql(alice, "SELECT viewer_id, slot_index FROM user_grid_slots")
    assert [tuple(row) for row in seen] == [(alice.id, 1)]
    for_bob = "INSERT INTO user_grid_slots (viewer_id, slot_index, streamer_id) VALUES ($1, $2, $3)"
    with refused("42501"):
        await world.done(alice, for_bob, bob.id, 2, alice.id)
    assert await world.done(alice, "UPDATE user_grid_slots SET is_pinned = true") == 1
    assert await world.done(alice, "DELETE FROM user_grid_slots WHERE viewer_id = $1", bob.id) == 0
    with refused("42501"):
        await world.done(alice, "UPDATE user_grid_slots SET viewer_id = $1", bob.id)
    with refused("42501"):
        await world.sql("anon", "SELECT 1 FROM user_grid_slots")
    rows = await world.rows("SELECT viewer_id, slot_index, is_pinned FROM user_grid_slots")
    assert sorted(rows, key=lambda row: row[1]) == [(alice.id, 1, True), (bob.id, 7, False)]


@pytest.mark.spec("S11")
@pytest.mark.abuse("A10")
@pytest.mark.parametrize("index", [0, 13, -1, 1.5, "1", None, True, 1e300])
async def test_a_slot_that_is_not_1_to_12_is_refused(world: World, index: object) -> None:
    alice, star = await world.people("alice", "star")
    await world.call(alice, "save_grid", p_slots=slots([star]))
    with refused("LW040"):
        await world.call(
            alice, "save_grid", p_slots=[{"slot_index": index, "streamer_id": star.id}]
        )
    assert await layout(world, alice) == [(1, "star")]


@pytest.mark.spec("S11")
@pytest.mark.abuse("A10")
@pytest.mark.parametrize("index", ["0", "13", "-1"])
async def test_plain_sql_cannot_write_such_a_slot_either(world: World, index: str) -> None:
    alice, star = await world.people("alice", "star")
    insert = f"INSERT INTO user_grid_slots (slot_index, streamer_id) VALUES ({index}, $1)"
    with refused("user_grid_slots_index_1_to_12"):
        await world.done(alice, insert, star.id)
    with refused("23502"):
        await world.done(alice, insert.replace(index, "NULL", 1), star.id)


@pytest.mark.spec("S11")
@pytest.mark.abuse("A11")
async def test_one_streamer_in_two_slots_is_refused(world: World) -> None:
    alice, star = await world.people("alice", "star")
    twice = [{"slot_index": n, "streamer_id": star.id} for n in (1, 2)]
    with refused("user_grid_slots_streamer_once"):
        await world.call(alice, "save_grid", p_slots=twice)
    insert = "INSERT INTO user_grid_slots (slot_index, streamer_id) VALUES (1, $1), (2, $1)"
    with refused("user_grid_slots_streamer_once"):
        await world.done(alice, insert, star.id)
    assert await layout(world, alice) == []


@pytest.mark.spec("S11")
@pytest.mark.abuse("A10")
async def test_one_slot_holds_one_streamer(world: World) -> None:
    alice, one, two = await world.people("alice", "one", "two")
    both = [{"slot_index": 1, "streamer_id": person.id} for person in (one, two)]
    with refused("user_grid_slots_one_per_index"):
        await world.call(alice, "save_grid", p_slots=both)


@pytest.mark.spec("S11")
@pytest.mark.abuse("A9")
async def test_thirteen_slots_are_refused(world: World) -> None:
    alice, *cast = await world.people("alice", *(f"cast.{n}" for n in range(13)))
    with refused("LW023"):
        await world.call(alice, "save_grid", p_slots=slots(cast))


@pytest.mark.spec("S12")
@pytest.mark.abuse("A9")
async def test_five_active_tiles_are_refused(world: World) -> None:
    alice, *cast = await world.people("alice", *(f"cast.{n}" for n in range(5)))
    with refused("LW024"):
        await world.call(alice, "save_grid", p_slots=slots(cast, is_active=True))
    await world.call(alice, "save_grid", p_slots=slots(cast[:4], is_active=True))
    with refused("LW024"):
        await world.done(
            alice,
            "INSERT INTO user_grid_slots (slot_index, streamer_id, is_active) VALUES (5, $1, true)",
            cast[4].id,
        )
    swap = "UPDATE user_grid_slots SET slot_index = 13 - slot_index, is_active = NOT is_active"
    assert await world.done(alice, swap) == 4
    assert len(await layout(world, alice)) == 4


@pytest.mark.spec("S11")
@pytest.mark.parametrize("wall", [{"slot_index": 1}, "wall", None, 7])
async def test_a_wall_that_is_no_list_is_refused(world: World, wall: object) -> None:
    alice = await world.person("alice")
    with refused("LW040"):
        await world.call(alice, "save_grid", p_slots=wall)


@pytest.mark.spec("S11")
async def test_two_tiles_swap_in_one_update(world: World) -> None:
    alice, one, two = await world.people("alice", "one", "two")
    await world.call(alice, "save_grid", p_slots=slots([one, two]))
    swap = (
        "UPDATE user_grid_slots SET streamer_id ="
        " CASE slot_index WHEN 1 THEN $2::uuid ELSE $1::uuid END"
    )
    assert await world.done(alice, swap, one.id, two.id) == 2
    assert await layout(world, alice) == [(1, "two"), (2, "one")]
