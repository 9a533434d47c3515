"""What follows from events and decisions: events are acted on, providers are told what to do.

Everything to be done is first a committed row. A row is taken for a while, not for ever: whoever
dies in between leaves it to the next one, who makes the same call by the same idempotency key.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Literal

import msgspec
import structlog

from livewall import metrics
from livewall.db import SERVICE, Database
from livewall.errors import Refusal
from livewall.payments import (
    CALL_SECONDS,
    Fact,
    PaymentProvider,
    ProviderRefused,
    as_arguments,
)

AT_ONCE = 10
# So few of the pool's ten connections that events which take long leave some to everybody else.
EVENTS_AT_ONCE = 3
EVENTS_TAKEN = 30
log = structlog.get_logger()


class ProviderCall(msgspec.Struct, frozen=True):
    """Something a provider is to do; the key makes it happen once."""

    id: int
    call: Literal["capture", "cancel", "refund"]
    payment_provider: str
    provider_payment_id: str
    amount_cents: int
    idempotency_key: str
    attempts: int


class Outcome(msgspec.Struct, frozen=True):
    """What became of a call: facts, or an error, which may be final."""

    facts: list[Fact] | None = None
    error: str | None = None
    is_final: bool = False


class _Event(msgspec.Struct, frozen=True):
    provider: str
    event_id: str


class _Due(msgspec.Struct):
    events: list[_Event]
    oldest_seconds: dict[str, float | None]


class Settlement:
    """Does what is due; by the clock in the leader, and at once wherever somebody knows of work."""

    def __init__(self, database: Database, provider: PaymentProvider | None) -> None:
        self._database = database
        self._provider = provider
        self._wanted = asyncio.Event()

    def soon(self) -> None:
        """There is something to do: do it in the background, once for all who ask meanwhile."""
        self._wanted.set()

    async def run(self) -> None:
        """Act whenever somebody asked, for ever. What fails is left to the clock."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.process_events()
                await self.perform_calls()
            except Refusal as refusal:
                log.warning("settlement_refused", code=refusal.code)
            except Exception:
                log.exception("settlement_broke")

    async def process_events(self) -> None:
        """Act on every stored event that is due, each by itself. Raises Refusal."""
        taken = EVENTS_TAKEN
        while taken == EVENTS_TAKEN:
            due = await self._database.call(
                SERVICE, "take_payment_events", _Due, p_limit=EVENTS_TAKEN
            )
            for outcome, seconds in due.oldest_seconds.items():
                metrics.OLDEST_EVENT.labels(outcome).set(seconds or 0)
            events = iter(due.events)
            await asyncio.gather(*(self._process_all(events) for _ in range(EVENTS_AT_ONCE)))
            taken = len(due.events)

    async def _process_all(self, events: Iterator[_Event]) -> None:
        for event in events:
            await self._process(event)

    async def _process(self, event: _Event) -> None:
        """Act on one event; whatever it breaks, those behind it are acted on, too."""
        try:
            outcome = await self._database.find(
                SERVICE,
                "process_payment_event",
                str,
                p_provider=event.provider,
                p_event_id=event.event_id,
            )
        except Refusal as refusal:
            outcome = "broke"
            log.warning("payment_event_broke", code=refusal.code, event_id=event.event_id)
        metrics.PAYMENT_EVENTS.labels(event.provider, outcome or "left").inc()

    async def perform_calls(self) -> None:
        """Tell providers what is due. Raises Refusal if the database is away."""
        taken = AT_ONCE
        while taken == AT_ONCE:
            due = await self._database.call(
                SERVICE, "take_provider_calls", list[ProviderCall], p_limit=AT_ONCE
            )
            await asyncio.gather(*(self._perform(call) for call in due))
            taken = len(due)

    async def _perform(self, call: ProviderCall) -> None:
        outcome = await ask(self._provider, call)
        result = "failed" if outcome.is_final else "again" if outcome.error else "ok"
        metrics.PROVIDER_CALLS.labels(call.payment_provider, call.call, result).inc()
        await self._database.call(
            SERVICE,
            "finish_provider_call",
            object,
            p_call_id=call.id,
            p_facts=None if outcome.facts is None else as_arguments(outcome.facts),
            p_error=outcome.error,
            p_is_final=outcome.is_final,
        )


async def ask(provider: PaymentProvider | None, call: ProviderCall) -> Outcome:
    """Have the provider do it; whatever goes wrong is an answer to be noted, too."""
    if provider is None or provider.name != call.payment_provider:
        return Outcome(error=f"{call.payment_provider} is not set up on this server.")
    act = _action(provider, call)
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return Outcome(
                facts=await act(call.provider_payment_id, call.amount_cents, call.idempotency_key)
            )
    except ProviderRefused as refusal:
        return Outcome(error=refusal.detail, is_final=True)
    except Refusal as refusal:
        return Outcome(error=refusal.detail)
    except TimeoutError:
        return Outcome(error=f"No answer within {CALL_SECONDS:.0f} s.")
    except Exception as error:
        log.exception("provider_call_broke", call=call.call, id=call.id)
        return Outcome(error=f"Something broke here: {type(error).__name__}.")


def _action(
    provider: PaymentProvider, call: ProviderCall
) -> Callable[[str, int, str], Awaitable[list[Fact]]]:
    return {
        "capture": provider.capture,
        "cancel": provider.cancel,
        "refund": provider.refund,
    }[call.call]
