-- Whether the viewing records are still those of a moment ago. A crash of one backend, or a failover to a standby,
-- empties every UNLOGGED table but leaves the start time of the database as it was: then this row is gone too, and
-- private.note_lost_records() writes down when that was noticed.
CREATE UNLOGGED TABLE private.records_since (
    only_row boolean PRIMARY KEY DEFAULT true,
    since timestamptz NOT NULL,
    CONSTRAINT records_since_only_one_row CHECK (only_row)
);
-- A new database has no records to lose.
INSERT INTO private.records_since (since) VALUES ('-infinity');
