"""The health of providers for others: how one stands, what staff decide, probes, counts and transcripts."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.providers import sql
from numberdesk.providers.model import Forced, ProviderId
from numberdesk.providers.service._alerts import close_alert
from numberdesk.providers.service._breaker import RESTED_SECONDS, Event
from numberdesk.providers.service._calls import probe
from numberdesk.providers.service._gate import REASON_MAX, Standing, move_row
from numberdesk.providers.service._lines import Lines
from numberdesk.providers.sql import Calls, Health, Transcript

log = structlog.get_logger()

LEASE_MARGIN_SECONDS: Final = 5.0
TRANSCRIPT_DAYS: Final = 30
CALLS_DAYS: Final = 90
TRANSCRIPTS_MAX: Final = 500
A_DAY: Final = timedelta(days=1)


def health(lines: Lines, provider_id: ProviderId) -> Standing:
    """Return how a provider stands in this process, from memory."""
    return lines.gate.standing(provider_id)


async def list_health(db: Database) -> list[Health]:
    """Return the health of every provider, as all processes share it."""
    async with db.statement() as tx:
        return await sql.list_health(tx, rested_seconds=RESTED_SECONDS)


async def change_forced(tx: Tx, provider_id: ProviderId, forced: Forced | None, reason: str) -> tuple[Health, Health]:
    """Hold a breaker open or closed whatever happens, or give it back with None; every process follows at `refresh`.

    Given back, it goes on as it was before; one that was held closed is closed. Returns its health as it was and as it
    is.

    Raises:
        InvalidFields: a decision needs a reason.
        NotFound: there is no such provider.
    """
    reason = reason.strip()
    if forced is not None and not 0 < len(reason) <= REASON_MAX:
        raise InvalidFields({"reason": f"must be 1 to {REASON_MAX} characters"})
    before = await sql.lock_health(tx, provider_id=provider_id, rested_seconds=RESTED_SECONDS)
    if before is None:
        raise NotFound("provider")
    await sql.set_forced(tx, provider_id=provider_id, forced=forced, reason=reason if forced is not None else "")
    if forced == "closed":
        await close_alert(tx, provider_id=provider_id, kind="breaker")
    after = await sql.lock_health(tx, provider_id=provider_id, rested_seconds=RESTED_SECONDS)
    assert after is not None, "the row was locked"
    return before, after


async def probe_due(lines: Lines) -> int:
    """Ask the providers that are shut and whose time is over whether they answer; returns how many were asked.

    One worker at a time asks each. A good answer lets single purchases try; a second one closes the breaker if none
    did meanwhile. A failure keeps it open for twice as long.
    """
    async with lines.db.statement() as tx:
        due = await sql.lease_probes(tx, margin_seconds=LEASE_MARGIN_SECONDS)
    results = await asyncio.gather(*(_probe(lines, *item) for item in due), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            log.warning("probe_failed", problem=type(result).__name__)
    return len(due)


async def _probe(lines: Lines, provider_id: ProviderId, generation: int) -> None:
    finding = await probe(lines, provider_id)
    event: Event = "probe_bad" if finding.verdict == "bad" else "probe_good"
    if finding.verdict == "none" and finding.kind != "unlisted":
        return  # nothing was asked; the probe is due again when its lease ends
    reason = f"the probe failed: {finding.what}" if event == "probe_bad" else ""
    row, _ = await move_row(lines.db, provider_id, event, generation=generation, reason=reason)
    if row is not None:
        lines.gate.adopt([row])


async def list_calls(db: Database, *, provider_id: ProviderId | None = None, back: timedelta = A_DAY) -> list[Calls]:
    """Return what came of calls by hour, the newest first.

    Args:
        back: how far to look back; the hour in which that moment lies counts whole.
    """
    async with db.statement() as tx:
        return await sql.list_calls(tx, provider_id=provider_id, back=back)


async def list_transcripts(
    db: Database, provider_id: ProviderId, subject: str | None = None, limit: int = 100
) -> list[Transcript]:
    """Return what was said with a provider, the newest first: for staff only, since phone numbers stand in it.

    Args:
        subject: our reference of a purchase (`55-1`), or an activation's id.
        limit: at most `TRANSCRIPTS_MAX`.
    """
    async with db.statement() as tx:
        return await sql.list_transcripts(
            tx, provider_id=provider_id, subject=subject, limit=min(limit, TRANSCRIPTS_MAX)
        )


async def forget_calls(db: Database, *, limit: int = 1000) -> int:
    """Delete transcripts and counts that are old, and close alerts on words that nobody says any more.

    Returns how many rows were deleted.
    """
    async with db.transaction() as tx:
        for provider_id in await sql.list_unheard(tx):
            await close_alert(tx, provider_id=provider_id, kind="unknown_word")
        gone = await sql.delete_old_transcripts(tx, days=TRANSCRIPT_DAYS, limit=limit)
        return gone + await sql.delete_old_calls(tx, days=CALLS_DAYS, limit=limit)
