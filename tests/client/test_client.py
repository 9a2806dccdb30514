"""The client of the REST API against a running site, in both its forms."""

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from numberdesk.client import ApiError, NoCode, Unreachable
from tests.http.stand import HOST, PRICE, Client, Stand
from tests.http.test_sandbox import made

Opens = Callable[..., Any]

_renters = itertools.count(1)


def test_a_number_is_bought_its_code_waited_for_and_the_order_finished(stand: Stand, desk: Any) -> None:
    order = desk.get_number("tg", "IN", max_price=Decimal(PRICE))
    assert (order.status, order.price, order.otp, order.number[0]) == ("active", Decimal(PRICE), None, "+")
    stand.deliver(order.order_id, "48213")
    assert desk.wait_for_code(order.order_id, timeout=10).otp == "48213"
    balance = desk.balance()
    assert (balance.available, balance.held) == (Decimal(1000) - Decimal(PRICE), Decimal(0))
    assert desk.finish(order.order_id).is_over
    assert [known.order_id for known in desk.orders(status="completed").items] == [order.order_id]


def test_a_wait_ends_without_a_code_and_says_what_the_order_is(stand: Stand, desk: Any) -> None:
    order = desk.get_number("tg", "IN")
    with pytest.raises(NoCode) as told:
        desk.wait_for_code(order.order_id, timeout=0.2)
    assert told.value.order.status == "active"
    stand.ripen(order.order_id)
    assert desk.cancel(order.order_id).refund.amount == Decimal(PRICE)
    with pytest.raises(NoCode) as told:
        desk.wait_for_code(order.order_id, timeout=10)
    assert told.value.order.status == "cancelled"


def test_several_numbers_are_bought_with_one_call(desk: Any) -> None:
    assert len(desk.get_numbers("tg", "IN", 3)) == 3
    with pytest.raises(ValueError, match="at least two"):
        desk.get_numbers("tg", "IN", 1)


def test_one_more_code_comes_on_the_same_number(stand: Stand, desk: Any) -> None:
    order = desk.get_number("tg", "IN")
    stand.deliver(order.order_id, "11111")
    desk.wait_for_code(order.order_id, timeout=10)
    desk.next_code(order.order_id)
    with pytest.raises(NoCode):
        desk.wait_for_code(order.order_id, codes=2, timeout=0.2)
    stand.deliver(order.order_id, "22222")
    assert desk.wait_for_code(order.order_id, codes=2, timeout=10).otp == "22222"
    assert [message.code for message in desk.check(order.order_id).messages] == ["11111", "22222"]


def test_what_is_on_sale_is_listed_page_by_page(desk: Any) -> None:
    whole = desk.services(limit=500)
    first = desk.services(limit=1)
    assert first.items == whole.items[:1]
    assert desk.services(limit=1, cursor=first.next_cursor).items == whole.items[1:2]
    assert {offer.service for offer in desk.services(service="tg").items} == {"tg"}


def test_a_refusal_has_its_word_its_status_and_its_fields(stand: Stand, desk: Any, opens: Opens) -> None:
    with pytest.raises(ApiError) as told:
        desk.get_number("no-such-service", "IN")
    assert (told.value.status, told.value.code) == (400, "unknown_service")
    assert told.value.request_id
    with pytest.raises(ApiError) as told:
        desk.check(2**40)
    assert (told.value.status, told.value.code) == (404, "not_found")
    with pytest.raises(ApiError) as told:
        opens(f"http://{HOST}:{stand.port}", "nd_live_wrong").balance()
    assert told.value.code == "bad_api_key"
    assert "nd_live_wrong" not in f"{told.value!r} {told.value}"


def test_a_key_of_the_callers_own_gives_the_same_order_again(desk: Any) -> None:
    first = desk.get_number("tg", "IN", idempotency_key="order-of-mine-1")
    assert desk.get_number("tg", "IN", idempotency_key="order-of-mine-1").order_id == first.order_id
    assert desk.get_number("tg", "IN").order_id != first.order_id


@contextmanager
def cutting(port: int, cuts: int) -> Iterator[int]:
    """Pass connections on to a port, but cut the first ones when their answer is there; yields the port to use."""
    listener = socket.create_server((HOST, 0))
    numbers = itertools.count()

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while sent := source.recv(65536):
                target.sendall(sent)

    def serve(near: socket.socket, number: int) -> None:
        with near, socket.create_connection((HOST, port)) as far:
            threading.Thread(target=pump, args=(near, far), daemon=True).start()
            if number < cuts:
                far.recv(1)
                near.shutdown(socket.SHUT_RDWR)
            else:
                pump(far, near)

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                threading.Thread(target=serve, args=(near, next(numbers)), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def test_a_purchase_whose_answer_was_lost_is_asked_for_again_and_made_once(
    stand: Stand, alice: Client, opens: Opens
) -> None:
    with cutting(stand.port, 2) as port:
        order = opens(f"http://{HOST}:{port}", alice.key).get_number("tg", "IN")
    assert order.status == "active"
    assert stand.ask("SELECT count(*) FROM orders WHERE account_id = $1", alice.account_id) == 1


def test_a_purchase_without_any_answer_can_be_repeated_by_what_its_error_holds(
    stand: Stand, alice: Client, desk: Any, opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numberdesk.client._calls.PAUSES", (0.0, 0.0, 0.0))
    with cutting(stand.port, 4) as port, pytest.raises(Unreachable) as told:
        opens(f"http://{HOST}:{port}", alice.key).get_number("tg", "IN")
    desk.get_number("tg", "IN", idempotency_key=told.value.idempotency_key)
    assert stand.ask("SELECT count(*) FROM orders WHERE account_id = $1", alice.account_id) == 1
    with pytest.raises(ApiError) as refused:
        desk.get_number("tg", "IN", max_price="0.01", idempotency_key="of-mine")
    assert refused.value.idempotency_key == "of-mine"


def test_a_server_that_is_not_there_is_said_to_be(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numberdesk.client._calls.PAUSES", (0.0, 0.0, 0.0))
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match="no answer after 4 tries"):
        opens(f"http://{HOST}:{port}", "nd_live_x").balance()


def test_what_is_no_answer_of_numberdesk_is_told_as_that(opens: Opens) -> None:
    with socket.create_server((HOST, 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as near:
                near.recv(65536)
                near.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html></html>")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ApiError, match="something else"):
            opens(f"http://{HOST}:{listener.getsockname()[1]}", "nd_live_x").balance()


def test_a_rental_is_prolonged_at_most_at_the_price_named(stand: Stand, opens: Opens) -> None:
    tester = made(stand.signed_in(f"renter{next(_renters)}@example.com"))
    desk = opens(f"http://{HOST}:{stand.port}", tester.key)
    order = desk.get_number("testcode", "IN", hours=4)
    desk.wait_for_code(order.order_id, timeout=20)
    with pytest.raises(ApiError) as told:
        desk.extend(order.order_id, hours=4, max_price="29.99")
    assert told.value.code == "price_too_low"
    longer = desk.extend(order.order_id, hours=4, max_price=Decimal("30.00"))
    assert longer.expires_at - order.expires_at == timedelta(hours=4)
