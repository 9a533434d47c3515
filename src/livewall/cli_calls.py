"""How commands call the database's functions: as the server does, as somebody or as the service."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

    from livewall.db import Caller, Database

T = TypeVar("T")
AsName = Annotated[
    str, typer.Option("--as", metavar="NAME", help="Who decides: the account's name.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def ask(question: "Callable[[Database], Awaitable[T]]") -> T:
    """Connect to a prepared database and return what `question` makes of it. Raises Refusal."""
    from livewall import database

    with database.up_to_date(database.load_existing()) as settings:
        return database.ask(settings, question)


async def acting_as(database: "Database", name: str) -> "Caller":
    """Return the caller that somebody with this name is. Raises Refusal `not_found`.

    Whoever has this shell may name anybody, so the audit log says where the name comes from.
    """
    from livewall.db import ANYBODY, Caller
    from livewall.shapes import Profile

    profile = await database.call(ANYBODY, "get_profile", Profile, p_name=name)
    return Caller("authenticated", profile.id, via="command line")


def print_json(value: object) -> None:
    """Print a value as one indented JSON document that steers no terminal."""
    import json

    import msgspec

    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    print("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))


def harmless(text: str) -> str:
    """Return a text with escapes for what would move a terminal's cursor or begin a new line.

    What a backup or a database says of itself, somebody else may have written.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def dollars(cents: int) -> str:
    """Return US cents as people read them, such as $32,500.00."""
    return f"${cents // 100:,}.{cents % 100:02}"


def amount(currency: str, cents: int) -> str:
    """Return an amount, such as $3.33 or JPY 999 (smallest unit): whole yen are not cents."""
    if currency == "usd":
        return dollars(cents)
    return f"{currency.upper()} {cents:,} (smallest unit)"


def moment(at: datetime | None) -> str:
    """Return a time in UTC to the second, or a dash for none."""
    return at.strftime("%Y-%m-%d %H:%M:%SZ") if at else "-"


def working(what: str) -> "Progress":
    """Show on a terminal that work goes on, and for how long already."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    progress.add_task(what, total=None)
    return progress
