-- The sandbox inside the normal API: accounts with play money, and a provider of scripted services for them.

-- An account and its sandbox know each other by their ids, so nobody has to look up which of the two an id is.
CREATE FUNCTION is_sandbox(account_id bigint) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN account_id >= 1000000000000;
GRANT EXECUTE ON FUNCTION is_sandbox(bigint) TO numberdesk_app;

-- A sandbox account belongs to another account, whose state and terms are its own. Nobody signs in to it.
ALTER TABLE accounts
    ADD COLUMN sandbox_of bigint REFERENCES accounts,
    ADD CONSTRAINT accounts_sandbox_id CHECK (
        CASE WHEN sandbox_of IS NULL THEN id < 1000000000000
             ELSE sandbox_of < 1000000000000 AND id = sandbox_of + 1000000000000 END),
    ADD CONSTRAINT accounts_sandbox_has_no_login CHECK (
        sandbox_of IS NULL OR password_hash IS NULL AND role = 'customer');

-- Play money comes from a bucket of its own and goes back there. NOT VALID: what is there was checked by narrower
-- rules, and is not read again.
ALTER TABLE postings DROP CONSTRAINT postings_kind, ADD CONSTRAINT postings_kind CHECK (kind IN (
    'recharge', 'admin_credit', 'hold', 'capture', 'void', 'refund', 'suspend', 'assign', 'pay_back', 'pay_back_failed',
    'play_money')) NOT VALID;
ALTER TABLE entries DROP CONSTRAINT entries_bucket, ADD CONSTRAINT entries_bucket CHECK (bucket IN (
    'available', 'held', 'revenue', 'clearing', 'adjustments', 'suspense', 'fx', 'sandbox')) NOT VALID;

ALTER TABLE providers DROP CONSTRAINT providers_kind;
ALTER TABLE providers ADD CONSTRAINT providers_kind
    CHECK (kind IN ('sms-activate', 'five-sim', 'sms-pool', 'agent', 'sandbox'));
-- One row, with a number that no other provider gets: those are counted from 1. It has no key, and is never synced.
INSERT INTO providers (id, name, kind, dialect, url, api_key_sealed, deadline_ms, poll_ms, cancel_after_ms, lifetime_ms,
                       extend_paise_per_minute, calls_per_second, synced_at)
OVERRIDING SYSTEM VALUE
SELECT 9999, CASE WHEN EXISTS (SELECT FROM providers WHERE name = 'sandbox') THEN 'sandbox-9999' ELSE 'sandbox' END,
       'sandbox', 'sandbox', 'http://sandbox.invalid/', ''::bytea, 1000, 1000, 0, 3600000, 20, 200, clock_timestamp();

INSERT INTO services (code, name, category) VALUES
    ('testcode', 'Sandbox: a code after 2 seconds', 'sandbox'),
    ('testlate', 'Sandbox: a code after 30 seconds', 'sandbox'),
    ('testtwo', 'Sandbox: two codes', 'sandbox'),
    ('testnever', 'Sandbox: no code ever comes', 'sandbox'),
    ('testnone', 'Sandbox: out of numbers', 'sandbox'),
    ('testdown', 'Sandbox: the provider is down', 'sandbox'),
    ('testmaybe', 'Sandbox: an unknown outcome that is settled later', 'sandbox'),
    ('testcostly', 'Sandbox: costs more than the balance', 'sandbox')
ON CONFLICT (code) DO UPDATE SET name = excluded.name, category = excluded.category;
UPDATE catalogue_version SET version = version + 1;
