"""Errors that nobody foresaw are counted by what and where, without their words; and the log blanks a bot's token."""

import threading
from collections.abc import Iterator

import pytest
import structlog

from numberdesk.base import passes, troubles
from numberdesk.base.log import count_troubles, redact
from numberdesk.base.troubles import KINDS_MAX


@pytest.fixture(autouse=True)
def none_before() -> Iterator[None]:
    troubles.take()
    yield
    troubles.take()


def logged(method: str, **event: object) -> None:
    """Send an event through the processors that count it."""
    found = structlog.processors.add_log_level(None, method, dict(event))
    count_troubles(None, method, found)


def test_what_is_logged_with_its_exception_is_counted_with_its_place_and_not_its_words() -> None:
    for _ in range(3):
        try:
            passes._name.missing  # type: ignore[attr-defined]  # noqa: B018
        except AttributeError:
            logged("exception", event="pass_failed", exc_info=True)
    logged("error", event="purchase_failed", exc_info=ValueError("card 4111111111111111"))
    logged("warning", event="pass_waits_for_database")
    logged("error", event="mail_given_up", problem="refused")
    first, second = troubles.take()
    assert (first.happened, first.count) == ("pass_failed AttributeError", 3)
    assert "test_troubles.py" in first.place
    assert (second.happened, second.place, second.count) == ("purchase_failed ValueError", "", 1)
    assert "4111" not in repr([first, second])
    assert troubles.take() == []


def test_kinds_are_bounded_and_what_was_put_back_is_added() -> None:
    for number in range(KINDS_MAX + 50):
        troubles.note(f"event_{number}", None)
    taken = troubles.take()
    assert len(taken) == KINDS_MAX
    troubles.note("event_0", None)
    troubles.put_back(taken[:1])
    assert [item.count for item in troubles.take()] == [2]


def test_threads_may_note_at_once() -> None:
    def work() -> None:
        for _ in range(500):
            troubles.note("same", None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [item.count for item in troubles.take()] == [2000]


def test_a_bots_token_in_a_line_is_blanked() -> None:
    line = {"problem": "POST https://api.telegram.org/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0/getMe failed"}
    assert redact(None, "error", line)["problem"] == "POST https://api.telegram.org/bot[hidden]/getMe failed"
