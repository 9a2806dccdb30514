"""Test keys: the whole API with play money and scripted services, apart from everything that is real."""

import json
import re
import time
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import SettableState
from numberdesk.catalogue import service as catalogue
from numberdesk.orders import service as orders
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId
from numberdesk.wallet.model import SANDBOX_OFFSET, AccountId, is_sandbox
from tests.http.staff import Member
from tests.http.stand import HOST, Client, SignedIn, Stand

SCOPES = ["read", "order", "recharge", "webhook"]
TOLD_OF_PROVIDERS = (
    "delivery_stats", "provider_alerts", "provider_health", "provider_money", "provider_calls", "transcripts",
    "catalogue_syncs", "offers", "orphans",
)  # fmt: skip
SERVICES = {"testcode", "testlate", "testtwo", "testnever", "testnone", "testdown", "testmaybe", "testcostly"}


def made(person: SignedIn, mode: str = "test", **fields: object) -> Client:
    """Make a key, and return its holder."""
    body = {"name": "try", "scopes": SCOPES, "mode": mode} | fields
    secret = person.client.post("/user/api-keys", body).data["secret"]
    account_id = person.account_id + (SANDBOX_OFFSET if mode == "test" else 0)
    return Client(person.client.port, secret, AccountId(account_id))


@pytest.fixture(scope="module")
def asha(stand: Stand) -> SignedIn:
    return stand.signed_in("asha@sandbox-tests.example")


@pytest.fixture(scope="module")
def tester(asha: SignedIn) -> Client:
    """Asha's sandbox."""
    return made(asha)


@pytest.fixture(scope="module")
def other(stand: Stand) -> Client:
    """Somebody else's sandbox."""
    return made(stand.signed_in("ben@sandbox-tests.example"))


@pytest.fixture(scope="module", autouse=True)
def slow(stand: Stand) -> tuple[Client, int, int]:
    """Orders whose scripts take their time: a late code, and an unknown outcome; the last tests look at them."""
    client = made(stand.signed_in("slow@sandbox-tests.example"))
    late, maybe = rent(client, "testlate"), rent(client, "testmaybe")
    assert money(client) == ("980.00", "20.00")
    assert seen(client, maybe, 0)["status"] == "pending"
    return client, late, maybe


def rent(client: Client, service: str) -> int:
    return int(client.post("/auth/get-number", {"service": service, "country": "IN"}).data["orderId"])


def refusal(client: Client, service: str) -> tuple[int, str]:
    return client.post("/auth/get-number", {"service": service, "country": "IN"}).refusal


def seen(client: Client, order_id: int, seconds: int = 25) -> dict[str, Any]:
    """Wait until something happens to an order."""
    return dict(client.post("/auth/check-otp", {"orderId": order_id, "wait": seconds}).data)


def money(client: Client) -> tuple[str, str]:
    found = client.get("/user/balance").data
    return found["available"], found["held"]


def in_rupees(text: str) -> int:
    return int(text.replace(".", ""))


# The scripts.


def test_a_code_comes_and_is_paid_with_play_money(tester: Client) -> None:
    before = in_rupees(money(tester)[0])
    order = tester.post("/auth/get-number", {"service": "testcode", "country": "IN"}).data
    assert (order["status"], order["price"], order["server"]) == ("active", "10.00", 9999)
    assert order["number"].startswith("+999")
    assert in_rupees(money(tester)[0]) == before - 1000
    found = seen(tester, order["orderId"])
    assert found["status"] == "received"
    assert [message["code"] for message in found["messages"]] == [found["otp"]]
    assert len(found["otp"]) == 6
    assert tester.post("/auth/next-otp", {"orderId": order["orderId"]}).refusal == (409, "no_more_codes")
    assert tester.post("/auth/finish-number", {"orderId": order["orderId"]}).data["status"] == "completed"
    assert in_rupees(money(tester)[0]) == before - 1000


def test_a_second_code_comes_when_it_is_asked_for(tester: Client) -> None:
    order_id = rent(tester, "testtwo")
    assert len(seen(tester, order_id)["messages"]) == 1
    assert tester.post("/auth/next-otp", {"orderId": order_id}).status == 200
    found = seen(tester, order_id)
    assert len({message["code"] for message in found["messages"]}) == 2


def test_a_number_without_a_code_is_cancelled_and_its_money_is_back(stand: Stand, tester: Client) -> None:
    before = money(tester)[0]
    order_id = rent(tester, "testnever")
    assert tester.post("/auth/cancel-number", {"orderId": order_id}).refusal == (409, "cancel_too_early")
    stand.ripen(order_id)
    assert tester.post("/auth/cancel-number", {"orderId": order_id}).data["status"] == "cancelled"
    assert money(tester)[0] == before


