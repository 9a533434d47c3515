-- livewall: after foundation
-- What servers report about themselves and their periodic jobs.

CREATE FUNCTION public.register_server_start(p_server_id uuid) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    DELETE FROM private.server_starts WHERE started_at < private.clock() - interval '1 day';
    INSERT INTO private.server_starts (server_id, started_at) VALUES (p_server_id, private.clock())
    ON CONFLICT (server_id) DO NOTHING
    RETURNING to_jsonb(started_at);
END;
COMMENT ON FUNCTION public.register_server_start IS 'A server came up: clients get one heartbeat period to come back. Once per server id.';
GRANT EXECUTE ON FUNCTION public.register_server_start TO service_role;

CREATE FUNCTION public.configure(p_settings jsonb) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE private.settings
    SET guests_may_go_live = coalesce((p_settings ->> 'guests_may_go_live')::boolean, guests_may_go_live)
    RETURNING to_jsonb(settings) - 'only_row';
END;
COMMENT ON FUNCTION public.configure IS 'Settings that the database enforces and the operator chooses.';
GRANT EXECUTE ON FUNCTION public.configure TO service_role;

CREATE FUNCTION public.record_job_run(p_job text, p_ok boolean, p_millis integer, p_by_cron boolean DEFAULT false) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO private.job_runs AS j (job, runs, failures, last_run_at, last_success_at, cron_success_at, last_milliseconds)
    SELECT p_job, 1, (NOT p_ok)::integer, now, CASE WHEN p_ok THEN now END, CASE WHEN p_ok AND p_by_cron THEN now END, p_millis
    FROM private.clock() AS now
    ON CONFLICT (job) DO UPDATE
    SET runs = j.runs + 1, failures = j.failures + excluded.failures, last_run_at = excluded.last_run_at,
        last_success_at = coalesce(excluded.last_success_at, j.last_success_at),
        cron_success_at = coalesce(excluded.cron_success_at, j.cron_success_at), last_milliseconds = excluded.last_milliseconds
    RETURNING to_jsonb(j);
END;
COMMENT ON FUNCTION public.record_job_run IS 'A periodic job ran, in a server or by pg_cron.';
GRANT EXECUTE ON FUNCTION public.record_job_run TO service_role;

CREATE FUNCTION public.job_runs() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(to_jsonb(j) ORDER BY j.job), '[]') FROM private.job_runs AS j;
END;
COMMENT ON FUNCTION public.job_runs IS 'Each periodic job with its last run: [{job, runs, failures, last_run_at, ...}].';
GRANT EXECUTE ON FUNCTION public.job_runs TO service_role;
