"""Numbers for hours or days: the words for them, in the form that this part of the protocol has."""

from typing import Any

import pytest

from tests.compat.bot import DIALECTS, Bot
from tests.http.stand import Client, Stand

REFUSED: dict[str, tuple[dict[str, Any], str, tuple[int, str]]] = {
    "getRentServicesAndCountries": ({}, "OUT_OF_STOCK", (404, "NO_NUMBERS")),
    "getRentNumber": ({"service": "tg", "rent_time": "24"}, "NO_NUMBERS", (404, "NO_NUMBERS")),
    "getRentList": ({}, "NO_NUMBERS", (404, "NO_NUMBERS")),
    "getRentStatus": ({"id": "1"}, "NO_ID_RENT", (404, "NOT_FOUND")),
    "setRentStatus": ({"id": "abc", "status": "2"}, "NO_ID_RENT", (404, "NOT_FOUND")),
    "continueRentNumber": ({"id": "1", "rent_time": "4"}, "NO_ID_RENT", (404, "NOT_FOUND")),
    "continueRentInfo": ({"id": "1", "hours": "4"}, "NO_ID_RENT", (404, "NOT_FOUND")),
    "getContinueRentPriceNumber": ({"id": "1"}, "NO_ID_RENT", (404, "NOT_FOUND")),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("action", REFUSED)
def test_what_is_not_rented_out_is_refused_by_its_word(alice: Bot, action: str, dialect: str) -> None:
    asked, word, hero = REFUSED[action]
    bot = alice.speaking(dialect)
    if dialect == "hero":
        assert bot.refused(action, **asked) == hero
    else:
        assert bot.json(action, **asked) == {"status": "error", "message": word, "error": word, "info": {}}


def test_times_that_cannot_be_rented_have_words_of_their_own(alice: Bot) -> None:
    for hours in ("1", "0", "-4", "abc", "1.5"):
        assert alice.json("getRentNumber", service="tg", rent_time=hours)["message"] == "INVALID_TIME"
    shown = alice.json("getRentNumber", service="tg", time="1345")
    assert (shown["message"], shown["info"]) == ("MAX_HOURS_EXCEED", {"max": 1344})
    assert alice.json("getRentNumber", rent_time="4")["message"] == "BAD_SERVICE"


def test_a_wrong_key_is_told_in_the_form_of_these_actions(stand: Stand) -> None:
    assert Bot(Client(stand.port, "wrong")).json("getRentList")["message"] == "BAD_KEY"
