"""Profiles, follows, walls, streams, chat: what a client does over HTTP and hears on the socket."""

import asyncio
import io
from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest
from PIL import Image

from tests.server.world import Live, jpeg


@pytest.mark.spec("D1")
async def test_profile_page_with_links(live: Live) -> None:
    ada, vera = await live.guest("ada"), await live.guest("vera")
    await ada.http.patch("/api/me", json={"display_name": "Ada L.", "bio": "numbers"})
    links = {"links": [{"label": "Notes", "url": "https://notes.example/ada?x=1#top"}]}
    assert (await ada.http.put("/api/me/links", json=links)).json() == links
    page = (await vera.http.get("/api/profiles/ada")).json()
    assert (page["display_name"], page["bio"], page["links"]) == (
        "Ada L.",
        "numbers",
        links["links"],
    )
    assert page["stream"] is None
    assert (await vera.http.get("/api/profiles/nobody")).json()["code"] == "not_found"


@pytest.mark.spec("D1")
async def test_what_is_too_long_is_refused_with_the_limit(live: Live) -> None:
    ada = await live.guest("ada")
    studio, _ = await ada.go_live("x" * 80)

    def links(label: str) -> dict[str, object]:
        return {"links": [{"label": label, "url": "https://a.example"}]}

    for path, body, limit in (
        ("/api/me/stream", {"title": "x" * 81}, 80),
        ("/api/me", {"display_name": "x" * 41}, 40),
        ("/api/me", {"bio": "x" * 301}, 300),
        ("/api/me/links", links("x" * 41), 40),
    ):
        method = "PUT" if path.endswith("links") else "PATCH"
        answer = await ada.http.request(method, path, json=body)
        assert answer.status_code == 422, body
        assert f" {limit}" in answer.json()["detail"], answer.text
    refused = await studio.ask(type="go_live", title="x" * 90)
    assert "up to 80 characters" in refused["problem"]["detail"]
    assert (await ada.http.put("/api/me/links", json=links("x" * 40))).status_code == 200


@pytest.mark.abuse("A17")
async def test_links_that_are_no_web_addresses_are_refused(live: Live) -> None:
    ada = await live.guest("ada")
    for url in (
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "https://a.example/\u0000",
        "https://a.example/\n",
        "https://a.example/ b",
        "//a.example",
        "https://user@a.example",
        "https://a.example/\u202egnp",
        "",
    ):
        links = {"links": [{"label": "x", "url": url}]}
        answer = await ada.http.put("/api/me/links", json=links)
        assert answer.status_code == 422, url
        assert answer.json()["code"] in {"link_refused", "invalid_argument"}, url
    assert (await ada.http.get("/api/profiles/ada")).json()["links"] == []
    many = {"links": [{"label": "x", "url": "https://a.example/"}] * 11}
    assert (await ada.http.put("/api/me/links", json=many)).json()["code"] == "too_many_links"


@pytest.mark.spec("D2")
async def test_follow_and_unfollow(live: Live) -> None:
    ada, vera = await live.guest("ada"), await live.guest("vera")
    await ada.go_live("numbers")
    for _ in range(2):
        assert (await vera.http.put("/api/follows/ada")).status_code == 204
    page = (await vera.http.get("/api/profiles/ada")).json()
    assert (page["followers"], page["you_follow"]) == (1, True)
    following = (await vera.http.get("/api/me/following")).json()["profiles"]
    assert following[0]["stream"]["title"] == "numbers"
    assert (await vera.http.delete("/api/follows/ada")).status_code == 204
    assert (await vera.http.get("/api/me/following")).json() == {"profiles": []}
    itself = await vera.http.put("/api/follows/vera")
    assert itself.json()["code"] == "invalid_argument"


