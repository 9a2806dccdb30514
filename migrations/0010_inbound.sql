-- Messages that providers post to us, notices that must reach a provider, and what owners of SIM banks are paid.

ALTER TABLE providers
    -- What we offer an agent for a number that gets its code; null: the adapter's own amount.
    ADD COLUMN agent_pay_paise integer CHECK (agent_pay_paise > 0);

-- When a provider is told again that an order is over, where money depends on its hearing it.
ALTER TABLE orders
    ADD COLUMN release_tries smallint NOT NULL DEFAULT 0,
    ADD COLUMN release_at    timestamptz;

-- One row a message that was posted to us, kept for some days: a repeat is known by it. A parked one has not found its
-- order yet. A delivered one is its order's; a refused one came after its order's money went back, and is sealed there;
-- an unowned one belongs to nothing that we know. Only what no order has still has its text here.
CREATE TABLE inbound_messages (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_id  smallint NOT NULL REFERENCES providers,
    event_id     text NOT NULL CHECK (length(event_id) BETWEEN 1 AND 200),
    upstream_id  text,
    number       text,
    sender       text NOT NULL DEFAULT '',
    code         text NOT NULL,
    text         text NOT NULL,
    state        text NOT NULL DEFAULT 'parked'
                 CONSTRAINT inbound_messages_state CHECK (state IN ('parked', 'delivered', 'unowned', 'refused')),
    order_id     bigint,
    tries        smallint NOT NULL DEFAULT 0,
    next_try_at  timestamptz,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at   timestamptz,
    CONSTRAINT inbound_messages_event UNIQUE (provider_id, event_id),
    CHECK (upstream_id IS NOT NULL OR number IS NOT NULL),
    CHECK ((state = 'parked') = (next_try_at IS NOT NULL)),
    CHECK ((state = 'parked') = (settled_at IS NULL))
);
CREATE INDEX inbound_messages_due ON inbound_messages (next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX inbound_messages_settled ON inbound_messages (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX inbound_messages_strays ON inbound_messages (provider_id, received_at) WHERE state IN ('parked', 'unowned');
CREATE INDEX inbound_messages_delivered ON inbound_messages (provider_id, settled_at) WHERE state = 'delivered';

GRANT SELECT, INSERT, UPDATE, DELETE ON inbound_messages TO numberdesk_app;
