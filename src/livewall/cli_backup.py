"""`livewall backup` and `livewall restore`: the way out of a lost disk, proven in time."""

import asyncio
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from livewall.cli_calls import AsJson, harmless, moment, print_json, working
from livewall.cli_ledger import read_hash

if TYPE_CHECKING:
    from rich.progress import Progress

    from livewall.backup import Backup, Make, Tell
    from livewall.restore import Proof
    from livewall.settings import Settings


# What was found to differ can still be looked into, and stands in the way of another restore.
DIFFERS = " What came back is there to be looked at; drop it before you restore again."


def backup(
    folder: Annotated[
        Path,
        typer.Argument(
            help="An existing folder gets one named by the time, and so does one with --keep;"
            " another name becomes the backup."
        ),
    ],
    keep: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Then remove all but the newest N of those named by the time; others stay.",
        ),
    ] = None,
    with_secret: Annotated[
        bool, typer.Option("--with-secret", help="Also store the secret that signs tokens.")
    ] = False,
    physical: Annotated[
        bool,
        typer.Option("--physical", help="Copy the whole PostgreSQL, file by file: pg_basebackup."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Back the database up while it runs, and write down what a restore of it must prove.

    Makes a folder with `database.dump` (pg_dump's custom format) and `manifest.json`: the ledger's
    head, rows of every table, sums of balances and checksums, all of the same moment. It gets its
    name when it is complete; nothing is overwritten. Prints the folder's name. Store it elsewhere,
    where only operators can read: it holds everything that people told you.

    livewall backup /var/backups/livewall --keep 14

    livewall backup before-the-move --with-secret

    With --physical there is a folder `cluster` instead of a dump: every database and role of that
    PostgreSQL, with the log that makes it consistent, verified by pg_verifybackup. It is larger,
    comes back faster than a long history's dump, and only into the same major version. Needs a
    role with REPLICATION and a line for it in pg_hba.conf; the embedded one has both. For another
    one LIVEWALL_REPLICATION_URL gives such a role's address, if DATABASE_URL's is none.

    livewall backup --physical /var/backups/livewall-physical --keep 2

    Exit code 1 if there is no backup.
    """
    from livewall import operations
    from livewall.backup import choose_folder, remove_older, take
    from livewall.database import available, load_existing

    settings = load_existing()
    make = _way(settings.replication_url, physical=physical)
    started = time.monotonic()
    secret = settings.secret if with_secret else None
    try:
        target = choose_folder(folder.absolute(), one_of_many=keep is not None)
        with available(settings) as ready, working("Backing up") as progress:
            tell = _teller(progress)
            made = asyncio.run(take(ready.database_url, target, secret, tell, make))
    except Exception as error:
        _warn_unless(operations.note_failure(settings.data_path, "backup", str(error)))
        raise
    _warn_unless(
        operations.note(settings.data_path, "backup", str(target), time.monotonic() - started)
    )
    removed = remove_older(target.parent, keep, target) if keep else []
    if as_json:
        print_json(made.manifest)
    else:
        print(target)
    _say_what_is_in_it(made, settings, len(removed))


def _way(replication_url: str, *, physical: bool) -> "Make":
    from livewall.backup import dumped
    from livewall.physical_backup import copied

    return partial(copied, replication_url=replication_url) if physical else dumped


def _say_what_is_in_it(made: "Backup", settings: "Settings", removed: int) -> None:
    from livewall.database import named

    manifest = made.manifest
    people = manifest.contents.rows.get("public.profiles", 0)
    head = manifest.contents.head
    print(
        f"{named(settings)}, {made.bytes / 1e6:,.1f} MB in {manifest.seconds:g} s: "
        f"{people:,} people, "
        f"{head.transactions:,} sealed transactions, head {head.hash[:12]}."
        + (f" Removed {removed} older." if removed else ""),
        file=sys.stderr,
    )
    if "secret" in manifest.files:
        print("It holds the secret that signs tokens: keep it like a password.", file=sys.stderr)
        return
    secret = settings.data_path / "secret"
    is_kept = secret.exists() and secret.read_text().strip() == settings.secret
    where = secret if is_kept else "LIVEWALL_SECRET"
    print(
        f"Not in it: settings, and the secret that signs tokens ({where}). Keep that too, or use "
        "--with-secret: without it everybody has to sign in again.",
        file=sys.stderr,
    )


def restore(
    backup: Annotated[
        Path, typer.Argument(help="A folder that `livewall backup` made, or one with several.")
    ],
    into: Annotated[
        str,
        typer.Option(metavar="URL", help="The empty database; else DATABASE_URL, or the own one."),
    ] = "",
    drill: Annotated[
        bool, typer.Option("--drill", help="Restore into a PostgreSQL made for it, and remove it.")
    ] = False,
    head: Annotated[
        str,
        typer.Option(
            metavar="HASH",
            callback=read_hash,
            help="A head kept elsewhere: it must be in the restored chain.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Restore a backup into an empty database, and prove that not a coin moved.

    Compares the checksums, makes roles, tables and functions by this version's own SQL, loads the
    rows of the dump and nothing else of it, recomputes the ledger and compares head, rows and
    balances with the manifest; all in one transaction. Of a folder with several backups it takes
    the newest. Nothing is ever replaced: a database in use is refused.

    A physical backup becomes the database of a data folder (LIVEWALL_DATA_DIR) that has none. What
    it holds has to lie between what was there before and after it was copied, with a head that
    there was in that time; and its functions have to be this version's, before one is called.

    With --drill nothing in use is touched, so a timer may do it: a backup is one when it was
    restored.

    livewall restore --drill /var/backups/livewall

    createdb livewall_again && livewall restore BACKUP --into postgresql://postgres@/livewall_again

    Exit code 1 if something differs, with one line for each difference, or if it can not be done.
    """
    from livewall.backup import find
    from livewall.settings import SettingsError, load

    settings = load()
    if drill and into:
        raise SettingsError("A drill has a database of its own: leave out --into, or --drill.")
    with _noting_failure(settings, drill=drill), working("Restoring") as progress:
        found = find(backup.absolute())
        tell = _teller(progress)
        proof = (
            _drilled(settings, found, head, tell)
            if drill
            else _restored(settings, found, into, head, tell)
        )
    if drill:
        _note_drill(settings, found, proof)
    _print_proof(proof, found, as_json=as_json)
    if not proof.holds:
        print(
            f"livewall: {found.folder.name} does not come back as it was: "
            f"{len(proof.differences)} differences.{'' if drill else DIFFERS}",
            file=sys.stderr,
        )
        raise typer.Exit(1)
    print(_what_next(proof, drill=drill), file=sys.stderr)


@contextmanager
def _noting_failure(settings: "Settings", *, drill: bool) -> Generator[None]:
    from livewall import operations

    try:
        yield
    except Exception as error:
        if drill:
            _warn_unless(operations.note_failure(settings.data_path, "drill", str(error)))
        raise


def _drilled(settings: "Settings", found: "Backup", head: str, tell: "Tell") -> "Proof":
    from livewall import physical_restore
    from livewall.restore import drill

    if found.manifest.physical is None:
        return drill(found, head or None, tell)
    return physical_restore.drill(found, head or None, settings.db_start_timeout, tell)


def _restored(settings: "Settings", found: "Backup", into: str, head: str, tell: "Tell") -> "Proof":
    from livewall.database import available
    from livewall.restore import restore

    if found.manifest.physical is not None:
        return _restored_whole(settings, found, into, head, tell)
    if into:
        return asyncio.run(restore(found, into, head or None, tell))
    with available(settings) as ready:
        return asyncio.run(restore(found, ready.database_url, head or None, tell))


def _restored_whole(
    settings: "Settings", found: "Backup", into: str, head: str, tell: "Tell"
) -> "Proof":
    from livewall import physical_restore
    from livewall.settings import SettingsError

    if into or settings.database_url:
        named = "--into" if into else "DATABASE_URL"
        raise SettingsError(
            f"A physical backup is a whole PostgreSQL and goes into none that runs: leave {named} "
            "out, and it becomes the database of LIVEWALL_DATA_DIR; docs/operations.md says how "
            "to start one of your own on it."
        )
    patience = settings.db_start_timeout
    return physical_restore.restore(found, settings.data_path, head or None, patience, tell)


def _note_drill(settings: "Settings", found: "Backup", proof: "Proof") -> None:
    from livewall import operations

    if proof.holds:
        kept = operations.note(settings.data_path, "drill", str(found.folder), proof.seconds)
    else:
        wrong = "; ".join(proof.differences)
        kept = operations.note_failure(settings.data_path, "drill", wrong)
    _warn_unless(kept)


def _warn_unless(kept: bool) -> None:
    if not kept:
        print(
            "The data folder can not be written, so metrics and preflight do not see this.",
            file=sys.stderr,
        )


def _print_proof(proof: "Proof", found: "Backup", *, as_json: bool) -> None:
    if as_json:
        print_json(proof)
        return
    for difference in proof.differences:
        print(harmless(difference))
    if proof.holds:
        print(f"{found.folder} of {moment(found.manifest.taken_at)}")
        print(f"head {proof.head}")
        for account, balance in proof.balances.items():
            print(f"balance {harmless(account)} {balance:,}")
    if proof.left_out:
        print(
            f"Not Livewall's, so left in the dump: {harmless(', '.join(proof.left_out))}. "
            "docs/operations.md says how to get it out.",
            file=sys.stderr,
        )


def _what_next(proof: "Proof", *, drill: bool) -> str:
    said = f"Proven in {proof.seconds:g} s: {proof.rows:,} rows, every balance, seal and purchase."
    if drill:
        return said
    return f"{said} Run `livewall db migrate` on it before a server uses it."


def _teller(progress: "Progress") -> "Tell":
    def tell(words: str) -> None:
        progress.update(progress.task_ids[0], description=words)

    return tell
