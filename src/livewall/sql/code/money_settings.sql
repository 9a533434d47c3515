-- livewall: after foundation, identity, ledger
-- The rules of money, and the trail of every change to them, whoever makes it and by whatever way.

CREATE FUNCTION private.usd_cents(p_usd_amount numeric) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN (p_usd_amount * 100)::bigint;

CREATE FUNCTION private.record_money_settings() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM private.audit(auth.uid(), 'money_settings_changed', 'money_settings', jsonb_build_object(
        'before', to_jsonb(OLD) - 'only_row', 'after', to_jsonb(NEW) - 'only_row',
        'reason', nullif(current_setting('livewall.reason', true), '')));
    RETURN NULL;
END;
$$;
CREATE TRIGGER money_settings_record AFTER UPDATE ON private.money_settings
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION private.record_money_settings();
CREATE TRIGGER money_settings_stay BEFORE DELETE OR TRUNCATE ON private.money_settings
    FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change();

-- What a purchase is admitted by: of limit and thresholds the lowest that was in force at any time in the last 24 hours, as
-- the trail has it. So whoever lowers one is obeyed at once, and nobody raises one for a purchase that nobody else looks at.
CREATE FUNCTION private.rules_in_force(p_now timestamptz) RETURNS private.money_settings
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_rule private.money_settings;
    v_lowest record;
BEGIN
    SELECT * INTO v_rule FROM private.money_settings;
    SELECT min((l.details -> 'before' ->> 'purchase_limit')::numeric) AS purchase_limit,
           min((l.details -> 'before' ->> 'approval_threshold')::numeric) AS approval_threshold,
           min((l.details -> 'before' ->> 'daily_threshold')::numeric) AS daily_threshold
    INTO v_lowest
    FROM private.audit_log AS l WHERE l.action = 'money_settings_changed' AND l.at > p_now - interval '24 hours';
    v_rule.purchase_limit := least(v_rule.purchase_limit, v_lowest.purchase_limit);
    v_rule.approval_threshold := least(v_rule.approval_threshold, v_lowest.approval_threshold);
    -- None is higher than any: LEAST passes over what is null.
    v_rule.daily_threshold := least(v_rule.daily_threshold, v_lowest.daily_threshold);
    RETURN v_rule;
END;
$$;

