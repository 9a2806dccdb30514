"""Checks of postings, entries, wallets and holds."""

from numberdesk.base.db import Tx
from numberdesk.monitoring.sql._found import Found, find

__all__ = [
    "find_bad_chains", "find_bad_credits", "find_bad_refunds", "find_bad_system_balances", "find_bad_wallets",
    "find_broken_holds", "find_gaps", "find_mixed_money", "find_negative_entries", "find_negative_wallets",
    "find_repeated_causes", "find_stray_entries", "find_total", "find_unbalanced", "find_unheld_ends",
    "find_wrong_held",
]  # fmt: skip


async def find_unbalanced(tx: Tx) -> Found:
    """Postings without entries, with an entry of zero, or whose entries do not sum to zero."""
    return await find(
        tx,
        """
        SELECT format('posting %s (%s of %s %s) ', id, kind, cause_type, cause_id) ||
               CASE WHEN total IS NULL THEN 'has no entries' WHEN total <> 0 THEN 'sums to ' || total
                    ELSE 'has an entry of 0' END,
               count(*) OVER ()
        FROM postings LEFT JOIN (
            SELECT posting_id, sum(amount_paise) AS total, bool_or(amount_paise = 0) AS has_zero
            FROM entries GROUP BY posting_id
        ) AS line ON posting_id = id
        WHERE total IS NULL OR total <> 0 OR has_zero
        ORDER BY id LIMIT $1
        """,
    )


async def find_stray_entries(tx: Tx) -> Found:
    """Entries whose posting does not exist."""
    return await find(
        tx,
        """
        SELECT format('an entry of %s in %s', amount_paise, bucket) ||
               coalesce(' of wallet ' || account_id, '') ||
               format(' names posting %s, which does not exist', posting_id),
               count(*) OVER ()
        FROM entries
        WHERE NOT EXISTS (SELECT FROM postings WHERE id = posting_id)
        ORDER BY posting_id, account_id, bucket LIMIT $1
        """,
    )


async def find_total(tx: Tx) -> Found:
    """The sum of all entries, if it is not zero."""
    return await find(
        tx,
        "SELECT 'all entries together sum to ' || sum(amount_paise), 1 FROM entries"
        " HAVING sum(amount_paise) <> 0 LIMIT $1",
    )


async def find_bad_wallets(tx: Tx) -> Found:
    """Wallets whose balances or version are not what their entries say."""
    return await find(
        tx,
        """
        SELECT format('wallet %s: ', account_id) || concat_ws('; ',
                   CASE WHEN wallet.version IS NULL THEN format('it does not exist, its entries: %s', lines) END,
                   CASE WHEN available_paise <> coalesce(available, 0)
                        THEN format('available %s but its entries sum to %s', available_paise, coalesce(available, 0))
                   END,
                   CASE WHEN held_paise <> coalesce(held, 0)
                        THEN format('held %s but its entries sum to %s', held_paise, coalesce(held, 0)) END,
                   CASE WHEN wallet.version <> coalesce(lines, 0)
                        THEN format('version %s but its entries: %s', wallet.version, coalesce(lines, 0)) END),
               count(*) OVER ()
        FROM wallets AS wallet FULL JOIN (
            SELECT account_id, count(*) AS lines,
                   coalesce(sum(amount_paise) FILTER (WHERE bucket = 'available'), 0) AS available,
                   coalesce(sum(amount_paise) FILTER (WHERE bucket = 'held'), 0) AS held
            FROM entries WHERE account_id IS NOT NULL GROUP BY account_id
        ) AS entry USING (account_id)
        WHERE (available_paise, held_paise, wallet.version)
              IS DISTINCT FROM (coalesce(available, 0), coalesce(held, 0), coalesce(lines, 0))
        ORDER BY account_id LIMIT $1
        """,
    )


async def find_gaps(tx: Tx) -> Found:
    """Entries whose version does not follow the one before in the same wallet."""
    return await find(
        tx,
        """
        SELECT format('wallet %s: version %s where %s was due (posting %s)', account_id, version, due, posting_id),
               count(*) OVER ()
        FROM (
            SELECT account_id, version, posting_id, lag(version, 1, 0::bigint) OVER same_wallet + 1 AS due
            FROM entries WHERE account_id IS NOT NULL
            WINDOW same_wallet AS (PARTITION BY account_id ORDER BY version)
        ) AS entry
        WHERE version <> due
        ORDER BY account_id, version LIMIT $1
        """,
    )


