"""The door: finds out who calls, counts the request, and answers whatever comes."""

from dataclasses import replace
from typing import Any

from numberdesk.accounts.model import Caller
from numberdesk.accounts.service import NoCredentials
from numberdesk.base import web
from numberdesk.base.calls import Gate
from numberdesk.base.errors import AppError
from numberdesk.base.observed import ROUTE, note_caller
from numberdesk.base.visit import Visit
from numberdesk.compat._asked import Delivery, Leaving, hand_over
from numberdesk.compat._limit import PollAllowance, RetryAllowance
from numberdesk.compat._wire import Gone, Parameters, Reply, Unreadable, json_reply, read_parameters
from numberdesk.compat._words import Refusal
from numberdesk.compat.five_sim import _guest, _user
from numberdesk.compat.five_sim._wire import (
    NO_PHONES,
    NOTHING_HERE,
    UNAUTHORIZED,
    error,
    order_id_of,
    refusal,
    segments,
)
from numberdesk.compat.five_sim._words import Names, names_of
from numberdesk.orders import service as orders
from numberdesk.orders.service import Desk

CHANGES = frozenset({"buy", "finish", "cancel", "ban"})
"""What a key without the right to order may not do."""
VERBS = frozenset({
    "countries", "products", "prices", "flash", "profile", "orders", "payments", "max-prices", "buy", "reuse", "check",
    "finish", "cancel", "ban", "sms",
})  # fmt: skip
"""What may stand second in a path; counted by it."""


def _route(parts: list[str]) -> str:
    return f"/v1/{parts[0]}/{parts[1] if len(parts) > 1 and parts[1] in VERBS else '{other}'}"


class FiveSimDoor:
    """Answers `/v1/guest/*` and `/v1/user/*`. The bearer token of its clients is one of our API keys."""

    starts = ("/v1/",)

    def __init__(self, desk: Desk, gate: Gate) -> None:
        self._desk = desk
        self._gate = gate
        self._polls = PollAllowance()
        self._retries = RetryAllowance()
        self._names: Names | None = None

    async def answer(self, visit: Visit, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request; what its body holds means nothing here."""
        told: list[tuple[bytes, bytes]] = []
        leaving = Leaving(receive)
        try:
            reply = await self._reply(visit, scope, receive, leaving, told)
            await hand_over(reply, self._retries, leaving, scope, send, request_id=visit.id, told=told)
        except orders.ClientGone as left:
            self._retries.left(left.account_id)
        except Gone:
            return  # there is nobody to answer
        finally:
            await leaving.end()

    async def _reply(
        self, visit: Visit, scope: Any, receive: Any, leaving: Leaving, told: list[tuple[bytes, bytes]]
    ) -> Reply | Delivery:
        try:
            return await self._answer(visit, scope, receive, leaving, told)
        except (Gone, orders.ClientGone):
            raise
        except Unreadable:
            return error("bad request")
        except Refusal:
            return NO_PHONES  # sold in no country
        except AppError as problem:
            web.count_refusal(problem.category, problem.code)
            told.extend((name.encode(), text.encode()) for name, text in web.headers_of(problem).items())
            return refusal(problem)
        except Exception as problem:
            # After a purchase may have happened a client must not take it for a failure of the way and come again.
            web.crash(problem, visit.id)
            return error("internal error")

    async def _answer(
        self, visit: Visit, scope: Any, receive: Any, leaving: Leaving, told: list[tuple[bytes, bytes]]
    ) -> Reply | Delivery:
        parts = segments(scope["path"])
        if scope["method"] != "GET" or parts[:1] not in (["guest"], ["user"]):
            return NOTHING_HERE
        if any(map(web.has_control_characters, parts)):
            return error("bad request")
        scope[ROUTE] = _route(parts)
        query = await read_parameters(scope, receive, length=visit.length)
        if parts[0] == "guest":
            told.extend(await self._gate.admit(visit, self._known(visit)))
            return await self._for_guests(parts[1:], query)
        caller = await self._caller(visit, told, parts[1:])
        note_caller(caller)
        self._gate.require(caller, "order" if parts[1:2] and parts[1] in CHANGES else "read")
        customer = _user.Customer(self._desk, caller, self._known_names(), query, leaving, visit.ip)
        return await self._for_users(parts[1:], customer)

    async def _for_guests(self, rest: list[str], query: Parameters) -> Reply:
        shelf, names = self._desk.shelf, self._known_names()
        match rest:
            case ["countries"]:
                return await _guest.countries(shelf, names)
            case ["products", country, operator]:
                return await _guest.products(shelf, names, country, operator)
            case ["prices"]:
                return await _guest.prices(shelf, names, query.get("country", ""), query.get("product", ""))
            case ["flash", _]:
                return json_reply({"text": ""})
            case _:
                return NOTHING_HERE

    async def _for_users(self, rest: list[str], customer: _user.Customer) -> Reply | Delivery:
        match rest:
            case ["profile"]:
                return await _user.profile(customer)
            case ["orders"]:
                return await _user.list_orders(customer)
            case ["payments"]:
                return await _user.list_payments(customer)
            case ["max-prices"]:
                return json_reply([])  # no ceiling is kept here
            case ["buy", "activation", country, operator, product]:
                return await _user.buy(customer, country, operator, product)
            case ["buy", "hosting", _, _, _]:
                return _user.hosting()
            case ["reuse", _, _]:
                return _user.reuse()
            case ["check" | "finish" | "cancel" | "ban" as verb, number]:
                return await _user.VERBS[verb](customer, number)
            case ["sms", "inbox", number]:
                return await _user.inbox(customer, number)
            case _:
                return NOTHING_HERE

    def _known(self, visit: Visit) -> Caller | None:
        """Return whose key a guest shows, as most clients do: then its account counts, and not all of its network."""
        key = visit.token or visit.key
        return None if key is None else self._gate.known(replace(visit, key=key, token=None))

    async def _caller(self, visit: Visit, told: list[tuple[bytes, bytes]], rest: list[str]) -> Caller:
        """Return who calls, and count the request; whoever guesses keys is counted by where it comes from.

        Raises:
            NoCredentials, BadKey and what else `authenticate` and `admit` raise.
        """
        key = visit.token or visit.key
        if key is None:
            raise NoCredentials
        shown = replace(visit, key=key, token=None)
        caller: Caller | None = self._gate.known(shown)
        if caller is None:
            try:
                caller = await self._gate.authenticate(shown)
            except AppError as problem:
                if problem.status == UNAUTHORIZED:
                    told.extend(await self._gate.admit(shown, None))
                raise
        assert caller is not None
        if not self._is_free(caller, rest):
            told.extend(await self._gate.admit(shown, caller))
        return caller

    def _is_free(self, caller: Caller, rest: list[str]) -> bool:
        """Tell whether a request does not count: one poll a second of an open order, a purchase that was hung up on."""
        match rest:
            case ["buy", "activation", *_]:
                return self._retries.admits(caller.account_id)
            case ["check", number] | ["sms", "inbox", number]:
                order_id = order_id_of(number)
                card = None if order_id is None else self._desk.board.find(order_id)
                if card is None or card.order.account_id != caller.account_id or card.order.ended_at is not None:
                    return False
                return self._polls.admits(card.order.id)
            case _:
                return False

    def _known_names(self) -> Names:
        contents = self._desk.shelf.contents
        if self._names is None or self._names.contents is not contents:
            self._names = names_of(contents)
        return self._names
