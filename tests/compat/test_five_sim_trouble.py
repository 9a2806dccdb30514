"""5sim's API under bad input, over its limit, behind a broken provider, and with clients that hang up."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from tests.compat.bot import Bot
from tests.compat.five_sim_client import BUY, Sim, refusal
from tests.compat.test_handover import PATIENCE, notes_of, orders_of, provider_is, slow
from tests.http import stand as stands
from tests.http.stand import HOST, PRICE, Answer, Client, Stand

COST = float(PRICE)
NOT_HERE = (404, "404 page not found")
NONSENSE = (
    "%20", "%20%20x%20", "x" * 600, "x" * 5000, "-1", "0", "1.5", "1e9", "99999999999999999999999", "%00", "a%00b",
    "%0d%0aX-Evil:%20yes", "%ff%fe", "%D1%82%D0%B3", "null", "true", "[]", "{}", "..%2f..%2fetc", "%25s%25n",
    "'%3B--", "%3Cscript%3E", "any,any", "%E2%80%8B",
)  # fmt: skip
"""As it stands in an address."""
PLACES = (
    "/v1/guest/products/{}/any", "/v1/guest/products/india/{}", "/v1/guest/flash/{}", "/v1/guest/prices?country={}",
    "/v1/guest/prices?product={}", "/v1/guest/prices?country=india&product={}", "/v1/user/orders?category={}",
    "/v1/user/orders?limit={}", "/v1/user/orders?offset={}", "/v1/user/orders?order={}", "/v1/user/orders?reverse={}",
    "/v1/user/payments?limit={}", "/v1/user/payments?offset={}", "/v1/user/payments?reverse={}", "/v1/user/check/{}",
    "/v1/user/finish/{}", "/v1/user/cancel/{}", "/v1/user/ban/{}", "/v1/user/sms/inbox/{}", "/v1/user/reuse/{}/{}",
    "/v1/user/buy/hosting/{}/{}/{}", "/v1/user/{}", "/v1/guest/{}", "/v1/{}",
)  # fmt: skip
PURCHASES = (
    BUY + "/{}/any/telegram", BUY + "/india/{}/telegram", BUY + "/india/any/{}",
    BUY + "/india/any/telegram?maxPrice={}",
)  # fmt: skip
KNOWN = {
    "404 page not found", "bad request", "order not found", "country is incorrect", "product is incorrect",
    "bad operator", "no free phones", "reuse not possible",
}  # fmt: skip


@pytest.fixture
def alice(stand: Stand) -> Sim:
    """A new customer with a thousand rupees."""
    return Sim(stand.customer())


@pytest.fixture
def strict(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    """A site that lets through ten calls of the protocol in ten minutes."""
    with stands.opened(
        portal, cluster, rate_limit_protocol="10 per 10 minutes", rate_limit_api="30 per minute"
    ) as stand:
        yield stand


def assert_calm(answer: Answer, path: str) -> None:
    """A word of 5sim or JSON, never a failure of ours, and nothing of what was sent."""
    assert answer.status in (200, 400, 404), (path, answer)
    assert b"Traceback" not in answer.body
    assert "x-evil" not in answer.headers
    if answer.headers["content-type"] == "application/json":
        assert answer.status == 200 or path.count("/") < 3, (path, answer)
    else:
        assert refusal(answer)[1] in KNOWN, (path, answer)


@pytest.mark.parametrize("text", NONSENSE, ids=lambda text: text[:20])
def test_nonsense_anywhere_is_told_by_a_word_and_moves_nothing(alice: Sim, text: str) -> None:
    for place in PLACES:
        path = place.replace("{}", text)
        assert_calm(alice.send(path), path)
    assert alice.money() == (1000.0, 0.0)


@pytest.mark.parametrize("place", PURCHASES)
def test_nonsense_in_a_purchase_buys_nothing_but_what_it_says(stand: Stand, alice: Sim, place: str) -> None:
    for text in NONSENSE:
        path = place.replace("{}", text)
        answer = alice.send(path)
        assert_calm(answer, path)
        # An empty ceiling is none, a thousand million is one; countries have numbers, and operators may be several.
        if answer.headers["content-type"] == "application/json":
            assert (place, text) in {
                (PURCHASES[3], "%20"), (PURCHASES[3], "1e9"), (PURCHASES[0], "0"), (PURCHASES[1], "any,any"),
            }, path  # fmt: skip


def test_parts_of_a_path_that_are_missing_or_too_many_are_no_page(alice: Sim) -> None:
    for path in (
        "/v1/", "/v1/guest", "/v1/user", "/v1//guest/countries", "/v1/guest/countries/x", "/v1/GUEST/countries",
        "/v1/guest/products/india", "/v1/guest/products//any", "/v1/guest/flash", "/v1/user/buy", BUY, f"{BUY}/india",
        f"{BUY}/india/any", f"{BUY}//any/telegram", f"{BUY}/india//telegram", f"{BUY}/india/any/telegram/x",
        "/v1/user/buy/other/india/any/telegram", "/v1/user/check", "/v1/user/check/", "/v1/user/check/1/2",
        "/v1/user/sms/inbox", "/v1/user/reuse/telegram", "/v1/user/vendor", "/v1/vendor/wallets", "/v1/vendor/orders",
    ):  # fmt: skip
        assert alice.told(path) == NOT_HERE, path
    assert alice.json("/v1/user/orders/")["Total"] == 0, "a slash at the end does no harm"
    assert alice.money() == (1000.0, 0.0)


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH", "OPTIONS"])
def test_other_methods_buy_nothing(alice: Sim, method: str) -> None:
    for path in (f"{BUY}/india/any/telegram", "/v1/guest/countries", "/v1/user/max-prices", "/v1/user/cancel/1"):
        answer = alice.send(path, method=method, body=b'{"product_name": "telegram", "price": 1}')
        assert refusal(answer) == NOT_HERE
    assert alice.send(f"{BUY}/india/any/telegram", method="HEAD").status == 404
    assert alice.money() == (1000.0, 0.0)


def test_of_several_parameters_with_one_name_the_first_counts(alice: Sim) -> None:
    path = f"{BUY}/india/any/telegram"
    assert alice.told(path, maxPrice=["1", "50"]) == (200, "no free phones")
    assert alice.told(path, maxPrice=["nonsense", "50"]) == (400, "bad request")
    assert alice.json(path, maxPrice=["50", "1"])["price"] == COST
    assert list(alice.json("/v1/guest/prices", country=["india", "russia"])) == ["india"]


def test_blanks_around_names_and_values_do_not_count(alice: Sim) -> None:
    assert alice.told(f"{BUY}/india/any/telegram?%20maxPrice%20=%201%20") == (200, "no free phones")
    assert list(alice.json("/v1/guest/prices?%20country=%20india%20")) == ["india"]


def test_a_request_that_is_too_large_is_refused(alice: Sim) -> None:
    assert alice.told("/v1/user/profile", junk="x" * 9000) == (400, "bad request")
    assert alice.told("/v1/user/profile", **{f"p{number}": "1" for number in range(400)}) == (400, "bad request")
    assert alice.send("/v1/user/profile", body=b"x" * 70_000).status in (200, 400)


def test_numbers_that_page_a_list_are_bounded(alice: Sim) -> None:
    bought = alice.buy()["id"]
    for limit in ("abc", "-1", "", "1.5", "99999999999999", "100000"):
        listed = alice.json("/v1/user/orders", limit=limit)
        assert [item["id"] for item in listed["Data"]] == [bought]
        assert len(alice.json("/v1/user/payments", limit=limit)["Data"]) == 2
    for path in ("/v1/user/orders", "/v1/user/payments"):
        assert alice.json(path, limit=0)["Data"] == []
        assert alice.json(path, offset="99999999")["Data"] == []
        assert alice.json(path, offset="-5")["Data"] != []


def test_over_the_limit_is_429_with_the_time_to_wait(strict: Stand) -> None:
    alice = Sim(strict.customer())
    first = alice.send("/v1/user/profile")
    assert first.headers["ratelimit-limit"] == "10"
    answers = [alice.send("/v1/user/profile") for _ in range(12)]
    assert refusal(answers[-1]) == (429, "api limit is 100 requests per second")
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert alice.client.get("/user/balance").status == 200, "the REST API has a limit of its own"
    # What a guest asks while a known key is shown counts for its account, and other guests do not feel it.
    assert refusal(alice.send("/v1/guest/countries"))[0] == 429
    assert Sim(strict.nobody).send("/v1/guest/countries").status == 200


def test_one_poll_a_second_of_an_open_order_never_counts(strict: Stand) -> None:
    alice, bob = Sim(strict.customer()), Sim(strict.customer())
    order_id = alice.buy()["id"]
    while alice.send("/v1/user/profile").status == 200:
        pass
    for _ in range(3):
        assert alice.json(f"/v1/user/check/{order_id}")["status"] == "PENDING"
        time.sleep(1.1)
    assert alice.json(f"/v1/user/sms/inbox/{order_id}")["Total"] == 0
    while bob.send("/v1/user/profile").status == 200:
        pass
    assert bob.send(f"/v1/user/check/{order_id}").status == 429, "somebody else's is no order of one's own"


def test_guesses_of_keys_are_counted_by_network_and_stop_nobody_who_has_one(strict: Stand) -> None:
    alice = Sim(strict.customer())
    assert alice.money() == (1000.0, 0.0)
    guesser = Sim(Client(strict.port, "nd_live_wrong"))
    for _ in range(1000):
        if (told := refusal(guesser.send("/v1/user/profile"))) != (401, "unauthorized"):
            break
    assert told[0] == 429
    assert alice.money() == (1000.0, 0.0)


def hang_up(sim: Sim, *, after: float = PATIENCE, place: str = "india/any/telegram") -> None:
    """Ask for a number and leave before the answer comes."""
    with socket.create_connection((HOST, sim.client.port)) as connection:
        head = f"GET {BUY}/{place} HTTP/1.1\r\nHost: numberdesk.example\r\nAuthorization: Bearer {sim.client.key}\r\n"
        connection.sendall(f"{head}\r\n".encode())
        connection.settimeout(after)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_the_next_like_purchase_gets_the_number_of_one_that_hung_up(stand: Stand, alice: Sim) -> None:
    with slow(stand):
        for _ in range(2):
            hang_up(alice)
        answer = alice.send(f"{BUY}/india/any/telegram")
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.json["status"] == "PENDING"
    assert (orders_of(stand, Bot(alice.client)), notes_of(stand, Bot(alice.client))) == (1, 0)
    assert alice.money() == (1000 - COST, COST)
    again = alice.send(f"{BUY}/india/any/telegram")
    assert again.json["id"] != answer.json["id"]
    assert "idempotent-replayed" not in again.headers


def test_another_wish_takes_nothing_over(stand: Stand, alice: Sim) -> None:
    with slow(stand):
        hang_up(alice)
        for path in ("india/any/whatsapp", "any/any/telegram", "india/any/telegram?maxPrice=500"):
            assert "idempotent-replayed" not in alice.send(f"{BUY}/{path}").headers
        assert alice.send(f"{BUY}/india/any/telegram").headers["idempotent-replayed"] == "true"
    assert orders_of(stand, Bot(alice.client)) == 4


def test_purchases_whose_clients_wait_are_never_merged(stand: Stand, alice: Sim) -> None:
    with slow(stand, 0.5), ThreadPoolExecutor(8) as pool:
        bought = list(pool.map(lambda _: alice.buy()["id"], range(8)))
    assert len(set(bought)) == 8
    assert alice.money() == (829.60, 170.40)


def test_a_provider_that_is_out_of_order_never_comes_through_as_5xx(stand: Stand, alice: Sim) -> None:
    with provider_is(stand, "no-stock"):
        assert alice.told(f"{BUY}/india/any/telegram") == (200, "no free phones")
    with provider_is(stand, "error-word", fault_on="purchases"):
        status, text = refusal(alice.send(f"{BUY}/india/any/telegram"))
    assert status < 500
    assert text in ("no free phones", "server offline", "internal error")


@pytest.mark.parametrize("verb", ["cancel", "ban"])
def test_a_number_is_not_told_as_given_back_while_its_provider_is_silent(stand: Stand, alice: Sim, verb: str) -> None:
    order_id = alice.buy()["id"]
    stand.ripen(order_id)
    with provider_is(stand, "http-500", fault_on="status-changes"):
        assert alice.told(f"/v1/user/{verb}/{order_id}") == (400, "you need to wait time")
        assert alice.json(f"/v1/user/check/{order_id}")["status"] == "PENDING"
        assert alice.money() == (1000 - COST, COST)


def test_an_outcome_that_is_not_known_is_told_so_and_handed_over_once_it_is(
    portal: BlockingPortal, cluster: Cluster
) -> None:
    with stands.opened(portal, cluster, rate_limit_protocol="off") as stand:
        alice = Sim(stand.customer())
        with provider_is(stand, "sold-then-dropped", fault_on="everything"):  # its list is not to be had, either
            assert alice.told(f"{BUY}/india/any/telegram") == (400, "internal error")
            (pending,) = alice.json("/v1/user/orders")["Data"]
            assert (pending["status"], pending["phone"]) == ("PENDING", "")
            assert alice.told(f"/v1/user/cancel/{pending['id']}") == (400, "you need to wait time")
            assert alice.told(f"/v1/user/finish/{pending['id']}") == (400, "order no sms")
        assert alice.money() == (1000 - COST, COST)
        for _ in range(6):
            answer = alice.send(f"{BUY}/india/any/telegram")
            if "idempotent-replayed" in answer.headers:
                break
        assert answer.headers["idempotent-replayed"] == "true"
        assert (orders_of(stand, Bot(alice.client)), alice.money()) == (1, (1000 - COST, COST))
