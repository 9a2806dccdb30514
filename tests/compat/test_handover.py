"""Purchases whose client hangs up: the next try gets the first number, and two that live are never one."""

import asyncio
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from numberdesk.base.visit import Visit
from numberdesk.main import doors
from numberdesk.providers.simulator import PROFILES
from tests.compat.bot import DIALECTS, PATH, PREFIXES, Bot, money
from tests.http import stand as stands
from tests.http.stand import HOST, PRICE, Stand

HELD = str(Decimal(1000) - Decimal(PRICE))
HELD_TWICE = str(Decimal(1000) - 2 * Decimal(PRICE))
WANTED: dict[str, Any] = {"service": "tg", "country": "22"}
SLOW = 1.0
"""Seconds the provider takes."""
PATIENCE = 0.3
"""Seconds a client waits before it hangs up."""


@contextmanager
def provider_is(stand: Stand, name: str, **changes: Any) -> Iterator[None]:
    profile = replace(PROFILES[name], code_after=None, **changes)
    stand.portal.call(lambda: stand.provider.set_profile(profile))
    try:
        yield
    finally:
        stand.portal.call(lambda: stand.provider.set_profile("never"))


def slow(stand: Stand, seconds: float = SLOW) -> Any:
    return provider_is(stand, "slow", answer_delay=seconds, fault_on="purchases")


def hang_up(
    bot: Bot, action: str = "getNumberV2", *, after: float = PATIENCE, form: bool = False, **wanted: Any
) -> None:
    """Ask for a number and leave before the answer comes."""
    asked = urlencode({"api_key": bot.client.key, "action": action} | (wanted or WANTED))
    address, method, body = f"{PREFIXES[bot.dialect]}{PATH}", "GET", ""
    if form:
        method, body = "POST", asked
    else:
        address += "?" + asked
    with socket.create_connection((HOST, bot.client.port)) as connection:
        head = f"{method} {address} HTTP/1.1\r\nHost: numberdesk.example\r\nContent-Length: {len(body)}\r\n"
        if form:
            head += "Content-Type: application/x-www-form-urlencoded\r\n"
        connection.sendall(f"{head}\r\n{body}".encode())
        connection.settimeout(after)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def orders_of(stand: Stand, bot: Bot) -> int:
    return int(stand.ask("SELECT count(*) FROM orders WHERE account_id = $1", bot.client.account_id))


def notes_of(stand: Stand, bot: Bot) -> int:
    """Count the notes of a customer, once those of purchases that were just answered are gone."""
    count = "SELECT count(*) FROM undelivered_purchases WHERE account_id = $1"
    for _ in range(100):
        if not stand.ask(f"{count} AND holder IS NOT NULL", bot.client.account_id):
            break
        time.sleep(0.02)
    return int(stand.ask(count, bot.client.account_id))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("form", [False, True])
def test_the_next_try_gets_the_number_of_the_one_that_hung_up(
    stand: Stand, alice: Bot, dialect: str, form: bool
) -> None:
    bot = alice.speaking(dialect)
    with slow(stand):
        hang_up(bot, form=form)
        answer = bot.send("getNumberV2", **WANTED)
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.json["phoneNumber"].isdigit()
    assert (orders_of(stand, alice), notes_of(stand, alice)) == (1, 0)
    assert money(alice) == (HELD, PRICE)
    assert bot.json("getNumberV2", **WANTED)["activationId"] != answer.json["activationId"]
    assert money(alice) == (HELD_TWICE, str(2 * Decimal(PRICE)))


def test_a_number_that_came_after_its_client_left_waits_for_it(stand: Stand, alice: Bot) -> None:
    with slow(stand):
        hang_up(alice)
        time.sleep(SLOW)
    assert alice.text("getNumber", service="wa", country="22").startswith("ACCESS_NUMBER:")
    answer = alice.send("getNumberV2", **WANTED)
    assert answer.headers["idempotent-replayed"] == "true"
    assert orders_of(stand, alice) == 2


