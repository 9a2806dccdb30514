"""One module for each protocol that providers speak, and the table of them.

To add a provider's protocol: copy `sms_activate.py` and its parsers, fill the same functions, add a line to
`ADAPTERS`, a word to `Kind` and to the `CHECK` of the table `providers`, and recorded answers to tests/contracts. What
every adapter must keep is tested by a line in tests/providers/families.py and one in tests/providers/test_fuzz.py.
A provider that speaks one of these protocols in its own way is a line in the table of that adapter's dialects.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from yarl import URL

from numberdesk.base.money import Paise
from numberdesk.providers.adapters import agent, five_sim, sandbox, sms_activate, sms_activate_rentals, sms_pool
from numberdesk.providers.line import Line
from numberdesk.providers.model import (
    ActiveList,
    CancelAnswer,
    Capabilities,
    DoneAnswer,
    Ended,
    Kind,
    Listing,
    LookAnswer,
    ProlongAnswer,
    Pushed,
    Refused,
    RentalListing,
    RentAnswer,
    Unknown,
    Wanted,
)


class Adapter(Protocol):
    """What a module of this folder offers. `until` is the deadline on the event loop's clock; nothing raises."""

    @property
    def DIALECTS(self) -> Mapping[str, Capabilities]:  # noqa: N802 (a constant of the module)
        """Name the dialects of the family, the usual one first, and say what each can do."""

    @property
    def PUSH_TAKEN(self) -> bytes:  # noqa: N802 (a constant of the module)
        """Answer a message that was posted to us and taken."""

    def endpoint(self, url: str) -> URL:
        """Return the address to call for the address that the operator gave."""

    async def rent(self, line: Line, wanted: Wanted, *, until: float) -> RentAnswer:
        """Buy one number with one request that is never repeated."""

    async def look(self, line: Line, upstream_id: str, *, until: float) -> LookAnswer:
        """Read the state of one activation."""

    async def active(self, line: Line, *, until: float) -> ActiveList | Unknown:
        """Read all activations the provider lists for us."""

    async def cancel(self, line: Line, upstream_id: str, *, until: float) -> CancelAnswer:
        """Cancel an activation, and say `CodeWon` only when a code surely came first."""

    async def finish(self, line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
        """Tell the provider that the activation is over."""

    async def another_code(self, line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
        """Ask for one more code on the same number."""

    async def listing(self, line: Line, *, until: float) -> Listing | Unknown:
        """Read the whole catalogue: prices with their stock, and the names of words where the provider tells them."""

    async def balance(self, line: Line, *, until: float) -> Paise | Unknown:
        """Read what is left of our money at the provider."""

    def pushed(self, body: bytes) -> tuple[Pushed, ...] | None:
        """Read what the provider posted to us; None when it is no message of this protocol."""


ADAPTERS: Final[Mapping[Kind, Adapter]] = MappingProxyType(
    {"sms-activate": sms_activate, "five-sim": five_sim, "sms-pool": sms_pool, "agent": agent, "sandbox": sandbox}
)


class Rentals(Protocol):
    """What a family adds that rents numbers for hours or days.

    Buying one, looking at it and ending it are the adapter's own: it is wanted for `hours`, and has a `rent:` id.
    """

    async def active_rentals(self, line: Line, *, until: float) -> ActiveList | Unknown:
        """Read all rentals the provider lists for us."""

    async def prolong(self, line: Line, upstream_id: str, hours: int, *, until: float) -> ProlongAnswer:
        """Pay for so many hours more with one request that is never repeated."""

    async def prolong_cost(
        self, line: Line, upstream_id: str, hours: int, *, until: float
    ) -> Paise | Refused | Ended | Unknown:
        """Read what so many hours more cost."""

    async def rental_listing(
        self, line: Line, *, country: str | None, hours: int, until: float
    ) -> RentalListing | Unknown:
        """Read what is rented for so many hours in a country."""


_RENTALS: Final[Mapping[Kind, Rentals]] = MappingProxyType({"sms-activate": sms_activate_rentals, "sandbox": sandbox})


def rentals_of(line: Line) -> Rentals:
    """Return what the family of a line adds for rentals; only for one whose dialect has them."""
    return _RENTALS[line.provider.kind]


class Spoken(Protocol):
    """Whatever knows how a provider speaks: its row, or what another slice keeps of it."""

    @property
    def kind(self) -> Kind:
        """The family."""

    @property
    def dialect(self) -> str:
        """The dialect of the family."""


def capabilities(provider: Spoken) -> Capabilities:
    """Return what a provider can do by its kind and dialect."""
    return ADAPTERS[provider.kind].DIALECTS[provider.dialect]
