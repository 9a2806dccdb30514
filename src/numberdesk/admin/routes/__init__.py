"""HTTP face for staff."""

from typing import Any

from litestar import Router

from numberdesk.admin.routes import (
    _accounts,
    _catalogue,
    _categories,
    _conduct,
    _lawful,
    _maintenance,
    _money,
    _notices,
    _orders,
    _payments,
    _providers,
    _reports,
    _search,
    _settings,
    _statistics,
    _tickets,
)
from numberdesk.base.calls import Call
from numberdesk.base.described import document


def calls(people: Any, till: Any, shelf: Any, desk: Any, help_desk: Any) -> list[Call[Any]]:
    """Return the calls of this slice; without what they work with they can only be described."""
    return [
        *_accounts.calls(people), *_payments.calls(people, till), *_providers.calls(people),
        *_maintenance.calls(people, shelf), *_money.calls(people, till, desk), *_orders.calls(people, desk),
        *_conduct.calls(people, desk), *_lawful.calls(people), *_catalogue.calls(people, shelf),
        *_categories.calls(people, shelf), *_notices.calls(people), *_tickets.calls(help_desk),
    ]  # fmt: skip


router = Router(
    path="/",
    route_handlers=[
        _accounts.list_users, _accounts.read_user, _accounts.list_events, *_payments.HANDLERS,
        *_providers.HANDLERS, *_conduct.HANDLERS, *_lawful.HANDLERS, *_money.HANDLERS, *_orders.HANDLERS,
        *_tickets.HANDLERS, *_search.HANDLERS, *_catalogue.HANDLERS, _settings.read_settings,
        _reports.read_report, _reports.read_liabilities, _statistics.read_statistics,
        _maintenance.list_windows, _notices.list_notices, _categories.list_categories,
        *document(calls(None, None, None, None, None)),
    ],
    tags=["staff"],
)  # fmt: skip
