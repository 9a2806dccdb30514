"""Verbs of the orders slice: the door for other slices."""

from numberdesk.orders.service._board import Board
from numberdesk.orders.service._buy import (
    QUANTITY_MAX,
    NoNumbers,
    ProviderUnavailable,
    Wish,
    buy,
)
from numberdesk.orders.service._close import CancelTooEarly, NotCancellable, NotPossibleNow
from numberdesk.orders.service._desk import CHANNEL, Desk, drain, open_desk
from numberdesk.orders.service._extend import CannotExtend, extend
from numberdesk.orders.service._verbs import (
    WAIT_MAX,
    NoMoreCodes,
    ProviderSilent,
    cancel,
    check,
    exchanges,
    finish,
    get,
    is_waiting,
    list_orders,
    next_code,
    settle_cancel,
    shown_status,
)

__all__ = [
    "CHANNEL",
    "QUANTITY_MAX",
    "WAIT_MAX",
    "Board",
    "CancelTooEarly",
    "CannotExtend",
    "Desk",
    "NoMoreCodes",
    "NoNumbers",
    "NotCancellable",
    "NotPossibleNow",
    "ProviderSilent",
    "ProviderUnavailable",
    "Wish",
    "buy",
    "cancel",
    "check",
    "drain",
    "exchanges",
    "extend",
    "finish",
    "get",
    "is_waiting",
    "list_orders",
    "next_code",
    "open_desk",
    "settle_cancel",
    "shown_status",
]
