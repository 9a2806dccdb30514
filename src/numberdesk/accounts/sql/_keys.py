"""Statements on API keys, and on who calls by key or session.

The keys of an account are its own and those of its sandbox, whose id is higher by `SANDBOX_OFFSET`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from numberdesk.accounts.model import Dialect, Key, KeyId, SessionId
from numberdesk.base.db import Tx, many, maybe, one, rows, run, value
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class CallerRow:
    """Who holds a key or a session, as the tables have it."""

    account_id: AccountId
    key_id: KeyId | None
    session_id: SessionId | None
    secret_hash: bytes | None
    scopes: Sequence[Any]
    state: Any
    role: Any
    expires_at: datetime | None
    is_verified: bool
    owes_terms: bool
    api_per_minute: int | None
    allowed_ips: Sequence[str]
    has_second_factor: bool
    dialect: Dialect | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since the last look: when, by key and by session; and the newest terms."""

    now: datetime
    terms_version: int
    keys: Mapping[KeyId, datetime]
    sessions: Mapping[SessionId, datetime]


async def insert_keys(
    tx: Tx, *, account_ids: Sequence[AccountId], name: str, prefixes: Sequence[str], hashes: Sequence[bytes],
    scopes: Sequence[str], expires_at: datetime | None, allowed_ips: Sequence[str], dialect: Dialect | None,
) -> list[KeyId]:  # fmt: skip
    """Write new API keys, one per account in the order given."""
    return [
        KeyId(row[0])
        for row in await rows(
            tx,
            """
            INSERT INTO api_keys (account_id, name, prefix, secret_hash, scopes, expires_at, allowed_ips, dialect)
            SELECT account_id, $2, prefix, secret_hash, $5::text[], $6::timestamptz, $7::text[], $8::text
            FROM unnest($1::bigint[], $3::text[], $4::bytea[]) AS new (account_id, prefix, secret_hash)
            RETURNING id
            """,
            account_ids,
            name,
            prefixes,
            hashes,
            scopes,
            expires_at,
            allowed_ips,
            dialect,
        )
    ]


async def count_live_keys(tx: Tx, account_id: AccountId) -> int:
    """Return how many keys of an account work, test keys included."""
    count: int = await value(
        tx,
        """
        SELECT count(*) FROM api_keys WHERE account_id IN ($1, $1 + 1000000000000) AND revoked_at IS NULL
          AND (expires_at IS NULL OR expires_at > clock_timestamp())
        """,
        account_id,
    )
    return count


async def list_keys(tx: Tx, account_id: AccountId, *, limit: int) -> list[Key]:
    """Return an account's keys that were not revoked, test keys included, the newest first."""
    return await many(
        tx,
        Key,
        """
        SELECT id, name, prefix, scopes, created_at, expires_at, allowed_ips, last_used_at,
               host(last_used_ip) AS last_used_ip, replaced_by, account_id, dialect
        FROM api_keys WHERE account_id IN ($1, $1 + 1000000000000) AND revoked_at IS NULL ORDER BY id DESC LIMIT $2
        """,
        account_id,
        limit,
    )


async def lock_key(tx: Tx, account_id: AccountId, key_id: KeyId) -> Key | None:
    """Return a working key of an account, and keep others from changing it until the transaction ends."""
    return await maybe(
        tx,
        Key,
        """
        SELECT id, name, prefix, scopes, created_at, expires_at, allowed_ips, last_used_at,
               host(last_used_ip) AS last_used_ip, replaced_by, account_id, dialect
        FROM api_keys WHERE account_id IN ($1, $1 + 1000000000000) AND id = $2 AND revoked_at IS NULL
          AND (expires_at IS NULL OR expires_at > clock_timestamp()) FOR UPDATE
        """,
        account_id,
        key_id,
    )


async def set_key_replaced(tx: Tx, key_id: KeyId, *, by: KeyId, hours: int) -> bool:
    """live -> live for some hours more at the most, replaced; False when it was replaced before."""
    return bool(
        await run(
            tx,
            """
            UPDATE api_keys
            SET replaced_by = $2, changed_at = clock_timestamp(),
                expires_at = LEAST(expires_at, clock_timestamp() + make_interval(hours => $3))
            WHERE id = $1 AND replaced_by IS NULL AND revoked_at IS NULL
            """,
            key_id,
            by,
            hours,
        )
    )


async def set_key_revoked(tx: Tx, key_id: KeyId, account_id: AccountId | None) -> bool:
    """live -> revoked; False when it was revoked before, does not exist or is another account's."""
    return bool(
        await run(
            tx,
            """
            UPDATE api_keys SET revoked_at = clock_timestamp(), changed_at = clock_timestamp()
            WHERE id = $1 AND revoked_at IS NULL
              AND ($2::bigint IS NULL OR account_id IN ($2, $2 + 1000000000000))
            """,
            key_id,
            account_id,
        )
    )


async def set_keys_revoked(tx: Tx, account_id: AccountId) -> int:
    """live -> revoked, for every key of an account, test keys included; returns how many."""
    return await run(
        tx,
        """
        UPDATE api_keys SET revoked_at = clock_timestamp(), changed_at = clock_timestamp()
        WHERE account_id IN ($1, $1 + 1000000000000) AND revoked_at IS NULL
        """,
        account_id,
    )


