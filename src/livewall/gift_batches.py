"""Gifts that come in the same moment share one call and one commit.

A lone gift is given at once, as its sender. While enough calls are under way, what comes waits and
goes together as soon as one of them is done: nobody waits for company, and a crowd costs a tenth
of what it would one by one (docs/benchmarks.md).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

import msgspec
import structlog
from msgspec import Meta

from livewall import metrics
from livewall.db import SERVICE, Argument, Caller, Database
from livewall.errors import Refusal
from livewall.shapes import IdempotencyKey

# While one call's commit is on its way to the disk, another can work, if there is enough to do.
CALLS = 2
ENOUGH = 16
MOST_AT_ONCE = 100
log = structlog.get_logger()


class NewGift(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to give what, seen in which tile (1 to 12) and stream; the price is the catalogue's.

    The database says what is wrong with a gift. What it could not even read is refused here:
    that would end the call, and with it the gifts of everybody who shares it.
    """

    recipient_id: UUID
    gift_type_id: Annotated[str, Meta(max_length=100, pattern="^[!-~]+$")]
    slot_index: Annotated[int, Meta(ge=-(2**31), lt=2**31)]
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


@dataclass(frozen=True)
class _Waiting:
    sender: Caller
    gift: NewGift
    answer: asyncio.Future[SentGift] = field(default_factory=asyncio.Future[SentGift])

    def arguments(self) -> dict[str, Argument]:
        return {
            "recipient_id": self.gift.recipient_id,
            "gift_type_id": self.gift.gift_type_id,
            "slot_index": self.gift.slot_index,
            "live_stream_id": self.gift.stream_id,
            "idempotency_key": self.gift.idempotency_key,
        }


class GiftBatches:
    """Gives for everybody on this server."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._calls: set[asyncio.Task[None]] = set()

    async def give(self, sender: Caller, gift: NewGift) -> SentGift:
        """Give one gift. Raises Refusal as `process_gift` refuses it."""
        waiting = _Waiting(sender, gift)
        self._waiting.append(waiting)
        self._take_off()
        return await waiting.answer

    def _take_off(self) -> None:
        while self._waiting and len(self._calls) < (
            CALLS if len(self._waiting) >= ENOUGH else min(1, CALLS)
        ):
            batch = self._waiting[:MOST_AT_ONCE]
            del self._waiting[:MOST_AT_ONCE]
            call = asyncio.create_task(self._give(batch))
            self._calls.add(call)
            call.add_done_callback(self._landed)

    def _landed(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._take_off()

    async def _give(self, batch: Sequence[_Waiting]) -> None:
        try:
            metrics.GIFT_BATCH.observe(len(batch))
            rest = batch if len(batch) == 1 else await self._give_together(batch)
            for waiting in rest:
                await self._give_alone(waiting)
        except Exception:
            # A mistake of ours: whoever waits hears of it, and may repeat the key.
            log.exception("gifts_broke")
        finally:
            for waiting in batch:
                _refuse(waiting, Refusal("internal"))

    async def _give_together(self, batch: Sequence[_Waiting]) -> list[_Waiting]:
        """Give what can simply be given; return the rest, whose refusals `process_gift` words."""
        gifts: list[dict[str, object]] = [
            {"sender_id": waiting.sender.profile_id, **waiting.arguments()} for waiting in batch
        ]
        try:
            sent = await self._database.call(
                SERVICE, "process_gifts", dict[int, SentGift], p_gifts=gifts
            )
        except Refusal as refusal:
            if refusal.code != "database_away":
                return await self._give_by_halves(batch)
            for waiting in batch:
                _refuse(waiting, refusal)
            return []
        for position, answer in sent.items():
            _answer(batch[position - 1], answer)
        return [waiting for n, waiting in enumerate(batch, 1) if n not in sent]

    async def _give_by_halves(self, batch: Sequence[_Waiting]) -> list[_Waiting]:
        """Give again what failed as a whole: one bad gift must not scatter all the others."""
        middle = len(batch) // 2
        return [
            waiting
            for half in (batch[:middle], batch[middle:])
            for waiting in (half if len(half) == 1 else await self._give_together(half))
        ]

    async def _give_alone(self, waiting: _Waiting) -> None:
        arguments = {f"p_{name}": value for name, value in waiting.arguments().items()}
        try:
            answer = await self._database.call(
                waiting.sender, "process_gift", SentGift, **arguments
            )
        except Refusal as refusal:
            _refuse(waiting, refusal)
        else:
            _answer(waiting, answer)


def _answer(waiting: _Waiting, answer: SentGift) -> None:
    # Who waited may be gone.
    if not waiting.answer.done():
        waiting.answer.set_result(answer)


def _refuse(waiting: _Waiting, refusal: Refusal) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(refusal)
