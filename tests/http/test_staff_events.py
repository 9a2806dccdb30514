"""What happens is told in the staff's chat: once, in words of use, and without what is nobody's business."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk import __version__
from numberdesk.admin import jobs as admin_jobs
from numberdesk.base import troubles
from numberdesk.base.db import Database
from numberdesk.base.postgres import Cluster
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import NewWindow
from numberdesk.monitoring import service as monitoring
from numberdesk.monitoring.model import Check
from numberdesk.notifications import jobs
from numberdesk.providers import service as providers
from tests.http import stand as stands
from tests.http.staff import Member
from tests.http.stand import PASSWORD, Stand
from tests.notifications.mailbox import Mailbox, mailbox
from tests.notifications.telegram import STAFF_CHAT, TOKEN, FakeTelegram, telegram


@dataclass(frozen=True)
class Scene:
    """A site whose staff have a chat."""

    stand: Stand
    chat: FakeTelegram
    box: Mailbox

    def says(self, *parts: str, patience: float = 20.0) -> str:
        """Wait for a message that has all parts."""
        end = time.monotonic() + patience
        while True:
            for text in self.chat.texts(STAFF_CHAT):
                if all(part in text for part in parts):
                    return text
            assert time.monotonic() < end, self.chat.texts()
            time.sleep(0.05)
            # The group's pace is minutes; what waits for it is due at once here.
            self.stand.change("UPDATE outbox SET due_at = clock_timestamp() WHERE state = 'waiting'")

    def mail_to(self, member: Member, subject: str) -> str:
        """Wait for a mail, and return its text."""
        mail = self.stand.portal.call(partial(self.box.next, to=member.email, subject_part=subject, patience=20.0))
        body = mail.get_body(("plain",))
        assert body is not None
        return str(body.get_content())

    def has_no_mail(self, member: Member, subject: str) -> None:
        """Make sure of it once others have had theirs."""
        assert not [m for m in self.box.messages if member.email in str(m["To"]) and subject in str(m["Subject"])]

    def count(self, part: str) -> int:
        return sum(part in text for text in self.chat.texts(STAFF_CHAT))


@pytest.fixture(scope="module")
def scene(portal: BlockingPortal, cluster: Cluster) -> Iterator[Scene]:
    with (
        portal.wrap_async_context_manager(telegram()) as chat,
        portal.wrap_async_context_manager(mailbox()) as box,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("numberdesk.notifications.channels.pace.GROUP_PER_SECOND", 100.0)
        patch.setattr("numberdesk.notifications.channels.pace.CHAT_PER_SECOND", 100.0)
        with stands.opened(
            portal, cluster, smtp_host="127.0.0.1", smtp_port=box.port, smtp_security="none",
            telegram_bot_token=TOKEN, telegram_chat_id=STAFF_CHAT, telegram_url=chat.url,
        ) as stand:  # fmt: skip
            yield Scene(stand, chat, box)


def test_a_new_version_is_told_at_its_first_start(scene: Scene) -> None:
    assert scene.says("version that is new here") == (
        f"<b>Numberdesk runs in a version that is new here</b>\nVersion: {__version__}\nInstallation: production"
    )


def test_a_registration_is_told_once_with_a_masked_address(scene: Scene) -> None:
    person = {"email": "kingfisher@example.com", "password": PASSWORD, "name": "<b>King", "acceptTerms": True}
    for _ in range(2):
        assert scene.stand.nobody.post("/auth/register", person).status == 200
    text = scene.says("New registration", "k…@example.com")
    assert "kingfisher" not in text
    assert "King" not in text
    assert scene.count("k…@example.com") == 1


def test_a_provider_alert_is_told_when_it_begins_and_when_it_is_over(scene: Scene) -> None:
    site = scene.stand.site
    (provider_id,) = (line.provider.id for line in site.lines.by_id.values() if line.provider.name == "alpha")

    async def begin() -> None:
        async with site.db.transaction() as tx:
            await providers.open_alert(tx, provider_id=provider_id, kind="balance", detail="49.99 < 50 rupees")

    async def end() -> None:
        async with site.db.transaction() as tx:
            await providers.close_alert(tx, provider_id=provider_id, kind="balance")

    scene.stand.portal.call(begin)
    assert "Detail: 49.99 &lt; 50 rupees" in scene.says("<b>Provider alert</b>", "Provider: alpha", "Alert: balance")
    scene.stand.portal.call(end)
    scene.says("<b>Provider alert is over</b>", "Alert: balance")


def test_maintenance_is_told_when_it_begins_and_when_it_is_over(scene: Scene) -> None:
    site = scene.stand.site

    async def close_and_open() -> None:
        async with site.db.transaction() as tx:
            window = await maintenance.open_window(tx, NewWindow("support", "Tea & biscuits."))
        await admin_jobs.tell_maintenance(site.db, site.vault)
        async with site.db.transaction() as tx:
            await maintenance.end_window(tx, window.id, version=window.version)

    scene.stand.portal.call(close_and_open)
    scene.says("<b>Maintenance has begun</b>", "support: Tea &amp; biscuits.")
    scene.says("<b>Maintenance is over</b>", "support: Tea &amp; biscuits.")


def test_checks_of_the_ledger_that_failed_are_told(scene: Scene) -> None:
    site = scene.stand.site
    owner = Member(scene.stand, "owner")

    async def tell() -> None:
        async with site.db.transaction() as tx:
            await monitoring.tell_wrong(tx, site.vault, [Check("I1", "all sum to zero", False, 9, ["posting 4"], 1)])

    scene.stand.portal.call(tell)
    text = scene.says("<b>Checks of the ledger failed</b>", "all sum to zero: I1, wrong: 1", "numberdesk ledger verify")
    assert "posting" not in text
    assert "all sum to zero: I1" in scene.mail_to(owner, "Checks of the ledger failed")


def test_a_ticket_is_told_when_it_is_opened_and_without_its_words(scene: Scene) -> None:
    alice = scene.stand.customer()
    made = alice.post("/support/tickets", {"subject": "My secret subject", "text": "Words of mine."}).data["ticket"][
        "id"
    ]
    text = scene.says(
        "Ticket: a new ticket", f"Ticket: {made}", f"/admin/tickets/{made}", f"Account: {alice.account_id}"
    )
    assert "secret" not in text
    assert "Words" not in text
    alice.post(f"/support/tickets/{made}/messages", {"text": "And more."})
    assert scene.count(f"/admin/tickets/{made}") == 1, "until somebody has read it"


def test_money_that_waits_is_told_to_those_who_can_agree_and_not_to_who_asked(scene: Scene) -> None:
    asha, bela = (Member(scene.stand, "finance", name=name) for name in ("asha", "bela"))
    owner, ops = Member(scene.stand, "owner", name="olga"), Member(scene.stand, "ops", name="otto")
    alice = scene.stand.customer()
    body = {"amount": "6000", "reason": "a secret reason", "totp": asha.fresh()}
    asked = asha.client.post(f"/admin/users/{alice.account_id}/credit", body).data
    assert asked["state"] == "waiting"
    facts = f"Request: {asked['requestId']}\nWhat: credit\nAmount: 6000.00 rupees\nAccount: {alice.account_id}"
    text = scene.says("<b>Money waits for a second person</b>", facts, f"Asked by: staff {asha.account_id}")
    assert "secret" not in text
    for person in (bela, owner):
        mail = scene.mail_to(person, "Money waits for a second person")
        assert "See /admin/requests." in mail
        assert "after 24 hours" in mail
    scene.has_no_mail(asha, "Money waits")
    scene.has_no_mail(ops, "Money waits")
    small = {"amount": "10", "reason": "a small one", "totp": bela.fresh()}
    scene.stand.portal.call(bela.forget_code)
    assert bela.client.post(f"/admin/users/{alice.account_id}/credit", small).data["state"] == "done"
    assert scene.stand.ask("SELECT count(*) FROM outbox WHERE dedupe_key LIKE '%:money:%'") >= 3
    assert scene.count("Money waits for a second person") == 1


def test_a_lawful_request_is_told_without_whom_it_is_about(scene: Scene) -> None:
    ops, owner = Member(scene.stand, "ops", name="otto"), Member(scene.stand, "owner", name="olga")
    body = {
        "caseNumber": "FIR 12/2026", "authority": "Cyber cell", "number": "919876500001", "reason": "a fraud",
        "startsAt": "2026-01-10T10:00:00Z", "endsAt": "2026-01-10T11:00:00Z",
    }  # fmt: skip
    asked = ops.client.post("/admin/lawful-requests", body).data["id"]
    text = scene.says("<b>A lawful request waits for a second person</b>", f"Request: {asked}\nAsked by: staff")
    mail = scene.mail_to(owner, "A lawful request waits")
    for secret in ("FIR", "Cyber", "9876500001", "fraud"):
        assert secret not in text + mail
    scene.has_no_mail(ops, "A lawful request waits")


def test_withheld_messages_are_told_each_in_the_chat_and_by_mail_once_an_hour(scene: Scene) -> None:
    stand, ops = scene.stand, Member(scene.stand, "ops", name="otto")
    alice = stand.customer()
    orders = [alice.buy() for _ in range(2)]
    for number, order_id in enumerate(orders):
        upstream_id = int(stand.ask("SELECT upstream_id FROM orders WHERE id = $1", order_id))
        text = f"73519{number} is OTP for txn of INR 499.00 on HDFC Bank card ending 4431. Do not share."
        stand.portal.call(partial(stand.provider.deliver, upstream_id, text, code=text[:6]))
    for order_id in orders:
        said = scene.says(
            "<b>A message was withheld</b>", f"Order: {order_id}\nAccount: {alice.account_id}\nLooks like one of: bank",
            "/admin/quarantine",
        )  # fmt: skip
        assert "73519" not in said
    mail = scene.mail_to(ops, "A message was withheld")
    assert "73519" not in mail
    assert "No more mails" in mail
    count = stand.ask("SELECT count(*) FROM outbox WHERE dedupe_key LIKE 'staff_news:withheld:%' AND account_id = $1",
                      ops.account_id)  # fmt: skip
    assert count in (1, 2), "the hour may have changed between the two"
    assert stand.ask("SELECT count(*) FROM withheld_messages WHERE told_at IS NULL") == 0


def test_an_error_is_told_at_once_and_its_repeats_ten_minutes_later_with_their_number(scene: Scene) -> None:
    site = scene.stand.site

    def fail(times: int) -> None:
        for _ in range(times):
            try:
                raise LookupError("with the words of a customer")
            except LookupError as problem:
                troubles.note("pass_failed", problem)

    fail(1)
    first = scene.says("Unexpected error", "pass_failed LookupError")
    assert "words of a customer" not in first
    assert "Times: 1\nIn all: 1" in first
    fail(7)
    scene.stand.portal.call(jobs.tell_errors, site.db, site.vault)
    fail(5)
    scene.stand.portal.call(jobs.tell_errors, site.db, site.vault)
    assert scene.stand.ask("SELECT count - told_count FROM error_alerts WHERE happened LIKE 'pass_failed%'") == 12
    scene.stand.change("UPDATE error_alerts SET told_at = told_at - interval '11 minutes'")
    scene.says("Unexpected error", "Times: 12\nIn all: 13")
    assert scene.count("pass_failed LookupError") == 2


@pytest.mark.anyio
async def test_errors_that_cannot_be_told_now_are_told_later(db: Database) -> None:
    troubles.take()
    troubles.note("pass_failed", LookupError())
    await db.close()
    with pytest.raises(Exception, match=r".*"):
        await jobs.tell_errors(db, None)  # type: ignore[arg-type]
    assert [item.happened for item in troubles.take()] == ["pass_failed LookupError"]
