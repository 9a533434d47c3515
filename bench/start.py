"""How long `make run` takes until the product answers: from a fresh clone, and every time after."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.figures import Figure, say, shown
from bench.product import data_folder, environ_for
from tests.processes import answers, free_port
from tests.waiting import until

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 5
FRESH_LIMIT_SECONDS = 120.0
AGAIN_LIMIT_SECONDS = 8.0
PATIENCE_SECONDS = 600.0


@asynccontextmanager
async def made(tree: Path, data: Path) -> AsyncGenerator[float]:
    """Run `make run` in a tree until the block ends; gives the seconds until it answered."""
    port = free_port()
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *("make", "-C", str(tree), "run"),
        env=environ_for(data, port),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )

    async def is_ready() -> bool:
        if process.returncode is not None:
            raise RuntimeError(f"`make run` ended with {process.returncode}.")
        return await asyncio.to_thread(answers, f"http://127.0.0.1:{port}/readyz")

    try:
        await until(is_ready, PATIENCE_SECONDS, "`make run` answers")
        yield round(time.monotonic() - started, 1)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


async def fresh_clone(data: Path) -> float:
    """Clone this repository as it is committed, and run it for the first time."""
    with tempfile.TemporaryDirectory(prefix="livewall-clone-") as folder:
        tree = Path(folder) / "livewall"
        cloning = await asyncio.create_subprocess_exec("git", "clone", "-q", str(ROOT), str(tree))
        await cloning.wait()
        async with made(tree, data) as seconds:
            return seconds


async def start_figures() -> list[Figure]:
    """Measure a first start of everything, and later ones."""
    say("Fresh clone, empty data folder: packages, web client, database")
    with data_folder() as data:
        fresh = await fresh_clone(data)
    again: list[float] = []
    say("Started again")
    with data_folder() as data:
        for number in range(ROUNDS + 1):
            async with made(ROOT, data) as seconds:
                if number > 0:
                    again.append(seconds)
    return [
        shown(Figure("fresh clone to ready", "s", FRESH_LIMIT_SECONDS, (fresh,))),
        shown(Figure("make run again to ready", "s", AGAIN_LIMIT_SECONDS, tuple(again))),
    ]
