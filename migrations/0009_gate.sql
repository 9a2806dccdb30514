-- The health of providers: a breaker that all processes share, counts of what came of calls, and what was said.

-- One row a provider. Every change of it raises the generation, and is made only by whoever knew the one before.
CREATE TABLE provider_health (
    provider_id    smallint PRIMARY KEY REFERENCES providers ON DELETE CASCADE,
    state          text NOT NULL DEFAULT 'closed'
                   CONSTRAINT provider_health_state CHECK (state IN ('closed', 'open', 'half_open')),
    -- What staff decided: it holds until they take it back.
    forced         text CONSTRAINT provider_health_forced CHECK (forced IN ('open', 'closed')),
    forced_reason  text NOT NULL DEFAULT '',
    reason         text NOT NULL DEFAULT '',
    -- How many times in a row it opened: each time stays open twice as long.
    openings       smallint NOT NULL DEFAULT 0,
    opened_at      timestamptz,
    open_until     timestamptz,
    -- When the next look may be taken at it, and until when whoever took one has it for himself.
    probe_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    generation     bigint NOT NULL DEFAULT 0,
    CHECK ((forced IS NULL) = (forced_reason = ''))
);
INSERT INTO provider_health (provider_id) SELECT id FROM providers;

-- What came of calls, by hour. An unknown outcome is counted by its kind.
CREATE TABLE provider_calls (
    provider_id  smallint NOT NULL REFERENCES providers ON DELETE CASCADE,
    hour         timestamptz NOT NULL,
    action       text NOT NULL,
    outcome      text NOT NULL,
    calls        bigint NOT NULL,
    took_ms      bigint NOT NULL,
    PRIMARY KEY (provider_id, hour, action, outcome)
);

-- Words of providers that no list of ours knows.
CREATE TABLE provider_unknown_words (
    provider_id  smallint NOT NULL REFERENCES providers ON DELETE CASCADE,
    word         text NOT NULL CHECK (length(word) BETWEEN 1 AND 80),
    action       text NOT NULL,
    times        bigint NOT NULL,
    first_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    told_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider_id, word)
);

-- What was said on the wire, without keys and codes. `status` is null when no whole answer came.
CREATE TABLE transcripts (
    provider_id  smallint NOT NULL,
    action       text NOT NULL,
    subject      text NOT NULL,
    asked        text NOT NULL,
    status       smallint,
    answer       text NOT NULL,
    took_ms      integer NOT NULL,
    at           timestamptz NOT NULL
) PARTITION BY RANGE (at);
CREATE TABLE transcripts_default PARTITION OF transcripts DEFAULT;
CREATE INDEX transcripts_subject ON transcripts (provider_id, subject);
CREATE INDEX transcripts_at ON transcripts (provider_id, at);

GRANT SELECT, INSERT, UPDATE ON provider_health TO numberdesk_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON provider_calls, provider_unknown_words TO numberdesk_app;
GRANT SELECT, INSERT, DELETE ON transcripts TO numberdesk_app;
