"""The inbox: what providers report is stored first, whatever it says, and acted on after."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from livewall.db import SERVICE, Caller, Database
from livewall.errors import Refusal
from livewall.money import PaymentEvent, PaymentEvents
from livewall.payments import PaymentProvider, as_arguments

# What differs between two deliveries of one event: Stripe counts the deliveries still to be made.
OF_THE_DELIVERY = frozenset({"pending_webhooks"})
# What is left of an event whose buyer deleted their account.
REDACTED = "redacted"


class Received(msgspec.Struct):
    """The report is stored; `is_new` is false for one that we had."""

    is_new: bool


class _Stored(msgspec.Struct):
    is_new: bool
    is_conflict: bool


class _Payload(msgspec.Struct):
    payload: dict[str, object]


async def store(
    database: Database, provider: PaymentProvider, headers: Mapping[str, str], body: bytes
) -> Received:
    """Check and store a report. Raises Refusal: a bad signature, or a known id that says something
    else now, which is also an alert in the audit log.
    """
    event = provider.read_event(headers, body)
    stored = await database.call(
        SERVICE,
        "receive_payment_event",
        _Stored,
        p_provider=provider.name,
        p_event_id=event.id,
        p_type=event.type,
        p_digest=digest(event.payload),
        p_payload=event.payload,
        p_facts=None if event.facts is None else as_arguments(event.facts),
        p_payment_id=event.payment_id,
    )
    if stored.is_conflict:
        raise Refusal("event_conflict", "This event was reported before, with other content.")
    return Received(stored.is_new)


def digest(payload: dict[str, object]) -> str:
    """Return the SHA-256, in hex, of what a report says, however it was written down."""
    said = {key: value for key, value in payload.items() if key not in OF_THE_DELIVERY}
    return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()


async def replay(
    database: Database, provider: PaymentProvider | None, key: tuple[str, str], actor: Caller
) -> PaymentEvent:
    """Read the stored event with this `key` (provider, event id) again, and act on it once more.

    Raises Refusal `not_found` if there is none or its provider is not set up here, and
    `not_allowed` if `actor` may not see events: who may, may have them acted on.
    """
    await database.call(actor, "list_payment_events", PaymentEvents, p_limit=1)
    name, event_id = key
    if provider is None or provider.name != name:
        raise Refusal(
            "not_found",
            f"{name} is not set up here, so nobody can read its events.",
            "LIVEWALL_PAYMENTS sets a provider up.",
        )
    stored = await database.find(
        SERVICE, "get_payment_event", _Payload, p_provider=name, p_event_id=event_id
    )
    if stored is None:
        raise Refusal(
            "not_found",
            f"{name} has not reported an event {event_id}.",
            "Check its id in the list of events.",
        )
    if REDACTED in stored.payload:
        raise Refusal(
            "not_found",
            "The buyer deleted their account, and the event went with it.",
            "Nothing is left to act on.",
        )
    facts = provider.facts_of(stored.payload)
    return await database.call(
        replace(SERVICE, via=actor.via),
        "replay_payment_event",
        PaymentEvent,
        p_provider=name,
        p_event_id=event_id,
        p_facts=None if facts is None else as_arguments(facts),
        p_actor_id=actor.profile_id,
    )
