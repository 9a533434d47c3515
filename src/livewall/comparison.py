"""Where a restored database is not what its manifest says, in words."""

from collections.abc import Iterator

from livewall.backup import Manifest, Physical
from livewall.contents import Contents
from livewall.dump_rows import BOOKKEEPING, USERS

MOST_NAMED = 10


def differences(manifest: Manifest, found: Contents) -> list[str]:
    """Return one line for each difference, none if all is as it was.

    A dump is of one moment and has to be the same. A copy of a cluster is of a moment between two.
    """
    if manifest.physical is None:
        return _from_one_moment(manifest.contents, found)
    return _from_between(manifest.contents, manifest.physical, found)


def _from_one_moment(said: Contents, found: Contents) -> list[str]:
    wrong = [
        *_unequal("rows of", _told(said.rows, said.rows), _told(found.rows, said.rows)),
        *_unequal("balance of", said.balances, found.balances),
    ]
    if said.head != found.head:
        wrong.append(f"head: {said.head.hash} when backed up, {found.head.hash} restored")
    return [*wrong, *_each_unequal(said, found)]


def _told(rows: dict[str, int], said: dict[str, int]) -> dict[str, int]:
    """Leave out what tells of this Livewall, not of the backup: the tables that migrating writes,
    and accounts, where those were somebody else's and not counted.
    """
    passed_over = BOOKKEEPING if USERS in said else BOOKKEEPING | {USERS}
    return {name: count for name, count in rows.items() if name not in passed_over}


def _from_between(before: Contents, physical: Physical, found: Contents) -> list[str]:
    """Compare with what the database held before and after it was copied.

    Seals only follow each other, and rows of some tables only grow in number: what comes back lies
    between. Where no money moved meanwhile the balances have to be the same; where it did, they
    follow from the entries, which the proof recomputes and the seal vouches for.
    """
    after = physical.after
    wrong = [
        *_no_seal_of_then(before, physical, found),
        *(f"table {name} is missing" for name in sorted(before.rows.keys() - found.rows.keys())),
        *_out_of_bounds(physical.growing, before.rows, after.rows, found.rows),
    ]
    if _no_money_moved(before, after, physical.growing):
        wrong += _unequal("balance of", before.balances, found.balances)
        wrong += _each_unequal(before, found)
    return wrong


def _no_money_moved(before: Contents, after: Contents, growing: list[str]) -> bool:
    """Say whether nothing was posted and nothing folded: that would add a row, or a seal."""
    return before.head == after.head and all(
        before.rows.get(table) == after.rows.get(table) for table in growing
    )


def _no_seal_of_then(before: Contents, physical: Physical, found: Contents) -> Iterator[str]:
    at = found.head.number - before.head.number
    there = physical.seals[at : at + 1] if at >= 0 else []
    if there != [found.head.hash]:
        yield (
            f"head: {found.head.hash} restored is none of the {len(physical.seals)} that there "
            "were while it was copied"
        )


def _out_of_bounds(
    tables: list[str], before: dict[str, int], after: dict[str, int], found: dict[str, int]
) -> Iterator[str]:
    for table in tables:
        least, most = before.get(table, 0), after.get(table, 0)
        if not least <= found.get(table, 0) <= most:
            yield (
                f"rows of {table}: {least:,} to {most:,} while it was copied, "
                f"{_number(found.get(table))} restored"
            )


def _each_unequal(said: Contents, found: Contents) -> list[str]:
    if said.each_balance == found.each_balance:
        return []
    return ["balances: somebody's is another than when backed up"]


def _unequal(what: str, said: dict[str, int], found: dict[str, int]) -> Iterator[str]:
    names = [n for n in sorted(said.keys() | found.keys()) if said.get(n) != found.get(n)]
    for name in names[:MOST_NAMED]:
        yield (
            f"{what} {name}: {_number(said.get(name))} when backed up, "
            f"{_number(found.get(name))} restored"
        )
    if names[MOST_NAMED:]:
        yield f"{what} {len(names) - MOST_NAMED} more"


def _number(value: int | None) -> str:
    return "none" if value is None else f"{value:,}"
