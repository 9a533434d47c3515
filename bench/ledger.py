"""Money at speed, and the proof that follows: gifts a second with and without history, hot and not.

    python -m bench.ledger        all of it, about six minutes

Everything runs against the product as `make run` starts it, whose server folds and seals meanwhile;
each time ends when the last gift is sealed. Progress goes to stderr; the last line is JSON. Exit
code 1 if a limit is missed.
"""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import msgspec
import uvloop

from bench.figures import Figure, finish, say, shown
from bench.gift_load import (
    CEILING,
    CEILING_ACCOUNTS,
    HOT,
    HOT_TOGETHER,
    NEWCOMER,
    OLD_HAND,
    UNIFORM,
    UNIFORM_TOGETHER,
    Through,
    from_sender,
    gifts_per_second,
    pgbench,
    through_http,
    together_per_second,
)
from bench.money_people import drained, give_history, settle_in
from bench.product import running_product
from livewall import tokens
from livewall.migrate import migrate
from livewall.settings import Settings, load
from tests.browser.site import Site

ROUNDS = 3
SECONDS = 8
ENTRIES = 1_000_000
CONNECTIONS = 64


def with_database(url: str, name: str) -> str:
    """Return an address with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def url_of(site: Site) -> str:
    """Return the administrator's address of the product's database."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "livewall", "db", "url"),
        env=site.environ,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return out.decode().strip()


@asynccontextmanager
async def ceiling_database(url: str) -> AsyncGenerator[str]:
    """Give a second database with the same schema, for the rows that mean nothing."""
    admin = await asyncpg.connect(url)
    await admin.execute("CREATE DATABASE ceiling")
    other = with_database(url, "ceiling")
    await migrate(other)
    connection = await asyncpg.connect(other)
    await connection.execute(CEILING_ACCOUNTS)
    await connection.close()
    yield other
    await admin.execute("DROP DATABASE ceiling WITH (FORCE)")
    await admin.close()


def ratio(name: str, limit: float | None, ours: list[float], theirs: list[float]) -> Figure:
    """Return how two things measured in turns compare, round by round."""
    values = tuple(round(a / b, 3) for a, b in zip(ours, theirs, strict=True))
    return shown(Figure(name, "ratio", limit, values, at_least=True))


