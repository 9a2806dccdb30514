"""Verbs of the orders slice: the door for other slices."""

from numberdesk.orders.model import Wish
from numberdesk.orders.service._alarms import raise_alarms, read_stale
from numberdesk.orders.service._board import Board
from numberdesk.orders.service._buy import (
    QUANTITY_MAX,
    NoNumbers,
    ProviderUnavailable,
    buy,
)
from numberdesk.orders.service._close import CancelTooEarly, NotCancellable, NotPossibleNow
from numberdesk.orders.service._desk import CHANNEL, Desk, drain, open_desk
from numberdesk.orders.service._extend import CannotExtend, extend
from numberdesk.orders.service._inbound import (
    Taken,
    deliver_fresh,
    deliver_inbound,
    deliver_parked,
    forget_inbound,
    list_strays,
    take_push,
    tell_unowned,
)
from numberdesk.orders.service._route import told_route
from numberdesk.orders.service._verbs import (
    WAIT_MAX,
    NoMoreCodes,
    ProviderSilent,
    cancel,
    check,
    finish,
    get,
    history,
    is_waiting,
    list_orders,
    next_code,
    settle_cancel,
    shown_status,
)
from numberdesk.orders.sql import Stray

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
    "Stray",
    "Taken",
    "Wish",
    "buy",
    "cancel",
    "check",
    "deliver_fresh",
    "deliver_inbound",
    "deliver_parked",
    "drain",
    "extend",
    "finish",
    "forget_inbound",
    "get",
    "history",
    "is_waiting",
    "list_orders",
    "list_strays",
    "next_code",
    "open_desk",
    "raise_alarms",
    "read_stale",
    "settle_cancel",
    "shown_status",
    "take_push",
    "tell_unowned",
    "told_route",
]
