-- What staff do with money by hand. Each is one row, whether one person was enough or a second one had to agree: the
-- cap of each person's day is counted here, and a repeat finds what was asked by its key.
CREATE TABLE money_requests (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action          text NOT NULL CONSTRAINT money_requests_action
                    CHECK (action IN ('credit', 'debit', 'order_refund', 'payment_refund', 'review')),
    -- The account whose money it is; money of nobody's has none.
    account_id      bigint REFERENCES accounts (id),
    -- The order, payment or recharge, and the version that was looked at, where there is one.
    subject_id      bigint,
    subject_version integer,
    amount_paise    bigint NOT NULL CHECK (amount_paise > 0),
    reason          text NOT NULL,
    state           text NOT NULL CONSTRAINT money_requests_state CHECK (state IN ('waiting', 'done', 'refused')),
    asked_by        bigint NOT NULL REFERENCES accounts (id),
    request_key     text NOT NULL,
    asked_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Who agreed or refused, when a second person was needed.
    decided_by      bigint REFERENCES accounts (id),
    decided_at      timestamptz,
    CONSTRAINT money_requests_key UNIQUE (asked_by, request_key),
    CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
    CHECK (state <> 'waiting' OR decided_by IS NULL),
    -- Nobody agrees with himself; to refuse the own request is to take it back.
    CHECK (state <> 'done' OR decided_by <> asked_by)
);
CREATE INDEX money_requests_asked ON money_requests (asked_by, asked_at);
CREATE INDEX money_requests_decided ON money_requests (decided_by, decided_at) WHERE decided_by IS NOT NULL;
CREATE INDEX money_requests_waiting ON money_requests (id) WHERE state = 'waiting';

-- What staff write down about an account, for each other. A note is corrected by another one.
CREATE TABLE account_notes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts (id),
    author_id  bigint NOT NULL REFERENCES accounts (id),
    text       text NOT NULL CHECK (length(text) BETWEEN 1 AND 2000),
    at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX account_notes_account ON account_notes (account_id, id DESC);
CREATE TRIGGER account_notes_append_only BEFORE UPDATE OR DELETE ON account_notes
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER account_notes_no_truncate BEFORE TRUNCATE ON account_notes EXECUTE FUNCTION refuse_change();

-- Staff may take money out of a wallet, as far as it is available.
ALTER TABLE postings DROP CONSTRAINT postings_kind;
ALTER TABLE postings ADD CONSTRAINT postings_kind
    CHECK (kind IN ('recharge', 'admin_credit', 'admin_debit', 'hold', 'capture', 'void', 'refund', 'suspend', 'assign',
                    'pay_back', 'pay_back_failed', 'play_money')) NOT VALID;

-- Staff may give the money of a code back: the order stays what it was, and says when that happened.
ALTER TABLE orders ADD COLUMN refunded_at timestamptz;
ALTER TABLE order_events DROP CONSTRAINT order_events_type;
ALTER TABLE order_events ADD CONSTRAINT order_events_type
    CHECK (type IN ('active', 'code', 'extended', 'completed', 'cancelled', 'expired', 'failed', 'refunded')) NOT VALID;

-- What staff called a service, or put it under, is not taken from the list that we ship any more.
ALTER TABLE services ADD COLUMN is_ours boolean NOT NULL DEFAULT false;

-- What staff search by.
CREATE INDEX orders_number ON orders (number, id DESC) WHERE number IS NOT NULL;
CREATE INDEX api_keys_prefix ON api_keys (prefix);
CREATE INDEX audit_log_request ON audit_log (request_id) WHERE request_id IS NOT NULL;

GRANT SELECT, INSERT, UPDATE ON money_requests TO numberdesk_app;
GRANT SELECT, INSERT ON account_notes TO numberdesk_app;
GRANT USAGE ON SEQUENCE money_requests_id_seq, account_notes_id_seq TO numberdesk_app;
