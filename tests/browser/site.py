"""A Livewall that runs for one test, as a process of its own, and what its database says."""

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from livewall.code_catalog import Connection
from tests.databases import Database
from tests.processes import SERVE, answers, free_port
from tests.waiting import until

START_SECONDS = 30.0


@dataclass(frozen=True)
class Transitions:
    """How often a stream was switched since it exists, and why it was switched off."""

    on: int
    off: int
    reasons: tuple[str, ...]


@dataclass
class Site:
    """A server process on a database. `admin` sees everything, past every policy."""

    admin: Connection
    port: int
    environ: dict[str, str]
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The address that browsers open."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start the server and wait until it answers."""
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVE, "serve"),
            env=self.environ,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        await until(self._answers, START_SECONDS, "the server answers")

    async def _answers(self) -> bool:
        if self.process is None or self.process.returncode is not None:
            raise RuntimeError("The server ended while it started.")
        return await asyncio.to_thread(answers, f"{self.url}/readyz")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the server: politely, or with SIGKILL as a crash does."""
        process, self.process = self.process, None
        if process is not None and process.returncode is None:
            process.send_signal(number)
            await process.wait()

    async def rules(self, **rules: str) -> None:
        """Change figures of the publish-state rules, such as viewer_silence='15 seconds'."""
        for name, value in rules.items():
            await self.admin.execute(
                f"UPDATE private.settings SET {name} = $1::text::interval", value
            )

    async def stream_id(self, name: str) -> UUID:
        """Return the id of somebody's stream, by either name. Raises LookupError."""
        found = await self.admin.fetchval(
            "SELECT s.id FROM public.live_streams AS s JOIN public.profiles AS p"
            " ON p.id = s.streamer_id WHERE $1 IN (p.name, p.display_name)"
            " ORDER BY s.live_available DESC, s.created_at DESC LIMIT 1",
            name,
        )
        if found is None:
            raise LookupError(f"{name} has no stream.")
        return found

    async def is_published(self, stream_id: UUID) -> bool:
        """Say whether the stream is published."""
        return bool(await self._column(stream_id, "is_published"))

    async def is_live(self, stream_id: UUID) -> bool:
        """Say whether the stream is live."""
        return bool(await self._column(stream_id, "live_available"))

    async def viewers(self, stream_id: UUID) -> int:
        """Return how many people count as watching."""
        return await self._column(stream_id, "active_viewer_count")

    async def epoch(self, stream_id: UUID) -> int:
        """Return how often the stream was switched on or off since it exists."""
        return await self._column(stream_id, "publish_epoch")

    async def _column(self, stream_id: UUID, column: str) -> int:
        return await self.admin.fetchval(
            f"SELECT {column} FROM public.live_streams WHERE id = $1", stream_id
        )

    async def transitions(self, stream_id: UUID) -> Transitions:
        """Return what the recorded intervals of publishing say."""
        rows = await self.admin.fetch(
            "SELECT ended_reason FROM private.publish_intervals WHERE live_stream_id = $1"
            " ORDER BY id",
            stream_id,
        )
        reasons = tuple(row["ended_reason"] for row in rows if row["ended_reason"])
        return Transitions(len(rows), len(reasons), reasons)

    async def until_viewers(self, stream_id: UUID, count: int, seconds: float = 10) -> None:
        """Wait until so many people count as watching."""

        async def reached() -> bool:
            return await self.viewers(stream_id) == count

        await until(reached, seconds, f"{count} people count as watching")

    async def until_published(self, stream_id: UUID, is_on: bool, seconds: float = 10) -> None:
        """Wait until the stream is published, or is not."""

        async def reached() -> bool:
            return await self.is_published(stream_id) == is_on

        await until(reached, seconds, f"is_published is {is_on}")


def environ_for(database: Database, folder: Path, port: int, **settings: str) -> dict[str, str]:
    """Return the environment of a server on a test's database; settings as LIVEWALL_NAME."""
    ours = {
        "DATABASE_URL": database.admin_url,
        "LIVEWALL_AUTHENTICATOR_URL": database.authenticator_url,
        "LIVEWALL_DATA_DIR": str(folder),
        "LIVEWALL_PORT": str(port),
        "LIVEWALL_SECRET": secrets.token_urlsafe(48),
    }
    given = {f"LIVEWALL_{name.upper()}": value for name, value in settings.items()}
    return {**os.environ, **ours, **given}


@asynccontextmanager
async def running_site(database: Database, folder: Path, **settings: str) -> AsyncGenerator[Site]:
    """Serve a test's database until the block ends."""
    port = free_port()
    site = Site(await database.admin(), port, environ_for(database, folder, port, **settings))
    # The databases of a test run are minutes old: without this, each of them would be in its
    # restart grace, in which nothing is unpublished.
    await site.rules(restart_grace="0 seconds")
    await site.start()
    try:
        yield site
    finally:
        await site.stop()
