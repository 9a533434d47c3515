"""What a database has beside what it should have, and the statement that makes it right."""

import re
from collections.abc import Iterable, Iterator

import msgspec

from livewall.code_catalog import Connection
from livewall.preflight.expected import Schema, comparable, read_definitions, read_expected
from livewall.sql_files import read_folder, statements

CREATES_FUNCTION = re.compile(r"^CREATE (?:OR REPLACE )?FUNCTION (?P<name>[\w.]+)\(", re.MULTILINE)
FUNCTION = "SELECT pg_get_functiondef(to_regprocedure($1))"


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not as written.

    `found` is empty for what is missing, `expected` for what is not ours. `statement` makes it
    right; empty if no statement of its own does, but creating all code again.
    """

    item: str
    expected: str
    found: str
    statement: str

    @property
    def is_ours(self) -> bool:
        """Whether this version makes such a thing."""
        return bool(self.expected)


async def read_differences(connection: Connection) -> list[Difference]:
    """Compare a database with what this version of the code makes, by name."""
    definitions, expected = await read_definitions(connection), read_expected()
    found, sources = comparable(definitions), _sources()
    differing = (
        name
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    )
    differences: list[Difference] = []
    for name in differing:
        kind, identity = split(name)
        has, wanted = found.get(name, ""), expected.get(name, "")
        if kind == "function":
            has = await connection.fetchval(FUNCTION, identity) or ""
            wanted = wanted and sources.get(identity.partition("(")[0], wanted)
        statement = _making(kind, identity, wanted, has) if wanted else _removing(kind, identity)
        differences.append(Difference(name, wanted, has, statement))
    return differences


def split(name: str) -> tuple[str, str]:
    """Return kind and identity of an item; `row security` is the only kind of two words."""
    words = 2 if name.startswith("row security ") else 1
    parts = name.split(" ", words)
    return " ".join(parts[:words]), parts[words]


def _sources() -> Schema:
    """Return the statement that creates each function, the newest if several do."""
    folder = read_folder()
    files = (*(migration.file for migration in folder.migrations), *folder.code)
    return dict(_created(statement for file in files for statement in statements(file.text)))


def _created(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        created = CREATES_FUNCTION.search(text)
        if created:
            yield created["name"], text[created.start() :]


def _making(kind: str, identity: str, wanted: str, has: str) -> str:
    """Return what makes something of ours as it should be, empty if only all code together does."""
    name, _, table = identity.rpartition(" on ")
    match kind:
        case "grant":
            if has:  # it may be handed on, by which it differs
                return f"REVOKE GRANT OPTION FOR {_privilege(identity, 'FROM')}"
            return f"GRANT {_privilege(identity, 'TO')}"
        case "row security":
            enabled, forced = (flag == "t" for flag in wanted.split())
            return (
                f"ALTER TABLE {identity} {'ENABLE' if enabled else 'DISABLE'} ROW LEVEL SECURITY, "
                f"{'' if forced else 'NO '}FORCE ROW LEVEL SECURITY"
            )
        case "constraint":
            drop = f"DROP CONSTRAINT {name}, " if has else ""
            return f"ALTER TABLE {table} {drop}ADD CONSTRAINT {name} {wanted.partition(' ')[2]}"
        case "function" if CREATES_FUNCTION.match(wanted):
            return re.sub("^CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", wanted)
        case _:
            return ""


def _removing(kind: str, identity: str) -> str:
    """Return what removes something that is not ours."""
    name, _, table = identity.rpartition(" on ")
    match kind:
        case "grant":
            return f"REVOKE {_privilege(identity, 'FROM')}"
        case "constraint":
            return f"ALTER TABLE {table} DROP CONSTRAINT {name}"
        case "policy" | "trigger" | "rule":
            return f"DROP {kind.upper()} {name} ON {table}"
        case "function" | "view":
            return f"DROP {kind.upper()} {identity}"
        case _:
            return ""  # a table may have rows: whoever made it knows what becomes of them


def _privilege(identity: str, preposition: str) -> str:
    """Turn `SELECT on table public.gifts to anon` into what GRANT and REVOKE take."""
    privilege, _, rest = identity.partition(" on ")
    target, _, grantee = rest.rpartition(" to ")
    kind, _, name = target.partition(" ")
    if kind == "column":
        name, _, column = name.rpartition(".")
        kind, privilege = "table", f"{privilege} ({column})"
    return f"{privilege} ON {kind.upper()} {name} {preposition} {grantee}"
