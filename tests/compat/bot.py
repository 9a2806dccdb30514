"""A client of the protocol for the tests: it sends what bots send, and sees every byte."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from tests.http.stand import Answer, Client, Stand

PATH = "/stubs/handler_api.php"
PREFIXES = {"classic": "", "hero": "/hero", "grizzly": "/grizzly"}
DIALECTS = tuple(PREFIXES)
OTHERS = frozenset({204, 402, 422, 425})


@dataclass(frozen=True)
class Bot:
    """Whoever holds a key, at one of the addresses."""

    client: Client
    dialect: str = "classic"

    def send(
        self, action: str | None, *, method: str = "GET", form: Mapping[str, Any] | None = None, **asked: Any
    ) -> Answer:
        """Ask; `None` leaves a parameter out, and a list sends it several times."""
        wanted = {"api_key": self.client.key, "action": action} | asked
        pairs = {name: value for name, value in wanted.items() if value is not None}
        body = None if form is None else urlencode(form, doseq=True).encode()
        headers = {} if form is None else {"Content-Type": "application/x-www-form-urlencoded"}
        return Client(self.client.port, others=OTHERS).send(
            method, f"{PREFIXES[self.dialect]}{PATH}?{urlencode(pairs, doseq=True)}", body=body, headers=headers
        )

    def text(self, action: str, **asked: Any) -> str:
        """Ask, and return the body of an answer that is a text."""
        answer = self.send(action, **asked)
        assert answer.status == 200, answer
        assert answer.headers["content-type"] == "text/plain; charset=utf-8", answer
        return answer.body.decode()

    def json(self, action: str, **asked: Any) -> Any:
        """Ask, and return the body of an answer that is JSON."""
        answer = self.send(action, **asked)
        assert answer.status == 200, answer
        assert answer.headers["content-type"] == "application/json", answer
        return json.loads(answer.body)

    def refused(self, action: str, **asked: Any) -> tuple[int, str]:
        """Ask, and return the status and the word of a refusal in this dialect."""
        return refusal(self.send(action, **asked), self.dialect)

    def speaking(self, dialect: str) -> "Bot":
        return replace(self, dialect=dialect)

    def buy(self, **wanted: Any) -> int:
        """Buy a Telegram number of India and return its id."""
        word, number, digits = self.text("getNumber", **({"service": "tg", "country": "22"} | wanted)).split(":")
        assert word == "ACCESS_NUMBER"
        assert digits.isdigit()
        return int(number)


def refusal(answer: Answer, dialect: str) -> tuple[int, str]:
    """Return the status and the word of a refusal, once its form is the dialect's."""
    if dialect == "hero" and answer.headers["content-type"] == "application/json":
        shown = json.loads(answer.body)
        assert shown.keys() == {"title", "details", "info"}, shown
        return answer.status, str(shown["title"])
    assert answer.headers["content-type"] == "text/plain; charset=utf-8", answer
    return answer.status, answer.body.decode()


def received(stand: Stand, bot: Bot, code: str = "12345") -> int:
    """Buy a number and have its code."""
    order_id = bot.buy()
    stand.deliver(order_id, code)
    wait_for_code(bot, order_id, code)
    return order_id


def wait_for_code(bot: Bot, order_id: int, code: str) -> None:
    """Wait until a code can be read, without a poll of the protocol."""
    seen = bot.client.post("/auth/check-otp", {"orderId": order_id, "wait": 10}).data
    assert (seen["status"], seen["otp"]) == ("received", code)


def money(bot: Bot) -> tuple[str, str]:
    """Return what can be spent and what is held."""
    shown = bot.client.get("/user/balance").data
    return shown["available"], shown["held"]
