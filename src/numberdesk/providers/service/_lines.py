"""The open lines of a process: one to each provider, kept while nothing about the provider changes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import structlog
from aiohttp import ClientSession
from aiolimiter import AsyncLimiter

from numberdesk.base import http_client
from numberdesk.base.crypto import Vault, WrongKey
from numberdesk.base.db import Database
from numberdesk.base.errors import NotFound
from numberdesk.providers import sql
from numberdesk.providers.adapters import ADAPTERS, capabilities
from numberdesk.providers.line import Line
from numberdesk.providers.model import Provider, ProviderId, Words
from numberdesk.providers.service._breaker import RESTED_SECONDS
from numberdesk.providers.service._gate import Gate, flush_gate
from numberdesk.providers.service._spending import Spending, refresh_spending
from numberdesk.providers.service._stalls import Stalls

log = structlog.get_logger()

PROVIDERS_MAX: Final = 1000
LAST_FLUSH_SECONDS: Final = 3.0
UNPACED: Final = 1000
"""Calls a second from which on a provider's calls are not counted."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The open lines of this process to all providers."""

    db: Database
    vault: Vault = field(repr=False)
    session: ClientSession = field(repr=False)
    by_id: dict[ProviderId, Line] = field(default_factory=dict)
    changed_at: dict[ProviderId, datetime] = field(default_factory=dict)
    spending: Spending = field(default_factory=Spending, repr=False)
    gate: Gate = field(default_factory=Gate, repr=False)
    stalls: Stalls = field(default_factory=Stalls, repr=False)


async def open_lines(db: Database, vault: Vault) -> Lines:
    """Open a line to every provider; `close` ends them.

    Raises:
        WrongKey: a stored key was sealed with another `ENCRYPTION_KEYS`.
    """
    # The number of connections is bounded by the places of each line, so that providers do not share a bound.
    lines = Lines(db, vault, http_client.session(connections_max=0))
    try:
        await refresh(lines)
        await watch_spending(lines)
    except BaseException:
        await close(lines)
        raise
    return lines


async def refresh(lines: Lines) -> None:
    """Take over what changed in the rows of providers; calls in flight and waiting ones are not disturbed.

    Raises:
        WrongKey: as in `open_lines`.
    """
    async with lines.db.statement() as tx:
        rows = await sql.list_all(tx, limit=PROVIDERS_MAX)
        health = await sql.list_health(tx, rested_seconds=RESTED_SECONDS)
        changed = [row for row in rows if lines.changed_at.get(row.id) != row.changed_at]
        words = await sql.list_words(tx, [row.id for row in changed]) if changed else []
    was_capped = {line.provider.id for line in lines.by_id.values() if line.provider.spend_max_paise is not None}
    for row in changed:
        _take(lines, row, [word for word in words if word.provider_id == row.id])
        lines.changed_at[row.id] = row.changed_at
    for gone in set(lines.by_id) - {row.id for row in rows}:
        del lines.by_id[gone], lines.changed_at[gone]
        lines.gate.breakers.pop(gone, None)
    lines.gate.adopt(health)
    if any(row.spend_max_paise is not None and row.id not in was_capped for row in changed):
        # What was spent before there was a cap counts too, and nobody read it so far.
        await watch_spending(lines)


async def watch_spending(lines: Lines) -> None:
    """Read again what was spent today with the providers that have a cap; each process that buys does so."""
    capped: dict[ProviderId, Provider] = {
        line.provider.id: line.provider for line in lines.by_id.values() if line.provider.spend_max_paise is not None
    }
    await refresh_spending(lines.db, lines.spending, capped=capped)


async def flush(lines: Lines) -> None:
    """Write down what calls left behind, and tell the other processes of breakers that opened or closed here.

    What the database does not take is lost, but for breakers, which are told again.
    """
    await flush_gate(lines.db, lines.gate)


async def close(lines: Lines) -> None:
    """Close all connections, and write down what calls left behind."""
    await lines.session.close()
    try:
        async with asyncio.timeout(LAST_FLUSH_SECONDS):
            await flush(lines)
    except TimeoutError:
        log.warning("gate_lost", what="all that was left")


def line(lines: Lines, provider_id: ProviderId) -> Line:
    """Return the open line to a provider.

    Raises:
        NotFound: there is no such provider, or it was added after the last `refresh`.
    """
    found = lines.by_id.get(provider_id)
    if found is None:
        raise NotFound("provider")
    return found


def _take(lines: Lines, row: sql.Stored, words: Sequence[sql.Word]) -> None:
    """Take over a row. One that this process cannot use, written by a newer one perhaps, keeps the others reachable.

    A line that is there goes on for its open orders, and buys nothing.
    """
    try:
        lines.by_id[row.id] = _line_of(lines, row, words)
    except WrongKey:
        raise
    except Exception:
        log.exception("provider_row_unusable", provider=row.name)
        former = lines.by_id.get(row.id)
        if former is not None:
            lines.by_id[row.id] = replace(former, provider=replace(former.provider, is_on=False))


def _line_of(lines: Lines, row: sql.Stored, words: Sequence[sql.Word]) -> Line:
    """Build the line for a row; places and pace go on counting where their size did not change."""
    provider, former = row.provider(), lines.by_id.get(row.id)
    places, pace = asyncio.Semaphore(provider.parallel_max), None
    if provider.calls_per_second < UNPACED:
        pace = AsyncLimiter(provider.calls_per_second, 1)
    if former is not None and former.provider.parallel_max == provider.parallel_max:
        places = former.places
    if former is not None and former.provider.calls_per_second == provider.calls_per_second:
        pace = former.pace
    return Line(
        provider=provider,
        api_key="" if provider.kind == "sandbox" else lines.vault.open(row.api_key_sealed),
        endpoint=ADAPTERS[provider.kind].endpoint(provider.url),
        session=lines.session,
        places=places,
        pace=pace,
        words=words_of(words, means_itself=capabilities(provider).speaks_our_codes),
    )


def words_of(rows: Sequence[sql.Word], *, means_itself: bool) -> Words:
    """Put the words of one provider in the form in which they are looked up, both ways."""
    services = {row.word: row.code for row in rows if row.kind == "service"}
    countries = {row.word: int(row.code) for row in rows if row.kind == "country"}
    return Words(
        means_itself=means_itself,
        services=services,
        countries=countries,
        service_words={code: word for word, code in services.items()},
        country_words={code: word for word, code in countries.items()},
    )
