-- What every feature stands on: one clock, one row of rules, text and name normalisation, job records.

-- The only clock. Tests replace it by one they control; nothing else reads the time.
CREATE FUNCTION private.clock() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN clock_timestamp();

-- The figures of the publish-state rules, in one row, so that SQL, tests and documents read the same ones.
CREATE TABLE private.settings (
    only_row boolean PRIMARY KEY DEFAULT true,
    viewer_silence interval NOT NULL DEFAULT '60 seconds',
    linger interval NOT NULL DEFAULT '5 seconds',
    minimum_on_time interval NOT NULL DEFAULT '10 seconds',
    restart_grace interval NOT NULL DEFAULT '15 seconds',
    lease_time interval NOT NULL DEFAULT '60 seconds',
    max_off_transitions integer NOT NULL DEFAULT 4,
    max_tiles integer NOT NULL DEFAULT 12,
    max_active_tiles integer NOT NULL DEFAULT 4,
    max_sessions integer NOT NULL DEFAULT 8,
    guests_may_go_live boolean NOT NULL DEFAULT false,
    CONSTRAINT settings_only_one_row CHECK (only_row),
    CONSTRAINT settings_off_transitions_leave_one_for_the_streamer CHECK (max_off_transitions >= 2)
);
INSERT INTO private.settings DEFAULT VALUES;

-- Text as people see it, on one line: composed, without control, zero-width and direction-changing characters, and
-- without stacks of combining marks. A zero-width joiner survives only in front of a pictograph, where it builds emoji.
CREATE FUNCTION private.clean_text(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN btrim(
    regexp_replace(
        regexp_replace(
            regexp_replace(
                normalize(p_text, NFC),
                '[\u0001-\u0008\u000E-\u001F\u007F-\u009F\u00AD\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180E\u200B\u200C\u200E\u200F'
                '\u202A-\u202E\u2060-\u206F\u3164\uFEFF\uFFA0\uFFF0-\uFFFB\U000E0000-\U000E0FFF]'
                '|\u200D(?![\u2600-\u27BF\U0001F000-\U0001FAFF])',
                '', 'g'),
            '([\u0300-\u036F\u0483-\u0489\u1AB0-\u1AFF\u1DC0-\u1DFF\u20D0-\u20FF]{3})'
            '[\u0300-\u036F\u0483-\u0489\u1AB0-\u1AFF\u1DC0-\u1DFF\u20D0-\u20FF]+',
            '\1', 'g'),
        '\s+', ' ', 'g'));

-- Two names with the same skeleton look alike, so only one of them may exist.
CREATE FUNCTION private.name_skeleton(p_name text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN translate(replace(replace(translate(lower(p_name), '._', ''), 'rn', 'm'), 'vv', 'w'), '01', 'ol');

-- Defaults, generated columns and constraints are computed with the rights of whoever writes the row.
GRANT EXECUTE ON FUNCTION private.clock, private.clean_text, private.name_skeleton TO anon, authenticated, service_role;

-- When each periodic job last ran, for operators and for the production checklist.
CREATE TABLE private.job_runs (
    job text PRIMARY KEY,
    runs bigint NOT NULL DEFAULT 0,
    failures bigint NOT NULL DEFAULT 0,
    last_run_at timestamptz NOT NULL,
    last_success_at timestamptz,
    last_milliseconds integer NOT NULL
) WITH (fillfactor = 50);

-- A start of a server gives clients one heartbeat period to come back (private.grace_until reads it).
CREATE TABLE private.server_starts (
    server_id uuid PRIMARY KEY,
    started_at timestamptz NOT NULL
);
