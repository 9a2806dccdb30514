"""How often something may be tried: every limit by name, counted first and judged then.

A window is fixed: it begins with the first try and lets `amount` tries through until it ends, so that at its edge twice
as many can come close together. That is the price of one small row, one statement and an end that can be told exactly.

What protects accounts is counted in PostgreSQL, by its clock, exactly across all processes, and closed when it cannot
be asked. The API limit protects capacity: it is counted in memory, or in Redis, and goes on in memory without it.
"""

import hashlib
import importlib.util
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec
import structlog
from limits import RateLimitItem, RateLimitItemPerMinute, parse_many
from limits.aio.storage import RedisStorage, Storage
from limits.errors import ConfigurationError, StorageError

from numberdesk.base import clock
from numberdesk.base.db import Database, rows, run, value
from numberdesk.base.errors import AppError, Unavailable
from numberdesk.base.windows import Count, Windows

log = structlog.get_logger()

LimitName = Literal[
    "login", "login_network", "login_strangers", "register", "otp", "recharge", "mail", "mail_address", "mail_network",
    "password", "claim", "ticket", "ticket_message", "api", "protocol",
]  # fmt: skip

NUMBERS: dict[LimitName, str] = {
    # The source design's five.
    "login": "5 per 15 minutes",
    "register": "3 per hour",
    "otp": "3 per 5 minutes",
    "recharge": "10 per hour",
    "api": "30 per minute",
    # The protocols of others' clients, which poll once a second and more. The number of a window is what may come at
    # once, so this is ten requests a second, and forty after a pause.
    "protocol": "40 per 4 seconds",
    # One network that tries many accounts, each of them less often than `login` allows.
    "login_network": "50 per 15 minutes",
    # One account tried from many networks that it was never used from. Networks that it knows are not counted here, so
    # that strangers cannot lock its owner out.
    "login_strangers": "50 per hour",
    # Mails to one address that one network asks for.
    "mail": "3 per hour",
    # Mails to one address, whoever asks for them: nobody's mailbox is flooded through us.
    "mail_address": "10 per hour",
    # Mails that one network asks for, to any address: nobody finds out addresses, or spoils our name as a sender.
    "mail_network": "20 per hour",
    # An account that proves its password inside a session: a stolen session is no way to guess it.
    "password": "5 per 15 minutes",
    # UTRs and transaction ids that one account says it paid with: nobody finds somebody else's payment by trying.
    "claim": "10 per hour",
    # Tickets that one account opens, and messages that it writes to them: staff read every one.
    "ticket": "10 per hour",
    "ticket_message": "30 per hour",
}

AMOUNT_MAX = 1_000_000
SECONDS_MAX = 86_400 * 30
TEXT_MAX = 40


def parse(text: str) -> RateLimitItem | None:
    """Read a limit such as `5 per 15 minutes`; `off` is None.

    Raises:
        ValueError: it is no limit, or one that would let nobody or everybody through.
    """
    if text.strip().lower() == "off":
        return None
    shown = f'"{text[:TEXT_MAX]}"'
    try:
        (item,) = parse_many(text if len(text) <= TEXT_MAX else "")
    except ValueError:
        raise ValueError(f'{shown} is no limit: write it like "30 per minute" or "5 per 15 minutes"') from None
    # The library reads "5 per 0 minutes" as 5 per minute.
    if any(int(number) == 0 for number in re.findall("[0-9]+", text)):
        raise ValueError(f"{shown} would let nobody through: the smallest number is 1")
    if item.amount > AMOUNT_MAX or item.get_expiry() > SECONDS_MAX:
        raise ValueError(f"{shown} is no limit any more: at most {AMOUNT_MAX} tries, in at most 30 days")
    return item


class Standing(msgspec.Struct, frozen=True):
    """Where a caller stands after a try that was let through."""

    limit: int
    remaining: int
    reset_seconds: int


@dataclass(eq=False)
class TooMany(AppError):
    """A limit is reached; the try was counted and nothing else was done."""

    limit_name: LimitName
    retry_after_seconds: int
    limit: int | None = None
    """How many tries the limit allows; told by a header only, as in answers that are within it."""

    status = 429
    code = "too_many_requests"
    message = "Too many tries. Wait {retry_after_seconds} seconds."

    def sentence(self) -> str:
        return super().sentence() if self.retry_after_seconds > 1 else "Too many tries. Wait one second."

    def retry_seconds(self) -> int:
        return self.retry_after_seconds

    def headers(self) -> dict[str, str]:
        if self.limit_name not in ("api", "protocol"):  # the answer tells of these only
            return {}
        allowed = {} if self.limit is None else {"ratelimit-limit": str(self.limit)}
        return allowed | {"ratelimit-remaining": "0", "ratelimit-reset": str(self.retry_after_seconds)}

    def details(self) -> dict[str, object]:
        return {"limit_name": self.limit_name, "retry_after_seconds": self.retry_after_seconds}


