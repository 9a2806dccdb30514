"""No answer to one customer holds anything of another's, whatever ids are asked for."""

import json
from typing import Any

import pytest

from numberdesk.orders import routes
from tests.http.stand import TELEGRAM, Client, Stand

CODE = "73519"


class Secrets:
    """A customer with orders in every state, and all words that only she may see."""

    def __init__(self, stand: Stand, alice: Client) -> None:
        self.alice = alice
        self.active, self.cancelled = alice.buy(), alice.buy()
        self.received, self.completed = stand.received(alice, CODE), stand.received(alice, CODE)
        stand.ripen(self.cancelled)
        alice.post("/auth/cancel-number", {"orderId": self.cancelled})
        alice.post("/auth/finish-number", {"orderId": self.completed})
        self.kept = alice.post("/auth/get-number", TELEGRAM, Idempotency_Key="shared-key")
        self.orders = [order["orderId"] for order in alice.get("/orders").data["items"]]
        stand.credit(alice, 777_77)
        orders = alice.get("/orders").data["items"]
        self.words = {CODE, "777.77", str(alice.key), *(order["number"] for order in orders)}
        assert len(self.words) == 3 + len(self.orders) == 8

    def state(self) -> list[Any]:
        """All that she sees; a stranger must not be able to change it."""
        paths = ("/user/balance", "/user/transactions", "/orders", *(f"/orders/{order}" for order in self.orders))
        return [self.alice.get(path).data for path in paths]


@pytest.fixture
def secrets(stand: Stand, alice: Client) -> Secrets:
    return Secrets(stand, alice)


def test_what_is_not_yours_looks_like_what_does_not_exist(bob: Client, secrets: Secrets) -> None:
    for order_id in secrets.orders:
        for path in ("/orders", "/auth/number-status"):
            assert_same(bob.get(f"{path}/{order_id}"), bob.get(f"{path}/987654321"))
        for path in ("check-otp", "cancel-number", "next-otp", "finish-number", "extend-number"):
            more = {"minutes": 5} if path == "extend-number" else {}
            theirs, missing = (bob.post(f"/auth/{path}", {"orderId": found} | more) for found in (order_id, 987654321))
            assert_same(theirs, missing)


def assert_same(theirs: Any, missing: Any) -> None:
    """Compare two refusals without their request ids."""
    assert theirs.refusal == (404, "not_found")
    shown, expected = (answer.json for answer in (theirs, missing))
    for answer in (shown, expected):
        del answer["details"]["requestId"]
    assert shown == expected
    assert theirs.headers.keys() == missing.headers.keys()


def test_a_stranger_who_tries_every_address_sees_and_changes_nothing(
    stand: Stand, bob: Client, secrets: Secrets
) -> None:
    before = secrets.state()
    described = bob.get("/openapi.json").json
    seen: list[bytes] = []
    for path, operations in described["paths"].items():
        if "get" in operations:
            for order_id in secrets.orders:
                seen.append(bob.get(path.replace("{order_id}", str(order_id))).body)
                seen.append(bob.get(f"{path.replace('{order_id}', str(order_id))}?cursor={order_id + 1}").body)
            seen.append(bob.get(path, Accept="text/csv").body)
    for call in routes.calls(stand.site.desk):
        for order_id in secrets.orders:
            body: dict[str, Any] = {"orderId": order_id} if call.path != "/auth/get-number" else dict(TELEGRAM)
            body |= {"minutes": 5} if call.path == "/auth/extend-number" else {}
            seen.append(bob.post(call.path, body).body)
            seen.append(bob.post(call.path, body | {"accountId": secrets.alice.account_id}).body)
    assert len(seen) > 100
    for body_seen in seen:
        assert not [word for word in secrets.words if word.encode() in body_seen], body_seen
    assert secrets.state() == before


def test_a_stranger_s_key_of_the_same_name_replays_nothing(bob: Client, secrets: Secrets) -> None:
    answer = bob.post("/auth/get-number", TELEGRAM, Idempotency_Key="shared-key")
    assert answer.data["number"] not in secrets.words
    assert "idempotent-replayed" not in answer.headers
    assert secrets.alice.post("/auth/get-number", TELEGRAM, Idempotency_Key="shared-key").body == secrets.kept.body


def test_a_stranger_who_waits_for_a_code_is_refused_at_once(bob: Client, secrets: Secrets) -> None:
    answer = bob.post("/auth/check-otp", {"orderId": secrets.active, "wait": 25})
    assert answer.refusal == (404, "not_found")


def test_nothing_tells_who_provides_or_what_it_cost(stand: Stand, alice: Client) -> None:
    order_id = stand.received(alice)
    upstream_id = stand.ask("SELECT upstream_id FROM orders WHERE id = $1", order_id)
    words = [upstream_id, "17.75", stand.provider.base_url, "simulator-key"]
    for answer in (
        alice.get("/orders"),
        alice.get(f"/orders/{order_id}"),
        alice.post("/auth/check-otp", {"orderId": order_id}),
        alice.get("/services?limit=500"),
        alice.get("/user/transactions"),
        alice.get("/readyz"),
    ):
        shown = json.dumps(answer.json)
        assert not [word for word in words if f'"{word}"' in shown or (len(word) > 6 and word in shown)]
