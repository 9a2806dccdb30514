"""What a customer reads of a limit that is reached."""

import math
from dataclasses import dataclass
from datetime import datetime

from numberdesk.base import clock
from numberdesk.base.errors import AppError
from numberdesk.conduct.model import LimitWord

NO_LIMIT = 2**31 - 1
WAIT_FOR_AN_END = 60
"""Seconds to wait for one of the open orders to end, where no time is known."""


@dataclass(eq=False)
class PurchaseLimited(AppError):
    """A limit of responsible use is reached; nothing was bought and nothing is held."""

    limit: LimitWord
    allowed: int
    used: int
    until: datetime | None
    retry_after_seconds: int

    status = 429
    code = "purchase_limited"
    category = "transaction"

    def retry_seconds(self) -> int:
        return self.retry_after_seconds

    def sentence(self) -> str:
        until = "" if self.until is None else f" The next purchase is possible at {self.until:%Y-%m-%d %H:%M:%S} UTC."
        return _SENTENCES[self.limit].format(allowed=self.allowed, used=self.used) + until


_SENTENCES: dict[LimitWord, str] = {
    "new_account": "This account is new: it may buy {allowed} numbers a day (UTC), and has bought {used}.",
    "hour": "This account may buy {allowed} numbers an hour, and has bought {used}.",
    "day": "This account may buy {allowed} numbers a day (UTC), and has bought {used}.",
    "countries": "This account may buy in {allowed} countries a day (UTC), and has bought in {used}.",
    "open_orders": "This account may have {allowed} orders open at a time, and has {used}.",
    "cancel_ratio": "Of this account's last numbers {used} % were cancelled; above {allowed} % it pauses for a while.",
    "network_new": "New accounts of one network together may buy {allowed} numbers a day (UTC); from yours they did.",
    "network_hour": "Accounts of one network together may buy {allowed} numbers an hour; from yours they did.",
    "network_day": "Accounts of one network together may buy {allowed} numbers a day (UTC); from yours they did.",
    "payer_new": "New accounts that one payer pays for may buy {allowed} numbers a day (UTC) together, and yours did.",
    "payer_hour": "Accounts that one payer pays for may buy {allowed} numbers an hour together, and yours did.",
    "payer_day": "Accounts that one payer pays for may buy {allowed} numbers a day (UTC) together, and yours did.",
}


def first_of(*limits: int | None) -> int:
    """Return the first limit that there is."""
    return next((limit for limit in limits if limit is not None), NO_LIMIT)


def refused(limit: LimitWord, allowed: int, used: int, until: datetime | None) -> PurchaseLimited:
    """Return a refusal with the time to wait, by this process's clock: a hint; the limit itself is the database's."""
    wait = WAIT_FOR_AN_END if until is None else max(1, math.ceil((until - clock.now()).total_seconds()))
    return PurchaseLimited(limit, allowed, used, until, wait)
