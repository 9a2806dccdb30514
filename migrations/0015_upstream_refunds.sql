-- Of orders from before 0012 nothing more is known than that the provider should have given their cost back. What is
-- older than a month is neither counted nor booked any more. A transaction of its own: it locks the rows it writes only,
-- which may be millions.
SET LOCAL statement_timeout = '1h';
UPDATE orders SET upstream_refund = CASE WHEN ended_at IS NULL THEN 'due' ELSE 'assumed' END
WHERE upstream_refund = 'none' AND received_at IS NULL AND state <> 'failed'
  AND (ended_at IS NULL OR changed_at > (SELECT clock_timestamp() - interval '32 days'));
