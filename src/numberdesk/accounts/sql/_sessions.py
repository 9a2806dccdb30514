"""Statements on sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.accounts.model import EndedWhy, Session, SessionId
from numberdesk.base.db import Tx, many, maybe, one, run, value
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class Opened:
    """A new session."""

    id: SessionId
    at: datetime


@dataclass(frozen=True, slots=True)
class Renewable:
    """A session as a refresh token finds it."""

    id: SessionId
    account_id: AccountId
    seed: bytes
    generation: int
    is_live: bool
    is_just_rotated: bool
    at: datetime


async def insert_session(
    tx: Tx, account_id: AccountId, *, seed: bytes, has_second_factor: bool, idle: timedelta, lifetime: timedelta,
    ip: str, user_agent: str,
) -> Opened:  # fmt: skip
    """Open a session."""
    return await one(
        tx,
        Opened,
        """
        INSERT INTO sessions (account_id, seed, second_factor_at, idle_until, expires_at, ip, user_agent)
        VALUES ($1, $2, CASE WHEN $3 THEN clock_timestamp() END, clock_timestamp() + $4::interval,
                clock_timestamp() + $5::interval, $6::text::inet, $7)
        RETURNING id, created_at AS at
        """,
        account_id,
        seed,
        has_second_factor,
        idle,
        lifetime,
        ip,
        user_agent,
    )


async def find_renewable(tx: Tx, session_id: SessionId, *, grace: timedelta) -> Renewable | None:
    """Return a session for its refresh token, ended or not."""
    return await maybe(
        tx,
        Renewable,
        """
        SELECT session.id, account_id, seed, generation, clock_timestamp() AS at,
               session.ended_at IS NULL AND session.expires_at > clock_timestamp()
                   AND session.idle_until > clock_timestamp() AND account.state NOT IN ('banned', 'closed') AS is_live,
               rotated_at > clock_timestamp() - $2::interval AS is_just_rotated
        FROM sessions AS session JOIN accounts AS account ON account.id = session.account_id
        WHERE session.id = $1
        """,
        session_id,
        grace,
    )


async def set_rotated(
    tx: Tx, session_id: SessionId, *, generation: int, idle: timedelta, ip: str, user_agent: str
) -> bool:
    """One generation -> the next; False when somebody was first, or the session ended."""
    return bool(
        await run(
            tx,
            """
            UPDATE sessions
            SET generation = generation + 1, rotated_at = clock_timestamp(), last_used_at = clock_timestamp(),
                idle_until = clock_timestamp() + $3::interval, ip = $4::text::inet, user_agent = $5,
                changed_at = clock_timestamp()
            WHERE id = $1 AND generation = $2 AND ended_at IS NULL
            """,
            session_id,
            generation,
            idle,
            ip,
            user_agent,
        )
    )


async def set_session_ended(tx: Tx, account_id: AccountId, session_id: SessionId, why: EndedWhy) -> bool:
    """live -> ended; False when it ended before, does not exist or is another account's."""
    return bool(
        await run(
            tx,
            """
            UPDATE sessions SET ended_at = clock_timestamp(), ended_why = $3, changed_at = clock_timestamp()
            WHERE id = $2 AND account_id = $1 AND ended_at IS NULL
            """,
            account_id,
            session_id,
            why,
        )
    )


async def set_sessions_ended(tx: Tx, account_id: AccountId, why: EndedWhy, *, but: SessionId | None = None) -> int:
    """live -> ended, for every session of an account but one; returns how many."""
    return await run(
        tx,
        """
        UPDATE sessions SET ended_at = clock_timestamp(), ended_why = $2, changed_at = clock_timestamp()
        WHERE account_id = $1 AND ended_at IS NULL AND id IS DISTINCT FROM $3::bigint
        """,
        account_id,
        why,
        but,
    )


async def set_second_factor_proven(tx: Tx, session_id: SessionId) -> None:
    """Note that the second factor was proven in a session."""
    await run(
        tx,
        "UPDATE sessions SET second_factor_at = clock_timestamp(), changed_at = clock_timestamp() WHERE id = $1",
        session_id,
    )


async def is_fresh(tx: Tx, session_id: SessionId, *, within: timedelta) -> bool:
    """Tell whether the password was proven in a session lately."""
    return bool(
        await value(
            tx, "SELECT proven_at > clock_timestamp() - $2::interval FROM sessions WHERE id = $1", session_id, within
        )
    )


async def list_sessions(tx: Tx, account_id: AccountId, *, limit: int) -> list[Session]:
    """Return the devices that are signed in, the latest used first."""
    return await many(
        tx,
        Session,
        """
        SELECT id, created_at, last_used_at, expires_at, host(ip) AS ip, user_agent FROM sessions
        WHERE account_id = $1 AND ended_at IS NULL AND expires_at > clock_timestamp()
          AND idle_until > clock_timestamp()
        ORDER BY last_used_at DESC, id DESC LIMIT $2
        """,
        account_id,
        limit,
    )


async def end_surplus(tx: Tx, account_id: AccountId, *, most: int) -> int:
    """End the sessions that were not used for longest, so that so many are left; returns how many ended."""
    return await run(
        tx,
        """
        UPDATE sessions SET ended_at = clock_timestamp(), ended_why = 'revoked', changed_at = clock_timestamp()
        WHERE id IN (SELECT id FROM sessions WHERE account_id = $1 AND ended_at IS NULL
                     ORDER BY last_used_at DESC, id DESC OFFSET $2)
        """,
        account_id,
        most,
    )


async def set_sessions_used(tx: Tx, *, session_ids: Sequence[SessionId], times: Sequence[datetime]) -> None:
    """Note when sessions were last used."""
    await run(
        tx,
        """
        UPDATE sessions AS session SET last_used_at = GREATEST(session.last_used_at, used.at)
        FROM (SELECT * FROM unnest($1::bigint[], $2::timestamptz[]) ORDER BY 1) AS used (id, at)
        WHERE session.id = used.id
        """,
        session_ids,
        times,
    )


async def delete_old_sessions(tx: Tx, *, days: int, limit: int) -> int:
    """Forget sessions that ended or expired some days ago; returns how many went."""
    return await run(
        tx,
        """
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions
            WHERE COALESCE(ended_at, expires_at) < clock_timestamp() - make_interval(days => $1) LIMIT $2)
        """,
        days,
        limit,
    )
