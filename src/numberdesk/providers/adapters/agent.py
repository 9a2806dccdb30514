"""Owners of SIM banks as providers: the agent protocol of SMSHub, Grizzly, SMSBower and OnlineSim. We are the shop.

The agent runs a server that we post JSON to, and posts every message to us until we say SUCCESS. It names no prices:
each purchase says what we pay, and nothing is owed until we say that the code came (FINISH_ACTIVATION with 3). So an
unanswered purchase costs nothing, and an unanswered finish would cost the agent its pay: it may be repeated, and is.
Nothing can be asked about an activation. No function raises for anything an agent or the network does.

Source: public copies of the agent protocol's description, with servers of agents written after it.
"""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec
from yarl import URL

from numberdesk.base.http_client import Answer, NoAnswer
from numberdesk.base.money import Paise
from numberdesk.providers.adapters import agent_parse as parse
from numberdesk.providers.adapters.agent_parse import pushed
from numberdesk.providers.line import LIST_BODY_MAX, Line, Question, ask, ask_twice, ceiling_text, not_sold
from numberdesk.providers.model import (
    ActiveList,
    CancelAnswer,
    Capabilities,
    Done,
    DoneAnswer,
    Listing,
    LookAnswer,
    Refused,
    RentAnswer,
    Unknown,
    Wanted,
)

__all__ = [
    "DIALECTS",
    "PUSH_TAKEN",
    "active",
    "another_code",
    "balance",
    "cancel",
    "endpoint",
    "finish",
    "listing",
    "look",
    "pushed",
    "rent",
]

_CAN: Final = Capabilities(
    cancel_after_ms=0,
    has_look=False,
    has_list=False,
    tells_cost=False,
    pushes=True,
    sells_at_finish=True,
    has_balance=False,
)
DIALECTS: Final[Mapping[str, Capabilities]] = MappingProxyType({"smshub": _CAN, "smshub-dollar": _CAN})
CURRENCIES: Final[Mapping[str, int]] = MappingProxyType({"smshub": 643, "smshub-dollar": 840})
"""What an agent is paid in, by ISO 4217: the protocol knows roubles and dollars. What one costs us, the row says."""
PUSH_TAKEN: Final = b'{"status":"SUCCESS"}'
"""The word after which an agent stops posting a message."""
PAY: Final = Paise(1000)
"""What an agent gets for a number with its code, unless its row says otherwise."""


def endpoint(url: str) -> URL:
    """Return the address to call: every agent has its own."""
    return URL(url)


async def rent(line: Line, wanted: Wanted, *, until: float) -> RentAnswer:
    """Ask for one number and offer the ceiling for it, with one request that is never repeated."""
    service, country = line.words.service_word(wanted.service), line.words.country_word(wanted.country)
    if country is None:
        return Refused("bad_country", "the agent has no word for it")
    if service is None:
        return Refused("bad_service", "the agent has no word for it")
    per_unit = line.provider.paise_per_unit
    offered = ceiling_text(wanted.ceiling_paise, per_unit)
    if not offered:
        return Refused("price_changed", "the ceiling is below the smallest amount")
    question = _question(
        line,
        "rent",
        "GET_NUMBER",
        wanted.reference,
        country=country,
        operator=wanted.operator,
        service=service,
        # Agents tell numbers from text; a float would not be what is owed.
        sum=msgspec.Raw(offered.encode()),
        currency=CURRENCIES[line.provider.dialect],
        exceptionPhoneSet=[],
    )
    answer = await ask(line, question, until=until)
    return not_sold(answer) if isinstance(answer, NoAnswer) else parse.rent(answer.body, answer.status)


async def look(line: Line, upstream_id: str, *, until: float) -> LookAnswer:
    """Say that it is not known: agents are not asked, they post."""
    return Unknown("an agent cannot be asked for a number")


async def active(line: Line, *, until: float) -> ActiveList | Unknown:
    """Say that it is not known: agents list nothing that lives."""
    return Unknown("an agent has no list of numbers")


async def cancel(line: Line, upstream_id: str, *, until: float) -> CancelAnswer:
    """Give a number back. An agent never says that a code came first: the message itself does, and is posted."""
    answer = await _end(line, "cancel", upstream_id, 4, until)
    return Unknown(answer.reason) if isinstance(answer, NoAnswer) else parse.ended(answer.body, answer.status)


async def finish(line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
    """Say that the code came, which is what the agent is paid for; may be repeated until it is heard."""
    answer = await _end(line, "finish", upstream_id, 3, until)
    return Unknown(answer.reason) if isinstance(answer, NoAnswer) else parse.ended(answer.body, answer.status)


async def another_code(line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
    """Say that one more code may come, and ask nothing: every message is posted until the number is finished."""
    return Done()


async def listing(line: Line, *, until: float) -> Listing | Unknown:
    """Read what the agent has. Each costs what we pay this agent."""
    answer = await ask_twice(line, _question(line, "listing", "GET_SERVICES"), until=until, body_max=LIST_BODY_MAX)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    pay = Paise(line.provider.agent_pay_paise or PAY)
    found = await asyncio.to_thread(parse.listing, answer.body, answer.status, pay_paise=pay)
    return found if isinstance(found, Unknown) else Listing(found)


async def balance(line: Line, *, until: float) -> Paise | Unknown:
    """Return nothing, without asking: an agent holds no money of ours, it is paid afterwards."""
    return Paise(0)


async def _end(line: Line, action: str, upstream_id: str, status: Literal[3, 4], until: float) -> Answer | NoAnswer:
    activation_id = int(upstream_id) if upstream_id.isascii() and upstream_id.isdecimal() else 0
    question = _question(line, action, "FINISH_ACTIVATION", upstream_id, activationId=activation_id, status=status)
    return await ask(line, question, until=until)


def _question(line: Line, action: str, word: str, subject: str = "", **fields: Any) -> Question:
    body = msgspec.json.encode({"action": word, "key": line.api_key, **fields})
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    return Question(action, line.endpoint, subject, headers=headers, method="POST", body=body)
