"""What the client makes of an answer: everything that the server says has its field."""

import msgspec
import pytest

from numberdesk import client
from numberdesk.catalogue.routes import DeliveryView, OfferView
from numberdesk.orders.routes._events import EventsView
from numberdesk.orders.routes._views import MessageView, OrdersView, OrderView, RefundView
from numberdesk.orders.service import EventBody
from numberdesk.orders.service._events import EventData
from numberdesk.wallet.routes import BalanceView


def names(kind: type[msgspec.Struct]) -> list[str]:
    """Return what the fields are called on the wire."""
    return sorted(field.encode_name for field in msgspec.structs.fields(kind))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(client.Order, OrderView), (client.Message, MessageView), (client.Refund, RefundView), (client.Offer, OfferView),
     (client.Delivery, DeliveryView), (client.Balance, BalanceView), (client.Event, EventBody),
     (client.EventData, EventData), (client.Events, EventsView), (client.model.Orders, OrdersView)],
)  # fmt: skip
def test_every_field_of_an_answer_is_in_the_model(ours: type[msgspec.Struct], theirs: type[msgspec.Struct]) -> None:
    assert names(ours) == names(theirs)
