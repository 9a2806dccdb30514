"""smsactivateru, unmodified: error words anywhere in an answer, cancel by -1, and stock in the older form."""

import pytest

from tests.clients.acceptance import proves
from tests.clients.stage import Seen, play
from tests.http.stand import Stand

CLIENT = "smsactivateru 1.2.6"


@pytest.fixture(scope="module")
def seen(stand: Stand) -> Seen:
    return play(stand, "smsactivateru_1_2_6")


@proves(1, 7, 9)
def test_money_is_read_and_moves_once(seen: Seen) -> None:
    assert (seen["balance"], seen["balance after"]) == (1000.0, 978.70)


@proves(2, 3, 10)
@pytest.mark.parametrize(
    ("name", "class_", "word"),
    [("wrong key", "InvalidApiKey", "BAD_KEY"), ("poor", "NoBalance", "NO_BALANCE"),
     ("no numbers", "NoFreeNumber", "NO_NUMBERS"), ("foreign", "InvalidId", "NO_ACTIVATION"),
     ("over", "CanceledActivation", "STATUS_CANCEL")],
)  # fmt: skip
def test_refusals_become_the_clients_own_errors(seen: Seen, name: str, class_: str, word: str) -> None:
    assert seen[name].startswith(f"{class_}:")
    assert seen[name].endswith(f" {word}")


@proves(4)
def test_a_number_is_read(seen: Seen) -> None:
    assert all(part.isdigit() for part in seen["number"])


@proves(6, 7, 9)
def test_codes_and_ends_are_what_the_client_expects(seen: Seen) -> None:
    assert seen["waiting"] == {"status": "STATUS_WAIT_CODE", "code": None}
    assert (seen["ready"], seen["code"]) == ({"status": "ACCESS_READY"}, "12345")
    assert seen["one more"] == {"status": "ACCESS_RETRY_GET"}
    assert seen["retry"] == {"status": "STATUS_WAIT_RETRY", "code": "12345"}
    assert (seen["second code"], seen["finish again"]) == ("67890", {"status": "ACCESS_ACTIVATION"})
    assert (seen["early"], seen["cancel"]) == ({"status": "EARLY_CANCEL_DENIED"}, [{"status": "ACCESS_CANCEL"}] * 2)


@proves(13)
def test_stock_is_read_in_the_older_form_that_the_address_asks_for(seen: Seen) -> None:
    assert seen["stock"] > 0
