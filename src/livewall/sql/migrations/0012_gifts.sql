-- Gifts: a catalogue of the server's, and every gift ever sent.

CREATE TABLE public.gift_types (
    id text PRIMARY KEY,
    title text NOT NULL,
    emoji text NOT NULL,
    price bigint NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    CONSTRAINT gift_types_price_in_range CHECK (price BETWEEN 1 AND 1000000000)
);
ALTER TABLE public.gift_types ENABLE ROW LEVEL SECURITY;
INSERT INTO public.gift_types (id, title, emoji, price) VALUES
    ('rose', 'Rose', '🌹', 10),
    ('heart', 'Heart', '💛', 50),
    ('star', 'Star', '⭐', 100),
    ('aurora', 'Aurora', '🌌', 500),
    ('crown', 'Crown', '👑', 5000);

-- The id is made of sender and idempotency key, so that the primary key is the check for repetition. No foreign keys: a
-- gift outlives its people and its stream, and the catalogue's few rows would be share-locked by every gift.
CREATE TABLE public.gifts (
    id uuid PRIMARY KEY,
    sender_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    gift_type_id text NOT NULL,
    live_stream_id uuid,
    slot_index smallint NOT NULL,
    price bigint NOT NULL,
    streamer_share bigint NOT NULL,
    platform_share bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT private.clock(),
    CONSTRAINT gifts_slot_1_to_12 CHECK (slot_index BETWEEN 1 AND 12),
    CONSTRAINT gifts_not_to_oneself CHECK (sender_id <> recipient_id),
    CONSTRAINT gifts_shares_make_the_price CHECK (
        streamer_share + platform_share = price AND streamer_share >= 0 AND platform_share >= 0)
);
CREATE INDEX gifts_by_recipient ON public.gifts (recipient_id, created_at DESC);
ALTER TABLE public.gifts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.chat_messages ADD COLUMN gift_id uuid;
