"""HTTP face for staff."""

from typing import Any

from litestar import Router

from numberdesk.admin.routes import _accounts, _maintenance, _payments, _providers, _statistics
from numberdesk.base.calls import Call
from numberdesk.base.described import document


def calls(people: Any, till: Any, shelf: Any) -> list[Call[Any]]:
    """Return the calls of this slice; without what they work with they can only be described."""
    return [
        *_accounts.calls(people), *_payments.calls(people, till), *_providers.calls(people),
        *_maintenance.calls(people, shelf),
    ]  # fmt: skip


router = Router(
    path="/",
    route_handlers=[
        _accounts.list_users, _accounts.read_user, _accounts.list_events, *_payments.HANDLERS,
        *_providers.HANDLERS,
        _statistics.read_statistics, _maintenance.list_windows,
        *document(calls(None, None, None)),
    ],
    tags=["staff"],
)  # fmt: skip
