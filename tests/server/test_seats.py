"""Seats, the queue, promotion, and who may signal whom."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from livewall.media import peer
from tests.databases import Database
from tests.server.world import Json, Live, Tab, serving, settings_for, two_servers


@pytest_asyncio.fixture(params=[serving, two_servers], ids=["one server", "two servers"])
async def small(database: Database, request: pytest.FixtureRequest) -> AsyncGenerator[Live]:
    """Two seats per streamer, on one server, or with everybody on two in turn."""
    async with request.param(settings_for(database, seats=2), database) as running:
        yield running


async def _seat(live: Live, stream_id: UUID) -> tuple[Tab, Json]:
    tab = await (await live.guest()).tab()
    await tab.watch(stream_id)
    return tab, await tab.expect("seat")


async def test_seat_and_watchers_name_each_other(small: Live) -> None:
    studio, stream_id = await (await small.guest("ada")).go_live()
    viewer = await small.guest("vera")
    tab = await viewer.tab()
    await tab.watch(stream_id)
    seat = await tab.expect("seat")
    assert seat["state"] == "granted"
    assert seat["publisher"] == studio.heard[0]["connection"]
    watchers = await studio.find(lambda m: m["type"] == "watchers" and m["seated"] != [], "vera")
    expected = {
        "connection": tab.heard[0]["connection"],
        "media_id": seat["media_id"],
        "name": "vera",
    }
    assert watchers["seated"] == [expected]


async def test_third_viewer_waits_uncounted_and_is_promoted(small: Live) -> None:
    studio, stream_id = await (await small.guest("ada")).go_live()
    first, _ = await _seat(small, stream_id)
    await _seat(small, stream_id)
    third, waiting = await _seat(small, stream_id)
    fourth, behind = await _seat(small, stream_id)
    assert (waiting["state"], waiting["position"]) == ("waiting", 1)
    assert (behind["state"], behind["position"]) == ("waiting", 2)
    told = await studio.find(lambda m: len(m.get("waiting", [])) == 2, "two who wait")
    assert len(told["seated"]) == 2
    http = small.people[0].http
    assert (await http.get(f"/api/streams/{stream_id}")).json()["active_viewer_count"] == 2
    await first.watch(stream_id, is_unmuted=False)
    assert (await third.expect("seat"))["state"] == "granted"
    assert (await fourth.expect("seat"))["position"] == 1
    assert (await first.expect("seat"))["state"] == "none"
    assert (await http.get(f"/api/streams/{stream_id}")).json()["active_viewer_count"] == 2


@pytest.mark.parametrize("how", ["leave", "mute", "hide", "unsubscribe"])
async def test_a_seat_frees_at_once(small: Live, how: str) -> None:
    _, stream_id = await (await small.guest("ada")).go_live()
    first, _ = await _seat(small, stream_id)
    await _seat(small, stream_id)
    third, waiting = await _seat(small, stream_id)
    assert waiting["state"] == "waiting"
    flags = {"mute": "is_unmuted", "hide": "is_visible", "unsubscribe": "is_subscribed"}
    if how == "leave":
        await first.leave(stream_id)
    else:
        await first.watch(stream_id, **{flags[how]: False})
    # At once, and not after the 60 seconds of silence; the slack is for a busy machine.
    assert (await third.expect("seat"))["state"] == "granted"


async def test_a_new_grant_has_a_new_media_id(small: Live) -> None:
    _, stream_id = await (await small.guest("ada")).go_live()
    tab, seat = await _seat(small, stream_id)
    await tab.leave()
    await tab.expect("seat", state="none")
    await tab.watch(stream_id)
    again = await tab.expect("seat", state="granted")
    assert again["media_id"] != seat["media_id"]


async def test_a_session_that_reconnects_keeps_its_seat(small: Live) -> None:
    studio, stream_id = await (await small.guest("ada")).go_live()
    viewer = await small.guest("vera")
    tab = await viewer.tab()
    await tab.watch(stream_id)
    seat = await tab.expect("seat", state="granted")
    await tab.cut()
    back = await viewer.tab(tab.session_id)
    again = await back.expect("seat")
    assert (again["state"], again["media_id"]) == ("granted", seat["media_id"])
    connection = back.heard[0]["connection"]
    await studio.find(
        lambda m: (
            m["type"] == "watchers" and [s["connection"] for s in m["seated"]] == [connection]
        ),
        "the new connection",
    )


@pytest.mark.spec("S18")
async def test_a_lost_socket_keeps_its_seat_in_the_streamers_list(small: Live) -> None:
    studio, stream_id = await (await small.guest("ada")).go_live()
    lost, seat = await _seat(small, stream_id)
    await lost.close()
    await _seat(small, stream_id)
    watchers = await studio.find(lambda m: len(m.get("seated", [])) == 2, "both seats")
    assert watchers["seated"][0]["media_id"] == seat["media_id"]
    assert watchers["seated"][0]["connection"] == lost.heard[0]["connection"]


async def test_viewers_hear_when_the_streamer_is_away_and_back(small: Live) -> None:
    streamer = await small.guest("ada")
    studio, stream_id = await streamer.go_live()
    tab, _ = await _seat(small, stream_id)
    await studio.cut()
    assert (await tab.expect("publisher_away"))["stream_id"] == str(stream_id)
    back = await streamer.tab(studio.session_id)
    again = await tab.expect("seat", state="granted")
    assert again["publisher"] == back.heard[0]["connection"]
    assert (await back.expect("publish"))["is_published"]
    assert len((await back.expect("watchers"))["seated"]) == 1


@pytest.mark.abuse("T8")
async def test_signals_pass_between_streamer_and_seat_only(small: Live) -> None:
    studio, stream_id = await (await small.guest("ada")).go_live()
    tab, seat = await _seat(small, stream_id)
    here, there = tab.heard[0]["connection"], studio.heard[0]["connection"]
    offer: Json = {"kind": "offer", "sdp": "v=0"}
    await studio.say(type="signal", to=here, media_id=seat["media_id"], data=offer)
    heard = await tab.expect("signal")
    assert heard == {
        "type": "signal",
        "from": there,
        "stream_id": str(stream_id),
        "media_id": seat["media_id"],
        "data": offer,
    }
    end: Json = {"kind": "candidate", "candidate": None}
    wrong = await tab.ask(type="signal", to=there, media_id=seat["media_id"], data=offer)
    assert wrong["problem"]["code"] == "not_allowed", "only the streamer offers"
    await tab.say(type="signal", to=there, media_id=seat["media_id"], data=end)
    assert (await studio.expect("signal"))["data"] == end

    stranger = await (await small.guest()).tab()
    other, _ = await _seat(small, stream_id)
    for sender, receiver in ((stranger, there), (stranger, here), (other, here), (other, there)):
        answer = await sender.ask(type="signal", to=receiver, media_id=seat["media_id"], data=offer)
        assert answer["problem"]["code"] == "not_allowed"
    answer = await tab.ask(type="signal", to=there, media_id=uuid4(), data=offer)
    assert answer["problem"]["code"] == "not_allowed"
    await studio.quiet("signal", 0.2)


@pytest.mark.abuse("A20")
async def test_a_blocked_viewer_gets_no_seat_and_the_streamer_never_hears_of_them(
    small: Live,
) -> None:
    streamer, viewer = await small.guest("ada"), await small.guest("mallory")
    studio, stream_id = await streamer.go_live()
    assert (await streamer.http.put("/api/blocks/mallory")).status_code == 204
    tab = await viewer.tab()
    await tab.watch(stream_id)
    assert (await tab.expect("error"))["problem"]["code"] == "blocked"
    await tab.quiet("seat", 0.3, state="granted")
    assert all("mallory" not in str(message.get("seated")) for message in studio.heard)


@pytest.mark.abuse("A20")
async def test_a_block_takes_the_seat_at_once(small: Live) -> None:
    streamer, viewer = await small.guest("ada"), await small.guest("mallory")
    studio, stream_id = await streamer.go_live()
    tab = await viewer.tab()
    await tab.watch(stream_id)
    await tab.expect("seat", state="granted")
    assert (await viewer.http.put("/api/blocks/ada")).status_code == 204
    snapshot = await tab.expect("snapshot")
    assert snapshot["blocked"] == [str(streamer.id)]
    await tab.expect("seat", state="none")
    await studio.expect("watchers", seated=[])


async def test_stopping_takes_every_seat(small: Live) -> None:
    studio, stream_id = await (await small.guest("ada")).go_live()
    tab, _ = await _seat(small, stream_id)
    await studio.ask(type="stop")
    await tab.expect("seat", state="none")


async def test_silence_frees_a_seat_for_the_next(
    small: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, stream_id = await (await small.guest("ada")).go_live()
    silent, _ = await _seat(small, stream_id)
    present, _ = await _seat(small, stream_id)
    waiting, told = await _seat(small, stream_id)
    assert told["state"] == "waiting"
    monkeypatch.setattr(peer, "SILENCE", 1.0)
    for _ in range(8):
        await present.watch(stream_id)
        await waiting.watch(stream_id)
        await asyncio.sleep(0.3)
    await silent.expect("seat", state="none")
    await waiting.expect("seat", state="granted")
    await present.quiet("seat", 0.1)


@pytest.mark.abuse("A12")
async def test_an_account_has_one_seat_however_many_tabs_it_opens(small: Live) -> None:
    studio, stream_id = await (await small.guest("ada")).go_live()
    hoarder = await small.guest("mallory")
    tabs = [await hoarder.tab() for _ in range(4)]
    for tab in tabs:
        await tab.watch(stream_id)
        await tab.expect("seat", state="granted")
    for tab in tabs[:-1]:
        assert (await tab.expect("seat"))["state"] == "waiting"
    honest, seat = await _seat(small, stream_id)
    assert seat["state"] == "granted"
    told = await studio.find(lambda m: len(m.get("seated", [])) == 2, "two seats")
    assert [s["name"] for s in told["seated"]] == ["mallory", small.people[-1].name]
    assert told["waiting"] == []
    # A third person waits, and no further tab of somebody who has a seat stands before them.
    third, waiting = await _seat(small, stream_id)
    assert (waiting["state"], waiting["position"]) == ("waiting", 1)
    await honest.leave(stream_id)
    assert (await third.expect("seat"))["state"] == "granted"
    # The next heartbeats of the older tabs change nothing.
    for tab in tabs:
        await tab.watch(stream_id)
    await tabs[0].quiet("seat", 0.3, state="granted")


@pytest.mark.abuse("A4")
@pytest.mark.spec("S13")
async def test_two_tabs_count_once_and_share_a_seat_by_the_newest(small: Live) -> None:
    _, stream_id = await (await small.guest("ada")).go_live()
    viewer = await small.guest("vera")
    older, newer = await viewer.tab(), await viewer.tab()
    await older.watch(stream_id)
    first = await older.expect("seat", state="granted")
    await newer.watch(stream_id)
    second = await newer.expect("seat", state="granted")
    assert second["media_id"] != first["media_id"]
    await older.expect("seat", state="waiting")
    state = (await viewer.http.get(f"/api/streams/{stream_id}")).json()
    assert (state["active_viewer_count"], state["publish_epoch"]) == (1, 1)
    await newer.watch(stream_id, is_unmuted=False)
    await older.expect("seat", state="granted")
    state = (await viewer.http.get(f"/api/streams/{stream_id}")).json()
    assert (state["active_viewer_count"], state["publish_epoch"]) == (1, 1)


async def test_the_seat_of_an_account_is_not_lost_to_the_queue_between_its_tabs(
    small: Live,
) -> None:
    _, stream_id = await (await small.guest("ada")).go_live()
    viewer = await small.guest("vera")
    older, newer = await viewer.tab(), await viewer.tab()
    await _seat(small, stream_id)
    await older.watch(stream_id)
    await older.expect("seat", state="granted")
    third, waiting = await _seat(small, stream_id)
    assert waiting["state"] == "waiting"
    await newer.watch(stream_id)
    await newer.expect("seat", state="granted")
    await newer.leave(stream_id)
    await older.expect("seat", state="granted")
    await older.leave(stream_id)
    await third.expect("seat", state="granted")


@pytest.mark.abuse("A19")
async def test_a_seat_can_not_flood_the_other_side(small: Live) -> None:
    studio, stream_id = await (await small.guest("ada")).go_live()
    tab, seat = await _seat(small, stream_id)
    there = studio.heard[0]["connection"]
    large: Json = {"kind": "answer", "sdp": "x" * 20_000}

    async def flood(media_id: str) -> list[str]:
        answers = [
            await tab.ask(type="signal", to=there, media_id=media_id, data=large) for _ in range(12)
        ]
        return [a.get("problem", {}).get("code", "ok") for a in answers]

    codes = await flood(seat["media_id"])
    assert codes[:5] == ["ok"] * 5
    assert codes[-1] == "rate_limited"
    # A new seat is no new allowance.
    await tab.leave(stream_id)
    await tab.expect("seat", state="none")
    await tab.watch(stream_id)
    again = await tab.expect("seat", state="granted")
    assert "ok" not in (await flood(again["media_id"]))[1:]
    passed = [m for m in studio.heard if m["type"] == "signal"]
    assert len(passed) <= 8
