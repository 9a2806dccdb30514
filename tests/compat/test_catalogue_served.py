"""The catalogue of the protocol as bots ask for it: over HTTP, in all dialects, with good and bad words."""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from numberdesk.compat._lists import ACTIONS
from tests.compat.test_price_table import changed, charge_more
from tests.http.stand import PRICE, Answer, Client, Stand
from tests.http.test_sandbox import made

PREFIXES = {"classic": "", "hero": "/hero", "grizzly": "/grizzly"}
ERROR_WORDS = (
    "BAD_KEY", "NO_KEY", "ERROR_SQL", "BAD_ACTION", "BAD_SERVICE", "BAD_COUNTRY", "NO_NUMBERS", "NO_BALANCE",
    "WRONG_SERVICE", "API_KEY_NOT_VALID", "NO_ACTIVATION", "STATUS_CANCEL", "BAD_STATUS",
)  # fmt: skip
"""What clients look for anywhere in a body."""
TOPS = ("getTopCountriesByService", "getTopCountriesByServiceRank", "getListOfTopCountriesByService")


@pytest.fixture(scope="module")
def alice(stand: Stand) -> Client:
    return stand.customer()


def path(client: Client, action: str, dialect: str = "classic", **asked: str) -> str:
    query = urlencode({"api_key": client.key, "action": action} | asked, errors="surrogatepass")
    return f"{PREFIXES[dialect]}/stubs/handler_api.php?{query}"


def ask(client: Client, action: str, dialect: str = "classic", **asked: str) -> Answer:
    """Ask as bots do: with the key in the address and nowhere else."""
    return Client(client.port).get(path(client, action, dialect, **asked))


def read(client: Client, action: str, dialect: str = "classic", **asked: str) -> Any:
    answer = ask(client, action, dialect, **asked)
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "application/json"
    assert not answer.body.startswith((b"\xef\xbb\xbf", b" "))
    assert not answer.body.endswith(b"\n")
    return json.loads(answer.body, parse_float=Decimal)


@pytest.mark.parametrize("dialect", PREFIXES)
@pytest.mark.parametrize("action", ACTIONS)
def test_every_list_is_json_and_holds_no_error_word(alice: Client, dialect: str, action: str) -> None:
    needed = {"service": "tg"} if action in TOPS else {}
    for more in ({}, {"country": "22"}, {"country": "22", "service": "tg"}):
        answer = ask(alice, action, dialect, **needed | more)
        assert answer.headers["content-type"] == "application/json"
        assert answer.status == 200
        assert answer.json is not None
        assert not [word for word in ERROR_WORDS if word.encode() in answer.body]


def test_the_price_that_is_shown_is_the_price_that_is_paid(stand: Stand, alice: Client) -> None:
    bob = stand.customer()
    etag = bob.get("/services/prices").headers["etag"]
    charge_more(stand, bob)
    changed(bob, "/services/prices", etag)
    for client, expected in ((alice, PRICE), (bob, "26.63")):
        row = read(client, "getPrices", service="tg", country="22")["22"]["tg"]
        assert row["cost"] == read(client, "getPrices")["22"]["tg"]["cost"] == Decimal(expected)
        assert next(iter(read(client, "getPricesV2", service="tg", country="22")["22"]["tg"])) == expected
        assert read(client, "getTopCountriesByService", service="tg")["22"]["price"] == Decimal(expected)
        assert read(client, "getPricesVerification", service="tg")["tg"]["22"]["price"] == expected
        order_id = client.buy()
        assert client.post("/auth/check-otp", {"orderId": order_id}).data["price"] == expected
        paid = stand.ask("SELECT price_paise FROM orders WHERE id = $1", order_id)
        assert paid == row["cost"] * 100


@pytest.mark.parametrize("action", [name for name in ACTIONS if name not in TOPS])
@pytest.mark.parametrize("dialect", PREFIXES)
def test_bad_words_never_break_a_list(alice: Client, dialect: str, action: str) -> None:
    for word in ("zz9", "-1", "9" * 300, "x" * 600, "\0", "²", "' OR 1=1 --", "\u202e", "%s%n", "[]", "\ud800"):
        for name in ("service", "country", "operator", "lang", "freePrice", "suffix"):
            answer = ask(alice, action, dialect, **{name: word})
            assert answer.status in (200, 400, 404), (answer, name, word)
            assert b"Traceback" not in answer.body
            if dialect == "classic":
                assert answer.status == 200
                assert answer.body == b"OPERATORS_NOT_FOUND" or answer.json is not None


@pytest.mark.parametrize("action", TOPS)
def test_a_top_list_of_an_unknown_service_is_refused_in_the_words_of_the_dialect(alice: Client, action: str) -> None:
    word = "WRONG_SERVICE" if "ListOf" in action else "BAD_SERVICE"
    for asked in ({}, {"service": ""}, {"service": "zz9"}, {"service": "ts"}, {"service": "x" * 600}):
        for dialect in ("classic", "grizzly"):
            answer = ask(alice, action, dialect, **asked)
            assert (answer.status, answer.body) == (200, word.encode())
        answer = ask(alice, action, "hero", **asked)
        assert (answer.status, answer.json["title"]) == (400, word)


def test_operators_of_an_unknown_country_are_not_found_in_any_dialect(alice: Client) -> None:
    for dialect in PREFIXES:
        answer = ask(alice, "getOperators", dialect, country="999")
        assert (answer.status, answer.body) == (200, b"OPERATORS_NOT_FOUND")


def test_blanks_in_names_and_a_form_are_read_alike(alice: Client) -> None:
    expected = ask(alice, "getPrices", service="tg", country="22").body
    address = "/stubs/handler_api.php?" + urlencode(
        {"api_key": alice.key, "action": "getPrices", "service ": " tg", "country ": "22 ", "json": "1", "ref": "x"}
    )
    assert Client(alice.port).get(address).body == expected
    assert Client(alice.port).send("POST", address, body=b"").body == expected
    form = urlencode({"api_key": alice.key, "action": "getPrices", "service": "tg", "country": "22"}).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    sent = Client(alice.port).send("POST", "/stubs/handler_api.php", body=form, headers=kind)
    assert sent.body == expected


def test_a_sandbox_is_listed_its_scripts_and_nobody_else_is(stand: Stand, alice: Client) -> None:
    tester = made(stand.signed_in("asha@catalogue-tests.example"))
    listed = {row["code"] for row in read(tester, "getServicesList")["services"]}
    assert "testcode" in listed
    assert all(code.startswith("test") for code in listed)
    for country in (read(tester, "getPrices"), read(tester, "getPricesV2", country="22")):
        assert set(country["22"]) == listed
    assert not listed & {row["code"] for row in read(alice, "getServicesList")["services"]}
    assert read(alice, "getPrices", service="testcode") == {}
    assert ask(tester, "getTopCountriesByService", service="tg").body == b"BAD_SERVICE"
    assert read(tester, "getListOfTopCountriesByService", service="testcode") == {"status": "success", "data": []}
