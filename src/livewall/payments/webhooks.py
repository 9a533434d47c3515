"""Routes of the inbox: where providers report, and where finance looks at what they reported."""

from dataclasses import dataclass
from typing import Annotated

from litestar import get, post
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath, FromQuery, QueryParameter

from livewall.errors import Refusal
from livewall.money import EventOutcome, PaymentEvent, PaymentEvents
from livewall.payments import PaymentProvider, inbox
from livewall.payments.inbox import Received
from livewall.routing import AnyRequest, PageSize, SignedInCaller, TheServer, problems
from livewall.server import Server

# Text, because a number would pass for a time, too; the database reads it.
Time = Annotated[
    str | None, QueryParameter(max_length=40, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]+$")
]


@dataclass
class EventUpload(Operation):
    """Says in the documentation that the body is the provider's own, signed as it is."""

    def __post_init__(self) -> None:
        """Describe the body."""
        event = Schema(type=OpenAPIType.OBJECT)
        self.request_body = RequestBody(
            content={"application/json": OpenAPIMediaType(schema=event)}, required=True
        )


@post(
    "/webhooks/{provider:str}",
    status_code=200,
    operation_class=EventUpload,
    security=[{}],
    responses=problems("bad_signature", "not_found", "event_conflict", "too_large"),
)
async def receive_event(
    provider: FromPath[str], request: AnyRequest, server: TheServer
) -> Received:
    """Take a signed report of a provider. It is answered once stored, and acted on after."""
    received = await inbox.store(
        server.database,
        _provider(server, provider),
        dict(request.headers.items()),
        await request.body(),
    )
    server.settlement.soon()
    return received


def _provider(server: Server, name: str) -> PaymentProvider:
    if server.provider is None or server.provider.name != name:
        raise Refusal("not_found", "No such payment provider is set up here.")
    return server.provider


@get("/api/admin/webhooks", responses=problems("not_signed_in", "not_allowed", "invalid_argument"))
async def list_events(
    person: SignedInCaller,
    server: TheServer,
    outcome: FromQuery[EventOutcome | None] = None,
    before: Time = None,
    limit: PageSize = 50,
) -> PaymentEvents:
    """What providers reported. Finance and admins only."""
    return await server.database.call(
        person,
        "list_payment_events",
        PaymentEvents,
        p_outcome=outcome,
        p_before=before,
        p_limit=limit,
    )


@post(
    "/api/admin/webhooks/{provider:str}/{event_id:str}/replay",
    status_code=200,
    responses=problems("not_signed_in", "not_allowed", "not_found"),
)
async def replay_event(
    provider: FromPath[str], event_id: FromPath[str], person: SignedInCaller, server: TheServer
) -> PaymentEvent:
    """Act on a stored event once more, which changes nothing twice. Finance and admins only."""
    event = await inbox.replay(server.database, server.provider, (provider, event_id), person)
    server.settlement.soon()
    return event


ROUTES = [receive_event, list_events, replay_event]
