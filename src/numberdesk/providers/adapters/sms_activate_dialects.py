"""How the servers of the SMS-Activate family differ, as data: one `Dialect` each, the usual one first.

A provider that drifts from all of them gets a line here, not a branch in the adapter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from numberdesk.providers.model import Capabilities, RefusalReason

REFUSALS: Final[Mapping[str, RefusalReason]] = MappingProxyType(
    {
        "NO_NUMBERS": "no_numbers",
        "NOT_AVAILABLE": "no_numbers",
        "NUMBER_NOT_AVAILABLE": "no_numbers",
        "NO_BALANCE": "no_balance",
        "NO_BALANCE_FORWARD": "no_balance",
        "NO_MONEY": "no_balance",
        "WRONG_MAX_PRICE": "price_changed",
        "MAX_PRICE_EXCEEDED": "price_changed",
        "BAD_SERVICE": "bad_service",
        "WRONG_SERVICE": "bad_service",
        "SERVICE_NOT_AVAILABLE": "bad_service",
        "BAD_COUNTRY": "bad_country",
        "WRONG_COUNTRY": "bad_country",
        "SERVICE_UNAVAILABLE_REGION": "bad_country",
        "WRONG_OPERATOR": "bad_operator",
        "OPERATORS_NOT_FOUND": "bad_operator",
        "BAD_KEY": "bad_key",
        "NO_KEY": "bad_key",
        "API_KEY_NOT_VALID": "bad_key",
        "BANNED": "account_blocked",
        "ACCOUNT_INACTIVE": "account_blocked",
        "CHANNELS_LIMIT": "account_blocked",
        "TOO_MANY_ACTIVE_RENTALS": "account_blocked",
        "BAD_ACTION": "not_allowed",
        "NO_ACTION": "not_allowed",
    }
)
"""Words that say for sure that nothing was done. A word that is not here is never a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How one change of an activation is asked for. A silent one is answered by status 204 without a body."""

    action: str = "setStatus"
    status: str = ""
    is_silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one kind of server wants and means.

    Attributes:
        key: where our key goes: into the query, or into a header, where no log of addresses sees it.
        ceiling: the parameter of the highest price.
        operator: the parameter of the operator.
        reference: the parameter of our own id of the attempt; empty where the server knows none.
        countries: the only countries it sells; None: whichever its list names. A server that has one country ignores
            the parameter, and would sell a number of its own country to somebody who wants another.
        listing: the action of the list of what lives; empty where there is none.
        page_size: rows of a page of that list; 0 where the whole list comes at once.
        prices: the action of the price list. Its nesting is recognised, not declared.
        refusals: what its words mean, those of all servers included.
        ended: words of its own for an activation that is over or not known.
        look_again: words of its own by which a cancel is refused, perhaps because a code came.
    """

    can: Capabilities
    purchase: Literal["getNumberV2", "getNumber"] = "getNumberV2"
    key: Literal["query", "header"] = "query"
    ceiling: str = "maxPrice"
    operator: str = "operator"
    reference: str = ""
    countries: frozenset[int] | None = None
    cancel: Change = Change(status="8")
    finish: Change = Change(status="6")
    next_code: Change = Change(status="3")
    listing: str = "getActiveActivations"
    page_size: int = 0
    prices: str = "getPrices"
    refusals: Mapping[str, RefusalReason] = field(default_factory=lambda: REFUSALS)
    ended: frozenset[str] = frozenset()
    look_again: frozenset[str] = frozenset()


def _with(extra: Mapping[str, RefusalReason]) -> Mapping[str, RefusalReason]:
    return MappingProxyType({**REFUSALS, **extra})


CLASSIC: Final = Dialect(can=Capabilities(speaks_our_codes=True, pushes=True, has_rentals=True), reference="orderId")
"""The protocol as SMS-Activate wrote it down; what nobody knows better is asked in it."""

