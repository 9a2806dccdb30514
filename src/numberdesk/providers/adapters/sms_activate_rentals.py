"""Rentals of the SMS-Activate family as its client: numbers for hours or days, with as many messages as come.

A rental has an id of its own kind, so every id of one carries `rent:` here and loses it on the wire.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from numberdesk.base import clock
from numberdesk.base.http_client import Answer, NoAnswer
from numberdesk.base.money import Paise
from numberdesk.providers.adapters import sms_activate_rentals_parse as parse
from numberdesk.providers.adapters.sms_activate_dialects import TABLE, Dialect
from numberdesk.providers.line import LIST_BODY_MAX, Line, Question, ask, ask_twice, ceiling_text, not_sold, parsed
from numberdesk.providers.model import (
    RENTAL,
    Activation,
    ActiveList,
    CancelAnswer,
    CodeWon,
    DoneAnswer,
    Ended,
    LookAnswer,
    ProlongAnswer,
    Prolonged,
    Refused,
    RentalListing,
    RentAnswer,
    Rented,
    TooLate,
    Unknown,
    Waiting,
    Wanted,
)

ROWS_AT_ONCE: Final = 100
MESSAGES_AT_ONCE: Final = 50
PAGES_MAX: Final = 20
LONGEST: Final = timedelta(days=400)
"""No rental ends later: an end beyond is a mistake of its provider."""


async def rent(line: Line, wanted: Wanted, *, until: float) -> RentAnswer:
    """Rent one number for `wanted.hours` with one request that is never repeated.

    The protocol has no ceiling for rentals. It is sent all the same: servers take no notice of what they do not know.
    """
    dialect = dialect_of(line)
    if not dialect.can.has_rentals:
        return Refused("not_allowed", "this provider has no rentals")
    ceiling = ceiling_text(wanted.ceiling_paise, line.provider.paise_per_unit)
    if not ceiling:
        return Refused("price_changed", "the ceiling is below the smallest price")
    service, country = line.words.service_word(wanted.service), line.words.country_word(wanted.country)
    if service is None:
        return Refused("bad_service", "the provider has no word for it")
    if country is None:
        return Refused("bad_country", "the provider does not sell in this country")
    params = {"service": service, "country": country, "rent_time": str(wanted.hours), dialect.ceiling: ceiling}
    if dialect.reference:
        params[dialect.reference] = wanted.reference
    if wanted.operator != "any":
        params[dialect.operator] = wanted.operator
    answer = await ask(line, question(line, "rent", "getRentNumber", wanted.reference, **params), until=until)
    if isinstance(answer, NoAnswer):
        return not_sold(answer)
    sold = parse.rent(
        answer.body,
        answer.status,
        ceiling_paise=wanted.ceiling_paise,
        paise_per_unit=line.provider.paise_per_unit,
        dialect=dialect,
    )
    return replace(sold, ends_at=_believed(sold.ends_at)) if isinstance(sold, Rented) else sold


async def look(line: Line, upstream_id: str, *, until: float) -> LookAnswer:
    """Read the messages of one rental, all pages of them, counted from 0 or from 1 as in `active_rentals`."""
    found = await _page(line, upstream_id, until=until)
    if not isinstance(found, parse.Messages):
        return found
    messages, number = dict.fromkeys(found.found), 0
    while len(messages) < found.quantity and number < PAGES_MAX:
        number += 1
        page = await _page(line, upstream_id, until=until, page=str(number))
        is_new = isinstance(page, parse.Messages) and not messages.keys() >= set(page.found)
        if not isinstance(page, parse.Messages) or (not is_new and number > 1):
            # What was read is there for sure; the rest comes with the next look.
            break
        messages |= dict.fromkeys(page.found)
    return parse.in_order(messages)


async def cancel(line: Line, upstream_id: str, *, until: float) -> CancelAnswer:
    """Cancel a rental. When the provider refuses, a look says whether because a message came."""
    answer = await _change(line, "cancel", "2", upstream_id, until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    outcome = parse.cancel(answer.body, answer.status)
    if not isinstance(outcome, parse.LookAgain):
        return outcome
    found = await _page(line, upstream_id, until=until)
    if isinstance(found, parse.Messages):
        return CodeWon()
    if not isinstance(found, Waiting):
        return found
    return TooLate() if outcome.is_late else Unknown("cancel refused, and it still waits")


async def finish(line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
    """End a rental before its time; nothing is given back."""
    answer = await _change(line, "finish", "1", upstream_id, until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return parse.finish(answer.body, answer.status, dialect=dialect_of(line))


async def active_rentals(line: Line, *, until: float) -> ActiveList | Unknown:
    """Read all rentals, page by page where the list may be cut.

    Nobody says from where pages are counted, so the first list is asked for without one, and what is counted from 0
    and from 1 is found alike. Most servers tell id and number only.
    """
    first = await _rows(line, until)
    if isinstance(first, Unknown):
        return first
    found = {rental.upstream_id: rental for rental in first.rentals}
    is_whole, may_go_on, number = len(first.rentals) == first.count, _may_be_cut(first), 0
    while may_go_on and number < PAGES_MAX:
        number += 1
        page = await _rows(line, until, page=str(number))
        if isinstance(page, Unknown):
            return page
        is_new = any(rental.upstream_id not in found for rental in page.rentals)
        found |= {rental.upstream_id: rental for rental in page.rentals}
        is_whole = is_whole and len(page.rentals) == page.count
        may_go_on = is_new or number == 1
    return ActiveList(tuple(_in_our_codes(rental, line) for rental in found.values()), is_whole and not may_go_on)


async def prolong(line: Line, upstream_id: str, hours: int, *, until: float) -> ProlongAnswer:
    """Pay for so many hours more with one request that is never repeated.

    A rental that had ended may go on under a new id, which the answer then carries.
    """
    params = {"id": _wire_id(upstream_id), "rent_time": str(hours)}
    answer = await ask(line, question(line, "prolong", "continueRentNumber", upstream_id, **params), until=until)
    if isinstance(answer, NoAnswer):
        return not_sold(answer)
    found = parse.prolong(answer.body, answer.status, dialect=dialect_of(line))
    return replace(found, ends_at=_believed(found.ends_at)) if isinstance(found, Prolonged) else found


async def prolong_cost(line: Line, upstream_id: str, hours: int, *, until: float) -> Paise | Refused | Ended | Unknown:
    """Read what so many hours more cost, by the older action where the newer one is not known."""
    wire_id = _wire_id(upstream_id)
    newer = question(line, "prolong_cost", "continueRentInfo", upstream_id, id=wire_id, hours=str(hours))
    found = await _cost(line, newer, until)
    if not isinstance(found, Refused) or found.detail not in ("BAD_ACTION", "NO_ACTION"):
        return found
    older = question(line, "prolong_cost", "getContinueRentPriceNumber", upstream_id, id=wire_id, rent_time=str(hours))
    return await _cost(line, older, until)


async def rental_listing(line: Line, *, country: str | None, hours: int, until: float) -> RentalListing | Unknown:
    """Read what is rented for so many hours in a country; without one, only in which countries there is something."""
    # Both names of the time are in use.
    params = {"rent_time": str(hours), "time": str(hours)} | ({} if country is None else {"country": country})
    asked = question(line, "rental_listing", "getRentServicesAndCountries", **params)
    answer = await ask_twice(line, asked, until=until, body_max=LIST_BODY_MAX)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return await parsed(parse.listing, answer, country=country, paise_per_unit=line.provider.paise_per_unit)


def question(line: Line, action: str, word: str, subject: str = "", **params: str) -> Question:
    """Ask a question of the protocol, with the key where the dialect wants it."""
    if dialect_of(line).key == "header":
        headers = {"Authorization": f"ApiKey {line.api_key}"}
        return Question(action, line.endpoint, subject, {"action": word, **params}, headers)
    return Question(action, line.endpoint, subject, {"api_key": line.api_key, "action": word, **params})


def dialect_of(line: Line) -> Dialect:
    """Return how the provider of a line speaks."""
    return TABLE[line.provider.dialect]


async def _page(
    line: Line, upstream_id: str, *, until: float, **params: str
) -> parse.Messages | Waiting | Ended | Unknown:
    params = {"id": _wire_id(upstream_id), "size": str(MESSAGES_AT_ONCE)} | params
    answer = await ask_twice(line, question(line, "look", "getRentStatus", upstream_id, **params), until=until)
    return Unknown(answer.reason) if isinstance(answer, NoAnswer) else parse.look(answer.body, answer.status)


async def _change(line: Line, action: str, status: str, upstream_id: str, *, until: float) -> Answer | NoAnswer:
    params = {"id": _wire_id(upstream_id), "status": status}
    return await ask(line, question(line, action, "setRentStatus", upstream_id, **params), until=until)


async def _rows(line: Line, until: float, **params: str) -> parse.Rows | Unknown:
    asked = question(line, "rentals", "getRentList", length=str(ROWS_AT_ONCE), **params)
    answer = await ask_twice(line, asked, until=until, body_max=LIST_BODY_MAX)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return await parsed(parse.rows, answer, paise_per_unit=line.provider.paise_per_unit)


async def _cost(line: Line, asked: Question, until: float) -> Paise | Refused | Ended | Unknown:
    answer = await ask_twice(line, asked, until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return parse.prolong_cost(
        answer.body, answer.status, paise_per_unit=line.provider.paise_per_unit, dialect=dialect_of(line)
    )


def _may_be_cut(page: parse.Rows) -> bool:
    # A server may cut its pages at another size than it was asked for; all known sizes are tens.
    return page.count > 0 and page.count % 10 == 0


def _in_our_codes(rental: Activation, line: Line) -> Activation:
    """Translate what the list says of a rental; a service that we have no word for is none of ours."""
    service = "" if not rental.service else line.words.service(rental.service) or ""
    country = None if rental.country is None else line.words.country(str(rental.country))
    reference = rental.reference if dialect_of(line).can.repeats_reference else None
    return replace(rental, service=service, country=country, reference=reference)


def _believed(ends_at: datetime | None) -> datetime | None:
    now = clock.now()
    return ends_at if ends_at is not None and now < ends_at < now + LONGEST else None


def _wire_id(upstream_id: str) -> str:
    return upstream_id.removeprefix(RENTAL)
