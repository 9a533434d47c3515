"""What carries messages between servers: nobody else reads or writes it, and it comes back."""

import base64
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, cast
from uuid import uuid4

import pytest

from livewall import cluster
from livewall.bus.postgres import PostgresBus
from livewall.bus.sealed import PART_BYTES, Opener, SealBroken, Sealer
from livewall.code_catalog import Connection
from livewall.errors import Refusal
from tests.databases import Database
from tests.server.world import PATIENCE_SECONDS, Json, Live, Pair, at, meet, metric
from tests.waiting import until

BUS_CONNECTIONS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND (query LIKE 'LISTEN%' OR query LIKE '%pg_notify%')
"""


def _channel(server: Live) -> str:
    """Return where servers talk, which nobody but they can know."""
    bus = server.app.server.cluster._bus  # pyright: ignore[reportPrivateUsage]
    assert isinstance(bus, PostgresBus)
    return bus.channel


async def _listening(connection: Connection, channel: str) -> list[str]:
    """Return what is said on the bus, as it comes."""
    heard: list[str] = []

    def take(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        heard.append(str(payload))

    await connection.add_listener(channel, take)
    return heard


@pytest.mark.abuse("T11")
async def test_who_speaks_sql_can_not_read_what_servers_say(pair: Pair, database: Database) -> None:
    here, there = pair
    spy = await database.as_person(await database.person("mallory"))
    heard = await _listening(spy, _channel(here))
    _, stream_id = await (await here.guest("ada")).go_live()
    reader, writer = await (await there.guest()).tab(), await here.guest("bob")
    await reader.ask(type="open_chat", stream_id=stream_id)
    await writer.http.post(f"/api/streams/{stream_id}/chat", json={"body": "between us"})
    await reader.expect("chat")
    opened = [base64.b64decode(payload) for payload in heard]
    assert opened, "the spy does hear that something is said"
    assert not any(b"between us" in part or stream_id.bytes in part for part in opened)


@pytest.mark.abuse("A18", "T11")
async def test_who_speaks_sql_can_neither_forge_nor_repeat_what_servers_say(
    pair: Pair, database: Database
) -> None:
    here, there = pair
    mallory = await database.as_person(await database.person("mallory"))
    heard = await _listening(mallory, _channel(here))
    _, stream_id = await (await here.guest("ada")).go_live()
    reader, writer = await (await there.guest()).tab(), await here.guest("bob")
    await reader.ask(type="open_chat", stream_id=stream_id)
    await writer.http.post(f"/api/streams/{stream_id}/chat", json={"body": "once"})
    await reader.expect("chat")
    refused = metric("livewall_bus_refused_total")
    stranger = Sealer(b"k" * 32, uuid4())
    forged = [base64.b64encode(part).decode() for part in stranger.seal([b"hello"])]
    said = [*heard, *forged, "", "no base64!", "ÿ" * 100, "A" * 7_000]
    for payload in said:
        await mallory.execute("SELECT pg_notify($1, $2)", _channel(here), payload)

    async def all_refused() -> bool:
        # Both servers hear them, and count together.
        return metric("livewall_bus_refused_total") >= refused + 2 * len(said)

    await until(all_refused, PATIENCE_SECONDS, "every part is refused")
    await reader.quiet("chat", 0.3)
    await writer.http.post(f"/api/streams/{stream_id}/chat", json={"body": "twice"})
    assert (await reader.expect("chat"))["message"]["body"] == "twice"


async def test_what_is_larger_than_a_notification_arrives(pair: Pair) -> None:
    here, there = pair
    studio, stream_id = await (await here.guest("ada")).go_live()
    tab = await (await there.guest()).tab()
    await tab.watch(stream_id)
    seat = await tab.expect("seat", state="granted")
    offer: Json = {"kind": "offer", "sdp": "v=0 " + "x" * 3 * PART_BYTES}
    to = tab.heard[0]["connection"]
    await studio.say(type="signal", to=to, media_id=seat["media_id"], data=offer)
    assert (await tab.expect("signal"))["data"] == offer


class _NoWay:
    """A database that can not be reached."""

    def dedicated(self) -> object:
        raise Refusal("database_away")


@contextlib.asynccontextmanager
async def apart(*servers: Live) -> AsyncGenerator[None]:
    """Keep the bus of these servers from the database until the block ends, and nothing else."""
    buses = [cast("Any", live.app.server.cluster)._bus for live in servers]
    database = buses[0]._database
    for bus in buses:
        bus._database = _NoWay()
    await cut_the_bus(servers[0].database)
    yield
    for bus in buses:
        bus._database = database


async def cut_the_bus(database: Database) -> None:
    """End the connections by which two servers hear each other."""
    admin = await database.admin()
    cut = [row["pid"] for row in await admin.fetch(BUS_CONNECTIONS)]
    assert len(cut) == 2
    for pid in cut:
        await admin.execute("SELECT pg_terminate_backend($1)", pid)


async def test_servers_find_each_other_again_when_the_bus_was_cut(
    pair: Pair, database: Database
) -> None:
    here, there = pair
    ada = await here.guest("ada")
    studio, stream_id = await ada.go_live()
    tab = await (await there.guest()).tab()
    await cut_the_bus(database)
    # What was said meanwhile is lost, so everybody starts over.
    await tab.expect("snapshot")
    await tab.watch(stream_id)
    await tab.expect("seat", state="granted", publisher=studio.heard[0]["connection"])


async def test_what_was_decided_while_servers_did_not_hear_each_other_holds(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "LOST_SECONDS", 0.5)
    here, there = pair
    person, moderator = await here.account("vera"), await here.moderator("mia")
    banned, stranger = await there.guest("mallory"), await there.guest()
    signed_out, out = await at(there, person).tab(), await banned.tab()
    reader = await stranger.tab()
    async with apart(here, there):
        await meet(here, there, others=0)
        await person.http.delete("/api/session")
        await moderator.http.put("/api/bans/mallory", json={"reason": "spam"})
    assert await signed_out.closed() == 4401
    assert await out.closed() == 4403
    await reader.expect("snapshot")


async def test_a_streamer_who_moved_while_servers_did_not_hear_each_other_is_found(
    pair: Pair,
) -> None:
    here, there = pair
    ada = await there.guest("ada")
    studio, stream_id = await ada.go_live()
    far = await (await there.guest()).tab()
    await far.watch(stream_id)
    seat = await far.expect("seat", state="granted")
    async with apart(here, there):
        await studio.cut()
        back = await at(here, ada).tab(studio.session_id)
    where = {"publisher": back.heard[0]["connection"], "media_id": seat["media_id"]}
    await far.expect("seat", state="granted", **where)
    for server in pair:
        tab = await (await server.guest()).tab()
        await tab.watch(stream_id)
        await tab.expect("seat", state="granted", publisher=back.heard[0]["connection"])


@pytest.mark.abuse("T11")
def test_parts_are_opened_once_in_order_and_by_the_right_key() -> None:
    key = b"k" * 32
    sealer, opener = Sealer(key, uuid4()), Opener(key)
    long, short = b"x" * (2 * PART_BYTES), b"hello"
    parts = list(sealer.seal([long, short]))
    assert [opener.open(part).messages for part in parts] == [[], [], [long, short]]
    for part in (*parts, b"", b"short", parts[0][:-1] + b"?"):
        with pytest.raises(SealBroken):
            opener.open(part)
    with pytest.raises(SealBroken):
        Opener(b"other key, as long as the first.").open(next(sealer.seal([short])))
    # A part that never came takes its message along, and no other; and it is missed.
    _, *rest = sealer.seal([long])
    assert [opener.open(part) for part in rest] == [([], True), ([], False)]
    assert opener.open(next(sealer.seal([short]))) == ([short], False)
    sealer.skip()
    assert opener.open(next(sealer.seal([short]))) == ([short], True)
