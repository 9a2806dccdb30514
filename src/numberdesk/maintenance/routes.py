"""HTTP face of maintenance: what is closed or will be, for everybody, from memory."""

from datetime import datetime

from litestar import Router, get
from litestar.di import NamedDependency
from msgspec import Struct

from numberdesk.base.web import ACCESS, NO_KEY, Ok, rfc3339
from numberdesk.maintenance.model import CLOSES, Area, Window, WindowKind
from numberdesk.maintenance.service import Switches


class WindowView(Struct, rename="camel", frozen=True):
    """A time in which something is closed. `closes` is what cannot be begun; everything else goes on."""

    area: Area
    target: str | None
    kind: WindowKind
    is_now: bool
    is_partial: bool
    """Some accounts are let in."""
    starts_at: datetime | None
    ends_at: datetime | None
    message: str
    closes: list[str]


class MaintenanceView(Struct, rename="camel", frozen=True):
    """What is closed, and what will be."""

    now: datetime | None
    windows: list[WindowView]


def _view(window: Window, now: datetime) -> WindowView:
    return WindowView(
        window.area, window.target, window.kind, window.is_running(now), bool(window.allowed),
        rfc3339(window.starts_at), rfc3339(window.ends_at), window.message, sorted(CLOSES[window.area]),
    )  # fmt: skip


@get("/system/maintenance", summary="What is closed", security=NO_KEY, opt={ACCESS: "public"})
async def read_maintenance(switches: NamedDependency[Switches]) -> Ok[MaintenanceView]:
    """Read which parts are closed now and which will be, as this process knows it: a second old at the most."""
    now = switches.now()
    windows = [_view(window, now) for window in switches.windows if not window.is_over(now)]
    return Ok(data=MaintenanceView(rfc3339(now), windows))


router = Router(path="/", route_handlers=[read_maintenance], tags=["system"])
