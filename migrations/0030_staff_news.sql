-- What the staff are told of, and the check of the audit log in the background.
SET LOCAL statement_timeout = '1h';

-- When the staff were told that a message was withheld.
ALTER TABLE withheld_messages ADD COLUMN told_at timestamptz;
UPDATE withheld_messages SET told_at = withheld_at;
CREATE INDEX withheld_messages_untold ON withheld_messages (withheld_at) WHERE told_at IS NULL;

-- The chain of the audit log is checked like the ledger; `checked_to` is then how many of its rows were sealed.
ALTER TABLE ledger_runs DROP CONSTRAINT ledger_runs_scope,
    ADD CONSTRAINT ledger_runs_scope CHECK (scope IN ('recent', 'whole', 'audit'));
ALTER TABLE ledger_results DROP CONSTRAINT ledger_results_scope,
    ADD CONSTRAINT ledger_results_scope CHECK (scope IN ('recent', 'whole', 'audit'));

-- How many events were given up lately.
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (ended_at) WHERE state = 'failed';
