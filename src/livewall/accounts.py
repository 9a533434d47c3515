"""Accounts as whoever runs the machine manages them: by `livewall user`, past every sign-in."""

import secrets
from datetime import datetime
from uuid import UUID

import msgspec

from livewall import tokens
from livewall.database import ask
from livewall.db import ANYBODY, SERVICE, Database
from livewall.errors import Refusal
from livewall.identity import hash_now, open_session
from livewall.settings import Settings
from livewall.shapes import Profile

ROLES_ELSEWHERE = (
    "People get one here at their first visit. A role of staff is given in SQL, as service_role: "
    "SELECT public.grant_staff_role(PROFILE_ID, 'finance')."
)


class Listed(msgspec.Struct, frozen=True):
    """One account in the list."""

    name: str
    display_name: str
    roles: list[str]
    is_banned: bool
    created_at: datetime


def create_user(
    settings: Settings, name: str, role: str | None = None, password: str | None = None
) -> str:
    """Create an account and return a token for it.

    Without a password nobody can sign in to it but by this token. Raises Refusal.
    """

    async def create(database: Database) -> str:
        hashed = hash_now(password or secrets.token_urlsafe(32))
        try:
            profile = await database.call(
                SERVICE, "create_account", Profile, p_name=name, p_password_hash=hashed
            )
        except Refusal as refusal:
            hint = ROLES_ELSEWHERE if refusal.code == "accounts_elsewhere" else refusal.hint
            raise Refusal(refusal.code, refusal.detail, hint) from refusal
        if role:
            await database.call(
                SERVICE, "grant_staff_role", object, p_profile_id=profile.id, p_role=role
            )
        session = await open_session(database, profile.id)
        return session.token(tokens.Rules(settings.secret, settings.jwt_audience))

    return ask(settings, create)


def set_password(settings: Settings, name: str, password: str) -> None:
    """Give an account a password: its first, if it came from the previous schema, or a new one.

    Raises Refusal if nobody has an account of this name, or if accounts are kept elsewhere.
    """

    async def change(database: Database) -> None:
        await database.call(
            SERVICE,
            "set_password_hash",
            object,
            p_profile_id=await _account_id(database, name),
            p_password_hash=hash_now(password),
        )

    ask(settings, change)


async def _account_id(database: Database, name: str) -> UUID:
    """Return whose account has this name; guests have none. Raises Refusal."""
    nobody = Refusal(
        "not_found", f"No account is called {name}.", "`livewall user list` shows them."
    )
    try:
        found = await database.call(ANYBODY, "get_profile", Profile, p_name=name)
    except Refusal as refusal:
        raise (nobody if refusal.code == "not_found" else refusal) from refusal
    if found.is_guest:
        raise nobody
    return found.id


def list_users(settings: Settings) -> list[Listed]:
    """Return every account by name; guests are none."""

    async def read(database: Database) -> list[Listed]:
        return await database.call(SERVICE, "list_accounts", list[Listed])

    return ask(settings, read)
