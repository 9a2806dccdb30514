-- Faults to plant in the ledger of `scene.py`: the invariant that breaks and the sentence that names the row, then
-- statements. Both are templates: {active} is the id of that order, {hold_active} of the posting that set its price
-- aside, {price} its price, {alice}, {bob} and {carol} are accounts, {payment_paid} is a payment of Carol,
-- {recharge_paid} the reference of what it paid, {recharge_of_paid} its posting, {request_credit} what staff did by hand. Triggers and foreign keys are off while they run.

-- I1: posting {capture_completed} (capture of order {completed}:number:1) sums to 5
UPDATE entries SET amount_paise = amount_paise + 5 WHERE posting_id = {capture_completed} AND bucket = 'revenue';

-- I1: posting … (recharge of recharge RCX) has no entries
INSERT INTO postings (kind, cause_type, cause_id) VALUES ('recharge', 'recharge', 'RCX');

-- I1: posting {hold_active} (hold of order {active}:number:1) has an entry of 0
ALTER TABLE entries DROP CONSTRAINT entries_amount_paise_check;
INSERT INTO entries (posting_id, at, bucket, amount_paise) VALUES ({hold_active}, now(), 'fx', 0);

-- I1: table entries lacks CHECK ((amount_paise <> 0))
ALTER TABLE entries DROP CONSTRAINT entries_amount_paise_check;

-- I1: an entry of {price} in held of wallet {alice} names posting {hold_active}, which does not exist
DELETE FROM postings WHERE id = {hold_active};

-- I1: posting {capture_completed} (capture of order {completed}:number:1): play money meets other money
UPDATE entries SET bucket = 'sandbox' WHERE posting_id = {capture_completed} AND bucket = 'revenue';

-- I1: posting … (capture of order 77:number:1): play money meets other money
WITH paid AS (INSERT INTO postings (kind, cause_type, cause_id) VALUES ('capture', 'order', '77:number:1') RETURNING id)
INSERT INTO entries (posting_id, at, account_id, bucket, amount_paise, balance_after_paise, version)
SELECT id, now(), 1000000000000 + {alice}, 'held', -5, 0, 1 FROM paid
UNION ALL SELECT id, now(), NULL, 'revenue', 5, NULL, NULL FROM paid;

-- I1: all entries together sum to 700
DELETE FROM entries WHERE bucket = 'adjustments' AND posting_id = {admin_credit_goodwill};

-- I2: wallet {bob}: available 50900 but its entries sum to 50700
UPDATE wallets SET available_paise = available_paise + 200 WHERE account_id = {bob};

-- I2: wallet {bob}: held 200 but its entries sum to 0
UPDATE wallets SET held_paise = 200 WHERE account_id = {bob};

-- I2: wallet {bob}: version 3 but its entries: 2
UPDATE wallets SET version = 3 WHERE account_id = {bob};

-- I2: wallet {bob}: it does not exist, its entries: 2
DELETE FROM wallets WHERE account_id = {bob};

-- I2: wallet {bob}: version 3 where 2 was due (posting {admin_credit_goodwill})
UPDATE entries SET version = 3 WHERE account_id = {bob} AND version = 2;

-- I2: wallet {bob}: version 1 where 2 was due (posting …)
UPDATE entries SET version = 1 WHERE account_id = {bob} AND version = 2;

-- I2: wallet {bob}, entry 1 (posting …): available 50001 after it, but 0 before it and an amount of 50000
UPDATE entries SET balance_after_paise = 50001 WHERE account_id = {bob} AND version = 1;

-- I2: wallet {bob}, entry 2 (posting {admin_credit_goodwill}): available 50700 after it, but the wallet says 7
UPDATE wallets SET available_paise = 7 WHERE account_id = {bob};

-- I2: clearing: balance and changes -186499 but its entries sum to -186500
UPDATE system_balances SET balance_paise = balance_paise + 1 WHERE bucket = 'clearing';

-- I2: revenue: balance and changes … but its entries sum to …
DELETE FROM system_changes;

-- I3: wallet {bob}: available -1, held 0
ALTER TABLE wallets DROP CONSTRAINT wallets_available;
UPDATE wallets SET available_paise = -1 WHERE account_id = {bob};

-- I3: wallet {bob}, entry 2 (posting {admin_credit_goodwill}): available -1 after it
ALTER TABLE entries DROP CONSTRAINT entries_balance_after_paise_check;
UPDATE entries SET balance_after_paise = -1 WHERE account_id = {bob} AND version = 2;

