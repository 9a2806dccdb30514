"""What is closed for maintenance, in the words of old clients; and what goes on all the same."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.compat.bot import DIALECTS, Bot, money, received
from tests.compat.five_sim_client import BUY, Sim
from tests.compat.test_rent import TELEGRAM, keep, rent
from tests.http.staff import Member
from tests.http.stand import Stand
from tests.http.test_maintenance import AREAS, CLOSES, close, learn, open_all
from tests.http.test_rentals import wait_for_rentals

WANTED: dict[str, Any] = {"service": "tg", "country": "22"}
READS = (
    "getBalance", "getPrices", "getPricesV3", "getNumbersStatus", "getCountries", "getServicesList", "getOperators",
    "getHistory", "getActiveActivations", "getRentList",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_is_closed(stand: Stand) -> Iterator[None]:
    yield
    open_all(stand)


@pytest.mark.parametrize("area", AREAS)
def test_only_what_costs_money_is_closed_and_nothing_is_lost(stand: Stand, alice: Bot, area: str) -> None:
    wait_for_rentals(stand)
    ready, young, rental = received(stand, alice), alice.buy(), rent(alice)
    keep(stand, rental)
    stand.ripen(young)
    held = money(alice)
    close(Member(stand, "ops"), area)
    learn(stand)
    is_closed = "buy" in CLOSES[area]
    hero = alice.speaking("hero")
    if is_closed:
        for dialect in DIALECTS:
            bot, status = alice.speaking(dialect), 404 if dialect == "hero" else 200
            for action in ("getNumber", "getNumberV2"):
                assert bot.refused(action, **WANTED) == (status, "NO_NUMBERS")
        for action, asked in (("getRentNumber", TELEGRAM), ("continueRentNumber", {"id": rental, "rent_time": 4})):
            assert alice.json(action, **asked)["message"] == "NO_NUMBERS", action
            assert hero.refused(action, **asked) == (404, "NO_NUMBERS")
        sim = Sim(alice.client)
        assert sim.told(f"{BUY}/india/any/telegram") == (400, "server offline")
        assert money(alice) == held
    else:
        alice.buy()
        rent(alice)
    for action in READS:
        for dialect in DIALECTS:
            answer = alice.speaking(dialect).send(action, **WANTED)
            assert (answer.status, b"ERROR" in answer.body) == (200, False), (action, answer)
    assert alice.text("getStatus", id=ready) == "STATUS_OK:12345"
    assert alice.text("setStatus", id=ready, status=3) == "ACCESS_RETRY_GET"
    assert alice.text("setStatus", id=ready, status=6) == "ACCESS_ACTIVATION"
    assert alice.text("setStatus", id=young, status=8) == "ACCESS_CANCEL"
    assert alice.json("getRentStatus", id=rental)["message"] == "STATUS_WAIT_CODE"
    assert alice.json("setRentStatus", id=rental, status=1) == {"status": "success"}
