"""S30 and S31: the periodic jobs are scheduled, and were seen to run in time."""

from dataclasses import dataclass

from asyncpg import Record

from livewall.jobs import CLEANUP_SECONDS, LEADER_PID, RECONCILE_SECONDS
from livewall.preflight.checks import Result, Site, check, failed, passed

# A run may end late, and the next one be under way: so many periods, and then it is late.
PERIODS = 2.5

RUN = """
SELECT j.runs, j.failures, extract(epoch FROM private.clock() - j.last_success_at)::float8 AS age,
    extract(epoch FROM private.clock() - j.cron_success_at)::float8 AS cron_age
FROM private.job_runs AS j WHERE j.job = $1
"""
CRON = """
SELECT e.extversion AS version, private.cron_knows_seconds(e.extversion) AS knows_seconds
FROM pg_extension AS e WHERE e.extname = 'pg_cron'
"""
WORKER = (
    "Start `livewall serve` or `livewall worker` (its log says why a job fails), wait a minute, "
    "and run this again. Where pg_cron is to do it alone, `livewall db migrate` schedules it."
)


@dataclass(frozen=True)
class _Cron:
    """pg_cron as this job sees it: `version` is None where there is none."""

    version: str | None
    knows_seconds: bool
    ran_in_time: bool

    def told(self, *, is_led: bool) -> str:
        """Say who runs the job, as the end of a sentence; nothing where there is no pg_cron."""
        if self.version is None:
            return ""
        if self.ran_in_time:
            others = "our leader" if is_led else "nobody else: no process leads the other jobs"
            return f", by pg_cron {self.version} and {others}"
        if not self.knows_seconds:
            return f", by our leader: pg_cron {self.version} has no seconds (1.5 has) and no jobs"
        return f", by our leader: pg_cron {self.version} has not run it lately"


async def _look(at: Site, job: str, limit: float) -> tuple[Record | None, _Cron]:
    """Return the record of a job, and how pg_cron has a part in it."""
    async with at.admin.transaction(readonly=True):
        await at.admin.execute("SET LOCAL ROLE livewall_owner")
        run = await at.admin.fetchrow(RUN, job)
        cron = await at.admin.fetchrow(CRON)
    cron_age: float | None = None if run is None else run["cron_age"]
    return run, _Cron(
        version=None if cron is None else cron["version"],
        knows_seconds=cron is not None and cron["knows_seconds"],
        ran_in_time=cron is not None and cron_age is not None and cron_age <= limit,
    )


async def _seen_to_run(at: Site, job: str, period: float) -> Result:
    limit = period * PERIODS
    run, cron = await _look(at, job, limit)
    is_led = await at.admin.fetchval(LEADER_PID) is not None
    if run is None or run["age"] is None:
        return failed(f"{job} has never run well", job=job)
    age = round(run["age"], 1)
    facts = {"job": job, "period": period, "age": age, "runs": run["runs"], "led": is_led}
    facts |= {"cron": cron.version, "by_cron": cron.ran_in_time}
    if age > limit:
        return failed(f"{job} last ran {age:g} s ago, {limit:g} s are the most", **facts)
    if not is_led and not cron.ran_in_time:
        return failed(f"{job} ran {age:g} s ago, but no process holds the jobs' lock now", **facts)
    seen = f"{job} runs every {period:g} s, {run['runs']} times, {age:g} s ago"
    return passed(seen + cron.told(is_led=is_led), **facts)


@check(
    "S30",
    title="The publish job is scheduled and runs",
    why="It follows whatever was written past the functions. Without it a camera may stay on with "
    "nobody watching, or off with somebody waiting.",
    fix=WORKER,
)
async def publish_job(at: Site) -> Result:
    """Sees that a process leads the jobs, or that pg_cron does this one, and that
    update_publish_state_from_viewers, every 12 seconds, ran well within the last 30. Where there is
    pg_cron it says which version, and whether it takes part.
    """
    return await _seen_to_run(at, "update_publish_state_from_viewers", RECONCILE_SECONDS)


@check(
    "S31",
    title="The cleanup job is scheduled and runs",
    why="Records of viewers who fell silent pile up without it, and every count reads past them.",
    fix=WORKER,
)
async def cleanup_job(at: Site) -> Result:
    """Sees that a process leads the jobs, or that pg_cron does this one, and that
    cleanup_stale_viewers, every 45 seconds, ran well within the last 112. Where there is pg_cron it
    says which version, and whether it takes part.
    """
    return await _seen_to_run(at, "cleanup_stale_viewers", CLEANUP_SECONDS)
