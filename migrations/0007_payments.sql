-- Money in: recharges, the payments from outside that fulfil them, the proofs, receipts, and what the outside says.

-- UPI addresses of the operator that customers pay to.
CREATE TABLE vpas (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    vpa         text NOT NULL CONSTRAINT vpas_vpa UNIQUE,
    payee_name  text NOT NULL,
    -- Apps refuse links to an address that is no merchant's; its QR code works when it is scanned.
    kind        text NOT NULL CONSTRAINT vpas_kind CHECK (kind IN ('personal', 'merchant')),
    is_open     boolean NOT NULL DEFAULT true,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Where TRX comes in. The account xpub itself is a setting; a row counts how many addresses were given out.
CREATE TABLE tron_wallets (
    fingerprint   text PRIMARY KEY,
    next_index    bigint NOT NULL DEFAULT 1 CHECK (next_index BETWEEN 1 AND 2147483648),
    confirmed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- One address per customer and wallet, for ever; addresses of an older wallet stay watched.
CREATE TABLE tron_addresses (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address          text NOT NULL CONSTRAINT tron_addresses_address UNIQUE,
    fingerprint      text NOT NULL REFERENCES tron_wallets,
    index            bigint NOT NULL CHECK (index >= 0),
    account_id       bigint NOT NULL REFERENCES accounts,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Up to which block time the history was read, and when to look again; often until `hot_until`.
    read_to          timestamptz NOT NULL DEFAULT clock_timestamp(),
    hot_until        timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Since when something there could not be read.
    failing_since    timestamptz,
    due_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What stood there at the last reconciliation, and what was credited of it by then.
    balance_sun      bigint,
    balance_usdt     bigint,
    seen_sun         bigint NOT NULL DEFAULT 0,
    seen_usdt        bigint NOT NULL DEFAULT 0,
    balance_at       timestamptz,
    CONSTRAINT tron_addresses_index UNIQUE (fingerprint, index),
    CONSTRAINT tron_addresses_account UNIQUE (fingerprint, account_id)
);
CREATE INDEX tron_addresses_due ON tron_addresses (due_at);

-- What sources said of a price, in paise for one whole unit.
CREATE TABLE rate_samples (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset           text NOT NULL CONSTRAINT rate_samples_asset CHECK (asset IN ('trx', 'usdt')),
    source          text NOT NULL,
    paise_per_unit  numeric(20, 8) NOT NULL CHECK (paise_per_unit > 0),
    observed_at     timestamptz NOT NULL,
    -- Only a rate that staff fixed says how long it is good for.
    valid_until     timestamptz,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX rate_samples_newest ON rate_samples (asset, source, observed_at DESC);
CREATE INDEX rate_samples_created_at ON rate_samples (created_at);
CREATE TABLE quotes (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset           text NOT NULL CONSTRAINT quotes_asset CHECK (asset IN ('trx', 'usdt')),
    paise_per_unit  numeric(20, 8) NOT NULL CHECK (paise_per_unit > 0),
    spread_bps      int NOT NULL CHECK (spread_bps BETWEEN 0 AND 5000),
    basis           text NOT NULL CONSTRAINT quotes_basis CHECK (basis IN ('market', 'last_good', 'staff')),
    samples         jsonb NOT NULL,
    units           bigint NOT NULL CHECK (units > 0),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at      timestamptz NOT NULL
);

-- What a customer asked for. `credited_paise` is what came, whatever was asked.
CREATE TABLE recharges (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ref              text NOT NULL CONSTRAINT recharges_ref UNIQUE,
    account_id       bigint NOT NULL REFERENCES accounts,
    request_key      text,
    method           text NOT NULL CONSTRAINT recharges_method CHECK (method IN ('upi', 'trx', 'usdt')),
    rail             text NOT NULL CONSTRAINT recharges_rail
                     CHECK (rail IN ('upi_manual', 'razorpay', 'cashfree', 'phonepe', 'trx', 'usdt')),
    requested_paise  bigint NOT NULL CHECK (requested_paise > 0),
    payable_paise    bigint NOT NULL CHECK (payable_paise > 0),
    credited_paise   bigint NOT NULL DEFAULT 0 CHECK (credited_paise >= 0),
    refunded_paise   bigint NOT NULL DEFAULT 0 CHECK (refunded_paise BETWEEN 0 AND credited_paise),
    status           text NOT NULL CONSTRAINT recharges_status CHECK (status IN (
        'created', 'awaiting_payment', 'submitted', 'detected', 'completed', 'expired', 'rejected', 'failed',
        'refunded')),
    version          int NOT NULL DEFAULT 1,
    vpa_id           bigint REFERENCES vpas,
    address_id       bigint REFERENCES tron_addresses,
    quote_id         bigint REFERENCES quotes,
    gateway_id       text,
    checkout_url     text,
    checkout_session text,
    -- No other open recharge has this amount at this address: the amount says who paid.
    holds_slot       boolean NOT NULL DEFAULT false,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at       timestamptz NOT NULL,
    asked_at         timestamptz,
    -- The next look at the gateway, and how many there were.
    due_at           timestamptz,
    looks            int NOT NULL DEFAULT 0,
    looked_at        timestamptz
);
CREATE UNIQUE INDEX recharges_slot ON recharges (vpa_id, payable_paise) WHERE holds_slot;
CREATE UNIQUE INDEX recharges_request_key ON recharges (account_id, request_key) WHERE request_key IS NOT NULL;
CREATE INDEX recharges_account ON recharges (account_id, id DESC);
CREATE INDEX recharges_address ON recharges (address_id, id DESC) WHERE address_id IS NOT NULL;
CREATE INDEX recharges_open ON recharges (account_id, method)
    WHERE status IN ('created', 'awaiting_payment', 'submitted', 'detected');
CREATE INDEX recharges_expires_at ON recharges (expires_at) WHERE status IN ('created', 'awaiting_payment');
CREATE INDEX recharges_slot_until ON recharges (expires_at) WHERE holds_slot;
CREATE INDEX recharges_gateway_id ON recharges (gateway_id) WHERE gateway_id IS NOT NULL;
CREATE INDEX recharges_due_at ON recharges (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX recharges_submitted ON recharges (changed_at) WHERE status = 'submitted';

-- The time line of a recharge. Append-only by privilege.
CREATE TABLE recharge_events (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recharge_id  bigint NOT NULL REFERENCES recharges,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    event        text NOT NULL CONSTRAINT recharge_events_event CHECK (event IN (
        'created', 'page_made', 'page_failed', 'claimed', 'detected', 'vanished', 'credited', 'expired', 'rejected',
        'asked', 'answered', 'approved_once', 'in_review', 'refund_begun', 'refunded', 'refund_failed', 'taken_back')),
    amount_paise bigint,
    detail       text NOT NULL DEFAULT ''
);
CREATE INDEX recharge_events_recharge ON recharge_events (recharge_id, id);

-- A payment that surely came in from outside, each once for ever. Never deleted, and not partitioned.
CREATE TABLE external_payments (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rail            text NOT NULL CONSTRAINT external_payments_rail
                    CHECK (rail IN ('upi_manual', 'razorpay', 'cashfree', 'phonepe', 'trx', 'usdt')),
    external_id     text NOT NULL,
    -- Our reference as the outside names it, whether or not we know it.
    ref             text,
    proof           text NOT NULL CONSTRAINT external_payments_proof
                    CHECK (proof IN ('gateway', 'statement', 'alert', 'chain', 'staff')),
    state           text NOT NULL CONSTRAINT external_payments_state
                    CHECK (state IN ('waiting', 'credited', 'suspense', 'returned', 'ignored')),
    -- Why it waits or stands in suspense.
    why             text CONSTRAINT external_payments_why CHECK (why IN (
        'dust', 'no_rate', 'unknown_reference', 'unclaimed', 'above_cap', 'doubled', 'staff', 'own_move')),
    -- For assets of a chain this is what they were credited as; `units` are 1e-6 of the asset.
    amount_paise    bigint NOT NULL CHECK (amount_paise >= 0),
    refunded_paise  bigint NOT NULL DEFAULT 0 CHECK (refunded_paise BETWEEN 0 AND amount_paise),
    units           bigint CHECK (units > 0),
    paise_per_unit  numeric(20, 8),
    quote_id        bigint REFERENCES quotes,
    vpa_id          bigint REFERENCES vpas,
    address_id      bigint REFERENCES tron_addresses,
    rrn             text CHECK (rrn ~ '^[0-9]{12}$'),
    recharge_id     bigint REFERENCES recharges,
    account_id      bigint REFERENCES accounts,
    paid_at         timestamptz,
    version         int NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at      timestamptz,
    -- What the outside said, sealed: it names the payer.
    raw             bytea,
    CONSTRAINT external_payments_once UNIQUE (rail, external_id),
    CHECK (state NOT IN ('credited', 'returned') OR amount_paise > 0),
    CHECK (state <> 'credited' OR account_id IS NOT NULL)
);
CREATE INDEX external_payments_recharge ON external_payments (recharge_id) WHERE recharge_id IS NOT NULL;
CREATE INDEX external_payments_account ON external_payments (account_id, id DESC) WHERE account_id IS NOT NULL;
CREATE INDEX external_payments_address ON external_payments (address_id) WHERE address_id IS NOT NULL;
CREATE INDEX external_payments_undecided ON external_payments (id) WHERE state IN ('waiting', 'suspense');
CREATE INDEX external_payments_txid ON external_payments (split_part(external_id, ':', 2)) WHERE units IS NOT NULL;
CREATE INDEX external_payments_rrn ON external_payments (rrn) WHERE rrn IS NOT NULL;
CREATE INDEX external_payments_created_at ON external_payments (rail, created_at);

-- Files from the operator's bank. The content goes when it was read.
CREATE TABLE statements (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    vpa_id      bigint NOT NULL REFERENCES vpas,
    profile     text NOT NULL,
    name        text NOT NULL,
    sha256      bytea NOT NULL,
    -- Sealed.
    content     bytea,
    state       text NOT NULL DEFAULT 'waiting'
                CONSTRAINT statements_state CHECK (state IN ('waiting', 'done', 'failed')),
    rows_total  int NOT NULL CHECK (rows_total >= 0),
    rows_read   int NOT NULL DEFAULT 0,
    credits     int NOT NULL DEFAULT 0,
    known       int NOT NULL DEFAULT 0,
    settled     int NOT NULL DEFAULT 0,
    skipped     int NOT NULL DEFAULT 0,
    -- Rows that could not be read: [{line, problem}], the first hundred, and how many there were.
    problems    jsonb NOT NULL DEFAULT '[]',
    bad         int NOT NULL DEFAULT 0,
    by_account  bigint REFERENCES accounts,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at    timestamptz,
    due_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT statements_once UNIQUE (vpa_id, sha256)
);
CREATE INDEX statements_waiting ON statements (due_at) WHERE state = 'waiting';

-- What the bank says came in. A row of a statement is a proof; an alert is one only when the operator says so.
CREATE TABLE bank_credits (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    vpa_id        bigint NOT NULL REFERENCES vpas,
    -- The UTR, or a hash of the row when it has none.
    reference     text NOT NULL,
    rrn           text CHECK (rrn ~ '^[0-9]{12}$'),
    amount_paise  bigint NOT NULL CHECK (amount_paise > 0),
    paid_at       timestamptz NOT NULL,
    -- False when the bank tells the day only; `paid_at` is its noon then.
    is_exact      boolean NOT NULL,
    source        text NOT NULL CONSTRAINT bank_credits_source CHECK (source IN ('statement', 'alert')),
    state         text NOT NULL DEFAULT 'open'
                  CONSTRAINT bank_credits_state CHECK (state IN ('open', 'settled', 'suspense', 'ignored')),
    statement_id  bigint REFERENCES statements,
    payment_id    bigint REFERENCES external_payments,
    -- Payer and narration, sealed.
    details       bytea NOT NULL,
    version       int NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT bank_credits_once UNIQUE (vpa_id, reference)
);
CREATE INDEX bank_credits_open ON bank_credits (created_at) WHERE state = 'open';
CREATE INDEX bank_credits_amount ON bank_credits (vpa_id, amount_paise) WHERE state = 'open';

-- What customers say they paid. Several may say the same number; none of them is credited for saying it.
CREATE TABLE utr_claims (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recharge_id  bigint NOT NULL REFERENCES recharges,
    account_id   bigint NOT NULL REFERENCES accounts,
    vpa_id       bigint NOT NULL REFERENCES vpas,
    rrn          text NOT NULL CHECK (rrn ~ '^[0-9]{12}$'),
    payer        bytea,
    state        text NOT NULL CONSTRAINT utr_claims_state CHECK (state IN ('waiting', 'credited', 'refused')),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT utr_claims_once UNIQUE (recharge_id, rrn)
);
CREATE INDEX utr_claims_rrn ON utr_claims (vpa_id, rrn);
CREATE INDEX utr_claims_account ON utr_claims (account_id, created_at DESC);

-- First of two approvals. It counts only for the version that it was given for.
CREATE TABLE approvals (
    subject       text NOT NULL CONSTRAINT approvals_subject CHECK (subject IN ('recharge', 'payment')),
    subject_id    bigint NOT NULL,
    version       int NOT NULL,
    approver_id   bigint NOT NULL REFERENCES accounts,
    account_id    bigint NOT NULL REFERENCES accounts,
    amount_paise  bigint NOT NULL CHECK (amount_paise > 0),
    rrn           text,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subject, subject_id, version, approver_id)
);

-- Webhooks of gateways as they came, each once; a pass works on them.
CREATE TABLE webhook_events (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway      text NOT NULL CONSTRAINT webhook_events_gateway CHECK (gateway IN ('razorpay', 'cashfree', 'phonepe')),
    event_id     text NOT NULL,
    kind         text NOT NULL,
    ref          text,
    gateway_id   text,
    payment_id   text,
    body_sha256  bytea NOT NULL,
    -- Sealed.
    raw          bytea,
    state        text NOT NULL DEFAULT 'waiting'
                 CONSTRAINT webhook_events_state CHECK (state IN ('waiting', 'done', 'foreign', 'failed')),
    attempts     int NOT NULL DEFAULT 0,
    problem      text,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at     timestamptz,
    CONSTRAINT webhook_events_once UNIQUE (gateway, event_id),
    -- An event's id is not signed: under other names a body is still the same.
    CONSTRAINT webhook_events_body UNIQUE (gateway, body_sha256)
);
CREATE INDEX webhook_events_due ON webhook_events (due_at) WHERE state = 'waiting';
CREATE INDEX webhook_events_ended_at ON webhook_events (ended_at) WHERE ended_at IS NOT NULL;

-- Money on its way back through a gateway: begun by staff, or by the gateway itself.
CREATE TABLE gateway_refunds (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id      bigint NOT NULL REFERENCES external_payments,
    key             text NOT NULL CONSTRAINT gateway_refunds_key UNIQUE,
    gateway_id      text,
    amount_paise    bigint NOT NULL CHECK (amount_paise > 0),
    state           text NOT NULL CONSTRAINT gateway_refunds_state
                    CHECK (state IN ('requested', 'pending', 'processed', 'failed')),
    begun_by        text NOT NULL CONSTRAINT gateway_refunds_begun_by CHECK (begun_by IN ('staff', 'gateway')),
    by_account      bigint REFERENCES accounts,
    reason          text NOT NULL DEFAULT '',
    -- What the wallet could not give when the gateway took the money back.
    short_paise     bigint NOT NULL DEFAULT 0 CHECK (short_paise >= 0),
    bank_reference  text,
    tries           int NOT NULL DEFAULT 0,
    due_at          timestamptz,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at        timestamptz
);
CREATE INDEX gateway_refunds_payment ON gateway_refunds (payment_id);
CREATE INDEX gateway_refunds_due ON gateway_refunds (due_at) WHERE due_at IS NOT NULL;

-- Numbers of receipts run without a gap in each financial year (1 April to 31 March, India's time).
CREATE TABLE receipt_series (
    series       text NOT NULL,
    year         text NOT NULL,
    last_serial  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (series, year)
);
CREATE TABLE receipts (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number         text NOT NULL CONSTRAINT receipts_number UNIQUE,
    series         text NOT NULL,
    year           text NOT NULL,
    serial         bigint NOT NULL,
    account_id     bigint NOT NULL REFERENCES accounts,
    recharge_id    bigint REFERENCES recharges,
    payment_id     bigint NOT NULL REFERENCES external_payments,
    -- A refund note points at the receipt it takes back.
    kind           text NOT NULL CONSTRAINT receipts_kind CHECK (kind IN ('receipt', 'refund_note')),
    refund_id      bigint REFERENCES gateway_refunds,
    amount_paise   bigint NOT NULL CHECK (amount_paise > 0),
    taxable_paise  bigint,
    cgst_paise     bigint,
    sgst_paise     bigint,
    igst_paise     bigint,
    -- Supplier, recipient, method, reference and rate as they were when it was issued.
    details        jsonb NOT NULL,
    issued_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT receipts_serial UNIQUE (series, year, serial),
    CHECK ((kind = 'refund_note') = (refund_id IS NOT NULL))
);
CREATE UNIQUE INDEX receipts_payment ON receipts (payment_id) WHERE kind = 'receipt';
CREATE UNIQUE INDEX receipts_refund ON receipts (refund_id) WHERE refund_id IS NOT NULL;
CREATE INDEX receipts_account ON receipts (account_id, id DESC);
CREATE INDEX receipts_recharge ON receipts (recharge_id) WHERE recharge_id IS NOT NULL;

-- Comparisons of our books with what gateway, bank and chain say.
CREATE TABLE reconciliations (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      text NOT NULL CONSTRAINT reconciliations_source CHECK (source IN ('gateway', 'bank', 'chain')),
    checked     int NOT NULL CHECK (checked >= 0),
    unclear     int NOT NULL DEFAULT 0,
    differences jsonb NOT NULL,
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX reconciliations_newest ON reconciliations (source, id DESC);

-- New ways for money to move: into suspense, from there to a customer, and back to who paid.
ALTER TABLE postings DROP CONSTRAINT postings_kind, ADD CONSTRAINT postings_kind CHECK (kind IN (
    'recharge', 'admin_credit', 'hold', 'capture', 'void', 'refund', 'suspend', 'assign', 'pay_back', 'pay_back_failed'
)) NOT VALID;
ALTER TABLE postings VALIDATE CONSTRAINT postings_kind;

GRANT SELECT, INSERT, UPDATE, DELETE ON
    vpas, tron_wallets, tron_addresses, rate_samples, quotes, recharges, statements, bank_credits, utr_claims,
    approvals, webhook_events, gateway_refunds, receipt_series
    TO numberdesk_app;
GRANT SELECT, INSERT, UPDATE ON external_payments TO numberdesk_app;
GRANT SELECT, INSERT ON recharge_events, receipts, reconciliations TO numberdesk_app;
