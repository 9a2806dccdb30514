-- People: how they prove who they are, what they agreed to, how often they may try, and what is told and recorded of it.

-- An account as a person's. `email_key` is what makes two spellings one mailbox; it is computed by the program.
ALTER TABLE accounts
    ADD COLUMN email_key            text,
    ADD COLUMN password_hash        text,
    ADD COLUMN password_changed_at  timestamptz,
    ADD COLUMN verified_at          timestamptz,
    ADD COLUMN role                 text NOT NULL DEFAULT 'customer'
               CONSTRAINT accounts_role CHECK (role IN ('customer', 'support', 'finance', 'ops', 'owner')),
    -- The newest terms accepted; NULL for accounts that the operator made, which signed nothing.
    ADD COLUMN terms_version        int,
    -- Requests a minute instead of the setting's; 0 is no limit.
    ADD COLUMN api_per_minute       int CHECK (api_per_minute >= 0),
    ADD COLUMN phone                bytea,
    ADD COLUMN timezone             text NOT NULL DEFAULT 'Asia/Kolkata',
    ADD COLUMN language             text NOT NULL DEFAULT 'en',
    ADD COLUMN telegram_chat_id     text,
    ADD COLUMN notify_by_email      boolean NOT NULL DEFAULT true,
    ADD COLUMN notify_by_telegram   boolean NOT NULL DEFAULT false;
-- Until now accounts were made by the operator only, with addresses that nobody had to prove.
UPDATE accounts SET email_key = lower(email), verified_at = created_at;
ALTER TABLE accounts ALTER COLUMN email_key SET NOT NULL;
CREATE UNIQUE INDEX accounts_email_key ON accounts (email_key);
DROP INDEX accounts_email;
-- The version before this one does not know the column, and goes on until its processes are replaced.
CREATE FUNCTION fill_email_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.email_key := COALESCE(NEW.email_key, lower(NEW.email));
    RETURN NEW;
END
$$;
CREATE TRIGGER accounts_email_key BEFORE INSERT ON accounts FOR EACH ROW EXECUTE FUNCTION fill_email_key();

-- One row per device that is signed in. A refresh token is computed from `seed`, `generation` and a key that is not in
-- the database, so neither alone gives one; using a token moves `generation` on, once.
CREATE TABLE sessions (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id         bigint NOT NULL REFERENCES accounts,
    seed               bytea NOT NULL,
    generation         int NOT NULL DEFAULT 1,
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When the password was last proven, and the second factor if the account has one.
    proven_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    second_factor_at   timestamptz,
    rotated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    idle_until         timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL,
    ended_at           timestamptz,
    ended_why          text CONSTRAINT sessions_ended_why CHECK (ended_why IN (
        'logout', 'all_devices', 'revoked', 'password', 'reuse', 'registered_again', 'second_factor', 'staff')),
    ip                 inet NOT NULL,
    user_agent         text NOT NULL,
    last_used_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((ended_at IS NULL) = (ended_why IS NULL))
);
CREATE INDEX sessions_account ON sessions (account_id, id DESC);
CREATE INDEX sessions_changed_at ON sessions (changed_at);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

ALTER TABLE api_keys
    ADD COLUMN allowed_ips   text[] NOT NULL DEFAULT '{}',
    ADD COLUMN last_used_at  timestamptz,
    ADD COLUMN last_used_ip  inet,
    ADD COLUMN replaced_by   bigint CONSTRAINT api_keys_replaced_by UNIQUE REFERENCES api_keys;

-- Links and codes sent by mail. Only keyed hashes; a newer one of the same purpose ends the older.
CREATE TABLE mail_tokens (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id  bigint NOT NULL REFERENCES accounts,
    purpose     text NOT NULL CONSTRAINT mail_tokens_purpose CHECK (purpose IN ('verify', 'reset')),
    email_key   text NOT NULL,
    link_hash   bytea NOT NULL CONSTRAINT mail_tokens_link_hash UNIQUE,
    code_hash   bytea,
    code_tries  int NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL,
    code_until  timestamptz,
    used_at     timestamptz,
    ended_at    timestamptz
);
CREATE INDEX mail_tokens_live ON mail_tokens (account_id, purpose) WHERE used_at IS NULL AND ended_at IS NULL;
CREATE INDEX mail_tokens_created_at ON mail_tokens (created_at);

