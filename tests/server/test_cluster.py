"""Several servers on one database: whoever is on one hears of whoever is on another.

What seats do across servers is in test_seats.py, which runs on one server and on two.
"""

import itertools
import signal

import pytest

from livewall import cluster
from livewall.app import create_app
from livewall.jobs import LEADER_PID
from tests.databases import Database
from tests.processes import free_port
from tests.server.world import (
    PATIENCE_SECONDS,
    Json,
    Live,
    Pair,
    Tab,
    at,
    environment_for,
    meet,
    metric,
    serving,
    settings_for,
    started_process,
)
from tests.waiting import until

# What docs/operations.md promises, and what a machine that tests three things takes longer.
LEADER_LOST_SECONDS = 15.0
SLACK_SECONDS = 5.0


async def test_chat_reaches_readers_on_both_servers_in_one_order(pair: Pair) -> None:
    here, there = pair
    _, stream_id = await (await here.guest("ada")).go_live()
    reader, writer = await (await there.guest("vera")).tab(), await here.guest("bob")
    near = await (await here.guest()).tab()
    for tab in (reader, near):
        await tab.ask(type="open_chat", stream_id=stream_id)
    path = f"/api/streams/{stream_id}/chat"
    said = [(await writer.http.post(path, json={"body": f"no {n}"})).json()["id"] for n in range(5)]
    for tab in (reader, near):
        assert [(await tab.expect("chat"))["message"]["id"] for _ in said] == said
    assert (await writer.http.delete(f"/api/chat/{said[-1]}")).status_code == 204
    assert (await reader.expect("chat_deleted"))["id"] == said[-1]


@pytest.mark.abuse("A20")
async def test_a_block_ends_what_two_people_have_across_servers(pair: Pair) -> None:
    here, there = pair
    ada, mallory = await here.guest("ada"), await there.guest("mallory")
    studio, stream_id = await ada.go_live()
    tab = await mallory.tab()
    await tab.ask(type="open_chat", stream_id=stream_id)
    await tab.watch(stream_id)
    await tab.expect("seat", state="granted")
    assert (await ada.http.put("/api/blocks/mallory")).status_code == 204
    assert (await tab.expect("snapshot"))["blocked"] == [str(ada.id)]
    await tab.expect("seat", state="none")
    await studio.expect("watchers", seated=[])
    await ada.http.post(f"/api/streams/{stream_id}/chat", json={"body": "peace"})
    await tab.quiet("chat", 0.5)


@pytest.mark.abuse("A15", "T3")
@pytest.mark.parametrize("how", ["signed out", "deleted", "banned"])
async def test_who_has_to_go_goes_from_every_server(pair: Pair, how: str) -> None:
    here, there = pair
    person = await here.account("vera")
    tab = await at(there, person).tab()
    if how == "signed out":
        await person.http.delete("/api/session")
    elif how == "deleted":
        await person.http.delete("/api/me")
    else:
        moderator = await here.moderator("mia")
        await moderator.http.put("/api/bans/vera", json={"reason": "spam"})
    assert await tab.closed() == (4403 if how == "banned" else 4401)
    # The other server asks again, and does not go by what it remembers.
    answer = await at(there, person).http.get("/api/me/blocks")
    assert answer.status_code in {401, 403}


async def test_a_wall_saved_on_one_server_shows_on_the_other(pair: Pair) -> None:
    here, there = pair
    vera, ada = await here.guest("vera"), await there.guest("ada")
    tab = await at(there, vera).tab()
    slot: Json = {"slot_index": 3, "streamer_id": str(ada.id)}
    await vera.http.put("/api/grid", json={"slots": [slot]})
    assert (await tab.expect("slots"))["slots"][0]["streamer_id"] == str(ada.id)
    await ada.tab()
    await ada.go_live()
    await tab.expect("stream")


