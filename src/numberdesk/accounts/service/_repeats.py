"""Verbs for requests that are safe to repeat: what an Idempotency-Key was used for."""

import hashlib
from dataclasses import dataclass

from numberdesk.accounts import sql
from numberdesk.accounts.model import Answer
from numberdesk.base.db import Database
from numberdesk.base.errors import AppError
from numberdesk.wallet.model import AccountId

IN_FLIGHT_SECONDS = 30


@dataclass(eq=False)
class KeyInFlight(AppError):
    """The first request with this Idempotency-Key is still running."""

    status = 409
    code = "idempotency_key_in_flight"
    category = "transaction"
    message = "The first request with this Idempotency-Key is still running. Repeat in a second."
    retry_after = 1


@dataclass(eq=False)
class KeyReused(AppError):
    """The Idempotency-Key was used for another request."""

    status = 409
    code = "idempotency_key_reused"
    category = "transaction"
    message = "This Idempotency-Key was used for another request. Nothing was done."


async def claim(db: Database, *, account_id: AccountId, key: str, operation: str, body: bytes) -> Answer | None:
    """Claim an Idempotency-Key for one request.

    Returns:
        None: carry the request out, then call `keep_answer` or `release`. Or the first answer, to be given again.

    Raises:
        KeyInFlight: the first request is still running.
        KeyReused: it was another request.
    """
    body_hash = hashlib.sha256(body).digest()
    async with db.statement() as tx:
        if await sql.insert_key_use(
            tx, account_id=account_id, key=key, operation=operation, body_hash=body_hash,
            lock_seconds=IN_FLIGHT_SECONDS,
        ):  # fmt: skip
            return None
        use = await sql.find_key_use(tx, account_id=account_id, key=key)
    if use is None:
        raise KeyInFlight
    if use.operation != operation or use.body_hash != body_hash:
        raise KeyReused
    if use.status is None or use.body is None:
        raise KeyInFlight
    return Answer(use.status, use.body)


async def keep_answer(db: Database, *, account_id: AccountId, key: str, answer: Answer) -> None:
    """Store the first answer of a claimed key."""
    async with db.statement() as tx:
        await sql.set_key_answered(tx, account_id=account_id, key=key, status=answer.status, body=answer.body)


async def release(db: Database, *, account_id: AccountId, key: str) -> None:
    """Give a claimed key back after a request that changed nothing."""
    async with db.statement() as tx:
        await sql.delete_key_use(tx, account_id=account_id, key=key)
