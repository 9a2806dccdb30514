"""Who may call: keys that are missing, wrong, revoked, expired, too small, or of an account that is closed."""

import time
from collections.abc import Callable

import pytest

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import KeyId, Scope, SettableState
from tests.http.stand import TELEGRAM, Answer, Client, Stand

SECONDS = 1.5
"""A change of a key is seen within a second; the rest is for a busy machine."""


def becomes(call: Callable[[], Answer], refusal: tuple[int, str]) -> None:
    """Repeat a call until it is refused so, then make sure that it stays so."""
    until = time.monotonic() + SECONDS
    while call().status == 200:
        assert time.monotonic() < until, "the change was not seen in time"
        time.sleep(0.02)
    for _ in range(5):
        assert call().refusal == refusal


def set_state(stand: Stand, client: Client, state: SettableState) -> None:
    stand.portal.call(accounts.set_state, stand.site.db, client.account_id, state)


def change_key(stand: Stand, client: Client, part: str) -> None:
    parts = {
        "revoked_at": "UPDATE api_keys SET revoked_at = now(), changed_at = clock_timestamp() WHERE account_id = $1",
        "expires_at": "UPDATE api_keys SET expires_at = clock_timestamp() + interval '300 ms',"
        " changed_at = clock_timestamp() WHERE account_id = $1",
    }
    stand.change(parts[part], client.account_id)


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "credentials_missing"),
        ("", "credentials_missing"),
        ("nonsense", "bad_api_key"),
        ("ünïcödé", "bad_api_key"),
        ("nd_live_" + "a" * 47, "bad_api_key"),
        ("x" * 5000, "bad_api_key"),
        ("' OR 1=1 --", "bad_api_key"),
    ],
)
def test_a_call_without_a_good_key_is_refused(stand: Stand, key: str | None, code: str) -> None:
    stranger = Client(stand.port, key)
    for path in ("/user/balance", "/user/transactions", "/orders", "/orders/1", "/services", "/services/prices"):
        assert stranger.get(path).refusal == (401, code), path
    for path in ("/auth/get-number", "/auth/check-otp", "/auth/cancel-number"):
        assert stranger.post(path, {}).refusal == (401, code), path


def test_a_key_with_one_wrong_letter_is_refused(stand: Stand, alice: Client) -> None:
    assert alice.key is not None
    for place in (0, 10, 20, len(alice.key) - 1):
        wrong = alice.key[:place] + ("A" if alice.key[place] != "A" else "B") + alice.key[place + 1 :]
        assert Client(stand.port, wrong).get("/user/balance").refusal == (401, "bad_api_key")


def test_who_calls_is_asked_before_what_is_wanted(stand: Stand) -> None:
    for body in (b"{", b" " * 70_000, b'{"bogus":1}'):
        assert stand.nobody.post("/auth/get-number", body).refusal == (401, "credentials_missing")


def test_a_revoked_key_ends_within_a_second(stand: Stand, alice: Client) -> None:
    order_id = alice.buy()
    key_id = KeyId(stand.ask("SELECT id FROM api_keys WHERE account_id = $1", alice.account_id))
    stand.portal.call(accounts.revoke_key, stand.site.db, key_id)
    becomes(lambda: alice.post("/auth/check-otp", {"orderId": order_id}), (401, "bad_api_key"))
    assert alice.get("/user/balance").refusal == (401, "bad_api_key")


def test_an_expired_key_ends_at_its_time(stand: Stand, alice: Client) -> None:
    order_id = alice.buy()
    change_key(stand, alice, "expires_at")
    becomes(lambda: alice.post("/auth/check-otp", {"orderId": order_id}), (401, "bad_api_key"))
    assert alice.get("/user/balance").refusal == (401, "bad_api_key")


def test_a_banned_account_is_refused_every_time(stand: Stand, alice: Client) -> None:
    order_id = alice.buy()
    set_state(stand, alice, "banned")
    becomes(lambda: alice.post("/auth/check-otp", {"orderId": order_id}), (403, "account_banned"))
    assert [alice.post("/auth/get-number", TELEGRAM).refusal for _ in range(3)] == [(403, "account_banned")] * 3
    assert alice.get("/user/balance").refusal == (403, "account_banned")
    set_state(stand, alice, "active")
    assert alice.get("/user/balance").status == 200


def test_a_frozen_account_reads_and_ends_its_orders_but_does_not_spend(stand: Stand, alice: Client) -> None:
    order_id = alice.buy()
    set_state(stand, alice, "frozen")
    time.sleep(1.0)
    assert [alice.post("/auth/get-number", TELEGRAM).refusal for _ in range(3)] == [(403, "account_frozen")] * 3
    assert alice.post("/auth/extend-number", {"orderId": order_id, "minutes": 1}).refusal == (403, "account_frozen")
    assert alice.post("/auth/check-otp", {"orderId": order_id}).data["status"] == "active"
    stand.ripen(order_id)
    assert alice.post("/auth/cancel-number", {"orderId": order_id}).data["status"] == "cancelled"
    assert alice.get("/user/balance").data["held"] == "0.00"


@pytest.mark.parametrize(("scope", "other"), [("read", "order"), ("order", "read")])
def test_a_key_does_what_its_scopes_say(stand: Stand, alice: Client, scope: Scope, other: str) -> None:
    order_id = alice.buy()
    stand.change(
        "UPDATE api_keys SET scopes = $2, changed_at = clock_timestamp() WHERE account_id = $1",
        alice.account_id,
        [scope],
    )
    time.sleep(1.0)
    reads = [alice.get("/user/balance"), alice.get("/orders"), alice.post("/auth/check-otp", {"orderId": order_id})]
    buys = [alice.post("/auth/get-number", TELEGRAM)]
    allowed, refused = (reads, buys) if scope == "read" else (buys, reads)
    assert [answer.status for answer in allowed] == [200] * len(allowed)
    assert [answer.refusal for answer in refused] == [(403, "scope_too_small")] * len(refused)
    assert refused[0].details["scope"] == other
