-- Support tickets: what customers ask, and what staff answer. Written by the support slice.

CREATE TABLE tickets (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id     bigint NOT NULL REFERENCES accounts,
    -- What it is about, if it is about one thing. Both are the account's own.
    order_id       bigint REFERENCES orders,
    recharge_id    bigint REFERENCES recharges,
    -- Sealed, as customers write codes and passwords everywhere. It goes with the bodies.
    subject        bytea,
    -- open: waits for staff. answered, waiting: staff wrote last, and asked nothing, or something. solved: staff think
    -- that it is done. closed: it is over.
    state          text NOT NULL DEFAULT 'open'
                   CONSTRAINT tickets_state CHECK (state IN ('open', 'answered', 'waiting', 'solved', 'closed')),
    priority       text NOT NULL DEFAULT 'normal'
                   CONSTRAINT tickets_priority CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    assignee_id    bigint REFERENCES accounts,
    -- Counts decisions: state, priority and assignee. Messages alone do not move it.
    version        int NOT NULL DEFAULT 1,
    -- The number of the newest message, and the newest that each side has seen.
    last_ordinal   int NOT NULL DEFAULT 0,
    customer_seen  int NOT NULL DEFAULT 0,
    staff_seen     int NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The newest message or decision: silence is counted from here.
    active_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at       timestamptz,
    ended_by       text CONSTRAINT tickets_ended_by CHECK (ended_by IN ('customer', 'staff', 'silence')),
    purged_at      timestamptz,
    CHECK (order_id IS NULL OR recharge_id IS NULL),
    CHECK ((state IN ('solved', 'closed')) = (ended_at IS NOT NULL)),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL)),
    CHECK (purged_at IS NULL OR state = 'closed'),
    CHECK ((subject IS NULL) = (purged_at IS NOT NULL))
);
CREATE UNIQUE INDEX tickets_live_order ON tickets (order_id) WHERE ended_at IS NULL AND order_id IS NOT NULL;
CREATE UNIQUE INDEX tickets_live_recharge ON tickets (recharge_id)
    WHERE ended_at IS NULL AND recharge_id IS NOT NULL;
CREATE INDEX tickets_account ON tickets (account_id, id DESC);
CREATE INDEX tickets_state_id ON tickets (state, id DESC);
CREATE INDEX tickets_assignee ON tickets (assignee_id, id DESC) WHERE assignee_id IS NOT NULL;
CREATE INDEX tickets_order ON tickets (order_id, id DESC) WHERE order_id IS NOT NULL;
CREATE INDEX tickets_recharge ON tickets (recharge_id, id DESC) WHERE recharge_id IS NOT NULL;
CREATE INDEX tickets_silent ON tickets (active_at) WHERE state IN ('answered', 'waiting', 'solved');
CREATE INDEX tickets_kept ON tickets (ended_at) WHERE state = 'closed' AND purged_at IS NULL;

CREATE TABLE ticket_messages (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id    bigint NOT NULL REFERENCES tickets,
    ordinal      int NOT NULL CHECK (ordinal > 0),
    -- note: staff to staff. No customer ever sees one.
    kind         text NOT NULL CONSTRAINT ticket_messages_kind CHECK (kind IN ('customer', 'staff', 'note')),
    author_id    bigint NOT NULL REFERENCES accounts,
    -- Sealed. NULL once it was purged.
    body         bytea,
    -- The Idempotency-Key that it came with: a repeat finds it, also when the first answer was lost.
    request_key  text,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT ticket_messages_ordinal UNIQUE (ticket_id, ordinal),
    CONSTRAINT ticket_messages_request UNIQUE (author_id, request_key)
);

-- Pictures that customers sent. Sealed, so that compressing them again is of no use.
CREATE TABLE ticket_attachments (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id   bigint NOT NULL REFERENCES tickets,
    ordinal     int NOT NULL,
    account_id  bigint NOT NULL REFERENCES accounts,
    type        text NOT NULL CONSTRAINT ticket_attachments_type CHECK (type IN ('png', 'jpeg', 'webp')),
    bytes       int NOT NULL CHECK (bytes > 0),
    width       int NOT NULL CHECK (width > 0),
    height      int NOT NULL CHECK (height > 0),
    content     bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (ticket_id, ordinal) REFERENCES ticket_messages (ticket_id, ordinal)
);
ALTER TABLE ticket_attachments ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX ticket_attachments_ticket ON ticket_attachments (ticket_id, id);
CREATE INDEX ticket_attachments_account ON ticket_attachments (account_id);

-- A ticket as lists show it.
CREATE VIEW listed_tickets AS
    SELECT ticket.*, recharge.ref AS recharge_ref,
           (SELECT count(*)::int FROM ticket_messages AS message
            WHERE message.ticket_id = ticket.id AND message.ordinal > ticket.customer_seen
              AND message.kind = 'staff') AS unread_by_customer,
           (SELECT count(*)::int FROM ticket_messages AS message
            WHERE message.ticket_id = ticket.id AND message.ordinal > ticket.staff_seen
              AND message.kind = 'customer') AS unread_by_staff
    FROM tickets AS ticket LEFT JOIN recharges AS recharge ON recharge.id = ticket.recharge_id;

GRANT SELECT, INSERT, UPDATE, DELETE ON tickets, ticket_messages, ticket_attachments TO numberdesk_app;
GRANT SELECT ON listed_tickets TO numberdesk_app;
GRANT USAGE ON SEQUENCE tickets_id_seq, ticket_attachments_id_seq TO numberdesk_app;
