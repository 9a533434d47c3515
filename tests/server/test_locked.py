"""Somebody leaves a transaction open that holds what is theirs: nobody else waits for it."""

import time
from uuid import UUID

import pytest

from livewall.code_catalog import Connection
from tests.databases import Person
from tests.server.world import Live, Visitor

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
async def test_a_held_stream_keeps_no_other_from_going_off(live: Live) -> None:
    await live.rules(restart_grace="0", linger="0.1 s", minimum_on_time="0.1 s")
    ada, bob, vera = await live.guest("ada"), await live.guest("bob"), await live.guest("vera")
    studio, stream_id = await ada.go_live()
    _, held_id = await bob.go_live()
    tab = await vera.tab()
    await tab.watch(stream_id, held_id)
    await studio.expect("publish", is_published=True)
    await tab.leave()
    held = await _holding(live, bob, "UPDATE public.live_streams SET title = 'mine'")
    await studio.expect("publish", is_published=False, seconds=4)
    await held.execute("ROLLBACK")
