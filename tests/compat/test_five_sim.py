"""5sim's API: each route, its words and statuses, and the money that moves."""

import json
import re
from datetime import datetime, timedelta

import pytest

from numberdesk.compat.five_sim._wire import REFUSALS
from tests.architecture.sources import ROOT
from tests.compat.five_sim_client import BUY, Sim, received, refusal
from tests.http.stand import PRICE, Client, Stand
from tests.http.test_sandbox import made

COST = float(PRICE)


@pytest.fixture
def alice(stand: Stand) -> Sim:
    """A new customer with a thousand rupees."""
    return Sim(stand.customer())


@pytest.fixture
def bob(stand: Stand) -> Sim:
    """Another new customer with a thousand rupees."""
    return Sim(stand.customer())


@pytest.fixture
def guest(stand: Stand) -> Sim:
    """Somebody without a key."""
    return Sim(stand.nobody)


def test_countries_begin_with_the_four_fields_that_are_no_operators(guest: Sim) -> None:
    india = guest.json("/v1/guest/countries")["india"]
    assert list(india) == ["iso", "prefix", "text_en", "text_ru", "any"]
    assert india == {
        "iso": {"in": 1}, "prefix": {"+91": 1}, "text_en": "India", "text_ru": "India", "any": {"activation": 1},
    }  # fmt: skip


@pytest.mark.parametrize("place", ["india/any", "India/ANY", "22/any", "in/Any"])
def test_products_of_a_country_are_found_by_each_of_its_names(guest: Sim, place: str) -> None:
    listed = guest.json(f"/v1/guest/products/{place}")
    assert listed["telegram"] == {"Category": "activation", "Qty": listed["telegram"]["Qty"], "Price": COST}
    assert listed["telegram"]["Qty"] > 0


def test_products_of_any_country_are_added_up_at_the_lowest_price(guest: Sim) -> None:
    everywhere, india = (guest.json(f"/v1/guest/products/{place}/any")["telegram"] for place in ("any", "india"))
    assert everywhere["Qty"] > india["Qty"]
    assert everywhere["Price"] < india["Price"]


def test_prices_come_by_country_and_of_a_product_alone_by_product(guest: Sim) -> None:
    row = guest.json("/v1/guest/prices", country="india", product="telegram")["india"]["telegram"]["any"]
    assert row["cost"] == COST
    assert row["count"] > 0
    assert guest.json("/v1/guest/prices")["india"]["telegram"]["any"] == row
    assert guest.json("/v1/guest/prices", country="india")["india"]["telegram"]["any"] == row
    assert guest.json("/v1/guest/prices", product="telegram")["telegram"]["india"]["any"] == row


def test_prices_are_numbers_exact_to_the_paisa(guest: Sim) -> None:
    body = guest.send("/v1/guest/prices", country="india", product="telegram").body
    assert b'"cost":21.30,' in body


def test_prices_of_what_is_not_sold_there_are_null(guest: Sim) -> None:
    assert guest.json("/v1/guest/prices", country="china", product="telegram") is None


@pytest.mark.parametrize(
    ("path", "text"),
    [("/v1/guest/products/nowhere/any", "country is incorrect"),
     ("/v1/guest/prices?country=nowhere", "country is incorrect"),
     ("/v1/guest/prices?product=nothing", "product is incorrect")],
)  # fmt: skip
def test_words_that_mean_nothing_are_named_to_guests(guest: Sim, path: str, text: str) -> None:
    assert guest.told(path) == (400, text)


def test_an_operator_that_nobody_has_sells_nothing(guest: Sim) -> None:
    assert guest.json("/v1/guest/products/india/nobody") == {}


def test_there_is_no_notice(guest: Sim) -> None:
    assert guest.json("/v1/guest/flash/en") == {"text": ""}


def test_a_profile_has_every_field_that_clients_insist_on(alice: Sim) -> None:
    profile = alice.json("/v1/user/profile")
    assert profile.keys() == {
        "id", "email", "vendor", "default_forwarding_number", "balance", "frozen_balance", "rating", "default_country",
        "default_operator", "last_order", "last_top_orders", "last_top_idx", "did_order", "total_active_orders",
    }  # fmt: skip
    assert (profile["balance"], profile["frozen_balance"], profile["rating"]) == (1000.0, 0.0, 96)
    assert (profile["did_order"], profile["last_order"].count(":"), profile["total_active_orders"]) == (False, 4, 0)
    order_id = alice.buy()["id"]
    profile = alice.json("/v1/user/profile")
    assert (profile["did_order"], profile["total_active_orders"]) == (True, 1)
    assert profile["last_order"] == f"india:telegram:any:{order_id}:21.30"
    assert profile["last_top_orders"] == f"[{profile['last_order']}]"


