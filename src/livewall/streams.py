"""Streams: who is live, why a camera is on or off, previews, and the streamer's own switch."""

import asyncio
import base64
import io
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get, patch, put
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta
from PIL.JpegImagePlugin import JpegImageFile

from livewall.db import Caller
from livewall.errors import Refusal
from livewall.limits import Workbench
from livewall.routing import Anybody, AnyRequest, SignedInCaller, TheServer, problems
from livewall.server import Server
from livewall.shapes import ShortText, Stream, StreamChange, Why

PREVIEW_SIZE = (320, 180)
PREVIEW_QUALITY = 80
# Together well under a core, however many streamers send at the same time.
_decoding = Workbench(1, waiting=20)
FOREVER = "public, max-age=31536000, immutable"


class LivePage(msgspec.Struct):
    """A page of who is live."""

    streams: list[Stream]
    next: str | None


class StreamSettings(msgspec.Struct, forbid_unknown_fields=True):
    """What a streamer may change while live or not; absent means unchanged."""

    title: ShortText | None = None
    slow_mode_seconds: Annotated[int, Meta(ge=0, le=300)] | None = None


class PublishInterval(msgspec.Struct):
    """A stretch of sending video."""

    epoch: int
    started_at: datetime
    ended_at: datetime | None
    started_reason: str
    ended_reason: str | None


class LiveInterval(msgspec.Struct):
    """A stretch of being live."""

    started_at: datetime
    ended_at: datetime | None
    ended_reason: str | None


class Intervals(msgspec.Struct):
    """When the caller sent video and was live, with reasons."""

    intervals: list[PublishInterval]
    live: list[LiveInterval]


class Preview(msgspec.Struct):
    """A stored preview."""

    version: int
    jpeg_base64: str


class Started(msgspec.Struct):
    """The answer to going live."""

    stream: Stream
    change: StreamChange
    replaced_session_id: UUID | None


class Stopped(msgspec.Struct):
    """The answer to stopping."""

    change: StreamChange


@get("/api/streams", responses=problems("invalid_argument"))
async def list_streams(
    caller: Anybody,
    server: TheServer,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 60,
    before: Annotated[
        str | None, QueryParameter(max_length=100, pattern=r"^[0-9]+~[0-9a-f-]{36}$")
    ] = None,
) -> LivePage:
    """Who is live, most watched first."""
    return await server.database.call(
        caller, "list_live_streams", LivePage, p_limit=limit, p_cursor=before
    )


@get("/api/streams/{stream_id:uuid}", responses=problems("not_found"))
async def get_stream(stream_id: FromPath[UUID], caller: Anybody, server: TheServer) -> Stream:
    """One stream."""
    stream = await server.database.find(caller, "get_stream", Stream, p_live_stream_id=stream_id)
    if stream is None:
        raise Refusal("not_found", "There is no such stream.")
    return stream


@get("/api/streams/{stream_id:uuid}/why", responses=problems("not_found"))
async def explain(stream_id: FromPath[UUID], caller: Anybody, server: TheServer) -> Why:
    """Why a stream sends video or not, right now."""
    return await server.database.call(
        caller, "explain_publish_state", Why, p_live_stream_id=stream_id
    )


@get(
    "/api/streams/{stream_id:uuid}/preview.jpg",
    responses=problems("not_found"),
    media_type="image/jpeg",
)
async def get_preview(
    stream_id: FromPath[UUID],
    caller: Anybody,
    server: TheServer,
    v: Annotated[int | None, QueryParameter(ge=0, le=2**31 - 1)] = None,
) -> Response[bytes]:
    """The newest preview; kept by browsers if asked for by its version."""
    preview = await server.database.find(caller, "get_preview", Preview, p_live_stream_id=stream_id)
    if preview is None:
        raise Refusal("not_found", "There is no preview yet.")
    caching = FOREVER if v == preview.version else "no-cache"
    picture = base64.b64decode(preview.jpeg_base64)
    return Response(picture, media_type="image/jpeg", headers={"Cache-Control": caching})


@dataclass
class PreviewUpload(Operation):
    """Says in the documentation that the body is a picture, which no type annotation can."""

    def __post_init__(self) -> None:
        """Describe the body."""
        picture = Schema(type=OpenAPIType.STRING, content_media_type="image/jpeg")
        self.request_body = RequestBody(
            content={"image/jpeg": OpenAPIMediaType(schema=picture)}, required=True
        )


