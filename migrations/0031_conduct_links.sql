-- Responsible use: who paid for whom, how much is bought from one network and by one payer, from where a number was
-- bought, and accounts that are closed for good.
SET LOCAL statement_timeout = '1h';

-- NOT VALID: what is there was checked by a narrower rule.
ALTER TABLE accounts DROP CONSTRAINT accounts_state, ADD CONSTRAINT accounts_state CHECK (state IN
    ('active', 'limited', 'frozen', 'banned', 'closed')) NOT VALID;
CREATE INDEX accounts_closed ON accounts (state_at) WHERE state = 'closed';

-- The address that a purchase came from; NULL for those of before, and of those who have none.
ALTER TABLE orders ADD COLUMN ip inet;

-- Who paid for which accounts, as the keyed hash that stands with the payments.
CREATE TABLE account_payers (
    payer_hash  bytea NOT NULL,
    account_id  bigint NOT NULL REFERENCES accounts,
    last_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (payer_hash, account_id)
);
CREATE INDEX account_payers_account ON account_payers (account_id);
INSERT INTO account_payers (payer_hash, account_id, last_at)
SELECT payer_hash, account_id, max(created_at) FROM (
    SELECT payer_hash, account_id, created_at FROM external_payments
    UNION ALL
    SELECT credit.payer_hash, payment.account_id, payment.created_at
    FROM bank_credits AS credit JOIN external_payments AS payment ON payment.id = credit.payment_id
) AS paid
WHERE payer_hash IS NOT NULL AND account_id IS NOT NULL GROUP BY 1, 2;
DROP INDEX external_payments_payer, bank_credits_payer;

-- How many purchases began in this hour and this day (UTC) from one network, or for accounts that one payer paid for;
-- `new_in_day`: of accounts that registered within the last week. Its row lock makes the count exact.
CREATE TABLE shared_counts (
    kind        text NOT NULL CONSTRAINT shared_counts_kind CHECK (kind IN ('network', 'payer')),
    key         text NOT NULL,
    hour        timestamptz NOT NULL,
    in_hour     integer NOT NULL,
    day         timestamptz NOT NULL,
    in_day      integer NOT NULL,
    new_in_day  integer NOT NULL,
    PRIMARY KEY (kind, key)
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE ON account_payers TO numberdesk_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON shared_counts TO numberdesk_app;
