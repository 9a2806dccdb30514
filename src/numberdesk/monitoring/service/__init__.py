"""Verbs of monitoring: whether all can work, what is counted, whether the ledger is right, and how the parts are."""

from numberdesk.monitoring.service._board import READ_EVERY, StatusBoard, StatusView, status_of
from numberdesk.monitoring.service._exposition import Exposition
from numberdesk.monitoring.service._keeping import (
    EXPORTS,
    Export,
    count_rows,
    export,
    is_proven,
    prove,
    server,
    servers,
)
from numberdesk.monitoring.service._ledger_watch import check_audit, check_recent, check_whole, tell_wrong
from numberdesk.monitoring.service._parts import Judge, Signs, forget_days, judge
from numberdesk.monitoring.service._pulse import (
    ALIVE_SECONDS,
    PULSE_EVERY,
    Heart,
    beat,
    forget_totals,
    stop_beating,
    watch_loop,
)
from numberdesk.monitoring.service._ready import readiness
from numberdesk.monitoring.service._verify import verify
from numberdesk.monitoring.service._watch import Watch, open_watch

__all__ = [
    "ALIVE_SECONDS",
    "EXPORTS",
    "PULSE_EVERY",
    "READ_EVERY",
    "Export",
    "Exposition",
    "Heart",
    "Judge",
    "Signs",
    "StatusBoard",
    "StatusView",
    "Watch",
    "beat",
    "check_audit",
    "check_recent",
    "check_whole",
    "count_rows",
    "export",
    "forget_days",
    "forget_totals",
    "is_proven",
    "judge",
    "open_watch",
    "prove",
    "readiness",
    "server",
    "servers",
    "status_of",
    "stop_beating",
    "tell_wrong",
    "verify",
    "watch_loop",
]
