"""Staff are told what is wrong with providers: by one mail that says it once, and by another when it is over."""

import re
from typing import Any

import pytest

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Role
from numberdesk.admin import jobs as admin_jobs
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, value
from numberdesk.notifications import jobs
from numberdesk.notifications.channels.email import SmtpMailer
from numberdesk.providers import service as providers
from numberdesk.providers.model import AlertKind, ProviderId
from tests.notifications import outbox
from tests.notifications.mailbox import Mailbox

pytestmark = pytest.mark.anyio

API_KEY = "key-of-a-provider-77123"


@pytest.fixture
async def provider_id(db: Database, vault: Vault) -> ProviderId:
    row = await providers.add(db, vault, name="alpha", kind="sms-activate", url="http://a.test", api_key=API_KEY)
    return row.id


async def hire(db: Database, *roles: Role) -> None:
    async with db.transaction() as tx:
        people = await accounts.create(
            tx, emails=[f"{role}@staff.example.com" for role in roles], names=[role.title() for role in roles]
        )
    for person, role in zip(people, roles, strict=True):
        await accounts.set_role(db, person, role)


async def begin(db: Database, provider_id: ProviderId, kind: AlertKind, detail: str = "Something is wrong.") -> None:
    async with db.transaction() as tx:
        await providers.open_alert(tx, provider_id=provider_id, kind=kind, detail=detail)


async def end(db: Database, provider_id: ProviderId, kind: AlertKind) -> None:
    async with db.transaction() as tx:
        await providers.close_alert(tx, provider_id=provider_id, kind=kind)


async def test_an_alert_is_told_once_and_once_more_when_it_is_over(
    db: Database, vault: Vault, mailer: SmtpMailer, box: Mailbox, provider_id: ProviderId
) -> None:
    await hire(db, "ops", "support", "customer")
    await begin(db, provider_id, "balance", "49.99 rupees are left, less than 50.00.")
    assert await admin_jobs.tell_staff(db, vault) == 1
    assert await jobs.deliver(db, vault, mailer) == 1
    told = await box.next(to="ops@staff.example.com", subject_part="1 provider alert")
    text = told.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "alpha, balance: 49.99 rupees are left, less than 50.00." in text
    assert API_KEY not in str(told)
    await begin(db, provider_id, "balance", "It gets worse.")
    assert await admin_jobs.tell_staff(db, vault) == 0
    await end(db, provider_id, "balance")
    assert await admin_jobs.tell_staff(db, vault) == 1
    assert await jobs.deliver(db, vault, mailer) == 1
    over = (await box.next(subject_part="over")).get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert re.search(r"This is over:\s+- alpha, balance: It gets worse", over)
    assert await admin_jobs.tell_staff(db, vault) == 0
    assert len(box.messages) == 2


async def test_many_alerts_go_in_one_mail_to_each_who_should_know(
    db: Database, vault: Vault, mailer: SmtpMailer, box: Mailbox, provider_id: ProviderId
) -> None:
    await hire(db, "ops", "owner", "finance", "support")
    frozen = await accounts.find_by_email(db, "finance@staff.example.com")
    assert frozen is not None
    await accounts.set_state(db, frozen, "frozen")
    kinds: tuple[AlertKind, ...] = ("balance", "breaker", "money_gap")
    for kind in kinds:
        await begin(db, provider_id, kind, f"About {kind} • and a trick")
    await end(db, provider_id, "breaker")
    assert await admin_jobs.tell_staff(db, vault) == 3
    assert await jobs.deliver(db, vault, mailer) == 2
    for role in ("ops", "owner"):
        mail = await box.next(to=f"{role}@staff.example.com", subject_part="3 provider alerts")
        text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        assert text.count("\n- alpha, ") == 3
        assert text.index("money gap") < text.index("This is over:") < text.index("breaker")
    assert len(box.messages) == 2


async def test_a_crash_before_the_end_tells_nothing_and_the_next_pass_tells_it_once(
    db: Database, vault: Vault, provider_id: ProviderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hire(db, "owner")
    await begin(db, provider_id, "breaker")

    async def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(providers, "set_told", die)
        with pytest.raises(KeyboardInterrupt):
            await admin_jobs.tell_staff(db, vault)
    assert await outbox.count(db) == 0
    assert await admin_jobs.tell_staff(db, vault) == 1
    assert await admin_jobs.tell_staff(db, vault) == 0
    assert await outbox.count(db) == 1


async def test_two_workers_do_not_tell_the_same_alert(db: Database, vault: Vault, provider_id: ProviderId) -> None:
    await hire(db, "owner")
    await begin(db, provider_id, "breaker")
    async with db.transaction() as tx:
        assert len(await providers.lease_news(tx, limit=10)) == 1
        assert await admin_jobs.tell_staff(db, vault) == 0
    assert await admin_jobs.tell_staff(db, vault) == 1


async def test_without_staff_it_stands_in_the_list_only(db: Database, vault: Vault, provider_id: ProviderId) -> None:
    await begin(db, provider_id, "breaker")
    assert await admin_jobs.tell_staff(db, vault) == 1
    assert await outbox.count(db) == 0
    async with db.statement() as tx:
        assert await value(tx, "SELECT told_at IS NOT NULL FROM provider_alerts")
