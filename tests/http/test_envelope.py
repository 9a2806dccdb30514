"""What every answer has in common: its envelope, its status, its headers, its request id and its two addresses."""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import numberdesk
from numberdesk.base import web
from numberdesk.base.errors import AppError
from numberdesk.base.postgres import PostgresUnavailable
from tests.http.stand import SECURITY, STATUSES, TELEGRAM, Client, Stand

MISSING = {"orderId": 987654321}


def test_every_error_of_the_program_has_a_status_of_the_contract() -> None:
    for module in pkgutil.walk_packages(numberdesk.__path__, "numberdesk."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = {error.__name__: error.status for error in _below(AppError)}
    assert len(found) > 20
    assert {name: status for name, status in found.items() if status not in STATUSES} == {}
    silent = {error for error in _below(AppError) if error.status == 503 and error.retry_after is None}
    assert silent <= {PostgresUnavailable}, "503 says when to try again; this one ends a command and is no answer"
    assert web._FRAMEWORK.keys() <= STATUSES


def _below(kind: type[AppError]) -> Iterator[type[AppError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("POST", "/nothing", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/api/v1", 404, "not_found"),
        ("GET", "/USER/balance", 404, "not_found"),
        ("GET", "/orders/%00", 404, "not_found"),
        ("GET", "/docs/..%2F..%2Froutes.py", 404, "not_found"),
        ("PUT", "/user/balance", 405, "method_not_allowed"),
        ("POST", "/user/balance", 405, "method_not_allowed"),
        ("DELETE", "/orders/1", 405, "method_not_allowed"),
        ("GET", "/auth/get-number", 405, "method_not_allowed"),
        ("PATCH", "/auth/check-otp", 405, "method_not_allowed"),
        ("TRACE", "/auth/check-otp", 405, "method_not_allowed"),
        ("BREW", "/services", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_there_is_refused_in_the_envelope(
    alice: Client, method: str, path: str, status: int, code: str
) -> None:
    answer = alice.send(method, path)
    assert answer.refusal == (status, code)
    assert answer.headers["content-type"] == "application/json"


def test_a_wrong_method_is_told_the_right_one(alice: Client) -> None:
    assert "GET" in alice.send("PUT", "/user/balance").headers["allow"]
    assert "POST" in alice.send("GET", "/auth/get-number").headers["allow"]


def test_head_has_no_body(alice: Client) -> None:
    assert alice.send("HEAD", "/user/balance").body == b""


@pytest.mark.parametrize("path", ["/user/balance", "/auth/get-number"])
def test_options_names_the_methods(alice: Client, path: str) -> None:
    answer = alice.send("OPTIONS", path)
    assert (answer.status, answer.body) == (200, b"")
    assert "OPTIONS" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/user/balance", None, 200),
        ("GET", "/services/prices", None, 200),
        ("GET", "/healthz", None, 200),
        ("GET", "/openapi.json", None, 200),
        ("OPTIONS", "/user/balance", None, 200),
        ("POST", "/auth/check-otp", b"{}", 400),
        ("GET", "/orders?limit=0", None, 400),
        ("GET", "/orders?status=%00", None, 400),
        ("POST", "/auth/get-number", b'{"service":"ts","country":"IN"}', 403),
        ("GET", "/nothing", None, 404),
        ("POST", "/auth/check-otp", b'{"orderId":987654321}', 404),
        ("PUT", "/orders", None, 405),
        ("POST", "/auth/check-otp", b" " * 70_000, 413),
    ],
)
def test_every_answer_carries_the_security_headers(
    alice: Client, method: str, path: str, body: bytes | None, status: int
) -> None:
    answer = alice.send(method, path, body=body, headers={"Content-Type": "application/json"} if body else None)
    assert answer.status == status
    assert {name: answer.headers[name] for name in SECURITY} == SECURITY
    assert answer.headers["cache-control"] == ("private, no-cache" if path == "/services/prices" else "no-store")


def test_those_without_a_key_get_the_headers_too(stand: Stand) -> None:
    for answer in (stand.nobody.get("/orders"), stand.nobody.post("/auth/get-number", TELEGRAM)):
        assert answer.refusal == (401, "credentials_missing")
        assert {name: answer.headers[name] for name in SECURITY} == SECURITY


@pytest.mark.parametrize("given", ["abcdefgh", "a" * 64, "ABC-def_1.2", "00000000-0000-4000-8000-000000000000"])
def test_a_sane_request_id_is_echoed(alice: Client, given: str) -> None:
    for answer in (
        alice.get("/nothing", X_Request_Id=given),
        alice.post("/auth/check-otp", MISSING, X_Request_Id=given),
    ):
        assert answer.headers["x-request-id"] == given
        assert answer.details["requestId"] == given
    assert alice.get("/user/balance", X_Request_Id=given).headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", ["", "short", "a" * 65, "with space", "<script>1", "semi;colon", "tab\there", "ünïcödé"]
)
def test_another_request_id_is_replaced(alice: Client, given: str) -> None:
    for answer in (
        alice.get("/nothing", X_Request_Id=given),
        alice.post("/auth/check-otp", MISSING, X_Request_Id=given),
    ):
        made = answer.headers["x-request-id"]
        assert made != given
        assert web.REQUEST_ID.fullmatch(made)
        assert answer.details["requestId"] == made


def test_no_two_answers_share_a_made_request_id(alice: Client) -> None:
    assert len({alice.get("/user/balance").headers["x-request-id"] for _ in range(20)}) == 20


def test_every_address_is_served_twice(alice: Client) -> None:
    order_id = alice.buy()
    prefixed = alice.under("/api/v1")
    for path in ("/user/balance", "/user/transactions", "/orders", f"/orders/{order_id}", "/services", "/healthz"):
        assert alice.get(path).data == prefixed.get(path).data, path
    body = {"orderId": order_id}
    assert alice.post("/auth/check-otp", body).data == prefixed.post("/auth/check-otp", body).data
    assert prefixed.post("/auth/cancel-number", body).refusal == (409, "cancel_too_early")
    assert prefixed.under("/api/v1/api/v1").get("/user/balance").status == 404


def test_a_slash_at_the_end_does_not_matter(alice: Client) -> None:
    assert alice.post("/auth/check-otp/", MISSING).refusal == (404, "not_found")
    assert alice.get("/user/balance/").data == alice.get("/user/balance").data


def test_a_success_says_so(alice: Client) -> None:
    assert alice.get("/user/balance").json == {
        "success": True,
        "data": {"available": "1000.00", "held": "0.00", "currency": "INR"},
    }
