"""What rough clients, and those who mean harm, do to the protocol: bytes, keys, switches and many at once."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any, LiteralString

import pytest

from tests.compat.bot import DIALECTS, PATH, Bot, money, received
from tests.compat.test_handover import PATIENCE, hang_up, notes_of, orders_of, slow
from tests.http import stand as stands
from tests.http.stand import HOST, Stand

WANTED: dict[str, Any] = {"service": "tg", "country": "22"}
CALM = {
    "getBalance": {}, "getPrices": {"service": "tg"}, "getCountries": {}, "getActiveActivations": {}, "getHistory": {},
    "getRentList": {}, "getServicesList": {},
}  # fmt: skip


def raw(stand: Stand, head: bytes, body: bytes = b"") -> bytes:
    """Send bytes as they are, and return all that comes."""
    with closing(socket.create_connection((HOST, stand.port), timeout=10)) as connection:
        connection.sendall(head + b"\r\nHost: numberdesk.example\r\nConnection: close\r\n" + body)
        parts = []
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (b"api_key=%s&action=getBalance&action=nosuch", b"ACCESS_BALANCE:1000.00"),
        (b"api_key=%s&action=getBalance&api_key=wrong", b"ACCESS_BALANCE:1000.00"),
        (b"api_key=wrong&api_key=%s&action=getBalance", b"BAD_KEY"),
        (b"&&api_key=%s&&&action=getBalance&&", b"ACCESS_BALANCE:1000.00"),
        (b"api_key=%s&action=get%%42alance", b"ACCESS_BALANCE:1000.00"),
        (b"api_key=%s;action=getBalance", b"BAD_KEY"),
        (b"api_key=%s&amp;action=getBalance", b"NO_ACTION"),
        (b"api_key=%s&action=getBalance%%00", b"BAD_ACTION"),
        (b"api_key=%s%%00&action=getBalance", b"BAD_KEY"),
        (b"api_key=%s&action%%00=getBalance", b"NO_ACTION"),
        (b"api_key=%s&action=getBalance%%0d%%0aX-Injected:%%201", b"BAD_ACTION"),
        (b"api_key=%s&action=%%u0067etBalance", b"BAD_ACTION"),
        (b"api_key=%s&action=%%c1%%a7etBalance", b"BAD_ACTION"),
        (b"api_key=%s&action=getBalance%%EF%%BB%%BF", b"BAD_ACTION"),
        (b"api_key=%s&action=getBalance%%", b"BAD_ACTION"),
        (b"api_key=%s&action=getBalance&%%=%%&=&junk", b"ACCESS_BALANCE:1000.00"),
        (b"api_key[]=%s&action=getBalance", b"NO_KEY"),
        (b"API_KEY=%s&action=getBalance", b"NO_KEY"),
        (b"api_key=%s&action=getBalance#/stubs", b"ACCESS_BALANCE:1000.00"),
    ],
)
def test_odd_bytes_of_an_address_mean_what_they_say_or_nothing(
    stand: Stand, alice: Bot, query: bytes, answer: bytes
) -> None:
    assert alice.client.key is not None
    got = raw(stand, b"GET " + PATH.encode() + b"?" + query % alice.client.key.encode() + b" HTTP/1.1", b"\r\n")
    assert b"X-Injected" not in got
    assert got.partition(b"\r\n\r\n")[2] == answer, got


@pytest.mark.parametrize("piece", [b"\xff", b"\xd1\x82", b"\x80%ff"])
def test_bytes_that_belong_in_no_address_buy_nothing(stand: Stand, alice: Bot, piece: bytes) -> None:
    assert alice.client.key is not None
    path = f"{PATH}?api_key={alice.client.key}&action=getNumber&service=tg&country=".encode()
    got = raw(stand, b"GET " + path + piece + b" HTTP/1.1", b"\r\n")
    assert b"BAD_COUNTRY" in got or b"HTTP/1.1 400" in got, got
    assert money(alice) == ("1000.00", "0.00")


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 1000\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\naction=getNumber",
        b"Transfer-Encoding: chunked\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nzz\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\naction",
    ],
)
def test_a_form_that_never_comes_to_its_end_buys_nothing(stand: Stand, alice: Bot, body: bytes) -> None:
    assert alice.client.key is not None
    path = f"{PATH}?api_key={alice.client.key}&action=getNumber&service=tg&country=22".encode()
    with closing(socket.create_connection((HOST, stand.port), timeout=10)) as connection:
        connection.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: numberdesk.example\r\n" + body)
        connection.settimeout(PATIENCE)
        try:
            got = connection.recv(65_536)
        except TimeoutError:
            got = b""
    assert b"ACCESS_NUMBER" not in got
    time.sleep(PATIENCE)
    assert orders_of(stand, alice) == 0


@pytest.mark.parametrize("value", ["9" * 18, "9" * 29, "9" * 31, "1e9", "0x10", "-1", "1_000", "٣٠٠", "1" * 500])
def test_numbers_of_any_size_page_lists_and_name_nothing(alice: Bot, value: str) -> None:
    for action in ("getActiveActivations", "getHistory", "getAllSms", "getRentList", "getRentStatus", "getStatus"):
        for dialect in DIALECTS:
            bot = alice.speaking(dialect)
            answer = bot.send(action, id=value, start=value, limit=value, offset=value, size=value, page=value)
            assert answer.status < 500, answer
            assert dialect == "hero" or answer.status == 200, answer
    for name in ("maxPrice", "max_price"):
        for wish in ("inf", "nan", "1e400", value):
            told = alice.text("getNumber", **WANTED, **{name: wish})
            assert told == "WRONG_MAX_PRICE:21.30" or wish in ("1e9", "9" * 18), (wish, told)


def test_an_empty_parameter_hides_no_other_one_of_its_name(alice: Bot) -> None:
    assert alice.text("getNumber", **WANTED, maxPrice=["", " ", "0.01"]).startswith("WRONG_MAX_PRICE")
    asked = WANTED | {"maxPrice": ""}
    answer = alice.send("getNumber", method="POST", form={"maxPrice": "0.01"}, **asked)
    assert answer.body == b"WRONG_MAX_PRICE:21.30"
    assert alice.text("getNumber", **WANTED, maxPrice=["100", "0.01"]).startswith("ACCESS_NUMBER")


def state_is(stand: Stand, bot: Bot, query: LiteralString) -> None:
    """Change an account, and wait until this process knows."""
    stand.change(query, bot.client.account_id)
    time.sleep(1.0)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_banned_account_is_told_so_by_every_action(stand: Stand, alice: Bot, dialect: str) -> None:
    order_id = received(stand, alice)
    state_is(stand, alice, "UPDATE accounts SET state = 'banned', changed_at = clock_timestamp() WHERE id = $1")
    bot = alice.speaking(dialect)
    expected = (403, "ACCOUNT_INACTIVE") if dialect == "hero" else (200, "ACCOUNT_INACTIVE")
    for action, asked in (CALM | {"getNumber": WANTED, "getStatus": {"id": order_id}}).items():
        if action.startswith("getRent") and dialect != "hero":
            assert bot.json(action, **asked)["message"] == "ACCOUNT_INACTIVE"
        else:
            assert bot.refused(action, **asked) == expected, action
    assert orders_of(stand, alice) == 1


def test_a_key_that_is_revoked_amid_a_purchase_still_hears_of_it(stand: Stand, alice: Bot) -> None:
    other = Bot(stand.another_key(alice.client))
    with slow(stand), ThreadPoolExecutor(2) as pool:
        wanted = [pool.submit(bot.send, "getNumberV2", **WANTED) for bot in (other, alice)]
        time.sleep(PATIENCE)
        stand.change(
            "UPDATE api_keys SET revoked_at = clock_timestamp() WHERE account_id = $1 AND name = 'other'",
            alice.client.account_id,
        )
        answers = [each.result(timeout=10) for each in wanted]
    assert len({answer.json["activationId"] for answer in answers}) == 2
    for _ in range(30):
        if other.text("getBalance") == "BAD_KEY":
            break
        time.sleep(0.1)
    assert other.text("getNumber", **WANTED) == "BAD_KEY"
    assert (orders_of(stand, alice), notes_of(stand, alice)) == (2, 0)


def test_a_purchase_goes_to_who_speaks_another_dialect_by_now(stand: Stand, alice: Bot) -> None:
    key = Bot(stand.another_key(alice.client))
    with slow(stand):
        hang_up(key)
        stand.change(
            "UPDATE api_keys SET dialect = 'hero' WHERE account_id = $1 AND name = 'other'", alice.client.account_id
        )
        answer = key.send("getNumberV2", **WANTED)
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.json["activationId"]
    assert orders_of(stand, alice) == 1


@pytest.mark.parametrize("is_two_processes", [False, True])
def test_many_with_one_order_id_at_once_are_one_purchase(stand: Stand, alice: Bot, is_two_processes: bool) -> None:
    with stands.joined(stand) as other_port, slow(stand, 0.5), ThreadPoolExecutor(16) as pool:
        port = other_port if is_two_processes else alice.client.port
        other = replace(alice, client=replace(alice.client, port=port))
        same = [pool.submit(bot.json, "getNumberV2", **WANTED, orderId="one") for bot in [alice, other] * 5]
        while not stand.ask("SELECT count(*) FROM purchase_references WHERE account_id = $1", alice.client.account_id):
            time.sleep(0.01)
        others = [pool.submit(alice.text, "getNumber", service="wa", country="22", orderId="one") for _ in range(2)]
        free = [pool.submit(alice.json, "getNumberV2", **WANTED) for _ in range(3)]
        ids = {each.result(timeout=20)["activationId"] for each in same}
        words = {each.result(timeout=20) for each in others}
        singles = {each.result(timeout=20)["activationId"] for each in free}
    assert len(ids) == 1
    assert words == {"ORDER_ALREADY_EXISTS"}
    assert len(singles) == 3
    assert not ids & singles
    assert (orders_of(stand, alice), notes_of(stand, alice)) == (4, 0)