def test_many_who_hang_up_one_after_another_buy_one_number(stand: Stand, alice: Bot) -> None:
    with slow(stand, 1.5):
        for _ in range(4):
            hang_up(alice, after=0.2)
        answer = alice.send("getNumberV2", **WANTED)
    assert answer.json["activationId"]
    assert (orders_of(stand, alice), money(alice)) == (1, (HELD, PRICE))


def test_who_asked_for_the_object_gets_it_also_by_the_older_action(stand: Stand, alice: Bot) -> None:
    with slow(stand):
        hang_up(alice, "getNumberV2")
        assert alice.send("getNumber", **WANTED).json["phoneNumber"].isdigit()
        hang_up(alice, "getNumber")
        assert alice.text("getNumber", **WANTED).startswith("ACCESS_NUMBER:")
    assert orders_of(stand, alice) == 2


def test_another_purchase_takes_nothing_over(stand: Stand, alice: Bot, bob: Bot) -> None:
    others = ({"service": "wa"}, {"country": "0", "service": "go"}, {"maxPrice": "500"}, {"operator": "any,airtel"})
    with slow(stand, 0.5):
        hang_up(alice, after=0.2)
        for other in others[:3]:
            assert "idempotent-replayed" not in alice.send("getNumberV2", **(WANTED | other)).headers
        assert "idempotent-replayed" not in bob.send("getNumberV2", **WANTED).headers
        assert alice.send("getNumberV2", **(WANTED | others[3])).headers["idempotent-replayed"] == "true"
    assert (orders_of(stand, alice), orders_of(stand, bob)) == (4, 1)


def test_another_key_of_the_account_takes_nothing_over(stand: Stand, alice: Bot) -> None:
    other = Bot(stand.another_key(alice.client))
    with slow(stand, 0.5):
        hang_up(alice, after=0.2)
        assert "idempotent-replayed" not in other.send("getNumberV2", **WANTED).headers
    assert orders_of(stand, alice) == 2


def test_purchases_that_live_are_never_merged(stand: Stand, alice: Bot) -> None:
    with slow(stand, 0.5), ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: alice.json("getNumberV2", **WANTED)["activationId"], range(12)))
    assert len(set(answers)) == 12
    assert (orders_of(stand, alice), notes_of(stand, alice)) == (12, 0)


def test_one_that_hung_up_is_taken_over_by_one_only(stand: Stand, alice: Bot) -> None:
    with slow(stand), ThreadPoolExecutor(8) as pool:
        hang_up(alice)
        answers = list(pool.map(lambda _: alice.send("getNumberV2", **WANTED), range(8)))
    assert len({answer.json["activationId"] for answer in answers}) == 8
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 1
    assert (orders_of(stand, alice), notes_of(stand, alice)) == (8, 0)


def test_one_that_hangs_up_and_asks_again_at_once_is_not_faster_than_the_note(stand: Stand, alice: Bot) -> None:
    with slow(stand, 0.6):
        for _ in range(10):
            hang_up(alice, after=0.1)
            assert alice.send("getNumberV2", **WANTED).headers["idempotent-replayed"] == "true"
    assert orders_of(stand, alice) == 10


def test_a_purchase_that_came_to_nothing_is_made_anew(stand: Stand, alice: Bot) -> None:
    with provider_is(stand, "no-stock", answer_delay=0.6):
        hang_up(alice, after=0.2)
        time.sleep(0.7)
    answer = alice.send("getNumberV2", **WANTED)
    assert answer.json["phoneNumber"].isdigit()
    assert "idempotent-replayed" not in answer.headers
    assert money(alice) == (HELD, PRICE)


def test_a_number_that_was_given_back_meanwhile_is_not_handed_over(stand: Stand, alice: Bot) -> None:
    with slow(stand, 0.5):
        hang_up(alice, after=0.2)
        time.sleep(0.6)
    (item,) = alice.json("getActiveActivations")["data"]
    stand.ripen(int(item["activationId"]))
    assert alice.text("setStatus", id=item["activationId"], status=8) == "ACCESS_CANCEL"
    assert alice.json("getNumberV2", **WANTED)["activationId"] != int(item["activationId"])


