"""Guests, accounts and sessions: who somebody is, and how they prove it."""

import asyncio
import secrets
import unicodedata
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import Meta
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from livewall import tokens
from livewall.callers import SESSION_SECONDS, Session
from livewall.cluster_messages import AccountDeleted, ProfileChanged, SessionClosed
from livewall.db import SERVICE, Database
from livewall.errors import Refusal
from livewall.limits import Workbench
from livewall.messages import StreamEvent
from livewall.routing import SignedInCaller, TheServer, TheVisit, cookie, problems
from livewall.server import Limiters, Server
from livewall.shapes import Account, Name, Profile, Stream, Text
from livewall.streams import stop_if_live
from livewall.web import session_cookies

NO_STORE = {"Cache-Control": "no-store"}
Password = Annotated[str, Meta(min_length=8, max_length=200, description="8 to 200 characters")]
_hasher = PasswordHash((Argon2Hasher(),))
# One hash takes tens of megabytes and milliseconds; more at once than cores only takes memory, and
# more in line than these would wait longer than people do.
_hashing = Workbench(2, waiting=16)
# What an unknown name is checked against, so that it takes as long as a known one.
_nobody = _hasher.hash(secrets.token_hex(16))


class NewGuest(msgspec.Struct, forbid_unknown_fields=True):
    """Continue without a password; without a name one is chosen. `demo`: drawn by a program."""

    name: Name | None = None
    demo: bool = False
    return_token: bool = False


class NewAccount(msgspec.Struct, forbid_unknown_fields=True):
    """Create an account, or turn the calling guest into one."""

    name: Name
    password: Password
    display_name: Name | None = None
    return_token: bool = False


class SignIn(msgspec.Struct, forbid_unknown_fields=True):
    """Name and password."""

    name: Name
    password: Annotated[str, Meta(max_length=200)]
    return_token: bool = False


class SignedIn(msgspec.Struct, omit_defaults=True):
    """Who is signed in now; the token only if it was asked for, else it is in the cookie."""

    account: Account
    token: str | None = None


class CurrentSession(msgspec.Struct):
    """Who is signed in, if anybody."""

    account: Account | None


class ProfileChange(msgspec.Struct, forbid_unknown_fields=True):
    """What a person may change of their profile; absent means unchanged."""

    name: Name | None = None
    display_name: Annotated[str, Meta(max_length=200)] | None = None
    bio: Text | None = None


class _Streamer(msgspec.Struct):
    stream: Stream | None


class Credentials(msgspec.Struct):
    """What a password is checked against."""

    profile_id: UUID
    password_hash: str


@get("/api/session", responses=problems())
async def current_session(visit: TheVisit, server: TheServer) -> Response[CurrentSession]:
    """Who is signed in. Also sets the CSRF cookie."""
    account, csrf = None, secrets.token_hex(16)
    if visit.caller.profile_id is not None:
        found = await server.database.call(visit.caller, "my_account", Account)
        until = datetime.fromtimestamp(visit.expires_at, UTC)
        account = msgspec.structs.replace(found, expires_at=until)
    if visit.caller.session_id is not None:
        csrf = tokens.csrf_token(server.callers.rules, visit.caller.session_id)
    secure = server.callers.secure
    proof = cookie("livewall_csrf", csrf, SESSION_SECONDS, secure=secure, hidden=False)
    return Response(CurrentSession(account), headers=NO_STORE, cookies=[proof])


@post("/api/session/guest", responses=problems("name_invalid", "name_taken", "accounts_elsewhere"))
async def continue_as_guest(
    data: JSONBody[NewGuest], visit: TheVisit, server: TheServer
) -> Response[SignedIn]:
    """Continue as a guest: a profile without a password."""
    server.limiters.guests.check(visit.subscriber)
    is_demo = data.demo and not server.settings.production
    profile = await server.database.call(
        SERVICE, "create_guest", Profile, p_name=data.name, p_is_demo=is_demo
    )
    return await _open(server, profile.id, return_token=data.return_token)


@post(
    "/api/accounts",
    responses=problems(
        "name_invalid",
        "name_taken",
        "already_an_account",
        "profile_text_refused",
        "accounts_elsewhere",
        "busy",
    ),
)
async def create_account(
    data: JSONBody[NewAccount], visit: TheVisit, server: TheServer
) -> Response[SignedIn]:
    """Create an account. A guest keeps their profile and turns into one."""
    server.limiters.accounts.check(visit.subscriber)
    profile = await server.database.call(
        SERVICE,
        "create_account",
        Profile,
        p_name=data.name,
        p_password_hash=await _hash(data.password),
        p_display_name=data.display_name,
        p_guest_id=visit.caller.profile_id,
    )
    server.limiters.known.add(_pair(visit.subscriber, str(profile.id)))
    server.everywhere(ProfileChanged(profile.id))
    return await _open(server, profile.id, return_token=data.return_token)


