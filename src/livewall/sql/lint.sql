-- House rules of the schema. No row is a pass. `livewall db lint` runs them; sql_lint.py says how.

-- rule: rls_enabled
-- why: a table without Row Level Security shows every row to whoever may read the table.
-- fix: ALTER TABLE ... ENABLE ROW LEVEL SECURITY in the migration that creates it.
SELECT c.oid::regclass AS object
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
ORDER BY 1;

-- rule: grant_has_policy
-- why: a granted verb without a policy for that role does nothing, and looks as if it did.
-- fix: write the policy <table>_<verb>_<who>, or take the grant away.
SELECT DISTINCT format('%s: %s to %s', c.oid::regclass, acl.privilege_type, r.rolname) AS object
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT grantee, privilege_type FROM aclexplode(c.relacl)
    UNION
    SELECT x.grantee, x.privilege_type FROM pg_attribute AS a, aclexplode(a.attacl) AS x
    WHERE a.attrelid = c.oid AND NOT a.attisdropped
) AS acl
JOIN pg_roles AS r ON r.oid = acl.grantee
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
    AND r.rolname IN ('anon', 'authenticated', 'service_role')
    AND acl.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    AND NOT EXISTS (
        SELECT FROM pg_policies AS p
        WHERE p.schemaname = n.nspname AND p.tablename = c.relname
            AND p.cmd IN (acl.privilege_type, 'ALL')
            AND p.roles && ARRAY[r.rolname, 'public']::name[]
    )
ORDER BY 1;

-- rule: policy_has_grant
-- why: a policy for a role that has no grant is dead text that reads like a permission.
-- fix: grant the verb beside the policy, or drop the policy.
SELECT format('%I on %I.%I for %s', p.policyname, p.schemaname, p.tablename, r.rolname) AS object
FROM pg_policies AS p
JOIN pg_roles AS r ON r.rolname = ANY (p.roles)
WHERE p.schemaname = 'public' AND p.cmd <> 'ALL'
    AND NOT CASE p.cmd
        WHEN 'DELETE'
        THEN has_table_privilege(r.oid, format('%I.%I', p.schemaname, p.tablename), 'DELETE')
        ELSE has_any_column_privilege(r.oid, format('%I.%I', p.schemaname, p.tablename), p.cmd)
    END
ORDER BY 1;

-- rule: definer_search_path
-- why: whoever calls it could shadow a type that it names; with an empty search_path the caller's pg_temp comes first.
-- fix: SET search_path = pg_catalog, pg_temp on the function, and write every other name with its schema.
SELECT p.oid::regprocedure AS object
FROM pg_proc AS p
WHERE p.proowner = 'livewall_owner'::regrole
    AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), NOT p.prosecdef AND p.proconfig IS NULL)
ORDER BY 1;

-- rule: function_not_public
-- why: EXECUTE for PUBLIC is EXECUTE for anon, and for every role that will ever exist.
-- fix: REVOKE EXECUTE ... FROM PUBLIC; then grant it to the roles that need it by name.
SELECT p.oid::regprocedure AS object
FROM pg_proc AS p
WHERE p.proowner = 'livewall_owner'::regrole
    AND EXISTS (
        SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS acl
        WHERE acl.grantee = 0
    )
ORDER BY 1;

-- rule: no_privilege_past_policies
-- why: TRUNCATE, REFERENCES, TRIGGER and MAINTAIN are not subject to policies.
-- fix: REVOKE them from this role by name.
SELECT format('%s: %s to %s', c.oid::regclass, acl.privilege_type,
    CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END) AS object
FROM pg_class AS c, aclexplode(c.relacl) AS acl
WHERE c.relowner = 'livewall_owner'::regrole AND acl.grantee <> c.relowner
    AND acl.privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN')
ORDER BY 1;

-- rule: nothing_to_public
-- why: what PUBLIC may do on a table or column, anon may do.
-- fix: grant to the roles that need it by name.
SELECT format('%s: %s', object, privilege) AS object
FROM (
    SELECT c.oid::regclass::text, acl.privilege_type, acl.grantee
    FROM pg_class AS c, aclexplode(c.relacl) AS acl
    WHERE c.relowner = 'livewall_owner'::regrole
    UNION ALL
    SELECT format('%s.%I', c.oid::regclass, a.attname), acl.privilege_type, acl.grantee
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid, aclexplode(a.attacl) AS acl
    WHERE c.relowner = 'livewall_owner'::regrole
) AS granted (object, privilege, grantee)
WHERE grantee = 0
ORDER BY 1;

-- rule: policy_name
-- why: a policy's name should say what it allows: <table>_<verb>_<who>.
-- fix: rename it, such as profiles_update_own.
SELECT format('%I on %I.%I', p.policyname, p.schemaname, p.tablename) AS object
FROM pg_policies AS p
WHERE p.schemaname IN ('public', 'private')
    AND p.policyname !~ ('^' || p.tablename || '_' || lower(p.cmd) || '_[a-z_]+$')
ORDER BY 1;

