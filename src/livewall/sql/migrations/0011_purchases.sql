-- Coin packs, purchases and what payment providers report about them.

CREATE TABLE public.coin_packs (
    id text NOT NULL,
    platform text NOT NULL,
    title text NOT NULL,
    coins bigint NOT NULL,
    usd_amount numeric(10, 2) NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    CONSTRAINT coin_packs_priced_per_platform PRIMARY KEY (id, platform),
    CONSTRAINT coin_packs_platform_known CHECK (platform IN ('web', 'ios', 'android')),
    CONSTRAINT coin_packs_coins_positive CHECK (coins > 0),
    CONSTRAINT coin_packs_price_positive CHECK (usd_amount > 0 AND usd_amount < 'NaN')
);
ALTER TABLE public.coin_packs ENABLE ROW LEVEL SECURITY;
INSERT INTO public.coin_packs (id, platform, title, coins, usd_amount) VALUES
    ('coins_70', 'web', '70 coins', 70, 0.99),
    ('coins_350', 'web', '350 coins', 350, 4.99),
    ('coins_700', 'web', '700 coins', 700, 9.99),
    ('coins_1400', 'web', '1,400 coins', 1400, 19.99),
    ('coins_3500', 'web', '3,500 coins', 3500, 49.99),
    ('coins_7000', 'web', '7,000 coins', 7000, 99.99),
    ('coins_70000', 'web', '70,000 coins', 70000, 999.99),
    ('coins_700000', 'web', '700,000 coins', 700000, 9999.99),
    ('coins_1750000', 'web', '1,750,000 coins', 1750000, 25000.00),
    ('coins_2275000', 'web', '2,275,000 coins', 2275000, 32500.00),
    -- Stores take their part, so the same coins cost more there.
    ('coins_70', 'ios', '70 coins', 70, 1.29),
    ('coins_350', 'ios', '350 coins', 350, 6.99),
    ('coins_700', 'ios', '700 coins', 700, 12.99),
    ('coins_70', 'android', '70 coins', 70, 1.29),
    ('coins_350', 'android', '350 coins', 350, 6.99),
    ('coins_700', 'android', '700 coins', 700, 12.99);

-- A purchase collects facts, in whatever order they are heard: money authorised, captured, refunded, disputed, a decision
-- of the staff. Its status and what it has posted to the ledger follow from the facts alone (private.settle_purchase).
CREATE TABLE public.coin_purchases (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    number bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    profile_id uuid NOT NULL,
    coin_pack_id text,
    platform text NOT NULL,
    payment_provider text NOT NULL,
    provider_event_id text,
    provider_payment_id text,
    coin_amount bigint NOT NULL,
    usd_amount numeric(10, 2) NOT NULL,
    max_purchase_limit numeric(10, 2) NOT NULL DEFAULT 50000.00,
    requires_approval boolean NOT NULL DEFAULT false,
    hold_reason text,
    status text NOT NULL DEFAULT 'created',
    idempotency_key text,
    -- For disputes; personal, so gone when the person goes.
    ip_address inet,
    country_code text,
    user_agent text,
    metadata jsonb NOT NULL DEFAULT '{}',
    purchased_at timestamptz NOT NULL DEFAULT private.clock(),
    -- Facts from the provider. The newest step by the provider's time; the rest only ever grows. `currency` is of what was
    -- captured, before that of what was authorised. `hold_reason` is what only the moment could tell; what does not fit is seen in the facts.
    payment_step text,
    payment_step_at timestamptz,
    currency text NOT NULL DEFAULT 'usd',
    card_country text,
    authorized_cents bigint NOT NULL DEFAULT 0,
    authorized_at timestamptz,
    capture_before timestamptz,
    captured_cents bigint NOT NULL DEFAULT 0,
    captured_at timestamptz,
    refunded_cents bigint NOT NULL DEFAULT 0,
    disputed_cents bigint NOT NULL DEFAULT 0,
    dispute_state text,
    canceled_at timestamptz,
    capture_failed_at timestamptz,
    -- The decision of the staff, or of the deadline. Who decided is in the audit log.
    decision text,
    decided_at timestamptz,
    -- What the ledger has of this purchase: derived, kept to post only differences.
    posted_coins bigint NOT NULL DEFAULT 0,
    posted_cents bigint NOT NULL DEFAULT 0,
    posted_held_cents bigint NOT NULL DEFAULT 0,
    posted_currency text NOT NULL DEFAULT 'usd',
    completed_at timestamptz,
    CONSTRAINT coin_purchases_number_unique UNIQUE (number),
    CONSTRAINT coin_purchases_once_per_payment UNIQUE (payment_provider, provider_payment_id),
    CONSTRAINT coin_purchases_once_per_event UNIQUE (payment_provider, provider_event_id),
    CONSTRAINT coin_purchases_idempotent UNIQUE (profile_id, idempotency_key),
    CONSTRAINT coin_purchases_platform_known CHECK (platform IN ('web', 'ios', 'android')),
    CONSTRAINT coin_purchases_coins_positive CHECK (coin_amount > 0),
    CONSTRAINT coin_purchases_amount_positive CHECK (usd_amount > 0 AND usd_amount < 'NaN'),
    CONSTRAINT coin_purchases_country_is_iso CHECK (country_code ~ '^[A-Z]{2}$'),
    CONSTRAINT coin_purchases_user_agent_length CHECK (char_length(user_agent) <= 500),
    CONSTRAINT coin_purchases_provider_well_formed CHECK (payment_provider ~ '^[a-z_]{1,32}$'),
    CONSTRAINT coin_purchases_decision_known CHECK (decision IN ('approve', 'reject', 'expire')),
    CONSTRAINT coin_purchases_dispute_state_known CHECK (dispute_state IN ('open', 'lost')),
    CONSTRAINT coin_purchases_facts_not_negative CHECK (
        authorized_cents >= 0 AND captured_cents >= 0 AND refunded_cents >= 0 AND disputed_cents >= 0),
    CONSTRAINT coin_purchases_never_post_more_than_bought CHECK (posted_coins BETWEEN 0 AND coin_amount)
);
CREATE INDEX idx_coin_purchases_profile_purchased_at ON public.coin_purchases (profile_id, purchased_at);
CREATE INDEX coin_purchases_open ON public.coin_purchases (purchased_at)
    WHERE status IN ('created', 'pending', 'processing', 'failed', 'held', 'approved');
