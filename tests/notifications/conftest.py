"""What tests of notifications share: a vault, a mail server, and the way to it."""

from collections.abc import AsyncIterator

import pytest

from numberdesk.base.crypto import Vault, new_key
from numberdesk.notifications.channels.email import SmtpMailer
from numberdesk.notifications.model import MailSettings
from tests.notifications.mailbox import Mailbox, mailbox


@pytest.fixture
def vault() -> Vault:
    return Vault([new_key()])


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    async with mailbox() as box:
        yield box


@pytest.fixture
def mailer(box: Mailbox) -> SmtpMailer:
    return mailer_to(box.port)


def mailer_to(port: int, *, timeout: float = 10.0) -> SmtpMailer:
    """Return a mailer to a server on loopback."""
    return SmtpMailer(
        MailSettings("127.0.0.1", "Numberdesk <no-reply@example.com>", port=port, security="none", timeout=timeout)
    )
