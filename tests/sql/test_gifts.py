"""Gifts: the sender pays, the streamer earns, the platform keeps the rest; told in order."""

import asyncio
from typing import Any

import pytest

from tests.databases import Person
from tests.sql.money import (
    fold,
    gift,
    give_coins,
    key,
    rich_fan,
    staff,
    verify,
    wallet,
)
from tests.sql.world import World, refused, tab


async def revenue(world: World) -> int:
    """Return what the platform has earned, folded."""
    await fold(world)
    [(balance,)] = await world.rows(
        "SELECT balance FROM private.ledger_accounts WHERE kind = 'revenue'"
    )
    return balance


@pytest.mark.spec("D5", "S27", "S4")
async def test_sender_streamer_and_platform_settle_in_one_transaction(world: World) -> None:
    fan, streamer = await rich_fan(world)
    sent = await gift(world, fan, streamer, "heart")
    assert {**sent, "gift_id": None} == {
        "gift_id": None,
        "gift_type_id": "heart",
        "title": "Heart",
        "emoji": "💛",
        "price": 50,
        "streamer_share": 35,
        "platform_share": 15,
        "coins": 950,
        "is_repeat": False,
    }
    assert (await wallet(world, fan))["coins"] == 950
    assert (await wallet(world, streamer))["earnings"] == 35
    assert await revenue(world) == 15
    entries = await world.rows(
        "SELECT e.currency, e.amount::int FROM ledger_entries AS e JOIN"
        " private.ledger_transactions AS t ON t.id = e.transaction_id"
        " WHERE t.kind = 'gift' ORDER BY e.line"
    )
    assert entries == [
        ("coins", -50),
        ("coins", 50),
        ("earnings", -50),
        ("earnings", 35),
        ("earnings", 15),
    ]
    assert await verify(world) == {}


@pytest.mark.spec("S4", "S27")
async def test_everybody_reads_gifts_and_nobody_writes_them(world: World) -> None:
    fan, streamer = await rich_fan(world)
    await gift(world, fan, streamer, p_slot_index=12)
    seen = "SELECT sender_id, recipient_id, slot_index FROM gifts"
    for who in (fan, streamer, "anon", "service_role"):
        assert await world.sql(who, seen) == [(fan.id, streamer.id, 12)]
    insert = (
        "INSERT INTO gifts (id, sender_id, recipient_id, gift_type_id, slot_index, price,"
        " streamer_share, platform_share)"
        " SELECT gen_random_uuid(), sender_id, recipient_id, 'rose', 1, 1, 1, 0 FROM gifts"
    )
    for statement in (insert, "UPDATE gifts SET price = 1", "DELETE FROM gifts", "TRUNCATE gifts"):
        for who in (fan, "anon", "service_role"):
            with refused("42501"):
                await world.sql(who, statement)
    for who in ("anon", "service_role"):
        with refused("42501"):
            await world.call(
                who,
                "process_gift",
                p_recipient_id=streamer.id,
                p_gift_type_id="rose",
                p_slot_index=1,
                p_live_stream_id=None,
                p_idempotency_key=key(),
            )


@pytest.mark.spec("D5")
@pytest.mark.parametrize(
    ("percent", "price", "share"),
    [(70, 1, 0), (70, 9, 6), (70, 10, 7), (33, 100, 33), (0, 10, 0), (100, 10, 10)],
)
async def test_the_split_is_a_setting_and_the_platform_gets_the_remainder(
    world: World, percent: int, price: int, share: int
) -> None:
    fan, streamer = await rich_fan(world)
    boss = await staff(world, "boss", "admin")
    await world.call(
        boss,
        "configure_purchases",
        p_changes={"streamer_share_percent": percent},
        p_reason="a new contract",
    )
    await world.admin.execute(
        "INSERT INTO gift_types (id, title, emoji, price) VALUES ('odd', 'Odd', '*', $1)", price
    )
    sent = await gift(world, fan, streamer, "odd")
    assert (sent["streamer_share"], sent["platform_share"]) == (share, price - share)
    assert (await wallet(world, streamer))["earnings"] == share
    assert await revenue(world) == price - share
    assert await verify(world) == {}


@pytest.mark.spec("D5")
async def test_the_catalogue_is_public_and_cheapest_first(world: World) -> None:
    types = await world.call("anon", "list_gift_types")
    assert [t["price"] for t in types] == [10, 50, 100, 500, 5000]
    await world.admin.execute("UPDATE gift_types SET is_active = false WHERE id = 'rose'")
    assert len(await world.call("anon", "list_gift_types")) == 4
    fan, streamer = await rich_fan(world)
    for unknown in ("rose", "diamond", None):
        with refused("LW004"):
            await gift(world, fan, streamer, p_gift_type_id=unknown)
    with refused("LW006"):
        await gift(world, fan, streamer, p_price=1)
    with refused("42501"):
        await world.sql(fan, "UPDATE gift_types SET price = 1")


