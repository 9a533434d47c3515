"""How long preflight takes on a database that has seen something."""

import asyncio
import sys
import time

import asyncpg

from bench.figures import Figure, say, shown
from bench.gift_load import OLD_HAND
from bench.money_people import drained, give_history, settle_in
from bench.product import running_product
from tests.browser.site import Site

ENTRIES = 1_000_000
PRESENCE = 100_000

# Each of the people at fifty streams, and never silent for as long as it takes.
WATCHING = """
INSERT INTO public.active_viewers (live_stream_id, viewer_id, session_id, is_active, is_unmuted,
    is_visible, is_subscribed, last_active_at)
SELECT md5('stream ' || (1001 + (person + n) % 1000))::uuid, md5('person ' || person)::uuid,
    md5('tab ' || n % 8)::uuid, true, true, true, true, now() + interval '1 hour'
FROM generate_series(1, 2000) AS person, generate_series(1, $1 / 2000) AS n
"""


async def fill(admin: asyncpg.Connection) -> None:
    """Make a million ledger entries and a hundred thousand viewing records."""
    say("  people and what they bought")
    await settle_in(admin)
    say(f"  {ENTRIES:,} entries")
    await give_history(admin, OLD_HAND, ENTRIES // 4)  # a gift has four
    await drained(admin)
    await admin.execute(WATCHING, PRESENCE)
    await admin.execute("ANALYZE")


async def preflight_seconds(site: Site, *more: str) -> float:
    """Run the command as operators do; return how long it took."""
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "livewall", "preflight", *more),
        env=site.environ,
        stdout=asyncio.subprocess.DEVNULL,
    )
    await process.wait()
    return round(time.monotonic() - started, 2)


async def preflight_figures() -> list[Figure]:
    """Measure the whole list, and what is tried out alone."""
    async with running_product() as site:
        await fill(site.admin)
        entries = await site.admin.fetchval("SELECT count(*) FROM public.ledger_entries")
        present = await site.admin.fetchval("SELECT count(*) FROM public.active_viewers")
        name = f"preflight, {entries:,} entries, {present:,} viewing records"
        whole = tuple([await preflight_seconds(site) for _ in range(3)])
        tried = tuple(
            [await preflight_seconds(site, "--only", "S34,S35,S36,S37,S38,S39") for _ in range(3)]
        )
    return [
        shown(Figure(name, "s", 30, whole)),
        shown(Figure("preflight, only what is tried out", "s", None, tried)),
    ]
