"""Relay: events for the staff by whatever apprise speaks with, when it is installed."""

import importlib
import logging
from collections.abc import Sequence
from typing import Any

import structlog

from numberdesk.notifications.model import Failed, Outcome, Sent

log = structlog.get_logger()


class RelayMissing(RuntimeError):
    """Relays are set, and apprise is not installed or does not take one of them; the sentence says which it is."""


class Relay:
    """Sends to the addresses of apprise. They hold secrets: none is ever shown."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Open it.

        Raises:
            RelayMissing: apprise is not installed, or an address is none of its.
        """
        try:
            library: Any = importlib.import_module("apprise")
        except ImportError:
            raise RelayMissing(
                "APPRISE_URLS is set, but apprise is not installed: pip install 'numberdesk[notify]'."
            ) from None
        # Its own log repeats addresses, also those that it does not know.
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        self._relay = library.Apprise()
        for place, url in enumerate(urls, start=1):
            if not self._relay.add(url):
                raise RelayMissing(f"APPRISE_URLS: apprise does not know the {place}. address.")

    async def send(self, title: str, text: str) -> Outcome:
        """Send one event everywhere; one address that fails has it sent again to all."""
        try:
            is_taken = await self._relay.async_notify(title=title, body=text, body_format="text")
        except Exception as problem:
            return Failed(False, f"the relay failed ({type(problem).__name__})")
        return Sent() if is_taken else Failed(False, "a relay did not take it")
