"""HTTP face of monitoring: is the process alive, and can it work."""

from typing import Literal

from litestar import Response, Router, get
from msgspec import Struct

from numberdesk.base.db import Database
from numberdesk.base.errors import Unavailable
from numberdesk.base.web import Ok
from numberdesk.monitoring import service

OVERDUE_MAX = 120
"""Seconds of overdue background work above which no worker can be running."""


class Alive(Struct, rename="camel", frozen=True):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(Struct, rename="camel", frozen=True):
    """What the process needs, part by part."""

    status: Literal["ready", "not ready"]
    database: str
    migrations: str
    worker: str
    overdue_seconds: int


@get("/healthz", summary="Is the process alive", security=[])
async def healthz() -> Ok[Alive]:
    """Answer without asking anybody."""
    return Ok(data=Alive())


@get("/readyz", summary="Can the process work", security=[])
async def readyz(db: Database) -> Response[Ok[Ready]]:
    """Ask the database, the schema and the age of due work; 503 when requests would fail."""
    try:
        found = await service.readiness(db)
    except Unavailable:
        return Response(Ok(data=Ready("not ready", "out of reach", "unknown", "unknown", 0)), status_code=503)
    is_ready = found.database and found.migrations == "ok"
    worker = "ok" if found.overdue_seconds <= OVERDUE_MAX else "none seems to run: due work waits"
    state = Ready(
        "ready" if is_ready else "not ready", "ok" if found.database else "out of reach", found.migrations, worker,
        found.overdue_seconds,
    )  # fmt: skip
    return Response(Ok(data=state), status_code=200 if is_ready else 503)


router = Router(path="/", route_handlers=[healthz, readyz], tags=["system"])
