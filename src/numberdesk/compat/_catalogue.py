"""Prices and stock in the words of the protocol. The whole table is rendered once per change.

Amounts are JSON numbers, exact to the paisa; as keys and where the protocol wants text they are text. Bodies hold
codes and numbers only: clients look for error words anywhere in them.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import msgspec

from numberdesk.accounts.model import Dialect
from numberdesk.base.money import Paise, format_rupees
from numberdesk.base.rendered import Rendered
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import CountryCode, ServiceCode
from numberdesk.catalogue.service import Assortment, Shelf, Stock
from numberdesk.compat._words import Refusal
from numberdesk.providers.model import ANY_OPERATOR
from numberdesk.wallet.model import AccountId

ANYWHERE = ("", ANY_OPERATOR)
"""How clients write that they leave it open; an empty parameter is none."""
TRUE = ("1", "true")
EVER = (
    "av", "bd", "dt", "fb", "fd", "go", "gt", "ig", "kp", "kt", "ma", "mb", "me", "mm", "mt", "oi", "ok", "ot",
    "pm", "qw", "sn", "ss", "tg", "tn", "tw", "ub", "uk", "vi", "vk", "wa", "wb", "we", "ya", "ym", "zz",
)  # fmt: skip
"""Services that have a line in the older form of stock whether we sell them or not: clients of it fail without."""

Body = Rendered | bytes
Row = Callable[[Stock], Any]


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks, how the dialect speaks, and with which parameters; names and values without blanks around them."""

    shelf: Shelf
    account_id: AccountId
    dialect: Dialect
    parameters: Mapping[str, str]

    def word(self, name: str) -> str | None:
        """Return a parameter; None if it is left open."""
        text = self.parameters.get(name, "")
        return None if text.casefold() in ANYWHERE else text

    def says(self, name: str) -> bool:
        """Tell whether a switch is on."""
        return self.parameters.get(name, "").casefold() in TRUE


@dataclass(eq=False)
class Unfit(Exception):
    """A word means nothing that is sold: `service` or `country`."""

    what: str


async def get_prices(question: Question) -> Body:
    """Country, service: what a number costs and how many there are."""
    return await _by_country(question, "prices", _price)


async def get_prices_extended(question: Question) -> Body:
    """The same with the stock at each price, which a purchase with a ceiling may choose from."""
    return await _by_country(question, "prices-extended", _extended)


async def get_prices_v2(question: Question) -> Body:
    """Country, service, price: how many there are at it."""
    return await _by_country(question, "prices-v2", free_prices)


async def get_prices_v3(question: Question) -> Body:
    """Country, service, server."""
    return await _by_country(question, "prices-v3", _servers)


async def get_prices_verification(question: Question) -> Body:
    """Service first, then country; the price is text."""

    def make(seen: Assortment, service: ServiceCode | None, country: CountryCode | None) -> bytes:
        services = sorted(seen.contents.sold_in) if service is None else [service]
        found = ((code, list(seen.stocks(service=code, country=country))) for code in services)
        return joined((code, {stock.country: _verification(stock) for stock in stocks}) for code, stocks in found)

    return await _made(question, "prices-verification", make, nothing=_no_prices)


async def get_numbers_status(question: Question) -> Body:
    """Service: how many there are, in a country or everywhere, of some operators or all.

    With `suffix=1` in the older form, where each service has a line without and one with call forwarding, which nobody
    sells here.
    """
    has_suffix = question.says("suffix")
    words = frozenset(word.strip().casefold() for word in (question.word("operator") or ANY_OPERATOR).split(","))
    if ANY_OPERATOR not in words:
        return await _numbers_of_operators(question, words, has_suffix=has_suffix)

    def make(seen: Assortment, _service: ServiceCode | None, country: CountryCode | None) -> bytes:
        return _counted(seen.stocks(country=country), frozenset([ANY_OPERATOR]), has_suffix=has_suffix)

    return await _made(question, ("stock", has_suffix), make, nothing=_no_stock, takes_service=False)


async def _numbers_of_operators(question: Question, words: frozenset[str], *, has_suffix: bool) -> Body:
    """Count in a thread: of an operator that is named everywhere there is much, and too many words to remember."""
    seen = catalogue.assortment(question.shelf, question.account_id)
    try:
        _, country = resolve(question, seen, takes_service=False)
    except Unfit as unfit:
        refuse_unfit(question, unfit)
        return _no_stock(question, unfit)
    stocks = seen.stocks_of_operators(words, country=country)
    return await asyncio.to_thread(_counted, stocks, words, has_suffix=has_suffix)


