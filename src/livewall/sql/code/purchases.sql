-- livewall: after foundation, identity, ledger, gifts
-- Coin packs and purchases: admission under limits, the state that follows from facts, what is posted, what staff decides.

CREATE POLICY coin_packs_select_all ON public.coin_packs FOR SELECT TO anon, authenticated, service_role USING (true);
GRANT SELECT ON public.coin_packs TO anon, authenticated, service_role;
CREATE POLICY coin_purchases_select_own ON public.coin_purchases FOR SELECT TO authenticated
    USING (profile_id = (SELECT auth.uid()));
GRANT SELECT ON public.coin_purchases TO authenticated;

CREATE FUNCTION public.list_coin_packs(p_platform text DEFAULT 'web') RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'title', c.title, 'coins', c.coins, 'platform', c.platform,
        'usd_cents', (c.usd_amount * 100)::bigint) ORDER BY c.usd_amount), '[]')
    FROM public.coin_packs AS c
    WHERE c.platform = p_platform AND c.is_active;
END;
COMMENT ON FUNCTION public.list_coin_packs IS 'What can be bought on a platform, cheapest first: [{id, title, coins, usd_cents, platform}].';
GRANT EXECUTE ON FUNCTION public.list_coin_packs TO anon, authenticated;

-- The state ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION private.usd_cents(p_usd_amount numeric) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN (p_usd_amount * 100)::bigint;

CREATE FUNCTION private.needs_decision(p_purchase public.coin_purchases) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN p_purchase.requires_approval OR p_purchase.hold_reason IS NOT NULL;

CREATE FUNCTION private.is_credited(p_purchase public.coin_purchases) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN p_purchase.captured_cents > 0
    AND (NOT private.needs_decision(p_purchase) OR p_purchase.decision IS NOT DISTINCT FROM 'approve');

-- Money that is gone again: refunded, or with the bank while a dispute is open or lost.
CREATE FUNCTION private.taken_cents(p_purchase public.coin_purchases) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN least(p_purchase.captured_cents, p_purchase.refunded_cents + p_purchase.disputed_cents);

-- Coins for the money that came: never more than were bought, and none for a currency in which they have no price.
CREATE FUNCTION private.coins_paid(p_purchase public.coin_purchases) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN NOT private.is_credited(p_purchase) OR p_purchase.currency <> 'usd' THEN 0
    ELSE floor(p_purchase.coin_amount::numeric * least(p_purchase.captured_cents, private.usd_cents(p_purchase.usd_amount))
        / private.usd_cents(p_purchase.usd_amount))::bigint END;

-- Coins for the money that came and stayed: what is taken back is rounded down.
CREATE FUNCTION private.coins_due(p_purchase public.coin_purchases) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN NOT private.is_credited(p_purchase) THEN 0
    ELSE private.coins_paid(p_purchase)
        - floor(private.coins_paid(p_purchase)::numeric * private.taken_cents(p_purchase) / p_purchase.captured_cents)::bigint END;

CREATE FUNCTION private.purchase_status(p_purchase public.coin_purchases) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE
    WHEN p_purchase.decision = 'reject' THEN 'rejected'
    WHEN p_purchase.decision = 'expire' THEN 'expired'
    WHEN p_purchase.captured_cents > 0 THEN CASE
        WHEN p_purchase.refunded_cents >= p_purchase.captured_cents THEN 'refunded'
        WHEN p_purchase.dispute_state = 'open' THEN 'disputed'
        WHEN p_purchase.dispute_state = 'lost' THEN 'dispute_lost'
        WHEN private.is_credited(p_purchase) THEN 'completed'
        ELSE 'held' END
    -- First, because what is canceled fails to be captured, too, and either may be heard of first.
    WHEN p_purchase.canceled_at IS NOT NULL THEN 'canceled'
    WHEN p_purchase.capture_failed_at IS NOT NULL THEN 'failed'
    WHEN p_purchase.decision = 'approve' THEN 'approved'
    WHEN p_purchase.authorized_cents > 0 AND private.needs_decision(p_purchase) THEN 'held'
    WHEN p_purchase.payment_step IN ('processing', 'failed') THEN p_purchase.payment_step
    WHEN p_purchase.provider_payment_id IS NOT NULL THEN 'pending'
    ELSE 'created' END;

