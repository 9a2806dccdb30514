"""Answer the actions of the SMS-Activate protocol about rentals: parameters in, JSON out, errors too."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Final, Literal, TypeVar

from numberdesk.providers.simulator import rentals
from numberdesk.providers.simulator.answers import Answer, json_answer, rupees, rupees_number, wire_time
from numberdesk.providers.simulator.catalogue import SERVICES
from numberdesk.providers.simulator.rental_shelf import Rental
from numberdesk.providers.simulator.rentals import RentalWish
from numberdesk.providers.simulator.wire import Call, integer

PURCHASES: Final = frozenset({"getRentNumber", "continueRentNumber"})
CHANGE: Final = "setRentStatus"
ROWS_MAX: Final = 100
_CHANGES: Final[Mapping[str, Literal["finish", "cancel"]]] = MappingProxyType({"1": "finish", "2": "cancel"})
_ENDED: Final = MappingProxyType(
    {
        "finished": "STATUS_FINISH",
        "expired": "STATUS_FINISH",
        "cancelled": "STATUS_CANCEL",
        "revoked": "STATUS_REVOKE",
    }
)

T = TypeVar("T")
Said = Callable[[Rental], dict[str, object]]
Action = Callable[[Call], Answer]


def swallow(call: Call, action: str, reason: str) -> None:
    """Write down what a fault kept from taking effect."""
    wish = _wish_of(call) if action == "getRentNumber" else None
    wish = wish if isinstance(wish, RentalWish) else None
    rentals.refuse(call.shop, action=action, reason=reason, wish=wish, rental=_rental(call), profile=call.profile)


def actions(*, first_page: int, is_generous: bool) -> Mapping[str, Action]:
    """Return the actions of one server.

    Args:
        first_page: from where it counts pages, which the protocol's pages do not say.
        is_generous: it tells of a rental all that it knows, where the oldest form has an id and a number.
    """
    sold, row = (_generous_sale, _generous_row) if is_generous else (_sale, _row)
    return MappingProxyType(
        {
            "getRentServicesAndCountries": _services,
            "getRentNumber": lambda call: _rent(call, sold),
            "getRentStatus": lambda call: _status(call, first_page),
            "setRentStatus": _set_status,
            "getRentList": lambda call: _list(call, first_page, row),
            "continueRentNumber": lambda call: _continue(call, sold),
            "continueRentInfo": lambda call: _info(call, {"history": {}}),
            "getContinueRentPriceNumber": lambda call: _info(call, {}),
        }
    )


def error(word: str, **info: object) -> Answer:
    """Say a word as the actions about rentals do."""
    told: dict[str, object] = {"status": "error", "message": word}
    return json_answer(told | ({"info": info} if info else {}))


def _wish_of(call: Call) -> RentalWish | str:
    service = call.get("service")
    if service not in SERVICES:
        return "BAD_SERVICE"
    offer = call.shop.offers.get((service, integer(call.get("country") or "0")))
    if offer is None:
        return "BAD_COUNTRY"
    return RentalWish(call.get("action"), offer, _hours(call), call.get("orderId") or None)


def _services(call: Call) -> Answer:
    hours, wanted = _hours(call), integer(call.get("country") or "0")
    if call.shows_no_stock:
        return error("OUT_OF_STOCK")
    listed = {
        offer.service.code: {"cost": rupees_number(rentals.cost_of(offer, hours)), "quant": rentals.stock_of(offer)}
        for offer in call.shop.offers.values()
        if offer.country.number == wanted and wanted in rentals.COUNTRIES
    }
    return json_answer(
        {
            "countries": {str(place): country for place, country in enumerate(sorted(rentals.COUNTRIES))},
            "operators": {"0": "any"},
            "services": listed or [],
            "currency": 356,
        }
    )


def _rent(call: Call, sold: Said) -> Answer:
    wish = _wish_of(call)
    if isinstance(wish, str):
        rentals.refuse(call.shop, action=call.get("action"), reason=wish, profile=call.profile)
        return error(wish)
    rental = rentals.rent(call.shop, wish, profile=call.profile, draw=call.draw)
    return error(rental) if isinstance(rental, str) else json_answer(sold(rental))


def _continue(call: Call, sold: Said) -> Answer:
    rental = _rental(call)
    if rental is None:
        return error("NO_ID_RENT")
    found = rentals.prolong(
        call.shop, rental, _hours(call), action=call.get("action"), profile=call.profile, draw=call.draw
    )
    if isinstance(found, str):
        return _not_prolonged(call, rental, found)
    return json_answer(sold(found))


def _info(call: Call, rest: Mapping[str, object]) -> Answer:
    rental, hours = _rental(call), _hours(call)
    if rental is None:
        return error("NO_ID_RENT")
    word = rentals.objection(call.shop, rental, hours)
    if word is not None:
        return _not_prolonged(call, rental, word)
    price = rentals.cost_of(call.shop.offers[rental.service, rental.country], hours)
    return json_answer({"status": "success", "price": rupees_number(price), "currency": 356, "hours": hours, **rest})


def _not_prolonged(call: Call, rental: Rental, word: str) -> Answer:
    return error(word, max=rentals.hours_left(call.shop, rental)) if word == rentals.TOO_LONG else error(word)


def _status(call: Call, first_page: int) -> Answer:
    """Say the messages, the newest first."""
    rental = _rental(call)
    if rental is None:
        return error("NO_ID_RENT")
    if rental.state != "active":
        return error(_ENDED[rental.state])
    if not rental.messages:
        return error("STATUS_WAIT_CODE")
    shown = _page(call, list(reversed(rental.messages)), first_page, size=call.get("size"))
    values = {
        str(place): {
            "phoneFrom": SERVICES[rental.service].name,
            "text": message.text,
            "service": rental.service,
            "date": wire_time(message.at),
        }
        for place, message in enumerate(shown)
    }
    return json_answer({"status": "success", "quantity": str(len(rental.messages)), "values": values})


def _set_status(call: Call) -> Answer:
    rental, wanted = _rental(call), _CHANGES.get(call.get("status"))
    if rental is None:
        return error("NO_ID_RENT")
    if wanted is None:
        return error("INCORECT_STATUS")
    word = rentals.change(call.shop, rental, wanted)
    return json_answer({"status": "success"}) if word == rentals.DONE else error(word)


def _list(call: Call, first_page: int, row: Said) -> Answer:
    shown = _page(call, call.shop.rentals.live.values(), first_page, size=call.get("length"))
    if not shown:
        return error("NO_NUMBERS")
    return json_answer({"status": "success", "values": {str(place): row(rental) for place, rental in enumerate(shown)}})


def _page(call: Call, items: Iterable[T], first_page: int, *, size: str) -> list[T]:
    length, page = integer(size), integer(call.get("page"))
    length = min(length, ROWS_MAX) if length > 0 else 10
    start = max(0, page - first_page) * length if page >= 0 else 0
    return list(islice(items, start, start + length))


def _row(rental: Rental) -> dict[str, object]:
    return {"id": str(rental.id), "phone": rental.phone}


def _generous_row(rental: Rental) -> dict[str, object]:
    told = _row(rental) | {
        "service": rental.service,
        "country": rental.country,
        "cost": rupees(rental.cost_paise),
        "endDate": rental.ends_at.isoformat(timespec="seconds"),
    }
    return told | ({"orderId": rental.order_ref} if rental.order_ref else {})


def _sale(rental: Rental) -> dict[str, object]:
    # The zone is not said.
    ends = rental.ends_at.replace(tzinfo=None).isoformat("T", "seconds")
    return {"status": "success", "phone": {"id": rental.id, "endDate": ends, "number": rental.phone}}


def _generous_sale(rental: Rental) -> dict[str, object]:
    """Answer in both shapes, as a server does that must satisfy clients of both."""
    ends = rental.ends_at.isoformat(timespec="seconds")
    return {
        "status": "success",
        "phone": {"id": rental.id, "endDate": ends, "number": rental.phone},
        "activationId": str(rental.id),
        "phoneNumber": rental.phone,
        "activationCost": rupees_number(rental.cost_paise),
        "currency": 356,
        "countryCode": str(rental.country),
        "activationEndTime": ends,
    }


def _hours(call: Call) -> int:
    return integer(call.get("rent_time") or call.get("hours") or call.get("time") or "4")


def _rental(call: Call) -> Rental | None:
    return call.shop.rentals.find(integer(call.get("id")))
