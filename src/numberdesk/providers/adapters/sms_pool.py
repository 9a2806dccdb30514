"""The SMSPool protocol as its client: forms that are posted, numbers for services, pools for operators, no reference.

Nobody but the server tells what an unanswered purchase came to, so a lost sale is found in the list of orders. The key
travels in the header and in the form, because some of the calls are documented with one and some with the other. No
function raises for anything a provider or the network does.

Source: the provider's published collection of its API.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

from aiohttp import ClientSession
from yarl import URL

from numberdesk.base.http_client import NoAnswer
from numberdesk.base.money import Paise
from numberdesk.providers.adapters import sms_pool_lists as lists
from numberdesk.providers.adapters import sms_pool_parse as parse
from numberdesk.providers.line import (
    IN_THREAD_ABOVE,
    LIST_BODY_MAX,
    Line,
    Question,
    ask,
    ask_twice,
    ceiling_text,
    not_sold,
    parsed,
)
from numberdesk.providers.model import (
    ANY_OPERATOR,
    ActiveList,
    CancelAnswer,
    Capabilities,
    Done,
    DoneAnswer,
    Listing,
    LookAnswer,
    Pushed,
    RefusalReason,
    Refused,
    RentAnswer,
    Unknown,
    UpstreamName,
    UpstreamOffer,
    Wanted,
)

DIALECTS: Final[Mapping[str, Capabilities]] = MappingProxyType({"sms-pool": Capabilities()})
PUSH_TAKEN: Final = b""
CHEAPEST: Final = "0"
"""The pricing option that tries the pools from the cheapest upwards; 1 tries the most successful first."""
COUNTRIES_AT_ONCE: Final = 8
COUNTRIES_MAX: Final = 1000
"""More than there are: a list of them would be asked for one by one."""
NAMES_KEPT: Final = 900.0
"""Seconds after which a service's name that is not known is looked for anew."""

_FORM: Final = MappingProxyType({"Content-Type": "application/x-www-form-urlencoded"})


@dataclass(frozen=True, slots=True)
class _Names:
    ids: Mapping[str, tuple[str, ...]]
    read_at: float


_NAMES: Final[WeakKeyDictionary[ClientSession, dict[URL, _Names]]] = WeakKeyDictionary()
"""The numbers of services by name, as each server told them: the list of orders has the names only."""


def endpoint(url: str) -> URL:
    """Return the address to call, the root of the server."""
    return URL(url.rstrip("/"))


async def rent(line: Line, wanted: Wanted, *, until: float) -> RentAnswer:
    """Buy one number with one request that is never repeated: the provider may have sold although no answer came."""
    provider = line.provider
    service, country = line.words.service_word(wanted.service), line.words.country_word(wanted.country)
    has_pool = wanted.operator != ANY_OPERATOR
    if not country:
        return _no_word("bad_country")
    if not service:
        return _no_word("bad_service")
    if has_pool and not lists.is_pool(wanted.operator):
        return _no_word("bad_operator")
    ceiling = ceiling_text(wanted.ceiling_paise, provider.paise_per_unit)
    if not ceiling:
        return Refused("price_changed", "the ceiling is below the smallest price")
    fields = {
        "country": country,
        "service": service,
        "max_price": ceiling,
        "pricing_option": CHEAPEST,
        "quantity": "1",
    }
    if has_pool:
        fields["pool"] = wanted.operator
    question = _posted(line, "rent", "purchase/sms", subject=wanted.reference, **fields)
    answer = await ask(line, question, until=until)
    if isinstance(answer, NoAnswer):
        return not_sold(answer)
    return parse.rent(
        answer.body, answer.status, ceiling_paise=wanted.ceiling_paise, paise_per_unit=provider.paise_per_unit
    )


async def look(line: Line, upstream_id: str, *, until: float) -> LookAnswer:
    """Read the state of one order."""
    answer = await ask_twice(line, _of_order(line, "look", "sms/check", upstream_id), until=until)
    return Unknown(answer.reason) if isinstance(answer, NoAnswer) else parse.look(answer.body, answer.status)


async def active(line: Line, *, until: float) -> ActiveList | Unknown:
    """Read all open orders at once, and what the names in them mean; without that nothing may be said of them."""
    question = _posted(line, "active", "request/active")
    answer = await ask_twice(line, question, until=until, body_max=LIST_BODY_MAX)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    found = await parsed(lists.orders, answer)
    if isinstance(found, Unknown):
        return found
    ids = await _service_ids(line, {lists.name_key(row.service) for row in found.rows}, until)
    if isinstance(ids, Unknown):
        return ids
    per_unit = line.provider.paise_per_unit
    if len(answer.body) <= IN_THREAD_ABOVE:
        return lists.active(found, ids=ids, words=line.words, paise_per_unit=per_unit)
    return await asyncio.to_thread(lists.active, found, ids=ids, words=line.words, paise_per_unit=per_unit)


