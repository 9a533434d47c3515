"""Roles that a dump names as owner or in a right, besides ours.

A dump has no roles, and can not be restored where one that it names is missing: a role that reads
for statistics, an administrator who owns a table of their own.
"""

from collections.abc import Sequence

from livewall.code_catalog import Connection

# No record says what belongs to the server's first role, which has another name elsewhere.
NAMED = """
SELECT r.rolname FROM pg_shdepend AS d JOIN pg_roles AS r ON r.oid = d.refobjid
WHERE d.refclassid = 'pg_authid'::regclass
    AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (d.objid >= 16384 OR d.classid = 'pg_namespace'::regclass)
    AND d.classid <> 'pg_extension'::regclass
    AND NOT EXISTS (SELECT FROM pg_depend AS e
        WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')
UNION
SELECT r.rolname
FROM pg_roles AS r
JOIN (
    SELECT relowner, 'pg_class'::regclass, oid, relnamespace FROM pg_class
    UNION ALL SELECT proowner, 'pg_proc'::regclass, oid, pronamespace FROM pg_proc
    UNION ALL SELECT typowner, 'pg_type'::regclass, oid, typnamespace FROM pg_type
    UNION ALL SELECT nspowner, 'pg_namespace'::regclass, oid, oid FROM pg_namespace
) AS o (owner, classid, objid, namespace) ON o.owner = r.oid
JOIN pg_namespace AS n ON n.oid = o.namespace
WHERE r.oid = 10 AND o.objid >= 16384 AND n.nspname !~ '^pg_'
    AND NOT EXISTS (SELECT FROM pg_depend AS e
        WHERE e.classid = o.classid AND e.objid = o.objid AND e.deptype = 'e')
ORDER BY 1
"""
# Nobody logs in as it: it has what the dump gives it, and what was its can be its again.
MAKE = """
SELECT format(
    'CREATE ROLE %1$I NOLOGIN NOINHERIT; GRANT %1$I TO %2$I; COMMENT ON ROLE %1$I IS %3$L',
    r, current_user, 'made by livewall restore')
FROM unnest($1::text[]) AS r WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r)
"""


async def read(connection: Connection) -> list[str]:
    """Return the roles that a dump of this database names."""
    return [row[0] for row in await connection.fetch(NAMED)]


async def make_missing(connection: Connection, roles: Sequence[str]) -> None:
    """Make those of the roles that this server does not have, without a login."""
    for (statement,) in await connection.fetch(MAKE, list(roles)):
        await connection.execute(statement)