-- rule: one_permissive_policy
-- why: permissive policies add up: with two of them neither says what is allowed, and both are evaluated.
-- fix: write one policy per table, role and verb.
SELECT format('%I.%I: %s for %s (%s)', p.schemaname, p.tablename, verb, role,
    string_agg(p.policyname, ', ' ORDER BY p.policyname)) AS object
FROM pg_policies AS p
CROSS JOIN LATERAL unnest(p.roles) AS role
CROSS JOIN LATERAL unnest(
    CASE p.cmd WHEN 'ALL' THEN ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] ELSE ARRAY[p.cmd] END
) AS verb
WHERE p.permissive = 'PERMISSIVE' AND p.schemaname IN ('public', 'private')
GROUP BY p.schemaname, p.tablename, verb, role
HAVING count(*) > 1
ORDER BY 1;

-- rule: uid_once_per_statement
-- why: a bare function call in a policy runs for every row, 14 times as slow in a scan.
-- fix: write (SELECT auth.uid()), and the same for other functions without arguments from the row.
SELECT format('%I on %I.%I', p.policyname, p.schemaname, p.tablename) AS object
FROM pg_policies AS p
WHERE regexp_replace(
        lower(concat_ws(' ', p.qual, p.with_check)),
        'select\s+(auth\.\w+|private\.\w+)\(\)', '', 'g'
    ) ~ '(auth|private)\.\w+\(\)'
ORDER BY 1;

-- rule: foreign_key_index
-- why: without an index every delete or key change of the parent scans the child.
-- fix: CREATE INDEX on the columns of the foreign key, in their order, first in the index.
-- What `livewall db adopt` keeps in schema previous is left as it was: nothing changes there any more.
SELECT format('%I on %s', k.conname, k.conrelid::regclass) AS object
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
WHERE k.contype = 'f' AND k.conparentid = 0 AND c.relowner = 'livewall_owner'::regrole
    AND c.relnamespace IS DISTINCT FROM to_regnamespace('previous')
    AND NOT EXISTS (
        SELECT FROM pg_index AS i
        WHERE i.indrelid = k.conrelid AND i.indisvalid
            AND (i.indkey::smallint[])[0 : cardinality(k.conkey) - 1] @> k.conkey
    )
ORDER BY 1;

-- rule: private_stays_private
-- why: whoever has USAGE on schema private can name everything in it.
-- fix: REVOKE USAGE ON SCHEMA private; give them a function in public instead.
SELECT format('%s on schema private to %s', acl.privilege_type,
    CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END) AS object
FROM pg_namespace AS n, aclexplode(n.nspacl) AS acl
WHERE n.nspname = 'private' AND acl.grantee <> n.nspowner
ORDER BY 1;

-- rule: no_create_in_schemas
-- why: whoever may create in a schema that others search can put a trap there.
-- fix: REVOKE CREATE ON SCHEMA ... FROM this role.
SELECT format('%I: CREATE to %s', n.nspname, r.rolname) AS object
FROM pg_namespace AS n
JOIN pg_roles AS r ON r.rolname IN ('anon', 'authenticated', 'service_role', 'authenticator')
WHERE n.nspname IN ('public', 'private', 'auth') AND has_schema_privilege(r.oid, n.oid, 'CREATE')
ORDER BY 1;

-- rule: function_has_comment
-- why: functions in public are the interface: a comment says what they return.
-- fix: COMMENT ON FUNCTION ... IS '...' beside it.
SELECT p.oid::regprocedure AS object
FROM pg_proc AS p
WHERE p.pronamespace = 'public'::regnamespace AND p.proowner = 'livewall_owner'::regrole
    AND obj_description(p.oid, 'pg_proc') IS NULL
ORDER BY 1;

-- rule: settings_end_with_the_call
-- why: SET ROLE or set_config(..., false) outlives the call, so the pool's next caller inherits it.
-- fix: set_config(name, value, true), or SET on the function itself.
SELECT p.oid::regprocedure AS object
FROM pg_proc AS p
-- A body that starts with RETURN or BEGIN ATOMIC is stored parsed, and prosrc is empty.
CROSS JOIN LATERAL coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) AS body
WHERE p.proowner = 'livewall_owner'::regrole
    AND (
        body ~* '\m(set|reset)\s+(session\s+|local\s+)?(role|session\s+authorization)\M'
        OR body ~* 'set_config\s*\([^;]*,\s*false\s*\)'
    )
ORDER BY 1;

-- rule: constraint_states_its_rule
-- why: a constraint's name is what the person sees translated: it should say the rule it keeps.
-- fix: name it, such as CONSTRAINT slots_are_twelve CHECK (...).
SELECT format('%I on %s', k.conname, k.conrelid::regclass) AS object
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
WHERE c.relowner = 'livewall_owner'::regrole AND c.relnamespace IN ('public'::regnamespace, 'private'::regnamespace)
    AND k.contype IN ('c', 'f', 'u', 'x') AND k.conparentid = 0
    AND k.conname ~ ('^' || c.relname || '_([a-z0-9_]+_)?(check|fkey|key|excl)[0-9]*$')
