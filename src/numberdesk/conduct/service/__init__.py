"""Verbs of responsible use: the door for other slices."""

from numberdesk.conduct.classifier import PROTECTED, looks_protected, names_of
from numberdesk.conduct.service._lawful import (
    Export,
    NotApproved,
    RequestKnown,
    SecondPersonNeeded,
    ask,
    decide,
    export,
    list_requests,
    look_up,
    read_number,
)
from numberdesk.conduct.service._limits import (
    admit,
    clear_own_limits,
    find_own_limits,
    forget_counts,
    let_free,
    set_own_limits,
)
from numberdesk.conduct.service._links import MONTHS_MAX, count_months, list_links, note_payers
from numberdesk.conduct.service._refusal import PurchaseLimited
from numberdesk.conduct.service._shared import take_back

__all__ = [
    "MONTHS_MAX", "PROTECTED", "Export", "NotApproved", "PurchaseLimited", "RequestKnown", "SecondPersonNeeded",
    "admit", "ask", "clear_own_limits", "count_months", "decide", "export", "find_own_limits", "forget_counts",
    "let_free", "list_links", "list_requests", "look_up", "looks_protected", "names_of", "note_payers", "read_number",
    "set_own_limits", "take_back",
]  # fmt: skip
