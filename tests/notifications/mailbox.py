"""A mail server on loopback that keeps what it gets, and misbehaves when told to."""

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Mailbox:
    """What arrived, and knobs that may be turned at any time."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    """Everything that was taken, oldest first."""
    tries: int = 0
    """How many mails began to come, whatever became of them."""
    recipient_answer: str | None = None
    """Said to RCPT instead of taking it, such as `550 5.1.1 nobody here`."""
    data_answer: str | None = None
    """Said to the message instead of taking it, such as `451 4.3.0 later`."""
    drops: bool = False
    """Cut the connection when the message has come, and do not keep it."""
    hangs: bool = False
    """Never answer to the message."""
    holds: bool = False
    """Keep the message, and never say so."""

    _given: set[int] = field(default_factory=set)
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def next(self, *, to: str = "", subject_part: str = "", patience: float = 5.0) -> EmailMessage:
        """Wait for a mail that fits and was not returned before."""
        try:
            async with asyncio.timeout(patience), self._came:
                while (found := self._find(to, subject_part)) is None:
                    await self._came.wait()
        except TimeoutError:
            there = [(str(message["To"]), str(message["Subject"])) for message in self.messages]
            raise AssertionError(f"no mail to {to!r} about {subject_part!r}, but {there}") from None
        return found

    def _find(self, to: str, subject_part: str) -> EmailMessage | None:
        for place, message in enumerate(self.messages):
            if place not in self._given and to in str(message["To"]) and subject_part in str(message["Subject"]):
                self._given.add(place)
                return message
        return None

    # Called by the server, by their names.

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.tries += 1
        if self.recipient_answer is not None:
            return self.recipient_answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.hangs:
            await asyncio.Event().wait()
        if self.drops:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
            await asyncio.Event().wait()
        if self.data_answer is not None:
            return self.data_answer
        assert isinstance(envelope.content, bytes)
        content = envelope.content.replace(b"\r\n", b"\n")
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        async with self._came:
            self.messages.append(message)
            self._came.notify_all()
        if self.holds:
            await asyncio.Event().wait()
        return "250 OK"


@asynccontextmanager
async def mailbox(
    *,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    tls_at_once: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
) -> AsyncIterator[Mailbox]:
    """Run a mail server for as long as the block lasts, on a free port or on the one of a server that went.

    Args:
        tls: insist on STARTTLS, with this context.
        tls_at_once: speak TLS from the first byte on, with this context.
        login: insist on this name and password; only with `tls`.
    """
    loop = asyncio.get_running_loop()
    box = Mailbox()
    sessions: list[SMTP] = []

    def check(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object) -> AuthResult:
        assert isinstance(given, LoginPassword)
        is_right = login is not None and (given.login.decode(), given.password.decode()) == login
        return AuthResult(success=is_right, handled=False)

    def start() -> SMTP:
        sessions.append(
            SMTP(
                box,
                hostname="mailbox.test",
                tls_context=tls,
                require_starttls=tls is not None,
                auth_required=login is not None,
                authenticator=check,
                loop=loop,
            )
        )
        return sessions[-1]

    server = await loop.create_server(start, "127.0.0.1", port, ssl=tls_at_once)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        for session in sessions:
            if isinstance(session.transport, asyncio.WriteTransport):
                session.transport.abort()
        await server.wait_closed()
