"""S30 and S31: the periodic jobs are scheduled, and were seen to run in time."""

from livewall.jobs import CLEANUP_SECONDS, LEADER_LOCK, RECONCILE_SECONDS
from livewall.preflight.checks import Result, Site, check, failed, passed

# A run may end late, and the next one be under way: so many periods, and then it is late.
PERIODS = 2.5

# A 64-bit advisory lock stands in pg_locks in two halves.
LEADER = """
SELECT EXISTS (
    SELECT FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()
        AND l.classid::bigint = $1::bigint >> 32 AND l.objid::bigint = $1 & 4294967295
        AND l.objsubid = 1)
"""
RUN = """
SELECT j.runs, j.failures, extract(epoch FROM private.clock() - j.last_success_at)::float8 AS age
FROM private.job_runs AS j WHERE j.job = $1
"""
WORKER = (
    "Start `livewall serve` or `livewall worker` (its log says why a job fails), wait a minute, "
    "and run this again."
)


async def _seen_to_run(at: Site, job: str, period: float) -> Result:
    async with at.admin.transaction(readonly=True):
        await at.admin.execute("SET LOCAL ROLE livewall_owner")
        run = await at.admin.fetchrow(RUN, job)
    is_led: bool = await at.admin.fetchval(LEADER, LEADER_LOCK)
    if run is None or run["age"] is None:
        return failed(f"{job} has never run well", job=job)
    age, limit = round(run["age"], 1), period * PERIODS
    facts = {"job": job, "period": period, "age": age, "runs": run["runs"], "led": is_led}
    if age > limit:
        return failed(f"{job} last ran {age:g} s ago, {limit:g} s are the most", **facts)
    if not is_led:
        return failed(f"{job} ran {age:g} s ago, but no process holds the jobs' lock now", **facts)
    return passed(f"{job} runs every {period:g} s, {run['runs']} times, {age:g} s ago", **facts)


@check(
    "S30",
    title="The publish job is scheduled and runs",
    why="It follows whatever was written past the functions. Without it a camera may stay on with "
    "nobody watching, or off with somebody waiting.",
    fix=WORKER,
)
async def publish_job(at: Site) -> Result:
    """Sees that a process leads the jobs and that update_publish_state_from_viewers, every 12
    seconds, ran well within the last 30.
    """
    return await _seen_to_run(at, "update_publish_state_from_viewers", RECONCILE_SECONDS)


@check(
    "S31",
    title="The cleanup job is scheduled and runs",
    why="Records of viewers who fell silent pile up without it, and every count reads past them.",
    fix=WORKER,
)
async def cleanup_job(at: Site) -> Result:
    """Sees that a process leads the jobs and that cleanup_stale_viewers, every 45 seconds, ran
    well within the last 112.
    """
    return await _seen_to_run(at, "cleanup_stale_viewers", CLEANUP_SECONDS)
