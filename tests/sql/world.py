"""A database with people in it, seen through the roles that callers have.

Every test of this folder takes one `World`. So does the mutation run: it hands the same tests a
world whose SQL was damaged on purpose and expects them to fail.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest

from livewall.code_catalog import Connection
from tests.databases import Cluster, Database, Person

START = datetime(2031, 5, 1, 12, tzinfo=UTC)
DEFAULT_SESSION = UUID(int=0)
ALL = 15  # active, unmuted, visible, subscribed
NONE = 0

# A test moves the time by updating one row. SECURITY DEFINER, because defaults read the clock with
# the rights of whoever writes the row.
CLOCK = """
CREATE TABLE private.test_clock (now timestamptz NOT NULL);
INSERT INTO private.test_clock VALUES ('2031-05-01 12:00:00+00');
ALTER TABLE private.test_clock OWNER TO livewall_owner;
CREATE OR REPLACE FUNCTION private.clock() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE SECURITY DEFINER
RETURN (SELECT now FROM private.test_clock);
"""

Who: TypeAlias = "Person | str"


@dataclass(frozen=True)
class Beat:
    """One heartbeat as a server batches it; flags as `record_heartbeats` reads them."""

    viewer: Person
    stream: UUID
    sequence: int
    flags: int = ALL
    session: UUID = DEFAULT_SESSION


@dataclass(frozen=True)
class Leave:
    """One clean leave as a server batches it; no stream means all of the session's tiles."""

    viewer: Person
    sequence: int
    stream: UUID | None = None
    session: UUID = DEFAULT_SESSION


