"""`livewall user`: accounts, made and mended by whoever runs the machine."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from livewall.cli_calls import AsJson, print_json
from livewall.cli_tables import show, table

if TYPE_CHECKING:
    from livewall.settings import Settings

app = typer.Typer(help="Accounts.", no_args_is_help=True)
PASSWORD_LENGTH = range(8, 201)


class StaffRole(StrEnum):
    """What somebody may do besides using Livewall."""

    MODERATOR = "moderator"
    FINANCE = "finance"
    ADMIN = "admin"


@app.command()
def create(
    name: str,
    role: Annotated[StaffRole | None, typer.Option(help="What they may do besides.")] = None,
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a password: they sign in with it.")
    ] = False,
    print_token: Annotated[bool, typer.Option(help="Print a token as the last line.")] = False,
) -> None:
    """Create an account, with a role for the staff if you say so.

    livewall user create mia --role finance --password
    """
    from livewall.accounts import create_user
    from livewall.database import load_existing, up_to_date

    loaded = load_existing()
    chosen = _ask_password() if password else None
    with up_to_date(loaded) as settings:
        token = create_user(settings, name, role, chosen)
    how = (
        _how_to_sign_in(settings)
        if chosen
        else (f"Nobody can sign in to it yet: `livewall user password {name}`.")
    )
    print(f"Created {name}. {how}", file=sys.stderr)
    if print_token:
        print(token)


@app.command("password")
def new_password(name: str) -> None:
    """Give an account a new password; where somebody is signed in, they stay so.

    livewall user password mia
    """
    from livewall.accounts import set_password
    from livewall.database import load_existing, up_to_date

    loaded = load_existing()
    chosen = _ask_password()
    with up_to_date(loaded) as settings:
        set_password(settings, name, chosen)
    print(f"{name} has a new password. {_how_to_sign_in(settings)}", file=sys.stderr)


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """Show every account; guests are none."""
    from livewall.accounts import list_users
    from livewall.database import load_existing, named, up_to_date

    loaded = load_existing()
    with up_to_date(loaded) as settings:
        found = list_users(settings)
    if as_json:
        print_json(found)
        return
    if not found:
        print(
            f"No accounts yet in {named(loaded)}: `livewall user create NAME --password`.",
            file=sys.stderr,
        )
        return
    listed = table("name", "shown as", "role", "since", "", whole=("name", "since"))
    for user in found:
        banned = "banned" if user.is_banned else ""
        since = f"{user.created_at:%Y-%m-%d}"
        listed.add_row(user.name, user.display_name, ", ".join(user.roles), since, banned)
    show(listed)


def _how_to_sign_in(settings: "Settings") -> str:
    from livewall.noted_address import find

    address = find(settings)
    return f"Sign in at {address}/sign-in." if address else "Sign in with name and password."


def _ask_password() -> str:
    """Ask twice without showing it; a script gives it as the first line of its input.

    Never as an argument: those stay in the shell's history and in the list of processes.
    """
    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) not in PASSWORD_LENGTH:
        from livewall.errors import Refusal

        raise Refusal("invalid_argument", "A password has 8 to 200 characters.", "Choose another.")
    return password
