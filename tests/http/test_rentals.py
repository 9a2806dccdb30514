"""Numbers for hours on the wire: rented, given back, prolonged, and every wrong wish for one."""

import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from numberdesk.wallet.model import SANDBOX_OFFSET, AccountId
from tests.http.stand import Client, Stand

BUY, CHECK, EXTEND, PRICE_OF = "/auth/get-number", "/auth/check-otp", "/auth/extend-number", "/auth/extend-price"
WISH = {"service": "tg", "country": 22, "hours": 4}
PRICE = "42.60"
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _read(stand: Stand) -> None:
    wait_for_rentals(stand)


def wait_for_rentals(stand: Stand) -> None:
    """Wait until the worker has read what is rented in India; the first test does."""
    client, ends = stand.customer(), time.monotonic() + PATIENCE
    while not all(_offered(client, hours) for hours in (4, 24, 72, 168, 720)):
        assert time.monotonic() < ends, "The pass has read nothing."
        time.sleep(0.5)


def _offered(client: Client, hours: int) -> bool:
    answer = client.get(f"/services?service=tg&country=in&hours={hours}")
    return answer.status == 200 and bool(answer.data["items"])


def rent(client: Client, **more: object) -> dict[str, Any]:
    return dict(client.post(BUY, WISH | more).data)


def keep(stand: Stand, order_id: int) -> None:
    """Let the time be over in which an order can be cancelled, and wait until it is paid."""
    stand.change("UPDATE orders SET sent_at = sent_at - interval '20 minutes' WHERE id = $1", order_id)
    ends = time.monotonic() + 15
    while stand.ask("SELECT state FROM orders WHERE id = $1", order_id) != "received":
        assert time.monotonic() < ends
        time.sleep(0.1)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_rental_on_the_wire(stand: Stand, alice: Client) -> None:
    bought = rent(alice)
    order_id = bought["orderId"]
    assert (bought["status"], bought["hours"], bought["price"]) == ("active", 4, PRICE)
    assert (bought["canCancel"], bought["canExtend"], bought["isProlonging"]) == (True, True, False)
    created = moment(bought["createdAt"])
    assert abs(moment(bought["expiresAt"]) - created - timedelta(hours=4)) < timedelta(seconds=5)
    assert abs(moment(bought["cancelUntil"]) - created - timedelta(minutes=20)) < timedelta(seconds=5)
    for code in ("11111", "22222"):
        stand.deliver(order_id, code)
        seen = alice.post(CHECK, {"orderId": order_id, "wait": 20}).data
        assert (seen["status"], seen["otp"]) == ("received", code)
        assert alice.post("/auth/next-otp", {"orderId": order_id}).data["canCancel"] is False
    assert alice.post("/auth/cancel-number", {"orderId": order_id}).refusal == (409, "not_cancellable")
    assert alice.post("/auth/finish-number", {"orderId": order_id}).data["status"] == "completed"
    assert alice.get("/user/balance").data == {"available": "957.40", "held": "0.00", "currency": "INR"}
    assert alice.get(f"/auth/number-status/{alice.buy()}").data["hours"] is None


def test_a_rental_without_a_message_is_given_back(alice: Client) -> None:
    order_id = rent(alice)["orderId"]
    assert alice.get("/user/balance").data["held"] == PRICE
    answer = alice.post("/auth/cancel-number", {"orderId": order_id}).data
    assert (answer["status"], answer["refund"]["amount"]) == ("cancelled", PRICE)
    assert alice.get("/user/balance").data == {"available": "1000.00", "held": "0.00", "currency": "INR"}


def test_a_kept_rental_is_shown_as_active_and_is_prolonged(stand: Stand, alice: Client) -> None:
    order_id = rent(alice)["orderId"]
    keep(stand, order_id)
    time.sleep(0.5)
    shown = alice.get(f"/auth/number-status/{order_id}").data
    assert (shown["status"], shown["canCancel"], shown["canExtend"]) == ("active", False, True)
    answer = alice.post("/auth/cancel-number", {"orderId": order_id})
    assert answer.refusal == (409, "rental_kept")
    assert [item["orderId"] for item in alice.get("/orders?status=active").data["items"]] == [order_id]
    assert alice.get("/orders?status=received").data["items"] == []
    assert alice.post(PRICE_OF, {"orderId": order_id, "hours": 4}).data == {
        "orderId": order_id, "hours": 4, "price": PRICE,
    }  # fmt: skip
    answer = alice.post(EXTEND, {"orderId": order_id, "hours": 4, "maxPrice": "42.59"})
    assert answer.refusal == (400, "price_too_low")
    bodies = {
        alice.post(EXTEND, {"orderId": order_id, "hours": 4, "maxPrice": PRICE}, Idempotency_Key="more").body
        for _ in range(3)
    }
    assert len(bodies) == 1
    prolonged = alice.get(f"/auth/number-status/{order_id}").data
    assert moment(prolonged["expiresAt"]) - moment(shown["expiresAt"]) == timedelta(hours=4)
    assert alice.get("/user/balance").data == {"available": "914.80", "held": "0.00", "currency": "INR"}
    steps = [step["event"] for step in alice.get(f"/orders/{order_id}").data["timeline"]]
    assert steps[-2:] == ["more hours wanted", "prolonged"]
    lines = alice.get("/user/transactions").data["items"]
    assert [(line["amount"], line["state"]) for line in lines[:2]] == [(f"-{PRICE}", "completed")] * 2


