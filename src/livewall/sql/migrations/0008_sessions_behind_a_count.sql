-- How many viewing records stand behind active_viewer_count. The reconciler compares records, which one small hash
-- counts for all streams at once; telling viewers from their sessions takes a hash of everybody.
ALTER TABLE public.live_streams ADD COLUMN watching_sessions integer NOT NULL DEFAULT 0;
