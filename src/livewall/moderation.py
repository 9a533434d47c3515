"""Bans: a banned person is signed out everywhere, watches nothing and sends nothing."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import delete, put
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from livewall.cluster_messages import Banned
from livewall.routing import SignedInCaller, TheServer, problems
from livewall.shapes import ShortText, StreamChange


class Ban(msgspec.Struct, forbid_unknown_fields=True):
    """Why, and for how long; without seconds, for good."""

    reason: ShortText
    seconds: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


class BanResult(msgspec.Struct):
    """Whom a ban hit and what it ended."""

    profile_id: UUID
    changes: list[StreamChange]


@put(
    "/api/bans/{name:str}",
    status_code=204,
    responses=problems("not_signed_in", "not_allowed", "not_found", "invalid_argument"),
)
async def ban(
    name: FromPath[str], data: JSONBody[Ban], person: SignedInCaller, server: TheServer
) -> None:
    """Ban somebody. Moderators and admins only."""
    result = await server.database.call(
        person,
        "ban_profile",
        BanResult,
        p_name=name,
        p_reason=data.reason,
        p_seconds=data.seconds,
    )
    server.changes.apply_written(result.changes)
    server.everywhere(Banned(result.profile_id))


@delete("/api/bans/{name:str}", responses=problems("not_signed_in", "not_allowed", "not_found"))
async def unban(name: FromPath[str], person: SignedInCaller, server: TheServer) -> None:
    """Lift a ban."""
    await server.database.call(person, "unban_profile", object, p_name=name)


ROUTES = [ban, unban]
