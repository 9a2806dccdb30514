"""Large answers that many ask for: made once, packed once for each encoding, sent with an ETag."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from contextvars import Context
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar

from numberdesk.base.compress import MINIMUM_BYTES, pack, preferred

T = TypeVar("T")

BYTES_MAX = 64 * 1024 * 1024
"""What one process keeps: some tens of full price tables, each plain and packed."""
KEPT_MAX = 1_000
OVERHEAD_BYTES = 1024
"""What an entry takes besides its bodies."""
NOT_MODIFIED = 304
_CACHE_CONTROL = (b"cache-control", b"private, no-cache")
_VARY = (b"vary", b"Accept-Encoding")


@dataclass(frozen=True, slots=True)
class Sent:
    """An answer as it goes out; its headers are those of caching and encoding only."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Rendered:
    """A body with its packed forms. The ETag is taken from the content, so every process has the same."""

    __slots__ = ("_packed", "_packing", "body", "etag")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.etag = f'"{sha256(body).hexdigest()[:32]}"'
        """Quoted, as headers have it."""
        self._packed: dict[str, bytes] = {}
        self._packing: dict[str, asyncio.Task[bytes]] = {}

    @property
    def size(self) -> int:
        """The bytes that it takes in memory."""
        return OVERHEAD_BYTES + len(self.body) + sum(map(len, self._packed.values()))

    async def answer(self, *, accept_encoding: str, if_none_match: str) -> Sent:
        """Return what to send to somebody who sent these two headers, which may be empty."""
        encoding = preferred(accept_encoding) if accept_encoding and len(self.body) >= MINIMUM_BYTES else None
        # A packed body is not the same bytes: its tag is a weak one. Source: RFC 9110, 8.8.1.
        etag = (b"etag", (self.etag if encoding is None else f"W/{self.etag}").encode())
        if if_none_match and is_known(self.etag, if_none_match):
            return Sent(NOT_MODIFIED, (etag, _CACHE_CONTROL, _VARY), b"")
        if encoding is None:
            return Sent(200, (etag, _CACHE_CONTROL, _VARY), self.body)
        body = await self.packed(encoding)
        return Sent(200, (etag, _CACHE_CONTROL, _VARY, (b"content-encoding", encoding.encode())), body)

    async def packed(self, encoding: str) -> bytes:
        """Return the body in an encoding; all who ask while it is being packed wait for the same work."""
        found = self._packed.get(encoding)
        if found is None:
            found = self._packed[encoding] = await _shared(
                self._packing, encoding, lambda: asyncio.to_thread(pack, self.body, encoding)
            )
        return found


class Renderings:
    """What was rendered lately, by name. Of what takes too much memory the longest unused goes first."""

    def __init__(self, *, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._kept: OrderedDict[Hashable, tuple[object, Rendered]] = OrderedDict()
        self._making: dict[Hashable, asyncio.Task[Rendered]] = {}

    async def get(self, name: Hashable, source: Hashable, make: Callable[[], bytes]) -> Rendered:
        """Return what `make` returned for an equal `source`, or call it in a thread, once for all who ask.

        Args:
            name: tells bodies apart; one body is kept for each.
            source: what the body is made from.
            make: touches nothing that changes.
        """
        kept = self._kept.get(name)
        if kept is not None and kept[0] == source:
            self._kept.move_to_end(name)
            return kept[1]
        return await _shared(self._making, (name, source), lambda: self._make(name, source, make))

    async def _make(self, name: Hashable, source: Hashable, make: Callable[[], bytes]) -> Rendered:
        made = await asyncio.to_thread(lambda: Rendered(make()))
        before = self._kept.get(name)
        if before is not None and before[1].etag == made.etag:
            made = before[1]  # has its packed forms
        self._kept[name] = source, made
        self._kept.move_to_end(name)
        self._forget()
        return made

    def _forget(self) -> None:
        taken = sum(rendered.size for _, rendered in self._kept.values())
        while len(self._kept) > KEPT_MAX or (taken > self._bytes_max and len(self._kept) > 1):
            _, (_, rendered) = self._kept.popitem(last=False)
            taken -= rendered.size


def is_known(etag: str, if_none_match: str) -> bool:
    """Tell whether a caller has the body already. Source: RFC 9110, 13.1.2: compared weakly."""
    if if_none_match.strip() == "*":
        return True
    return any(part.strip().removeprefix("W/") == etag for part in if_none_match.split(","))


async def _shared(running: dict[Any, asyncio.Task[T]], name: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Wait for work that all who name it share; who goes away takes it from nobody."""
    task = running.get(name)
    if task is None:
        task = running[name] = asyncio.create_task(work(), context=Context())
        task.add_done_callback(lambda _: running.pop(name, None))
    return await asyncio.shield(task)
