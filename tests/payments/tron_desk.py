"""Give the tests of TRON a client to fakes of its servers, and the addresses they speak of."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from numberdesk.base import http_client
from numberdesk.payments.methods import trongrid
from numberdesk.payments.methods.gateway import Trouble
from numberdesk.payments.methods.trongrid import Node, TronGrid
from tests.payments.fakes.trongrid import USDT, FakeTronGrid

OURS = "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH"
THEIRS = "TSeJkUh4Qv67VNFwY8LaAxERygNdy6NQZK"
KEYS = ("tg-key-3f9a77c2", "tg-key-81be04d5")


@asynccontextmanager
async def client_of(*fakes: FakeTronGrid, keys: tuple[str, ...] = (), **options: Any) -> AsyncIterator[TronGrid]:
    """Open a client to one or two fakes, quick enough for a test; options are those of `open_client`."""
    nodes = [Node(fake.url, keys) for fake in fakes]
    settings: dict[str, Any] = {"calls_per_second": 1000, "deadline": 2.0, "failures_max": 3, "usdt_contract": USDT}
    async with http_client.session() as session:
        second = nodes[1] if len(nodes) > 1 else None
        yield trongrid.open_client(session, primary=nodes[0], second=second, **settings | options)


async def listed(client: TronGrid, *, asset: Any = "trx", since_ms: int = 0) -> list[str] | Trouble:
    """Ask for the history of our address."""
    found = await trongrid.history(client, OURS, since_ms=since_ms, asset=asset)
    return found if isinstance(found, Trouble) else found.txids