@pytest.mark.spec("S27")
@pytest.mark.parametrize("slot", [0, 13, -1, None, 1.5])
async def test_a_slot_is_one_of_the_senders_wall(world: World, slot: object) -> None:
    fan, streamer = await rich_fan(world)
    with refused("22P02" if slot == 1.5 else "LW040"):
        await gift(world, fan, streamer, p_slot_index=slot)
    assert (await wallet(world, fan))["coins"] == 1000


@pytest.mark.spec("D5")
@pytest.mark.abuse("A32")
async def test_a_gift_to_oneself_is_refused(world: World) -> None:
    fan, streamer = await rich_fan(world)
    stream = await world.live(fan)
    for where in (None, stream):
        with refused("LW082"):
            await gift(world, fan, fan, p_live_stream_id=where)
    with refused("LW004"):
        await gift(world, fan, streamer, p_live_stream_id=stream)
    assert (await wallet(world, fan))["coins"] == 1000
    assert (await wallet(world, fan))["earnings"] == 0


@pytest.mark.spec("D5")
async def test_a_gift_to_a_stream_that_has_ended_is_refused(world: World) -> None:
    fan, streamer = await rich_fan(world)
    stream = await world.live(streamer)
    again: dict[str, Any] = {"p_live_stream_id": stream, "p_idempotency_key": key()}
    sent = await gift(world, fan, streamer, **again)
    await world.call(streamer, "stop_stream")
    with refused("LW021"):
        await gift(world, fan, streamer, p_live_stream_id=stream)
    assert (await wallet(world, fan))["coins"] == 990
    assert (await gift(world, fan, streamer, **again))["gift_id"] == sent["gift_id"]
    await gift(world, fan, streamer)


@pytest.mark.spec("D2", "D5")
async def test_a_gift_is_sent_by_what_is_committed_now(world: World) -> None:
    fan, streamer = await rich_fan(world)
    connection = await world.database.as_person(fan)
    with refused("LW007"):
        async with connection.transaction(isolation="repeatable_read"):
            await connection.execute(
                "SELECT public.process_gift($1, 'rose', 1, NULL, $2)", streamer.id, key()
            )


@pytest.mark.spec("D2", "D5")
@pytest.mark.abuse("A20")
@pytest.mark.parametrize("by", ["fan", "streamer"])
async def test_a_blocked_pair_does_not_gift(world: World, by: str) -> None:
    fan, streamer = await rich_fan(world)
    blocker, blocked = (fan, streamer) if by == "fan" else (streamer, fan)
    await world.call(blocker, "block", p_name=blocked.name)
    with refused("LW022"):
        await gift(world, fan, streamer)
    await world.call(blocker, "unblock", p_name=blocked.name)
    await gift(world, fan, streamer)


@pytest.mark.spec("D5")
async def test_only_those_who_are_there_give_and_get(world: World) -> None:
    fan, streamer = await rich_fan(world)
    stranger = Person(tab(), "stranger")
    with refused("LW004"):
        await gift(world, fan, stranger)
    with refused("LW001"):
        await gift(world, stranger, streamer)
    await world.call(await world.moderator(), "ban_profile", p_name="fan", p_reason="spam")
    with refused("LW002"):
        await gift(world, fan, streamer)


@pytest.mark.spec("D5")
@pytest.mark.abuse("A33")
async def test_more_than_one_has_is_refused_and_leaves_nothing(world: World) -> None:
    fan, streamer = await rich_fan(world, 60)
    await gift(world, fan, streamer, "heart")
    before = await world.rows("SELECT count(*) FROM ledger_entries")
    with refused("LW080"):
        await gift(world, fan, streamer, "heart")
    assert await world.rows("SELECT count(*) FROM ledger_entries") == before
    assert await world.rows("SELECT count(*) FROM gifts") == [(1,)]
    assert (await wallet(world, fan))["coins"] == 10
    await gift(world, fan, streamer, "rose")
    with refused("LW080"):
        await gift(world, streamer, fan)


@pytest.mark.spec("S26", "D5")
@pytest.mark.abuse("A33")
async def test_ten_gifts_at_once_with_coins_for_three(world: World) -> None:
    fan, streamer = await rich_fan(world, 35)
    await wallet(world, streamer)
    people = [await world.database.as_person(fan) for _ in range(10)]
    results = await asyncio.gather(
        *(
            connection.execute(
                "SELECT public.process_gift($1, 'rose', 1, NULL, $2)", streamer.id, key()
            )
            for connection in people
        ),
        return_exceptions=True,
    )
    codes = [getattr(error, "sqlstate", None) for error in results]
    assert sorted(codes, key=str) == ["LW080"] * 7 + [None] * 3
    assert (await wallet(world, fan))["coins"] == 5
    assert (await wallet(world, streamer))["earnings"] == 21
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.spec("S26", "D5")
async def test_the_same_key_is_the_same_gift_and_other_content_is_refused(world: World) -> None:
    fan, streamer = await rich_fan(world)
    other = await world.person("other")
    stream = await world.live(streamer)
    again: dict[str, Any] = {"p_idempotency_key": "one-key-of-mine", "p_live_stream_id": stream}
    first = await gift(world, fan, streamer, **again)
    for _ in range(3):
        assert await gift(world, fan, streamer, **again) == first | {"is_repeat": True}
    changes: list[dict[str, Any]] = [
        {"p_gift_type_id": "heart"},
        {"p_slot_index": 4},
        {"p_live_stream_id": None},
        {"p_recipient_id": other.id},
    ]
    for changed in changes:
        with refused("LW075"):
            await gift(world, fan, streamer, **(again | changed))
    assert (await wallet(world, fan))["coins"] == 990
    await give_coins(world, streamer, 100)
    theirs = await gift(world, streamer, fan, p_idempotency_key="one-key-of-mine")
    assert theirs["gift_id"] != first["gift_id"]
    for bad in (None, "", "short", "with space"):
        with refused("LW005"):
            await gift(world, fan, streamer, p_idempotency_key=bad)


