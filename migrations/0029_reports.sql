-- Reports from rollups: orders, the ledger and receipts are counted by half hours, and half hours added up to days.
-- Half hours, because days of UTC begin at 18:30 of India's and the other way round. Counting is always over again, so
-- it may be repeated, cut off and done by two: see reports.service.

-- How far changes were read. What happened until `counted_until` was read after every transaction of that time had
-- ended. `read_until` was read up to once, and again when all transactions before `read_xid` have ended.
CREATE TABLE report_mark (
    one            boolean PRIMARY KEY DEFAULT true CHECK (one),
    looked_at      timestamptz,
    counted_until  timestamptz,
    read_until     timestamptz,
    read_xid       xid8
);
INSERT INTO report_mark DEFAULT VALUES;

-- What is to be counted again. Half hours come from the rows of other slices, days from half hours.
CREATE TABLE report_due (
    span       text NOT NULL CONSTRAINT report_due_span CHECK (span IN ('slot', 'utc', 'ist')),
    starts_at  timestamptz NOT NULL,
    -- Days are added up even if no half hour of theirs is different.
    is_forced  boolean NOT NULL DEFAULT false,
    PRIMARY KEY (span, starts_at)
);

-- Of each day there are sums, too: by service, by country, by provider and of all; what they are not by is '' or -1.
-- `made` to `waits` are of orders by when they were made; the rest is by when the ledger moved money. What each figure
-- means is told in docs/reports.md. `waits` are first codes by the time they took, as in delivery_stats.
CREATE TABLE report_orders (
    span             text NOT NULL CONSTRAINT report_orders_span
                     CHECK (span IN ('slot', 'utc', 'ist', 'utc_sums', 'ist_sums')),
    starts_at        timestamptz NOT NULL,
    service          text NOT NULL,
    country          integer NOT NULL,
    provider_id      smallint NOT NULL,
    made             integer NOT NULL,
    sold             integer NOT NULL,
    delivered        integer NOT NULL,
    cancelled        integer NOT NULL,
    waits            integer[] NOT NULL,
    paid             integer NOT NULL,
    revenue_paise    bigint NOT NULL,
    cost_paise       bigint NOT NULL,
    refunded         integer NOT NULL,
    refunded_paise   bigint NOT NULL,
    released         integer NOT NULL,
    released_paise   bigint NOT NULL,
    confirmed        integer NOT NULL,
    confirmed_paise  bigint NOT NULL,
    assumed          integer NOT NULL,
    assumed_paise    bigint NOT NULL,
    refused          integer NOT NULL,
    refused_paise    bigint NOT NULL,
    due              integer NOT NULL,
    due_paise        bigint NOT NULL,
    PRIMARY KEY (span, starts_at, service, country, provider_id),
    CHECK (confirmed + assumed + refused + due = released)
);

-- The ledger by kind of posting, bucket and rail, without play money: `rail` is empty for what came by none.
CREATE TABLE report_money (
    span          text NOT NULL CONSTRAINT report_money_span CHECK (span IN ('slot', 'utc', 'ist')),
    starts_at     timestamptz NOT NULL,
    kind          text NOT NULL,
    bucket        text NOT NULL,
    rail          text NOT NULL,
    lines         integer NOT NULL,
    amount_paise  bigint NOT NULL,
    PRIMARY KEY (span, starts_at, kind, bucket, rail)
);

-- What receipts and refund notes say of taxes; an amount without tax is in `untaxed_paise`.
CREATE TABLE report_taxes (
    span           text NOT NULL CONSTRAINT report_taxes_span CHECK (span IN ('slot', 'utc', 'ist')),
    starts_at      timestamptz NOT NULL,
    kind           text NOT NULL,
    receipts       integer NOT NULL,
    amount_paise   bigint NOT NULL,
    untaxed_paise  bigint NOT NULL,
    taxable_paise  bigint NOT NULL,
    cgst_paise     bigint NOT NULL,
    sgst_paise     bigint NOT NULL,
    igst_paise     bigint NOT NULL,
    PRIMARY KEY (span, starts_at, kind)
);

-- These are written in the order of time, so a summary of page ranges finds half an hour and costs a write nothing.
CREATE INDEX postings_at ON postings USING brin (at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX entries_at ON entries USING brin (at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX receipts_issued_at ON receipts (issued_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON report_mark, report_due, report_orders, report_money, report_taxes
    TO numberdesk_app;