def _judge(name: LimitName, count: Count, *, limit: int) -> Standing:
    hits, seconds_left = count
    reset_seconds = max(1, math.ceil(seconds_left - 0.001))  # (now + 60) - now is sometimes a trace above 60
    if hits > limit:
        raise TooMany(name, reset_seconds, limit)
    return Standing(limit, limit - hits, reset_seconds)


# The clock is read once, in the new row: a window that ended between two readings would begin with the old count.
_HIT = """
INSERT INTO limit_counters AS old (key, hits, expires_at)
VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
ON CONFLICT (key) DO UPDATE SET
    hits = CASE WHEN old.expires_at <= excluded.expires_at - make_interval(secs => $3) THEN excluded.hits
                ELSE old.hits + excluded.hits END,
    expires_at = CASE WHEN old.expires_at <= excluded.expires_at - make_interval(secs => $3) THEN excluded.expires_at
                      ELSE old.expires_at END
RETURNING hits, extract(epoch FROM expires_at - clock_timestamp())::float8
"""
_HITS = "SELECT hits FROM limit_counters WHERE key = $1 AND expires_at > clock_timestamp()"
_END = "SELECT extract(epoch FROM greatest(max(expires_at), now()))::float8 FROM limit_counters WHERE key = $1"
# now() may use the index, and is never later than clock_timestamp(). A row counted meanwhile is looked at again.
_FORGET_OLD = """
DELETE FROM limit_counters WHERE key = ANY(ARRAY(
    SELECT key FROM limit_counters WHERE expires_at <= now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
))
"""


class PostgresStorage(Storage):
    """The library's storage, over the table `limit_counters`; its methods raise `Unavailable` without the database."""

    STORAGE_SCHEME = ["numberdesk+postgresql"]  # noqa: RUF012 - the library's registry reads it

    def __init__(self, uri: str | None = None, *, db: Database) -> None:
        super().__init__(uri)
        self._db = db

    @property
    def base_exceptions(self) -> type[Exception]:
        """Return what the database's trouble looks like to the library."""
        return Unavailable

    async def count(self, key: str, seconds: int, amount: int = 1) -> Count:
        """Count tries and return how many there are; a window of `seconds` begins when there is none."""
        async with self._db.statement() as tx:
            ((hits, seconds_left),) = await rows(tx, _HIT, key, amount, seconds)
        return Count(hits, seconds_left)

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count tries and return how many there are."""
        return (await self.count(key, expiry, amount)).hits

    async def get(self, key: str) -> int:
        """Return how many tries the open window has."""
        async with self._db.statement() as tx:
            return await value(tx, _HITS, key) or 0

    async def get_expiry(self, key: str) -> float:
        """Return when the window ends, in seconds since 1970 by the database's clock; now, without a window."""
        async with self._db.statement() as tx:
            return float(await value(tx, _END, key))

    async def check(self) -> bool:
        """Tell whether the database answers."""
        try:
            async with self._db.statement() as tx:
                await value(tx, "SELECT 1")
        except Unavailable:
            return False
        return True

    async def reset(self) -> int:
        """Forget all counters and return how many there were."""
        async with self._db.statement() as tx:
            return await run(tx, "DELETE FROM limit_counters")

    async def clear(self, key: str) -> None:
        """Forget one counter."""
        async with self._db.statement() as tx:
            await run(tx, "DELETE FROM limit_counters WHERE key = $1", key)


class Limiter:
    """Every limit but the API's, exact across all processes of one database."""

    def __init__(self, db: Database, *, numbers: Mapping[LimitName, str] = NUMBERS) -> None:
        """Take the numbers of `NUMBERS`, where `numbers` has no other.

        Raises:
            ValueError: a number is no limit, or off.
        """
        self._storage = PostgresStorage(db=db)
        self._items: dict[LimitName, RateLimitItem] = {}
        for name, text in (NUMBERS | dict(numbers)).items():
            if (item := parse(text)) is not None:
                self._items[name] = item
            elif name not in ("api", "protocol"):
                raise ValueError(f"the limit {name} cannot be switched off")

    async def admit(self, name: LimitName, *who: str) -> Standing:
        """Count a try, and let it pass while there are no more than the limit's; count before anything is compared.

        Args:
            who: what the limit is about, such as an address and a network, each in its one way to write it.

        Raises:
            TooMany: the limit is reached.
            Unavailable: it cannot be counted, so it is not let through.
        """
        item = self._items[name]
        count = await self._storage.count(_key(item, name, *who), item.get_expiry())
        return _judge(name, count, limit=item.amount)

    async def forget(self, name: LimitName, *who: str) -> None:
        """Begin anew, for instance after the right password; `Unavailable` without the database."""
        await self._storage.clear(_key(self._items[name], name, *who))


async def forget_old_counters(db: Database, *, limit: int = 1000) -> int:
    """Delete counters whose window is over; a pass. They count for nothing any more, and say who was here."""
    async with db.statement() as tx:
        return await run(tx, _FORGET_OLD, limit)


def _key(item: RateLimitItem, name: LimitName, *who: str) -> str:
    """Return the key of a counter, without an address in it: who reads the table sees nobody, but can check one."""
    return item.key_for(name, hashlib.sha256("\0".join(who).encode(errors="surrogatepass")).hexdigest()[:32])


