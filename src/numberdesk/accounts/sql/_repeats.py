"""Statements on the table of Idempotency-Keys."""

from dataclasses import dataclass

from numberdesk.base.db import Tx, maybe, run
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A row of `idempotency_keys` as another request left it."""

    operation: str
    body_hash: bytes
    state: str
    status: int | None
    body: bytes | None


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
