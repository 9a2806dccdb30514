"""What backups, exports and `doctor` need to know of an installation."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from numberdesk.accounts.service import TokenKeys
from numberdesk.base.db import Database, Tx
from numberdesk.monitoring import sql
from numberdesk.monitoring.model import Server
from numberdesk.monitoring.service._pulse import ALIVE_SECONDS

SERVER_NAME = "numberdesk"
"""What web processes and workers call themselves; commands have longer names."""

PROOF_SECONDS = 300
"""How old a proof of `doctor` may be; clocks that differ by more are found out otherwise."""


async def count_rows(tx: Tx) -> dict[str, int]:
    """Return how many rows of money there are, by what they are: two copies of one moment have the same."""
    return await sql.count_all(tx)


@dataclass(frozen=True, slots=True)
class Export:
    """A table that can be taken along: the names of its columns, and how a page of it is read."""

    columns: tuple[str, ...]
    page: Callable[[Tx, int, int], Awaitable[list[tuple[Any, ...]]]]


EXPORTS = {
    "accounts": Export(
        ("id", "email", "name", "role", "state", "sandbox_of", "created_at", "verified_at", "available_paise",
         "held_paise"),
        sql.page_accounts,
    ),
    "orders": Export(
        ("id", "account_id", "service", "country", "operator", "provider", "upstream_id", "number", "state", "failure",
         "price_paise", "cost_paise", "charged_paise", "codes_received", "created_at", "activated_at", "received_at",
         "ended_at"),
        sql.page_orders,
    ),
    "ledger": Export(
        ("posting_id", "at", "kind", "cause_type", "cause_id", "account_id", "bucket", "amount_paise",
         "balance_after_paise", "version"),
        sql.page_entries,
    ),
    "recharges": Export(
        ("id", "ref", "account_id", "method", "rail", "status", "requested_paise", "payable_paise", "credited_paise",
         "refunded_paise", "gateway_id", "created_at", "changed_at", "expires_at"),
        sql.page_recharges,
    ),
    "payments": Export(
        ("id", "rail", "external_id", "rrn", "recharge", "account_id", "proof", "state", "why", "amount_paise",
         "refunded_paise", "units", "paise_per_unit", "paid_at", "created_at", "settled_at"),
        sql.page_payments,
    ),
}  # fmt: skip
"""What may be exported. The first column is what pages go by."""
EXPORT_PAGE = 2000


async def export(tx: Tx, name: str, *, page_size: int = EXPORT_PAGE) -> AsyncIterator[list[tuple[Any, ...]]]:
    """Yield the rows of one of `EXPORTS` page by page, in the order of their ids; `tx` is a snapshot."""
    after = 0
    while page := await EXPORTS[name].page(tx, after, page_size):
        yield page
        after = page[-1][0]


async def servers(db: Database) -> tuple[int, datetime | None]:
    """Return how many connections web processes and workers have, of all machines, and since when the oldest runs."""
    async with db.statement() as tx:
        return await sql.get_sessions(tx, SERVER_NAME, seconds=ALIVE_SECONDS)


async def server(db: Database) -> Server:
    """Return how the database server is set up, and its clock."""
    async with db.statement() as tx:
        return await sql.get_server(tx)


def prove(keys: TokenKeys, *, at: int) -> str:
    """Return what shows the server that `doctor` asks, for a moment in seconds since 1970."""
    return f"{at}.{_probe_mac(keys.signing[keys.kid], at)}"


def is_proven(keys: TokenKeys, proof: str, *, now: float) -> bool:
    """Tell whether a proof is one of ours and not old."""
    at, _, mac = proof.partition(".")
    if not (at.isascii() and at.isdigit() and len(at) <= 12) or abs(now - int(at)) > PROOF_SECONDS:
        return False
    return any(hmac.compare_digest(_probe_mac(key, int(at)).encode(), mac.encode()) for key in keys.signing.values())


def _probe_mac(key: bytes, at: int) -> str:
    return hmac.new(key, f"numberdesk probe {at}".encode(), hashlib.sha256).hexdigest()
