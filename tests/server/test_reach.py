"""What one person does reaches others in measure, and work is done only for those it is for."""

import asyncio
from uuid import uuid4

import pytest

from livewall import hub, pending, streams, watching
from livewall.cluster_messages import Home
from livewall.hub import Member
from livewall.media import peer
from livewall.media.shared import SharedPlane
from tests.server.world import Live, jpeg

JPEG = {"Content-Type": "image/jpeg"}


@pytest.mark.abuse("A19")
async def test_edits_reach_those_who_see_them_and_not_in_a_loop(live: Live) -> None:
    mallory = await live.guest("mallory")
    studio, stream_id = await mallory.go_live()
    stranger = await (await live.guest()).tab()
    await studio.ask(type="stop")
    await stranger.expect("stream")
    for text in ({"bio": "x"}, {"display_name": "M."}):
        assert (await mallory.http.patch("/api/me", json=text)).status_code == 200
    await stranger.quiet("stream", 0.3)
    assert (await studio.ask(type="go_live", title=""))["type"] == "ok"
    await stranger.expect("stream")
    await mallory.http.patch("/api/me", json={"bio": "y"})
    await stranger.quiet("stream", 0.3)
    await mallory.http.patch("/api/me", json={"display_name": "Mal"})
    heard = await stranger.expect("stream")
    assert heard["stream"]["id"] == str(stream_id)
    assert heard["stream"]["streamer"]["display_name"] == "Mal"
    codes = [
        (await mallory.http.patch("/api/me", json={"bio": f"{n}"})).status_code for n in range(14)
    ]
    assert codes[-1] == 429
    assert (await mallory.http.patch("/api/me/stream", json={"title": "x"})).status_code == 429


@pytest.mark.abuse("A20")
async def test_blocking_in_a_loop_floods_nobody(live: Live) -> None:
    victim, mallory = await live.guest("victim"), await live.guest("mallory")
    tab = await victim.tab()
    codes: list[int] = []
    for _ in range(15):
        codes.append((await mallory.http.put("/api/blocks/victim")).status_code)
        codes.append((await mallory.http.delete("/api/blocks/victim")).status_code)
    assert codes[0] == 204
    assert codes[-1] == 429
    await asyncio.sleep(0.5)
    assert len([m for m in tab.heard if m["type"] == "snapshot"]) <= 3


@pytest.mark.abuse("A20")
async def test_a_block_holds_at_once_and_the_last_one_is_told(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "RESYNC_SECONDS", 0.5)
    victim, mallory = await live.guest("victim"), await live.guest("mallory")
    tab = await victim.tab()
    for _ in range(3):
        await mallory.http.put("/api/blocks/victim")
        await mallory.http.delete("/api/blocks/victim")
    await mallory.http.put("/api/blocks/victim")
    client = live.app.server.hub.of_profile(victim.id)[0]
    assert mallory.id in client.blocked
    await asyncio.sleep(0.8)
    snapshots = [m for m in tab.heard if m["type"] == "snapshot"]
    assert snapshots[-1]["blocked"] == [str(mallory.id)]


@pytest.mark.abuse("A19")
async def test_a_picture_is_decoded_only_for_whom_it_would_be_kept(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    clean = streams.clean_picture

    def counted(body: bytes) -> bytes:
        decoded.append(len(body))
        return clean(body)

    monkeypatch.setattr(streams, "clean_picture", counted)
    ada, eve = await live.guest("ada"), await live.guest("eve")
    _, stream_id = await ada.go_live()
    for path in (f"/api/streams/{stream_id}/preview", f"/api/streams/{uuid4()}/preview"):
        assert (await eve.http.put(path, content=jpeg(), headers=JPEG)).status_code == 403
    assert decoded == []
    path = f"/api/streams/{stream_id}/preview"
    codes = [
        (await ada.http.put(path, content=jpeg(), headers=JPEG)).status_code for _ in range(12)
    ]
    assert codes[0] == 204
    assert set(codes[1:]) <= {204, 429}
    assert len(decoded) == codes.count(204)


@pytest.mark.abuse("A12")
async def test_leaves_are_as_long_as_a_wall_and_as_frequent_as_pages_close(live: Live) -> None:
    guest = await live.guest()
    tab = await guest.tab()
    many = [str(uuid4()) for _ in range(13)]
    body = {"session_id": str(uuid4()), "sequence": 1}
    too_long = await guest.http.post("/api/presence/leave", json=body | {"stream_ids": many})
    assert (too_long.status_code, too_long.json()["code"]) == (400, "invalid_message")
    codes = [
        (
            await guest.http.post(
                "/api/presence/leave", json={"session_id": str(uuid4()), "sequence": 1}
            )
        ).status_code
        for _ in range(80)
    ]
    assert codes[0] == 204
    assert 429 in codes
    await tab.say(type="leave", sequence=1, stream_ids=many)
    assert await tab.closed() == 4400


@pytest.mark.abuse("A12")
async def test_invented_sessions_and_streams_take_bounded_room(live: Live) -> None:
    guest, presence = await live.guest(), live.app.server.presence
    tab = await guest.tab()
    for n in range(100):
        presence.leave(Member(guest.id, uuid4()), n, [uuid4()])
    assert len(presence._sessions) <= watching.MOST_SESSIONS  # pyright: ignore[reportPrivateUsage]
    assert len(presence.writer.pending) <= watching.MOST_SESSIONS * pending.MOST_PER_SESSION
    member = Member(guest.id, tab.session_id)
    for _ in range(100):
        presence.plane.ask(member, uuid4())
    plane = presence.plane
    assert isinstance(plane, SharedPlane)
    rooms = plane._rooms._rooms  # pyright: ignore[reportPrivateUsage]
    assert len(rooms) == peer.MOST_PLACES
    elsewhere = [uuid4() for _ in range(100)]
    plane.hear(uuid4(), Home(dict.fromkeys(elsewhere, 1.0)))
    for stream_id in elsewhere:
        plane.ask(member, stream_id)
    assert len(plane._away[member]) == peer.MOST_PLACES  # pyright: ignore[reportPrivateUsage]
