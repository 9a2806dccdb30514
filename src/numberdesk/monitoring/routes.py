"""HTTP face of monitoring: is the process alive, can it work, what is counted, and how the service is."""

import hmac
from dataclasses import dataclass
from typing import Any, Literal

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from msgspec import Struct

from numberdesk import __version__
from numberdesk.base.compress import AS_IT_IS
from numberdesk.base.db import Database
from numberdesk.base.errors import AppError, NotFound
from numberdesk.base.money import format_rupees
from numberdesk.base.web import ACCESS, NO_KEY, PUBLIC, UNCOUNTED, Ok
from numberdesk.monitoring import service
from numberdesk.monitoring.probe import probe
from numberdesk.monitoring.service import StatusView, Watch
from numberdesk.orders import service as orders
from numberdesk.payments import service as payments
from numberdesk.payments.service import Till
from numberdesk.settings import Settings

OVERDUE_MAX = 120
"""Seconds of overdue background work above which no worker can be running."""


class Alive(Struct, rename="camel", frozen=True):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(Struct, rename="camel", frozen=True, kw_only=True):
    """What the process needs, part by part."""

    status: Literal["ready"] = "ready"
    database: str
    migrations: str
    worker: str
    """ok, none when no worker was heard of for 30 seconds, or late when due work waits all the same."""
    workers: int
    overdue_seconds: int
    notices_overdue_seconds: int
    webhooks_overdue_seconds: int


@dataclass(eq=False)
class NotReady(AppError):
    """Requests would fail; says part by part why."""

    database: str
    migrations: str

    status = 503
    code = "not_ready"
    category = "system"
    message = "This process cannot work. Database: {database}. Migrations: {migrations}."
    retry_after = 2


@dataclass(eq=False)
class BadMetricsToken(AppError):
    """The bearer token is not METRICS_TOKEN, or there is none."""

    status = 401
    code = "bad_metrics_token"
    category = "authentication"
    message = "Send METRICS_TOKEN as a bearer token."


@get("/healthz", summary="Is the process alive", security=NO_KEY, opt={ACCESS: UNCOUNTED})
async def healthz() -> Ok[Alive]:
    """Answer without asking anybody."""
    return Ok(data=Alive())


@get("/readyz", summary="Can the process work", security=NO_KEY, opt={ACCESS: UNCOUNTED})
async def readyz(db: NamedDependency[Database]) -> Ok[Ready]:
    """Ask the database, the schema and the age of due work; 503 when requests would fail."""
    found = await service.readiness(db)
    if not found.database or found.migrations != "ok":
        raise NotReady("ok" if found.database else "out of reach", found.migrations)
    late = "none" if found.workers == 0 else "late" if found.overdue_seconds > OVERDUE_MAX else "ok"
    return Ok(
        data=Ready(
            database="ok",
            migrations=found.migrations,
            worker=late,
            workers=found.workers,
            overdue_seconds=found.overdue_seconds,
            notices_overdue_seconds=found.notices_overdue_seconds,
            webhooks_overdue_seconds=found.webhooks_overdue_seconds,
        )
    )


@get(
    "/metrics",
    summary="Read what Prometheus collects",
    include_in_schema=False,
    opt={ACCESS: UNCOUNTED},
)
async def read_metrics(request: Request[Any, Any, Any], watch: NamedDependency[Watch]) -> Response[str]:
    """Return the metrics of the whole installation to whoever has METRICS_TOKEN; without that setting there are none.

    An open page would be read by strangers through every proxy on this machine, so nobody is let in by his address.
    """
    if watch.token is None:
        raise NotFound("page")
    shown: str | None = request.scope["state"]["visit"].token
    if shown is None or not hmac.compare_digest(shown.encode(), watch.token.encode()):
        raise BadMetricsToken
    return Response(await watch.exposition.page(), media_type="text/plain; version=0.0.4")


@get(
    "/system/status",
    summary="Read how the service is",
    security=NO_KEY,
    opt={ACCESS: PUBLIC, AS_IT_IS: True},
    responses={
        200: ResponseSpec(Ok[StatusView], generate_examples=False, description="The parts and their days"),
        304: ResponseSpec(None, description="As the ETag says"),
    },
)
async def read_status(request: Request[Any, Any, Any], watch: NamedDependency[Watch]) -> Response[bytes]:
    """Return the parts of the service with their last 30 days, and how often numbers get their codes.

    It is judged once in 20 seconds; asked with `If-None-Match`, the answer is 304 while it is the same.
    """
    headers = request.headers
    sent = await watch.board.rendered.answer(
        accept_encoding=headers.get("accept-encoding", ""), if_none_match=headers.get("if-none-match", "")
    )
    told = {name.decode(): text.decode() for name, text in sent.headers} | {"cache-control": "public, max-age=5"}
    return Response(sent.body, status_code=sent.status, headers=told, media_type="application/json")


class PayView(Struct, rename="camel", frozen=True):
    """A way to pay; amounts in rupees."""

    method: str
    is_open: bool
    min_amount: str
    max_amount: str


class ConfigView(Struct, rename="camel", frozen=True, kw_only=True):
    """What a program must know before it calls. Times are in seconds; limits as `5 per 15 minutes`, or `off`."""

    version: str
    currency: Literal["INR"] = "INR"
    limits: dict[str, str]
    cancel_after_seconds: int
    order_lifetime_seconds: int
    wait_max_seconds: int
    recharge_lifetime_seconds: int
    quote_lifetime_seconds: int
    password_min_length: int
    payment_methods: list[PayView]


@get("/system/config", summary="Read limits, amounts and times", security=NO_KEY, opt={ACCESS: PUBLIC})
async def read_config(settings: NamedDependency[Settings], till: NamedDependency[Till]) -> Ok[ConfigView]:
    """Read the limits, amounts, times and ways to pay of this installation."""
    rules = till.rules
    low, high = format_rupees(rules.min_paise), format_rupees(rules.max_paise)
    methods = [PayView(item.method, item.reason is None, low, high) for item in await payments.methods(till)]
    return Ok(
        data=ConfigView(
            version=__version__,
            limits={name: str(number) for name, number in settings.limits.items()},
            cancel_after_seconds=int(settings.cancel_after.total_seconds()),
            order_lifetime_seconds=int(settings.order_lifetime.total_seconds()),
            wait_max_seconds=int(orders.WAIT_MAX),
            recharge_lifetime_seconds=int(rules.lifetime.total_seconds()),
            quote_lifetime_seconds=int(rules.quote_lifetime.total_seconds()),
            password_min_length=settings.password_min_length,
            payment_methods=methods,
        )
    )


router = Router(
    path="/", route_handlers=[healthz, readyz, read_metrics, read_status, read_config, probe], tags=["system"]
)
