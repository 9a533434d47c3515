-- livewall: after foundation
-- The sandbox payment provider: its payments, what one can do with them, and the events it has to send.

CREATE FUNCTION private.sandbox_payment(p_payment private.sandbox_payments) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = ''
RETURN to_jsonb(p_payment) - 'idempotency_key' - 'succeeds_at';

CREATE FUNCTION private.locked_sandbox_payment(p_payment_id text) RETURNS private.sandbox_payments
LANGUAGE plpgsql VOLATILE SET search_path = ''
AS $$
DECLARE
    v_payment private.sandbox_payments;
BEGIN
    SELECT * INTO v_payment FROM private.sandbox_payments WHERE id = p_payment_id FOR NO KEY UPDATE;
    IF v_payment.id IS NULL THEN
        PERFORM private.fail('LW004', 'There is no such payment in the sandbox.', 'Start a purchase first.');
    END IF;
    RETURN v_payment;
END;
$$;

-- Writes down an event to be sent. Its type is the sandbox's own word; what became of the payment is in the body.
CREATE FUNCTION private.note_sandbox_event(
    p_payment private.sandbox_payments, p_type text, p_refund jsonb DEFAULT NULL, p_idempotency_key text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = ''
AS $$
DECLARE
    v_id text := 'sbe_' || replace(gen_random_uuid()::text, '-', '');
BEGIN
    INSERT INTO private.sandbox_events (id, payment_id, idempotency_key, body)
    VALUES (v_id, p_payment.id, p_idempotency_key, jsonb_build_object(
        'id', v_id, 'type', p_type, 'created_at', private.clock(),
        'payment', private.sandbox_payment(p_payment), 'refund', p_refund)::text);
END;
$$;

CREATE FUNCTION private.move_sandbox_payment(p_payment_id text, p_status text, p_type text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = ''
AS $$
DECLARE
    v_payment private.sandbox_payments;
BEGIN
    UPDATE private.sandbox_payments
    SET status = p_status,
        captured_cents = CASE WHEN p_status = 'captured' THEN amount_cents ELSE captured_cents END,
        capture_before = CASE WHEN p_status = 'authorized' THEN private.clock() + interval '7 days' ELSE capture_before END,
        succeeds_at = CASE WHEN p_status = 'processing' THEN private.clock() + interval '3 seconds' END,
        last_error = CASE WHEN p_type = 'payment.failed' THEN 'card_declined' END
    WHERE id = p_payment_id
    RETURNING * INTO v_payment;
    PERFORM private.note_sandbox_event(v_payment, p_type);
END;
$$;

CREATE FUNCTION private.pay_sandbox_payment(p_payment private.sandbox_payments) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = ''
AS $$
BEGIN
    IF p_payment.capture = 'manual' THEN
        PERFORM private.move_sandbox_payment(p_payment.id, 'authorized', 'payment.authorized');
    ELSE
        PERFORM private.move_sandbox_payment(p_payment.id, 'captured', 'payment.captured');
    END IF;
END;
$$;

CREATE FUNCTION public.create_sandbox_payment(
    p_purchase_id uuid, p_number bigint, p_amount_cents bigint, p_capture text, p_idempotency_key text
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    v_payment private.sandbox_payments;
BEGIN
    INSERT INTO private.sandbox_payments (id, purchase_id, number, amount_cents, capture, idempotency_key)
    VALUES ('sbp_' || replace(gen_random_uuid()::text, '-', ''), p_purchase_id, p_number, p_amount_cents, p_capture, p_idempotency_key)
    ON CONFLICT (idempotency_key) DO NOTHING;
    SELECT * INTO v_payment FROM private.sandbox_payments WHERE idempotency_key = p_idempotency_key;
    IF (v_payment.purchase_id, v_payment.amount_cents, v_payment.capture) IS DISTINCT FROM (p_purchase_id, p_amount_cents, p_capture) THEN
        PERFORM private.fail('LW005', 'This idempotency key was used for another payment.', 'Use a new key.');
    END IF;
    RETURN private.sandbox_payment(v_payment);
END;
$$;
COMMENT ON FUNCTION public.create_sandbox_payment IS 'Starts a payment in the sandbox, once per key: {id, status, amount_cents, ...}.';
GRANT EXECUTE ON FUNCTION public.create_sandbox_payment TO service_role;

CREATE FUNCTION public.get_sandbox_payment(p_payment_id text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT private.sandbox_payment(p) FROM private.sandbox_payments AS p WHERE p.id = p_payment_id;
END;
COMMENT ON FUNCTION public.get_sandbox_payment IS 'A payment in the sandbox, or null.';
GRANT EXECUTE ON FUNCTION public.get_sandbox_payment TO service_role;

-- Sends the last event again, as providers do for no reason one ever learns.
CREATE FUNCTION private.repeat_sandbox_event(p_payment_id text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = ''
AS $$
BEGIN
    UPDATE private.sandbox_events SET next_attempt_at = private.clock(), attempts = 0
    WHERE number = (SELECT max(number) FROM private.sandbox_events WHERE payment_id = p_payment_id);
    IF NOT FOUND THEN
        PERFORM private.fail('LW005', 'Nothing was sent yet that could be repeated.', 'Pay first.');
    END IF;
END;
$$;

CREATE FUNCTION public.act_on_sandbox_payment(p_payment_id text, p_action text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    v_payment private.sandbox_payments := private.locked_sandbox_payment(p_payment_id);
BEGIN
    IF p_action = 'repeat' THEN
        PERFORM private.repeat_sandbox_event(p_payment_id);
    ELSIF p_action = 'pay' AND v_payment.status = 'open' OR p_action = 'confirm' AND v_payment.status = 'requires_action' THEN
        PERFORM private.pay_sandbox_payment(v_payment);
    ELSIF p_action = 'confirm' AND v_payment.status = 'open' THEN
        PERFORM private.move_sandbox_payment(p_payment_id, 'requires_action', 'payment.requires_action');
    ELSIF p_action = 'delay' AND v_payment.status = 'open' THEN
        PERFORM private.move_sandbox_payment(p_payment_id, 'processing', 'payment.processing');
    ELSIF p_action = 'fail' AND v_payment.status IN ('open', 'requires_action') THEN
        PERFORM private.move_sandbox_payment(p_payment_id, 'open', 'payment.failed');
    ELSE
        PERFORM private.fail('LW005', format('%s is not possible while the payment is %s.', p_action, v_payment.status),
            'Look at the payment again.', jsonb_build_object('status', v_payment.status));
    END IF;
    RETURN public.get_sandbox_payment(p_payment_id);
END;
$$;
COMMENT ON FUNCTION public.act_on_sandbox_payment IS 'What a buyer does on the sandbox page: pay, confirm, fail, delay or repeat. The payment after it.';
GRANT EXECUTE ON FUNCTION public.act_on_sandbox_payment TO service_role;

-- The event that told of a payment's end: whoever asks again hears the same as the first time.
CREATE FUNCTION private.sandbox_end(p_payment_id text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = ''
BEGIN ATOMIC
    SELECT e.body::jsonb FROM private.sandbox_events AS e
    WHERE e.payment_id = p_payment_id AND e.body::jsonb ->> 'type' IN ('payment.captured', 'payment.canceled')
    ORDER BY e.number DESC LIMIT 1;
END;

CREATE FUNCTION public.capture_sandbox_payment(p_payment_id text, p_amount_cents bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    v_payment private.sandbox_payments := private.locked_sandbox_payment(p_payment_id);
BEGIN
    IF v_payment.status = 'authorized' THEN
        IF p_amount_cents IS DISTINCT FROM v_payment.amount_cents THEN
            PERFORM private.fail('LW005', 'The sandbox captures everything that is authorized.', 'Send the whole amount.');
        END IF;
        PERFORM private.move_sandbox_payment(p_payment_id, 'captured', 'payment.captured');
    ELSIF v_payment.status NOT IN ('captured', 'canceled') THEN
        PERFORM private.fail('LW005', format('A payment that is %s can not be captured.', v_payment.status), 'Wait until it is authorized.');
    END IF;
    RETURN private.sandbox_end(p_payment_id);
END;
$$;
COMMENT ON FUNCTION public.capture_sandbox_payment IS 'Captures what is authorized. The event that reports the end, captured or canceled.';
GRANT EXECUTE ON FUNCTION public.capture_sandbox_payment TO service_role;

CREATE FUNCTION public.cancel_sandbox_payment(p_payment_id text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    v_payment private.sandbox_payments := private.locked_sandbox_payment(p_payment_id);
BEGIN
    IF v_payment.status NOT IN ('captured', 'canceled') THEN
        PERFORM private.move_sandbox_payment(p_payment_id, 'canceled', 'payment.canceled');
    END IF;
    RETURN private.sandbox_end(p_payment_id);
END;
$$;
COMMENT ON FUNCTION public.cancel_sandbox_payment IS 'Cancels what is not captured. The event that reports the end, canceled or captured.';
GRANT EXECUTE ON FUNCTION public.cancel_sandbox_payment TO service_role;

CREATE FUNCTION public.refund_sandbox_payment(p_payment_id text, p_amount_cents bigint, p_idempotency_key text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    v_payment private.sandbox_payments := private.locked_sandbox_payment(p_payment_id);
    v_known jsonb := (SELECT body::jsonb FROM private.sandbox_events
                      WHERE payment_id = p_payment_id AND idempotency_key = p_idempotency_key);
BEGIN
    IF (v_known #>> '{refund,amount_cents}')::bigint <> p_amount_cents THEN
        PERFORM private.fail('LW005', 'This idempotency key was used for another refund.', 'Use a new key.');
    ELSIF v_known IS NOT NULL THEN
        RETURN v_known;
    ELSIF p_amount_cents < 1 OR p_amount_cents > v_payment.captured_cents - v_payment.refunded_cents THEN
        PERFORM private.fail('LW005', 'That is more than is left of the payment.', 'Refund less.',
            jsonb_build_object('left', v_payment.captured_cents - v_payment.refunded_cents));
    END IF;
    UPDATE private.sandbox_payments SET refunded_cents = refunded_cents + p_amount_cents WHERE id = p_payment_id
    RETURNING * INTO v_payment;
    PERFORM private.note_sandbox_event(v_payment, 'refund.succeeded', jsonb_build_object(
        'id', 'sbr_' || replace(gen_random_uuid()::text, '-', ''), 'amount_cents', p_amount_cents, 'status', 'succeeded'),
        p_idempotency_key);
    RETURN (SELECT body::jsonb FROM private.sandbox_events WHERE payment_id = p_payment_id AND idempotency_key = p_idempotency_key);
END;
$$;
COMMENT ON FUNCTION public.refund_sandbox_payment IS 'Refunds a part of what was captured, once per key. The event that reports it.';
GRANT EXECUTE ON FUNCTION public.refund_sandbox_payment TO service_role;

-- What happens by itself: a delayed payment succeeds, one that nobody captured in time lapses.
CREATE FUNCTION private.ripen_sandbox_payments() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = ''
AS $$
DECLARE
    v_payment private.sandbox_payments;
BEGIN
    FOR v_payment IN
        SELECT * FROM private.sandbox_payments
        WHERE status = 'processing' AND succeeds_at <= private.clock() OR status = 'authorized' AND capture_before <= private.clock()
        ORDER BY id LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        IF v_payment.status = 'processing' THEN
            PERFORM private.pay_sandbox_payment(v_payment);
        ELSE
            PERFORM private.move_sandbox_payment(v_payment.id, 'canceled', 'payment.canceled');
        END IF;
    END LOOP;
END;
$$;

CREATE FUNCTION public.take_sandbox_events(p_limit integer) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    v_taken jsonb;
BEGIN
    PERFORM private.ripen_sandbox_payments();
    -- The next attempt is settled before this one is made, so whoever dies on the way loses nothing.
    WITH due AS (
        SELECT number FROM private.sandbox_events WHERE next_attempt_at <= private.clock()
        ORDER BY number LIMIT greatest(0, least(p_limit, 100)) FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE private.sandbox_events AS e
        SET attempts = attempts + 1,
            next_attempt_at = CASE WHEN attempts < 60 THEN private.clock() + make_interval(secs => least(60, 2 ^ least(attempts, 6))) END
        FROM due WHERE e.number = due.number
        RETURNING e.number, e.id, e.body, e.attempts
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'body', t.body, 'attempts', t.attempts) ORDER BY t.number), '[]')
    INTO v_taken FROM taken AS t;
    RETURN v_taken;
END;
$$;
COMMENT ON FUNCTION public.take_sandbox_events IS 'The events to be sent now: [{id, body, attempts}]. Each comes again, later and later, until it is delivered.';
GRANT EXECUTE ON FUNCTION public.take_sandbox_events TO service_role;

CREATE FUNCTION public.note_sandbox_delivery(p_event_id text, p_attempts integer) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    -- Only this attempt: one that was asked to be repeated meanwhile still has to be.
    UPDATE private.sandbox_events SET next_attempt_at = NULL WHERE id = p_event_id AND attempts = p_attempts
    RETURNING to_jsonb(id);
END;
COMMENT ON FUNCTION public.note_sandbox_delivery IS 'An event arrived. Its id, or null if it is to be sent again anyway.';
GRANT EXECUTE ON FUNCTION public.note_sandbox_delivery TO service_role;
