"""What gateways, the operator's bank devices and returning browsers call."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from numberdesk.base import clock
from numberdesk.base.errors import NotFound
from numberdesk.base.web import ACCESS, NO_KEY, UNCOUNTED, Ok, raw_body
from numberdesk.payments import service
from numberdesk.payments.service import Till

WEBHOOK_MAX = 256 * 1024
RETURN_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Numberdesk: payment</title></head>
<body><main><h1>Thank you</h1>
<p>We are asking for your payment now. Your balance shows it as soon as it is confirmed; you can close this page.</p>
</main></body></html>
"""


class TakenView(Struct, rename="camel", frozen=True):
    """A message that was taken."""

    is_new: bool


@post(
    "/webhooks/{gateway:str}", summary="Take a gateway's webhook", opt={ACCESS: UNCOUNTED}, security=NO_KEY,
    status_code=200, request_max_body_size=WEBHOOK_MAX,
)  # fmt: skip
async def webhook(
    gateway: FromPath[str], request: Request[Any, Any, Any], till: NamedDependency[Till]
) -> Ok[TakenView]:
    """Check the signature over the raw bytes, store the event once, and answer; a pass works on it."""
    headers = {key.lower(): value for key, value in request.headers.items()}
    is_new = await service.take_webhook(till, gateway, headers, await raw_body(request), now=clock.now())
    return Ok(data=TakenView(is_new))


@post(
    "/webhooks/bank/alert", summary="Take a bank's message", opt={ACCESS: UNCOUNTED}, security=NO_KEY, status_code=200
)
async def bank_alert(request: Request[Any, Any, Any], till: NamedDependency[Till]) -> Ok[TakenView]:
    """Take `{"text", "vpa"?}` that a device of the operator forwards, signed over `timestamp.body` with its key."""
    taken = await service.take_alert(
        till,
        device=request.headers.get("x-alert-device", ""),
        timestamp=request.headers.get("x-alert-timestamp", ""),
        signature=request.headers.get("x-alert-signature", ""),
        raw=await raw_body(request),
        now=clock.now(),
    )
    return Ok(data=TakenView(taken is not None))


@get("/recharge/return/{transaction_id:str}", opt={ACCESS: UNCOUNTED}, include_in_schema=False, media_type="text/html")
async def returned(transaction_id: FromPath[str], till: NamedDependency[Till]) -> Response[str]:
    """Show a page to who comes back from a gateway, and look at the payment. What the browser says is not believed."""
    try:
        recharge = await service.find(till.db, account_id=None, ref=transaction_id)
        await service.ask_for_look(till, recharge)
    except NotFound:
        pass  # the page says nothing of anybody's recharge, so it is the same
    return Response(RETURN_PAGE, media_type="text/html")
