"""Gifts as they are told: to chat and to servers, after the commit, in order, nothing missed."""

import asyncio
from typing import Any

import pytest

from tests.sql.money import (
    deliver,
    events,
    gift,
    rich_fan,
)
from tests.sql.world import World, refused


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
    fan, streamer = await rich_fan(world)
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
        "⭐ Star\xa0·\xa0100",
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
    fan, streamer = await rich_fan(world)
    await gift(world, fan, streamer)
    event = only(await told(world))
    assert (event["stream_id"], event["payload"]["message"]) == (None, None)


@pytest.mark.spec("D2", "D5")
@pytest.mark.abuse("A20")
@pytest.mark.parametrize("by", ["fan", "viewer"])
async def test_the_blocked_do_not_read_of_each_others_gifts(world: World, by: str) -> None:
    fan, streamer = await rich_fan(world)
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
    fan, streamer = await rich_fan(world, 10_000)
    sent = [(await gift(world, fan, streamer))["gift_id"] for _ in range(20)]
    # What was delivered leaves holes that later rows fill: then storage has another order.
    await world.call("service_role", "deliver_outbox", p_limit=10)
    await world.admin.execute("VACUUM private.outbox")
    sent += [(await gift(world, fan, streamer))["gift_id"] for _ in range(20)]
    assert [event["payload"]["gift"]["id"] for event in await told(world)] == sent


@pytest.mark.spec("D5")
async def test_whoever_polls_misses_nothing(world: World) -> None:
    fan, streamer = await rich_fan(world, 10_000)
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
    fan, streamer = await rich_fan(world)
    await gift(world, fan, streamer)
    await deliver(world)
    await world.advance(601)
    await gift(world, fan, streamer, "heart")
    await deliver(world)
    assert [e["payload"]["gift"]["price"] for e in await told(world)] == [50]
