-- What monitoring writes: counters of all processes, the processes themselves, results of ledger checks, and the parts
-- of the public status with the minutes of each day.

-- Counters of every process added up, as Prometheus reads them. A process adds what it counted since it last did.
CREATE TABLE metric_totals (
    sample text NOT NULL,
    labels text NOT NULL,
    value double precision NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (sample, labels)
) WITH (fillfactor = 60);

-- One row per running process, renewed every few seconds; a row that is not renewed is of a process that ended.
CREATE TABLE processes (
    id text PRIMARY KEY,
    has_web boolean NOT NULL,
    has_worker boolean NOT NULL,
    version text NOT NULL,
    lag_ms integer NOT NULL CHECK (lag_ms >= 0),
    pool_open integer NOT NULL,
    pool_busy integer NOT NULL,
    pool_max integer NOT NULL,
    memory_bytes bigint NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 60);

-- When the ledger is checked next, and how far. `recent` looks at what was posted after `checked_to`, `whole` at all.
CREATE TABLE ledger_runs (
    scope text PRIMARY KEY CONSTRAINT ledger_runs_scope CHECK (scope IN ('recent', 'whole')),
    due_at timestamptz NOT NULL,
    checked_to bigint NOT NULL DEFAULT 0,
    ended_at timestamptz,
    took_ms integer
);

-- The last result of each check.
CREATE TABLE ledger_results (
    scope text NOT NULL CONSTRAINT ledger_results_scope CHECK (scope IN ('recent', 'whole')),
    invariant text NOT NULL,
    name text NOT NULL,
    wrong bigint NOT NULL CHECK (wrong >= 0),
    examples text[] NOT NULL,
    checked_at timestamptz NOT NULL,
    PRIMARY KEY (scope, invariant, name)
);

CREATE TABLE status_parts (
    part text PRIMARY KEY,
    state text NOT NULL CONSTRAINT status_parts_state CHECK (state IN ('ok', 'degraded', 'down')),
    since timestamptz NOT NULL,
    looked_at timestamptz NOT NULL
);

-- Minutes of each day, by how a part was. A minute in which nobody looked counts as down.
CREATE TABLE status_days (
    part text NOT NULL,
    day date NOT NULL,
    ok smallint NOT NULL DEFAULT 0,
    degraded smallint NOT NULL DEFAULT 0,
    down smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (part, day)
);

CREATE TABLE status_mark (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    counted_until timestamptz
);

GRANT SELECT, INSERT, UPDATE, DELETE
    ON metric_totals, processes, ledger_runs, ledger_results, status_parts, status_days, status_mark TO numberdesk_app;
