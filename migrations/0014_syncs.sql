-- Reading what providers list, as background work that can be watched, and words of theirs that nobody knows.

-- One row for each reading. `leased_until` is when somebody else may take over from a process that is gone.
CREATE TABLE catalogue_syncs (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_id         smallint NOT NULL REFERENCES providers,
    state               text NOT NULL DEFAULT 'running'
        CONSTRAINT catalogue_syncs_state CHECK (state IN ('running', 'done', 'failed')),
    is_forced           boolean NOT NULL DEFAULT false,
    step                text NOT NULL DEFAULT 'reading',
    done                integer NOT NULL DEFAULT 0,
    total               integer NOT NULL DEFAULT 0,
    added               integer NOT NULL DEFAULT 0,
    changed             integer NOT NULL DEFAULT 0,
    gone                integer NOT NULL DEFAULT 0,
    unmapped_services   integer NOT NULL DEFAULT 0,
    unmapped_countries  integer NOT NULL DEFAULT 0,
    unusable            integer NOT NULL DEFAULT 0,
    detail              text NOT NULL DEFAULT '',
    -- Of a list that was too short to be believed: a digest of what it listed, to know it again.
    short_list          text,
    started_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at            timestamptz,
    leased_until        timestamptz NOT NULL,
    CHECK ((state = 'running') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX catalogue_syncs_running ON catalogue_syncs (provider_id) WHERE state = 'running';
CREATE INDEX catalogue_syncs_provider ON catalogue_syncs (provider_id, id DESC);

-- A sync that staff want now; the pass that starts it takes the row away.
CREATE TABLE catalogue_sync_asks (
    provider_id  smallint PRIMARY KEY REFERENCES providers,
    is_forced    boolean NOT NULL,
    asked_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A provider's words for countries that mean none of ours; nothing is sold there until somebody says what they mean.
CREATE TABLE unmapped_countries (
    provider_id  smallint NOT NULL REFERENCES providers,
    word         text NOT NULL,
    name         text NOT NULL DEFAULT '',
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider_id, word)
);
-- What people read beside a word, which may be a mere number.
ALTER TABLE unmapped_services ADD COLUMN name text NOT NULL DEFAULT '';

-- A sync reads the offers of its provider page by page.
CREATE INDEX offers_provider_id ON offers (provider_id, id);
DROP INDEX offers_provider;

GRANT SELECT, INSERT, UPDATE, DELETE ON catalogue_syncs, catalogue_sync_asks, unmapped_countries TO numberdesk_app;