async def cancel(line: Line, upstream_id: str, *, until: float) -> CancelAnswer:
    """Cancel an order. When the provider does not, a look says whether a code won."""
    answer = await ask(line, _of_order(line, "cancel", "sms/cancel", upstream_id), until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    outcome = parse.cancel(answer.body, answer.status)
    if not isinstance(outcome, parse.LookAgain):
        return outcome
    answer = await ask_twice(line, _of_order(line, "look", "sms/check", upstream_id), until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return parse.after_refused_cancel(answer.body, answer.status)


async def finish(line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
    """Say that it is done, and ask nothing: the protocol has no such call, an order with its message has ended."""
    return Done()


async def another_code(line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
    """Ask for one more code, unless the provider says beforehand that it cannot be or would cost extra.

    Nobody would pay for it: a purchase has a ceiling, this step has none.
    """
    answer = await ask_twice(line, _of_order(line, "another_code", "sms/check_resend", upstream_id), until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    outcome = parse.may_resend(answer.body, answer.status)
    if not isinstance(outcome, Done):
        return outcome
    answer = await ask(line, _of_order(line, "another_code", "sms/resend", upstream_id), until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return parse.another_code(answer.body, answer.status, upstream_id=upstream_id)


async def listing(line: Line, *, until: float) -> Listing | Unknown:
    """Read the countries and then the prices of each, all of them or nothing: in one piece they are 18 megabytes."""
    answer = await ask_twice(line, _guest(line, "listing", "country/retrieve_all"), until=until, body_max=LIST_BODY_MAX)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    places = await parsed(lists.places, answer)
    if isinstance(places, Unknown):
        return places
    if len(places) > COUNTRIES_MAX:
        return Unknown("more countries than there are")
    at_once = asyncio.Semaphore(COUNTRIES_AT_ONCE)

    async def of(place: lists.Place) -> tuple[tuple[UpstreamOffer, ...], tuple[UpstreamName, ...]] | Unknown:
        async with at_once:
            question = _posted(line, "listing", "request/pricing", country=place.number)
            answer = await ask_twice(line, question, until=until, body_max=LIST_BODY_MAX)
        if isinstance(answer, NoAnswer):
            return Unknown(answer.reason)
        return await parsed(lists.prices, answer, paise_per_unit=line.provider.paise_per_unit)

    offers: dict[tuple[str, str, str], UpstreamOffer] = {}
    services: dict[str, UpstreamName] = {}
    for found in await asyncio.gather(*map(of, places)):
        if isinstance(found, Unknown):
            return found
        # Two countries may have one short name: a purchase by it gets the cheaper one.
        for offer in found[0]:
            key = (offer.service, offer.country, offer.operator)
            if key not in offers or offer.cost_paise < offers[key].cost_paise:
                offers[key] = offer
        services |= {name.word: name for name in found[1]}
    countries = {place.name.word: place.name for place in places}
    return Listing(tuple(offers.values()), tuple(services.values()), tuple(countries.values()))


async def balance(line: Line, *, until: float) -> Paise | Unknown:
    """Read what is left of our money at the provider."""
    answer = await ask_twice(line, _posted(line, "balance", "request/balance"), until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return parse.balance(answer.body, answer.status, paise_per_unit=line.provider.paise_per_unit)


def pushed(body: bytes) -> tuple[Pushed, ...] | None:
    """Return None: what the provider posts is not documented, so its messages are read."""
    return None


async def _service_ids(line: Line, names: Collection[str], until: float) -> Mapping[str, tuple[str, ...]] | Unknown:
    """Return the numbers of services by name, read anew when a name is missing that has not just been looked for."""
    told = _NAMES.setdefault(line.session, {})
    known = told.get(line.endpoint)
    now = asyncio.get_running_loop().time()
    if known is None and not names:
        return {}
    if known is not None and (known.ids.keys() >= set(names) or now - known.read_at < NAMES_KEPT):
        return known.ids
    answer = await ask_twice(line, _guest(line, "active", "service/retrieve_all"), until=until, body_max=LIST_BODY_MAX)
    ids = Unknown(answer.reason) if isinstance(answer, NoAnswer) else await parsed(lists.service_ids, answer)
    if isinstance(ids, Unknown):
        return ids if known is None else known.ids
    told[line.endpoint] = _Names(ids, now)
    return ids


def _no_word(reason: RefusalReason) -> Refused:
    return Refused(reason, "the provider has no word for it")


def _of_order(line: Line, action: str, path: str, upstream_id: str) -> Question:
    return _posted(line, action, path, subject=upstream_id, orderid=upstream_id)


def _guest(line: Line, action: str, path: str) -> Question:
    """Ask for what everybody may read; the key stays here."""
    return Question(action, _url(line, path), headers={"Accept": "application/json"})


def _posted(line: Line, action: str, path: str, *, subject: str = "", **fields: str) -> Question:
    headers = {"Authorization": f"Bearer {line.api_key}", "Accept": "application/json", **_FORM}
    body = urlencode({"key": line.api_key, **fields}).encode()
    return Question(action, _url(line, path), subject, headers=headers, method="POST", body=body)


def _url(line: Line, path: str) -> URL:
    return URL(f"{str(line.endpoint).rstrip('/')}/{path}")
