"""Background passes: a table of (name, interval, function), each run in its own loop until the process stops."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog
from prometheus_client import Counter

from numberdesk.base import log as logs
from numberdesk.base.errors import Unavailable

log = structlog.get_logger()
T = TypeVar("T")

PATIENCE = 60.0
"""Seconds after which most passes are cut off; rows it had taken become due again when their lease ends."""
JITTER = 0.1
PASSES_FAILED = Counter("numberdesk_passes_failed", "Background passes that failed or were cut off.", ("step",))


@dataclass(frozen=True, slots=True)
class Pass:
    """One bounded step of background work. `run` returns how much it did; a full hand is repeated at once."""

    name: str
    every: float
    run: Callable[[], Awaitable[object]]
    full: int | None = None
    patience: float = PATIENCE
    """Seconds after which it is cut off."""


async def loop(step: Pass) -> None:
    """Run a pass for ever; trouble is logged and the next turn comes as usual."""
    while True:
        done: object = None
        with logs.about(step=step.name):
            try:
                async with asyncio.timeout(step.patience):
                    done = await step.run()
            except Unavailable:
                log.warning("pass_waits_for_database", step=step.name)
            except TimeoutError:
                PASSES_FAILED.labels(step.name).inc()
                log.warning("pass_cut_off", step=step.name)
            except Exception:
                PASSES_FAILED.labels(step.name).inc()
                log.exception("pass_failed", step=step.name)
        if step.full is None or not isinstance(done, int) or done < step.full:
            await asyncio.sleep(step.every * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - jitter, no secret


async def each(items: Iterable[T], work: Callable[[T], Awaitable[object]], *, at_once: int) -> None:
    """Work on every item, a few at once; trouble with one is logged and is nobody else's."""
    places = asyncio.Semaphore(at_once)

    async def take_turn(item: T) -> None:
        async with places:
            try:
                await work(item)
            except Unavailable:
                log.warning("item_waits_for_database", work=_name(work))
            except Exception:
                log.exception("item_failed", work=_name(work))

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(take_turn(item))


def _name(work: object) -> str:
    while isinstance(work, partial):
        work = work.func
    return getattr(work, "__name__", "")


@asynccontextmanager
async def running(steps: Iterable[Pass]) -> AsyncIterator[None]:
    """Run passes for as long as the block lasts."""
    tasks = [asyncio.create_task(loop(step), name=step.name) for step in steps]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