-- I3: hold number:1 of order {active}: 0
ALTER TABLE holds DROP CONSTRAINT holds_amount_paise_check;
UPDATE holds SET amount_paise = 0 WHERE purpose = 'number:1' AND order_id = {active};

-- I3: table wallets lacks CHECK ((held_paise >= 0))
ALTER TABLE wallets DROP CONSTRAINT wallets_held;
ALTER TABLE wallets ADD CONSTRAINT wallets_held CHECK (held_paise >= 0) NOT VALID;

-- I4: hold number:1 of order {active} (captured, {price}): postings that capture it: 0
UPDATE holds SET state = 'captured', ended_at = now() WHERE order_id = {active};

-- I4: hold number:1 of order {active} (held, {price}): postings that set it aside: 0
DELETE FROM postings WHERE id = {hold_active};

-- I4: hold number:1 of order {active} (held, …): posting {hold_active} does not move its amount
UPDATE holds SET amount_paise = amount_paise + 1 WHERE order_id = {active};

-- I4: hold number:1 of order {active} (held, …): posting {hold_active} does not move its amount
UPDATE entries SET account_id = {bob} WHERE posting_id = {hold_active} AND bucket = 'held';

-- I4: hold number:1 of order {received} (captured, {price}): posting {capture_received} does not move its amount
UPDATE entries SET bucket = 'suspense' WHERE posting_id = {capture_received} AND bucket = 'revenue';

-- I4: hold number:1 of order {received} (captured, {price}): postings that void it: 1; posting … does not move its amount
INSERT INTO postings (kind, cause_type, cause_id) VALUES ('void', 'order', '{received}:number:1');
INSERT INTO entries (posting_id, at, bucket, amount_paise) VALUES (lastval(), now(), 'revenue', 1);

-- I4: posting {hold_active} (hold of order {active}:number:1): there is no such hold
DELETE FROM holds WHERE order_id = {active};

-- I4: table holds lacks PRIMARY KEY (order_id, purpose)
ALTER TABLE holds DROP CONSTRAINT holds_pkey;

-- I4: wallet {bob}: held 200 but its live holds sum to 0
UPDATE wallets SET held_paise = 200 WHERE account_id = {bob};

-- I4: order {active} (completed, attempt 1): its hold number:1 is held; live holds: 1
UPDATE orders SET state = 'completed', ended_at = now() WHERE id = {active};

-- I4: order {cancelled} (active, attempt 1): its hold number:1 is voided
UPDATE orders SET state = 'active', ended_at = NULL WHERE id = {cancelled};

-- I4: order {unknown} (unknown, attempt 1): its hold number:1 is missing
DELETE FROM holds WHERE order_id = {unknown};

-- I4: order {requested} (failed, attempt 1): live holds: 1
UPDATE orders SET state = 'failed', ended_at = now() WHERE id = {requested};

-- I4: order {completed} (cancelled, attempt 1): captured holds: 1
UPDATE orders SET state = 'cancelled' WHERE id = {completed};

-- I4: order {second} (requested, attempt 2): holds of earlier attempts not voided: 1
UPDATE holds SET state = 'held', ended_at = NULL WHERE order_id = {second} AND purpose = 'number:1';

-- I4: order {received} (received, attempt 2): its hold number:2 is missing; holds of earlier attempts not voided: 1
UPDATE orders SET attempt = 2 WHERE id = {received};

-- I4: order {active} (active, attempt 1): price 1 but its hold is of {price}
UPDATE orders SET price_paise = 1 WHERE id = {active};

-- I4: order {active} (active, attempt 1): a hold is of another account
UPDATE holds SET account_id = {bob} WHERE order_id = {active};

-- I4: hold number:1 of order {requested} (held): there is no such order
DELETE FROM orders WHERE id = {requested};

-- I5: order {expired}: readable messages: 1, but its hold is voided
UPDATE messages SET is_sealed = false WHERE order_id = {expired};

-- I5: order 99: readable messages: 1, but its hold is missing
INSERT INTO messages (order_id, ordinal, code, text, received_at) VALUES (99, 1, '1', '1', now());

-- I5: order {received}: readable messages: 1, the last of …, but it was refunded at …
UPDATE orders SET refunded_at = (SELECT received_at FROM messages WHERE order_id = {received}) - interval '1 second' WHERE id = {received};

-- I15: order {completed} was refunded at …, but not its hold number:1
UPDATE orders SET refunded_at = now() WHERE id = {completed};

-- I15: credit by hand (staff:{request_credit}): nothing moved
DELETE FROM postings WHERE kind = 'admin_credit' AND cause_id = 'staff:{request_credit}';

