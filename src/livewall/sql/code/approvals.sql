-- livewall: after foundation, identity, ledger, purchases, settlement, payments
-- What people decide about money: approvals by a second person, refunds, the rules; and the calls that follow.

CREATE FUNCTION private.history_json(p_profile_id uuid, p_but uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT jsonb_build_object(
        'purchases', count(*) FILTER (WHERE c.completed_at IS NOT NULL),
        'refunds', count(*) FILTER (WHERE c.refunded_cents > 0),
        'disputes', (
            SELECT count(*) FROM private.disputes AS d JOIN public.coin_purchases AS o ON o.id = d.purchase_id
            WHERE o.profile_id = p_profile_id))
    FROM public.coin_purchases AS c
    WHERE c.profile_id = p_profile_id AND c.id <> p_but;
END;

-- Coins have no other price, so whatever else came can only be sent back.
CREATE FUNCTION private.is_in_dollars(p_purchase public.coin_purchases) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN private.reason_to_hold(p_purchase) IS DISTINCT FROM 'currency_mismatch';

-- By the very rules that will credit them: the purchase as it is once approved, and captured if it was not.
CREATE FUNCTION private.coins_if_approved(p_purchase public.coin_purchases) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT private.is_in_dollars(p_purchase) THEN
        RETURN 0;
    END IF;
    p_purchase.decision := 'approve';
    p_purchase.captured_cents := CASE p_purchase.captured_cents WHEN 0 THEN p_purchase.authorized_cents ELSE p_purchase.captured_cents END;
    RETURN private.coins_due(p_purchase);
END;
$$;

CREATE FUNCTION public.list_held_purchases() RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM private.require_operator();
    RETURN (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'purchase', private.purchase_json(c), 'buyer', private.person_json(c.profile_id), 'card_country', c.card_country,
            'country_code', c.country_code, 'is_captured', c.captured_cents > 0,
            'history', private.history_json(c.profile_id, c.id),
            'may_decide', c.profile_id IS DISTINCT FROM auth.uid(),
            'may_approve', c.profile_id IS DISTINCT FROM auth.uid() AND private.has_profile(c.profile_id) AND private.is_in_dollars(c),
            'coins_if_approved', private.coins_if_approved(c)) ORDER BY private.decide_by(c), c.number), '[]')
        FROM public.coin_purchases AS c
        WHERE c.status = 'held');
END;
$$;
COMMENT ON FUNCTION public.list_held_purchases IS 'For finance: purchases that wait for a decision, the most urgent first: [HeldPurchase].';
GRANT EXECUTE ON FUNCTION public.list_held_purchases TO authenticated, service_role;

CREATE FUNCTION public.get_purchase(p_number bigint DEFAULT NULL, p_purchase_id uuid DEFAULT NULL) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT jsonb_build_object(
        'purchase', private.purchase_json(c), 'buyer', private.person_json(c.profile_id), 'decision', c.decision, 'decided_at', c.decided_at,
        'refunds', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('id', r.refund_id, 'cents', r.amount_cents, 'currency', r.currency,
                'status', r.status) ORDER BY r.refund_id), '[]')
            FROM private.refunds AS r WHERE r.purchase_id = c.id),
        'disputes', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('id', d.dispute_id, 'cents', d.amount_cents, 'currency', d.currency,
                'status', d.status) ORDER BY d.dispute_id), '[]')
            FROM private.disputes AS d WHERE d.purchase_id = c.id),
        'calls', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('call', p.call, 'cents', p.amount_cents, 'ordered_at', p.ordered_at, 'error', p.error,
                'status', CASE WHEN p.done_at IS NOT NULL THEN 'done' WHEN p.failed_at IS NOT NULL THEN 'failed' ELSE 'waiting' END)
                ORDER BY p.id), '[]')
            FROM private.provider_calls AS p WHERE p.purchase_id = c.id))
    FROM public.coin_purchases AS c
    WHERE c.number = p_number OR c.id = p_purchase_id;
END;
COMMENT ON FUNCTION public.get_purchase IS 'One purchase by its number or id, with all that is known about it, or null: PurchaseRecord.';
GRANT EXECUTE ON FUNCTION public.get_purchase TO service_role;

