-- What providers gave back for numbers without a code, and how often numbers get their codes.

-- What proves that the provider took a number without a code back: `none`, nothing to take back (a code came, or
-- nothing was sold); `confirmed`, it acknowledged our cancel; `assumed`, it ended the number and nobody said the money
-- is back; `refused`, it kept the money; `due`, not settled yet.
ALTER TABLE orders ADD COLUMN upstream_refund text NOT NULL DEFAULT 'none'
    CONSTRAINT orders_upstream_refund CHECK (upstream_refund IN ('none', 'due', 'assumed', 'confirmed', 'refused'));
ALTER TABLE orders ALTER COLUMN upstream_refund SET DEFAULT 'due';

-- Orders are written in the order of time, so a summary of page ranges finds an hour and costs a purchase nothing.
-- A few later rows in pages freed by old ones do not widen its ranges.
CREATE INDEX orders_created_at ON orders USING brin (created_at timestamptz_minmax_multi_ops)
    WITH (pages_per_range = 32, autosummarize = on);

-- Counted from orders by the hour they were made in, and always over again: see catalogue.service.count_deliveries.
-- `waits` are first codes by the time they took; paise of refunds are what customers got, the others are what was charged.
CREATE TABLE delivery_stats (
    hour             timestamptz NOT NULL,
    provider_id      smallint NOT NULL REFERENCES providers,
    service          text NOT NULL,
    country          integer NOT NULL,
    operator         text NOT NULL,
    sold             integer NOT NULL CHECK (sold >= 0),
    delivered        integer NOT NULL CHECK (delivered BETWEEN 0 AND sold),
    cancelled        integer NOT NULL CHECK (cancelled BETWEEN 0 AND sold - delivered),
    refunds          integer NOT NULL,
    refunds_paise    bigint NOT NULL,
    confirmed        integer NOT NULL,
    confirmed_paise  bigint NOT NULL,
    assumed          integer NOT NULL,
    assumed_paise    bigint NOT NULL,
    refused          integer NOT NULL,
    refused_paise    bigint NOT NULL,
    due              integer NOT NULL,
    due_paise        bigint NOT NULL,
    gap_paise        bigint NOT NULL,
    waits            integer[] NOT NULL,
    PRIMARY KEY (hour, provider_id, service, country, operator),
    CHECK (confirmed + assumed + refused + due = refunds)
);
CREATE TABLE delivery_stats_mark (
    one            boolean PRIMARY KEY DEFAULT true CHECK (one),
    version        bigint NOT NULL DEFAULT 0,
    counted_until  timestamptz
);
GRANT SELECT, INSERT, UPDATE, DELETE ON delivery_stats, delivery_stats_mark TO numberdesk_app;
