-- What the previous tables hold, each row with what has to be changed about it (changed) or why it can not come along
-- (kept_back). `adopting.old_*` are those tables under one set of names (previous_schema.py). adoption_rules.py has the words.
-- Of rows that say the same only those compete that could come along, so a faulty one never stands in the way of a good one.
-- Nothing here writes outside schema adopting, which is dropped at the end. Its tables are not logged: nobody needs them after a
-- crash, and a publication of all tables, which wants a key of each that is updated, does not see them.

-- What a pack may be called, and a payment or an event of the provider's: short enough for an index, and nothing hides in it.
CREATE FUNCTION adopting.is_pack_id(p_id text) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN char_length(p_id) BETWEEN 1 AND 100 AND (p_id !~ '[^!-~]' OR p_id = private.clean_text(p_id));
CREATE FUNCTION adopting.is_provider_id(p_id text) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN char_length(p_id) BETWEEN 1 AND 255 AND p_id !~ '[^!-~]';

-- Names: the oldest of those that look alike keeps it; what does not fit our pattern is adapted and numbered by the id.
CREATE UNLOGGED TABLE adopting.people AS
WITH tidy AS MATERIALIZED (
    SELECT o.*, lower(btrim(normalize(coalesce(o.name, ''), NFKC))) AS wanted,
           private.clean_text(coalesce(o.display_name, '')) AS shown, private.clean_text(coalesce(o.bio, '')) AS about
    FROM adopting.old_profiles AS o
), known AS MATERIALIZED (
    SELECT t.*, private.speaks_for_the_platform(t.wanted) AS speaks, private.shows_as_the_platform(t.shown) AS poses FROM tidy AS t
), judged AS (
    SELECT k.*, k.wanted ~ '^[a-z0-9][a-z0-9._]{1,22}[a-z0-9]$' AND NOT k.speaks AS fits FROM known AS k
), placed AS (
    SELECT j.*, row_number() OVER (PARTITION BY j.fits, private.name_skeleton(j.wanted) ORDER BY j.created_at, j.id) AS place
    FROM judged AS j
), named AS (
    SELECT p.*, CASE WHEN p.fits AND p.place = 1 THEN p.wanted ELSE
        coalesce(nullif(btrim(left(btrim(regexp_replace(
            CASE WHEN p.speaks THEN '' ELSE p.wanted END, '[^a-z0-9]+', '_', 'g'), '_'), 11), '_'), ''), 'person')
        || '.' || left(md5(p.id::text), 12) END AS new_name
    FROM placed AS p
)
SELECT n.id, coalesce(n.name, '') || ' -> ' || n.new_name AS label, n.new_name AS name, n.created_at, n.is_guest,
       CASE WHEN n.shown = '' OR n.poses THEN n.new_name WHEN char_length(n.shown) > 40
           THEN coalesce(nullif(private.clean_text(left(n.shown, 40)), ''), n.new_name) ELSE n.shown END AS display_name,
       CASE WHEN char_length(n.about) > 300 THEN private.clean_text(left(n.about, 300)) ELSE n.about END AS bio, n.coins, n.earnings, NULL::text AS kept_back,
       array_remove(ARRAY[
           CASE WHEN NOT n.fits THEN 'name_does_not_fit' WHEN n.place > 1 THEN 'name_taken' WHEN n.name <> n.wanted THEN 'name_in_lower_case' END,
           CASE WHEN char_length(n.shown) > 40 THEN 'display_name_cut' WHEN n.poses THEN 'display_name_replaced' END,
           CASE WHEN char_length(n.about) > 300 THEN 'bio_cut' END,
           CASE WHEN n.coins < 0 THEN 'balance_is_a_debt' END,
           CASE WHEN n.is_undated THEN 'date_can_not_be' END], NULL) AS changed
FROM named AS n;
CREATE UNIQUE INDEX ON adopting.people (id);

