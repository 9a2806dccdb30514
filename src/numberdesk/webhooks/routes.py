"""HTTP face of webhooks: endpoints of the caller's, and what became of what was sent to them."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from litestar import Request, Router, delete, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from numberdesk.accounts.model import Caller
from numberdesk.base.calls import Asked, Call, number_in_path
from numberdesk.base.db import Database
from numberdesk.base.described import QueryId, document
from numberdesk.base.errors import InvalidFields
from numberdesk.base.visit import Visit
from numberdesk.base.web import ACCESS, Done, Items, NoFields, Ok, encode, page, rfc3339
from numberdesk.notifications.service import WEBHOOK_URL_MAX
from numberdesk.wallet.model import AccountId
from numberdesk.webhooks import service
from numberdesk.webhooks.model import (
    EVENTS,
    Delivery,
    DeliveryId,
    DeliveryState,
    Endpoint,
    EndpointId,
    EndpointState,
    Format,
    shown_type,
)
from numberdesk.webhooks.service import Courier, Wanted

Url = Annotated[str, Meta(min_length=1, max_length=WEBHOOK_URL_MAX)]
Event = Literal[
    "order.active", "order.code", "order.extended", "order.completed", "order.cancelled", "order.expired",
    "order.failed", "order.refunded",
]  # fmt: skip
Events = Annotated[list[Event], Meta(min_length=1, max_length=20)]


class CreateWebhook(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """An address that events are posted to. Without `events` it gets all that its format has."""

    url: Url
    events: Events | None = None
    format: Format = "standard"


class ChangeWebhook(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What is to be another way; what is left out stays."""

    url: Url | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    format: Format | UnsetType = UNSET
    state: Literal["on", "off"] | UnsetType = UNSET


class WebhookView(Struct, rename="camel", frozen=True):
    """A webhook without its secret. `state` is `disabled` when we switched it off; switch it `on` again."""

    id: int
    url: str
    events: list[str]
    format: Format
    state: EndpointState
    failing_since: datetime | None
    disabled_at: datetime | None
    old_secret_until: datetime | None
    created_at: datetime | None


class NewSecretView(Struct, rename="camel", frozen=True):
    """A webhook with a new secret, which is shown this once."""

    secret: str
    webhook: WebhookView


class DeliveryView(Struct, rename="camel", frozen=True):
    """One event for one webhook: what was tried, and when the next try is. `status` is that of the last answer."""

    id: int
    webhook_id: int
    event_id: str
    type: str
    sequence: int | None
    state: DeliveryState
    attempts: int
    status: int | None
    problem: str | None
    took_ms: int | None
    created_at: datetime | None
    tried_at: datetime | None
    next_try_at: datetime | None
    ended_at: datetime | None


def calls(courier: Any) -> list[Call[Any]]:
    """Return the calls of this slice; without a courier they can only be described."""
    return [
        Call(
            path="/user/webhooks", body=CreateWebhook, access="webhook", run=partial(_create, courier),
            answer=NewSecretView, summary="Add a webhook",
            description="Have events posted to an address from now on. The secret that signs them is shown this once.",
        ),
        Call(
            path="/user/webhooks/{id}", method="PUT", body=ChangeWebhook, access="webhook",
            run=partial(_change, courier), answer=WebhookView, summary="Change a webhook",
            description="Change the fields that are sent. One that was off goes on where it stopped; "
            "one that was disabled goes on from now.",
        ),
        Call(
            path="/user/webhooks/{id}/rotate-secret", body=NoFields, access="webhook", run=partial(_rotate, courier),
            answer=NewSecretView, summary="Rotate a webhook's secret",
            description="Make a new secret, shown this once. For 24 hours both sign.",
        ),
        Call(
            path="/user/webhooks/{id}/test", body=NoFields, access="webhook", run=partial(_test, courier),
            answer=DeliveryView, summary="Test a webhook",
            description="Post a test event at once, also to a webhook that is off. It is tried once.",
        ),
        Call(
            path="/user/webhooks/deliveries/{id}/resend", body=NoFields, access="webhook",
            run=partial(_resend, courier), answer=DeliveryView, summary="Send an event again",
            description="Post an event once more, at once and under the same id, whatever became of it.",
        ),
    ]  # fmt: skip


