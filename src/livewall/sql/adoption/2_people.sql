-- People and what they said. auth.users has them already, or has just been given them (adoption.py).

-- Made of what 1_prepare.sql normalised by the same functions.
ALTER TABLE public.profiles DISABLE TRIGGER profiles_normalize;
INSERT INTO public.profiles (id, name, display_name, bio, is_guest, created_at)
SELECT p.id, p.name, p.display_name, p.bio, p.is_guest, p.created_at FROM adopting.people AS p;
ALTER TABLE public.profiles ENABLE TRIGGER profiles_normalize;

INSERT INTO public.user_links (profile_id, position, label, url)
SELECT l.profile_id, l.place, l.title, l.url FROM adopting.links AS l WHERE l.kept_back IS NULL;

-- These triggers lock each pair, which would be a lock for every row; nobody else is here, and 1_prepare.sql has looked.
ALTER TABLE public.blocks DISABLE TRIGGER blocks_apply;
ALTER TABLE public.follows DISABLE TRIGGER follows_refuse_blocked;
INSERT INTO public.blocks (blocker_id, blocked_id, created_at)
SELECT t.one, t.other, t.created_at FROM adopting.ties AS t WHERE t.kind = 'block' AND t.kept_back IS NULL;
INSERT INTO public.follows (follower_id, followee_id, created_at)
SELECT t.one, t.other, t.created_at FROM adopting.ties AS t WHERE t.kind = 'follow' AND t.kept_back IS NULL;
ALTER TABLE public.blocks ENABLE TRIGGER blocks_apply;
ALTER TABLE public.follows ENABLE TRIGGER follows_refuse_blocked;

-- Nobody is live: whoever was goes live again, and is published when somebody watches.
INSERT INTO public.live_streams (id, streamer_id, title, created_at)
SELECT s.id, s.streamer_id, s.title, s.created_at FROM adopting.streams AS s WHERE s.kept_back IS NULL;

INSERT INTO public.chat_messages (live_stream_id, sender_id, body, created_at)
SELECT m.stream_id, m.sender_id, m.body, m.created_at FROM adopting.messages AS m
WHERE m.kept_back IS NULL ORDER BY m.created_at, m.id;

INSERT INTO public.user_grid_slots (viewer_id, slot_index, streamer_id, is_muted)
SELECT s.viewer_id, s.position, s.streamer_id, s.is_muted FROM adopting.slots AS s WHERE s.kept_back IS NULL;
