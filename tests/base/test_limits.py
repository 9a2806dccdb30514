"""Limits: what is refused, when a window is over, what stands in the table, and what happens without a database."""

import asyncio
import sys
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any, get_args

import asyncpg
import pytest
from limits._storage_scheme import SCHEMES
from limits.aio.strategies import FixedWindowRateLimiter

from numberdesk.base import clock
from numberdesk.base.db import Database, open_database, rows, run, value
from numberdesk.base.errors import Unavailable
from numberdesk.base.limits import (
    NUMBERS,
    ApiLimiter,
    Limiter,
    LimitName,
    PostgresStorage,
    TooMany,
    forget_old_counters,
    parse,
)
from numberdesk.base.windows import Count, Windows
from tests.base.proxy import Proxy, proxied

pytestmark = pytest.mark.anyio

WHO = ("alice@example.com", "203.0.113.7/32")
STORED: list[LimitName] = [name for name in get_args(LimitName) if name not in ("api", "protocol")]


@pytest.fixture
def limiter(db: Database) -> Limiter:
    return Limiter(db)


@pytest.fixture
async def proxy(database_url: str, run_folder: Path) -> AsyncIterator[Proxy]:
    folder = run_folder / "limits"
    folder.mkdir(exist_ok=True)
    async with proxied(database_url, folder) as proxy:
        yield proxy


