-- Responsible use: what is withheld, how fast an account may buy, why it was closed, who asks lawfully, what is purged.
SET LOCAL statement_timeout = '1h';

-- NOT VALID: what is there was checked by a narrower rule.
ALTER TABLE orders DROP CONSTRAINT orders_failure, ADD CONSTRAINT orders_failure CHECK (failure IN
    ('no_numbers', 'provider_refused', 'never_sold', 'provider_cancelled', 'withheld')) NOT VALID;
-- How many orders of an account are open.
CREATE INDEX orders_open_account ON orders (account_id) WHERE ended_at IS NULL;

-- When the body was taken out of a message; the row stays.
ALTER TABLE messages ADD COLUMN purged_at timestamptz;
CREATE INDEX messages_unpurged ON messages (received_at) WHERE purged_at IS NULL;
ALTER TABLE inbound_messages ADD COLUMN purged_at timestamptz;

-- A message that looks like one of a bank, a payment service or an authority, on an order for something else. Its text
-- stands in `messages`, sealed, until a person of the staff releases it or confirms the suspicion.
CREATE TABLE withheld_messages (
    order_id    bigint NOT NULL REFERENCES orders,
    ordinal     smallint NOT NULL,
    account_id  bigint NOT NULL REFERENCES accounts,
    kind        text NOT NULL CONSTRAINT withheld_messages_kind CHECK (kind IN ('bank', 'payment', 'government')),
    -- The words by which it was recognised: never a code or a number.
    signs       text NOT NULL,
    state       text NOT NULL DEFAULT 'held'
                CONSTRAINT withheld_messages_state CHECK (state IN ('held', 'released', 'confirmed')),
    withheld_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at  timestamptz,
    decided_by  bigint REFERENCES accounts,
    reason      text,
    PRIMARY KEY (order_id, ordinal),
    CHECK ((state = 'held') = (decided_at IS NULL))
);
CREATE INDEX withheld_messages_held ON withheld_messages (withheld_at) WHERE state = 'held';
CREATE INDEX withheld_messages_account ON withheld_messages (account_id, withheld_at DESC);
CREATE INDEX withheld_messages_at ON withheld_messages (withheld_at);

-- How many purchases an account began in this hour and this day, by the database's clock in UTC. Its row lock makes the
-- count exact. Failed purchases are counted too: before a refusal the orders themselves are counted.
CREATE TABLE purchase_counts (
    account_id  bigint PRIMARY KEY REFERENCES accounts,
    hour        timestamptz NOT NULL,
    in_hour     integer NOT NULL,
    day         timestamptz NOT NULL,
    in_day      integer NOT NULL,
    countries   integer[] NOT NULL
) WITH (fillfactor = 50);

-- What staff allow an account besides the settings; NULL is the setting's. `is_free`: nothing is counted.
CREATE TABLE purchase_limits (
    account_id  bigint PRIMARY KEY REFERENCES accounts,
    is_free     boolean NOT NULL DEFAULT false,
    per_hour    integer CHECK (per_hour >= 0),
    per_day     integer CHECK (per_day >= 0),
    countries   integer CHECK (countries >= 0),
    open_orders integer CHECK (open_orders >= 0),
    may_cancel  boolean NOT NULL DEFAULT false,
    reason      text NOT NULL,
    set_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Why an account is in its state, who decided it and when; its owner reads it.
ALTER TABLE accounts
    ADD COLUMN state_reason text,
    ADD COLUMN state_by     text,
    ADD COLUMN state_at     timestamptz;

-- Who paid, as a keyed hash: accounts with the same payer are found by it, and nobody's name is read from it.
ALTER TABLE external_payments ADD COLUMN payer_hash bytea;
CREATE INDEX external_payments_payer ON external_payments (payer_hash) WHERE payer_hash IS NOT NULL;
ALTER TABLE bank_credits ADD COLUMN payer_hash bytea;
CREATE INDEX bank_credits_payer ON bank_credits (payer_hash) WHERE payer_hash IS NOT NULL;
CREATE INDEX bank_credits_payment ON bank_credits (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX account_ips_shared ON account_ips (network);
CREATE INDEX account_ips_last_seen ON account_ips (last_seen_at);
-- A mail address without its figures: a1@example.com and a27@example.com are one pattern.
CREATE INDEX accounts_mail_pattern ON accounts (
    (regexp_replace(split_part(email_key, '@', 1), '[0-9]+', '', 'g') || '@' || split_part(email_key, '@', 2)));

-- What an authority may lawfully ask: who had a number in a time. One person writes it down, another one approves it.
CREATE TABLE lawful_requests (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_number text NOT NULL,
    authority   text NOT NULL,
    number      text NOT NULL CHECK (number ~ '^[0-9]{5,15}$'),
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL,
    reason      text NOT NULL,
    state       text NOT NULL DEFAULT 'asked'
                CONSTRAINT lawful_requests_state CHECK (state IN ('asked', 'approved', 'refused')),
    asked_by    bigint NOT NULL REFERENCES accounts,
    asked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_by  bigint REFERENCES accounts,
    decided_at  timestamptz,
    decision    text,
    exports     integer NOT NULL DEFAULT 0,
    CHECK (starts_at <= ends_at),
    CHECK ((state = 'asked') = (decided_at IS NULL)),
    CHECK (decided_by <> asked_by),
    CONSTRAINT lawful_requests_case UNIQUE (case_number, number, starts_at, ends_at)
);

GRANT SELECT, INSERT, UPDATE ON lawful_requests TO numberdesk_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON withheld_messages, purchase_counts, purchase_limits TO numberdesk_app;
GRANT USAGE ON SEQUENCE lawful_requests_id_seq TO numberdesk_app;
