"""Presence over HTTP: the last word of a page that closes. Everything else comes by the socket."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import post
from litestar.params import JSONBody
from msgspec import Meta

from livewall.cluster_messages import Left
from livewall.hub import Member
from livewall.messages import MOST_TILES
from livewall.routing import SignedInCaller, TheServer, problems
from livewall.shapes import Count


class LeaveRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Which tab leaves what; without streams, everything."""

    session_id: UUID
    sequence: Count
    stream_ids: Annotated[list[UUID], Meta(max_length=MOST_TILES)] | None = None


@post("/api/presence/leave", status_code=204, responses=problems("not_signed_in"))
async def leave(data: JSONBody[LeaveRequest], person: SignedInCaller, server: TheServer) -> None:
    """Leave, as a page does that closes (`fetch` with `keepalive`)."""
    server.limiters.leaves.check(str(person.own_id))
    member = Member(person.own_id, data.session_id)
    server.presence.leave(member, data.sequence, data.stream_ids)
    # The socket of that page may have been another server's.
    server.cluster.tell(Left(member, data.sequence, data.stream_ids))


ROUTES = [leave]