@pytest.fixture
async def admin(admin_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(admin_url)
    yield connection
    await connection.close()


async def shift(db: Database, by: str) -> None:
    """Let the windows end as if this much time had passed."""
    async with db.statement() as tx:
        await run(tx, "UPDATE limit_counters SET expires_at = expires_at - $1::text::interval", by)


async def counters(db: Database) -> list[tuple[Any, ...]]:
    async with db.statement() as tx:
        return await rows(tx, "SELECT key, hits FROM limit_counters ORDER BY expires_at")


@pytest.mark.parametrize(
    ("text", "sentence"),
    {
        "5 potatoes": "is no limit: write it like",
        "": "is no limit: write it like",
        "five per minute": "is no limit: write it like",
        "5 per fortnight": "is no limit: write it like",
        "-5 per minute": "is no limit: write it like",
        "1.5 per minute": "is no limit: write it like",
        "30": "is no limit: write it like",
        "5 per minute; 10 per hour": "is no limit: write it like",
        "\u0665 per minute": "is no limit: write it like",
        f"{'9' * 5000} per minute": "is no limit: write it like",
        "0 per hour": "the smallest number is 1",
        "5 per 0 minutes": "the smallest number is 1",
        "1000001 per minute": "at most 1000000 tries",
        "5 per 31 days": "at most 30 days",
        "5 per year": "at most 30 days",
    }.items(),
)
def test_nonsense_is_no_limit_and_says_why(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse(text)


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [
        ("5 per 15 minutes", 5, 900),
        ("30 per minute", 30, 60),
        ("30/minute", 30, 60),
        ("1 PER 2 Hours", 1, 7200),
        ("1000000 per 30 days", 1_000_000, 2_592_000),
    ],
)
def test_a_limit_is_read_as_the_library_says_it(text: str, amount: int, seconds: int) -> None:
    item = parse(text)
    assert item is not None
    assert (item.amount, item.get_expiry()) == (amount, seconds)


def test_off_is_no_limit() -> None:
    assert parse("off") is parse(" OFF ") is None


def test_every_limit_has_its_number_and_the_five_of_the_source_design_are_its_own() -> None:
    assert set(NUMBERS) == set(get_args(LimitName))
    assert all(parse(text) for text in NUMBERS.values())
    assert {name: NUMBERS[name] for name in ("login", "register", "otp", "recharge", "api")} == {
        "login": "5 per 15 minutes",
        "register": "3 per hour",
        "otp": "3 per 5 minutes",
        "recharge": "10 per hour",
        "api": "30 per minute",
    }


async def test_no_limit_of_accounts_can_be_switched_off_or_be_nonsense(db: Database) -> None:
    for name in STORED:
        with pytest.raises(ValueError, match=f"{name} cannot be switched off"):
            Limiter(db, numbers={name: "off"})
        with pytest.raises(ValueError, match="is no limit"):
            Limiter(db, numbers={name: "often"})
    Limiter(db, numbers={"api": "off"})


def test_the_refusal_says_how_long_to_wait() -> None:
    refusal = TooMany("otp", 240)
    assert (refusal.status, refusal.code, refusal.category) == (429, "too_many_requests", "validation")
    assert refusal.sentence() == "Too many tries. Wait 240 seconds."
    assert refusal.details() == {"limit_name": "otp", "retry_after_seconds": 240}
    assert refusal.retry_seconds() == 240
    assert str(TooMany("otp", 1)) == "Too many tries. Wait one second."


@pytest.mark.parametrize("name", STORED)
async def test_after_the_last_try_comes_a_refusal(limiter: Limiter, name: LimitName) -> None:
    item = parse(NUMBERS[name])
    assert item is not None
    for tried in range(1, item.amount + 1):
        standing = await limiter.admit(name, *WHO)
        assert (standing.limit, standing.remaining) == (item.amount, item.amount - tried)
        assert item.get_expiry() - 5 <= standing.reset_seconds <= item.get_expiry()
    for _ in range(2):
        with pytest.raises(TooMany) as refusal:
            await limiter.admit(name, *WHO)
        assert refusal.value.limit_name == name
        assert item.get_expiry() - 5 <= refusal.value.retry_after_seconds <= item.get_expiry()


async def test_refused_tries_are_counted_and_do_not_make_the_wait_longer(limiter: Limiter, db: Database) -> None:
    for _ in range(5):
        await limiter.admit("login", *WHO)
    await shift(db, "10 minutes")
    for tried in range(3):
        with pytest.raises(TooMany) as refusal:
            await limiter.admit("login", *WHO)
        assert 290 <= refusal.value.retry_after_seconds <= 300
        assert [hits for _, hits in await counters(db)] == [6 + tried]


async def test_a_window_ends_when_it_ends_and_not_before(limiter: Limiter, db: Database) -> None:
    for _ in range(3):
        await limiter.admit("otp", *WHO)
    await shift(db, "4 minutes 57 seconds")
    with pytest.raises(TooMany) as refusal:
        await limiter.admit("otp", *WHO)
    assert 1 <= refusal.value.retry_after_seconds <= 3
    await shift(db, "3 seconds")
    standing = await limiter.admit("otp", *WHO)
    assert (standing.remaining, standing.reset_seconds) == (2, 300)


async def test_a_window_begins_anew_once_although_many_try_at_its_edge(limiter: Limiter, db: Database) -> None:
    for _ in range(3):
        await limiter.admit("otp", *WHO)
    await shift(db, "5 minutes")
    results = await asyncio.gather(*(limiter.admit("otp", *WHO) for _ in range(30)), return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 3
    assert {type(result) for result in results if isinstance(result, BaseException)} == {TooMany}
    assert [hits for _, hits in await counters(db)] == [30]


async def test_each_name_and_each_subject_has_a_count_of_its_own(limiter: Limiter, db: Database) -> None:
    subjects = [("ab", "c"), ("a", "bc"), ("abc",), ("ab", "c", ""), ("ab c",)]
    for name, who in product(STORED, subjects):
        standing = await limiter.admit(name, *who)
        assert standing.remaining == standing.limit - 1
    assert [hits for _, hits in await counters(db)] == [1] * len(STORED) * len(subjects)


async def test_no_address_stands_in_the_table(limiter: Limiter, db: Database) -> None:
    await limiter.admit("login", *WHO)
    await limiter.admit("login", "\udc80 is no text", "203.0.113.7/32")
    for key, _ in await counters(db):
        assert "login" in key
        assert "alice" not in key
        assert "203" not in key.split("/")[:2]


async def test_a_changed_number_counts_anew(db: Database) -> None:
    for _ in range(5):
        await Limiter(db).admit("login", *WHO)
    assert (await Limiter(db, numbers={"login": "6 per hour"}).admit("login", *WHO)).remaining == 5


async def test_what_is_forgotten_begins_anew_and_nothing_else(limiter: Limiter) -> None:
    for who in ("alice", "bob"):
        for _ in range(5):
            await limiter.admit("password", who)
    await limiter.forget("password", "alice")
    assert (await limiter.admit("password", "alice")).remaining == 4
    with pytest.raises(TooMany):
        await limiter.admit("password", "bob")


async def test_old_counters_go_a_hand_at_a_time_and_open_ones_stay(limiter: Limiter, db: Database) -> None:
    for number in range(5):
        await limiter.admit("otp", str(number))
    await shift(db, "5 minutes")
    await limiter.admit("otp", "open")
    assert [await forget_old_counters(db, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert len(await counters(db)) == 1
    assert (await limiter.admit("otp", "open")).remaining == 1


async def test_the_library_counts_with_our_storage(db: Database) -> None:
    assert SCHEMES["numberdesk+postgresql"] is PostgresStorage
    storage = PostgresStorage(db=db)
    strategy, item = FixedWindowRateLimiter(storage), parse("2 per hour")
    assert item is not None
    assert [await strategy.hit(item, "a") for _ in range(3)] == [True, True, False]
    assert await strategy.test(item, "b")
    stats = await strategy.get_window_stats(item, "a")
    assert stats.remaining == 0
    assert 3590 < stats.reset_time - clock.now().timestamp() < 3610
    assert await storage.incr("many", 60, amount=7) == 7
    assert await storage.get("many") == 7
    await strategy.clear(item, "a")
    assert await strategy.hit(item, "a", cost=2)
    await shift(db, "1 hour")
    assert await storage.get("many") == 0
    for key in ("many", "nobody"):
        assert abs(await storage.get_expiry(key) - clock.now().timestamp()) < 10
    assert await storage.check()
    assert await storage.reset() == 2
    assert await counters(db) == []


async def test_nothing_is_let_through_while_the_database_is_out_of_reach(db: Database, proxy: Proxy) -> None:
    behind = await open_database(proxy.url, size=2)
    try:
        limiter = Limiter(behind)
        await limiter.admit("login", *WHO)
        proxy.refuse_next = 1000
        for writer in proxy.writers:
            writer.transport.abort()
        for _ in range(8):
            with pytest.raises(Unavailable):
                await limiter.admit("login", *WHO)
        with pytest.raises(Unavailable):
            await limiter.forget("login", *WHO)
        assert not await PostgresStorage(db=behind).check()
        assert [hits for _, hits in await counters(db)] == [1]
        proxy.refuse_next = 0
        assert (await limiter.admit("login", *WHO)).remaining == 3
    finally:
        await behind.close()


async def test_a_try_whose_connection_is_lost_while_it_is_counted_is_not_let_through(
    database_url: str, db: Database, admin: Any
) -> None:
    narrow = await open_database(database_url, size=1, name="narrow")
    try:
        limiter = Limiter(narrow)
        await limiter.admit("login", *WHO)
        async with db.transaction() as tx:
            await value(tx, "SELECT 1 FROM limit_counters FOR UPDATE")
            trying = asyncio.create_task(limiter.admit("login", *WHO))
            await asyncio.sleep(0.1)
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'narrow' AND datname = current_database()"
            )
            with pytest.raises(Unavailable):
                await trying
        assert (await limiter.admit("login", *WHO)).remaining == 3
    finally:
        await narrow.close()


async def test_the_api_refuses_above_its_number_each_caller_for_himself() -> None:
    limiter = ApiLimiter("3 per minute")
    for who in (1, 2, "203.0.113.7/32"):
        for remaining in (2, 1, 0):
            standing = await limiter.admit(who)
            assert standing is not None
            assert (standing.limit, standing.remaining, standing.reset_seconds) == (3, remaining, 60)
        with pytest.raises(TooMany) as refusal:
            await limiter.admit(who)
        assert (refusal.value.limit_name, refusal.value.retry_after_seconds) == ("api", 60)


async def test_an_account_may_have_a_number_of_its_own_and_none_at_all() -> None:
    limiter = ApiLimiter("3 per minute")
    for _ in range(5):
        await limiter.admit(1, per_minute=5)
        assert await limiter.admit(2, per_minute=0) is None
    with pytest.raises(TooMany):
        await limiter.admit(1, per_minute=5)
    standing = await limiter.admit(1, per_minute=7)
    assert standing is not None
    assert (standing.limit, standing.remaining) == (7, 0)
    with pytest.raises(AssertionError):
        await limiter.admit(1, per_minute=-1)


async def test_off_lets_everybody_through_but_accounts_with_a_number() -> None:
    limiter = ApiLimiter("off")
    assert [await limiter.admit(1) for _ in range(100)] == [None] * 100
    await limiter.admit(1, per_minute=1)
    with pytest.raises(TooMany):
        await limiter.admit(1, per_minute=1)
    await limiter.close()


@pytest.mark.parametrize(("number", "processes", "share"), [(30, 1, 30), (30, 4, 7), (3, 2, 1), (3, 8, 1)])
async def test_without_redis_each_process_lets_its_share_through_at_least_one(
    number: int, processes: int, share: int
) -> None:
    limiter = ApiLimiter(f"{number} per minute", processes=processes)
    for who, per_minute in ((1, None), (2, number)):
        for _ in range(share):
            standing = await limiter.admit(who, per_minute=per_minute)
            assert standing is not None
            assert standing.limit == share
        with pytest.raises(TooMany):
            await limiter.admit(who, per_minute=per_minute)


def test_a_window_in_memory_ends_when_it_ends_and_leaves_nothing_behind() -> None:
    windows = Windows(60)
    assert [windows.hit("a", now) for now in (1000.0, 1059.5, 1060.0)] == [
        Count(1, 60.0), Count(2, 0.5), Count(1, 60.0),
    ]  # fmt: skip
    for number in range(100):
        windows.hit(number, 1060.0)
    windows.hit("b", 1119.0)
    assert len(windows._open) == 102
    windows.hit("a", 1179.0)
    assert len(windows._open) == 1
    assert windows.find("b", 1179.0) is None


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:6379", "redis://127.0.0.1", "redis://user:secret@127.0.0.1", "nonsense"]
)
def test_an_address_of_redis_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="cannot be used: write it like redis://") as refusal:
        ApiLimiter(redis_url=url)
    assert "secret" not in str(refusal.value)


async def test_without_the_package_redis_only_its_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ValueError, match=r"install numberdesk\[redis\]"):
        ApiLimiter(redis_url="redis://127.0.0.1:6379/0")
    assert await ApiLimiter().admit(1) is not None