CREATE UNLOGGED TABLE adopting.links AS
WITH judged AS (
    SELECT o.*, left(private.clean_text(coalesce(o.label, '')), 40) AS tidy, CASE
        WHEN p.id IS NULL THEN 'person_unknown'
        -- As user_links_url_is_web (0003).
        WHEN (char_length(o.url) <= 300
            AND o.url ~ '^https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[!-~]*|[?#][!-~]*)?$'
            AND o.url !~ '["<>\\^`{|}]') IS NOT TRUE THEN 'link_is_no_web_address' END AS fault
    FROM adopting.old_user_links AS o LEFT JOIN adopting.people AS p ON p.id = o.profile_id
), placed AS (
    SELECT j.*, row_number() OVER (PARTITION BY j.profile_id, j.fault IS NULL ORDER BY j.position, j.url) AS place FROM judged AS j
)
SELECT p.profile_id, p.place, coalesce(nullif(private.clean_text(p.tidy), ''), 'link') AS title, p.url, left(p.url, 80) AS label,
       coalesce(p.fault, CASE WHEN p.place > 10 THEN 'link_after_the_tenth' END) AS kept_back,
       CASE WHEN private.clean_text(p.tidy) IS DISTINCT FROM p.label THEN ARRAY['link_label_cleaned'] ELSE '{}' END AS changed
FROM placed AS p;

CREATE UNLOGGED TABLE adopting.ties AS
WITH told AS (
    SELECT 'block' AS kind, b.blocker_id AS one, b.blocked_id AS other, b.created_at, b.is_undated FROM adopting.old_blocks AS b
    UNION ALL
    SELECT 'follow', f.follower_id, f.followee_id, f.created_at, f.is_undated FROM adopting.old_follows AS f
), placed AS (
    SELECT t.*, row_number() OVER (PARTITION BY t.kind, t.one, t.other ORDER BY t.created_at) AS place FROM told AS t
)
SELECT t.kind, t.one, t.other, t.created_at, t.one || ' -> ' || t.other AS label,
       CASE WHEN t.is_undated THEN ARRAY['date_can_not_be'] ELSE '{}' END AS changed, CASE
    WHEN a.id IS NULL OR b.id IS NULL THEN 'person_unknown'
    WHEN t.one = t.other THEN 'to_oneself'
    WHEN t.place > 1 THEN 'said_twice'
    WHEN t.kind = 'follow' AND EXISTS (
        SELECT FROM adopting.old_blocks AS x WHERE (x.blocker_id, x.blocked_id) IN ((t.one, t.other), (t.other, t.one)))
    THEN 'follow_across_a_block' END AS kept_back
FROM placed AS t
LEFT JOIN adopting.people AS a ON a.id = t.one LEFT JOIN adopting.people AS b ON b.id = t.other;

-- One stream for each streamer: the newest. What was said in the older ones is said in it.
CREATE UNLOGGED TABLE adopting.streams AS
WITH placed AS (
    SELECT o.*, first_value(o.id) OVER newest AS kept_id, row_number() OVER newest AS place
    FROM adopting.old_live_streams AS o
    WINDOW newest AS (PARTITION BY o.streamer_id ORDER BY o.is_undated, o.created_at DESC, o.id)
)
SELECT t.id, t.kept_id, t.streamer_id, left(private.clean_text(coalesce(t.title, '')), 80) AS title, t.created_at, t.id::text AS label,
       CASE WHEN p.id IS NULL THEN 'person_unknown' WHEN t.id IS NULL THEN 'id_missing' WHEN t.place > 1 THEN 'stream_is_older' END AS kept_back,
       array_remove(ARRAY[
           CASE WHEN char_length(private.clean_text(t.title)) > 80 THEN 'title_cut' END,
           CASE WHEN t.is_undated THEN 'date_can_not_be' END], NULL) AS changed
FROM placed AS t LEFT JOIN adopting.people AS p ON p.id = t.streamer_id;

