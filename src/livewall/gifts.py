"""Gifts: what there is to give, and giving it."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import JSONBody
from msgspec import Meta

from livewall.routing import Anybody, SignedInCaller, TheServer, problems
from livewall.shapes import IdempotencyKey


class GiftType(msgspec.Struct, frozen=True):
    """Something to give; the price in coins."""

    id: str
    title: str
    emoji: str
    price: int


class GiftTypes(msgspec.Struct):
    """Everything there is to give, cheapest first."""

    gift_types: list[GiftType]


class NewGift(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to give what, seen in which tile (1 to 12) and stream; the price is the catalogue's."""

    recipient_id: UUID
    gift_type_id: Annotated[str, Meta(max_length=100)]
    slot_index: int
    stream_id: UUID
    idempotency_key: IdempotencyKey


class SentGift(msgspec.Struct):
    """What was given and what is left; a repeated key answers the first gift again."""

    gift_id: UUID
    gift_type_id: str
    title: str
    emoji: str
    price: int
    streamer_share: int
    platform_share: int
    coins: int
    is_repeat: bool


@get("/api/gift-types", responses=problems())
async def list_gift_types(caller: Anybody, server: TheServer) -> GiftTypes:
    """What there is to give."""
    return GiftTypes(await server.database.call(caller, "list_gift_types", list[GiftType]))


@post(
    "/api/gifts",
    responses=problems(
        "not_signed_in",
        "not_found",
        "blocked",
        "stream_not_live",
        "slot_invalid",
        "gift_to_oneself",
        "not_enough_coins",
        "spending_frozen",
        "idempotency_conflict",
        "invalid_argument",
    ),
)
async def send_gift(data: JSONBody[NewGift], person: SignedInCaller, server: TheServer) -> SentGift:
    """Give something to a streamer; chat and tiles hear of it within a second."""
    return await server.database.call(
        person,
        "process_gift",
        SentGift,
        p_recipient_id=data.recipient_id,
        p_gift_type_id=data.gift_type_id,
        p_slot_index=data.slot_index,
        p_live_stream_id=data.stream_id,
        p_idempotency_key=data.idempotency_key,
    )


ROUTES = [list_gift_types, send_gift]
