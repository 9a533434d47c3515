-- Where pg_cron is there it runs jobs beside our leader, and whoever asks who runs them has to tell the two apart.
ALTER TABLE private.job_runs ADD COLUMN cron_success_at timestamptz;
