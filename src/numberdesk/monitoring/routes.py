"""HTTP face of monitoring: is the process alive, and can it work."""

from dataclasses import dataclass
from typing import Literal

from litestar import Router, get
from litestar.di import NamedDependency
from msgspec import Struct

from numberdesk.base.db import Database
from numberdesk.base.errors import AppError
from numberdesk.base.web import ACCESS, NO_KEY, UNCOUNTED, Ok
from numberdesk.monitoring import service

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
    overdue_seconds: int


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
    worker = "ok" if found.overdue_seconds <= OVERDUE_MAX else "none seems to run: due work waits"
    return Ok(
        data=Ready(database="ok", migrations=found.migrations, worker=worker, overdue_seconds=found.overdue_seconds)
    )


router = Router(path="/", route_handlers=[healthz, readyz], tags=["system"])