async def speed_figures(site: Site, url: str, web_url: str) -> list[Figure]:
    """Measure all ways to give and the ceiling in turns, after a round that warms them up."""
    ways = {
        "together": lambda: together_per_second(web_url, site.admin, UNIFORM_TOGETHER, SECONDS),
        "together, to one streamer": lambda: together_per_second(
            web_url, site.admin, HOT_TOGETHER, SECONDS
        ),
        "alone": lambda: gifts_per_second(web_url, site.admin, UNIFORM, SECONDS),
        "alone, to one streamer": lambda: gifts_per_second(web_url, site.admin, HOT, SECONDS),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    ceiling: list[float] = []
    async with ceiling_database(url) as other:
        for number in range(ROUNDS + 1):
            say(f"  round {number}")
            for name, measure_it in ways.items():
                speed = await measure_it()
                if number > 0:
                    found[name].append(speed)
            rows = await pgbench(other, CEILING, SECONDS)
            if number > 0:
                ceiling.append(round(rows / SECONDS, 1))
    together, hot_together, alone, hot_alone = found.values()
    return [
        *(shown(Figure(name, "gifts/s", None, tuple(speeds))) for name, speeds in found.items()),
        shown(Figure("rows of a gift, one commit each", "commits/s", None, tuple(ceiling))),
        ratio("hot: one streamer / uniform, together", 0.9, hot_together, together),
        ratio("hot: one streamer / uniform, alone", 0.9, hot_alone, alone),
        ratio("ceiling: together / rows only", 0.5, together, ceiling),
        ratio("alone / rows only", None, alone, ceiling),
    ]


async def flat_figures(site: Site, web_url: str) -> list[Figure]:
    """Measure a sender with a million entries against one with none, in turns."""
    say(f"  {ENTRIES} entries for one sender")
    await give_history(site.admin, OLD_HAND, ENTRIES)
    await site.admin.execute("ANALYZE public.ledger_entries, public.gifts")
    old: list[float] = []
    new: list[float] = []
    for number in range(ROUNDS + 1):
        for sender, found in ((OLD_HAND, old), (NEWCOMER, new)):
            script = from_sender(sender)
            speed = await gifts_per_second(web_url, site.admin, script, SECONDS, clients=1)
            if number > 0:
                found.append(speed)
    return [
        shown(Figure("one sender with a million entries", "gifts/s", None, tuple(old))),
        shown(Figure("one sender without history", "gifts/s", None, tuple(new))),
        ratio("flat: a million entries / none", 0.95, old, new),
    ]


async def token_of(site: Site, rules: tokens.Rules, number: int) -> str:
    """Return a token of a session of one of the people."""
    session = await site.admin.fetchval(
        "SELECT public.open_session(md5('person ' || $1::integer)::uuid, '1 hour')"
        " ->> 'session_id'",
        number,
    )
    profile = await site.admin.fetchval("SELECT md5('person ' || $1::integer)::uuid", number)
    return tokens.sign(rules, profile, UUID(session), time.time() + 3600)


async def http_figures(site: Site, settings: Settings) -> list[Figure]:
    """Measure gifts as browsers send them."""
    rules = tokens.Rules(settings.secret, settings.jwt_audience)
    people = [await token_of(site, rules, 100 + n) for n in range(CONNECTIONS)]
    await through_http(site.port, site.admin, people, 3)
    runs: list[Through] = [
        await through_http(site.port, site.admin, people, SECONDS) for _ in range(ROUNDS)
    ]
    speeds = tuple(run.per_second for run in runs)
    return [
        shown(Figure("through HTTP", "gifts/s", 1500, speeds, at_least=True)),
        shown(Figure("through HTTP, p50", "ms", None, tuple(r.percentile(0.5) for r in runs))),
        shown(Figure("through HTTP, p99", "ms", None, tuple(r.percentile(0.99) for r in runs))),
    ]


async def verify_figures(site: Site) -> list[Figure]:
    """Prove the ledger, by the command that operators use, and say how long it took."""
    entries = await site.admin.fetchval("SELECT count(*) FROM public.ledger_entries")
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "livewall", "ledger", "verify"),
        env=site.environ,
        stdout=asyncio.subprocess.DEVNULL,
    )
    code = await process.wait()
    seconds = time.monotonic() - started
    scaled = round(seconds * ENTRIES / entries, 2)
    return [
        shown(Figure(f"verify of {entries} entries", "s", None, (round(seconds, 2),))),
        shown(Figure("verify, for a million entries", "s", 20, (scaled,))),
        shown(Figure("drift found", "exit code", 0, (float(code),))),
    ]


async def measure() -> list[Figure]:
    """Run all parts on one product."""
    async with running_product() as site:
        url = await url_of(site)
        settings = load(site.environ)
        web_url = msgspec.structs.replace(settings, database_url=url).web_database_url
        say("Settling in")
        await settle_in(site.admin)
        await drained(site.admin)
        say("Gifts at the database: together, and alone by 8 clients")
        figures = await speed_figures(site, url, web_url)
        say("Gifts through HTTP")
        figures += await http_figures(site, settings)
        say("The proof")
        figures += await verify_figures(site)
        say("A long history")
        figures += await flat_figures(site, web_url)
        say("The proof again")
        figures += await verify_figures(site)
        deadlocks = await site.admin.fetchval("SELECT sum(deadlocks) FROM pg_stat_database")
        return [*figures, shown(Figure("deadlocks", "count", 0, (float(deadlocks),)))]


if __name__ == "__main__":
    finish("ledger", uvloop.run(measure()))
