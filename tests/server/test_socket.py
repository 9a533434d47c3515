"""The socket itself: handshake, bad input, caps, replacement, resync, farewell."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
from uuid import uuid4

import pytest
import structlog
from websockets.exceptions import ConnectionClosed

from livewall import conversation
from livewall import hub as hubs
from livewall import socket as sockets
from livewall.conversation import ice_servers
from livewall.settings import Settings
from tests.databases import Database
from tests.server.world import Live, Tab, serving, settings_for
from tests.waiting import until


async def test_snapshot_says_everything_a_client_starts_from(live: Live) -> None:
    viewer = await live.guest("vera")
    streamer = await live.guest("ada")
    _, stream_id = await streamer.go_live("first light")
    wall = {"slots": [{"slot_index": 3, "streamer_id": str(streamer.id)}]}
    assert (await viewer.http.put("/api/grid", json=wall)).status_code == 200
    tab = await viewer.tab()
    snapshot = tab.heard[0]
    assert snapshot["account"]["profile"]["name"] == "vera"
    assert [s["id"] for s in snapshot["streams"]] == [str(stream_id)]
    assert snapshot["slots"][0]["stream"]["title"] == "first light"
    assert snapshot["limits"] == {"tiles": 12, "active": 4, "seats": 6}
    assert snapshot["heartbeat_seconds"] == 12
    assert snapshot["own_stream"] is None
    assert snapshot["ice_servers"] == []


MALFORMED = (
    "",
    "{",
    "[]",
    "null",
    '"hello"',
    '{"type": "nonsense"}',
    '{"type": "heartbeat"}',
    '{"type": "heartbeat", "sequence": 1, "tiles": [], "viewer_id": "somebody"}',
    '{"type": "heartbeat", "sequence": -1, "tiles": []}',
    '{"type": "heartbeat", "sequence": 1.5, "tiles": []}',
    '{"type": "heartbeat", "sequence": 1e400, "tiles": []}',
    '{"type": "heartbeat", "sequence": 1, "tiles": [{"stream_id": "x"}]}',
    '{"type": "leave", "sequence": 99999999999999999999, "stream_ids": []}',
    '{"type": "go_live", "title": 5}',
    '{"type": "go_live", "title": "\\ud800"}',
    '{"type": "hello", "protocol": 1, "session_id": "00000000-0000-0000-0000-000000000001"}',
    "[" * 20_000,
    '{"type": ' * 3_000,
)


async def test_a_malformed_message_closes_that_socket_only(live: Live) -> None:
    viewer, neighbour = await live.guest(), await (await live.guest()).tab()
    for text in MALFORMED:
        tab = await viewer.tab()
        await tab.line.send(text)
        assert (await tab.expect("error"))["problem"]["code"] == "invalid_message", text
        assert await tab.closed() == 4400, text
    assert (await neighbour.ask(type="open_chat", stream_id=None))["type"] == "ok"


@pytest.mark.abuse("A1")
@pytest.mark.abuse("A14")
async def test_a_heartbeat_can_not_name_a_viewer(live: Live) -> None:
    victim = await live.guest("victim")
    _, stream_id = await (await live.guest("ada")).go_live()
    tab = await (await live.guest("mallory")).tab()
    await tab.say(type="heartbeat", sequence=1, tiles=[], viewer_id=victim.id)
    assert await tab.closed() == 4400
    admin = await live.database.admin()
    assert await admin.fetchval("SELECT count(*) FROM public.active_viewers") == 0
    assert stream_id


async def test_bytes_are_no_message(live: Live) -> None:
    tab = await (await live.guest()).tab()
    await tab.line.send(b"\x00\xff")
    assert await tab.closed() == 4400


@pytest.mark.abuse("A19")
async def test_an_oversized_message_closes_with_its_code(live: Live) -> None:
    tab, neighbour = await (await live.guest()).tab(), await (await live.guest()).tab()
    await tab.line.send('{"type": "go_live", "title": "' + "x" * 33_000 + '"}')
    assert (await tab.expect("error"))["problem"]["code"] == "too_large"
    assert await tab.closed() == 4413
    assert (await neighbour.ask(type="open_chat", stream_id=None))["type"] == "ok"


@pytest.mark.abuse("A19")
async def test_a_megabyte_never_reaches_the_application(live: Live) -> None:
    tab = await (await live.guest()).tab()
    with contextlib.suppress(ConnectionClosed):
        await tab.line.send("x" * 1_000_000)
    assert await tab.closed() == 1009


async def test_first_message_must_be_hello(live: Live) -> None:
    tab = await (await live.guest()).connect()
    await tab.say(type="open_chat", stream_id=None)
    assert await tab.closed() == 4400


async def test_hello_must_come_in_time(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "HELLO_SECONDS", 0.2)
    tab = await (await live.guest()).connect()
    assert await tab.closed() == 4408
    assert tab.heard[0]["problem"]["code"] == "no_hello"


@pytest.mark.abuse("T1")
async def test_nobody_and_foreign_pages_are_told_so(live: Live) -> None:
    nobody = await live.visitor().connect()
    assert await nobody.closed() == 4401
    cheat = await live.visitor("not.a.token").connect()
    assert await cheat.closed() == 4401
    guest = live.visitor()
    await guest.http.post("/api/session/guest", json={})
    cookie = "; ".join(f"{k}={v}" for k, v in guest.http.cookies.items())
    foreign = await guest.connect({"Cookie": cookie, "Origin": "https://evil.example"})
    assert await foreign.closed() == 4403
    own = await guest.connect({"Cookie": cookie, "Origin": live.url})
    assert (await own.hello())["type"] == "snapshot"


async def test_a_newer_socket_of_a_session_replaces_the_older(live: Live) -> None:
    viewer = await live.guest()
    older = await viewer.tab()
    newer = await viewer.tab(older.session_id)
    assert (await older.expect("error"))["problem"]["code"] == "replaced"
    assert await older.closed() == 4409
    assert (await newer.ask(type="open_chat", stream_id=None))["type"] == "ok"


async def test_the_same_session_id_of_two_people_is_two_sessions(live: Live) -> None:
    session_id = uuid4()
    one = await (await live.guest()).tab(session_id)
    two = await (await live.guest()).tab(session_id)
    for tab in (one, two):
        assert (await tab.ask(type="open_chat", stream_id=None))["type"] == "ok"


@pytest.mark.abuse("A12")
async def test_caps_per_account_and_per_address(database: Database) -> None:
    settings = settings_for(database, sockets_per_account=2, sockets_per_address=3)
    async with serving(settings, database) as live:
        viewer = await live.guest()
        first, _ = await viewer.tab(), await viewer.tab()
        third = await viewer.connect()
        await third.say(type="hello", protocol=1, session_id=str(uuid4()))
        assert await third.closed() == 4429
        assert third.heard[0]["problem"]["code"] == "too_many_sockets"
        # A session that reconnects is not one more.
        await viewer.tab(first.session_id)
        await first.closed()
        other = await live.guest()
        await other.tab()
        fourth = await other.connect()
        assert await fourth.closed() == 4429
        await viewer.tabs[1].close()
        await asyncio.sleep(0.1)
        await other.tab()


async def test_a_slow_socket_gets_a_snapshot_instead_of_what_it_missed(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "OUTBOX_BYTES", 20_000)
    streamer, viewer = await live.guest("ada"), await live.guest()
    _, stream_id = await streamer.go_live()
    tab = await viewer.tab()
    client = next(c for c in live.app.server.hub.clients.values() if c.profile_id == viewer.id)
    for _ in range(200):
        client.push("{" + f'"type": "noise", "text": "{"x" * 200}"' + "}")
    snapshot = await tab.expect("snapshot")
    assert [s["id"] for s in snapshot["streams"]] == [str(stream_id)]
    noise = [message for message in tab.heard if message["type"] == "noise"]
    assert len(noise) < 200
    assert (await tab.ask(type="open_chat", stream_id=None))["type"] == "ok"


@pytest.mark.abuse("T6")
async def test_a_socket_that_never_reads_is_bounded(live: Live) -> None:
    viewer = await live.guest()
    tab = await viewer.tab()
    tab.line.transport.pause_reading()
    client = next(iter(live.app.server.hub.clients.values()))
    for _ in range(100):
        for _ in range(50):
            client.push('{"type": "noise", "text": "' + "x" * 1_000 + '"}')
        await asyncio.sleep(0)
    assert client.backlog <= hubs.OUTBOX_BYTES
    tab.line.transport.resume_reading()


async def test_snapshot_plus_events_is_a_fresh_snapshot(live: Live) -> None:
    """Streams start, stop and change while a socket connects; no change may be missed."""
    viewer = await live.guest()
    streamers = [await live.guest(f"streamer.{n}") for n in range(4)]
    studios = [await streamer.tab() for streamer in streamers]
    slots = [{"slot_index": n + 1, "streamer_id": str(s.id)} for n, s in enumerate(streamers)]
    await viewer.http.put("/api/grid", json={"slots": slots})

    async def restless(studio: Tab, number: int) -> None:
        await studio.ask(type="go_live", title=f"start {number}")
        for turn in range(3):
            title = {"title": f"turn {turn}"}
            await streamers[number].http.patch("/api/me/stream", json=title)
        if number % 2:
            await studio.ask(type="stop")

    work = asyncio.gather(*(restless(studio, n) for n, studio in enumerate(studios)))
    tabs = [await viewer.tab() for _ in range(5)]
    await work
    await asyncio.sleep(1.2)  # a change made over HTTP is heard by the next sweeps
    fresh = (await viewer.tab()).heard[0]
    for tab in tabs:
        known = {s["id"]: s for s in tab.heard[0]["streams"]}
        for message in tab.heard:
            if message["type"] == "stream":
                known[message["stream"]["id"]] = message["stream"]
        live_now = {i: s for i, s in known.items() if s["live_available"]}
        assert live_now == {s["id"]: s for s in fresh["streams"]}


@pytest.mark.abuse("A12")
async def test_sockets_closed_while_their_snapshot_is_read_leave_nothing(live: Live) -> None:
    hub, guest = live.app.server.hub, await live.guest()
    admin = await live.database.admin()

    async def is_empty() -> bool:
        return not hub.clients

    async def is_idle() -> bool:
        return not hub.loading

    for _ in range(20):
        # The database answers only when all of them are gone.
        async with admin.transaction():
            await admin.execute("LOCK TABLE public.user_grid_slots IN ACCESS EXCLUSIVE MODE")
            for _ in range(10):
                tab = await guest.connect()
                await tab.say(type="hello", protocol=1, session_id=str(uuid4()))
                await tab.cut()
            await until(is_empty, 5, "the server noticed that they have gone")
        await until(is_idle, 5, "every snapshot is read")
    assert hub._topics == {}  # pyright: ignore[reportPrivateUsage]


async def test_a_replaced_socket_opens_no_chat_any_more(live: Live) -> None:
    viewer = await live.guest()
    _, stream_id = await (await live.guest("ada")).go_live()
    older = await viewer.tab()
    hub = live.app.server.hub
    client = next(c for c in hub.clients.values() if c.profile_id == viewer.id)
    await viewer.tab(older.session_id)
    hub.open_chat(client, stream_id)  # its last words, heard while it is being closed
    assert hub._chats == {}  # pyright: ignore[reportPrivateUsage]


async def test_a_bug_in_a_snapshot_is_logged_and_ends_the_socket(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(conversation, "ice_servers", broken)
    with structlog.testing.capture_logs() as logs:
        tab = await (await live.guest()).connect()
        await tab.say(type="hello", protocol=1, session_id=str(uuid4()))
        assert (await tab.expect("error"))["problem"]["code"] == "internal"
        assert await tab.closed() == 1011
    [broke] = [line for line in logs if line["event"] == "socket_broke"]
    assert isinstance(broke["exc_info"], KeyError)


async def test_a_snapshot_that_came_anyway_is_not_sent_again_later(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "RESYNC_SECONDS", 0.3)
    tab = await (await live.guest()).tab()
    client = next(iter(live.app.server.hub.clients.values()))
    client.resync()
    await tab.expect("snapshot")
    client.resync_soon()
    client.resync()
    await tab.expect("snapshot")
    await tab.quiet("snapshot", 0.8)


@pytest.mark.abuse("T6")
async def test_what_waits_is_counted_in_bytes(live: Live) -> None:
    await (await live.guest()).tab()
    client = next(iter(live.app.server.hub.clients.values()))
    client.push('{"type": "noise", "text": "\u00fc\U0001f600"}')
    assert client.backlog == len('{"type": "noise", "text": ""}') + 2 + 4


async def test_saving_the_wall_tells_other_tabs_but_not_the_one_that_saved(live: Live) -> None:
    viewer, streamer = await live.guest(), await live.guest("ada")
    one, two = await viewer.tab(), await viewer.tab()
    wall = {"slots": [{"slot_index": 1, "streamer_id": str(streamer.id)}]}
    headers = {"X-Session-Id": str(one.session_id)}
    await viewer.http.put("/api/grid", json=wall, headers=headers)
    assert (await two.expect("slots"))["slots"][0]["streamer"]["name"] == "ada"
    await one.quiet("slots", 0.2)


async def test_goodbye_comes_before_the_server_stops(database: Database) -> None:
    async with serving(settings_for(database), database) as live:
        tab = await (await live.guest()).tab()
        await live.app.farewell()
        goodbye = await tab.expect("goodbye")
        assert goodbye["reason"] == "restart"
        assert goodbye["reconnect_after_ms"] > 0
        assert await tab.closed() == 1012


@pytest.mark.abuse("T8")
def test_turn_credentials_are_those_of_coturn() -> None:
    settings = Settings(turn_url="turns:turn.example:5349", turn_secret="shared secret")
    server = ice_servers(settings, uuid4())[0]
    digest = hmac.new(b"shared secret", str(server["username"]).encode(), hashlib.sha1).digest()
    assert server["credential"] == base64.b64encode(digest).decode()
    assert server["urls"] == ["turns:turn.example:5349"]
