-- Person n bought 1000 coins, was given 50 by support, and one in three gave a rose to the next. :people is how many.

INSERT INTO auth.users (id) SELECT md5('old ' || n)::uuid FROM generate_series(1, :people) AS n;
INSERT INTO profiles (id, username, full_name, bio, created_at)
SELECT md5('old ' || n)::uuid, 'old_' || n, 'Old ' || n, 'Since then', '2024-01-01'::date + n * interval '1 min'
FROM generate_series(1, :people) AS n;
INSERT INTO user_links (user_id, title, url, sort_order)
SELECT md5('old ' || n)::uuid, 'Page', 'https://old.example/' || n, 1 FROM generate_series(1, :people, 2) AS n;
INSERT INTO follows (follower_id, following_id)
SELECT md5('old ' || n)::uuid, md5('old ' || n % :people + 1)::uuid FROM generate_series(1, :people) AS n;
INSERT INTO live_streams (id, profile_id, title)
SELECT md5('stream ' || n)::uuid, md5('old ' || n)::uuid, 'Stream ' || n FROM generate_series(1, :people, 10) AS n;
INSERT INTO chat_messages (live_stream_id, user_id, message)
SELECT md5('stream ' || n)::uuid, md5('old ' || n + 1)::uuid, 'Hello' FROM generate_series(1, :people - 1, 10) AS n;
INSERT INTO video_boxes (box_position, streamer_id) SELECT n, md5('old ' || n)::uuid FROM generate_series(1, 12) AS n;
INSERT INTO box_viewers (box_position, viewer_id)
SELECT n % 12 + 1, md5('old ' || n)::uuid FROM generate_series(20, :people, 5) AS n;
INSERT INTO coin_packs VALUES ('coins_700', 'A handful', 700, 8.99);
INSERT INTO gift_types VALUES ('rose', 'Old rose', '🥀', 12);
INSERT INTO coin_purchases (id, user_id, coin_pack_id, provider_event_id, payment_intent_id, coin_amount, usd_amount, status)
SELECT md5('bought ' || n)::uuid, md5('old ' || n)::uuid, 'coins_1000', 'evt_' || n, 'pi_' || n, 1000, 9.99, 'completed'
FROM generate_series(1, :people) AS n;
INSERT INTO gifts (id, sender_id, recipient_id, gift_type_id, live_stream_id, box_position, coin_amount, streamer_share)
SELECT md5('gave ' || n)::uuid, md5('old ' || n)::uuid, md5('old ' || n % :people + 1)::uuid, 'rose', NULL, n % 12 + 1, 12, 8
FROM generate_series(1, :people, 3) AS n;
INSERT INTO ledger_entries (user_id, entry_type, amount, reference_id)
SELECT user_id, 'purchase', coin_amount, id FROM coin_purchases
UNION ALL SELECT sender_id, 'gift', -coin_amount, id FROM gifts
UNION ALL SELECT id, 'support', 50, NULL FROM profiles;
INSERT INTO ledger_entries (user_id, balance_type, entry_type, amount, reference_id)
SELECT recipient_id, 'earnings', 'gift', streamer_share, id FROM gifts;
