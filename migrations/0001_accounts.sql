-- People and the keys they call with. Written by the accounts slice.

CREATE TABLE accounts (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email       text NOT NULL,
    name        text NOT NULL DEFAULT '',
    state       text NOT NULL DEFAULT 'active'
                CONSTRAINT accounts_state CHECK (state IN ('active', 'limited', 'frozen', 'banned')),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX accounts_email ON accounts (lower(email));
CREATE INDEX accounts_changed_at ON accounts (changed_at);

CREATE TABLE api_keys (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id    bigint NOT NULL REFERENCES accounts,
    name          text NOT NULL,
    prefix        text NOT NULL,
    secret_hash   bytea NOT NULL CONSTRAINT api_keys_secret_hash UNIQUE,
    scopes        text[] NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at    timestamptz,
    revoked_at    timestamptz
);
CREATE INDEX api_keys_account ON api_keys (account_id);
CREATE INDEX api_keys_changed_at ON api_keys (changed_at);

-- What a caller's Idempotency-Key was first used for, and what it was answered.
CREATE TABLE idempotency_keys (
    account_id    bigint NOT NULL REFERENCES accounts,
    key           text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    operation     text NOT NULL,
    body_hash     bytea NOT NULL,
    state         text NOT NULL DEFAULT 'in_flight'
                  CONSTRAINT idempotency_keys_state CHECK (state IN ('in_flight', 'answered')),
    status        smallint,
    body          bytea,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    locked_until  timestamptz NOT NULL,
    PRIMARY KEY (account_id, key),
    CHECK ((state = 'answered') = (status IS NOT NULL AND body IS NOT NULL))
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);