-- Five days, but never so late that the provider has let go of the money by then.
CREATE FUNCTION private.decide_by(p_purchase public.coin_purchases) RETURNS timestamptz
LANGUAGE sql STABLE
RETURN CASE WHEN p_purchase.status = 'held' THEN least(
    coalesce(p_purchase.authorized_at, p_purchase.captured_at) + interval '5 days',
    CASE WHEN p_purchase.captured_cents = 0 THEN p_purchase.capture_before - interval '12 hours' END) END;

CREATE FUNCTION private.purchase_json(p_purchase public.coin_purchases) RETURNS jsonb
LANGUAGE sql STABLE
RETURN jsonb_build_object(
    'id', p_purchase.id, 'number', p_purchase.number, 'status', p_purchase.status, 'coin_pack_id', p_purchase.coin_pack_id,
    'platform', p_purchase.platform, 'payment_provider', p_purchase.payment_provider,
    'provider_payment_id', p_purchase.provider_payment_id, 'coin_amount', p_purchase.coin_amount,
    'usd_cents', private.usd_cents(p_purchase.usd_amount), 'requires_approval', p_purchase.requires_approval,
    'hold_reason', p_purchase.hold_reason, 'decide_by', private.decide_by(p_purchase), 'created_at', p_purchase.purchased_at,
    'completed_at', p_purchase.completed_at, 'currency', p_purchase.currency, 'authorized_cents', p_purchase.authorized_cents,
    'captured_cents', p_purchase.captured_cents, 'paid_coins', private.coins_paid(p_purchase),
    'refunded_cents', p_purchase.refunded_cents, 'refunded_coins', private.coins_paid(p_purchase) - p_purchase.posted_coins,
    'disputed_cents', p_purchase.disputed_cents);

CREATE FUNCTION private.purchase_event_json(p_purchase_id uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT private.purchase_json(c) FROM public.coin_purchases AS c WHERE c.id = p_purchase_id;
END;

-- Whatever moves a status goes along the rows of private.purchase_transitions.
CREATE FUNCTION private.check_transition() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM private.purchase_transitions WHERE from_status = OLD.status AND to_status = NEW.status) THEN
        PERFORM private.fail('LW084', format('A purchase does not go from %s to %s.', OLD.status, NEW.status),
            'Look at the purchase again: it may have moved on.', jsonb_build_object('from', OLD.status, 'to', NEW.status));
    END IF;
    RETURN NEW;
END;
$$;
CREATE TRIGGER coin_purchases_transition BEFORE UPDATE OF status ON public.coin_purchases
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION private.check_transition();
CREATE TRIGGER coin_purchases_stay BEFORE DELETE OR TRUNCATE OR UPDATE OF id, number, profile_id, coin_amount, usd_amount, purchased_at
    ON public.coin_purchases FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change();

