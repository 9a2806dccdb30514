"""Verbs of the webhooks slice: the door for other slices."""

from numberdesk.webhooks.service._bodies import body_of, headers_of, signature
from numberdesk.webhooks.service._courier import Courier, close, open_courier, stop
from numberdesk.webhooks.service._endpoints import (
    ENDPOINTS_MAX,
    LIST_MAX,
    TooManyWebhooks,
    Wanted,
    WebhookOff,
    change,
    create,
    get,
    list_deliveries,
    list_endpoints,
    remove,
    reseal,
    resend,
    rotate,
    test,
)
from numberdesk.webhooks.service._send import PAUSES, drain, fan_out, pause, send_due, wait

__all__ = [
    "ENDPOINTS_MAX",
    "LIST_MAX",
    "PAUSES",
    "Courier",
    "TooManyWebhooks",
    "Wanted",
    "WebhookOff",
    "body_of",
    "change",
    "close",
    "create",
    "drain",
    "fan_out",
    "get",
    "headers_of",
    "list_deliveries",
    "list_endpoints",
    "open_courier",
    "pause",
    "remove",
    "reseal",
    "resend",
    "rotate",
    "send_due",
    "signature",
    "stop",
    "test",
    "wait",
]
