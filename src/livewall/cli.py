"""The command `livewall`. What goes wrong is one clear line on stderr and exit code 1."""

import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from livewall import (
    __version__,
    cli_db,
    cli_ledger,
    cli_purchases,
    cli_up,
    cli_user,
    cli_webhooks,
)
from livewall.database import available, bring_up_to_date, prepared
from livewall.errors import Refusal
from livewall.postgres_process import EmbeddedError
from livewall.settings import Settings, SettingsError, describe, load, read
from livewall.sql_files import MigrationError

app = typer.Typer(
    help="Group live video where a camera sends only while somebody really watches.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_db.app, name="db")
app.add_typer(cli_user.app, name="user")
app.add_typer(cli_ledger.app, name="ledger")
app.add_typer(cli_purchases.app, name="purchases")
app.add_typer(cli_webhooks.app, name="webhooks")


def main() -> None:
    """Run the command; known failures become one line and exit code 1."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        app()
    except (EmbeddedError, MigrationError, SettingsError, cli_up.CannotStartError) as error:
        _fail(str(error))
    except Refusal as refusal:
        _fail(f"{refusal.detail} {refusal.hint}".strip())


def _fail(line: str) -> NoReturn:
    print(f"livewall: {line}", file=sys.stderr)
    sys.exit(1)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """End as after Ctrl-C, so that whoever started the database stops it."""
    sys.exit(128 + signal.SIGTERM)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Take the options that stand before a command."""
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def up() -> None:
    """Start everything on this machine: database, server, demo streamers; open the address."""
    settings = _load_to_listen()
    with cli_up.demo_streamers(settings) as demo, available(settings) as ready:
        bring_up_to_date(ready)
        cli_up.run(ready, demo)


@app.command()
def serve() -> None:
    """Run the server only, on a database that `livewall db migrate` has prepared."""
    with prepared(_load_to_listen()) as settings:
        from livewall.serving import serve as serve_app

        serve_app(settings)


def _load_to_listen() -> Settings:
    """Load, on a port that is free: asked first, so that a refusal leaves no folder behind."""
    port = cli_up.with_free_port(read(os.environ)).port
    return msgspec.structs.replace(load(), port=port)


@app.command()
def worker() -> None:
    """Run the periodic jobs only, beside servers."""
    with prepared(load()) as settings:
        from livewall.jobs import work

        work(settings)


@app.command()
def demo(
    url: Annotated[str, typer.Option(help="Address of a running Livewall.")] = "",
    with_parent: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run demo streamers against a server: animated pictures, sent only while watched."""
    settings = load()
    if settings.production:
        raise SettingsError("Demo streamers are refused in production.")
    if with_parent:
        cli_up.end_with_parent()
    from livewall.demo import run
    from livewall.demo.state import FILE

    # A parent starts us before its server, and says itself if that does not come.
    patience = cli_up.READY_WITHIN if with_parent else 0.0
    run(url or settings.url, state_file=settings.data_path / FILE, patience=patience)


@app.command()
def config() -> None:
    """Show every setting, where it comes from, and what it does; secrets are masked."""
    table = Table("setting", "value", "from", "what it does", box=None)
    for shown in describe(read(os.environ), os.environ):
        table.add_row(shown.variable, shown.value or "-", shown.source, shown.description)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