def test_an_order_is_as_5sim_has_it(alice: Sim) -> None:
    order = alice.buy()
    assert (order["product"], order["country"], order["operator"]) == ("telegram", "india", "any")
    assert (order["status"], order["price"], order["sms"]) == ("PENDING", COST, None)
    assert re.fullmatch(r"\+91\d{10}", order["phone"])
    assert (order["forwarding"], order["forwarding_number"]) == (False, "")
    began, ends = (datetime.fromisoformat(order[name]) for name in ("created_at", "expires"))
    assert began.tzinfo is not None
    assert timedelta(minutes=19) < ends - began < timedelta(minutes=21)
    assert alice.money() == (1000 - COST, COST)
    assert alice.json(f"/v1/user/check/{order['id']}") == order


def test_a_number_of_any_country_is_the_cheapest(alice: Sim, guest: Sim) -> None:
    order = alice.buy("any/any/telegram")
    assert order["price"] == guest.json("/v1/guest/products/any/any")["telegram"]["Price"]


@pytest.mark.parametrize("place", ["INDIA/Any/TELEGRAM", "22/any/tg", "in/any/telegram"])
def test_small_and_capital_letters_and_our_own_codes_mean_the_same(alice: Sim, place: str) -> None:
    order = alice.buy(place)
    assert (order["product"], order["country"]) == ("telegram", "india")


def test_a_ceiling_holds_whatever_is_said_of_operators(alice: Sim) -> None:
    for operator in ("any", "ANY", "any,any"):
        assert alice.told(f"{BUY}/india/{operator}/telegram", maxPrice="21.29") == (200, "no free phones")
    assert alice.money() == (1000.0, 0.0)
    for text in ("21.3", "21.30", "3e1", "35.400000000000006", " 40 "):
        assert alice.buy(maxPrice=text)["price"] == COST


@pytest.mark.parametrize(
    "text", ["abc", "-5", "NaN", "Infinity", "1,5", "21.30 rupees", "999999999999999999", "x" * 600]
)
def test_a_ceiling_that_is_no_amount_is_never_any_price(alice: Sim, text: str) -> None:
    assert alice.told(f"{BUY}/india/any/telegram", maxPrice=text) == (400, "bad request")
    assert alice.money() == (1000.0, 0.0)


@pytest.mark.parametrize(
    ("place", "expected"),
    [("nowhere/any/telegram", (400, "country is incorrect")), ("india/nobody/telegram", (400, "bad operator")),
     ("india/any/nothing", (400, "product is incorrect")), ("china/any/telegram", (200, "no free phones"))],
)  # fmt: skip
def test_what_cannot_be_bought_is_told_by_the_words_of_5sim(alice: Sim, place: str, expected: tuple[int, str]) -> None:
    assert alice.told(f"{BUY}/{place}") == expected
    assert alice.money() == (1000.0, 0.0)


@pytest.mark.parametrize("wish", [{"voice": "1"}, {"forwarding": "true", "number": "79991112233"}])
def test_calls_are_not_sold_under_the_name_of_a_number(alice: Sim, wish: dict[str, str]) -> None:
    assert alice.told(f"{BUY}/india/any/telegram", **wish) == (200, "no free phones")
    assert alice.money() == (1000.0, 0.0)


def test_wishes_that_cost_nothing_are_left_out(alice: Sim) -> None:
    assert alice.buy(forwarding="false", voice="0", reuse="1", ref="abc")["status"] == "PENDING"


def test_without_money_nothing_is_bought(stand: Stand) -> None:
    poor = Sim(stand.customer("0"))
    assert poor.told(f"{BUY}/india/any/telegram") == (400, "not enough user balance")
    assert poor.json("/v1/user/orders")["Total"] == 0


def test_hosting_and_reuse_are_not_to_be_had(alice: Sim) -> None:
    assert alice.told("/v1/user/buy/hosting/india/any/1day") == (200, "no free phones")
    assert alice.told("/v1/user/reuse/telegram/919899726972") == (400, "reuse not possible")
    assert alice.json("/v1/user/max-prices") == []


def test_a_code_makes_the_order_received_and_is_paid_once(stand: Stand, alice: Sim) -> None:
    order = received(stand, alice)
    assert order["status"] == "RECEIVED"
    (sms,) = order["sms"]
    assert (sms["code"], sms["text"], sms["sender"]) == ("12345", "Telegram code 12345", "telegram")
    assert datetime.fromisoformat(sms["date"]).tzinfo is not None
    inbox = alice.json(f"/v1/user/sms/inbox/{order['id']}")
    assert (inbox["Total"], inbox["Data"][0]["code"], inbox["Data"][0]["ID"]) == (1, "12345", sms["id"])
    assert alice.told(f"/v1/user/cancel/{order['id']}") == (400, "order has sms")
    assert alice.told(f"/v1/user/ban/{order['id']}") == (400, "order has sms")
    for _ in range(2):
        assert alice.json(f"/v1/user/finish/{order['id']}")["status"] == "FINISHED"
    assert alice.told(f"/v1/user/cancel/{order['id']}") == (400, "order has sms")
    assert alice.money() == (1000 - COST, 0.0)


