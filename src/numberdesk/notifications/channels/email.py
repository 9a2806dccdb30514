"""Mail: the message with its headers, the SMTP server it goes to, and the console where there is none."""

import asyncio
import hashlib
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime

import aiosmtplib
import structlog

from numberdesk.base import clock
from numberdesk.notifications.model import BadSender, Failed, Mail, MailSettings, Outcome, Sent

log = structlog.get_logger()

QUIT_SECONDS = 2.0
"""For saying goodbye; the mail is with the server by then."""


def parse_sender(text: str) -> Address:
    """Return the address that mails are sent from.

    Raises:
        BadSender: it is not one address in ASCII.
    """
    message = EmailMessage(policy=SMTP_POLICY)
    try:
        message["From"] = text
        (address,) = message["From"].addresses
        address.addr_spec.encode("ascii")
    except (ValueError, MessageError, IndexError):
        raise BadSender("The sender of mails must be one address, such as no-reply@example.com.") from None
    if not (address.username and address.domain) or message["From"].defects:
        raise BadSender("The sender of mails must be one address, such as no-reply@example.com.")
    found: Address = address
    return found


def compose(mail: Mail, *, sender: Address, at: datetime) -> EmailMessage:
    """Return the message as it is sent. Its Message-ID comes from the mail's key, so that a repeat is recognised.

    Raises:
        ValueError, MessageError: the address is none.
    """
    name = hashlib.sha256(f"numberdesk:{mail.dedupe_key}".encode()).hexdigest()[:40]
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = sender
    message["To"] = Address(addr_spec=_ascii_domain(mail.to))
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{name}@{sender.domain}>"
    # Keeps answering machines silent. Source: RFC 3834 and Microsoft's MS-OXCMAIL.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    return message


def _ascii_domain(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.encode('idna').decode()}"


@dataclass(frozen=True)
class SmtpMailer:
    """Sends by SMTP, a connection for each mail. Certificates are validated unless `security` is `none`."""

    settings: MailSettings
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)
    sender: Address = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sender", parse_sender(self.settings.sender))

    async def send(self, mail: Mail) -> Outcome:
        """Hand a mail to the server."""
        try:
            message = compose(mail, sender=self.sender, at=clock.now())
            recipient = message["To"].addresses[0].addr_spec
        except (ValueError, MessageError, IndexError):
            return Failed(permanent=True, reason="the address cannot be written")
        return await self._talk(
            lambda client: client.send_message(message, sender=self.sender.addr_spec, recipients=[recipient])
        )

    async def probe(self) -> Outcome:
        """Connect, encrypt, log in and begin a mail, and send none."""

        async def begin(client: aiosmtplib.SMTP) -> None:
            await client.mail(self.sender.addr_spec)  # what a server that wants a login refuses first
            await client.rset()

        return await self._talk(begin)

    async def _talk(self, say: Callable[[aiosmtplib.SMTP], Awaitable[object]]) -> Outcome:
        client = self._client()
        try:
            # The library's own time-out starts again with every command.
            async with asyncio.timeout(self.settings.timeout):
                await client.connect()
                await say(client)
            with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                await client.quit(timeout=QUIT_SECONDS)
        except Exception as problem:
            return _failure(problem)
        finally:
            client.close()
        return Sent()

    def _client(self) -> aiosmtplib.SMTP:
        settings = self.settings
        return aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=None if settings.security == "none" else self.tls,
            timeout=settings.timeout,
            # Otherwise the library asks the network for this machine's name, each time.
            local_hostname=self.sender.domain,
        )


def _failure(problem: Exception) -> Failed:
    """Classify what went wrong. The server's own words are left out: they repeat the address, or worse."""
    match problem:
        case aiosmtplib.SMTPRecipientsRefused(recipients=[refusal, *_]):
            # 550 to 559 speak of the mailbox. The other fives speak of the session: it may be mended.
            permanent = 550 <= refusal.code <= 559
            return Failed(permanent, f"the server refused the recipient ({refusal.code})")
        case aiosmtplib.SMTPAuthenticationError():
            return Failed(False, f"the server refused our credentials ({problem.code})")
        case aiosmtplib.SMTPSenderRefused():
            return Failed(False, f"the server refused the sender ({problem.code})")
        case aiosmtplib.SMTPDataError():
            return Failed(False, f"the server refused the message ({problem.code})")
        case aiosmtplib.SMTPResponseException():
            return Failed(False, f"the server answered {problem.code}")
        case TimeoutError():
            return Failed(False, "the server did not answer in time")
        case ssl.SSLError():
            return Failed(False, "no secure connection to the server")
        case OSError() if isinstance(problem.__cause__, ssl.SSLError):
            return Failed(False, "no secure connection to the server")
        case OSError():
            return Failed(False, "no connection to the server")
        case aiosmtplib.SMTPException():
            return Failed(False, f"the server cannot do what we need ({type(problem).__name__})")
        case _:
            log.error("mail_not_sent", problem=type(problem).__name__)
            return Failed(False, f"an error here ({type(problem).__name__})")


@dataclass(frozen=True)
class ConsoleMailer:
    """Shows mails to whoever runs the program, where no server is set: `show` gets address, subject and text."""

    show: Callable[[str, str, str], None]

    async def send(self, mail: Mail) -> Outcome:
        """Show a mail."""
        try:
            self.show(mail.to, mail.subject, mail.text)
        except Exception as problem:
            return Failed(False, f"it could not be shown ({type(problem).__name__})")
        return Sent()
