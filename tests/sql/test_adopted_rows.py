"""Odd rows of the previous schema: none stops the move, and none breaks what is made of it."""

import pytest

from livewall.adoption import adopt
from livewall.proof import recompute
from tests.databases import Database
from tests.sql.previous import settle

# What no index takes, as it is too long and does not get shorter by compression.
LONG = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) AS n)"
# As in a database whose columns allow more than ours, and in one that is replicated as a whole.
ODD = f"""
ALTER TABLE gifts DROP CONSTRAINT gifts_pkey, ALTER box_position TYPE numeric;
ALTER TABLE gifts ALTER id DROP NOT NULL;
ALTER TABLE coin_packs DROP CONSTRAINT coin_packs_pkey;
ALTER TABLE coin_purchases DROP CONSTRAINT coin_purchases_pkey;
ALTER TABLE coin_purchases ALTER id DROP NOT NULL, ALTER created_at DROP NOT NULL;
ALTER TABLE box_viewers DROP CONSTRAINT box_viewers_box_position_fkey;
ALTER TABLE video_boxes ALTER box_position TYPE numeric;
ALTER TABLE box_viewers ALTER box_position TYPE numeric;

UPDATE gifts SET box_position = 3e9 WHERE id = md5('gave 1')::uuid;
UPDATE gifts SET box_position = 'NaN' WHERE id = md5('gave 4')::uuid;
UPDATE gifts SET box_position = 1.5 WHERE id = md5('gave 7')::uuid;
UPDATE gifts SET created_at = '-infinity' WHERE id = md5('gave 10')::uuid;
INSERT INTO gifts SELECT * FROM gifts WHERE id = md5('gave 13')::uuid;
UPDATE gifts SET id = NULL WHERE id = md5('gave 16')::uuid;
INSERT INTO video_boxes VALUES (1.5, md5('old 1')::uuid);
INSERT INTO box_viewers VALUES (1.5, md5('old 19')::uuid), (2, md5('old 19')::uuid);

UPDATE coin_purchases SET created_at = 'infinity' WHERE id = md5('bought 1')::uuid;
UPDATE coin_purchases SET created_at = NULL WHERE id = md5('bought 2')::uuid;
UPDATE coin_purchases SET provider_event_id = {LONG} WHERE id = md5('bought 3')::uuid;
UPDATE coin_purchases SET payment_intent_id = {LONG}, status = 'open'
    WHERE id = md5('bought 4')::uuid;
UPDATE coin_purchases SET payment_intent_id = '', provider_event_id = ''
    WHERE id IN (md5('bought 5')::uuid, md5('bought 6')::uuid);
UPDATE coin_purchases SET coin_pack_id = E'\\x1b[2J' WHERE id = md5('bought 7')::uuid;
INSERT INTO coin_purchases SELECT * FROM coin_purchases WHERE id = md5('bought 8')::uuid;
UPDATE coin_purchases SET id = NULL WHERE id = md5('bought 9')::uuid;

UPDATE profiles SET created_at = 'infinity' WHERE id = md5('old 10')::uuid;
UPDATE profiles SET username = 'o1d_12', created_at = '-infinity' WHERE id = md5('old 11')::uuid;
UPDATE follows SET created_at = '4000-01-01 BC' WHERE follower_id = md5('old 12')::uuid;
INSERT INTO live_streams (id, profile_id, title, created_at)
    VALUES (md5('undated')::uuid, md5('old 11')::uuid, 'Undated', 'infinity');
UPDATE chat_messages SET created_at = '10000-01-01' WHERE user_id = md5('old 2')::uuid;
INSERT INTO coin_packs VALUES ({LONG}, 'Long id', 1, 1), ('half', 'Half a cent', 1, 0.015),
    ('steered', E'\\x1b[2J' || repeat('x', 500), 1, 1);
INSERT INTO gift_types VALUES ('wordy', repeat('y', 1000), repeat('z', 1000), 1);
CREATE PUBLICATION everything FOR ALL TABLES;
"""
RULES = {
    ("dropped", "box_viewers", "slot_not_1_to_12", 1),
    ("kept back", "coin_packs", "pack_does_not_fit", 2),
    ("kept back", "coin_purchases", "id_missing", 1),
    ("kept back", "coin_purchases", "payment_said_twice", 1),
    ("kept back", "gifts", "id_missing", 1),
    ("kept back", "gifts", "said_twice", 1),
    ("kept back", "gifts", "slot_not_1_to_12", 3),
    ("kept back", "live_streams", "stream_is_older", 1),
    ("adapted", "chat_messages", "date_can_not_be", 1),
    ("adapted", "coin_packs", "title_cut", 1),
    ("adapted", "coin_purchases", "date_can_not_be", 2),
    ("adapted", "coin_purchases", "pack_id_unreadable", 1),
    ("adapted", "coin_purchases", "provider_id_unreadable", 2),
    ("adapted", "follows", "date_can_not_be", 1),
    ("adapted", "gift_types", "emoji_replaced", 1),
    ("adapted", "gift_types", "title_cut", 1),
    ("adapted", "gifts", "date_can_not_be", 1),
    ("adapted", "profiles", "date_can_not_be", 2),
    ("adapted", "profiles", "name_taken", 1),
}
# Each column with times of what happened, with a query that counts those that can not be.
TIMES = """
SELECT format('SELECT count(*) FROM %s WHERE %I NOT BETWEEN ''1970-01-01'' AND now()',
    c.oid::regclass, a.attname)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relkind = 'r' AND a.atttypid = 'timestamptz'::regtype
    AND (c.relnamespace = 'public'::regnamespace
    OR c.oid IN ('private.ledger_transactions'::regclass, 'auth.users'::regclass))
"""


