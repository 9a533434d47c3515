-- livewall: after ledger
-- What was brought along from the previous schema, for the proof.

-- Openings came with the previous schema, all at once: one for each person, between their accounts and the one of that name,
-- as many and as much as the audit log says.
CREATE FUNCTION private.drifting_openings() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH line AS (
        SELECT t.source_id, t.kind, a.kind AS account, a.profile_id, e.currency, e.amount
        FROM private.ledger_transactions AS t
        JOIN public.ledger_entries AS e ON e.transaction_id = t.id
        JOIN private.ledger_accounts AS a ON a.id = e.account_id
        WHERE t.kind = 'opening' OR e.account_id IN (8, 9)
    ), told AS (
        SELECT coalesce(sum((l.details ->> 'openings')::bigint), 0) AS openings, coalesce(sum((l.details ->> 'coins')::bigint), 0) AS coins,
               coalesce(sum((l.details ->> 'earnings')::bigint), 0) AS earnings
        FROM private.audit_log AS l WHERE l.action = 'previous_schema_adopted'
    ), found AS (
        SELECT (SELECT count(*) FROM private.ledger_transactions AS t WHERE t.kind = 'opening') AS openings,
               coalesce(-sum(l.amount) FILTER (WHERE l.account = 'opening' AND l.currency = 'coins'), 0) AS coins,
               coalesce(-sum(l.amount) FILTER (WHERE l.account = 'opening' AND l.currency = 'earnings'), 0) AS earnings
        FROM line AS l
    )
    SELECT string_agg(wrong.what, '; ')
    FROM (
        SELECT format('%s openings of %s coins and %s earnings, the audit log says %s of %s and %s',
            f.openings, f.coins, f.earnings, t.openings, t.coins, t.earnings) AS what
        FROM found AS f, told AS t WHERE (f.openings, f.coins, f.earnings) <> (t.openings, t.coins, t.earnings)
        UNION ALL
        SELECT DISTINCT format('the opening of %s touches other accounts', l.source_id) FROM line AS l
        WHERE l.kind <> 'opening' OR (l.account <> 'opening' AND l.profile_id IS DISTINCT FROM l.source_id)
        UNION ALL
        SELECT format('%s has %s openings', t.source_id, count(*))
        FROM private.ledger_transactions AS t WHERE t.kind = 'opening' GROUP BY t.source_id HAVING count(*) > 1
        LIMIT 10
    ) AS wrong;
END;
