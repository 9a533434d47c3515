"""Livewall's schema as a migration of the Supabase CLI: `livewall db bundle`.

The CLI applies each file once, in the order of its 14 digits, in one transaction, as a role that is
no superuser, after it has cut the file into statements by rules of its own. So each release is one
file that says what it brings: the migrations that no earlier file has, and all code anew. Each of
our files travels whole in one dollar quote, the form that splitters agree upon.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from livewall import bundle_sql
from livewall.sql_files import SQL_FOLDER, Folder, Migration, MigrationError, SqlFile, read_folder

# The form of what is written here: another number makes another file of the same schema.
FORM = 2
FIRST = datetime(2026, 11, 26, tzinfo=UTC)
STAMP = "%Y%m%d%H%M%S"
FILE_NAME = re.compile(r"(?P<stamp>\d{14})_.*\.sql")
OURS = re.compile(r"\d{14}_livewall_[0-9a-f]{12}\.sql")
RELEASE = re.compile(r"^-- livewall: release (?P<digest>[0-9a-f]{12})$", re.MULTILINE)
BRINGS = re.compile(
    r"^-- livewall: brings (?P<label>migrations/\S+\.sql) (?P<checksum>[0-9a-f]{64})$", re.MULTILINE
)


@dataclass(frozen=True)
class Outcome:
    """The file that was written, or None, and the newest of ours that is there now."""

    written: Path | None
    newest: Path


@dataclass(frozen=True)
class _Earlier:
    """What the folder has from earlier releases."""

    newest: Path | None
    digest: str
    brought: dict[str, str]
    last_stamp: str


def write(project: Path, sql_folder: Path = SQL_FOLDER) -> Outcome:
    """Add what is new to `supabase/migrations` of a project, in one file; change no other.

    Raises MigrationError, one line, if there is no such project, or if its files are newer than
    this code or were made from migrations that differ.
    """
    if not (project / "supabase").is_dir():
        raise MigrationError(
            f"{project} has no folder supabase: name the project's folder, or run `supabase init`."
        )
    target = project / "supabase" / "migrations"
    folder = read_folder(sql_folder)
    earlier = _read(target)
    digest = _digest(folder)
    pending = _pending(folder, earlier)
    if earlier.newest is not None and earlier.digest == digest:
        return Outcome(None, earlier.newest)
    path = target / f"{_next_stamp(earlier.last_stamp)}_livewall_{digest}.sql"
    text = _text(folder, pending, digest, max(_versions(earlier), default=0))
    try:
        target.mkdir(exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(text, encoding="utf-8")
        draft.rename(path)
    except OSError as error:
        raise MigrationError(f"Cannot write {path}: {error.strerror}.") from error
    return Outcome(path, path)


def _read(target: Path) -> _Earlier:
    names = sorted(file.name for file in target.glob("*.sql") if FILE_NAME.fullmatch(file.name))
    newest, digest, brought = None, "", dict[str, str]()
    for name in filter(OURS.fullmatch, names):
        newest = target / name
        head = newest.read_text(encoding="utf-8").partition("\n\n")[0]
        found = RELEASE.search(head)
        if found is None:
            raise MigrationError(f"{newest} does not say which release it is: restore it.")
        digest = found["digest"]
        brought |= {line["label"]: line["checksum"] for line in BRINGS.finditer(head)}
    return _Earlier(newest, digest, brought, names[-1][:14] if names else "")


def _digest(folder: Folder) -> str:
    """Return what names a release: equal for equal content, on whatever machine."""
    files = (folder.platform, *(migration.file for migration in folder.migrations), *folder.code)
    said = [str(FORM), *(f"{file.label} {file.checksum}" for file in files)]
    return sha256("\n".join(said).encode()).hexdigest()[:12]


def _versions(earlier: _Earlier) -> list[int]:
    return [int(Path(label).name[:4]) for label in earlier.brought]


def _pending(folder: Folder, earlier: _Earlier) -> list[Migration]:
    known = {migration.file.label: migration for migration in folder.migrations}
    for label, checksum in earlier.brought.items():
        if label not in known:
            raise MigrationError(
                f"The project is newer than this code: it has {label}. Install the newer Livewall."
            )
        if known[label].file.checksum != checksum:
            raise MigrationError(
                f"{label} differs from what the project has: it was edited after it was bundled."
            )
    pending = [m for m in folder.migrations if m.file.label not in earlier.brought]
    for migration in pending:
        if not migration.transactional:
            raise MigrationError(
                f"{migration.file.label} runs outside a transaction, and the Supabase CLI runs "
                "every file in one: use `livewall db migrate` for this release."
            )
    return pending


def _next_stamp(last: str) -> str:
    """Return the 14 digits after all others: the CLI refuses files that come before applied ones.

    From the folder, not from the clock, so that the same folder gives the same file.
    """
    if last < FIRST.strftime(STAMP):
        return FIRST.strftime(STAMP)
    try:
        newest = datetime.strptime(last, STAMP).replace(tzinfo=UTC)
    except ValueError:  # a number that is no time: people count by hand
        return str(int(last) + 1)
    return (newest + timedelta(seconds=1)).strftime(STAMP)


def _text(folder: Folder, pending: list[Migration], digest: str, before: int) -> str:
    head = [
        "-- Written by `livewall db bundle`. Do not edit: run it again after an upgrade.",
        f"-- livewall: release {digest}",
        *(f"-- livewall: brings {m.file.label} {m.file.checksum}" for m in pending),
    ]
    body = [
        bundle_sql.begin(),
        bundle_sql.guard(pending, before),
        *bundle_sql.platform(folder.platform),
        bundle_sql.DROP_CODE,
        *(statement for m in pending for statement in bundle_sql.migration(m)),
        *bundle_sql.record_begin(),
        *(statement for file in folder.code for statement in _code(file)),
        *bundle_sql.record_end(),
        bundle_sql.VALIDATE,
        bundle_sql.AS_OPERATOR,
        bundle_sql.SCHEDULE,
    ]
    return "\n".join(head) + "\n\n" + "\n\n".join(body) + "\n"


def _code(file: SqlFile) -> list[str]:
    return [bundle_sql.carried(file.text, file.label), bundle_sql.record_code(file)]