-- What somebody asked for by naming an address. A pass answers by mail, so that the request itself takes the same time
-- and writes the same row whether or not the address is known.
CREATE TABLE mail_requests (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    purpose     text NOT NULL CONSTRAINT mail_requests_purpose CHECK (purpose IN ('register', 'verify', 'reset')),
    email_key   text NOT NULL,
    ip          inet NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE second_factors (
    account_id    bigint PRIMARY KEY REFERENCES accounts,
    secret        bytea NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    confirmed_at  timestamptz,
    -- The newest 30-second step whose code was accepted: no code is accepted twice.
    last_step     bigint NOT NULL DEFAULT 0
);
-- An account as its verbs see it.
CREATE VIEW people AS
    SELECT account.*, factor.confirmed_at IS NOT NULL AS has_second_factor
    FROM accounts AS account LEFT JOIN second_factors AS factor ON factor.account_id = account.id;
CREATE TABLE recovery_codes (
    account_id  bigint NOT NULL REFERENCES accounts,
    code_hash   bytea NOT NULL,
    used_at     timestamptz,
    PRIMARY KEY (account_id, code_hash)
);

-- Every address an account was used from.
CREATE TABLE account_ips (
    account_id     bigint NOT NULL REFERENCES accounts,
    ip             inet NOT NULL,
    network        inet NOT NULL,
    first_seen_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_login_at  timestamptz,
    PRIMARY KEY (account_id, ip)
);
CREATE INDEX account_ips_network ON account_ips (account_id, network);

CREATE TABLE terms (
    version       int PRIMARY KEY CHECK (version > 0),
    text          text NOT NULL,
    text_hash     bytea NOT NULL,
    published_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO terms (version, text, text_hash)
SELECT 1, text, sha256(convert_to(text, 'UTF8')) FROM (VALUES (
'You pay for a one-time code only when it came; money that was held for a number without a code goes back to your '
'wallet. Your wallet pays for numbers here and for nothing else: it is not paid out and not passed on to others. '
'You use numbers for accounts of your own and for what the law allows. You do not use them for banks, payment '
'services, government services, or to deceive anybody. You are at least 18 years old. We may freeze an account that '
'breaks these terms, and we keep records as the law asks.')) AS first (text);
CREATE TABLE terms_acceptances (
    account_id   bigint NOT NULL REFERENCES accounts,
    version      int NOT NULL REFERENCES terms,
    accepted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    ip           inet NOT NULL,
    user_agent   text NOT NULL,
    PRIMARY KEY (account_id, version)
);

-- The operator's own word on mail domains; it stands above the packaged list of disposable ones.
CREATE TABLE email_domains (
    domain      text PRIMARY KEY,
    verdict     text NOT NULL CONSTRAINT email_domains_verdict CHECK (verdict IN ('allow', 'deny')),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Counters of limited tries: one row per limit and subject, a new count when its window is over.
CREATE TABLE limit_counters (
    key         text PRIMARY KEY,
    hits        bigint NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX limit_counters_expires_at ON limit_counters (expires_at);

-- Messages to be sent. `payload` is sealed: it holds addresses, links and codes; it goes when the message is sent.
CREATE TABLE outbox (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel       text NOT NULL CONSTRAINT outbox_channel CHECK (channel IN ('email')),
    template      text NOT NULL,
    dedupe_key    text NOT NULL CONSTRAINT outbox_dedupe_key UNIQUE,
    account_id    bigint REFERENCES accounts,
    payload       bytea,
    state         text NOT NULL DEFAULT 'waiting'
                  CONSTRAINT outbox_state CHECK (state IN ('waiting', 'sent', 'failed')),
    attempts      int NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_problem  text,
    ended_at      timestamptz,
    CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CHECK (state <> 'waiting' OR payload IS NOT NULL)
);
CREATE INDEX outbox_due ON outbox (due_at) WHERE state = 'waiting';
CREATE INDEX outbox_account ON outbox (account_id, id DESC);
CREATE INDEX outbox_ended_at ON outbox (ended_at) WHERE state <> 'waiting';

-- Who did what to whom, from where. Append-only by privilege and by trigger.
CREATE TABLE audit_log (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    action      text NOT NULL,
    actor_kind  text NOT NULL CONSTRAINT audit_log_actor_kind CHECK (actor_kind IN ('person', 'key', 'shell', 'system')),
    actor_id    bigint,
    account_id  bigint,
    ip          inet,
    request_id  text,
    details     jsonb NOT NULL DEFAULT '{}'
) PARTITION BY RANGE (at);
CREATE TABLE audit_log_default PARTITION OF audit_log DEFAULT;
CREATE INDEX audit_log_id ON audit_log (id DESC);
CREATE INDEX audit_log_account ON audit_log (account_id, id DESC);
CREATE INDEX audit_log_actor ON audit_log (actor_id, id DESC);
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log_default EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT, UPDATE, DELETE ON
    sessions, mail_tokens, mail_requests, second_factors, recovery_codes, account_ips, email_domains,
    limit_counters, outbox
    TO numberdesk_app;
GRANT SELECT ON people TO numberdesk_app;
GRANT SELECT, INSERT ON terms, terms_acceptances, audit_log TO numberdesk_app;

-- Partitions inherit no triggers on statements: those that forbid TRUNCATE are made for each, for every such table.
CREATE OR REPLACE FUNCTION create_month_partitions(parent regclass, months_ahead int) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first_day date;
    partition text;
    guard text;
    made int := 0;
BEGIN
    -- One maker at a time: a second one would find no table and fail when it makes the same. Rows still go in.
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', parent);
    SELECT tgname INTO guard FROM pg_trigger WHERE tgrelid = parent AND tgname LIKE '%\_no\_truncate';
    FOR step IN 0..months_ahead LOOP
        first_day := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => step))::date;
        partition := parent::text || to_char(first_day, '_YYYY_MM');
        IF to_regclass(partition) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE TABLE %I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)', partition, parent,
                               first_day::timestamp AT TIME ZONE 'UTC',
                               (first_day + interval '1 month') AT TIME ZONE 'UTC');
                IF guard IS NOT NULL THEN
                    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I EXECUTE FUNCTION refuse_change()',
                                   guard, partition);
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