@pytest.mark.spec("S26", "D5")
async def test_the_same_gift_ten_times_at_once_is_one_gift(world: World) -> None:
    fan, streamer = await rich_fan(world)
    people = [await world.database.as_person(fan) for _ in range(10)]
    slots = [1] * 5 + [2] * 5
    results = await asyncio.gather(
        *(
            connection.fetchval(
                "SELECT public.process_gift($1, 'rose', $2, NULL, 'one-key-for-all')"
                " ->> 'is_repeat'",
                streamer.id,
                slot,
            )
            for connection, slot in zip(people, slots, strict=True)
        ),
        return_exceptions=True,
    )
    said = [getattr(result, "sqlstate", result) for result in results]
    assert sorted(map(str, said)) == ["LW075"] * 5 + ["false"] + ["true"] * 4
    assert (await wallet(world, fan))["coins"] == 990
    assert (await wallet(world, streamer))["earnings"] == 7


def wish(sender: Person, recipient: Person, **more: Any) -> dict[str, Any]:
    """Return a gift as `process_gifts` takes it."""
    plain: dict[str, Any] = {
        "sender_id": sender.id,
        "recipient_id": recipient.id,
        "gift_type_id": "rose",
        "slot_index": 3,
        "live_stream_id": None,
        "idempotency_key": key(),
    }
    return plain | more


async def give_together(world: World, *wishes: dict[str, Any]) -> Any:
    """Send many gifts in one call; return the answers by position, from 1."""
    return await world.call("service_role", "process_gifts", p_gifts=list(wishes))


@pytest.mark.spec("D5", "S27", "S26")
@pytest.mark.abuse("A32", "A33")
async def test_together_only_what_is_simple_is_given(world: World) -> None:
    one, two, poor, banned, blocked, streamer, unpaid = await world.people(
        "one", "two", "poor", "banned", "blocked", "streamer", "unpaid"
    )
    for person in (one, two, banned, blocked):
        await give_coins(world, person, 1000)
    used = key()
    await gift(world, one, streamer, "rose", p_idempotency_key=used)
    await gift(world, one, two, "rose")
    await world.sql(streamer, "INSERT INTO blocks VALUES ($1, $2)", streamer.id, blocked.id)
    await world.admin.execute(
        "INSERT INTO private.bans (profile_id, reason) VALUES ($1, 'spam')", banned.id
    )
    odd = [
        wish(two, streamer, idempotency_key="short"),
        wish(two, streamer, idempotency_key="a key with blanks"),
        wish(two, streamer, slot_index=13),
        wish(two, streamer, gift_type_id="moon"),
        wish(two, two),
        wish(two, streamer, live_stream_id=await world.live(one)),
        wish(two, unpaid),
        wish(one, streamer, idempotency_key=used),
        wish(poor, streamer),
        wish(banned, streamer),
        wish(blocked, streamer),
    ]
    assert await give_together(world, *odd) == {}
    sent = await give_together(
        world, *odd[:6], wish(two, streamer), wish(two, streamer), wish(one, streamer)
    )
    assert {position: answer["coins"] for position, answer in sent.items()} == {"7": 990, "9": 970}
    assert sent["7"] | {"gift_id": None} == {
        "gift_id": None,
        "gift_type_id": "rose",
        "title": "Rose",
        "emoji": "🌹",
        "price": 10,
        "streamer_share": 7,
        "platform_share": 3,
        "coins": 990,
        "is_repeat": False,
    }
    assert (await wallet(world, streamer))["earnings"] == 21
    assert await revenue(world) == 12
    assert await verify(world) == {}


async def test_together_or_alone_a_key_gives_once(world: World) -> None:
    fan, streamer = await rich_fan(world)
    await gift(world, fan, streamer)
    same = wish(fan, streamer)
    assert (await give_together(world, same))["1"]["coins"] == 980
    alone = await gift(
        world, fan, streamer, p_idempotency_key=same["idempotency_key"], p_slot_index=3
    )
    assert (alone["is_repeat"], alone["coins"]) == (True, 980)
    assert await give_together(world, same, same) == {}
    assert (await wallet(world, fan))["coins"] == 980
