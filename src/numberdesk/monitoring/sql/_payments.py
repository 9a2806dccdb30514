"""Checks of money from outside: payments against their postings, recharges, refunds and receipts."""

from numberdesk.base.db import Tx
from numberdesk.monitoring.sql._found import Found, find

__all__ = [
    "find_number_gaps", "find_unexplained_waits", "find_unpaid_postings", "find_unposted_payments",
    "find_wrong_receipts", "find_wrong_recharges", "find_wrong_refunds", "find_wrong_suspense",
]  # fmt: skip


async def find_unposted_payments(tx: Tx) -> Found:
    """Credited payments without exactly one posting that puts their amount into their account's wallet."""
    return await find(
        tx,
        """
        SELECT format('payment %s (%s:%s): ', id, rail, external_id) ||
               CASE WHEN postings <> 1 THEN format('postings that credit it: %s', postings)
                    ELSE format('posting %s does not put %s into wallet %s', posting, amount_paise, owner) END,
               count(*) OVER ()
        FROM (
            SELECT payment.id, rail, external_id, payment.amount_paise, payment.account_id AS owner,
                   count(moved.id) AS postings, min(moved.id) AS posting,
                   bool_and(COALESCE(moved.paise = payment.amount_paise AND first = payment.account_id
                                     AND last = payment.account_id, false)) AS fits
            FROM external_payments AS payment LEFT JOIN (
                SELECT id, cause_id, min(account_id) AS first, max(account_id) AS last,
                       sum(amount_paise) FILTER (WHERE bucket = 'available') AS paise
                FROM postings LEFT JOIN entries ON posting_id = id AND account_id IS NOT NULL
                WHERE kind IN ('recharge', 'assign') AND cause_type = 'recharge' GROUP BY id, cause_id
            ) AS moved ON cause_id = rail || ':' || external_id
            WHERE state = 'credited'
            GROUP BY payment.id
        ) AS payment
        WHERE postings <> 1 OR NOT fits
        ORDER BY id LIMIT $1
        """,
    )


async def find_unpaid_postings(tx: Tx) -> Found:
    """Postings of money from outside whose payment does not exist, or is in a state that does not fit."""
    # The cause of a payment is its rail and its id there, so it has a colon.
    return await find(
        tx,
        """
        SELECT format('posting %s (%s %s): ', posting.id, kind, cause_id) ||
               CASE WHEN payment.id IS NULL THEN 'there is no such payment'
                    WHEN kind = 'suspend' AND state <> 'waiting'
                    THEN format('%s went into suspense of a payment of %s', COALESCE(paise, 0), amount_paise)
                    ELSE 'the payment is ' || state END,
               count(*) OVER ()
        FROM postings AS posting
        LEFT JOIN external_payments AS payment ON rail || ':' || external_id = cause_id
        LEFT JOIN (
            SELECT posting_id, sum(amount_paise) AS paise FROM entries WHERE bucket = 'suspense' GROUP BY posting_id
        ) AS line ON posting_id = posting.id
        WHERE kind IN ('recharge', 'assign', 'suspend') AND cause_type = 'recharge' AND strpos(cause_id, ':') > 0
          AND (payment.id IS NULL
               OR CASE kind WHEN 'suspend' THEN state = 'waiting' OR paise IS DISTINCT FROM amount_paise
                       ELSE state <> 'credited' END)
        ORDER BY posting.id LIMIT $1
        """,
    )


async def find_wrong_recharges(tx: Tx) -> Found:
    """Recharges that are not the sum of their credited payments and of the refunds of these."""
    return await find(
        tx,
        """
        SELECT format('recharge %s: ', ref) || concat_ws('; ',
                   CASE WHEN credited_paise <> came
                        THEN format('credited %s but its payments sum to %s', credited_paise, came) END,
                   CASE WHEN refunded_paise <> went
                        THEN format('refunded %s but its refunds sum to %s', refunded_paise, went) END),
               count(*) OVER ()
        FROM (
            SELECT recharge.id, recharge.ref, credited_paise, recharge.refunded_paise,
                   COALESCE(sum(payment.amount_paise), 0) AS came, COALESCE(sum(back.paise), 0) AS went
            FROM recharges AS recharge
            LEFT JOIN external_payments AS payment ON recharge_id = recharge.id AND state = 'credited'
            LEFT JOIN (
                SELECT payment_id, sum(amount_paise) AS paise FROM gateway_refunds WHERE state <> 'failed'
                GROUP BY payment_id
            ) AS back ON payment_id = payment.id
            GROUP BY recharge.id
        ) AS recharge
        WHERE credited_paise <> came OR refunded_paise <> went
        ORDER BY id LIMIT $1
        """,
    )


