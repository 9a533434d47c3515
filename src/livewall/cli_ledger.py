"""`livewall ledger`: the head to keep elsewhere, and the proof that every coin is accounted for."""

import asyncio
import re
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from livewall.cli_calls import AsJson, moment, print_json, working

if TYPE_CHECKING:
    from livewall.proof import Check

app = typer.Typer(help="The ledger: its head and its proof.", no_args_is_help=True)


@app.command()
def head(as_json: AsJson = False) -> None:
    """Print the hash that seals everything posted so far.

    Keep it where the operator of the database can not reach it. `livewall ledger verify --head
    HASH` proves later that nothing before it was rewritten.

    livewall ledger head >> heads.txt
    """
    from livewall.database import load_existing, named, up_to_date
    from livewall.proof import read_head

    loaded = load_existing()
    with up_to_date(loaded) as settings:
        newest = asyncio.run(read_head(settings.database_url))
    if as_json:
        print_json(newest)
        return
    print(newest.hash)
    print(
        f"Seal {newest.number}, {newest.transactions:,} transactions, "
        f"sealed {moment(newest.sealed_at)}. Of {named(loaded)}.",
        file=sys.stderr,
    )


def read_hash(text: str) -> str:
    """Return a head as it was typed.

    A typo is no sign that history was rewritten, so it is told apart from an unknown head.
    """
    hashed = text.strip()
    if hashed and not re.fullmatch("[0-9A-Fa-f]{64}", hashed):
        raise typer.BadParameter(
            f"{hashed} is not a head: it is the 64 digits that `livewall ledger head` printed."
        )
    return hashed


@app.command()
def verify(
    head: Annotated[
        str,
        typer.Option(
            metavar="HASH",
            callback=read_hash,
            help="A head printed earlier: it must be in the chain.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Recompute every balance, seal and purchase from the entries, and compare.

    Prints one line for each check. The exit code is 1 if anything differs, also if entries wait
    unsealed for over 5 seconds, which means that no server and no `livewall worker` runs.

    livewall ledger verify --head "$(tail -1 heads.txt)"
    """
    from asyncpg import LockNotAvailableError

    from livewall import operations
    from livewall.database import load_existing, named, up_to_date
    from livewall.proof import recompute
    from livewall.sql_files import MigrationError

    started = time.monotonic()
    loaded = load_existing()
    with up_to_date(loaded) as settings, working("Recomputing the ledger"):
        try:
            checks = asyncio.run(recompute(settings.database_url, head or None))
        except LockNotAvailableError as error:
            raise MigrationError(
                "Somebody holds a table of the ledger: docs/operations.md says how to see who; "
                "then run it again."
            ) from error
    if as_json:
        print_json(checks)
    else:
        _print_checks(checks)
    wrong = [check.check for check in checks if not check.is_ok]
    where = f"Looked at {named(loaded)}."
    if wrong:
        operations.note_failure(settings.data_path, "verify", ", ".join(wrong))
        print(f"livewall: the ledger does not add up: {', '.join(wrong)}. {where}", file=sys.stderr)
        raise typer.Exit(1)
    print(where, file=sys.stderr)
    operations.note(settings.data_path, "verify", seconds=time.monotonic() - started)


def _print_checks(checks: "list[Check]") -> None:
    width = max((len(check.check) for check in checks), default=0)
    for check in checks:
        print(f"{'ok   ' if check.is_ok else 'DRIFT'}  {check.check:{width}}  {check.detail}")
