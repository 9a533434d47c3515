"""One address in front of several servers, as a deployment has it: a TCP balancer.

A connection goes to the next server that takes it.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from tests.processes import free_port


class Balancer:
    """Passes connections on to these ports of this machine, and none while `is_closed`."""

    def __init__(self, port: int, targets: Sequence[int]) -> None:
        self.is_closed = False
        self.url = f"http://127.0.0.1:{port}"
        self._targets = targets
        self._turns = itertools.cycle(targets)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection both ways until an end of it closes."""
        for _ in self._targets if not self.is_closed else ():
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection(
                    "127.0.0.1", next(self._turns)
                )
                await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))
                return
        writer.transport.abort()


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


@asynccontextmanager
async def balancer(targets: Sequence[int]) -> AsyncGenerator[Balancer]:
    """Balance between these ports until the block ends."""
    port = free_port()
    balancing = Balancer(port, targets)
    server = await asyncio.start_server(balancing.connected, "127.0.0.1", port)
    try:
        yield balancing
    finally:
        server.close()
