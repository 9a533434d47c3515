"""What has to happen by the clock: the sweep, the reconciler, the cleanup. One leader at a time.

Every process that serves sockets hears of changes by its own sweep, which is idempotent; the
reconciler, the cleanup and the other jobs run only in the process that holds the advisory lock.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import structlog

from livewall import events, ledger, metrics
from livewall import log as logs
from livewall.db import AWAY, SERVICE, Database, cause_of, open_database
from livewall.ending import end, until
from livewall.errors import Refusal
from livewall.payments import open_provider
from livewall.payments.settlement import Settlement
from livewall.settings import Settings
from livewall.shapes import StreamChange

SWEEP_SECONDS = 0.25
RECONCILE_SECONDS = 12.0
CLEANUP_SECONDS = 45.0
RETENTION_SECONDS = 5.0
OUTBOX_SECONDS = 0.25
FOLD_SECONDS = 0.5
SETTLE_SECONDS = 1.0
EXPIRE_SECONDS = 60.0
# One transaction locks so many purchases; one run ends so many of these batches at most.
EXPIRE_AT_ONCE = 100
EXPIRE_BATCHES = 100
# Jobs that run oftener leave a record only this often, and of each failure: a record is a commit.
RECORD_SECONDS = 10.0
# A change is dated when it is written and seen once it is committed. Between the two a client may
# leave its transaction idle (30 s) and run one statement more (8 s, both limits of `authenticator`
# in platform.sql), and the next long look comes 12 x 0.25 s later: 41 s, and some slack.
SHORT_OVERLAP = timedelta(seconds=1)
LONG_OVERLAP = timedelta(seconds=45)
LONG_EVERY = 12
LEADER_LOCK = 0x4C69_7665_4A6F_6273  # "LiveJobs"
# The process of the database that holds it; such a lock stands in pg_locks in two halves.
LEADER_PID = (
    "SELECT l.pid FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database"  # noqa: S608
    " WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()"
    f" AND l.classid = {LEADER_LOCK >> 32} AND l.objid = {LEADER_LOCK & 0xFFFF_FFFF}"
    " AND l.objsubid = 1"
)
LEADER_SECONDS = 5.0
LEADER_TIMEOUT = 5.0
# The database ends a leader's session, and with it the lock, when it is not heard of for so long:
# a process that hangs or a cable that was cut closes nothing. With the time to look again, another
# leads within 15 seconds.
LEADER_SILENCE = "9s"
# How often those who do not lead ask for the lock: a leader that ends is soon followed.
FOLLOWER_SECONDS = 1.0
MOST_BACKOFF = 10.0
log = structlog.get_logger()

Listener = Callable[[Sequence[StreamChange]], None]
Act = Callable[[], Awaitable[None]]


class _Swept(msgspec.Struct):
    now: datetime
    changes: list[StreamChange]


class _Expired(msgspec.Struct):
    expired: int


class Sweeper:
    """Ends what is due, and passes on what changed since the last look, whoever changed it."""

    def __init__(self, database: Database, listener: Listener) -> None:
        self._database = database
        self._listener = listener
        self._since = datetime.now(UTC) - timedelta(minutes=1)
        self._sweeps = 0

    async def sweep(self) -> None:
        """Look once. Raises Refusal."""
        # A long look back now and then finds what was committed late; the others stay cheap.
        overlap = SHORT_OVERLAP if self._sweeps % LONG_EVERY else LONG_OVERLAP
        swept = await self._database.call(
            SERVICE,
            "sweep_publish_state",
            _Swept,
            p_since=(self._since - overlap).isoformat(),
        )
        self._since = swept.now
        self._sweeps += 1
        self._listener(swept.changes)


async def repeat(name: str, seconds: float, act: Act) -> None:
    """Run `act` every so many seconds, for ever; a failure is logged, counted and waited out."""
    # A job that never went well counts 0 of them: an alert sees no difference to what is not there.
    metrics.JOB_RUNS.labels(name, "ok")
    failures = 0
    while True:
        started = time.perf_counter()
        try:
            await act()
            failures = 0
        except Refusal as refusal:
            failures += 1
            if failures == 1:
                log.warning("job_refused", job=name, code=refusal.code, **cause_of(refusal))
        except Exception:
            failures += 1
            log.exception("job_broke", job=name)
        result = "failed" if failures else "ok"
        metrics.JOB_RUNS.labels(name, result).inc()
        metrics.JOB_SECONDS.labels(name).observe(time.perf_counter() - started)
        delay = min(MOST_BACKOFF, seconds * 2 ** min(failures, 6)) if failures else seconds
        await asyncio.sleep(max(delay, 0.05))


def calling(database: Database, function: str) -> Act:
    """Return a job that calls a function."""

    async def act() -> None:
        await database.call(SERVICE, function, object)

    return act


def recorded(database: Database, job: str, act: Act) -> Act:
    """Return a job that leaves a record of its runs, good or bad."""
    recorded_at = -RECORD_SECONDS

    async def record(seconds: float, *, is_ok: bool) -> None:
        nonlocal recorded_at
        recorded_at = time.perf_counter()
        with contextlib.suppress(Refusal):
            await database.call(
                SERVICE,
                "record_job_run",
                object,
                p_job=job,
                p_ok=is_ok,
                p_millis=round(seconds * 1000),
            )

    async def run() -> None:
        started = time.perf_counter()
        try:
            await act()
        except Exception:  # not when it is ended with the server: nothing failed
            await record(time.perf_counter() - started, is_ok=False)
            raise
        now = time.perf_counter()
        if now - recorded_at >= RECORD_SECONDS:
            await record(now - started, is_ok=True)

    return run


async def lead(database: Database, jobs: Act) -> None:
    """Run the jobs while we hold the lock; try to get it while we do not. For ever."""
    while True:
        try:
            async with database.dedicated() as connection:
                await _until_it_is_ours(connection)
                metrics.JOB_LEADER.set(1)
                await _while_connected(connection, jobs)
        except (Refusal, *AWAY, TimeoutError) as error:
            log.warning("leadership_lost", **cause_of(error))
        except Exception:
            # Whatever it is, without a leader nothing reconciles: try again.
            log.exception("leadership_broke")
        finally:
            metrics.JOB_LEADER.set(0)
        await asyncio.sleep(LEADER_SECONDS)


async def _until_it_is_ours(connection: asyncpg.Connection) -> None:
    """Ask for the lock until it is free: a statement that waited for it would hold vacuum up."""
    await connection.execute(f"SET idle_session_timeout = '{LEADER_SILENCE}'")
    query = f"SELECT pg_try_advisory_lock({LEADER_LOCK})"
    while not await connection.fetchval(query, timeout=LEADER_TIMEOUT):  # noqa: ASYNC110
        await asyncio.sleep(FOLLOWER_SECONDS)


async def _while_connected(connection: asyncpg.Connection, jobs: Act) -> None:
    """Run the jobs until the connection that holds the lock is lost."""
    running = asyncio.ensure_future(jobs())
    try:
        while not running.done():
            await connection.fetchval("SELECT 1", timeout=LEADER_TIMEOUT)
            await asyncio.wait([running], timeout=LEADER_SECONDS)
    finally:
        # Another process may lead by now: ours must be over, not only asked to end.
        await end(running)


def leading(database: Database, settlement: Settlement) -> list[tuple[str, float, Act]]:
    """Return what the leader does: the name of a job, its period in seconds, and the job."""

    async def fold() -> None:
        await ledger.fold(database)

    async def deliver() -> None:
        await events.deliver_outbox(database)

    async def expire() -> None:
        for _ in range(EXPIRE_BATCHES):
            batch = await database.call(
                SERVICE, "expire_purchases", _Expired, p_limit=EXPIRE_AT_ONCE
            )
            settlement.soon()
            if batch.expired < EXPIRE_AT_ONCE:
                return

    of_live = {
        "update_publish_state_from_viewers": RECONCILE_SECONDS,
        "cleanup_stale_viewers": CLEANUP_SECONDS,
        "remove_old_records": RETENTION_SECONDS,
    }
    return [
        *((job, period, calling(database, job)) for job, period in of_live.items()),
        ("deliver_outbox", OUTBOX_SECONDS, deliver),
        ("fold_ledger", FOLD_SECONDS, fold),
        ("process_payment_events", SETTLE_SECONDS, settlement.process_events),
        ("perform_provider_calls", SETTLE_SECONDS, settlement.perform_calls),
        ("expire_purchases", EXPIRE_SECONDS, expire),
    ]


async def run(
    database: Database, listener: Listener, settlement: Settlement, ending: asyncio.Event
) -> None:
    """Sweep for ever; lead when nobody else does, until `ending`: then others lead at once."""
    sweeper = Sweeper(database, listener)
    periods = leading(database, settlement)

    async def periodic() -> None:
        await asyncio.gather(
            *(repeat(job, period, recorded(database, job, act)) for job, period, act in periods)
        )

    await asyncio.gather(
        repeat("sweep_publish_state", SWEEP_SECONDS, sweeper.sweep),
        until(ending, lead(database, periodic)),
    )


def work(settings: Settings) -> None:
    """Run the jobs only, until interrupted: `livewall worker`."""
    logs.configure(settings.log)
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    database = open_database(settings, size=8)
    provider = open_provider(settings, database)
    settlement = Settlement(database, provider)
    ending = asyncio.Event()
    jobs = run(database, lambda _changes: None, settlement, ending)
    parts = (jobs, settlement.run(), _told_to_end(ending))
    working = [asyncio.create_task(part) for part in parts]
    try:
        over, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(*over)
    finally:
        await end(*working)
        await settlement.finish()
        if provider is not None:
            await provider.close()
        await database.close()


async def _told_to_end(ending: asyncio.Event) -> None:
    """Wait for a signal, which then cuts off nothing that is under way."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    await ending.wait()
