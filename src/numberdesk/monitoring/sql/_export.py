"""What an operator takes along in a form that any program reads: pages by id, without secrets and without messages.

Columns are named, so that a new one is never exported by accident.
"""

from typing import Any

from numberdesk.base.db import Tx, rows

__all__ = ["page_accounts", "page_entries", "page_orders", "page_payments", "page_recharges"]

Page = list[tuple[Any, ...]]
"""Rows that begin with the id that the next page comes after."""


async def page_accounts(tx: Tx, after: int, limit: int) -> Page:
    """Return accounts with what they can spend and what is held."""
    return await rows(
        tx,
        """
        SELECT id, email, name, role, state, sandbox_of, created_at, verified_at, coalesce(available_paise, 0),
               coalesce(held_paise, 0)
        FROM accounts LEFT JOIN wallets ON account_id = id
        WHERE id > $1 ORDER BY id LIMIT $2
        """,
        after,
        limit,
    )


async def page_orders(tx: Tx, after: int, limit: int) -> Page:
    """Return orders; what was received on them is not among it."""
    return await rows(
        tx,
        """
        SELECT page.id, account_id, service, country, operator, providers.name, upstream_id, number, page.state,
               failure, price_paise, cost_paise, charged_paise, codes_received, page.created_at, activated_at,
               received_at, ended_at
        FROM (SELECT * FROM orders WHERE id > $1 ORDER BY id LIMIT $2) AS page
        JOIN providers ON providers.id = provider_id ORDER BY page.id
        """,
        after,
        limit,
    )


async def page_entries(tx: Tx, after: int, limit: int) -> Page:
    """Return the entries of so many postings, whole postings each time."""
    return await rows(
        tx,
        """
        SELECT page.id, page.at, kind, cause_type, cause_id, account_id, bucket, amount_paise, balance_after_paise,
               version
        FROM (SELECT * FROM postings WHERE id > $1 ORDER BY id LIMIT $2) AS page
        LEFT JOIN entries ON posting_id = page.id ORDER BY page.id, account_id, bucket
        """,
        after,
        limit,
    )


async def page_recharges(tx: Tx, after: int, limit: int) -> Page:
    """Return recharges."""
    return await rows(
        tx,
        """
        SELECT id, ref, account_id, method, rail, status, requested_paise, payable_paise, credited_paise,
               refunded_paise, gateway_id, created_at, changed_at, expires_at
        FROM recharges WHERE id > $1 ORDER BY id LIMIT $2
        """,
        after,
        limit,
    )


async def page_payments(tx: Tx, after: int, limit: int) -> Page:
    """Return payments from outside."""
    return await rows(
        tx,
        """
        SELECT page.id, page.rail, external_id, rrn, recharges.ref, page.account_id, proof, page.state, why,
               amount_paise, page.refunded_paise, units, paise_per_unit, paid_at, page.created_at, settled_at
        FROM (SELECT * FROM external_payments WHERE id > $1 ORDER BY id LIMIT $2) AS page
        LEFT JOIN recharges ON recharges.id = recharge_id ORDER BY page.id
        """,
        after,
        limit,
    )
