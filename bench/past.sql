-- customers
INSERT INTO accounts (id, email, email_key) OVERRIDING SYSTEM VALUE
SELECT number, 'past' || number || '@example.com', 'past' || number || '@example.com'
FROM generate_series(1, 200) AS number;

-- providers
INSERT INTO providers (id, name, kind, url, api_key_sealed) OVERRIDING SYSTEM VALUE
SELECT number, 'past-' || number, 'sms-activate', 'http://127.0.0.1', ''
FROM generate_series(1, 5) AS number;

-- orders
INSERT INTO orders (id, account_id, service, country, operator, provider_id, price_paise, cost_paise, state, failure,
                    request_key, request_item, request_token, upstream_id, number, created_at, sent_at, activated_at,
                    expires_at, received_at, ended_at, changed_at, upstream_refund, codes_received)
OVERRIDING SYSTEM VALUE
SELECT number, 1 + number * 7919 % 200, service, country, 'any', 1 + number * 31 % 5, price, price - 100, state,
       CASE state WHEN 'failed' THEN 'no_numbers' END, number::text, 0, number,
       CASE WHEN state <> 'failed' THEN number::text END,
       CASE WHEN state <> 'failed' THEN '91' || (9000000000 + number) END,
       made, made, CASE WHEN state <> 'failed' THEN made + interval '2 seconds' END,
       CASE WHEN state <> 'failed' THEN made + interval '20 minutes' END,
       CASE state WHEN 'completed' THEN made + wait END,
       made + CASE state WHEN 'completed' THEN wait + interval '1 minute' WHEN 'expired' THEN interval '20 minutes'
                         WHEN 'cancelled' THEN interval '3 minutes' ELSE interval '1 second' END,
       made + interval '20 minutes',
       CASE WHEN state IN ('completed', 'failed') THEN 'none'
            ELSE (ARRAY['confirmed', 'confirmed', 'assumed', 'refused', 'due'])[1 + number * 13 % 5] END,
       CASE state WHEN 'completed' THEN 1 ELSE 0 END
FROM (
    SELECT number, 300 + number * 17 % 2000 AS price,
           services[1 + floor(20 * power(number * 7919 % 1000 / 1000.0, 2))::int] AS service,
           countries[1 + floor(10 * power(number * 104729 % 997 / 997.0, 2))::int] AS country,
           (ARRAY['completed', 'completed', 'completed', 'completed', 'completed', 'completed', 'expired', 'expired',
                  'cancelled', 'failed'])[1 + number * 37 % 10] AS state,
           clock_timestamp() - interval '30 minutes' - interval '1 day' * (:days * (1 - number / :orders::float8))
           AS made,
           interval '3 seconds' + interval '1 second' * (number * 41 % 600) AS wait
    FROM generate_series(1, :orders::bigint) AS number,
         (SELECT array_agg(code) AS services
          FROM (SELECT code FROM services WHERE category <> 'sandbox' ORDER BY code <> 'tg', code LIMIT 20) AS known) AS named,
         (SELECT array_agg(code) AS countries
          FROM (SELECT code FROM countries ORDER BY code LIMIT 10) AS known) AS placed
) AS past;

-- holds
INSERT INTO holds (order_id, purpose, account_id, amount_paise, state, created_at, ended_at)
SELECT id, 'number:1', account_id, price_paise,
       CASE WHEN received_at IS NULL THEN 'voided' ELSE 'captured' END, created_at, coalesce(received_at, ended_at)
FROM orders;

-- postings of orders and recharges
INSERT INTO postings (kind, cause_type, cause_id, at)
SELECT kind, cause_type, cause_id, at
FROM (
    SELECT 'hold' AS kind, 'order' AS cause_type, id || ':number:1' AS cause_id, created_at AS at FROM orders
    UNION ALL
    SELECT CASE WHEN received_at IS NULL THEN 'void' ELSE 'capture' END, 'order', id || ':number:1',
           coalesce(received_at, ended_at)
    FROM orders
    UNION ALL
    SELECT 'refund', 'order', id || ':number:1', ended_at + interval '5 minutes'
    FROM orders WHERE received_at IS NOT NULL AND id % 500 = 0
    UNION ALL
    SELECT 'recharge', 'recharge', (ARRAY['upi_manual', 'razorpay', 'cashfree', 'trx'])[1 + id * 7 % 4] || ':' || id,
           created_at
    FROM orders WHERE id % 25 = 1
) AS past
ORDER BY at;

-- entries
INSERT INTO entries (posting_id, at, account_id, bucket, amount_paise, balance_after_paise, version)
SELECT posting.id, posting.at, CASE WHEN bucket IN ('available', 'held') THEN hold.account_id END, bucket,
       sign * CASE kind WHEN 'recharge' THEN 100000 ELSE amount_paise END,
       CASE WHEN bucket IN ('available', 'held') THEN 1000000000 END,
       CASE WHEN bucket IN ('available', 'held') THEN posting.id END
FROM postings AS posting
JOIN holds AS hold ON hold.order_id = CASE posting.cause_type
    WHEN 'order' THEN split_part(posting.cause_id, ':', 1) ELSE split_part(posting.cause_id, ':', 2) END::bigint
JOIN (VALUES ('hold', 'available', -1), ('hold', 'held', 1), ('capture', 'held', -1), ('capture', 'revenue', 1),
             ('void', 'held', -1), ('void', 'available', 1), ('refund', 'revenue', -1), ('refund', 'available', 1),
             ('recharge', 'clearing', -1), ('recharge', 'available', 1)) AS line (of_kind, bucket, sign)
     ON of_kind = kind
ORDER BY posting.id;

-- receipts
INSERT INTO receipts (number, series, year, serial, account_id, payment_id, kind, amount_paise, taxable_paise, cgst_paise,
                      sgst_paise, igst_paise, details, issued_at)
SELECT 'P' || id, 'P', '26', id, 1 + id * 7919 % 200, id, 'receipt', 100000, 84746, 7627, 7627, 0, '{}', created_at
FROM orders WHERE id % 25 = 1;

-- balances
WITH sums AS (
    SELECT account_id, bucket, sum(amount_paise) AS paise FROM entries GROUP BY account_id, bucket
), wallet AS (
    INSERT INTO wallets (account_id, available_paise, held_paise, version)
    SELECT account_id, greatest(0, coalesce(sum(paise) FILTER (WHERE bucket = 'available'), 0)),
           coalesce(sum(paise) FILTER (WHERE bucket = 'held'), 0), 1
    FROM sums WHERE account_id IS NOT NULL GROUP BY account_id
)
INSERT INTO system_balances (bucket, balance_paise)
SELECT bucket, sum(paise) FROM sums WHERE account_id IS NULL GROUP BY bucket;

-- what the server knows of the tables
VACUUM (ANALYZE) orders, holds, postings, entries, receipts;
