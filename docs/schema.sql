-- The schema of a migrated database, for reading and for seeing what a migration changes. Made by `make docs`.
-- The partitions of single months are left out.

CREATE FUNCTION public.create_month_partitions(parent regclass, months_ahead integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION public.fill_email_key() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.email_key := COALESCE(NEW.email_key, lower(NEW.email));
    RETURN NEW;
END
$$;

CREATE FUNCTION public.is_sandbox(account_id bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (account_id >= '1000000000000'::bigint);

CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: correct it with a new posting', TG_TABLE_NAME;
END
$$;

CREATE TABLE public.account_ips (
    account_id bigint NOT NULL,
    ip inet NOT NULL,
    network inet NOT NULL,
    first_seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_login_at timestamp with time zone
);

CREATE TABLE public.account_notes (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    author_id bigint NOT NULL,
    text text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT account_notes_text_check CHECK (((length(text) >= 1) AND (length(text) <= 2000)))
);

ALTER TABLE public.account_notes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.account_payers (
    payer_hash bytea NOT NULL,
    account_id bigint NOT NULL,
    last_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.accounts (
    id bigint NOT NULL,
    email text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    email_key text NOT NULL,
    password_hash text,
    password_changed_at timestamp with time zone,
    verified_at timestamp with time zone,
    role text DEFAULT 'customer'::text NOT NULL,
    terms_version integer,
    api_per_minute integer,
    phone bytea,
    timezone text DEFAULT 'Asia/Kolkata'::text NOT NULL,
    language text DEFAULT 'en'::text NOT NULL,
    telegram_chat_id text,
    notify_by_email boolean DEFAULT true NOT NULL,
    notify_by_telegram boolean DEFAULT false NOT NULL,
    sandbox_of bigint,
    state_reason text,
    state_by text,
    state_at timestamp with time zone,
    CONSTRAINT accounts_api_per_minute_check CHECK ((api_per_minute >= 0)),
    CONSTRAINT accounts_role CHECK ((role = ANY (ARRAY['customer'::text, 'support'::text, 'finance'::text, 'ops'::text, 'owner'::text]))),
    CONSTRAINT accounts_sandbox_has_no_login CHECK (((sandbox_of IS NULL) OR ((password_hash IS NULL) AND (role = 'customer'::text)))),
    CONSTRAINT accounts_sandbox_id CHECK (
CASE
    WHEN (sandbox_of IS NULL) THEN (id < '1000000000000'::bigint)
    ELSE ((sandbox_of < '1000000000000'::bigint) AND (id = (sandbox_of + '1000000000000'::bigint)))
END)
);

ALTER TABLE public.accounts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.activations (
    provider_id smallint NOT NULL,
    upstream_id text NOT NULL,
    order_id bigint NOT NULL,
    is_former boolean DEFAULT false NOT NULL
);

CREATE TABLE public.api_keys (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL,
    secret_hash bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    allowed_ips text[] DEFAULT '{}'::text[] NOT NULL,
    last_used_at timestamp with time zone,
    last_used_ip inet,
    replaced_by bigint,
    dialect text,
    CONSTRAINT api_keys_dialect CHECK ((dialect = ANY (ARRAY['classic'::text, 'hero'::text, 'grizzly'::text])))
);

ALTER TABLE public.api_keys ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.approvals (
    subject text NOT NULL,
    subject_id bigint NOT NULL,
    version integer NOT NULL,
    approver_id bigint NOT NULL,
    account_id bigint NOT NULL,
    amount_paise bigint NOT NULL,
    rrn text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT approvals_amount_paise_check CHECK ((amount_paise > 0)),
    CONSTRAINT approvals_subject CHECK ((subject = ANY (ARRAY['recharge'::text, 'payment'::text])))
);

CREATE TABLE public.audit_log (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    action text NOT NULL,
    actor_kind text NOT NULL,
    actor_id bigint,
    account_id bigint,
    ip inet,
    request_id text,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT audit_log_actor_kind CHECK ((actor_kind = ANY (ARRAY['person'::text, 'key'::text, 'shell'::text, 'system'::text])))
)
PARTITION BY RANGE (at);

CREATE TABLE public.audit_log_default (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    action text NOT NULL,
    actor_kind text NOT NULL,
    actor_id bigint,
    account_id bigint,
    ip inet,
    request_id text,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT audit_log_actor_kind CHECK ((actor_kind = ANY (ARRAY['person'::text, 'key'::text, 'shell'::text, 'system'::text])))
);

ALTER TABLE public.audit_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.audit_seals (
    seq bigint NOT NULL,
    audit_id bigint NOT NULL,
    hash bytea NOT NULL,
    sealed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT audit_seals_hash_check CHECK ((length(hash) = 32)),
    CONSTRAINT audit_seals_seq_check CHECK ((seq > 0))
);

CREATE TABLE public.bank_credits (
    id bigint NOT NULL,
    vpa_id bigint NOT NULL,
    reference text NOT NULL,
    rrn text,
    amount_paise bigint NOT NULL,
    paid_at timestamp with time zone NOT NULL,
    is_exact boolean NOT NULL,
    source text NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    statement_id bigint,
    payment_id bigint,
    details bytea NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    payer_hash bytea,
    CONSTRAINT bank_credits_amount_paise_check CHECK ((amount_paise > 0)),
    CONSTRAINT bank_credits_rrn_check CHECK ((rrn ~ '^[0-9]{12}$'::text)),
    CONSTRAINT bank_credits_source CHECK ((source = ANY (ARRAY['statement'::text, 'alert'::text]))),
    CONSTRAINT bank_credits_state CHECK ((state = ANY (ARRAY['open'::text, 'settled'::text, 'suspense'::text, 'ignored'::text])))
);

ALTER TABLE public.bank_credits ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.blocked_categories (
    category text NOT NULL,
    reason text NOT NULL,
    is_on boolean DEFAULT true NOT NULL
);

CREATE TABLE public.catalogue_sync_asks (
    provider_id smallint NOT NULL,
    is_forced boolean NOT NULL,
    asked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.catalogue_syncs (
    id bigint NOT NULL,
    provider_id smallint NOT NULL,
    state text DEFAULT 'running'::text NOT NULL,
    is_forced boolean DEFAULT false NOT NULL,
    step text DEFAULT 'reading'::text NOT NULL,
    done integer DEFAULT 0 NOT NULL,
    total integer DEFAULT 0 NOT NULL,
    added integer DEFAULT 0 NOT NULL,
    changed integer DEFAULT 0 NOT NULL,
    gone integer DEFAULT 0 NOT NULL,
    unmapped_services integer DEFAULT 0 NOT NULL,
    unmapped_countries integer DEFAULT 0 NOT NULL,
    unusable integer DEFAULT 0 NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    short_list text,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    leased_until timestamp with time zone NOT NULL,
    CONSTRAINT catalogue_syncs_check CHECK (((state = 'running'::text) = (ended_at IS NULL))),
    CONSTRAINT catalogue_syncs_state CHECK ((state = ANY (ARRAY['running'::text, 'done'::text, 'failed'::text])))
);

ALTER TABLE public.catalogue_syncs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.catalogue_version (
    one boolean DEFAULT true NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT catalogue_version_one_check CHECK (one)
);

CREATE TABLE public.countries (
    code integer NOT NULL,
    iso text NOT NULL,
    name text NOT NULL,
    calling_code text NOT NULL,
    iso_default boolean NOT NULL,
    is_on boolean DEFAULT true NOT NULL
);

CREATE TABLE public.delivery_stats (
    hour timestamp with time zone NOT NULL,
    provider_id smallint NOT NULL,
    service text NOT NULL,
    country integer NOT NULL,
    operator text NOT NULL,
    sold integer NOT NULL,
    delivered integer NOT NULL,
    cancelled integer NOT NULL,
    refunds integer NOT NULL,
    refunds_paise bigint NOT NULL,
    confirmed integer NOT NULL,
    confirmed_paise bigint NOT NULL,
    assumed integer NOT NULL,
    assumed_paise bigint NOT NULL,
    refused integer NOT NULL,
    refused_paise bigint NOT NULL,
    due integer NOT NULL,
    due_paise bigint NOT NULL,
    gap_paise bigint NOT NULL,
    waits integer[] NOT NULL,
    CONSTRAINT delivery_stats_check CHECK (((delivered >= 0) AND (delivered <= sold))),
    CONSTRAINT delivery_stats_check1 CHECK (((cancelled >= 0) AND (cancelled <= (sold - delivered)))),
    CONSTRAINT delivery_stats_check2 CHECK (((((confirmed + assumed) + refused) + due) = refunds)),
    CONSTRAINT delivery_stats_sold_check CHECK ((sold >= 0))
);

CREATE TABLE public.delivery_stats_mark (
    one boolean DEFAULT true NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    counted_until timestamp with time zone,
    CONSTRAINT delivery_stats_mark_one_check CHECK (one)
);

CREATE TABLE public.email_domains (
    domain text NOT NULL,
    verdict text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT email_domains_verdict CHECK ((verdict = ANY (ARRAY['allow'::text, 'deny'::text])))
);

CREATE TABLE public.entries (
    posting_id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    account_id bigint,
    bucket text NOT NULL,
    amount_paise bigint NOT NULL,
    balance_after_paise bigint,
    version bigint,
    CONSTRAINT entries_amount_paise_check CHECK ((amount_paise <> 0)),
    CONSTRAINT entries_balance_after_paise_check CHECK ((balance_after_paise >= 0)),
    CONSTRAINT entries_check CHECK (((account_id IS NOT NULL) = (bucket = ANY (ARRAY['available'::text, 'held'::text])))),
    CONSTRAINT entries_check1 CHECK (((account_id IS NOT NULL) = ((balance_after_paise IS NOT NULL) AND (version IS NOT NULL)))),
    CONSTRAINT entries_version_check CHECK ((version > 0))
)
PARTITION BY RANGE (at);

CREATE TABLE public.entries_default (
    posting_id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    account_id bigint,
    bucket text NOT NULL,
    amount_paise bigint NOT NULL,
    balance_after_paise bigint,
    version bigint,
    CONSTRAINT entries_amount_paise_check CHECK ((amount_paise <> 0)),
    CONSTRAINT entries_balance_after_paise_check CHECK ((balance_after_paise >= 0)),
    CONSTRAINT entries_check CHECK (((account_id IS NOT NULL) = (bucket = ANY (ARRAY['available'::text, 'held'::text])))),
    CONSTRAINT entries_check1 CHECK (((account_id IS NOT NULL) = ((balance_after_paise IS NOT NULL) AND (version IS NOT NULL)))),
    CONSTRAINT entries_version_check CHECK ((version > 0))
);

CREATE TABLE public.error_alerts (
    fingerprint text NOT NULL,
    happened text NOT NULL,
    place text NOT NULL,
    count bigint NOT NULL,
    told_count bigint DEFAULT 0 NOT NULL,
    first_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    told_at timestamp with time zone
);

CREATE TABLE public.event_counters (
    account_id bigint NOT NULL,
    last_seq bigint NOT NULL,
    CONSTRAINT event_counters_last_seq_check CHECK ((last_seq > 0))
);

CREATE TABLE public.exchanges (
    order_id bigint NOT NULL,
    provider_id smallint NOT NULL,
    attempt smallint NOT NULL,
    action text NOT NULL,
    outcome text NOT NULL,
    detail text NOT NULL,
    at timestamp with time zone NOT NULL,
    took_ms integer NOT NULL,
    CONSTRAINT exchanges_action CHECK ((action = ANY (ARRAY['rent'::text, 'cancel'::text, 'finish'::text, 'another_code'::text, 'look'::text])))
)
PARTITION BY RANGE (at);

CREATE TABLE public.exchanges_default (
    order_id bigint NOT NULL,
    provider_id smallint NOT NULL,
    attempt smallint NOT NULL,
    action text NOT NULL,
    outcome text NOT NULL,
    detail text NOT NULL,
    at timestamp with time zone NOT NULL,
    took_ms integer NOT NULL,
    CONSTRAINT exchanges_action CHECK ((action = ANY (ARRAY['rent'::text, 'cancel'::text, 'finish'::text, 'another_code'::text, 'look'::text])))
);

CREATE TABLE public.external_payments (
    id bigint NOT NULL,
    rail text NOT NULL,
    external_id text NOT NULL,
    ref text,
    proof text NOT NULL,
    state text NOT NULL,
    why text,
    amount_paise bigint NOT NULL,
    refunded_paise bigint DEFAULT 0 NOT NULL,
    units bigint,
    paise_per_unit numeric(20,8),
    quote_id bigint,
    vpa_id bigint,
    address_id bigint,
    rrn text,
    recharge_id bigint,
    account_id bigint,
    paid_at timestamp with time zone,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    settled_at timestamp with time zone,
    raw bytea,
    payer_hash bytea,
    CONSTRAINT external_payments_amount_paise_check CHECK ((amount_paise >= 0)),
    CONSTRAINT external_payments_check CHECK (((refunded_paise >= 0) AND (refunded_paise <= amount_paise))),
    CONSTRAINT external_payments_check1 CHECK (((state <> ALL (ARRAY['credited'::text, 'returned'::text])) OR (amount_paise > 0))),
    CONSTRAINT external_payments_check2 CHECK (((state <> 'credited'::text) OR (account_id IS NOT NULL))),
    CONSTRAINT external_payments_proof CHECK ((proof = ANY (ARRAY['gateway'::text, 'statement'::text, 'alert'::text, 'chain'::text, 'staff'::text]))),
    CONSTRAINT external_payments_rail CHECK ((rail = ANY (ARRAY['upi_manual'::text, 'razorpay'::text, 'cashfree'::text, 'phonepe'::text, 'trx'::text, 'usdt'::text]))),
    CONSTRAINT external_payments_rrn_check CHECK ((rrn ~ '^[0-9]{12}$'::text)),
    CONSTRAINT external_payments_state CHECK ((state = ANY (ARRAY['waiting'::text, 'credited'::text, 'suspense'::text, 'returned'::text, 'ignored'::text]))),
    CONSTRAINT external_payments_units_check CHECK ((units > 0)),
    CONSTRAINT external_payments_why CHECK ((why = ANY (ARRAY['dust'::text, 'no_rate'::text, 'unknown_reference'::text, 'unclaimed'::text, 'above_cap'::text, 'doubled'::text, 'staff'::text, 'own_move'::text])))
);

ALTER TABLE public.external_payments ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.gateway_refunds (
    id bigint NOT NULL,
    payment_id bigint NOT NULL,
    key text NOT NULL,
    gateway_id text,
    amount_paise bigint NOT NULL,
    state text NOT NULL,
    begun_by text NOT NULL,
    by_account bigint,
    reason text DEFAULT ''::text NOT NULL,
    short_paise bigint DEFAULT 0 NOT NULL,
    bank_reference text,
    tries integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT gateway_refunds_amount_paise_check CHECK ((amount_paise > 0)),
    CONSTRAINT gateway_refunds_begun_by CHECK ((begun_by = ANY (ARRAY['staff'::text, 'gateway'::text]))),
    CONSTRAINT gateway_refunds_short_paise_check CHECK ((short_paise >= 0)),
    CONSTRAINT gateway_refunds_state CHECK ((state = ANY (ARRAY['requested'::text, 'pending'::text, 'processed'::text, 'failed'::text])))
);

ALTER TABLE public.gateway_refunds ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.holds (
    order_id bigint NOT NULL,
    purpose text NOT NULL,
    account_id bigint NOT NULL,
    amount_paise bigint NOT NULL,
    state text DEFAULT 'held'::text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT holds_amount_paise_check CHECK ((amount_paise > 0)),
    CONSTRAINT holds_check CHECK (((state = 'held'::text) = (ended_at IS NULL))),
    CONSTRAINT holds_state CHECK ((state = ANY (ARRAY['held'::text, 'captured'::text, 'voided'::text])))
);

CREATE TABLE public.idempotency_keys (
    account_id bigint NOT NULL,
    key text NOT NULL,
    operation text NOT NULL,
    body_hash bytea NOT NULL,
    state text DEFAULT 'in_flight'::text NOT NULL,
    status smallint,
    body bytea,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    locked_until timestamp with time zone NOT NULL,
    CONSTRAINT idempotency_keys_check CHECK (((state = 'answered'::text) = ((status IS NOT NULL) AND (body IS NOT NULL)))),
    CONSTRAINT idempotency_keys_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255))),
    CONSTRAINT idempotency_keys_state CHECK ((state = ANY (ARRAY['in_flight'::text, 'answered'::text])))
);

CREATE TABLE public.inbound_messages (
    id bigint NOT NULL,
    provider_id smallint NOT NULL,
    event_id text NOT NULL,
    upstream_id text,
    number text,
    sender text DEFAULT ''::text NOT NULL,
    code text NOT NULL,
    text text NOT NULL,
    state text DEFAULT 'parked'::text NOT NULL,
    order_id bigint,
    tries smallint DEFAULT 0 NOT NULL,
    next_try_at timestamp with time zone,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    settled_at timestamp with time zone,
    purged_at timestamp with time zone,
    CONSTRAINT inbound_messages_check CHECK (((upstream_id IS NOT NULL) OR (number IS NOT NULL))),
    CONSTRAINT inbound_messages_check1 CHECK (((state = 'parked'::text) = (next_try_at IS NOT NULL))),
    CONSTRAINT inbound_messages_check2 CHECK (((state = 'parked'::text) = (settled_at IS NULL))),
    CONSTRAINT inbound_messages_event_id_check CHECK (((length(event_id) >= 1) AND (length(event_id) <= 200))),
    CONSTRAINT inbound_messages_state CHECK ((state = ANY (ARRAY['parked'::text, 'delivered'::text, 'unowned'::text, 'refused'::text])))
);

ALTER TABLE public.inbound_messages ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.lawful_requests (
    id bigint NOT NULL,
    case_number text NOT NULL,
    authority text NOT NULL,
    number text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    reason text NOT NULL,
    state text DEFAULT 'asked'::text NOT NULL,
    asked_by bigint NOT NULL,
    asked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    decided_by bigint,
    decided_at timestamp with time zone,
    decision text,
    exports integer DEFAULT 0 NOT NULL,
    CONSTRAINT lawful_requests_check CHECK ((starts_at <= ends_at)),
    CONSTRAINT lawful_requests_check1 CHECK (((state = 'asked'::text) = (decided_at IS NULL))),
    CONSTRAINT lawful_requests_check2 CHECK ((decided_by <> asked_by)),
    CONSTRAINT lawful_requests_number_check CHECK ((number ~ '^[0-9]{5,15}$'::text)),
    CONSTRAINT lawful_requests_state CHECK ((state = ANY (ARRAY['asked'::text, 'approved'::text, 'refused'::text])))
);

ALTER TABLE public.lawful_requests ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.ledger_results (
    scope text NOT NULL,
    invariant text NOT NULL,
    name text NOT NULL,
    wrong bigint NOT NULL,
    examples text[] NOT NULL,
    checked_at timestamp with time zone NOT NULL,
    CONSTRAINT ledger_results_scope CHECK ((scope = ANY (ARRAY['recent'::text, 'whole'::text, 'audit'::text]))),
    CONSTRAINT ledger_results_wrong_check CHECK ((wrong >= 0))
);

CREATE TABLE public.ledger_runs (
    scope text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    checked_to bigint DEFAULT 0 NOT NULL,
    ended_at timestamp with time zone,
    took_ms integer,
    CONSTRAINT ledger_runs_scope CHECK ((scope = ANY (ARRAY['recent'::text, 'whole'::text, 'audit'::text])))
);

CREATE TABLE public.limit_counters (
    key text NOT NULL,
    hits bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.recharges (
    id bigint NOT NULL,
    ref text NOT NULL,
    account_id bigint NOT NULL,
    request_key text,
    method text NOT NULL,
    rail text NOT NULL,
    requested_paise bigint NOT NULL,
    payable_paise bigint NOT NULL,
    credited_paise bigint DEFAULT 0 NOT NULL,
    refunded_paise bigint DEFAULT 0 NOT NULL,
    status text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    vpa_id bigint,
    address_id bigint,
    quote_id bigint,
    gateway_id text,
    checkout_url text,
    checkout_session text,
    holds_slot boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    asked_at timestamp with time zone,
    due_at timestamp with time zone,
    looks integer DEFAULT 0 NOT NULL,
    looked_at timestamp with time zone,
    CONSTRAINT recharges_check CHECK (((refunded_paise >= 0) AND (refunded_paise <= credited_paise))),
    CONSTRAINT recharges_credited_paise_check CHECK ((credited_paise >= 0)),
    CONSTRAINT recharges_method CHECK ((method = ANY (ARRAY['upi'::text, 'trx'::text, 'usdt'::text]))),
    CONSTRAINT recharges_payable_paise_check CHECK ((payable_paise > 0)),
    CONSTRAINT recharges_rail CHECK ((rail = ANY (ARRAY['upi_manual'::text, 'razorpay'::text, 'cashfree'::text, 'phonepe'::text, 'trx'::text, 'usdt'::text]))),
    CONSTRAINT recharges_requested_paise_check CHECK ((requested_paise > 0)),
    CONSTRAINT recharges_status CHECK ((status = ANY (ARRAY['created'::text, 'awaiting_payment'::text, 'submitted'::text, 'detected'::text, 'completed'::text, 'expired'::text, 'rejected'::text, 'failed'::text, 'refunded'::text])))
);

CREATE TABLE public.ticket_messages (
    id bigint NOT NULL,
    ticket_id bigint NOT NULL,
    ordinal integer NOT NULL,
    kind text NOT NULL,
    author_id bigint NOT NULL,
    body bytea,
    request_key text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT ticket_messages_kind CHECK ((kind = ANY (ARRAY['customer'::text, 'staff'::text, 'note'::text]))),
    CONSTRAINT ticket_messages_ordinal_check CHECK ((ordinal > 0))
);

CREATE TABLE public.tickets (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    order_id bigint,
    recharge_id bigint,
    subject bytea,
    state text DEFAULT 'open'::text NOT NULL,
    priority text DEFAULT 'normal'::text NOT NULL,
    assignee_id bigint,
    version integer DEFAULT 1 NOT NULL,
    last_ordinal integer DEFAULT 0 NOT NULL,
    customer_seen integer DEFAULT 0 NOT NULL,
    staff_seen integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    active_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    ended_by text,
    purged_at timestamp with time zone,
    CONSTRAINT tickets_check CHECK (((order_id IS NULL) OR (recharge_id IS NULL))),
    CONSTRAINT tickets_check1 CHECK (((state = ANY (ARRAY['solved'::text, 'closed'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT tickets_check2 CHECK (((ended_at IS NULL) = (ended_by IS NULL))),
    CONSTRAINT tickets_check3 CHECK (((purged_at IS NULL) OR (state = 'closed'::text))),
    CONSTRAINT tickets_check4 CHECK (((subject IS NULL) = (purged_at IS NOT NULL))),
    CONSTRAINT tickets_ended_by CHECK ((ended_by = ANY (ARRAY['customer'::text, 'staff'::text, 'silence'::text]))),
    CONSTRAINT tickets_priority CHECK ((priority = ANY (ARRAY['low'::text, 'normal'::text, 'high'::text, 'urgent'::text]))),
    CONSTRAINT tickets_state CHECK ((state = ANY (ARRAY['open'::text, 'answered'::text, 'waiting'::text, 'solved'::text, 'closed'::text])))
);

CREATE VIEW public.listed_tickets AS
 SELECT ticket.id,
    ticket.account_id,
    ticket.order_id,
    ticket.recharge_id,
    ticket.subject,
    ticket.state,
    ticket.priority,
    ticket.assignee_id,
    ticket.version,
    ticket.last_ordinal,
    ticket.customer_seen,
    ticket.staff_seen,
    ticket.created_at,
    ticket.active_at,
    ticket.ended_at,
    ticket.ended_by,
    ticket.purged_at,
    recharge.ref AS recharge_ref,
    ( SELECT (count(*))::integer AS count
           FROM public.ticket_messages message
          WHERE ((message.ticket_id = ticket.id) AND (message.ordinal > ticket.customer_seen) AND (message.kind = 'staff'::text))) AS unread_by_customer,
    ( SELECT (count(*))::integer AS count
           FROM public.ticket_messages message
          WHERE ((message.ticket_id = ticket.id) AND (message.ordinal > ticket.staff_seen) AND (message.kind = 'customer'::text))) AS unread_by_staff
   FROM (public.tickets ticket
     LEFT JOIN public.recharges recharge ON ((recharge.id = ticket.recharge_id)));

CREATE TABLE public.mail_requests (
    id bigint NOT NULL,
    purpose text NOT NULL,
    email_key text NOT NULL,
    ip inet NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT mail_requests_purpose CHECK ((purpose = ANY (ARRAY['register'::text, 'verify'::text, 'reset'::text])))
);

ALTER TABLE public.mail_requests ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.mail_tokens (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    purpose text NOT NULL,
    email_key text NOT NULL,
    link_hash bytea NOT NULL,
    code_hash bytea,
    code_tries integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    code_until timestamp with time zone,
    used_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT mail_tokens_purpose CHECK ((purpose = ANY (ARRAY['verify'::text, 'reset'::text])))
);

ALTER TABLE public.mail_tokens ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.maintenance_version (
    one boolean DEFAULT true NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT maintenance_version_one_check CHECK (one)
);

CREATE TABLE public.maintenance_windows (
    id bigint NOT NULL,
    area text NOT NULL,
    target text,
    kind text NOT NULL,
    starts_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ends_at timestamp with time zone,
    allowed bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    message text NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    cancelled_at timestamp with time zone,
    start_told_at timestamp with time zone,
    end_told_at timestamp with time zone,
    CONSTRAINT maintenance_windows_area CHECK ((area = ANY (ARRAY['master'::text, 'server'::text, 'auth'::text, 'recharge'::text, 'support'::text, 'service'::text, 'country'::text]))),
    CONSTRAINT maintenance_windows_check CHECK (((area = ANY (ARRAY['server'::text, 'service'::text, 'country'::text])) = (target IS NOT NULL))),
    CONSTRAINT maintenance_windows_check1 CHECK ((ends_at > starts_at)),
    CONSTRAINT maintenance_windows_check2 CHECK (((kind = 'emergency'::text) OR (ends_at IS NOT NULL))),
    CONSTRAINT maintenance_windows_check3 CHECK (((cancelled_at IS NULL) OR (start_told_at IS NULL))),
    CONSTRAINT maintenance_windows_kind CHECK ((kind = ANY (ARRAY['emergency'::text, 'scheduled'::text])))
);

ALTER TABLE public.maintenance_windows ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.messages (
    order_id bigint NOT NULL,
    ordinal smallint NOT NULL,
    code text NOT NULL,
    text text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    is_sealed boolean DEFAULT false NOT NULL,
    purged_at timestamp with time zone
)
PARTITION BY RANGE (received_at);

CREATE TABLE public.messages_default (
    order_id bigint NOT NULL,
    ordinal smallint NOT NULL,
    code text NOT NULL,
    text text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    is_sealed boolean DEFAULT false NOT NULL,
    purged_at timestamp with time zone
);

CREATE TABLE public.metric_totals (
    sample text NOT NULL,
    labels text NOT NULL,
    value double precision NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
)
WITH (fillfactor='60');

CREATE TABLE public.money_requests (
    id bigint NOT NULL,
    action text NOT NULL,
    account_id bigint,
    subject_id bigint,
    subject_version integer,
    amount_paise bigint NOT NULL,
    reason text NOT NULL,
    state text NOT NULL,
    asked_by bigint NOT NULL,
    request_key text NOT NULL,
    asked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    decided_by bigint,
    decided_at timestamp with time zone,
    CONSTRAINT money_requests_action CHECK ((action = ANY (ARRAY['credit'::text, 'debit'::text, 'order_refund'::text, 'payment_refund'::text, 'review'::text]))),
    CONSTRAINT money_requests_amount_paise_check CHECK ((amount_paise > 0)),
    CONSTRAINT money_requests_check CHECK (((decided_by IS NULL) = (decided_at IS NULL))),
    CONSTRAINT money_requests_check1 CHECK (((state <> 'waiting'::text) OR (decided_by IS NULL))),
    CONSTRAINT money_requests_check2 CHECK (((state <> 'done'::text) OR (decided_by <> asked_by))),
    CONSTRAINT money_requests_state CHECK ((state = ANY (ARRAY['waiting'::text, 'done'::text, 'refused'::text])))
);

ALTER TABLE public.money_requests ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.notice_choices (
    account_id bigint NOT NULL,
    switched_on text[] DEFAULT '{}'::text[] NOT NULL,
    switched_off text[] DEFAULT '{}'::text[] NOT NULL,
    low_balance_paise bigint,
    is_low boolean DEFAULT false NOT NULL,
    low_count bigint DEFAULT 0 NOT NULL,
    code_seq bigint DEFAULT 0 NOT NULL,
    CONSTRAINT notice_choices_low_balance_paise_check CHECK ((low_balance_paise > 0))
);

CREATE TABLE public.offers (
    id bigint NOT NULL,
    service text NOT NULL,
    country integer NOT NULL,
    provider_id smallint NOT NULL,
    operator text DEFAULT 'any'::text NOT NULL,
    cost_paise bigint NOT NULL,
    stock integer NOT NULL,
    observed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    misses smallint DEFAULT 0 NOT NULL,
    phantom_times smallint DEFAULT 0 NOT NULL,
    phantom_until timestamp with time zone,
    tried_at timestamp with time zone,
    CONSTRAINT offers_cost_paise_check CHECK ((cost_paise > 0)),
    CONSTRAINT offers_misses_check CHECK ((misses >= 0)),
    CONSTRAINT offers_phantom_times_check CHECK ((phantom_times >= 0)),
    CONSTRAINT offers_stock_check CHECK ((stock >= 0))
);

ALTER TABLE public.offers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.order_events (
    account_id bigint NOT NULL,
    seq bigint NOT NULL,
    order_id bigint NOT NULL,
    type text NOT NULL,
    ordinal smallint DEFAULT 1 NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT order_events_ordinal_check CHECK ((ordinal > 0)),
    CONSTRAINT order_events_seq_check CHECK ((seq > 0))
);

CREATE TABLE public.orders (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    service text NOT NULL,
    country integer NOT NULL,
    operator text NOT NULL,
    provider_id smallint NOT NULL,
    attempt smallint DEFAULT 1 NOT NULL,
    price_paise bigint NOT NULL,
    cost_paise bigint NOT NULL,
    state text DEFAULT 'requested'::text NOT NULL,
    failure text,
    request_key text NOT NULL,
    request_item smallint NOT NULL,
    request_token bigint NOT NULL,
    upstream_id text,
    number text,
    can_get_next boolean DEFAULT true NOT NULL,
    codes_wanted smallint DEFAULT 1 NOT NULL,
    codes_received smallint DEFAULT 0 NOT NULL,
    extensions smallint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    sent_at timestamp with time zone NOT NULL,
    activated_at timestamp with time zone,
    cancel_allowed_at timestamp with time zone,
    expires_at timestamp with time zone,
    last_expiry_at timestamp with time zone,
    received_at timestamp with time zone,
    ended_at timestamp with time zone,
    changed_at timestamp with time zone NOT NULL,
    next_try_at timestamp with time zone,
    tries smallint DEFAULT 0 NOT NULL,
    release_due boolean DEFAULT false NOT NULL,
    release_tries smallint DEFAULT 0 NOT NULL,
    release_at timestamp with time zone,
    charged_paise bigint,
    upstream_refund text DEFAULT 'due'::text NOT NULL,
    route text,
    hours smallint,
    is_prolonging boolean DEFAULT false NOT NULL,
    refunded_at timestamp with time zone,
    ip inet,
    revoked_at timestamp with time zone,
    CONSTRAINT orders_attempt_check CHECK ((attempt > 0)),
    CONSTRAINT orders_charged_paise_check CHECK ((charged_paise >= 0)),
    CONSTRAINT orders_check CHECK (((state <> ALL (ARRAY['active'::text, 'received'::text, 'cancelling'::text, 'expiring'::text, 'completed'::text, 'cancelled'::text, 'expired'::text])) OR ((number IS NOT NULL) AND (upstream_id IS NOT NULL) AND (expires_at IS NOT NULL)))),
    CONSTRAINT orders_check1 CHECK (((state = ANY (ARRAY['completed'::text, 'cancelled'::text, 'expired'::text, 'failed'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT orders_cost_paise_check CHECK ((cost_paise > 0)),
    CONSTRAINT orders_hours CHECK ((hours > 0)),
    CONSTRAINT orders_number_check CHECK ((number ~ '^[0-9]{5,15}$'::text)),
    CONSTRAINT orders_price_paise_check CHECK ((price_paise > 0)),
    CONSTRAINT orders_state CHECK ((state = ANY (ARRAY['requested'::text, 'unknown'::text, 'active'::text, 'received'::text, 'cancelling'::text, 'expiring'::text, 'completed'::text, 'cancelled'::text, 'expired'::text, 'failed'::text]))),
    CONSTRAINT orders_upstream_refund CHECK ((upstream_refund = ANY (ARRAY['none'::text, 'due'::text, 'assumed'::text, 'confirmed'::text, 'refused'::text])))
);

ALTER TABLE public.orders ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.orphans (
    provider_id smallint NOT NULL,
    upstream_id text NOT NULL,
    state text DEFAULT 'seen'::text NOT NULL,
    first_seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    next_try_at timestamp with time zone,
    tries smallint DEFAULT 0 NOT NULL,
    CONSTRAINT orphans_state CHECK ((state = ANY (ARRAY['seen'::text, 'linked'::text, 'cancelling'::text, 'cancelled'::text, 'lost'::text])))
);

CREATE TABLE public.outbox (
    id bigint NOT NULL,
    channel text NOT NULL,
    template text NOT NULL,
    dedupe_key text NOT NULL,
    account_id bigint,
    payload bytea,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    due_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_problem text,
    ended_at timestamp with time zone,
    under_way boolean DEFAULT false NOT NULL,
    CONSTRAINT outbox_channel CHECK ((channel = ANY (ARRAY['email'::text, 'telegram'::text, 'apprise'::text]))),
    CONSTRAINT outbox_check CHECK (((state = 'waiting'::text) = (ended_at IS NULL))),
    CONSTRAINT outbox_check1 CHECK (((state <> 'waiting'::text) OR (payload IS NOT NULL))),
    CONSTRAINT outbox_state CHECK ((state = ANY (ARRAY['waiting'::text, 'sent'::text, 'failed'::text, 'dropped'::text])))
);

ALTER TABLE public.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.second_factors (
    account_id bigint NOT NULL,
    secret bytea NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    confirmed_at timestamp with time zone,
    last_step bigint DEFAULT 0 NOT NULL
);

CREATE VIEW public.people AS
 SELECT account.id,
    account.email,
    account.name,
    account.state,
    account.created_at,
    account.changed_at,
    account.email_key,
    account.password_hash,
    account.password_changed_at,
    account.verified_at,
    account.role,
    account.terms_version,
    account.api_per_minute,
    account.phone,
    account.timezone,
    account.language,
    account.telegram_chat_id,
    account.notify_by_email,
    account.notify_by_telegram,
    (factor.confirmed_at IS NOT NULL) AS has_second_factor
   FROM (public.accounts account
     LEFT JOIN public.second_factors factor ON ((factor.account_id = account.id)));

CREATE TABLE public.postings (
    id bigint NOT NULL,
    kind text NOT NULL,
    cause_type text NOT NULL,
    cause_id text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT postings_cause_type CHECK ((cause_type = ANY (ARRAY['order'::text, 'recharge'::text, 'credit'::text])))
);

ALTER TABLE public.postings ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.price_overruns (
    id bigint NOT NULL,
    provider_id smallint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    reference text NOT NULL
);

ALTER TABLE public.price_overruns ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.price_rules (
    id bigint NOT NULL,
    account_id bigint,
    service text,
    country integer,
    provider_id smallint,
    margin_basis_points integer NOT NULL,
    floor_paise bigint DEFAULT 1 NOT NULL,
    CONSTRAINT price_rules_floor_paise_check CHECK ((floor_paise > 0)),
    CONSTRAINT price_rules_margin_basis_points_check CHECK (((margin_basis_points >= '-9999'::integer) AND (margin_basis_points <= 1000000)))
);

ALTER TABLE public.price_rules ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.processes (
    id text NOT NULL,
    has_web boolean NOT NULL,
    has_worker boolean NOT NULL,
    version text NOT NULL,
    lag_ms integer NOT NULL,
    pool_open integer NOT NULL,
    pool_busy integer NOT NULL,
    pool_max integer NOT NULL,
    memory_bytes bigint NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT processes_lag_ms_check CHECK ((lag_ms >= 0))
)
WITH (fillfactor='60');

CREATE TABLE public.prolongations (
    id bigint NOT NULL,
    order_id bigint NOT NULL,
    request_key text NOT NULL,
    hours smallint NOT NULL,
    price_paise bigint NOT NULL,
    cost_paise bigint NOT NULL,
    state text DEFAULT 'requested'::text NOT NULL,
    provider_id smallint NOT NULL,
    upstream_id text NOT NULL,
    ended_before timestamp with time zone NOT NULL,
    refusal text DEFAULT ''::text NOT NULL,
    sent_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone,
    next_try_at timestamp with time zone,
    tries smallint DEFAULT 0 NOT NULL,
    CONSTRAINT prolongations_check CHECK (((state = ANY (ARRAY['done'::text, 'refused'::text])) = (settled_at IS NOT NULL))),
    CONSTRAINT prolongations_cost_paise_check CHECK ((cost_paise > 0)),
    CONSTRAINT prolongations_hours_check CHECK ((hours > 0)),
    CONSTRAINT prolongations_price_paise_check CHECK ((price_paise > 0)),
    CONSTRAINT prolongations_state CHECK ((state = ANY (ARRAY['requested'::text, 'unknown'::text, 'done'::text, 'refused'::text])))
);

ALTER TABLE public.prolongations ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.provider_alerts (
    id bigint NOT NULL,
    provider_id smallint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL,
    opened_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    closed_at timestamp with time zone,
    told_at timestamp with time zone,
    over_told_at timestamp with time zone,
    CONSTRAINT provider_alerts_kind CHECK ((kind = ANY (ARRAY['breaker'::text, 'balance'::text, 'forecast'::text, 'spend_limit'::text, 'price_drift'::text, 'money_gap'::text, 'unknown_word'::text, 'sync_failed'::text, 'unknown_stale'::text, 'orphan_stale'::text, 'phantom_stock'::text, 'unowned_message'::text, 'rental_revoked'::text, 'balance_silent'::text])))
);

ALTER TABLE public.provider_alerts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.provider_balances (
    provider_id smallint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    balance_paise bigint NOT NULL,
    sold_paise bigint NOT NULL,
    refunded_paise bigint NOT NULL
);

CREATE TABLE public.provider_calls (
    provider_id smallint NOT NULL,
    hour timestamp with time zone NOT NULL,
    action text NOT NULL,
    outcome text NOT NULL,
    calls bigint NOT NULL,
    took_ms bigint NOT NULL
);

CREATE TABLE public.provider_health (
    provider_id smallint NOT NULL,
    state text DEFAULT 'closed'::text NOT NULL,
    forced text,
    forced_reason text DEFAULT ''::text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    openings smallint DEFAULT 0 NOT NULL,
    opened_at timestamp with time zone,
    open_until timestamp with time zone,
    probe_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    generation bigint DEFAULT 0 NOT NULL,
    CONSTRAINT provider_health_check CHECK (((forced IS NULL) = (forced_reason = ''::text))),
    CONSTRAINT provider_health_forced CHECK ((forced = ANY (ARRAY['open'::text, 'closed'::text]))),
    CONSTRAINT provider_health_state CHECK ((state = ANY (ARRAY['closed'::text, 'open'::text, 'half_open'::text])))
);

CREATE TABLE public.provider_money (
    provider_id smallint NOT NULL,
    balance_due_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    check_due_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    balance_paise bigint,
    balance_at timestamp with time zone,
    counted_until timestamp with time zone,
    minutes_left integer,
    anchored_at timestamp with time zone,
    booked_until timestamp with time zone,
    booked_low bigint,
    booked_high bigint,
    booked_count bigint DEFAULT 0 NOT NULL,
    paise_per_unit integer,
    CONSTRAINT provider_money_check CHECK (((anchored_at IS NULL) = (booked_low IS NULL)))
);

CREATE TABLE public.provider_money_checks (
    id bigint NOT NULL,
    provider_id smallint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    balance_paise bigint NOT NULL,
    expected_low bigint NOT NULL,
    expected_high bigint NOT NULL,
    gap_paise bigint NOT NULL,
    explained text NOT NULL
);

ALTER TABLE public.provider_money_checks ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.provider_top_ups (
    id bigint NOT NULL,
    provider_id smallint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    kind text NOT NULL,
    amount_paise bigint NOT NULL,
    note text NOT NULL,
    CONSTRAINT provider_top_ups_amount_paise_check CHECK ((amount_paise <> 0)),
    CONSTRAINT provider_top_ups_kind CHECK ((kind = ANY (ARRAY['top_up'::text, 'settled_gap'::text])))
);

ALTER TABLE public.provider_top_ups ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.provider_unknown_words (
    provider_id smallint NOT NULL,
    word text NOT NULL,
    action text NOT NULL,
    times bigint NOT NULL,
    first_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    told_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT provider_unknown_words_word_check CHECK (((length(word) >= 1) AND (length(word) <= 80)))
);

CREATE TABLE public.provider_words (
    provider_id smallint NOT NULL,
    kind text NOT NULL,
    word text NOT NULL,
    code text NOT NULL,
    source text NOT NULL,
    CONSTRAINT provider_words_code_check CHECK (((length(code) >= 1) AND (length(code) <= 64))),
    CONSTRAINT provider_words_kind CHECK ((kind = ANY (ARRAY['service'::text, 'country'::text]))),
    CONSTRAINT provider_words_source CHECK ((source = ANY (ARRAY['list'::text, 'iso'::text, 'name'::text, 'staff'::text]))),
    CONSTRAINT provider_words_word_check CHECK (((length(word) >= 1) AND (length(word) <= 64)))
);

CREATE TABLE public.providers (
    id smallint NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    url text NOT NULL,
    api_key_sealed bytea NOT NULL,
    is_on boolean DEFAULT true NOT NULL,
    paise_per_unit integer DEFAULT 100 NOT NULL,
    parallel_max integer DEFAULT 50 NOT NULL,
    calls_per_second integer DEFAULT 100 NOT NULL,
    deadline_ms integer DEFAULT 8000 NOT NULL,
    poll_ms integer DEFAULT 2000 NOT NULL,
    cancel_after_ms integer DEFAULT 120000 NOT NULL,
    lifetime_ms integer DEFAULT 1200000 NOT NULL,
    extend_paise_per_minute integer,
    synced_at timestamp with time zone,
    watched_until timestamp with time zone,
    watched_by text,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    dialect text DEFAULT 'classic'::text NOT NULL,
    weight_percent smallint DEFAULT 100 NOT NULL,
    open_max integer,
    spend_max_paise bigint,
    balance_alert_paise bigint,
    sync_every_ms integer DEFAULT 900000 NOT NULL,
    hook_token_sealed bytea,
    hook_token_hash bytea,
    agent_pay_paise integer,
    CONSTRAINT providers_agent_pay_paise_check CHECK ((agent_pay_paise > 0)),
    CONSTRAINT providers_balance_alert_paise_check CHECK ((balance_alert_paise >= 0)),
    CONSTRAINT providers_calls_per_second_check CHECK ((calls_per_second > 0)),
    CONSTRAINT providers_cancel_after_ms_check CHECK ((cancel_after_ms >= 0)),
    CONSTRAINT providers_deadline_ms_check CHECK (((deadline_ms >= 100) AND (deadline_ms <= 60000))),
    CONSTRAINT providers_extend_paise_per_minute_check CHECK ((extend_paise_per_minute >= 0)),
    CONSTRAINT providers_kind CHECK ((kind = ANY (ARRAY['sms-activate'::text, 'five-sim'::text, 'sms-pool'::text, 'agent'::text, 'sandbox'::text]))),
    CONSTRAINT providers_lifetime_ms_check CHECK ((lifetime_ms > 0)),
    CONSTRAINT providers_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9-]{0,39}$'::text)),
    CONSTRAINT providers_open_max_check CHECK ((open_max > 0)),
    CONSTRAINT providers_paise_per_unit_check CHECK ((paise_per_unit > 0)),
    CONSTRAINT providers_parallel_max_check CHECK ((parallel_max > 0)),
    CONSTRAINT providers_poll_ms_check CHECK (((poll_ms >= 100) AND (poll_ms <= 60000))),
    CONSTRAINT providers_spend_max_paise_check CHECK ((spend_max_paise > 0)),
    CONSTRAINT providers_sync_every_ms_check CHECK (((sync_every_ms >= 10000) AND (sync_every_ms <= 86400000))),
    CONSTRAINT providers_weight_percent_check CHECK (((weight_percent >= 1) AND (weight_percent <= 1000)))
);

ALTER TABLE public.providers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.purchase_counts (
    account_id bigint NOT NULL,
    hour timestamp with time zone NOT NULL,
    in_hour integer NOT NULL,
    day timestamp with time zone NOT NULL,
    in_day integer NOT NULL,
    countries integer[] NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.purchase_limits (
    account_id bigint NOT NULL,
    is_free boolean DEFAULT false NOT NULL,
    per_hour integer,
    per_day integer,
    countries integer,
    open_orders integer,
    may_cancel boolean DEFAULT false NOT NULL,
    reason text NOT NULL,
    set_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT purchase_limits_countries_check CHECK ((countries >= 0)),
    CONSTRAINT purchase_limits_open_orders_check CHECK ((open_orders >= 0)),
    CONSTRAINT purchase_limits_per_day_check CHECK ((per_day >= 0)),
    CONSTRAINT purchase_limits_per_hour_check CHECK ((per_hour >= 0))
);

CREATE TABLE public.purchase_references (
    account_id bigint NOT NULL,
    reference text NOT NULL,
    fingerprint bytea NOT NULL,
    tries integer DEFAULT 1 NOT NULL,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.quotes (
    id bigint NOT NULL,
    asset text NOT NULL,
    paise_per_unit numeric(20,8) NOT NULL,
    spread_bps integer NOT NULL,
    basis text NOT NULL,
    samples jsonb NOT NULL,
    units bigint NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT quotes_asset CHECK ((asset = ANY (ARRAY['trx'::text, 'usdt'::text]))),
    CONSTRAINT quotes_basis CHECK ((basis = ANY (ARRAY['market'::text, 'last_good'::text, 'staff'::text]))),
    CONSTRAINT quotes_paise_per_unit_check CHECK ((paise_per_unit > (0)::numeric)),
    CONSTRAINT quotes_spread_bps_check CHECK (((spread_bps >= 0) AND (spread_bps <= 5000))),
    CONSTRAINT quotes_units_check CHECK ((units > 0))
);

ALTER TABLE public.quotes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.rate_samples (
    id bigint NOT NULL,
    asset text NOT NULL,
    source text NOT NULL,
    paise_per_unit numeric(20,8) NOT NULL,
    observed_at timestamp with time zone NOT NULL,
    valid_until timestamp with time zone,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT rate_samples_asset CHECK ((asset = ANY (ARRAY['trx'::text, 'usdt'::text]))),
    CONSTRAINT rate_samples_paise_per_unit_check CHECK ((paise_per_unit > (0)::numeric))
);

ALTER TABLE public.rate_samples ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.receipt_series (
    series text NOT NULL,
    year text NOT NULL,
    last_serial bigint DEFAULT 0 NOT NULL
);

CREATE TABLE public.receipts (
    id bigint NOT NULL,
    number text NOT NULL,
    series text NOT NULL,
    year text NOT NULL,
    serial bigint NOT NULL,
    account_id bigint NOT NULL,
    recharge_id bigint,
    payment_id bigint NOT NULL,
    kind text NOT NULL,
    refund_id bigint,
    amount_paise bigint NOT NULL,
    taxable_paise bigint,
    cgst_paise bigint,
    sgst_paise bigint,
    igst_paise bigint,
    details jsonb NOT NULL,
    issued_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT receipts_amount_paise_check CHECK ((amount_paise > 0)),
    CONSTRAINT receipts_check CHECK (((kind = 'refund_note'::text) = (refund_id IS NOT NULL))),
    CONSTRAINT receipts_kind CHECK ((kind = ANY (ARRAY['receipt'::text, 'refund_note'::text])))
);

ALTER TABLE public.receipts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.recharge_events (
    id bigint NOT NULL,
    recharge_id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    event text NOT NULL,
    amount_paise bigint,
    detail text DEFAULT ''::text NOT NULL,
    CONSTRAINT recharge_events_event CHECK ((event = ANY (ARRAY['created'::text, 'page_made'::text, 'page_failed'::text, 'claimed'::text, 'detected'::text, 'vanished'::text, 'credited'::text, 'expired'::text, 'rejected'::text, 'asked'::text, 'answered'::text, 'approved_once'::text, 'in_review'::text, 'refund_begun'::text, 'refunded'::text, 'refund_failed'::text, 'taken_back'::text])))
);

ALTER TABLE public.recharge_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

ALTER TABLE public.recharges ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.reconciliations (
    id bigint NOT NULL,
    source text NOT NULL,
    checked integer NOT NULL,
    unclear integer DEFAULT 0 NOT NULL,
    differences jsonb NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT reconciliations_checked_check CHECK ((checked >= 0)),
    CONSTRAINT reconciliations_source CHECK ((source = ANY (ARRAY['gateway'::text, 'bank'::text, 'chain'::text])))
);

ALTER TABLE public.reconciliations ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.recovery_codes (
    account_id bigint NOT NULL,
    code_hash bytea NOT NULL,
    used_at timestamp with time zone
);

CREATE TABLE public.rental_lists (
    provider_id smallint NOT NULL,
    country integer NOT NULL,
    hours smallint NOT NULL,
    read_at timestamp with time zone,
    short_list text,
    short_at timestamp with time zone
);

CREATE TABLE public.rental_offers (
    id bigint NOT NULL,
    service text NOT NULL,
    country integer NOT NULL,
    provider_id smallint NOT NULL,
    operator text DEFAULT 'any'::text NOT NULL,
    hours smallint NOT NULL,
    cost_paise bigint NOT NULL,
    stock integer NOT NULL,
    observed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT rental_offers_cost_paise_check CHECK ((cost_paise > 0)),
    CONSTRAINT rental_offers_hours_check CHECK ((hours > 0)),
    CONSTRAINT rental_offers_stock_check CHECK ((stock >= 0))
);

ALTER TABLE public.rental_offers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.rental_readings (
    provider_id smallint NOT NULL,
    countries_at timestamp with time zone,
    due_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    leased_until timestamp with time zone,
    failures smallint DEFAULT 0 NOT NULL,
    CONSTRAINT rental_readings_failures_check CHECK ((failures >= 0))
);

CREATE TABLE public.rental_version (
    one boolean DEFAULT true NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    hours smallint[] DEFAULT '{4,24,72,168,720}'::smallint[] NOT NULL,
    CONSTRAINT rental_version_hours_check CHECK ((0 < ALL (hours))),
    CONSTRAINT rental_version_one_check CHECK (one)
);

CREATE TABLE public.report_due (
    span text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    is_forced boolean DEFAULT false NOT NULL,
    CONSTRAINT report_due_span CHECK ((span = ANY (ARRAY['slot'::text, 'utc'::text, 'ist'::text])))
);

CREATE TABLE public.report_mark (
    one boolean DEFAULT true NOT NULL,
    looked_at timestamp with time zone,
    counted_until timestamp with time zone,
    read_until timestamp with time zone,
    read_xid xid8,
    CONSTRAINT report_mark_one_check CHECK (one)
);

CREATE TABLE public.report_money (
    span text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    kind text NOT NULL,
    bucket text NOT NULL,
    rail text NOT NULL,
    lines integer NOT NULL,
    amount_paise bigint NOT NULL,
    CONSTRAINT report_money_span CHECK ((span = ANY (ARRAY['slot'::text, 'utc'::text, 'ist'::text])))
);

CREATE TABLE public.report_orders (
    span text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    service text NOT NULL,
    country integer NOT NULL,
    provider_id smallint NOT NULL,
    made integer NOT NULL,
    sold integer NOT NULL,
    delivered integer NOT NULL,
    cancelled integer NOT NULL,
    waits integer[] NOT NULL,
    paid integer NOT NULL,
    revenue_paise bigint NOT NULL,
    cost_paise bigint NOT NULL,
    refunded integer NOT NULL,
    refunded_paise bigint NOT NULL,
    released integer NOT NULL,
    released_paise bigint NOT NULL,
    confirmed integer NOT NULL,
    confirmed_paise bigint NOT NULL,
    assumed integer NOT NULL,
    assumed_paise bigint NOT NULL,
    refused integer NOT NULL,
    refused_paise bigint NOT NULL,
    due integer NOT NULL,
    due_paise bigint NOT NULL,
    CONSTRAINT report_orders_check CHECK (((((confirmed + assumed) + refused) + due) = released)),
    CONSTRAINT report_orders_span CHECK ((span = ANY (ARRAY['slot'::text, 'utc'::text, 'ist'::text, 'utc_sums'::text, 'ist_sums'::text])))
);

CREATE TABLE public.report_taxes (
    span text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    kind text NOT NULL,
    receipts integer NOT NULL,
    amount_paise bigint NOT NULL,
    untaxed_paise bigint NOT NULL,
    taxable_paise bigint NOT NULL,
    cgst_paise bigint NOT NULL,
    sgst_paise bigint NOT NULL,
    igst_paise bigint NOT NULL,
    CONSTRAINT report_taxes_span CHECK ((span = ANY (ARRAY['slot'::text, 'utc'::text, 'ist'::text])))
);

CREATE TABLE public.schema_migrations (
    number integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    took_ms integer NOT NULL
);

CREATE TABLE public.services (
    code text NOT NULL,
    name text NOT NULL,
    category text NOT NULL,
    is_on boolean DEFAULT true NOT NULL,
    is_ours boolean DEFAULT false NOT NULL
);

CREATE TABLE public.sessions (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    seed bytea NOT NULL,
    generation integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    proven_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    second_factor_at timestamp with time zone,
    rotated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    idle_until timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    ended_why text,
    ip inet NOT NULL,
    user_agent text NOT NULL,
    last_used_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT sessions_check CHECK (((ended_at IS NULL) = (ended_why IS NULL))),
    CONSTRAINT sessions_ended_why CHECK ((ended_why = ANY (ARRAY['logout'::text, 'all_devices'::text, 'revoked'::text, 'password'::text, 'reuse'::text, 'registered_again'::text, 'second_factor'::text, 'staff'::text])))
);

ALTER TABLE public.sessions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.shared_counts (
    kind text NOT NULL,
    key text NOT NULL,
    hour timestamp with time zone NOT NULL,
    in_hour integer NOT NULL,
    day timestamp with time zone NOT NULL,
    in_day integer NOT NULL,
    new_in_day integer NOT NULL,
    CONSTRAINT shared_counts_kind CHECK ((kind = ANY (ARRAY['network'::text, 'payer'::text])))
)
WITH (fillfactor='50');

CREATE TABLE public.staff_targets (
    channel text NOT NULL,
    kinds text[] NOT NULL,
    configured bigint,
    chat_id bigint,
    thread_id bigint,
    state text DEFAULT 'on'::text NOT NULL,
    problem text,
    off_at timestamp with time zone,
    told_at timestamp with time zone,
    CONSTRAINT staff_targets_channel CHECK ((channel = ANY (ARRAY['telegram'::text, 'apprise'::text]))),
    CONSTRAINT staff_targets_check CHECK (((channel = 'telegram'::text) = (chat_id IS NOT NULL))),
    CONSTRAINT staff_targets_check1 CHECK (((state = 'off'::text) = (off_at IS NOT NULL))),
    CONSTRAINT staff_targets_state CHECK ((state = ANY (ARRAY['on'::text, 'off'::text])))
);

CREATE TABLE public.statements (
    id bigint NOT NULL,
    vpa_id bigint NOT NULL,
    profile text NOT NULL,
    name text NOT NULL,
    sha256 bytea NOT NULL,
    content bytea,
    state text DEFAULT 'waiting'::text NOT NULL,
    rows_total integer NOT NULL,
    rows_read integer DEFAULT 0 NOT NULL,
    credits integer DEFAULT 0 NOT NULL,
    known integer DEFAULT 0 NOT NULL,
    settled integer DEFAULT 0 NOT NULL,
    skipped integer DEFAULT 0 NOT NULL,
    problems jsonb DEFAULT '[]'::jsonb NOT NULL,
    bad integer DEFAULT 0 NOT NULL,
    by_account bigint,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    due_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT statements_rows_total_check CHECK ((rows_total >= 0)),
    CONSTRAINT statements_state CHECK ((state = ANY (ARRAY['waiting'::text, 'done'::text, 'failed'::text])))
);

ALTER TABLE public.statements ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.status_days (
    part text NOT NULL,
    day date NOT NULL,
    ok smallint DEFAULT 0 NOT NULL,
    degraded smallint DEFAULT 0 NOT NULL,
    down smallint DEFAULT 0 NOT NULL
);

CREATE TABLE public.status_mark (
    one boolean DEFAULT true NOT NULL,
    counted_until timestamp with time zone,
    CONSTRAINT status_mark_one_check CHECK (one)
);

CREATE TABLE public.status_parts (
    part text NOT NULL,
    state text NOT NULL,
    since timestamp with time zone NOT NULL,
    looked_at timestamp with time zone NOT NULL,
    CONSTRAINT status_parts_state CHECK ((state = ANY (ARRAY['ok'::text, 'degraded'::text, 'down'::text])))
);

CREATE TABLE public.system_balances (
    bucket text NOT NULL,
    balance_paise bigint NOT NULL,
    rolled_up_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.system_changes (
    bucket text NOT NULL,
    amount_paise bigint NOT NULL
);

CREATE TABLE public.telegram_channel (
    one boolean DEFAULT true NOT NULL,
    owner text,
    leased_until timestamp with time zone,
    next_update bigint DEFAULT 0 NOT NULL,
    bot_name text,
    stopped_at timestamp with time zone,
    stopped_for text,
    told_at timestamp with time zone,
    CONSTRAINT telegram_channel_one_check CHECK (one)
);

CREATE TABLE public.telegram_codes (
    account_id bigint NOT NULL,
    code_hash bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.telegram_links (
    account_id bigint NOT NULL,
    chat_id bigint NOT NULL,
    linked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    state text DEFAULT 'on'::text NOT NULL,
    problem text,
    CONSTRAINT telegram_links_state CHECK ((state = ANY (ARRAY['on'::text, 'off'::text])))
);

CREATE TABLE public.terms (
    version integer NOT NULL,
    text text NOT NULL,
    text_hash bytea NOT NULL,
    published_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT terms_version_check CHECK ((version > 0))
);

CREATE TABLE public.terms_acceptances (
    account_id bigint NOT NULL,
    version integer NOT NULL,
    accepted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ip inet NOT NULL,
    user_agent text NOT NULL
);

CREATE TABLE public.ticket_attachments (
    id bigint NOT NULL,
    ticket_id bigint NOT NULL,
    ordinal integer NOT NULL,
    account_id bigint NOT NULL,
    type text NOT NULL,
    bytes integer NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    content bytea NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT ticket_attachments_bytes_check CHECK ((bytes > 0)),
    CONSTRAINT ticket_attachments_height_check CHECK ((height > 0)),
    CONSTRAINT ticket_attachments_type CHECK ((type = ANY (ARRAY['png'::text, 'jpeg'::text, 'webp'::text]))),
    CONSTRAINT ticket_attachments_width_check CHECK ((width > 0))
);
ALTER TABLE ONLY public.ticket_attachments ALTER COLUMN content SET STORAGE EXTERNAL;

ALTER TABLE public.ticket_attachments ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

ALTER TABLE public.ticket_messages ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

ALTER TABLE public.tickets ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.transcripts (
    provider_id smallint NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    asked text NOT NULL,
    status smallint,
    answer text NOT NULL,
    took_ms integer NOT NULL,
    at timestamp with time zone NOT NULL
)
PARTITION BY RANGE (at);

CREATE TABLE public.transcripts_default (
    provider_id smallint NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    asked text NOT NULL,
    status smallint,
    answer text NOT NULL,
    took_ms integer NOT NULL,
    at timestamp with time zone NOT NULL
);

CREATE TABLE public.tron_addresses (
    id bigint NOT NULL,
    address text NOT NULL,
    fingerprint text NOT NULL,
    index bigint NOT NULL,
    account_id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    read_to timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    hot_until timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    failing_since timestamp with time zone,
    due_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    balance_sun bigint,
    balance_usdt bigint,
    seen_sun bigint DEFAULT 0 NOT NULL,
    seen_usdt bigint DEFAULT 0 NOT NULL,
    balance_at timestamp with time zone,
    CONSTRAINT tron_addresses_index_check CHECK ((index >= 0))
);

ALTER TABLE public.tron_addresses ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.tron_wallets (
    fingerprint text NOT NULL,
    next_index bigint DEFAULT 1 NOT NULL,
    confirmed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT tron_wallets_next_index_check CHECK (((next_index >= 1) AND (next_index <= '2147483648'::bigint)))
);

CREATE TABLE public.undelivered_purchases (
    account_id bigint NOT NULL,
    request_key text NOT NULL,
    fingerprint bytea NOT NULL,
    wants_object boolean NOT NULL,
    waited_ms integer NOT NULL,
    noted_at timestamp with time zone NOT NULL,
    holder text,
    held_until timestamp with time zone,
    CONSTRAINT undelivered_purchases_held CHECK (((holder IS NULL) = (held_until IS NULL)))
);

CREATE TABLE public.unmapped_countries (
    provider_id smallint NOT NULL,
    word text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.unmapped_services (
    provider_id smallint NOT NULL,
    upstream_code text NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    name text DEFAULT ''::text NOT NULL
);

CREATE TABLE public.utr_claims (
    id bigint NOT NULL,
    recharge_id bigint NOT NULL,
    account_id bigint NOT NULL,
    vpa_id bigint NOT NULL,
    rrn text NOT NULL,
    payer bytea,
    state text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT utr_claims_rrn_check CHECK ((rrn ~ '^[0-9]{12}$'::text)),
    CONSTRAINT utr_claims_state CHECK ((state = ANY (ARRAY['waiting'::text, 'credited'::text, 'refused'::text])))
);

ALTER TABLE public.utr_claims ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.vpas (
    id bigint NOT NULL,
    vpa text NOT NULL,
    payee_name text NOT NULL,
    kind text NOT NULL,
    is_open boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT vpas_kind CHECK ((kind = ANY (ARRAY['personal'::text, 'merchant'::text])))
);

ALTER TABLE public.vpas ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.wallets (
    account_id bigint NOT NULL,
    available_paise bigint DEFAULT 0 NOT NULL,
    held_paise bigint DEFAULT 0 NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    CONSTRAINT wallets_available CHECK ((available_paise >= 0)),
    CONSTRAINT wallets_held CHECK ((held_paise >= 0))
);

CREATE TABLE public.webhook_deliveries (
    id bigint NOT NULL,
    endpoint_id bigint NOT NULL,
    account_id bigint NOT NULL,
    event_id text NOT NULL,
    seq bigint,
    type text NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    tries smallint DEFAULT 0 NOT NULL,
    next_try_at timestamp with time zone DEFAULT clock_timestamp(),
    leased_until timestamp with time zone,
    last_status smallint,
    problem text,
    took_ms integer,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    tried_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT webhook_deliveries_check CHECK (((state = 'waiting'::text) = (next_try_at IS NOT NULL))),
    CONSTRAINT webhook_deliveries_check1 CHECK (((state = 'waiting'::text) = (ended_at IS NULL))),
    CONSTRAINT webhook_deliveries_check2 CHECK (((state = 'waiting'::text) OR (leased_until IS NULL))),
    CONSTRAINT webhook_deliveries_state CHECK ((state = ANY (ARRAY['waiting'::text, 'delivered'::text, 'failed'::text])))
);

ALTER TABLE public.webhook_deliveries ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.webhook_endpoints (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    url text NOT NULL,
    events text[] NOT NULL,
    format text NOT NULL,
    state text DEFAULT 'on'::text NOT NULL,
    secret bytea NOT NULL,
    old_secret bytea,
    old_secret_until timestamp with time zone,
    cursor_seq bigint NOT NULL,
    failing_since timestamp with time zone,
    disabled_at timestamp with time zone,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT webhook_endpoints_check CHECK (((old_secret IS NULL) = (old_secret_until IS NULL))),
    CONSTRAINT webhook_endpoints_check1 CHECK (((state = 'disabled'::text) = (disabled_at IS NOT NULL))),
    CONSTRAINT webhook_endpoints_cursor_seq_check CHECK ((cursor_seq >= 0)),
    CONSTRAINT webhook_endpoints_events_check CHECK ((cardinality(events) > 0)),
    CONSTRAINT webhook_endpoints_format CHECK ((format = ANY (ARRAY['standard'::text, 'classic'::text, 'hero'::text]))),
    CONSTRAINT webhook_endpoints_state CHECK ((state = ANY (ARRAY['on'::text, 'off'::text, 'disabled'::text, 'deleted'::text]))),
    CONSTRAINT webhook_endpoints_url_check CHECK (((length(url) >= 1) AND (length(url) <= 2000)))
);

ALTER TABLE public.webhook_endpoints ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.webhook_events (
    id bigint NOT NULL,
    gateway text NOT NULL,
    event_id text NOT NULL,
    kind text NOT NULL,
    ref text,
    gateway_id text,
    payment_id text,
    body_sha256 bytea NOT NULL,
    raw bytea,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    problem text,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    due_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT webhook_events_gateway CHECK ((gateway = ANY (ARRAY['razorpay'::text, 'cashfree'::text, 'phonepe'::text]))),
    CONSTRAINT webhook_events_state CHECK ((state = ANY (ARRAY['waiting'::text, 'done'::text, 'foreign'::text, 'failed'::text])))
);

ALTER TABLE public.webhook_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

CREATE TABLE public.withheld_messages (
    order_id bigint NOT NULL,
    ordinal smallint NOT NULL,
    account_id bigint NOT NULL,
    kind text NOT NULL,
    signs text NOT NULL,
    state text DEFAULT 'held'::text NOT NULL,
    withheld_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    decided_at timestamp with time zone,
    decided_by bigint,
    reason text,
    told_at timestamp with time zone,
    CONSTRAINT withheld_messages_check CHECK (((state = 'held'::text) = (decided_at IS NULL))),
    CONSTRAINT withheld_messages_kind CHECK ((kind = ANY (ARRAY['bank'::text, 'payment'::text, 'government'::text]))),
    CONSTRAINT withheld_messages_state CHECK ((state = ANY (ARRAY['held'::text, 'released'::text, 'confirmed'::text])))
);

ALTER TABLE ONLY public.audit_log ATTACH PARTITION public.audit_log_default DEFAULT;

ALTER TABLE ONLY public.entries ATTACH PARTITION public.entries_default DEFAULT;

ALTER TABLE ONLY public.exchanges ATTACH PARTITION public.exchanges_default DEFAULT;

ALTER TABLE ONLY public.messages ATTACH PARTITION public.messages_default DEFAULT;

ALTER TABLE ONLY public.transcripts ATTACH PARTITION public.transcripts_default DEFAULT;

ALTER TABLE ONLY public.account_ips
    ADD CONSTRAINT account_ips_pkey PRIMARY KEY (account_id, ip);

ALTER TABLE ONLY public.account_notes
    ADD CONSTRAINT account_notes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.account_payers
    ADD CONSTRAINT account_payers_pkey PRIMARY KEY (payer_hash, account_id);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);

ALTER TABLE public.accounts
    ADD CONSTRAINT accounts_state CHECK ((state = ANY (ARRAY['active'::text, 'limited'::text, 'frozen'::text, 'banned'::text, 'closed'::text]))) NOT VALID;

ALTER TABLE ONLY public.activations
    ADD CONSTRAINT activations_pkey PRIMARY KEY (provider_id, upstream_id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_replaced_by UNIQUE (replaced_by);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_secret_hash UNIQUE (secret_hash);

ALTER TABLE ONLY public.approvals
    ADD CONSTRAINT approvals_pkey PRIMARY KEY (subject, subject_id, version, approver_id);

ALTER TABLE ONLY public.audit_seals
    ADD CONSTRAINT audit_seals_once UNIQUE (audit_id);

ALTER TABLE ONLY public.audit_seals
    ADD CONSTRAINT audit_seals_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY public.bank_credits
    ADD CONSTRAINT bank_credits_once UNIQUE (vpa_id, reference);

ALTER TABLE ONLY public.bank_credits
    ADD CONSTRAINT bank_credits_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.blocked_categories
    ADD CONSTRAINT blocked_categories_pkey PRIMARY KEY (category);

ALTER TABLE ONLY public.catalogue_sync_asks
    ADD CONSTRAINT catalogue_sync_asks_pkey PRIMARY KEY (provider_id);

ALTER TABLE ONLY public.catalogue_syncs
    ADD CONSTRAINT catalogue_syncs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.catalogue_version
    ADD CONSTRAINT catalogue_version_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.countries
    ADD CONSTRAINT countries_pkey PRIMARY KEY (code);

ALTER TABLE ONLY public.delivery_stats_mark
    ADD CONSTRAINT delivery_stats_mark_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.delivery_stats
    ADD CONSTRAINT delivery_stats_pkey PRIMARY KEY (hour, provider_id, service, country, operator);

ALTER TABLE ONLY public.email_domains
    ADD CONSTRAINT email_domains_pkey PRIMARY KEY (domain);

ALTER TABLE public.entries
    ADD CONSTRAINT entries_bucket CHECK ((bucket = ANY (ARRAY['available'::text, 'held'::text, 'revenue'::text, 'clearing'::text, 'adjustments'::text, 'suspense'::text, 'fx'::text, 'sandbox'::text]))) NOT VALID;

ALTER TABLE ONLY public.error_alerts
    ADD CONSTRAINT error_alerts_pkey PRIMARY KEY (fingerprint);

ALTER TABLE ONLY public.event_counters
    ADD CONSTRAINT event_counters_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.external_payments
    ADD CONSTRAINT external_payments_once UNIQUE (rail, external_id);

ALTER TABLE ONLY public.external_payments
    ADD CONSTRAINT external_payments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.gateway_refunds
    ADD CONSTRAINT gateway_refunds_key UNIQUE (key);

ALTER TABLE ONLY public.gateway_refunds
    ADD CONSTRAINT gateway_refunds_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.holds
    ADD CONSTRAINT holds_pkey PRIMARY KEY (order_id, purpose);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (account_id, key);

ALTER TABLE ONLY public.inbound_messages
    ADD CONSTRAINT inbound_messages_event UNIQUE (provider_id, event_id);

ALTER TABLE ONLY public.inbound_messages
    ADD CONSTRAINT inbound_messages_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.lawful_requests
    ADD CONSTRAINT lawful_requests_case UNIQUE (case_number, number, starts_at, ends_at);

ALTER TABLE ONLY public.lawful_requests
    ADD CONSTRAINT lawful_requests_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ledger_results
    ADD CONSTRAINT ledger_results_pkey PRIMARY KEY (scope, invariant, name);

ALTER TABLE ONLY public.ledger_runs
    ADD CONSTRAINT ledger_runs_pkey PRIMARY KEY (scope);

ALTER TABLE ONLY public.limit_counters
    ADD CONSTRAINT limit_counters_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.mail_requests
    ADD CONSTRAINT mail_requests_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.mail_tokens
    ADD CONSTRAINT mail_tokens_link_hash UNIQUE (link_hash);

ALTER TABLE ONLY public.mail_tokens
    ADD CONSTRAINT mail_tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.maintenance_version
    ADD CONSTRAINT maintenance_version_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.maintenance_windows
    ADD CONSTRAINT maintenance_windows_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.metric_totals
    ADD CONSTRAINT metric_totals_pkey PRIMARY KEY (sample, labels);

ALTER TABLE ONLY public.money_requests
    ADD CONSTRAINT money_requests_key UNIQUE (asked_by, request_key);

ALTER TABLE ONLY public.money_requests
    ADD CONSTRAINT money_requests_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.notice_choices
    ADD CONSTRAINT notice_choices_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.offers
    ADD CONSTRAINT offers_one UNIQUE (service, country, provider_id, operator);

ALTER TABLE ONLY public.offers
    ADD CONSTRAINT offers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.order_events
    ADD CONSTRAINT order_events_order_id_type_ordinal_key UNIQUE (order_id, type, ordinal);

ALTER TABLE ONLY public.order_events
    ADD CONSTRAINT order_events_pkey PRIMARY KEY (account_id, seq);

ALTER TABLE public.order_events
    ADD CONSTRAINT order_events_type CHECK ((type = ANY (ARRAY['active'::text, 'code'::text, 'extended'::text, 'completed'::text, 'cancelled'::text, 'expired'::text, 'failed'::text, 'refunded'::text]))) NOT VALID;

ALTER TABLE public.orders
    ADD CONSTRAINT orders_failure CHECK ((failure = ANY (ARRAY['no_numbers'::text, 'provider_refused'::text, 'never_sold'::text, 'provider_cancelled'::text, 'withheld'::text]))) NOT VALID;

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_request UNIQUE (account_id, request_key, request_item);

ALTER TABLE ONLY public.orphans
    ADD CONSTRAINT orphans_pkey PRIMARY KEY (provider_id, upstream_id);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_dedupe_key UNIQUE (dedupe_key);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.postings
    ADD CONSTRAINT postings_cause UNIQUE (kind, cause_type, cause_id);

ALTER TABLE public.postings
    ADD CONSTRAINT postings_kind CHECK ((kind = ANY (ARRAY['recharge'::text, 'admin_credit'::text, 'admin_debit'::text, 'hold'::text, 'capture'::text, 'void'::text, 'refund'::text, 'suspend'::text, 'assign'::text, 'pay_back'::text, 'pay_back_failed'::text, 'play_money'::text]))) NOT VALID;

ALTER TABLE ONLY public.postings
    ADD CONSTRAINT postings_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.price_overruns
    ADD CONSTRAINT price_overruns_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.price_rules
    ADD CONSTRAINT price_rules_one UNIQUE NULLS NOT DISTINCT (account_id, service, country, provider_id);

ALTER TABLE ONLY public.price_rules
    ADD CONSTRAINT price_rules_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.processes
    ADD CONSTRAINT processes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.prolongations
    ADD CONSTRAINT prolongations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.prolongations
    ADD CONSTRAINT prolongations_request UNIQUE (order_id, request_key);

ALTER TABLE ONLY public.provider_alerts
    ADD CONSTRAINT provider_alerts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.provider_balances
    ADD CONSTRAINT provider_balances_pkey PRIMARY KEY (provider_id, at);

ALTER TABLE ONLY public.provider_calls
    ADD CONSTRAINT provider_calls_pkey PRIMARY KEY (provider_id, hour, action, outcome);

ALTER TABLE ONLY public.provider_health
    ADD CONSTRAINT provider_health_pkey PRIMARY KEY (provider_id);

ALTER TABLE ONLY public.provider_money_checks
    ADD CONSTRAINT provider_money_checks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.provider_money
    ADD CONSTRAINT provider_money_pkey PRIMARY KEY (provider_id);

ALTER TABLE ONLY public.provider_top_ups
    ADD CONSTRAINT provider_top_ups_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.provider_unknown_words
    ADD CONSTRAINT provider_unknown_words_pkey PRIMARY KEY (provider_id, word);

ALTER TABLE ONLY public.provider_words
    ADD CONSTRAINT provider_words_code UNIQUE (provider_id, kind, code);

ALTER TABLE ONLY public.provider_words
    ADD CONSTRAINT provider_words_pkey PRIMARY KEY (provider_id, kind, word);

ALTER TABLE ONLY public.providers
    ADD CONSTRAINT providers_hook UNIQUE (hook_token_hash);

ALTER TABLE ONLY public.providers
    ADD CONSTRAINT providers_name UNIQUE (name);

ALTER TABLE ONLY public.providers
    ADD CONSTRAINT providers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.purchase_counts
    ADD CONSTRAINT purchase_counts_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.purchase_limits
    ADD CONSTRAINT purchase_limits_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.purchase_references
    ADD CONSTRAINT purchase_references_pkey PRIMARY KEY (account_id, reference);

ALTER TABLE ONLY public.quotes
    ADD CONSTRAINT quotes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.rate_samples
    ADD CONSTRAINT rate_samples_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.receipt_series
    ADD CONSTRAINT receipt_series_pkey PRIMARY KEY (series, year);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_number UNIQUE (number);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_serial UNIQUE (series, year, serial);

ALTER TABLE ONLY public.recharge_events
    ADD CONSTRAINT recharge_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.recharges
    ADD CONSTRAINT recharges_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.recharges
    ADD CONSTRAINT recharges_ref UNIQUE (ref);

ALTER TABLE ONLY public.reconciliations
    ADD CONSTRAINT reconciliations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.recovery_codes
    ADD CONSTRAINT recovery_codes_pkey PRIMARY KEY (account_id, code_hash);

ALTER TABLE ONLY public.rental_lists
    ADD CONSTRAINT rental_lists_pkey PRIMARY KEY (provider_id, country, hours);

ALTER TABLE ONLY public.rental_offers
    ADD CONSTRAINT rental_offers_one UNIQUE (provider_id, country, hours, service, operator);

ALTER TABLE ONLY public.rental_offers
    ADD CONSTRAINT rental_offers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.rental_readings
    ADD CONSTRAINT rental_readings_pkey PRIMARY KEY (provider_id);

ALTER TABLE ONLY public.rental_version
    ADD CONSTRAINT rental_version_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.report_due
    ADD CONSTRAINT report_due_pkey PRIMARY KEY (span, starts_at);

ALTER TABLE ONLY public.report_mark
    ADD CONSTRAINT report_mark_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.report_money
    ADD CONSTRAINT report_money_pkey PRIMARY KEY (span, starts_at, kind, bucket, rail);

ALTER TABLE ONLY public.report_orders
    ADD CONSTRAINT report_orders_pkey PRIMARY KEY (span, starts_at, service, country, provider_id);

ALTER TABLE ONLY public.report_taxes
    ADD CONSTRAINT report_taxes_pkey PRIMARY KEY (span, starts_at, kind);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.second_factors
    ADD CONSTRAINT second_factors_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.services
    ADD CONSTRAINT services_pkey PRIMARY KEY (code);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.shared_counts
    ADD CONSTRAINT shared_counts_pkey PRIMARY KEY (kind, key);

ALTER TABLE ONLY public.staff_targets
    ADD CONSTRAINT staff_targets_pkey PRIMARY KEY (channel);

ALTER TABLE ONLY public.statements
    ADD CONSTRAINT statements_once UNIQUE (vpa_id, sha256);

ALTER TABLE ONLY public.statements
    ADD CONSTRAINT statements_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.status_days
    ADD CONSTRAINT status_days_pkey PRIMARY KEY (part, day);

ALTER TABLE ONLY public.status_mark
    ADD CONSTRAINT status_mark_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.status_parts
    ADD CONSTRAINT status_parts_pkey PRIMARY KEY (part);

ALTER TABLE ONLY public.system_balances
    ADD CONSTRAINT system_balances_pkey PRIMARY KEY (bucket);

ALTER TABLE ONLY public.telegram_channel
    ADD CONSTRAINT telegram_channel_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.telegram_codes
    ADD CONSTRAINT telegram_codes_hash UNIQUE (code_hash);

ALTER TABLE ONLY public.telegram_codes
    ADD CONSTRAINT telegram_codes_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.telegram_links
    ADD CONSTRAINT telegram_links_chat UNIQUE (chat_id);

ALTER TABLE ONLY public.telegram_links
    ADD CONSTRAINT telegram_links_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.terms_acceptances
    ADD CONSTRAINT terms_acceptances_pkey PRIMARY KEY (account_id, version);

ALTER TABLE ONLY public.terms
    ADD CONSTRAINT terms_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.ticket_attachments
    ADD CONSTRAINT ticket_attachments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ticket_messages
    ADD CONSTRAINT ticket_messages_ordinal UNIQUE (ticket_id, ordinal);

ALTER TABLE ONLY public.ticket_messages
    ADD CONSTRAINT ticket_messages_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ticket_messages
    ADD CONSTRAINT ticket_messages_request UNIQUE (author_id, request_key);

ALTER TABLE ONLY public.tickets
    ADD CONSTRAINT tickets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tron_addresses
    ADD CONSTRAINT tron_addresses_account UNIQUE (fingerprint, account_id);

ALTER TABLE ONLY public.tron_addresses
    ADD CONSTRAINT tron_addresses_address UNIQUE (address);

ALTER TABLE ONLY public.tron_addresses
    ADD CONSTRAINT tron_addresses_index UNIQUE (fingerprint, index);

ALTER TABLE ONLY public.tron_addresses
    ADD CONSTRAINT tron_addresses_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tron_wallets
    ADD CONSTRAINT tron_wallets_pkey PRIMARY KEY (fingerprint);

ALTER TABLE ONLY public.undelivered_purchases
    ADD CONSTRAINT undelivered_purchases_pkey PRIMARY KEY (account_id, request_key);

ALTER TABLE ONLY public.unmapped_countries
    ADD CONSTRAINT unmapped_countries_pkey PRIMARY KEY (provider_id, word);

ALTER TABLE ONLY public.unmapped_services
    ADD CONSTRAINT unmapped_services_pkey PRIMARY KEY (provider_id, upstream_code);

ALTER TABLE ONLY public.utr_claims
    ADD CONSTRAINT utr_claims_once UNIQUE (recharge_id, rrn);

ALTER TABLE ONLY public.utr_claims
    ADD CONSTRAINT utr_claims_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.vpas
    ADD CONSTRAINT vpas_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.vpas
    ADD CONSTRAINT vpas_vpa UNIQUE (vpa);

ALTER TABLE ONLY public.wallets
    ADD CONSTRAINT wallets_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_event UNIQUE (endpoint_id, event_id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_events
    ADD CONSTRAINT webhook_events_body UNIQUE (gateway, body_sha256);

ALTER TABLE ONLY public.webhook_events
    ADD CONSTRAINT webhook_events_once UNIQUE (gateway, event_id);

ALTER TABLE ONLY public.webhook_events
    ADD CONSTRAINT webhook_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.withheld_messages
    ADD CONSTRAINT withheld_messages_pkey PRIMARY KEY (order_id, ordinal);

CREATE INDEX account_ips_last_seen ON public.account_ips USING btree (last_seen_at);

CREATE INDEX account_ips_network ON public.account_ips USING btree (account_id, network);

CREATE INDEX account_ips_shared ON public.account_ips USING btree (network);

CREATE INDEX account_notes_account ON public.account_notes USING btree (account_id, id DESC);

CREATE INDEX account_payers_account ON public.account_payers USING btree (account_id);

CREATE INDEX accounts_changed_at ON public.accounts USING btree (changed_at);

CREATE INDEX accounts_closed ON public.accounts USING btree (state_at) WHERE (state = 'closed'::text);

CREATE UNIQUE INDEX accounts_email_key ON public.accounts USING btree (email_key);

CREATE INDEX accounts_mail_pattern ON public.accounts USING btree ((((regexp_replace(split_part(email_key, '@'::text, 1), '[0-9]+'::text, ''::text, 'g'::text) || '@'::text) || split_part(email_key, '@'::text, 2))));

CREATE UNIQUE INDEX activations_order ON public.activations USING btree (order_id) WHERE (NOT is_former);

CREATE INDEX api_keys_account ON public.api_keys USING btree (account_id);

CREATE INDEX api_keys_changed_at ON public.api_keys USING btree (changed_at);

CREATE INDEX api_keys_prefix ON public.api_keys USING btree (prefix);

CREATE INDEX audit_log_account ON ONLY public.audit_log USING btree (account_id, id DESC);

CREATE INDEX audit_log_actor ON ONLY public.audit_log USING btree (actor_id, id DESC);

CREATE INDEX audit_log_default_account_id_id_idx ON public.audit_log_default USING btree (account_id, id DESC);

CREATE INDEX audit_log_default_actor_id_id_idx ON public.audit_log_default USING btree (actor_id, id DESC);

CREATE INDEX audit_log_id ON ONLY public.audit_log USING btree (id DESC);

CREATE INDEX audit_log_default_id_idx ON public.audit_log_default USING btree (id DESC);

CREATE INDEX audit_log_request ON ONLY public.audit_log USING btree (request_id) WHERE (request_id IS NOT NULL);

CREATE INDEX audit_log_default_request_id_idx ON public.audit_log_default USING btree (request_id) WHERE (request_id IS NOT NULL);

CREATE INDEX bank_credits_amount ON public.bank_credits USING btree (vpa_id, amount_paise) WHERE (state = 'open'::text);

CREATE INDEX bank_credits_open ON public.bank_credits USING btree (created_at) WHERE (state = 'open'::text);

CREATE INDEX bank_credits_payment ON public.bank_credits USING btree (payment_id) WHERE (payment_id IS NOT NULL);

CREATE INDEX catalogue_syncs_provider ON public.catalogue_syncs USING btree (provider_id, id DESC);

CREATE UNIQUE INDEX catalogue_syncs_running ON public.catalogue_syncs USING btree (provider_id) WHERE (state = 'running'::text);

CREATE INDEX entries_at ON ONLY public.entries USING brin (at) WITH (pages_per_range='32', autosummarize='on');

CREATE INDEX entries_wallet ON ONLY public.entries USING btree (account_id, version) WHERE (account_id IS NOT NULL);

CREATE INDEX entries_default_account_id_version_idx ON public.entries_default USING btree (account_id, version) WHERE (account_id IS NOT NULL);

CREATE INDEX entries_default_at_idx ON public.entries_default USING brin (at) WITH (pages_per_range='32', autosummarize='on');

CREATE INDEX entries_posting ON ONLY public.entries USING btree (posting_id);

CREATE INDEX entries_default_posting_id_idx ON public.entries_default USING btree (posting_id);

CREATE INDEX error_alerts_last_at ON public.error_alerts USING btree (last_at);

CREATE INDEX exchanges_order ON ONLY public.exchanges USING btree (order_id);

CREATE INDEX exchanges_default_order_id_idx ON public.exchanges_default USING btree (order_id);

CREATE INDEX external_payments_account ON public.external_payments USING btree (account_id, id DESC) WHERE (account_id IS NOT NULL);

CREATE INDEX external_payments_address ON public.external_payments USING btree (address_id) WHERE (address_id IS NOT NULL);

CREATE INDEX external_payments_created_at ON public.external_payments USING btree (rail, created_at);

CREATE INDEX external_payments_recharge ON public.external_payments USING btree (recharge_id) WHERE (recharge_id IS NOT NULL);

CREATE INDEX external_payments_rrn ON public.external_payments USING btree (rrn) WHERE (rrn IS NOT NULL);

CREATE INDEX external_payments_txid ON public.external_payments USING btree (split_part(external_id, ':'::text, 2)) WHERE (units IS NOT NULL);

CREATE INDEX external_payments_undecided ON public.external_payments USING btree (id) WHERE (state = ANY (ARRAY['waiting'::text, 'suspense'::text]));

CREATE INDEX gateway_refunds_due ON public.gateway_refunds USING btree (due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX gateway_refunds_payment ON public.gateway_refunds USING btree (payment_id);

CREATE INDEX holds_account ON public.holds USING btree (account_id, created_at DESC);

CREATE INDEX holds_live ON public.holds USING btree (account_id) WHERE (state = 'held'::text);

CREATE INDEX idempotency_keys_created_at ON public.idempotency_keys USING btree (created_at);

CREATE INDEX inbound_messages_delivered ON public.inbound_messages USING btree (provider_id, settled_at) WHERE (state = 'delivered'::text);

CREATE INDEX inbound_messages_due ON public.inbound_messages USING btree (next_try_at) WHERE (next_try_at IS NOT NULL);

CREATE INDEX inbound_messages_settled ON public.inbound_messages USING btree (settled_at) WHERE (settled_at IS NOT NULL);

CREATE INDEX inbound_messages_strays ON public.inbound_messages USING btree (provider_id, received_at) WHERE (state = ANY (ARRAY['parked'::text, 'unowned'::text]));

CREATE INDEX limit_counters_expires_at ON public.limit_counters USING btree (expires_at);

CREATE INDEX mail_tokens_created_at ON public.mail_tokens USING btree (created_at);

CREATE INDEX mail_tokens_live ON public.mail_tokens USING btree (account_id, purpose) WHERE ((used_at IS NULL) AND (ended_at IS NULL));

CREATE INDEX maintenance_windows_current ON public.maintenance_windows USING btree (starts_at) WHERE ((end_told_at IS NULL) AND (cancelled_at IS NULL));

CREATE INDEX messages_order ON ONLY public.messages USING btree (order_id);

CREATE INDEX messages_default_order_id_idx ON public.messages_default USING btree (order_id);

CREATE INDEX messages_unpurged ON ONLY public.messages USING btree (received_at) WHERE (purged_at IS NULL);

CREATE INDEX messages_default_received_at_idx ON public.messages_default USING btree (received_at) WHERE (purged_at IS NULL);

CREATE INDEX money_requests_asked ON public.money_requests USING btree (asked_by, asked_at);

CREATE INDEX money_requests_decided ON public.money_requests USING btree (decided_by, decided_at) WHERE (decided_by IS NOT NULL);

CREATE INDEX money_requests_waiting ON public.money_requests USING btree (id) WHERE (state = 'waiting'::text);

CREATE INDEX notice_choices_codes ON public.notice_choices USING btree (account_id) WHERE ('telegram:code'::text = ANY (switched_on));

CREATE INDEX notice_choices_low_balance ON public.notice_choices USING btree (account_id) WHERE (low_balance_paise IS NOT NULL);

CREATE INDEX offers_phantom ON public.offers USING btree (phantom_until) WHERE (phantom_until IS NOT NULL);

CREATE INDEX offers_provider_id ON public.offers USING btree (provider_id, id);

CREATE INDEX offers_tried ON public.offers USING btree (tried_at) WHERE (tried_at IS NOT NULL);

CREATE INDEX order_events_at ON public.order_events USING btree (at);

CREATE INDEX orders_account ON public.orders USING btree (account_id, id DESC);

CREATE INDEX orders_changed_at ON public.orders USING btree (changed_at);

CREATE INDEX orders_created_at ON public.orders USING brin (created_at timestamptz_minmax_multi_ops) WITH (pages_per_range='32', autosummarize='on');

CREATE INDEX orders_due ON public.orders USING btree (next_try_at) WHERE (next_try_at IS NOT NULL);

CREATE INDEX orders_expiry ON public.orders USING btree (expires_at) WHERE (state = ANY (ARRAY['active'::text, 'received'::text]));

CREATE UNIQUE INDEX orders_live_number ON public.orders USING btree (number, service) WHERE ((ended_at IS NULL) AND (number IS NOT NULL));

CREATE INDEX orders_number ON public.orders USING btree (number, id DESC) WHERE (number IS NOT NULL);

CREATE INDEX orders_open ON public.orders USING btree (provider_id, id) WHERE (ended_at IS NULL);

CREATE INDEX orders_open_account ON public.orders USING btree (account_id) WHERE (ended_at IS NULL);

CREATE INDEX orders_overcharged ON public.orders USING btree (provider_id, activated_at) WHERE ((charged_paise * 100) > (cost_paise * 101));

CREATE INDEX orders_release ON public.orders USING btree (provider_id, id) WHERE release_due;

CREATE INDEX orders_rented ON public.orders USING btree (provider_id, next_try_at) WHERE ((hours IS NOT NULL) AND (ended_at IS NULL) AND (activated_at IS NOT NULL));

CREATE INDEX orders_revoked ON public.orders USING btree (provider_id) WHERE ((revoked_at IS NOT NULL) AND (refunded_at IS NULL));

CREATE INDEX orders_window ON public.orders USING btree (sent_at) WHERE ((hours IS NOT NULL) AND (state = 'active'::text));

CREATE INDEX orphans_due ON public.orphans USING btree (next_try_at) WHERE (next_try_at IS NOT NULL);

CREATE INDEX outbox_account ON public.outbox USING btree (account_id, id DESC);

CREATE INDEX outbox_due ON public.outbox USING btree (channel, due_at) WHERE (state = 'waiting'::text);

CREATE INDEX outbox_ended_at ON public.outbox USING btree (ended_at) WHERE (state <> 'waiting'::text);

CREATE INDEX outbox_failed ON public.outbox USING btree (id DESC) WHERE (state = 'failed'::text);

CREATE INDEX postings_at ON public.postings USING brin (at) WITH (pages_per_range='32', autosummarize='on');

CREATE INDEX price_overruns_provider ON public.price_overruns USING btree (provider_id, at);

CREATE INDEX prolongations_due ON public.prolongations USING btree (provider_id, sent_at) WHERE (state = ANY (ARRAY['requested'::text, 'unknown'::text]));

CREATE UNIQUE INDEX prolongations_open ON public.prolongations USING btree (order_id) WHERE (state = ANY (ARRAY['requested'::text, 'unknown'::text]));

CREATE INDEX prolongations_settled ON public.prolongations USING btree (provider_id, settled_at) WHERE (state = 'done'::text);

CREATE UNIQUE INDEX provider_alerts_open ON public.provider_alerts USING btree (provider_id, kind) WHERE (closed_at IS NULL);

CREATE INDEX provider_alerts_over ON public.provider_alerts USING btree (id) WHERE ((told_at IS NOT NULL) AND (closed_at IS NOT NULL) AND (over_told_at IS NULL));

CREATE INDEX provider_alerts_provider ON public.provider_alerts USING btree (provider_id, id DESC);

CREATE INDEX provider_alerts_untold ON public.provider_alerts USING btree (id) WHERE (told_at IS NULL);

CREATE INDEX provider_balances_at ON public.provider_balances USING btree (at);

CREATE INDEX provider_money_checks_at ON public.provider_money_checks USING btree (at);

CREATE INDEX provider_money_checks_provider ON public.provider_money_checks USING btree (provider_id, id DESC);

CREATE INDEX provider_top_ups_provider ON public.provider_top_ups USING btree (provider_id, id DESC);

CREATE INDEX rate_samples_created_at ON public.rate_samples USING btree (created_at);

CREATE INDEX rate_samples_newest ON public.rate_samples USING btree (asset, source, observed_at DESC);

CREATE INDEX receipts_account ON public.receipts USING btree (account_id, id DESC);

CREATE INDEX receipts_issued_at ON public.receipts USING btree (issued_at);

CREATE UNIQUE INDEX receipts_payment ON public.receipts USING btree (payment_id) WHERE (kind = 'receipt'::text);

CREATE INDEX receipts_recharge ON public.receipts USING btree (recharge_id) WHERE (recharge_id IS NOT NULL);

CREATE UNIQUE INDEX receipts_refund ON public.receipts USING btree (refund_id) WHERE (refund_id IS NOT NULL);

CREATE INDEX recharge_events_recharge ON public.recharge_events USING btree (recharge_id, id);

CREATE INDEX recharges_account ON public.recharges USING btree (account_id, id DESC);

CREATE INDEX recharges_address ON public.recharges USING btree (address_id, id DESC) WHERE (address_id IS NOT NULL);

CREATE INDEX recharges_due_at ON public.recharges USING btree (due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX recharges_expires_at ON public.recharges USING btree (expires_at) WHERE (status = ANY (ARRAY['created'::text, 'awaiting_payment'::text]));

CREATE INDEX recharges_gateway_id ON public.recharges USING btree (gateway_id) WHERE (gateway_id IS NOT NULL);

CREATE INDEX recharges_open ON public.recharges USING btree (account_id, method) WHERE (status = ANY (ARRAY['created'::text, 'awaiting_payment'::text, 'submitted'::text, 'detected'::text]));

CREATE UNIQUE INDEX recharges_request_key ON public.recharges USING btree (account_id, request_key) WHERE (request_key IS NOT NULL);

CREATE UNIQUE INDEX recharges_slot ON public.recharges USING btree (vpa_id, payable_paise) WHERE holds_slot;

CREATE INDEX recharges_slot_until ON public.recharges USING btree (expires_at) WHERE holds_slot;

CREATE INDEX recharges_submitted ON public.recharges USING btree (changed_at) WHERE (status = 'submitted'::text);

CREATE INDEX reconciliations_newest ON public.reconciliations USING btree (source, id DESC);

CREATE INDEX rental_lists_due ON public.rental_lists USING btree (provider_id, read_at NULLS FIRST);

CREATE INDEX rental_offers_gone ON public.rental_offers USING btree (observed_at) WHERE (stock = 0);

CREATE INDEX rental_offers_version ON public.rental_offers USING btree (version);

CREATE INDEX sessions_account ON public.sessions USING btree (account_id, id DESC);

CREATE INDEX sessions_changed_at ON public.sessions USING btree (changed_at);

CREATE INDEX sessions_expires_at ON public.sessions USING btree (expires_at);

CREATE INDEX statements_waiting ON public.statements USING btree (due_at) WHERE (state = 'waiting'::text);

CREATE INDEX ticket_attachments_account ON public.ticket_attachments USING btree (account_id);

CREATE INDEX ticket_attachments_ticket ON public.ticket_attachments USING btree (ticket_id, id);

CREATE INDEX tickets_account ON public.tickets USING btree (account_id, id DESC);

CREATE INDEX tickets_assignee ON public.tickets USING btree (assignee_id, id DESC) WHERE (assignee_id IS NOT NULL);

CREATE INDEX tickets_kept ON public.tickets USING btree (ended_at) WHERE ((state = 'closed'::text) AND (purged_at IS NULL));

CREATE UNIQUE INDEX tickets_live_order ON public.tickets USING btree (order_id) WHERE ((ended_at IS NULL) AND (order_id IS NOT NULL));

CREATE UNIQUE INDEX tickets_live_recharge ON public.tickets USING btree (recharge_id) WHERE ((ended_at IS NULL) AND (recharge_id IS NOT NULL));

CREATE INDEX tickets_order ON public.tickets USING btree (order_id, id DESC) WHERE (order_id IS NOT NULL);

CREATE INDEX tickets_recharge ON public.tickets USING btree (recharge_id, id DESC) WHERE (recharge_id IS NOT NULL);

CREATE INDEX tickets_silent ON public.tickets USING btree (active_at) WHERE (state = ANY (ARRAY['answered'::text, 'waiting'::text, 'solved'::text]));

CREATE INDEX tickets_state_id ON public.tickets USING btree (state, id DESC);

CREATE INDEX transcripts_at ON ONLY public.transcripts USING btree (provider_id, at);

CREATE INDEX transcripts_default_provider_id_at_idx ON public.transcripts_default USING btree (provider_id, at);

CREATE INDEX transcripts_subject ON ONLY public.transcripts USING btree (provider_id, subject);

CREATE INDEX transcripts_default_provider_id_subject_idx ON public.transcripts_default USING btree (provider_id, subject);

CREATE INDEX tron_addresses_due ON public.tron_addresses USING btree (due_at);

CREATE INDEX undelivered_purchases_age ON public.undelivered_purchases USING btree (noted_at);

CREATE INDEX undelivered_purchases_kind ON public.undelivered_purchases USING btree (account_id, fingerprint, noted_at);

CREATE INDEX utr_claims_account ON public.utr_claims USING btree (account_id, created_at DESC);

CREATE INDEX utr_claims_rrn ON public.utr_claims USING btree (vpa_id, rrn);

CREATE INDEX webhook_deliveries_backlog ON public.webhook_deliveries USING btree (account_id, id DESC) WHERE (state = 'waiting'::text);

CREATE INDEX webhook_deliveries_due ON public.webhook_deliveries USING btree (next_try_at) WHERE (state = 'waiting'::text);

CREATE INDEX webhook_deliveries_ended ON public.webhook_deliveries USING btree (ended_at) WHERE (ended_at IS NOT NULL);

CREATE INDEX webhook_deliveries_endpoint ON public.webhook_deliveries USING btree (endpoint_id, id DESC);

CREATE INDEX webhook_deliveries_failed ON public.webhook_deliveries USING btree (ended_at) WHERE (state = 'failed'::text);

CREATE INDEX webhook_deliveries_leased ON public.webhook_deliveries USING btree (account_id) WHERE (leased_until IS NOT NULL);

CREATE INDEX webhook_deliveries_waiting ON public.webhook_deliveries USING btree (endpoint_id, next_try_at, id) WHERE (state = 'waiting'::text);

CREATE INDEX webhook_endpoints_account ON public.webhook_endpoints USING btree (account_id, id);

CREATE INDEX webhook_endpoints_deleted ON public.webhook_endpoints USING btree (id) WHERE (state = 'deleted'::text);

CREATE INDEX webhook_endpoints_on ON public.webhook_endpoints USING btree (account_id, id) WHERE (state = 'on'::text);

CREATE INDEX webhook_events_due ON public.webhook_events USING btree (due_at) WHERE (state = 'waiting'::text);

CREATE INDEX webhook_events_ended_at ON public.webhook_events USING btree (ended_at) WHERE (ended_at IS NOT NULL);

CREATE INDEX withheld_messages_account ON public.withheld_messages USING btree (account_id, withheld_at DESC);

CREATE INDEX withheld_messages_at ON public.withheld_messages USING btree (withheld_at);

CREATE INDEX withheld_messages_held ON public.withheld_messages USING btree (withheld_at) WHERE (state = 'held'::text);

CREATE INDEX withheld_messages_untold ON public.withheld_messages USING btree (withheld_at) WHERE (told_at IS NULL);

ALTER INDEX public.audit_log_account ATTACH PARTITION public.audit_log_default_account_id_id_idx;

ALTER INDEX public.audit_log_actor ATTACH PARTITION public.audit_log_default_actor_id_id_idx;

ALTER INDEX public.audit_log_id ATTACH PARTITION public.audit_log_default_id_idx;

ALTER INDEX public.audit_log_request ATTACH PARTITION public.audit_log_default_request_id_idx;

ALTER INDEX public.entries_wallet ATTACH PARTITION public.entries_default_account_id_version_idx;

ALTER INDEX public.entries_at ATTACH PARTITION public.entries_default_at_idx;

ALTER INDEX public.entries_posting ATTACH PARTITION public.entries_default_posting_id_idx;

ALTER INDEX public.exchanges_order ATTACH PARTITION public.exchanges_default_order_id_idx;

ALTER INDEX public.messages_order ATTACH PARTITION public.messages_default_order_id_idx;

ALTER INDEX public.messages_unpurged ATTACH PARTITION public.messages_default_received_at_idx;

ALTER INDEX public.transcripts_at ATTACH PARTITION public.transcripts_default_provider_id_at_idx;

ALTER INDEX public.transcripts_subject ATTACH PARTITION public.transcripts_default_provider_id_subject_idx;

CREATE TRIGGER account_notes_append_only BEFORE DELETE OR UPDATE ON public.account_notes FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER account_notes_no_truncate BEFORE TRUNCATE ON public.account_notes FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER accounts_email_key BEFORE INSERT ON public.accounts FOR EACH ROW EXECUTE FUNCTION public.fill_email_key();

CREATE TRIGGER audit_log_append_only BEFORE DELETE OR UPDATE ON public.audit_log FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON public.audit_log FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON public.audit_log_default FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER audit_seals_append_only BEFORE DELETE OR UPDATE ON public.audit_seals FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER audit_seals_no_truncate BEFORE TRUNCATE ON public.audit_seals FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER entries_append_only BEFORE DELETE OR UPDATE ON public.entries FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER entries_no_truncate BEFORE TRUNCATE ON public.entries FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER entries_no_truncate BEFORE TRUNCATE ON public.entries_default FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER postings_append_only BEFORE DELETE OR UPDATE ON public.postings FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER postings_no_truncate BEFORE TRUNCATE ON public.postings FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

ALTER TABLE ONLY public.account_ips
    ADD CONSTRAINT account_ips_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.account_notes
    ADD CONSTRAINT account_notes_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.account_notes
    ADD CONSTRAINT account_notes_author_id_fkey FOREIGN KEY (author_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.account_payers
    ADD CONSTRAINT account_payers_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_sandbox_of_fkey FOREIGN KEY (sandbox_of) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.activations
    ADD CONSTRAINT activations_order_id_fkey FOREIGN KEY (order_id) REFERENCES public.orders(id);

ALTER TABLE ONLY public.activations
    ADD CONSTRAINT activations_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_replaced_by_fkey FOREIGN KEY (replaced_by) REFERENCES public.api_keys(id);

ALTER TABLE ONLY public.approvals
    ADD CONSTRAINT approvals_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.approvals
    ADD CONSTRAINT approvals_approver_id_fkey FOREIGN KEY (approver_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.bank_credits
    ADD CONSTRAINT bank_credits_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.external_payments(id);

ALTER TABLE ONLY public.bank_credits
    ADD CONSTRAINT bank_credits_statement_id_fkey FOREIGN KEY (statement_id) REFERENCES public.statements(id);

ALTER TABLE ONLY public.bank_credits
    ADD CONSTRAINT bank_credits_vpa_id_fkey FOREIGN KEY (vpa_id) REFERENCES public.vpas(id);

ALTER TABLE ONLY public.catalogue_sync_asks
    ADD CONSTRAINT catalogue_sync_asks_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.catalogue_syncs
    ADD CONSTRAINT catalogue_syncs_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.delivery_stats
    ADD CONSTRAINT delivery_stats_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.event_counters
    ADD CONSTRAINT event_counters_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.external_payments
    ADD CONSTRAINT external_payments_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.external_payments
    ADD CONSTRAINT external_payments_address_id_fkey FOREIGN KEY (address_id) REFERENCES public.tron_addresses(id);

ALTER TABLE ONLY public.external_payments
    ADD CONSTRAINT external_payments_quote_id_fkey FOREIGN KEY (quote_id) REFERENCES public.quotes(id);

ALTER TABLE ONLY public.external_payments
    ADD CONSTRAINT external_payments_recharge_id_fkey FOREIGN KEY (recharge_id) REFERENCES public.recharges(id);

ALTER TABLE ONLY public.external_payments
    ADD CONSTRAINT external_payments_vpa_id_fkey FOREIGN KEY (vpa_id) REFERENCES public.vpas(id);

ALTER TABLE ONLY public.gateway_refunds
    ADD CONSTRAINT gateway_refunds_by_account_fkey FOREIGN KEY (by_account) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.gateway_refunds
    ADD CONSTRAINT gateway_refunds_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.external_payments(id);

ALTER TABLE ONLY public.holds
    ADD CONSTRAINT holds_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.wallets(account_id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.inbound_messages
    ADD CONSTRAINT inbound_messages_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.lawful_requests
    ADD CONSTRAINT lawful_requests_asked_by_fkey FOREIGN KEY (asked_by) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.lawful_requests
    ADD CONSTRAINT lawful_requests_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.mail_tokens
    ADD CONSTRAINT mail_tokens_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.money_requests
    ADD CONSTRAINT money_requests_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.money_requests
    ADD CONSTRAINT money_requests_asked_by_fkey FOREIGN KEY (asked_by) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.money_requests
    ADD CONSTRAINT money_requests_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.notice_choices
    ADD CONSTRAINT notice_choices_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.offers
    ADD CONSTRAINT offers_country_fkey FOREIGN KEY (country) REFERENCES public.countries(code);

ALTER TABLE ONLY public.offers
    ADD CONSTRAINT offers_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.offers
    ADD CONSTRAINT offers_service_fkey FOREIGN KEY (service) REFERENCES public.services(code);

ALTER TABLE ONLY public.order_events
    ADD CONSTRAINT order_events_order_id_fkey FOREIGN KEY (order_id) REFERENCES public.orders(id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_country_fkey FOREIGN KEY (country) REFERENCES public.countries(code);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_service_fkey FOREIGN KEY (service) REFERENCES public.services(code);

ALTER TABLE ONLY public.orphans
    ADD CONSTRAINT orphans_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.price_overruns
    ADD CONSTRAINT price_overruns_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.price_rules
    ADD CONSTRAINT price_rules_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.price_rules
    ADD CONSTRAINT price_rules_country_fkey FOREIGN KEY (country) REFERENCES public.countries(code);

ALTER TABLE ONLY public.price_rules
    ADD CONSTRAINT price_rules_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.price_rules
    ADD CONSTRAINT price_rules_service_fkey FOREIGN KEY (service) REFERENCES public.services(code);

ALTER TABLE ONLY public.prolongations
    ADD CONSTRAINT prolongations_order_id_fkey FOREIGN KEY (order_id) REFERENCES public.orders(id);

ALTER TABLE ONLY public.prolongations
    ADD CONSTRAINT prolongations_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.provider_alerts
    ADD CONSTRAINT provider_alerts_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.provider_balances
    ADD CONSTRAINT provider_balances_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.provider_calls
    ADD CONSTRAINT provider_calls_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.provider_health
    ADD CONSTRAINT provider_health_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.provider_money_checks
    ADD CONSTRAINT provider_money_checks_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.provider_money
    ADD CONSTRAINT provider_money_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.provider_top_ups
    ADD CONSTRAINT provider_top_ups_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.provider_unknown_words
    ADD CONSTRAINT provider_unknown_words_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.provider_words
    ADD CONSTRAINT provider_words_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.purchase_counts
    ADD CONSTRAINT purchase_counts_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.purchase_limits
    ADD CONSTRAINT purchase_limits_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.purchase_references
    ADD CONSTRAINT purchase_references_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.external_payments(id);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_recharge_id_fkey FOREIGN KEY (recharge_id) REFERENCES public.recharges(id);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES public.gateway_refunds(id);

ALTER TABLE ONLY public.recharge_events
    ADD CONSTRAINT recharge_events_recharge_id_fkey FOREIGN KEY (recharge_id) REFERENCES public.recharges(id);

ALTER TABLE ONLY public.recharges
    ADD CONSTRAINT recharges_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.recharges
    ADD CONSTRAINT recharges_address_id_fkey FOREIGN KEY (address_id) REFERENCES public.tron_addresses(id);

ALTER TABLE ONLY public.recharges
    ADD CONSTRAINT recharges_quote_id_fkey FOREIGN KEY (quote_id) REFERENCES public.quotes(id);

ALTER TABLE ONLY public.recharges
    ADD CONSTRAINT recharges_vpa_id_fkey FOREIGN KEY (vpa_id) REFERENCES public.vpas(id);

ALTER TABLE ONLY public.recovery_codes
    ADD CONSTRAINT recovery_codes_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.rental_lists
    ADD CONSTRAINT rental_lists_country_fkey FOREIGN KEY (country) REFERENCES public.countries(code);

ALTER TABLE ONLY public.rental_lists
    ADD CONSTRAINT rental_lists_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.rental_offers
    ADD CONSTRAINT rental_offers_country_fkey FOREIGN KEY (country) REFERENCES public.countries(code);

ALTER TABLE ONLY public.rental_offers
    ADD CONSTRAINT rental_offers_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.rental_offers
    ADD CONSTRAINT rental_offers_service_fkey FOREIGN KEY (service) REFERENCES public.services(code);

ALTER TABLE ONLY public.rental_readings
    ADD CONSTRAINT rental_readings_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.second_factors
    ADD CONSTRAINT second_factors_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.statements
    ADD CONSTRAINT statements_by_account_fkey FOREIGN KEY (by_account) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.statements
    ADD CONSTRAINT statements_vpa_id_fkey FOREIGN KEY (vpa_id) REFERENCES public.vpas(id);

ALTER TABLE ONLY public.telegram_codes
    ADD CONSTRAINT telegram_codes_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.telegram_links
    ADD CONSTRAINT telegram_links_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.terms_acceptances
    ADD CONSTRAINT terms_acceptances_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.terms_acceptances
    ADD CONSTRAINT terms_acceptances_version_fkey FOREIGN KEY (version) REFERENCES public.terms(version);

ALTER TABLE ONLY public.ticket_attachments
    ADD CONSTRAINT ticket_attachments_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.ticket_attachments
    ADD CONSTRAINT ticket_attachments_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES public.tickets(id);

ALTER TABLE ONLY public.ticket_attachments
    ADD CONSTRAINT ticket_attachments_ticket_id_ordinal_fkey FOREIGN KEY (ticket_id, ordinal) REFERENCES public.ticket_messages(ticket_id, ordinal);

ALTER TABLE ONLY public.ticket_messages
    ADD CONSTRAINT ticket_messages_author_id_fkey FOREIGN KEY (author_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.ticket_messages
    ADD CONSTRAINT ticket_messages_ticket_id_fkey FOREIGN KEY (ticket_id) REFERENCES public.tickets(id);

ALTER TABLE ONLY public.tickets
    ADD CONSTRAINT tickets_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.tickets
    ADD CONSTRAINT tickets_assignee_id_fkey FOREIGN KEY (assignee_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.tickets
    ADD CONSTRAINT tickets_order_id_fkey FOREIGN KEY (order_id) REFERENCES public.orders(id);

ALTER TABLE ONLY public.tickets
    ADD CONSTRAINT tickets_recharge_id_fkey FOREIGN KEY (recharge_id) REFERENCES public.recharges(id);

ALTER TABLE ONLY public.tron_addresses
    ADD CONSTRAINT tron_addresses_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.tron_addresses
    ADD CONSTRAINT tron_addresses_fingerprint_fkey FOREIGN KEY (fingerprint) REFERENCES public.tron_wallets(fingerprint);

ALTER TABLE ONLY public.undelivered_purchases
    ADD CONSTRAINT undelivered_purchases_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.unmapped_countries
    ADD CONSTRAINT unmapped_countries_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.unmapped_services
    ADD CONSTRAINT unmapped_services_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.utr_claims
    ADD CONSTRAINT utr_claims_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.utr_claims
    ADD CONSTRAINT utr_claims_recharge_id_fkey FOREIGN KEY (recharge_id) REFERENCES public.recharges(id);

ALTER TABLE ONLY public.utr_claims
    ADD CONSTRAINT utr_claims_vpa_id_fkey FOREIGN KEY (vpa_id) REFERENCES public.vpas(id);

ALTER TABLE ONLY public.wallets
    ADD CONSTRAINT wallets_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES public.webhook_endpoints(id);

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.withheld_messages
    ADD CONSTRAINT withheld_messages_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.withheld_messages
    ADD CONSTRAINT withheld_messages_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.withheld_messages
    ADD CONSTRAINT withheld_messages_order_id_fkey FOREIGN KEY (order_id) REFERENCES public.orders(id);

GRANT USAGE ON SCHEMA public TO numberdesk_app;

REVOKE ALL ON FUNCTION public.create_month_partitions(parent regclass, months_ahead integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.create_month_partitions(parent regclass, months_ahead integer) TO numberdesk_app;

GRANT ALL ON FUNCTION public.is_sandbox(account_id bigint) TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.account_ips TO numberdesk_app;

GRANT SELECT,INSERT ON TABLE public.account_notes TO numberdesk_app;

GRANT USAGE ON SEQUENCE public.account_notes_id_seq TO numberdesk_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.account_payers TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.accounts TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.activations TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.api_keys TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.approvals TO numberdesk_app;

GRANT SELECT,INSERT ON TABLE public.audit_log TO numberdesk_app;

GRANT SELECT,INSERT ON TABLE public.audit_seals TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.bank_credits TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.blocked_categories TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.catalogue_sync_asks TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.catalogue_syncs TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.catalogue_version TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.countries TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.delivery_stats TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.delivery_stats_mark TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.email_domains TO numberdesk_app;

GRANT SELECT,INSERT ON TABLE public.entries TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.error_alerts TO numberdesk_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.event_counters TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.exchanges TO numberdesk_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.external_payments TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.gateway_refunds TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.holds TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.idempotency_keys TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.inbound_messages TO numberdesk_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.lawful_requests TO numberdesk_app;

GRANT USAGE ON SEQUENCE public.lawful_requests_id_seq TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ledger_results TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ledger_runs TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.limit_counters TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.recharges TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ticket_messages TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.tickets TO numberdesk_app;

GRANT SELECT ON TABLE public.listed_tickets TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.mail_requests TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.mail_tokens TO numberdesk_app;

GRANT SELECT,UPDATE ON TABLE public.maintenance_version TO numberdesk_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.maintenance_windows TO numberdesk_app;

GRANT USAGE ON SEQUENCE public.maintenance_windows_id_seq TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.messages TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.metric_totals TO numberdesk_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.money_requests TO numberdesk_app;

GRANT USAGE ON SEQUENCE public.money_requests_id_seq TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.notice_choices TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.offers TO numberdesk_app;

GRANT SELECT,INSERT,DELETE ON TABLE public.order_events TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.orders TO numberdesk_app;

GRANT USAGE ON SEQUENCE public.orders_id_seq TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.orphans TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.outbox TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.second_factors TO numberdesk_app;

GRANT SELECT ON TABLE public.people TO numberdesk_app;

GRANT SELECT,INSERT ON TABLE public.postings TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.price_overruns TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.price_rules TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.processes TO numberdesk_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.prolongations TO numberdesk_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.provider_alerts TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.provider_balances TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.provider_calls TO numberdesk_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.provider_health TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.provider_money TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.provider_money_checks TO numberdesk_app;

GRANT SELECT,INSERT ON TABLE public.provider_top_ups TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.provider_unknown_words TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.provider_words TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.providers TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.purchase_counts TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.purchase_limits TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.purchase_references TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.quotes TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rate_samples TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.receipt_series TO numberdesk_app;

GRANT SELECT,INSERT ON TABLE public.receipts TO numberdesk_app;

GRANT SELECT,INSERT ON TABLE public.recharge_events TO numberdesk_app;

GRANT SELECT,INSERT ON TABLE public.reconciliations TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.recovery_codes TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rental_lists TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rental_offers TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rental_readings TO numberdesk_app;

GRANT SELECT,UPDATE ON TABLE public.rental_version TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.report_due TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.report_mark TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.report_money TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.report_orders TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.report_taxes TO numberdesk_app;

GRANT SELECT ON TABLE public.schema_migrations TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.services TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.sessions TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.shared_counts TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.staff_targets TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.statements TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.status_days TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.status_mark TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.status_parts TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.system_balances TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.system_changes TO numberdesk_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.telegram_channel TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.telegram_codes TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.telegram_links TO numberdesk_app;

GRANT SELECT,INSERT ON TABLE public.terms TO numberdesk_app;

GRANT SELECT,INSERT ON TABLE public.terms_acceptances TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ticket_attachments TO numberdesk_app;

GRANT USAGE ON SEQUENCE public.ticket_attachments_id_seq TO numberdesk_app;

GRANT USAGE ON SEQUENCE public.tickets_id_seq TO numberdesk_app;

GRANT SELECT,INSERT,DELETE ON TABLE public.transcripts TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.tron_addresses TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.tron_wallets TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.undelivered_purchases TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.unmapped_countries TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.unmapped_services TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.utr_claims TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.vpas TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.wallets TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_deliveries TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_endpoints TO numberdesk_app;

GRANT USAGE ON SEQUENCE public.webhook_endpoints_id_seq TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_events TO numberdesk_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.withheld_messages TO numberdesk_app;
