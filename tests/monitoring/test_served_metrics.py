"""The metrics of a server with several web processes: one answer about all of them, whichever process gives it."""

import asyncio
import json
import os
import signal
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import stand
from tests.stand import WebProcesses

pytestmark = pytest.mark.anyio

TOKEN = "scrapes-with-this-token"
WORKERS = 2
TOLD_SECONDS = 20.0
"""A process tells every five seconds what it counted."""
BUYS = 30
PURCHASES = {"method": "POST", "route": "/auth/get-number", "status": "200"}


@dataclass
class _Scene(WebProcesses):
    async def page(self, token: str | None = TOKEN) -> tuple[int, str]:
        """Read the metrics over a connection of its own, so that any process may answer."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with self.web.get(f"{self.server.url}/metrics", headers=headers) as answer:
            return answer.status, await answer.text()

    async def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        status, page = await self.page()
        assert status == 200, page
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }

    async def value(self, name: str, **labels: str) -> float:
        return (await self.samples()).get((f"numberdesk_{name}", frozenset(labels.items())), 0.0)

    async def reaches(self, wanted: float, name: str, **labels: str) -> None:
        """Wait until a value is told; a gauge may be five seconds old, and a counter five."""

        async def is_there() -> bool:
            return await self.value(name, **labels) == wanted

        await stand.until(is_there, patience=TOLD_SECONDS)


@pytest.fixture
async def scene(run_folder: Path, database_url: str) -> AsyncIterator[_Scene]:
    home = run_folder / f"metrics-{uuid.uuid4().hex[:8]}"
    async with stand.web_processes(home, database_url, WORKERS, METRICS_TOKEN=TOKEN, LOG_FORM="json") as found:
        scene = _Scene(found.server, found.web, found.key, found.count)
        await scene.all_listen(patience=30)
        yield scene


async def test_every_request_is_counted_once_whichever_process_answers_or_dies(scene: _Scene) -> None:
    assert (await scene.page(None))[0] == 401
    assert (await scene.page("another-token-than-that"))[0] == 401
    assert await scene.buys(BUYS) == {200: BUYS}
    await scene.reaches(BUYS, "requests_total", **PURCHASES)
    # Many readings meet both processes, and all say the same.
    assert {await scene.value("requests_total", **PURCHASES) for _ in range(20)} == {BUYS}
    assert await scene.value("request_seconds_count", method="POST", route="/auth/get-number") == BUYS
    await scene.reaches(WORKERS, "processes", kind="web")
    await scene.reaches(1, "processes", kind="worker")
    await scene.reaches(BUYS, "orders_open", state="active")
    await scene.reaches(BUYS, "provider_calls_total", provider="simulator", action="rent", outcome="rented")

    os.kill(scene.children()[0], signal.SIGKILL)
    await asyncio.sleep(0.2)  # what had connected to it is cut off
    assert await scene.buys(BUYS) == {200: BUYS}
    await scene.all_listen(patience=30)
    await scene.reaches(2 * BUYS, "requests_total", **PURCHASES)


async def test_each_request_has_a_line_that_names_who_asked_and_what_was_answered(scene: _Scene) -> None:
    order = (await stand.buy(scene.web, scene.server.url, scene.key)).data["orderId"]
    headers = {"X-API-Key": scene.key, "X-Request-Id": "a-request-of-the-tests"}
    async with scene.web.get(f"{scene.server.url}/api/v1/orders/{order}?token=secret-in-query", headers=headers) as got:
        assert got.status == 200

    async def is_told() -> bool:
        return "a-request-of-the-tests" in scene.server.log

    await stand.until(is_told, patience=5)
    lines = [json.loads(line) for line in scene.server.log.splitlines() if line.startswith("{")]
    (line,) = [item for item in lines if item.get("request_id") == "a-request-of-the-tests"]
    assert line.pop("ms") >= 0
    assert line.pop("timestamp").endswith("Z")
    assert line.pop("account_id") > 0
    assert line == {
        "event": "request", "level": "info", "request_id": "a-request-of-the-tests", "method": "GET",
        "route": "/orders/{order_id}", "status": 200, "order_id": order,
    }  # fmt: skip
    assert "secret-in-query" not in scene.server.log
    assert scene.key not in scene.server.log
