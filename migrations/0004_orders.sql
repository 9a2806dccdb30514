-- Rented numbers and what came on them. Written by the orders slice.

CREATE TABLE orders (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id         bigint NOT NULL REFERENCES accounts,
    service            text NOT NULL REFERENCES services,
    country            integer NOT NULL REFERENCES countries,
    operator           text NOT NULL,
    provider_id        smallint NOT NULL REFERENCES providers,
    attempt            smallint NOT NULL DEFAULT 1 CHECK (attempt > 0),
    price_paise        bigint NOT NULL CHECK (price_paise > 0),
    cost_paise         bigint NOT NULL CHECK (cost_paise > 0),
    state              text NOT NULL DEFAULT 'requested' CONSTRAINT orders_state CHECK (state IN
                       ('requested', 'unknown', 'active', 'received', 'cancelling', 'expiring',
                        'completed', 'cancelled', 'expired', 'failed')),
    failure            text CONSTRAINT orders_failure CHECK (failure IN
                       ('no_numbers', 'provider_refused', 'never_sold', 'provider_cancelled')),
    request_key        text NOT NULL,
    request_item       smallint NOT NULL,
    request_token      bigint NOT NULL,
    upstream_id        text,
    number             text CHECK (number ~ '^[0-9]{5,15}$'),
    can_get_next       boolean NOT NULL DEFAULT true,
    codes_wanted       smallint NOT NULL DEFAULT 1,
    codes_received     smallint NOT NULL DEFAULT 0,
    extensions         smallint NOT NULL DEFAULT 0,
    created_at         timestamptz NOT NULL,
    sent_at            timestamptz NOT NULL,
    activated_at       timestamptz,
    cancel_allowed_at  timestamptz,
    expires_at         timestamptz,
    last_expiry_at   timestamptz,
    received_at        timestamptz,
    ended_at           timestamptz,
    changed_at         timestamptz NOT NULL,
    next_try_at        timestamptz,
    tries              smallint NOT NULL DEFAULT 0,
    release_due        boolean NOT NULL DEFAULT false,
    CONSTRAINT orders_request UNIQUE (account_id, request_key, request_item),
    CHECK (state NOT IN ('active', 'received', 'cancelling', 'expiring', 'completed', 'cancelled', 'expired')
           OR (number IS NOT NULL AND upstream_id IS NOT NULL AND expires_at IS NOT NULL)),
    CHECK ((state IN ('completed', 'cancelled', 'expired', 'failed')) = (ended_at IS NOT NULL))
);
CREATE INDEX orders_account ON orders (account_id, id DESC);
CREATE INDEX orders_changed_at ON orders (changed_at);
CREATE INDEX orders_open ON orders (provider_id, id) WHERE ended_at IS NULL;
-- A number lives on one order of a service at a time: its codes could not be told apart.
CREATE UNIQUE INDEX orders_live_number ON orders (number, service) WHERE ended_at IS NULL AND number IS NOT NULL;
CREATE INDEX orders_due ON orders (next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX orders_expiry ON orders (expires_at) WHERE state IN ('active', 'received');
CREATE INDEX orders_release ON orders (provider_id, id) WHERE release_due;

-- What a provider sold us, for ever: a number or id sold twice can never reach a second customer.
CREATE TABLE activations (
    provider_id  smallint NOT NULL REFERENCES providers,
    upstream_id  text NOT NULL,
    order_id     bigint NOT NULL REFERENCES orders CONSTRAINT activations_order UNIQUE,
    PRIMARY KEY (provider_id, upstream_id)
);

-- What a provider says we own and no order of ours knows.
CREATE TABLE orphans (
    provider_id    smallint NOT NULL REFERENCES providers,
    upstream_id    text NOT NULL,
    state          text NOT NULL DEFAULT 'seen'
                   CONSTRAINT orphans_state CHECK (state IN ('seen', 'linked', 'cancelling', 'cancelled', 'lost')),
    first_seen_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_try_at    timestamptz,
    tries          smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (provider_id, upstream_id)
);
CREATE INDEX orphans_due ON orphans (next_try_at) WHERE next_try_at IS NOT NULL;

-- Messages received. A sealed one came after the money went back: it is kept, never shown and never charged.
CREATE TABLE messages (
    order_id     bigint NOT NULL,
    ordinal      smallint NOT NULL,
    code         text NOT NULL,
    text         text NOT NULL,
    received_at  timestamptz NOT NULL,
    is_sealed    boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (received_at);
CREATE TABLE messages_default PARTITION OF messages DEFAULT;
CREATE INDEX messages_order ON messages (order_id);

-- What we asked a provider for an order and what came back, without secrets.
CREATE TABLE exchanges (
    order_id     bigint NOT NULL,
    provider_id  smallint NOT NULL,
    attempt      smallint NOT NULL,
    action       text NOT NULL CONSTRAINT exchanges_action
                 CHECK (action IN ('rent', 'cancel', 'finish', 'another_code', 'look')),
    outcome      text NOT NULL,
    detail       text NOT NULL,
    at           timestamptz NOT NULL,
    took_ms      integer NOT NULL
) PARTITION BY RANGE (at);
CREATE TABLE exchanges_default PARTITION OF exchanges DEFAULT;
CREATE INDEX exchanges_order ON exchanges (order_id);
