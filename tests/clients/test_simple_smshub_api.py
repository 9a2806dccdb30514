"""simple-smshub-api, unmodified: it splits answers into exactly two parts, and polls once a second."""

import pytest

from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand

CLIENT = "simple-smshub-api 1.1.0"


@pytest.fixture(scope="module")
def seen(stand: Stand) -> Seen:
    return play(stand, "simple_smshub_api_1_1_0")


@proves(1, 7, 9)
def test_money_is_read_and_moves_once(seen: Seen) -> None:
    assert (seen["balance"], seen["balance after"]) == (1000.0, 978.70)


@proves(2, 3, 10)
@pytest.mark.parametrize(
    ("name", "class_"),
    [("wrong key", "BadApiKeyException"), ("poor", "NoBalanceException"), ("no service", "BadServiceException"),
     ("no numbers", "NoNumbersException"), ("foreign", "NoActivationException")],
)  # fmt: skip
def test_refusals_become_the_clients_own_errors(seen: Seen, name: str, class_: str) -> None:
    assert seen[name].startswith(f"{class_}:")


@proves(4)
def test_a_number_is_read(seen: Seen) -> None:
    assert all(part.isdigit() for part in seen["number"])


@proves(6, 7, 9)
def test_codes_and_ends_are_what_the_client_expects(seen: Seen) -> None:
    assert seen["waiting"] == ["STATUS_WAIT_CODE", None]
    assert (seen["ready"], seen["code"]) == ("ACCESS_READY", "12345")
    assert (seen["one more"], seen["retry"]) == ("ACCESS_RETRY_GET", ["STATUS_WAIT_RETRY", "12345"])
    assert seen["second code"] == ["STATUS_OK", "67890"]
    assert seen["finish"] == ["ACCESS_ACTIVATION"] * 2
    assert seen["over"] == ["STATUS_CANCEL", None]
    assert (seen["early"], seen["cancel"]) == ("EARLY_CANCEL_DENIED", ["ACCESS_CANCEL"] * 2)


@proves(13)
def test_prices_and_stock_are_read(seen: Seen) -> None:
    assert seen["prices"]["22"]["tg"]["cost"] == 21.30
    assert seen["stock"]["tg"] == seen["prices"]["22"]["tg"]["count"]


@proves(20)
def test_a_poll_a_second_is_never_throttled(strict: Stand) -> None:
    seen = play(strict, "simple_smshub_api_polls")
    assert seen["polls"] >= 10
    assert seen["code"] == "12345"
    # What is no poll was counted all the while, and is refused now.
    assert "PendingResponse" in seen["over the limit"]