CREATE FUNCTION private.require_reason(p_reason text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_reason text := private.clean_text(p_reason);
BEGIN
    IF coalesce(v_reason, '') = '' OR char_length(v_reason) > 500 THEN
        PERFORM private.fail('LW077', 'A decision about money says why, in up to 500 characters.', 'Write the reason.');
    END IF;
    RETURN v_reason;
END;
$$;

-- Maker and checker: whoever has the role and is not the buyer decides, once, before the deadline.
CREATE FUNCTION public.decide_purchase(p_purchase_id uuid, p_decision text, p_reason text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_staff('finance', 'admin');
    v_reason text := private.require_reason(p_reason);
    v_purchase public.coin_purchases;
BEGIN
    IF p_decision IS NULL OR p_decision NOT IN ('approve', 'reject') THEN
        PERFORM private.fail('LW005', 'A decision is approve or reject.', 'Use one of the two.');
    END IF;
    v_purchase := private.lock_purchase(p_purchase_id);
    IF v_purchase.profile_id = v_caller THEN
        PERFORM private.fail('LW073', 'This purchase is your own.', 'Somebody else with the role decides about it.');
    ELSIF v_purchase.status <> 'held' THEN
        PERFORM private.fail('LW072', format('This purchase is %s, not held.', v_purchase.status), 'Look at it again: nothing is left to decide.',
            jsonb_build_object('status', v_purchase.status));
    ELSIF private.decide_by(v_purchase) < private.clock() THEN
        PERFORM private.fail('LW074', 'The time to decide is over; the money goes back.', 'The buyer can buy again.');
    ELSIF p_decision = 'approve' AND NOT private.has_profile(v_purchase.profile_id) THEN
        PERFORM private.fail('LW085', 'The buyer has left, so nobody can be credited.', 'Reject it: the money goes back.');
    ELSIF p_decision = 'approve' AND NOT private.is_in_dollars(v_purchase) THEN
        PERFORM private.fail('LW086', 'Coins have a price in dollars only, so nothing can be credited for this.', 'Reject it: the money goes back.');
    END IF;
    UPDATE public.coin_purchases SET decision = p_decision, decided_at = private.clock() WHERE id = p_purchase_id;
    PERFORM private.audit(v_caller, 'purchase_' || CASE p_decision WHEN 'approve' THEN 'approved' ELSE 'rejected' END, p_purchase_id::text,
        jsonb_build_object('reason', v_reason, 'number', v_purchase.number, 'usd_amount', v_purchase.usd_amount, 'buyer_id', v_purchase.profile_id));
    v_purchase := private.settle_purchase(p_purchase_id, 'decision');
    -- In a statement of its own, which sees what was posted.
    RETURN private.purchase_json(v_purchase);
END;
$$;
COMMENT ON FUNCTION public.decide_purchase IS 'For finance: approves or rejects a held purchase of somebody else, once, with a reason: Purchase.';
GRANT EXECUTE ON FUNCTION public.decide_purchase TO authenticated;

-- What of a purchase can still be given back: not refunded, not disputed, not ordered to be refunded already. A refund is
-- often reported before the call that made it is answered: one of the same amount that no call came to is taken for it.
CREATE FUNCTION private.refundable_cents(p_purchase public.coin_purchases) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH reported AS (
        SELECT r.amount_cents, r.status, EXISTS (
            SELECT FROM private.provider_calls AS p WHERE p.purchase_id = r.purchase_id AND p.refund_id = r.refund_id) AS is_answer
        FROM private.refunds AS r
        WHERE r.purchase_id = p_purchase.id AND r.currency = p_purchase.currency
    ), ordered AS (
        SELECT p.amount_cents, p.attempts > 0 AS is_sent,
               row_number() OVER (PARTITION BY p.amount_cents, p.attempts > 0 ORDER BY p.id) AS n
        FROM private.provider_calls AS p
        WHERE p.purchase_id = p_purchase.id AND p.call = 'refund' AND p.done_at IS NULL AND p.failed_at IS NULL
    )
    SELECT p_purchase.captured_cents - p_purchase.disputed_cents
        - (SELECT coalesce(sum(r.amount_cents), 0)::bigint FROM reported AS r WHERE r.status IN ('pending', 'succeeded'))
        - (SELECT coalesce(sum(o.amount_cents), 0)::bigint FROM ordered AS o
           WHERE NOT o.is_sent
               OR o.n > (SELECT count(*) FROM reported AS r WHERE r.amount_cents = o.amount_cents AND NOT r.is_answer));
END;

-- As people read it: dollars and cents, or the code of a currency and its smallest unit, for whole yen are not cents.
CREATE FUNCTION private.money_text(p_currency text, p_cents bigint) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE p_currency WHEN 'usd' THEN '$' || to_char(p_cents / 100.0, 'FM999,999,999,999,990.00')
    ELSE format('%s %s (smallest unit)', upper(p_currency), to_char(p_cents, 'FM999,999,999,999,990')) END;

-- Says why so much can not be given back, in the money that came.
CREATE FUNCTION private.refuse_refund(p_purchase public.coin_purchases, p_left bigint) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_fields jsonb := jsonb_build_object('left', p_left);
BEGIN
    IF p_purchase.captured_cents = 0 THEN
        PERFORM private.fail('LW083', 'Nothing was captured for this purchase, so there is nothing to refund.',
            CASE p_purchase.status WHEN 'held' THEN 'Reject it: the card is let go.' ELSE 'Look at it again once it is paid.' END, v_fields);
    ELSIF p_left < 1 THEN
        PERFORM private.fail('LW083', 'Nothing of this purchase is left to refund.',
            'What is disputed, and refunds that are ordered already, count too.', v_fields);
    END IF;
    PERFORM private.fail('LW083', format('%s of this purchase can be refunded.', private.money_text(p_purchase.currency, p_left)),
        'Refund less.', v_fields);
END;
$$;

CREATE FUNCTION public.refund_purchase(p_purchase_id uuid, p_usd_cents bigint, p_reason text, p_idempotency_key text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_staff('finance', 'admin');
    v_reason text := private.require_reason(p_reason);
    v_purchase public.coin_purchases;
    -- Prefixed, so that nobody's key is one of those that decisions use.
    v_key text := 'by staff:' || p_idempotency_key;
    v_ordered private.provider_calls;
    v_left bigint;
BEGIN
    PERFORM private.require_idempotency_key(p_idempotency_key);
    v_purchase := private.lock_purchase(p_purchase_id);
    SELECT * INTO v_ordered FROM private.provider_calls AS c WHERE c.idempotency_key = p_purchase_id || ':' || v_key;
    IF v_ordered.id IS NOT NULL THEN
        IF p_usd_cents IS DISTINCT FROM v_ordered.asked_cents THEN
            PERFORM private.fail('LW075', 'This idempotency key was used for another refund.', 'Use a new key for each refund.');
        END IF;
        RETURN private.purchase_json(v_purchase) || jsonb_build_object('ordered_cents', v_ordered.amount_cents);
    END IF;
    IF v_purchase.profile_id = v_caller THEN
        PERFORM private.fail('LW073', 'This purchase is your own.', 'Somebody else with the role refunds it.');
    END IF;
    v_left := private.refundable_cents(v_purchase);
    IF p_usd_cents < 1 THEN
        PERFORM private.fail('LW078', 'A refund is at least one cent.', 'Correct the amount.');
    ELSIF v_left < greatest(coalesce(p_usd_cents, 0), 1) THEN
        PERFORM private.refuse_refund(v_purchase, v_left);
    END IF;
    PERFORM private.order_call(p_purchase_id, 'refund', coalesce(p_usd_cents, v_left), v_key, p_usd_cents),
        private.audit(v_caller, 'refund_ordered', p_purchase_id::text,
            jsonb_build_object('reason', v_reason, 'amount_cents', coalesce(p_usd_cents, v_left), 'currency', v_purchase.currency,
                'number', v_purchase.number));
    RETURN private.purchase_json(v_purchase) || jsonb_build_object('ordered_cents', coalesce(p_usd_cents, v_left));
END;
$$;
COMMENT ON FUNCTION public.refund_purchase IS 'For finance: orders a refund, of all that is left without an amount: {...Purchase, ordered_cents}. Once per key.';
GRANT EXECUTE ON FUNCTION public.refund_purchase TO authenticated;

-- Ends --------------------------------------------------------------------------------------------------------------

-- Ends what nobody has paid. Once the provider knows of it, only the provider knows that no money came meanwhile.
CREATE FUNCTION private.give_up(p_purchase public.coin_purchases) RETURNS public.coin_purchases
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_purchase.provider_payment_id IS NULL THEN
        UPDATE public.coin_purchases SET canceled_at = private.clock() WHERE id = p_purchase.id;
    ELSE
        PERFORM private.order_cancel(p_purchase.id, private.usd_cents(p_purchase.usd_amount), private.clock());
    END IF;
    RETURN private.settle_purchase(p_purchase.id, 'decision');
END;
$$;

CREATE FUNCTION public.cancel_my_purchase(p_purchase_id uuid) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := private.require_caller();
    v_purchase public.coin_purchases;
BEGIN
    SELECT * INTO v_purchase FROM public.coin_purchases WHERE id = p_purchase_id AND profile_id = v_caller FOR NO KEY UPDATE;
    IF v_purchase.id IS NULL THEN
        PERFORM private.fail('LW004', 'There is no such purchase of yours.', 'Look at the list of your purchases.');
    ELSIF v_purchase.status IN ('created', 'pending', 'failed') AND v_purchase.authorized_cents = 0 THEN
        v_purchase := private.give_up(v_purchase);
    ELSIF v_purchase.status <> 'canceled' THEN
        PERFORM private.fail('LW084', format('A purchase that is %s can not be cancelled.', v_purchase.status),
            'Look at the purchase again: it may have moved on.', jsonb_build_object('status', v_purchase.status));
    END IF;
    RETURN private.purchase_json(v_purchase);
END;
$$;
COMMENT ON FUNCTION public.cancel_my_purchase IS 'Gives up a purchase of the caller''s that is not paid: Purchase. A second time changes nothing.';
GRANT EXECUTE ON FUNCTION public.cancel_my_purchase TO authenticated;

-- Held too long: the money goes back, and both sides hear of it. Created a day ago and never paid: given up.
CREATE FUNCTION public.expire_purchases(p_limit integer DEFAULT 100) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_purchase public.coin_purchases;
    v_expired integer := 0;
BEGIN
    FOR v_purchase IN
        SELECT * FROM public.coin_purchases AS c
        WHERE (c.status = 'held' AND private.decide_by(c) < private.clock())
            OR (c.status IN ('created', 'pending', 'failed') AND c.authorized_cents = 0
                AND c.purchased_at < private.clock() - interval '24 hours'
                -- Once cancelled, it is the provider's turn: it must not come up again and again before others. What the
                -- provider refused is asked once a day.
                AND NOT EXISTS (
                    SELECT FROM private.provider_calls AS p
                    WHERE p.purchase_id = c.id AND p.call = 'cancel'
                        AND (p.failed_at IS NULL OR p.failed_at > private.clock() - interval '24 hours')))
        -- Whatever has a deadline first: no number of abandoned carts delays it.
        ORDER BY c.status <> 'held', private.decide_by(c), c.purchased_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        v_expired := v_expired + 1;
        IF v_purchase.status = 'held' THEN
            UPDATE public.coin_purchases SET decision = 'expire', decided_at = private.clock() WHERE id = v_purchase.id;
            PERFORM private.audit(NULL, 'purchase_expired', v_purchase.id::text, jsonb_build_object('number', v_purchase.number)),
                private.settle_purchase(v_purchase.id, 'decision');
        ELSE
            PERFORM private.give_up(v_purchase);
        END IF;
    END LOOP;
    RETURN jsonb_build_object('expired', v_expired);
END;
$$;
COMMENT ON FUNCTION public.expire_purchases IS 'Ends what nobody decided or paid in time: {expired}. Run every minute, again while it is as many as p_limit.';
GRANT EXECUTE ON FUNCTION public.expire_purchases TO service_role;

-- Calls to providers ------------------------------------------------------------------------------------------------

-- Whoever takes a call has until its next attempt to say how it went. Its key says every time that it is the same one.
CREATE FUNCTION public.take_provider_calls(p_limit integer DEFAULT 10) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH due AS (
        SELECT c.id FROM private.provider_calls AS c
        WHERE c.done_at IS NULL AND c.failed_at IS NULL AND c.next_attempt_at <= private.clock()
        ORDER BY c.next_attempt_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE private.provider_calls AS c
        SET attempts = c.attempts + 1,
            next_attempt_at = private.clock() + least(interval '1 hour', interval '30 seconds' * 2 ^ least(c.attempts, 10))
        FROM due WHERE c.id = due.id
        RETURNING c.*
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', t.id, 'call', t.call, 'payment_provider', p.payment_provider, 'provider_payment_id', p.provider_payment_id,
        'amount_cents', t.amount_cents, 'idempotency_key', t.idempotency_key, 'attempts', t.attempts) ORDER BY t.id), '[]')
    FROM taken AS t
    JOIN public.coin_purchases AS p ON p.id = t.purchase_id;
END;
COMMENT ON FUNCTION public.take_provider_calls IS 'Calls to make now: [{id, call, payment_provider, provider_payment_id, amount_cents, idempotency_key, attempts}].';
GRANT EXECUTE ON FUNCTION public.take_provider_calls TO service_role;

-- Nobody here can ask the provider any more: what is not paid ends in our own books. Money that comes all the same counts.
CREATE FUNCTION private.end_unasked(p_call private.provider_calls) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE public.coin_purchases AS c SET canceled_at = coalesce(c.canceled_at, private.clock())
    WHERE c.id = p_call.purchase_id AND p_call.call = 'cancel' AND c.authorized_cents = 0 AND c.captured_cents = 0
        AND c.payment_step IS DISTINCT FROM 'processing';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE private.provider_calls SET failed_at = private.clock() WHERE id = p_call.id;
    RETURN true;
END;
$$;

CREATE FUNCTION public.finish_provider_call(
    p_call_id bigint, p_facts jsonb DEFAULT NULL, p_error text DEFAULT NULL, p_is_final boolean DEFAULT false,
    p_is_gone boolean DEFAULT false) RETURNS jsonb
-- A purchase that somebody keeps locked is left: the call is made again, and does nothing twice.
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
AS $$
DECLARE
    v_call private.provider_calls;
BEGIN
    UPDATE private.provider_calls AS c
    SET done_at = CASE WHEN p_error IS NULL THEN private.clock() END, error = p_error, refund_id = p_facts -> 0 ->> 'refund_id',
        failed_at = CASE WHEN p_error IS NOT NULL AND p_is_final THEN private.clock() END
    WHERE c.id = p_call_id AND c.done_at IS NULL AND c.failed_at IS NULL
    RETURNING * INTO v_call;
    IF v_call.id IS NULL THEN
        RETURN to_jsonb(false);
    END IF;
    IF p_error IS NULL AND p_facts IS NOT NULL THEN
        PERFORM private.apply_facts(v_call.purchase_id, p_facts);
    ELSIF p_error IS NOT NULL AND (p_is_final OR p_is_gone AND private.end_unasked(v_call)) THEN
        PERFORM private.audit(NULL, 'provider_call_failed', v_call.purchase_id::text,
            jsonb_build_object('call', v_call.call, 'error', p_error, 'amount_cents', v_call.amount_cents));
        -- After a refund that was refused without a fact something may be left that is to go back all the same.
        PERFORM private.apply_facts(v_call.purchase_id, CASE v_call.call WHEN 'capture' THEN '[{"kind": "capture_failed"}]' ELSE '[]' END::jsonb);
    END IF;
    RETURN to_jsonb(true);
END;
$$;
COMMENT ON FUNCTION public.finish_provider_call IS 'How a call went: facts, or an error: final, of a provider that is gone, or to be tried again. True if it was still open.';
GRANT EXECUTE ON FUNCTION public.finish_provider_call TO service_role;
