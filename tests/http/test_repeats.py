"""Requests that are repeated with an Idempotency-Key: done once, answered the same, and never mixed up."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from numberdesk.providers.simulator.profiles import Profile
from tests.http.stand import PRICE, TELEGRAM, Client, Stand

BUY = "/auth/get-number"
CANCEL = "/auth/cancel-number"
REPEATABLE = (BUY, CANCEL, "/auth/next-otp", "/auth/finish-number", "/auth/extend-number")


@pytest.mark.parametrize("key", ["", "a" * 256, "ünïcödé", "tab\there", "a" * 5000])
def test_a_key_that_is_no_short_ascii_text_is_refused(alice: Client, key: str) -> None:
    answer = alice.post(BUY, TELEGRAM, Idempotency_Key=key)
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == ["Idempotency-Key"]
    assert alice.get("/orders").data["items"] == []


@pytest.mark.parametrize("key", ["1", "a" * 255, "~!@#$%^&*()", '"quoted"', "with space", "; DROP TABLE orders"])
def test_any_short_ascii_text_is_a_key(alice: Client, key: str) -> None:
    first = alice.post(BUY, TELEGRAM, Idempotency_Key=key)
    again = alice.post(BUY, TELEGRAM, Idempotency_Key=key)
    assert first.status == 200
    assert again.body == first.body
    assert len(alice.get("/orders").data["items"]) == 1


def test_a_key_with_another_body_or_call_is_refused(alice: Client) -> None:
    order_id = alice.post(BUY, TELEGRAM, Idempotency_Key="once").data["orderId"]
    for path, body in (
        (BUY, TELEGRAM | {"service": "wa"}),
        (BUY, TELEGRAM | {"quantity": 1}),
        (BUY, json.dumps(TELEGRAM, separators=(",", ":")).encode()),
        (CANCEL, {"orderId": order_id}),
        ("/auth/extend-number", {"orderId": order_id, "minutes": 1}),
    ):
        answer = alice.post(path, body, Idempotency_Key="once")
        assert answer.refusal == (409, "idempotency_key_reused")
        assert "idempotent-replayed" not in answer.headers
    assert len(alice.get("/orders").data["items"]) == 1
    assert alice.get("/user/balance").data["held"] == PRICE


def test_a_repeat_gives_the_first_answer_byte_for_byte(alice: Client) -> None:
    first = alice.post(BUY, TELEGRAM, Idempotency_Key="once", X_Request_Id="first-request")
    assert "idempotent-replayed" not in first.headers
    for _ in range(3):
        again = alice.post(BUY, TELEGRAM, Idempotency_Key="once", X_Request_Id="other-request")
        assert (again.status, again.body) == (200, first.body)
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["x-request-id"] == "other-request"
    assert alice.get("/user/balance").data == {"available": "978.70", "held": PRICE, "currency": "INR"}


def test_a_repeat_gives_the_first_answer_even_when_the_order_has_gone_on(stand: Stand, alice: Client) -> None:
    first = alice.post(BUY, TELEGRAM, Idempotency_Key="once")
    order_id = first.data["orderId"]
    stand.ripen(order_id)
    cancelled = alice.post(CANCEL, {"orderId": order_id}, Idempotency_Key="twice")
    assert cancelled.data["status"] == "cancelled"
    assert alice.post(BUY, TELEGRAM, Idempotency_Key="once").body == first.body
    assert alice.post(CANCEL, {"orderId": order_id}, Idempotency_Key="twice").body == cancelled.body
    assert alice.get("/user/balance").data["available"] == "1000.00"


def test_an_extension_is_paid_once(alice: Client) -> None:
    order_id = alice.buy()
    wish = {"orderId": order_id, "minutes": 5}
    bodies = {alice.post("/auth/extend-number", wish, Idempotency_Key="more").body for _ in range(3)}
    assert len(bodies) == 1
    assert alice.get("/user/balance").data["held"] == "22.30"


def test_the_same_key_of_two_customers_are_two_keys(alice: Client, bob: Client) -> None:
    first, second = (client.post(BUY, TELEGRAM, Idempotency_Key="once") for client in (alice, bob))
    assert first.data["orderId"] != second.data["orderId"]
    assert "idempotent-replayed" not in second.headers


@pytest.mark.parametrize("path", REPEATABLE)
def test_a_refusal_that_changed_nothing_frees_the_key(alice: Client, path: str) -> None:
    body: dict[str, object] = {"orderId": 987654321}
    if path == BUY:
        body = {**TELEGRAM, "service": "nope"}
    elif path == "/auth/extend-number":
        body["minutes"] = 1
    first, second = (alice.post(path, body, Idempotency_Key="once") for _ in range(2))
    assert first.status == second.status
    assert "idempotent-replayed" not in second.headers
    assert alice.post(BUY, TELEGRAM, Idempotency_Key="once").status == 200


def test_a_refusal_by_the_provider_is_kept(stand: Stand, alice: Client) -> None:
    stand.portal.call(stand.provider.set_profile, "no-stock")
    try:
        first = alice.post(BUY, TELEGRAM, Idempotency_Key="once")
    finally:
        stand.portal.call(stand.provider.set_profile, "never")
    assert first.refusal == (409, "no_numbers")
    again = alice.post(BUY, TELEGRAM, Idempotency_Key="once")
    assert (again.status, again.body) == (409, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert alice.post(BUY, TELEGRAM, Idempotency_Key="another").status == 200


def test_reading_keeps_no_keys(stand: Stand, alice: Client) -> None:
    order_id = alice.buy()
    body = {"orderId": order_id}
    assert alice.post("/auth/check-otp", body, Idempotency_Key="once").data["otp"] is None
    stand.deliver(order_id, "12345")
    assert alice.post("/auth/check-otp", body | {"wait": 10}).data["otp"] == "12345"
    assert alice.post("/auth/check-otp", body, Idempotency_Key="once").data["otp"] == "12345"


def test_a_repeat_while_the_first_is_under_way_is_told_to_wait(stand: Stand, alice: Client) -> None:
    slow = Profile("half-a-second", answer_delay=0.5, fault_on="purchases", code_after=None)
    stand.portal.call(stand.provider.set_profile, slow)
    try:
        gate = threading.Barrier(4)

        def buy() -> tuple[int, str]:
            gate.wait()
            answer = alice.post(BUY, TELEGRAM, Idempotency_Key="once")
            if answer.status == 409:
                assert answer.refusal == (409, "idempotency_key_in_flight")
                assert answer.headers["retry-after"] == "1"
            return answer.status, answer.headers.get("idempotent-replayed", "")

        with ThreadPoolExecutor(4) as threads:
            seen = sorted(future.result() for future in [threads.submit(buy) for _ in range(4)])
    finally:
        stand.portal.call(stand.provider.set_profile, "never")
    assert seen == [(200, ""), (409, ""), (409, ""), (409, "")]
    again = alice.post(BUY, TELEGRAM, Idempotency_Key="once")
    assert again.headers["idempotent-replayed"] == "true"
    assert alice.get("/user/balance").data["held"] == PRICE
