"""Every statement on the tables of the accounts slice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from numberdesk.accounts.model import Caller, KeyId
from numberdesk.base.db import Tx, maybe, rows, run, value
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A row of `idempotency_keys` as another request left it."""

    operation: str
    body_hash: bytes
    state: str
    status: int | None
    body: bytes | None


async def insert_accounts(tx: Tx, emails: Sequence[str], names: Sequence[str]) -> list[AccountId]:
    """Write new accounts, in the order given; an address that is known breaks `accounts_email`."""
    return [
        AccountId(row[0])
        for row in await rows(
            tx,
            "INSERT INTO accounts (email, name) SELECT * FROM unnest($1::text[], $2::text[]) RETURNING id",
            emails,
            names,
        )
    ]


async def find_account_id(tx: Tx, email: str) -> AccountId | None:
    """Return the account with this address, whatever the case of its letters."""
    found: int | None = await value(tx, "SELECT id FROM accounts WHERE lower(email) = lower($1)", email)
    return None if found is None else AccountId(found)


async def set_account_state(tx: Tx, account_id: AccountId, state: str) -> bool:
    """Any state -> `state`; False when there is no such account."""
    return bool(
        await run(tx, "UPDATE accounts SET state = $2, changed_at = clock_timestamp() WHERE id = $1", account_id, state)
    )


async def insert_keys(
    tx: Tx, *, account_ids: Sequence[AccountId], name: str, prefixes: Sequence[str], hashes: Sequence[bytes],
    scopes: Sequence[str],
) -> list[KeyId]:  # fmt: skip
    """Write new API keys, one per account in the order given."""
    return [
        KeyId(row[0])
        for row in await rows(
            tx,
            """
            INSERT INTO api_keys (account_id, name, prefix, secret_hash, scopes)
            SELECT account_id, $2, prefix, secret_hash, $5::text[]
            FROM unnest($1::bigint[], $3::text[], $4::bytea[]) AS new (account_id, prefix, secret_hash)
            RETURNING id
            """,
            account_ids,
            name,
            prefixes,
            hashes,
            scopes,
        )
    ]


async def set_key_revoked(tx: Tx, key_id: KeyId) -> bool:
    """live -> revoked; False when it was revoked before or does not exist."""
    return bool(
        await run(
            tx,
            """
            UPDATE api_keys SET revoked_at = clock_timestamp(), changed_at = clock_timestamp()
            WHERE id = $1 AND revoked_at IS NULL
            """,
            key_id,
        )
    )


async def find_caller(tx: Tx, secret_hash: bytes) -> Caller | None:
    """Return who holds this key; revoked and expired keys have nobody."""
    found = await maybe(
        tx,
        Caller,
        """
        SELECT key.account_id, key.id AS key_id, key.scopes, account.state, key.expires_at
        FROM api_keys AS key JOIN accounts AS account ON account.id = key.account_id
        WHERE key.secret_hash = $1 AND key.revoked_at IS NULL
          AND (key.expires_at IS NULL OR key.expires_at > clock_timestamp())
        """,
        secret_hash,
    )
    return None if found is None else replace(found, scopes=tuple(found.scopes))


async def list_changed_keys(tx: Tx, since: datetime) -> tuple[datetime, dict[bytes, datetime]]:
    """Return the database's time, and when keys changed, or their accounts did, since then, by hash."""
    found = await rows(
        tx,
        """
        SELECT clock_timestamp(), NULL::bytea
        UNION ALL
        SELECT changed_at, secret_hash FROM api_keys WHERE changed_at > $1
        UNION ALL
        SELECT account.changed_at, key.secret_hash
        FROM accounts AS account JOIN api_keys AS key ON key.account_id = account.id
        WHERE account.changed_at > $1
        ORDER BY 1
        """,
        since,
    )
    now: datetime = next(at for at, secret_hash in found if secret_hash is None)
    return now, {secret_hash: at for at, secret_hash in found if secret_hash is not None}


async def insert_key_use(
    tx: Tx, *, account_id: AccountId, key: str, operation: str, body_hash: bytes, lock_seconds: int
) -> bool:
    """Claim an Idempotency-Key, or take over one whose request died; False when somebody has it."""
    return bool(
        await run(
            tx,
            """
            INSERT INTO idempotency_keys AS held (account_id, key, operation, body_hash, locked_until)
            VALUES ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))
            ON CONFLICT (account_id, key) DO UPDATE SET locked_until = excluded.locked_until
            WHERE held.state = 'in_flight' AND held.locked_until < clock_timestamp()
              AND held.operation = excluded.operation AND held.body_hash = excluded.body_hash
            """,
            account_id,
            key,
            operation,
            body_hash,
            lock_seconds,
        )
    )


async def find_key_use(tx: Tx, *, account_id: AccountId, key: str) -> KeyUse | None:
    """Return what an Idempotency-Key was used for."""
    return await maybe(tx, KeyUse, "SELECT * FROM idempotency_keys WHERE account_id = $1 AND key = $2", account_id, key)


async def set_key_answered(tx: Tx, *, account_id: AccountId, key: str, status: int, body: bytes) -> bool:
    """in_flight -> answered."""
    return bool(
        await run(
            tx,
            """
            UPDATE idempotency_keys SET state = 'answered', status = $3, body = $4
            WHERE account_id = $1 AND key = $2 AND state = 'in_flight'
            """,
            account_id,
            key,
            status,
            body,
        )
    )


async def delete_key_use(tx: Tx, *, account_id: AccountId, key: str) -> None:
    """Forget a claim whose request changed nothing."""
    await run(
        tx,
        "DELETE FROM idempotency_keys WHERE account_id = $1 AND key = $2 AND state = 'in_flight'",
        account_id,
        key,
    )


async def delete_old_key_uses(tx: Tx, *, hours: int, limit: int) -> int:
    """Forget answers older than some hours; returns how many went."""
    return await run(
        tx,
        """
        DELETE FROM idempotency_keys WHERE (account_id, key) IN (
            SELECT account_id, key FROM idempotency_keys
            WHERE created_at < clock_timestamp() - make_interval(hours => $1) LIMIT $2)
        """,
        hours,
        limit,
    )
