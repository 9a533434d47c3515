"""What transactions left to be told, passed on to the sockets of this process.

The database keeps events for some minutes; every server reads them all and tells its own sockets.
"""

from typing import Literal
from uuid import UUID

import msgspec
import structlog

from livewall.db import SERVICE, Database
from livewall.hub import Hub
from livewall.messages import ChatEvent, GiftEvent, HeldEvent, PurchaseEvent, WalletEvent
from livewall.money import Purchase
from livewall.shapes import ChatMessage, Gift

POLL_SECONDS = 0.25
DELIVERED_AT_ONCE = 1_000
log = structlog.get_logger()


class _Delivered(msgspec.Struct):
    delivered: int


class Event(msgspec.Struct, frozen=True):
    """Something that happened; whom it is about, and what `kind` says is in it."""

    id: int
    kind: Literal["gift", "wallet", "purchase", "held"]
    profile_id: UUID | None
    stream_id: UUID | None
    payload: msgspec.Raw


class _Page(msgspec.Struct):
    last: int
    events: list[Event]


class _GiftPayload(msgspec.Struct):
    message: ChatMessage | None
    gift: Gift


class Events:
    """Reads on from where it was; what happened before it started is in everybody's snapshot."""

    def __init__(self, database: Database, hub: Hub) -> None:
        self._database = database
        self._hub = hub
        self._last: int | None = None

    async def poll(self) -> None:
        """Pass on everything new. Raises Refusal."""
        while True:
            page = await self._database.call(SERVICE, "take_events", _Page, p_after=self._last)
            self._last = page.last
            for event in page.events:
                self._pass_on(event)
            if not page.events:
                return

    def _pass_on(self, event: Event) -> None:
        try:
            deliver(self._hub, event)
        except Exception:
            # The others still have to hear theirs.
            log.exception("event_broke", kind=event.kind, id=event.id)


async def deliver_outbox(database: Database) -> None:
    """Turn everything that waits in the outbox into events and chat messages. Raises Refusal."""
    delivered = DELIVERED_AT_ONCE
    while delivered == DELIVERED_AT_ONCE:
        answer = await database.call(
            SERVICE, "deliver_outbox", _Delivered, p_limit=DELIVERED_AT_ONCE
        )
        delivered = answer.delivered


def deliver(hub: Hub, event: Event) -> None:
    """Tell whoever an event is for."""
    match event.kind:
        case "gift":
            _deliver_gift(hub, event)
        case "wallet" if event.profile_id is not None:
            hub.to_profile(event.profile_id, WalletEvent())
        case "purchase" if event.profile_id is not None:
            purchase = msgspec.json.decode(event.payload, type=Purchase)
            hub.to_profile(event.profile_id, PurchaseEvent(purchase))
        case "held":
            hub.to_finance(HeldEvent())
        case _:
            log.warning("event_without_person", kind=event.kind, id=event.id)


def _deliver_gift(hub: Hub, event: Event) -> None:
    payload = msgspec.json.decode(event.payload, type=_GiftPayload)
    gift, message = payload.gift, payload.message
    if event.stream_id is not None:
        topics = (event.stream_id, gift.recipient_id)
        hub.to_onlookers(topics, GiftEvent(event.stream_id, gift), gift.sender_id)
        if message is not None:
            hub.to_chat(event.stream_id, ChatEvent(message), sender_id=gift.sender_id)
    for profile_id in (gift.sender_id, gift.recipient_id):
        hub.to_profile(profile_id, WalletEvent())
