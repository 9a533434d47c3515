"""How servers of one deployment talk to each other, behind one small interface.

`postgres` uses LISTEN and NOTIFY of the database they share. A bus of its own (Redis, NATS) would
offer the same two methods.
"""

from typing import Protocol


class Ear(Protocol):
    """Who is told what the bus brings."""

    def hear(self, message: bytes) -> None:
        """Somebody said this; perhaps we ourselves."""
        ...

    def listening(self) -> None:
        """Listening begins, for the first time or again: what was said before was not heard."""
        ...

    def deaf(self) -> None:
        """Nothing is heard until `listening` is called again."""
        ...

    def missed(self) -> None:
        """Something that a server said never came."""
        ...


class Bus(Protocol):
    """Carries messages to every server that listens, the sender included.

    What one server sends arrives in its order. Nothing is promised to arrive, but who does not
    hear something is told so.
    """

    def send(self, message: bytes) -> None:
        """Send soon, in a batch with others."""
        ...

    async def run(self, ear: Ear) -> None:
        """Carry messages for ever."""
        ...
