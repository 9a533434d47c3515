"""The personal wall of 12 slots."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, put
from litestar.params import HeaderParameter, JSONBody
from msgspec import Meta

from livewall.cluster_messages import WallSaved
from livewall.messages import SlotsEvent
from livewall.routing import SignedInCaller, TheServer, problems
from livewall.shapes import Slot


class NewSlot(msgspec.Struct, forbid_unknown_fields=True):
    """One tile to save."""

    slot_index: int
    streamer_id: UUID
    is_pinned: bool = False
    is_muted: bool = False
    is_active: bool = False
    volume: Annotated[int, Meta(ge=0, le=100)] = 100


class NewWall(msgspec.Struct, forbid_unknown_fields=True):
    """The whole layout."""

    slots: Annotated[list[NewSlot], Meta(max_length=50)]


class Wall(msgspec.Struct):
    """The whole layout, as stored."""

    slots: list[Slot]


@get("/api/grid", responses=problems("not_signed_in"))
async def get_wall(person: SignedInCaller, server: TheServer) -> Wall:
    """One's own wall."""
    return Wall(await server.database.call(person, "get_grid", list[Slot]))


@put(
    "/api/grid",
    responses=problems(
        "not_signed_in",
        "slot_invalid",
        "streamer_twice_on_wall",
        "too_many_tiles",
        "too_many_active",
        "invalid_argument",
    ),
)
async def save_wall(
    data: JSONBody[NewWall],
    person: SignedInCaller,
    server: TheServer,
    session_id: Annotated[UUID | None, HeaderParameter(name="X-Session-Id")] = None,
) -> Wall:
    """Replace one's wall. With X-Session-Id that tab is not told what it knows."""
    slots: list[dict[str, object]] = [msgspec.to_builtins(slot) for slot in data.slots]
    saved = await server.database.call(person, "save_grid", list[Slot], p_slots=slots)
    server.everywhere(WallSaved(person.own_id, SlotsEvent(saved), but=session_id))
    return Wall(saved)


ROUTES = [get_wall, save_wall]
