"""Sending what waits: once if all goes well, again if it does not, and never for ever."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.notifications.channels.email import ConsoleMailer, SmtpMailer
from numberdesk.notifications.jobs import _mails as jobs
from numberdesk.notifications.model import Mail, Outcome, Sent
from tests.notifications.conftest import mailer_to
from tests.notifications.letters import LINK, notice
from tests.notifications.mailbox import Mailbox, mailbox
from tests.notifications.outbox import count, make_due, row, write

pytestmark = pytest.mark.anyio


async def test_without_a_mailer_mails_wait(db: Database, vault: Vault) -> None:
    await write(db, vault, notice())
    assert await jobs.deliver(db, vault, None) == 0
    waiting = await row(db)
    assert (waiting.state, waiting.attempts) == ("waiting", 0)


async def test_a_refused_recipient_ends_the_mail_and_its_secrets(
    db: Database, vault: Vault, box: Mailbox, mailer: SmtpMailer
) -> None:
    await write(db, vault, notice())
    box.recipient_answer = "550 5.1.1 <asha@example.com> is not here"
    assert await jobs.deliver(db, vault, mailer) == 1
    failed = await row(db)
    assert (failed.state, failed.payload) == ("failed", None)
    assert failed.last_problem == "the server refused the recipient (550)"
    box.recipient_answer = None
    assert await jobs.deliver(db, vault, mailer) == 0
    assert box.messages == []


def later(box: Mailbox) -> None:
    box.data_answer = "451 4.3.0 asha@example.com may come later"


def later_by_recipient(box: Mailbox) -> None:
    box.recipient_answer = "450 4.2.0 greylisted"


def drop(box: Mailbox) -> None:
    box.drops = True


def hang(box: Mailbox) -> None:
    box.hangs = True


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (later, "the server refused the message (451)"),
        (later_by_recipient, "the server refused the recipient (450)"),
        (drop, "no connection to the server"),
        (hang, "the server did not answer in time"),
    ],
)
async def test_trouble_that_may_pass_is_tried_again(
    db: Database, vault: Vault, box: Mailbox, spoil: Callable[[Mailbox], None], problem: str
) -> None:
    mailer = mailer_to(box.port, timeout=0.5)
    await write(db, vault, notice())
    spoil(box)
    assert await jobs.deliver(db, vault, mailer) == 1
    waiting = await row(db)
    assert (waiting.state, waiting.attempts, waiting.last_problem) == ("waiting", 1, problem)
    assert timedelta(0) < waiting.due_in < timedelta(seconds=3)
    assert await jobs.deliver(db, vault, mailer) == 0
    box.data_answer = box.recipient_answer = None
    box.drops = box.hangs = False
    await make_due(db)
    assert await jobs.deliver(db, vault, mailer) == 1
    await box.next(to="asha@example.com")
    sent = await row(db)
    assert (sent.state, sent.payload, sent.last_problem, sent.attempts) == ("sent", None, None, 2)


async def test_a_server_that_was_down_gets_the_mail_once(db: Database, vault: Vault) -> None:
    async with mailbox() as box:
        port = box.port
    mailer = mailer_to(port)
    await write(db, vault, notice())
    assert await jobs.deliver(db, vault, mailer) == 1
    assert (await row(db)).last_problem == "no connection to the server"
    async with mailbox(port=port) as box:
        for _ in range(3):
            await make_due(db)
            await jobs.deliver(db, vault, mailer)
        assert len(box.messages) == 1


def test_pauses_grow_and_stay_below_an_hour() -> None:
    for attempts in range(1, 40):
        seconds = min(2**attempts, 3600)
        assert 0.75 * seconds <= jobs.pause(attempts).total_seconds() <= min(1.25 * seconds, 3600)


async def test_the_last_failure_is_final(db: Database, vault: Vault, box: Mailbox, mailer: SmtpMailer) -> None:
    await write(db, vault, notice())
    later(box)
    await make_due(db, attempts=jobs.ATTEMPTS_MAX - 2)
    await jobs.deliver(db, vault, mailer)
    assert (await row(db)).state == "waiting"
    await make_due(db)
    with capture_logs() as logged:
        await jobs.deliver(db, vault, mailer)
    failed = await row(db)
    assert (failed.state, failed.attempts, failed.payload) == ("failed", jobs.ATTEMPTS_MAX, None)
    assert [(entry["event"], entry["log_level"]) for entry in logged] == [("mail_given_up", "error")]


async def test_a_mail_that_ends_the_process_each_time_is_given_up(
    db: Database, vault: Vault, box: Mailbox, mailer: SmtpMailer
) -> None:
    await write(db, vault, notice())
    await make_due(db, attempts=jobs.ATTEMPTS_MAX)
    await jobs.deliver(db, vault, mailer)
    assert ((await row(db)).state, box.tries) == ("failed", 0)


async def test_passes_at_once_send_each_mail_once(db: Database, vault: Vault, box: Mailbox, mailer: SmtpMailer) -> None:
    await write(db, vault, *(notice(key=f"verify:{number}") for number in range(20)))
    done = await asyncio.gather(*(jobs.deliver(db, vault, mailer, limit=8) for _ in range(4)))
    assert sum(done) == 20
    assert (len(box.messages), box.tries, await count(db, "sent")) == (20, 20, 20)
    assert len({message["Message-ID"] for message in box.messages}) == 20


async def test_what_was_sent_but_not_settled_comes_again_as_the_same_mail(
    db: Database, vault: Vault, box: Mailbox, mailer: SmtpMailer
) -> None:
    is_sent = asyncio.Event()

    class Slow:
        """Sends, and takes for ever to say so."""

        async def send(self, mail: Mail) -> Outcome:
            await mailer.send(mail)
            is_sent.set()
            await asyncio.Event().wait()
            return Sent()

    await write(db, vault, notice())
    killed = asyncio.create_task(jobs.deliver(db, vault, Slow()))
    first = await box.next()
    await is_sent.wait()
    killed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await killed
    left = await row(db)
    assert left.state == "waiting"
    assert timedelta(seconds=50) < left.due_in <= jobs.LEASE
    assert await jobs.deliver(db, vault, mailer) == 0
    await make_due(db)
    assert await jobs.deliver(db, vault, mailer) == 1
    second = await box.next()
    assert first["Message-ID"] == second["Message-ID"]
    assert (await row(db)).state == "sent"


async def test_whoever_lost_the_lease_changes_nothing_but_a_success(
    db: Database, vault: Vault, box: Mailbox, mailer: SmtpMailer
) -> None:
    later(box)

    class Overtaken:
        """Fails so late that somebody else has the mail by then."""

        async def send(self, mail: Mail) -> Outcome:
            outcome = await mailer.send(mail)
            await make_due(db, attempts=7)
            return outcome

    await write(db, vault, notice())
    await jobs.deliver(db, vault, Overtaken())
    untouched = await row(db)
    assert (untouched.attempts, untouched.last_problem) == (7, None)
    assert untouched.due_in <= timedelta(0)
    box.data_answer = None
    await jobs.deliver(db, vault, Overtaken())
    assert (await row(db)).state == "sent"


async def test_what_there_is_no_time_for_is_given_back_untried(
    db: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "START_WITHIN", 0.1)

    class Slow:
        """Takes longer than the pass has."""

        async def send(self, mail: Mail) -> Outcome:
            await asyncio.sleep(0.3)
            return Sent()

    await write(db, vault, *(notice(key=f"verify:{number}") for number in range(12)))
    assert await jobs.deliver(db, vault, Slow()) == jobs.AT_ONCE
    assert await count(db, "sent") == jobs.AT_ONCE
    rest = [await row(db, f"verify:{number}") for number in range(12)]
    assert [(letter.attempts, letter.due_in <= timedelta(0)) for letter in rest if letter.state == "waiting"] == [
        (0, True)
    ] * 7


async def test_a_mailer_that_breaks_its_promise_stops_no_other_mail(
    db: Database, vault: Vault, box: Mailbox, mailer: SmtpMailer
) -> None:
    class Broken:
        """Raises for one of the addresses."""

        async def send(self, mail: Mail) -> Outcome:
            if mail.to == "b@example.com":
                raise ZeroDivisionError
            return await mailer.send(mail)

    await write(db, vault, *(notice(key=f"verify:{name}", to=f"{name}@example.com") for name in "abc"))
    with capture_logs() as logged:
        assert await jobs.deliver(db, vault, Broken()) == 3
    assert [(await row(db, f"verify:{name}")).state for name in "abc"] == ["sent", "waiting", "sent"]
    assert [entry["event"] for entry in logged] == ["mail_not_settled"]


async def test_the_console_shows_the_text_with_its_link(db: Database, vault: Vault) -> None:
    shown: list[tuple[str, str, str]] = []
    await write(db, vault, notice())
    assert (
        await jobs.deliver(db, vault, ConsoleMailer(lambda to, subject, text: shown.append((to, subject, text)))) == 1
    )
    ((to, subject, text),) = shown
    assert (to, subject) == ("asha@example.com", "Confirm your e-mail address")
    assert LINK in text
    assert (await row(db)).state == "sent"


async def test_no_log_line_and_no_row_holds_an_address_or_a_secret(db: Database, vault: Vault, box: Mailbox) -> None:
    def refuse(answer: str) -> Callable[[Mailbox], None]:
        return lambda box: setattr(box, "recipient_answer", answer)

    spoils = [later, drop, hang, refuse("550 no asha@example.com 482133"), refuse("451 <asha@example.com>")]
    with capture_logs() as logged:
        for number, spoil in enumerate(spoils):
            box.data_answer = box.recipient_answer = None
            box.drops = box.hangs = False
            spoil(box)
            await write(db, vault, notice(key=f"verify:{number}"))
            await jobs.deliver(db, vault, mailer_to(box.port, timeout=0.3))
    assert len(logged) == len(spoils)
    problems = [(await row(db, f"verify:{number}")).last_problem for number in range(len(spoils))]
    assert None not in problems
    told = f"{logged} {problems}"
    for secret in ("asha", "example.com", "token", "482133"):
        assert secret not in told
