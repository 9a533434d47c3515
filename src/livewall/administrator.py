"""The administrator's connection, and what it does besides migrating."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import asyncpg

from livewall.code_catalog import Connection
from livewall.sql_files import MigrationError


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Connection]:
    """Connect as the administrator. Raises MigrationError saying what to check if it fails."""
    where = _whereabouts(url)
    try:
        connection = await asyncpg.connect(url, timeout=10, statement_cache_size=0)
    except (OSError, asyncpg.PostgresError, asyncpg.ClientConfigurationError, ValueError) as error:
        raise MigrationError(
            f"Cannot use the database at {where}, check DATABASE_URL: {first_line(error)}"
        ) from error
    try:
        yield connection
    finally:
        await connection.close()


def _whereabouts(url: str) -> str:
    """Return host and port as people know them. Raises MigrationError for what is no address.

    The address itself is not repeated: it may carry a password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 5432
    except ValueError:
        parts, host, port = urlsplit(""), None, 0
    if parts.scheme not in {"postgresql", "postgres"}:
        raise MigrationError(
            "That is not the address of a PostgreSQL, check DATABASE_URL: "
            "use one such as postgresql://user:password@host:5432/database."
        )
    given = parse_qs(parts.query).get("host", [""])[0]
    if host is None and given.startswith("/"):
        return f"the socket in {given}"
    return f"{host or given or 'the local socket'} port {port}"


def first_line(error: BaseException) -> str:
    """Return what an error says in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0] or type(error).__name__


async def set_authenticator_password(admin_url: str, authenticator_url: str) -> None:
    """Let `authenticator` log in with the password in its address, if Livewall made that role.

    Raises MigrationError if the role is somebody else's and the password is wrong.
    """
    if await _can_log_in(authenticator_url):
        return
    password = unquote(urlsplit(authenticator_url).password or "")
    async with connected(admin_url) as connection:
        ours = await connection.fetchval(
            "SELECT shobj_description('authenticator'::regrole, 'pg_authid')"
            " = 'created by livewall'"
        )
        if not ours:
            raise MigrationError(
                "Role authenticator refuses the password: set LIVEWALL_AUTHENTICATOR_URL."
            )
        quoted = await connection.fetchval("SELECT quote_literal($1)", password)
        await connection.execute(f"ALTER ROLE authenticator PASSWORD {quoted}")


async def _can_log_in(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=10, statement_cache_size=0)
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
        return False
    except (OSError, asyncpg.PostgresError) as error:
        raise MigrationError(f"Role authenticator cannot log in: {first_line(error)}") from error
    await connection.close()
    return True


async def recreate_database(url: str) -> None:
    """Drop the database at this address, whoever is connected, and create it again, empty."""
    parts = urlsplit(url)
    name = unquote(parts.path.lstrip("/"))
    async with connected(urlunsplit(parts._replace(path="/postgres"))) as connection:
        quoted = await connection.fetchval("SELECT quote_ident($1)", name)
        await connection.execute(f"DROP DATABASE IF EXISTS {quoted} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {quoted}")
