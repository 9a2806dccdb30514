"""When the database is away or the process stops: no purchase is told as a failure of the way, and none is lost."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from numberdesk.orders import service as orders
from tests.compat.bot import DIALECTS, Bot, money, refusal
from tests.compat.test_handover import SLOW, hang_up, notes_of, orders_of, slow
from tests.http import stand as stands
from tests.http.stand import Client, Stand

WANTED: dict[str, Any] = {"service": "tg", "country": "22"}


@pytest.fixture(scope="module")
def frail(portal: BlockingPortal, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A site whose database can be cut off."""
    folder = Path(tmp_path_factory.mktemp("proxy"))
    with stands.opened(portal, cluster, proxy_folder=folder, rate_limit_protocol="off") as stand:
        yield stand


@pytest.mark.parametrize("dialect", DIALECTS)
def test_without_the_database_a_purchase_is_trouble_of_ours_with_status_200(frail: Stand, dialect: str) -> None:
    bot = Bot(frail.customer(), dialect)
    bot.buy()
    frail.cut_database()
    try:
        for action in ("getNumber", "getNumberV2"):
            assert refusal(bot.send(action, **WANTED), dialect) == (200, "ERROR_SQL")
    finally:
        frail.mend_database()
    for _ in range(100):
        if bot.send("getNumber", **WANTED).body.startswith((b"ACCESS_NUMBER:", b"{")):
            break
        time.sleep(0.1)
    assert orders_of(frail, bot) == 2


@pytest.mark.parametrize("hangs_up", [False, True])
def test_a_purchase_that_could_not_be_noted_is_handed_over_when_the_database_is_back(
    frail: Stand, *, hangs_up: bool
) -> None:
    bot = Bot(frail.customer())
    assert bot.text("getBalance") == "ACCESS_BALANCE:1000.00"
    with ThreadPoolExecutor(1) as pool, slow(frail):
        told = pool.submit(hang_up, bot, after=0.8) if hangs_up else pool.submit(bot.send, "getNumberV2", **WANTED)
        time.sleep(0.4)  # it is on its way at the provider
        frail.cut_database()
        try:
            told.result()
            time.sleep(SLOW)
        finally:
            frail.mend_database()
    for _ in range(100):
        found = bot.send("getNumberV2", **WANTED)
        if found.body.startswith(b"{"):
            break
        time.sleep(0.1)  # its outcome is not known yet
    assert found.headers["idempotent-replayed"] == "true"
    assert (orders_of(frail, bot), notes_of(frail, bot)) == (1, 0)


def test_a_purchase_at_a_process_that_stops_is_handed_over_by_the_next_one(stand: Stand, alice: Bot) -> None:
    with ThreadPoolExecutor(1) as pool, slow(stand, 4.0):
        with stands.joined(stand) as port:
            other = Bot(Client(port, alice.client.key))
            told = pool.submit(other.send, "getNumberV2", **WANTED)
            time.sleep(0.7)  # it is on its way at the provider
        answer = told.result()
        assert refusal(answer, "classic") == (200, "ERROR_SQL")
        time.sleep(4.0)
    for _ in range(60):
        found = alice.send("getNumberV2", **WANTED)
        if "idempotent-replayed" in found.headers:
            break
        assert found.body == b"ERROR_SQL"  # its outcome is not known yet
    assert found.json["phoneNumber"].isdigit()
    assert (orders_of(stand, alice), notes_of(stand, alice)) == (1, 0)


def test_notes_that_nobody_came_back_for_are_forgotten(stand: Stand, alice: Bot) -> None:
    with slow(stand, 0.4):
        hang_up(alice, after=0.2)
        time.sleep(0.5)
    assert notes_of(stand, alice) == 1
    assert stand.portal.call(orders.forget_undelivered, stand.site.db) == 0
    stand.change("UPDATE undelivered_purchases SET noted_at = noted_at - interval '2 hours'")
    assert stand.portal.call(orders.forget_undelivered, stand.site.db) == 1


def test_a_test_key_buys_for_play_money(stand: Stand) -> None:
    person = stand.signed_in("play@example.com")
    made = person.client.post("/user/api-keys", {"name": "t", "scopes": ["read", "order"], "mode": "test"}).data
    bot = Bot(Client(stand.port, made["secret"]))
    order_id = bot.buy(service="testcode")
    for _ in range(60):
        if (seen := bot.text("getStatus", id=order_id)) != "STATUS_WAIT_CODE":
            break
        time.sleep(0.1)
    assert seen.startswith("STATUS_OK:")
    assert bot.text("setStatus", id=order_id, status=6) == "ACCESS_ACTIVATION"
    assert bot.text("getNumber", service="tg", country="22") in ("BAD_SERVICE", "NO_NUMBERS")
    assert money(bot)[1] == "0.00"
