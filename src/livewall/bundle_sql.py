"""The statements of a bundle: what migrate.py does by program, written down beforehand.

A file of the Supabase CLI cannot ask the database between two statements, so the asking is in DO
blocks. Nothing here sets or resets a role for the session: the CLI has set one itself.
"""

import re
from itertools import count

from livewall import code_catalog
from livewall.administrator import SEARCH_PATH
from livewall.sql_files import Migration, MigrationError, SqlFile

LOCK_TIMEOUT = "10s"
AS_OWNER = "SELECT pg_catalog.set_config('role', 'livewall_owner', true);"
AS_OPERATOR = (
    "SELECT pg_catalog.set_config('role', pg_catalog.current_setting('livewall.operator'), true);"
)
CREATES = re.compile(r"^CREATE TABLE public\.(\w+)", re.MULTILINE)
TO_USERS = re.compile(
    r"^ +CONSTRAINT (?P<name>\w+) (?P<key>FOREIGN KEY \(\w+\) REFERENCES auth\.users[^,\n]*),\n",
    re.MULTILINE,
)
TABLE_OF = re.compile(r"^CREATE TABLE (public\.\w+) \(", re.MULTILINE)

# Before platform.sql, which asks whether the owner may use schema auth. A hosted project's operator
# may use it and not pass that on; `anon` may too, and is what an operator may pass on.
OWNER = """DO $livewall$
BEGIN
    IF pg_catalog.to_regrole('livewall_owner') IS NULL THEN
        CREATE ROLE livewall_owner NOLOGIN INHERIT;
        COMMENT ON ROLE livewall_owner IS 'created by livewall';
    END IF;
    IF NOT pg_catalog.has_schema_privilege('livewall_owner', 'auth', 'USAGE') THEN
        ALTER ROLE livewall_owner INHERIT;
        GRANT anon TO livewall_owner;
    END IF;
END
$livewall$;"""

# The newest first, and again while that gets further: one may wait for another to go.
DROP_CODE = """DO $livewall$
DECLARE
    todo text[] := ARRAY(
        SELECT CASE kind {drops} END || ' ' || identity
        FROM private.code_objects ORDER BY file DESC, position DESC);
    blocked text[];
    statement text;
BEGIN
    WHILE pg_catalog.cardinality(todo) > 0 LOOP
        blocked := '{{}}';
        FOREACH statement IN ARRAY todo LOOP
            BEGIN
                EXECUTE statement;
            EXCEPTION
                WHEN dependent_objects_still_exist THEN blocked := blocked || statement;
                WHEN undefined_table OR undefined_function OR undefined_column THEN NULL;
            END;
        END LOOP;
        IF pg_catalog.cardinality(blocked) = pg_catalog.cardinality(todo) THEN
            RAISE EXCEPTION 'Something that is not Livewall''s depends on what has to go.'
                USING HINT = 'Drop it first.', DETAIL = pg_catalog.array_to_string(blocked, '; ');
        END IF;
        todo := blocked;
    END LOOP;
    DELETE FROM private.code_objects;
    DELETE FROM private.code_files WHERE file <> 'platform.sql';
END
$livewall$;""".format(  # noqa: S608 - of our own words only, as all here
    drops=" ".join(f"WHEN '{kind}' THEN '{verb}'" for kind, verb in code_catalog.DROP.items())
)

# As code_catalog.create records: what a file brought, but for grants that go with it anyway. What
# was there before, and those grants, are kept under no name until the end.
RECORDER = f"""CREATE FUNCTION private.record_code(p_file text) RETURNS void
LANGUAGE sql SET search_path = ''
AS $livewall_record$
WITH found AS ({code_catalog.SNAPSHOT.strip()}
), fresh AS (
    SELECT * FROM found WHERE NOT EXISTS (
        SELECT FROM private.code_objects AS o
        WHERE o.kind = found.kind AND o.identity = found.identity)
), told AS (
    SELECT fresh.*, CASE WHEN fresh.kind = 'grant' AND EXISTS (
        SELECT FROM fresh AS carrier WHERE carrier.kind <> 'grant'
            AND strpos(fresh.identity, ' ' || carrier.identity || ' FROM ') > 0
    ) THEN '' ELSE p_file END AS file
    FROM fresh
)
INSERT INTO private.code_objects (file, position, kind, identity)
SELECT file, row_number() OVER (PARTITION BY file ORDER BY sequence, identity) - 1
    + (SELECT count(*) FROM private.code_objects AS o WHERE o.file = told.file), kind, identity
FROM told
$livewall_record$;"""  # noqa: S608

VALIDATE = """DO $livewall$
DECLARE
    routine record;
BEGIN
    PERFORM pg_catalog.set_config('check_function_bodies', 'on', true);
    FOR routine IN
        SELECT p.oid, v.proname AS validator
        FROM pg_catalog.pg_proc AS p
        JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
        JOIN pg_catalog.pg_proc AS v ON v.oid = l.lanvalidator
        WHERE p.proowner = 'livewall_owner'::regrole AND l.lanname IN ('sql', 'plpgsql')
            AND p.pronamespace IN ('public'::regnamespace, 'private'::regnamespace)
    LOOP
        EXECUTE pg_catalog.format('SELECT pg_catalog.%I(%s)', routine.validator, routine.oid);
    END LOOP;
END
$livewall$;"""