@put(
    "/api/streams/{stream_id:uuid}/preview",
    status_code=204,
    operation_class=PreviewUpload,
    responses=problems(
        "not_signed_in",
        "not_allowed",
        "not_found",
        "not_live",
        "preview_refused",
        "unsupported_media_type",
        "busy",
    ),
)
async def store_preview(
    stream_id: FromPath[UUID], request: AnyRequest, person: SignedInCaller, server: TheServer
) -> None:
    """Store a preview of one's own live stream, at most one a second."""
    if request.content_type[0] != "image/jpeg":
        raise Refusal("unsupported_media_type", "Send image/jpeg.")
    server.limiters.previews.check(str(person.profile_id))
    # Decoding is the costly part, so nobody gets it done whose picture would not be kept.
    await server.database.call(person, "admit_preview", object, p_live_stream_id=stream_id)
    async with _decoding.place():
        picture = await asyncio.to_thread(clean_picture, await request.body())
    await server.database.call(
        person,
        "store_preview",
        Stream,
        p_live_stream_id=stream_id,
        p_jpeg=base64.b64encode(picture).decode(),
    )


def clean_picture(body: bytes) -> bytes:
    """Return the pixels of a JPEG up to 320x180, written anew: no metadata, nothing hidden.

    Raises Refusal `preview_refused`.
    """
    try:
        # Not Image.open: it warns of large sizes, or raises, before we can read and refuse them.
        with JpegImageFile(io.BytesIO(body)) as picture:
            width, height = picture.size
            if width > PREVIEW_SIZE[0] or height > PREVIEW_SIZE[1]:
                raise Refusal(
                    "preview_refused",
                    f"A preview is at most 320x180, this one is {width}x{height}.",
                    fields={"width": width, "height": height},
                )
            pixels = picture.convert("RGB")
            pixels.info.clear()  # comments and profiles would be written along
            written = io.BytesIO()
            pixels.save(written, "JPEG", quality=PREVIEW_QUALITY)
    except (OSError, ValueError, SyntaxError) as error:
        raise Refusal("preview_refused", "This is not a JPEG.") from error
    return written.getvalue()


@patch("/api/me/stream", responses=problems("not_signed_in", "not_live", "invalid_argument"))
async def update_stream(
    data: JSONBody[StreamSettings], person: SignedInCaller, server: TheServer
) -> Stream:
    """Change title or slow mode."""
    server.limiters.edits.check(str(person.profile_id))
    stream = await server.database.find(
        person,
        "update_stream",
        Stream,
        p_title=data.title,
        p_slow_mode_seconds=data.slow_mode_seconds,
    )
    if stream is None:
        raise Refusal("not_live", "You have not been live yet.")
    return stream


@get("/api/me/stream/intervals", responses=problems("not_signed_in"))
async def list_intervals(
    person: SignedInCaller,
    server: TheServer,
    hours: Annotated[int, QueryParameter(ge=1, le=24)] = 3,
) -> Intervals:
    """When the caller sent video and was live, with reasons."""
    return await server.database.call(person, "list_publish_intervals", Intervals, p_hours=hours)


async def start(
    server: Server, caller: Caller, session_id: UUID, title: str, *, take_over: bool
) -> Started:
    """Go live with this session as the publisher. Raises Refusal."""
    return await server.database.call(
        caller,
        "start_stream",
        Started,
        p_title=title,
        p_session_id=session_id,
        p_take_over=take_over,
    )


async def stop(server: Server, caller: Caller) -> StreamChange:
    """Stop being live. Raises Refusal `not_live`."""
    return (await server.database.call(caller, "stop_stream", Stopped)).change


async def stop_if_live(server: Server, caller: Caller) -> None:
    """Stop the caller's stream, if they are live, and tell everybody."""
    try:
        change = await stop(server, caller)
    except Refusal as refusal:
        if refusal.code != "not_live":
            raise
    else:
        server.changes.apply_own(change)


ROUTES = [
    list_streams,
    get_stream,
    explain,
    get_preview,
    store_preview,
    update_stream,
    list_intervals,
]