async def find_wrong_refunds(tx: Tx) -> Found:
    """Payments whose refunded money is not the sum of their refunds that did not fail."""
    return await find(
        tx,
        """
        SELECT format('payment %s (%s:%s): refunded %s but its refunds sum to %s', id, rail, external_id,
                      refunded_paise, COALESCE(paise, 0)),
               count(*) OVER ()
        FROM external_payments LEFT JOIN (
            SELECT payment_id, sum(amount_paise) AS paise FROM gateway_refunds WHERE state <> 'failed'
            GROUP BY payment_id
        ) AS back ON payment_id = id
        WHERE refunded_paise <> COALESCE(paise, 0)
        ORDER BY id LIMIT $1
        """,
    )


async def find_wrong_suspense(tx: Tx) -> Found:
    """The balance of suspense, if it is not what belongs to nobody yet less what taken-back payments owe us."""
    return await find(
        tx,
        """
        SELECT format('suspense: its entries sum to %s, but %s of payments belongs to nobody and %s is owed to us',
                      total, unowned, owed),
               1
        FROM (SELECT COALESCE(sum(amount_paise), 0) AS total FROM entries WHERE bucket = 'suspense') AS entry,
             (SELECT COALESCE(sum(amount_paise - refunded_paise), 0) AS unowned
              FROM external_payments WHERE state = 'suspense') AS payment,
             (SELECT COALESCE(sum(short_paise), 0) AS owed FROM gateway_refunds) AS refund
        WHERE total <> unowned - owed LIMIT $1
        """,
    )


async def find_wrong_receipts(tx: Tx) -> Found:
    """Credited payments without exactly one receipt of their amount for their account, and others that have one."""
    return await find(
        tx,
        """
        SELECT format('payment %s (%s:%s, %s): ', id, rail, external_id, state) ||
               CASE WHEN state <> 'credited' OR COALESCE(receipts, 0) <> 1
                    THEN format('receipts: %s', COALESCE(receipts, 0))
                    WHEN owner <> account_id THEN format('its receipt is of account %s, not %s', owner, account_id)
                    ELSE format('its receipt is of %s, not %s', paise, amount_paise) END,
               count(*) OVER ()
        FROM external_payments LEFT JOIN (
            SELECT payment_id, count(*) AS receipts, sum(amount_paise) AS paise, min(account_id) AS owner
            FROM receipts WHERE kind = 'receipt' GROUP BY payment_id
        ) AS receipt ON payment_id = id
        WHERE CASE state WHEN 'credited'
                   THEN (receipts, paise, owner) IS DISTINCT FROM (1::bigint, amount_paise::numeric, account_id)
                   ELSE receipts IS NOT NULL END
        ORDER BY id LIMIT $1
        """,
    )


async def find_number_gaps(tx: Tx) -> Found:
    """Receipts whose number does not follow the one before in its series and year, and series that count otherwise."""
    return await find(
        tx,
        """
        SELECT sentence, count(*) OVER () FROM (
            SELECT format('series %s of %s: receipt %s where %s was due', series, year, serial, due) AS sentence
            FROM (
                SELECT series, year, serial, lag(serial, 1, 0::bigint) OVER same_year + 1 AS due FROM receipts
                WINDOW same_year AS (PARTITION BY series, year ORDER BY serial)
            ) AS receipt
            WHERE serial <> due
            UNION ALL
            SELECT format('series %s of %s: it has counted to %s but its last receipt is %s', series, year,
                          COALESCE(last_serial, 0), COALESCE(last, 0))
            FROM receipt_series FULL JOIN (
                SELECT series, year, max(serial) AS last FROM receipts GROUP BY series, year
            ) AS receipt USING (series, year)
            WHERE COALESCE(last_serial, 0) <> COALESCE(last, 0)
        ) AS wrong
        ORDER BY sentence LIMIT $1
        """,
    )


async def find_unexplained_waits(tx: Tx) -> Found:
    """Payments that wait and do not say why: they were written and never decided."""
    return await find(
        tx,
        """
        SELECT format('payment %s (%s:%s) waits and does not say why', id, rail, external_id), count(*) OVER ()
        FROM external_payments WHERE state = 'waiting' AND why IS NULL
        ORDER BY id LIMIT $1
        """,
    )
