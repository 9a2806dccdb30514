"""`notify`: whether a message goes out, what did not, and sending it again."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal

from tests.cli.conftest import Install, Installation, asked
from tests.notifications.mailbox import Mailbox, mailbox
from tests.notifications.telegram import STAFF_CHAT, TOKEN, FakeTelegram, telegram


@pytest.fixture(scope="module")
def installation(install: Install) -> Installation:
    return install()


@pytest.fixture(scope="module")
def box(portal: BlockingPortal) -> Iterator[Mailbox]:
    with portal.wrap_async_context_manager(mailbox()) as box:
        yield box


@pytest.fixture
def fake(portal: BlockingPortal) -> Iterator[FakeTelegram]:
    with portal.wrap_async_context_manager(telegram()) as fake:
        yield fake


def to(fake: FakeTelegram) -> dict[str, str]:
    return {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_URL": fake.url, "TELEGRAM_CHAT_ID": str(STAFF_CHAT)}


@pytest.mark.parametrize("words", [("notify", "test", "--to"), ("mail", "test")])
def test_a_mail_is_sent_now(installation: Installation, box: Mailbox, words: tuple[str, ...]) -> None:
    settings = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(box.port), "SMTP_SECURITY": "none"}
    before = len(box.messages)
    assert "The mail server took it." in installation.shell.succeed(*words, "you@example.org", **settings)
    assert len(box.messages) == before + 1


def test_a_message_is_sent_now_and_a_chat_that_was_off_is_on_again(
    installation: Installation, fake: FakeTelegram, portal: BlockingPortal
) -> None:
    asked(
        portal, installation.app_url,
        "INSERT INTO staff_targets (channel, kinds, configured, chat_id, state, off_at)"
        " VALUES ('telegram', '{}', -1001234, -1001234, 'off', now())",
    )  # fmt: skip
    told = installation.shell.succeed("notify", "test", "--channel", "telegram", **to(fake))
    assert told == "Telegram took it by @numbers_bot.\nThe staff's chat was off, and is on again.\n"
    assert fake.texts(STAFF_CHAT)[0].startswith("<b>This is a test</b>\nWhen: ")
    assert asked(portal, installation.app_url, "SELECT state FROM staff_targets") == ["on"]
    installation.shell.succeed("notify", "test", "--channel", "telegram", "--to", "-77", **to(fake))
    assert fake.sent[-1]["chat_id"] == -77


def test_what_is_wrong_is_told_with_what_to_do_and_never_the_token(
    installation: Installation, fake: FakeTelegram
) -> None:
    def fails() -> str:
        ended = installation.shell.run("notify", "test", "--channel", "telegram", **to(fake))
        assert TOKEN not in ended.out + ended.err
        return ended.sentence

    fake.moved = {STAFF_CHAT: -100999}
    assert "set TELEGRAM_CHAT_ID to -100999" in fails()
    fake.moved, fake.gone = {}, {STAFF_CHAT: "Forbidden: bot was kicked"}
    assert "Add the bot to it" in fails()
    fake.token = "999:" + "x" * 35
    assert "take it from @BotFather again" in fails()
    fake.url = "http://127.0.0.1:1"
    assert "cannot be reached" in fails()


def test_what_failed_is_shown_sent_again_and_dropped(installation: Installation, portal: BlockingPortal) -> None:
    shell = installation.shell
    assert shell.succeed("notify", "list") == "There are no notices in the state failed.\n"
    asked(
        portal, installation.app_url,
        "INSERT INTO outbox (channel, template, dedupe_key, payload, state, ended_at, last_problem)"
        " VALUES ('email', 'recharge_credited', 'a', 'sealed', 'failed', now(), 'refused [550]'),"
        " ('email', 'verify_email', 'b', NULL, 'failed', now(), 'refused'),"
        " ('telegram', 'staff_system', 'c', 'sealed', 'failed', now(), 'off'),"
        " ('telegram', 'staff_system', 'd', 'sealed', 'failed', now(), 'off')",
    )  # fmt: skip
    shown = shell.succeed("notify", "list")
    assert "refused [550]" in shown
    assert "refused (forgotten)" in shown
    listed = asked(portal, installation.app_url, "SELECT id FROM outbox ORDER BY dedupe_key")
    ids = dict(zip("abcd", listed, strict=True))
    assert "will be sent again" in shell.succeed("notify", "retry", str(ids["a"]))
    assert "This notice is waiting" in shell.run("notify", "retry", str(ids["a"])).sentence
    assert "held a link or a code" in shell.run("notify", "retry", str(ids["b"])).sentence
    assert "is dropped" in shell.succeed("notify", "drop", str(ids["d"]))
    assert shell.succeed("notify", "retry", "--all", "--channel", "telegram") == "1 notice will be sent again.\n"
    assert shell.succeed("notify", "retry", "--all") == "No notice failed that can be sent.\n"
    states = asked(portal, installation.app_url, "SELECT state FROM outbox ORDER BY dedupe_key")
    assert states == ["waiting", "failed", "waiting", "dropped"]
    actions = asked(portal, installation.app_url, "SELECT action FROM audit_log ORDER BY id")
    assert actions == ["notice_retried", "notice_dropped", "notices_retried"]
