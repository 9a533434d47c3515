"""P7 to P13: what is kept is up to date, safe on disk, backed up, and adds up."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from livewall.code_catalog import Connection
from livewall.migrate import pending_work
from livewall.preflight.checks import NotProven, Result, Site, check, failed, not_proven, passed
from livewall.sql_files import MigrationError

BACKUP_AT_MOST = timedelta(hours=24)
# A clock that is further ahead is wrong, or the manifest lies.
AHEAD_AT_MOST = timedelta(minutes=5)
SKEW_AT_MOST = 2.0
FREE_AT_LEAST = 0.10
ELSEWHERE = "Look there, or in your provider's console, that a tenth of its disk is free."
FREE_BYTES_AT_LEAST = 2 * 2**30
HEAD_CHECK = "exported_head_is_in_the_chain"
# A head says nothing if the seals around it do not hold.
SEALS = ("seals_chain", "sealed_exactly_once")

# What each has to be so that what was committed is there after a power cut.
DURABLE = {
    "fsync": {"on"},
    "full_page_writes": {"on"},
    "synchronous_commit": {"on", "local", "remote_write", "remote_apply"},
}


@check(
    "P7",
    title="The database is up to date with the code",
    why="Servers of one version refuse to start on the schema of another.",
    fix="livewall db migrate",
)
async def migrations(at: Site) -> Result:
    """Compares the migrations and code files that were applied with those of this version."""
    try:
        pending = await pending_work(at.admin)
    except MigrationError as error:
        return failed(str(error), "Run preflight and servers of one and the same version.")
    if pending:
        return failed(f"to be applied: {', '.join(pending)}", pending=list(pending))
    return passed("every migration and code file of this version is applied")


@check(
    "P8",
    title="What was committed survives a power cut",
    why="With one of these off the last purchases before a crash are gone, or the whole database.",
    fix="ALTER SYSTEM SET fsync = on, the same for full_page_writes and synchronous_commit, then "
    "SELECT pg_reload_conf(); see that no role or database has another value of its own.",
)
async def durability(at: Site) -> Result:
    """Reads fsync, full_page_writes and synchronous_commit as the server's own connections have
    them.
    """
    connection = at.web or at.admin
    names = list(DURABLE)
    rows = await connection.fetch(
        "SELECT name, current_setting(name) AS value FROM unnest($1::text[]) AS name", names
    )
    result = judge_durability({row["name"]: row["value"] for row in rows})
    if result.status == "pass" and at.web is None:
        return not_proven(
            f"{result.evidence} for the administrator, but the server's role can not log in here",
            "Run it with the settings that the server has.",
            **result.facts,
        )
    return result


def judge_durability(found: dict[str, str]) -> Result:
    """Say whether these values keep what was committed."""
    said = ", ".join(f"{name} {value}" for name, value in found.items())
    if all(found.get(name) in good for name, good in DURABLE.items()):
        return passed(said, **found)
    return failed(said, **found)


@check(
    "P9",
    title="There is a backup of the last 24 hours",
    why="A disk dies, a command is mistyped. What is not copied elsewhere is gone.",
    fix="Make one every day, keep it on another machine, and try once whether it can be restored.",
)
async def backup(at: Site) -> Result:
    """Reads when the newest complete backup was taken, dump or copy, and sees that its files are
    there in the size that they had: in the folder given with `--backups`, else where the last one
    was made with this data folder. Whether it comes back, only a drill says.
    """
    newest = at.newest_backup()
    if newest is None:
        return not_proven(
            "no folder with backups is known",
            "Make one, `livewall backup FOLDER`, or name where they are: --backups FOLDER",
        )
    age = datetime.now(UTC) - newest
    hours = round(age.total_seconds() / 3600, 1)
    if age < -AHEAD_AT_MOST:
        return failed(
            f"the newest says that it was taken {-hours:g} hours from now",
            "Look which clock is wrong, or who wrote that manifest; then take another backup.",
            hours=hours,
        )
    if age > BACKUP_AT_MOST:
        return failed(f"the newest is {hours:g} hours old", hours=hours)
    return passed(f"the newest is {hours:g} hours old", hours=hours)


@check(
    "P10",
    title="Server and database agree on the time",
    why="Tokens, signatures of reports and deadlines compare the time of both.",
    fix="Run chrony or another NTP client on both machines.",
)
async def clock(at: Site) -> Result:
    """Asks the database for its time and compares it with this machine's, less the way there."""
    before = time.time()
    theirs: float = await at.admin.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    after = time.time()
    skew = round(max(before - theirs, theirs - after, 0.0), 3)
    if skew > SKEW_AT_MOST:
        return failed(f"{skew:g} s apart, {SKEW_AT_MOST:g} s are the most", seconds=skew)
    return passed(f"at most {skew + after - before:.3f} s apart", seconds=skew)


