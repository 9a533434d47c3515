"""Seats, the queue, promotion, and who may signal whom."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from livewall.media import peer
from tests.databases import Database
from tests.server.world import Json, Live, Tab, serving, settings_for


@pytest_asyncio.fixture
async def small(database: Database) -> AsyncGenerator[Live]:
    """A server with two seats per streamer."""
    async with serving(settings_for(database, seats=2), database) as running:
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
    assert (await third.expect("seat", seconds=5))["state"] == "granted"


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