CREATE UNLOGGED TABLE adopting.messages AS
WITH tidy AS (SELECT o.*, private.clean_text(coalesce(o.body, '')) AS words FROM adopting.old_chat_messages AS o)
SELECT t.id, s.kept_id AS stream_id, p.id AS sender_id, left(t.words, 500) AS body, t.created_at, t.id AS label,
       CASE WHEN s.id IS NULL THEN 'stream_unknown' WHEN t.words = '' THEN 'message_is_empty' END AS kept_back,
       array_remove(ARRAY[
           CASE WHEN char_length(t.words) > 500 THEN 'message_cut' END,
           CASE WHEN t.is_undated THEN 'date_can_not_be' END], NULL) AS changed
FROM tidy AS t
LEFT JOIN adopting.streams AS s ON s.id = t.stream_id AND s.kept_back IS DISTINCT FROM 'person_unknown'
LEFT JOIN adopting.people AS p ON p.id = t.sender_id;

-- The shared wall has no successor. Who was watching a box finds its streamer in the same slot of a wall of their own.
CREATE UNLOGGED TABLE adopting.slots AS
WITH judged AS (
    SELECT v.viewer_id, b.position, b.streamer_id, v.is_muted, CASE
        WHEN p.id IS NULL OR s.id IS NULL THEN 'person_unknown'
        WHEN (b.position BETWEEN 1 AND 12 AND b.position = trunc(b.position)) IS NOT TRUE THEN 'slot_not_1_to_12' END AS fault
    FROM adopting.old_box_viewers AS v
    LEFT JOIN adopting.old_video_boxes AS b ON b.id = v.box
    LEFT JOIN adopting.people AS p ON p.id = v.viewer_id LEFT JOIN adopting.people AS s ON s.id = b.streamer_id
), placed AS (
    SELECT j.*, row_number() OVER (PARTITION BY j.viewer_id, j.position, j.fault IS NULL ORDER BY j.streamer_id) AS place FROM judged AS j
), shown AS (
    SELECT t.*, row_number() OVER (
        PARTITION BY t.viewer_id, t.streamer_id, t.fault IS NULL AND t.place = 1 ORDER BY t.position) AS again
    FROM placed AS t
)
SELECT t.viewer_id, t.position, t.streamer_id, t.is_muted, concat_ws(' ', t.viewer_id, 'box', t.position) AS label,
       '{}'::text[] AS changed, coalesce(t.fault, CASE WHEN t.place > 1 OR t.again > 1 THEN 'said_twice' END) AS kept_back
FROM shown AS t;

CREATE UNLOGGED TABLE adopting.packs AS
WITH tidy AS (SELECT o.*, private.clean_text(coalesce(o.title, '')) AS words FROM adopting.old_coin_packs AS o)
SELECT t.id, t.platform, coalesce(nullif(private.clean_text(left(t.words, 80)), ''), t.coins || ' coins') AS title, t.coins, t.usd,
       t.is_active, t.id AS label, CASE WHEN char_length(t.words) > 80 THEN ARRAY['title_cut'] ELSE '{}' END AS changed, CASE
    WHEN t.platform NOT IN ('web', 'ios', 'android') OR adopting.is_pack_id(t.id) IS NOT TRUE
        OR (t.coins BETWEEN 1 AND 1000000000000 AND t.coins = trunc(t.coins)
            AND t.usd BETWEEN 0.01 AND 99999999.99 AND t.usd = round(t.usd, 2)) IS NOT TRUE
    THEN 'pack_does_not_fit' END AS kept_back
FROM tidy AS t;

CREATE UNLOGGED TABLE adopting.gift_types AS
WITH tidy AS (
    SELECT o.*, private.clean_text(coalesce(o.title, '')) AS words, private.clean_text(coalesce(o.emoji, '')) AS sign
    FROM adopting.old_gift_types AS o
)
SELECT t.id, coalesce(nullif(private.clean_text(left(t.words, 80)), ''), t.id) AS title,
       CASE WHEN char_length(t.sign) BETWEEN 1 AND 16 THEN t.sign ELSE '🎁' END AS emoji, t.price, t.is_active, t.id AS label,
       array_remove(ARRAY[
           CASE WHEN char_length(t.words) > 80 THEN 'title_cut' END,
           CASE WHEN char_length(t.sign) > 16 THEN 'emoji_replaced' END], NULL) AS changed, CASE
    WHEN (t.id ~ '^[!-~]{1,100}$' AND t.price BETWEEN 1 AND 1000000000 AND t.price = trunc(t.price)) IS NOT TRUE
    THEN 'gift_type_does_not_fit' END AS kept_back
