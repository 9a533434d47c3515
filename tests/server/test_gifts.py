"""Giving: who pays, who earns, who hears of it, and what is refused."""

import asyncio
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from livewall import events, gift_batches
from livewall.db import Argument, Caller
from livewall.errors import Refusal
from livewall.hub import Hub
from tests.server.money import coins, give_coins, staff
from tests.server.world import Json, Live, Visitor, metric


async def give(
    sender: Visitor,
    streamer: Visitor,
    stream_id: UUID,
    gift: str = "star",
    more: Json | None = None,
) -> httpx.Response:
    """Send a gift."""
    wish: Json = {
        "recipient_id": str(streamer.id),
        "gift_type_id": gift,
        "slot_index": 3,
        "stream_id": str(stream_id),
        "idempotency_key": str(uuid4()),
    }
    return await sender.http.post("/api/gifts", json=wish | (more or {}))


@pytest.mark.spec("S4")
@pytest.mark.spec("S27")
@pytest.mark.spec("D5")
async def test_a_gift_moves_coins_and_everybody_hears_of_it(live: Live) -> None:
    ada, vera = await live.account("ada"), await live.account("vera")
    studio, stream_id = await ada.go_live()
    await give_coins(live, vera)
    types = (await live.visitor().http.get("/api/gift-types")).json()["gift_types"]
    star = next(t for t in types if t["id"] == "star")
    assert (star["price"], star["emoji"]) == (100, "⭐")
    viewer = await vera.tab()
    wall = {"slots": [{"slot_index": 3, "streamer_id": str(ada.id)}]}
    onlooker = await live.guest("bob")
    await onlooker.http.put("/api/grid", json=wall)
    other, reader = await onlooker.tab(), await onlooker.tab()
    stranger = await (await live.guest("carol")).tab()
    await reader.ask(type="open_chat", stream_id=stream_id)
    answer = await give(vera, ada, stream_id)
    assert answer.status_code == 201, answer.text
    sent = answer.json()
    assert sent | {"gift_id": ""} == {
        "gift_id": "",
        "gift_type_id": "star",
        "title": "Star",
        "emoji": "⭐",
        "price": 100,
        "streamer_share": 70,
        "platform_share": 30,
        "coins": 900,
        "is_repeat": False,
    }
    event = await studio.expect("gift")
    assert event["stream_id"] == str(stream_id)
    assert event["gift"]["sender"]["name"] == "vera"
    assert (event["gift"]["id"], event["gift"]["price"]) == (sent["gift_id"], 100)
    for tab in (other, reader):
        await tab.expect("gift", gift=event["gift"])
    message = (await reader.expect("chat"))["message"]
    assert (message["type"], message["sender"]["name"]) == ("gift", "vera")
    history = (await vera.http.get(f"/api/streams/{stream_id}/chat")).json()["messages"]
    assert history == [message]
    for tab in (studio, viewer):
        await tab.expect("wallet")
    assert (await ada.http.get("/api/wallet")).json()["earnings"] == 70
    assert await coins(vera) == 900
    (line,) = (await ada.http.get("/api/wallet/statement?currency=earnings")).json()["entries"]
    assert (line["amount"], line["title"], line["counterpart"]["name"]) == (70, "Star", "vera")
    heard = [m["type"] for m in stranger.heard + other.heard if m["type"] in {"wallet", "chat"}]
    assert heard == []
    assert "gift" not in [m["type"] for m in stranger.heard]


@pytest.mark.abuse("A20")
async def test_a_blocked_onlooker_hears_nothing_of_it(live: Live) -> None:
    ada, vera, mallory = [await live.account(n) for n in ("ada", "vera", "mallory")]
    _, stream_id = await ada.go_live()
    await give_coins(live, vera)
    assert (await vera.http.put("/api/blocks/mallory")).status_code == 204
    blocked, open_ = await mallory.tab(), await (await live.guest("bob")).tab()
    for tab in (blocked, open_):
        await tab.ask(type="open_chat", stream_id=stream_id)
    assert (await give(vera, ada, stream_id)).status_code == 201
    await open_.expect("gift")
    await open_.expect("chat")
    assert {m["type"] for m in blocked.heard} & {"gift", "chat"} == set()
    assert (await ada.http.put("/api/blocks/vera")).status_code == 204
    refused = await give(vera, ada, stream_id)
    assert (refused.status_code, refused.json()["code"]) == (403, "blocked")
    assert await coins(vera) == 900


@pytest.mark.spec("S26")
async def test_the_same_key_gives_once(live: Live) -> None:
    ada, vera = await live.account("ada"), await live.account("vera")
    _, stream_id = await ada.go_live()
    await give_coins(live, vera)
    key = str(uuid4())
    answers = await asyncio.gather(
        *(give(vera, ada, stream_id, more={"idempotency_key": key}) for _ in range(5))
    )
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["gift_id"] for a in answers}) == 1
    assert sorted(a.json()["is_repeat"] for a in answers) == [False, True, True, True, True]
    assert await coins(vera) == 900
    other = await give(vera, ada, stream_id, "rose", more={"idempotency_key": key})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


