"""Recharges on TRON, from the first call to the receipt in the mailbox, and what goes wrong on the way."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from structlog.testing import capture_logs

from numberdesk.base.postgres import Cluster
from numberdesk.payments import service as payments
from tests.http.money_in import FIRST_ADDRESS, Scene, available, events, opened, status, until
from tests.http.stand import Client
from tests.payments.fakes.trongrid import USDT, FakeTronGrid

TRX = 1_000_000


@pytest.fixture(scope="module")
def scene(portal: BlockingPortal, cluster: Cluster) -> Iterator[Scene]:
    """A site that is paid in TRX and USDT, at 28.41 and 88.90 rupees."""
    with opened(portal, cluster, "tron") as scene:
        yield scene


@pytest.fixture
def chain(scene: Scene) -> FakeTronGrid:
    assert scene.chain is not None
    return scene.chain


@pytest.fixture
def asha(scene: Scene) -> Client:
    scene.price_now()
    return scene.customer()


def wanted(scene: Scene, client: Client, amount: object = "100", method: str = "trx") -> dict[str, Any]:
    """Begin a recharge and return what is to be paid."""
    pay: dict[str, Any] = scene.begun(client, amount, method)["pay"]
    assert pay["kind"] == "tron"
    return pay


def units(text: str) -> int:
    whole, _, rest = text.partition(".")
    return int(whole) * TRX + int(rest)


def scan(scene: Scene) -> None:
    """Read all histories: a look that the worker had begun before ends with its own time for the next one."""
    scene.scan_now()
    scene.stand.portal.call(payments.scan_due, scene.till)


def seen(scene: Scene, is_so: Callable[[], bool]) -> None:
    """Read all histories until something is so."""

    def is_seen() -> bool:
        scan(scene)
        return is_so()

    until(is_seen)


def received(scene: Scene, client: Client, rupees: str) -> None:
    seen(scene, lambda: available(client) == rupees)


def test_a_customer_recharges_with_trx_from_the_api_alone_and_gets_the_receipt_by_mail(
    scene: Scene, asha: Client, chain: FakeTronGrid
) -> None:
    pay = wanted(scene, asha, "250.37")
    ref = pay["transactionId"]
    assert (pay["amount"], pay["rate"], pay["asset"]) == ("250.37", "28.41", "trx")
    assert pay["address"].startswith("T")
    assert pay["address"] != FIRST_ADDRESS
    txid = chain.pay(pay["address"], units(pay["trx"]), is_solid=False)
    seen(scene, lambda: status(asha, ref)["recharge"]["stage"] == "detected")
    assert available(asha) == "0.00"
    chain.solidify(txid)
    chain.balances[pay["address"]] = units(pay["trx"])
    received(scene, asha, "250.37")
    assert events(asha, ref) == ["created", "detected", "credited"]
    (receipt,) = asha.get("/recharge/receipts").data["items"]
    assert (receipt["method"], receipt["reference"], receipt["amount"]) == ("TRX", txid, "250.37")
    assert f"…{txid[-4:]}" in scene.mail(asha, receipt["number"])
    (line,) = asha.get("/user/transactions").data["items"]
    assert (line["type"], line["state"], line["method"], line["amount"]) == ("recharge", "completed", "trx", "250.37")
    scene.is_right("chain")


def test_a_customer_recharges_with_usdt(scene: Scene, asha: Client, chain: FakeTronGrid) -> None:
    pay = wanted(scene, asha, "889", "usdt")
    assert pay["trx"] == "10.000000"
    chain.pay_token(pay["address"], 10 * TRX, contract="TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH")
    chain.pay_token(pay["address"], 0)
    chain.approve(pay["address"], 10 * TRX)
    chain.pay_token(pay["address"], 10 * TRX)
    chain.balances[pay["address"]] = 0
    chain.tokens[pay["address"]] = {USDT: str(10 * TRX)}
    received(scene, asha, "889.00")
    assert status(asha, pay["transactionId"])["recharge"]["status"] == "completed"
    scene.is_right("chain")


def test_a_customer_has_one_address_for_ever_and_nobody_elses(scene: Scene, asha: Client) -> None:
    addresses = {wanted(scene, asha, amount)["address"] for amount in ("100", "200")}
    addresses |= {wanted(scene, asha, "300", "usdt")["address"]}
    assert len(addresses) == 1
    assert wanted(scene, scene.customer())["address"] not in addresses


def test_less_and_more_is_credited_by_the_promised_rate(scene: Scene, asha: Client, chain: FakeTronGrid) -> None:
    pay = wanted(scene, asha, "284.10")
    chain.pay(pay["address"], 5 * TRX)
    received(scene, asha, "142.05")
    assert status(asha, pay["transactionId"])["timeline"][-1]["detail"] == "142.05 less than asked for"
    chain.pay(pay["address"], 20 * TRX)
    received(scene, asha, "710.25")


def test_a_transfer_after_the_quote_is_credited_by_the_rate_of_the_moment(
    scene: Scene, asha: Client, chain: FakeTronGrid
) -> None:
    assert scene.rates is not None
    before = dict(scene.rates.prices)
    pay = wanted(scene, asha, "284.10")
    scene.stand.change("UPDATE quotes SET expires_at = clock_timestamp() - interval '1 hour'")
    for key in before:
        scene.rates.prices[key] = {"trx": "30.00", "usdt": "88.9"}[key[1]]
    try:
        scene.stand.change("DELETE FROM rate_samples")
        scene.price_now()
        chain.pay(pay["address"], 10 * TRX, is_solid=True)
        received(scene, asha, "300.00")
    finally:
        scene.rates.prices.update(before)
        scene.stand.change("DELETE FROM rate_samples")
        scene.price_now()


def test_without_a_fresh_rate_nothing_is_promised_and_what_came_waits(
    scene: Scene, asha: Client, chain: FakeTronGrid
) -> None:
    address = wanted(scene, asha, "284.10")["address"]
    scene.stand.change("UPDATE quotes SET expires_at = clock_timestamp() - interval '1 hour'")
    scene.stand.change("DELETE FROM rate_samples")
    answer = asha.post("/recharge/initiate", {"method": "trx", "amount": "100"})
    assert answer.refusal == (503, "method_closed")
    assert answer.details["reason"] == "no price is fresh enough"
    offered = {item["method"]: item for item in asha.get("/payment/methods").data}
    assert (offered["trx"]["isOpen"], offered["upi"]["isOpen"]) == (False, True)
    chain.pay(address, 10 * TRX)
    seen(scene, lambda: scene.stand.ask("SELECT count(*) FROM external_payments WHERE why = 'no_rate'") == 1)
    assert available(asha) == "0.00"
    scene.price_now()
    until(lambda: available(asha) == "284.10" or bool(scene.stand.portal.call(_settle_waiting, scene)))
    assert available(asha) == "284.10"


async def _settle_waiting(scene: Scene) -> int:
    return await payments.settle_waiting(scene.till)


def test_dust_is_credited_when_its_sum_is_worth_it(scene: Scene, asha: Client, chain: FakeTronGrid) -> None:
    address = wanted(scene, asha, "284.10")["address"]
    for _ in range(3):
        chain.pay(address, TRX // 4, memo="you won: visit a bad place")
    seen(scene, lambda: scene.stand.ask("SELECT count(*) FROM external_payments WHERE why = 'dust'") == 3)
    assert available(asha) == "0.00"
    chain.pay(address, TRX // 4)
    received(scene, asha, "28.40")


def test_a_transfer_that_vanished_is_taken_from_the_time_line_and_credits_nothing(
    scene: Scene, asha: Client, chain: FakeTronGrid
) -> None:
    pay = wanted(scene, asha)
    txid = chain.pay(pay["address"], units(pay["trx"]), is_solid=False)
    seen(scene, lambda: status(asha, pay["transactionId"])["recharge"]["stage"] == "detected")
    chain.vanish(txid)
    seen(scene, lambda: status(asha, pay["transactionId"])["recharge"]["stage"] == "awaiting_payment")
    assert events(asha, pay["transactionId"]) == ["created", "detected", "vanished"]
    assert available(asha) == "0.00"


def test_a_transfer_that_the_index_lost_is_credited_by_its_id_to_whose_address_it_is(
    scene: Scene, asha: Client, chain: FakeTronGrid
) -> None:
    mine = wanted(scene, asha)
    bela = scene.customer()
    theirs = wanted(scene, bela)
    txid = chain.pay(mine["address"], units(mine["trx"]), is_listed=False)
    claim = {"transactionId": theirs["transactionId"], "txid": txid}
    assert bela.post("/payment/verify-tron", claim).data["outcome"] == "unknown"
    assert (available(asha), available(bela)) == ("100.00", "0.00")
    claim = {"transactionId": mine["transactionId"], "txid": f"0x{txid.upper()}"}
    assert asha.post("/payment/verify-tron", claim).data["outcome"] == "credited"
    assert (available(asha), available(bela)) == ("100.00", "0.00")
    unknown = {"transactionId": mine["transactionId"], "txid": "ab" * 32}
    assert asha.post("/payment/verify-tron", unknown).data["outcome"] == "unknown"


def test_garbage_with_status_200_credits_nothing_and_the_money_is_found_later(
    scene: Scene, asha: Client, chain: FakeTronGrid
) -> None:
    pay = wanted(scene, asha)
    chain.pay(pay["address"], units(pay["trx"]))
    for body in (b"", b"{}", b'{"Error": "lack of computing resources"}', b"this API is closed", b"[1"):
        chain.says = (200, body)
        scene.scan_now()
        claim = {"transactionId": pay["transactionId"], "txid": "cd" * 32}
        assert asha.post("/payment/verify-tron", claim).data["outcome"] == "unknown"
    assert available(asha) == "0.00"
    chain.says = None
    assert scene.till.chain is not None
    for health in scene.till.chain.grid.health:  # it may have been shut for half a minute
        health.shut_until, health.lost = 0.0, 0
    received(scene, asha, "100.00")


def test_what_the_operator_sends_himself_is_credited_to_nobody(scene: Scene, asha: Client, chain: FakeTronGrid) -> None:
    address = wanted(scene, asha)["address"]
    other = wanted(scene, scene.customer())["address"]
    txid = chain.pay(address, 50 * TRX, sender=other)
    claim = {"transactionId": scene.begun(asha, "150", "trx")["transactionId"], "txid": txid}
    assert asha.post("/payment/verify-tron", claim).data["outcome"] == "not_ours"
    assert available(asha) == "0.00"
    chain.balances[address] = 50 * TRX
    assert not [line for line in scene.stand.portal.call(scene.compared, "chain") if address in line]


def test_a_deposit_that_nobody_knows_of_is_a_difference_and_is_looked_for(
    scene: Scene, asha: Client, chain: FakeTronGrid
) -> None:
    address = wanted(scene, asha)["address"]
    chain.balances[address] = 7 * TRX
    found = scene.stand.portal.call(scene.compared, "chain")
    said = f"{address}: 7000000 millionths of TRX more than is known to have come in"
    assert said in found
    assert said in scene.stand.portal.call(scene.compared, "chain"), "told each day until it is credited"
    chain.pay(address, 7 * TRX)
    received(scene, asha, "198.87")
    assert said not in scene.stand.portal.call(scene.compared, "chain")


def test_a_deposit_at_an_address_that_was_cold_for_long_survives_a_bad_moment_of_the_node(
    scene: Scene, asha: Client, chain: FakeTronGrid
) -> None:
    pay = wanted(scene, asha)
    chain.pay(pay["address"], units(pay["trx"]))
    scene.stand.change(
        "UPDATE tron_addresses SET read_to = read_to - interval '7 days', due_at = 'infinity' WHERE address = $1",
        pay["address"],
    )
    for bad in ((429, b"{}"), (503, b""), (200, b"{}")):
        chain.says = bad
        scene.stand.change("UPDATE tron_addresses SET due_at = clock_timestamp() WHERE address = $1", pay["address"])
        scene.stand.portal.call(payments.scan_due, scene.till)
    chain.says = None
    assert scene.till.chain is not None
    for health in scene.till.chain.grid.health:
        health.shut_until, health.lost, health.key_rests_until = 0.0, 0, [0.0]
    received(scene, asha, "100.00")


def test_a_flood_of_tokens_does_not_hide_a_deposit(scene: Scene, asha: Client, chain: FakeTronGrid) -> None:
    pay = wanted(scene, asha)
    for _ in range(120):
        chain.pay_trc10(pay["address"], 1)
    chain.pay(pay["address"], units(pay["trx"]))
    received(scene, asha, "100.00")


def test_a_node_that_lags_is_told_in_the_log(scene: Scene, chain: FakeTronGrid) -> None:
    now = chain.head_at
    with capture_logs() as lines:
        scene.stand.portal.call(payments.watch_chain, scene.till)
        chain.head_at = now - 3_600_000
        try:
            scene.stand.portal.call(payments.watch_chain, scene.till)
        finally:
            chain.head_at = now
    lags = [line for line in lines if line["event"] == "tron_node_lags"]
    assert [line["seconds"] >= 3600 for line in lags] == [True]
