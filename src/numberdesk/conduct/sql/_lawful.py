"""Statements of lawful requests, and of who had a number when."""

from collections.abc import Sequence
from datetime import datetime

from numberdesk.base.db import Tx, many, maybe, run
from numberdesk.conduct.model import Address, Holder, LawfulId, LawfulRequest, LawfulState
from numberdesk.wallet.model import AccountId


async def insert_request(
    tx: Tx, *, case_number: str, authority: str, number: str, starts_at: datetime, ends_at: datetime, reason: str,
    asked_by: AccountId,
) -> LawfulRequest | None:  # fmt: skip
    """Write a request down; None when the same one of the same case stands there."""
    return await maybe(
        tx,
        LawfulRequest,
        """
        INSERT INTO lawful_requests (case_number, authority, number, starts_at, ends_at, reason, asked_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT ON CONSTRAINT lawful_requests_case DO NOTHING
        RETURNING *
        """,
        case_number,
        authority,
        number,
        starts_at,
        ends_at,
        reason,
        asked_by,
    )


async def lock_request(tx: Tx, request_id: LawfulId) -> LawfulRequest | None:
    """Return a request and lock it."""
    return await maybe(tx, LawfulRequest, "SELECT * FROM lawful_requests WHERE id = $1 FOR UPDATE", request_id)


async def set_decided(
    tx: Tx, request_id: LawfulId, *, state: LawfulState, by: AccountId, decision: str
) -> LawfulRequest | None:
    """asked -> approved or refused, by somebody else than who asked."""
    return await maybe(
        tx,
        LawfulRequest,
        """
        UPDATE lawful_requests SET state = $2, decided_by = $3, decided_at = clock_timestamp(), decision = $4
        WHERE id = $1 AND state = 'asked' AND asked_by <> $3 RETURNING *
        """,
        request_id,
        state,
        by,
        decision,
    )


async def count_export(tx: Tx, request_id: LawfulId) -> None:
    """Count an export."""
    await run(tx, "UPDATE lawful_requests SET exports = exports + 1 WHERE id = $1", request_id)


async def list_requests(tx: Tx, *, before: int | None, limit: int) -> list[LawfulRequest]:
    """Return requests, newest first."""
    return await many(
        tx,
        LawfulRequest,
        "SELECT * FROM lawful_requests WHERE $1::bigint IS NULL OR id < $1 ORDER BY id DESC LIMIT $2",
        before,
        limit,
    )


async def list_holders(
    tx: Tx, number: str, *, starts_at: datetime | None, ends_at: datetime | None, limit: int
) -> list[Holder]:
    """Return who had a number in [starts_at, ends_at), or at the moment where the two are one; the latest first.

    It is held in [activated_at, held_until): the moment of its end is no longer its buyer's. A message that is withheld
    ends a number, though its order ends anew when staff release it.
    """
    return await many(
        tx,
        Holder,
        """
        SELECT orders.id AS order_id, account_id, account.email, number, service, country, orders.state,
               activated_at AS held_from, held_until,
               (SELECT count(*)::int FROM messages WHERE order_id = orders.id) AS messages, host(ip) AS ip
        FROM orders JOIN accounts AS account ON account.id = orders.account_id,
        LATERAL (
            SELECT least(ended_at, min(withheld_at) FILTER (WHERE orders.hours IS NULL)) AS held_until
            FROM withheld_messages WHERE withheld_messages.order_id = orders.id
        ) AS its
        WHERE number = $1 AND activated_at IS NOT NULL
          AND ($2::timestamptz IS NULL OR held_until IS NULL OR held_until > $2)
          AND ($3::timestamptz IS NULL OR activated_at < $3 OR ($2 = $3 AND activated_at = $3))
        ORDER BY activated_at DESC, orders.id DESC LIMIT $4
        """,
        number,
        starts_at,
        ends_at,
        limit,
    )


async def list_addresses(
    tx: Tx, account_ids: Sequence[int], *, starts_at: datetime, ends_at: datetime
) -> list[Address]:
    """Return the addresses that accounts were used from around a time, as far as first and last use tell."""
    return await many(
        tx,
        Address,
        """
        SELECT account_id, host(ip) AS ip, first_seen_at, last_seen_at, last_login_at FROM account_ips
        WHERE account_id = ANY($1::bigint[]) AND first_seen_at <= $3 AND last_seen_at >= $2
        ORDER BY account_id, first_seen_at
        """,
        account_ids,
        starts_at,
        ends_at,
    )
