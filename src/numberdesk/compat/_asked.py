"""One request of the protocol, once it is known who sends it; and how a client that leaves is noticed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from numberdesk.accounts.model import Caller, Dialect
from numberdesk.compat._limit import RetryAllowance
from numberdesk.compat._wire import Parameters, Reply, write
from numberdesk.orders.service import Desk
from numberdesk.wallet.model import AccountId

INR = 356
"""The number of the rupee in ISO 4217, which the protocol names currencies by."""
TIME = "%Y-%m-%d %H:%M:%S"
"""How times are written, in UTC; clients read exactly this form."""


class Leaving:
    """Whether the client has left. Nothing else is known of it: an answer that was sent may still be lost."""

    def __init__(self, receive: Any) -> None:
        self._receive = receive
        self._watch: asyncio.Task[None] | None = None

    def watch(self) -> "asyncio.Task[None]":
        """Begin to look, and return what is done when the client has left. The request must have been read."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._wait())
        return self._watch

    @property
    def is_gone(self) -> bool:
        """Whether the client has left since `watch`."""
        return self._watch is not None and self._watch.done()

    async def end(self) -> None:
        """Look no more."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


@dataclass(frozen=True, slots=True)
class Asked:
    """What an action is asked for with."""

    desk: Desk
    caller: Caller
    dialect: Dialect
    parameters: Parameters
    leaving: Leaving
    ip: str
    """Where the caller is."""

    @property
    def account_id(self) -> AccountId:
        """Whose orders and money it is about."""
        return self.caller.account_id


@dataclass(frozen=True, slots=True)
class Delivery:
    """An answer that matters to its client.

    `told` is called once it was written, and `lost` when its client has left before.
    """

    account_id: AccountId
    reply: Reply
    told: Callable[[], None]
    lost: Callable[[], Awaitable[None]]


async def hand_over(
    reply: Reply | Delivery, retries: RetryAllowance, leaving: Leaving, scope: Any, send: Any, *, request_id: str,
    told: list[tuple[bytes, bytes]],
) -> None:  # fmt: skip
    """Write an answer. One that matters and does not go out is called lost, and its client has one more try free."""
    if not isinstance(reply, Delivery):
        await write(reply, scope, send, request_id=request_id, told=told)
        return
    is_written = False
    try:
        if not leaving.is_gone:
            await write(reply.reply, scope, send, request_id=request_id, told=told)
            is_written = True
    finally:
        if is_written:
            reply.told()
        else:
            retries.left(reply.account_id)
            await reply.lost()


Handler = Callable[[Asked], Awaitable[Reply | Delivery]]
"""Carries out one action. It raises `Refusal` for a word of the protocol, and lets every `AppError` pass: those become
the nearest word."""
