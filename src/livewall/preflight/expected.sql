-- What protects the data, as the catalogs have it: kind, identity, definition. Run with an empty search_path, so that every
-- name comes with its schema; nothing here depends on oids, so any database with the same schema gives the same rows. Schema
-- auth is left out: a Supabase project has its own.
WITH relation AS (
    SELECT c.*, c.oid::regclass::text AS name
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    -- $1 is what the move from the previous schema keeps (kept.py), or nothing.
    WHERE c.relowner = 'livewall_owner'::regrole AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
        AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('auth', $1)
), routine AS (
    SELECT p.*, p.oid::regprocedure::text AS name
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE p.proowner = 'livewall_owner'::regrole AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('auth', $1)
), granted (target, acl, owner) AS (
    SELECT format('%s %s', CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, name), relacl, relowner FROM relation
    UNION ALL
    SELECT format('column %s.%I', r.name, a.attname), a.attacl, r.relowner
    FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid AND NOT a.attisdropped
    UNION ALL
    SELECT format('function %s', name), coalesce(proacl, acldefault('f', proowner)), proowner FROM routine
    UNION ALL
    SELECT format('schema %I', nspname), nspacl, nspowner FROM pg_namespace
    WHERE nspowner = 'livewall_owner'::regrole AND nspname <> 'auth'
)
SELECT 'row security' AS kind, name AS identity, concat_ws(' ', relrowsecurity, relforcerowsecurity) AS definition
FROM relation WHERE relkind IN ('r', 'p')
UNION ALL
SELECT 'view', name, concat_ws(' ', array_to_string(reloptions, ','), pg_get_viewdef(oid)) FROM relation WHERE relkind IN ('v', 'm')
UNION ALL
SELECT 'policy', format('%I on %s', p.polname, r.name), concat_ws(' ', p.polcmd, p.polpermissive,
    (SELECT string_agg(CASE o WHEN 0 THEN 'public' ELSE o::regrole::text END, ',' ORDER BY o::regrole::text) FROM unnest(p.polroles) AS o),
    pg_get_expr(p.polqual, p.polrelid), '/', pg_get_expr(p.polwithcheck, p.polrelid))
FROM pg_policy AS p JOIN relation AS r ON r.oid = p.polrelid
UNION ALL
SELECT 'grant', format('%s on %s to %s', acl.privilege_type, g.target,
    CASE acl.grantee WHEN 0 THEN 'public' ELSE acl.grantee::regrole::text END), acl.is_grantable::text
FROM granted AS g, aclexplode(g.acl) AS acl
WHERE acl.grantee <> g.owner
UNION ALL
SELECT 'function', p.name, concat_ws(' ', l.lanname, p.prosecdef, p.provolatile, p.proisstrict, p.proparallel,
    array_to_string(p.proconfig, ','), pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
    p.prosrc, pg_get_function_sqlbody(p.oid))
FROM routine AS p JOIN pg_language AS l ON l.oid = p.prolang
UNION ALL
SELECT 'trigger', format('%I on %s', t.tgname, r.name), concat_ws(' ', t.tgenabled, pg_get_triggerdef(t.oid))
FROM pg_trigger AS t JOIN relation AS r ON r.oid = t.tgrelid
WHERE NOT t.tgisinternal
UNION ALL
SELECT 'rule', format('%I on %s', w.rulename, r.name), pg_get_ruledef(w.oid)
FROM pg_rewrite AS w JOIN relation AS r ON r.oid = w.ev_class
WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'constraint', format('%I on %s', k.conname, r.name), concat_ws(' ', k.convalidated, pg_get_constraintdef(k.oid))
FROM pg_constraint AS k JOIN relation AS r ON r.oid = k.conrelid
WHERE k.contype IN ('c', 'f', 'p', 'u', 'x')
ORDER BY 1, 2
