-- What our rules refuse, and theirs did not. The money still adds up.

UPDATE profiles SET username = 'OLD_2' WHERE username = 'old_2';
UPDATE profiles SET username = 'o1d_3' WHERE username = 'old_4';
UPDATE profiles SET username = 'Ünïcode Näme!' WHERE username = 'old_5';
UPDATE profiles SET username = 'x' WHERE username = 'old_6';
UPDATE profiles SET username = 'admin', full_name = 'Support' WHERE username = 'old_7';
UPDATE profiles SET username = 'old_8' WHERE username = 'old_9';
UPDATE profiles SET full_name = repeat('long ', 30), bio = repeat('x', 900) WHERE username = 'old_10';
INSERT INTO user_links (user_id, title, url) SELECT id, E'\u200b', url FROM profiles,
    (VALUES ('javascript:alert(1)'), ('https://fine.example'), ('http://a b.example')) AS l (url)
    WHERE username = 'old_12';
INSERT INTO user_links (user_id, title, url, sort_order) SELECT id, 'many', 'https://m.example/' || n, n
    FROM profiles, generate_series(1, 12) AS n WHERE username = 'old_14';
INSERT INTO follows (follower_id, following_id) SELECT id, id FROM profiles WHERE username = 'old_16';
INSERT INTO follows (follower_id, following_id)
    SELECT follower_id, following_id FROM follows WHERE follower_id = md5('old 20')::uuid;
INSERT INTO blocks (blocker_id, blocked_id) VALUES (md5('old 31')::uuid, md5('old 30')::uuid);
INSERT INTO live_streams (id, profile_id, title, created_at)
    VALUES (md5('older')::uuid, md5('old 11')::uuid, 'Older', '2020-01-01');
INSERT INTO chat_messages (live_stream_id, user_id, message) VALUES
    (md5('older')::uuid, md5('old 12')::uuid, 'in the older'), (md5('older')::uuid, NULL, repeat('w', 600)),
    (md5('older')::uuid, NULL, E'\u200b'), (NULL, NULL, 'nowhere');
INSERT INTO video_boxes VALUES (13, md5('old 13')::uuid);
INSERT INTO box_viewers VALUES (13, md5('old 40')::uuid), (1, md5('old 41')::uuid), (1, md5('old 41')::uuid);
-- Box 0 is none, so it takes nothing away from the good box of the same streamer.
INSERT INTO video_boxes VALUES (0, md5('old 7')::uuid);
INSERT INTO box_viewers VALUES (0, md5('old 42')::uuid), (7, md5('old 42')::uuid);
INSERT INTO gift_types VALUES ('free', 'Free', NULL, 0);
INSERT INTO gifts (id, sender_id, recipient_id, gift_type_id, box_position, coin_amount, streamer_share) VALUES
    (md5('self')::uuid, md5('old 50')::uuid, md5('old 50')::uuid, 'rose', 1, 12, 8),
    (md5('box 13')::uuid, md5('old 51')::uuid, md5('old 52')::uuid, 'rose', 13, 12, 8),
    (md5('share')::uuid, md5('old 53')::uuid, md5('old 54')::uuid, 'rose', 1, 12, 99),
    (md5('forgotten')::uuid, md5('old 55')::uuid, md5('old 56')::uuid, 'comet', 1, 40, 0);
INSERT INTO coin_purchases (id, user_id, payment_provider, payment_intent_id, coin_amount, usd_amount, status) VALUES
    (md5('nothing')::uuid, md5('old 60')::uuid, 'stripe', 'pi_nothing', 0, 5, 'completed'),
    (md5('third cent')::uuid, md5('old 61')::uuid, 'stripe', 'pi_third', 10, 0.333, 'completed'),
    (md5('twice')::uuid, md5('old 62')::uuid, 'stripe', 'pi_62', 1000, 9.99, 'completed'),
    (md5('disputed')::uuid, md5('old 63')::uuid, 'stripe', 'pi_disputed', 700, 9.99, 'disputed'),
    (md5('refunded')::uuid, md5('old 64')::uuid, 'stripe', 'pi_refunded', 700, 9.99, 'refunded'),
    (md5('large')::uuid, md5('old 65')::uuid, 'PayPal!', 'pi_large', 6000000, 60000, 'completed'),
    (md5('open')::uuid, md5('old 66')::uuid, 'stripe', 'pi_open', 3000000, 30000, 'pending'),
    (md5('refused')::uuid, md5('old 67')::uuid, 'stripe', 'pi_refused', 700, 9.99, 'failed');
-- One payment was in dispute and open before it was paid, by rows of their own.
INSERT INTO coin_purchases (id, user_id, payment_intent_id, provider_event_id, coin_amount, usd_amount, status, created_at) VALUES
    (md5('settled: disputed')::uuid, md5('old 68')::uuid, 'pi_settled', 'evt_settled', 500, 5, 'disputed', '2024-01-01'),
    (md5('settled: open')::uuid, md5('old 68')::uuid, 'pi_settled', 'evt_settled', 500, 5, 'pending', '2024-01-02'),
    (md5('settled')::uuid, md5('old 68')::uuid, 'pi_settled', 'evt_settled', 500, 5, 'completed', '2024-01-03');
INSERT INTO ledger_entries (user_id, entry_type, amount) VALUES
    (md5('old 68')::uuid, 'purchase', 500),
    (md5('old 50')::uuid, 'gift', -12), (md5('old 65')::uuid, 'purchase', 6000000),
    (md5('old 55')::uuid, 'gift', -40), (md5('old 70')::uuid, 'chargeback', -5000),
    (NULL, 'left', 30), (NULL, 'left', -30);
INSERT INTO ledger_entries (user_id, balance_type, entry_type, amount) VALUES
    (md5('old 50')::uuid, 'earnings', 'gift', 8), (md5('old 71')::uuid, 'earnings', 'payout', -0);
