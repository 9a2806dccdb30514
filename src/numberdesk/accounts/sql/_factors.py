"""Statements on second factors and recovery codes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from numberdesk.base.db import Tx, maybe, rows, run, value
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class Factor:
    """A second factor, confirmed or not, and the database's time."""

    account_id: AccountId
    secret: bytes
    confirmed_at: datetime | None
    now: datetime


async def upsert_factor(tx: Tx, account_id: AccountId, *, secret: bytes) -> bool:
    """Write a new secret that waits for its confirmation; False when the account has a confirmed one."""
    return bool(
        await run(
            tx,
            """
            INSERT INTO second_factors AS factor (account_id, secret) VALUES ($1, $2)
            ON CONFLICT (account_id) DO UPDATE
                SET secret = excluded.secret, created_at = clock_timestamp(), last_step = 0
                WHERE factor.confirmed_at IS NULL
            """,
            account_id,
            secret,
        )
    )


async def find_factor(tx: Tx, account_id: AccountId) -> Factor | None:
    """Return an account's second factor."""
    return await maybe(
        tx,
        Factor,
        "SELECT account_id, secret, confirmed_at, clock_timestamp() AS now FROM second_factors WHERE account_id = $1",
        account_id,
    )


async def set_step_used(tx: Tx, account_id: AccountId, step: int) -> bool:
    """An older step -> this one; False when this or a later step was used before: the code is a replay."""
    return bool(
        await run(
            tx, "UPDATE second_factors SET last_step = $2 WHERE account_id = $1 AND last_step < $2", account_id, step
        )
    )


async def set_factor_confirmed(tx: Tx, account_id: AccountId) -> bool:
    """waiting -> confirmed; False when it was confirmed before, or there is none."""
    return bool(
        await run(
            tx,
            """
            UPDATE second_factors SET confirmed_at = clock_timestamp() WHERE account_id = $1 AND confirmed_at IS NULL
            """,
            account_id,
        )
    )


async def delete_factor(tx: Tx, account_id: AccountId) -> bool:
    """Remove a second factor and its recovery codes; False when there was none."""
    await run(tx, "DELETE FROM recovery_codes WHERE account_id = $1", account_id)
    return bool(await run(tx, "DELETE FROM second_factors WHERE account_id = $1", account_id))


async def replace_recovery_codes(tx: Tx, account_id: AccountId, hashes: Sequence[bytes]) -> None:
    """Forget an account's recovery codes and write new ones."""
    await run(tx, "DELETE FROM recovery_codes WHERE account_id = $1", account_id)
    await run(
        tx,
        "INSERT INTO recovery_codes (account_id, code_hash) SELECT $1, unnest($2::bytea[])",
        account_id,
        hashes,
    )


async def set_recovery_code_used(tx: Tx, account_id: AccountId, code_hash: bytes) -> bool:
    """unused -> used; False when it was used before or is none of the account's."""
    return bool(
        await run(
            tx,
            """
            UPDATE recovery_codes SET used_at = clock_timestamp()
            WHERE account_id = $1 AND code_hash = $2 AND used_at IS NULL
            """,
            account_id,
            code_hash,
        )
    )


async def count_recovery_codes(tx: Tx, account_id: AccountId) -> int:
    """Return how many recovery codes were not used yet."""
    count: int = await value(
        tx, "SELECT count(*) FROM recovery_codes WHERE account_id = $1 AND used_at IS NULL", account_id
    )
    return count


async def list_sealed_factors(tx: Tx, *, after: int, limit: int) -> list[tuple[AccountId, bytes]]:
    """Return sealed secrets in the order of accounts, and lock their rows."""
    return [
        (AccountId(row[0]), row[1])
        for row in await rows(
            tx,
            """
            SELECT account_id, secret FROM second_factors WHERE account_id > $1 ORDER BY account_id LIMIT $2
            FOR NO KEY UPDATE
            """,
            after,
            limit,
        )
    ]


async def set_factor_secret(tx: Tx, account_id: AccountId, secret: bytes) -> None:
    """Write the same secret sealed anew."""
    await run(tx, "UPDATE second_factors SET secret = $2 WHERE account_id = $1", account_id, secret)
