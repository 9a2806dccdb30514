"""Nouns of the maintenance slice: windows, and what they close."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NewType

WindowId = NewType("WindowId", int)
Area = Literal["master", "server", "auth", "recharge", "support", "service", "country"]
WindowKind = Literal["emergency", "scheduled"]
Doing = Literal["buy", "extend", "recharge", "register", "login", "ask"]
"""What begins something new: a number, more time on one, a recharge, an account, a session, a question to support."""

CLOSES: Mapping[Area, frozenset[Doing]] = {
    "master": frozenset({"buy", "extend", "recharge", "register"}),
    "server": frozenset({"buy", "extend"}),
    "auth": frozenset({"register", "login"}),
    "recharge": frozenset({"recharge"}),
    "support": frozenset({"ask"}),
    "service": frozenset({"buy", "extend"}),
    "country": frozenset({"buy", "extend"}),
}
"""What each area closes. The whole service being closed leaves logins and support open: who has a number waiting must
get to its code, and be heard when it does not come. Codes, cancels, finishing, refunds, payments that come in, claims
of payments and staff are closed by nothing, so they have no word here."""
TARGETED: tuple[Area, ...] = ("server", "service", "country")
"""Areas of which there are several: a window names which."""
MESSAGE_MAX = 500
ALLOWED_MAX = 100


@dataclass(frozen=True, slots=True)
class Intent:
    """Something new that somebody wants; what is None does not matter to it, or is not known yet."""

    doing: Doing
    account_id: int | None = None
    provider_id: int | None = None
    service: str | None = None
    country: int | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which an area is closed. `ends_at` None: until somebody ends it."""

    id: WindowId
    area: Area
    target: str | None
    kind: WindowKind
    starts_at: datetime
    ends_at: datetime | None
    allowed: list[int]
    message: str
    version: int
    made_at: datetime
    cancelled_at: datetime | None

    def is_running(self, now: datetime) -> bool:
        """Tell whether the area is closed at a moment of the database's clock."""
        return self.starts_at <= now and not self.is_over(now)

    def is_over(self, now: datetime) -> bool:
        """Tell whether nothing is closed by it any more."""
        return self.cancelled_at is not None or (self.ends_at is not None and self.ends_at <= now)

    def covers(self, intent: Intent) -> bool:
        """Tell whether it is about such an intent; those on its list are left alone."""
        if intent.doing not in CLOSES[self.area] or intent.account_id in self.allowed:
            return False
        match self.area:
            case "server":
                return self.target == str(intent.provider_id)
            case "service":
                return self.target == intent.service
            case "country":
                return self.target == str(intent.country)
            case _:
                return True


@dataclass(frozen=True, slots=True)
class NewWindow:
    """A window that is wanted. `starts_at` None is now; only an emergency may have no end."""

    area: Area
    message: str
    target: str | None = None
    kind: WindowKind = "emergency"
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    allowed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What a window is to be from now on."""

    message: str
    ends_at: datetime | None
    allowed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class News:
    """A window that has begun or is over, and nobody was told yet."""

    window: Window
    is_over: bool
