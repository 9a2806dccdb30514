"""Requests as they are watched: counted by route and status, timed, and told in one line of the log each."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from numberdesk.base import clock, log
from numberdesk.base.metrics import GONE, REQUESTS, UNMATCHED

ROUTE: Final = "numberdesk_route"
"""Where whoever answers without the framework leaves in the scope which of its calls was asked for, as a template."""


def answered(about: log.About, method: str, route: str, status: int, began: float) -> None:
    """Count and tell a request whose answer begins now, or whose caller left before it did."""
    seconds = clock.seconds() - began
    REQUESTS.count(method, route, status, seconds)
    if log.ACCESS.lines != "off":
        log.ACCESS.note(about, method, route, status, seconds)


class Observed:
    """A request that somebody answers who sends the answer himself: the framework, or a door."""

    __slots__ = ("_about", "_began", "_scope", "_send", "_start")

    def __init__(self, about: log.About, scope: Any, send: Callable[[Any], Awaitable[None]], began: float) -> None:
        self._about = about
        self._scope = scope
        self._send = send
        self._began = began
        self._start: tuple[int, float] | None = None

    async def send(self, message: Any) -> None:
        """Send a part of the answer, and note when it begins."""
        if message["type"] == "http.response.start":
            self._start = message["status"], clock.seconds()
        await self._send(message)

    def ends(self) -> None:
        """Count and tell the request by the route that is left in its scope, with the time until its answer began."""
        scope = self._scope
        route = scope.get(ROUTE) or scope.get("path_template") or UNMATCHED
        now = clock.seconds()
        status, then = self._start or (GONE, now)
        answered(self._about, scope["method"], route, status, self._began + now - then)


def note_caller(caller: Any) -> None:
    """Have the log say from here on who asks."""
    log.note_one("account_id", caller.account_id)