-- Moves coins to a buyer, their debt first, or takes them away, what is spent as a debt: so nobody who owes has coins.
CREATE FUNCTION private.move_coins(p_profile_id uuid, p_amount bigint, OUT wallet_id bigint, OUT debt_id bigint, OUT to_wallet bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_coins bigint;
    v_owed bigint;
BEGIN
    wallet_id := private.account_of(p_profile_id, 'wallet', 'coins');
    debt_id := private.account_of(p_profile_id, 'debt', 'coins');
    PERFORM FROM private.ledger_accounts WHERE id IN (wallet_id, debt_id) ORDER BY id FOR NO KEY UPDATE;
    SELECT balance INTO v_coins FROM private.ledger_accounts WHERE id = wallet_id;
    SELECT -balance INTO v_owed FROM private.ledger_accounts WHERE id = debt_id;
    to_wallet := CASE WHEN p_amount > 0 THEN p_amount - least(p_amount, v_owed) ELSE -least(-p_amount, v_coins) END;
    PERFORM private.move(wallet_id, to_wallet), private.move(debt_id, p_amount - to_wallet);
END;
$$;

CREATE FUNCTION private.posting_kind(p_purchase public.coin_purchases, p_coins bigint, p_held bigint, p_cause text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE
    WHEN p_held > 0 THEN 'hold'
    WHEN p_coins >= 0 AND p_purchase.completed_at IS NULL THEN CASE WHEN private.is_credited(p_purchase) THEN 'purchase' ELSE 'return' END
    WHEN p_cause = 'dispute' THEN CASE WHEN p_coins < 0 THEN 'dispute' ELSE 'dispute_won' END
    ELSE CASE WHEN p_coins <= 0 THEN 'refund' ELSE 'refund_failed' END END;

-- Posts the difference between what the ledger has of a purchase and what the facts say it should have.
CREATE FUNCTION private.post_purchase(p_purchase public.coin_purchases, p_cause text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is_credited boolean := private.is_credited(p_purchase);
    v_left bigint := p_purchase.captured_cents - private.taken_cents(p_purchase);
    v_coins bigint := private.coins_due(p_purchase) - p_purchase.posted_coins;
    v_cents bigint := CASE WHEN v_is_credited THEN v_left ELSE 0 END - p_purchase.posted_cents;
    v_held bigint := CASE WHEN v_is_credited THEN 0 ELSE v_left END - p_purchase.posted_held_cents;
    v_buyer record;
BEGIN
    IF v_coins = 0 AND v_cents = 0 AND v_held = 0 THEN
        RETURN;
    END IF;
    v_buyer := private.move_coins(p_purchase.profile_id, v_coins);
    PERFORM private.post(
        private.posting_kind(p_purchase, v_coins, v_held, p_cause), p_purchase.id,
        ARRAY[private.platform_account('provider', p_purchase.currency), private.platform_account('suspense', p_purchase.currency),
            private.platform_account('money_to_coins', p_purchase.currency), 4, v_buyer.wallet_id, v_buyer.debt_id],
        ARRAY[p_purchase.currency, p_purchase.currency, p_purchase.currency, 'coins', 'coins', 'coins'],
        ARRAY[-v_held - v_cents, v_held, v_cents, -v_coins, v_buyer.to_wallet, v_coins - v_buyer.to_wallet]);
    UPDATE public.coin_purchases
    SET posted_coins = posted_coins + v_coins, posted_cents = posted_cents + v_cents, posted_held_cents = posted_held_cents + v_held
    WHERE id = p_purchase.id;
    IF v_coins <> 0 THEN
        PERFORM private.tell('wallet', p_purchase.profile_id);
    END IF;
END;
$$;

CREATE FUNCTION private.order_call(p_purchase_id uuid, p_call text, p_cents bigint, p_key text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO private.provider_calls (purchase_id, call, amount_cents, idempotency_key)
    VALUES (p_purchase_id, p_call, p_cents, p_purchase_id || ':' || p_key)
    ON CONFLICT (idempotency_key) DO NOTHING;
END;

-- What a decision asks of the provider, by what is known now: capture, cancel, or give back.
CREATE FUNCTION private.order_what_was_decided(p_purchase public.coin_purchases) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- What other refunds are giving back already is not given back twice.
    v_left bigint := private.refundable_cents(p_purchase);
BEGIN
    IF p_purchase.decision = 'approve' AND p_purchase.captured_cents = 0 AND p_purchase.canceled_at IS NULL THEN
        PERFORM private.order_call(p_purchase.id, 'capture', p_purchase.authorized_cents, 'capture');
    ELSIF p_purchase.decision IN ('reject', 'expire') AND v_left > 0 THEN
        PERFORM private.order_call(p_purchase.id, 'refund', v_left, 'refund:' || p_purchase.decision);
    ELSIF p_purchase.decision IN ('reject', 'expire') AND p_purchase.captured_cents = 0 AND p_purchase.canceled_at IS NULL THEN
        PERFORM private.order_call(p_purchase.id, 'cancel', p_purchase.authorized_cents, 'cancel');
    END IF;
END;
$$;

-- From facts to state: the caller has locked the row and written the facts. Repeating it changes nothing.
CREATE FUNCTION private.settle_purchase(p_purchase_id uuid, p_cause text) RETURNS public.coin_purchases
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_purchase public.coin_purchases;
    v_before text;
BEGIN
    SELECT * INTO v_purchase FROM public.coin_purchases WHERE id = p_purchase_id;
    v_before := v_purchase.status;
    PERFORM private.post_purchase(v_purchase, p_cause), private.order_what_was_decided(v_purchase);
    -- Completed also if nothing was left to post, because the refund was heard of before the payment.
    UPDATE public.coin_purchases AS c
    SET status = private.purchase_status(c), completed_at = CASE WHEN private.is_credited(c) THEN coalesce(c.completed_at, private.clock()) END
    WHERE c.id = p_purchase_id
    RETURNING * INTO v_purchase;
    IF v_purchase.status <> v_before THEN
        PERFORM private.tell('purchase', v_purchase.profile_id, p_purchase_id);
    END IF;
    IF 'held' IN (v_before, v_purchase.status) AND v_purchase.status <> v_before THEN
        PERFORM private.tell('held', NULL, p_purchase_id);
    END IF;
    RETURN v_purchase;
END;
$$;

CREATE FUNCTION private.lock_purchase(p_purchase_id uuid) RETURNS public.coin_purchases
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_purchase public.coin_purchases;
BEGIN
    SELECT * INTO v_purchase FROM public.coin_purchases WHERE id = p_purchase_id FOR NO KEY UPDATE;
    IF v_purchase.id IS NULL THEN
        PERFORM private.fail('LW004', 'There is no such purchase.', 'Reload the list of purchases.');
    END IF;
    RETURN v_purchase;
END;
$$;

-- All purchases that a batch of events is about, locked in one order before any wallet is: whoever decides about one of
-- them, or moves coins of the same buyer, waits or is waited for, but never both.
CREATE FUNCTION private.lock_purchases_of(p_events private.payment_events[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM public.coin_purchases AS c
    WHERE c.id IN (
        WITH fact AS (
            SELECT e.payment_provider, f.fact ->> 'payment_id' AS payment_id, f.fact ->> 'purchase_id' AS purchase_id
            FROM unnest(p_events) AS e
            CROSS JOIN jsonb_array_elements(CASE WHEN jsonb_typeof(e.facts) = 'array' THEN e.facts ELSE '[]' END) AS f (fact)
        )
        SELECT p.id FROM fact AS f
        JOIN public.coin_purchases AS p ON p.payment_provider = f.payment_provider AND p.provider_payment_id = f.payment_id
        UNION
        SELECT f.purchase_id::uuid FROM fact AS f WHERE f.purchase_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')
    ORDER BY c.id FOR NO KEY UPDATE;
END;
$$;

-- Buying ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION private.lock_buyer(p_profile_id uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN pg_advisory_xact_lock(hashtextextended('buyer ' || p_profile_id::text, 0));

-- Limit, velocity and threshold, as they are in force at this moment. The caller has locked the buyer: of twenty calls at
-- once, exactly those that fit pass. The time in a variable: an index serves no volatile function.
CREATE FUNCTION private.admit_purchase(p_profile_id uuid, p_usd_amount numeric, OUT max_purchase_limit numeric, OUT requires_approval boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_rule private.money_settings;
    v_now timestamptz := private.clock();
    v_recent bigint;
    v_oldest timestamptz;
    v_day numeric;
BEGIN
    SELECT * INTO v_rule FROM private.money_settings;
    IF p_usd_amount > v_rule.purchase_limit THEN
        PERFORM private.fail('LW070', format('One purchase can be up to $%s.', to_char(v_rule.purchase_limit, 'FM999,999,990.00')),
            'Choose a smaller pack.', jsonb_build_object('limit', v_rule.purchase_limit));
    END IF;
    SELECT count(*), min(r.purchased_at) INTO v_recent, v_oldest
    FROM (
        SELECT c.purchased_at FROM public.coin_purchases AS c
        WHERE c.profile_id = p_profile_id AND c.purchased_at > v_now - interval '1 minute'
        ORDER BY c.purchased_at DESC LIMIT v_rule.purchases_per_minute
    ) AS r;
    IF v_recent >= v_rule.purchases_per_minute THEN
        PERFORM private.fail('LW071', format('%s purchases in a minute are the most.', v_rule.purchases_per_minute),
            'Wait a moment, then buy again.', jsonb_build_object(
                'retry_after', ceil(extract(epoch FROM v_oldest + interval '1 minute' - v_now))));
    END IF;
    SELECT coalesce(sum(c.usd_amount), 0) INTO v_day
    FROM public.coin_purchases AS c
    WHERE c.profile_id = p_profile_id AND c.purchased_at > v_now - interval '24 hours'
        -- The failed count: a good card may follow a bad one on the same purchase.
        AND c.status NOT IN ('canceled', 'rejected', 'expired');
    max_purchase_limit := v_rule.purchase_limit;
    requires_approval := p_usd_amount > v_rule.approval_threshold OR coalesce(v_day + p_usd_amount > v_rule.daily_threshold, false);
END;
$$;

CREATE FUNCTION private.require_buyer(p_profile_id uuid) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM private.refuse_banned(p_profile_id);
    IF NOT EXISTS (SELECT FROM public.profiles WHERE id = p_profile_id) THEN
        PERFORM private.fail('LW004', 'There is no such person.', 'Sign in again.');
    ELSIF EXISTS (SELECT FROM public.profiles WHERE id = p_profile_id AND is_guest) THEN
        PERFORM private.fail('LW079', 'Buying coins takes an account.', 'Create an account first: your wall stays as it is.');
    END IF;
END;
$$;

CREATE FUNCTION public.create_coin_purchase(
    p_profile_id uuid, p_coin_pack_id text, p_platform text, p_payment_provider text, p_idempotency_key text,
    p_ip_address inet DEFAULT NULL, p_country_code text DEFAULT NULL, p_user_agent text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_pack public.coin_packs;
    v_purchase public.coin_purchases;
    v_rule record;
BEGIN
    PERFORM private.require_present_view(), private.require_idempotency_key(p_idempotency_key), private.lock_buyer(p_profile_id);
    -- In a statement of its own, which sees what was committed while this one waited: the buyer may have left.
    PERFORM private.require_buyer(p_profile_id);
    SELECT * INTO v_purchase FROM public.coin_purchases WHERE profile_id = p_profile_id AND idempotency_key = p_idempotency_key;
    IF v_purchase.id IS NOT NULL THEN
        IF (v_purchase.coin_pack_id, v_purchase.platform) IS DISTINCT FROM (p_coin_pack_id, p_platform) THEN
            PERFORM private.fail('LW075', 'This idempotency key was used for another purchase.', 'Use a new key for each purchase.');
        END IF;
        RETURN private.purchase_json(v_purchase);
    END IF;
    SELECT * INTO v_pack FROM public.coin_packs WHERE id = p_coin_pack_id AND platform = p_platform AND is_active;
    IF v_pack.id IS NULL THEN
        PERFORM private.fail('LW004', 'There is no such pack.', 'Reload the list of packs.');
    END IF;
    v_rule := private.admit_purchase(p_profile_id, v_pack.usd_amount);
    INSERT INTO public.coin_purchases (profile_id, coin_pack_id, platform, payment_provider, coin_amount, usd_amount, max_purchase_limit,
        requires_approval, idempotency_key, ip_address, country_code, user_agent)
    VALUES (p_profile_id, v_pack.id, v_pack.platform, p_payment_provider, v_pack.coins, v_pack.usd_amount, v_rule.max_purchase_limit,
        v_rule.requires_approval, p_idempotency_key, p_ip_address, upper(p_country_code), left(p_user_agent, 500))
    RETURNING * INTO v_purchase;
    RETURN private.purchase_json(v_purchase);
END;
$$;
COMMENT ON FUNCTION public.create_coin_purchase IS 'A purchase before it is paid, admitted under limit, velocity and threshold: Purchase. Once per key.';
GRANT EXECUTE ON FUNCTION public.create_coin_purchase TO service_role;

CREATE FUNCTION public.list_my_purchases(p_before bigint DEFAULT NULL, p_limit integer DEFAULT 20) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH page AS (
        SELECT c, c.number, row_number() OVER (ORDER BY c.number DESC) AS n
        FROM public.coin_purchases AS c
        WHERE c.profile_id = private.require_caller() AND (p_before IS NULL OR c.number < p_before)
        ORDER BY c.number DESC
        LIMIT greatest(1, least(p_limit, 100)) + 1
    )
    SELECT jsonb_build_object(
        'purchases', coalesce(jsonb_agg(private.purchase_json(p.c) ORDER BY p.n) FILTER (WHERE p.n <= greatest(1, least(p_limit, 100))), '[]'),
        'next', CASE WHEN count(*) > greatest(1, least(p_limit, 100))
                THEN min(p.number) FILTER (WHERE p.n <= greatest(1, least(p_limit, 100))) END)
    FROM page AS p;
END;
COMMENT ON FUNCTION public.list_my_purchases IS 'The caller''s purchases, newest first: {purchases, next}.';
GRANT EXECUTE ON FUNCTION public.list_my_purchases TO authenticated;

CREATE FUNCTION public.get_my_purchase(p_purchase_id uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_purchase public.coin_purchases;
BEGIN
    SELECT * INTO v_purchase FROM public.coin_purchases WHERE id = p_purchase_id AND profile_id = private.require_caller();
    IF v_purchase.id IS NULL THEN
        PERFORM private.fail('LW004', 'There is no such purchase of yours.', 'Look at the list of your purchases.');
    END IF;
    RETURN private.purchase_json(v_purchase);
END;
$$;
COMMENT ON FUNCTION public.get_my_purchase IS 'One purchase of the caller''s: Purchase.';
GRANT EXECUTE ON FUNCTION public.get_my_purchase TO authenticated;