def test_what_waits_cannot_be_finished_nor_cancelled_at_once(alice: Sim) -> None:
    order_id = alice.buy()["id"]
    assert alice.told(f"/v1/user/finish/{order_id}") == (400, "order no sms")
    assert alice.told(f"/v1/user/cancel/{order_id}") == (400, "you need to wait time")
    assert alice.told(f"/v1/user/ban/{order_id}") == (400, "you need to wait time")
    assert alice.json(f"/v1/user/sms/inbox/{order_id}") == {"Data": [], "Total": 0}
    assert alice.money() == (1000 - COST, COST)


@pytest.mark.parametrize(("verb", "status"), [("cancel", "CANCELED"), ("ban", "BANNED")])
def test_a_number_is_given_back_once_however_often_it_is_said(stand: Stand, alice: Sim, verb: str, status: str) -> None:
    order_id = alice.buy()["id"]
    stand.ripen(order_id)
    for _ in range(2):
        assert alice.json(f"/v1/user/{verb}/{order_id}")["status"] == status
    assert alice.money() == (1000.0, 0.0)
    assert alice.json(f"/v1/user/check/{order_id}")["status"] == "CANCELED"
    assert alice.told(f"/v1/user/finish/{order_id}") == (400, "order no sms")


def test_an_order_that_ran_out_is_a_timeout_and_costs_nothing(stand: Stand, alice: Sim) -> None:
    order_id = alice.buy()["id"]
    stand.change(
        "UPDATE orders SET expires_at = clock_timestamp(), changed_at = clock_timestamp() WHERE id = $1", order_id
    )
    alice.client.post("/auth/check-otp", {"orderId": order_id, "wait": 10})
    assert alice.json(f"/v1/user/check/{order_id}")["status"] == "TIMEOUT"
    for verb in ("finish", "cancel", "ban"):
        assert alice.told(f"/v1/user/{verb}/{order_id}") == (400, "order expired")
    assert alice.money() == (1000.0, 0.0)


def test_orders_are_listed_newest_first_by_pages(stand: Stand, alice: Sim) -> None:
    bought = [alice.buy()["id"] for _ in range(4)]
    listed = alice.json("/v1/user/orders", category="activation")
    assert listed.keys() == {"Data", "ProductNames", "Statuses", "Total"}
    assert ([item["id"] for item in listed["Data"]], listed["Total"]) == (bought[::-1], 4)
    page = alice.json("/v1/user/orders", limit=2, offset=1, order="id", reverse="false")
    assert ([item["id"] for item in page["Data"]], page["Total"]) == ([bought[2], bought[1]], 4)
    assert [item["id"] for item in alice.json("/v1/user/orders", reverse="true")["Data"]] == bought
    for category in ("", "Activation", " activation "):
        assert alice.json("/v1/user/orders", category=category)["Total"] == 4
    for category in ("hosting", "nonsense"):
        assert alice.json("/v1/user/orders", category=category)["Data"] == []


def test_payments_are_the_lines_of_the_statement(stand: Stand, alice: Sim) -> None:
    received(stand, alice)
    order_id = alice.buy()["id"]
    stand.ripen(order_id)
    alice.json(f"/v1/user/cancel/{order_id}")
    listed = alice.json("/v1/user/payments")
    assert [line["Amount"] for line in listed["Data"]] == [COST, -COST, -COST, 1000.0]
    assert [line["Balance"] for line in listed["Data"]] == [1000 - COST, 1000 - 2 * COST, 1000 - COST, 1000.0]
    assert listed["Total"] == 4, "who pages by it must find exactly as many"
    assert {item["Name"] for item in listed["PaymentTypes"]} == {line["TypeName"] for line in listed["Data"]}
    assert alice.json("/v1/user/payments", limit=1, offset=3)["Data"] == listed["Data"][3:]
    assert alice.json("/v1/user/payments", offset=4)["Data"] == []


@pytest.mark.parametrize("verb", ["check", "finish", "cancel", "ban", "sms/inbox"])
def test_an_order_of_another_account_is_not_found(stand: Stand, alice: Sim, bob: Sim, verb: str) -> None:
    order_id = alice.buy()["id"]
    stand.ripen(order_id)
    assert bob.told(f"/v1/user/{verb}/{order_id}") == (404, "order not found")
    assert alice.money() == (1000 - COST, COST)


