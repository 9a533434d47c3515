-- livewall: after foundation, presence, ledger, gifts, events, purchases, payments, inbox
-- Whoever goes leaves amounts behind, and nothing that says who it was. What is not captured yet is given back.

-- What providers said about somebody's payments, of whatever kind: the inbox knows the payment of each event.
CREATE FUNCTION private.redact_payment_events(p_profile_id uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE private.payment_events AS e
    SET payload = private.redacted(), facts = private.redacted_facts(e.facts)
    FROM public.coin_purchases AS c
    WHERE c.profile_id = p_profile_id AND e.payment_provider = c.payment_provider AND e.payment_id = c.provider_payment_id
        AND e.payload <> private.redacted();
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

-- Everything that is written about a buyer is written before this or sees that they are gone: purchases and a click on a
-- pack wait for these locks, an event is left until they are gone. They are this buyer's alone: whoever leaves keeps nobody else.
CREATE FUNCTION private.lock_all_of_buyer(p_profile_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
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

-- Whoever deletes a person: they themselves below, or an outside sign-in service whose deletion cascades to the profile.
CREATE FUNCTION private.forget_person() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Words said in others' chats stay in place without their author and their text.
    UPDATE public.chat_messages SET body = '', deleted_at = private.clock() WHERE sender_id = OLD.id AND deleted_at IS NULL;
    -- The cascade would take the viewing records without telling the streams that were watched.
    PERFORM private.end_watching(
        ARRAY[OLD.id], p_also => ARRAY(SELECT id FROM public.live_streams WHERE streamer_id = OLD.id));
    RETURN OLD;
END;
$$;
CREATE TRIGGER profiles_forget_person BEFORE DELETE ON public.profiles
    FOR EACH ROW EXECUTE FUNCTION private.forget_person();

CREATE FUNCTION private.remove_person(p_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM public.profiles WHERE id = p_id;
    IF private.accounts_are_ours() THEN
        DELETE FROM auth.users WHERE id = p_id;
    END IF;
END;
$$;

CREATE FUNCTION public.delete_account() RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_caller uuid := auth.uid();
BEGIN
    -- The viewer's lock comes before the lock of any row, as everywhere.
    PERFORM private.lock_viewer(v_caller);
    PERFORM private.remove_person(v_caller);
    RETURN to_jsonb(v_caller);
END;
$$;
COMMENT ON FUNCTION public.delete_account IS 'Removes the caller and their personal data; an account of an outside sign-in service stays there.';
GRANT EXECUTE ON FUNCTION public.delete_account TO authenticated;

-- Whether a person is a guest whose last session ended before p_until: nobody can become them again, for they have no
-- password. Not those whom the ledger knows, and not somebody who is live.
-- (Whoever sent a gift has a wallet.)
CREATE FUNCTION private.is_idle_guest(p_profile public.profiles, p_until timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN p_profile.is_guest
    AND NOT EXISTS (
        SELECT FROM private.sessions AS s WHERE s.profile_id = p_profile.id AND least(s.expires_at, s.closed_at) >= p_until)
    AND NOT EXISTS (SELECT FROM private.ledger_accounts AS l WHERE l.profile_id = p_profile.id)
    AND NOT EXISTS (SELECT FROM public.coin_purchases AS c WHERE c.profile_id = p_profile.id)
    AND NOT EXISTS (SELECT FROM public.gifts AS g WHERE g.recipient_id = p_profile.id)
    AND NOT EXISTS (SELECT FROM private.staff_roles AS r WHERE r.profile_id = p_profile.id)
    AND NOT EXISTS (SELECT FROM public.live_streams AS v WHERE v.streamer_id = p_profile.id AND v.live_available);

-- One by one: whose lock, or whose row in any table, another transaction holds is left for the next time.
CREATE FUNCTION private.remove_idle_guests(p_ids uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '20ms'
AS $$
DECLARE
    v_id uuid;
BEGIN
    FOREACH v_id IN ARRAY p_ids LOOP
        IF pg_try_advisory_xact_lock(private.viewer_key(v_id)) THEN
            BEGIN
                PERFORM private.remove_person(v_id);
            EXCEPTION WHEN lock_not_available THEN
                NULL;
            END;
        END IF;
    END LOOP;
END;
$$;

-- Removes what ended too long ago to matter, up to p_most rows of each kind: often and a little, in a transaction of its own,
-- so that nothing waits for it and no other job fails with it. Times in variables: an index serves no volatile function.
CREATE FUNCTION public.remove_old_records(p_most integer DEFAULT 100) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_sessions_until timestamptz := private.clock() - (SELECT sessions_kept FROM private.settings);
    v_intervals_until timestamptz := private.clock() - (SELECT intervals_kept FROM private.settings);
    v_steps_until timestamptz := private.clock() - (SELECT payment_steps_kept FROM private.settings);
    v_removed integer;
BEGIN
    -- By their sessions guests are found, which therefore go with their guest and not before.
    PERFORM private.remove_idle_guests(ARRAY(
        SELECT p.id
        FROM private.sessions AS s JOIN public.profiles AS p ON p.id = s.profile_id
        WHERE least(s.expires_at, s.closed_at) < v_sessions_until AND private.is_idle_guest(p, v_sessions_until)
        ORDER BY least(s.expires_at, s.closed_at) LIMIT p_most FOR UPDATE OF p SKIP LOCKED));
    WITH ended_sessions AS (
        DELETE FROM private.sessions WHERE id IN (
            SELECT s.id
            FROM private.sessions AS s JOIN public.profiles AS p ON p.id = s.profile_id
            WHERE least(s.expires_at, s.closed_at) < v_sessions_until AND NOT private.is_idle_guest(p, v_sessions_until)
            ORDER BY least(s.expires_at, s.closed_at) LIMIT p_most FOR UPDATE OF s SKIP LOCKED)
        RETURNING id
    ), ended_publishing AS (
        DELETE FROM private.publish_intervals WHERE id IN (
            SELECT id FROM private.publish_intervals WHERE ended_at < v_intervals_until
            ORDER BY ended_at LIMIT p_most FOR UPDATE SKIP LOCKED)
        RETURNING id
    ), ended_live AS (
        DELETE FROM private.live_intervals WHERE id IN (
            SELECT id FROM private.live_intervals WHERE ended_at < v_intervals_until
            ORDER BY ended_at LIMIT p_most FOR UPDATE SKIP LOCKED)
        RETURNING id
    ), refused_cards AS (
        -- Anybody can have as many as they like, for nothing. Reports of money stay.
        DELETE FROM private.payment_events WHERE (payment_provider, event_id) IN (
            SELECT payment_provider, event_id FROM private.payment_events
            WHERE outcome IN ('applied', 'ignored') AND private.is_without_money(facts) AND received_at < v_steps_until
            ORDER BY received_at LIMIT p_most FOR UPDATE SKIP LOCKED)
        RETURNING event_id
    )
    SELECT (SELECT count(*) FROM ended_sessions) + (SELECT count(*) FROM ended_publishing) + (SELECT count(*) FROM ended_live)
        + (SELECT count(*) FROM refused_cards)
    INTO v_removed;
    RETURN v_removed;
END;
$$;
COMMENT ON FUNCTION public.remove_old_records IS
    'Removes idle guests, and sessions, intervals and steps of payments that ended long ago, every few seconds: how many records.';
GRANT EXECUTE ON FUNCTION public.remove_old_records TO service_role;
