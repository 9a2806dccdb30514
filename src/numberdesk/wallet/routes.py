"""HTTP face of the wallet: the balance. The statement also shows recharges, so it is with the payments."""

from typing import Literal

from litestar import Router, get
from litestar.di import NamedDependency
from msgspec import Struct

from numberdesk.base.db import Database
from numberdesk.base.money import format_rupees
from numberdesk.base.web import ACCESS, Ok
from numberdesk.wallet import service
from numberdesk.wallet.model import AccountId


class BalanceView(Struct, rename="camel", frozen=True):
    """The caller's money, in rupees."""

    available: str
    held: str
    currency: Literal["INR"] = "INR"


@get("/user/balance", summary="Read the balance", opt={ACCESS: "read"})
async def balance(reader: NamedDependency[AccountId], db: NamedDependency[Database]) -> Ok[BalanceView]:
    """Read what can be spent and what is held for open orders."""
    wallet = await service.balance(db, reader)
    return Ok(data=BalanceView(format_rupees(wallet.available_paise), format_rupees(wallet.held_paise)))


router = Router(path="/", route_handlers=[balance], tags=["wallet"])
