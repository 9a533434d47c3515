"""Gifts: what there is to give, and giving it."""

import msgspec
from litestar import get, post
from litestar.params import JSONBody

from livewall.errors import Refusal
from livewall.gift_batches import NewGift, SentGift
from livewall.routing import Anybody, SignedInCaller, TheServer, problems


class GiftType(msgspec.Struct, frozen=True):
    """Something to give; the price in coins."""

    id: str
    title: str
    emoji: str
    price: int


class GiftTypes(msgspec.Struct):
    """Everything there is to give, cheapest first."""

    gift_types: list[GiftType]


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
        "rate_limited",
    ),
)
async def send_gift(data: JSONBody[NewGift], person: SignedInCaller, server: TheServer) -> SentGift:
    """Give something to a streamer; chat and tiles hear of it within a second."""
    # Refusals and repeats are asked for one by one (gift_batches.py) and cost whoever asks nothing.
    limiter, key = server.limiters.idle_gifts, str(person.profile_id)
    limiter.check(key)
    try:
        sent = await server.gifts.give(person, data)
    except Refusal as refusal:
        if refusal.entry.status >= 500:
            limiter.give_back(key)
        raise
    if not sent.is_repeat:
        limiter.give_back(key)
    return sent


ROUTES = [list_gift_types, send_gift]
