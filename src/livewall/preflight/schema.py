"""S29: what protects the data is there, all of it, and nothing beside it leads around it.

What is expected is in `expected.json`; expected.py says how it is made. `others.sql` finds what
others have made.
"""

from collections import Counter
from pathlib import Path

from livewall.code_catalog import Connection
from livewall.preflight import kept
from livewall.preflight.checks import Result, Site, check, failed, not_proven, passed
from livewall.preflight.differences import read_differences
from livewall.preflight.expected import read_expected, read_schema

OTHERS = Path(__file__).with_name("others.sql")
# So many differences are named in the line for people; the facts have all of them.
NAMED = 3
KINDS = {
    "row security": "tables",
    "policy": "policies",
    "grant": "grants",
    "function": "functions",
    "trigger": "triggers",
    "view": "views",
    "constraint": "constraints",
}
LOOK = (
    "Read what they do. Then let them act as their caller (SECURITY INVOKER; for a view "
    "security_invoker = on), or take them from PUBLIC, anon, authenticated and service_role, or "
    "move them to a schema that these may not use: policies and triggers find them there."
)

# What a request runs as must not stand above policies; who logs in must not be the owner.
ROLES = """
SELECT r.rolname AS name FROM pg_roles AS r
WHERE r.rolname IN ('anon', 'authenticated', 'authenticator')
        AND (r.rolsuper OR r.rolcreaterole OR r.rolbypassrls)
    OR r.rolname IN ('anon', 'authenticated', 'service_role', 'authenticator') AND EXISTS (
        SELECT FROM pg_roles AS above
        WHERE (above.rolsuper OR above.rolname IN ('livewall_owner', 'pg_read_all_data',
            'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
            'pg_execute_server_program'))
            AND pg_has_role(r.oid, above.oid, 'MEMBER'))
ORDER BY 1
"""


@check(
    "S29",
    title="Policies, grants, functions and triggers are as written",
    why="Row Level Security is what keeps one person's rows from another. A policy dropped by "
    "hand, a grant too many, a disabled trigger or a view beside it opens a hole that no test of "
    "the code sees.",
    fix="Find out who changed it; `livewall preflight --only S29 --json` has each as it is and as "
    "it should be. Then `livewall db repair`, of the version that the servers run, makes it again. "
    "Drop what leads around policies, or let it act as its caller.",
)
async def schema_as_written(at: Site) -> Result:
    """Compares row security, policies, grants, functions, triggers, rules, views and constraints
    of everything that livewall_owner owns with what the packaged SQL makes, each by its
    definition; sees that no role of the API stands above policies; and looks at what others have
    made where roles of the API can use it. Their tables, and functions and views that act as
    their caller, may be there, and so may what an extension brought and what a Supabase project
    keeps in schemas of its own services. A view that reads our tables as its owner fails, and so
    does whatever is in schema private. A function that is SECURITY DEFINER, or a table with such
    a trigger, is not proven: nothing says from here what it does. What is in schema `previous`
    may be there if the audit log says that this database was moved from the previous schema:
    then nobody but its owner may use that schema.
    """
    expected, found = read_expected(), await read_schema(at.admin)
    beside, leading, unknown = await _beside(at.admin)
    facts: dict[str, list[str]] = {
        "missing": sorted(expected.keys() - found.keys()),
        "changed": sorted(
            name for name in expected.keys() & found.keys() if expected[name] != found[name]
        ),
        "extra": sorted(found.keys() - expected.keys()),
        "roles": [row["name"] for row in await at.admin.fetch(ROLES)],
        "leading": leading,
        "unknown": unknown,
        "beside": beside,
    }
    wrong = [
        *(f"missing: {name}" for name in facts["missing"]),
        *(f"changed: {name}" for name in facts["changed"]),
        *(f"not ours: {name}" for name in facts["extra"]),
        *(f"stands above policies: role {name}" for name in facts["roles"]),
        *(f"leads around policies: {name}" for name in leading),
    ]
    if wrong:
        return failed(_named(wrong, "; "), **facts, differences=await read_differences(at.admin))
    if unknown:
        return not_proven(
            f"made by others, and acts as somebody else than its caller: {_named(unknown, ', ')}",
            LOOK,
            **facts,
        )
    kinds = Counter(_kind(name) for name in found)
    counted = ", ".join(f"{kinds[kind]} {word}" for kind, word in KINDS.items() if kinds[kind])
    others = f"; {len(beside)} of others act as their caller" if beside else ""
    left = await kept.words(at.admin)
    return passed(f"as written: {counted}{left}{others}", compared=dict(kinds), beside=beside)


async def _beside(admin: Connection) -> tuple[list[str], list[str], list[str]]:
    """Return what others made: what acts as its caller, what leads around policies, and what may.

    Only what a role of the API can use.
    """
    async with admin.transaction(readonly=True):
        await admin.execute("SET LOCAL search_path = ''")
        rows = await admin.fetch(OTHERS.read_text(encoding="utf-8"))
    return (
        [row["identity"] for row in rows if not row["is_seen"] and not row["acts"]],
        [row["identity"] for row in rows if row["is_seen"]],
        [row["identity"] for row in rows if row["acts"] and not row["is_seen"]],
    )


def _named(items: list[str], between: str) -> str:
    """Return the first of them, and how many more there are."""
    more = f", and {len(items) - NAMED} more (see --json)" if len(items) > NAMED else ""
    return between.join(items[:NAMED]) + more


def _kind(name: str) -> str:
    """Return the kind of an item; `row security` is the only one of two words."""
    return "row security" if name.startswith("row security ") else name.partition(" ")[0]
