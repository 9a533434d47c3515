"""From a viewer's heartbeat to the streamer's camera, through the real socket and database."""

import asyncio
import time
from uuid import UUID, uuid4

import pytest

from livewall.db import Caller
from livewall.hub import Member
from livewall.shapes import StreamChange
from livewall.streams import Started
from tests.databases import Database
from tests.server.world import Live, Tab, serving, settings_for


@pytest.mark.spec("S14")
@pytest.mark.spec("S15")
async def test_first_watcher_switches_the_camera_on_at_once(live: Live) -> None:
    streamer, viewer = await live.guest("ada"), await live.guest("vera")
    studio, stream_id = await streamer.go_live("hello")
    tab = await viewer.tab()
    await asyncio.sleep(0.3)  # the rest of the server has calmed down
    started = time.perf_counter()
    await tab.watch(stream_id)
    command = await studio.expect("publish", is_published=True)
    seconds = time.perf_counter() - started
    assert seconds < 5, "the next look at every row would come after 10 s"
    assert command["epoch"] == 1
    assert command["why"]["code"] == "watched"
    assert command["why"]["watchers"] == ["vera"]
    event = await tab.expect("stream")
    assert event["stream"]["is_published"]
    assert event["stream"]["active_viewer_count"] == 1


@pytest.mark.spec("S14")
async def test_clean_leave_switches_off_after_the_linger(live: Live) -> None:
    await live.rules(linger="1 second", minimum_on_time="0 seconds", restart_grace="0 seconds")
    studio, stream_id = await (await live.guest("ada")).go_live()
    tab = await (await live.guest()).tab()
    await tab.watch(stream_id)
    await studio.expect("publish", is_published=True)
    started = time.perf_counter()
    await tab.leave()
    lingering = await studio.expect("publish", is_published=True)
    assert lingering["why"]["code"] == "lingering"
    off = await studio.expect("publish", is_published=False)
    assert time.perf_counter() - started >= 0.9
    assert off["epoch"] == 2


@pytest.mark.spec("S18")
@pytest.mark.abuse("A5")
async def test_a_cut_connection_is_silence_not_a_leave(live: Live) -> None:
    await live.rules(linger="0 seconds", minimum_on_time="0 seconds", restart_grace="0 seconds")
    studio, stream_id = await (await live.guest("ada")).go_live()
    viewer = await live.guest()
    tab = await viewer.tab()
    await tab.watch(stream_id)
    await studio.expect("publish", is_published=True)
    await tab.cut()
    await studio.quiet("publish", 1.5, is_published=False)
    back = await viewer.tab(tab.session_id)
    back.sequence = tab.sequence
    await back.watch(stream_id)
    await studio.quiet("publish", 0.5, is_published=False)


@pytest.mark.spec("S18")
async def test_silence_switches_off_when_its_time_is_up(live: Live) -> None:
    await live.rules(
        linger="0 seconds",
        minimum_on_time="0 seconds",
        restart_grace="0 seconds",
        viewer_silence="2 seconds",
    )
    studio, stream_id = await (await live.guest("ada")).go_live()
    tab = await (await live.guest()).tab()
    await tab.watch(stream_id)
    await studio.expect("publish", is_published=True)
    await tab.cut()
    off = await studio.expect("publish", is_published=False)
    assert off["epoch"] == 2


@pytest.mark.spec("S13")
async def test_each_flag_alone_makes_a_preview(live: Live) -> None:
    studio, stream_id = await (await live.guest("ada")).go_live()
    tab = await (await live.guest()).tab()
    for flag in ("is_active", "is_unmuted", "is_visible", "is_subscribed"):
        await tab.watch(stream_id, **{flag: False})
        await studio.quiet("publish", 0.2, is_published=True)
    await tab.watch(stream_id)
    await studio.expect("publish", is_published=True)


@pytest.mark.spec("S19")
async def test_streamer_may_watch_their_own_stream(live: Live) -> None:
    streamer = await live.guest("ada")
    studio, stream_id = await streamer.go_live()
    second = await streamer.tab()
    await second.watch(stream_id)
    command = await studio.expect("publish", is_published=True)
    assert command["why"]["watchers"] == ["ada"]


@pytest.mark.abuse("A4")
async def test_two_tabs_count_once_and_either_keeps_the_camera_on(live: Live) -> None:
    studio, stream_id = await (await live.guest("ada")).go_live()
    viewer = await live.guest()
    one, two = await viewer.tab(), await viewer.tab()
    await one.watch(stream_id)
    await two.watch(stream_id, is_unmuted=False)
    command = await studio.expect("publish", is_published=True)
    assert command["why"]["active_viewer_count"] == 1
    await two.leave()
    await studio.quiet("publish", 0.4, is_published=False)
    stream = (await viewer.http.get(f"/api/streams/{stream_id}")).json()
    assert stream["active_viewer_count"] == 1