REDIS_CONNECTIONS = 1000
REDIS_SECONDS = 0.25
"""How long one answer of Redis may take."""
REST_SECONDS = 1.0
"""How long Redis is left alone after it failed; then one request finds out whether it is back."""
WARN_SECONDS = 60.0


class _Rule(NamedTuple):
    item: RateLimitItem
    share: int
    """What this process lets through by itself."""
    own: Windows
    shared: Windows
    """What Redis said last."""


class ApiLimiter:
    """The API limit, in this process alone, or across all processes that share a Redis."""

    def __init__(
        self,
        number: str = NUMBERS["api"],
        *,
        name: LimitName = "api",
        processes: int = 1,
        redis_url: str | None = None,
    ) -> None:
        """Take the number for whoever has none of his own.

        Args:
            name: which limit it is: two of one name count together.
            processes: how many share the requests; without Redis each lets an equal share through, at least one.
            redis_url: such as `redis://127.0.0.1:6379/0`, `rediss://…` or `unix:///path`; nothing is connected yet.

        Raises:
            ValueError: the number or the address cannot be used, or the package `redis` is missing.
        """
        assert processes >= 1, processes
        self._name: LimitName = name
        self._processes = processes
        self._redis = _redis_at(redis_url) if redis_url else None
        self._is_out = False
        self._rest_until = 0.0
        self._warn_at = 0.0
        self._by_minute = Windows(60), Windows(60)
        item = parse(number)
        self._rules: dict[int | None, _Rule | None] = {None: None, 0: None}
        if item is not None:
            self._rules[None] = self._rule(item, Windows(item.get_expiry()), Windows(item.get_expiry()))

    async def admit(self, who: int | str, *, per_minute: int | None = None) -> Standing | None:
        """Count a request, and let it pass while there are no more than the limit's; None where there is no limit.

        Args:
            who: an account, or a network where nobody is known.
            per_minute: the account's own number; None for everybody's, 0 for no limit.

        Raises:
            TooMany: the limit is reached.
        """
        if per_minute is not None and per_minute not in self._rules:
            assert per_minute > 0, per_minute
            self._rules[per_minute] = self._rule(RateLimitItemPerMinute(per_minute), *self._by_minute)
        if (rule := self._rules[per_minute]) is None:
            return None
        now = clock.seconds()
        if self._redis is not None and (count := await self._ask(self._redis, rule, who, now)) is not None:
            return _judge(self._name, count, limit=rule.item.amount)
        return _judge(self._name, rule.own.hit(who, now), limit=rule.share)

    async def is_shared(self) -> bool:
        """Ask Redis whether it is there."""
        return self._redis is not None and await self._redis.check()

    async def close(self) -> None:
        """Leave Redis."""
        if self._redis is not None:
            bridge: Any = self._redis.bridge
            await bridge.get_connection().aclose()

    def _rule(self, item: RateLimitItem, own: Windows, shared: Windows) -> _Rule:
        return _Rule(item, max(1, item.amount // self._processes), own, shared)

    async def _ask(self, redis: RedisStorage, rule: _Rule, who: int | str, now: float) -> Count | None:
        """Count in Redis; None while it is out of reach. A window known to be full is not asked about again."""
        known = rule.shared.find(who, now)
        if known is not None and known.hits >= rule.item.amount:
            return Count(known.hits + 1, known.seconds_left)
        if self._is_out:
            if now < self._rest_until:
                return None
            self._rest_until = now + REST_SECONDS
        key = _key(rule.item, self._name, str(who))
        try:
            hits = await redis.incr(key, rule.item.get_expiry())
            if hits == 1:
                seconds_left = float(rule.item.get_expiry())
            elif known is not None:
                seconds_left = known.seconds_left
            else:
                left = await redis.get_expiry(key) - clock.now().timestamp()
                seconds_left = min(left, float(rule.item.get_expiry()))  # it counts whole seconds, rounded up
        except (StorageError, OSError) as problem:
            self._note_trouble(problem, now)
            return None
        self._is_out = False
        return rule.shared.note(who, Count(hits, seconds_left), now)

    def _note_trouble(self, problem: Exception, now: float) -> None:
        self._is_out = True
        self._rest_until = now + REST_SECONDS
        if now >= self._warn_at:
            self._warn_at = now + WARN_SECONDS
            log.warning("api_limit_without_redis", problem=type(problem.__cause__ or problem).__name__)


def _redis_at(url: str) -> RedisStorage:
    if importlib.util.find_spec("redis") is None:
        raise ValueError("the package redis is missing: install numberdesk[redis], or leave the address of Redis empty")
    uri = f"redis+{url}" if url.startswith("unix://") else url
    try:
        return RedisStorage(
            f"async+{uri}",
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix="numberdesk",
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            max_connections=REDIS_CONNECTIONS,
        )
    except (ConfigurationError, ValueError):  # its sentence would show the password
        raise ValueError("the address of Redis cannot be used: write it like redis://127.0.0.1:6379/0") from None
