-- livewall: after jobs
-- Where the extension pg_cron is there and knows seconds, it runs the jobs that keep cameras and records right, beside our
-- leader, who relies on nobody. The jobs of money stay with the leader: they are due oftener than pg_cron can (a second), or
-- ask a provider.

-- One transaction a run, so a failure is caught and told, else its record would be rolled back with it. A record of success
-- only every 10 seconds: a run that finds nothing to do writes nothing.
CREATE FUNCTION private.run_by_cron(p_job text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '8s'
AS $$
DECLARE
    v_started timestamptz := clock_timestamp();
    v_failure text;
BEGIN
    BEGIN
        CASE p_job
            WHEN 'update_publish_state_from_viewers' THEN PERFORM public.update_publish_state_from_viewers();
            WHEN 'cleanup_stale_viewers' THEN PERFORM public.cleanup_stale_viewers();
            WHEN 'remove_old_records' THEN PERFORM public.remove_old_records(100);
        END CASE;
    EXCEPTION
        WHEN query_canceled OR OTHERS THEN
            v_failure := SQLERRM;
            RAISE WARNING 'Job % failed: %', p_job, v_failure;
    END;
    IF v_failure IS NOT NULL OR NOT EXISTS (
        SELECT FROM private.job_runs AS j
        WHERE j.job = p_job AND j.cron_success_at > private.clock() - interval '10 seconds')
    THEN
        PERFORM public.record_job_run(
            p_job, v_failure IS NULL, (extract(epoch FROM clock_timestamp() - v_started) * 1000)::integer, true);
    END IF;
    RETURN coalesce(v_failure, 'done');
END;
$$;

-- What pg_cron is to do. Whole seconds below 60, or the five fields of a crontab. It keeps a row of each run for ever: those
-- of ours go after a day, the last command's own too, for it names what it looks for.
CREATE FUNCTION private.cron_jobs() RETURNS TABLE (name text, schedule text, command text)
LANGUAGE sql IMMUTABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT 'livewall: ' || j.job AS name, j.schedule, format('SELECT private.run_by_cron(%L)', j.job) AS command
    FROM (VALUES
        ('update_publish_state_from_viewers', '12 seconds'),
        ('cleanup_stale_viewers', '45 seconds'),
        ('remove_old_records', '5 seconds')
    ) AS j (job, schedule)
    UNION ALL
    SELECT 'livewall: forget runs' AS name, '23 * * * *' AS schedule,
        'DELETE FROM cron.job_run_details WHERE command LIKE ''%private.run_by_cron(%'' AND end_time < now() - interval ''1 day''' AS command;
END;

CREATE FUNCTION private.cron_knows_seconds(p_version text) RETURNS boolean
LANGUAGE sql IMMUTABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN coalesce(string_to_array(substring(p_version, '^\d+(?:\.\d+)*'), '.')::integer[] >= ARRAY[1, 5], false);

-- Gives pg_cron what it is to do, and takes back what it is not to do any more. Jobs belong to whoever calls this and run as
-- them: the owner of everything else may not log in, which pg_cron asks of whom it works for. May run any number of times;
-- does nothing without pg_cron. A job that somebody made inactive stays so.
CREATE FUNCTION private.schedule_by_cron() RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_version text := (SELECT e.extversion FROM pg_extension AS e WHERE e.extname = 'pg_cron');
BEGIN
    IF v_version IS NULL THEN
        RETURN NULL;
    ELSIF NOT private.cron_knows_seconds(v_version) THEN
        RETURN format('pg_cron %s has no seconds, 1.5 has: it gets no jobs, our leader runs them.', v_version);
    END IF;
    EXECUTE $cron$
        SELECT cron.unschedule(j.jobid) FROM cron.job AS j
        WHERE j.jobname LIKE 'livewall: %' AND j.database = current_database() AND NOT EXISTS (
            SELECT FROM private.cron_jobs() AS w
            WHERE w.name = j.jobname AND w.schedule = j.schedule AND w.command = j.command)
    $cron$;
    EXECUTE $cron$
        SELECT cron.schedule(w.name, w.schedule, w.command) FROM private.cron_jobs() AS w
        WHERE NOT EXISTS (SELECT FROM cron.job AS j WHERE j.jobname = w.name AND j.database = current_database())
    $cron$;
    RETURN format('pg_cron %s runs jobs as %s, beside our leader.', v_version, current_user);
EXCEPTION
    -- No right to schema cron, or no jobs of superusers, or it knows no seconds after all.
    WHEN insufficient_privilege OR invalid_parameter_value THEN
        RETURN format('pg_cron %s takes no jobs from %s (%s): our leader runs them.', v_version, current_user, SQLERRM);
END;
$$;
COMMENT ON FUNCTION private.schedule_by_cron IS 'What became of the jobs with pg_cron, in a sentence; null without pg_cron.';