# As the operator, whose jobs they are to be. Who may give pg_cron none has our leader.
SCHEDULE = """DO $livewall$
BEGIN
    PERFORM private.schedule_by_cron();
EXCEPTION
    WHEN insufficient_privilege THEN NULL;
END
$livewall$;"""


def begin() -> str:
    """Set what holds for this file's transaction, and remember who applies it."""
    settings = {
        "livewall.bundle": "'on'",
        "livewall.operator": "current_user",
        "lock_timeout": f"'{LOCK_TIMEOUT}'",
        "statement_timeout": "'0'",
        "search_path": f"'{SEARCH_PATH}'",
        "check_function_bodies": "'off'",
        "client_min_messages": "'warning'",
    }
    calls = ",\n    ".join(
        f"pg_catalog.set_config('{name}', {value}, true)" for name, value in settings.items()
    )
    return f"SELECT {calls};"


def guard(pending: list[Migration], before: int) -> str:
    """Refuse a database on which this file would not do what it is meant to."""
    names = ", ".join(f"'{name}'" for m in pending for name in CREATES.findall(m.file.text))
    return f"""DO $livewall$
DECLARE
    newest integer := 0;
    operator text := pg_catalog.current_setting('livewall.operator');
    owner text;
    taken text;
BEGIN
    SELECT pg_catalog.pg_get_userbyid(nspowner) INTO owner
    FROM pg_catalog.pg_namespace WHERE nspname = 'private';
    IF owner = 'livewall_owner' THEN
        PERFORM pg_catalog.set_config('role', 'livewall_owner', true);
        SELECT coalesce(max(version), 0) INTO newest FROM private.schema_migrations;
        PERFORM pg_catalog.set_config('role', operator, true);
    ELSIF owner IS NOT NULL THEN
        RAISE EXCEPTION 'Livewall needs a schema private of its own, and this project has one.';
    END IF;
    IF newest <> {before} THEN
        RAISE EXCEPTION 'The schema is at migration %, and this file goes on from {before}.', newest
            USING HINT = 'If it is there already: supabase migration repair --status applied';
    END IF;
    SELECT string_agg(relname, ', ') INTO taken FROM pg_catalog.pg_class
    WHERE relnamespace = 'public'::regnamespace AND relname = ANY (ARRAY[{names}]::text[]);
    IF taken IS NOT NULL THEN
        RAISE EXCEPTION 'This project has tables by the names that Livewall needs: %.', taken;
    END IF;
END
$livewall$;"""  # noqa: S608


def platform(file: SqlFile) -> list[str]:
    """Return platform.sql as part of a transaction that goes on as the owner."""
    text = file.text.rstrip()
    if not text.endswith("\nRESET ROLE;"):
        raise MigrationError("platform.sql: must end as the administrator.")
    return [OWNER, carried(text.removesuffix("RESET ROLE;"), file.label), _insert_file(file)]


def migration(wanted: Migration) -> list[str]:
    """Return the statements that apply and record a versioned file.

    Keys to auth.users are added by the operator: the owner may not refer to a hosted project's.
    """
    file = wanted.file
    keys = [
        f"ALTER TABLE {TABLE_OF.findall(file.text, 0, found.start())[-1]}"
        f" ADD CONSTRAINT {found['name']} {found['key']};"
        for found in TO_USERS.finditer(file.text)
    ]
    text = TO_USERS.sub("", file.text)
    if "REFERENCES auth." in text:
        raise MigrationError(
            f"{file.label}: write each key to auth.users on a line, with other lines after it."
        )
    added = [AS_OPERATOR, *keys, AS_OWNER] if keys else []
    record = (
        "INSERT INTO private.schema_migrations (version, name, checksum)"  # noqa: S608
        f" VALUES ({wanted.version}, '{wanted.name}', '{file.checksum}');"
    )
    return [carried(text, file.label), *added, record]


def record_begin() -> list[str]:
    """Take down what is there before any code."""
    return [RECORDER, "SELECT private.record_code('');"]


def record_code(file: SqlFile) -> str:
    """Take down what a code file brought, as `livewall db migrate` would."""
    return f"SELECT private.record_code('{file.label}');\n{_insert_file(file)}"


def record_end() -> list[str]:
    """Leave only what is to be dropped again."""
    return [
        "DELETE FROM private.code_objects WHERE file = '';",
        "DROP FUNCTION private.record_code(text);",
    ]


def carried(text: str, label: str) -> str:
    """Return one statement that runs a file's statements.

    Splitters stumble over the semicolons of BEGIN ATOMIC, and inside parentheses; over what is
    between two equal dollar tags none looks.
    """
    inner = next(tag for tag in _tags("file") if tag not in text)
    outer = next(tag for tag in _tags("do") if tag not in text)
    return f"-- {label}\nDO {outer}BEGIN EXECUTE {inner}\n{text.rstrip()}\n{inner}; END{outer};"


def _tags(name: str) -> "map[str]":
    return map(f"$livewall_{name}_{{}}$".format, count(1))


def _insert_file(file: SqlFile) -> str:
    return (
        "INSERT INTO private.code_files (file, checksum)"  # noqa: S608
        f" VALUES ('{file.label}', '{file.checksum}')"
        " ON CONFLICT (file) DO UPDATE SET checksum = excluded.checksum;"
    )
