-- livewall: after foundation, identity, ledger, purchases, payments
-- What payment providers reported: stored as it came, acted on after, found again by its payment, replayed by operators.

CREATE FUNCTION public.receive_payment_event(
    p_provider text, p_event_id text, p_type text, p_digest text, p_payload jsonb, p_facts jsonb DEFAULT NULL,
    p_payment_id text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_known private.payment_events;
BEGIN
    INSERT INTO private.payment_events AS e (payment_provider, event_id, type, payment_id, digest, payload, facts)
    VALUES (p_provider, p_event_id, p_type, coalesce(p_payment_id, p_facts -> 0 ->> 'payment_id'), p_digest, p_payload, p_facts)
    ON CONFLICT ON CONSTRAINT payment_events_once DO NOTHING;
    IF FOUND THEN
        RETURN jsonb_build_object('event_id', p_event_id, 'is_new', true, 'is_conflict', false);
    END IF;
    SELECT * INTO v_known FROM private.payment_events WHERE payment_provider = p_provider AND event_id = p_event_id;
    IF v_known.digest <> p_digest THEN
        -- Told as a result, not raised: the alert has to be committed.
        PERFORM private.audit(NULL, 'payment_event_altered', p_provider || ' ' || p_event_id,
            jsonb_build_object('known', v_known.digest, 'received', p_digest));
    END IF;
    RETURN jsonb_build_object('event_id', p_event_id, 'is_new', false, 'is_conflict', v_known.digest <> p_digest);
END;
$$;
COMMENT ON FUNCTION public.receive_payment_event IS 'Stores a verified event of a provider: {event_id, is_new, is_conflict}. A known id with other content is an alert.';
GRANT EXECUTE ON FUNCTION public.receive_payment_event TO service_role;

-- Given up while its payment was being made: we did not know of that payment, and the provider not that nobody wants it.
CREATE FUNCTION private.let_go_if_given_up(p_purchase public.coin_purchases) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_purchase.canceled_at IS NOT NULL AND p_purchase.captured_cents = 0 THEN
        PERFORM private.order_cancel(p_purchase.id, private.usd_cents(p_purchase.usd_amount), private.clock());
    END IF;
END;
$$;

-- The purchase that a fact is about: by its payment, or by our own id, which the payment carries since it was made.
CREATE FUNCTION private.purchase_of_fact(p_provider text, p_fact jsonb) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_purchase public.coin_purchases;
BEGIN
    SELECT * INTO v_purchase FROM public.coin_purchases AS c
    WHERE c.payment_provider = p_provider AND c.provider_payment_id = p_fact ->> 'payment_id';
    IF v_purchase.id IS NULL THEN
        UPDATE public.coin_purchases AS c SET provider_payment_id = p_fact ->> 'payment_id'
        WHERE c.id = (p_fact ->> 'purchase_id')::uuid AND c.payment_provider = p_provider AND c.provider_payment_id IS NULL
        RETURNING * INTO v_purchase;
        IF p_fact ->> 'kind' NOT IN ('captured', 'canceled') THEN
            PERFORM private.let_go_if_given_up(v_purchase);
        END IF;
    END IF;
    RETURN v_purchase.id;
END;
$$;

CREATE FUNCTION private.act_on_event(p_event private.payment_events) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_fact jsonb;
    v_purchase_id uuid;
    v_outcome text := 'ignored';
BEGIN
    FOR v_fact IN SELECT value FROM jsonb_array_elements(coalesce(p_event.facts, '[]')) LOOP
        v_purchase_id := private.purchase_of_fact(p_event.payment_provider, v_fact);
        IF v_purchase_id IS NOT NULL THEN
            PERFORM private.apply_facts(v_purchase_id, jsonb_build_array(v_fact));
        ELSIF v_fact ->> 'kind' = 'captured' AND v_fact ->> 'profile_id' IS NOT NULL AND v_fact ->> 'coin_amount' IS NOT NULL THEN
            PERFORM private.settle_unannounced(p_event.payment_provider, p_event.event_id, v_fact);
        ELSE
            -- Providers report for three days at most: a week later it is the payment of another shop on the same account.
            RETURN CASE WHEN p_event.received_at > private.clock() - interval '7 days' THEN 'parked' ELSE 'ignored' END;
        END IF;
        v_outcome := 'applied';
    END LOOP;
    RETURN v_outcome;
END;
$$;

-- What is left of a report about somebody who is gone.
CREATE FUNCTION private.redacted() RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN '{"redacted": true}'::jsonb;

CREATE FUNCTION private.redacted_facts(p_facts jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN (SELECT jsonb_agg(f.fact - 'card_country') FROM jsonb_array_elements(p_facts) AS f (fact));

CREATE FUNCTION private.is_payment_of_nobody(p_provider text, p_payment_id text) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN EXISTS (
    SELECT FROM public.coin_purchases AS c
    WHERE c.payment_provider = p_provider AND c.provider_payment_id = p_payment_id AND NOT private.has_profile(c.profile_id));

-- Whatever an event does to us, it stays in the inbox with what went wrong, and is tried again; one that is refused for good
-- is in the audit log instead, for a person to look at, and comes up again only if it is replayed. Facts or none, it tells
-- nothing of somebody who is gone; it alone is redacted, for what came before it was redacted then.
CREATE FUNCTION private.process_event(p_event private.payment_events) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_outcome text;
    v_error text;
    v_is_final boolean := false;
    v_is_of_nobody boolean;
BEGIN
    BEGIN
        v_outcome := private.act_on_event(p_event);
    EXCEPTION
        -- Nothing is wrong with the event: another transaction is at its purchase.
        WHEN lock_not_available OR deadlock_detected THEN RAISE;
        WHEN OTHERS THEN
            v_outcome := 'failed';
            v_error := format('%s: %s', SQLSTATE, SQLERRM);
            -- It contradicts what is on record, or names no amount: no time changes that.
            v_is_final := SQLSTATE IN ('LW076', 'LW078');
    END;
    IF v_is_final AND p_event.next_attempt_at < 'infinity' THEN
        PERFORM private.audit(NULL, 'payment_event_refused', p_event.payment_provider || ' ' || p_event.event_id,
            jsonb_build_object('error', v_error));
    END IF;
    v_is_of_nobody := private.is_payment_of_nobody(p_event.payment_provider, p_event.payment_id);
    UPDATE private.payment_events AS e
    SET outcome = v_outcome, error = v_error,
        next_attempt_at = CASE WHEN v_is_final THEN 'infinity' WHEN e.next_attempt_at = 'infinity' THEN private.clock() ELSE e.next_attempt_at END,
        payload = CASE WHEN v_is_of_nobody THEN private.redacted() ELSE e.payload END,
        facts = CASE WHEN v_is_of_nobody THEN private.redacted_facts(e.facts) ELSE e.facts END
    WHERE e.payment_provider = p_event.payment_provider AND e.event_id = p_event.event_id;
    RETURN v_outcome;
END;
$$;

-- How long the oldest event has waited that was not acted on, or that failed and is tried again, in seconds; null for none.
CREATE FUNCTION private.oldest_event_seconds(p_outcome text) RETURNS double precision
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT extract(epoch FROM private.clock() - min(e.received_at))
        FROM private.payment_events AS e
        WHERE e.outcome = p_outcome AND e.outcome IN ('waiting', 'failed') AND e.next_attempt_at < 'infinity');
END;
$$;

-- Events to act on now, each in a transaction of its own: so one event holds the locks of one payment, and what one comes
-- to touches no other. The attempt is counted here, before: an event that breaks whatever acts on it, by a statement that
-- takes too long or a crash, is behind all the others by then. Whoever takes one twice does nothing twice.
CREATE FUNCTION public.take_payment_events(p_limit integer DEFAULT 10) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- In a variable: an index serves no volatile function.
    v_now timestamptz := private.clock();
    v_events jsonb;
BEGIN
    WITH due AS (
        SELECT e.payment_provider, e.event_id, e.next_attempt_at FROM private.payment_events AS e
        -- The parked, too: their payment may have been attached by a transaction that did not see them parked yet.
        WHERE e.outcome IN ('waiting', 'failed', 'parked') AND e.next_attempt_at <= v_now
        ORDER BY e.next_attempt_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE private.payment_events AS e
        SET attempts = e.attempts + 1,
            next_attempt_at = v_now + least(interval '1 hour', interval '1 second' * 2 ^ least(e.attempts, 12))
        FROM due AS d WHERE e.payment_provider = d.payment_provider AND e.event_id = d.event_id
        RETURNING e.payment_provider, e.event_id, d.next_attempt_at
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('provider', t.payment_provider, 'event_id', t.event_id)
        ORDER BY t.next_attempt_at), '[]') INTO v_events
    FROM taken AS t;
    RETURN jsonb_build_object('events', v_events, 'oldest_seconds', jsonb_build_object(
        'waiting', private.oldest_event_seconds('waiting'), 'failed', private.oldest_event_seconds('failed')));
