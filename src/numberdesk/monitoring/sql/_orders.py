"""Checks of orders, activations and messages against the holds that pay for them."""

from numberdesk.base.db import Tx, rows
from numberdesk.monitoring.sql._found import Found, find

__all__ = [
    "count_all", "find_bad_activations", "find_bad_ends", "find_free_codes", "find_shared_numbers", "find_stray_holds",
    "find_unlinked_orders", "find_unpaid_refunds", "find_wrong_by_hand", "find_wrongly_paid_orders",
    "find_wrongly_paid_prolongations",
]  # fmt: skip


async def count_all(tx: Tx) -> dict[str, int]:
    """Return how many rows there are by what they are."""
    return {
        name: int(count)
        for name, count in await rows(
            tx,
            """
            SELECT 'postings', count(*) FROM postings
            UNION ALL SELECT 'entries', count(*) FROM entries
            UNION ALL SELECT 'wallet entries', count(*) FROM entries WHERE account_id IS NOT NULL
            UNION ALL SELECT 'wallets', count(*) FROM wallets
            UNION ALL SELECT 'holds', count(*) FROM holds
            UNION ALL SELECT 'refunds and voids', count(*) FROM postings WHERE kind IN ('refund', 'void')
            UNION ALL SELECT 'system buckets', count(DISTINCT bucket) FROM entries WHERE account_id IS NULL
            UNION ALL SELECT 'orders', count(*) FROM orders
            UNION ALL SELECT 'activations', count(*) FROM activations
            UNION ALL SELECT 'messages', count(*) FROM messages
            UNION ALL SELECT 'payments', count(*) FROM external_payments
            UNION ALL SELECT 'postings from outside', count(*) FROM postings
                      WHERE kind IN ('recharge', 'assign', 'suspend')
            UNION ALL SELECT 'recharges', count(*) FROM recharges
            UNION ALL SELECT 'receipts', count(*) FROM receipts
            UNION ALL SELECT 'requests', count(*) FROM money_requests
            """,
        )
    }


async def find_wrongly_paid_orders(tx: Tx) -> Found:
    """Orders whose holds do not fit their state: waiting and held, paid and captured, given up and voided."""
    return await find(
        tx,
        """
        SELECT format('order %s (%s, attempt %s): ', id, state, attempt) || concat_ws('; ',
                   CASE WHEN number_hold IS DISTINCT FROM wanted AND wanted <> 'voided'
                        THEN format('its hold number:%s is %s', attempt, coalesce(number_hold, 'missing')) END,
                   CASE WHEN is_foreign THEN 'a hold is of another account' END,
                   CASE WHEN number_paise <> price_paise
                        THEN format('price %s but its hold is of %s', price_paise, number_paise) END,
                   CASE WHEN stale > 0 THEN format('holds of earlier attempts not voided: %s', stale) END,
                   CASE WHEN live > 0 AND wanted <> 'held' THEN format('live holds: %s', live) END,
                   CASE WHEN captured > 0 AND wanted <> 'captured' THEN format('captured holds: %s', captured) END),
               count(*) OVER ()
        FROM (
            SELECT orders.id, orders.state, attempt, price_paise,
                   CASE WHEN orders.state IN ('received', 'completed') THEN 'captured'
                        WHEN orders.state IN ('cancelled', 'expired', 'failed') THEN 'voided'
                        ELSE 'held' END AS wanted,
                   max(hold.state) FILTER (WHERE purpose = 'number:' || attempt) AS number_hold,
                   max(amount_paise) FILTER (WHERE purpose = 'number:' || attempt) AS number_paise,
                   count(*) FILTER (WHERE starts_with(purpose, 'number:') AND purpose <> 'number:' || attempt
                                      AND hold.state <> 'voided') AS stale,
                   count(*) FILTER (WHERE hold.state = 'held' AND NOT starts_with(purpose, 'prolong:')) AS live,
                   count(*) FILTER (WHERE hold.state = 'captured' AND NOT starts_with(purpose, 'prolong:')) AS captured,
                   bool_or(hold.account_id <> orders.account_id) AS is_foreign
            FROM orders LEFT JOIN holds AS hold ON hold.order_id = orders.id
            GROUP BY orders.id, orders.state, attempt, price_paise
        ) AS paid
        WHERE (number_hold IS DISTINCT FROM wanted AND wanted <> 'voided') OR is_foreign OR number_paise <> price_paise
              OR stale > 0 OR (live > 0 AND wanted <> 'held') OR (captured > 0 AND wanted <> 'captured')
        ORDER BY id LIMIT $1
        """,
    )


