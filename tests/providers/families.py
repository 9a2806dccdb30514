"""Name the families of providers under contract, and open a simulator of one with a line and its adapter."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from numberdesk.base import http_client
from numberdesk.base.money import Paise
from numberdesk.providers import simulator
from numberdesk.providers.adapters import ADAPTERS, Adapter
from numberdesk.providers.line import Line
from numberdesk.providers.model import Capabilities, Kind, Rented, Wanted, Words
from numberdesk.providers.service import words_of
from numberdesk.providers.simulator import Simulator, catalogue
from tests.providers.five_sim_desk import WORDS
from tests.providers.line_desk import KEY, PROVIDER, soon, words_listed
from tests.providers.sms_pool_desk import WORDS as SMS_POOL_WORDS

AGENT_WORDS = words_of(words_listed("agent"), means_itself=False)


@dataclass(frozen=True)
class Family:
    """One protocol in one dialect, and the simulator that speaks it.

    `absent_id` is a well-formed id that was never sold, `country` is where its tests buy. A family that is not
    `is_thorough` meets the faults with its purchases and reads only: another dialect of the same adapter already met
    them with every step.
    """

    name: str
    kind: Kind
    dialect: str
    simulator: str
    words: Words = field(default_factory=Words)
    absent_id: str = "987654321"
    country: int = 22
    sells_everywhere: bool = True
    tells_stock: bool = True
    is_thorough: bool = True

    @property
    def adapter(self) -> Adapter:
        return ADAPTERS[self.kind]

    @property
    def cost(self) -> int:
        """What a Telegram number costs there, in paise."""
        return catalogue.offers()["tg", self.country].cost_paise

    @property
    def can(self) -> Capabilities:
        return self.adapter.DIALECTS[self.dialect]

    def needs(self, capability: str) -> None:
        """Skip the test when the family declares that it cannot."""
        if not getattr(self.can, capability):
            pytest.skip(f"{self.name} declares not {capability}")


FAMILIES = [
    Family("classic", "sms-activate", "classic", "sms-activate"),
    Family("hero", "sms-activate", "hero", "hero"),
    Family("smshub", "sms-activate", "smshub", "smshub"),
    Family("numberdesk", "sms-activate", "numberdesk", "numberdesk", is_thorough=False),
    Family("text-status", "sms-activate", "text-status", "text-status", is_thorough=False),
    Family("grizzly", "sms-activate", "grizzly", "grizzly", is_thorough=False),
    Family("smsbower", "sms-activate", "smsbower", "smsbower", is_thorough=False),
    Family("daisysms", "sms-activate", "daisysms", "daisysms", country=187, sells_everywhere=False, is_thorough=False),
    Family("five-sim", "five-sim", "five-sim", "five-sim", words=WORDS),
    Family(
        "sms-pool",
        "sms-pool",
        "sms-pool",
        "sms-pool",
        words=SMS_POOL_WORDS,
        absent_id="ZZZZZZZZ",
        tells_stock=False,
    ),
    Family("agent", "agent", "smshub", "agent", words=AGENT_WORDS, tells_stock=False),
]


@asynccontextmanager
async def opened(
    family: Family, profile: Any = "never", *, min_cancel_age: timedelta = timedelta(0), **options: Any
) -> AsyncIterator[tuple[Simulator, Line, Adapter]]:
    """Run the family's simulator with a line to it; options are the simulator's."""
    async with (
        await simulator.start(
            profile=profile,
            api_key=KEY,
            record_path=None,
            family=family.simulator,
            min_cancel_age=min_cancel_age,
            **options,
        ) as upstream,
        http_client.session() as session,
    ):
        provider = replace(PROVIDER, kind=family.kind, dialect=family.dialect, url=upstream.url)
        endpoint = family.adapter.endpoint(upstream.url)
        line = Line(provider, KEY, endpoint, session, asyncio.Semaphore(50), None, family.words)
        yield upstream, line, family.adapter


def telegram(
    family: Family,
    *,
    ceiling: int | None = None,
    reference: str = "55-1",
    service: str = "tg",
    country: int | None = None,
    operator: str = "any",
) -> Wanted:
    """Want a Telegram number where the family's tests buy, at its price, unless told otherwise; in our own codes."""
    return Wanted(
        service,
        family.country if country is None else country,
        operator,
        Paise(family.cost if ceiling is None else ceiling),
        reference,
    )


async def sale(line: Line, adapter: Adapter, family: Family, reference: str = "55-1") -> Rented:
    """Buy a number; the simulator must be one that sells."""
    answer = await adapter.rent(line, telegram(family, reference=reference), until=soon(5))
    assert isinstance(answer, Rented), answer
    return answer
