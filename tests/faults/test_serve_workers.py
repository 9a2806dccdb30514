"""Several web processes on one port: all answer, a shot one is replaced, and none outlives the first one."""

import asyncio
import os
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import structlog

from tests import processes, stand
from tests.processes import Running

pytestmark = pytest.mark.anyio
log = structlog.get_logger()

WORKERS = 2
STOP_SECONDS = 5.0
GONE_SECONDS = 3.0


@dataclass
class _Scene:
    server: Running
    web: aiohttp.ClientSession
    key: str

    async def buys(self, count: int) -> Counter[int]:
        """Buy so many numbers at once, each over a connection of its own; returns the statuses."""
        answers = await asyncio.gather(*(stand.buy(self.web, self.server.url, self.key) for _ in range(count)))
        return Counter(answer.status for answer in answers)

    def children(self) -> list[int]:
        """Return the web processes but the first one."""
        return [pid for pid in self.server.members() if pid != self.server.popen.pid]

    async def all_listen(self) -> float:
        """Wait until so many processes as wanted listen at the port; returns how long it took."""
        return await stand.until(self._do_all_listen, patience=10)

    async def _do_all_listen(self) -> bool:
        return processes.listeners(self.server.port) == WORKERS


@pytest.fixture
async def scene(run_folder: Path, database_url: str) -> AsyncIterator[_Scene]:
    environment = stand.ENVIRONMENT | {"DATABASE_URL": database_url}
    async with (
        await stand.simulator("never") as upstream,
        processes.commands(run_folder / f"workers-{uuid.uuid4().hex[:8]}", **environment) as commands,
        stand.callers() as web,
    ):
        async with stand.database(database_url) as db:
            key = (await stand.furnish(db, upstream, customers=1, deadline_ms=4000))[0]
        scene = _Scene(await commands.serve("--workers", str(WORKERS)), web, key)
        await scene.all_listen()
        yield scene


async def test_a_shot_web_process_is_replaced_and_a_stop_ends_all(scene: _Scene) -> None:
    assert await scene.buys(20) == {200: 20}
    shot = scene.children()
    assert len(shot) == WORKERS - 1
    os.kill(shot[0], signal.SIGKILL)
    await asyncio.sleep(0.1)
    assert await scene.buys(20) == {200: 20}, "the ones that are left did not answer"
    log.info("replaced", seconds=round(await scene.all_listen(), 2))
    assert await scene.buys(20) == {200: 20}
    assert "web_process_ended" in scene.server.log

    code, took = await scene.server.stop()
    log.info("stopped", seconds=round(took, 2))
    assert (code, took < STOP_SECONDS) == (0, True), f"code {code} after {took:.1f} s: {scene.server.log}"
    assert scene.server.members() == []
    assert processes.is_free(scene.server.port)
    assert "Traceback" not in scene.server.log, scene.server.log


async def test_no_web_process_outlives_the_first_one(scene: _Scene) -> None:
    async def is_free() -> bool:
        return processes.is_free(scene.server.port) and not scene.server.members()

    os.kill(scene.server.popen.pid, signal.SIGKILL)
    scene.server.popen.wait()
    log.info("free", seconds=round(await stand.until(is_free, patience=GONE_SECONDS), 2))
