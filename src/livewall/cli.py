"""The command `livewall`. What goes wrong is one clear line on stderr and exit code 1."""

import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from livewall import (
    __version__,
    cli_backup,
    cli_db,
    cli_ledger,
    cli_preflight,
    cli_purchases,
    cli_user,
    cli_webhooks,
)
from livewall.cli_calls import harmless
from livewall.cli_tables import show, table

if TYPE_CHECKING:
    from livewall.errors import Refusal
    from livewall.settings import Settings

app = typer.Typer(
    help="Group live video where a camera sends only while somebody really watches.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # a help in boxes takes twice as long to appear
    context_settings={"max_content_width": 120},
)
app.add_typer(cli_db.app, name="db")
app.add_typer(cli_user.app, name="user")
app.add_typer(cli_ledger.app, name="ledger")
app.add_typer(cli_purchases.app, name="purchases")
app.add_typer(cli_webhooks.app, name="webhooks")
app.command()(cli_backup.backup)
app.command()(cli_backup.restore)
app.command()(cli_preflight.preflight)


def main() -> None:
    """Run the command; known failures become one line and exit code 1."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        app()
    except Exception as error:
        line = known_failure(error)
        if line is None:
            raise
        _fail(line)


def known_failure(error: Exception) -> str | None:
    """Return in one line what went wrong; None for a bug."""
    from livewall.cli_up import CannotStartError
    from livewall.errors import Refusal
    from livewall.postgres_process import EmbeddedError
    from livewall.postgres_tools import BackupError
    from livewall.settings import SettingsError
    from livewall.sql_files import MigrationError

    if isinstance(error, Refusal):
        return _why_refused(error)
    known = (BackupError, EmbeddedError, MigrationError, SettingsError, CannotStartError)
    return str(error) if isinstance(error, known) else None


def _why_refused(refusal: "Refusal") -> str:
    from livewall.db import cause_of

    if refusal.code != "database_away":
        return f"{refusal.detail} {refusal.hint}".strip()
    cause = cause_of(refusal)
    if "next" in cause:
        return (
            "The server's role authenticator has another password than goes with these settings: "
            f"use those of the server. After a change of LIVEWALL_SECRET, `{cause['next']}`."
        )
    return f"{refusal.detail[:-1]} ({cause.get('error', 'no answer')}). {refusal.hint}"


def _fail(line: str) -> NoReturn:
    print(f"livewall: {harmless(line)}", file=sys.stderr)
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
    from livewall import cli_up
    from livewall.database import available, bring_up_to_date

    settings = _load_to_listen()
    with cli_up.demo_streamers(settings) as demo, available(settings) as ready:
        bring_up_to_date(ready, new_password=not settings.database_url)
        cli_up.run(ready, demo)


@app.command()
def serve() -> None:
    """Run the server only, on a database that `livewall db migrate` has prepared."""
    from livewall.database import prepared

    with prepared(_load_to_listen()) as settings:
        from livewall.serving import serve as serve_app

        serve_app(settings)


def _load_to_listen() -> "Settings":
    """Load, on a port that is free: asked first, so that a refusal leaves no folder behind."""
    import msgspec

    from livewall.cli_up import with_free_port
    from livewall.settings import load, read

    port = with_free_port(read(os.environ)).port
    return msgspec.structs.replace(load(), port=port)


@app.command()
def worker() -> None:
    """Run the periodic jobs only, beside servers."""
    from livewall.database import prepared
    from livewall.jobs import work
    from livewall.settings import load

    with prepared(load()) as settings:
        work(settings)


@app.command()
def demo(
    url: Annotated[str, typer.Option(help="Address of a running Livewall.")] = "",
    with_parent: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run demo streamers against a server: animated pictures, sent only while watched.

    livewall demo --url http://127.0.0.1:8400
    """
    from livewall import cli_up
    from livewall.settings import SettingsError, load

    settings = load()
    if settings.production:
        raise SettingsError("Demo streamers are refused in production.")
    if with_parent:
        cli_up.end_with_parent()
    from livewall.demo import run

    # A parent starts us before its server, and says itself if that does not come.
    patience = cli_up.READY_WITHIN if with_parent else 0.0
    run(url or settings.url, state_file=settings.demo_tokens, patience=patience)


@app.command()
def config() -> None:
    """Show every setting, where it comes from, and what it does; secrets are masked."""
    from livewall.configuration import describe
    from livewall.settings import read

    listed = table("setting", "value", "from", "what it does", whole=("setting",))
    for shown in describe(read(os.environ), os.environ):
        listed.add_row(shown.variable, shown.value or "-", shown.source, shown.description)
    show(listed)


@app.command("metrics-token")
def metrics_token() -> None:
    """Print the bearer token that opens /metrics to other machines in production."""
    from livewall.settings import load

    print(load().metrics_token)
