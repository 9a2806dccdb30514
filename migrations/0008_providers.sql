-- Providers of other families than SMS-Activate's, and what an operator may say about each.

ALTER TABLE providers DROP CONSTRAINT providers_kind;
ALTER TABLE providers ADD CONSTRAINT providers_kind
    CHECK (kind IN ('sms-activate', 'five-sim', 'sms-pool', 'agent'));
ALTER TABLE providers
    ADD COLUMN dialect              text NOT NULL DEFAULT 'classic',
    ADD COLUMN weight_percent       smallint NOT NULL DEFAULT 100 CHECK (weight_percent BETWEEN 1 AND 1000),
    ADD COLUMN open_max             integer CHECK (open_max > 0),
    ADD COLUMN spend_max_paise      bigint CHECK (spend_max_paise > 0),
    ADD COLUMN balance_alert_paise  bigint CHECK (balance_alert_paise >= 0),
    ADD COLUMN sync_every_ms        integer NOT NULL DEFAULT 900000 CHECK (sync_every_ms BETWEEN 10000 AND 86400000),
    -- The path under which the provider posts its messages to us: sealed to be shown again, hashed to be found.
    ADD COLUMN hook_token_sealed    bytea,
    ADD COLUMN hook_token_hash      bytea CONSTRAINT providers_hook UNIQUE;

-- What a provider calls our services and countries. A provider that speaks our codes needs no row.
CREATE TABLE provider_words (
    provider_id  smallint NOT NULL REFERENCES providers,
    kind         text NOT NULL CONSTRAINT provider_words_kind CHECK (kind IN ('service', 'country')),
    word         text NOT NULL CHECK (length(word) BETWEEN 1 AND 64),
    code         text NOT NULL CHECK (length(code) BETWEEN 1 AND 64),
    source       text NOT NULL CONSTRAINT provider_words_source CHECK (source IN ('list', 'iso', 'name', 'staff')),
    PRIMARY KEY (provider_id, kind, word),
    CONSTRAINT provider_words_code UNIQUE (provider_id, kind, code)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON provider_words TO numberdesk_app;
