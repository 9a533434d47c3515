-- livewall: after foundation, ledger, gifts, purchases, settlement
-- Facts about payments, which merge in any order, and money that arrives.

-- How final a report is: a later one never gives way to an earlier one, whichever is heard first.
CREATE FUNCTION private.finality(p_status text) RETURNS integer
LANGUAGE sql IMMUTABLE
RETURN array_position(ARRAY['pending', 'open', 'succeeded', 'lost', 'won', 'canceled', 'failed'], p_status);

CREATE FUNCTION private.merge_step(p_purchase_id uuid, p_fact jsonb) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE public.coin_purchases AS c
    SET payment_step = p_fact ->> 'kind', payment_step_at = (p_fact ->> 'at')::timestamptz
    WHERE c.id = p_purchase_id
        AND (c.payment_step_at IS NULL OR (c.payment_step_at, c.payment_step) < ((p_fact ->> 'at')::timestamptz, p_fact ->> 'kind'));
END;

-- Of all that is reported the greatest amount counts, whichever is heard first; of one amount in two currencies the foreign
-- one, so that somebody looks at it.
CREATE FUNCTION private.counts_more(p_cents bigint, p_currency text, p_known_cents bigint, p_known_currency text) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN (p_cents, p_currency <> 'usd', p_currency) > (p_known_cents, p_known_currency <> 'usd', p_known_currency);

-- Money that goes back --------------------------------------------------------------------------------------------

