"""Gifts: the sender pays, the streamer earns, the platform keeps the rest; told in order."""

import asyncio
from typing import Any

import pytest

from tests.databases import Person
from tests.sql.money import (
    deliver,
    events,
    fold,
    gift,
    give_coins,
    key,
    staff,
    verify,
    wallet,
)
from tests.sql.world import World, refused, tab


async def rich(world: World, coins: int = 1000) -> tuple[Person, Person]:
    """Return somebody with coins, and a streamer."""
    fan, streamer = await world.people("fan", "streamer")
    await give_coins(world, fan, coins)
    return fan, streamer


async def revenue(world: World) -> int:
    """Return what the platform has earned, folded."""
    await fold(world)
    [(balance,)] = await world.rows(
        "SELECT balance FROM private.ledger_accounts WHERE kind = 'revenue'"
    )
    return balance


@pytest.mark.spec("D5", "S27", "S4")
async def test_sender_streamer_and_platform_settle_in_one_transaction(world: World) -> None:
    fan, streamer = await rich(world)
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
    fan, streamer = await rich(world)
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
    fan, streamer = await rich(world)
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
    fan, streamer = await rich(world)
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
    fan, streamer = await rich(world)
    with refused("22P02" if slot == 1.5 else "LW040"):
        await gift(world, fan, streamer, p_slot_index=slot)
    assert (await wallet(world, fan))["coins"] == 1000


@pytest.mark.spec("D5")
@pytest.mark.abuse("A32")
async def test_a_gift_to_oneself_is_refused(world: World) -> None:
    fan, streamer = await rich(world)
    stream = await world.live(fan)
    for where in (None, stream):
        with refused("LW082"):
            await gift(world, fan, fan, p_live_stream_id=where)
    with refused("LW004"):
        await gift(world, fan, streamer, p_live_stream_id=stream)
    assert (await wallet(world, fan))["coins"] == 1000
    assert (await wallet(world, fan))["earnings"] == 0


@pytest.mark.spec("D2", "D5")
@pytest.mark.abuse("A20")
@pytest.mark.parametrize("by", ["fan", "streamer"])
async def test_a_blocked_pair_does_not_gift(world: World, by: str) -> None:
    fan, streamer = await rich(world)
    blocker, blocked = (fan, streamer) if by == "fan" else (streamer, fan)
    await world.call(blocker, "block", p_name=blocked.name)
    with refused("LW022"):
        await gift(world, fan, streamer)
    await world.call(blocker, "unblock", p_name=blocked.name)
    await gift(world, fan, streamer)


@pytest.mark.spec("D5")
async def test_only_those_who_are_there_give_and_get(world: World) -> None:
    fan, streamer = await rich(world)
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
    fan, streamer = await rich(world, 60)
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
    fan, streamer = await rich(world, 35)
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
    fan, streamer = await rich(world)
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
    fan, streamer = await rich(world)
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


# -- what is told


def only(found: list[Any]) -> Any:
    """Return the one thing that was found."""
    assert len(found) == 1
    return found[0]


async def told(world: World, after: int = 0) -> list[Any]:
    """Deliver everything and return the gifts that servers hear of."""
    await deliver(world)
    return [event for event in await events(world, after) if event["kind"] == "gift"]


@pytest.mark.spec("D5")
async def test_a_gift_is_told_to_chat_and_tile_once_it_is_committed(world: World) -> None:
    fan, streamer = await rich(world)
    stream = await world.live(streamer)
    sent = await gift(world, fan, streamer, "star", p_live_stream_id=stream)
    event = only(await told(world))
    assert (event["profile_id"], event["stream_id"]) == (str(streamer.id), str(stream))
    assert event["payload"]["gift"] == {
        "id": sent["gift_id"],
        "gift_type_id": "star",
        "title": "Star",
        "emoji": "⭐",
        "price": 100,
        "sender_id": str(fan.id),
        "sender": {"id": str(fan.id), "name": "fan", "display_name": "fan"},
        "recipient_id": str(streamer.id),
    }
    message = event["payload"]["message"]
    assert message is not None
    assert (message["type"], message["body"], message["sender"]["name"]) == (
        "gift",
        "⭐ Star · 100",
        "fan",
    )
    page = await world.call("anon", "list_chat_messages", p_live_stream_id=stream)
    assert page["messages"] == [message]
    assert await deliver(world) == 0
    assert await told(world, event["id"]) == []
    with refused("LW080"):
        await gift(world, fan, streamer, "crown", p_live_stream_id=stream)
    assert await told(world, event["id"]) == [], "what was refused is not told"


