"""When something of ours breaks: a fixed sentence for callers, the cause in the log, recovery without a restart."""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal
from structlog.testing import capture_logs

from numberdesk.base.postgres import Cluster
from tests.http import stand as stands
from tests.http.stand import PRICE, TELEGRAM, Answer, Client, Stand

SENTENCE = "Something went wrong on our side. The request id helps us to find it."
INSIDE = re.compile(
    rb"Traceback|File \"|line \d|asyncpg|litestar|msgspec|SELECT|relation|column|wallets|\.py|/src/|site-packages"
)
READS = ("/user/balance", "/user/transactions", "/orders", "/orders/1", "/services", "/services/prices")


@pytest.fixture
def broken(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    """A site of this test alone, to be broken."""
    with stands.opened(portal, cluster) as stand:
        yield stand


@pytest.fixture(scope="module")
def remote(portal: BlockingPortal, cluster: Cluster, run_folder: Path) -> Iterator[Stand]:
    """A site whose database can be cut off."""
    folder = run_folder / f"proxy-{os.getpid()}"
    folder.mkdir()
    with stands.opened(portal, cluster, proxy_folder=folder) as stand:
        yield stand
        stand.mend_database()


def assert_crash(answer: Answer, logs: Sequence[Mapping[str, object]]) -> None:
    assert answer.refusal == (500, "internal_error")
    assert answer.json["error"] == SENTENCE
    assert answer.details.keys() == {"code", "category", "requestId"}
    assert not INSIDE.search(answer.body)
    noted = [entry for entry in logs if entry["event"] == "request_crashed"]
    assert answer.headers["x-request-id"] in [entry["request_id"] for entry in noted]
    assert "UndefinedTableError" in str(noted)


def test_a_crash_tells_callers_nothing_and_the_log_everything(broken: Stand) -> None:
    alice = broken.customer()
    broken.change("ALTER TABLE wallets RENAME TO gone", as_admin=True)
    for headers in ({}, {"Idempotency_Key": "once"}):
        with capture_logs() as logs:
            answer = alice.post("/auth/get-number", TELEGRAM, **headers)
        assert_crash(answer, logs)
    with capture_logs() as logs:
        answer = alice.get("/user/balance")
    assert_crash(answer, logs)
    broken.change("ALTER TABLE gone RENAME TO wallets", as_admin=True)
    assert alice.get("/user/balance").data["held"] == "0.00"


def test_after_a_crash_a_key_is_held_until_it_is_sure_that_nobody_works_on_it(broken: Stand) -> None:
    alice = broken.customer()
    broken.change("ALTER TABLE wallets RENAME TO gone", as_admin=True)
    assert alice.post("/auth/get-number", TELEGRAM, Idempotency_Key="once").status == 500
    broken.change("ALTER TABLE gone RENAME TO wallets", as_admin=True)
    answer = alice.post("/auth/get-number", TELEGRAM, Idempotency_Key="once")
    assert answer.refusal == (409, "idempotency_key_in_flight")
    broken.change("UPDATE idempotency_keys SET locked_until = clock_timestamp()")
    assert alice.post("/auth/get-number", TELEGRAM, Idempotency_Key="once").status == 200
    assert alice.get("/user/balance").data["held"] == PRICE


def test_a_lost_statement_is_a_crash_before_the_answer_begins(broken: Stand) -> None:
    alice = broken.customer()
    broken.change("ALTER TABLE entries RENAME TO gone", as_admin=True)
    with capture_logs() as logs:
        answer = alice.get("/user/transactions", Accept="text/csv")
    assert_crash(answer, logs)


def test_without_a_database_every_call_says_when_to_try_again(remote: Stand) -> None:
    alice = remote.customer()
    order_id = alice.buy()
    remote.cut_database()
    try:
        time.sleep(1.1)  # a key that was seen within the last second needs no database
        answers = [alice.get(path) for path in READS]
        answers += [alice.get("/user/transactions", Accept="text/csv"), remote.nobody.get("/readyz")]
        for path in ("check-otp", "cancel-number", "next-otp", "finish-number"):
            answers.append(alice.post(f"/auth/{path}", {"orderId": order_id}))
        answers.append(alice.post("/auth/get-number", TELEGRAM))
        answers.append(alice.post("/auth/get-number", TELEGRAM, Idempotency_Key="once"))
        for answer in answers:
            assert answer.status == 503, answer
            assert answer.details["code"] in ("unavailable", "not_ready")
            assert answer.details["category"] == "system"
            assert int(answer.headers["retry-after"]) > 0
            assert not INSIDE.search(answer.body)
        assert [remote.nobody.get(path).status for path in ("/healthz", "/docs", "/openapi.json")] == [200] * 3
    finally:
        remote.mend_database()
    assert _becomes_ready(remote)
    assert alice.post("/auth/check-otp", {"orderId": order_id}).data["status"] == "active"
    assert alice.post("/auth/get-number", TELEGRAM, Idempotency_Key="once").status == 200
    assert alice.get("/user/balance").data["held"] == "42.60"


def _becomes_ready(stand: Stand) -> bool:
    for _ in range(100):
        if stand.nobody.get("/readyz").status == 200:
            return True
        time.sleep(0.05)
    return False


def test_a_wait_for_a_code_outlives_a_short_outage(remote: Stand) -> None:
    alice = remote.customer()
    order_id = alice.buy()
    remote.cut_database()
    remote.mend_database()
    assert _becomes_ready(remote)
    remote.deliver(order_id, "12345")
    assert alice.post("/auth/check-otp", {"orderId": order_id, "wait": 15}).data["otp"] == "12345"


def test_a_process_is_ready_and_says_of_what_it_is_made(stand: Stand, alice: Client) -> None:
    ready = stand.nobody.get("/readyz").data
    assert (ready["status"], ready["database"], ready["migrations"], ready["worker"]) == ("ready", "ok", "ok", "ok")
    assert stand.nobody.get("/healthz").data == {"status": "alive"}