def test_a_number_without_a_code_can_be_extended_and_expires(stand: Stand, tester: Client) -> None:
    before = money(tester)[0]
    order_id = rent(tester, "testnever")
    extended = tester.post("/auth/extend-number", {"orderId": order_id, "minutes": 5})
    assert extended.status == 200, extended.json
    stand.change(
        "UPDATE orders SET expires_at = clock_timestamp(), changed_at = clock_timestamp() WHERE id = $1", order_id
    )
    assert seen(tester, order_id)["status"] == "expired"
    assert money(tester)[0] == before


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("testnone", (409, "no_numbers")),
        ("testdown", (503, "provider_unavailable")),
        ("testcostly", (400, "insufficient_balance")),
    ],
)
def test_a_refusal_costs_nothing(tester: Client, service: str, expected: tuple[int, str]) -> None:
    before = money(tester)
    for _ in range(5):
        assert refusal(tester, service) == expected
    assert money(tester) == before


# What is seen and bought.


def test_every_script_is_offered_in_every_country_and_nothing_else(stand: Stand, tester: Client) -> None:
    table = tester.get("/services/prices").data["prices"]
    assert len(table) == len(stand.site.shelf.contents.countries)
    assert all(row.keys() == SERVICES for row in table.values())
    listed = tester.get("/services?country=IN&limit=100").data["items"]
    assert {item["service"] for item in listed} == SERVICES
    assert {(item["server"], item["serverName"], item["stock"]) for item in listed} == {(9999, "sandbox", 1000)}
    assert all(item["serviceName"].startswith("Sandbox: ") for item in listed)


def test_a_test_key_cannot_see_or_buy_what_is_real(tester: Client) -> None:
    assert refusal(tester, "tg") == (400, "unknown_service")
    assert tester.get("/services?service=tg").refusal == (400, "unknown_service")
    wish = {"service": "testcode", "country": "IN", "server": "alpha"}
    assert tester.post("/auth/get-number", wish).refusal == (400, "unknown_server")


def test_to_a_live_key_scripts_are_services_that_nobody_knows(stand: Stand, alice: Client) -> None:
    for service in SERVICES:
        known = alice.post("/auth/get-number", {"service": service, "country": "IN"})
        unknown = alice.post("/auth/get-number", {"service": "nosuch", "country": "IN"})
        assert known.refusal == unknown.refusal == (400, "unknown_service")
    for server in ("sandbox", 9999):
        wish = {"service": "tg", "country": "IN", "server": server}
        assert alice.post("/auth/get-number", wish).refusal == (400, "unknown_server")
    table = alice.get("/services/prices").data["prices"]
    assert not any(SERVICES & row.keys() for row in table.values())
    assert alice.get("/services?q=sandbox").data["items"] == []


def test_live_and_test_lists_stay_themselves_when_asked_for_in_turn(tester: Client, alice: Client) -> None:
    for _ in range(3):
        assert tester.get("/services/prices").data["prices"]["22"].keys() == SERVICES
        assert "tg" in alice.get("/services/prices").data["prices"]["22"]
        assert refusal(tester, "testnone") == (409, "no_numbers")
        alice.buy()


# The protocol of SMS-Activate.


def classic(client: Client, action: str, **asked: object) -> str:
    """Ask as an old client does."""
    words = urlencode({"api_key": client.key, "action": action} | asked)
    with urlopen(f"http://{HOST}:{client.port}/stubs/handler_api.php?{words}", timeout=30) as answer:
        return str(answer.read().decode())


def test_old_clients_try_their_programs_with_a_test_key(tester: Client, alice: Client) -> None:
    assert classic(tester, "getBalance").startswith("ACCESS_BALANCE:")
    prices = json.loads(classic(tester, "getPrices", country=22))
    assert prices["22"].keys() == SERVICES
    sold, order_id, number = classic(tester, "getNumber", service="testcode", country=22).split(":")
    assert sold == "ACCESS_NUMBER"
    assert number.startswith("999")
    until = time.monotonic() + 20
    while (status := classic(tester, "getStatus", id=order_id)) == "STATUS_WAIT_CODE":
        assert time.monotonic() < until
        time.sleep(0.2)
    assert re.fullmatch("STATUS_OK:[0-9]{6}", status)
    assert classic(tester, "setStatus", id=order_id, status=6) == "ACCESS_ACTIVATION"
    assert classic(alice, "getStatus", id=order_id) == "NO_ACTIVATION"


