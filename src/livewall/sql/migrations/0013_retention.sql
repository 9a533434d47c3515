-- What has ended is kept for a stated time and no longer; public.remove_old_records() finds it by these indexes.
-- Rules about flapping and the studio's timeline look back a day at most.
ALTER TABLE private.settings
    ADD COLUMN sessions_kept interval NOT NULL DEFAULT '30 days',
    ADD COLUMN intervals_kept interval NOT NULL DEFAULT '90 days'
        CONSTRAINT settings_intervals_outlast_a_day CHECK (intervals_kept >= interval '1 day');
-- In this transaction, not concurrently: a first installation stays all or nothing, and before the first release no table
-- is large.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX sessions_by_end ON private.sessions (least(expires_at, closed_at));
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX publish_intervals_ended ON private.publish_intervals (ended_at) WHERE ended_at IS NOT NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX live_intervals_ended ON private.live_intervals (ended_at) WHERE ended_at IS NOT NULL;
