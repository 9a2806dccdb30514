-- Orders of numbers for hours or days, and more hours for them.

ALTER TABLE orders
    -- A number that is rented for so long; null: one for a code.
    ADD COLUMN hours smallint CONSTRAINT orders_hours CHECK (hours > 0),
    -- More hours are being bought for it: it neither ends nor is cancelled before that is settled.
    ADD COLUMN is_prolonging boolean NOT NULL DEFAULT false;
-- Rentals that may still be cancelled: their money is taken when that time is over.
CREATE INDEX orders_window ON orders (sent_at) WHERE hours IS NOT NULL AND state = 'active';
-- Rentals are looked at one by one.
CREATE INDEX orders_rented ON orders (provider_id, next_try_at)
    WHERE hours IS NOT NULL AND ended_at IS NULL AND activated_at IS NOT NULL;

-- A rental may go on under a new id of its provider. Under its former ones nobody else gets it either.
ALTER TABLE activations
    ADD COLUMN is_former boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT activations_order;
CREATE UNIQUE INDEX activations_order ON activations (order_id) WHERE NOT is_former;

-- More hours for a rental: its money is held before the provider is asked, which happens once. What comes of an unclear
-- answer is read off the provider's list; until then the money stays held.
CREATE TABLE prolongations (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id      bigint NOT NULL REFERENCES orders,
    request_key   text NOT NULL,
    hours         smallint NOT NULL CHECK (hours > 0),
    price_paise   bigint NOT NULL CHECK (price_paise > 0),
    cost_paise    bigint NOT NULL CHECK (cost_paise > 0),
    state         text NOT NULL DEFAULT 'requested' CONSTRAINT prolongations_state
                  CHECK (state IN ('requested', 'unknown', 'done', 'refused')),
    -- What the provider was asked about, and when that would have ended.
    provider_id   smallint NOT NULL REFERENCES providers,
    upstream_id   text NOT NULL,
    ended_before  timestamptz NOT NULL,
    -- The word for a refusal, the same for a repeat of the request.
    refusal       text NOT NULL DEFAULT '',
    sent_at       timestamptz NOT NULL,
    settled_at    timestamptz,
    next_try_at   timestamptz,
    tries         smallint NOT NULL DEFAULT 0,
    CONSTRAINT prolongations_request UNIQUE (order_id, request_key),
    CHECK ((state IN ('done', 'refused')) = (settled_at IS NOT NULL))
);
CREATE UNIQUE INDEX prolongations_open ON prolongations (order_id) WHERE state IN ('requested', 'unknown');
CREATE INDEX prolongations_due ON prolongations (provider_id, sent_at) WHERE state IN ('requested', 'unknown');
-- Our books with a provider read what it was paid for since a moment.
CREATE INDEX prolongations_settled ON prolongations (provider_id, settled_at) WHERE state = 'done';

GRANT SELECT, INSERT, UPDATE ON prolongations TO numberdesk_app;