async def _create(courier: Courier, asked: Asked, data: CreateWebhook) -> bytes:
    wanted = Wanted(data.url, None if data.events is None else [EVENTS[name] for name in data.events], data.format)
    endpoint, secret = await service.create(courier, asked.caller, asked.visit, wanted)
    return encode(NewSecretView(secret, _view(endpoint)))


async def _change(courier: Courier, asked: Asked, data: ChangeWebhook) -> bytes:
    wanted = Wanted(
        url=None if data.url is UNSET else data.url,
        events=None if data.events is UNSET else [EVENTS[name] for name in data.events],
        format=None if data.format is UNSET else data.format,
        state=None if data.state is UNSET else data.state,
    )
    if wanted == Wanted():
        raise InvalidFields({"body": "must have at least one of url, events, format and state"})
    return encode(_view(await service.change(courier, asked.caller, asked.visit, EndpointId(asked.id), wanted)))


async def _rotate(courier: Courier, asked: Asked, _data: NoFields) -> bytes:
    endpoint, secret = await service.rotate(courier, asked.caller, asked.visit, EndpointId(asked.id))
    return encode(NewSecretView(secret, _view(endpoint)))


async def _test(courier: Courier, asked: Asked, _data: NoFields) -> bytes:
    return encode(_delivery(await service.test(courier, asked.caller.account_id, EndpointId(asked.id))))


async def _resend(courier: Courier, asked: Asked, _data: NoFields) -> bytes:
    return encode(_delivery(await service.resend(courier, asked.caller.account_id, DeliveryId(asked.id))))


def _view(item: Endpoint) -> WebhookView:
    return WebhookView(
        item.id, item.url, [shown_type(name) for name in item.events], item.format, item.state,
        rfc3339(item.failing_since), rfc3339(item.disabled_at), rfc3339(item.old_secret_until),
        rfc3339(item.created_at),
    )  # fmt: skip


def _delivery(item: Delivery) -> DeliveryView:
    return DeliveryView(
        item.id, item.endpoint_id, item.event_id, shown_type(item.type), item.seq, item.state, item.attempts,
        item.last_status, item.problem, item.took_ms, rfc3339(item.created_at), rfc3339(item.tried_at),
        rfc3339(item.next_try_at), rfc3339(item.ended_at),
    )  # fmt: skip


@get("/user/webhooks", summary="List webhooks", opt={ACCESS: "webhook"})
async def list_webhooks(reader: NamedDependency[AccountId], db: NamedDependency[Database]) -> Ok[Items[WebhookView]]:
    """List the caller's webhooks, without their secrets."""
    return Ok(data=Items([_view(item) for item in await service.list_endpoints(db, reader)]))


@delete("/user/webhooks/{id:str}", status_code=200, summary="Delete a webhook", opt={ACCESS: "webhook"})
async def delete_webhook(
    id: FromPath[str],  # noqa: A002 - the name in the path
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    courier: NamedDependency[Courier],
) -> Ok[Done]:
    """Delete a webhook of the caller's, with what waits for it."""
    visit: Visit = request.scope["state"]["visit"]
    await service.remove(courier, caller, visit, EndpointId(number_in_path(id, what="webhook")))
    return Ok(data=Done())


@get("/user/webhooks/{id:str}/deliveries", summary="List deliveries, newest first", opt={ACCESS: "webhook"})
async def list_deliveries(
    id: FromPath[str],  # noqa: A002 - the name in the path
    reader: NamedDependency[AccountId],
    db: NamedDependency[Database],
    in_state: Annotated[DeliveryState | None, QueryParameter(name="state")] = None,
    cursor: QueryId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=service.LIST_MAX)] = 50,
) -> Ok[Items[DeliveryView]]:
    """List what was, or will be, posted to a webhook: attempts, the last status, and the next try.

    `cursor` is `nextCursor` of the page before. Deliveries that ended are kept for 30 days.
    """
    endpoint_id = EndpointId(number_in_path(id, what="webhook"))
    found = await service.list_deliveries(db, reader, endpoint_id, state=in_state, cursor=cursor, limit=limit)
    return page(found, _delivery, limit=limit)


router = Router(
    "/",
    route_handlers=[*document(calls(None)), list_webhooks, delete_webhook, list_deliveries],
    tags=["webhooks"],
)
