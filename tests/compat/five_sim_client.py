"""A client of 5sim's API for the tests: it sends what programs of 5sim send, and sees every byte."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.http.stand import Answer, Client, Stand

BUY = "/v1/user/buy/activation"
ORDER_FIELDS = {
    "id", "phone", "operator", "product", "price", "status", "expires", "sms", "created_at", "forwarding",
    "forwarding_number", "country",
}  # fmt: skip


@dataclass(frozen=True)
class Sim:
    """Whoever shows a key as 5sim wants it."""

    client: Client

    def send(self, path: str, *, method: str = "GET", body: bytes | None = None, **query: Any) -> Answer:
        """Ask; a list sends a parameter several times."""
        sender = Client(self.client.port, token=self.client.key)
        address = path + ("?" + urlencode(query, doseq=True) if query else "")
        return sender.send(method, address, body=body)

    def json(self, path: str, **query: Any) -> Any:
        """Ask, and return an answer that is JSON: clients want exactly this type of content."""
        answer = self.send(path, **query)
        assert answer.status == 200, answer
        assert answer.headers["content-type"] == "application/json", answer
        return answer.json

    def told(self, path: str, **query: Any) -> tuple[int, str]:
        """Ask, and return the status and the bare text of a refusal."""
        return refusal(self.send(path, **query))

    def buy(self, place: str = "india/any/telegram", **query: Any) -> dict[str, Any]:
        """Buy a number and return the order."""
        order: dict[str, Any] = self.json(f"{BUY}/{place}", **query)
        assert order.keys() == ORDER_FIELDS
        return order

    def money(self) -> tuple[float, float]:
        """Return what can be spent and what is held."""
        profile = self.json("/v1/user/profile")
        return profile["balance"], profile["frozen_balance"]


def refusal(answer: Answer) -> tuple[int, str]:
    """Return the status and the text of a refusal, once its form is right."""
    assert answer.headers["content-type"] == "text/plain; charset=utf-8", answer
    return answer.status, answer.body.decode()


def received(stand: Stand, sim: Sim, code: str = "12345") -> dict[str, Any]:
    """Buy a number and have its code."""
    order_id = sim.buy()["id"]
    stand.deliver(order_id, code)
    for _ in range(5000):
        order: dict[str, Any] = sim.json(f"/v1/user/check/{order_id}")
        if order["sms"]:
            return order
    raise AssertionError("the code never came")
