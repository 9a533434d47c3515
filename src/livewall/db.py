"""PostgreSQL as the server uses it: one round trip per request, as its caller, coded errors.

Nothing else imports asyncpg for requests. The pool logs in as `authenticator`, which can do nothing
but switch to the caller's role inside `public.call_as`.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar, cast
from uuid import UUID

import asyncpg
import msgspec
import structlog
from asyncpg.pool import PoolConnectionProxy

from livewall import errors, metrics
from livewall.errors import Refusal
from livewall.settings import Settings

T = TypeVar("T")
Role = Literal["anon", "authenticated", "service_role"]
Argument: TypeAlias = (
    "str | int | float | bool | UUID | list[dict[str, object]] | dict[str, object] | None"
)

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

# With the type of each argument, or a function of that name with others might fit as well.
CALL = "SELECT public.call_as($1::text, $2::jsonb, $3::text, $4::jsonb)"
COMMAND_TIMEOUT = 15.0
ACQUIRE_TIMEOUT = 5.0
# Sessions are renewed now and then: plans cached over tables that were empty then get old.
CONNECTION_LIFETIME = 600.0

AWAY = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidAuthorizationSpecificationError,
)
RETRIABLE = (
    asyncpg.InvalidCachedStatementError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)
log = structlog.get_logger()


@dataclass(frozen=True)
class Caller:
    """Who asks: the role to act as and, for people, the claims of their verified token.

    `via` is set where a name was given without a token; the audit log keeps it.
    """

    role: Role
    profile_id: UUID | None = None
    session_id: UUID | None = None
    via: str | None = None

    @property
    def own_id(self) -> UUID:
        """The account's id. Raises Refusal `not_signed_in` for nobody."""
        if self.profile_id is None:
            raise Refusal("not_signed_in")
        return self.profile_id

    def claims(self) -> str:
        """Return `request.jwt.claims` as the database reads it."""
        named = {
            "role": self.role,
            "sub": self.profile_id,
            "session_id": self.session_id,
            "via": self.via,
        }
        return msgspec.json.encode({k: v for k, v in named.items() if v is not None}).decode()


ANYBODY = Caller("anon")
SERVICE = Caller("service_role")


def open_database(settings: Settings, *, size: int = 10) -> "Database":
    """Return the database of these settings, past whose pooler dedicated connections lead."""
    return Database(settings.web_database_url, size=size, direct_url=settings.direct_url)


async def _no_reset(_connection: object) -> None:
    """Save a round trip: `call_as` leaves nothing behind that would have to be reset."""