-- What is reported without one is our own answer: of the payment's.
CREATE FUNCTION private.currency_of(p_fact jsonb, p_of_payment text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN coalesce(lower(p_fact ->> 'currency'), p_of_payment);

-- Money that went, but not of the money that came: somebody has to look. On record once, whichever of it and the payment
-- was heard of first, and however often it is corrected.
CREATE FUNCTION private.audit_other_currency(p_purchase_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM private.audit(NULL, 'other_currency_not_counted', c.id::text, w.what || jsonb_build_object('number', c.number,
        'kind', w.kind, 'amount_cents', w.amount_cents, 'currency', w.currency, 'currency_of_payment', c.currency))
    FROM public.coin_purchases AS c
    CROSS JOIN LATERAL (
        SELECT 'refund' AS kind, r.amount_cents, r.currency, jsonb_build_object('refund_id', r.refund_id) AS what
        FROM private.refunds AS r WHERE r.purchase_id = c.id
        UNION ALL
        SELECT 'dispute', d.amount_cents, d.currency, jsonb_build_object('dispute_id', d.dispute_id)
        FROM private.disputes AS d WHERE d.purchase_id = c.id
    ) AS w
    WHERE c.id = p_purchase_id AND c.captured_cents > 0 AND w.currency <> c.currency AND NOT EXISTS (
        SELECT FROM private.audit_log AS l
        WHERE l.action = 'other_currency_not_counted' AND l.subject = p_purchase_id::text AND l.details @> w.what);
END;
$$;

-- Refunds and disputes in the currency of the payment; 999 won are not 999 cents. Counted anew from what was reported, so
-- that it does not matter whether they or the payment were heard of first. What is open counts before what is lost; the
-- names happen to sort that way.
CREATE FUNCTION private.count_what_went_back(p_purchase_id uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE public.coin_purchases AS c
    SET refunded_cents = (
            SELECT coalesce(sum(r.amount_cents), 0) FROM private.refunds AS r
            WHERE r.purchase_id = c.id AND r.currency = c.currency AND r.status = 'succeeded'),
        (disputed_cents, dispute_state) = (
            SELECT coalesce(sum(d.amount_cents), 0), max(d.status) FROM private.disputes AS d
            WHERE d.purchase_id = c.id AND d.currency = c.currency AND d.status <> 'won')
    WHERE c.id = p_purchase_id;
    SELECT private.audit_other_currency(p_purchase_id);
END;

-- A refund or dispute is of one payment: one that is said to be of another, too, changes neither.
CREATE FUNCTION private.refuse_another_purchase(p_purchase_id uuid, p_fact jsonb, p_known_id uuid) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_known_id <> p_purchase_id THEN
        PERFORM private.fail('LW076', 'This was reported of another payment before.', 'Look at both reports before anything else.',
            p_fact || jsonb_build_object('purchase_id', p_known_id));
    END IF;
END;
$$;

CREATE FUNCTION private.merge_money(p_purchase_id uuid, p_fact jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_cents bigint := p_fact ->> 'amount_cents';
    v_currency text := lower(p_fact ->> 'currency');
    v_has_buyer boolean := EXISTS (
        SELECT FROM public.coin_purchases AS c JOIN public.profiles AS p ON p.id = c.profile_id WHERE c.id = p_purchase_id);
BEGIN
    IF v_cents IS NULL OR v_cents <= 0 OR v_currency IS NULL OR v_currency !~ '^[a-z]{3}$' THEN
        PERFORM private.fail('LW078', 'A payment is a positive amount in a currency.', 'Look at the event.', p_fact);
    END IF;
    UPDATE public.coin_purchases AS c
    SET capture_before = least(c.capture_before, (p_fact ->> 'capture_before')::timestamptz),
        card_country = CASE WHEN v_has_buyer THEN coalesce(c.card_country, upper(p_fact ->> 'card_country')) END,
        -- What had come before they went is as good as any.
        hold_reason = CASE WHEN v_has_buyer OR c.captured_cents > 0 THEN c.hold_reason ELSE 'buyer_gone' END
    WHERE c.id = p_purchase_id;
    IF p_fact ->> 'kind' = 'captured' THEN
        UPDATE public.coin_purchases AS c
        SET captured_cents = v_cents, currency = v_currency, captured_at = private.clock()
        WHERE c.id = p_purchase_id AND private.counts_more(v_cents, v_currency, c.captured_cents, c.currency);
    ELSE
        UPDATE public.coin_purchases AS c
        SET authorized_cents = v_cents, authorized_at = coalesce(c.authorized_at, private.clock()),
            currency = CASE c.captured_cents WHEN 0 THEN v_currency ELSE c.currency END
        WHERE c.id = p_purchase_id AND private.counts_more(
            v_cents, v_currency, c.authorized_cents, CASE c.captured_cents WHEN 0 THEN c.currency END);
    END IF;
    -- Its currency may be another one now.
    PERFORM private.count_what_went_back(p_purchase_id);
END;
$$;

CREATE FUNCTION private.merge_refund(p_purchase public.coin_purchases, p_fact jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_currency text := private.currency_of(p_fact, p_purchase.currency);
    v_is_news boolean;
BEGIN
    INSERT INTO private.refunds AS r (payment_provider, refund_id, purchase_id, amount_cents, currency, status)
    VALUES (p_purchase.payment_provider, p_fact ->> 'refund_id', p_purchase.id, (p_fact ->> 'amount_cents')::bigint, v_currency,
        p_fact ->> 'status')
    ON CONFLICT ON CONSTRAINT refunds_once DO UPDATE
    SET status = excluded.status, amount_cents = excluded.amount_cents, currency = excluded.currency
    WHERE r.purchase_id = excluded.purchase_id AND (private.finality(excluded.status), excluded.amount_cents, excluded.currency)
        > (private.finality(r.status), r.amount_cents, r.currency);
    v_is_news := FOUND;
    PERFORM private.refuse_another_purchase(p_purchase.id, p_fact, (
        SELECT r.purchase_id FROM private.refunds AS r
        WHERE r.payment_provider = p_purchase.payment_provider AND r.refund_id = p_fact ->> 'refund_id'));
    -- The buyer still waits for this money, and no status may say so.
    IF v_is_news AND p_fact ->> 'status' IN ('failed', 'canceled') THEN
        PERFORM private.audit(NULL, 'refund_failed', p_purchase.id::text,
            jsonb_build_object('refund_id', p_fact ->> 'refund_id', 'amount_cents', (p_fact ->> 'amount_cents')::bigint,
                'currency', v_currency, 'number', p_purchase.number));
    END IF;
    PERFORM private.count_what_went_back(p_purchase.id);
END;
$$;

CREATE FUNCTION private.merge_dispute(p_purchase public.coin_purchases, p_fact jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_currency text := private.currency_of(p_fact, p_purchase.currency);
BEGIN
    INSERT INTO private.disputes AS d (payment_provider, dispute_id, purchase_id, amount_cents, currency, status)
    VALUES (p_purchase.payment_provider, p_fact ->> 'dispute_id', p_purchase.id, (p_fact ->> 'amount_cents')::bigint, v_currency,
        p_fact ->> 'status')
    ON CONFLICT ON CONSTRAINT disputes_once DO UPDATE
    SET status = excluded.status, amount_cents = excluded.amount_cents, currency = excluded.currency
    WHERE d.purchase_id = excluded.purchase_id AND (private.finality(excluded.status), excluded.amount_cents, excluded.currency)
        > (private.finality(d.status), d.amount_cents, d.currency);
    PERFORM private.refuse_another_purchase(p_purchase.id, p_fact, (
            SELECT d.purchase_id FROM private.disputes AS d
            WHERE d.payment_provider = p_purchase.payment_provider AND d.dispute_id = p_fact ->> 'dispute_id')),
        private.count_what_went_back(p_purchase.id);
END;
$$;

CREATE FUNCTION private.merge_fact(p_purchase public.coin_purchases, p_fact jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CASE p_fact ->> 'kind'
        WHEN 'requires_action', 'processing', 'failed' THEN PERFORM private.merge_step(p_purchase.id, p_fact);
        WHEN 'authorized', 'captured' THEN PERFORM private.merge_money(p_purchase.id, p_fact);
        WHEN 'refund' THEN PERFORM private.merge_refund(p_purchase, p_fact);
        WHEN 'dispute' THEN PERFORM private.merge_dispute(p_purchase, p_fact);
        WHEN 'canceled' THEN
            UPDATE public.coin_purchases SET canceled_at = coalesce(canceled_at, private.clock()) WHERE id = p_purchase.id;
        WHEN 'capture_failed' THEN
            UPDATE public.coin_purchases SET capture_failed_at = coalesce(capture_failed_at, private.clock()) WHERE id = p_purchase.id;
        ELSE PERFORM private.fail('LW005', 'There is no such kind of fact.', 'See docs/payments.md.', p_fact);
    END CASE;
END;
$$;

-- Facts about one purchase, whose row is locked here; then its state follows.
CREATE FUNCTION private.apply_facts(p_purchase_id uuid, p_facts jsonb) RETURNS public.coin_purchases
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_purchase public.coin_purchases := private.lock_purchase(p_purchase_id);
    v_fact jsonb;
BEGIN
    FOR v_fact IN SELECT value FROM jsonb_array_elements(p_facts) LOOP
        PERFORM private.merge_fact(v_purchase, v_fact);
    END LOOP;
    RETURN private.settle_purchase(p_purchase_id, v_fact ->> 'kind');
END;
$$;

-- Money that arrives ------------------------------------------------------------------------------------------------

-- The purchase that a payment or an event of its was recorded as. LW076 if it was recorded with other content.
CREATE FUNCTION private.recorded_purchase(
    p_profile_id uuid, p_payment_provider text, p_event_id text, p_payment_id text, p_coins bigint, p_usd_amount numeric)
RETURNS public.coin_purchases
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_purchase public.coin_purchases;
BEGIN
    SELECT * INTO v_purchase FROM public.coin_purchases AS c
    WHERE c.payment_provider = p_payment_provider AND (c.provider_payment_id = p_payment_id OR c.provider_event_id = p_event_id)
    ORDER BY c.provider_payment_id = p_payment_id DESC LIMIT 1;
    IF v_purchase.id IS NOT NULL AND (v_purchase.profile_id, v_purchase.provider_payment_id, v_purchase.coin_amount, v_purchase.usd_amount)
        IS DISTINCT FROM (p_profile_id, p_payment_id, p_coins, p_usd_amount)
    THEN
        PERFORM private.fail('LW076', 'This payment was reported before, with other content.', 'Look at both reports before anything else.',
            jsonb_build_object('purchase_id', v_purchase.id));
    END IF;
    RETURN v_purchase;
END;
$$;

CREATE FUNCTION private.check_amounts(p_coins bigint, p_usd_amount numeric) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_coins IS NULL OR p_coins < 1 OR p_usd_amount IS NULL OR p_usd_amount = 'NaN' OR p_usd_amount <= 0
        OR p_usd_amount >= 100000000 OR round(p_usd_amount, 2) <> p_usd_amount
    THEN
        PERFORM private.fail('LW078', 'A purchase has whole coins and whole cents, more than none of each.', 'Correct the amounts.',
            jsonb_build_object('coin_amount', p_coins, 'usd_amount', p_usd_amount::text));
    END IF;
END;
$$;

-- The settled payment of a purchase: of one created before, found by its payment, or of one first heard of here, which is
-- admitted under the same rules and raises what breaks them.
CREATE FUNCTION public.process_coin_purchase(
    p_profile_id uuid, p_platform text, p_payment_provider text, p_provider_event_id text, p_provider_payment_id text,
    p_coin_amount bigint, p_usd_amount numeric, p_ip_address inet DEFAULT NULL, p_country_code text DEFAULT NULL,
    p_user_agent text DEFAULT NULL, p_metadata jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_purchase public.coin_purchases;
    v_rule record;
BEGIN
    IF coalesce(p_provider_event_id, '') = '' OR coalesce(p_provider_payment_id, '') = '' THEN
        PERFORM private.fail('LW005', 'A payment has an event and a payment id.', 'Send both as the provider gave them.');
    END IF;
    PERFORM private.require_present_view(), private.check_amounts(p_coin_amount, p_usd_amount), private.lock_buyer(p_profile_id);
    IF NOT private.has_profile(p_profile_id) THEN
        PERFORM private.fail('LW004', 'There is no such person.', 'Check p_profile_id.');
    END IF;
    v_purchase := private.recorded_purchase(
        p_profile_id, p_payment_provider, p_provider_event_id, p_provider_payment_id, p_coin_amount, p_usd_amount);
    IF v_purchase.id IS NULL THEN
        v_rule := private.admit_purchase(p_profile_id, p_usd_amount);
        INSERT INTO public.coin_purchases (profile_id, platform, payment_provider, provider_event_id, provider_payment_id, coin_amount,
            usd_amount, max_purchase_limit, requires_approval, ip_address, country_code, user_agent, metadata)
        VALUES (p_profile_id, p_platform, p_payment_provider, p_provider_event_id, p_provider_payment_id, p_coin_amount,
            p_usd_amount, v_rule.max_purchase_limit, v_rule.requires_approval, p_ip_address, upper(p_country_code),
            left(p_user_agent, 500), coalesce(p_metadata, '{}'))
        RETURNING * INTO v_purchase;
    END IF;
    v_purchase := private.apply_facts(v_purchase.id, jsonb_build_array(jsonb_build_object(
        'kind', 'captured', 'amount_cents', private.usd_cents(p_usd_amount), 'currency', 'usd')));
    PERFORM private.unpark(p_payment_provider, p_provider_payment_id);
    SELECT * INTO v_purchase FROM public.coin_purchases WHERE id = v_purchase.id;
    RETURN private.purchase_json(v_purchase);
END;
$$;
COMMENT ON FUNCTION public.process_coin_purchase IS 'Records a settled payment and credits it, or holds it for approval: Purchase. Once per event and per payment.';
GRANT EXECUTE ON FUNCTION public.process_coin_purchase TO service_role;

-- Money that is there although it may not: kept, held and visible. The rule it broke is the reason.
CREATE FUNCTION private.hold_payment(p_provider text, p_event_id text, p_fact jsonb, p_reason text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_id uuid;
BEGIN
    INSERT INTO public.coin_purchases (profile_id, platform, payment_provider, provider_event_id, provider_payment_id, coin_amount,
        usd_amount, max_purchase_limit, hold_reason)
    SELECT (p_fact ->> 'profile_id')::uuid, coalesce(p_fact ->> 'platform', 'web'), p_provider, p_event_id, p_fact ->> 'payment_id',
           (p_fact ->> 'coin_amount')::bigint, (p_fact ->> 'amount_cents')::numeric / 100, m.purchase_limit, p_reason
    FROM private.rules_in_force(private.clock()) AS m
    RETURNING id INTO v_id;
    PERFORM private.apply_facts(v_id, jsonb_build_array(p_fact)),
        private.audit(NULL, 'payment_held', v_id::text, jsonb_build_object('reason', p_reason)),
        private.unpark(p_provider, p_fact ->> 'payment_id');
END;
$$;

-- A payment that began elsewhere and says itself whose it is and what for, as the stores of phones will report theirs.
CREATE FUNCTION private.settle_unannounced(p_provider text, p_event_id text, p_fact jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Out here, for what is caught below gives its locks back: nobody leaves between the refusal and what is held for it.
    PERFORM private.lock_buyer((p_fact ->> 'profile_id')::uuid);
    IF lower(p_fact ->> 'currency') <> 'usd' THEN
        PERFORM private.hold_payment(p_provider, p_event_id, p_fact, 'currency_mismatch');
        RETURN;
    END IF;
    BEGIN
        -- All arguments: another function of this name, with fewer, would fit as well.
        PERFORM public.process_coin_purchase((p_fact ->> 'profile_id')::uuid, coalesce(p_fact ->> 'platform', 'web'), p_provider,
            p_event_id, p_fact ->> 'payment_id', (p_fact ->> 'coin_amount')::bigint, (p_fact ->> 'amount_cents')::numeric / 100,
            NULL::inet, NULL::text, NULL::text, '{}'::jsonb);
    EXCEPTION
        WHEN SQLSTATE 'LW004' THEN PERFORM private.hold_payment(p_provider, p_event_id, p_fact, 'buyer_gone');
        WHEN SQLSTATE 'LW070' THEN PERFORM private.hold_payment(p_provider, p_event_id, p_fact, 'purchase_over_limit');
        WHEN SQLSTATE 'LW071' THEN PERFORM private.hold_payment(p_provider, p_event_id, p_fact, 'too_many_purchases');
    END;
END;
$$;