TABLE: Final[Mapping[str, Dialect]] = MappingProxyType(
    {
        "classic": CLASSIC,
        # Another Numberdesk.
        "numberdesk": Dialect(
            can=Capabilities(
                speaks_our_codes=True, pushes=True, repeats_reference=True, is_idempotent=True, has_rentals=True
            ),
            reference="orderId",
        ),
        # HeroSMS: errors are JSON with a status of their own, some changes are answered by nothing, lists are cut. It
        # rents numbers too, but nobody says how such a number is looked at and ended: we do not buy any.
        "hero": Dialect(
            can=Capabilities(speaks_our_codes=True, pushes=True),
            key="header",
            cancel=Change(action="cancelActivation", is_silent=True),
            finish=Change(action="finishActivation", is_silent=True),
            page_size=100,
            # Whoever asks too often, or wrongly, is turned away before anything happens.
            refusals=_with({"RATE_LIMIT": "busy", "UNPROCESSABLE_ENTITY": "not_allowed"}),
            ended=frozenset({"NOT_FOUND"}),
        ),
        # privatesms: the classic words, each with an HTTP status.
        "text-status": Dialect(can=Capabilities(speaks_our_codes=True, cancel_after_ms=60_000)),
        "grizzly": Dialect(can=Capabilities(speaks_our_codes=True), prices="getPricesV3"),
        "smsbower": Dialect(can=Capabilities(speaks_our_codes=True), prices="getPricesV2"),
        # DaisySMS sells numbers of the USA by carrier, lists nothing, and tells no cost.
        "daisysms": Dialect(
            can=Capabilities(speaks_our_codes=True, has_list=False, has_next_code=False, tells_cost=False),
            purchase="getNumber",
            ceiling="max_price",
            operator="carriers",
            countries=frozenset({187}),
            listing="",
            prices="getPricesVerification",
            look_again=frozenset({"ACCESS_READY"}),
        ),
        "smshub": Dialect(
            can=Capabilities(speaks_our_codes=True, tells_cost=False),
            purchase="getNumber",
            listing="getCurrentActivations",
        ),
    }
)

_TELLING_NOTHING: Final = frozenset(
    {
        "ALREADY_CANCEL", "ALREADY_FINISH", "CANT_CANCEL", "INCORECT_STATUS", "INVALID_PHONE", "INVALID_TIME",
        "MAX_HOURS_EXCEED", "NO_ID_RENT", "OUT_OF_STOCK", "RENT_DIE", "STATUS_FINISH", "STATUS_REVOKE",
        "ACCESS_ACTIVATION", "ACCESS_BALANCE", "ACCESS_CANCEL", "ACCESS_NUMBER", "ACCESS_READY", "ACCESS_RETRY_GET",
        "ACTIVATION_NOT_ACTIVE", "BAD_DATA", "BAD_ID", "BAD_NUMBER", "BAD_REQUEST", "BAD_STATUS",
        "EARLY_CANCEL_DENIED", "ERROR_SQL", "FREE_CANCELLATION_EXPIRED", "FULL_SMS", "INVALID_ACTIVATION_ID",
        "NEW_OTP_RECEIVED", "NOT_FOUND", "NO_ACTIVATION", "NO_ACTIVATIONS", "NO_CONNECTION", "ORDER_ALREADY_EXISTS",
        "OTP_RECEIVED", "RATE_LIMIT", "SERVER_ERROR", "SQL_ERROR", "STATUS_CANCEL", "STATUS_OK", "STATUS_WAIT_CODE",
        "STATUS_WAIT_RESEND", "STATUS_WAIT_RETRY", "TOO_EARLY", "UNPROCESSABLE_ENTITY", "WRONG_ACTIVATION_ID",
        "WRONG_EXCEPTION_PHONE",
    }
)  # fmt: skip
KNOWN_WORDS: Final = frozenset(REFUSALS) | _TELLING_NOTHING
"""Words of the protocol that were seen before. Any other one is told to staff, because it may be a new refusal.

ORDER_ALREADY_EXISTS is no refusal: nothing was sold now, but something was with the same reference before.
"""