class Database:
    """The pool, and dedicated connections for those who need one of their own.

    With a `direct_url`, `url` is a pooler in transaction mode: what is to outlive a transaction, a
    prepared statement, a role or a lock, may be gone there or be somebody else's.
    """

    def __init__(self, url: str, *, size: int = 10, direct_url: str = "") -> None:
        self._url = url
        self._direct_url = direct_url or url
        self._is_pooled = bool(direct_url)
        self._size = size
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Close every connection; calls fail with `database_away` from now on."""
        if self._pool is not None:
            self._pool.terminate()

    async def call(
        self, caller: Caller, function: str, returning: type[T], /, **arguments: Argument
    ) -> T:
        """Call `public.function` as the caller; arguments by name, the result decoded.

        Raises Refusal: a coded one, or `database_away`, or `internal` (which is a bug).
        """
        text = await self.call_json(caller, function, arguments)
        return msgspec.json.decode(text, type=returning)

    async def find(
        self, caller: Caller, function: str, returning: type[T], /, **arguments: Argument
    ) -> T | None:
        """Call a function that may answer with nothing, which is None."""
        text = await self.call_json(caller, function, arguments)
        return None if text == "null" else msgspec.json.decode(text, type=returning)

    async def call_json(self, caller: Caller, function: str, arguments: dict[str, Argument]) -> str:
        """Call `public.function` and return its JSON as text, `null` for nothing."""
        claims, encoded = caller.claims(), msgspec.json.encode(arguments).decode()
        with metrics.DATABASE_SECONDS.labels(function).time(), metrics.count_failures(function):
            for attempt in (1, 2, 3):
                try:
                    return await self._fetch(caller.role, claims, function, encoded)
                except RETRIABLE as error:
                    if attempt == 3:
                        raise _refusal(function, error) from error
                    await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311 - only spreads retries
        raise AssertionError("unreachable")

    async def _fetch(self, role: str, claims: str, function: str, encoded: str) -> str:
        pool, connection = await self._acquire()
        try:
            value = await connection.fetchval(CALL, role, claims, function, encoded)
        except AWAY as error:
            with contextlib.suppress(asyncpg.InterfaceError):
                connection.terminate()
            raise Refusal("database_away") from error
        except (TimeoutError, asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError) as error:
            raise Refusal("database_away", "The database took too long.") from error
        except RETRIABLE:
            raise
        except asyncpg.PostgresError as error:
            raise _refusal(function, error) from error
        finally:
            await pool.release(connection)
        return "null" if value is None else cast("str", value)

    async def _acquire(self) -> tuple[Pool, "PoolConnectionProxy[asyncpg.Record]"]:
        """Take a connection. Whatever keeps us from having one, the database is away."""
        try:
            pool = await self._open()
            return pool, await pool.acquire(timeout=ACQUIRE_TIMEOUT)
        except (*AWAY, TimeoutError, asyncpg.PostgresError) as error:
            raise Refusal("database_away") from error

    async def _open(self) -> Pool:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await self._connect_pool()
        return self._pool

    async def _connect_pool(self) -> Pool:
        return await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._size,
            command_timeout=COMMAND_TIMEOUT,
            max_inactive_connection_lifetime=CONNECTION_LIFETIME,
            max_queries=200_000,
            # Without a name, it is prepared for each run and with it: no pooler comes in between.
            statement_cache_size=0 if self._is_pooled else 100,
            reset=_no_reset,
            server_settings={"application_name": "livewall", "timezone": "UTC"},
            timeout=ACQUIRE_TIMEOUT,
        )

    async def is_ready(self) -> None:
        """Ask the database for a sign of life. Raises Refusal if there is none."""
        await self.call_json(ANYBODY, "list_live_streams", {"p_limit": 1})

    @contextlib.asynccontextmanager
    async def dedicated(self, role: Role | None = None) -> AsyncGenerator[asyncpg.Connection]:
        """Open a connection outside the pool, acting as `role` for as long as it lives.

        It leads past a pooler: its session is what it is for.

        Raises Refusal `database_away` if it can not be opened.
        """
        try:
            connection = await asyncpg.connect(
                self._direct_url,
                timeout=ACQUIRE_TIMEOUT,
                command_timeout=COMMAND_TIMEOUT,
                server_settings={
                    "application_name": "livewall",
                    "timezone": "UTC",
                    "search_path": "pg_catalog, pg_temp",
                },
            )
        except (*AWAY, TimeoutError, asyncpg.PostgresError) as error:
            raise Refusal("database_away") from error
        try:
            if role is not None:
                await connection.execute(f"SET ROLE {role}")
            yield connection
        finally:
            connection.terminate()


def cause_of(error: BaseException) -> dict[str, str]:
    """Return for the log why the database could not be had: what came up, and what helps.

    Its text stays out: it may repeat addresses and what people wrote.
    """
    cause = error.__cause__ if isinstance(error, Refusal) else error
    if cause is None:
        return {}
    said = {"error": type(cause).__name__}
    if isinstance(cause, asyncpg.PostgresError) and cause.sqlstate:
        said["sqlstate"] = cause.sqlstate
    if isinstance(cause, asyncpg.InvalidPasswordError):
        # Another secret than the database was migrated with, or another database's migration.
        said["next"] = "livewall db migrate"
    return said


def _refusal(function: str, error: asyncpg.PostgresError) -> Refusal:
    """Return what the caller is told; what the catalogue does not know is told to the log."""
    refusal = errors.from_postgres(error)
    if refusal.code == "internal":
        # The message alone: DETAIL repeats the row, with what people wrote.
        message = errors.text_of(error, "message")
        log.error("database_broke", function=function, sqlstate=error.sqlstate, message=message)
    return refusal
