"""What `doctor --url` asks through the public address: how a request arrives here, and whether a stream flows.

Only who has the installation's secrets gets an answer; to everybody else there is nothing at this address.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import HeaderParameter
from litestar.response import Stream

from numberdesk.accounts.service import People
from numberdesk.base import clock
from numberdesk.base.compress import AS_IT_IS
from numberdesk.base.web import ACCESS, UNCOUNTED
from numberdesk.monitoring import service
from numberdesk.monitoring.model import PROBE_PATH, PROBE_PAUSE, PROBE_PROOF, Arrived

SHOWN_MAX = 500


@get(PROBE_PATH, include_in_schema=False, opt={ACCESS: UNCOUNTED, AS_IT_IS: True})
async def probe(
    request: Request[Any, Any, Any],
    people: NamedDependency[People],
    proof: Annotated[str, HeaderParameter(name=PROBE_PROOF, max_length=100)] = "",
) -> Stream:
    """Say how this request arrived, and a second later that it is over."""
    if not service.is_proven(people.tokens, proof, now=clock.now().timestamp()):
        raise NotFoundException
    arrived = Arrived(
        ip=request.scope["state"]["visit"].ip,
        peer=request.client.host if request.client else "",
        forwarded=", ".join(request.headers.getall("x-forwarded-for", []))[:SHOWN_MAX],
        host=request.headers.get("host", "")[:SHOWN_MAX],
    )
    return Stream(
        _told(arrived),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no", "cache-control": "no-store, no-transform"},
    )


async def _told(arrived: Arrived) -> AsyncIterator[bytes]:
    yield b"data: " + msgspec.json.encode(arrived) + b"\n\n"
    await asyncio.sleep(PROBE_PAUSE)
    yield b"data: {}\n\n"
