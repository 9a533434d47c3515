-- Each purchase asks which limits were in force in the last 24 hours: the trail of their changes has to be found without
-- reading the audit log.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX audit_log_of_settings ON private.audit_log (at) WHERE action = 'money_settings_changed';
