-- livewall: after ledger, purchases
-- From the facts of a purchase to what follows: what is posted, what the provider is asked to do, the new state.

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

-- Only a refund or a dispute gives or takes what was paid for; whatever else moves, the money came or is looked at.
CREATE FUNCTION private.posting_kind(p_purchase public.coin_purchases, p_cents bigint, p_held bigint, p_cause text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE
    WHEN NOT private.is_credited(p_purchase) THEN CASE WHEN p_held > 0 THEN 'hold' ELSE 'return' END
    WHEN p_purchase.completed_at IS NULL THEN 'purchase'
    WHEN p_cause = 'dispute' THEN CASE WHEN p_cents < 0 THEN 'dispute' ELSE 'dispute_won' END
    WHEN p_cause = 'refund' THEN CASE WHEN p_cents < 0 THEN 'refund' ELSE 'refund_failed' END
    ELSE 'purchase' END;

CREATE FUNCTION private.money_accounts(p_currency text) RETURNS bigint[]
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN ARRAY[private.platform_account('provider', p_currency), private.platform_account('suspense', p_currency),
    private.platform_account('money_to_coins', p_currency)];

-- Posts the difference between what the ledger has of a purchase and what the facts say it should have. What was posted in
-- a currency that counts no more goes back whole.
CREATE FUNCTION private.post_purchase(p_purchase public.coin_purchases, p_cause text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is_other boolean := p_purchase.posted_currency <> p_purchase.currency;
    v_old_cents bigint := CASE WHEN v_is_other THEN p_purchase.posted_cents ELSE 0 END;
    v_old_held bigint := CASE WHEN v_is_other THEN p_purchase.posted_held_cents ELSE 0 END;
    v_coins bigint := private.coins_due(p_purchase) - p_purchase.posted_coins;
    v_cents bigint := private.cents_due(p_purchase) - p_purchase.posted_cents + v_old_cents;
    v_held bigint := private.held_cents_due(p_purchase) - p_purchase.posted_held_cents + v_old_held;
    v_buyer record;
BEGIN
    IF (v_coins, v_cents, v_held, v_old_cents, v_old_held) = (0, 0, 0, 0, 0) THEN
        RETURN;
    END IF;
    v_buyer := private.move_coins(p_purchase.profile_id, v_coins);
    PERFORM private.post(
        private.posting_kind(p_purchase, v_cents, v_held, p_cause), p_purchase.id,
        private.money_accounts(p_purchase.posted_currency) || private.money_accounts(p_purchase.currency)
            || ARRAY[private.platform_account('money_to_coins', 'coins'), v_buyer.wallet_id, v_buyer.debt_id],
        array_fill(p_purchase.posted_currency, ARRAY[3]) || array_fill(p_purchase.currency, ARRAY[3]) || '{coins,coins,coins}',
        ARRAY[v_old_cents + v_old_held, -v_old_held, -v_old_cents, -v_held - v_cents, v_held, v_cents,
            -v_coins, v_buyer.to_wallet, v_coins - v_buyer.to_wallet]);
    UPDATE public.coin_purchases
    SET posted_coins = posted_coins + v_coins, posted_cents = private.cents_due(p_purchase),
        posted_held_cents = private.held_cents_due(p_purchase), posted_currency = p_purchase.currency
    WHERE id = p_purchase.id;
    IF v_coins <> 0 THEN
        PERFORM private.tell('wallet', p_purchase.profile_id);
    END IF;
END;
$$;

-- `p_asked_cents` is what somebody asked for, null for all there is: their key is for this and nothing else.
CREATE FUNCTION private.order_call(p_purchase_id uuid, p_call text, p_cents bigint, p_key text, p_asked_cents bigint DEFAULT NULL)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO private.provider_calls (purchase_id, call, amount_cents, asked_cents, idempotency_key)
    VALUES (p_purchase_id, p_call, p_cents, p_asked_cents, p_purchase_id || ':' || p_key)
    ON CONFLICT (idempotency_key) DO NOTHING;
END;

-- The key says how things stood: what was refused is ordered again only after more money has come or gone, or a dispute
-- was won, and not for ever.
CREATE FUNCTION private.order_refund_of_all(p_purchase public.coin_purchases, p_left bigint) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT private.order_call(p_purchase.id, 'refund', p_left, concat_ws(':', 'refund', p_purchase.decision,
        p_purchase.captured_cents, p_purchase.captured_cents - p_left,
        (SELECT count(*) FROM private.disputes AS d WHERE d.purchase_id = p_purchase.id AND d.status = 'won')));
END;

-- Lets go of a payment. What the provider refused before this was asked for is asked anew, under a key of its own; what it
-- refuses after that is not: it would be for ever.
CREATE FUNCTION private.order_cancel(p_purchase_id uuid, p_cents bigint, p_asked_at timestamptz) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT private.order_call(p_purchase_id, 'cancel', p_cents, concat_ws(':', 'cancel', nullif(count(*), 0)))
    FROM private.provider_calls AS p
    WHERE p.purchase_id = p_purchase_id AND p.call = 'cancel' AND p.failed_at < p_asked_at;
END;

-- What a decision asks of the provider, by what is known now: capture, cancel, or give back.
CREATE FUNCTION private.order_what_was_decided(p_purchase public.coin_purchases) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is_given_back boolean := coalesce(p_purchase.decision IN ('reject', 'expire'), false);
    v_is_open boolean := p_purchase.captured_cents = 0 AND p_purchase.canceled_at IS NULL;
    -- What other refunds are giving back already is not given back twice.
    v_left bigint := CASE WHEN v_is_given_back THEN private.refundable_cents(p_purchase) ELSE 0 END;
BEGIN
    IF v_is_open AND (v_is_given_back OR p_purchase.capture_failed_at IS NOT NULL) THEN
        PERFORM private.order_cancel(p_purchase.id, p_purchase.authorized_cents,
            CASE WHEN v_is_given_back THEN p_purchase.decided_at ELSE p_purchase.capture_failed_at END);
    ELSIF v_is_open AND p_purchase.decision = 'approve' THEN
        PERFORM private.order_call(p_purchase.id, 'capture', p_purchase.authorized_cents, 'capture');
    ELSIF v_left > 0 THEN
        PERFORM private.order_refund_of_all(p_purchase, v_left);
    END IF;
END;
$$;

-- From facts to state: the caller has locked the row and written the facts. Repeating it changes nothing.
CREATE FUNCTION private.settle_purchase(p_purchase_id uuid, p_cause text) RETURNS public.coin_purchases
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_purchase public.coin_purchases;
    v_before public.coin_purchases;
BEGIN
    SELECT * INTO v_before FROM public.coin_purchases WHERE id = p_purchase_id;
    PERFORM private.post_purchase(v_before, p_cause), private.order_what_was_decided(v_before);
    -- Completed also if nothing was left to post, because the refund was heard of before the payment.
    UPDATE public.coin_purchases AS c
    SET status = private.purchase_status(c), completed_at = CASE WHEN private.is_credited(c) THEN coalesce(c.completed_at, private.clock()) END
    WHERE c.id = p_purchase_id
    RETURNING * INTO v_purchase;
    -- A refund in part leaves the status as it is.
    IF (v_purchase.status, v_purchase.posted_coins, v_purchase.posted_cents, v_purchase.posted_held_cents)
            <> (v_before.status, v_before.posted_coins, v_before.posted_cents, v_before.posted_held_cents) THEN
        PERFORM private.tell('purchase', v_purchase.profile_id, p_purchase_id);
    END IF;
    IF 'held' IN (v_before.status, v_purchase.status) AND v_purchase.status <> v_before.status THEN
        PERFORM private.tell('held', NULL, p_purchase_id);
    END IF;
    RETURN v_purchase;
END;
$$;