ALTER TABLE public.coin_purchases ENABLE ROW LEVEL SECURITY;

-- The diagram of docs/money.md as rows: a purchase goes from one status to another only along one of these.
CREATE TABLE private.purchase_transitions (
    from_status text NOT NULL,
    to_status text NOT NULL,
    because text NOT NULL,
    CONSTRAINT purchase_transitions_once PRIMARY KEY (from_status, to_status)
);

CREATE TABLE private.refunds (
    payment_provider text NOT NULL,
    refund_id text NOT NULL,
    purchase_id uuid NOT NULL,
    amount_cents bigint NOT NULL,
    status text NOT NULL,
    CONSTRAINT refunds_once PRIMARY KEY (payment_provider, refund_id),
    CONSTRAINT refunds_of_purchase FOREIGN KEY (purchase_id) REFERENCES public.coin_purchases (id),
    CONSTRAINT refunds_amount_positive CHECK (amount_cents > 0),
    CONSTRAINT refunds_status_known CHECK (status IN ('pending', 'succeeded', 'failed', 'canceled'))
);
CREATE INDEX refunds_by_purchase ON private.refunds (purchase_id);

CREATE TABLE private.disputes (
    payment_provider text NOT NULL,
    dispute_id text NOT NULL,
    purchase_id uuid NOT NULL,
    amount_cents bigint NOT NULL,
    status text NOT NULL,
    CONSTRAINT disputes_once PRIMARY KEY (payment_provider, dispute_id),
    CONSTRAINT disputes_of_purchase FOREIGN KEY (purchase_id) REFERENCES public.coin_purchases (id),
    CONSTRAINT disputes_amount_positive CHECK (amount_cents > 0),
    CONSTRAINT disputes_status_known CHECK (status IN ('open', 'won', 'lost'))
);
CREATE INDEX disputes_by_purchase ON private.disputes (purchase_id);

-- The inbox: an event is stored first and acted on after. Unknown ones are kept.
CREATE TABLE private.payment_events (
    payment_provider text NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    payment_id text,
    digest text NOT NULL,
    payload jsonb NOT NULL,
    facts jsonb,
    outcome text NOT NULL DEFAULT 'waiting',
    error text,
    attempts integer NOT NULL DEFAULT 0,
    received_at timestamptz NOT NULL DEFAULT private.clock(),
    next_attempt_at timestamptz NOT NULL DEFAULT private.clock(),
    CONSTRAINT payment_events_once PRIMARY KEY (payment_provider, event_id),
    CONSTRAINT payment_events_outcome_known CHECK (outcome IN ('waiting', 'applied', 'parked', 'ignored', 'failed'))
);
CREATE INDEX payment_events_open ON private.payment_events (next_attempt_at) WHERE outcome IN ('waiting', 'failed', 'parked');
CREATE INDEX payment_events_by_payment ON private.payment_events (payment_provider, payment_id);
CREATE INDEX payment_events_by_time ON private.payment_events (received_at DESC);