@post("/api/session", responses=problems("wrong_password", "banned", "busy"))
async def sign_in(data: JSONBody[SignIn], visit: TheVisit, server: TheServer) -> Response[SignedIn]:
    """Sign in with name and password."""
    server.limiters.sign_ins.check(visit.subscriber)
    found = await server.database.find(SERVICE, "find_credentials", Credentials, p_name=data.name)
    pair = _count_guess(server.limiters, visit.subscriber, _account_key(data.name, found))
    is_right, stronger = await _verify(data.password, found.password_hash if found else _nobody)
    if found is None or not is_right:
        raise Refusal("wrong_password")
    server.limiters.known.add(pair)
    if stronger is not None:
        await server.database.call(
            SERVICE,
            "set_password_hash",
            object,
            p_profile_id=found.profile_id,
            p_password_hash=stronger,
        )
    return await _open(server, found.profile_id, return_token=data.return_token)


def _account_key(name: str, found: Credentials | None) -> str:
    """Count by account, not by what was typed: a name has many spellings."""
    if found is not None:
        return str(found.profile_id)
    return unicodedata.normalize("NFKC", name).strip().lower()


def _pair(subscriber: str, account: str) -> str:
    return f"{subscriber} {account}"


def _count_guess(limiters: Limiters, subscriber: str, account: str) -> str:
    """Count one password for an account. Raises Refusal `rate_limited`."""
    pair = _pair(subscriber, account)
    limiters.passwords.check(pair)
    if pair not in limiters.known:
        limiters.strangers.check(account)
    return pair


@delete("/api/session", responses=problems())
async def sign_out(visit: TheVisit, server: TheServer) -> Response[None]:
    """Sign out: the session can not be renewed, its sockets close."""
    session_id = visit.caller.session_id
    if session_id is not None:
        await server.database.call(SERVICE, "close_session", object, p_session_id=session_id)
        server.everywhere(SessionClosed(session_id))
    secure = server.callers.secure
    gone = [
        cookie(name, "", 0, secure=secure, hidden=hidden)
        for name, hidden in ((server.callers.cookie, True), ("livewall_csrf", False))
    ]
    return Response(None, status_code=204, cookies=gone)


@patch(
    "/api/me",
    responses=problems("not_signed_in", "name_invalid", "name_taken", "profile_text_refused"),
)
async def update_profile(
    data: JSONBody[ProfileChange], person: SignedInCaller, server: TheServer
) -> Profile:
    """Change name, shown name or text."""
    server.limiters.edits.check(str(person.profile_id))
    profile = await server.database.call(
        person,
        "update_profile",
        Profile,
        p_name=data.name,
        p_display_name=data.display_name,
        p_bio=data.bio,
    )
    stream = None
    if data.name is not None or data.display_name is not None:
        stream = await _renamed_stream(server, person, profile)
    server.everywhere(ProfileChanged(profile.id, stream))
    return profile


async def _renamed_stream(
    server: Server, person: SignedInCaller, profile: Profile
) -> StreamEvent | None:
    """The streamer's name is part of their stream; everybody has a list of who is live."""
    page = await server.database.call(person, "get_profile", _Streamer, p_name=profile.name)
    return None if page.stream is None else StreamEvent(page.stream)


@delete("/api/me", responses=problems("not_signed_in"))
async def delete_account(person: SignedInCaller, server: TheServer) -> None:
    """Delete the account and its personal data."""
    await stop_if_live(server, person)
    profile_id = await server.database.call(person, "delete_account", UUID)
    server.everywhere(AccountDeleted(profile_id))


async def _open(server: Server, profile_id: UUID, *, return_token: bool) -> Response[SignedIn]:
    session = await open_session(server.database, profile_id)
    if return_token:
        token = session.token(server.callers.rules)
        return Response(SignedIn(session.account, token), headers=NO_STORE)
    cookies = session_cookies(server, session)
    return Response(SignedIn(session.account), headers=NO_STORE, cookies=cookies)


async def open_session(database: Database, profile_id: UUID) -> Session:
    """Open a session for a token to name. Raises Refusal `banned`."""
    return await database.call(
        SERVICE,
        "open_session",
        Session,
        p_profile_id=profile_id,
        p_lifetime=f"{SESSION_SECONDS} seconds",
    )


async def _hash(password: str) -> str:
    async with _hashing.place():
        return await asyncio.to_thread(_hasher.hash, password)


async def _verify(password: str, password_hash: str) -> tuple[bool, str | None]:
    async with _hashing.place():
        return await asyncio.to_thread(_hasher.verify_and_update, password, password_hash)


def hash_now(password: str) -> str:
    """Hash a password where no loop runs that could be kept waiting."""
    return _hasher.hash(password)


ROUTES = [
    current_session,
    continue_as_guest,
    create_account,
    sign_in,
    sign_out,
    update_profile,
    delete_account,
]