async def find_wrongly_paid_prolongations(tx: Tx) -> Found:
    """Prolongations whose hold does not fit their state, holds without one, and rentals that wait for none."""
    return await find(
        tx,
        """
        SELECT sentence, count(*) OVER () FROM (
            SELECT format('order %s, prolongation %s (%s, price %s): its hold is %s of %s', bought.order_id, bought.id,
                          bought.state, price_paise, coalesce(hold.state, 'missing'), coalesce(amount_paise, 0))
                   AS sentence
            FROM prolongations AS bought
            LEFT JOIN holds AS hold ON hold.order_id = bought.order_id AND purpose = 'prolong:' || bought.id
            WHERE hold.state IS DISTINCT FROM CASE bought.state WHEN 'done' THEN 'captured' WHEN 'refused' THEN 'voided'
                                                                ELSE 'held' END
               OR amount_paise <> price_paise
            UNION ALL
            SELECT format('hold %s of order %s: there is no such prolongation', purpose, order_id) FROM holds
            WHERE starts_with(purpose, 'prolong:')
              AND NOT EXISTS (SELECT FROM prolongations AS bought
                              WHERE bought.order_id = holds.order_id AND purpose = 'prolong:' || bought.id)
            UNION ALL
            SELECT format('order %s (%s) %s wait for more hours, but open prolongations: %s', orders.id, state,
                          CASE WHEN is_prolonging THEN 'does' ELSE 'does not' END, count)
            FROM orders, LATERAL (SELECT count(*) FROM prolongations AS bought
                                  WHERE order_id = orders.id AND bought.state IN ('requested', 'unknown')) AS open
            WHERE hours IS NOT NULL AND (is_prolonging <> (count = 1) OR count > 0 AND ended_at IS NOT NULL)
               OR hours IS NULL AND is_prolonging
        ) AS wrong
        ORDER BY sentence LIMIT $1
        """,
    )


async def find_stray_holds(tx: Tx) -> Found:
    """Holds of orders that do not exist."""
    return await find(
        tx,
        """
        SELECT format('hold %s of order %s (%s): there is no such order', purpose, order_id, state), count(*) OVER ()
        FROM holds WHERE NOT EXISTS (SELECT FROM orders WHERE id = order_id)
        ORDER BY order_id, purpose LIMIT $1
        """,
    )


async def find_free_codes(tx: Tx) -> Found:
    """Orders with readable messages that were not paid, or that came after the money went back."""
    return await find(
        tx,
        """
        SELECT format('order %s: readable messages: %s, ', message.order_id, messages) ||
               CASE WHEN hold.state IS DISTINCT FROM 'captured'
                    THEN 'but its hold is ' || coalesce(hold.state, 'missing')
                    ELSE format('the last of %s, but it was refunded at %s', last, refunded_at) END,
               count(*) OVER ()
        FROM (SELECT order_id, count(*) AS messages, max(received_at) AS last
              FROM messages WHERE NOT is_sealed GROUP BY order_id) AS message
        LEFT JOIN orders ON orders.id = message.order_id
        LEFT JOIN holds AS hold ON hold.order_id = orders.id AND purpose = 'number:' || attempt
        WHERE hold.state IS DISTINCT FROM 'captured' OR last > refunded_at
        ORDER BY message.order_id LIMIT $1
        """,
    )


async def find_unpaid_refunds(tx: Tx) -> Found:
    """Orders that say that their money went back, of which something that was captured did not."""
    return await find(
        tx,
        """
        SELECT format('order %s was refunded at %s, but not its hold %s', id, refunded_at, purpose), count(*) OVER ()
        FROM orders JOIN holds AS hold ON hold.order_id = id AND hold.state = 'captured'
        WHERE refunded_at IS NOT NULL
          AND NOT EXISTS (SELECT FROM postings WHERE kind = 'refund' AND cause_type = 'order'
                                                 AND cause_id = hold.order_id || ':' || purpose)
        ORDER BY id, purpose LIMIT $1
        """,
    )


async def find_wrong_by_hand(tx: Tx) -> Found:
    """What staff did by hand that the ledger says otherwise, and postings of theirs that nobody asked for."""
    return await find(
        tx,
        """
        WITH moved AS (
            SELECT replace(kind, 'admin_', '') AS action, cause_id, account_id, abs(sum(amount_paise)) AS paise
            FROM postings JOIN entries ON posting_id = id AND account_id IS NOT NULL
            WHERE kind IN ('admin_credit', 'admin_debit') AND cause_type = 'credit' AND starts_with(cause_id, 'staff:')
            GROUP BY kind, cause_id, account_id
            UNION ALL
            SELECT 'order_refund', 'staff:' || asked.id, hold.account_id, sum(line.amount_paise)
            FROM money_requests AS asked
            JOIN holds AS hold ON hold.order_id = subject_id
            JOIN postings ON kind = 'refund' AND cause_type = 'order' AND cause_id = hold.order_id || ':' || purpose
            JOIN entries AS line ON posting_id = postings.id AND line.account_id IS NOT NULL
            WHERE asked.action = 'order_refund' AND asked.state = 'done'
            GROUP BY asked.id, hold.account_id
        ), asked AS (
            SELECT action, 'staff:' || id AS cause_id, account_id, amount_paise AS paise FROM money_requests
            WHERE state = 'done' AND action IN ('credit', 'debit', 'order_refund')
        )
        SELECT format('%s by hand (%s): ', coalesce(asked.action, moved.action), cause_id) ||
               CASE WHEN moved.paise IS NULL THEN 'nothing moved'
                    WHEN asked.paise IS NULL THEN 'nobody decided it'
                    ELSE format('%s moved of account %s, asked for were %s of account %s', moved.paise,
                                moved.account_id, asked.paise, asked.account_id) END,
               count(*) OVER ()
        FROM asked FULL JOIN moved USING (cause_id)
        WHERE (asked.action, asked.account_id, asked.paise) IS DISTINCT FROM
              (moved.action, moved.account_id, moved.paise)
        ORDER BY cause_id LIMIT $1
        """,
    )