-- What a provider is to do: the intent is committed first, the call is made outside any transaction, its answer recorded.
CREATE TABLE private.provider_calls (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    purchase_id uuid NOT NULL,
    call text NOT NULL,
    amount_cents bigint NOT NULL,
    -- What staff asked to be refunded; null for all that was left, and for every other call.
    asked_cents bigint,
    idempotency_key text NOT NULL,
    ordered_at timestamptz NOT NULL DEFAULT private.clock(),
    next_attempt_at timestamptz NOT NULL DEFAULT private.clock(),
    attempts integer NOT NULL DEFAULT 0,
    done_at timestamptz,
    failed_at timestamptz,
    -- The refund that a call came to.
    refund_id text,
    error text,
    CONSTRAINT provider_calls_once UNIQUE (idempotency_key),
    CONSTRAINT provider_calls_of_purchase FOREIGN KEY (purchase_id) REFERENCES public.coin_purchases (id),
    CONSTRAINT provider_calls_known CHECK (call IN ('capture', 'cancel', 'refund'))
);
CREATE INDEX provider_calls_by_purchase ON private.provider_calls (purchase_id);
CREATE INDEX provider_calls_open ON private.provider_calls (next_attempt_at) WHERE done_at IS NULL AND failed_at IS NULL;

INSERT INTO private.purchase_transitions (from_status, to_status, because)
SELECT from_status, to_status, because
FROM (VALUES
    ('created', 'pending', 'the provider knows of it'),
    ('pending', 'processing', 'the bank takes its time'),
    ('pending', 'failed', 'the card was refused'),
    ('processing', 'failed', 'the bank refused'),
    ('processing', 'pending', 'another way to pay is tried'),
    ('failed', 'pending', 'another way to pay is tried'),
    ('failed', 'processing', 'another way to pay is tried'),
    ('held', 'approved', 'approved, the money is being captured'),
    ('held', 'rejected', 'rejected, the money goes back'),
    ('held', 'expired', 'nobody decided in time, the money goes back'),
    ('held', 'completed', 'approved, the money was there already'),
    ('held', 'pending', 'what was set aside fits after all'),
    ('held', 'processing', 'what was set aside fits after all'),
    ('held', 'failed', 'what was set aside fits after all, but the card was refused'),
    ('approved', 'completed', 'captured and credited'),
    ('approved', 'held', 'what came is no dollars'),
    ('approved', 'rejected', 'the buyer deleted their account, the money goes back'),
    ('completed', 'refunded', 'all of it was refunded'),
    ('completed', 'disputed', 'the buyer disputes it'),
    ('completed', 'held', 'more came than was ordered'),
    ('refunded', 'completed', 'the refund failed'),
    ('refunded', 'held', 'the refund failed'),
    ('refunded', 'disputed', 'the buyer disputes it'),
    ('disputed', 'completed', 'the dispute was won'),
    ('disputed', 'held', 'the dispute was won'),
    ('disputed', 'refunded', 'it was refunded meanwhile'),
    ('disputed', 'dispute_lost', 'the dispute was lost'),
    ('dispute_lost', 'completed', 'the funds were reinstated'),
    ('dispute_lost', 'disputed', 'disputed a second time'),
    ('dispute_lost', 'held', 'the funds were reinstated'),
    ('dispute_lost', 'refunded', 'it was refunded as well')
) AS drawn (from_status, to_status, because)
UNION ALL
-- News come in any order: whatever is not paid yet may turn out to be anything that is.
SELECT unpaid.status, later.status, later.because
FROM unnest(ARRAY['created', 'pending', 'processing', 'failed', 'canceled']) AS unpaid (status),
    (VALUES ('held', 'paid or authorised, a person decides'), ('completed', 'paid and credited'), ('refunded', 'paid and refunded'),
        ('disputed', 'paid and disputed'), ('dispute_lost', 'paid, disputed and lost')) AS later (status, because)
UNION ALL
SELECT open.status, 'canceled', 'given up, canceled at the provider, or the capture was refused'
FROM unnest(ARRAY['created', 'pending', 'processing', 'failed', 'held', 'approved']) AS open (status)
UNION ALL
SELECT decided.status, later.status, later.because
FROM unnest(ARRAY['held', 'approved']) AS decided (status),
    (VALUES ('refunded', 'refunded at the provider'), ('disputed', 'the buyer disputes it'), ('dispute_lost', 'disputed and lost')) AS later (status, because)
UNION ALL
SELECT 'created', step.status, 'heard of before the answer to our own call' FROM unnest(ARRAY['processing', 'failed']) AS step (status)
UNION ALL
SELECT 'completed', 'dispute_lost', 'disputed and lost'
UNION ALL
SELECT 'refunded', 'dispute_lost', 'disputed and lost';
