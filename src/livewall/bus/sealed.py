"""Messages in sealed parts, for a channel that strangers can read and write.

PostgreSQL asks nobody for a privilege to LISTEN or NOTIFY, so a client who speaks SQL could read
what two browsers tell each other, or say it for them. Each part is encrypted and authenticated
with a key that only servers can know, and carries when it was sent and a number that only grows.
"""

import hmac
import struct
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# Said in the open, and authenticated: the sender, and the number of this part.
ENVELOPE = struct.Struct(">16sQ")
# Sealed: the time in milliseconds, the place of this part, the number of parts.
HEADER = struct.Struct(">QHH")
# In base64, with all of these and the seal, this stays below the 8,000 bytes that NOTIFY takes.
PART_BYTES = 5_800
MOST_PARTS = 400
# As far may the clocks of two servers differ. A part heard later is somebody's copy of it.
FRESH_MILLIS = 60_000
MOST_SENDERS = 10_000


class SealBroken(Exception):  # noqa: N818 - it is what happened
    """A part is not from one of our servers, or is a copy of one that was heard before."""


class Opened(NamedTuple):
    """The messages that are whole with a part, and whether others of its sender never came."""

    messages: list[bytes]
    is_gap: bool


def _cipher(key: bytes, sender: bytes) -> AESGCM:
    # A key for each sender, which lives as long as its process: so a number can be the nonce.
    return AESGCM(hmac.digest(key, sender, "sha256"))


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


class Sealer:
    """Seals what one server says."""

    def __init__(self, key: bytes, sender: UUID) -> None:
        self._sender = sender.bytes
        self._cipher = _cipher(key, self._sender)
        self._number = 0

    def skip(self) -> None:
        """Say nothing in place of what is given up, so that the others know of a gap."""
        self._number += 1

    def seal(self, messages: Sequence[bytes]) -> Iterator[bytes]:
        """Yield the parts that carry these messages."""
        packed = msgspec.msgpack.encode(messages)
        pieces = [packed[at : at + PART_BYTES] for at in range(0, len(packed), PART_BYTES)]
        for place, piece in enumerate(pieces):
            self._number += 1
            envelope = ENVELOPE.pack(self._sender, self._number)
            plain = HEADER.pack(_now_millis(), place, len(pieces)) + piece
            yield envelope + self._cipher.encrypt(_nonce(self._number), plain, envelope)


@dataclass
class _Heard:
    cipher: AESGCM
    number: int = 0
    pieces: list[bytes] = field(default_factory=list[bytes])


class Opener:
    """Opens what all servers say."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._senders: OrderedDict[bytes, _Heard] = OrderedDict()

    def open(self, part: bytes) -> Opened:
        """Return what is whole with this part. Raises SealBroken."""
        try:
            sender, number = ENVELOPE.unpack_from(part)
            heard = self._senders.get(sender) or _Heard(_cipher(self._key, sender))
            sealed, envelope = part[ENVELOPE.size :], part[: ENVELOPE.size]
            plain = heard.cipher.decrypt(_nonce(number), sealed, envelope)
            sent_at, place, count = HEADER.unpack_from(plain)
        except (InvalidTag, ValueError, struct.error) as error:
            raise SealBroken("not from one of our servers") from error
        if number <= heard.number or abs(_now_millis() - sent_at) > FRESH_MILLIS:
            raise SealBroken("heard before, or too late")
        is_gap = heard.number not in {0, number - 1}
        heard.number = number
        self._remember(sender, heard)
        return Opened(_collect(heard, plain[HEADER.size :], place, count), is_gap)

    def _remember(self, sender: bytes, heard: _Heard) -> None:
        self._senders[sender] = heard
        self._senders.move_to_end(sender)
        if len(self._senders) > MOST_SENDERS:
            self._senders.popitem(last=False)


def _collect(heard: _Heard, piece: bytes, place: int, count: int) -> list[bytes]:
    if place == 0:
        heard.pieces.clear()
    if place != len(heard.pieces) or count > MOST_PARTS:
        heard.pieces.clear()  # the beginning was missed
        return []
    heard.pieces.append(piece)
    if len(heard.pieces) < count:
        return []
    packed = b"".join(heard.pieces)
    heard.pieces.clear()
    return msgspec.msgpack.decode(packed, type=list[bytes])


def _now_millis() -> int:
    return time.time_ns() // 1_000_000