-- I15: credit by hand (staff:{request_credit}): nobody decided it
UPDATE money_requests SET state = 'waiting' WHERE id = {request_credit};

-- I15: credit by hand (staff:{request_credit}): 300 moved of account {carol}, asked for were 299 of account {carol}
UPDATE money_requests SET amount_paise = 299 WHERE id = {request_credit};

-- I15: debit by hand (staff:{request_debit}): 200 moved of account {carol}, asked for were 200 of account {alice}
UPDATE money_requests SET account_id = {alice} WHERE id = {request_debit};

-- I15: order_refund by hand (staff:{request_order_refund}): {price} moved of account {alice}, asked for were 1 of account {alice}
UPDATE money_requests SET amount_paise = 1 WHERE id = {request_order_refund};

-- I15: order_refund by hand (staff:{request_order_refund}): nothing moved
DELETE FROM postings WHERE id = {refund_refunded};

-- I15: posting {void_cancelled} (void of order {cancelled}:number:1): there is no such hold
DELETE FROM holds WHERE order_id = {cancelled};

-- I15: posting {refund_refunded} (refund of order {refunded}:number:1): there is no such hold
DELETE FROM holds WHERE order_id = {refunded};

-- I15: posting {refund_refunded} (refund of order {refunded}:number:1): the hold is voided
UPDATE holds SET state = 'voided' WHERE order_id = {refunded};

-- I15: posting {refund_refunded} (refund of order {refunded}:number:1): {price_and_1} given back of {price} captured
UPDATE entries SET amount_paise = {price} + 1 WHERE posting_id = {refund_refunded} AND bucket = 'available';

-- I15: posting {refund_refunded} (refund of order {refunded}:number:1): wallet {bob} got it, not {alice}
UPDATE entries SET account_id = {bob} WHERE posting_id = {refund_refunded} AND bucket = 'available';

-- I6: table postings lacks UNIQUE (kind, cause_type, cause_id)
ALTER TABLE postings DROP CONSTRAINT postings_cause;

-- I6: admin_credit of credit goodwill happened 2 times: postings {admin_credit_goodwill}, …
ALTER TABLE postings DROP CONSTRAINT postings_cause;
INSERT INTO postings (kind, cause_type, cause_id) VALUES ('admin_credit', 'credit', 'goodwill');

-- I6: posting {admin_credit_goodwill} (admin_credit goodwill): lines of wallets: 2, which sum to 0
UPDATE entries SET bucket = 'available', account_id = {alice}, balance_after_paise = 0, version = 99
WHERE posting_id = {admin_credit_goodwill} AND bucket = 'adjustments';

-- I6: posting {admin_credit_goodwill} (admin_credit goodwill): lines of wallets: 1, which sum to -700
UPDATE entries SET amount_paise = -700 WHERE posting_id = {admin_credit_goodwill} AND bucket = 'available';

-- I6: posting … (admin_debit staff:7): lines of wallets: 1, which sum to 5
WITH taken AS (INSERT INTO postings (kind, cause_type, cause_id) VALUES ('admin_debit', 'credit', 'staff:7') RETURNING id)
INSERT INTO entries (posting_id, at, account_id, bucket, amount_paise, balance_after_paise, version)
SELECT id, now(), {bob}, 'available', 5, 50705, 99 FROM taken
UNION ALL SELECT id, now(), NULL, 'adjustments', -5, NULL, NULL FROM taken;

-- I7: table activations lacks PRIMARY KEY (provider_id, upstream_id)
ALTER TABLE activations DROP CONSTRAINT activations_pkey;
DROP INDEX activations_order;

-- I7: activation u{active} of provider {provider} belongs to orders {requested}, {active}
ALTER TABLE activations DROP CONSTRAINT activations_pkey;
INSERT INTO activations SELECT provider_id, upstream_id, {requested} FROM activations WHERE order_id = {active};

-- I7: order {active} has 2 activations
DROP INDEX activations_order;
INSERT INTO activations SELECT provider_id, 'other', order_id FROM activations WHERE order_id = {active};

-- I7: activation u{active} of provider {provider} belongs to order {active}, which names other of provider {provider}
UPDATE orders SET upstream_id = 'other' WHERE id = {active};

-- I7: activation u{received} of provider {provider} belongs to order {received}, which does not exist
DELETE FROM orders WHERE id = {received};

-- I7: order {active} names activation u{active} of provider {provider}, which is not written down as its own
DELETE FROM activations WHERE order_id = {active};