@pytest.mark.spec("D2")
@pytest.mark.abuse("A20")
async def test_a_blocked_pair_does_not_meet(live: Live) -> None:
    ada, mallory = await live.guest("ada"), await live.guest("mallory")
    _, stream_id = await ada.go_live()
    reader, writer = await ada.tab(), await mallory.tab()
    for tab in (reader, writer):
        await tab.ask(type="open_chat", stream_id=stream_id)
    assert (await ada.http.put("/api/blocks/mallory")).status_code == 204
    blocks = (await ada.http.get("/api/me/blocks")).json()["profiles"]
    assert [p["name"] for p in blocks] == ["mallory"]
    for one, path in ((mallory, "/api/follows/ada"), (ada, "/api/follows/mallory")):
        assert (await one.http.put(path)).json()["code"] == "blocked"
    chat = f"/api/streams/{stream_id}/chat"
    refused = await mallory.http.post(chat, json={"body": "let me in"})
    assert refused.json()["code"] == "blocked"
    # In a third person's chat neither reads the other.
    bob = await live.guest("bob")
    _, elsewhere = await bob.go_live()
    for tab in (reader, writer):
        await tab.ask(type="open_chat", stream_id=elsewhere)
    chat = f"/api/streams/{elsewhere}/chat"
    assert (await mallory.http.post(chat, json={"body": "hello"})).status_code == 201
    await writer.expect("chat")
    await reader.quiet("chat", 0.3)
    assert (await ada.http.get(chat)).json()["messages"] == []
    assert len((await bob.http.get(chat)).json()["messages"]) == 1
    assert (await ada.http.delete("/api/blocks/mallory")).status_code == 204
    assert len((await ada.http.get(chat)).json()["messages"]) == 1


@pytest.mark.spec("S11")
async def test_the_wall_is_stored_and_ones_own(live: Live) -> None:
    vera, ada = await live.guest("vera"), await live.guest("ada")
    slot = {
        "slot_index": 12,
        "streamer_id": str(ada.id),
        "is_pinned": True,
        "is_muted": True,
        "is_active": False,
        "volume": 0,
    }
    saved = (await vera.http.put("/api/grid", json={"slots": [slot]})).json()["slots"]
    stored = (await vera.http.get("/api/grid")).json()["slots"]
    assert stored == saved
    assert {k: stored[0][k] for k in slot} == slot
    assert (await ada.http.get("/api/grid")).json() == {"slots": []}
    assert (await live.visitor().http.get("/api/grid")).json()["code"] == "not_signed_in"


@pytest.mark.abuse("A10")
async def test_a_slot_that_does_not_exist_is_refused(live: Live) -> None:
    vera, ada = await live.guest("vera"), await live.guest("ada")
    for index in (0, 13, -1, None, 1.5, "1", 2**40, True):
        slots = [{"slot_index": index, "streamer_id": str(ada.id)}]
        answer = await vera.http.put("/api/grid", json={"slots": slots})
        assert answer.status_code in {400, 422}, index
        assert answer.json()["code"] in {"slot_invalid", "invalid_message"}, index
    assert (await vera.http.get("/api/grid")).json() == {"slots": []}


@pytest.mark.abuse("A11")
async def test_a_streamer_twice_on_a_wall_is_refused(live: Live) -> None:
    vera, ada = await live.guest("vera"), await live.guest("ada")
    slots = [{"slot_index": n, "streamer_id": str(ada.id)} for n in (1, 2)]
    answer = await vera.http.put("/api/grid", json={"slots": slots})
    assert (answer.status_code, answer.json()["code"]) == (422, "streamer_twice_on_wall")


@pytest.mark.spec("S12")
async def test_five_active_slots_are_refused(live: Live) -> None:
    vera = await live.guest("vera")
    ids = [str((await live.guest(f"streamer.{n}")).id) for n in range(5)]
    slots = [{"slot_index": n + 1, "streamer_id": i, "is_active": True} for n, i in enumerate(ids)]
    answer = await vera.http.put("/api/grid", json={"slots": slots})
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_active")
    assert (await vera.http.put("/api/grid", json={"slots": slots[:4]})).status_code == 200


async def test_streams_are_listed_in_pages(live: Live) -> None:
    for number in range(3):
        await (await live.guest(f"streamer.{number}")).go_live(f"number {number}")
    http = live.visitor().http
    page = (await http.get("/api/streams?limit=2")).json()
    rest = (await http.get("/api/streams", params={"limit": 2, "before": page["next"]})).json()
    titles = [s["title"] for s in page["streams"] + rest["streams"]]
    assert sorted(titles) == ["number 0", "number 1", "number 2"]
    assert rest["next"] is None
    assert (await http.get("/api/streams?before=nonsense")).status_code == 400
    assert (await http.get("/api/streams?limit=0")).status_code == 400


async def test_why_and_intervals_tell_the_streamer(live: Live) -> None:
    ada = await live.guest("ada")
    studio, stream_id = await ada.go_live()
    tab = await (await live.guest("vera")).tab()
    await tab.watch(stream_id)
    await studio.expect("publish", is_published=True)
    why = (await ada.http.get(f"/api/streams/{stream_id}/why")).json()
    assert (why["code"], why["watchers"]) == ("watched", ["vera"])
    public = (await live.visitor().http.get(f"/api/streams/{stream_id}/why")).json()
    assert "watchers" not in public
    intervals = (await ada.http.get("/api/me/stream/intervals")).json()
    assert intervals["intervals"][0]["started_reason"] == "viewer_arrived"
    assert intervals["live"][0]["ended_at"] is None
    assert (await ada.http.get(f"/api/streams/{uuid4()}/why")).json()["code"] == "not_found"


