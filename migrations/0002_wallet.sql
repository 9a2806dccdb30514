-- The ledger. Written by the wallet slice only; postings and entries are append-only by privilege and by trigger.

-- One row per customer. `version` counts the wallet's entries, so a lost write shows as a gap.
CREATE TABLE wallets (
    account_id       bigint PRIMARY KEY REFERENCES accounts,
    available_paise  bigint NOT NULL DEFAULT 0 CONSTRAINT wallets_available CHECK (available_paise >= 0),
    held_paise       bigint NOT NULL DEFAULT 0 CONSTRAINT wallets_held CHECK (held_paise >= 0),
    version          bigint NOT NULL DEFAULT 0
);

-- One row per money event. Not partitioned: one effect per cause is unique for ever.
CREATE TABLE postings (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL CONSTRAINT postings_kind
                CHECK (kind IN ('recharge', 'admin_credit', 'hold', 'capture', 'void', 'refund')),
    cause_type  text NOT NULL CONSTRAINT postings_cause_type CHECK (cause_type IN ('order', 'recharge', 'credit')),
    cause_id    text NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT postings_cause UNIQUE (kind, cause_type, cause_id)
);

-- The lines of a posting; they sum to zero. A customer's line names the wallet and carries the balance after it and
-- the wallet's version; a system account's line has neither, so no hot row is ever locked.
CREATE TABLE entries (
    posting_id           bigint NOT NULL,
    at                   timestamptz NOT NULL,
    account_id           bigint,
    bucket               text NOT NULL CONSTRAINT entries_bucket
                         CHECK (bucket IN ('available', 'held', 'revenue', 'clearing', 'adjustments', 'suspense', 'fx')),
    amount_paise         bigint NOT NULL CHECK (amount_paise <> 0),
    balance_after_paise  bigint CHECK (balance_after_paise >= 0),
    version              bigint CHECK (version > 0),
    CHECK ((account_id IS NOT NULL) = (bucket IN ('available', 'held'))),
    CHECK ((account_id IS NOT NULL) = (balance_after_paise IS NOT NULL AND version IS NOT NULL))
) PARTITION BY RANGE (at);
CREATE TABLE entries_default PARTITION OF entries DEFAULT;
CREATE INDEX entries_posting ON entries (posting_id);
CREATE INDEX entries_wallet ON entries (account_id, version) WHERE account_id IS NOT NULL;

-- One hold per (order, purpose); it ends once, as captured or voided.
CREATE TABLE holds (
    order_id      bigint NOT NULL,
    purpose       text NOT NULL,
    account_id    bigint NOT NULL REFERENCES wallets,
    amount_paise  bigint NOT NULL CHECK (amount_paise > 0),
    state         text NOT NULL DEFAULT 'held'
                  CONSTRAINT holds_state CHECK (state IN ('held', 'captured', 'voided')),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at      timestamptz,
    PRIMARY KEY (order_id, purpose),
    CHECK ((state = 'held') = (ended_at IS NULL))
);
CREATE INDEX holds_account ON holds (account_id, created_at DESC);
CREATE INDEX holds_live ON holds (account_id) WHERE state = 'held';

-- Balances of system accounts. Each transaction appends one change per bucket; the rollup pass takes the committed
-- ones away and adds them up in one statement, so commits out of order cannot be missed.
CREATE TABLE system_changes (
    bucket        text NOT NULL,
    amount_paise  bigint NOT NULL
);
CREATE TABLE system_balances (
    bucket         text PRIMARY KEY,
    balance_paise  bigint NOT NULL,
    rolled_up_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: correct it with a new posting', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER postings_append_only BEFORE UPDATE OR DELETE ON postings FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE ON entries FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER postings_no_truncate BEFORE TRUNCATE ON postings EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entries_no_truncate BEFORE TRUNCATE ON entries EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entries_no_truncate BEFORE TRUNCATE ON entries_default EXECUTE FUNCTION refuse_change();

-- Partitions are made ahead by a pass; the default partition takes what comes before that.
CREATE FUNCTION create_month_partitions(parent regclass, months_ahead int) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first_day date;
    partition text;
    made int := 0;
BEGIN
    -- One maker at a time: a second one would find no table and fail when it makes the same. Rows still go in.
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', parent);
    FOR step IN 0..months_ahead LOOP
        first_day := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => step))::date;
        partition := parent::text || to_char(first_day, '_YYYY_MM');
        IF to_regclass(partition) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE TABLE %I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)', partition, parent,
                               first_day::timestamp AT TIME ZONE 'UTC',
                               (first_day + interval '1 month') AT TIME ZONE 'UTC');
                IF parent = 'entries'::regclass THEN
                    -- Triggers on statements are not handed down to partitions.
                    EXECUTE format('CREATE TRIGGER entries_no_truncate BEFORE TRUNCATE ON %I'
                                   ' EXECUTE FUNCTION refuse_change()', partition);
                END IF;
                made := made + 1;
            EXCEPTION WHEN check_violation THEN
                -- Rows of this month are in the default partition already and stay there; the next month must not wait.
                CONTINUE;
            END;
        END IF;
    END LOOP;
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION create_month_partitions(regclass, int) FROM PUBLIC;
