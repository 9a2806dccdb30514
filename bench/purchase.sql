-- One purchase as the server does it, one at a time: reserve with hold, then settle as sold.
\set account random(:first, :last)
\set token random(1, 4611686018427387904)
BEGIN;
SELECT orders.* FROM orders
JOIN unnest(ARRAY[:account]::bigint[], ARRAY['b' || :token::text]::text[], ARRAY[0]::smallint[])
     AS item (account_id, request_key, request_item) USING (account_id, request_key, request_item);
SELECT version, clock_timestamp() AS now FROM maintenance_version FOR SHARE;
SELECT nextval('orders_id_seq') AS id \gset
SELECT available_paise, held_paise, version FROM wallets WHERE account_id = :account FOR UPDATE \gset
INSERT INTO holds (order_id, purpose, account_id, amount_paise)
SELECT * FROM unnest(ARRAY[:id]::bigint[], ARRAY['number-1'], ARRAY[:account]::bigint[], ARRAY[2130]::bigint[]);
WITH posting AS (
    INSERT INTO postings (kind, cause_type, cause_id) VALUES ('hold', 'order', :id::text || '-number-1')
    RETURNING id, kind, cause_type, cause_id, at
), entry AS (
    INSERT INTO entries (posting_id, at, account_id, bucket, amount_paise, balance_after_paise, version)
    SELECT posting.id, posting.at, line.account_id, line.bucket, line.amount, line.after, line.version
    FROM unnest(ARRAY['hold', 'hold'], ARRAY['order', 'order'], ARRAY[:id::text || '-number-1', :id::text || '-number-1'],
                ARRAY[:account, :account]::bigint[], ARRAY['available', 'held'], ARRAY[-2130, 2130]::bigint[],
                ARRAY[:available_paise::bigint - 2130, :held_paise::bigint + 2130],
                ARRAY[:version::bigint + 1, :version::bigint + 2])
         AS line (kind, cause_type, cause_id, account_id, bucket, amount, after, version)
    JOIN posting USING (kind, cause_type, cause_id)
)
UPDATE wallets SET available_paise = available_paise - 2130, held_paise = held_paise + 2130, version = version + 2
WHERE account_id = :account;
INSERT INTO orders (id, account_id, service, country, operator, provider_id, price_paise, cost_paise,
                    request_key, request_item, request_token, created_at, sent_at, changed_at)
OVERRIDING SYSTEM VALUE
SELECT :id::bigint, :account::bigint, 'tg', 22, 'any', 1, 2130, 1775, 'b' || :token::text, 0, :token::bigint, now, now, now
FROM clock_timestamp() AS now;
COMMIT;
BEGIN;
SELECT * FROM orders WHERE id = ANY(ARRAY[:id]::bigint[]) ORDER BY id FOR UPDATE;
SELECT number, service FROM orders WHERE number = ANY(ARRAY[(10000000000 + :id::bigint)::text]) AND ended_at IS NULL;
INSERT INTO activations (provider_id, upstream_id, order_id) VALUES (1, 'b' || :id::text, :id) ON CONFLICT DO NOTHING;
UPDATE orders SET state = 'active', upstream_id = 'b' || :id::text, number = (10000000000 + :id::bigint)::text, activated_at = now,
                  cancel_allowed_at = now, expires_at = now + interval '20 minutes',
                  last_expiry_at = now + interval '40 minutes', changed_at = now
FROM clock_timestamp() AS now WHERE id = :id AND state IN ('requested', 'unknown');
INSERT INTO exchanges (order_id, provider_id, attempt, action, outcome, detail, took_ms, at)
VALUES (:id, 1, 1, 'rent', 'rented', '', 5, clock_timestamp());
WITH event AS (
    SELECT * FROM unnest(ARRAY[:account]::bigint[], ARRAY[:id]::bigint[], ARRAY['active'], ARRAY[1]::smallint[])
                  WITH ORDINALITY AS event (account_id, order_id, type, ordinal, place)
), counted AS (
    INSERT INTO event_counters AS counter (account_id, last_seq)
    SELECT account_id, count(*) FROM event GROUP BY account_id ORDER BY account_id
    ON CONFLICT (account_id) DO UPDATE SET last_seq = counter.last_seq + excluded.last_seq
    RETURNING account_id, last_seq
)
INSERT INTO order_events (account_id, seq, order_id, type, ordinal, at)
SELECT account_id, last_seq - count(*) OVER (PARTITION BY account_id)
                       + row_number() OVER (PARTITION BY account_id ORDER BY place),
       order_id, type, ordinal, clock_timestamp()
FROM event JOIN counted USING (account_id);
COMMIT;
