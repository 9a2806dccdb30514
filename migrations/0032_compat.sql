-- What old clients were not told when a server died, paid rentals that their provider ends before their time, and
-- providers that do not tell our balance.
SET LOCAL statement_timeout = '1h';

-- A purchase over a wire without an idempotency key is noted with its intent, before its provider is asked, so that a
-- process that dies amid it loses nothing. As long as the process that holds the line lives, nobody takes it over: its
-- client is still waiting. A line without a holder is of a client that left.
ALTER TABLE undelivered_purchases
    ADD COLUMN holder     text,
    ADD COLUMN held_until timestamptz,
    ADD CONSTRAINT undelivered_purchases_held CHECK ((holder IS NULL) = (held_until IS NULL));

-- When the provider of a paid rental said first that it is over before its time; NULL again when it said otherwise.
ALTER TABLE orders ADD COLUMN revoked_at timestamptz;
CREATE INDEX orders_revoked ON orders (provider_id) WHERE revoked_at IS NOT NULL AND refunded_at IS NULL;

ALTER TABLE provider_alerts DROP CONSTRAINT provider_alerts_kind, ADD CONSTRAINT provider_alerts_kind CHECK (kind IN
    ('breaker', 'balance', 'forecast', 'spend_limit', 'price_drift', 'money_gap', 'unknown_word', 'sync_failed',
     'unknown_stale', 'orphan_stale', 'phantom_stock', 'unowned_message', 'rental_revoked',
     'balance_silent'));
