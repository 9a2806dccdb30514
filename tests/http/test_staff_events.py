"""What happens is told in the staff's chat: once, in words of use, and without what is nobody's business."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk import __version__
from numberdesk.admin import jobs as admin_jobs
from numberdesk.base import troubles
from numberdesk.base.db import Database
from numberdesk.base.postgres import Cluster
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import NewWindow
from numberdesk.notifications import jobs
from numberdesk.providers import service as providers
from tests.http import stand as stands
from tests.http.stand import PASSWORD, Stand
from tests.notifications.mailbox import mailbox
from tests.notifications.telegram import STAFF_CHAT, TOKEN, FakeTelegram, telegram


@dataclass(frozen=True)
class Scene:
    """A site whose staff have a chat."""

    stand: Stand
    chat: FakeTelegram

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
            yield Scene(stand, chat)


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

    async def tell() -> None:
        await admin_jobs.tell_ledger(site.db, site.vault, {"all sum to zero": "I1"})

    scene.stand.portal.call(tell)
    scene.says("<b>Checks of the ledger failed</b>", "all sum to zero: I1")


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