ORDER BY 1;

-- rule: view_invoker
-- why: a view without security_invoker reads as its owner, past every policy.
-- fix: CREATE VIEW ... WITH (security_invoker = true).
SELECT c.oid::regclass AS object
FROM pg_class AS c
WHERE c.relkind = 'v' AND c.relnamespace = 'public'::regnamespace AND c.relowner = 'livewall_owner'::regrole
    AND NOT coalesce(c.reloptions && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)
ORDER BY 1;

-- rule: nothing_around_tables
-- why: large objects are storage that no policy sees; advisory locks of anybody stop the server's work.
-- fix: `livewall db migrate` as the owner of these functions takes EXECUTE from PUBLIC; a managed service may not let you.
SELECT p.oid::regprocedure AS object
FROM pg_proc AS p
WHERE p.pronamespace = 'pg_catalog'::regnamespace
    AND (p.proname ~ '^(lo_|pg_(try_)?advisory_)' OR p.proname IN ('loread', 'lowrite'))
    AND pg_has_role(session_user, p.proowner, 'MEMBER')
    AND EXISTS (
        SELECT FROM unnest(ARRAY['anon', 'authenticated', 'service_role']) AS role
        WHERE has_function_privilege(role, p.oid, 'EXECUTE'))
ORDER BY 1;

-- rule: owner_is_nobody
-- why: who logs in as the owner, or becomes it, is past every policy; what it gives others by default, no grant of ours shows.
-- fix: ALTER ROLE livewall_owner NOLOGIN, REVOKE it from API roles, ALTER DEFAULT PRIVILEGES FOR ROLE livewall_owner REVOKE ...
SELECT format('%I can log in or has attributes of its own', rolname) AS object
FROM pg_roles
WHERE rolname = 'livewall_owner'
    AND (rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)
UNION ALL
SELECT format('%I may become livewall_owner', rolname)
FROM pg_roles
WHERE rolname IN ('anon', 'authenticated', 'service_role', 'authenticator') AND pg_has_role(oid, 'livewall_owner', 'MEMBER')
UNION ALL
SELECT DISTINCT format('default privileges of livewall_owner for %s',
    CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END)
FROM pg_default_acl AS d, aclexplode(d.defaclacl) AS acl
WHERE d.defaclrole = 'livewall_owner'::regrole AND acl.grantee <> d.defaclrole
ORDER BY 1;

-- rule: nothing_of_strangers
-- why: what a body, policy, view, default or constraint of ours names, runs with its rights: somebody else's, as the owner.
-- fix: drop what is named last, or write the schema before it; then create anew what is named first.
WITH ours (class, id) AS (
    SELECT 'pg_proc'::regclass, p.oid FROM pg_proc AS p WHERE p.proowner = 'livewall_owner'::regrole
    UNION ALL
    SELECT part.class, part.id
    FROM pg_class AS c
    CROSS JOIN LATERAL (
        SELECT 'pg_class'::regclass, c.oid
        UNION ALL SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite AS r WHERE r.ev_class = c.oid
        UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy AS p WHERE p.polrelid = c.oid
        UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint AS k WHERE k.conrelid = c.oid
        UNION ALL SELECT 'pg_attrdef'::regclass, a.oid FROM pg_attrdef AS a WHERE a.adrelid = c.oid
    ) AS part (class, id)
    WHERE c.relowner = 'livewall_owner'::regrole AND c.relnamespace IN ('public'::regnamespace, 'private'::regnamespace)
), theirs (class, id, schema) AS (
    SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_proc WHERE proowner <> 'livewall_owner'::regrole
    UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace FROM pg_operator WHERE oprowner <> 'livewall_owner'::regrole
    UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace FROM pg_type WHERE typowner <> 'livewall_owner'::regrole
    UNION ALL SELECT 'pg_class'::regclass, oid, relnamespace FROM pg_class WHERE relowner <> 'livewall_owner'::regrole
)
SELECT DISTINCT format('%s: %s', pg_describe_object(ours.class, ours.id, 0), pg_describe_object(theirs.class, theirs.id, 0)) AS object
FROM pg_depend AS d
JOIN ours ON ours.class = d.classid AND ours.id = d.objid
JOIN theirs ON theirs.class = d.refclassid AND theirs.id = d.refobjid
JOIN pg_namespace AS n ON n.oid = theirs.schema
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'auth')
ORDER BY 1;

-- rule: one_function_per_name
-- why: with two functions of a name the arguments decide which one runs; where both fit, every call of ours fails.
-- fix: drop it, or rename it.
SELECT p.oid::regprocedure AS object
FROM pg_proc AS p
WHERE p.pronamespace = 'public'::regnamespace AND EXISTS (
    SELECT FROM pg_proc AS other
    WHERE other.pronamespace = p.pronamespace AND other.proname = p.proname AND other.oid <> p.oid
        AND other.proowner = 'livewall_owner'::regrole)
    AND p.proowner <> 'livewall_owner'::regrole
ORDER BY 1;