async def test_title_changes_reach_those_who_show_the_stream(live: Live) -> None:
    ada, vera = await live.guest("ada"), await live.guest("vera")
    _, stream_id = await ada.go_live("old")
    wall = {"slots": [{"slot_index": 1, "streamer_id": str(ada.id)}]}
    await vera.http.put("/api/grid", json=wall)
    tab = await vera.tab()
    changed = await ada.http.patch("/api/me/stream", json={"title": "new", "slow_mode_seconds": 5})
    assert (changed.json()["title"], changed.json()["slow_mode_seconds"]) == ("new", 5)
    event = await tab.expect("stream")
    assert (event["stream"]["id"], event["stream"]["title"]) == (str(stream_id), "new")
    never = await vera.http.patch("/api/me/stream", json={"title": "x"})
    assert never.json()["code"] == "not_live"


async def test_preview_is_stored_cleaned_and_cached(live: Live) -> None:
    ada = await live.guest("ada")
    _, stream_id = await ada.go_live()
    put, get = f"/api/streams/{stream_id}/preview", f"/api/streams/{stream_id}/preview.jpg"
    headers = {"Content-Type": "image/jpeg"}
    assert (await ada.http.get(get)).status_code == 404
    secret = b"GPS 52.5200 13.4050"
    with_comment = jpeg()[:2] + b"\xff\xfe" + (len(secret) + 2).to_bytes(2, "big") + secret
    answer = await ada.http.put(put, content=with_comment + jpeg()[2:], headers=headers)
    assert answer.status_code == 204
    stored = await live.visitor().http.get(get, params={"v": 1})
    assert stored.headers["content-type"] == "image/jpeg"
    assert "immutable" in stored.headers["cache-control"]
    assert secret not in stored.content
    assert Image.open(io.BytesIO(stored.content)).size == (320, 180)
    assert (await live.visitor().http.get(get)).headers["cache-control"] == "no-cache"
    again = await ada.http.put(put, content=jpeg(), headers=headers)
    assert (again.status_code, again.json()["code"]) == (429, "rate_limited")
    assert "retry-after" in again.headers


async def test_pictures_that_are_none_or_not_ones_own_are_refused(live: Live) -> None:
    ada, eve = await live.guest("ada"), await live.guest("eve")
    _, stream_id = await ada.go_live()
    put, headers = f"/api/streams/{stream_id}/preview", {"Content-Type": "image/jpeg"}
    gif = io.BytesIO()
    Image.new("RGB", (10, 10)).save(gif, "GIF")
    for content in (b"", b"not a picture", jpeg(321, 180), jpeg(320, 181), gif.getvalue()):
        answer = await ada.http.put(put, content=content, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "preview_refused")
    text = await ada.http.put(put, content=jpeg(), headers={"Content-Type": "text/plain"})
    assert (text.status_code, text.json()["code"]) == (415, "unsupported_media_type")
    other = await eve.http.put(put, content=jpeg(), headers=headers)
    assert (other.status_code, other.json()["code"]) == (403, "not_allowed")


async def test_bodies_are_limited_announced_or_not(live: Live) -> None:
    ada = await live.guest("ada")
    _, stream_id = await ada.go_live()
    put, headers = f"/api/streams/{stream_id}/preview", {"Content-Type": "image/jpeg"}
    large = await ada.http.put(put, content=b"x" * 65_537, headers=headers)
    assert (large.status_code, large.json()["code"]) == (413, "too_large")

    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(10):
            yield b"x" * 10_000

    sneaky = await ada.http.put(put, content=pieces(), headers=headers)
    assert (sneaky.status_code, sneaky.json()["code"]) == (413, "too_large")