@pytest.mark.abuse("A7")
async def test_an_older_or_repeated_heartbeat_is_ignored(live: Live) -> None:
    await live.rules(restart_grace="0 seconds")
    studio, stream_id = await (await live.guest("ada")).go_live()
    tab = await (await live.guest()).tab()
    tab.sequence = 10
    await tab.watch(stream_id)
    await studio.expect("publish", is_published=True)
    await tab.leave()
    await studio.find(lambda m: m.get("why", {}).get("code") == "lingering", "lingering")
    for older in (5, tab.sequence - 1):
        tab.sequence = older
        await tab.watch(stream_id)
    await studio.quiet("publish", 0.5)
    assert await _count(live, stream_id) == 0


@pytest.mark.abuse("A9")
async def test_thirteen_tiles_or_five_active_are_refused_and_nothing_changes(live: Live) -> None:
    _, stream_id = await (await live.guest("ada")).go_live()
    tab = await (await live.guest()).tab()
    await tab.watch(stream_id, *[uuid4() for _ in range(12)], is_active=False)
    problem = (await tab.expect("error"))["problem"]
    assert (problem["code"], problem["fields"]) == ("too_many_tiles", {"limit": 12, "got": 13})
    await tab.watch(stream_id, *[uuid4() for _ in range(4)])
    problem = (await tab.expect("error"))["problem"]
    assert (problem["code"], problem["fields"]) == ("too_many_active", {"limit": 4, "got": 5})
    assert await _count(live, stream_id) == 0


@pytest.mark.abuse("A2")
async def test_unknown_and_ended_streams_are_refused_without_a_row(live: Live) -> None:
    studio, stream_id = await (await live.guest("ada")).go_live()
    tab = await (await live.guest()).tab()
    await tab.watch(uuid4())
    assert (await tab.expect("error"))["problem"]["code"] == "not_found"
    await studio.ask(type="stop")
    await tab.watch(stream_id)
    problem = (await tab.expect("error"))["problem"]
    assert problem["code"] == "stream_not_live"
    assert problem["fields"] == {"stream_id": str(stream_id)}
    assert await _rows(live) == 0


async def test_leave_over_http_as_a_closing_page_does(live: Live) -> None:
    await live.rules(linger="0 seconds", minimum_on_time="0 seconds", restart_grace="0 seconds")
    studio, stream_id = await (await live.guest("ada")).go_live()
    viewer = await live.guest()
    tab = await viewer.tab()
    await tab.watch(stream_id)
    await studio.expect("publish", is_published=True)
    body = {"session_id": str(tab.session_id), "sequence": tab.sequence + 1}
    answer = await viewer.http.post("/api/presence/leave", json=body)
    assert answer.status_code == 204
    await studio.expect("publish", is_published=False)


async def test_nobody_leaves_for_somebody_else(live: Live) -> None:
    studio, stream_id = await (await live.guest("ada")).go_live()
    tab = await (await live.guest()).tab()
    await tab.watch(stream_id)
    await studio.expect("publish", is_published=True)
    body = {"session_id": str(tab.session_id), "sequence": tab.sequence + 1}
    stranger = await live.guest()
    assert (await stranger.http.post("/api/presence/leave", json=body)).status_code == 204
    await asyncio.sleep(0.3)
    assert await _count(live, stream_id) == 1


async def test_stop_switches_off_at_once(live: Live) -> None:
    studio, stream_id = await (await live.guest("ada")).go_live()
    tab = await (await live.guest()).tab()
    await tab.watch(stream_id)
    await studio.expect("publish", is_published=True)
    answer = await studio.ask(type="stop")
    assert answer["stream"]["is_published"] is False
    await tab.find(lambda m: m["type"] == "stream" and not m["stream"]["live_available"], "ended")
    await studio.quiet("publisher_lost", 0.2)


async def test_second_studio_is_told_no_or_takes_over(live: Live) -> None:
    streamer = await live.guest("ada")
    first, stream_id = await streamer.go_live()
    second = await streamer.tab()
    answer = await second.ask(type="go_live", title="")
    assert answer["problem"]["code"] == "publisher_elsewhere"
    answer = await second.ask(type="go_live", title="", take_over=True)
    assert answer["type"] == "ok"
    lost = await first.expect("publisher_lost")
    assert (lost["stream_id"], lost["reason"]) == (str(stream_id), "taken_over")
    await first.say(
        type="heartbeat",
        sequence=1,
        tiles=[],
        publisher={"stream_id": stream_id},
    )
    assert (await first.expect("publisher_lost"))["reason"] == "taken_over"
    viewer = await (await live.guest()).tab()
    await viewer.watch(stream_id)
    await second.expect("publish", is_published=True)
    await first.quiet("publish", 0.3, is_published=True)


