"""Whether what a database runs is what we ship, found out by its catalogs: nothing of it is run."""

from livewall.code_catalog import Connection
from livewall.postgres_tools import BackupError
from livewall.preflight.expected import read_expected, read_schema

# What acts when somebody reads: functions, and tables that are views or have rules. Grants,
# policies and constraints do not: check S29 of preflight is for them.
ACTS = ("function ", "view ", "rule ")
TABLE = "row security "
# What was kept from before Livewall is in no way of its functions.
APART = "previous."


async def require_our_code(connection: Connection, version: str) -> None:
    """Raise BackupError unless every function of ours is there as written, and no other beside.

    `version` is that of the Livewall which made the backup.
    """
    expected, found = read_expected(), await read_schema(connection)
    other = sorted(
        name
        for name in expected.keys() | found.keys()
        if name.startswith(ACTS) and expected.get(name) != found.get(name) and not _is_apart(name)
    )
    gone = sorted(name for name in expected if name.startswith(TABLE) and name not in found)
    if other or gone:
        named = ", ".join(name.removeprefix(TABLE) for name in (*gone, *other)[:3])
        raise BackupError(
            f"In the copy {len(gone) + len(other)} functions or tables are not as this Livewall "
            f"makes them ({named}), so nothing in it was run. If it is of another version, restore "
            f"it with that, Livewall {version}; else somebody changed it."
        )


def _is_apart(name: str) -> bool:
    return name.partition(" ")[2].startswith(APART)
