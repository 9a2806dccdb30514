"""pysmshub, unmodified: it looks for error words anywhere in an answer, and for a dot in the balance."""

import pytest

from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand

CLIENT = "pysmshub 0.1.3"
WAIT, SENT, REPEAT, CANCEL = 0, 1, 3, 8


@pytest.fixture(scope="module")
def seen(stand: Stand) -> Seen:
    return play(stand, "pysmshub_0_1_3")


@proves(1, 7, 9)
def test_money_is_read_and_moves_once(seen: Seen) -> None:
    assert (seen["balance"], seen["balance after"]) == (1000.0, 978.70)


@proves(2, 3, 10)
@pytest.mark.parametrize(
    ("name", "word"),
    [("wrong key", "BAD_KEY"), ("poor", "NO_BALANCE"), ("no service", "BAD_SERVICE"), ("no numbers", "NO_NUMBERS"),
     ("foreign", "NO_ACTIVATION")],
)  # fmt: skip
def test_refusals_are_known_by_their_words(seen: Seen, name: str, word: str) -> None:
    assert seen[name].startswith("SmsHubApiException")
    assert seen[name].endswith(f": {word} ")


@proves(4)
def test_both_of_its_clients_get_a_number(seen: Seen) -> None:
    for name in ("number", "second number"):
        assert all(part.isdigit() for part in seen[name])


@proves(6, 7, 9)
def test_codes_and_ends_are_what_the_client_expects(seen: Seen) -> None:
    assert (seen["waiting"], seen["code"]) == ([WAIT, None], [SENT, "12345"])
    assert (seen["one more"], seen["retry"]) == ("ACCESS_RETRY_GET", [REPEAT, "12345"])
    assert seen["second code"] == [SENT, "67890"]
    assert seen["finish"] == ["ACCESS_ACTIVATION"] * 2
    assert seen["over"] == [CANCEL, None]
    assert (seen["early"], seen["cancel"]) == ("EARLY_CANCEL_DENIED", ["ACCESS_CANCEL"] * 2)


@proves(13)
def test_prices_and_stock_are_read(seen: Seen) -> None:
    assert seen["prices"]["22"]["tg"]["cost"] == 21.30
    assert seen["stock"]["tg"] == seen["prices"]["22"]["tg"]["count"]