-- I7: orders {active}, {extended} have the same live number for tg
DROP INDEX orders_live_number;
UPDATE orders SET number = '917000000000' WHERE id IN ({active}, {extended});

-- I13: order {completed} is completed and has no end
ALTER TABLE orders DROP CONSTRAINT orders_check1;
UPDATE orders SET ended_at = NULL WHERE id = {completed};

-- I13: order {active} is active and ended at …
ALTER TABLE orders DROP CONSTRAINT orders_check1;
UPDATE orders SET ended_at = now() WHERE id = {active};

-- I13: hold number:1 of order {completed} is captured and has no end
ALTER TABLE holds DROP CONSTRAINT holds_check;
UPDATE holds SET ended_at = NULL WHERE order_id = {completed};

-- I13: hold number:1 of order {completed} was captured at …, after the order ended at …
UPDATE holds SET ended_at = now() + interval '1 hour' WHERE order_id = {completed};

-- I13: hold extend:9 of order {completed} was made at …, after the order ended at …
INSERT INTO holds (order_id, purpose, account_id, amount_paise, created_at)
VALUES ({completed}, 'extend:9', {alice}, 1, now() + interval '1 hour');

-- I13: table entries: nothing refuses to update it
ALTER TABLE entries DISABLE TRIGGER entries_append_only;

-- I13: table entries_default: nothing refuses to delete it
ALTER TABLE entries_default DISABLE TRIGGER ALL;

-- I13: table postings: nothing refuses to truncate it
DROP TRIGGER postings_no_truncate ON postings;

-- I13: table postings: nothing refuses to update it
ALTER TABLE postings DISABLE TRIGGER postings_append_only;
CREATE TRIGGER other BEFORE UPDATE OF kind ON postings FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- I13: table entries: nothing refuses to delete it
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';

-- I13: role numberdesk_app may delete postings
GRANT DELETE ON postings TO numberdesk_app;

-- I13: role numberdesk_app may update entries
GRANT UPDATE (at) ON entries TO PUBLIC;

-- I13: role numberdesk_app may truncate entries_default
GRANT TRUNCATE ON entries_default TO numberdesk_app;

-- I3: table wallets lacks CHECK ((available_paise >= 0))
ALTER TABLE wallets DROP CONSTRAINT wallets_available;

-- I3: table entries lacks CHECK ((balance_after_paise >= 0))
ALTER TABLE entries DROP CONSTRAINT entries_balance_after_paise_check;

-- I3: table holds lacks CHECK ((amount_paise > 0))
ALTER TABLE holds DROP CONSTRAINT holds_amount_paise_check;

-- I7: there is no CREATE UNIQUE INDEX activations_order ON public.activations USING btree (order_id) WHERE (NOT is_former)
DROP INDEX activations_order;

-- I7: activation gone of provider {provider} belongs to order {active}, which names u{active} of provider {provider}
INSERT INTO activations (provider_id, upstream_id, order_id, is_former) VALUES ({provider}, 'gone', {active}, true);

-- I4: order {received}, prolongation 1 (requested, price 500): its hold is missing of 0
UPDATE orders SET hours = 24, is_prolonging = true WHERE id = {received};
INSERT INTO prolongations (order_id, request_key, hours, price_paise, cost_paise, provider_id, upstream_id, ended_before, sent_at)
VALUES ({received}, 'more', 24, 500, 400, {provider}, 'u{received}', clock_timestamp(), clock_timestamp());

-- I4: hold prolong:7 of order {received}: there is no such prolongation
UPDATE holds SET purpose = 'prolong:7' WHERE order_id = {received};

-- I4: order {received} (received) does wait for more hours, but open prolongations: 0
UPDATE orders SET hours = 24, is_prolonging = true WHERE id = {received};

-- I4: order {active} (active) does wait for more hours, but open prolongations: 0
UPDATE orders SET is_prolonging = true WHERE id = {active};

-- I6: payment {payment_paid} (upi_manual:1:100000000001): postings that credit it: 0
DELETE FROM postings WHERE id = {recharge_of_paid};

-- I6: payment {payment_found} (upi_manual:1:100000000004): postings that credit it: 2
INSERT INTO postings (kind, cause_type, cause_id) VALUES ('recharge', 'recharge', 'upi_manual:1:100000000004');

-- I6: payment {payment_paid} (upi_manual:1:100000000001): posting {recharge_of_paid} does not put 10000 into wallet {carol}
UPDATE entries SET account_id = {bob} WHERE posting_id = {recharge_of_paid} AND bucket = 'available';

