"""What tests do to the table `outbox`: writing notices, reading rows, letting time pass."""

from dataclasses import dataclass
from datetime import timedelta

from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, one, run, value
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Notice, OutboxState


@dataclass(frozen=True)
class Row:
    """A row of `outbox`; `due_in` counts from the database's now."""

    id: int
    template: str
    account_id: int | None
    payload: bytes | None
    state: OutboxState
    attempts: int
    last_problem: str | None
    due_in: timedelta


async def write(db: Database, vault: Vault, *notices: Notice) -> None:
    async with db.transaction() as tx:
        await notifications.enqueue(tx, vault, notices)


async def row(db: Database, key: str = "verify:1") -> Row:
    async with db.statement() as tx:
        statement = "SELECT *, due_at - clock_timestamp() AS due_in FROM outbox WHERE dedupe_key = $1"
        return await one(tx, Row, statement, key)


async def count(db: Database, state: OutboxState | None = None) -> int:
    async with db.statement() as tx:
        return int(await value(tx, "SELECT count(*) FROM outbox WHERE $1::text IS NULL OR state = $1", state))


async def make_due(db: Database, *, attempts: int | None = None) -> None:
    """Let the pauses and leases of all letters be over, after so many attempts."""
    async with db.statement() as tx:
        await run(
            tx,
            "UPDATE outbox SET due_at = clock_timestamp(), attempts = coalesce($1, attempts) WHERE state = 'waiting'",
            attempts,
        )