-- When all of limit and thresholds are in force as they stand; null if they are.
CREATE FUNCTION private.raises_apply_at(p_now timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT max(l.at) + interval '24 hours'
    FROM private.money_settings AS m
    JOIN private.audit_log AS l ON l.action = 'money_settings_changed' AND l.at > p_now - interval '24 hours'
    WHERE (l.details -> 'before' ->> 'purchase_limit')::numeric < m.purchase_limit
        OR (l.details -> 'before' ->> 'approval_threshold')::numeric < m.approval_threshold
        OR (l.details -> 'before' ->> 'daily_threshold')::numeric < coalesce(m.daily_threshold, 'Infinity');
END;

CREATE FUNCTION private.money_settings_json() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT jsonb_build_object(
        'limit_cents', private.usd_cents(m.purchase_limit), 'threshold_cents', private.usd_cents(m.approval_threshold),
        'velocity', m.purchases_per_minute, 'daily_threshold_cents', private.usd_cents(m.daily_threshold),
        'streamer_share_percent', m.streamer_share_percent)
    FROM private.money_settings AS m;
END;

CREATE FUNCTION private.settings_answer() RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN private.money_settings_json() || jsonb_build_object(
    'raises_apply_at', private.raises_apply_at(private.clock()),
    'in_force', (
        SELECT jsonb_build_object(
            'limit_cents', private.usd_cents(r.purchase_limit), 'threshold_cents', private.usd_cents(r.approval_threshold),
            'daily_threshold_cents', private.usd_cents(r.daily_threshold))
        FROM private.rules_in_force(private.clock()) AS r));

CREATE FUNCTION public.get_purchase_settings() RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM private.require_operator();
    RETURN private.settings_answer();
END;
$$;
COMMENT ON FUNCTION public.get_purchase_settings IS 'For finance: {limit_cents, threshold_cents, velocity, daily_threshold_cents, streamer_share_percent, raises_apply_at, in_force}.';
GRANT EXECUTE ON FUNCTION public.get_purchase_settings TO authenticated, service_role;

-- The ranges of the table's own rules, in the words and units of whoever sets them. An amount has ten digits, two of them cents.
CREATE FUNCTION private.check_setting(p_changes jsonb, p_name text, p_least bigint, p_most bigint) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_value numeric := CASE jsonb_typeof(p_changes -> p_name) WHEN 'number' THEN (p_changes ->> p_name)::numeric END;
BEGIN
    IF coalesce(v_value NOT BETWEEN p_least AND p_most OR v_value <> trunc(v_value), true) THEN
        PERFORM private.fail('LW087', format('%s is a whole number from %s to %s.', p_name, p_least, p_most), 'Use a number in this range.',
            jsonb_build_object('setting', p_name, 'least', p_least, 'most', p_most));
    END IF;
END;
$$;

CREATE FUNCTION private.check_settings(p_changes jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM private.check_setting(p_changes, 'limit_cents', 1, 9999999999), private.check_setting(p_changes, 'threshold_cents', 0, 9999999999),
        private.check_setting(p_changes, 'velocity', 1, 1000000), private.check_setting(p_changes, 'streamer_share_percent', 0, 100);
    IF p_changes ->> 'daily_threshold_cents' IS NOT NULL THEN
        PERFORM private.check_setting(p_changes, 'daily_threshold_cents', 0, 9999999999);
    END IF;
END;
$$;

CREATE FUNCTION public.configure_purchases(p_changes jsonb, p_reason text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_changes jsonb;
BEGIN
    PERFORM private.require_staff('admin'), set_config('livewall.reason', private.require_reason(p_reason), true);
    -- What others are changing is read once they have: only what is named changes.
    PERFORM FROM private.money_settings FOR NO KEY UPDATE;
    v_changes := private.money_settings_json() || p_changes;
    IF jsonb_typeof(p_changes) IS DISTINCT FROM 'object' OR (SELECT count(*) FROM jsonb_object_keys(v_changes)) <> 5 THEN
        PERFORM private.fail('LW006', 'There is no such setting.', 'Use limit_cents, threshold_cents, velocity, daily_threshold_cents, streamer_share_percent.');
    END IF;
    PERFORM private.check_settings(v_changes);
    UPDATE private.money_settings
    -- By numeric: 5.0 is a whole number, too.
    SET purchase_limit = (v_changes ->> 'limit_cents')::numeric / 100, approval_threshold = (v_changes ->> 'threshold_cents')::numeric / 100,
        purchases_per_minute = (v_changes ->> 'velocity')::numeric, daily_threshold = (v_changes ->> 'daily_threshold_cents')::numeric / 100,
        streamer_share_percent = (v_changes ->> 'streamer_share_percent')::numeric;
    RETURN private.settings_answer();
END;
$$;
COMMENT ON FUNCTION public.configure_purchases IS 'For admins: changes what is named, with a reason for the audit log: the settings after it. Raises apply after 24 hours.';
GRANT EXECUTE ON FUNCTION public.configure_purchases TO authenticated;

-- The proof ---------------------------------------------------------------------------------------------------------

-- The figures of money and from when until when each stood, by the trail alone; before its first line as they are delivered.
CREATE FUNCTION private.settings_on_record() RETURNS TABLE (line bigint, since timestamptz, until timestamptz, before jsonb, figures jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT r.line, r.since, lead(r.since, 1, 'infinity') OVER (ORDER BY r.line), r.before, r.figures
    FROM (
        SELECT 0::bigint AS line, '-infinity'::timestamptz AS since, NULL::jsonb AS before, jsonb_build_object('purchase_limit', 50000,
            'approval_threshold', 25000, 'daily_threshold', NULL, 'purchases_per_minute', 5, 'streamer_share_percent', 70) AS figures
        UNION ALL
        SELECT l.id, l.at, l.details -> 'before', l.details -> 'after'
        FROM private.audit_log AS l WHERE l.action = 'money_settings_changed'
    ) AS r;
END;

-- Changes of the figures that the trail does not have: each line begins where the one before ended, and the last one ends
-- where they stand. Figures that came later with an upgrade are new in the line after.
CREATE FUNCTION private.untold_settings() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH next AS (
        SELECT r.figures, lead(r.before) OVER (ORDER BY r.line) AS begins, r.until FROM private.settings_on_record() AS r
    )
    SELECT string_agg(format('before %s the settings were changed without a line of the audit log: %s became %s',
        CASE n.until WHEN 'infinity' THEN 'now' ELSE n.until::text END, n.figures, n.stood), '; ')
    FROM (
        SELECT n.figures, n.until, coalesce(n.begins, (SELECT to_jsonb(m) - 'only_row' FROM private.money_settings AS m)) AS stood
        FROM next AS n
    ) AS n
    WHERE NOT n.stood @> n.figures;
END;

-- Purchases that were admitted by a higher limit, or past a higher threshold, than was in force for them by the trail. What is
-- lowered counts a minute later here: a purchase may have begun before it was committed. The day's sum leaves out whatever
-- may not have counted then. Figures change at few moments, so each purchase is looked up among those and joined to no line.
CREATE FUNCTION private.unruly_purchases() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH stood AS MATERIALIZED (
        SELECT r.since + interval '1 minute' AS since, r.until + interval '24 hours' AS until,
               (r.figures ->> 'purchase_limit')::numeric AS purchase_limit,
               (r.figures ->> 'approval_threshold')::numeric AS approval_threshold,
               (r.figures ->> 'daily_threshold')::numeric AS daily_threshold
        FROM private.settings_on_record() AS r
    ), rule AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY m.at) AS n, m.at, min(s.purchase_limit) AS purchase_limit,
               min(s.approval_threshold) AS approval_threshold, min(s.daily_threshold) AS daily_threshold
        FROM (SELECT s.since AS at FROM stood AS s UNION SELECT s.until FROM stood AS s WHERE s.until < 'infinity') AS m
        JOIN stood AS s ON s.since <= m.at AND s.until > m.at
        GROUP BY m.at
    ), day AS (
        SELECT c.id, sum(CASE WHEN c.canceled_at IS NULL AND c.capture_failed_at IS NULL
                AND coalesce(c.decision, 'approve') = 'approve' THEN c.usd_amount END) OVER (
            PARTITION BY c.profile_id ORDER BY c.purchased_at
            RANGE BETWEEN interval '23:59:59' PRECEDING AND CURRENT ROW EXCLUDE GROUP) AS amount
        FROM public.coin_purchases AS c
        WHERE EXISTS (SELECT FROM rule AS r WHERE r.daily_threshold IS NOT NULL)
    )
    SELECT string_agg(format('purchase P-%s of $%s passed a limit or threshold that was in force', unruly.number, unruly.usd_amount), '; ')
    FROM (
        SELECT c.number, c.usd_amount
        FROM public.coin_purchases AS c
        JOIN rule AS r ON r.n = width_bucket(c.purchased_at, (SELECT array_agg(m.at ORDER BY m.at) FROM rule AS m))
        LEFT JOIN day AS d ON d.id = c.id
        WHERE (c.max_purchase_limit > r.purchase_limit
                OR (NOT c.requires_approval AND c.hold_reason IS NULL
                    AND (c.usd_amount > r.approval_threshold OR c.usd_amount + coalesce(d.amount, 0) > r.daily_threshold)))
            -- What was bought under the previous schema was admitted by the rules of then.
            AND c.purchased_at >= coalesce((
                SELECT min(l.at) FROM private.audit_log AS l WHERE l.action = 'previous_schema_adopted'), '-infinity')
        ORDER BY c.number LIMIT 10
    ) AS unruly;
END;
