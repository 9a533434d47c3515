"""Messages in sealed parts, for a channel that strangers can read and write.

PostgreSQL asks nobody for a privilege to LISTEN or NOTIFY, so a client who speaks SQL could read
what two browsers tell each other, or say it for them. Each part is encrypted and authenticated
with a key that only servers have, and carries who sent it, when, and a number that only grows.
"""

import os
import struct
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
# Sender, number, time in milliseconds, place of this part, number of parts.
HEADER = struct.Struct(">16sQQHH")
# In base64, with header and seal, this stays below the 8,000 bytes that NOTIFY takes.
PART_BYTES = 5_800
MOST_PARTS = 400
# As far may the clocks of two servers differ. A part heard later is somebody's copy of it.
FRESH_MILLIS = 60_000
MOST_SENDERS = 10_000


class SealBroken(Exception):  # noqa: N818 - it is what happened
    """A part is not from one of our servers, or is a copy of one that was heard before."""


class Sealer:
    """Seals what one server says."""

    def __init__(self, key: bytes, sender: UUID) -> None:
        self._cipher = AESGCM(key)
        self._sender = sender
        self._number = 0

    def seal(self, messages: Sequence[bytes]) -> Iterator[bytes]:
        """Yield the parts that carry these messages."""
        packed = msgspec.msgpack.encode(messages)
        pieces = [packed[at : at + PART_BYTES] for at in range(0, len(packed), PART_BYTES)]
        for place, piece in enumerate(pieces):
            self._number += 1
            header = HEADER.pack(
                self._sender.bytes, self._number, _now_millis(), place, len(pieces)
            )
            nonce = os.urandom(NONCE_BYTES)
            yield nonce + self._cipher.encrypt(nonce, header + piece, None)


@dataclass
class _Heard:
    number: int = 0
    pieces: list[bytes] = field(default_factory=list[bytes])


class Opener:
    """Opens what all servers say."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._senders: OrderedDict[bytes, _Heard] = OrderedDict()

    def open(self, part: bytes) -> list[bytes]:
        """Return the messages that are whole with this part. Raises SealBroken."""
        try:
            plain = self._cipher.decrypt(part[:NONCE_BYTES], part[NONCE_BYTES:], None)
            sender, number, sent_at, place, count = HEADER.unpack_from(plain)
        except (InvalidTag, ValueError, struct.error) as error:
            raise SealBroken("not from one of our servers") from error
        heard = self._senders.setdefault(sender, _Heard())
        self._senders.move_to_end(sender)
        if len(self._senders) > MOST_SENDERS:
            self._senders.popitem(last=False)
        if number <= heard.number or abs(_now_millis() - sent_at) > FRESH_MILLIS:
            raise SealBroken("heard before, or too late")
        heard.number = number
        return _collect(heard, plain[HEADER.size :], place, count)


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