async def find_bad_chains(tx: Tx) -> Found:
    """Entries whose balance is not the one before in the same bucket plus their amount, and wrong last balances."""
    return await find(
        tx,
        """
        SELECT format('wallet %s, entry %s (posting %s): %s %s after it, but ',
                      account_id, version, posting_id, bucket, balance_after_paise) ||
               CASE WHEN balance_after_paise <> before + amount_paise
                    THEN format('%s before it and an amount of %s', before, amount_paise)
                    ELSE format('the wallet says %s', balance) END,
               count(*) OVER ()
        FROM (
            SELECT entry.account_id, entry.version, posting_id, bucket, amount_paise, balance_after_paise,
                   lag(balance_after_paise, 1, 0::bigint) OVER same_bucket AS before,
                   lead(entry.version) OVER same_bucket IS NULL AS is_last,
                   CASE bucket WHEN 'available' THEN available_paise ELSE held_paise END AS balance
            FROM entries AS entry LEFT JOIN wallets USING (account_id) WHERE entry.account_id IS NOT NULL
            WINDOW same_bucket AS (PARTITION BY entry.account_id, bucket ORDER BY entry.version)
        ) AS entry
        WHERE balance_after_paise <> before + amount_paise OR (is_last AND balance_after_paise <> balance)
        ORDER BY account_id, version LIMIT $1
        """,
    )


async def find_negative_wallets(tx: Tx) -> Found:
    """Wallets with less than nothing, and holds of nothing or less."""
    return await find(
        tx,
        """
        SELECT sentence, count(*) OVER () FROM (
            SELECT format('wallet %s: available %s, held %s', account_id, available_paise, held_paise) AS sentence
            FROM wallets WHERE available_paise < 0 OR held_paise < 0
            UNION ALL
            SELECT format('hold %s of order %s: %s', purpose, order_id, amount_paise)
            FROM holds WHERE amount_paise <= 0
        ) AS wrong
        ORDER BY sentence LIMIT $1
        """,
    )


async def find_negative_entries(tx: Tx) -> Found:
    """Entries after which a wallet had less than nothing."""
    return await find(
        tx,
        """
        SELECT format('wallet %s, entry %s (posting %s): %s %s after it',
                      account_id, version, posting_id, bucket, balance_after_paise),
               count(*) OVER ()
        FROM entries WHERE balance_after_paise < 0
        ORDER BY account_id, version LIMIT $1
        """,
    )


async def find_broken_holds(tx: Tx) -> Found:
    """Holds that are not what their postings say: set aside once, ended at most once, each time by their amount."""
    return await find(
        tx,
        """
        SELECT format('hold %s of order %s (%s, %s): ', purpose, order_id, state, amount_paise) || concat_ws('; ',
                   CASE WHEN holds <> 1 THEN format('postings that set it aside: %s', holds) END,
                   CASE WHEN captures <> (state = 'captured')::int
                        THEN format('postings that capture it: %s', captures) END,
                   CASE WHEN voids <> (state = 'voided')::int THEN format('postings that void it: %s', voids) END,
                   CASE WHEN odd IS NOT NULL THEN format('posting %s does not move its amount', odd) END),
               count(*) OVER ()
        FROM (
            SELECT hold.order_id, hold.purpose, hold.state, hold.amount_paise,
                   count(*) FILTER (WHERE kind = 'hold') AS holds,
                   count(*) FILTER (WHERE kind = 'capture') AS captures,
                   count(*) FILTER (WHERE kind = 'void') AS voids,
                   min(moved.id) FILTER (WHERE hold.account_id <> owner OR hold.account_id <> other_owner
                       OR (available, held, revenue) IS DISTINCT FROM CASE kind
                           WHEN 'hold' THEN (-hold.amount_paise, hold.amount_paise, 0::bigint)
                           WHEN 'capture' THEN (0::bigint, -hold.amount_paise, hold.amount_paise)
                           ELSE (hold.amount_paise, -hold.amount_paise, 0::bigint) END) AS odd
            FROM holds AS hold LEFT JOIN (
                SELECT id, kind, cause_id, min(account_id) AS owner, max(account_id) AS other_owner,
                       coalesce(sum(amount_paise) FILTER (WHERE bucket = 'available'), 0)::bigint AS available,
                       coalesce(sum(amount_paise) FILTER (WHERE bucket = 'held'), 0)::bigint AS held,
                       coalesce(sum(amount_paise) FILTER (WHERE bucket IN ('revenue', 'sandbox')), 0)::bigint AS revenue
                FROM postings JOIN entries ON posting_id = id
                WHERE cause_type = 'order' AND kind IN ('hold', 'capture', 'void') GROUP BY id, kind, cause_id
            ) AS moved ON cause_id = hold.order_id || ':' || hold.purpose
            GROUP BY hold.order_id, hold.purpose, hold.state, hold.amount_paise
        ) AS hold
        WHERE holds <> 1 OR captures <> (state = 'captured')::int OR voids <> (state = 'voided')::int
              OR odd IS NOT NULL
        ORDER BY order_id, purpose LIMIT $1
        """,
    )


async def find_unheld_ends(tx: Tx, kinds: list[str]) -> Found:
    """Postings of some kinds that are about a hold which does not exist."""
    return await find(
        tx,
        """
        SELECT format('posting %s (%s of order %s): there is no such hold', id, kind, cause_id), count(*) OVER ()
        FROM postings
        WHERE kind = ANY($2::text[])
          AND NOT EXISTS (SELECT FROM holds WHERE order_id || ':' || purpose = cause_id AND cause_type = 'order')
        ORDER BY id LIMIT $1
        """,
        kinds,
    )


