"""The bound of this machine: a bare ASGI application that answers a fixed body of an order's size."""

import asyncio
import sys
from contextlib import suppress
from typing import Any

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server

BODY = b'{"success":true,"data":' + b'"' + b"x" * 460 + b'"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, answer."""
    if scope["type"] == "http":
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY, "more_body": False})


async def main(port: int) -> None:
    """Serve until killed."""
    server = Server(
        app,
        port=port,
        interface=Interfaces.ASGINL,
        backlog=2048,
        backpressure=20000,
        log_enabled=False,
        websockets=False,
    )
    await server.serve()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