def test_after_a_minute_a_purchase_is_one_of_its_own(stand: Stand, alice: Bot) -> None:
    with slow(stand, 0.5):
        hang_up(alice, after=0.2)
        time.sleep(0.6)
    stand.change("UPDATE undelivered_purchases SET noted_at = noted_at - interval '61 seconds'")
    assert "idempotent-replayed" not in alice.send("getNumberV2", **WANTED).headers
    assert orders_of(stand, alice) == 2


def test_an_order_id_finds_its_purchase_although_its_client_hung_up(stand: Stand, alice: Bot) -> None:
    with slow(stand):
        hang_up(alice, **WANTED, orderId="mine")
        answer = alice.send("getNumberV2", orderId="mine", **WANTED)
        assert answer.headers["idempotent-replayed"] == "true"
        assert "idempotent-replayed" not in alice.send("getNumberV2", **WANTED).headers
    assert (orders_of(stand, alice), notes_of(stand, alice)) == (2, 0)


def test_a_purchase_without_an_order_id_does_not_take_one_with_it_over(stand: Stand, alice: Bot) -> None:
    with slow(stand, 0.5):
        hang_up(alice, after=0.2, **WANTED, orderId="mine")
        time.sleep(0.6)
    other = alice.send("getNumberV2", **WANTED)
    assert "idempotent-replayed" not in other.headers
    assert alice.json("getNumberV2", orderId="mine", **WANTED)["activationId"] != other.json["activationId"]
    assert orders_of(stand, alice) == 2


