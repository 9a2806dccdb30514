"""The gate: who may call, how often, and which answers are given again, made of accounts and limits."""

from collections.abc import Callable

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Answer, Caller
from numberdesk.accounts.service import People
from numberdesk.base import web
from numberdesk.base.client_ip import network_of
from numberdesk.base.db import Database
from numberdesk.base.limits import ApiLimiter, Standing
from numberdesk.base.visit import Visit


class ApiGate:
    """What the calls need of the accounts slice."""

    def __init__(self, db: Database, people: People, limit: ApiLimiter) -> None:
        self._db = db
        self._limit = limit
        self.known = people.ring.known
        self.authenticate = people.ring.authenticate
        self.require: Callable[..., None] = accounts.require

    async def admit(self, visit: Visit, caller: Caller | None) -> web.Headers:
        if caller is None:
            standing = await self._limit.admit(network_of(visit.ip))
        else:
            standing = await self._limit.admit(caller.account_id, per_minute=caller.api_per_minute)
        return _told(standing)

    async def claim(self, caller: Caller, key: str, operation: str, body: bytes) -> tuple[int, bytes] | None:
        answer = await accounts.claim(self._db, account_id=caller.account_id, key=key, operation=operation, body=body)
        return None if answer is None else (answer.status, answer.body)

    async def keep(self, caller: Caller, key: str, status: int, body: bytes) -> None:
        await accounts.keep_answer(self._db, account_id=caller.account_id, key=key, answer=Answer(status, body))

    async def release(self, caller: Caller, key: str) -> None:
        await accounts.release(self._db, account_id=caller.account_id, key=key)


class ProtocolGate(ApiGate):
    """The same for protocols of others: their clients poll, so what they ask has a limit of its own.

    Strangers and guesses of keys are counted by network, as everywhere.
    """

    def __init__(self, db: Database, people: People, limit: ApiLimiter, protocol_limit: ApiLimiter) -> None:
        super().__init__(db, people, limit)
        self._protocol_limit = protocol_limit

    async def admit(self, visit: Visit, caller: Caller | None) -> web.Headers:
        if caller is None:
            return await super().admit(visit, None)
        # The account's own number is for the API; only that it has no limit at all counts here, too.
        per_minute = 0 if caller.api_per_minute == 0 else None
        return _told(await self._protocol_limit.admit(caller.account_id, per_minute=per_minute))


def _told(standing: Standing | None) -> web.Headers:
    if standing is None:
        return ()
    return (
        (b"ratelimit-limit", str(standing.limit).encode()),
        (b"ratelimit-remaining", str(standing.remaining).encode()),
        (b"ratelimit-reset", str(standing.reset_seconds).encode()),
    )
