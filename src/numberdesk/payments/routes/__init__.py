"""HTTP face of payments: what customers call, what gateways and the bank call, and a receipt as a page."""

from litestar import Router

from numberdesk.base.described import document
from numberdesk.payments.routes._customers import calls, methods, recharge_history, status, verify
from numberdesk.payments.routes._outside import bank_alert, returned, webhook
from numberdesk.payments.routes._receipts import list_receipts, read_receipt
from numberdesk.payments.routes._transactions import transactions

__all__ = ["calls", "router"]

router = Router(
    path="/",
    route_handlers=[
        methods, recharge_history, verify, status, list_receipts, read_receipt, transactions, webhook, bank_alert,
        returned,
        *document(calls(None)),
    ],
    tags=["payments"],
)  # fmt: skip