async def find_bad_activations(tx: Tx) -> Found:
    """Activations that are written twice, or whose order says otherwise."""
    return await find(
        tx,
        """
        SELECT sentence, count(*) OVER () FROM (
            SELECT format('activation %s of provider %s belongs to orders %s', upstream_id, provider_id,
                          string_agg(order_id::text, ', ' ORDER BY order_id)) AS sentence
            FROM activations GROUP BY provider_id, upstream_id HAVING count(*) > 1
            UNION ALL
            SELECT format('order %s has %s activations', order_id, count(*))
            FROM activations WHERE NOT is_former GROUP BY order_id HAVING count(*) > 1
            UNION ALL
            SELECT format('activation %s of provider %s belongs to order %s, which ', activation.upstream_id,
                          activation.provider_id, order_id) ||
                   CASE WHEN id IS NULL THEN 'does not exist'
                        ELSE format('names %s of provider %s', coalesce(orders.upstream_id, 'none'), orders.provider_id)
                   END
            FROM activations AS activation LEFT JOIN orders ON id = order_id
            WHERE (orders.provider_id, orders.upstream_id)
                  IS DISTINCT FROM (activation.provider_id, activation.upstream_id)
              AND (NOT is_former OR id IS NULL OR hours IS NULL)
        ) AS wrong
        ORDER BY sentence LIMIT $1
        """,
    )


async def find_unlinked_orders(tx: Tx) -> Found:
    """Orders that name an activation which is not written down as theirs."""
    return await find(
        tx,
        """
        SELECT format('order %s names activation %s of provider %s, which is not written down as its own',
                      id, upstream_id, provider_id),
               count(*) OVER ()
        FROM orders
        WHERE upstream_id IS NOT NULL AND NOT EXISTS (SELECT FROM activations WHERE order_id = id AND NOT is_former)
        ORDER BY id LIMIT $1
        """,
    )


async def find_shared_numbers(tx: Tx) -> Found:
    """Numbers that are live on more than one order of a service: their buyers would read each other's codes."""
    return await find(
        tx,
        """
        SELECT format('orders %s have the same live number for %s', string_agg(id::text, ', ' ORDER BY id), service),
               count(*) OVER ()
        FROM orders WHERE ended_at IS NULL AND number IS NOT NULL
        GROUP BY number, service HAVING count(*) > 1
        ORDER BY min(id) LIMIT $1
        """,
    )


async def find_bad_ends(tx: Tx) -> Found:
    """Orders and holds whose end is half written, and money that moved when an order had long ended."""
    # A minute of grace: the server's clock may be set back between two statements.
    return await find(
        tx,
        """
        SELECT sentence, count(*) OVER () FROM (
            SELECT format('order %s is %s and ', id, state) ||
                   CASE WHEN ended_at IS NULL THEN 'has no end' ELSE 'ended at ' || ended_at END AS sentence
            FROM orders
            WHERE (ended_at IS NOT NULL) <> (state IN ('completed', 'cancelled', 'expired', 'failed'))
            UNION ALL
            SELECT format('hold %s of order %s is %s and ', purpose, order_id, state) ||
                   CASE WHEN ended_at IS NULL THEN 'has no end' ELSE 'ended at ' || ended_at END
            FROM holds WHERE (ended_at IS NULL) <> (state = 'held')
            UNION ALL
            SELECT format('hold %s of order %s was %s at %s, after the order ended at %s', purpose, id,
                          CASE WHEN created_after THEN 'made' ELSE hold.state END, moved_at, orders.ended_at)
            FROM orders JOIN holds AS hold ON order_id = id,
                 greatest(hold.created_at, hold.ended_at) AS moved_at,
                 LATERAL (SELECT hold.created_at > orders.ended_at AS created_after) AS moment
            WHERE moved_at > orders.ended_at + interval '1 minute'
        ) AS wrong
        ORDER BY sentence LIMIT $1
        """,
    )