@pytest.mark.spec("S27", "S26")
async def test_a_crowd_shares_calls_and_everybody_gets_their_own_answer(live: Live) -> None:
    ada = await live.account("ada")
    _, stream_id = await ada.go_live()
    fans = [await live.account(f"fan.{number}") for number in range(20)]
    for fan in fans[:15]:
        await give_coins(live, fan, 100)
    assert (await give(fans[0], ada, stream_id, "rose")).status_code == 201
    names = ("livewall_gift_batch_count", "livewall_gift_batch_sum")
    before = [metric(name) for name in names]
    answers = await asyncio.gather(
        *(give(fan, ada, stream_id, "heart") for fan in fans),
        give(fans[1], ada, stream_id, "moon"),
    )
    assert [a.status_code for a in answers] == [201] * 15 + [409] * 5 + [404]
    assert [a.json()["coins"] for a in answers[:15]] == [40] + [50] * 14
    assert {a.json()["code"] for a in answers[15:20]} == {"not_enough_coins"}
    after = [metric(name) for name in names]
    calls, gifts = (now - then for now, then in zip(after, before, strict=True))
    assert (gifts, calls < 15) == (21, True), calls
    assert [await coins(fan) for fan in fans] == [40] + [50] * 14 + [0] * 5


@pytest.mark.spec("S26")
async def test_a_gift_whose_answer_was_lost_is_repeated_by_its_key(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, vera, bob = [await live.account(name) for name in ("ada", "vera", "bob")]
    _, stream_id = await ada.go_live()
    for fan in (vera, bob):
        await give_coins(live, fan)
        await give(fan, ada, stream_id, "rose")
    monkeypatch.setattr(gift_batches, "CALLS", 0)
    wishes = [(fan, str(uuid4())) for fan in (vera, bob)]
    lost = [
        asyncio.create_task(give(fan, ada, stream_id, more={"idempotency_key": key}))
        for fan, key in wishes
    ]
    await asyncio.sleep(0.3)
    monkeypatch.setattr(gift_batches, "CALLS", 1)
    real = live.app.server.database.call_json

    async def losing(caller: Caller, function: str, arguments: dict[str, Argument]) -> str:
        answer = await real(caller, function, arguments)
        if function == "process_gifts":
            raise Refusal("database_away")
        return answer

    monkeypatch.setattr(live.app.server.database, "call_json", losing)
    third = await give(vera, ada, stream_id, "moon")
    assert third.status_code == 503, "it went with the others"
    assert [(await answer).status_code for answer in lost] == [503, 503]
    again = [await give(fan, ada, stream_id, more={"idempotency_key": key}) for fan, key in wishes]
    assert [(a.status_code, a.json()["is_repeat"]) for a in again] == [(201, True)] * 2
    assert [await coins(vera), await coins(bob)] == [890, 890]


@pytest.mark.abuse("A27")
@pytest.mark.parametrize(
    "more",
    [{"slot_index": 2**40}, {"gift_type_id": "ro\0se"}, {"gift_type_id": "ros\u00e9"}],
    ids=["slot", "nul", "letter"],
)
async def test_what_the_database_can_not_read_is_in_nobodys_call(
    live: Live, monkeypatch: pytest.MonkeyPatch, more: Json
) -> None:
    ada, mallory = await live.account("ada"), await live.guest("mallory")
    _, stream_id = await ada.go_live()
    # No call takes off: whoever is answered has not waited for one.
    monkeypatch.setattr(gift_batches, "CALLS", 0)
    refused = await give(mallory, ada, stream_id, more=more)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_message")


@pytest.mark.spec("S26")
@pytest.mark.abuse("A27")
async def test_one_gift_that_breaks_a_call_does_not_scatter_the_others(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await live.account("ada")
    _, stream_id = await ada.go_live()
    fans = [await live.account(f"fan.{number}") for number in range(9)]
    for fan in fans:
        await give_coins(live, fan, 100)
    await give(fans[0], ada, stream_id, "rose")
    gifts = [
        gift_batches.NewGift(ada.id, "rose", 3, stream_id, f"gift-{number:04}")
        for number in range(len(fans))
    ]
    called: list[str] = []
    real = live.app.server.database.call_json

    async def breaking(caller: Caller, function: str, arguments: dict[str, Argument]) -> str:
        called.append(function)
        if function == "process_gifts" and gifts[4].idempotency_key in str(arguments):
            raise Refusal("internal")
        return await real(caller, function, arguments)

    monkeypatch.setattr(live.app.server.database, "call_json", breaking)
    monkeypatch.setattr(gift_batches, "CALLS", 1)
    # The first is given at once, and eight wait for it.
    sent = await asyncio.gather(
        *(
            live.app.server.gifts.give(Caller("authenticated", fan.id), gift)
            for fan, gift in zip(fans, gifts, strict=True)
        )
    )
    assert [gift.coins for gift in sent] == [80] + [90] * 8
    alone = called.count("process_gift")
    assert alone == 3, "the first, the one that breaks calls, and one beside it"
    assert called.count("process_gifts") == 5, "eight, four and four, two and two"


@pytest.mark.abuse("A33")
async def test_two_gifts_that_exceed_the_balance(live: Live) -> None:
    ada, vera = await live.account("ada"), await live.account("vera")
    _, stream_id = await ada.go_live()
    await give_coins(live, vera, 150)
    answers = await asyncio.gather(*(give(vera, ada, stream_id) for _ in range(2)))
    assert sorted(a.status_code for a in answers) == [201, 409]
    refused = next(a for a in answers if a.is_error).json()
    assert (refused["code"], refused["fields"]) == ("not_enough_coins", {"price": 100, "coins": 50})
    assert await coins(vera) == 50


@pytest.mark.abuse("A32")
@pytest.mark.abuse("A25")
@pytest.mark.abuse("A10")
async def test_what_is_no_gift(live: Live) -> None:
    ada, vera = await live.account("ada"), await live.account("vera")
    _, stream_id = await ada.go_live()
    await give_coins(live, vera)
    await give_coins(live, ada)
    wrong: tuple[tuple[Visitor, Json, str], ...] = (
        (ada, {}, "gift_to_oneself"),
        (vera, {"gift_type_id": "moon"}, "not_found"),
        (vera, {"gift_type_id": ""}, "invalid_message"),
        (vera, {"recipient_id": str(uuid4())}, "not_found"),
        (vera, {"stream_id": str(uuid4())}, "not_found"),
        (vera, {"slot_index": 0}, "slot_invalid"),
        (vera, {"slot_index": 13}, "slot_invalid"),
        (vera, {"slot_index": 2**31 - 1}, "slot_invalid"),
        (vera, {"slot_index": -(2**31)}, "slot_invalid"),
        (vera, {"slot_index": 2**31}, "invalid_message"),
        (vera, {"slot_index": 1.5}, "invalid_message"),
        (vera, {"slot_index": None}, "invalid_message"),
        (vera, {"price": 1}, "invalid_message"),
        (vera, {"sender_id": str(ada.id)}, "invalid_message"),
        (vera, {"idempotency_key": "short"}, "invalid_message"),
    )
    for sender, more, code in wrong:
        answer = await give(sender, ada, stream_id, more=more)
        assert answer.json()["code"] == code, (more, answer.text)
        assert 400 <= answer.status_code < 500
    assert (await give(live.visitor(), ada, stream_id)).json()["code"] == "not_signed_in"
    assert (await coins(ada), await coins(vera)) == (1_000, 1_000)


@pytest.mark.abuse("A29")
async def test_who_owes_does_not_spend(live: Live) -> None:
    ada, vera = await live.account("ada"), await live.account("vera")
    _, stream_id = await ada.go_live()
    await give_coins(live, vera)
    assert (await give(vera, ada, stream_id, "aurora")).status_code == 201
    admin = await live.database.admin()
    purchase_id = await admin.fetchval("SELECT id FROM public.coin_purchases")
    fact = {"kind": "refund", "refund_id": "re_1", "status": "succeeded", "amount_cents": 1_000}
    await admin.execute(
        "SELECT private.apply_facts($1, $2)", purchase_id, msgspec.json.encode([fact]).decode()
    )
    wallet = (await vera.http.get("/api/wallet")).json()
    assert (wallet["coins"], wallet["debt"], wallet["is_frozen"]) == (0, 500, True)
    refused = await give(vera, ada, stream_id, "rose")
    assert (refused.status_code, refused.json()["code"]) == (403, "spending_frozen")
    assert refused.json()["fields"] == {"debt": 500}


async def test_one_bad_event_does_not_keep_the_others(live: Live) -> None:
    fin, ada = await staff(live, "fin"), await live.account("ada")
    desk, tab = await fin.tab(), await ada.tab()
    admin = await live.database.admin()
    await admin.execute(
        "INSERT INTO private.events (kind, profile_id, payload) VALUES"
        " ('gift', $1, '{}'), ('purchase', $1, '{}'), ('wallet', NULL, '{}'),"
        " ('held', NULL, '{}'), ('wallet', $1, '{}')",
        ada.id,
    )
    await desk.expect("held")
    await tab.expect("wallet")
    assert {m["type"] for m in tab.heard} == {"snapshot", "wallet"}


async def test_events_are_read_on_from_where_one_was(live: Live) -> None:
    ada = await live.account("ada")
    tab = await ada.tab()
    admin = await live.database.admin()
    add = "INSERT INTO private.events (kind, profile_id, payload) VALUES ('wallet', $1, '{}')"
    await admin.execute(add, ada.id)
    await tab.expect("wallet")
    # A server that starts now has nothing to tell of what was before.
    late = events.Events(live.app.server.database, Hub())
    await late.poll()
    await admin.executemany(add, [(ada.id,)] * 1_200)
    for _ in range(1_200):
        await tab.expect("wallet")
    await tab.quiet("wallet", 0.6)
