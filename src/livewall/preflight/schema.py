"""S29: what protects the data is there, all of it, and nothing beside it.

What is expected is in `expected.json`; expected.py says how it is made.
"""

from collections import Counter

from livewall.preflight import kept
from livewall.preflight.checks import Result, Site, check, failed, passed
from livewall.preflight.expected import read_expected, read_schema

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

# What a request runs as must not stand above policies; who logs in must not be the owner.
ROLES = """
SELECT r.rolname AS name FROM pg_roles AS r
WHERE (r.rolname IN ('anon', 'authenticated', 'authenticator')
        AND (r.rolsuper OR r.rolcreaterole OR r.rolbypassrls))
    OR (r.rolname IN ('anon', 'authenticated', 'service_role', 'authenticator')
        AND (r.rolsuper OR pg_has_role(r.oid, 'livewall_owner', 'MEMBER')))
ORDER BY 1
"""


@check(
    "S29",
    title="Policies, grants, functions and triggers are as written",
    why="Row Level Security is what keeps one person's rows from another. A policy dropped by "
    "hand, a grant too many or a disabled trigger opens a hole that no test of the code sees.",
    fix="Find out who changed it. Undo a change by hand, then `livewall db migrate` with the "
    "version that the servers run.",
)
async def schema_as_written(at: Site) -> Result:
    """Compares row security, policies, grants, functions, triggers, views and constraints of
    everything that livewall_owner owns with what the packaged SQL makes, each by its definition;
    and sees that no role of the API stands above policies. What is in schema `previous` may be
    there if the audit log says that this database was moved from the previous schema: then
    nobody but its owner may use that schema.
    """
    expected, found = read_expected(), await read_schema(at.admin)
    missing = sorted(expected.keys() - found.keys())
    extra = sorted(found.keys() - expected.keys())
    changed = sorted(
        name for name in expected.keys() & found.keys() if expected[name] != found[name]
    )
    roles: list[str] = [row["name"] for row in await at.admin.fetch(ROLES)]
    wrong = [
        *(f"missing: {name}" for name in missing),
        *(f"changed: {name}" for name in changed),
        *(f"not ours: {name}" for name in extra),
        *(f"stands above policies: role {name}" for name in roles),
    ]
    if wrong:
        more = f", and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        return failed(
            f"{'; '.join(wrong[:NAMED])}{more}",
            missing=missing,
            changed=changed,
            extra=extra,
            roles=roles,
        )
    kinds = Counter(_kind(name) for name in found)
    counted = ", ".join(f"{kinds[kind]} {word}" for kind, word in KINDS.items() if kinds[kind])
    left = await kept.words(at.admin)
    return passed(f"as written: {counted}{left}", compared=dict(kinds))


def _kind(name: str) -> str:
    """Return the kind of an item; `row security` is the only one of two words."""
    return "row security" if name.startswith("row security ") else name.partition(" ")[0]
