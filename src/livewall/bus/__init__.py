"""How servers of one deployment talk to each other, behind one small interface.

`postgres` uses LISTEN and NOTIFY of the database they share. A bus of its own (Redis, NATS) would
offer the same two methods.
"""

from collections.abc import Callable
from typing import Protocol


class Bus(Protocol):
    """Carries messages to every server that listens, the sender included.

    What one server sends arrives in its order. Nothing is promised to arrive: whoever needs that
    asks again, or reads the database.
    """

    def send(self, message: bytes) -> None:
        """Send soon, in a batch with others."""
        ...

    async def run(self, hear: Callable[[bytes], None], listening: Callable[[], None]) -> None:
        """Carry messages for ever.

        `listening` is called whenever listening begins: what was said before is missed.
        """
        ...