@pytest.mark.spec("D3")
async def test_chat_is_heard_paged_deleted_and_reported(live: Live) -> None:
    ada, vera = await live.guest("ada"), await live.guest("vera")
    studio, stream_id = await ada.go_live()
    chat = f"/api/streams/{stream_id}/chat"
    await studio.ask(type="open_chat", stream_id=stream_id)
    said = [(await vera.http.post(chat, json={"body": f"line {n}"})).json() for n in range(3)]
    for line in said:
        assert (await studio.expect("chat"))["message"] == line
    page = (await ada.http.get(chat, params={"limit": 2})).json()
    assert [m["body"] for m in page["messages"]] == ["line 2", "line 1"]
    rest = (await ada.http.get(chat, params={"limit": 2, "before": page["next"]})).json()
    assert [m["body"] for m in rest["messages"]] == ["line 0"]
    report = await ada.http.post(f"/api/chat/{said[0]['id']}/reports", json={"reason": "rude"})
    assert report.status_code == 201
    moderator = await live.moderator("mod")
    [read] = (await moderator.http.get("/api/chat/reports")).json()["entries"]
    assert (read["body"], read["reason"]) == ("line 0", "rude")
    assert (read["reporter"]["name"], read["message"]["sender"]["name"]) == ("ada", "vera")
    assert (await ada.http.get("/api/chat/reports")).json()["code"] == "not_allowed"
    stranger = await live.guest()
    refused = await stranger.http.delete(f"/api/chat/{said[0]['id']}")
    assert refused.json()["code"] == "not_allowed"
    assert (await ada.http.delete(f"/api/chat/{said[0]['id']}")).status_code == 204
    gone = await studio.expect("chat_deleted")
    assert (gone["stream_id"], gone["id"]) == (str(stream_id), said[0]["id"])
    await studio.ask(type="open_chat", stream_id=None)
    await vera.http.post(chat, json={"body": "unheard"})
    await studio.quiet("chat", 0.3)


@pytest.mark.spec("D3")
async def test_mute_slow_mode_and_rates(live: Live) -> None:
    ada, vera = await live.guest("ada"), await live.guest("vera")
    _, stream_id = await ada.go_live()
    chat, mute = f"/api/streams/{stream_id}/chat", f"/api/streams/{stream_id}/mutes/vera"
    assert (await ada.http.put(mute, json={"seconds": 60})).status_code == 204
    muted = await vera.http.post(chat, json={"body": "hm"})
    assert (muted.status_code, muted.json()["code"]) == (403, "muted_in_chat")
    assert (await vera.http.put(mute, json={"seconds": 60})).json()["code"] == "not_allowed"
    assert (await ada.http.delete(mute)).status_code == 204
    await ada.http.patch("/api/me/stream", json={"slow_mode_seconds": 30})
    assert (await vera.http.post(chat, json={"body": "one"})).status_code == 201
    slow = await vera.http.post(chat, json={"body": "two"})
    assert (slow.status_code, slow.json()["code"]) == (429, "slow_mode")
    assert 1 <= int(slow.headers["retry-after"]) <= 30


@pytest.mark.abuse("A19")
async def test_flood_length_and_trick_characters(live: Live) -> None:
    ada, vera = await live.guest("ada"), await live.guest("vera")
    _, stream_id = await ada.go_live()
    chat = f"/api/streams/{stream_id}/chat"
    tricky = await vera.http.post(chat, json={"body": "a\u202eb\u200b  c\u0000"})
    assert tricky.status_code in {201, 422}
    clean = await vera.http.post(chat, json={"body": "a\u202eb\u200b  c"})
    assert clean.json()["body"] == "ab c"
    empty = await vera.http.post(chat, json={"body": " \u200b "})
    assert empty.json()["code"] == "chat_empty"
    long = await vera.http.post(chat, json={"body": "x" * 501})
    assert long.json()["code"] == "chat_too_long"
    huge = await vera.http.post(chat, json={"body": "x" * 1_000_000})
    assert huge.status_code == 413
    answers = await asyncio.gather(
        *(vera.http.post(chat, json={"body": f"flood {n}"}) for n in range(40))
    )
    refused = [a for a in answers if a.status_code == 429]
    assert refused
    assert all(a.json()["code"] == "rate_limited" for a in refused)


@pytest.mark.abuse("A18")
async def test_only_text_can_be_said(live: Live) -> None:
    ada = await live.guest("ada")
    _, stream_id = await ada.go_live()
    chat = f"/api/streams/{stream_id}/chat"
    for extra in ({"type": "system"}, {"type": "gift"}, {"sender_id": str(uuid4())}):
        answer = await ada.http.post(chat, json={"body": "you won"} | extra)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_message")
    assert (await ada.http.get(chat)).json()["messages"] == []


async def test_a_new_name_reaches_whoever_shows_the_stream(live: Live) -> None:
    ada = await live.guest("ada")
    _, stream_id = await ada.go_live()
    tab = await (await live.guest()).tab()
    await ada.http.patch("/api/me", json={"display_name": "Countess"})
    event = await tab.expect("stream")
    assert event["stream"]["id"] == str(stream_id)
    assert event["stream"]["streamer"]["display_name"] == "Countess"
