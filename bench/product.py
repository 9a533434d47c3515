"""The product as `make run` starts it: PostgreSQL on disk, fsync on, no figure shortened."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg

from livewall import embedded
from tests.browser.site import Site
from tests.processes import answers, free_port
from tests.waiting import until

READY_SECONDS = 120.0


def environ_for(folder: Path, port: int) -> dict[str, str]:
    """Return an environment with a data folder of its own and nobody on the wall."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LIVEWALL_") and name != "DATABASE_URL"
    }
    return kept | {
        "LIVEWALL_DATA_DIR": str(folder),
        "LIVEWALL_PORT": str(port),
        "LIVEWALL_OPEN": "0",
        "LIVEWALL_DEMO": "0",
    }


@contextmanager
def data_folder() -> Generator[Path]:
    """Give a folder on disk that the unprivileged user of PostgreSQL can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="livewall-bench-"))
    folder.chmod(0o711)
    try:
        yield folder / "data"
    finally:
        embedded.destroy(folder / "data")
        shutil.rmtree(folder, ignore_errors=True)


async def livewall(environ: dict[str, str], *arguments: str) -> str:
    """Run a command as operators do; return what it prints. Raises RuntimeError if it fails."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "livewall", *arguments),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    if process.returncode:
        raise RuntimeError(said.decode())
    return out.decode().strip()


async def administrator(environ: dict[str, str]) -> asyncpg.Connection:
    """Connect to the running database past every policy, to look."""
    return await asyncpg.connect(await livewall(environ, "db", "url"))


@asynccontextmanager
async def running_product() -> AsyncGenerator[Site]:
    """Run `livewall up` on a fresh data folder until the block ends."""
    with data_folder() as folder:
        port = free_port()
        environ = environ_for(folder, port)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "livewall", "up"),
            env=environ,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )

        async def is_ready() -> bool:
            return await asyncio.to_thread(answers, f"http://127.0.0.1:{port}/readyz")

        try:
            await until(is_ready, READY_SECONDS, "the product is ready")
            admin = await administrator(environ)
            # The grace after a start would lengthen the first figures by up to 15 seconds.
            await asyncio.sleep(16)
            yield Site(admin, port, environ, process)
            await admin.close()
        finally:
            process.terminate()
            await process.wait()
