"""How often the protocol may be asked: its own limit, free polls of one's open orders, and guesses of keys."""

import time
from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from tests.compat.bot import DIALECTS, Bot, refusal
from tests.compat.test_handover import hang_up, slow
from tests.http import stand as stands
from tests.http.stand import Answer, Client, Stand

BURST = 40


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    """A site with the limits that every installation has."""
    with stands.opened(portal, cluster, rate_limit_api="30 per minute") as stand:
        yield stand


def exhaust(bot: Bot) -> Answer:
    """Ask until the limit is reached."""
    for _ in range(3 * BURST):
        answer = bot.send("getBalance")
        if answer.status != 200:
            return answer
    raise AssertionError("there is no limit")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_over_the_limit_is_429_with_the_time_to_wait_in_every_dialect(alice: Bot, dialect: str) -> None:
    bot = alice.speaking(dialect)
    first = bot.send("getBalance")
    assert (first.headers["ratelimit-limit"], first.headers["ratelimit-remaining"]) == ("40", "39")
    assert 1 <= int(first.headers["ratelimit-reset"]) <= 4
    over = exhaust(bot)
    assert refusal(over, dialect) == (429, "RATE_LIMIT")
    assert 1 <= int(over.headers["retry-after"]) <= 4
    assert over.headers["ratelimit-remaining"] == "0"
    time.sleep(int(over.headers["retry-after"]) + 0.1)
    assert bot.text("getBalance") == "ACCESS_BALANCE:1000.00"


def test_a_limit_is_one_accounts_and_not_that_of_the_api(alice: Bot, bob: Bot) -> None:
    assert exhaust(alice).status == 429
    assert alice.client.get("/user/balance").status == 200
    assert bob.text("getBalance") == "ACCESS_BALANCE:1000.00"


def test_one_poll_a_second_of_an_open_order_never_counts(stand: Stand, alice: Bot, bob: Bot) -> None:
    order_id, other = alice.buy(), bob.buy()
    until = time.monotonic() + 4
    while time.monotonic() < until:
        exhaust(alice)
        assert alice.text("getStatus", id=order_id) == "STATUS_WAIT_CODE"
        assert alice.send("getStatus", id=other).status == 429  # somebody else's is no order of one's own
        time.sleep(1.0)
    exhaust(alice)
    assert [alice.send("getStatusV2", id=order_id).status for _ in range(5)][-1] == 429


def test_many_orders_may_be_polled_at_once(stand: Stand, alice: Bot) -> None:
    orders = [alice.buy() for _ in range(15)]
    for _ in range(4):
        exhaust(alice)
        for order_id in orders:
            assert alice.text("getStatus", id=order_id) == "STATUS_WAIT_CODE"
        time.sleep(1.0)


def test_an_account_without_a_limit_has_none_here_either(stand: Stand, alice: Bot) -> None:
    stand.change(
        "UPDATE accounts SET api_per_minute = 0, changed_at = clock_timestamp() WHERE id = $1", alice.client.account_id
    )
    time.sleep(1.2)
    for _ in range(2 * BURST):
        assert alice.send("getBalance").status == 200


def test_the_next_try_of_a_purchase_that_was_hung_up_on_does_not_count(stand: Stand, alice: Bot) -> None:
    with slow(stand, 2.0):
        for _ in range(3):
            hang_up(alice, after=0.3)
            time.sleep(0.2)
        exhaust(alice)
        answer = alice.send("getNumberV2", service="tg", country="22")
        assert (answer.status, answer.headers["idempotent-replayed"]) == (200, "true")
        exhaust(alice)
        assert alice.send("getNumberV2", service="tg", country="22").status == 429


def test_guesses_of_keys_are_counted_by_network_and_stop_nobody_who_has_one(stand: Stand, alice: Bot) -> None:
    guesser = Bot(Client(stand.port, "nd_live_wrong"))
    answers = [guesser.send("getBalance") for _ in range(35)]
    assert {refusal(answer, "classic") for answer in answers} == {(200, "BAD_KEY"), (429, "RATE_LIMIT")}
    assert answers[-1].status == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert alice.text("getBalance") == "ACCESS_BALANCE:1000.00"
