-- The role that web and worker act as. It may add to the ledger and never change or remove what stands there.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'numberdesk_app') THEN
        CREATE ROLE numberdesk_app NOLOGIN;
    END IF;
    BEGIN
        EXECUTE format('GRANT numberdesk_app TO %I', current_user);
    EXCEPTION WHEN insufficient_privilege THEN
        -- Somebody else made the role; being its member is enough.
        IF NOT pg_has_role(current_user, 'numberdesk_app', 'MEMBER') THEN
            RAISE;
        END IF;
    END;
END
$$;

GRANT USAGE ON SCHEMA public TO numberdesk_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    accounts, api_keys, idempotency_keys, wallets, holds, system_changes, system_balances,
    providers, services, countries, blocked_categories, unmapped_services, offers, price_rules, catalogue_version,
    orders, activations, orphans, messages, exchanges
    TO numberdesk_app;
GRANT USAGE ON SEQUENCE orders_id_seq TO numberdesk_app;
GRANT SELECT, INSERT ON postings, entries TO numberdesk_app;
GRANT SELECT ON schema_migrations TO numberdesk_app;
GRANT EXECUTE ON FUNCTION create_month_partitions(regclass, int) TO numberdesk_app;