async def set_key_dialect(tx: Tx, key_id: KeyId, account_id: AccountId, dialect: Dialect | None) -> Key | None:
    """Have a live key of an account speak otherwise; None when there is no such key."""
    return await maybe(
        tx,
        Key,
        """
        UPDATE api_keys SET dialect = $3, changed_at = clock_timestamp()
        WHERE id = $1 AND account_id IN ($2, $2 + 1000000000000) AND revoked_at IS NULL
        RETURNING id, name, prefix, scopes, created_at, expires_at, allowed_ips, last_used_at,
                  host(last_used_ip) AS last_used_ip, replaced_by, account_id, dialect
        """,
        key_id,
        account_id,
        dialect,
    )


async def set_key_hash(tx: Tx, key_id: KeyId, secret_hash: bytes) -> None:
    """Store a key under the newest pepper."""
    await run(tx, "UPDATE api_keys SET secret_hash = $2 WHERE id = $1", key_id, secret_hash)


async def count_keys_unused(tx: Tx, *, since: datetime) -> int:
    """Return how many keys of that time are still good and were not used since."""
    count: int = await value(
        tx,
        """
        SELECT count(*) FROM api_keys
        WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp()) AND created_at < $1
          AND (last_used_at IS NULL OR last_used_at < $1)
        """,
        since,
    )
    return count


async def set_keys_used(tx: Tx, *, key_ids: Sequence[KeyId], times: Sequence[datetime], ips: Sequence[str]) -> None:
    """Note when and from where keys were last used."""
    await run(
        tx,
        """
        UPDATE api_keys AS key SET last_used_at = used.at, last_used_ip = used.ip::inet
        FROM (SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::text[]) ORDER BY 1) AS used (id, at, ip)
        WHERE key.id = used.id
        """,
        key_ids,
        times,
        ips,
    )


async def find_key_caller(tx: Tx, hashes: Sequence[bytes]) -> CallerRow | None:
    """Return who holds the key with one of these hashes; revoked and expired keys have nobody.

    A sandbox stands as its owner does: the owner's state, proven address, accepted terms and request limit are its own.
    """
    return await maybe(
        tx,
        CallerRow,
        """
        SELECT key.account_id, key.id AS key_id, NULL::bigint AS session_id, key.secret_hash, key.scopes, owner.state,
               account.role, key.expires_at, owner.verified_at IS NOT NULL AS is_verified,
               COALESCE(owner.terms_version < (SELECT max(version) FROM terms), false) AS owes_terms,
               owner.api_per_minute, key.allowed_ips, factor.confirmed_at IS NOT NULL AS has_second_factor,
               key.dialect
        FROM api_keys AS key JOIN accounts AS account ON account.id = key.account_id
            JOIN accounts AS owner ON owner.id = COALESCE(account.sandbox_of, account.id)
            LEFT JOIN second_factors AS factor ON factor.account_id = account.id
        WHERE key.secret_hash = ANY($1::bytea[]) AND key.revoked_at IS NULL
          AND (key.expires_at IS NULL OR key.expires_at > clock_timestamp())
        """,
        hashes,
    )


async def find_session_caller(tx: Tx, session_id: SessionId) -> CallerRow | None:
    """Return whose session it is; ended and expired sessions have nobody."""
    return await maybe(
        tx,
        CallerRow,
        """
        SELECT session.account_id, NULL::bigint AS key_id, session.id AS session_id, NULL::bytea AS secret_hash,
               '{}'::text[] AS scopes, account.state, account.role,
               LEAST(session.expires_at, session.idle_until) AS expires_at,
               account.verified_at IS NOT NULL AS is_verified,
               COALESCE(account.terms_version < (SELECT max(version) FROM terms), false) AS owes_terms,
               account.api_per_minute, '{}'::text[] AS allowed_ips,
               session.second_factor_at IS NOT NULL AS has_second_factor, NULL::text AS dialect
        FROM sessions AS session JOIN accounts AS account ON account.id = session.account_id
        WHERE session.id = $1 AND session.ended_at IS NULL AND session.expires_at > clock_timestamp()
          AND session.idle_until > clock_timestamp()
        """,
        session_id,
    )


async def list_changes(tx: Tx, since: datetime) -> Changes:
    """Return the keys and sessions that changed, or whose accounts did, since then."""
    found = await rows(
        tx,
        """
        SELECT changed_at AS at, id AS key_id, NULL::bigint AS session_id FROM api_keys WHERE changed_at > $1
        UNION ALL
        SELECT changed_at, NULL, id FROM sessions WHERE changed_at > $1
        UNION ALL
        SELECT account.changed_at, key.id, NULL
        FROM accounts AS account JOIN api_keys AS key ON key.account_id IN (account.id, account.id + 1000000000000)
        WHERE account.changed_at > $1
        UNION ALL
        SELECT account.changed_at, NULL, session.id
        FROM accounts AS account JOIN sessions AS session ON session.account_id = account.id
        WHERE account.changed_at > $1 AND session.ended_at IS NULL
        ORDER BY 1
        """,
        since,
    )
    now = await one(tx, _Now, "SELECT clock_timestamp() AS at, COALESCE(max(version), 0) AS terms_version FROM terms")
    return Changes(
        now=now.at,
        terms_version=now.terms_version,
        keys={key_id: at for at, key_id, _ in found if key_id is not None},
        sessions={session_id: at for at, _, session_id in found if session_id is not None},
    )


@dataclass(frozen=True, slots=True)
class _Now:
    at: datetime
    terms_version: int