async def test_a_name_changed_on_one_server_shows_on_the_other(pair: Pair) -> None:
    here, there = pair
    ada, viewer = await here.guest("ada"), await there.guest()
    await ada.go_live()
    tab = await viewer.tab()
    own = await at(there, ada).tab()
    await ada.http.patch("/api/me", json={"display_name": "Ada Lovelace"})
    told = await tab.find(
        lambda m: (
            m["type"] == "stream" and m["stream"]["streamer"]["display_name"] == "Ada Lovelace"
        ),
        "the new name",
    )
    assert told["stream"]["live_available"]
    assert (await own.expect("snapshot"))["account"]["profile"]["display_name"] == "Ada Lovelace"


async def test_a_session_has_one_socket_on_all_servers(pair: Pair) -> None:
    here, there = pair
    vera = await here.guest("vera")
    older = await vera.tab()
    newer = await at(there, vera).tab(older.session_id)
    assert (await older.expect("error"))["problem"]["code"] == "replaced"
    assert await older.closed() == 4409
    assert (await newer.ask(type="open_chat", stream_id=None))["type"] == "ok"


async def test_a_streamer_who_moves_keeps_their_viewers(pair: Pair) -> None:
    here, there = pair
    ada = await here.guest("ada")
    studio, stream_id = await ada.go_live()
    near, far = await (await here.guest()).tab(), await (await there.guest()).tab()
    for tab in (near, far):
        await tab.watch(stream_id)
    seats = [await tab.expect("seat", state="granted") for tab in (near, far)]
    await studio.cut()
    await far.expect("publisher_away")
    back = await at(there, ada).tab(studio.session_id)
    assert (await back.expect("publish"))["is_published"]
    for tab, seat in zip((near, far), seats, strict=True):
        again = await tab.expect("seat", publisher=back.heard[0]["connection"])
        assert again["media_id"] == seat["media_id"], "it is the same seat"
    told = await back.find(lambda m: len(m.get("seated", [])) == 2, "both viewers")
    assert {s["media_id"] for s in told["seated"]} == {seat["media_id"] for seat in seats}
    await _signal_both_ways(back, near)
    await _signal_both_ways(back, far)


async def test_a_streamer_who_moves_there_and_back_is_found(pair: Pair) -> None:
    here, there = pair
    ada = await here.guest("ada")
    studio, stream_id = await ada.go_live()
    near, far = await (await here.guest()).tab(), await (await there.guest()).tab()
    for tab in (near, far):
        await tab.watch(stream_id)
        await tab.expect("seat", state="granted")
    studios = [studio]
    for server in (there, here, there, here):
        await studios[-1].cut()
        studios.append(await at(server, ada).tab(studio.session_id))
    for tab in (near, far):
        await tab.expect("seat", publisher=studios[-1].heard[0]["connection"])
        await _signal_both_ways(studios[-1], tab)
    revisions = [[m["revision"] for m in s.heard if m["type"] == "watchers"] for s in studios]
    told = [known for known in revisions if known]  # some were cut before they heard of any
    assert all(max(before) < min(after) for before, after in itertools.pairwise(told))


async def test_a_viewer_who_moves_keeps_their_seat(pair: Pair) -> None:
    here, there = pair
    studio, stream_id = await (await here.guest("ada")).go_live()
    vera = await there.guest("vera")
    tab = await vera.tab()
    await tab.watch(stream_id)
    seat = await tab.expect("seat", state="granted")
    for server in (here, there):
        await tab.cut()
        back = await at(server, vera).tab(tab.session_id)
        back.sequence = tab.sequence
        await back.watch(stream_id)
        again = await back.expect("seat")
        assert (again["state"], again["media_id"]) == ("granted", seat["media_id"])
        await _signal_both_ways(studio, back)
        tab = back
    state = (await vera.http.get(f"/api/streams/{stream_id}")).json()
    assert (state["active_viewer_count"], state["publish_epoch"]) == (1, 1)


@pytest.mark.spec("S18")
async def test_a_page_that_closes_may_say_so_to_any_server(pair: Pair) -> None:
    here, there = pair
    studio, stream_id = await (await here.guest("ada")).go_live()
    vera = await there.guest("vera")
    tab = await vera.tab()
    await tab.watch(stream_id)
    await tab.expect("seat", state="granted")
    last: Json = {"session_id": str(tab.session_id), "sequence": tab.sequence + 1}
    assert (await at(here, vera).http.post("/api/presence/leave", json=last)).status_code == 204
    await tab.expect("seat", state="none")
    await studio.expect("watchers", seated=[])


