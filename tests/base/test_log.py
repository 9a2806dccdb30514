"""What a log line is about, and what never stands in one."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr

import pytest
import structlog

from numberdesk.base import log
from numberdesk.base.batch import Batch
from numberdesk.base.db import Database, Tx
from numberdesk.base.metrics import LOG_DROPPED

pytestmark = pytest.mark.anyio


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Lines as a server writes them, without changing the logging of the other tests."""
    told, into = structlog.get_config(), io.StringIO()
    root = logging.getLogger()
    handlers = root.handlers[:]
    root.handlers.clear()
    with redirect_stderr(into):
        log.configure(level="debug", form="json", access="all")
        structlog.configure(cache_logger_on_first_use=False)
        try:
            yield into
        finally:
            log.ACCESS.taken()
            log.ACCESS.lines, log.ACCESS.as_text = "off", False
            root.handlers[:] = handlers
            logging.getLogger("asyncpg").setLevel(logging.NOTSET)
            structlog.configure(**told)


def lines(written: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET https://api.example/x?api_key=K3y&service=tg", "GET https://api.example/x?api_key=[hidden]&service=tg"),
        ("POST https://api.example/bot123456:AAH-x_yz/sendMessage", "POST https://api.example/bot[hidden]/sendMessage"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [hidden]"),
        ("authorization: basic dXNlcjpwYXNz", "authorization: basic [hidden]"),
        ("the key nd_live_abcdefgh_rest was used", "the key [hidden] was used"),
        ("postgresql://app:pass@host:5432/db", "postgresql://app:[hidden]@host:5432/db"),
        ("from asha.rao+x@mail.example.com today", "from a***@mail.example.com today"),
        ("sent to +919876543210.", "sent to +***10."),
        ("sent to 919876543210 today", "sent to ***10 today"),
        ("/webhooks/provider/alpha/S3cret-token", "/webhooks/provider/alpha/[hidden]"),
        ("numberdesk@0.5.0", "numberdesk@0.5.0"),
        ("took 1234567 ms at 12:00:00, order 42", "took 1234567 ms at 12:00:00, order 42"),
    ],
)
def test_secrets_and_people_in_texts_are_masked(text: str, shown: str) -> None:
    assert log.clean(text) == shown


def test_fields_are_blanked_by_their_names_however_deep(written: io.StringIO) -> None:
    structlog.get_logger().info(
        "told", api_key="a", phone="919876543210", number="447700900123", upstream_id="919876543210",
        deep={"password": "b", "mails": ["x@example.com", b"y@example.com"]}, order_id=919876543210,
    )  # fmt: skip
    (line,) = lines(written)
    del line["timestamp"]
    assert line == {
        "event": "told", "level": "info", "api_key": "[hidden]", "phone": "***10", "number": "***23",
        "upstream_id": "919876543210",
        "deep": {"password": "[hidden]", "mails": ["x***@example.com", "y***@example.com"]},
        "order_id": 919876543210,
    }  # fmt: skip


def test_libraries_and_exceptions_are_told_in_our_form_and_masked(written: io.StringIO) -> None:
    try:
        raise ValueError("no way to asha@example.com with token=abc")
    except ValueError:
        logging.getLogger("some.library").exception("failed for %s", "bob@example.com")
    (line,) = lines(written)
    assert line["logger"] == "some.library"
    assert line["event"] == "failed for b***@example.com"
    assert "a***@example.com with token=[hidden]" in str(line["exception"])


async def test_a_line_says_what_it_is_about_also_in_tasks_and_never_what_others_are_about(
    written: io.StringIO,
) -> None:
    logger = structlog.get_logger()

    async def request(number: int) -> None:
        token = log.begin({"request_id": f"r{number}"})
        try:
            await asyncio.sleep(0)
            log.note(account_id=number)
            with log.about(order_id=number * 10):
                await asyncio.create_task(later(number))
            logger.info("ended", n=number)
        finally:
            log.end(token)

    async def later(number: int) -> None:
        await asyncio.sleep(0)
        logger.info("inside", n=number)

    await asyncio.gather(*map(request, range(1, 20)))
    logger.info("outside")
    told = lines(written)
    for line in told[:-1]:
        number = line["n"]
        assert isinstance(number, int)
        assert (line["request_id"], line["account_id"]) == (f"r{number}", number)
        assert line.get("order_id") == (number * 10 if line["event"] == "inside" else None)
    assert told[-1].keys() == {"event", "level", "timestamp"}


async def test_access_lines_wait_for_their_writer_and_too_many_are_dropped(
    written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "WAITING_MAX", 3)
    before = LOG_DROPPED._value.get()
    for number in range(5):
        log.ACCESS.note({"request_id": f"r{number}"}, "GET", "/orders", 200, 0.0123)
    assert written.getvalue() == ""
    assert LOG_DROPPED._value.get() == before + 2
    with redirect_stderr(written):
        await log.ACCESS.write()
    assert [(line["request_id"], line["ms"]) for line in lines(written)] == [("r0", 12.3), ("r1", 12.3), ("r2", 12.3)]
    log.ACCESS.lines = "errors"
    for status in (200, 404, 500, 503):
        log.ACCESS.note({}, "GET", "/orders", status, 0.0)
    log.ACCESS.lines = "all"
    for status in (200, 503):
        log.ACCESS.note({}, "GET", "/readyz", status, 0.0)
    with redirect_stderr(written):
        log.ACCESS.write_rest()
    assert [line["status"] for line in lines(written)[3:]] == [500, 503, 503]


async def test_work_that_travels_in_lists_is_about_nobodys_request(written: io.StringIO, db: Database) -> None:
    async def work(_tx: Tx, items: Sequence[int]) -> list[int]:
        structlog.get_logger().info("worked", count=len(items))
        return list(items)

    batch = Batch(db, work)
    token = log.begin({"request_id": "the-first-of-them"})
    try:
        assert await asyncio.gather(*(batch.call(number) for number in range(5))) == list(range(5))
    finally:
        log.end(token)
    told = [line for line in lines(written) if line["event"] == "worked"]
    assert told
    assert not [line for line in told if "request_id" in line]
