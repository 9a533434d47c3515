"""The line between a browser and the server, to be cut and mended."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Cable:
    """A TCP proxy. While cut it drops every connection and takes no new one to the server."""

    target: int
    port: int = 0
    is_cut: bool = False
    dead: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    ends: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    @property
    def url(self) -> str:
        """The address at this end."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Cut every connection, without a farewell."""
        self.is_cut = True
        for end in list(self.ends):
            end.transport.abort()

    def let_die(self) -> None:
        """Lose what every connection carries from now on; neither end is told."""
        self.dead |= self.ends

    def mend(self) -> None:
        """Let new connections through."""
        self.is_cut = False

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection both ways until an end of it closes."""
        if self.is_cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self.ends |= {writer, far_writer}
        try:
            await asyncio.gather(self.carry(reader, far_writer), self.carry(far_reader, writer))
        finally:
            self.ends -= {writer, far_writer}
            self.dead -= {writer, far_writer}

    async def carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Copy bytes until the source ends, then close the sink."""
        with suppress(OSError):
            while data := await source.read(65_536):
                if sink not in self.dead:
                    sink.write(data)
                    await sink.drain()
        sink.close()


@asynccontextmanager
async def cable_to(port: int) -> AsyncGenerator[Cable]:
    """Lay a cable to a port of this machine."""
    cable = Cable(port)
    server = await asyncio.start_server(cable.connected, "127.0.0.1", 0)
    cable.port = server.sockets[0].getsockname()[1]
    try:
        yield cable
    finally:
        server.close()
        cable.cut()