END;
$$;
COMMENT ON FUNCTION public.take_payment_events IS 'Events to act on now, and how old the oldest are: {events: [{provider, event_id}], oldest_seconds: {waiting, failed}}. Ask every second.';
GRANT EXECUTE ON FUNCTION public.take_payment_events TO service_role;

-- Purchases are locked before the event, as by whoever forgets their buyer. It waits for nobody for long: what another
-- transaction holds is left for the next attempt, so that no lock of anybody keeps the events of others.
CREATE FUNCTION public.process_payment_event(p_provider text, p_event_id text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms'
AS $$
DECLARE
    v_event private.payment_events;
BEGIN
    PERFORM private.lock_purchases_of(p_provider, p_event_id);
    SELECT * INTO v_event FROM private.payment_events AS e
    WHERE e.payment_provider = p_provider AND e.event_id = p_event_id AND e.outcome IN ('waiting', 'failed', 'parked')
    FOR UPDATE SKIP LOCKED;
    RETURN CASE WHEN v_event.event_id IS NOT NULL THEN to_jsonb(private.process_event(v_event)) END;
EXCEPTION
    WHEN lock_not_available THEN RETURN NULL;
END;
$$;
COMMENT ON FUNCTION public.process_payment_event IS 'Acts on one event: its outcome, or null if it is done already or somebody else is at it or at its purchase.';
GRANT EXECUTE ON FUNCTION public.process_payment_event TO service_role;

-- Events that came before their purchase.
CREATE FUNCTION private.unpark(p_provider text, p_payment_id text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_event private.payment_events;
BEGIN
    FOR v_event IN
        SELECT * FROM private.payment_events AS e
        WHERE e.payment_provider = p_provider AND e.payment_id = p_payment_id AND e.outcome = 'parked'
        -- Somebody else may be at one of them; it comes up again.
        ORDER BY e.received_at, e.event_id FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM private.process_event(v_event);
    END LOOP;
END;
$$;

CREATE FUNCTION public.attach_payment(p_purchase_id uuid, p_provider_payment_id text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_purchase public.coin_purchases := private.lock_purchase(p_purchase_id);
BEGIN
    IF coalesce(p_provider_payment_id, '') = '' THEN
        PERFORM private.fail('LW005', 'A payment has an id.', 'Send it as the provider gave it.');
    ELSIF v_purchase.provider_payment_id <> p_provider_payment_id THEN
        PERFORM private.fail('LW076', 'This purchase has another payment.', 'Look at both payments.');
    END IF;
    UPDATE public.coin_purchases SET provider_payment_id = p_provider_payment_id WHERE id = p_purchase_id;
    PERFORM private.settle_purchase(p_purchase_id, 'attached'), private.unpark(v_purchase.payment_provider, p_provider_payment_id);
    IF v_purchase.provider_payment_id IS NULL AND v_purchase.canceled_at IS NOT NULL THEN
        SELECT * INTO v_purchase FROM public.coin_purchases WHERE id = p_purchase_id;
        PERFORM private.let_go_if_given_up(v_purchase);
    END IF;
    IF NOT private.has_profile(v_purchase.profile_id) THEN
        PERFORM private.redact_payment_events(v_purchase.profile_id);
    END IF;
    RETURN private.purchase_event_json(p_purchase_id);
END;
$$;
COMMENT ON FUNCTION public.attach_payment IS 'The provider''s payment for a purchase; applies what was heard of it before: Purchase.';
GRANT EXECUTE ON FUNCTION public.attach_payment TO service_role;

-- What operators see ------------------------------------------------------------------------------------------------

CREATE FUNCTION private.payment_event_json(p_event private.payment_events) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN jsonb_build_object(
    'provider', p_event.payment_provider, 'event_id', p_event.event_id, 'type', p_event.type, 'payment_id', p_event.payment_id,
    'outcome', p_event.outcome, 'error', p_event.error, 'received_at', p_event.received_at, 'attempts', p_event.attempts);

CREATE FUNCTION public.list_payment_events(p_outcome text DEFAULT NULL, p_before timestamptz DEFAULT NULL, p_limit integer DEFAULT 50)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_page private.payment_events[];
    v_oldest timestamptz;
BEGIN
    PERFORM private.require_operator();
    -- With ties, for the next page begins before the oldest time on this one.
    v_page := ARRAY(
        SELECT e FROM private.payment_events AS e
        WHERE (p_outcome IS NULL OR e.outcome = p_outcome) AND (p_before IS NULL OR e.received_at < p_before)
        ORDER BY e.received_at DESC FETCH FIRST (greatest(1, least(p_limit, 100))) ROWS WITH TIES);
    v_oldest := (SELECT min(e.received_at) FROM unnest(v_page) AS e);
    RETURN jsonb_build_object(
        'events', (
            SELECT coalesce(jsonb_agg(private.payment_event_json(e) ORDER BY e.received_at DESC, e.event_id), '[]')
            FROM unnest(v_page) AS e),
        'next', CASE WHEN EXISTS (
            SELECT FROM private.payment_events AS e
            WHERE (p_outcome IS NULL OR e.outcome = p_outcome) AND e.received_at < v_oldest) THEN v_oldest END);
END;
$$;
COMMENT ON FUNCTION public.list_payment_events IS 'For finance: what providers reported, newest first: {events, next}.';
GRANT EXECUTE ON FUNCTION public.list_payment_events TO authenticated, service_role;

CREATE FUNCTION public.get_payment_event(p_provider text, p_event_id text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT private.payment_event_json(e) || jsonb_build_object('payload', e.payload)
    FROM private.payment_events AS e
    WHERE e.payment_provider = p_provider AND e.event_id = p_event_id;
END;
COMMENT ON FUNCTION public.get_payment_event IS 'One event with its payload, to be read again, or null.';
GRANT EXECUTE ON FUNCTION public.get_payment_event TO service_role;

CREATE FUNCTION public.replay_payment_event(p_provider text, p_event_id text, p_facts jsonb, p_actor_id uuid DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_event private.payment_events;
BEGIN
    PERFORM private.lock_purchases_of(p_provider, p_event_id);
    -- Whatever can not be read any more stays as it was read.
    UPDATE private.payment_events AS e
    SET facts = coalesce(p_facts, e.facts), payment_id = coalesce(p_facts -> 0 ->> 'payment_id', e.payment_id)
    WHERE e.payment_provider = p_provider AND e.event_id = p_event_id
    RETURNING * INTO v_event;
    IF v_event.event_id IS NULL THEN
        PERFORM private.fail('LW004', 'There is no such event.', 'List the events first.');
    END IF;
    PERFORM private.process_event(v_event),
        private.audit(p_actor_id, 'payment_event_replayed', p_provider || ' ' || p_event_id);
    SELECT * INTO v_event FROM private.payment_events WHERE payment_provider = p_provider AND event_id = p_event_id;
    RETURN private.payment_event_json(v_event);
END;
$$;
COMMENT ON FUNCTION public.replay_payment_event IS 'Acts on an event once more, by facts read anew from its payload: PaymentEvent.';
GRANT EXECUTE ON FUNCTION public.replay_payment_event TO service_role;
