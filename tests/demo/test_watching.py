"""Real pictures from a demo streamer through a real server, counted without a browser."""

import asyncio
import io
import time

import msgspec
import numpy as np
import pytest
from PIL import Image

from livewall.client.messages import Stream
from livewall.demo.people import Link
from tests.browser.site import Site
from tests.demo.world import Performer, Watcher, watching
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Said(msgspec.Struct):
    """One line of a chat."""

    body: str


class Chat(msgspec.Struct):
    """What was said, newest first."""

    messages: list[Said]


class ProfilePage(msgspec.Struct):
    """What a profile says about somebody."""

    bio: str
    links: list[Link]


async def test_a_viewer_decodes_the_pictures_that_are_drawn(
    performer: Performer, watcher: Watcher
) -> None:
    tile = watcher.viewer.watch(performer.stream_id)
    await watcher.viewer.wait_for_frames(performer.stream_id, 12)
    picture = watcher.viewer.picture(performer.stream_id)
    assert picture is not None
    assert picture.shape == (360, 640, 3)
    # The same scene at about the same time: video costs detail, not the picture.
    still = performer.streamer.person.scene()
    drawn = np.asarray(still(time.time()))
    assert np.abs(picture.astype(int) - drawn.astype(int)).mean() < 12
    assert tile.first_frame_seconds is not None
    assert tile.first_frame_seconds < 3


@pytest.mark.spec("S14")
@pytest.mark.spec("S39")
async def test_nothing_is_drawn_or_sent_but_while_somebody_watches(
    site: Site, performer: Performer, watcher: Watcher
) -> None:
    stream_id = performer.stream_id
    await asyncio.sleep(0.5)
    assert (performer.drawn, performer.publisher.call_count) == (0, 0)
    watcher.viewer.watch(stream_id)
    await watcher.viewer.wait_for_frames(stream_id, 5)
    assert await site.is_published(await site.stream_id(performer.streamer.person.name))
    watcher.viewer.leave(stream_id)
    await performer.until_quiet()
    drawn = performer.drawn
    await asyncio.sleep(1)
    assert performer.drawn == drawn
    assert not performer.publisher.demand.is_published or not performer.publisher.demand.seated


@pytest.mark.spec("S13")
async def test_muting_a_tile_ends_its_video_and_unmuting_brings_it_back(
    performer: Performer, watcher: Watcher
) -> None:
    stream_id = performer.stream_id
    tile = watcher.viewer.watch(stream_id)
    await watcher.viewer.wait_for_frames(stream_id, 3)
    watcher.viewer.watch(stream_id, is_unmuted=False)
    await performer.until_quiet()
    counted = tile.frames
    watcher.viewer.watch(stream_id)
    await watcher.viewer.wait_for_frames(stream_id, counted + 3)


async def test_one_leaves_and_the_other_keeps_the_video(
    site: Site, performer: Performer, watcher: Watcher
) -> None:
    stream_id = performer.stream_id
    async with watching(site) as other:
        for one in (watcher, other):
            one.viewer.watch(stream_id)
            await one.viewer.wait_for_frames(stream_id, 3)
        assert performer.publisher.call_count == 2
        watcher.viewer.leave(stream_id)
        counted = other.viewer.tiles[stream_id].frames
        await other.viewer.wait_for_frames(stream_id, counted + 12)
        assert performer.publisher.call_count == 1


@pytest.mark.spec("S18")
async def test_a_reloaded_page_gets_the_video_again(
    site: Site, performer: Performer, watcher: Watcher
) -> None:
    stream_id = performer.stream_id
    watcher.viewer.watch(stream_id)
    await watcher.viewer.wait_for_frames(stream_id, 3)
    epoch = performer.publisher.demand.epoch
    # A reload ends the old page without a leave; alive it would be a second tab of the account.
    await watcher.tab.close()
    async with watching(site, reloaded=watcher) as reloaded:
        await reloaded.viewer.wait_for_frames(stream_id, 5)
    assert performer.publisher.demand.epoch == epoch


@pytest.mark.spec("S18")
async def test_a_restarted_server_finds_the_streamer_live_and_the_viewer_watching(
    site: Site, performer: Performer, watcher: Watcher
) -> None:
    stream_id = performer.stream_id
    tile = watcher.viewer.watch(stream_id)
    await watcher.viewer.wait_for_frames(stream_id, 3)
    await site.stop()
    counted = tile.frames
    # The picture comes from the streamer, not from the server: it does not stop here.
    await watcher.viewer.wait_for_frames(stream_id, counted + 5)
    await site.start()
    async with asyncio.timeout(20):
        await watcher.tab.connected.wait()

    async def sends_again() -> bool:
        return performer.publisher.is_sending and performer.publisher.demand.is_published

    await until(sends_again, 15, "the streamer sends again")
    counted = tile.frames
    await watcher.viewer.wait_for_frames(stream_id, counted + 10)
    assert await site.is_live(await site.stream_id(performer.streamer.person.name))


async def test_the_preview_is_the_picture_and_the_profile_tells_who_it_is(
    performer: Performer, watcher: Watcher
) -> None:
    async def uploaded() -> bool:
        return performer.publisher.sent_previews > 0

    await until(uploaded, 5, "a preview is there")
    path = f"/api/streams/{performer.stream_id}"
    with Image.open(io.BytesIO(await watcher.api.call("GET", f"{path}/preview.jpg"))) as preview:
        assert (preview.format, preview.size) == ("JPEG", (320, 180))
    stream = await watcher.api.get(path, Stream)
    person = performer.streamer.person
    assert (stream.title, stream.streamer.display_name) == (person.title, person.display_name)
    profile = await watcher.api.get(f"/api/profiles/{person.name}", ProfilePage)
    assert profile == ProfilePage(person.bio, list(person.links))


async def test_somebody_who_is_watched_says_a_word_in_their_own_chat(
    performer: Performer, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livewall.demo.streamer.FIRST_CHAT_SECONDS", (0.0, 0.1))
    path = f"/api/streams/{performer.stream_id}/chat"
    assert (await watcher.api.get(path, Chat)).messages == []
    watcher.viewer.watch(performer.stream_id)

    async def spoken() -> bool:
        return bool((await watcher.api.get(path, Chat)).messages)

    await until(spoken, 12, "a line is in the chat")
    said = (await watcher.api.get(path, Chat)).messages
    assert [line.body for line in said if line.body in performer.streamer.person.lines]
