"""What a purchase leaves open, decided: of countries, operators and servers the one where a number costs least."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from hashlib import sha256
from itertools import islice

import msgspec

from numberdesk.accounts.model import Caller
from numberdesk.base.errors import AppError
from numberdesk.base.money import Paise
from numberdesk.catalogue import service as catalogue
from numberdesk.compat._words import Refusal
from numberdesk.orders import service as orders
from numberdesk.orders.model import Wish
from numberdesk.orders.service import Desk
from numberdesk.wallet.model import AccountId

CHOICES_MAX = 20
"""Operators, servers and countries of one request that are looked at."""
WISHES_MAX = 400
"""Of all that these can be put together to, the first so many are looked at: nobody is held up by a list of lists."""
RUPEES_MAX = Decimal(10) ** 9


@dataclass(frozen=True, slots=True)
class Wanted:
    """The parameters of a purchase, read. `country` None is any country, and no operators or servers are any.

    With `hours` it is a rental.
    """

    service: str
    country: str | None
    operators: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    ceiling: Paise | None = None
    but_servers: tuple[str, ...] = ()
    """Servers that must not sell it, by name or number."""
    hours: int | None = None


def ceiling_of(text: str) -> Paise | None:
    """Read the highest price that a client would pay, down to the paisa: clients work it out in floats.

    Returns:
        None for what is no amount, which must not turn into "any price".
    """
    if len(text) > 20 or not text.isascii() or "_" in text:
        return None  # Python would read digits of any script
    try:
        rupees = Decimal(text)
    except InvalidOperation:
        return None
    if not rupees.is_finite() or not 0 <= rupees <= RUPEES_MAX:
        return None
    return Paise(int((rupees * 100).to_integral_value(rounding=ROUND_FLOOR)))


def fingerprint(caller: Caller, wanted: Wanted) -> bytes:
    """Return what makes two purchases alike: the key they come by, and what is wanted."""
    told = msgspec.json.encode(
        [
            caller.key_id, wanted.service, wanted.country, sorted(wanted.operators), sorted(wanted.servers),
            wanted.ceiling, wanted.hours, *([sorted(wanted.but_servers)] if wanted.but_servers else []),
        ]
    )  # fmt: skip
    return sha256(told).digest()[:16]


def cheapest(desk: Desk, account_id: AccountId, wanted: Wanted) -> Wish:
    """Return the wish that comes cheapest, of the countries, operators and servers that the client leaves open.

    Raises:
        AppError: nothing fits; the reason of the one that came nearest.
        Refusal: the service is sold in no country.
    """
    best: tuple[Paise, Wish] | None = None
    problems: list[AppError] = []
    for wish in islice(_wishes(desk, account_id, wanted), WISHES_MAX):
        try:
            offers = orders.list_offers(desk, account_id=account_id, wish=wish)
        except AppError as problem:
            problems.append(problem)
            continue
        if best is None or offers[0].price_paise < best[0]:
            best = offers[0].price_paise, wish
    if best is not None:
        return best[1]
    raise _nearest(problems)


def _wishes(desk: Desk, account_id: AccountId, wanted: Wanted) -> Iterator[Wish]:
    servers = _servers(desk, account_id, wanted)
    for operator in wanted.operators or (None,):
        for server in servers:
            for country in _countries(desk, account_id, wanted):
                yield Wish(wanted.service, country, server, operator, wanted.ceiling, hours=wanted.hours)


def _servers(desk: Desk, account_id: AccountId, wanted: Wanted) -> Sequence[str | int | None]:
    """Return the servers to choose from; None stands for any.

    Raises:
        Refusal: none is left.
    """
    if not wanted.but_servers:
        return wanted.servers or (None,)
    seen = catalogue.assortment(desk.shelf, account_id)
    known = seen.contents.servers.values()
    names = ({str(item.id), item.name} for item in known)
    left_out = set[str]().union(*(words for words in names if not words.isdisjoint(wanted.but_servers)))
    left = [word for word in wanted.servers or [str(item.id) for item in known] if word not in left_out]
    if not left:
        seen.service(wanted.service)
        raise Refusal("NO_NUMBERS")
    return left


def _countries(desk: Desk, account_id: AccountId, wanted: Wanted) -> Sequence[str | int]:
    """Return the country, or of any country those where a number costs least and is in stock."""
    if wanted.country is not None:
        return [wanted.country]
    seen = catalogue.assortment(desk.shelf, account_id)
    if wanted.hours is not None:
        rented = catalogue.list_rentals(
            desk.shelf, account_id=account_id, hours=wanted.hours, service=seen.service(wanted.service)
        )
        rented.sort(key=lambda offer: (not offer.stock, offer.price_paise))
        if not rented:
            raise Refusal("NO_NUMBERS")
        return list(dict.fromkeys(offer.country for offer in rented))[:CHOICES_MAX]
    stocks = sorted(seen.stocks(service=seen.service(wanted.service)), key=lambda stock: stock.price_paise)
    if not stocks:
        raise Refusal("NO_NUMBERS")
    return [stock.country for stock in stocks if stock.count][:CHOICES_MAX] or [stocks[0].country]


def _nearest(problems: Sequence[AppError]) -> AppError:
    dear = [problem for problem in problems if isinstance(problem, catalogue.PriceTooLow)]
    if dear:
        return min(dear, key=lambda problem: problem.minimum_paise)
    return next((problem for problem in problems if isinstance(problem, catalogue.NoStock)), problems[0])
