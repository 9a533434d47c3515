"""`livewall db`: the database's own commands."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from livewall.cli_adopt import adopt
from livewall.cli_calls import AsJson, print_json
from livewall.cli_repair import repair

if TYPE_CHECKING:
    from livewall.settings import Settings
    from livewall.sql_lint import Finding

app = typer.Typer(help="The database.", no_args_is_help=True)
app.command()(adopt)
app.command()(repair)


def _require_embedded(settings: "Settings") -> None:
    from livewall.settings import SettingsError

    if settings.database_url:
        raise SettingsError("DATABASE_URL names a database that Livewall did not start.")


@app.command()
def start() -> None:
    """Start the embedded database and leave it running."""
    from livewall import database, embedded
    from livewall.settings import load

    settings = load()
    _require_embedded(settings)
    embedded.start(settings.data_path, database.launch(settings))
    print("PostgreSQL is running; `livewall db url` prints its address.")


@app.command()
def stop() -> None:
    """Stop the embedded database; servers that use it answer 503 until it is back."""
    from livewall import embedded
    from livewall.database import load_existing

    settings = load_existing()
    _require_embedded(settings)
    print("Stopped." if embedded.stop(settings.data_path) else "It was not running.")


@app.command()
def url() -> None:
    """Print the administrator's address of the running database.

    psql "$(livewall db url)"
    """
    from livewall import embedded
    from livewall.database import load_existing
    from livewall.postgres_process import EmbeddedError

    settings = load_existing()
    if settings.database_url:
        print(settings.database_url)
        return
    server = embedded.find(settings.data_path)
    if server is None:
        raise EmbeddedError("The database is not running: `livewall db start` starts it.")
    print(server.url())


@app.command()
def migrate(
    new_password: Annotated[
        bool,
        typer.Option(
            "--new-password",
            help="Change the password of role authenticator also where other databases use it.",
        ),
    ] = False,
) -> None:
    """Bring the database up to date, let the server log in, and give pg_cron its jobs.

    The server's role authenticator has a password that follows from LIVEWALL_SECRET. All databases
    of a PostgreSQL share the role: where another one has Livewall too, a new password is refused,
    unless you say --new-password and give that one's servers the same secret. The embedded
    PostgreSQL is this installation's alone, and does as it is told.
    """
    from livewall.database import available, bring_up_to_date, named
    from livewall.settings import load

    loaded = load()
    with available(loaded) as settings:
        own = not loaded.database_url
        outcome = bring_up_to_date(settings, new_password=new_password or own)
    for label in (*outcome.migrations, *outcome.code):
        print(label)
    if outcome.cron is not None:
        print(outcome.cron, file=sys.stderr)
    print(f"The database is up to date: {named(loaded)}.", file=sys.stderr)


@app.command()
def bundle(
    folder: Annotated[Path, typer.Argument(help="The project's folder, with `supabase` in it.")],
    as_json: AsJson = False,
) -> None:
    """Write the schema as a migration of the Supabase CLI, into a Supabase project's folder.

    livewall db bundle . && supabase db push

    Run it again after each upgrade: what is new comes in one more file, and no other is changed.
    Prints the file that it wrote, or nothing if the project has this release. Exit code 1 if the
    folder is no project, or if its files do not go with this release.
    """
    from livewall import bundle as bundles

    outcome = bundles.write(folder)
    if as_json:
        written = outcome.written and str(outcome.written)
        print_json({"written": written, "newest": str(outcome.newest)})
        return
    if outcome.written is None:
        print(f"{outcome.newest} is this release already.", file=sys.stderr)
        return
    print(outcome.written)
    print("`supabase db push` applies it.", file=sys.stderr)


@app.command("lint")
def lint_schema() -> None:
    """Check the database's schema against the house rules; print what breaks them."""
    import asyncio

    from livewall.database import load_existing, up_to_date
    from livewall.sql_lint import lint

    with up_to_date(load_existing()) as settings:
        findings = asyncio.run(lint(settings.database_url))
    for finding in findings:
        print(_line(finding))
    if findings:
        raise typer.Exit(1)


def _line(finding: "Finding") -> str:
    return f"{finding.rule}: {finding.object}\n    why: {finding.why}\n    fix: {finding.fix}"


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete everything in the database and create it anew."""
    import asyncio

    from livewall.administrator import recreate_database
    from livewall.database import available, bring_up_to_date
    from livewall.settings import SettingsError, load

    settings = load()
    if settings.production:
        raise SettingsError("`livewall db reset` is refused in production.")
    if not yes:
        typer.confirm("Delete every account, stream and message?", abort=True)
    with available(settings) as ready:
        asyncio.run(recreate_database(ready.database_url))
        bring_up_to_date(ready, new_password=not settings.database_url)
    # Whose accounts are gone need no tokens: the demo streamers introduce themselves anew.
    settings.demo_tokens.unlink(missing_ok=True)
    print("The database is new and empty.")
