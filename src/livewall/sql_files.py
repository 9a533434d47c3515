"""The SQL folder as data: numbered migrations, repeatable code in dependency order, directives.

A directive stands in the first line of a file:

    -- livewall: non-transactional      (migrations) runs outside a transaction
    -- livewall: after streams, social  (code) needs what those files create
"""

import re
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256
from pathlib import Path

SQL_FOLDER = Path(__file__).parent / "sql"
MIGRATION_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
DIRECTIVE = re.compile(r"-- livewall: (?P<words>.+)")

# A statement ends at a semicolon that is not inside one of these.
OPAQUE = re.compile(
    r"""
      --[^\n]*                                # comment to the end of the line
    | /\*.*?\*/                               # block comment
    | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$         # dollar quoting
    | [eE]'(?:[^'\\]|\\.|'')*'                # string with escapes
    | '(?:[^']|'')*'                          # string
    | "(?:[^"]|"")*"                          # name
    | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)


class MigrationError(Exception):
    """The database cannot be brought up to date; the message is one line that says why."""


@dataclass(frozen=True)
class SqlFile:
    """One file: its path as people name it, its text and what identifies its content."""

    label: str
    text: str
    checksum: str

    @property
    def directive(self) -> str:
        """The words after `-- livewall:` in the first line, empty if there are none."""
        found = DIRECTIVE.match(self.text)
        return found["words"].strip() if found else ""


@dataclass(frozen=True)
class Migration:
    """A versioned file: applied once, in the order of its number, and never edited again."""

    version: int
    name: str
    file: SqlFile

    @property
    def transactional(self) -> bool:
        """Whether the file may run inside a transaction."""
        return self.file.directive != "non-transactional"


@dataclass(frozen=True)
class Folder:
    """Everything the runner applies."""

    platform: SqlFile
    migrations: tuple[Migration, ...]
    code: tuple[SqlFile, ...]


def read_folder(path: Path = SQL_FOLDER) -> Folder:
    """Read `platform.sql`, `migrations/` and `code/`. Raises MigrationError for odd files.

    A folder without a `platform.sql` of its own gets Livewall's.
    """
    own = path / "platform.sql"
    platform = _read(own if own.exists() else SQL_FOLDER / "platform.sql", "platform.sql")
    return Folder(platform, _migrations(path / "migrations"), _code(path / "code"))


def _read(path: Path, label: str) -> SqlFile:
    text = path.read_text(encoding="utf-8")
    return SqlFile(label, text, sha256(text.encode()).hexdigest())


def _migrations(path: Path) -> tuple[Migration, ...]:
    found: dict[int, Migration] = {}
    for file in sorted(path.glob("*.sql")):
        name = MIGRATION_NAME.fullmatch(file.name)
        if name is None:
            raise MigrationError(f"migrations/{file.name}: name it NNNN_what_it_does.sql.")
        version = int(name[1])
        if version in found:
            raise MigrationError(f"migrations/{file.name}: number {version} is taken already.")
        found[version] = Migration(version, name[2], _read(file, f"migrations/{file.name}"))
    return tuple(found.values())


def _code(path: Path) -> tuple[SqlFile, ...]:
    files = {file.stem: _read(file, f"code/{file.name}") for file in sorted(path.glob("*.sql"))}
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for stem, file in files.items():
        sorter.add(stem, *_needed(stem, file, files))
    return tuple(files[stem] for stem in _in_order(sorter))


def _needed(stem: str, file: SqlFile, files: dict[str, SqlFile]) -> list[str]:
    verb, _, rest = file.directive.partition(" ")
    names = [name.strip() for name in rest.split(",") if name.strip()]
    unknown = [name for name in names if name not in files]
    if (file.directive and verb != "after") or unknown:
        raise MigrationError(f"code/{stem}.sql: cannot follow its directive: {file.directive!r}.")
    return names


def _in_order(sorter: TopologicalSorter[str]) -> list[str]:
    """Return names in dependency order, by name where that leaves a choice."""
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise MigrationError(f"Code files need each other in a circle: {circle}.") from None
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return order


def statements(text: str) -> list[str]:
    """Split a script at the semicolons that end its statements, for what needs one at a time."""
    found: list[str] = []
    begin = 0
    for token in OPAQUE.finditer(text):
        if token["end"]:
            found.append(text[begin : token.start()].strip())
            begin = token.end()
    return [statement for statement in [*found, text[begin:].strip()] if _says_something(statement)]


def _says_something(statement: str) -> bool:
    lines = (line.strip() for line in statement.splitlines())
    return any(line and not line.startswith("--") for line in lines)
