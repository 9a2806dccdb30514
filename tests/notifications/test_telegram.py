"""Events by Telegram: they arrive, whatever Telegram does, and what it asks for is done."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from numberdesk.accounts import service as accounts
from numberdesk.admin import jobs as admin_jobs
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, run, value
from numberdesk.notifications import jobs
from numberdesk.notifications import service as notifications
from numberdesk.notifications.channels.email import SmtpMailer
from numberdesk.notifications.channels.pace import Pace
from numberdesk.notifications.model import BadTelegram
from numberdesk.notifications.service import Bell
from tests.notifications.bells import bell_to, event, ring, tell
from tests.notifications.mailbox import Mailbox
from tests.notifications.outbox import count, make_due, row
from tests.notifications.telegram import STAFF_CHAT, TOKEN, FakeTelegram, telegram, too_many

pytestmark = pytest.mark.anyio

KEY = "telegram:test:1"


@pytest.fixture
async def fake() -> AsyncIterator[FakeTelegram]:
    async with telegram() as fake:
        yield fake


@pytest.fixture
async def bell(db: Database, fake: FakeTelegram) -> AsyncIterator[Bell]:
    async with bell_to(fake) as bell:
        await notifications.settle_targets(db, bell)
        yield bell


async def test_an_event_arrives_once_and_is_forgotten(
    db: Database, vault: Vault, fake: FakeTelegram, bell: Bell
) -> None:
    await tell(db, vault, event(Provider="alpha", Detail="49 rupees are left"), event())
    await ring(db, vault, bell, turns=3)
    (message,) = fake.sent
    assert message == {
        "chat_id": STAFF_CHAT, "text": "<b>It happened</b>\nProvider: alpha\nDetail: 49 rupees are left",
        "disable_notification": False, "link_preview_options": {"is_disabled": True}, "parse_mode": "HTML",
    }  # fmt: skip
    sent = await row(db, KEY)
    assert (sent.state, sent.payload) == ("sent", None)


async def test_a_topic_of_the_chat_is_written_to(db: Database, vault: Vault, fake: FakeTelegram) -> None:
    async with bell_to(fake, thread_id=42) as bell:
        await notifications.settle_targets(db, bell)
        await tell(db, vault, event())
        await ring(db, vault, bell)
    assert fake.sent[0]["message_thread_id"] == 42


async def test_nothing_is_written_down_for_a_chat_that_is_none_or_does_not_want_it(
    db: Database, vault: Vault, fake: FakeTelegram
) -> None:
    await tell(db, vault, event())
    async with bell_to(fake, kinds=("recharge",)) as bell:
        await notifications.settle_targets(db, bell)
        await tell(db, vault, event(2), event(3, kind="recharge"))
        await ring(db, vault, bell, turns=2)
    assert await count(db) == 1
    async with bell_to(fake, chat_id=None) as bell:
        await notifications.settle_targets(db, bell)
        await tell(db, vault, event(4, kind="recharge"))
    assert await count(db) == 1
    assert len(fake.sent) == 1


async def test_what_people_chose_is_never_markup(db: Database, vault: Vault, fake: FakeTelegram, bell: Bell) -> None:
    evil = "<b>x</b> & <a href='tg://user?id=1'>\n\u202eyou</a>" + "<" * 400
    await tell(db, vault, event(title="A <title> & more", Name=evil))
    await ring(db, vault, bell)
    (text,) = fake.texts()
    assert text.startswith("<b>A &lt;title&gt; &amp; more</b>\nName: &lt;b&gt;x&lt;/b&gt; &amp; &lt;a href=")
    assert text.count("<") == 2
    assert text.endswith("&lt;…")
    assert "\u202e" not in text


async def test_a_text_that_is_not_understood_goes_again_as_it_is(
    db: Database, vault: Vault, fake: FakeTelegram, bell: Bell
) -> None:
    fake.refuses_html = True
    await tell(db, vault, event(Name="a < b & c"))
    await ring(db, vault, bell, turns=2)
    (message,) = fake.sent
    assert (message["text"], "parse_mode" in message, fake.tries) == ("It happened\nName: a < b & c", False, 2)


async def test_a_request_to_wait_is_kept_and_costs_no_attempt(
    db: Database, vault: Vault, fake: FakeTelegram, bell: Bell
) -> None:
    fake.answers = [too_many(35)]
    await tell(db, vault, event())
    await ring(db, vault, bell)
    waiting = await row(db, KEY)
    assert (waiting.state, waiting.attempts) == ("waiting", 0)
    assert 34 < waiting.due_in.total_seconds() <= 36
    # Even when the row is due, the chat is left alone; and a second chat that is refused pauses all.
    await ring(db, vault, bell)
    assert fake.tries == 1
    assert bell.pace.wait(1) == 0
    bell.pace.pause(2, 35)
    assert bell.pace.wait(3) > 30
    bell.pace.paused.clear()
    bell.pace.all_paused = 0
    await ring(db, vault, bell)
    assert fake.texts() == ["<b>It happened</b>\nNumber: 1"]


async def test_a_group_that_became_a_supergroup_is_followed_for_good(
    db: Database, vault: Vault, fake: FakeTelegram, bell: Bell
) -> None:
    fake.moved = {STAFF_CHAT: -100999}
    await tell(db, vault, event())
    await ring(db, vault, bell, turns=2)
    assert [message["chat_id"] for message in fake.sent] == [-100999]
    await notifications.settle_targets(db, bell)  # the next start, with the old setting
    await tell(db, vault, event(2))
    await ring(db, vault, bell)
    assert (fake.tries, fake.sent[1]["chat_id"]) == (3, -100999)
    async with bell_to(fake, chat_id=-55) as other:
        await notifications.settle_targets(db, other)
    async with db.statement() as tx:
        assert await value(tx, "SELECT chat_id FROM staff_targets") == -55


@pytest.mark.parametrize("word", ["Forbidden: bot was kicked from the supergroup chat", "Bad Request: chat not found"])
async def test_a_chat_that_is_closed_is_left_alone_and_staff_are_told_by_mail_once(
    db: Database, vault: Vault, fake: FakeTelegram, bell: Bell, mailer: SmtpMailer, box: Mailbox, word: str
) -> None:
    await owner(db)
    fake.gone = {STAFF_CHAT: word}
    await tell(db, vault, event(), event(2))
    await ring(db, vault, bell, turns=3)
    assert fake.tries == 1
    assert [(await row(db, f"telegram:test:{number}")).state for number in (1, 2)] == ["failed", "failed"]
    await tell(db, vault, event(3))
    assert await count(db, "waiting") == 0
    assert await admin_jobs.tell_trouble(db, vault) == 1
    assert await admin_jobs.tell_trouble(db, vault) == 0
    await jobs.deliver(db, vault, mailer)
    mail = await box.next(to="owner@staff.example.com", subject_part="Messages by Telegram do not arrive")
    assert TOKEN not in str(mail)
    # Mended: the next start switches it on, and staff have what failed sent again.
    fake.gone = {}
    await notifications.settle_targets(db, bell)
    async with db.transaction() as tx:
        await notifications.retry(tx, (await row(db, KEY)).id)
    await ring(db, vault, bell)
    assert fake.texts() == ["<b>It happened</b>\nNumber: 1"]


async def test_a_wrong_token_stops_the_channel_and_loses_nothing(
    db: Database, vault: Vault, fake: FakeTelegram, mailer: SmtpMailer, box: Mailbox
) -> None:
    await owner(db)
    wrong = TOKEN[:-4] + "wron"
    async with bell_to(fake, token=wrong) as bell:
        await notifications.settle_targets(db, bell)
        await tell(db, vault, event(), event(2))
        with capture_logs() as logged:
            await ring(db, vault, bell, turns=5)
        assert [entry["event"] for entry in logged] == ["telegram_stopped"]
        assert wrong not in str(logged)
        assert "TELEGRAM_BOT_TOKEN" in logged[0]["problem"]
    async with bell_to(fake, token=wrong) as again:  # another start with the same token says so, and mails no more
        await ring(db, vault, again, turns=2)
    assert await count(db, "waiting") == 2
    assert await admin_jobs.tell_trouble(db, vault) == 1
    assert await admin_jobs.tell_trouble(db, vault) == 0
    await jobs.deliver(db, vault, mailer)
    mail = await box.next(to="owner@staff.example.com")
    assert "does not know the bot's token" in " ".join(str(mail.get_body(("plain",))).split())
    async with bell_to(fake) as right:
        await give_way(db)
        await ring(db, vault, right, turns=4)
        assert fake.texts() == ["<b>It happened</b>\nNumber: 1", "<b>It happened</b>\nNumber: 2"]
    async with db.statement() as tx:
        assert await value(tx, "SELECT stopped_at FROM telegram_channel") is None


async def test_what_was_taken_without_an_answer_comes_again_and_says_so(
    db: Database, vault: Vault, fake: FakeTelegram, bell: Bell
) -> None:
    fake.drops = 1
    await tell(db, vault, event())
    await ring(db, vault, bell)
    assert (await row(db, KEY)).state == "waiting"
    await ring(db, vault, bell, turns=2)
    first, second = fake.texts()
    assert second == f"{first}\n<i>{notifications.REPEATED}</i>"


async def test_what_surely_never_left_comes_later_and_is_no_repeat(db: Database, vault: Vault) -> None:
    async with telegram() as fake:
        url = fake.url
    async with bell_to(FakeTelegram(url=url)) as bell:
        await notifications.settle_targets(db, bell)
        await tell(db, vault, event())
        await ring(db, vault, bell)
    waiting = await row(db, KEY)
    assert (waiting.state, waiting.attempts) == ("waiting", 1)
    assert waiting.last_problem is not None
    assert "cannot be reached" in waiting.last_problem
    async with telegram() as fake, bell_to(fake) as bell:
        await give_way(db)
        await ring(db, vault, bell)
        assert fake.texts() == ["<b>It happened</b>\nNumber: 1"]


async def test_a_server_that_hangs_holds_up_one_message(db: Database, vault: Vault, fake: FakeTelegram) -> None:
    async with bell_to(fake, timeout=0.3) as bell:
        await notifications.settle_targets(db, bell)
        fake.hangs = True
        await tell(db, vault, event())
        await ring(db, vault, bell)
        assert (await row(db, KEY)).last_problem == "no answer of Telegram (no answer before the deadline)"
        fake.hangs = False
        await ring(db, vault, bell)
    assert fake.texts() == [f"<b>It happened</b>\nNumber: 1\n<i>{notifications.REPEATED}</i>"]


async def test_many_events_at_once_are_one_message(db: Database, vault: Vault, fake: FakeTelegram, bell: Bell) -> None:
    await tell(db, vault, *(event(number, title="Recharge credited") for number in range(40)))
    await tell(db, vault, event(99, title="Provider alert", Provider="alpha"))
    await ring(db, vault, bell, turns=3)
    (message,) = fake.sent
    assert message["text"] == (
        "<b>41 events at once</b>\nRecharge credited: 40\n• 0\n• 1\n• 10\n• 37 more like this\n"
        "Provider alert: 1\n• alpha"
    )
    assert message["disable_notification"] is True
    assert await count(db, "sent") == 41


def test_a_group_gets_no_more_than_twenty_in_any_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("numberdesk.base.clock.seconds", lambda: now)
    sent: list[float] = []
    pace = Pace()
    for _ in range(3000):
        if pace.wait(-5) == 0:
            sent.append(now)
        now += 0.1
    assert max(sum(start <= at < start + 60 for at in sent) for start in sent) <= 20
    assert len(sent) >= 90


async def test_two_workers_do_not_speak_at_once(db: Database, vault: Vault, fake: FakeTelegram, bell: Bell) -> None:
    async with bell_to(fake) as other:
        await tell(db, vault, event())
        async with db.statement() as tx:
            await run(tx, "INSERT INTO telegram_channel (owner, leased_until) VALUES ('x', now() + '1 min'::interval)")
        await ring(db, vault, bell)
        assert fake.tries == 0
        await give_way(db)
        await asyncio.gather(ring(db, vault, bell), ring(db, vault, other))
        assert len(fake.sent) == 1


@pytest.mark.parametrize("token", ["", "110201543", "110201543:short", "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDs/w0"])
async def test_a_token_that_is_none_is_refused_at_the_start_without_being_shown(fake: FakeTelegram, token: str) -> None:
    with pytest.raises(BadTelegram, match="TELEGRAM_BOT_TOKEN") as caught:
        async with bell_to(fake, token=token):
            pass
    assert not token or token not in str(caught.value)


async def owner(db: Database) -> None:
    async with db.transaction() as tx:
        (person,) = await accounts.create(tx, emails=["owner@staff.example.com"], names=["Owner"])
    await accounts.set_role(db, person, "owner")


async def give_way(db: Database) -> None:
    """Have the process that had the word be gone."""
    await make_due(db)
    async with db.statement() as tx:
        await value(tx, "UPDATE telegram_channel SET owner = NULL RETURNING true")
