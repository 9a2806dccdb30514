"""The client for programs that wait for each answer."""

import time
from collections.abc import Iterator
from decimal import Decimal
from types import TracebackType
from typing import TypeVar

import httpx

from numberdesk.client import _calls as calls
from numberdesk.client._errors import NoCode
from numberdesk.client._streams import SILENCE_MAX, STREAM_PATH, EventReader
from numberdesk.client.model import Balance, Event, Events, Offer, Order, Page

T = TypeVar("T")


class Client:
    """Calls one server with one API key. Requests that failed on the way are repeated; nothing is bought twice."""

    def __init__(self, url: str, key: str, *, timeout: float = 30.0) -> None:
        self._http = httpx.Client(
            base_url=calls.base_of(url), headers=calls.headers_of(key), timeout=timeout, trust_env=False
        )
        self._timeout = timeout

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def balance(self) -> Balance:
        """Read what can be spent, and what is held for open orders."""
        return self._ask(calls.balance())

    def services(
        self, *, service: str | None = None, country: str | int | None = None, q: str | None = None,
        hours: int | None = None, cursor: str | None = None, limit: int = 100,
    ) -> Page[Offer]:  # fmt: skip
        """List what is on sale, or with `hours` what can be rented for so long."""
        return self._ask(calls.services(service=service, country=country, q=q, hours=hours, cursor=cursor, limit=limit))

    def get_number(
        self, service: str, country: str | int, *, server: str | int | None = None, operator: str | None = None,
        max_price: Decimal | str | int | None = None, hours: int | None = None, idempotency_key: str | None = None,
    ) -> Order:  # fmt: skip
        """Buy a number; with `hours`, rent it for so long.

        Args:
            idempotency_key: name it when the purchase must be repeatable by another process; else each call has one.
        """
        wish = {"service": service, "country": country, "server": server, "operator": operator,
                "maxPrice": calls.amount(max_price), "hours": hours}  # fmt: skip
        return self._ask(calls.get_number(idempotency_key, wish))

    def get_numbers(
        self, service: str, country: str | int, quantity: int, *, max_price: Decimal | str | int | None = None,
        idempotency_key: str | None = None,
    ) -> list[Order]:  # fmt: skip
        """Buy 2 to 10 numbers; returns those that could be had, at least one."""
        wish = {"service": service, "country": country, "maxPrice": calls.amount(max_price)}
        return self._ask(calls.get_numbers(idempotency_key, quantity, wish)).orders

    def check(self, order_id: int, *, wait: float = 0) -> Order:
        """Read an order; with `wait`, when its code or its end came, at most so many seconds (up to 25) later."""
        return self._ask(calls.check(order_id, wait))

    def wait_for_code(self, order_id: int, *, codes: int = 1, timeout: float = 1200.0) -> Order:
        """Wait until an order has a code; `otp` of what is returned is never None.

        Args:
            codes: how many it must have: 2 after `next_code`, whose first one is there already.

        Raises:
            NoCode: the order ended without one, or the time is over.
        """
        until = time.monotonic() + timeout
        while True:
            order = self.check(order_id, wait=max(0.0, min(calls.WAIT_MAX, until - time.monotonic())))
            if order.otp is not None and len(order.messages) >= codes:
                return order
            if order.is_over or time.monotonic() >= until:
                raise NoCode(order)
            if order.otp is not None:
                time.sleep(calls.PAUSES[-1])  # no long poll unless one more was asked for

    def cancel(self, order_id: int) -> Order:
        """Cancel an order and get its money back, unless a code came."""
        return self._ask(calls.change("cancel-number", order_id, None))

    def finish(self, order_id: int) -> Order:
        """Finish an order that has its code."""
        return self._ask(calls.change("finish-number", order_id, None))

    def next_code(self, order_id: int) -> Order:
        """Ask for one more code on the same number."""
        return self._ask(calls.change("next-otp", order_id, None))

    def extend(
        self, order_id: int, *, minutes: int | None = None, hours: int | None = None,
        max_price: Decimal | str | int | None = None, idempotency_key: str | None = None,
    ) -> Order:  # fmt: skip
        """Lengthen an order by minutes, or a rental by hours, at the price its server states; a rental at most at
        `max_price`.
        """
        more = {"minutes": minutes, "hours": hours, "maxPrice": calls.amount(max_price)}
        return self._ask(calls.change("extend-number", order_id, idempotency_key, **more))

    def orders(self, *, status: str | None = None, cursor: str | None = None, limit: int = 50) -> Page[Order]:
        """List orders, newest first."""
        return self._ask(calls.orders(status, cursor, limit))

    def events(self, *, after: str | None = None, wait: float = 0, limit: int = 100) -> Events:
        """Read what happened since an event; with `wait`, when something did, at most so many seconds later."""
        return self._ask(calls.events(after, wait, limit))

    def stream(self, *, after: str | None = None) -> Iterator[Event]:
        """Yield events as they happen, for ever; after a cut it goes on where it was.

        Raises:
            ApiError: the server refuses the stream.
        """
        reader, tries = EventReader(after), 0
        while True:
            asked = 0.0
            try:
                timeout = httpx.Timeout(self._timeout, read=SILENCE_MAX)
                with self._http.stream("GET", STREAM_PATH, headers=reader.resuming(), timeout=timeout) as answer:
                    if answer.status_code in calls.REPEATED:
                        asked = min(calls.asked_for(answer.headers), calls.RETRY_AFTER_MAX)
                        answer.read()
                    elif answer.status_code != httpx.codes.OK:
                        raise calls.refusal(answer.status_code, answer.read())
                    else:
                        for part in answer.iter_bytes():
                            tries = 0
                            yield from reader.read(part)
            except httpx.TransportError:
                pass
            time.sleep(max(asked, calls.PAUSES[min(tries, len(calls.PAUSES) - 1)]))
            tries += 1

    def _ask(self, ask: calls.Ask[T]) -> T:
        tries = 0
        while True:
            tries += 1
            status, headers, body = None, httpx.Headers(), b""
            problem: httpx.TransportError | None = None
            try:
                answer = self._http.request(
                    ask.method, ask.path, params=ask.params, json=ask.body, headers=ask.headers,
                    timeout=self._timeout + ask.wait,
                )  # fmt: skip
                status, headers, body = answer.status_code, answer.headers, answer.content
            except httpx.TransportError as error:
                problem = error
            pause = calls.pause_after(ask, tries, status, headers, body)
            if pause is not None:
                time.sleep(pause)
            elif status is not None:
                return calls.read(ask, status, body)
            else:
                raise calls.unreachable(ask, tries, problem) from None
