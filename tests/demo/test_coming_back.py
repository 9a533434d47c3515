"""Demo streamers whose tokens died, or whose stream somebody else took: they are live again."""

import asyncio
from pathlib import Path

import pytest
import structlog

from livewall.client import Tab
from livewall.demo import streamer
from livewall.demo.people import PEOPLE
from livewall.demo.state import KeptTokens
from livewall.demo.streamer import DemoStreamer
from tests.browser.site import Site
from tests.demo.world import performing
from tests.processes import free_port
from tests.waiting import throughout, until

TOMAS, JUNO = PEOPLE[6], PEOPLE[7]
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_dead_token_makes_a_new_guest(site: Site, tmp_path: Path) -> None:
    kept = KeptTokens(site.url, tmp_path / "demo.json")
    kept.keep(JUNO.name, "a.dead.token")
    async with performing(site, JUNO, tmp_path) as performer:
        assert performer.streamer.is_live
    assert KeptTokens(site.url, tmp_path / "demo.json").get(JUNO.name) != "a.dead.token"


async def test_who_was_taken_over_ends_nothing_and_comes_back_when_it_is_free(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamer, "COME_BACK_SECONDS", 0.2)
    async with performing(site, TOMAS, tmp_path) as performer:
        stream = await site.stream_id(TOMAS.name)
        token = KeptTokens(site.url, tmp_path / "demo.json").get(TOMAS.name)
        other = Tab(site.url, token or "")
        line = asyncio.create_task(other.run())
        await asyncio.wait_for(other.connected.wait(), 10)
        await other.go_live("Mine now", take_over=True)

        async def is_the_others() -> bool:
            return await site.is_live(stream) and not performer.publisher.is_sending

        await throughout(is_the_others, 1.5, "the stream stays with who took it")
        await other.stop()
        await other.close()
        await line

        async def is_back() -> bool:
            title = "SELECT title FROM public.live_streams WHERE id = $1 AND live_available"
            return await site.admin.fetchval(title, stream) == TOMAS.title

        await until(is_back, 10, "the demo streamer is live again")


async def test_a_failure_is_a_warning_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def soon(_attempt: int) -> float:
        return 0.01

    monkeypatch.setattr(streamer, "backoff", soon)
    nowhere = f"http://127.0.0.1:{free_port()}"
    lonely = DemoStreamer(nowhere, JUNO, KeptTokens(nowhere, tmp_path / "demo.json"))
    with structlog.testing.capture_logs() as logs:
        life = asyncio.create_task(lonely.run())
        waits: list[str] = []

        async def tried_often() -> bool:
            waits[:] = [e["log_level"] for e in logs if e["event"] == "demo_person_waits"]
            return len(waits) > 3

        await until(tried_often, 10, "it was tried some times")
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
    assert waits[0] == "warning"
    assert set(waits[1:]) == {"debug"}