-- I6: payment {payment_found} (upi_manual:1:100000000004): posting {assign_of_found} does not put 4000 into wallet {carol}
UPDATE entries SET amount_paise = 3999 WHERE posting_id = {assign_of_found} AND bucket = 'available';

-- I6: payment {payment_lost} (upi_manual:1:100000000003): postings that credit it: 0
UPDATE external_payments SET state = 'credited', account_id = {bob} WHERE id = {payment_lost};

-- I6: table external_payments lacks UNIQUE (rail, external_id)
ALTER TABLE external_payments DROP CONSTRAINT external_payments_once;

-- I6: posting {recharge_of_paid} (recharge upi_manual:1:100000000001): there is no such payment
DELETE FROM external_payments WHERE id = {payment_paid};

-- I6: posting {recharge_of_paid} (recharge upi_manual:1:100000000001): the payment is suspense
UPDATE external_payments SET state = 'suspense' WHERE id = {payment_paid};

-- I6: posting {assign_of_found} (assign upi_manual:1:100000000004): the payment is returned
UPDATE external_payments SET state = 'returned' WHERE id = {payment_found};

-- I6: posting {suspend_of_lost} (suspend upi_manual:1:100000000003): the payment is waiting
UPDATE external_payments SET state = 'waiting' WHERE id = {payment_lost};

-- I6: posting {suspend_of_lost} (suspend upi_manual:1:100000000003): 2999 went into suspense of a payment of 3000
UPDATE entries SET amount_paise = 2999 WHERE posting_id = {suspend_of_lost} AND bucket = 'suspense';

-- I6: recharge {recharge_paid}: credited 10001 but its payments sum to 10000
UPDATE recharges SET credited_paise = 10001 WHERE ref = '{recharge_paid}';

-- I6: recharge {recharge_part}: refunded 0 but its refunds sum to 500
UPDATE recharges SET refunded_paise = 0 WHERE ref = '{recharge_part}';

-- I6: recharge {recharge_part}: credited 20000 but its payments sum to 0; refunded 500 but its refunds sum to 0
UPDATE external_payments SET recharge_id = NULL WHERE id = {payment_part};

-- I6: payment {payment_part} (razorpay:pay_part): refunded 500 but its refunds sum to 0
UPDATE gateway_refunds SET state = 'failed';

-- I6: payment {payment_paid} (upi_manual:1:100000000001): refunded 7 but its refunds sum to 0
UPDATE external_payments SET refunded_paise = 7 WHERE id = {payment_paid};

-- I6: suspense: its entries sum to 3000, but 3001 of payments belongs to nobody and 0 is owed to us
UPDATE external_payments SET amount_paise = 3001 WHERE id = {payment_lost};

-- I6: suspense: its entries sum to 3000, but 3000 of payments belongs to nobody and 5 is owed to us
UPDATE gateway_refunds SET short_paise = 5;

-- I6: payment {payment_paid} (upi_manual:1:100000000001, credited): receipts: 0
DELETE FROM receipts WHERE payment_id = {payment_paid};

-- I6: payment {payment_paid} (upi_manual:1:100000000001, credited): receipts: 2
DROP INDEX receipts_payment;
UPDATE receipts SET payment_id = {payment_paid} WHERE kind = 'receipt' AND payment_id = {payment_found};

-- I6: payment {payment_lost} (upi_manual:1:100000000003, suspense): receipts: 1
UPDATE receipts SET payment_id = {payment_lost} WHERE payment_id = {payment_found};

-- I6: payment {payment_part} (razorpay:pay_part, credited): its receipt is of 19999, not 20000
UPDATE receipts SET amount_paise = 19999 WHERE kind = 'receipt' AND payment_id = {payment_part};

-- I6: payment {payment_part} (razorpay:pay_part, credited): its receipt is of account {bob}, not {carol}
UPDATE receipts SET account_id = {bob} WHERE kind = 'receipt' AND payment_id = {payment_part};

-- I6: series R of …: receipt 3 where 2 was due
DELETE FROM receipts WHERE serial = 2;

-- I6: series R of …: it has counted to 4 but its last receipt is 3
DELETE FROM receipts WHERE serial = 4;

-- I6: series R of …: it has counted to 0 but its last receipt is 4
DELETE FROM receipt_series;

-- I6: table receipts lacks UNIQUE (series, year, serial)
ALTER TABLE receipts DROP CONSTRAINT receipts_serial;

-- I6: payment {payment_lost} (upi_manual:1:100000000003) waits and does not say why
UPDATE external_payments SET state = 'waiting', why = NULL WHERE id = {payment_lost};
