-- What stands beside our schema, is somebody else's, can be used by a role of the API, and acts with other rights than its
-- caller's: a way past policies, or maybe one. `is_seen` says that it is. Run with an empty search_path.
WITH RECURSIVE caller AS (
    SELECT oid FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role', 'authenticator')
), place AS (
    -- A Supabase project's own services keep theirs in schemas of their own.
    SELECT n.oid, n.nspname FROM pg_namespace AS n
    WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' AND n.nspowner::regrole::text NOT LIKE 'supabase\_%'
        AND (n.nspname IN ('public', 'private') OR EXISTS (SELECT FROM caller AS c WHERE has_schema_privilege(c.oid, n.oid, 'USAGE')))
), extended AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relation AS (
    SELECT c.oid, c.relkind, c.relowner, c.reloptions, p.nspname
    FROM pg_class AS c JOIN place AS p ON p.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relowner <> 'livewall_owner'::regrole
        AND ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM extended)
        AND EXISTS (SELECT FROM caller AS r WHERE has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE')
            OR has_table_privilege(r.oid, c.oid, 'DELETE, TRUNCATE'))
), routine AS (
    SELECT f.oid, f.prosecdef, p.nspname
    FROM pg_proc AS f JOIN place AS p ON p.oid = f.pronamespace
    -- What is ours in schema auth is not compared: a Supabase project has its own.
    WHERE (f.proowner <> 'livewall_owner'::regrole OR p.nspname = 'auth' AND f.prosecdef)
        -- Those run as somebody's trigger only: see relations.
        AND f.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
        AND ('pg_proc'::regclass, f.oid) NOT IN (SELECT classid, objid FROM extended)
        AND EXISTS (SELECT FROM caller AS r WHERE has_function_privilege(r.oid, f.oid, 'EXECUTE'))
), reached (oid, classid, objid) AS (
    -- What views look into, through other views.
    SELECT r.oid, 'pg_class'::regclass::oid, r.oid FROM relation AS r WHERE r.relkind IN ('v', 'm')
    UNION
    SELECT r.oid, d.refclassid, d.refobjid
    FROM reached AS r
    JOIN pg_rewrite AS w ON r.classid = 'pg_class'::regclass AND w.ev_class = r.objid
    JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
    WHERE d.refclassid IN ('pg_class'::regclass, 'pg_proc'::regclass)
), acting AS (
    SELECT r.oid, r.nspname,
        CASE r.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind,
        r.oid::regclass::text AS name,
        r.relkind IN ('v', 'm') AND NOT as_caller.is_so AND EXISTS (
            SELECT FROM reached AS t JOIN pg_class AS c ON t.classid = 'pg_class'::regclass AND c.oid = t.objid
            WHERE t.oid = r.oid AND c.relowner = 'livewall_owner'::regrole) AS reads_ours,
        r.relkind = 'f'
            OR EXISTS (SELECT FROM pg_rewrite AS w WHERE w.ev_class = r.oid AND w.rulename <> '_RETURN')
            OR EXISTS (
                SELECT FROM pg_trigger AS t JOIN pg_proc AS f ON f.oid = t.tgfoid
                WHERE t.tgrelid = r.oid AND NOT t.tgisinternal AND f.prosecdef)
            OR EXISTS (
                SELECT FROM reached AS t JOIN pg_proc AS f ON t.classid = 'pg_proc'::regclass AND f.oid = t.objid
                WHERE t.oid = r.oid AND f.prosecdef AND f.proowner <> 'livewall_owner'::regrole
                    AND ('pg_proc'::regclass, f.oid) NOT IN (SELECT classid, objid FROM extended))
            AS acts
    FROM relation AS r
    CROSS JOIN LATERAL (
        SELECT coalesce(bool_or(o.option_value::boolean), false) AS is_so
        FROM pg_options_to_table(r.reloptions) AS o WHERE o.option_name = 'security_invoker') AS as_caller
    UNION ALL
    SELECT f.oid, f.nspname, 'function', f.oid::regprocedure::text, false, f.prosecdef FROM routine AS f
)
SELECT a.kind || ' ' || a.name AS identity, a.reads_ours OR a.nspname = 'private' AS is_seen, a.reads_ours OR a.acts AS acts
FROM acting AS a
ORDER BY 1