@dataclass
class World:
    """One database, arranged through `admin` and acted on as the callers of the API."""

    database: Database
    admin: Connection
    login: Connection

    # -- acting as somebody

    @asynccontextmanager
    async def acting(self, who: Who) -> AsyncGenerator[Connection]:
        """Open a transaction as Supabase does: role and claims set for its duration."""
        async with self.login.transaction():
            await become(self.login, who)
            yield self.login

    async def sql(self, who: Who, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Run one statement as a person, `anon` or `service_role`; return its rows."""
        async with self.acting(who) as connection:
            return await connection.fetch(statement, *arguments)

    async def one(self, who: Who, statement: str, *arguments: object) -> Any:
        """Run one statement as somebody and return its first value, JSON decoded."""
        rows = await self.sql(who, statement, *arguments)
        return decoded(rows[0][0]) if rows else None

    async def done(self, who: Who, statement: str, *arguments: object) -> int:
        """Run one writing statement as somebody and return how many rows it touched."""
        async with self.acting(who) as connection:
            return int((await connection.execute(statement, *arguments)).split()[-1])

    async def call(self, who: Who, function: str, /, **arguments: object) -> Any:
        """Call a public function as the web server does, in one round trip by `call_as`."""
        value = await self.login.fetchval(
            "SELECT public.call_as($1, $2::jsonb, $3, $4::jsonb)",
            role_of(who),
            json.dumps(claims_of(who)),
            function,
            json.dumps(arguments, default=str),
        )
        return decoded(value)

    # -- people and streams

    async def person(self, name: str, *, guest: bool = False) -> Person:
        """Create somebody through the function that the server calls."""
        if guest:
            profile = await self.call("service_role", "create_guest", p_name=name)
        else:
            profile = await self.call(
                "service_role", "create_account", p_name=name, p_password_hash="not a hash"
            )
        return Person(UUID(profile["id"]), profile["name"])

    async def people(self, *names: str) -> list[Person]:
        """Create several accounts."""
        return [await self.person(name) for name in names]

    async def moderator(self, name: str = "warden") -> Person:
        """Create somebody with the staff role `moderator`."""
        person = await self.person(name)
        await self.call(
            "service_role", "grant_staff_role", p_profile_id=person.id, p_role="moderator"
        )
        return person

    async def live(self, streamer: Person, session: UUID = DEFAULT_SESSION, **more: object) -> UUID:
        """Go live and return the stream's id."""
        answer = await self.call(
            streamer, "start_stream", p_title="Hello", p_session_id=session, **more
        )
        return UUID(answer["stream"]["id"])

    # -- watching

    async def watch(
        self, viewer: Who, stream: UUID, session: UUID = DEFAULT_SESSION, **flags: object
    ) -> Any:
        """Send a heartbeat as a client that speaks SQL (S15). Flags are true unless named."""
        names = "".join(f", p_{name} => {value}" for name, value in flags.items())
        return await self.one(
            viewer,
            "SELECT public.update_viewer_heartbeat(p_live_stream_id => $1, "
            f"p_session_id => $2{names})",
            stream,
            session,
        )

    async def beat(self, *beats: Beat) -> Any:
        """Record a batch of heartbeats as a server."""
        return await self.one(
            "service_role",
            "SELECT public.record_heartbeats($1, $2, $3, $4, $5)",
            [beat.stream for beat in beats],
            [beat.viewer.id for beat in beats],
            [beat.session for beat in beats],
            [beat.sequence for beat in beats],
            [beat.flags for beat in beats],
        )

    async def leave(self, *leaves: Leave) -> Any:
        """Record a batch of leaves as a server."""
        return await self.one(
            "service_role",
            "SELECT public.record_leaves($1, $2, $3, $4)",
            [leave.viewer.id for leave in leaves],
            [leave.session for leave in leaves],
            [leave.sequence for leave in leaves],
            [leave.stream for leave in leaves],
        )

    async def keep_lease(self, stream: UUID, session: UUID = DEFAULT_SESSION) -> Any:
        """Send the streamer's own heartbeat."""
        return await self.one(
            "service_role",
            "SELECT public.record_publisher_heartbeats($1, $2)",
            [stream],
            [session],
        )

    # -- time and periodic work

    async def now(self) -> datetime:
        """Return the database's time."""
        return await self.admin.fetchval("SELECT now FROM private.test_clock")

    async def advance(self, seconds: float) -> None:
        """Let that much time pass."""
        await self.admin.execute(
            "UPDATE private.test_clock SET now = now + $1", timedelta(seconds=seconds)
        )

    async def sweep(self) -> Any:
        """Run the fast tick; return what a server would tell the world."""
        return await self.call("service_role", "sweep_publish_state", p_since=START)

    async def reconcile(self) -> int:
        """Run the periodic reconciler (S16)."""
        return await self.call("service_role", "update_publish_state_from_viewers")

    async def cleanup(self) -> int:
        """Run the periodic cleanup (S17)."""
        return await self.call("service_role", "cleanup_stale_viewers")

    async def remove_old(self) -> int:
        """Run the periodic removal of what is kept no longer."""
        return await self.call("service_role", "remove_old_records")

    async def pass_time(self, seconds: int, *, lease: UUID | None = None) -> None:
        """Let time pass as a running server does: a sweep each second, a lease kept alive."""
        for second in range(seconds):
            await self.advance(1)
            if lease is not None and second % 20 == 0:
                await self.keep_lease(lease)
            await self.sweep()

    # -- looking

    async def stream(self, stream: UUID) -> asyncpg.Record:
        """Return a stream's whole row."""
        row = await self.admin.fetchrow("SELECT * FROM public.live_streams WHERE id = $1", stream)
        assert row is not None
        return row

    async def is_published(self, stream: UUID) -> bool:
        """Say whether the stream sends video, as everybody may read it."""
        return await self.one(
            "anon", "SELECT is_published FROM public.live_streams WHERE id = $1", stream
        )

    async def why(self, stream: UUID, who: Who = "anon") -> Any:
        """Return why the camera is on or off."""
        return await self.call(who, "explain_publish_state", p_live_stream_id=stream)

    async def rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Look at the truth, past every policy."""
        return [tuple(row) for row in await self.admin.fetch(query, *arguments)]

    async def set_rule(self, **rules: object) -> None:
        """Change figures of private.settings, given as SQL literals."""
        assignments = ", ".join(f"{name} = {value}" for name, value in rules.items())
        await self.admin.execute(f"UPDATE private.settings SET {assignments}")


async def watched(world: World) -> tuple[Person, Person, UUID]:
    """Return a streamer, a viewer and the stream that the viewer watches since this moment."""
    streamer, viewer = await world.people("streamer", "viewer")
    stream = await world.live(streamer)
    await world.beat(Beat(viewer, stream, 1))
    return streamer, viewer, stream


async def rows_read(world: World, table: str) -> int:
    """Return how many rows of a table, or entries of its indexes, were read so far."""
    await world.login.execute("SELECT pg_stat_force_next_flush()")
    [(read,)] = await world.rows(
        "SELECT (t.seq_tup_read + sum(i.idx_tup_read))::bigint FROM pg_stat_all_tables AS t"
        " JOIN pg_stat_all_indexes AS i USING (relid) WHERE relid = $1::text::regclass"
        " GROUP BY t.seq_tup_read",
        table,
    )
    return read


async def seconds_until_off(world: World, stream: UUID, limit: int = 120) -> int:
    """Sweep every second until the stream is off; return how many seconds that took."""
    for second in range(limit):
        if not await world.is_published(stream):
            return second
        await world.pass_time(1, lease=stream)
    raise AssertionError(f"still published after {limit} s: {await world.why(stream)}")


def role_of(who: Who) -> str:
    """Return the database role somebody acts with."""
    return who if isinstance(who, str) else "authenticated"


def claims_of(who: Who) -> dict[str, object]:
    """Return the claims of somebody's token."""
    return {"role": who} if isinstance(who, str) else who.claims


async def become(connection: Connection, who: Who) -> None:
    """Set role and claims for the open transaction."""
    await connection.execute(
        "SELECT set_config('request.jwt.claims', $1, true), set_config('role', $2, true)",
        json.dumps(claims_of(who)),
        role_of(who),
    )


def decoded(value: object) -> Any:
    """Return a database value, JSON as Python objects."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


async def another_login(world: World, who: Who) -> Connection:
    """Connect once more and open a transaction as somebody."""
    connection = await asyncpg.connect(world.database.authenticator_url)
    world.database.connections.append(connection)
    await connection.execute("BEGIN")
    await become(connection, who)
    return connection


async def waiting(connection: Connection, statement: str, *arguments: object) -> asyncio.Task[Any]:
    """Start a statement that somebody else's transaction must hold up, and see that it does."""
    racing = asyncio.create_task(connection.fetch(statement, *arguments))
    await asyncio.sleep(0.1)
    assert not racing.done(), f"did not wait: {statement}"
    return racing


def is_crash(error: BaseException) -> bool:
    """Say whether code failed, and did not refuse: a wrong name or syntax, a missing RETURN."""
    state = getattr(error, "sqlstate", None) or ""
    return state[:2] in ("2F", "42", "XX") and state != "42501"


@contextmanager
def refused(code: str) -> Generator[None]:
    """Expect a refusal: an SQLSTATE, or the name of the constraint that states the rule."""
    with pytest.raises(asyncpg.PostgresError) as caught:
        yield
    if is_crash(caught.value) and caught.value.sqlstate != code:
        raise caught.value
    said = (caught.value.sqlstate, getattr(caught.value, "constraint_name", None))
    assert code in said, f"refused with {said}: {caught.value}, not with {code}"


def tab() -> UUID:
    """Return the id of a new browser tab."""
    return uuid4()


async def make_template(cluster: Cluster) -> str:
    """Clone the migrated database and put the test clock into it; return its name."""
    name = await cluster.create()
    connection = await asyncpg.connect(cluster.admin_url(name))
    await connection.execute(CLOCK)
    await connection.close()
    return name


@asynccontextmanager
async def new_world(cluster: Cluster, template: str) -> AsyncGenerator[World]:
    """Clone a world from the template; drop it at the end."""
    name = await cluster.create(template)
    database = Database(name, cluster.admin_url(name), cluster.authenticator_url(name))
    try:
        admin = await database.admin()
        login = await asyncpg.connect(database.authenticator_url)
        database.connections.append(login)
        yield World(database, admin, login)
    finally:
        await database.close()
        await cluster.drop(name)