async def find_wrong_held(tx: Tx) -> Found:
    """Wallets whose held money is not the sum of their live holds."""
    return await find(
        tx,
        """
        SELECT format('wallet %s: held %s but its live holds sum to %s', account_id, held_paise, coalesce(live, 0)),
               count(*) OVER ()
        FROM wallets FULL JOIN (
            SELECT account_id, sum(amount_paise) AS live FROM holds WHERE state = 'held' GROUP BY account_id
        ) AS hold USING (account_id)
        WHERE held_paise IS DISTINCT FROM coalesce(live, 0)
        ORDER BY account_id LIMIT $1
        """,
    )


async def find_repeated_causes(tx: Tx) -> Found:
    """Causes that had the same effect more than once."""
    return await find(
        tx,
        """
        SELECT format('%s of %s %s happened %s times: postings %s', kind, cause_type, cause_id, count(*),
                      string_agg(id::text, ', ' ORDER BY id)),
               count(*) OVER ()
        FROM postings GROUP BY kind, cause_type, cause_id HAVING count(*) > 1
        ORDER BY min(id) LIMIT $1
        """,
    )


async def find_bad_credits(tx: Tx) -> Found:
    """Recharges, credits and debits that do not move the money of exactly one wallet once, and their way."""
    return await find(
        tx,
        """
        SELECT format('posting %s (%s %s): lines of wallets: %s, which sum to %s',
                      id, kind, cause_id, count(account_id), coalesce(sum(amount_paise), 0)),
               count(*) OVER ()
        FROM postings LEFT JOIN entries ON posting_id = id AND account_id IS NOT NULL
        WHERE kind IN ('recharge', 'admin_credit', 'admin_debit', 'play_money')
        GROUP BY id, kind, cause_id
        HAVING count(account_id) <> 1 OR bool_or(bucket <> 'available' OR (amount_paise < 0) <> (kind = 'admin_debit'))
        ORDER BY id LIMIT $1
        """,
    )


async def find_bad_refunds(tx: Tx) -> Found:
    """Refunds of holds that are not captured, or of more than was captured."""
    return await find(
        tx,
        """
        SELECT format('posting %s (refund of order %s): ', id, cause_id) ||
               CASE WHEN state IS NULL THEN 'there is no such hold'
                    WHEN state <> 'captured' THEN 'the hold is ' || state
                    WHEN refund.account_id <> hold.account_id
                    THEN format('wallet %s got it, not %s', refund.account_id, hold.account_id)
                    ELSE format('%s given back of %s captured', back, hold.amount_paise) END,
               count(*) OVER ()
        FROM (
            SELECT id, cause_id, min(account_id) AS account_id, coalesce(sum(amount_paise), 0) AS back
            FROM postings LEFT JOIN entries ON posting_id = id AND account_id IS NOT NULL
            WHERE kind = 'refund' GROUP BY id, cause_id
        ) AS refund LEFT JOIN holds AS hold ON cause_id = hold.order_id || ':' || hold.purpose
        WHERE state IS DISTINCT FROM 'captured' OR refund.account_id <> hold.account_id
              OR back > hold.amount_paise OR back <= 0
        ORDER BY id LIMIT $1
        """,
    )


async def find_mixed_money(tx: Tx) -> Found:
    """Postings in which play money meets other money."""
    return await find(
        tx,
        """
        SELECT format('posting %s (%s of %s %s): play money meets other money', id, kind, cause_type, cause_id),
               count(*) OVER ()
        FROM postings JOIN (
            SELECT posting_id FROM entries
            GROUP BY posting_id
            HAVING count(DISTINCT bucket = 'sandbox' OR account_id IS NOT NULL AND is_sandbox(account_id)) > 1
        ) AS mixed ON posting_id = id
        ORDER BY id LIMIT $1
        """,
    )


async def find_bad_system_balances(tx: Tx) -> Found:
    """System accounts whose rolled-up balance and waiting changes are not the sum of their entries."""
    return await find(
        tx,
        """
        SELECT format('%s: balance and changes %s but its entries sum to %s', bucket, coalesce(known, 0),
                      coalesce(total, 0)),
               count(*) OVER ()
        FROM (
            SELECT bucket, sum(paise) AS known FROM (
                SELECT bucket, balance_paise AS paise FROM system_balances
                UNION ALL SELECT bucket, amount_paise FROM system_changes
            ) AS part GROUP BY bucket
        ) AS balance FULL JOIN (
            SELECT bucket, sum(amount_paise) AS total FROM entries WHERE account_id IS NULL GROUP BY bucket
        ) AS entry USING (bucket)
        WHERE coalesce(known, 0) <> coalesce(total, 0)
        ORDER BY bucket LIMIT $1
        """,
    )
