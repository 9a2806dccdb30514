"""What goes odd with TRX and USDT: prices that move or lie apart, claims by several, nodes that lose things."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from numberdesk.payments import service as payments
from tests.http.money_in import Scene, available, events, opened, status, until
from tests.http.recharging import BEGIN, CLAIM_TRON
from tests.http.staff import Member
from tests.http.stand import Answer, Client
from tests.payments.fakes.rates import SOURCES, Rates
from tests.payments.fakes.trongrid import USDT, FakeTronGrid, log

TRX = 1_000_000
PRICE = "28.41"


@pytest.fixture(scope="module")
def scene(portal: BlockingPortal, cluster: Cluster) -> Iterator[Scene]:
    """A site that is paid in TRX and USDT."""
    with opened(portal, cluster, "tron") as scene:
        yield scene


@pytest.fixture
def chain(scene: Scene) -> FakeTronGrid:
    assert scene.chain is not None
    return scene.chain


@pytest.fixture
def prices(scene: Scene) -> Rates:
    assert scene.rates is not None
    return scene.rates


@pytest.fixture
def asha(scene: Scene, prices: Rates) -> Client:
    """A new customer, on a day with a price of 28.41."""
    priced(scene, prices, PRICE)
    return scene.customer()


@pytest.fixture(autouse=True)
def _ledger_is_right(scene: Scene) -> Iterator[None]:
    """Check the ledger after every test."""
    yield
    scene.verify_ledger()


def priced(scene: Scene, prices: Rates, *trx: str) -> None:
    """Forget all prices, and have the sources say these; the last one holds for the rest of them."""
    prices.faults.clear()
    for place, source in enumerate(SOURCES):
        prices.prices[source, "trx"] = trx[min(place, len(trx) - 1)]
    scene.stand.change("DELETE FROM rate_samples")
    scene.price_now()


def unpriced(scene: Scene, prices: Rates) -> None:
    """Forget all prices, and have the sources be down."""
    prices.faults.update(dict.fromkeys(SOURCES, "error"))
    scene.stand.change("DELETE FROM rate_samples")
    scene.price_now()


def wanted(scene: Scene, client: Client, amount: object = "284.10", method: str = "trx") -> dict[str, Any]:
    """Begin a recharge and return what is to be paid."""
    pay: dict[str, Any] = scene.begun(client, amount, method)["pay"]
    return pay


def claimed(client: Client, ref: str, txid: str) -> Answer:
    return client.post(CLAIM_TRON, {"transactionId": ref, "txid": txid})


def scanned(scene: Scene, *txids: str) -> None:
    """Read all histories, until each of these transactions was looked at."""

    def is_read() -> bool:
        scene.scan_now()
        scene.stand.portal.call(payments.scan_due, scene.till)
        assert scene.chain is not None
        asked = {item.body.get("value") for item in scene.chain.requests}
        return set(txids) <= asked

    until(is_read)


def count(scene: Scene, why: str, client: Client) -> int:
    """Return how many payments of a customer stand aside, and for this reason."""
    query = "SELECT count(*) FROM external_payments WHERE why = $1 AND account_id = $2"
    return int(scene.stand.ask(query, why, client.account_id))


def stage(client: Client, ref: str) -> str:
    return str(status(client, ref)["recharge"]["stage"])


@pytest.mark.parametrize("said", [("28.41", "30.00", "40.00"), ("20", "40", "90")])
def test_prices_that_lie_apart_close_the_method(
    scene: Scene, asha: Client, prices: Rates, said: tuple[str, ...]
) -> None:
    priced(scene, prices, *said)
    refused = asha.post(BEGIN, {"method": "trx", "amount": "100"})
    assert refused.refusal == (503, "method_closed")
    (trx,) = [item for item in asha.get("/payment/methods").data if item["method"] == "trx"]
    assert (trx["isOpen"], trx["reason"]) == (False, refused.details["reason"])
    assert asha.get("/recharge/history").data["items"] == []


def test_what_is_no_transaction_or_of_another_s_recharge_claims_nothing(
    scene: Scene, asha: Client, chain: FakeTronGrid
) -> None:
    pay = wanted(scene, asha)
    before = len(chain.requests)
    for text in (pay["address"], "ab" * 31, "ab" * 33, "zz" * 32, "1", "\u0661" * 64, f"{'ab' * 32}\x00"):
        answer = claimed(asha, pay["transactionId"], text)
        assert list(answer.details["fields"]) == ["txid"], text
    bela = scene.customer()
    assert claimed(bela, pay["transactionId"], "ab" * 32).refusal == (404, "not_found")
    asked = [item for item in chain.requests[before:] if item.path.endswith("byid")]
    assert asked == []


def test_what_only_looks_like_trx_credits_nothing(scene: Scene, asha: Client, chain: FakeTronGrid) -> None:
    pay = wanted(scene, asha)
    to = pay["address"]
    txids = [
        chain.pay_trc10(to, 10 * TRX), chain.pay(to, 10 * TRX, result="OUT_OF_ENERGY"),
        chain.pay_internal(to, 10 * TRX, rejected=True), chain.pay_internal(to, 10 * TRX, token="1002000"),
        chain.pay_internal(to, 10 * TRX, result="REVERT"), chain.pay_token(to, 10 * TRX, result="REVERT"),
        chain.approve(to, 10 * TRX), chain.pay_token(to, 0), chain.pay_token(to, 10 * TRX, contract=to),
    ]  # fmt: skip
    for txid in txids:
        assert claimed(asha, pay["transactionId"], txid).data["outcome"] in ("unknown", "not_ours")
    scanned(scene, *txids)
    assert (stage(asha, pay["transactionId"]), available(asha)) == ("awaiting_payment", "0.00")
    assert scene.stand.ask("SELECT count(*) FROM external_payments WHERE account_id = $1", asha.account_id) == 0


def test_far_more_than_any_recharge_waits_for_a_person(scene: Scene, asha: Client, chain: FakeTronGrid) -> None:
    pay = wanted(scene, asha)
    txid = chain.pay(pay["address"], 1_100 * TRX)
    assert claimed(asha, pay["transactionId"], txid).data["outcome"] == "in_review"
    assert (available(asha), count(scene, "above_cap", asha)) == ("0.00", 1)


def test_the_promised_rate_holds_though_prices_move_or_are_lost(
    scene: Scene, asha: Client, prices: Rates, chain: FakeTronGrid
) -> None:
    bela = scene.customer()
    pages = [wanted(scene, client) for client in (asha, bela)]
    assert [(page["trx"], page["rate"]) for page in pages] == [("10.000000", PRICE)] * 2
    priced(scene, prices, "14.00")
    assert claimed(asha, pages[0]["transactionId"], chain.pay(pages[0]["address"], 10 * TRX)).data["outcome"] == (
        "credited"
    )
    unpriced(scene, prices)
    assert claimed(bela, pages[1]["transactionId"], chain.pay(pages[1]["address"], 10 * TRX)).data["outcome"] == (
        "credited"
    )
    assert (available(asha), available(bela)) == ("284.10", "284.10")
    kept = scene.stand.ask("SELECT samples::text FROM quotes WHERE id = $1", pages[0]["quoteId"])
    assert all(source in kept for source in SOURCES)


def test_a_rate_that_staff_fixed_opens_the_method_and_prices_what_waited(
    scene: Scene, asha: Client, prices: Rates, chain: FakeTronGrid
) -> None:
    page = wanted(scene, asha)
    scene.stand.change("UPDATE quotes SET expires_at = clock_timestamp() - interval '1 hour'")
    unpriced(scene, prices)
    txid = chain.pay(page["address"], 10 * TRX)
    assert claimed(asha, page["transactionId"], txid).data["outcome"] == "waiting"
    assert (available(asha), count(scene, "no_rate", asha)) == ("0.00", 1)
    assert asha.post(BEGIN, {"method": "trx", "amount": "100"}).refusal == (503, "method_closed")
    owner = Member(scene.stand, "finance")
    body = {"asset": "trx", "rupeesPerUnit": "25.00", "hours": 1, "totp": "000000"}
    assert owner.client.post("/admin/rates", body).refusal == (401, "totp_invalid")
    body["totp"] = owner.fresh()
    assert owner.client.post("/admin/rates", body).data == {"asset": "trx", "rupeesPerUnit": "25.00"}
    scene.stand.portal.call(payments.settle_waiting, scene.till)
    assert available(asha) == "250.00"
    assert wanted(scene, asha, "100")["rate"] == "25"
    assert claimed(asha, page["transactionId"], txid).data["outcome"] == "credited"
    assert available(asha) == "250.00"


def test_one_transaction_that_two_claim_at_once_is_credited_once_to_whose_address_it_is(
    scene: Scene, asha: Client, chain: FakeTronGrid
) -> None:
    bela = scene.customer()
    mine, theirs = wanted(scene, asha), wanted(scene, bela)
    txid = chain.pay(mine["address"], 10 * TRX, is_listed=False)
    claims = [(asha, mine["transactionId"]), (bela, theirs["transactionId"])] * 3
    with ThreadPoolExecutor(len(claims)) as pool:
        told = list(pool.map(lambda item: claimed(item[0], item[1], txid).data["outcome"], claims))
    assert (set(told[0::2]), set(told[1::2])) == ({"credited"}, {"unknown"})
    assert (available(asha), available(bela)) == ("284.10", "0.00")
    assert stage(bela, theirs["transactionId"]) == "awaiting_payment"


def test_one_call_that_pays_two_customers_credits_each_his_part(
    scene: Scene, asha: Client, chain: FakeTronGrid
) -> None:
    bela = scene.customer()
    mine, theirs = (wanted(scene, client, "889", "usdt")["address"] for client in (asha, bela))
    txid = chain.call([log(mine, 10 * TRX), log(theirs, 5 * TRX), log(mine, 2 * TRX, contract=mine)], to=mine)
    scanned(scene, txid)
    assert (available(asha), available(bela)) == ("889.00", "444.50")


def test_a_node_that_cannot_print_a_transaction_takes_nothing_from_the_time_line(
    scene: Scene, asha: Client, chain: FakeTronGrid
) -> None:
    page = wanted(scene, asha)
    txid = chain.pay(page["address"], 10 * TRX, is_solid=False)
    scanned(scene, txid)
    until(lambda: stage(asha, page["transactionId"]) == "detected")
    outcome = chain.chain[txid].info
    chain.chain[txid].info = outcome | {"log": "class java.lang.NullPointerException : null"}
    chain.requests.clear()
    scanned(scene, txid)
    scanned(scene)
    assert events(asha, page["transactionId"]) == ["created", "detected"]
    chain.chain[txid].info = outcome
    chain.solidify(txid)
    scanned(scene, txid)
    until(lambda: available(asha) == "284.10")


def test_a_claim_of_one_asset_takes_nothing_from_the_time_line_of_another(
    scene: Scene, asha: Client, chain: FakeTronGrid
) -> None:
    trx, usdt = wanted(scene, asha), wanted(scene, asha, "889", "usdt")
    on_way = chain.pay_token(usdt["address"], 10 * TRX, is_solid=False)
    scanned(scene, on_way)
    until(lambda: stage(asha, usdt["transactionId"]) == "detected")
    txid = chain.pay(trx["address"], 10 * TRX, is_solid=False, is_listed=False)
    assert claimed(asha, trx["transactionId"], txid).data["outcome"] == "detected"
    assert events(asha, usdt["transactionId"]) == ["created", "detected"]
    for item in (on_way, txid):
        chain.solidify(item)
    assert claimed(asha, trx["transactionId"], txid).data["outcome"] == "credited"
    scanned(scene)
    until(lambda: available(asha) == "1173.10")


def test_a_deposit_that_the_index_lost_is_a_difference_until_it_is_found(
    scene: Scene, asha: Client, chain: FakeTronGrid
) -> None:
    page = wanted(scene, asha)
    address = page["address"]
    txid = chain.pay(address, 10 * TRX, is_listed=False)
    chain.balances[address] = 10 * TRX
    missing = f"{address}: 10000000 millionths of TRX more than is known to have come in"
    assert missing in scene.stand.portal.call(scene.compared, "chain")
    assert available(asha) == "0.00"
    chain.chain[txid].is_listed = True
    scanned(scene, txid)
    until(lambda: available(asha) == "284.10")
    assert not any(address in line for line in scene.stand.portal.call(scene.compared, "chain"))


def test_usdt_that_came_is_compared_too(scene: Scene, asha: Client, chain: FakeTronGrid) -> None:
    address = wanted(scene, asha, "889", "usdt")["address"]
    chain.tokens[address] = {USDT: str(3 * TRX), address: str(9 * TRX)}
    found = scene.stand.portal.call(scene.compared, "chain")
    assert f"{address}: 3000000 millionths of USDT more than is known to have come in" in found
