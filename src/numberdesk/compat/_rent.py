"""Numbers for hours or days in the words of the protocol. Nothing of the kind is on sale, and each action says so.

Whoever sells them fills these handlers in; their refusals are JSON in every dialect but hero's, as the protocol has it.
"""

from collections.abc import Mapping

from numberdesk.accounts import service as accounts
from numberdesk.catalogue import service as catalogue
from numberdesk.compat._asked import Asked, Handler
from numberdesk.compat._wire import Reply
from numberdesk.compat._words import Refusal

HOURS_MIN, HOURS_MAX = 2, 1344


async def list_offers(asked: Asked) -> Reply:
    """Say that nothing is in stock."""
    _hours(asked, usual=HOURS_MIN)
    raise Refusal("OUT_OF_STOCK")


async def rent(asked: Asked) -> Reply:
    """Refuse to rent, by the reason that comes first."""
    accounts.refuse_spending(asked.caller)
    service = asked.parameters.word("service")
    try:
        catalogue.assortment(asked.desk.shelf, asked.account_id).service(service or "")
    except (catalogue.UnknownService, catalogue.ServiceBlocked, catalogue.ServiceOff):
        raise Refusal("BAD_SERVICE") from None
    _hours(asked, usual=HOURS_MIN)
    raise Refusal("NO_NUMBERS")


async def list_rented(asked: Asked) -> Reply:
    """Say that the list is empty."""
    raise Refusal("NO_NUMBERS")


async def about_one(asked: Asked) -> Reply:
    """Say that there is no such rent."""
    raise Refusal("NO_ID_RENT")


def _hours(asked: Asked, *, usual: int) -> int:
    if asked.parameters.word("rent_time", "time", "duration", "hours") is None:
        return usual
    hours = asked.parameters.whole("rent_time", "time", "duration", "hours")
    if hours is None or hours < HOURS_MIN:
        raise Refusal("INVALID_TIME")
    if hours > HOURS_MAX:
        raise Refusal("MAX_HOURS_EXCEED", info={"max": HOURS_MAX})
    return hours


HANDLERS: Mapping[str, Handler] = {
    "getRentServicesAndCountries": list_offers,
    "getRentPrices": list_offers,
    "serviceCountRent": list_offers,
    "getRentNumber": rent,
    "getRentList": list_rented,
    "getRentStatus": about_one,
    "setRentStatus": about_one,
    "continueRentNumber": about_one,
    "continueRentInfo": about_one,
    "getContinueRentPriceNumber": about_one,
}
"""By the names of the protocol."""
