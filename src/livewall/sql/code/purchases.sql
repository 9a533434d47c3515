-- livewall: after foundation, identity, ledger, gifts, money_settings
-- Coin packs and purchases: admission under limits, the state that follows from facts, what is posted, what staff decides.

CREATE POLICY coin_packs_select_all ON public.coin_packs FOR SELECT TO anon, authenticated, service_role USING (true);
GRANT SELECT ON public.coin_packs TO anon, authenticated, service_role;
CREATE POLICY coin_purchases_select_own ON public.coin_purchases FOR SELECT TO authenticated
    USING (profile_id = (SELECT auth.uid()));
GRANT SELECT ON public.coin_purchases TO authenticated;

-- Definer, for the threshold: callers hear which packs are over it, not where it is.
CREATE FUNCTION public.list_coin_packs(p_platform text DEFAULT 'web') RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'title', c.title, 'coins', c.coins, 'platform', c.platform,
        'usd_cents', private.usd_cents(c.usd_amount), 'requires_approval', c.usd_amount > m.approval_threshold) ORDER BY c.usd_amount), '[]')
    FROM public.coin_packs AS c CROSS JOIN private.rules_in_force(private.clock()) AS m
    WHERE c.platform = p_platform AND c.is_active;
END;
COMMENT ON FUNCTION public.list_coin_packs IS
    'What can be bought on a platform, cheapest first: [{id, title, coins, usd_cents, platform, requires_approval}].';
GRANT EXECUTE ON FUNCTION public.list_coin_packs TO anon, authenticated;

-- The state ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION private.misfit(p_cents bigint, p_currency text, p_usd_amount numeric) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE
    WHEN p_cents = 0 THEN NULL
    WHEN p_currency <> 'usd' THEN 'currency_mismatch'
    WHEN p_cents <> private.usd_cents(p_usd_amount) THEN 'amount_mismatch' END;

-- Why a person has to look at the money. What came counts, not what was set aside before it.
CREATE FUNCTION private.reason_to_hold(p_purchase public.coin_purchases) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN coalesce(
    private.misfit(CASE p_purchase.captured_cents WHEN 0 THEN p_purchase.authorized_cents ELSE p_purchase.captured_cents END,
        p_purchase.currency, p_purchase.usd_amount),
    CASE WHEN p_purchase.usd_amount > p_purchase.max_purchase_limit THEN 'purchase_over_limit' END,
    p_purchase.hold_reason);

CREATE FUNCTION private.needs_decision(p_purchase public.coin_purchases) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN p_purchase.requires_approval OR private.reason_to_hold(p_purchase) IS NOT NULL;

-- Coins have a price in dollars only: other money is held whatever was decided, until it goes back.
CREATE FUNCTION private.is_credited(p_purchase public.coin_purchases) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN p_purchase.captured_cents > 0 AND p_purchase.currency = 'usd'
    AND (NOT private.needs_decision(p_purchase) OR p_purchase.decision IS NOT DISTINCT FROM 'approve');

-- Money that is gone again: refunded, or with the bank while a dispute is open or lost.
CREATE FUNCTION private.taken_cents(p_purchase public.coin_purchases) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN least(p_purchase.captured_cents, p_purchase.refunded_cents + p_purchase.disputed_cents);

-- Coins for the money that came: never more than were bought.
CREATE FUNCTION private.coins_paid(p_purchase public.coin_purchases) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN NOT private.is_credited(p_purchase) THEN 0
    ELSE floor(p_purchase.coin_amount::numeric * least(p_purchase.captured_cents, private.usd_cents(p_purchase.usd_amount))
        / private.usd_cents(p_purchase.usd_amount))::bigint END;

-- Coins for the money that came and stayed: what is taken back is rounded down.
CREATE FUNCTION private.coins_due(p_purchase public.coin_purchases) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN NOT private.is_credited(p_purchase) THEN 0
    ELSE private.coins_paid(p_purchase)
        - floor(private.coins_paid(p_purchase)::numeric * private.taken_cents(p_purchase) / p_purchase.captured_cents)::bigint END;

-- Money that came and stayed: paid for coins, or held.
CREATE FUNCTION private.cents_due(p_purchase public.coin_purchases) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN private.is_credited(p_purchase) THEN p_purchase.captured_cents - private.taken_cents(p_purchase) ELSE 0 END;

CREATE FUNCTION private.held_cents_due(p_purchase public.coin_purchases) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN private.is_credited(p_purchase) THEN 0 ELSE p_purchase.captured_cents - private.taken_cents(p_purchase) END;

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
    -- No other card can pay what was refused to be captured: it is let go.
    WHEN p_purchase.canceled_at IS NOT NULL OR p_purchase.capture_failed_at IS NOT NULL THEN 'canceled'
    WHEN p_purchase.decision = 'approve' THEN 'approved'
    WHEN p_purchase.authorized_cents > 0 AND private.needs_decision(p_purchase) THEN 'held'
    WHEN p_purchase.payment_step IN ('processing', 'failed') THEN p_purchase.payment_step
    WHEN p_purchase.provider_payment_id IS NOT NULL THEN 'pending'
    ELSE 'created' END;

-- Five days since the money was there, but never so late that the provider has let go of it by then.
CREATE FUNCTION private.decide_by(p_purchase public.coin_purchases) RETURNS timestamptz
LANGUAGE sql STABLE
RETURN CASE WHEN p_purchase.status = 'held' THEN least(
    coalesce(p_purchase.captured_at, p_purchase.authorized_at) + interval '5 days',
    CASE WHEN p_purchase.captured_cents = 0 THEN p_purchase.capture_before - interval '12 hours' END) END;