def test_a_key_without_the_right_to_order_may_look_only(stand: Stand, alice: Sim) -> None:
    order_id = alice.buy()["id"]
    stand.ripen(order_id)
    reader = Sim(stand.another_key(alice.client, "read"))
    for path in ("profile", "orders", "payments", "max-prices", f"check/{order_id}", f"sms/inbox/{order_id}"):
        reader.json(f"/v1/user/{path}")
    for path in ("buy/activation/india/any/telegram", "buy/hosting/india/any/1day", f"finish/{order_id}",
                 f"cancel/{order_id}", f"ban/{order_id}", "cancel/nonsense"):  # fmt: skip
        assert reader.told(f"/v1/user/{path}") == (403, "forbidden")
    assert alice.money() == (1000 - COST, COST)


def test_a_key_that_may_only_order_does_not_look(stand: Stand, alice: Sim) -> None:
    orderer = Sim(stand.another_key(alice.client, "order"))
    order = orderer.buy()
    for path in ("profile", "orders", f"check/{order['id']}"):
        assert orderer.told(f"/v1/user/{path}") == (403, "forbidden")


def test_a_frozen_account_looks_but_does_not_buy(stand: Stand, alice: Sim) -> None:
    order_id = alice.buy()["id"]
    stand.change(
        "UPDATE accounts SET state = 'frozen', changed_at = clock_timestamp() WHERE id = $1", alice.client.account_id
    )
    for _ in range(5000):  # keys are read anew every second
        if (told := alice.told(f"{BUY}/india/any/telegram", maxPrice="1")) != (200, "no free phones"):
            break
    assert told == (400, "not enough rating")
    assert alice.told(f"{BUY}/india/any/telegram") == (400, "not enough rating")
    assert alice.json(f"/v1/user/check/{order_id}")["status"] == "PENDING"


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "}, {"Authorization": "Basic eDp5"},
     {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer " + "x" * 5000}, {"Authorization": "Bearer \xff"},
     {"Authorization": "nd_live_" + "a" * 47}],
)  # fmt: skip
def test_without_a_key_nothing_of_a_user_is_told(stand: Stand, headers: dict[str, str]) -> None:
    for path in ("/v1/user/profile", f"{BUY}/india/any/telegram", "/v1/user/check/1", "/v1/user/nothing"):
        assert refusal(stand.nobody.send("GET", path, headers=headers)) == (401, "unauthorized")


def test_a_key_in_our_own_header_works_and_the_bearer_counts_first(stand: Stand, alice: Sim) -> None:
    key = alice.client.key or ""
    assert Client(stand.port, key=key).get("/v1/user/profile").status == 200
    assert Client(stand.port, key=key, token="wrong").get("/v1/user/profile").status == 401


def test_what_the_rest_api_bought_is_seen_here_and_the_other_way_round(alice: Sim) -> None:
    order_id = alice.client.buy()
    assert alice.json(f"/v1/user/check/{order_id}")["id"] == order_id
    bought = alice.buy()["id"]
    assert alice.client.post("/auth/check-otp", {"orderId": bought}).data["status"] == "active"


def test_a_test_key_buys_scripted_services_and_has_its_owners_address(stand: Stand) -> None:
    owner = stand.signed_in("bela@five-sim-tests.example")
    tester = Sim(made(owner))
    profile = tester.json("/v1/user/profile")
    assert (profile["email"], profile["balance"]) == ("bela@five-sim-tests.example", 1000.0)
    order = tester.buy("india/any/testcode")
    assert (order["product"], order["price"]) == ("testcode", 10.0)
    assert tester.told(f"{BUY}/india/any/telegram") == (400, "product is incorrect")
    assert tester.told(f"{BUY}/india/any/testnone") == (200, "no free phones")
    assert tester.told(f"{BUY}/india/any/testcostly") == (400, "not enough user balance")
    assert tester.told(f"{BUY}/india/any/testdown") == (400, "server offline")


def test_every_text_of_a_refusal_is_explained_to_who_moves() -> None:
    page = (ROOT / "docs" / "moving-from-5sim.md").read_text(encoding="utf-8")
    texts = {known.body.decode() for known in REFUSALS.values() if isinstance(known.body, bytes)}
    assert [text for text in sorted(texts) if f"`{text}`" not in page] == []


def test_answers_hold_no_float_that_is_not_exact(alice: Sim) -> None:
    alice.buy()
    body = alice.send("/v1/user/profile").body.decode()
    assert '"balance":978.70' in body
    assert '"frozen_balance":21.30' in body
    json.loads(body)