@pytest.mark.spec("D5")
async def test_a_gift_outside_of_a_stream_is_told_without_a_message(world: World) -> None:
    fan, streamer = await rich(world)
    await gift(world, fan, streamer)
    event = only(await told(world))
    assert (event["stream_id"], event["payload"]["message"]) == (None, None)


@pytest.mark.spec("D2", "D5")
@pytest.mark.abuse("A20")
@pytest.mark.parametrize("by", ["fan", "viewer"])
async def test_the_blocked_do_not_read_of_each_others_gifts(world: World, by: str) -> None:
    fan, streamer = await rich(world)
    viewer = await world.person("viewer")
    stream = await world.live(streamer)
    blocker, blocked = (fan, viewer) if by == "fan" else (viewer, fan)
    await world.call(blocker, "block", p_name=blocked.name)
    await gift(world, fan, streamer, p_live_stream_id=stream)
    await deliver(world)
    for who, count in ((viewer, 0), (streamer, 1), (fan, 1)):
        page = await world.call(who, "list_chat_messages", p_live_stream_id=stream)
        assert len(page["messages"]) == count


@pytest.mark.spec("D5")
async def test_gifts_are_told_in_the_order_they_were_sent(world: World) -> None:
    fan, streamer = await rich(world, 10_000)
    sent = [(await gift(world, fan, streamer))["gift_id"] for _ in range(20)]
    # What was delivered leaves holes that later rows fill: then storage has another order.
    await world.call("service_role", "deliver_outbox", p_limit=10)
    await world.admin.execute("VACUUM private.outbox")
    sent += [(await gift(world, fan, streamer))["gift_id"] for _ in range(20)]
    assert [event["payload"]["gift"]["id"] for event in await told(world)] == sent


@pytest.mark.spec("D5")
async def test_whoever_polls_misses_nothing(world: World) -> None:
    fan, streamer = await rich(world, 10_000)
    start = (await world.call("service_role", "take_events"))["last"]
    heard: list[str] = []
    sent: list[str] = []
    people = [await world.database.as_person(fan) for _ in range(4)]
    servers = [await world.database.as_role("service_role") for _ in range(2)]
    busy = True

    async def keep_sending(number: int) -> None:
        call = "SELECT public.process_gift($1, 'rose', 1, NULL, $2) ->> 'gift_id'"
        for turn in range(15):
            id_ = await people[number].fetchval(call, streamer.id, f"key-{number}-{turn:04}")
            sent.append(id_)

    async def keep_delivering(number: int) -> None:
        while busy:
            await servers[number].execute("SELECT public.deliver_outbox(3)")

    delivering = [asyncio.create_task(keep_delivering(number)) for number in range(2)]
    sending = asyncio.gather(*(keep_sending(number) for number in range(4)))
    last = start
    while not sending.done() or await world.rows("SELECT 1 FROM private.outbox LIMIT 1"):
        answer = await world.call("service_role", "take_events", p_after=last)
        heard += [e["payload"]["gift"]["id"] for e in answer["events"] if e["kind"] == "gift"]
        last = answer["last"]
    busy = False
    await asyncio.gather(sending, *delivering)
    answer = await world.call("service_role", "take_events", p_after=last)
    heard += [e["payload"]["gift"]["id"] for e in answer["events"] if e["kind"] == "gift"]
    assert len(heard) == 60
    assert sorted(heard) == sorted(sent)


@pytest.mark.spec("D5")
async def test_old_events_go_and_new_ones_stay(world: World) -> None:
    fan, streamer = await rich(world)
    await gift(world, fan, streamer)
    await deliver(world)
    await world.advance(601)
    await gift(world, fan, streamer, "heart")
    await deliver(world)
    assert [e["payload"]["gift"]["price"] for e in await told(world)] == [50]