@pytest.mark.spec("S28")
async def test_odd_rows_are_adapted_or_kept_back_and_none_stops_the_move(
    empty_database: Database,
) -> None:
    admin = await empty_database.admin()
    await settle(admin, 20)
    await admin.execute(ODD)
    done = await adopt(empty_database.admin_url, apply=True)
    assert {(f.outcome, f.table, f.rule, f.count) for f in done.findings} == RULES
    # Shown in a report, no word of a row is longer than a line or two.
    assert max(len(row) for finding in done.findings for row in finding.rows) <= 200

    assert all(c.is_ok for c in await recompute(empty_database.admin_url, None))
    times = [query for (query,) in await admin.fetch(TIMES)]
    assert len(times) > 10
    assert [query for query in times if await admin.fetchval(query)] == []
    # Whoever has no date is not the oldest of a name, and a stream without is not the newest.
    name = "SELECT name FROM profiles WHERE id = md5('old 12')::uuid"
    assert await admin.fetchval(name) == "old_12"
    stream = "SELECT title FROM live_streams WHERE streamer_id = md5('old 11')::uuid"
    assert await admin.fetchval(stream) == "Stream 11"
    rows = await admin.fetch(
        "SELECT n, status, provider_event_id, provider_payment_id, coin_pack_id"
        " FROM generate_series(3, 7) AS n JOIN coin_purchases AS c"
        " ON c.id = md5('bought ' || n)::uuid ORDER BY n"
    )
    assert [tuple(row) for row in rows] == [
        (3, "completed", None, "pi_3", "coins_1000"),
        (4, "created", "evt_4", None, "coins_1000"),
        (5, "completed", None, None, "coins_1000"),
        (6, "completed", None, None, "coins_1000"),
        (7, "completed", "evt_7", "pi_7", None),
    ]
    assert await admin.fetchval("SELECT emoji FROM gift_types WHERE id = 'wordy'") == "🎁"
    assert await admin.fetchval("SELECT title FROM coin_packs WHERE id = 'steered'") == (
        "[2J" + "x" * 77
    )


@pytest.mark.spec("S28")
async def test_people_without_an_account_are_named(empty_database: Database) -> None:
    url, admin = empty_database.admin_url, await empty_database.admin()
    await settle(admin, 15)
    await admin.execute(
        "ALTER TABLE profiles DROP CONSTRAINT profiles_id_fkey;"
        "DELETE FROM auth.users WHERE id IN (md5('old 3')::uuid, md5('old 4')::uuid)"
    )
    lost = await admin.fetch(
        "SELECT md5('old ' || n)::uuid::text FROM generate_series(3, 4) AS n ORDER BY 1"
    )
    refused = await adopt(url, apply=True)
    assert refused.outcome == "refused"
    assert (refused.findings[0].rule, refused.findings[0].rows) == (
        "account_missing",
        [row[0] for row in lost],
    )
    await admin.execute(
        "INSERT INTO auth.users (id) VALUES (md5('old 3')::uuid), (md5('old 4')::uuid)"
    )
    assert (await adopt(url, apply=True)).outcome == "adopted"
