"""A client of the REST API, for programs that wait (`Client`) and for programs that do not (`AsyncClient`).

from numberdesk.client import Client

with Client("https://desk.example", "nd_live_...") as desk:
    order = desk.get_number("tg", "IN")
    print(order.number, desk.wait_for_code(order.order_id).otp)
"""

from numberdesk.client._asynchronous import AsyncClient
from numberdesk.client._errors import ApiError, NoCode, Unreachable
from numberdesk.client._synchronous import Client
from numberdesk.client.model import Balance, Delivery, Event, EventData, Events, Message, Offer, Order, Page, Refund

__all__ = [
    "ApiError",
    "AsyncClient",
    "Balance",
    "Client",
    "Delivery",
    "Event",
    "EventData",
    "Events",
    "Message",
    "NoCode",
    "Offer",
    "Order",
    "Page",
    "Refund",
    "Unreachable",
]