async def test_a_takeover_through_another_server_reaches_the_first_studio(
    live: Live, database: Database
) -> None:
    streamer = await live.guest("ada")
    first, stream_id = await streamer.go_live()
    viewer = await (await live.guest()).tab()
    await viewer.watch(stream_id)
    await first.expect("publish", is_published=True)
    async with serving(settings_for(database), database) as other:
        second = await other.visitor(streamer.token).tab()
        answer = await second.ask(type="go_live", title="", take_over=True)
        assert answer["type"] == "ok"
        lost = await first.expect("publisher_lost")
        assert (lost["stream_id"], lost["reason"]) == (str(stream_id), "taken_over")


async def test_of_two_takeovers_the_later_counts_whichever_answer_comes_first(live: Live) -> None:
    streamer = await live.guest("ada")
    _, stream_id = await streamer.go_live()
    answers: list[StreamChange] = []
    sessions = [uuid4(), uuid4()]
    for session in sessions:
        started = await live.app.server.database.call(
            Caller("authenticated", streamer.id),
            "start_stream",
            Started,
            p_title=None,
            p_session_id=session,
            p_take_over=True,
        )
        answers.append(started.change)
    changes = live.app.server.presence.changes
    for change in reversed(answers):
        changes.apply_own(change)
    assert changes.publisher_of(stream_id) == Member(streamer.id, sessions[1])


async def test_an_expired_lease_ends_being_live_and_a_kept_one_does_not(live: Live) -> None:
    await live.rules(lease_time="2 seconds", restart_grace="0 seconds")
    kept, kept_id = await (await live.guest("ada")).go_live()
    studio, stream_id = await (await live.guest("bob")).go_live()
    for sequence in range(1, 8):
        publisher = {"stream_id": kept_id}
        await kept.say(type="heartbeat", sequence=sequence, tiles=[], publisher=publisher)
        await asyncio.sleep(0.4)
    lost = await studio.expect("publisher_lost")
    assert (lost["stream_id"], lost["reason"]) == (str(stream_id), "lease_expired")
    await kept.quiet("publisher_lost", 0.1)


async def test_a_lease_is_nobody_elses_to_keep(live: Live) -> None:
    _, stream_id = await (await live.guest("ada")).go_live()
    other = await (await live.guest("eve")).tab()
    publisher = {"stream_id": stream_id}
    await other.say(type="heartbeat", sequence=1, tiles=[], publisher=publisher)
    assert (await other.expect("error"))["problem"]["code"] == "not_live"


async def test_a_stream_listed_twice_ends_the_socket(live: Live) -> None:
    _, stream_id = await (await live.guest("ada")).go_live()
    tab: Tab = await (await live.guest()).tab()
    await tab.watch(stream_id, stream_id)
    assert await tab.closed() == 4400


async def _count(live: Live, stream_id: UUID) -> int:
    admin = await live.database.admin()
    query = "SELECT active_viewer_count FROM public.live_streams WHERE id = $1"
    return await admin.fetchval(query, stream_id)


async def _rows(live: Live) -> int:
    admin = await live.database.admin()
    return await admin.fetchval("SELECT count(*) FROM public.active_viewers")


@pytest.mark.abuse("A6")
async def test_rapid_toggles_switch_off_at_most_four_times_a_minute(live: Live) -> None:
    await live.rules(linger="0 seconds", minimum_on_time="0 seconds", restart_grace="0 seconds")
    studio, stream_id = await (await live.guest("ada")).go_live()
    tab = await (await live.guest()).tab()
    for _ in range(50):
        await tab.watch(stream_id)
        await asyncio.sleep(0.03)
        await tab.watch(stream_id, is_visible=False)
        await asyncio.sleep(0.03)
    await asyncio.sleep(0.5)
    epochs = [m["epoch"] for m in studio.heard if m["type"] == "publish"]
    assert epochs == sorted(epochs)
    assert 2 <= max(epochs) <= 8, "each off-transition is an even epoch"


async def test_guests_go_live_only_outside_production(database: Database) -> None:
    async with serving(settings_for(database, env="production"), database) as live:
        await asyncio.sleep(0.3)
        studio = await (await live.guest("ada")).tab()
        answer = await studio.ask(type="go_live", title="")
        assert answer["problem"]["code"] == "guests_may_not_go_live"
        account = await (await live.account("bob")).tab()
        assert (await account.ask(type="go_live", title=""))["type"] == "ok"
