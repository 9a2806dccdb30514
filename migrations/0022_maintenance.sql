-- What is closed, from when to when. Only what begins something new asks: codes, cancels, refunds and payments that
-- come in go on. A window is the half-open time [starts_at, ends_at) of this database's clock.
CREATE TABLE maintenance_windows (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    area         text NOT NULL CONSTRAINT maintenance_windows_area
                 CHECK (area IN ('master', 'server', 'auth', 'recharge', 'support', 'service', 'country')),
    -- The provider's id, the service's code or the country's number; other areas are one.
    target       text,
    kind         text NOT NULL CONSTRAINT maintenance_windows_kind CHECK (kind IN ('emergency', 'scheduled')),
    starts_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at      timestamptz,
    -- Accounts for which it stays open.
    allowed      bigint[] NOT NULL DEFAULT '{}',
    message      text NOT NULL,
    -- Counts changes: whoever changes a window says which one was seen.
    version      bigint NOT NULL DEFAULT 1,
    made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Called off before it began.
    cancelled_at timestamptz,
    -- When its start and its end were told.
    start_told_at timestamptz,
    end_told_at  timestamptz,
    CHECK ((area IN ('server', 'service', 'country')) = (target IS NOT NULL)),
    CHECK (ends_at > starts_at),
    CHECK (kind = 'emergency' OR ends_at IS NOT NULL),
    CHECK (cancelled_at IS NULL OR start_told_at IS NULL)
);
CREATE INDEX maintenance_windows_current ON maintenance_windows (starts_at) WHERE end_told_at IS NULL AND cancelled_at IS NULL;

-- One row. What begins something new holds it shared until its commit; whoever changes a window takes it alone, so that
-- nothing is between the look at the windows and the commit.
CREATE TABLE maintenance_version (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint NOT NULL DEFAULT 1
);
INSERT INTO maintenance_version DEFAULT VALUES;

GRANT SELECT, INSERT, UPDATE ON maintenance_windows TO numberdesk_app;
GRANT SELECT, UPDATE ON maintenance_version TO numberdesk_app;
GRANT USAGE ON SEQUENCE maintenance_windows_id_seq TO numberdesk_app;
