"""Asks a TURN server for what browsers ask it: a place to relay by, with a password we hand out.

A sign of life is not enough: with another secret than ours it answers, and refuses everybody.
"""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit
from uuid import uuid4

from livewall.conversation import ice_servers
from livewall.settings import Settings

REACH_SECONDS = 3.0
UNAUTHORIZED = 401

Verdict = Literal["relays", "refuses", "untrusted", "silent"]


@dataclass(frozen=True)
class Answer:
    """What became of one address; `said` is the reason if it does not relay."""

    url: str
    verdict: Verdict
    said: str = ""


class _Ended(asyncio.DatagramProtocol):
    """Learns when the place was given back."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


async def ask_relays(settings: Settings) -> list[Answer]:
    """Ask each TURN server of the settings, with a password as a socket gets it.

    Raises ImportError where aioice is not installed, which speaks TURN.
    """
    answers: list[Answer] = []
    for server in ice_servers(settings, uuid4()):
        name, password = str(server["username"]), str(server["credential"])
        answers += [await _ask(url, name, password) for url in server["urls"]]
    return answers


async def _ask(url: str, name: str, password: str) -> Answer:
    from aioice.stun import TransactionError, TransactionFailed  # noqa: PLC0415 - of the demo

    try:
        async with asyncio.timeout(REACH_SECONDS):
            await _allocate(url, name, password)
    except TransactionFailed as error:
        code, reason = error.response.attributes["ERROR-CODE"]
        verdict = "refuses" if code == UNAUTHORIZED else "silent"
        return Answer(url, verdict, f"{code} {reason}".strip())
    except ssl.SSLCertVerificationError as error:
        return Answer(url, "untrusted", error.verify_message)
    except (OSError, TimeoutError, TransactionError) as error:
        return Answer(url, "silent", str(error) or type(error).__name__)
    return Answer(url, "relays")


async def _allocate(url: str, name: str, password: str) -> None:
    """Get a place and give it back. Raises OSError or aioice's TransactionError."""
    from aioice.turn import create_turn_endpoint  # noqa: PLC0415 - of the demo

    scheme, _, rest = url.partition(":")
    place, is_tls = urlsplit(f"//{rest}"), scheme == "turns"
    is_tcp = is_tls or "transport=tcp" in place.query
    transport, protocol = await create_turn_endpoint(
        _Ended,
        (place.hostname or "", place.port or (5349 if is_tls else 3478)),
        *(name, password),
        ssl=ssl.create_default_context() if is_tls else None,
        transport="tcp" if is_tcp else "udp",
    )
    transport.close()
    await protocol.ended.wait()
