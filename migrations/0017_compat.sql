-- The protocol that every client speaks: how a key speaks it, and purchases whose answer never arrived.

ALTER TABLE api_keys ADD COLUMN dialect text
    CONSTRAINT api_keys_dialect CHECK (dialect IN ('classic', 'hero', 'grizzly'));

-- Purchases under the caller's own word: what each is about, and which of its tries counts. A try that bought nothing
-- does not use the word up. A line lives as long as its order.
CREATE TABLE purchase_references (
    account_id  bigint NOT NULL REFERENCES accounts,
    reference   text NOT NULL,
    fingerprint bytea NOT NULL,
    tries       integer NOT NULL DEFAULT 1,
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, reference)
);

-- Purchases whose client was not told the outcome. The next one of the same kind takes the oldest over, and its line.
CREATE TABLE undelivered_purchases (
    account_id   bigint NOT NULL REFERENCES accounts,
    request_key  text NOT NULL,
    fingerprint  bytea NOT NULL,
    wants_object boolean NOT NULL,
    waited_ms    integer NOT NULL,
    noted_at     timestamptz NOT NULL,
    PRIMARY KEY (account_id, request_key)
);
CREATE INDEX undelivered_purchases_kind ON undelivered_purchases (account_id, fingerprint, noted_at);
CREATE INDEX undelivered_purchases_age ON undelivered_purchases (noted_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON purchase_references TO numberdesk_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON undelivered_purchases TO numberdesk_app;
