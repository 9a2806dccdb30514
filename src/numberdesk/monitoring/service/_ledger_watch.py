"""What is checked in the background: of the ledger what is new every minute, and a few times a day all of it and the
audit log."""

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Final

import structlog

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import StaffNews
from numberdesk.audit import service as audit
from numberdesk.base import clock
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, Tx
from numberdesk.monitoring import sql
from numberdesk.monitoring.model import Check, LedgerScope
from numberdesk.monitoring.service._verify import verify
from numberdesk.monitoring.sql import Found

log = structlog.get_logger()

RECENT_EVERY: Final = 60.0
POSTINGS_MAX: Final = 50_000
"""New postings that one look reads."""
WHOLE_FIRST: Final = 120.0
WHOLE_LEASE: Final = 2 * 3600.0
AUDIT_CHECK: Final = "the chain of the audit log is whole"

_NEW: Final[tuple[tuple[str, str, Callable[..., Awaitable[Found]]], ...]] = (
    ("I1", "new postings have entries that sum to zero", sql.find_new_unbalanced),
    ("I2", "wallets are what their last entries say", sql.find_new_bad_wallets),
    ("I2", "each new balance follows from the one before", sql.find_new_bad_chains),
    ("I4", "held money is what live holds sum to, where something was posted", sql.find_new_wrong_held),
)


async def check_recent(db: Database, vault: Vault) -> int:
    """Check what was posted since the last look, if that is due; returns how many postings there were."""
    async with db.transaction() as tx:
        due = await sql.lease_ledger_run(tx, "recent", first_seconds=0, lease_seconds=RECENT_EVERY)
    if due is None:
        return 0
    began = clock.seconds()
    async with db.transaction() as tx:
        to = await sql.get_new_end(tx, after=due.checked_to, limit=POSTINGS_MAX)
        checks = [
            _check(invariant, name, await find(tx, after=due.checked_to, to=to)) for invariant, name, find in _NEW
        ]
        kept = await _keep(tx, "recent", checks, began, checked_to=to, next_seconds=RECENT_EVERY)
        await tell_wrong(tx, vault, kept)
    _log(kept, "recent")
    return to - due.checked_to


async def check_whole(db: Database, vault: Vault, *, every_seconds: float) -> bool:
    """Check the whole ledger as `numberdesk ledger verify` does, if that is due; returns whether it was."""
    async with db.transaction() as tx:
        due = await sql.lease_ledger_run(
            tx, "whole", first_seconds=min(WHOLE_FIRST, every_seconds), lease_seconds=WHOLE_LEASE
        )
    if due is None:
        return False
    began = clock.seconds()
    checks = await verify(db)
    async with db.transaction() as tx:
        await _keep(tx, "whole", checks, began, checked_to=0, next_seconds=every_seconds)
        await tell_wrong(tx, vault, checks)
    _log(checks, "whole")
    return True


async def check_audit(db: Database, vault: Vault, *, every_seconds: float) -> bool:
    """Check the chain of the audit log as `numberdesk audit verify` does, if that is due; returns whether it was.

    How many rows there were is kept, so that an end that was cut off shows, too.
    """
    async with db.transaction() as tx:
        due = await sql.lease_ledger_run(
            tx, "audit", first_seconds=min(WHOLE_FIRST, every_seconds), lease_seconds=WHOLE_LEASE
        )
    if due is None:
        return False
    began = clock.seconds()
    found = await audit.check(db)
    breaks = list(found.breaks)
    if found.counted < due.checked_to:
        breaks.append(f"it had {due.checked_to} sealed rows and has {found.counted}: its end was cut off")
    checks = [Check("audit", AUDIT_CHECK, not breaks, found.counted, breaks, len(breaks))]
    async with db.transaction() as tx:
        await _keep(tx, "audit", checks, began, checked_to=found.counted, next_seconds=every_seconds)
        await tell_wrong(tx, vault, checks)
    _log(checks, "audit")
    return True


async def tell_wrong(tx: Tx, vault: Vault, checks: Sequence[Check]) -> None:
    """Tell the staff which checks failed: once a day as long as they are the same ones, whoever finds them."""
    wrong = [check for check in checks if not check.ok]
    if not wrong:
        return
    is_audit = wrong[0].invariant == "audit"
    names = sha256("\n".join(sorted(check.name for check in wrong)).encode()).hexdigest()[:16]
    news = StaffNews(
        "The audit log is not what was written" if is_audit else "Checks of the ledger failed",
        {check.name: f"{check.invariant}, wrong: {check.wrong_count}" for check in wrong},
        "numberdesk audit verify" if is_audit else "numberdesk ledger verify",
        ("ops", "owner") if is_audit else ("finance", "ops", "owner"), f"checks:{await sql.get_day(tx)}:{names}",
        kind="system", note="This is told again tomorrow if it is still so.",
    )  # fmt: skip
    await accounts.tell_staff(tx, vault, news)


async def _keep(
    tx: Tx, scope: LedgerScope, checks: list[Check], began: float, *, checked_to: int, next_seconds: float
) -> list[Check]:
    """Store the results. What `recent` found wrong stays until the whole ledger was checked again."""
    if scope == "recent":
        before = {item.name: item for item in await sql.list_wrong(tx, scope)}
        checks = [_worse(check, before.get(check.name)) for check in checks]
    elif scope == "whole":
        await sql.set_ledger_results(tx, "recent", [])
    await sql.set_ledger_results(tx, scope, checks)
    took_ms = round((clock.seconds() - began) * 1000)
    await sql.set_ledger_run_ended(tx, scope, checked_to=checked_to, took_ms=took_ms, next_seconds=next_seconds)
    return checks


def _check(invariant: str, name: str, found: Found) -> Check:
    return Check(invariant, name, found.count == 0, 0, found.sentences, found.count)


def _worse(check: Check, before: Check | None) -> Check:
    return before if before is not None and before.wrong_count > check.wrong_count else check


def _log(checks: Sequence[Check], scope: LedgerScope) -> None:
    for check in checks:
        if not check.ok:
            log.error(
                "ledger_check_failed", scope=scope, invariant=check.invariant, check=check.name,
                count=check.wrong_count, examples=check.wrong[:3],
            )  # fmt: skip
