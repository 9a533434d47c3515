"""What follows from events and decisions: events are acted on, providers are told what to do.

Everything to be done is first a committed row. A row is taken for a while, not for ever: whoever
dies in between leaves it to the next one, who makes the same call by the same idempotency key.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Literal, TypeAlias, get_args

import msgspec
import structlog

from livewall import metrics
from livewall.db import SERVICE, Database, cause_of
from livewall.ending import end
from livewall.errors import Refusal
from livewall.payments import (
    CALL_SECONDS,
    Fact,
    PaymentProvider,
    ProviderRefused,
    as_arguments,
)

AT_ONCE = 10
# So few of a pool's connections that events which take long leave some to everybody else.
EVENTS_AT_ONCE = 3
# A call, and noting its answer.
FINISH_SECONDS = CALL_SECONDS + 5
log = structlog.get_logger()

Call: TypeAlias = Literal["capture", "cancel", "refund"]


class ProviderCall(msgspec.Struct, frozen=True):
    """Something a provider is to do; the key makes it happen once."""

    id: int
    call: Call
    payment_provider: str
    provider_payment_id: str
    amount_cents: int
    idempotency_key: str
    attempts: int


class Outcome(msgspec.Struct, frozen=True):
    """What became of a call: facts, or an error: final, of a provider nobody here can ask, or not.

    A provider that is gone may be set up again, so money waits for it; what is not paid need not.
    """

    facts: list[Fact] | None = None
    error: str | None = None
    is_final: bool = False
    is_gone: bool = False


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
        if provider is not None:
            # An alert sees no difference to what is not there, and would miss the first refusal.
            for call in get_args(Call):
                metrics.PROVIDER_CALLS.labels(provider.name, call, "failed")
        self._wanted = asyncio.Event()
        # Shared by the clock and those who ask: more than these are never under way.
        self._turns = asyncio.Semaphore(EVENTS_AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()

    def soon(self) -> None:
        """There is something to do: do it in the background, once for all who ask meanwhile."""
        self._wanted.set()

    async def finish(self) -> None:
        """Wait for what is under way: cut off it is done again, but only after a while."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=FINISH_SECONDS)
        await end(*self._under_way)

    async def run(self) -> None:
        """Act whenever somebody asked, for ever. What fails is left to the clock."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.process_events()
                await self.perform_calls()
            except Refusal as refusal:
                log.warning("settlement_refused", code=refusal.code, **cause_of(refusal))
            except Exception:
                log.exception("settlement_broke")

    async def process_events(self) -> None:
        """Begin to act on every stored event that is due, each by itself. Raises Refusal.

        None is waited for: what takes long keeps nothing that comes after it.
        """
        while await self._begin_next():
            pass

    async def _begin_next(self) -> bool:
        """Take the next event once it can be acted on at once: taken, it is ours for a second."""
        async with contextlib.AsyncExitStack() as turn:
            await turn.enter_async_context(self._turns)
            due = await self._database.call(SERVICE, "take_payment_events", _Due, p_limit=1)
            for outcome, seconds in due.oldest_seconds.items():
                metrics.OLDEST_EVENT.labels(outcome).set(seconds or 0)
            for event in due.events:
                self._begin(self._process_in_turn(event, turn.pop_all()))
        return bool(due.events)

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start something that whoever asked for it may leave; `finish` waits for it."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _process_in_turn(self, event: _Event, turn: contextlib.AsyncExitStack) -> None:
        async with turn:
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
        except Exception:
            outcome = "broke"
            log.exception("payment_event_broke", event_id=event.event_id)
        metrics.PAYMENT_EVENTS.labels(event.provider, outcome or "left").inc()

    async def perform_calls(self) -> None:
        """Tell providers what is due. Raises Refusal if the database is away."""
        taken = AT_ONCE
        while taken == AT_ONCE:
            due = await self._database.call(
                SERVICE, "take_provider_calls", list[ProviderCall], p_limit=AT_ONCE
            )
            calls = [self._begin(self._perform(call)) for call in due]
            # A leader that steps down has asked already: the answer is still to be noted.
            await asyncio.gather(*(asyncio.shield(call) for call in calls))
            taken = len(due)

    async def _perform(self, call: ProviderCall) -> None:
        """Make one call; if its purchase is locked, those of other purchases are finished, too."""
        outcome = await ask(self._provider, call)
        result = "failed" if outcome.is_final else "again" if outcome.error else "ok"
        try:
            await self._database.call(
                SERVICE,
                "finish_provider_call",
                object,
                p_call_id=call.id,
                p_facts=None if outcome.facts is None else as_arguments(outcome.facts),
                p_error=outcome.error,
                p_is_final=outcome.is_final,
                p_is_gone=outcome.is_gone,
            )
        except Refusal as refusal:
            # As if we had died here: it is made again by its key.
            result = "left"
            log.warning("provider_call_left", code=refusal.code, id=call.id)
        metrics.PROVIDER_CALLS.labels(call.payment_provider, call.call, result).inc()


async def ask(provider: PaymentProvider | None, call: ProviderCall) -> Outcome:
    """Have the provider do it; whatever goes wrong is an answer to be noted, too."""
    if provider is None or provider.name != call.payment_provider:
        error = f"{call.payment_provider} is not set up on this server."
        return Outcome(error=error, is_gone=True)
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
