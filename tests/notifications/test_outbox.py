"""Writing notices down: with what they tell of, once, and sealed."""

import pytest
from structlog.testing import capture_logs

from numberdesk.base.crypto import Vault, new_key
from numberdesk.base.db import Database, run, value
from numberdesk.notifications import jobs
from numberdesk.notifications import service as notifications
from numberdesk.notifications.channels.email import SmtpMailer
from numberdesk.notifications.model import Notice
from tests.notifications.letters import LINK, SAMPLES, notice
from tests.notifications.mailbox import Mailbox
from tests.notifications.outbox import count, make_due, row, write

pytestmark = pytest.mark.anyio


async def test_a_notice_goes_when_its_transaction_does(db: Database, vault: Vault) -> None:
    async def fail() -> None:
        async with db.transaction() as tx:
            await notifications.enqueue(tx, vault, [notice()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await count(db) == 0


@pytest.mark.parametrize("wrong", [{"password": "hunter2"}, {}])
async def test_a_notice_of_other_fields_than_its_template_has_is_a_bug(
    db: Database, vault: Vault, wrong: dict[str, str]
) -> None:
    data = {**SAMPLES["mail_test"], **wrong} if wrong else {"name": ""}
    with pytest.raises(AssertionError, match="mail_test"):
        await write(db, vault, notice(), Notice("mail_test", "asha@example.com", data, "test:1", None))
    assert await count(db) == 0


async def test_no_notices_are_no_statement(db: Database, vault: Vault) -> None:
    await write(db, vault)
    assert await count(db) == 0


async def test_the_same_key_is_written_once(db: Database, vault: Vault) -> None:
    await write(db, vault, notice(to="first@example.com"), notice(to="second@example.com"))
    first = await row(db)
    await write(db, vault, notice(to="third@example.com"), notice(key="verify:2"))
    assert await row(db) == first or (await row(db)).payload == first.payload
    assert await count(db) == 2


async def test_a_row_says_for_whom_but_not_what(db: Database, vault: Vault) -> None:
    async with db.transaction() as tx:
        account_id = await value(
            tx, "INSERT INTO accounts (email, email_key) VALUES ('asha@example.com', 'asha@example.com') RETURNING id"
        )
        told = Notice("verify_email", "asha@example.com", SAMPLES["verify_email"], "verify:1", account_id)
        await notifications.enqueue(tx, vault, [told])
    assert "asha" not in repr(told)
    assert LINK not in repr(told)
    found = await row(db)
    assert (found.account_id, found.template, found.state, found.attempts) == (account_id, "verify_email", "waiting", 0)
    async with db.statement() as tx:
        whole = await value(tx, "SELECT outbox::text || encode(payload, 'escape') FROM outbox")
    for secret in ("asha", "example.com", "token", "482133", "Asha"):
        assert secret not in whole


async def test_payloads_that_changed_places_are_not_sent_and_end(
    db: Database, vault: Vault, box: Mailbox, mailer: SmtpMailer
) -> None:
    await write(
        db, vault, notice(to="mallory@example.com"), notice(key="verify:2"), notice(key="verify:3", to="c@d.example")
    )
    async with db.statement() as tx:
        await run(
            tx,
            """
            UPDATE outbox AS one SET payload = other.payload FROM outbox AS other
            WHERE (one.dedupe_key, other.dedupe_key) IN (('verify:1', 'verify:2'), ('verify:2', 'verify:1'))
            """,
        )
    assert await jobs.deliver(db, vault, mailer) == 3
    assert (await box.next())["To"] == "c@d.example"
    assert (await row(db)).last_problem == "it cannot be read with ENCRYPTION_KEYS"
    await make_due(db, attempts=jobs.ATTEMPTS_MAX - 1)
    assert await jobs.deliver(db, vault, mailer) == 2
    assert [(await row(db, f"verify:{number}")).state for number in (1, 2, 3)] == ["failed", "failed", "sent"]
    assert len(box.messages) == 1


async def test_a_process_that_lacks_a_new_key_leaves_the_mail_to_one_that_has_it(
    db: Database, vault: Vault, box: Mailbox, mailer: SmtpMailer
) -> None:
    await write(db, vault, notice())
    assert await jobs.deliver(db, Vault([new_key()]), mailer) == 1
    await make_due(db)
    assert await jobs.deliver(db, vault, mailer) == 1
    await box.next(to="asha@example.com")


async def test_what_waits_can_be_sealed_with_a_new_key(db: Database, box: Mailbox, mailer: SmtpMailer) -> None:
    old, new = new_key(), new_key()
    await write(db, Vault([old]), *(notice(key=f"verify:{number}") for number in range(7)))
    await write(db, Vault([new]), notice(key="new:1"))
    sealed_before = (await row(db, "new:1")).payload
    async with db.statement() as tx:
        await run(
            tx, "UPDATE outbox SET state = 'sent', payload = NULL, ended_at = now() WHERE dedupe_key = 'verify:3'"
        )
    assert await notifications.reseal(db, Vault([new, old]), limit=2) == 6
    assert await notifications.reseal(db, Vault([new, old]), limit=2) == 0
    assert (await row(db, "new:1")).payload == sealed_before
    assert (await row(db, "verify:3")).payload is None
    assert await jobs.deliver(db, Vault([new]), mailer) == 7
    assert (len(box.messages), await count(db, "sent")) == (7, 8)


async def test_what_cannot_be_read_does_not_stop_the_others_from_being_sealed_anew(db: Database) -> None:
    old, new, lost = new_key(), new_key(), new_key()
    await write(db, Vault([lost]), notice(key="lost:1"))
    await write(db, Vault([old]), notice())
    with capture_logs() as logged:
        assert await notifications.reseal(db, Vault([new, old]), limit=1) == 1
    assert [entry["event"] for entry in logged] == ["letter_unreadable"]


async def test_what_ended_a_month_ago_is_forgotten(db: Database, vault: Vault) -> None:
    await write(db, vault, *(notice(key=f"verify:{number}") for number in range(5)))
    async with db.statement() as tx:
        await run(tx, "UPDATE outbox SET created_at = now() - interval '99 days'")
        await run(
            tx,
            "UPDATE outbox SET state = 'sent', payload = NULL, ended_at = now() - interval '31 days'"
            " WHERE dedupe_key <> 'verify:0'",
        )
        await run(tx, "UPDATE outbox SET ended_at = now() - interval '29 days' WHERE dedupe_key = 'verify:1'")
    assert await jobs.forget_ended(db, limit=2) == 2
    assert await jobs.forget_ended(db) == 1
    assert {(await row(db, f"verify:{number}")).state for number in (0, 1)} == {"waiting", "sent"}
