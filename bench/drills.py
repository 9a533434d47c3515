"""How long a backup takes and a restore drill, with a million entries in the ledger."""

import tempfile
import time
from pathlib import Path

from bench.figures import Figure, say, shown
from bench.money_people import give_history, settle_in
from bench.product import administrator, data_folder, environ_for, livewall

# Four entries each.
GIFTS = 250_000
SENDER = 1


async def _run(environ: dict[str, str], *arguments: str) -> float:
    """Run a command; return how many seconds it took. Raises RuntimeError if it fails."""
    started = time.monotonic()
    await livewall(environ, *arguments)
    return round(time.monotonic() - started, 2)


async def drill_figures() -> list[Figure]:
    """Back a long history up and prove that it comes back."""
    with data_folder() as folder, tempfile.TemporaryDirectory() as kept:
        environ = environ_for(folder, 0)
        await _run(environ, "db", "start")
        try:
            await _run(environ, "db", "migrate")
            admin = await administrator(environ)
            say(f"  {GIFTS} gifts")
            await settle_in(admin)
            await give_history(admin, SENDER, GIFTS)
            entries = await admin.fetchval("SELECT count(*) FROM public.ledger_entries")
            await admin.close()
            backup, copy = str(Path(kept) / "backup"), str(Path(kept) / "copy")
            taken = await _run(environ, "backup", backup)
            drilled = await _run(environ, "restore", "--drill", backup)
            copied = await _run(environ, "backup", "--physical", copy)
            recovered = await _run(environ, "restore", "--drill", copy)
        finally:
            await _run(environ, "db", "stop")
    return [
        shown(Figure(f"backup of {entries} entries", "s", None, (taken,))),
        shown(Figure("restore drill of the same, proven", "s", None, (drilled,))),
        shown(Figure("physical backup of the same", "s", None, (copied,))),
        shown(Figure("restore drill of that, proven", "s", None, (recovered,))),
    ]