@pytest.mark.parametrize(
    ("service", "said"), [("testnone", "NO_NUMBERS"), ("testcostly", "NO_BALANCE"), ("tg", "BAD_SERVICE")]
)
def test_refusals_are_said_in_the_words_of_the_protocol(tester: Client, service: str, said: str) -> None:
    assert classic(tester, "getNumber", service=service, country=22) == said


def test_to_a_live_key_a_script_is_a_bad_service_there_too(alice: Client) -> None:
    assert classic(alice, "getNumber", service="testcode", country=22) == "BAD_SERVICE"
    assert "testcode" not in classic(alice, "getPrices", country=22)


# Apart from others.


def test_two_sandboxes_and_their_owner_do_not_see_each_other(asha: SignedIn, tester: Client, other: Client) -> None:
    order_id = rent(tester, "testnever")
    live = made(asha, "live")
    for stranger in (other, live):
        assert stranger.get(f"/orders/{order_id}").status == 404
        assert stranger.post("/auth/cancel-number", {"orderId": order_id}).refusal == (404, "not_found")
        assert order_id not in [item["orderId"] for item in stranger.get("/orders").data["items"]]
    assert money(live) == ("0.00", "0.00")
    assert money(other) == ("1000.00", "0.00")


def test_an_idempotency_key_means_another_thing_in_the_sandbox(tester: Client, other: Client) -> None:
    wish = {"service": "testnever", "country": "IN"}
    first = tester.post("/auth/get-number", wish, Idempotency_Key="the-same")
    again = tester.post("/auth/get-number", wish, Idempotency_Key="the-same")
    theirs = other.post("/auth/get-number", wish, Idempotency_Key="the-same")
    assert first.data["orderId"] == again.data["orderId"] != theirs.data["orderId"]


def test_a_recharge_cannot_be_begun(stand: Stand, tester: Client) -> None:
    before = stand.ask("SELECT count(*) FROM recharges")
    answer = tester.post("/recharge/initiate", {"amount": "100.00", "method": "upi"})
    assert answer.refusal == (403, "not_in_sandbox")
    assert "test key" in answer.json["error"]
    assert stand.ask("SELECT count(*) FROM recharges") == before


def test_play_money_is_filled_up_before_it_ends(stand: Stand, other: Client) -> None:
    for _ in range(91):
        rent(other, "testnever")
    found = in_rupees(money(other)[0])
    assert found > 900_00
    lines = other.get("/user/transactions?type=admin_credit").data["items"]
    assert [line["amount"] for line in lines] == ["910.00", "1000.00"]


def test_nothing_of_a_sandbox_reaches_books_statistics_staff_or_mail(stand: Stand, tester: Client) -> None:
    def books() -> str:
        """Return what every bucket holds but that of play money."""
        told: str = stand.ask(
            "SELECT json_object_agg(bucket, paise ORDER BY bucket)::text FROM ("
            " SELECT bucket, sum(amount_paise) AS paise FROM entries"
            " WHERE bucket <> 'sandbox' AND NOT coalesce(is_sandbox(account_id), false) GROUP BY bucket) AS line"
        )
        return told

    site, before = stand.site, books()
    seen(tester, rent(tester, "testcode"))
    for service in ("testnone", "testdown"):
        for _ in range(10):
            refusal(tester, service)
    stand.portal.call(orders.raise_alarms, site.desk)
    stand.portal.call(catalogue.count_deliveries, site.db)
    stand.portal.call(catalogue.flush_observations, site.db, site.shelf)
    stand.portal.call(catalogue.watch_phantoms, site.db)
    stand.portal.call(providers.watch_balances, site.lines)
    stand.portal.call(providers.flush, site.lines)
    assert books() == before
    assert stand.ask("SELECT sum(amount_paise) FROM entries WHERE bucket = 'sandbox' OR is_sandbox(account_id)") == 0
    for table in TOLD_OF_PROVIDERS:
        assert stand.ask(f"SELECT count(*) FROM {table} WHERE provider_id = 9999") == 0, table
    assert stand.ask("SELECT count(*) FROM orders WHERE provider_id = 9999 AND NOT is_sandbox(account_id)") == 0
    assert stand.ask("SELECT count(*) FROM outbox WHERE is_sandbox(account_id)") == 0
    assert not providers.health(site.lines, ProviderId(9999)).is_shut
    stand.verify_ledger()


def test_python_and_sql_agree_on_what_a_sandbox_is(stand: Stand) -> None:
    for account_id in (1, SANDBOX_OFFSET - 1, SANDBOX_OFFSET, SANDBOX_OFFSET + 1):
        assert stand.ask("SELECT is_sandbox($1)", account_id) is is_sandbox(account_id)


# Keys.


