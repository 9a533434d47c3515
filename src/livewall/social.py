"""Profiles, links, follows and blocks."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import delete, get, put
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from livewall.cluster_messages import BlockChanged
from livewall.routing import Anybody, SignedInCaller, TheServer, problems
from livewall.shapes import Link, Profile, Stream, StreamChange


class ProfilePage(Profile, frozen=True):
    """A profile with everything its page shows."""

    followers: int
    following: int
    links: list[Link]
    stream: Stream | None
    you_follow: bool
    you_block: bool


class FollowedProfile(Profile, frozen=True):
    """Somebody one follows, with their stream."""

    stream: Stream | None


class Following(msgspec.Struct):
    """Whom the caller follows, who is live first."""

    profiles: list[FollowedProfile]


class Blocked(msgspec.Struct):
    """Whom the caller has blocked."""

    profiles: list[Profile]


class Links(msgspec.Struct, forbid_unknown_fields=True):
    """All links of a profile, in order."""

    links: Annotated[list[Link], Meta(max_length=50)]


class BlockResult(msgspec.Struct):
    """What a block ended."""

    profile_id: UUID
    changes: list[StreamChange]


@get("/api/profiles/{name:str}", responses=problems("not_found"))
async def get_profile(name: FromPath[str], caller: Anybody, server: TheServer) -> ProfilePage:
    """A profile page."""
    return await server.database.call(caller, "get_profile", ProfilePage, p_name=name)


@put("/api/me/links", responses=problems("not_signed_in", "link_refused", "too_many_links"))
async def replace_links(data: JSONBody[Links], person: SignedInCaller, server: TheServer) -> Links:
    """Replace the links of one's profile."""
    links: list[dict[str, object]] = [{"label": e.label, "url": e.url} for e in data.links]
    saved = await server.database.call(person, "replace_links", list[Link], p_links=links)
    return Links(saved)


@get("/api/me/following", responses=problems("not_signed_in"))
async def list_following(person: SignedInCaller, server: TheServer) -> Following:
    """Whom the caller follows."""
    return Following(await server.database.call(person, "list_following", list[FollowedProfile]))


@put(
    "/api/follows/{name:str}",
    status_code=204,
    responses=problems("not_signed_in", "not_found", "blocked", "invalid_argument"),
)
async def follow(name: FromPath[str], person: SignedInCaller, server: TheServer) -> None:
    """Follow somebody; twice is once."""
    await server.database.call(person, "follow", object, p_name=name)


@delete("/api/follows/{name:str}", responses=problems("not_signed_in", "not_found"))
async def unfollow(name: FromPath[str], person: SignedInCaller, server: TheServer) -> None:
    """Stop following somebody."""
    await server.database.call(person, "unfollow", object, p_name=name)


@get("/api/me/blocks", responses=problems("not_signed_in"))
async def list_blocks(person: SignedInCaller, server: TheServer) -> Blocked:
    """Whom the caller has blocked."""
    return Blocked(await server.database.call(person, "list_blocks", list[Profile]))


@put(
    "/api/blocks/{name:str}",
    status_code=204,
    responses=problems("not_signed_in", "not_found", "invalid_argument"),
)
async def block(name: FromPath[str], person: SignedInCaller, server: TheServer) -> None:
    """Block somebody: follows and watching end both ways, at once."""
    server.limiters.blocks.check(str(person.profile_id))
    result = await server.database.call(person, "block", BlockResult, p_name=name)
    server.everywhere(BlockChanged(person.own_id, result.profile_id, is_blocked=True))
    server.changes.apply_written(result.changes)


@delete("/api/blocks/{name:str}", responses=problems("not_signed_in", "not_found"))
async def unblock(name: FromPath[str], person: SignedInCaller, server: TheServer) -> None:
    """Lift a block."""
    server.limiters.blocks.check(str(person.profile_id))
    other = await server.database.call(person, "unblock", UUID, p_name=name)
    server.everywhere(BlockChanged(person.own_id, other, is_blocked=False))


ROUTES = [
    get_profile,
    replace_links,
    list_following,
    follow,
    unfollow,
    list_blocks,
    block,
    unblock,
]
