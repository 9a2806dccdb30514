"""The door of `/stubs/handler_api.php`: finds out who asks and in which dialect, counts it, and answers whatever comes.

An action is added by one line in `ACTIONS`: a handler `async (Asked) -> Reply` that raises `Refusal` for a word of the
protocol and lets every `AppError` pass. What changes something also stands in `CHANGES`, and a purchase in
`PURCHASES`. What the catalogue answers stands in a table of its own, `_lists.HANDLERS`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numberdesk.accounts.model import Caller, Dialect
from numberdesk.accounts.service import NoCredentials
from numberdesk.base import web
from numberdesk.base.calls import ID_MAX, Gate
from numberdesk.base.errors import AppError
from numberdesk.base.log import note
from numberdesk.base.observed import ROUTE, note_caller
from numberdesk.base.visit import Visit
from numberdesk.compat import _account, _activations, _lists, _purchase, _rent
from numberdesk.compat._asked import Asked, Delivery, Handler, Leaving, hand_over
from numberdesk.compat._limit import PollAllowance, RetryAllowance
from numberdesk.compat._wire import Gone, Parameters, Reply, Unreadable, header, read_parameters, text_reply
from numberdesk.compat._words import INTERNAL, Refusal, refusal_of, write_refusal
from numberdesk.orders import service as orders
from numberdesk.orders.service import Desk

PATH = "/stubs/handler_api.php"
DIALECTS: Mapping[str, Dialect | None] = {PATH: None, f"/hero{PATH}": "hero", f"/grizzly{PATH}": "grizzly"}
"""By address; on the plain one the key decides, and a key that does not say speaks the classic way."""
UNAUTHORIZED = 401

ACTIONS: Mapping[str, Handler] = {
    **_lists.HANDLERS,
    "getBalance": _account.get_balance,
    "getBalanceAndCashBack": _account.get_balance,
    "getNumber": _purchase.get_number,
    "getNumberV2": _purchase.get_number_v2,
    "getMultiServiceNumber": _purchase.get_multi_service_number,
    "getStatus": _activations.get_status,
    "getStatusV2": _activations.get_status_v2,
    "getFullSms": _activations.get_full_sms,
    "getAllSms": _activations.get_all_sms,
    "setStatus": _activations.set_status,
    "finishActivation": _activations.finish_activation,
    "cancelActivation": _activations.cancel_activation,
    "getActiveActivations": _account.get_active_activations,
    "getHistory": _account.get_history,
    **_rent.HANDLERS,
    # What is not to be had here: each has the word that says so.
    "checkExtraActivation": _activations.not_renewed,
    "getExtraActivation": _activations.not_renewed,
    "reactivate": _activations.not_renewed,
    "reactivationPrice": _activations.not_renewed,
    "getAdditionalService": _activations.no_second_service,
    "getIncomingCallStatus": _activations.not_incoming,
    "parseCall": _activations.no_call,
    "createTaskForCall": _activations.no_call,
    "getOutgoingCalls": _activations.no_call,
}
"""By the names of the protocol. Small and capital letters count, as they do there."""
PURCHASES = frozenset({"getNumber", "getNumberV2", "getRentNumber", "continueRentNumber"})
CHANGES = PURCHASES | {"setStatus", "finishActivation", "cancelActivation", "setRentStatus"}
"""What a key without the right to order may not do."""
RENTS = frozenset(_rent.HANDLERS)
"""Whose refusals are JSON in every dialect."""
POLLS = frozenset({"getStatus", "getStatusV2", "getFullSms", "getRentStatus"})


class HandlerApiDoor:
    """Answers `/stubs/handler_api.php`, also below `/hero` and `/grizzly`."""

    starts = tuple(DIALECTS)

    def __init__(self, desk: Desk, gate: Gate) -> None:
        self._desk = desk
        self._gate = gate
        self._polls = PollAllowance()
        self._retries = RetryAllowance()

    async def answer(self, visit: Visit, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request; the key in its address goes no further than the gate."""
        told: list[tuple[bytes, bytes]] = []
        leaving = Leaving(receive)
        try:
            reply = await self._reply(visit, scope, receive, leaving, told)
            await hand_over(reply, self._retries, leaving, scope, send, request_id=visit.id, told=told)
        except (Gone, orders.ClientGone):
            return  # there is nobody to answer
        finally:
            await leaving.end()

    async def _reply(
        self, visit: Visit, scope: Any, receive: Any, leaving: Leaving, told: list[tuple[bytes, bytes]]
    ) -> Reply | Delivery:
        path = scope["path"].rstrip("/")
        if path not in DIALECTS:
            return text_reply("404 page not found", 404)
        scope[ROUTE] = path
        if scope["method"] not in ("GET", "POST"):
            return Reply(b"405 method not allowed", 405, headers=((b"allow", b"GET, POST"),))
        dialect, action = DIALECTS[path] or "classic", ""
        try:
            parameters = await read_parameters(scope, receive, length=visit.length)
            action = parameters.get("action", "")
            if action in ACTIONS:
                scope[ROUTE] = f"{path}?action={action}"
            caller = await self._caller(visit, scope, parameters)
            dialect = DIALECTS[path] or caller.dialect or "classic"
            note_caller(caller)
            asked = Asked(self._desk, caller, dialect, parameters, leaving, visit.ip)
            await self._count(visit, asked, action, told)
            return await self._carry_out(asked, action)
        except Gone:
            raise
        except orders.ClientGone as left:
            self._retries.left(left.account_id)
            raise
        except Refusal as refusal:
            return _refused(refusal, dialect, action)
        except Unreadable:
            return _refused(Refusal("BAD_DATA"), dialect, action)
        except AppError as problem:
            web.count_refusal(problem.category, problem.code)
            word = refusal_of(problem, cancel_after=self._desk.rules.cancel_after)
            return _refused(word, dialect, action)
        except Exception as problem:
            web.crash(problem, visit.id)
            return _refused(Refusal(INTERNAL), dialect, action)

    async def _caller(self, visit: Visit, scope: Any, parameters: Parameters) -> Caller:
        """Return who asks; whoever guesses keys is counted by where it comes from.

        Raises:
            NoCredentials, BadKey and what else `authenticate` raises.
        """
        key = parameters.word("api_key") or _key_in_header(scope) or visit.key
        if key is None:
            raise NoCredentials
        shown = replace(visit, key=key, token=None)
        caller: Caller | None = self._gate.known(shown)
        if caller is not None:
            return caller
        try:
            found: Caller = await self._gate.authenticate(shown)
        except AppError as problem:
            if problem.status == UNAUTHORIZED:
                await self._gate.admit(visit, None)
            raise
        return found

    async def _count(self, visit: Visit, asked: Asked, action: str, told: list[tuple[bytes, bytes]]) -> None:
        """Count the request, unless it is free: one poll a second of an open order, a purchase that was hung up on."""
        if action in PURCHASES and self._retries.admits(asked.account_id):
            return
        if action in POLLS:
            number = asked.parameters.whole("id", "activationId")
            card = self._desk.board.find(number) if number is not None and number <= ID_MAX else None
            is_own = card is not None and card.order.account_id == asked.account_id and card.order.ended_at is None
            if is_own and number is not None and self._polls.admits(number):
                return
        told.extend(await self._gate.admit(visit, asked.caller))

    async def _carry_out(self, asked: Asked, action: str) -> Reply | Delivery:
        if not action:
            raise Refusal("NO_ACTION")
        number = asked.parameters.whole("id", "activationId")
        if number is not None and number <= ID_MAX:
            note(order_id=number)
        self._gate.require(asked.caller, "order" if action in CHANGES else "read")
        handler = ACTIONS.get(action)
        if handler is None:
            raise Refusal("BAD_ACTION")
        return await handler(asked)


def _refused(refusal: Refusal, dialect: Dialect, action: str) -> Reply:
    told = replace(refusal, is_json=True) if action in RENTS else refusal
    return write_refusal(told, dialect, is_purchase=action in PURCHASES)


def _key_in_header(scope: Any) -> str | None:
    kind, _, rest = header(scope, b"authorization").partition(" ")
    return rest.strip() or None if kind.casefold() == "apikey" else None
