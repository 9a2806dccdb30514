-- Providers (written by the providers slice), and what can be bought (written by the catalogue slice).

CREATE TABLE providers (
    id                smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name              text NOT NULL CONSTRAINT providers_name UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    kind              text NOT NULL CONSTRAINT providers_kind CHECK (kind IN ('sms-activate')),
    url               text NOT NULL,
    api_key_sealed    bytea NOT NULL,
    is_on             boolean NOT NULL DEFAULT true,
    paise_per_unit    integer NOT NULL DEFAULT 100 CHECK (paise_per_unit > 0),
    parallel_max      integer NOT NULL DEFAULT 50 CHECK (parallel_max > 0),
    calls_per_second  integer NOT NULL DEFAULT 100 CHECK (calls_per_second > 0),
    deadline_ms       integer NOT NULL DEFAULT 8000 CHECK (deadline_ms BETWEEN 100 AND 60000),
    poll_ms           integer NOT NULL DEFAULT 2000 CHECK (poll_ms BETWEEN 100 AND 60000),
    cancel_after_ms   integer NOT NULL DEFAULT 120000 CHECK (cancel_after_ms >= 0),
    lifetime_ms       integer NOT NULL DEFAULT 1200000 CHECK (lifetime_ms > 0),
    extend_paise_per_minute integer CHECK (extend_paise_per_minute >= 0),
    synced_at         timestamptz,
    watched_until     timestamptz,
    watched_by        text,
    changed_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE services (
    code      text PRIMARY KEY,
    name      text NOT NULL,
    category  text NOT NULL,
    is_on     boolean NOT NULL DEFAULT true
);

CREATE TABLE countries (
    code          integer PRIMARY KEY,
    iso           text NOT NULL,
    name          text NOT NULL,
    calling_code  text NOT NULL,
    iso_default   boolean NOT NULL,
    is_on         boolean NOT NULL DEFAULT true
);

CREATE TABLE blocked_categories (
    category  text PRIMARY KEY,
    reason    text NOT NULL,
    is_on     boolean NOT NULL DEFAULT true
);

-- A service code a provider sells and our list does not know: off until somebody classifies it.
CREATE TABLE unmapped_services (
    provider_id    smallint NOT NULL REFERENCES providers,
    upstream_code  text NOT NULL,
    seen_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider_id, upstream_code)
);

CREATE TABLE offers (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service      text NOT NULL REFERENCES services,
    country      integer NOT NULL REFERENCES countries,
    provider_id  smallint NOT NULL REFERENCES providers,
    operator     text NOT NULL DEFAULT 'any',
    cost_paise   bigint NOT NULL CHECK (cost_paise > 0),
    stock        integer NOT NULL CHECK (stock >= 0),
    observed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT offers_one UNIQUE (service, country, provider_id, operator)
);
CREATE INDEX offers_provider ON offers (provider_id);

-- The most specific rule that fits decides: account before service, country and provider.
CREATE TABLE price_rules (
    id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id           bigint REFERENCES accounts,
    service              text REFERENCES services,
    country              integer REFERENCES countries,
    provider_id          smallint REFERENCES providers,
    margin_basis_points  integer NOT NULL CHECK (margin_basis_points BETWEEN -9999 AND 1000000),
    floor_paise          bigint NOT NULL DEFAULT 1 CHECK (floor_paise > 0),
    CONSTRAINT price_rules_one UNIQUE NULLS NOT DISTINCT (account_id, service, country, provider_id)
);

-- One row: counts changes of everything above that a price depends on, so that processes know when to read again.
CREATE TABLE catalogue_version (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    version  bigint NOT NULL DEFAULT 1
);
INSERT INTO catalogue_version DEFAULT VALUES;
