"""Somebody leaves a transaction open that holds what is theirs: nobody else waits for it."""

import asyncio
import time
from uuid import UUID, uuid4

import pytest

from livewall import locked
from livewall.code_catalog import Connection
from tests.databases import Person
from tests.server.world import Live, Visitor, metric
from tests.waiting import until

HEARTBEAT = "SELECT public.update_viewer_heartbeat($1)"


async def _holding(live: Live, who: Visitor, statement: str, *arguments: object) -> Connection:
    """Return a connection of this person whose transaction did this, and stays open."""
    connection = await live.database.as_person(Person(who.id, who.name))
    await connection.execute("BEGIN")
    await connection.execute("SELECT 1")
    await connection.fetch(statement, *arguments)
    return connection


async def _seats(live: Live, stream_id: UUID, within: float) -> None:
    """Several people, one after the other, get a seat in time."""
    for _ in range(4):
        tab = await (await live.guest()).tab()
        began = time.monotonic()
        await tab.watch(stream_id)
        await tab.expect("seat", seconds=within, state="granted")
        assert time.monotonic() - began < within


@pytest.mark.abuse("A12")
@pytest.mark.spec("S15")
@pytest.mark.parametrize("what", ["lock", "rows", "stream"])
async def test_who_holds_their_own_rows_holds_up_themselves_alone(live: Live, what: str) -> None:
    _, stream_id = await (await live.guest("ada")).go_live()
    bob = await live.guest("bob")
    studio, other_id = await bob.go_live()
    mallory = await live.guest("mallory")
    tab = await mallory.tab()
    await tab.watch(other_id)
    await tab.expect("seat", state="granted")
    if what == "lock":
        held = await _holding(live, mallory, HEARTBEAT, other_id)
    elif what == "rows":
        held = await _holding(live, mallory, "DELETE FROM public.active_viewers")
    else:
        held = await _holding(live, bob, "UPDATE public.live_streams SET title = 'mine'")
    await tab.watch(stream_id, other_id)
    if what == "stream":
        await tab.leave()  # of a stream that it does not name
    await _seats(live, stream_id, 2.5)
    await tab.leave()
    # What they said meanwhile is not lost: it is written when they let go.
    await held.execute("ROLLBACK")
    admin = await live.database.admin()
    query = "SELECT count(*) FROM public.active_viewers WHERE viewer_id = $1 AND NOT has_left"
    for _ in range(60):
        if await admin.fetchval(query, mallory.id) == 0:
            break
        await tab.quiet("nothing", 0.1)
    assert await admin.fetchval(query, mallory.id) == 0
    assert (await studio.ask(type="stop"))["type"] == "ok"


@pytest.mark.spec("S14", "S16", "S17")
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_held_stream_keeps_no_other_from_going_off(live: Live, when: str) -> None:
    await live.rules(restart_grace="0", linger="0.1 s", minimum_on_time="0.1 s")
    ada, bob, vera = await live.guest("ada"), await live.guest("bob"), await live.guest("vera")
    studio, stream_id = await ada.go_live()
    streamer, held_id = await bob.go_live()
    tab = await vera.tab()
    await tab.watch(stream_id, held_id)
    await studio.expect("publish", is_published=True)
    if when == "before":
        await tab.leave()
    held = await _holding(live, bob, "UPDATE public.live_streams SET title = 'mine'")
    if when == "after":
        await tab.leave()
    await studio.expect("publish", is_published=False)
    await held.execute("ROLLBACK")
    await streamer.expect("publish", is_published=False)


def _failures() -> float:
    return metric("livewall_heartbeat_flush_failures_total")


async def _kept_back(live: Live) -> None:
    kept = live.app.server.presence.writer._locked  # pyright: ignore[reportPrivateUsage]

    async def is_kept() -> bool:
        return bool(kept._kept)  # pyright: ignore[reportPrivateUsage]

    await until(is_kept, 5, "something is kept back")


@pytest.mark.spec("S14")
async def test_what_is_kept_back_survives_that_nobody_can_say_who_is_held(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live.rules(restart_grace="0", linger="0.1 s", minimum_on_time="0.1 s")
    vera = await live.guest("vera")
    studio, stream_id = await (await live.guest("ada")).go_live()
    tab = await vera.tab()
    await tab.watch(stream_id)
    await studio.expect("publish", is_published=True)
    held = await _holding(live, vera, HEARTBEAT, stream_id)
    await tab.leave()
    await _kept_back(live)
    before = _failures()

    async def has_failed() -> bool:
        return _failures() > before

    with monkeypatch.context() as broken:
        broken.setattr(locked, "FIND", "SELECT public.no_such_function($1, $2)")
        await until(has_failed, 5, "the question fails")
    await held.execute("ROLLBACK")
    await studio.expect("publish", is_published=False, seconds=8)


@pytest.mark.spec("S18")
async def test_a_newer_word_counts_although_an_older_one_was_kept_back(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await live.guest("ada")
    studio, stream_id = await ada.go_live()
    writer = live.app.server.presence.writer
    held = await _holding(live, ada, "UPDATE public.live_streams SET title = 'mine'")
    await (await (await live.guest()).tab()).watch(stream_id)
    await _kept_back(live)
    writer.publisher(stream_id, uuid4())
    # What is said while the question is on its way is newer than what was kept.
    monkeypatch.setattr(locked, "FIND", f"{locked.FIND} FROM pg_sleep(1)")
    await asyncio.sleep(1.5)
    admin = await live.database.admin()
    expires = "SELECT max(expires_at) FROM private.publisher_leases"
    before = await admin.fetchval(expires)
    writer.publisher(stream_id, studio.session_id)
    await held.execute("ROLLBACK")

    async def is_renewed() -> bool:
        return await admin.fetchval(expires) > before

    await until(is_renewed, 8, "the lease of who publishes is renewed")