def _counted(stocks: Iterable[Stock], words: frozenset[str], *, has_suffix: bool) -> bytes:
    found: dict[str, int] = dict.fromkeys(EVER, 0) if has_suffix else {}
    for stock in stocks:
        found[stock.service] = found.get(stock.service, 0) + stock.of_operators(words)
    if has_suffix:
        found = {f"{code}_{forward}": 0 if forward else found[code] for code in found for forward in (0, 1)}
    return msgspec.json.encode(dict(sorted(found.items())))


def number(paise: Paise) -> msgspec.Raw:
    """Write rupees as a JSON number, exact to the paisa."""
    return msgspec.Raw(format_rupees(paise).encode())


def joined(parts: Iterable[tuple[str | int, Mapping[Any, Any]]]) -> bytes:
    """Encode an object part by part, so that a long one neither holds the interpreter nor fills the memory.

    Parts with nothing in them are left out.
    """
    return msgspec.json.encode({name: msgspec.Raw(msgspec.json.encode(part)) for name, part in parts if part})


def free_prices(stock: Stock) -> dict[str, int]:
    """Return how many there are at each price, from the lowest up."""
    return {format_rupees(paise): count for paise, count in stock.by_price().items()}


def resolve(
    question: Question, seen: Assortment, *, takes_service: bool = True
) -> tuple[ServiceCode | None, CountryCode | None]:
    """Return what the words `service` and `country` mean; None where they are left open.

    Raises:
        Unfit: one of them is unknown, blocked or switched off.
    """
    service, country = question.word("service") if takes_service else None, question.word("country")
    return (
        None if service is None else the_service(seen, service),
        None if country is None else the_country(seen, country),
    )


def the_service(seen: Assortment, word: str) -> ServiceCode:
    """Return a service that is sold, whatever the reason if not."""
    try:
        return seen.service(word)
    except (catalogue.UnknownService, catalogue.ServiceBlocked, catalogue.ServiceOff):
        raise Unfit("service") from None


def the_country(seen: Assortment, word: str) -> CountryCode:
    """Return a country that is sold, whatever the reason if not."""
    try:
        return seen.country(word)
    except (catalogue.UnknownCountry, catalogue.CountryOff):
        raise Unfit("country") from None


def refuse_unfit(question: Question, unfit: Unfit) -> None:
    """Refuse a word where the dialect has one for it; the others answer that nothing fits."""
    if question.dialect == "grizzly":
        raise Refusal("BAD_SERVICE" if unfit.what == "service" else "BAD_COUNTRY") from None


async def _by_country(question: Question, form: str, row: Row) -> Body:
    def make(seen: Assortment, service: ServiceCode | None, country: CountryCode | None) -> bytes:
        stocks = groupby(seen.stocks(service=service, country=country), key=lambda stock: stock.country)
        return joined((place, {stock.service: row(stock) for stock in its}) for place, its in stocks)

    return await _made(question, form, make, nothing=_no_prices)


async def _made(
    question: Question,
    form: Any,
    make: Callable[[Assortment, ServiceCode | None, CountryCode | None], bytes],
    *,
    nothing: Callable[[Question, Unfit], bytes],
    takes_service: bool = True,
) -> Body:
    """Return what fits the question: of one service or country at once, and the whole rendered and remembered."""
    seen = catalogue.assortment(question.shelf, question.account_id)
    try:
        service, country = resolve(question, seen, takes_service=takes_service)
    except Unfit as unfit:
        refuse_unfit(question, unfit)
        return nothing(question, unfit)
    if service is not None or country is not None:
        return make(seen, service, country)
    return await catalogue.render(question.shelf, question.account_id, form, lambda held: make(held, None, None))


def _no_prices(question: Question, unfit: Unfit) -> bytes:
    if question.dialect == "hero":
        return msgspec.json.encode({"status": "false", "msg": f"{unfit.what} is incorrect"})
    return b"{}"


def _no_stock(_question: Question, _unfit: Unfit) -> bytes:
    return b"{}"


def _price(stock: Stock) -> dict[str, Any]:
    return {"cost": number(stock.price_paise), "count": stock.count, "physicalCount": stock.count}


def _verification(stock: Stock) -> dict[str, Any]:
    return {"count": stock.count, "price": format_rupees(stock.price_paise)}


def _extended(stock: Stock) -> dict[str, Any]:
    return _price(stock) | {"freePriceMap": free_prices(stock)}


def _servers(stock: Stock) -> dict[int, Any]:
    return {
        server: {"price": number(paise), "count": count, "provider_id": server}
        for server, (paise, count) in stock.by_server().items()
    }