FROM tidy AS t;

-- The coins of a gift that is kept back are in the balances all the same: those are what they are.
CREATE UNLOGGED TABLE adopting.gifts AS
WITH judged AS (
    SELECT o.*, coalesce(o.streamer_share, 0) AS share, CASE
        WHEN o.id IS NULL THEN 'id_missing'
        WHEN o.sender_id IS NULL OR o.recipient_id IS NULL THEN 'person_unknown'
        WHEN o.sender_id = o.recipient_id THEN 'gift_to_oneself'
        WHEN (o.slot_index BETWEEN 1 AND 12 AND o.slot_index = trunc(o.slot_index)) IS NOT TRUE THEN 'slot_not_1_to_12'
        WHEN (o.price BETWEEN 1 AND 1000000000 AND o.price = trunc(o.price) AND coalesce(o.streamer_share, 0) BETWEEN 0 AND o.price
            AND trunc(coalesce(o.streamer_share, 0)) = coalesce(o.streamer_share, 0)) IS NOT TRUE THEN 'gift_price_does_not_fit'
        WHEN (o.gift_type_id ~ '^[!-~]{1,100}$') IS NOT TRUE THEN 'gift_type_does_not_fit' END AS fault
    FROM adopting.old_gifts AS o
), placed AS (
    SELECT j.*, row_number() OVER (PARTITION BY j.id, j.fault IS NULL ORDER BY j.created_at) AS again FROM judged AS j
)
SELECT g.id, g.sender_id, g.recipient_id, g.gift_type_id, s.kept_id AS stream_id,
       CASE WHEN g.fault IS NULL THEN g.slot_index::integer END AS slot_index, g.price,
       g.share, g.created_at, g.id::text AS label,
       array_remove(ARRAY[
           CASE WHEN g.stream_id IS DISTINCT FROM s.kept_id THEN 'gift_of_another_stream' END,
           CASE WHEN g.is_undated THEN 'date_can_not_be' END], NULL) AS changed,
       coalesce(g.fault, CASE WHEN g.again > 1 THEN 'said_twice' END) AS kept_back
FROM placed AS g LEFT JOIN adopting.streams AS s ON s.id = g.stream_id AND s.kept_back IS DISTINCT FROM 'person_unknown';

