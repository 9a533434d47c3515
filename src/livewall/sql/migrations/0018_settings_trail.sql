-- Each purchase asks which limits were in force in the last 24 hours: the trail of their changes has to be found without
-- reading the audit log.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX audit_log_of_settings ON private.audit_log (at) WHERE action = 'money_settings_changed';

-- As the server takes the id of a gift: one that it refuses could never be given.
ALTER TABLE public.gift_types
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT gift_types_id_well_formed CHECK (id ~ '^[!-~]{1,100}$');