async def _signal_both_ways(studio: Tab, viewer: Tab) -> None:
    """Say something to the other side of a seat, both ways."""
    seat = [m for m in viewer.heard if m["type"] == "seat" and m["state"] == "granted"][-1]
    here, there = studio.heard[0]["connection"], viewer.heard[0]["connection"]
    candidate: Json = {"kind": "candidate", "candidate": None}
    for sender, to, receiver in ((studio, there, viewer), (viewer, here, studio)):
        await sender.say(type="signal", to=to, media_id=seat["media_id"], data=candidate)
        heard = await receiver.expect("signal", media_id=seat["media_id"])
        assert heard["from"] == sender.heard[0]["connection"]


def _process(database: Database, port: int) -> Live:
    """What a test needs of a server that is a process of its own."""
    settings = settings_for(database)
    return Live(f"http://127.0.0.1:{port}", create_app(settings), settings, database)


@pytest.mark.spec("S18")
async def test_a_server_that_is_killed_leaves_everybody_where_they_were(database: Database) -> None:
    port = free_port()
    async with (
        started_process(environment_for(database, port)) as process,
        serving(settings_for(database), database) as here,
    ):
        await meet(here, others=1)
        there = _process(database, port)
        ada, vera = await there.guest("ada"), await there.guest("vera")
        studio, stream_id = await ada.go_live()
        near, far = await (await here.guest()).tab(), await vera.tab()
        for tab in (far, near):
            await tab.watch(stream_id)
            seat = await tab.expect("seat", state="granted")
        process.kill()
        await process.wait()
        back = await at(here, ada).tab(studio.session_id)
        again = await at(here, vera).tab(far.session_id)
        again.sequence = far.sequence
        await again.watch(stream_id)
        told = await near.expect("seat", publisher=back.heard[0]["connection"])
        assert told["media_id"] == seat["media_id"]
        await again.expect("seat", state="granted")
        await _signal_both_ways(back, near)
        await _signal_both_ways(back, again)
        await meet(here, others=0)
        state = (await here.visitor().http.get(f"/api/streams/{stream_id}")).json()
        assert (state["is_published"], state["publish_epoch"]) == (True, 1)
        assert state["active_viewer_count"] == 2
        await there.close()


async def test_a_server_that_hung_for_a_while_is_the_home_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "LOST_SECONDS", 1.0)
    monkeypatch.setattr(cluster, "ALIVE_SECONDS", 0.3)
    port = free_port()
    async with (
        started_process(environment_for(database, port)) as process,
        serving(settings_for(database), database) as here,
    ):
        await meet(here)
        there = _process(database, port)
        studio, stream_id = await (await there.guest("ada")).go_live()
        tab = await (await here.guest()).tab()
        await tab.watch(stream_id)
        seat = await tab.expect("seat", state="granted")
        process.send_signal(signal.SIGSTOP)
        await tab.expect("publisher_away")
        process.send_signal(signal.SIGCONT)
        again = await tab.expect("seat", publisher=studio.heard[0]["connection"])
        assert again["media_id"] == seat["media_id"]
        await _signal_both_ways(studio, tab)
        late = await (await here.guest()).tab()
        await late.watch(stream_id)
        await late.expect("seat", state="granted", publisher=studio.heard[0]["connection"])
        await there.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_another_leads_when_the_leader_is_killed_or_hangs(
    database: Database, how: signal.Signals
) -> None:
    async def somebody_leads() -> bool:
        return len(await admin.fetch(LEADER_PID)) == 1

    async def we_lead() -> bool:
        return metric("livewall_job_leader") == 1

    admin = await database.admin()
    async with started_process(environment_for(database, free_port())) as process:
        await until(somebody_leads, PATIENCE_SECONDS, "the process leads")
        async with serving(settings_for(database), database) as here:
            await meet(here, others=1)
            assert not await we_lead()
            process.send_signal(how)
            await until(we_lead, LEADER_LOST_SECONDS + SLACK_SECONDS, "this server leads")
