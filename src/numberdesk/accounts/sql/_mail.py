"""Statements on what was asked for by mail, and on the links and codes that went out."""

from dataclasses import dataclass
from datetime import timedelta

from numberdesk.accounts.model import RequestPurpose, TokenPurpose
from numberdesk.base.db import Tx, many, maybe, run
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class MailRequest:
    """A mail that somebody asked for."""

    id: int
    purpose: RequestPurpose
    email_key: str
    ip: str


@dataclass(frozen=True, slots=True)
class UsedToken:
    """A link or code that was just used up."""

    account_id: AccountId
    email_key: str


async def insert_mail_request(tx: Tx, *, purpose: RequestPurpose, email_key: str, ip: str) -> None:
    """Ask for a mail; a pass answers."""
    await run(
        tx,
        "INSERT INTO mail_requests (purpose, email_key, ip) VALUES ($1, $2, $3::text::inet)",
        purpose,
        email_key,
        ip,
    )


async def take_mail_requests(tx: Tx, *, limit: int) -> list[MailRequest]:
    """Take the oldest requests away; they come back when the transaction does not commit."""
    return await many(
        tx,
        MailRequest,
        """
        DELETE FROM mail_requests WHERE id = ANY(ARRAY(
            SELECT id FROM mail_requests ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED))
        RETURNING id, purpose, email_key, host(ip) AS ip
        """,
        limit,
    )


async def insert_mail_token(
    tx: Tx, account_id: AccountId, *, purpose: TokenPurpose, email_key: str, link_hash: bytes, code_hash: bytes | None,
    lives: timedelta, code_lives: timedelta,
) -> None:  # fmt: skip
    """Write a new link, with a code or without."""
    await run(
        tx,
        """
        INSERT INTO mail_tokens (account_id, purpose, email_key, link_hash, code_hash, expires_at, code_until)
        VALUES ($1, $2, $3, $4, $5::bytea, clock_timestamp() + $6::interval,
                CASE WHEN $5::bytea IS NOT NULL THEN clock_timestamp() + $7::interval END)
        """,
        account_id,
        purpose,
        email_key,
        link_hash,
        code_hash,
        lives,
        code_lives,
    )


async def set_tokens_ended(tx: Tx, account_id: AccountId, purpose: TokenPurpose) -> int:
    """live -> ended, for every link of an account and purpose."""
    return await run(
        tx,
        """
        UPDATE mail_tokens SET ended_at = clock_timestamp()
        WHERE account_id = $1 AND purpose = $2 AND used_at IS NULL AND ended_at IS NULL
        """,
        account_id,
        purpose,
    )


async def set_link_used(tx: Tx, *, purpose: TokenPurpose, link_hash: bytes) -> UsedToken | None:
    """live -> used; None when it was used, ended or expired, never existed, or the account's address is another now."""
    return await maybe(
        tx,
        UsedToken,
        """
        UPDATE mail_tokens AS token SET used_at = clock_timestamp()
        FROM accounts AS account
        WHERE token.link_hash = $2 AND token.purpose = $1 AND token.used_at IS NULL AND token.ended_at IS NULL
          AND token.expires_at > clock_timestamp()
          AND account.id = token.account_id AND account.email_key = token.email_key
        RETURNING token.account_id, token.email_key
        """,
        purpose,
        link_hash,
    )


async def is_link_live(tx: Tx, *, purpose: TokenPurpose, link_hash: bytes) -> AccountId | None:
    """Return whose live link it is, without using it."""
    found = await maybe(
        tx,
        UsedToken,
        """
        SELECT account_id, email_key FROM mail_tokens
        WHERE link_hash = $2 AND purpose = $1 AND used_at IS NULL AND ended_at IS NULL
          AND expires_at > clock_timestamp()
        """,
        purpose,
        link_hash,
    )
    return None if found is None else found.account_id


async def count_code_try(tx: Tx, *, purpose: TokenPurpose, email_key: str, most: int) -> bool:
    """Count a try at the live code of an address before it is compared; False when there is none or no try is left."""
    return bool(
        await run(
            tx,
            """
            UPDATE mail_tokens SET code_tries = code_tries + 1
            WHERE email_key = $2 AND purpose = $1 AND used_at IS NULL AND ended_at IS NULL
              AND code_until > clock_timestamp() AND code_tries < $3
            """,
            purpose,
            email_key,
            most,
        )
    )


async def set_code_used(tx: Tx, *, purpose: TokenPurpose, email_key: str, code_hash: bytes) -> UsedToken | None:
    """live -> used; None when the code is another, was used or is too old."""
    return await maybe(
        tx,
        UsedToken,
        """
        UPDATE mail_tokens AS token SET used_at = clock_timestamp()
        FROM accounts AS account
        WHERE token.email_key = $2 AND token.purpose = $1 AND token.code_hash = $3
          AND token.used_at IS NULL AND token.ended_at IS NULL AND token.code_until > clock_timestamp()
          AND account.id = token.account_id AND account.email_key = token.email_key
        RETURNING token.account_id, token.email_key
        """,
        purpose,
        email_key,
        code_hash,
    )


async def delete_old_tokens(tx: Tx, *, days: int, limit: int) -> int:
    """Forget links made some days ago; returns how many went."""
    return await run(
        tx,
        """
        DELETE FROM mail_tokens WHERE id IN (
            SELECT id FROM mail_tokens WHERE created_at < clock_timestamp() - make_interval(days => $1) LIMIT $2)
        """,
        days,
        limit,
    )


async def set_notified_by_telegram(tx: Tx, account_id: AccountId) -> None:
    """Have an account be told by Telegram: it has linked its chat."""
    await run(tx, "UPDATE accounts SET notify_by_telegram = true WHERE id = $1 AND NOT notify_by_telegram", account_id)
