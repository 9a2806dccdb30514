"""The ways out: each module takes a mail and says how sending it went."""

from typing import Protocol

from numberdesk.notifications.model import Mail, Outcome


class Mailer(Protocol):
    """A way out for mails. It never raises: whatever happens is an outcome."""

    async def send(self, mail: Mail) -> Outcome:
        """Send one mail, or say why not, within a bounded time."""
        ...
