"""What the protocol says when it does not do something: its words, and how each dialect writes them.

Clients compare whole bodies, so a word is never changed. classic and grizzly write it as a text with status 200; hero
writes JSON with a status of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Dialect
from numberdesk.accounts.service import KeyInFlight
from numberdesk.base import web
from numberdesk.base.errors import AppError, NotFound
from numberdesk.base.money import format_rupees
from numberdesk.catalogue import service as catalogue
from numberdesk.compat._wire import Reply, json_reply, text_reply
from numberdesk.conduct.service import PurchaseLimited
from numberdesk.maintenance.service import Closed
from numberdesk.orders import service as orders
from numberdesk.wallet.service import InsufficientBalance

TOO_MANY = 429
INTERNAL = "ERROR_SQL"


@dataclass(eq=False)
class Refusal(Exception):
    """A refusal in the protocol's own words.

    Attributes:
        detail: what stands behind the word and a colon, where the protocol has that.
        info: what hero tells besides the word.
        is_text: whether it is a text with status 200 in every dialect.
        is_json: whether it is JSON in every dialect, as the rent actions have it.
        hero: the word of hero, where it has another one here.
    """

    word: str
    detail: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)
    is_text: bool = False
    is_json: bool = False
    hero: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


_HERO: Mapping[str, tuple[int, str]] = {
    "NO_KEY": (422, "UNPROCESSABLE_ENTITY"),
    "BAD_KEY": (401, "BAD_KEY"),
    "NO_ACTION": (404, "BAD_ACTION"),
    "BAD_ACTION": (404, "BAD_ACTION"),
    "NO_ACTIVATION": (404, "NOT_FOUND"),
    "STATUS_CANCEL": (404, "NOT_FOUND"),
    "NO_NUMBERS": (404, "NO_NUMBERS"),
    "NOT_AVAILABLE": (404, "NO_NUMBERS"),
    "NO_BALANCE": (402, "NO_BALANCE"),
    "ACCOUNT_INACTIVE": (403, "ACCOUNT_INACTIVE"),
    "CHANNELS_LIMIT": (403, "CHANNELS_LIMIT"),
    "EARLY_CANCEL_DENIED": (409, "EARLY_CANCEL_DENIED"),
    "OTP_RECEIVED": (409, "OTP_RECEIVED"),
    "ACTIVATION_NOT_ACTIVE": (409, "ACTIVATION_NOT_ACTIVE"),
    "ORDER_ALREADY_EXISTS": (409, "ORDER_ALREADY_EXISTS"),
    "RENEW_ACTIVATION_NOT_AVAILABLE": (409, "RENEW_ACTIVATION_NOT_AVAILABLE"),
    "WRONG_ACTIVATION_ID": (422, "UNPROCESSABLE_ENTITY"),
    "WRONG_DATE": (422, "UNPROCESSABLE_ENTITY"),
    "BAD_DATA": (422, "UNPROCESSABLE_ENTITY"),
    "NO_ID_RENT": (404, "NOT_FOUND"),
    "INVALID_PHONE": (404, "NOT_FOUND"),
    "STATUS_FINISH": (404, "NOT_FOUND"),
    "STATUS_REVOKE": (404, "NOT_FOUND"),
    "ALREADY_FINISH": (409, "ACTIVATION_NOT_ACTIVE"),
    "ALREADY_CANCEL": (409, "ACTIVATION_NOT_ACTIVE"),
    "RENT_DIE": (409, "ACTIVATION_NOT_ACTIVE"),
    "FREE_CANCELLATION_EXPIRED": (409, "FREE_CANCELLATION_EXPIRED"),
    "OUT_OF_STOCK": (404, "NO_NUMBERS"),
    "TOO_EARLY": (425, "TOO_EARLY"),
    "RATE_LIMIT": (TOO_MANY, "RATE_LIMIT"),
    INTERNAL: (500, "SERVER_ERROR"),
}
"""Status and title at hero. What is not here is 400 with the word itself."""

_DETAILS: Mapping[str, str] = {
    "NO_KEY": "Send the key as api_key, or as Authorization: ApiKey.",
    "BAD_KEY": "There is no such API key, or it may not do this.",
    "BAD_ACTION": "There is no such action.",
    "NO_ACTIVATION": "There is no such activation.",
    "NO_NUMBERS": "No number is free for this at the moment.",
    "NO_BALANCE": "The balance is too low.",
    "CHANNELS_LIMIT": "The account has bought as many numbers as it may for now.",
    "WRONG_MAX_PRICE": "The ceiling is below the lowest price.",
    "EARLY_CANCEL_DENIED": "The number is too young to be cancelled.",
    "OTP_RECEIVED": "A code was received: the activation is paid.",
    INTERNAL: "Something is out of order here. Look at the active activations before you buy again.",
}

_PLAIN: Mapping[type[AppError], str] = {
    catalogue.UnknownService: "BAD_SERVICE",
    catalogue.ServiceBlocked: "BAD_SERVICE",
    catalogue.ServiceOff: "BAD_SERVICE",
    catalogue.UnknownCountry: "BAD_COUNTRY",
    catalogue.CountryOff: "BAD_COUNTRY",
    # An operator or a server that is wanted and cannot be had: never another one in its place.
    catalogue.UnknownOperator: "NO_NUMBERS",
    catalogue.UnknownServer: "NO_NUMBERS",
    catalogue.ServerOff: "NO_NUMBERS",
    catalogue.NotOffered: "NO_NUMBERS",
    catalogue.NoStock: "NO_NUMBERS",
    catalogue.UnknownHours: "NO_NUMBERS",
    orders.NoNumbers: "NO_NUMBERS",
    # Nothing was bought and nothing is held: for a client it is the same as no stock.
    orders.ProviderUnavailable: "NO_NUMBERS",
    Closed: "NO_NUMBERS",
    orders.NoMoreCodes: "BAD_STATUS",
    orders.NotPossibleNow: "BAD_STATUS",
    orders.NotCancellable: "BAD_STATUS",
    orders.BeingProlonged: INTERNAL,
    orders.ReferenceTaken: "ORDER_ALREADY_EXISTS",
    orders.OutcomeUnknown: INTERNAL,
    KeyInFlight: INTERNAL,
    InsufficientBalance: "NO_BALANCE",
    NotFound: "NO_ACTIVATION",
    accounts.NoCredentials: "NO_KEY",
    accounts.AccountBanned: "ACCOUNT_INACTIVE",
    accounts.AccountFrozen: "ACCOUNT_INACTIVE",
    accounts.EmailUnverified: "ACCOUNT_INACTIVE",
    accounts.TermsOwed: "ACCOUNT_INACTIVE",
}


def refusal_of(problem: AppError, *, cancel_after: timedelta = timedelta(0)) -> Refusal:
    """Say a refusal of ours in the words of the protocol: the nearest one that its clients know.

    Args:
        cancel_after: the age before which nothing is cancelled, which hero tells.
    """
    headers = tuple((name.encode(), text.encode()) for name, text in web.headers_of(problem).items())
    if isinstance(problem, catalogue.PriceTooLow):
        lowest = format_rupees(problem.minimum_paise)
        return Refusal("WRONG_MAX_PRICE", lowest, {"min": msgspec.Raw(lowest.encode())})
    if isinstance(problem, orders.CancelTooEarly):
        return Refusal("EARLY_CANCEL_DENIED", info={"minActivationTime": int(cancel_after.total_seconds())})
    if isinstance(problem, PurchaseLimited):
        # A rule about the account, and none about its pace here: with 429 a client would ask again in a moment.
        info = {"limit": problem.limit, "current_threads": problem.used, "max_allowed": problem.allowed}
        return Refusal("CHANNELS_LIMIT", info=info, headers=headers)
    if isinstance(problem, orders.RentalKept):
        return Refusal("BAD_STATUS", hero="FREE_CANCELLATION_EXPIRED")
    if isinstance(problem, catalogue.UnknownHours) and problem.known:
        return Refusal("INVALID_TIME", info={"hours": problem.known}, hero="BAD_DURATION")
    if isinstance(problem, orders.CannotProlong):
        return _not_prolonged(problem)
    if isinstance(problem, orders.ProviderSilent):
        return Refusal(INTERNAL, hero="TOO_EARLY", headers=headers)
    word = _PLAIN.get(type(problem))
    if word is not None:
        return Refusal(word, headers=headers if word == INTERNAL else ())
    if problem.status == TOO_MANY:
        return Refusal("RATE_LIMIT", headers=headers)
    if problem.status in (401, 403):
        return Refusal("BAD_KEY")
    return Refusal("BAD_DATA") if problem.status < 500 else Refusal(INTERNAL, headers=headers)


def _not_prolonged(problem: orders.CannotProlong) -> Refusal:
    if problem.reason == "hours":
        info = {} if problem.hours_max is None else {"max": problem.hours_max}
        return Refusal("MAX_HOURS_EXCEED" if info else "INVALID_TIME", info=info, hero="BAD_DURATION")
    return Refusal("RENT_DIE" if problem.reason == "over" else "NO_NUMBERS")


def write_refusal(refusal: Refusal, dialect: Dialect, *, is_purchase: bool = False) -> Reply:
    """Write a refusal as a dialect has it.

    Args:
        is_purchase: a status of 5xx would make clients of hero buy again, so trouble of ours is told with 200. Measured
            with herosms 0.1.1: that is neither a number nor a reason to ask again for it.
    """
    if is_purchase and dialect == "hero" and refusal.word == INTERNAL:
        reply = json_reply({"title": INTERNAL, "details": _details(INTERNAL), "info": {}})
    else:
        reply = _written(refusal, dialect)
    status = TOO_MANY if refusal.word == "RATE_LIMIT" else reply.status
    return Reply(reply.body, status, reply.is_json, (*refusal.headers, *reply.headers))


def _details(word: str) -> str:
    """Return the word with its sentence: clients of hero show people nothing but this."""
    return f"{word}: {_DETAILS[word]}" if word in _DETAILS else word


def _written(refusal: Refusal, dialect: Dialect) -> Reply:
    word, text = refusal.word, refusal.word
    if refusal.detail:
        text = f"{word}:{refusal.detail}"
    if refusal.is_text:
        return text_reply(text)
    if dialect == "hero":
        name = refusal.hero or word
        status, title = _HERO.get(name, (400, name))
        info = dict(refusal.info)
        if title == "UNPROCESSABLE_ENTITY":
            info |= {"code": word, "message": _DETAILS.get(word, word)}
        return json_reply({"title": title, "details": _details(name), "info": info}, status)
    if refusal.is_json:
        return json_reply({"status": "error", "message": word, "error": word, "info": dict(refusal.info)})
    return text_reply(text)