def test_test_keys_are_listed_rotated_and_revoked_by_their_owner(stand: Stand) -> None:
    ravi = stand.signed_in("ravi@sandbox-tests.example")
    first, second, live = made(ravi), made(ravi), made(ravi, "live")
    assert first.key is not None
    assert first.key.startswith("nd_test_")
    assert live.key is not None
    assert live.key.startswith("nd_live_")
    assert stand.ask("SELECT count(*) FROM accounts WHERE sandbox_of = $1", ravi.account_id) == 1
    assert first.get("/user/profile").data["id"] == second.get("/user/profile").data["id"] == first.account_id
    listed = {item["prefix"]: item for item in ravi.client.get("/user/api-keys").data["items"]}
    assert [listed[key[:16]]["mode"] for key in (first.key, live.key)] == ["test", "live"]

    path = f"/user/api-keys/{listed[first.key[:16]]['id']}"
    rotated = ravi.client.post(f"{path}/rotate", {"overlapHours": 1}).data["secret"]
    assert rotated.startswith("nd_test_")
    assert Client(stand.port, rotated).get("/user/profile").data["id"] == first.account_id
    assert ravi.client.send("DELETE", path).status == 200
    stand.portal.call(stand.site.people.ring.refresh)
    assert first.get("/user/balance").status == 401
    assert money(second) == ("1000.00", "0.00")


def test_another_customer_cannot_touch_them(stand: Stand, asha: SignedIn, tester: Client) -> None:
    stranger = stand.signed_in("stranger@sandbox-tests.example")
    (key, *_) = asha.client.get("/user/api-keys").data["items"]
    assert stranger.client.send("DELETE", f"/user/api-keys/{key['id']}").status == 404
    assert stranger.client.post(f"/user/api-keys/{key['id']}/rotate", {}).status == 404
    assert stranger.client.get("/user/api-keys").data["items"] == []


def test_a_test_key_never_has_scopes_of_the_staff_and_no_key_makes_keys(stand: Stand, tester: Client) -> None:
    owner = Member(stand, "owner").client
    body = {"name": "try", "scopes": ["read", "admin:support"], "mode": "test"}
    assert owner.post("/user/api-keys", body).refusal == (400, "invalid_request")
    assert tester.post("/user/api-keys", body | {"scopes": ["read"]}).status == 403
    assert owner.post("/user/api-keys", body | {"mode": "other"}).refusal == (400, "invalid_request")


def test_a_sandbox_stands_as_its_owner_does(stand: Stand) -> None:
    mina = stand.signed_in("mina@sandbox-tests.example")
    client = made(mina)

    def set_state(state: SettableState) -> None:
        stand.portal.call(accounts.set_state, stand.site.db, mina.account_id, state)
        stand.portal.call(stand.site.people.ring.refresh)

    order_id = rent(client, "testnever")
    set_state("frozen")
    assert refusal(client, "testcode") == (403, "account_frozen")
    assert client.get(f"/orders/{order_id}").status == 200
    set_state("banned")
    assert client.get("/user/balance").refusal == (403, "account_banned")
    set_state("active")
    assert client.get("/user/balance").status == 200


def test_to_staff_a_sandbox_is_nobody(stand: Stand, tester: Client) -> None:
    owner = Member(stand, "owner").client
    assert owner.get("/admin/users?q=sandbox.invalid").data["items"] == []
    change = {"state": "frozen", "reason": "a test"}
    answer = owner.post(f"/admin/users/{tester.account_id}/state", change)
    assert answer.refusal == (404, "not_found"), answer.json
    credit = {"amount": "5.00", "reason": "a test", "totp": "000000"}
    assert owner.post(f"/admin/users/{tester.account_id}/credit", credit).refusal == (404, "not_found")
    assert 9999 not in [item["id"] for item in owner.get("/admin/providers").data["items"]]


# What takes its time.


def test_an_unknown_outcome_is_settled_by_itself(slow: tuple[Client, int, int]) -> None:
    client, _, order_id = slow
    found = seen(client, order_id)
    assert (found["status"], found["refund"]["amount"]) == ("failed", "10.00")


def test_a_code_that_comes_late_is_waited_for(slow: tuple[Client, int, int]) -> None:
    client, order_id, _ = slow
    for _ in range(3):
        if (found := seen(client, order_id))["status"] != "active":
            break
    assert (found["status"], len(found["messages"])) == ("received", 1)
    since = datetime.fromisoformat(found["messages"][0]["receivedAt"]) - datetime.fromisoformat(found["createdAt"])
    assert since >= timedelta(seconds=29)
    assert money(client) == ("990.00", "0.00")
