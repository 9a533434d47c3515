"""Chat of a stream: history in pages, messages as they come, and keeping it civil."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody, PathParameter
from msgspec import Meta

from livewall.cluster_messages import ChatSaid
from livewall.messages import ChatDeleted, ChatEvent
from livewall.routing import (
    LARGEST_ID,
    Anybody,
    BeforeId,
    PageSize,
    SignedInCaller,
    TheServer,
    problems,
)
from livewall.shapes import ChatMessage, Person, ShortText

InPath = Annotated[int, PathParameter(ge=1, le=LARGEST_ID)]


class ChatPage(msgspec.Struct):
    """A page of a chat, newest first; `next` is the `before` of the page after."""

    messages: list[ChatMessage]
    next: int | None


class NewMessage(msgspec.Struct, forbid_unknown_fields=True):
    """Something to say, up to 500 characters."""

    body: Annotated[str, Meta(max_length=10_000)]


class Report(msgspec.Struct, forbid_unknown_fields=True):
    """What is wrong with a message."""

    reason: ShortText


class Reported(msgspec.Struct, frozen=True):
    """One report; `body` is what the message said then, `message` what is left of it now."""

    id: int
    reported_at: datetime
    reason: str
    reporter: Person | None
    body: str
    message: ChatMessage


class ReportPage(msgspec.Struct):
    """A page of reports, newest first; `next` is the `before` of the page after."""

    entries: list[Reported]
    next: int | None


class Mute(msgspec.Struct, forbid_unknown_fields=True):
    """For how long somebody may not write here."""

    seconds: Annotated[int, Meta(ge=1, le=31_536_000)]


class Deleted(msgspec.Struct):
    """Which message lost its words."""

    stream_id: UUID
    id: int


@get("/api/streams/{stream_id:uuid}/chat", responses=problems("not_found"))
async def list_messages(
    stream_id: FromPath[UUID],
    caller: Anybody,
    server: TheServer,
    limit: PageSize = 50,
    before: BeforeId = None,
) -> ChatPage:
    """A page of a chat's history."""
    return await server.database.call(
        caller,
        "list_chat_messages",
        ChatPage,
        p_live_stream_id=stream_id,
        p_before=before,
        p_limit=limit,
    )


@post(
    "/api/streams/{stream_id:uuid}/chat",
    responses=problems(
        "not_signed_in",
        "not_found",
        "blocked",
        "chat_empty",
        "chat_too_long",
        "slow_mode",
        "muted_in_chat",
    ),
)
async def send_message(
    stream_id: FromPath[UUID], data: JSONBody[NewMessage], person: SignedInCaller, server: TheServer
) -> ChatMessage:
    """Say something."""
    message = await server.database.call(
        person, "send_chat_message", ChatMessage, p_live_stream_id=stream_id, p_body=data.body
    )
    server.everywhere(ChatSaid(stream_id, ChatEvent(message), person.profile_id))
    return message


@delete(
    "/api/chat/{message_id:int}",
    responses=problems("not_signed_in", "not_allowed", "not_found"),
)
async def delete_message(message_id: InPath, person: SignedInCaller, server: TheServer) -> None:
    """Empty a message: its author, the streamer or a moderator."""
    gone = await server.database.call(
        person, "delete_chat_message", Deleted, p_message_id=message_id
    )
    server.everywhere(ChatSaid(gone.stream_id, ChatDeleted(gone.stream_id, gone.id)))


@post(
    "/api/chat/{message_id:int}/reports",
    responses=problems("not_signed_in", "not_found", "invalid_argument"),
)
async def report_message(
    message_id: InPath, data: JSONBody[Report], person: SignedInCaller, server: TheServer
) -> None:
    """Tell moderators about a message."""
    await server.database.call(
        person, "report_chat_message", object, p_message_id=message_id, p_reason=data.reason
    )


@get("/api/chat/reports", responses=problems("not_signed_in", "not_allowed"))
async def list_reports(
    person: SignedInCaller, server: TheServer, before: BeforeId = None, limit: PageSize = 50
) -> ReportPage:
    """What people reported. Moderators and admins only."""
    return await server.database.call(
        person, "list_chat_reports", ReportPage, p_before=before, p_limit=limit
    )


@put(
    "/api/streams/{stream_id:uuid}/mutes/{name:str}",
    status_code=204,
    responses=problems("not_signed_in", "not_allowed", "not_found", "invalid_argument"),
)
async def mute(
    stream_id: FromPath[UUID],
    name: FromPath[str],
    data: JSONBody[Mute],
    person: SignedInCaller,
    server: TheServer,
) -> None:
    """Keep somebody from writing here for a while."""
    await server.database.call(
        person,
        "mute_in_chat",
        object,
        p_live_stream_id=stream_id,
        p_name=name,
        p_seconds=data.seconds,
    )


@delete(
    "/api/streams/{stream_id:uuid}/mutes/{name:str}",
    responses=problems("not_signed_in", "not_allowed", "not_found"),
)
async def unmute(
    stream_id: FromPath[UUID], name: FromPath[str], person: SignedInCaller, server: TheServer
) -> None:
    """End a mute."""
    await server.database.call(
        person, "unmute_in_chat", object, p_live_stream_id=stream_id, p_name=name
    )


ROUTES = [
    list_messages,
    send_message,
    delete_message,
    report_message,
    list_reports,
    mute,
    unmute,
]
