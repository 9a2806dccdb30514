"""How the door reads paths and writes answers; no rule of ours is here."""

from collections.abc import Mapping

import msgspec

from numberdesk.accounts.service import AccountFrozen, EmailUnverified, TermsOwed
from numberdesk.base.calls import ID_MAX
from numberdesk.base.errors import AppError, NotFound
from numberdesk.base.money import Paise, format_rupees
from numberdesk.catalogue import service as catalogue
from numberdesk.compat._wire import Reply, text_reply
from numberdesk.conduct.service import PurchaseLimited
from numberdesk.maintenance.service import Closed
from numberdesk.orders import service as orders
from numberdesk.orders.model import OrderId
from numberdesk.wallet.service import InsufficientBalance

UNAUTHORIZED, FORBIDDEN, MISSING, TOO_MANY = 401, 403, 404, 429


def error(text: str, status: int = 400) -> Reply:
    """Answer what did not work, with a bare text."""
    return text_reply(text, status)


NOTHING_HERE = error("404 page not found", MISSING)
NO_PHONES = error("no free phones", 200)
"""Told with status 200: clients read it as a sentence, not as a failure."""
ORDER_NOT_FOUND = error("order not found", MISSING)
WAIT = error("you need to wait time")
LIMITED = error("api limit is 100 requests per second", TOO_MANY)
"""The text that clients know, whatever our number is; when to come back stands in a header."""

REFUSALS: Mapping[type[AppError], Reply] = {
    catalogue.UnknownService: error("product is incorrect"),
    catalogue.ServiceBlocked: error("product is incorrect"),
    catalogue.ServiceOff: error("product is incorrect"),
    catalogue.UnknownCountry: error("country is incorrect"),
    catalogue.CountryOff: error("country is incorrect"),
    catalogue.UnknownOperator: error("bad operator"),
    catalogue.NotOffered: NO_PHONES,
    catalogue.NoStock: NO_PHONES,
    catalogue.PriceTooLow: NO_PHONES,
    orders.NoNumbers: NO_PHONES,
    orders.ProviderUnavailable: error("server offline"),
    Closed: error("server offline"),
    # The next like purchase gets what comes of it.
    orders.OutcomeUnknown: error("internal error"),
    orders.CancelTooEarly: WAIT,
    InsufficientBalance: error("not enough user balance"),
    PurchaseLimited: error("not enough rating"),
    AccountFrozen: error("not enough rating"),
    EmailUnverified: error("not enough rating"),
    TermsOwed: error("not enough rating"),
    NotFound: ORDER_NOT_FOUND,
}
"""What each of our refusals is in the words of the protocol: the nearest one that its clients know."""


def refusal(problem: AppError) -> Reply:
    """Say a refusal of ours in the words of the protocol."""
    known = REFUSALS.get(type(problem))
    if known is not None:
        return known
    if problem.status == TOO_MANY:
        return LIMITED
    if problem.status == UNAUTHORIZED:
        return error("unauthorized", UNAUTHORIZED)
    if problem.status == FORBIDDEN:
        return error("forbidden", FORBIDDEN)
    return error("server offline" if problem.status >= 500 else "bad request")


def segments(path: str) -> list[str]:
    """Return the parts of a path behind the version; none of them is empty."""
    parts = path.removeprefix("/v1/").rstrip("/").split("/")
    return parts if all(parts) else []


def amount(paise: Paise | int) -> msgspec.Raw:
    """Write rupees as a JSON number, exact to the paisa."""
    return msgspec.Raw(format_rupees(Paise(paise)).encode())


def order_id_of(text: str) -> OrderId | None:
    """Return the number of an order that stands in a path; None when none could have it."""
    is_number = text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= ID_MAX
    return OrderId(int(text)) if is_number else None


def whole(text: str | None, *, usual: int, most: int) -> int:
    """Read a number that pages a list; what is none, or out of bounds, becomes the usual or the nearest one."""
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 10):
        return usual
    return min(int(text), most)
