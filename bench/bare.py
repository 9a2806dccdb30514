"""The bound of this machine: a bare ASGI application that answers a fixed body: of an order's size, or of any."""

import asyncio
import sys
from contextlib import suppress
from typing import Any

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server

BODY = b'{"success":true,"data":' + b'"' + b"x" * 460 + b'"}'


def application(body: bytes) -> Any:
    """Return an application that reads the body of a request and answers with this one."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body, "more_body": False})

    return app


async def main(port: int, size: int | None = None) -> None:
    """Serve until killed; an answer is of an order's size, or of so many bytes."""
    app = application(BODY if size is None else b"x" * size)
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
        runner.run(main(*map(int, sys.argv[1:])))
