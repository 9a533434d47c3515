-- livewall: after foundation, ledger, gifts, events, purchases, payments, inbox
-- Whoever goes leaves amounts behind, and nothing that says who it was. What is not captured yet is given back.

-- What providers said about somebody's payments, of whatever kind: the inbox knows the payment of each event.
CREATE FUNCTION private.redact_payment_events(p_profile_id uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE private.payment_events AS e
    SET payload = '{"redacted": true}',
        facts = (SELECT jsonb_agg(f.fact - 'card_country') FROM jsonb_array_elements(e.facts) AS f (fact))
    FROM public.coin_purchases AS c
    WHERE c.profile_id = p_profile_id AND e.payment_provider = c.payment_provider AND e.payment_id = c.provider_payment_id;
END;

-- Servers have told it to their sockets long ago, but it stays for a while.
CREATE FUNCTION private.redact_gift_events(p_profile_id uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE private.events AS e
    SET payload = jsonb_set(jsonb_set(e.payload, '{gift,sender}', 'null'), '{message,sender}', 'null', false)
    WHERE e.kind = 'gift' AND e.payload -> 'gift' ->> 'sender_id' = p_profile_id::text;
END;

-- A capture that nobody has started on is not started any more. One that is under way ends in a refund.
CREATE FUNCTION private.give_back_uncaptured(p_profile_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_id uuid;
BEGIN
    FOR v_id IN
        SELECT id FROM public.coin_purchases WHERE profile_id = p_profile_id AND status IN ('held', 'approved')
        ORDER BY id
    LOOP
        UPDATE private.provider_calls SET failed_at = private.clock(), error = 'the buyer deleted their account'
        WHERE purchase_id = v_id AND call = 'capture' AND attempts = 0 AND done_at IS NULL AND failed_at IS NULL;
        UPDATE public.coin_purchases SET decision = 'reject', decided_at = private.clock() WHERE id = v_id;
        PERFORM private.settle_purchase(v_id, 'decision'),
            private.audit(NULL, 'purchase_rejected', v_id::text, '{"reason": "the buyer deleted their account"}');
    END LOOP;
END;
$$;

-- Everything that is written about a buyer is written before this or sees that they are gone: events, purchases and a
-- click on a pack wait for these locks, which are taken in the order in which events are acted on.
CREATE FUNCTION private.lock_all_of_buyer(p_profile_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM private.lock_payment_events();
    PERFORM private.lock_buyer(p_profile_id);
    PERFORM FROM public.coin_purchases WHERE profile_id = p_profile_id ORDER BY id FOR NO KEY UPDATE;
END;
$$;

CREATE FUNCTION private.forget_buyer() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM private.redact_gift_events(OLD.id);
    -- Guests can not buy, and many of them go at once.
    IF OLD.is_guest AND NOT EXISTS (SELECT FROM public.coin_purchases WHERE profile_id = OLD.id) THEN
        RETURN NULL;
    END IF;
    PERFORM private.lock_all_of_buyer(OLD.id);
    PERFORM private.redact_payment_events(OLD.id);
    -- An approval that brought no money ends with the account: money that comes all the same is held, not credited.
    UPDATE public.coin_purchases
    SET ip_address = NULL, country_code = NULL, user_agent = NULL, card_country = NULL, metadata = '{}',
        decision = CASE WHEN captured_cents > 0 OR decision <> 'approve' THEN decision END
    WHERE profile_id = OLD.id;
    PERFORM private.give_back_uncaptured(OLD.id);
    RETURN NULL;
END;
$$;
CREATE TRIGGER profiles_forget_buyer AFTER DELETE ON public.profiles FOR EACH ROW EXECUTE FUNCTION private.forget_buyer();
