"""The open lines of a process: one to each provider, kept while nothing about the provider changes."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from aiohttp import ClientSession
from aiolimiter import AsyncLimiter

from numberdesk.base import http_client
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.base.errors import NotFound
from numberdesk.providers import sql
from numberdesk.providers.adapters import ADAPTERS
from numberdesk.providers.line import Line
from numberdesk.providers.model import ProviderId

PROVIDERS_MAX: Final = 1000
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


async def open_lines(db: Database, vault: Vault) -> Lines:
    """Open a line to every provider; `close` ends them.

    Raises:
        WrongKey: a stored key was sealed with another `ENCRYPTION_KEYS`.
    """
    # The number of connections is bounded by the places of each line, so that providers do not share a bound.
    lines = Lines(db, vault, http_client.session(connections_max=0))
    try:
        await refresh(lines)
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
    for row in rows:
        if lines.changed_at.get(row.id) != row.changed_at:
            lines.by_id[row.id] = _line_of(lines, row)
            lines.changed_at[row.id] = row.changed_at
    for gone in set(lines.by_id) - {row.id for row in rows}:
        del lines.by_id[gone], lines.changed_at[gone]


async def close(lines: Lines) -> None:
    """Close all connections."""
    await lines.session.close()


def line(lines: Lines, provider_id: ProviderId) -> Line:
    """Return the open line to a provider.

    Raises:
        NotFound: there is no such provider, or it was added after the last `refresh`.
    """
    found = lines.by_id.get(provider_id)
    if found is None:
        raise NotFound("provider")
    return found


def _line_of(lines: Lines, row: sql.Stored) -> Line:
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
        api_key=lines.vault.open(row.api_key_sealed),
        endpoint=ADAPTERS[provider.kind].endpoint(provider.url),
        session=lines.session,
        places=places,
        pace=pace,
    )
