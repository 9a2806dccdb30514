"""The pages about the service itself: its status from memory, its readiness, its metrics behind a token."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from numberdesk.monitoring.service import Judge
from tests.http import stand as stands
from tests.http.stand import Client, Stand

PARTS = ["api", "codes", "notices", "numbers", "payments", "webhooks", "server:alpha"]


def until(condition: Callable[[], object], *, patience: float = 45.0) -> None:
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_everybody_reads_the_status_with_an_etag(stand: Stand) -> None:
    def shown() -> list[str]:
        return [part["name"] for part in stand.nobody.get("/system/status").data["parts"]]

    until(lambda: shown() == PARTS)
    answer = stand.nobody.get("/system/status")
    assert answer.headers["cache-control"] == "public, max-age=5"
    assert answer.data["status"] in ("ok", "degraded", "down")
    assert answer.data["parts"][0]["status"] == "ok"
    etag = answer.headers["etag"]

    def is_known() -> bool:
        again = stand.nobody.get("/api/v1/system/status", If_None_Match=etag)
        assert again.status in (200, 304)
        return again.status == 304 or again.headers["etag"] != etag

    assert is_known()


def test_a_site_that_just_began_says_that_it_does_not_know_yet_and_soon_that_it_is_well(
    portal: BlockingPortal, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    look = Judge.look

    async def look_late(judge: Judge) -> int:
        while not gate.is_set():  # noqa: ASYNC110 - set by a thread
            await asyncio.sleep(0.01)
        return await look(judge)

    monkeypatch.setattr(Judge, "look", look_late)
    with stands.opened(portal, cluster) as fresh:
        first = fresh.nobody.get("/system/status").data
        assert first == {"status": "unknown", "lookedAt": None, "parts": []}
        gate.set()
        until(lambda: fresh.nobody.get("/system/status").data["status"] == "ok", patience=10)


def test_the_status_needs_no_database(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(stand.site.db), "statement", None)
    monkeypatch.setattr(type(stand.site.db), "transaction", None)
    assert stand.nobody.get("/system/status").status == 200


def test_readiness_tells_of_workers_and_of_every_queue(stand: Stand) -> None:
    until(lambda: stand.nobody.get("/readyz").data["worker"] == "ok")
    shown = stand.nobody.get("/readyz").data
    assert shown["workers"] >= 1
    assert shown.keys() == {
        "status", "database", "migrations", "worker", "workers", "overdueSeconds", "noticesOverdueSeconds",
        "webhooksOverdueSeconds",
    }  # fmt: skip
    stand.change("DELETE FROM processes")
    assert stand.nobody.get("/readyz").data["worker"] == "none"
    until(lambda: stand.nobody.get("/readyz").data["worker"] == "ok")


def test_metrics_are_closed_while_no_token_is_set_even_to_this_machine(stand: Stand) -> None:
    for client in (stand.nobody, Client(stand.port, token="guess"), stand.customer()):
        assert client.get("/metrics").refusal == (404, "not_found")


def test_everybody_can_read_the_limits_amounts_and_times(stand: Stand) -> None:
    shown = stand.nobody.get("/system/config").data
    assert shown["limits"]["login"] == "5 per 15 minutes"
    assert shown["limits"]["register"] == "3 per hour"
    assert (shown["currency"], shown["orderLifetimeSeconds"], shown["waitMaxSeconds"]) == ("INR", 1200, 25)
    assert shown["cancelAfterSeconds"] == int(stand.site.settings.cancel_after.total_seconds())
    upi, trx = shown["paymentMethods"]
    assert (upi["method"], upi["minAmount"], upi["maxAmount"]) == ("upi", "50.00", "10000.00")
    assert (trx["method"], trx["isOpen"]) == ("trx", False)
    assert stand.site.settings.jwt_secret.get_secret_value() not in str(shown)  # type: ignore[union-attr]
