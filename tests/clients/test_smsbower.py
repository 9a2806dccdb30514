"""smsbower, unmodified, on the classic address."""

import pytest

from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand

CLIENT = "smsbower 0.1.0"


@pytest.fixture(scope="module")
def seen(stand: Stand) -> Seen:
    return play(stand, "smsbower_0_1_0")


@proves(1, 7, 9)
def test_money_is_read_and_moves_once(seen: Seen) -> None:
    assert (seen["balance"], seen["balance after"]) == (1000.0, 978.70)


@proves(2, 3, 7, 10)
@pytest.mark.parametrize(
    ("name", "word"),
    [("wrong key", "BAD_KEY"), ("poor", "NO_BALANCE"), ("no service", "BAD_SERVICE"), ("no numbers", "NO_NUMBERS"),
     ("early", "EARLY_CANCEL_DENIED"), ("foreign", "NO_ACTIVATION")],
)  # fmt: skip
def test_refusals_are_known_by_their_words(seen: Seen, name: str, word: str) -> None:
    assert seen[name].startswith("SmsBowerError")
    assert seen[name].endswith(f" {word}")


@proves(4, 5)
def test_both_purchases_give_a_number(seen: Seen) -> None:
    number, digits = seen["number"]
    assert number.isdigit()
    assert digits.isdigit()
    assert seen["number v2"]["activationCost"] == 21.30
    assert seen["number v2"]["phoneNumber"].isdigit()


@proves(6, 9)
def test_codes_and_ends_are_what_the_client_expects(seen: Seen) -> None:
    assert seen["waiting"] == ["STATUS_WAIT_CODE", None]
    assert (seen["ready"], seen["code"]) == ("ACCESS_READY", ["STATUS_OK", "12345"])
    assert (seen["one more"], seen["retry"]) == ("ACCESS_RETRY_GET", ["STATUS_WAIT_RETRY", "12345"])
    assert seen["second code"] == ["STATUS_OK", "67890"]
    assert seen["finish"] == ["ACCESS_ACTIVATION"] * 2
    assert seen["over"] == ["STATUS_CANCEL", None]
    assert seen["cancel"] == ["ACCESS_CANCEL"] * 2


@proves(13)
def test_the_catalogue_is_read_in_all_its_forms(seen: Seen) -> None:
    assert (seen["countries"], seen["services"]) == ("India", ["Telegram"])
    plain, by_price, by_server = seen["prices"]
    assert plain["cost"] == 21.30
    assert by_price == {"21.30": plain["count"]}
    assert [row["price"] for row in by_server.values()] == [21.30]
    assert seen["top"]["price"] == 21.30
