"""Whether the server lives, whether it is ready, and what it counts."""

import hmac

import msgspec
from litestar import Response, get
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from livewall import metrics
from livewall.addresses import is_loopback
from livewall.docs_page import STYLE
from livewall.errors import Refusal
from livewall.routing import AnyRequest, TheServer, problems, visit_of
from livewall.server import Server


class Health(msgspec.Struct):
    """`ok` is all it says."""

    status: str = "ok"


@get("/healthz", responses=problems())
async def healthz() -> Health:
    """The process answers."""
    return Health()


@get("/readyz", responses=problems("starting", "ending"))
async def readyz(server: TheServer) -> Health:
    """The database answers and holds our functions, and this server is not about to end."""
    if server.ending.is_set():
        raise Refusal("ending")
    try:
        await server.database.is_ready()
    except Refusal as refusal:
        if refusal.code != "internal":
            raise
        raise Refusal("starting", "The database is not migrated to this version.") from refusal
    return Health()


@get("/metrics", media_type="text/plain", include_in_schema=False)
async def read_metrics(request: AnyRequest, server: TheServer) -> Response[bytes]:
    """What is counted; in production for this machine or for the token of the operator."""
    if server.settings.production and not _may_read(request, server):
        raise Refusal("not_found")
    metrics.read_operations(server.settings.data_path)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _may_read(request: AnyRequest, server: Server) -> bool:
    given = request.headers.get("authorization", "")
    expected = f"Bearer {server.settings.metrics_token}"
    if hmac.compare_digest(given.encode(), expected.encode()):
        return True
    return is_loopback(visit_of(request).address) and "x-forwarded-for" not in request.headers


@get("/docs/style.css", media_type="text/css", include_in_schema=False)
async def docs_style() -> Response[bytes]:
    """The look of /docs."""
    return Response(STYLE.encode(), media_type="text/css")


ROUTES = [healthz, readyz, read_metrics, docs_style]
