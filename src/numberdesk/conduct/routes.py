"""HTTP face of responsible use, for everybody: what is not allowed, and where misuse is told."""

from litestar import Router, get
from litestar.di import NamedDependency
from msgspec import Struct

from numberdesk.base.web import ACCESS, NO_KEY, Ok

TEXT = (
    "Numbers here are rented for one named service at a time, for accounts of whoever rents them. They are not for "
    "banks, payment services or authorities, and not to deceive anybody; who uses them so is shut out. If a number of "
    "ours was used against you, tell us the number with its country code, the time with its zone, and what happened: "
    "we can find whose it was then. Authorities write to the same address and name their case."
)


class AbuseView(Struct, rename="camel", frozen=True):
    """Where misuse is told; `contact` is null while the operator names none."""

    contact: str | None
    text: str


@get("/system/abuse", summary="Where misuse is told", security=NO_KEY, opt={ACCESS: "public"})
async def read_abuse(abuse_contact: NamedDependency[str]) -> Ok[AbuseView]:
    """Read where to tell that a number was misused, and what we need for it."""
    return Ok(data=AbuseView(abuse_contact or None, TEXT))


router = Router(path="/", route_handlers=[read_abuse], tags=["system"])
