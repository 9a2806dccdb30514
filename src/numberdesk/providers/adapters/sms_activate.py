"""The SMS-Activate protocol as its client: HeroSMS, Grizzly, SMSBower, another Numberdesk and the simulator.

How the servers differ is data: `sms_activate_dialects.py`.

A provider with another protocol is added by a copy of this file, with the same functions, and a line in the table of
`adapters/__init__.py`. No function raises for anything a provider or the network does.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, TypeVar
from urllib.parse import urlsplit

from yarl import URL

from numberdesk.base.http_client import Answer, NoAnswer
from numberdesk.base.money import Paise
from numberdesk.providers.adapters import sms_activate_lists as lists
from numberdesk.providers.adapters import sms_activate_parse as parse
from numberdesk.providers.adapters import sms_activate_rentals as rentals
from numberdesk.providers.adapters.sms_activate_dialects import TABLE, Change
from numberdesk.providers.adapters.sms_activate_push import PUSH_TAKEN, pushed
from numberdesk.providers.adapters.sms_activate_rentals import dialect_of, question
from numberdesk.providers.line import (
    LIST_BODY_MAX,
    Line,
    ask,
    ask_twice,
    ceiling_text,
    not_sold,
    parsed,
)
from numberdesk.providers.model import (
    ANY_OPERATOR,
    Activation,
    ActiveList,
    CancelAnswer,
    Capabilities,
    CodeWon,
    Done,
    DoneAnswer,
    Ended,
    Listing,
    LookAnswer,
    Refused,
    RentAnswer,
    Unknown,
    Wanted,
    Words,
    is_rental,
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

T = TypeVar("T")

PATH: Final = "/stubs/handler_api.php"
DIALECTS: Final[Mapping[str, Capabilities]] = MappingProxyType({name: dialect.can for name, dialect in TABLE.items()})
PAGES_MAX: Final = 200
OVERLAP: Final = 10
"""Rows of a page that are asked for again with the next one, so that what ends meanwhile hides nothing."""


def endpoint(url: str) -> URL:
    """Return the address to call: a full one is taken as it is, a root gets the protocol's path."""
    is_full = "/stubs/" in urlsplit(url).path or urlsplit(url).path.endswith(".php")
    return URL(url if is_full else url.rstrip("/") + PATH)


async def rent(line: Line, wanted: Wanted, *, until: float) -> RentAnswer:
    """Buy one number with one request that is never repeated: the provider may have sold although no answer came."""
    if wanted.hours is not None:
        return await rentals.rent(line, wanted, until=until)
    provider, dialect = line.provider, dialect_of(line)
    ceiling = ceiling_text(wanted.ceiling_paise, provider.paise_per_unit)
    if not ceiling:
        return Refused("price_changed", "the ceiling is below the smallest price")
    service, country = line.words.service_word(wanted.service), line.words.country_word(wanted.country)
    if service is None:
        return Refused("bad_service", "the provider has no word for it")
    if country is None or (dialect.countries is not None and country not in map(str, dialect.countries)):
        return Refused("bad_country", "the provider does not sell in this country")
    params = {"service": service, "country": country, dialect.ceiling: ceiling}
    if dialect.reference:
        params[dialect.reference] = wanted.reference
    if wanted.operator != ANY_OPERATOR:
        params[dialect.operator] = wanted.operator
    answer = await ask(line, question(line, "rent", dialect.purchase, wanted.reference, **params), until=until)
    if isinstance(answer, NoAnswer):
        return not_sold(answer)
    return parse.rent(
        answer.body,
        answer.status,
        ceiling_paise=wanted.ceiling_paise,
        paise_per_unit=provider.paise_per_unit,
        dialect=dialect,
    )


