"""`livewall ledger`: the head to keep elsewhere, and the proof that every coin is accounted for."""

import asyncio
import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from livewall.cli_calls import AsJson, moment, print_json

if TYPE_CHECKING:
    from rich.progress import Progress

app = typer.Typer(help="The ledger: its head and its proof.", no_args_is_help=True)


class Head(msgspec.Struct, frozen=True):
    """The newest seal; its hash says everything that was posted before it."""

    number: int
    hash: str
    transactions: int
    sealed_at: datetime | None


class Check(msgspec.Struct, frozen=True):
    """One thing that was recomputed, and whether it is as recorded."""

    check: str
    is_ok: bool
    detail: str


@app.command()
def head(as_json: AsJson = False) -> None:
    """Print the hash that seals everything posted so far.

    Keep it where the operator of the database can not reach it. `livewall ledger verify --head
    HASH` proves later that nothing before it was rewritten.

    livewall ledger head >> heads.txt
    """
    from livewall.database import prepared
    from livewall.settings import load

    with prepared(load()) as settings:
        newest = asyncio.run(read_head(settings.database_url))
    if as_json:
        print_json(newest)
        return
    print(newest.hash)
    print(
        f"Seal {newest.number}, {newest.transactions:,} transactions, "
        f"sealed {moment(newest.sealed_at)}.",
        file=sys.stderr,
    )


def _read_head(text: str) -> str:
    """A typo is no sign that history was rewritten, so it is told apart from an unknown head."""
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
            callback=_read_head,
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
    from livewall.database import prepared
    from livewall.settings import load

    with prepared(load()) as settings, _working("Recomputing the ledger"):
        checks = asyncio.run(recompute(settings.database_url, head or None))
    if as_json:
        print_json(checks)
    else:
        _print_checks(checks)
    wrong = [check.check for check in checks if not check.is_ok]
    if wrong:
        print(f"livewall: the ledger does not add up: {', '.join(wrong)}.", file=sys.stderr)
        raise typer.Exit(1)


def _print_checks(checks: list[Check]) -> None:
    width = max((len(check.check) for check in checks), default=0)
    for check in checks:
        print(f"{'ok   ' if check.is_ok else 'DRIFT'}  {check.check:{width}}  {check.detail}")


def _working(what: str) -> "Progress":
    """Show on a terminal that work goes on, and for how long already."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    progress.add_task(what, total=None)
    return progress


async def read_head(url: str) -> Head:
    """Return the head by the administrator's connection."""
    from livewall.administrator import connected

    async with connected(url) as connection:
        text: str = await connection.fetchval("SELECT private.ledger_head()")
    return msgspec.json.decode(text, type=Head)


async def recompute(url: str, head: str | None) -> list[Check]:
    """Return every check, all of one moment, by the administrator's connection."""
    from livewall.administrator import connected

    async with (
        connected(url) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        rows = await connection.fetch("SELECT * FROM private.verify_ledger($1)", head)
    return [Check(row["check_name"], row["is_ok"], row["detail"]) for row in rows]
