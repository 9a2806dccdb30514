"""Mails as they leave: parts and headers, the ways to sign in, and answers that are not yes."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from email.headerregistry import Address
from pathlib import Path
from typing import Literal

import pytest

from numberdesk.base import clock
from numberdesk.notifications.channels.email import ConsoleMailer, SmtpMailer, compose, parse_sender
from numberdesk.notifications.model import BadSender, Failed, Mail, MailSettings, Sent
from numberdesk.notifications.service import open_mailer
from tests.notifications.certificates import tls_contexts
from tests.notifications.conftest import mailer_to
from tests.notifications.mailbox import Mailbox, mailbox

pytestmark = pytest.mark.anyio

MAIL = Mail("asha@example.com", "Hello", "Zahlen für Asha\n" + "x" * 2000 + "\n", "<p>Zahlen für Asha</p>", "verify:1")
SETTINGS = MailSettings("127.0.0.1", "Numberdesk <no-reply@example.com>", security="none")


@pytest.mark.parametrize(
    "sender", ["", "Numberdesk", "a@example.com, b@example.com", "a@example.com\r\nBcc: b@example.com", "ü@example.com"]
)
def test_a_sender_that_is_not_one_address_is_refused(sender: str) -> None:
    with pytest.raises(BadSender, match="one address"):
        open_mailer(replace(SETTINGS, sender=sender))


def test_no_server_is_no_mailer() -> None:
    assert open_mailer(replace(SETTINGS, host=None)) is None
    assert isinstance(open_mailer(SETTINGS), SmtpMailer)


def test_the_password_is_in_no_repr() -> None:
    assert "hunter2" not in repr(open_mailer(replace(SETTINGS, username="nd", password="hunter2")))


@pytest.mark.parametrize(
    "to",
    ["", "asha", "@", "a@b@c", "a@example.com, b@example.com", "a@example.com\r\nBcc: b@example.com", "<>", "a b@c.d",
     "a@b.c> SIZE=1", "a@" + "x" * 70],
)  # fmt: skip
async def test_what_is_no_address_fails_for_good_and_reaches_nobody(box: Mailbox, to: str) -> None:
    outcome = await mailer_to(box.port).send(replace(MAIL, to=to))
    assert outcome == Failed(permanent=True, reason="the address cannot be written")
    assert box.tries == 0


def test_a_line_end_in_the_subject_makes_no_header() -> None:
    with pytest.raises(ValueError, match="linefeed"):
        compose(replace(MAIL, subject="Hi\r\nBcc: b@example.com"), sender=parse_sender("a@b.example"), at=clock.now())


async def test_a_mail_arrives_with_both_parts_and_its_headers(box: Mailbox, mailer: SmtpMailer) -> None:
    assert await mailer.send(MAIL) == Sent()
    message = await box.next(to="asha@example.com", subject_part="Hel")
    assert message["From"] == "Numberdesk <no-reply@example.com>"
    assert (message["To"], message["Subject"]) == ("asha@example.com", "Hello")
    assert abs((message["Date"].datetime - clock.now()).total_seconds()) < 60
    assert message["Message-ID"].endswith("@example.com>")
    assert "verify" not in message["Message-ID"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    text, html = message.iter_parts()
    assert (message.get_content_type(), text.get_content_type(), html.get_content_type()) == (
        "multipart/alternative", "text/plain", "text/html",
    )  # fmt: skip
    assert text.get_content() == MAIL.text
    assert html.get_content().strip() == MAIL.html


async def test_each_key_has_a_message_id_of_its_own_and_keeps_it(box: Mailbox, mailer: SmtpMailer) -> None:
    for key in ("verify:1", "verify:1", "verify:2"):
        await mailer.send(replace(MAIL, dedupe_key=key))
    names = [message["Message-ID"] for message in box.messages]
    assert names[0] == names[1] != names[2]


async def test_a_domain_of_other_letters_is_written_in_ascii(box: Mailbox, mailer: SmtpMailer) -> None:
    assert await mailer.send(replace(MAIL, to="asha@bücher.example")) == Sent()
    assert (await box.next())["To"] == "asha@xn--bcher-kva.example"


def test_a_sender_may_have_a_name_or_none() -> None:
    assert parse_sender("no-reply@example.com").addr_spec == "no-reply@example.com"
    assert parse_sender('"Numbers, Ltd." <a@example.com>') == Address("Numbers, Ltd.", "a", "example.com")


@pytest.mark.parametrize(
    ("answer", "is_permanent"),
    [("550 no", True), ("553 no", True), ("530 sign in first", False), ("503 not now", False), ("450 later", False)],
)
async def test_only_a_refused_mailbox_is_for_good(
    box: Mailbox, mailer: SmtpMailer, answer: str, is_permanent: bool
) -> None:
    box.recipient_answer = answer
    outcome = await mailer.send(MAIL)
    assert outcome == Failed(is_permanent, f"the server refused the recipient ({answer[:3]})")


async def test_a_mail_that_was_taken_is_sent_though_the_goodbye_is_lost(box: Mailbox, mailer: SmtpMailer) -> None:
    class Rude(Mailbox):
        """Hangs up without a word."""

        async def handle_QUIT(self, server: object, *_rest: object) -> str:  # noqa: N802
            server.transport.abort()  # type: ignore[attr-defined]
            return "221 Bye"

    box.__class__ = Rude
    assert await mailer.send(MAIL) == Sent()
    assert len(box.messages) == 1


@pytest.mark.parametrize(
    "greeting", [b"", b"554 go away\r\n", b"\xff\xfe\x00 nonsense\r\n" * 3, b"220 hi\r\n500 what\r\n"]
)
async def test_a_server_that_speaks_no_sense_is_an_outcome(greeting: bytes) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        outcome = await mailer_to(server.sockets[0].getsockname()[1], timeout=1).send(MAIL)
    assert isinstance(outcome, Failed)
    assert not outcome.permanent


async def test_a_server_that_answers_slowly_again_and_again_costs_one_time_out_in_all() -> None:
    is_over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = b"220 hi\r\n"
        while not reader.at_eof():
            await asyncio.sleep(0.3)
            writer.write(said)
            said = b"250 yes\r\n"
            await reader.readline()
        writer.close()
        is_over.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        mailer = mailer_to(server.sockets[0].getsockname()[1], timeout=0.5)
        assert await mailer.send(MAIL) == Failed(False, "the server did not answer in time")
        await is_over.wait()


def login(settings: MailSettings) -> MailSettings:
    return replace(settings, security="starttls", username="nd", password="hunter2")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda settings: replace(login(settings), security="none"), "SMTPException"),
        (lambda settings: replace(settings, security="starttls"), "the server refused the sender (530)"),
        (lambda settings: replace(login(settings), password="wrong"), "the server refused our credentials (535)"),
    ],
)
async def test_without_tls_or_the_right_login_a_mail_waits(
    tmp_path: Path, change: Callable[[MailSettings], MailSettings], reason: str
) -> None:
    server, client = tls_contexts(tmp_path)
    async with mailbox(tls=server, login=("nd", "hunter2")) as box:
        mailer = SmtpMailer(change(replace(SETTINGS, port=box.port)), tls=client)
        for outcome in (await mailer.send(MAIL), await mailer.probe()):
            assert isinstance(outcome, Failed)
            assert not outcome.permanent
            assert reason in outcome.reason
        assert box.messages == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_server_that_cannot_prove_itself_gets_no_password(
    tmp_path: Path, security: Literal["starttls", "tls"]
) -> None:
    server, _ = tls_contexts(tmp_path)
    async with mailbox(tls=server, login=("nd", "hunter2")) as box:
        settings = replace(login(SETTINGS), port=box.port, security=security)
        assert await SmtpMailer(settings).send(MAIL) == Failed(False, "no secure connection to the server")


async def test_a_server_is_tried_without_a_mail(tmp_path: Path) -> None:
    server, client = tls_contexts(tmp_path)
    async with mailbox(tls=server, login=("nd", "hunter2")) as box:
        mailer = SmtpMailer(login(replace(SETTINGS, port=box.port)), tls=client)
        assert await mailer.probe() == Sent()
        assert (box.messages, box.tries) == ([], 0)
    assert await mailer.probe() == Failed(False, "no connection to the server")


async def test_with_starttls_and_login_a_mail_arrives(tmp_path: Path) -> None:
    server, client = tls_contexts(tmp_path)
    async with mailbox(tls=server, login=("nd", "hunter2")) as box:
        assert await SmtpMailer(login(replace(SETTINGS, port=box.port)), tls=client).send(MAIL) == Sent()
        await box.next(to="asha@example.com")


async def test_with_tls_from_the_first_byte_a_mail_arrives(tmp_path: Path) -> None:
    server, client = tls_contexts(tmp_path)
    async with mailbox(tls_at_once=server) as box:
        settings = replace(SETTINGS, port=box.port, security="tls")
        assert await SmtpMailer(settings).send(MAIL) == Failed(False, "no secure connection to the server")
        assert await SmtpMailer(settings, tls=client).send(MAIL) == Sent()
        await box.next(to="asha@example.com")


async def test_starttls_is_not_left_out_where_the_server_does_not_offer_it(box: Mailbox) -> None:
    outcome = await SmtpMailer(replace(SETTINGS, port=box.port, security="starttls")).send(MAIL)
    assert isinstance(outcome, Failed)
    assert box.tries == 0


async def test_a_console_that_is_closed_is_an_outcome() -> None:
    def show(*_texts: str) -> None:
        raise BrokenPipeError

    assert await ConsoleMailer(show).send(MAIL) == Failed(False, "it could not be shown (BrokenPipeError)")