@pytest.mark.parametrize("hours", [0, -1, 8761, 2**63, 1.5, "4", True, []])
@pytest.mark.parametrize("path", [BUY, EXTEND, PRICE_OF])
def test_hours_out_of_their_bounds_are_named(alice: Client, path: str, hours: object) -> None:
    body = WISH | {"hours": hours} if path == BUY else {"orderId": 1, "hours": hours}
    answer = alice.post(path, body)
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == ["hours"]


def test_hours_that_nobody_rents_for_are_answered_with_those_there_are(alice: Client) -> None:
    answer = alice.post(BUY, WISH | {"hours": 5})
    assert answer.refusal == (400, "unknown_hours")
    assert answer.details["known"] == [4, 24, 72, 168, 720]
    assert alice.get("/user/balance").data["held"] == "0.00"


def test_time_is_asked_for_in_the_unit_of_the_order(alice: Client) -> None:
    rental, number = rent(alice)["orderId"], alice.buy()
    for wish, field in (
        ({"orderId": number, "hours": 4}, "hours"),
        ({"orderId": rental}, "minutes"),
        ({"orderId": rental, "hours": 4, "minutes": 4}, "minutes"),
        ({"orderId": number, "minutes": 4, "maxPrice": "1"}, "maxPrice"),
        ({"orderId": rental, "hours": 4, "maxPrice": "x"}, "maxPrice"),
    ):
        answer = alice.post(EXTEND, wish)
        assert answer.refusal == (400, "invalid_request"), wish
        assert list(answer.details["fields"]) == [field]
    assert alice.post(EXTEND, {"orderId": rental, "minutes": 4}).refusal == (409, "cannot_extend")
    assert alice.post(PRICE_OF, {"orderId": number, "hours": 4}).refusal == (400, "invalid_request")
    assert alice.post(EXTEND, {"orderId": rental, "hours": 2000}).refusal == (409, "cannot_prolong")


def test_what_is_not_one_s_own_is_not_found(stand: Stand, alice: Client) -> None:
    order_id = rent(alice)["orderId"]
    bob = stand.customer()
    for path in (EXTEND, PRICE_OF):
        assert bob.post(path, {"orderId": order_id, "hours": 4}).refusal == (404, "not_found")
    assert bob.get("/user/balance").data["available"] == "1000.00"


def test_a_rental_can_be_tried_with_a_test_key(stand: Stand) -> None:
    person = stand.signed_in("renter@sandbox-tests.example")
    secret = person.client.post("/user/api-keys", {"name": "try", "scopes": ["read", "order"], "mode": "test"}).data
    tester = Client(person.client.port, secret["secret"], AccountId(person.account_id + SANDBOX_OFFSET))
    order_id = rent(tester, service="testtwo", country="IN", hours=24)["orderId"]
    assert tester.get("/user/balance").data["held"] == "30.00"
    seen = tester.post(CHECK, {"orderId": order_id, "wait": 20}).data
    assert (seen["status"], seen["hours"], len(seen["messages"])) == ("received", 24, 1)
    tester.post("/auth/next-otp", {"orderId": order_id})
    seen = tester.post(CHECK, {"orderId": order_id, "wait": 20}).data
    assert len(seen["messages"]) == 2
    assert tester.post(PRICE_OF, {"orderId": order_id, "hours": 24}).data["price"] == "30.00"
    more = tester.post(EXTEND, {"orderId": order_id, "hours": 24}).data
    assert moment(more["expiresAt"]) - moment(seen["expiresAt"]) == timedelta(hours=24)
    assert tester.post("/auth/finish-number", {"orderId": order_id}).data["status"] == "completed"
    silent = rent(tester, service="testnever", country="IN", hours=4)["orderId"]
    assert tester.post("/auth/cancel-number", {"orderId": silent}).data["refund"]["amount"] == "30.00"
    assert tester.get("/user/balance").data["held"] == "0.00"
