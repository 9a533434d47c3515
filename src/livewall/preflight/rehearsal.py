"""Trying things out on the live database with people made up for it, and leaving no trace.

Everything happens in one transaction that is always rolled back, waits for no lock longer than a
second, and touches only rows that it made itself: nobody else's row is locked or changed. Only
numbers that a sequence gave out are gone: the next purchase's number may skip a few.
"""

import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

import asyncpg

from livewall.code_catalog import Connection
from livewall.preflight.checks import NotProven, Site

LIMITS = "SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = '10s'"
ACCOUNTS_ELSEWHERE = "LW017"


class Rehearsal:
    """An open transaction in which to act as people that exist only in it."""

    def __init__(self, connection: Connection, *, as_owner: bool) -> None:
        self.connection = connection
        self._as_owner = as_owner

    async def person(self, *roles: str) -> UUID:
        """Make somebody up, with these staff roles."""
        name = f"pf.{secrets.token_hex(6)}"
        await self.become("service_role")
        try:
            profile = await self.value("SELECT public.create_account($1, 'no hash')", name)
        except asyncpg.PostgresError as error:
            if error.sqlstate != ACCOUNTS_ELSEWHERE:
                raise
            raise NotProven(
                "Accounts are kept by another service, so nobody can be made up here.",
                "Try it in a staging project with the same schema.",
            ) from error
        for role in roles:
            await self.value("SELECT public.grant_staff_role($1, $2)", UUID(profile["id"]), role)
        return UUID(profile["id"])

    async def become(self, who: UUID | str) -> None:
        """Act as somebody, or as one of the API's roles, as the server's calls do."""
        role = who if isinstance(who, str) else "authenticated"
        claims = {"role": role} | ({} if isinstance(who, str) else {"sub": str(who)})
        # The owner runs the same functions with the same claims, and may move time besides.
        switched = "" if self._as_owner else f", set_config('role', '{role}', true)"
        await self.connection.execute(
            f"SELECT set_config('request.jwt.claims', $1, true){switched}", json.dumps(claims)
        )

    async def value(self, statement: str, *arguments: object) -> Any:
        """Return the first value of a statement, JSON decoded."""
        value = cast("object", await self.connection.fetchval(statement, *arguments))
        if isinstance(value, str) and value[:1] in ("{", "["):
            return json.loads(value)
        return value

    async def refusal(self, statement: str, *arguments: object) -> str:
        """Return the SQLSTATE that a statement is refused with, empty if it is not."""
        savepoint = self.connection.transaction()
        await savepoint.start()
        try:
            await self.connection.execute(statement, *arguments)
        except asyncpg.LockNotAvailableError:
            raise
        except asyncpg.PostgresError as error:
            return error.sqlstate or ""
        finally:
            await savepoint.rollback()
        return ""


@asynccontextmanager
async def rehearsal(at: Site) -> AsyncGenerator[Rehearsal]:
    """Rehearse as the owner of the schema, who may also move what happened into the past."""
    async with _rolled_back(at.admin):
        await at.admin.execute("SET LOCAL ROLE livewall_owner")
        yield Rehearsal(at.admin, as_owner=True)


@asynccontextmanager
async def rehearsal_as_server(at: Site) -> AsyncGenerator[Rehearsal]:
    """Rehearse as the server does, with the roles of its callers and under their policies."""
    if at.web is None:
        raise NotProven(
            "The server's role authenticator can not log in from here.",
            "Run it with the settings that the server has; LIVEWALL_AUTHENTICATOR_URL may help.",
        )
    async with _rolled_back(at.web):
        yield Rehearsal(at.web, as_owner=False)


@asynccontextmanager
async def _rolled_back(connection: Connection) -> AsyncGenerator[None]:
    transaction = connection.transaction(isolation="read_committed")
    await transaction.start()
    try:
        await connection.execute(LIMITS)
        yield
    finally:
        if not connection.is_closed():
            await transaction.rollback()
