"""The administrator's connection, and what it does besides migrating."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import asyncpg

from livewall.code_catalog import Connection
from livewall.sql_files import MigrationError
from livewall.visible import visible

# Whose objects are in it has Livewall; every database of a PostgreSQL shares its roles.
OTHERS = """
SELECT array_agg(DISTINCT d.datname::text ORDER BY d.datname::text)
FROM pg_catalog.pg_shdepend AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass
    AND s.refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = 'livewall_owner')
    AND d.datname <> current_database()
"""
# What is named without a schema is PostgreSQL's own. By the default, a function in `public` whose
# arguments fit better comes before it, and whoever may create there has an administrator run it.
SEARCH_PATH = "pg_catalog, pg_temp"


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Connection]:
    """Connect as the administrator. Raises MigrationError saying what to check if it fails."""
    where = whereabouts(url)
    try:
        connection = await asyncpg.connect(url, timeout=10, statement_cache_size=0)
    except (OSError, asyncpg.PostgresError, asyncpg.ClientConfigurationError, ValueError) as error:
        raise MigrationError(
            f"Cannot use the database at {where}, check DATABASE_URL: {first_line(error)}"
        ) from error
    try:
        await connection.execute(f"SET search_path = {SEARCH_PATH}")
        yield connection
    finally:
        await connection.close()


def described(url: str) -> str:
    """Return which database this is, in words without a password. Raises MigrationError."""
    where = whereabouts(url)
    name = unquote(urlsplit(url).path.lstrip("/"))
    return f"database {name} at {where}" if name else f"the database at {where}"


def whereabouts(url: str) -> str:
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
    """Return what an error says in one line; it may repeat what somebody wrote."""
    return visible((str(error).splitlines() or [""])[0]) or type(error).__name__


async def set_authenticator_password(
    admin_url: str, authenticator_url: str, *, for_all: bool = False
) -> None:
    """Let `authenticator` log in with the password in its address, if Livewall made that role.

    Its password is one for all databases of a PostgreSQL. Where another one has Livewall too it is
    changed only `for_all`: else the servers of that one would be locked out.

    Raises MigrationError if the role is somebody else's, or others', and the password is wrong.
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
        if not for_all:
            _refuse_to_lock_out(await connection.fetchval(OTHERS))
        await _alter_password(connection, password)


def _refuse_to_lock_out(others: list[str] | None) -> None:
    if others:
        raise MigrationError(
            "Role authenticator refuses the password that goes with these settings, and keeps its "
            f"own: a new one would lock out {', '.join(others)}, which shares the role in this "
            "PostgreSQL. Use the LIVEWALL_SECRET of that one, or its role's address in "
            "LIVEWALL_AUTHENTICATOR_URL. A new secret for all of them: "
            "`livewall db migrate --new-password`, and the same secret everywhere."
        )


async def _alter_password(connection: Connection, password: str) -> None:
    quoted = await connection.fetchval("SELECT quote_literal($1)", password)
    try:
        await connection.execute(f"ALTER ROLE authenticator PASSWORD {quoted}")
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationError(
            "Role authenticator refuses the password, and this administrator may not change it: "
            "use the one who made the role, or set LIVEWALL_AUTHENTICATOR_URL."
        ) from error


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