-- Of the coins that came, those that went to a debt. Only the ledger knows what was owed at that moment. Coins that were
-- held again meanwhile came anew with the last approval: what they repaid before was taken back with them. Never more than
-- came: part of them may have come a second time, after a refund.
CREATE FUNCTION private.repaid_coins(p_purchase public.coin_purchases) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT least(coalesce(sum(e.amount), 0)::bigint, private.coins_paid(p_purchase))
    FROM private.ledger_transactions AS t
    JOIN public.ledger_entries AS e ON e.transaction_id = t.id
    JOIN private.ledger_accounts AS a ON a.id = e.account_id
    WHERE t.source_id = p_purchase.id AND t.kind = 'purchase' AND a.kind = 'debt'
        AND t.id > coalesce((
            SELECT max(h.id) FROM private.ledger_transactions AS h
            WHERE h.source_id = p_purchase.id AND h.kind IN ('hold', 'return')), 0);
END;

-- Given up, and the provider has yet to agree: until then money may come that wins.
CREATE FUNCTION private.is_being_canceled(p_purchase public.coin_purchases) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN p_purchase.status IN ('created', 'pending', 'failed') AND EXISTS (
    SELECT FROM private.provider_calls AS p WHERE p.purchase_id = p_purchase.id AND p.call = 'cancel' AND p.failed_at IS NULL);

CREATE FUNCTION private.purchase_json(p_purchase public.coin_purchases) RETURNS jsonb
LANGUAGE sql STABLE
RETURN jsonb_build_object(
    'id', p_purchase.id, 'number', p_purchase.number, 'status', p_purchase.status,
    'is_being_canceled', private.is_being_canceled(p_purchase), 'coin_pack_id', p_purchase.coin_pack_id,
    'platform', p_purchase.platform, 'payment_provider', p_purchase.payment_provider,
    'provider_payment_id', p_purchase.provider_payment_id, 'coin_amount', p_purchase.coin_amount,
    'usd_cents', private.usd_cents(p_purchase.usd_amount), 'requires_approval', p_purchase.requires_approval,
    'hold_reason', private.reason_to_hold(p_purchase), 'decide_by', private.decide_by(p_purchase), 'created_at', p_purchase.purchased_at,
    'completed_at', p_purchase.completed_at, 'currency', p_purchase.currency, 'authorized_cents', p_purchase.authorized_cents,
    'captured_cents', p_purchase.captured_cents, 'paid_coins', private.coins_paid(p_purchase),
    'repaid_coins', CASE WHEN p_purchase.completed_at IS NULL THEN 0 ELSE private.repaid_coins(p_purchase) END,
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
CREATE TRIGGER coin_purchases_stay BEFORE DELETE OR TRUNCATE OR UPDATE OF
    id, number, profile_id, coin_amount, usd_amount, requires_approval, max_purchase_limit, purchased_at
    ON public.coin_purchases FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change();

CREATE FUNCTION private.lock_purchase(p_purchase_id uuid) RETURNS public.coin_purchases
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_purchase public.coin_purchases;
BEGIN
    SELECT * INTO v_purchase FROM public.coin_purchases WHERE id = p_purchase_id FOR NO KEY UPDATE;
    IF v_purchase.id IS NULL THEN
        PERFORM private.fail('LW004', 'There is no such purchase.', 'Check its number.');
    END IF;
    RETURN v_purchase;
END;
$$;

-- All purchases that an event is about, locked in one order before any wallet is: whoever decides about one of them, or
-- moves coins of the same buyer, waits or is waited for, but never both. By its payment, too: an event without facts tells
-- of its buyer all the same, who may be leaving.
CREATE FUNCTION private.lock_purchases_of(p_provider text, p_event_id text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM public.coin_purchases AS c
    WHERE c.id IN (
        WITH event AS (
            SELECT e.payment_id, CASE WHEN jsonb_typeof(e.facts) = 'array' THEN e.facts ELSE '[]' END AS facts
            FROM private.payment_events AS e
            WHERE e.payment_provider = p_provider AND e.event_id = p_event_id
        ), fact AS (
            SELECT f.fact ->> 'payment_id' AS payment_id, f.fact ->> 'purchase_id' AS purchase_id
            FROM event AS e CROSS JOIN jsonb_array_elements(e.facts) AS f (fact)
            UNION
            SELECT e.payment_id, NULL FROM event AS e
        )
        SELECT p.id FROM fact AS f
        JOIN public.coin_purchases AS p ON p.payment_provider = p_provider AND p.provider_payment_id = f.payment_id
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
    v_now timestamptz := private.clock();
    v_rule private.money_settings := private.rules_in_force(v_now);
    v_recent bigint;
    v_oldest timestamptz;
    v_day numeric;
BEGIN
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
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_limit integer := greatest(1, least(p_limit, 100));
    v_caller uuid := private.require_caller();
BEGIN
    RETURN (
        WITH page AS (
            SELECT c, c.number, row_number() OVER (ORDER BY c.number DESC) AS n
            FROM public.coin_purchases AS c
            WHERE c.profile_id = v_caller AND (p_before IS NULL OR c.number < p_before)
            ORDER BY c.number DESC
            LIMIT v_limit + 1
        )
        SELECT jsonb_build_object(
            'purchases', coalesce(jsonb_agg(private.purchase_json(p.c) ORDER BY p.n) FILTER (WHERE p.n <= v_limit), '[]'),
            'next', CASE WHEN count(*) > v_limit THEN min(p.number) FILTER (WHERE p.n <= v_limit) END)
        FROM page AS p);
END;
$$;
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
