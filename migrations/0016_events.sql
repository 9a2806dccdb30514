-- One log of what happened to orders, written in the transaction that made it happen. It is what all live delivery
-- reads: waiting calls, streams and webhooks. Texts are not copied here: an event names its message by its ordinal.
CREATE TABLE order_events (
    account_id  bigint NOT NULL,
    seq         bigint NOT NULL CHECK (seq > 0),
    order_id    bigint NOT NULL REFERENCES orders,
    type        text NOT NULL
                CONSTRAINT order_events_type
                CHECK (type IN ('active', 'code', 'extended', 'completed', 'cancelled', 'expired', 'failed')),
    ordinal     smallint NOT NULL DEFAULT 1 CHECK (ordinal > 0),
    at          timestamptz NOT NULL,
    PRIMARY KEY (account_id, seq),
    -- Which is also the name that the event has everywhere: nothing happens twice.
    UNIQUE (order_id, type, ordinal)
);
CREATE INDEX order_events_at ON order_events (at);

-- The last number given out of each account. Its row lock makes numbers become visible in their order, so that who has
-- read up to one has missed nothing before it.
CREATE TABLE event_counters (
    account_id  bigint PRIMARY KEY REFERENCES accounts,
    last_seq    bigint NOT NULL CHECK (last_seq > 0)
);

GRANT SELECT, INSERT, DELETE ON order_events TO numberdesk_app;
GRANT SELECT, INSERT, UPDATE ON event_counters TO numberdesk_app;