-- Of the rows for one payment that comes along whose money came in, then the first. An event stays with the first of those.
CREATE UNLOGGED TABLE adopting.purchases AS
WITH tidy AS (
    SELECT o.id, o.profile_id, o.coin_pack_id, o.platform, o.provider, nullif(o.event_id, '') AS event_id,
           nullif(o.payment_id, '') AS payment_id, o.coins, o.usd, o.purchased_at, o.is_undated,
           CASE WHEN o.provider ~ '^[a-z_]{1,32}$' THEN o.provider ELSE 'previous' END AS new_provider, CASE
        WHEN lower(o.status) IN ('completed', 'paid', 'succeeded', 'credited', 'success') THEN 'completed'
        WHEN lower(o.status) IN ('pending', 'created', 'open') THEN
            CASE WHEN adopting.is_provider_id(o.payment_id) THEN 'pending' ELSE 'created' END
        WHEN lower(o.status) IN ('canceled', 'cancelled', 'expired') THEN 'canceled'
        WHEN lower(o.status) IN ('processing', 'failed', 'refunded') THEN lower(o.status) END AS new_status
    FROM adopting.old_coin_purchases AS o
), judged AS (
    SELECT t.*, CASE t.new_status WHEN 'completed' THEN 1 WHEN 'refunded' THEN 2 ELSE 3 END AS weight, CASE
        WHEN t.id IS NULL THEN 'id_missing'
        WHEN t.profile_id IS NULL THEN 'person_unknown'
        WHEN (t.coins BETWEEN 1 AND 1000000000000 AND t.coins = trunc(t.coins)
            AND t.usd BETWEEN 0.01 AND 99999999.99 AND t.usd = round(t.usd, 2)) IS NOT TRUE THEN 'purchase_amounts_do_not_fit'
        WHEN t.new_status IS NULL THEN 'purchase_status_unknown' END AS fault
    FROM tidy AS t
), single AS (
    SELECT j.*, row_number() OVER (PARTITION BY j.id, j.fault IS NULL ORDER BY j.weight, j.purchased_at) AS again FROM judged AS j
), paid AS (
    SELECT s.*, row_number() OVER (
        PARTITION BY s.new_provider, s.payment_id, s.fault IS NULL AND s.again = 1 ORDER BY s.weight, s.purchased_at, s.id) AS payment_again
    FROM single AS s
), kept AS (
    SELECT p.*, coalesce(p.fault, CASE
        WHEN p.again > 1 OR (p.payment_id IS NOT NULL AND p.payment_again > 1) THEN 'payment_said_twice' END) AS kept_back
    FROM paid AS p
), told AS (
    SELECT k.*, row_number() OVER (
        PARTITION BY k.new_provider, k.event_id, k.kept_back IS NULL ORDER BY k.weight, k.purchased_at, k.id) AS event_again
    FROM kept AS k
)
SELECT p.id, p.profile_id, CASE WHEN adopting.is_pack_id(p.coin_pack_id) THEN p.coin_pack_id END AS coin_pack_id,
       CASE WHEN p.platform IN ('web', 'ios', 'android') THEN p.platform ELSE 'web' END AS platform, p.new_provider AS provider,
       CASE WHEN p.event_again = 1 AND adopting.is_provider_id(p.event_id) THEN p.event_id END AS event_id,
       CASE WHEN adopting.is_provider_id(p.payment_id) THEN p.payment_id END AS payment_id, p.coins, p.usd,
       p.new_status AS status, p.purchased_at, p.id::text AS label,
       array_remove(ARRAY[
           CASE WHEN p.provider IS DISTINCT FROM p.new_provider THEN 'provider_unreadable' END,
           CASE WHEN NOT adopting.is_provider_id(p.event_id) OR NOT adopting.is_provider_id(p.payment_id) THEN 'provider_id_unreadable' END,
           CASE WHEN NOT adopting.is_pack_id(p.coin_pack_id) THEN 'pack_id_unreadable' END,
           CASE WHEN p.event_id IS NOT NULL AND p.event_again > 1 THEN 'event_said_twice' END,
           CASE WHEN p.is_undated THEN 'date_can_not_be' END,
           CASE WHEN p.usd > m.purchase_limit THEN 'purchase_over_the_limit'
                WHEN p.usd > m.approval_threshold THEN 'purchase_over_the_threshold' END], NULL) AS changed, p.kept_back
FROM told AS p CROSS JOIN private.money_settings AS m;

-- Everything above in one list, for the report.
CREATE VIEW adopting.judged AS
SELECT 'profiles' AS old_table, kept_back, changed, label FROM adopting.people
UNION ALL SELECT 'user_links', kept_back, changed, label FROM adopting.links
UNION ALL SELECT kind || 's', kept_back, changed, label FROM adopting.ties
UNION ALL SELECT 'live_streams', kept_back, changed, label FROM adopting.streams
UNION ALL SELECT 'chat_messages', kept_back, changed, label FROM adopting.messages
UNION ALL SELECT 'box_viewers', kept_back, changed, label FROM adopting.slots
UNION ALL SELECT 'coin_packs', kept_back, changed, label FROM adopting.packs
UNION ALL SELECT 'gift_types', kept_back, changed, label FROM adopting.gift_types
UNION ALL SELECT 'gifts', kept_back, changed, label FROM adopting.gifts
UNION ALL SELECT 'coin_purchases', kept_back, changed, label FROM adopting.purchases;

ANALYZE adopting.people, adopting.streams, adopting.gifts, adopting.purchases;
