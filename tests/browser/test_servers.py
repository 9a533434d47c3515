"""Two servers on one database, a browser at each: video moves between them all the same."""

import secrets
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenWindow, StartSite


@pytest.mark.spec("S13")
@pytest.mark.spec("S14")
async def test_video_moves_between_people_at_different_servers(
    start_site: StartSite, open_in: OpenWindow, tmp_path: Path
) -> None:
    secret = secrets.token_urlsafe(48)
    one = await start_site(secret=secret, data_dir=str(tmp_path / "one"))
    other = await start_site(secret=secret, data_dir=str(tmp_path / "other"))
    ana = await (await open_in(one, 0)).continue_as_guest()
    await ana.go_live("From here to there")
    stream = await one.stream_id(ana.name)

    ben = await (await open_in(other, 1)).continue_as_guest()
    await expect(ben.tile(ana.name).locator("img")).to_be_visible()
    await ben.watch(ana.name)
    await ben.expect_moving(ana.name)
    await ana.expect_studio("sending")
    await expect(ana.page.get_by_test_id("watchers")).to_contain_text(ben.name)

    await ben.say(ana.name, "I see you")
    await expect(ana.messages).to_contain_text("I see you")

    await ben.page.close(run_before_unload=True)
    await ana.expect_studio("idle", seconds=20)
    assert await ana.open_peers() == 0
    assert (await one.transitions(stream)).reasons == ("viewers_left",)
