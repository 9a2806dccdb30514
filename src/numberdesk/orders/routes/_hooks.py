"""What providers call: the address to which they post the messages of our numbers."""

from typing import Any

from litestar import Request, Response, post
from litestar.background_tasks import BackgroundTask
from litestar.di import NamedDependency
from litestar.params import FromPath

from numberdesk.base.web import ACCESS, NO_KEY, UNCOUNTED, raw_body
from numberdesk.orders import service
from numberdesk.orders.service import Desk
from numberdesk.providers.service import PUSH_BODY_MAX


@post(
    "/webhooks/provider/{name:str}/{token:str}", summary="Take a provider's message", opt={ACCESS: UNCOUNTED},
    security=NO_KEY, status_code=200, request_max_body_size=PUSH_BODY_MAX,
)  # fmt: skip
async def provider_hook(
    name: FromPath[str], token: FromPath[str], request: Request[Any, Any, Any], desk: NamedDependency[Desk]
) -> Response[bytes]:
    """Write down what a provider posts, in its own protocol, and answer as it wants; a repeat is answered alike."""
    taken = await service.take_push(desk, name=name, token=token, body=await raw_body(request))
    delivering = BackgroundTask(service.deliver_fresh, desk, taken.fresh) if taken.fresh else None
    return Response(taken.answer, media_type="application/json", background=delivering)
