-- Where customers want events to be posted, and what became of each. Written by the webhooks slice.

CREATE TABLE webhook_endpoints (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id        bigint NOT NULL REFERENCES accounts,
    url               text NOT NULL CHECK (length(url) BETWEEN 1 AND 2000),
    -- Types of the event log.
    events            text[] NOT NULL CHECK (cardinality(events) > 0),
    format            text NOT NULL
                      CONSTRAINT webhook_endpoints_format CHECK (format IN ('standard', 'classic', 'hero')),
    -- off: its owner's wish, a pause. disabled: ours, as it failed for days or said that it is gone. deleted: to be
    -- removed together with its deliveries.
    state             text NOT NULL DEFAULT 'on'
                      CONSTRAINT webhook_endpoints_state CHECK (state IN ('on', 'off', 'disabled', 'deleted')),
    secret            bytea NOT NULL,
    old_secret        bytea,
    old_secret_until  timestamptz,
    -- Up to here the account's log has become deliveries.
    cursor_seq        bigint NOT NULL CHECK (cursor_seq >= 0),
    -- The first failure since the last success.
    failing_since     timestamptz,
    disabled_at       timestamptz,
    version           int NOT NULL DEFAULT 1,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((old_secret IS NULL) = (old_secret_until IS NULL)),
    CHECK ((state = 'disabled') = (disabled_at IS NOT NULL))
);
CREATE INDEX webhook_endpoints_account ON webhook_endpoints (account_id, id);
CREATE INDEX webhook_endpoints_on ON webhook_endpoints (account_id, id) WHERE state = 'on';
CREATE INDEX webhook_endpoints_deleted ON webhook_endpoints (id) WHERE state = 'deleted';

-- One row an event and endpoint. What is posted is no part of it: it is told from the event each time.
CREATE TABLE webhook_deliveries (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint_id  bigint NOT NULL REFERENCES webhook_endpoints,
    account_id   bigint NOT NULL,
    event_id     text NOT NULL,
    -- NULL for a test, which is in no log.
    seq          bigint,
    type         text NOT NULL,
    state        text NOT NULL DEFAULT 'waiting'
                 CONSTRAINT webhook_deliveries_state CHECK (state IN ('waiting', 'delivered', 'failed')),
    -- All attempts, and those since it was written or last sent again by hand.
    attempts     int NOT NULL DEFAULT 0,
    tries        smallint NOT NULL DEFAULT 0,
    next_try_at  timestamptz DEFAULT clock_timestamp(),
    -- Somebody is sending it. A sender that died lets go when this is over.
    leased_until timestamptz,
    last_status  smallint,
    problem      text,
    took_ms      int,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    tried_at     timestamptz,
    ended_at     timestamptz,
    CONSTRAINT webhook_deliveries_event UNIQUE (endpoint_id, event_id),
    CHECK ((state = 'waiting') = (next_try_at IS NOT NULL)),
    CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CHECK (state = 'waiting' OR leased_until IS NULL)
);
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, id DESC);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_try_at) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (endpoint_id, next_try_at, id) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_backlog ON webhook_deliveries (account_id, id DESC) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (account_id) WHERE leased_until IS NOT NULL;
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_endpoints, webhook_deliveries TO numberdesk_app;
GRANT USAGE ON SEQUENCE webhook_endpoints_id_seq TO numberdesk_app;
