"""Several web processes on one port: all answer, a shot one is replaced, and none outlives the first one."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from tests import processes, stand
from tests.stand import WebProcesses

pytestmark = pytest.mark.anyio
log = structlog.get_logger()

WORKERS = 2
STOP_SECONDS = 5.0
GONE_SECONDS = 3.0


@pytest.fixture
async def scene(run_folder: Path, database_url: str) -> AsyncIterator[WebProcesses]:
    async with stand.web_processes(run_folder / f"workers-{uuid.uuid4().hex[:8]}", database_url, WORKERS) as scene:
        await scene.all_listen()
        yield scene


async def test_a_shot_web_process_is_replaced_and_a_stop_ends_all(scene: WebProcesses) -> None:
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


async def test_no_web_process_outlives_the_first_one(scene: WebProcesses) -> None:
    async def is_free() -> bool:
        return processes.is_free(scene.server.port) and not scene.server.members()

    os.kill(scene.server.popen.pid, signal.SIGKILL)
    scene.server.popen.wait()
    log.info("free", seconds=round(await stand.until(is_free, patience=GONE_SECONDS), 2))
