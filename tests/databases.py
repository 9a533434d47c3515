"""A PostgreSQL for a test run, and a database of its own for each test.

Import `Database` and `Person` from here for annotations; the objects come from the fixtures
`database` and `cluster` of conftest.py.
"""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import asyncpg

from livewall import embedded
from livewall.administrator import set_authenticator_password
from livewall.code_catalog import Connection
from livewall.migrate import migrate

TEMPLATE = "livewall_template"
DEBIAN = Path("/usr/lib/postgresql")

# Nothing here survives a power cut, and nothing needs to.
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_connections": "200",
}


@dataclass(frozen=True)
class Cluster:
    """The server of this test run: migrated once, cloned for each test."""

    server: embedded.Server
    authenticator_password: str

    def admin_url(self, database: str = "postgres") -> str:
        """Return the superuser's address of a database."""
        return self.server.url(database)

    def authenticator_url(self, database: str) -> str:
        """Return the address as the web server uses it."""
        return self.server.url(database, "authenticator", self.authenticator_password)

    async def create(self, template: str = TEMPLATE) -> str:
        """Create a database from a template (`template0` for an empty one), return its name."""
        name = f"test_{secrets.token_hex(6)}"
        # Copied as files: half the time, and nothing here needs to survive a crash.
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    async def drop(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        await self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def execute(self, statement: str) -> None:
        """Run a statement as superuser in database `postgres`."""
        connection = await asyncpg.connect(self.admin_url())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def prepare(self) -> None:
        """Create the template: an empty database brought up to date."""
        await self.execute(f"CREATE DATABASE {TEMPLATE}")
        await migrate(self.admin_url(TEMPLATE))
        await set_authenticator_password(self.admin_url(TEMPLATE), self.authenticator_url(TEMPLATE))


@dataclass(frozen=True)
class Person:
    """Somebody with a profile, and the claims that their token carries."""

    id: UUID
    name: str

    @property
    def claims(self) -> dict[str, object]:
        """What the server puts into `request.jwt.claims` for this person."""
        return {"sub": str(self.id), "role": "authenticated", "aud": "authenticated"}


@dataclass
class Database:
    """One test's own database. Connections made here are closed when the test ends."""

    name: str
    admin_url: str
    authenticator_url: str
    connections: list[Connection] = field(default_factory=list[Connection])

    async def admin(self) -> Connection:
        """Connect as superuser, past every policy: to arrange and to look."""
        return await self._connect(self.admin_url)

    async def as_role(self, role: str, claims: dict[str, object] | None = None) -> Connection:
        """Connect as the web server does and become `anon`, `authenticated` or `service_role`."""
        connection = await self._connect(self.authenticator_url)
        await connection.execute(f"SET ROLE {role}")
        if claims is not None:
            await connection.execute(
                "SELECT set_config('request.jwt.claims', $1, false)", json.dumps(claims)
            )
        return connection

    async def as_person(self, person: Person) -> Connection:
        """Connect as role `authenticated` with this person's claims."""
        return await self.as_role("authenticated", person.claims)

    async def person(self, name: str, *, guest: bool = False) -> Person:
        """Create somebody through the public function that the server calls."""
        service = await self.as_role("service_role")
        call = "create_guest($1)" if guest else "create_account($1, 'not a hash')"
        profile = json.loads(await service.fetchval(f"SELECT public.{call}", name))
        return Person(UUID(profile["id"]), profile["name"])

    async def close(self) -> None:
        """Close every connection made for this test."""
        for connection in self.connections:
            await connection.close(timeout=5)

    async def _connect(self, url: str) -> Connection:
        connection = await asyncpg.connect(url)
        self.connections.append(connection)
        return connection


def chosen_binaries() -> Path | None:
    """Return Debian's binaries if LIVEWALL_TEST_POSTGRES names a version, else the wheel's."""
    version = os.environ.pop("LIVEWALL_TEST_POSTGRES", "")
    if version in ("", "18"):
        return None
    binaries = DEBIAN / version / "bin"
    if not binaries.exists():
        raise RuntimeError(f"No {binaries}: apt-get install postgresql-{version}")
    return binaries


def _fast_base() -> str:
    """Return a folder for short-lived data: in memory where there is plenty."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4 * 2**30
    return str(memory) if roomy and os.access(memory, os.W_OK) else "/tmp"


@contextmanager
def data_folder() -> Generator[Path]:
    """Make a folder for a server's data that its unprivileged user can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="lwt-", dir=_fast_base()))
    folder.chmod(0o711)
    try:
        yield folder / "data"
    finally:
        embedded.destroy(folder / "data")
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_cluster(binaries: Path | None) -> Generator[Cluster]:
    """Start the server of a test run; stop and delete it at the end."""
    with data_folder() as folder:
        launch = embedded.Launch(bin_dir=binaries, parameters=FAST)
        with embedded.running(folder, launch) as server:
            yield Cluster(server, secrets.token_urlsafe(16))
