"""Purchases that wait for an answer: a provider that hangs is seen before the first of them reaches its deadline."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Final

from numberdesk.providers.model import ProviderId, RentAnswer, Unknown

STALLED_SECONDS: Final = 1.0
STALLED_MIN: Final = 3
"""Purchases that have waited so long while none was answered; one or two may just be slow."""


@dataclass(slots=True)
class Stalls:
    """The purchases of this process that are on their way, oldest first, and when each provider last answered one."""

    waiting: dict[ProviderId, dict[int, float]] = field(default_factory=dict)
    answered_at: dict[ProviderId, float] = field(default_factory=dict)
    tickets: Iterator[int] = field(default_factory=count)

    def begin(self, provider_id: ProviderId) -> int:
        """Note a purchase that leaves; `end` wants the ticket back."""
        ticket = next(self.tickets)
        self.waiting.setdefault(provider_id, {})[ticket] = asyncio.get_running_loop().time()
        return ticket

    def end(self, provider_id: ProviderId, ticket: int, answer: RentAnswer | None) -> None:
        """Note what became of it; an unclear answer is none."""
        del self.waiting[provider_id][ticket]
        if answer is not None and not isinstance(answer, Unknown):
            self.answered_at[provider_id] = asyncio.get_running_loop().time()

    def is_stalled(self, provider_id: ProviderId) -> bool:
        """Tell whether a provider seems to hang: several purchases wait, and nobody had an answer lately."""
        waiting = self.waiting.get(provider_id, {})
        if len(waiting) < STALLED_MIN:
            return False
        since = asyncio.get_running_loop().time() - STALLED_SECONDS
        youngest_of_the_oldest = next(islice(waiting.values(), STALLED_MIN - 1, None))
        return youngest_of_the_oldest < since and self.answered_at.get(provider_id, since - 1) < since