def test_a_number_that_is_being_given_back_is_not_handed_over(stand: Stand, alice: Bot) -> None:
    with slow(stand, 0.5):
        hang_up(alice, after=0.2)
        time.sleep(0.6)
    (item,) = alice.json("getActiveActivations")["data"]
    stand.ripen(int(item["activationId"]))
    with provider_is(stand, "http-500", fault_on="everything"):
        assert alice.text("setStatus", id=item["activationId"], status=8) == "ERROR_SQL"
    stand.change("UPDATE orders SET next_try_at = next_try_at + interval '1 minute' WHERE state = 'cancelling'")
    assert alice.json("getNumberV2", **WANTED)["activationId"] != int(item["activationId"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_unclear_outcome_is_answered_in_time_and_handed_over_when_it_is_known(
    portal: BlockingPortal, cluster: Cluster, dialect: str
) -> None:
    with stands.opened(portal, cluster, rate_limit_protocol="off") as stand:
        bot = Bot(stand.customer(), dialect)
        with provider_is(stand, "sold-then-dropped", fault_on="everything"):  # its list is not to be had, either
            answer = bot.send("getNumberV2", **WANTED)
        assert answer.status == 200
        if dialect == "hero":
            assert answer.json["title"] == "ERROR_SQL"
        else:
            assert answer.body == b"ERROR_SQL"
        assert (money(bot), notes_of(stand, bot)) == ((HELD, PRICE), 1)
        for _ in range(6):
            got = bot.send("getNumberV2", **WANTED)  # each waits a while for what its provider says
            if "idempotent-replayed" in got.headers:
                break
        assert got.headers["idempotent-replayed"] == "true"
        assert (orders_of(stand, bot), money(bot)) == (1, (HELD, PRICE))


def test_another_process_takes_over_while_the_first_is_still_at_it(stand: Stand, alice: Bot) -> None:
    with stands.joined(stand) as other_port, slow(stand):
        other = replace(alice, client=replace(alice.client, port=other_port))
        hang_up(alice)
        answer = other.send("getNumberV2", **WANTED)
        assert answer.headers["idempotent-replayed"] == "true"
        hang_up(other)
        time.sleep(SLOW)
        assert alice.send("getNumberV2", **WANTED).headers["idempotent-replayed"] == "true"
    assert orders_of(stand, alice) == 2


def test_purchases_that_live_at_two_processes_are_never_merged(stand: Stand, alice: Bot) -> None:
    with stands.joined(stand) as other_port, slow(stand), ThreadPoolExecutor(8) as pool:
        other = replace(alice, client=replace(alice.client, port=other_port))
        answers = list(pool.map(lambda bot: bot.send("getNumberV2", **WANTED), [alice, other] * 4))
    assert len({answer.json["activationId"] for answer in answers}) == 8
    assert not any("idempotent-replayed" in answer.headers for answer in answers)
    assert (orders_of(stand, alice), notes_of(stand, alice)) == (8, 0)


def test_a_process_of_which_nothing_is_known_keeps_its_purchases_for_a_while_only(stand: Stand, alice: Bot) -> None:
    with stands.joined(stand) as other_port, ThreadPoolExecutor(1) as pool:
        other = replace(alice, client=replace(alice.client, port=other_port))
        with slow(stand):
            first = pool.submit(other.send, "getNumberV2", **WANTED)
            time.sleep(SLOW / 2)
            stand.change("UPDATE undelivered_purchases SET held_until = clock_timestamp() WHERE holder IS NOT NULL")
            assert alice.send("getNumberV2", **WANTED).headers["idempotent-replayed"] == "true"
        assert first.result(timeout=10).status == 200
    assert (orders_of(stand, alice), notes_of(stand, alice)) == (1, 0)


def test_no_key_of_an_address_is_written_anywhere(stand: Stand, alice: Bot, capfd: pytest.CaptureFixture[str]) -> None:
    with slow(stand, 0.4):
        hang_up(alice, after=0.2)
        assert alice.send("getNumber", **WANTED).headers["idempotent-replayed"] == "true"
    with provider_is(stand, "http-500", fault_on="purchases"):
        hang_up(alice, after=0.0001)
    assert alice.client.key is not None
    assert alice.client.key not in "".join(capfd.readouterr())


def test_a_stop_answers_an_unclear_purchase_at_once_and_leaves_it_to_the_next_try(
    portal: BlockingPortal, cluster: Cluster
) -> None:
    with stands.opened(portal, cluster, rate_limit_protocol="off") as stand, ThreadPoolExecutor(1) as pool:
        bot = Bot(stand.customer())
        with provider_is(stand, "sold-then-dropped", fault_on="everything"):
            waiting = pool.submit(bot.send, "getNumberV2", **WANTED)
            time.sleep(1.0)
            assert not waiting.done()
            stopped = time.monotonic()
            stand.portal.call(_end_waits, stand)
            assert waiting.result(timeout=10).body == b"ERROR_SQL"
            # `serve` gives what is under way two seconds, and takes the database away from the rest.
            assert time.monotonic() - stopped < 2
        assert (money(bot), notes_of(stand, bot)) == ((HELD, PRICE), 1)


async def _end_waits(stand: Stand) -> None:
    stand.site.desk.end_waits()


PATHS = {
    "handler": ("/stubs/handler_api.php", "action=getNumberV2&service=tg&country=22"),
    "five-sim": ("/v1/user/buy/activation/india/any/telegram", ""),
}


@pytest.mark.parametrize("door", PATHS)
def test_an_answer_that_cannot_be_written_was_not_delivered(stand: Stand, alice: Bot, door: str) -> None:
    path, query = PATHS[door]
    scope = {"method": "GET", "path": path, "query_string": query.encode(), "headers": []}
    visit = Visit("a-request-of-the-tests", "127.0.0.1", key=alice.client.key)
    heard: list[str] = []

    async def work() -> None:
        asleep = asyncio.Event()

        async def receive() -> Any:
            await asleep.wait()

        async def send(message: Any) -> None:
            heard.append(message["type"])
            raise OSError("the connection is gone")

        (found,) = [each for each in doors(stand.site) if path.startswith(tuple(each.starts))]
        await found.answer(visit, scope, receive, send)

    with pytest.raises(OSError, match="is gone"):
        stand.portal.call(work)
    assert heard == ["http.response.start"]
    assert (orders_of(stand, alice), notes_of(stand, alice)) == (1, 1)
