"""The provider of sandboxes: scripted services without a network, so that programs can be tried without money.

Nothing is remembered. The id of an activation names its script and when it was rented, and everything that comes of it
is computed from the id and the clock, in every process alike. Numbers begin with 999, which no country has.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from yarl import URL

from numberdesk.base import clock
from numberdesk.base.money import Paise
from numberdesk.providers.line import Line
from numberdesk.providers.model import (
    RENTAL,
    ActiveList,
    CancelAnswer,
    Capabilities,
    CodeWon,
    Done,
    DoneAnswer,
    Ended,
    Listing,
    LookAnswer,
    ProlongAnswer,
    Prolonged,
    Pushed,
    Received,
    Refused,
    RentalListing,
    RentAnswer,
    Rented,
    TooLate,
    Unknown,
    Waiting,
    Wanted,
    is_rental,
)

DIALECTS: Final[Mapping[str, Capabilities]] = MappingProxyType(
    {
        "sandbox": Capabilities(
            cancel_after_ms=0,
            lifetime_ms=3_600_000,
            has_balance=False,
            has_list=False,
            tells_cost=False,
            # So that a purchase without a clear answer costs nothing, and is settled by itself.
            sells_at_finish=True,
            has_rentals=True,
            speaks_our_codes=True,
        )
    }
)
PUSH_TAKEN: Final = b""


COST: Final = Paise(10_00)
RENTAL_TIMES: Final = 3
"""How many times the cost of a code a rental costs, however long it is."""
RENTAL_WINDOW: Final = timedelta(minutes=20)


@dataclass(frozen=True, slots=True)
class Script:
    """What comes of a purchase: a number with codes so many seconds after it, or instead of one another answer."""

    cost_paise: Paise = COST
    codes: tuple[int, ...] = ()
    instead: Refused | Unknown | None = None


SCRIPTS: Final[Mapping[str, Script]] = MappingProxyType(
    {
        "testcode": Script(codes=(2,)),
        "testlate": Script(codes=(30,)),
        "testtwo": Script(codes=(2, 6)),
        "testnever": Script(),
        "testnone": Script(instead=Refused("no_numbers", "the script says so")),
        "testdown": Script(instead=Refused("unreachable", "the script says so")),
        "testmaybe": Script(instead=Unknown("the script says so")),
        "testcostly": Script(cost_paise=Paise(1_00_000_00)),
    }
)
"""By the code of the service; migration 0020 names the same ones."""


@dataclass(frozen=True, slots=True)
class _Activation:
    script: Script
    born_at: datetime
    secret: int

    def messages(self) -> tuple[Received, ...]:
        """Return what has come by now."""
        age = clock.now() - self.born_at
        codes = [
            f"{(self.secret >> 20 * place) % 1_000_000:06}"
            for place, seconds in enumerate(self.script.codes)
            if age >= timedelta(seconds=seconds)
        ]
        return tuple(Received(code, f"{code} is your sandbox code.") for code in codes)


def endpoint(url: str) -> URL:
    """Return the address, which nobody calls."""
    return URL(url)


async def rent(line: Line, wanted: Wanted, *, until: float) -> RentAnswer:
    """Do what the script of the service says."""
    script = SCRIPTS.get(wanted.service)
    if script is None:
        return Refused("bad_service", "there is no such script")
    if script.instead is not None:
        return script.instead
    milliseconds = int(clock.now().timestamp() * 1000)
    activation_id = f"{wanted.service}-{milliseconds}-{wanted.reference}"
    number = _number(wanted.reference)
    if wanted.hours is None:
        return Rented(activation_id, number, None, len(script.codes) > 1)
    return Rented(RENTAL + activation_id, number, None, True, clock.now() + timedelta(hours=wanted.hours))


async def look(line: Line, upstream_id: str, *, until: float) -> LookAnswer:
    """Return the codes that have come by now."""
    activation = _read(upstream_id)
    if activation is None:
        return Ended("there is no such activation")
    return activation.messages() or Waiting()


async def active(line: Line, *, until: float) -> ActiveList | Unknown:
    """Say that it is not known: nothing is remembered."""
    return Unknown("a sandbox has no list of numbers")


async def cancel(line: Line, upstream_id: str, *, until: float) -> CancelAnswer:
    """Cancel, unless a code came first, or a rental is too old."""
    activation = _read(upstream_id)
    if activation is None:
        return Done()
    if activation.messages():
        return CodeWon()
    return TooLate() if is_rental(upstream_id) and clock.now() > activation.born_at + RENTAL_WINDOW else Done()


async def finish(line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
    """Do nothing: what comes later is not asked for."""
    return Done()


async def another_code(line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
    """Agree where the script has a second code; a rental receives what comes."""
    if is_rental(upstream_id):
        return Done()
    activation = _read(upstream_id)
    if activation is None or len(activation.script.codes) < 2:
        return Refused("not_allowed", "the script has one code")
    return Done()


async def listing(line: Line, *, until: float) -> Listing | Unknown:
    """Return nothing: what is offered is what `SCRIPTS` says, in every country."""
    return Listing(())


async def balance(line: Line, *, until: float) -> Paise | Unknown:
    """Return nothing: no money of ours is there."""
    return Paise(0)


async def active_rentals(line: Line, *, until: float) -> ActiveList | Unknown:
    """Say that it is not known, as `active` does."""
    return await active(line, until=until)


async def prolong(line: Line, upstream_id: str, hours: int, *, until: float) -> ProlongAnswer:
    """Agree; when it ends is for whoever counts its hours."""
    if _read(upstream_id) is None:
        return Ended("there is no such rental")
    return Prolonged(upstream_id, _number(upstream_id.removeprefix(RENTAL).split("-", 2)[-1]), None)


async def prolong_cost(line: Line, upstream_id: str, hours: int, *, until: float) -> Paise | Refused | Ended | Unknown:
    """Return what any rental of the script costs."""
    activation = _read(upstream_id)
    return Ended("there is no such rental") if activation is None else rental_cost(activation.script.cost_paise)


async def rental_listing(line: Line, *, country: str | None, hours: int, until: float) -> RentalListing | Unknown:
    """Return nothing, as `listing` does."""
    return RentalListing(())


def rental_cost(cost_paise: Paise) -> Paise:
    """Return what a rental of a script costs, from what a code costs."""
    return Paise(cost_paise * RENTAL_TIMES)


def pushed(body: bytes) -> tuple[Pushed, ...] | None:
    """Take nothing: nobody posts messages of a sandbox."""
    return None


def _number(reference: str) -> str:
    # A reference begins with the order's id, so two open orders never have the same number.
    order_id = reference.partition("-")[0]
    return f"999{int(order_id) % 10**10:010}"


def _read(upstream_id: str) -> _Activation | None:
    """Read an activation off its id; None for what this module never gave out."""
    name, _, rest = upstream_id.removeprefix(RENTAL).partition("-")
    milliseconds = rest.partition("-")[0]
    script = SCRIPTS.get(name)
    if script is None or not (milliseconds.isascii() and milliseconds.isdecimal() and len(milliseconds) <= 14):
        return None
    secret = int.from_bytes(hashlib.sha256(upstream_id.encode()).digest()[:8])
    return _Activation(script, datetime.fromtimestamp(int(milliseconds) / 1000, UTC), secret)
