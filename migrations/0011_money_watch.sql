-- What is watched of our money with providers: alerts, balances, what was charged, and whether it all adds up.

-- Troubles with a provider that somebody should see. One is open for each provider and kind.
CREATE TABLE provider_alerts (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_id   smallint NOT NULL REFERENCES providers,
    kind          text NOT NULL CONSTRAINT provider_alerts_kind CHECK (kind IN (
        'breaker', 'balance', 'forecast', 'spend_limit', 'price_drift', 'money_gap', 'unknown_word', 'sync_failed',
        'unknown_stale', 'orphan_stale', 'phantom_stock', 'unowned_message')),
    detail        text NOT NULL,
    opened_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at     timestamptz,
    -- Staff were told that it began, and that it is over.
    told_at       timestamptz,
    over_told_at  timestamptz
);
CREATE UNIQUE INDEX provider_alerts_open ON provider_alerts (provider_id, kind) WHERE closed_at IS NULL;
CREATE INDEX provider_alerts_untold ON provider_alerts (id) WHERE told_at IS NULL;
CREATE INDEX provider_alerts_over ON provider_alerts (id)
    WHERE told_at IS NOT NULL AND closed_at IS NOT NULL AND over_told_at IS NULL;
CREATE INDEX provider_alerts_provider ON provider_alerts (provider_id, id DESC);

GRANT SELECT, INSERT, UPDATE ON provider_alerts TO numberdesk_app;

-- What a provider says it took for a number; null where it does not say. The offer's cost at the time is beside it.
ALTER TABLE orders ADD COLUMN charged_paise bigint CHECK (charged_paise >= 0);
CREATE INDEX orders_overcharged ON orders (provider_id, activated_at) WHERE charged_paise * 100 > cost_paise * 101;

-- A sale above the ceiling that was sent with the purchase. Few, and each is a reason to look.
CREATE TABLE price_overruns (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_id  smallint NOT NULL REFERENCES providers,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    reference    text NOT NULL
);
CREATE INDEX price_overruns_provider ON price_overruns (provider_id, at);

-- What a provider said is left, and what our books moved since the line before: sold, and taken back.
CREATE TABLE provider_balances (
    provider_id     smallint NOT NULL REFERENCES providers,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    balance_paise   bigint NOT NULL,
    sold_paise      bigint NOT NULL,
    refunded_paise  bigint NOT NULL,
    PRIMARY KEY (provider_id, at)
);
CREATE INDEX provider_balances_at ON provider_balances (at);

-- One row a provider: whose turn it is to ask, what was said last, and where its books begin.
CREATE TABLE provider_money (
    provider_id     smallint PRIMARY KEY REFERENCES providers,
    balance_due_at  timestamptz NOT NULL DEFAULT '-infinity',
    check_due_at    timestamptz NOT NULL DEFAULT '-infinity',
    balance_paise   bigint,
    balance_at      timestamptz,
    counted_until   timestamptz,
    -- Null: the forecast knows of no end.
    minutes_left    integer,
    -- The books stand between two amounts at `booked_until`, as far apart as what was in flight when they began.
    anchored_at     timestamptz,
    booked_until    timestamptz,
    booked_low      bigint,
    booked_high     bigint,
    booked_count    bigint NOT NULL DEFAULT 0,
    paise_per_unit  integer,
    CHECK ((anchored_at IS NULL) = (booked_low IS NULL))
);

CREATE TABLE provider_money_checks (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_id    smallint NOT NULL REFERENCES providers,
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    balance_paise  bigint NOT NULL,
    expected_low   bigint NOT NULL,
    expected_high  bigint NOT NULL,
    -- Negative: money is missing. Zero: it all adds up.
    gap_paise      bigint NOT NULL,
    explained      text NOT NULL
);
CREATE INDEX provider_money_checks_provider ON provider_money_checks (provider_id, id DESC);
CREATE INDEX provider_money_checks_at ON provider_money_checks (at);

-- What staff say moved our money with a provider besides purchases: paid in, or a gap that is accepted.
CREATE TABLE provider_top_ups (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_id  smallint NOT NULL REFERENCES providers,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind         text NOT NULL CONSTRAINT provider_top_ups_kind CHECK (kind IN ('top_up', 'settled_gap')),
    amount_paise bigint NOT NULL CHECK (amount_paise <> 0),
    note         text NOT NULL
);
CREATE INDEX provider_top_ups_provider ON provider_top_ups (provider_id, id DESC);

GRANT SELECT, INSERT, UPDATE, DELETE ON provider_money, provider_balances, price_overruns, provider_money_checks
    TO numberdesk_app;
GRANT SELECT, INSERT ON provider_top_ups TO numberdesk_app;