@check(
    "P11",
    title="The disk of the database has room",
    why="A full disk stops every purchase and every sign-in at once.",
    fix="Free or add space: a tenth of the disk and 2 GB are the least.",
)
async def disk(at: Site) -> Result:
    """Looks at the disk of the database's data folder, where the database is on this machine. For
    that the role in DATABASE_URL has to be a member of pg_read_all_settings, or a superuser.
    """
    folder = await _data_folder(at)
    total, free = at.space(folder)
    said = f"{free / 2**30:,.1f} of {total / 2**30:,.1f} GB are free in {folder}"
    facts = {"folder": str(folder), "total": total, "free": free}
    if free < max(total * FREE_AT_LEAST, FREE_BYTES_AT_LEAST):
        return failed(said, **facts)
    return passed(said, **facts)


async def _data_folder(at: Site) -> Path:
    """Return the database's folder: its own account of it, seen on this machine.

    Raises NotProven if it can not be seen from here.
    """
    if at.is_embedded:
        return at.settings.data_path
    address = await at.admin.fetchval("SELECT host(inet_server_addr())")
    if address not in (None, "127.0.0.1", "::1"):
        raise NotProven(
            f"the database is at {address}, whose disk is not seen from here", ELSEWHERE
        )
    try:
        folder = Path(await _shown(at.admin, "data_directory"))
    except asyncpg.InsufficientPrivilegeError:
        role = await at.admin.fetchval("SELECT quote_ident(current_user)")
        raise NotProven(
            f"role {role} may not read where the data is",
            f"GRANT pg_read_all_settings TO {role}, as a superuser; or look at the disk yourself.",
        ) from None
    if not _is_here(folder):
        raise NotProven(f"its folder {folder} is not seen from here", ELSEWHERE)
    return folder


def _is_here(folder: Path) -> bool:
    try:
        return folder.exists()
    except OSError:
        return False


async def _shown(connection: Connection, setting: str) -> str:
    return await connection.fetchval("SELECT current_setting($1)", setting)


@check(
    "P12",
    title="The ledger adds up",
    why="It is the proof that no coin was made or lost.",
    fix="`livewall ledger verify` prints every check; stop selling until you know why it differs.",
)
async def ledger_adds_up(at: Site) -> Result:
    """Recomputes every balance, seal and purchase from the entries, as `livewall ledger verify`
    does: some 20 seconds for a million entries.
    """
    checks = [made for made in await at.prove() if made.check != HEAD_CHECK]
    wrong = [made for made in checks if not made.is_ok]
    if wrong:
        return failed(
            "; ".join(f"{made.check}: {made.detail}" for made in wrong),
            wrong=[made.check for made in wrong],
        )
    return passed(f"{len(checks)} checks, no drift", checks=[made.check for made in checks])


@check(
    "P13",
    title="Nothing was rewritten since the head that you kept",
    why="Whoever owns the database can rewrite all of it, seals included. Only a head kept where "
    "they can not reach shows it.",
    fix="Compare with other heads that you kept, from the newest back, to see since when; restore "
    "from a backup of that time and look what differs.",
)
async def head_unchanged(at: Site) -> Result:
    """Looks for the head given with `--head` in the chain of seals, which is recomputed, and sees
    that every seal of it matches its transactions: in one that was rewritten an old head may stand.
    """
    if not at.head:
        return not_proven(
            "no head was given to compare with",
            "Keep `livewall ledger head` elsewhere every day, and give it: --head HASH",
        )
    proof = {made.check: made for made in await at.prove()}
    broken = [proof[name] for name in SEALS if name in proof and not proof[name].is_ok]
    if broken:
        said = "; ".join(made.detail for made in broken)
        return failed(f"what was sealed is not what was posted: {said}", head=at.head)
    if HEAD_CHECK not in proof:
        return passed("it is the head of an empty ledger: everything came later", head=at.head)
    if not proof[HEAD_CHECK].is_ok:
        return failed(proof[HEAD_CHECK].detail, head=at.head)
    return passed(f"{at.head[:12]}... is in the chain", head=at.head)
