-- Notices go out by Telegram and by apprise too; staff look at those that failed, and send them again or let them go.
ALTER TABLE outbox DROP CONSTRAINT outbox_channel;
ALTER TABLE outbox ADD CONSTRAINT outbox_channel CHECK (channel IN ('email', 'telegram', 'apprise'));
ALTER TABLE outbox DROP CONSTRAINT outbox_state;
ALTER TABLE outbox ADD CONSTRAINT outbox_state CHECK (state IN ('waiting', 'sent', 'failed', 'dropped'));
-- Handed over once without an answer: it may have arrived, so a repeat says that it is one.
ALTER TABLE outbox ADD COLUMN under_way boolean NOT NULL DEFAULT false;
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (channel, due_at) WHERE state = 'waiting';
CREATE INDEX outbox_failed ON outbox (id DESC) WHERE state = 'failed';

-- Where events for the staff go besides mail, as the settings said when a worker started.
CREATE TABLE staff_targets (
    channel    text PRIMARY KEY CONSTRAINT staff_targets_channel CHECK (channel IN ('telegram', 'apprise')),
    kinds      text[] NOT NULL,
    -- The chat of the setting, and the one that it has become since.
    configured bigint,
    chat_id    bigint,
    thread_id  bigint,
    state      text NOT NULL DEFAULT 'on' CONSTRAINT staff_targets_state CHECK (state IN ('on', 'off')),
    problem    text,
    off_at     timestamptz,
    -- When the staff were told of `off_at` by mail.
    told_at    timestamptz,
    CHECK ((channel = 'telegram') = (chat_id IS NOT NULL)),
    CHECK ((state = 'off') = (off_at IS NOT NULL))
);

-- One row, once a worker has spoken with Telegram: which process speaks with Telegram, what it has read, and whether its token was refused.
CREATE TABLE telegram_channel (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    owner        text,
    leased_until timestamptz,
    next_update  bigint NOT NULL DEFAULT 0,
    bot_name     text,
    stopped_at   timestamptz,
    -- The start of a hash of the token that was refused, so that each is told of once.
    stopped_for  text,
    told_at      timestamptz
);

-- The chat that an account has proven to be its own.
CREATE TABLE telegram_links (
    account_id bigint PRIMARY KEY REFERENCES accounts,
    chat_id    bigint NOT NULL CONSTRAINT telegram_links_chat UNIQUE,
    linked_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    state      text NOT NULL DEFAULT 'on' CONSTRAINT telegram_links_state CHECK (state IN ('on', 'off')),
    problem    text
);

-- Codes that link a chat: one for an account, used up by the first chat that sends it.
CREATE TABLE telegram_codes (
    account_id bigint PRIMARY KEY REFERENCES accounts,
    code_hash  bytea NOT NULL CONSTRAINT telegram_codes_hash UNIQUE,
    expires_at timestamptz NOT NULL
);

-- What an account wants to be told of, where it differs from what is usual. No row: everything as usual.
CREATE TABLE notice_choices (
    account_id        bigint PRIMARY KEY REFERENCES accounts,
    -- Words such as `email:recharge`.
    switched_on       text[] NOT NULL DEFAULT '{}',
    switched_off      text[] NOT NULL DEFAULT '{}',
    low_balance_paise bigint CHECK (low_balance_paise > 0),
    -- It was told that its balance is below that, and it has not been above it since.
    is_low            boolean NOT NULL DEFAULT false,
    low_count         bigint NOT NULL DEFAULT 0,
    -- Up to which of its events its codes were sent to its chat.
    code_seq          bigint NOT NULL DEFAULT 0
);
CREATE INDEX notice_choices_codes ON notice_choices (account_id) WHERE 'telegram:code' = ANY (switched_on);
CREATE INDEX notice_choices_low_balance ON notice_choices (account_id) WHERE low_balance_paise IS NOT NULL;

-- Errors that nobody foresaw, by what and where; told again after ten minutes at the earliest.
CREATE TABLE error_alerts (
    fingerprint text PRIMARY KEY,
    happened    text NOT NULL,
    place       text NOT NULL,
    count       bigint NOT NULL,
    told_count  bigint NOT NULL DEFAULT 0,
    first_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    told_at     timestamptz
);
CREATE INDEX error_alerts_last_at ON error_alerts (last_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON
    staff_targets, telegram_links, telegram_codes, notice_choices, error_alerts
    TO numberdesk_app;
GRANT SELECT, INSERT, UPDATE ON telegram_channel TO numberdesk_app;
