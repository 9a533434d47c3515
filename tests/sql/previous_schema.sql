-- The previous schema, as livewall.previous_schema expects it at its fullest. What is known of it: tables video_boxes (one
-- grid for everybody) and box_viewers (who looks at which box), gifts.box_position, purchases without guardrails, and a
-- single-entry ledger beside balances on profiles. The rest is a plausible project of that kind: accounts in auth.users,
-- policies that let anybody read and write too much, functions of the names that ours have, a view, a trigger.

CREATE TABLE public.profiles (
    id uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE,
    username text NOT NULL,
    full_name text,
    bio text,
    coin_balance bigint NOT NULL DEFAULT 0,
    earnings_balance bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE public.profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Anyone can do anything" ON public.profiles USING (true);
CREATE TABLE public.user_links (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES public.profiles (id) ON DELETE CASCADE,
    title text,
    url text NOT NULL,
    sort_order integer NOT NULL DEFAULT 0
);
CREATE TABLE public.follows (
    follower_id uuid NOT NULL REFERENCES public.profiles (id) ON DELETE CASCADE,
    following_id uuid NOT NULL REFERENCES public.profiles (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE public.blocks (
    blocker_id uuid NOT NULL REFERENCES public.profiles (id) ON DELETE CASCADE,
    blocked_id uuid NOT NULL REFERENCES public.profiles (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE public.live_streams (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    profile_id uuid NOT NULL REFERENCES public.profiles (id) ON DELETE CASCADE,
    title text,
    live_available boolean NOT NULL DEFAULT false,
    is_published boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE public.chat_messages (
    id bigserial PRIMARY KEY,
    live_stream_id uuid REFERENCES public.live_streams (id),
    user_id uuid REFERENCES public.profiles (id),
    message text,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- One wall of 12 boxes, the same for everybody.
CREATE TABLE public.video_boxes (
    box_position integer PRIMARY KEY,
    streamer_id uuid REFERENCES public.profiles (id),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE public.box_viewers (
    box_position integer NOT NULL REFERENCES public.video_boxes (box_position),
    viewer_id uuid NOT NULL REFERENCES public.profiles (id),
    is_muted boolean NOT NULL DEFAULT false,
    last_seen_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE public.coin_packs (
    id text PRIMARY KEY,
    name text NOT NULL,
    coin_amount bigint NOT NULL,
    price_usd numeric NOT NULL
);
CREATE TABLE public.gift_types (
    id text PRIMARY KEY,
    name text NOT NULL,
    icon text,
    coin_price bigint NOT NULL
);
CREATE TABLE public.gifts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    sender_id uuid REFERENCES public.profiles (id),
    recipient_id uuid REFERENCES public.profiles (id),
    gift_type_id text NOT NULL,
    live_stream_id uuid REFERENCES public.live_streams (id),
    box_position integer,
    coin_amount bigint NOT NULL,
    streamer_share bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- No max_purchase_limit, requires_approval, ip_address, country_code or user_agent.
CREATE TABLE public.coin_purchases (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES public.profiles (id),
    coin_pack_id text,
    payment_provider text NOT NULL DEFAULT 'stripe',
    provider_event_id text,
    payment_intent_id text,
    coin_amount bigint NOT NULL,
    usd_amount numeric NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- Single entry: one line for each change of one balance. Nothing says where the coins came from.
CREATE TABLE public.ledger_entries (
    id bigserial PRIMARY KEY,
    user_id uuid REFERENCES public.profiles (id) ON DELETE SET NULL,
    balance_type text NOT NULL DEFAULT 'coins',
    entry_type text NOT NULL,
    amount bigint NOT NULL,
    reference_id uuid,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- Something of theirs that we know nothing about.
CREATE TABLE public.badges (profile_id uuid REFERENCES public.profiles (id), badge text);
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;

CREATE VIEW public.leaderboard AS SELECT username, coin_balance FROM public.profiles;
GRANT SELECT ON public.leaderboard TO PUBLIC;
CREATE FUNCTION public.process_gift(p_sender uuid, p_coins bigint) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{}'::jsonb $$;
CREATE FUNCTION public.my_wallet() RETURNS jsonb LANGUAGE sql SECURITY DEFINER AS $$ SELECT '{"of": "then"}'::jsonb $$;
CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON public.profiles FOR EACH ROW EXECUTE FUNCTION public.touch();
-- Of a row of a table, and of many: such functions go by the name of the table.
CREATE FUNCTION public.shown_name(p public.profiles) RETURNS text LANGUAGE sql STABLE AS $$ SELECT coalesce(p.full_name, p.username) $$;
CREATE FUNCTION public.newest(VARIADIC p public.live_streams[]) RETURNS SETOF public.live_streams LANGUAGE sql AS $$ SELECT p[1] $$;
CREATE VIEW public.shown_names AS SELECT public.shown_name(p) AS shown FROM public.profiles AS p;
