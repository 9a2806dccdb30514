-- The audit log's rows in the order in which they were sealed, each with a hash over itself and the hash before it: who
-- changes or removes a row must change every one after it, and the newest hash has been told elsewhere.
CREATE TABLE audit_seals (
    seq       bigint PRIMARY KEY CHECK (seq > 0),
    audit_id  bigint NOT NULL,
    hash      bytea NOT NULL CHECK (length(hash) = 32),
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT audit_seals_once UNIQUE (audit_id)
);
CREATE TRIGGER audit_seals_append_only BEFORE UPDATE OR DELETE ON audit_seals
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_seals_no_truncate BEFORE TRUNCATE ON audit_seals EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT ON audit_seals TO numberdesk_app;
