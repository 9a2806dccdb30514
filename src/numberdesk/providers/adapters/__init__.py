"""One module for each protocol that providers speak, and the table of them.

To add a provider's protocol: copy `sms_activate.py` and its parsers, fill the same functions, add a line to
`ADAPTERS`, a word to `Kind` and to the `CHECK` of the table `providers`, and recorded answers to tests/contracts.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from yarl import URL

from numberdesk.base.money import Paise
from numberdesk.providers.adapters import sms_activate
from numberdesk.providers.line import Line
from numberdesk.providers.model import (
    ActiveList,
    CancelAnswer,
    DoneAnswer,
    Kind,
    LookAnswer,
    RentAnswer,
    Unknown,
    UpstreamOffer,
    Wanted,
)


class Adapter(Protocol):
    """What a module of this folder offers. `until` is the deadline on the event loop's clock; nothing raises."""

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

    async def offers(self, line: Line, *, until: float) -> tuple[UpstreamOffer, ...] | Unknown:
        """Read the whole price list with its stock."""

    async def balance(self, line: Line, *, until: float) -> Paise | Unknown:
        """Read what is left of our money at the provider."""


ADAPTERS: Final[Mapping[Kind, Adapter]] = MappingProxyType({"sms-activate": sms_activate})
