-- The sandbox: a payment provider of our own, for trying things out. It stands outside the shop as a real one does: it
-- refers to nothing of ours, and we hear of its payments by signed events only.
CREATE TABLE private.sandbox_payments (
    id text PRIMARY KEY,
    purchase_id uuid NOT NULL,
    number bigint NOT NULL,
    amount_cents bigint NOT NULL,
    currency text NOT NULL DEFAULT 'usd',
    capture text NOT NULL,
    status text NOT NULL DEFAULT 'open',
    captured_cents bigint NOT NULL DEFAULT 0,
    refunded_cents bigint NOT NULL DEFAULT 0,
    capture_before timestamptz,
    succeeds_at timestamptz,
    last_error text,
    idempotency_key text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT private.clock(),
    CONSTRAINT sandbox_payments_once_per_call UNIQUE (idempotency_key),
    CONSTRAINT sandbox_payments_amount_positive CHECK (amount_cents > 0),
    CONSTRAINT sandbox_payments_capture_known CHECK (capture IN ('automatic', 'manual')),
    CONSTRAINT sandbox_payments_status_known CHECK (
        status IN ('open', 'requires_action', 'processing', 'authorized', 'captured', 'canceled')),
    CONSTRAINT sandbox_payments_capture_at_most_all CHECK (captured_cents BETWEEN 0 AND amount_cents),
    CONSTRAINT sandbox_payments_refund_at_most_captured CHECK (refunded_cents BETWEEN 0 AND captured_cents)
);
-- What happens to a payment by itself: one on its way arrives, one that was only authorized lapses.
CREATE INDEX sandbox_payments_waiting ON private.sandbox_payments (status) WHERE status IN ('processing', 'authorized');

-- What the sandbox reports. The body is kept as text, because it is sent again byte for byte.
CREATE TABLE private.sandbox_events (
    number bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id text NOT NULL,
    payment_id text NOT NULL,
    body text NOT NULL,
    idempotency_key text,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz DEFAULT private.clock(),
    CONSTRAINT sandbox_events_id_unique UNIQUE (id),
    CONSTRAINT sandbox_events_once_per_call UNIQUE (payment_id, idempotency_key),
    CONSTRAINT sandbox_events_of_payment FOREIGN KEY (payment_id) REFERENCES private.sandbox_payments (id) ON DELETE CASCADE
);
CREATE INDEX sandbox_events_due ON private.sandbox_events (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