async def look(line: Line, upstream_id: str, *, until: float) -> LookAnswer:
    """Read the state of one activation."""
    if is_rental(upstream_id):
        return await rentals.look(line, upstream_id, until=until)
    answer = await _ask_status(line, upstream_id, until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return parse.look(answer.body, answer.status, dialect_of(line))


async def active(line: Line, *, until: float) -> ActiveList | Unknown:
    """Read all activations the provider lists for us, page by page where it cuts the list."""
    dialect = dialect_of(line)
    if not dialect.listing:
        return Unknown("this provider has no list of activations")
    if not dialect.page_size:
        return _in_our_codes(await _list(line, lists.active, until), line)
    pages: list[lists.Page] = []
    while len(pages) < PAGES_MAX:
        start = len(pages) * (dialect.page_size - OVERLAP)
        found = await _list(line, lists.page, until, start=str(start), limit=str(dialect.page_size))
        if isinstance(found, Unknown):
            return found
        # A server that takes no notice of where to start would send the same page for ever.
        is_new = not pages or found.activations != pages[-1].activations
        pages.append(found)
        if found.count != dialect.page_size or not is_new:
            break
    return _in_our_codes(lists.joined(pages, dialect.page_size), line)


async def cancel(line: Line, upstream_id: str, *, until: float) -> CancelAnswer:
    """Cancel an activation. When the provider refuses by its state, or it is over, a look says whether a code won."""
    if is_rental(upstream_id):
        return await rentals.cancel(line, upstream_id, until=until)
    dialect = dialect_of(line)
    answer = await _change(line, "cancel", dialect.cancel, upstream_id, until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    outcome = parse.cancel(answer.body, answer.status, dialect)
    if not isinstance(outcome, parse.LookAgain | Ended):
        return outcome
    answer = await _ask_status(line, upstream_id, until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    found = parse.after_refused_cancel(answer.body, answer.status, dialect)
    # What is over may be over because its code came. If the look does not say so, the cancel's answer stands.
    return found if isinstance(outcome, parse.LookAgain) or isinstance(found, CodeWon) else outcome


async def finish(line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
    """Tell the provider that the code was right and the activation is over."""
    if is_rental(upstream_id):
        return await rentals.finish(line, upstream_id, until=until)
    dialect = dialect_of(line)
    answer = await _change(line, "finish", dialect.finish, upstream_id, until=until)
    return Unknown(answer.reason) if isinstance(answer, NoAnswer) else parse.finish(answer.body, answer.status, dialect)


async def another_code(line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
    """Ask for one more code on the same number; a rental receives whatever comes, without being asked to."""
    if is_rental(upstream_id):
        return Done()
    dialect = dialect_of(line)
    if not dialect.can.has_next_code:
        return Refused("not_allowed", "this provider sends one code")
    answer = await _change(line, "another_code", dialect.next_code, upstream_id, until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return parse.another_code(answer.body, answer.status, dialect)


async def listing(line: Line, *, until: float) -> Listing | Unknown:
    """Read the whole price list with its stock."""
    asked = question(line, "listing", dialect_of(line).prices)
    answer = await ask_twice(line, asked, until=until, body_max=LIST_BODY_MAX)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    found = await parsed(lists.prices, answer, paise_per_unit=line.provider.paise_per_unit)
    return found if isinstance(found, Unknown) else Listing(found)


async def balance(line: Line, *, until: float) -> Paise | Unknown:
    """Read what is left of our money at the provider."""
    answer = await ask_twice(line, question(line, "balance", "getBalance"), until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return parse.balance(answer.body, answer.status, paise_per_unit=line.provider.paise_per_unit)


def _in_our_codes(found: ActiveList | Unknown, line: Line) -> ActiveList | Unknown:
    """Translate a list; only a provider whose codes staff gave another meaning needs it.

    What we have no word for we cannot have bought: it must fit no order of ours. And a server that takes no reference
    from us means something of its own by one.
    """
    if isinstance(found, Unknown):
        return found
    words, activations = line.words, found.activations
    if not dialect_of(line).reference and any(activation.reference for activation in activations):
        activations = tuple(replace(activation, reference=None) for activation in activations)
    if words.services or words.countries:
        activations = tuple(_translated(activation, words) for activation in activations)
    return replace(found, activations=activations)


def _translated(activation: Activation, words: Words) -> Activation:
    service = words.service(activation.service) or ""
    if activation.country is None:
        return replace(activation, service=service)
    country = words.country(str(activation.country))
    return replace(activation, service=service if country is not None else "", country=country)


async def _list(line: Line, parser: Callable[..., T | Unknown], until: float, **params: str) -> T | Unknown:
    asked = question(line, "active", dialect_of(line).listing, **params)
    answer = await ask_twice(line, asked, until=until, body_max=LIST_BODY_MAX)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return await parsed(parser, answer, paise_per_unit=line.provider.paise_per_unit)


async def _ask_status(line: Line, upstream_id: str, *, until: float) -> Answer | NoAnswer:
    return await ask_twice(line, question(line, "look", "getStatus", upstream_id, id=upstream_id), until=until)


async def _change(line: Line, action: str, change: Change, upstream_id: str, *, until: float) -> Answer | NoAnswer:
    params = {"id": upstream_id, "status": change.status} if change.status else {"id": upstream_id}
    return await ask(line, question(line, action, change.action, upstream_id, **params), until=until)
