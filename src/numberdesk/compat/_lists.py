"""Lists in the words of the protocol: countries, services, operators, and where a service does best."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from numberdesk.accounts.model import Dialect
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import CountryCode, ServiceCode
from numberdesk.catalogue.service import Assortment, Contents, DeliveriesByService, Rentals, Stock
from numberdesk.compat._asked import Asked, Handler
from numberdesk.compat._catalogue import (
    Body,
    Question,
    Unfit,
    free_prices,
    get_numbers_status,
    get_prices,
    get_prices_extended,
    get_prices_v2,
    get_prices_v3,
    get_prices_verification,
    number,
    refuse_unfit,
    resolve,
    the_service,
)
from numberdesk.compat._wire import Reply
from numberdesk.compat._words import Refusal
from numberdesk.providers import service as providers
from numberdesk.wallet.model import is_sandbox

PAGE, PAGE_MAX = 10, 100
COUNT_MAX = 1_000_000
"""No page has a larger number."""


async def get_countries(question: Question) -> Body:
    """Id: the names of a country, whether anything is sold there now, and what can be done with its numbers.

    Our only names are English; they stand in every language.
    """

    rentals, is_scripted = question.shelf.rentals, is_sandbox(question.account_id)

    def make(seen: Assortment) -> bytes:
        contents = seen.contents
        rented = set(contents.countries) if is_scripted else _rented_countries(rentals, contents)
        again = {server.id for server in contents.servers.values() if providers.capabilities(server).has_next_code}
        found = {}
        for code, known in sorted(contents.countries.items()):
            if known.is_on:
                stocks = list(seen.stocks(country=code))
                found[code] = {
                    "id": code, "rus": known.name, "eng": known.name, "chn": known.name,
                    "visible": int(bool(stocks)),
                    "retry": int(any(offer.provider_id in again for stock in stocks for offer in stock.offers)),
                    "rent": int(code in rented), "multiService": 0,
                }  # fmt: skip
        return msgspec.json.encode(found)

    return await catalogue.render(question.shelf, question.account_id, ("countries", rentals.version), make)


def _rented_countries(rentals: Rentals, contents: Contents) -> set[CountryCode]:
    """Return the countries in which somebody has numbers to rent for hours, of a service that may be sold."""
    return {
        country
        for hours in rentals.hours
        for (service, country), offers in rentals.offers.get(hours, {}).items()
        if (known := contents.services.get(service)) is not None and known.is_on
        and known.category not in contents.blocked
        and any(offer.stock and contents.servers[offer.provider_id].is_on for offer in offers.values())
    }  # fmt: skip


async def get_services_list(question: Question) -> Body:
    """Code and name of what somebody offers, in a country or anywhere; a bare list for hero."""
    seen = catalogue.assortment(question.shelf, question.account_id)
    try:
        _, country = resolve(question, seen, takes_service=False)
    except Unfit as unfit:
        refuse_unfit(question, unfit)
        return _listed_services(question.dialect, [])

    def make(held: Assortment) -> bytes:
        codes = dict.fromkeys(stock.service for stock in held.stocks(country=country))
        names = sorted((held.contents.services[code].name, code) for code in codes)
        return _listed_services(question.dialect, [{"code": code, "name": name} for name, code in names])

    if country is not None:
        return make(seen)
    return await catalogue.render(question.shelf, question.account_id, ("services", question.dialect == "hero"), make)


def _listed_services(dialect: Dialect, services: list[dict[str, str]]) -> bytes:
    return msgspec.json.encode(services if dialect == "hero" else {"status": "success", "services": services})


async def get_operators(question: Question) -> Body:
    """Country: the operators that have numbers there, as a purchase may name them.

    Providers choose the names. They are told in small letters, as everywhere in the protocol, so that none can be taken
    for one of its words; purchases do not mind.

    Raises:
        Refusal: there is no such country, or nobody has numbers of it.
    """
    seen = catalogue.assortment(question.shelf, question.account_id)
    try:
        _, country = resolve(question, seen, takes_service=False)
    except Unfit:
        raise Refusal("OPERATORS_NOT_FOUND", is_text=True) from None
    if country is None:
        return await catalogue.render(
            question.shelf, question.account_id, "operators", lambda held: _listed_operators(_operators(held))
        )
    found = _operators(seen, country)
    if not found:
        raise Refusal("OPERATORS_NOT_FOUND", is_text=True)
    return _listed_operators(found)


def _operators(seen: Assortment, country: CountryCode | None = None) -> dict[CountryCode, set[str]]:
    found: dict[CountryCode, set[str]] = {}
    for stock in seen.stocks(country=country):
        for offer in stock.offers:
            if offer.stock > 0:
                found.setdefault(stock.country, set()).add(offer.operator.lower())
    return found


def _listed_operators(found: dict[CountryCode, set[str]]) -> bytes:
    listed = {country: sorted(names) for country, names in found.items()}
    return msgspec.json.encode({"status": "success", "countryOperators": listed})


async def get_top_countries(question: Question) -> Body:
    """Country: price and stock of a service, the best first: what is in stock, by what was sold lately, then by price.

    The keys are the countries' numbers, since clients look it up by these, and the order is the rank, since others walk
    over it. `price` is what the account pays, `retail_price` what everybody does.

    Raises:
        Refusal: there is no such service.
    """
    service, has_map = _wanted(question, "BAD_SERVICE"), question.says("freePrice")
    seen = catalogue.assortment(question.shelf, question.account_id)
    sold = catalogue.deliveries_by_service(question.shelf).counts.get(service, {})
    retail = {stock.country: stock.price_paise for stock in seen.everybodys().stocks(service=service)}
    found: dict[int, dict[str, Any]] = {}
    for stock in sorted(seen.stocks(service=service), key=lambda item: _place(item, sold)):
        row: dict[str, Any] = {
            "country": stock.country, "count": stock.count,
            "price": number(stock.price_paise), "retail_price": number(retail[stock.country]),
        }  # fmt: skip
        if has_map:
            row["freePriceMap"] = free_prices(stock)
        found[stock.country] = row
    return msgspec.json.encode(found)


async def get_list_of_top_countries(question: Question) -> Body:
    """The countries a service sells best in, with their share of its sales and how many of its numbers got a code.

    From our own statistics of seven days; countries with too few numbers are left out of the list, not of the whole.
    Wrapped but for grizzly: the only client that is known to call it cannot read a bare list.

    Raises:
        Refusal: there is no such service.
    """
    service = _wanted(question, "WRONG_SERVICE")
    length = _whole(question.parameters.get("length"), usual=PAGE, most=PAGE_MAX)
    page = _whole(question.parameters.get("page"), usual=1, most=COUNT_MAX)
    seen = catalogue.assortment(question.shelf, question.account_id)
    ranked = _ranked(seen, service, catalogue.deliveries_by_service(question.shelf))
    listed = ranked[(page - 1) * length : page * length]
    return msgspec.json.encode(listed if question.dialect == "grizzly" else {"status": "success", "data": listed})


def _ranked(seen: Assortment, service: ServiceCode, counted: DeliveriesByService) -> list[dict[str, int]]:
    sold = counted.counts.get(service, {})
    whole = sum(n for n, _ in sold.values())
    best = sorted(
        (-n, country, delivered)
        for country in seen.contents.sold_in.get(service, ())
        for n, delivered in [sold.get(country, (0, 0))]
        if n >= catalogue.SHOWN_MIN
    )
    return [
        {"country": country, "share": _percent(-minus, whole), "rate": _percent(delivered, -minus)}
        for minus, country, delivered in best
    ]


def _wanted(question: Question, word: str) -> ServiceCode:
    asked = question.word("service")
    try:
        if asked is None:
            raise Unfit("service")
        return the_service(catalogue.assortment(question.shelf, question.account_id), asked)
    except Unfit:
        raise Refusal(word) from None


def _place(stock: Stock, sold: Any) -> tuple[bool, int, int, int, int]:
    return stock.count == 0, -sold.get(stock.country, (0, 0))[0], stock.price_paise, -stock.count, stock.country


def _percent(part: int, whole: int) -> int:
    return (200 * part + whole) // (2 * whole)


def _whole(text: str | None, *, usual: int, most: int) -> int:
    """Read a number that pages a list; what is none becomes the usual one, what is too large the largest."""
    if text is None or not (text.isascii() and text.isdigit()):
        return usual
    digits = text.lstrip("0")
    if not digits:
        return usual
    return most if len(digits) > len(str(most)) else min(int(digits), most)


ACTIONS: Mapping[str, Callable[[Question], Awaitable[Body]]] = {
    "getPrices": get_prices,
    "getPricesExtended": get_prices_extended,
    "getPricesV2": get_prices_v2,
    "getPricesV3": get_prices_v3,
    "getPricesVerification": get_prices_verification,
    "getNumbersStatus": get_numbers_status,
    "getCountries": get_countries,
    "getServicesList": get_services_list,
    "getOperators": get_operators,
    "getTopCountriesByService": get_top_countries,
    "getTopCountriesByServiceRank": get_top_countries,
    "getListOfTopCountriesByService": get_list_of_top_countries,
}
"""What the catalogue answers, by the names that the protocol has for it."""


def _handler(action: Callable[[Question], Awaitable[Body]]) -> Handler:
    async def handle(asked: Asked) -> Reply:
        question = Question(asked.desk.shelf, asked.account_id, asked.dialect, asked.parameters)
        return Reply(await action(question), is_json=True)

    return handle


HANDLERS: Mapping[str, Handler] = {name: _handler(action) for name, action in ACTIONS.items()}
"""The same for the door."""
