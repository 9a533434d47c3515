"""What the sandbox's pay page asks and does. Whoever knows the id of a payment may pay it."""

from typing import Annotated

from litestar import get, post
from litestar.params import FromPath, PathParameter

from livewall.errors import Refusal
from livewall.payments.sandbox import Action, Sandbox, SandboxPayment
from livewall.routing import TheServer, problems
from livewall.server import Server

PaymentId = Annotated[str, PathParameter(max_length=100)]


@get(
    "/api/sandbox/payments/{payment_id:str}",
    responses=problems("sandbox_only", "not_found", "invalid_argument"),
)
async def get_sandbox_payment(payment_id: FromPath[PaymentId], server: TheServer) -> SandboxPayment:
    """A payment of the sandbox, for its page."""
    return await _sandbox(server).find(payment_id)


@post(
    "/api/sandbox/payments/{payment_id:str}/{action:str}",
    status_code=200,
    responses=problems("sandbox_only", "not_found", "invalid_argument"),
)
async def act_on_sandbox_payment(
    payment_id: FromPath[PaymentId], action: FromPath[Action], server: TheServer
) -> SandboxPayment:
    """Pay, fail or delay a payment, confirm it as a bank would ask, or repeat its last event."""
    return await _sandbox(server).act(payment_id, action)


def _sandbox(server: Server) -> Sandbox:
    if not isinstance(server.provider, Sandbox):
        raise Refusal("sandbox_only")
    return server.provider


ROUTES = [get_sandbox_payment, act_on_sandbox_payment]
