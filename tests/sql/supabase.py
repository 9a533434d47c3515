"""A Supabase project and its CLI, as far as a migration meets them."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from livewall import bundle
from livewall.code_catalog import Connection
from tests.databases import TEMPLATE, Cluster, running_cluster

PROJECT = (Path(__file__).parent / "supabase_project.sql").read_text()
FILE = re.compile(r"(\d{14})_(.*)\.sql")


@dataclass(frozen=True)
class Platform(Cluster):
    """A server of its own: roles are a server's, and here they are not Livewall's."""

    def operator_url(self, database: str) -> str:
        """Return the address that a project gives to its people."""
        return self.server.url(database, "postgres", "postgres")

    async def create(self, template: str = TEMPLATE) -> str:
        """Create a database as a project has it: its operator's."""
        name = await super().create(template)
        await self.execute(f"ALTER DATABASE {name} OWNER TO postgres")
        return name

    async def new_project(self) -> str:
        """Create a project's database, return its name."""
        name = await super().create("template0")
        admin = await asyncpg.connect(self.admin_url(name))
        await admin.execute(PROJECT)
        await admin.close()
        return name

    async def push(self, database: str, migrations: Path) -> list[str]:
        """Apply what is new, as `supabase db push` does; return the names of the files."""
        login = self.server.url(database, "cli_login_postgres", "cli")
        connection = await asyncpg.connect(login, statement_cache_size=0)
        try:
            await connection.execute("SET SESSION ROLE postgres")
            return await _push(connection, migrations)
        finally:
            await connection.close()


@contextmanager
def running_platform(binaries: Path | None) -> Generator[Platform]:
    """Start a server for projects; stop and delete it at the end."""
    with running_cluster(binaries) as cluster:
        yield Platform(cluster.server, "authenticator")


def new_project_folder(folder: Path) -> Path:
    """Make a project's folder with this release in it, behind a migration of the project's own."""
    migrations = folder / "supabase" / "migrations"
    migrations.mkdir(parents=True)
    (migrations / "20270203235959_of_the_project.sql").write_text(
        "CREATE TABLE public.todos (id bigint PRIMARY KEY, body text);\n"
    )
    assert bundle.write(folder).written == migrations / ours(migrations)[0]
    return folder


def ours(migrations: Path) -> list[str]:
    """Return the names of the files that Livewall wrote."""
    return sorted(file.name for file in migrations.glob("*_livewall_*.sql"))


async def _push(connection: Connection, migrations: Path) -> list[str]:
    done = await connection.fetch("SELECT version FROM supabase_migrations.schema_migrations")
    versions = {row["version"] for row in done}
    pushed: list[str] = []
    for path in sorted(migrations.glob("*.sql")):
        named = FILE.fullmatch(path.name)
        assert named is not None, f"{path.name}: the CLI skips it"
        if named[1] in versions:
            continue
        assert named[1] > max(versions, default=""), f"{path.name}: before what is applied"
        await _apply(connection, named[1], named[2], path.read_text())
        versions.add(named[1])
        pushed.append(path.name)
    return pushed


async def _apply(connection: Connection, version: str, name: str, text: str) -> None:
    """Apply one file: one transaction, and each part by the protocol that takes one statement."""
    parts = split(text)
    async with connection.transaction():
        for part in parts:
            await connection.fetch(part)
        await connection.execute(
            "INSERT INTO supabase_migrations.schema_migrations VALUES ($1, $2, $3)",
            version,
            parts,
            name,
        )


def split(text: str, *, parentheses: bool = True) -> list[str]:
    """Cut a file where the CLI cuts it, its mistakes included.

    It knows quotes, dollar quotes, comments, a backslash before any character, and from ATOMIC on
    it waits for the letters END, in whatever word. Newer ones wait for a parenthesis to close.
    """
    parts: list[str] = []
    begin = at = 0
    until = ""
    while at < len(text):
        step = _opaque(text, at)
        if step:
            at += step
            continue
        at += 1
        if until:
            if text[begin:at].upper().endswith(until):
                until = ""
        elif text[at - 1] == ";":
            parts.append(text[begin:at])
            begin = at
        elif text[at - 1] == "(" and parentheses:
            until = ")"
        elif re.fullmatch(r"\sATOMIC", text[max(begin, at - 7) : at], re.IGNORECASE):
            until = "END"
    cut = (part.strip().rstrip(";").strip() for part in [*parts, text[begin:]])
    return [part for part in cut if part]


OPAQUE = re.compile(
    r"--[^\n]*\n?|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|\\.", re.DOTALL
)


def _opaque(text: str, at: int) -> int:
    """Return the length of a comment, quote or escape that begins here; 0 for none."""
    if text.startswith("/*", at):
        return _nested(text, at)
    if text[at] not in "-'\"$\\":
        return 0
    found = OPAQUE.match(text, at)
    return found.end() - at if found else 0


def _nested(text: str, at: int) -> int:
    depth, end = 0, at
    for mark in re.compile(r"/\*|\*/").finditer(text, at):
        depth += 1 if mark[0] == "/*" else -1
        end = mark.end()
        if depth == 0:
            return end - at
    return len(text) - at
