"""HTTP face of orders: what customers call, and what providers post."""

from litestar import Router

from numberdesk.base.described import document
from numberdesk.orders.routes._events import list_events, stream_events
from numberdesk.orders.routes._hooks import provider_hook
from numberdesk.orders.routes._orders import calls, list_orders, number_status, order_detail
from numberdesk.orders.routes._views import view

__all__ = ["calls", "router", "view"]

router = Router(
    path="/",
    route_handlers=[
        number_status, list_orders, list_events, stream_events, order_detail, provider_hook, *document(calls(None)),
    ],
    tags=["orders"],
)  # fmt: skip
