"""A server on loopback that speaks as CoinGecko, CoinDCX and WazirX do, and fails as they are told to.

async with rates() as fake:
    fake.prices["wazirx", "trx"] = "28.40"
    fake.faults["coindcx"] = "html"
    found = await fetch(fake.sources(session), now=clock.now())
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from aiohttp import ClientSession, web

from numberdesk.base import clock
from numberdesk.payments.methods.rate_sources import ASSETS, Asset, Sources

Source = Literal["coingecko", "coindcx", "wazirx"]
Fault = Literal["html", "error", "busy", "hang", "drop", "stale", "future", "absurd", "zero", "shape", "empty", "huge"]

SOURCES: Final[tuple[Source, ...]] = ("coingecko", "coindcx", "wazirx")
HTML: Final = b"<!DOCTYPE html><html><body>Just a moment...</body></html>"
SECONDS_OFF: Final[dict[Fault, int]] = {"stale": -3600, "future": 3600}
ODD_PRICES: Final[dict[Fault, str]] = {"absurd": "9000000000.5", "zero": "0"}


@dataclass(frozen=True)
class Asked:
    """One request that came."""

    source: Source
    query: dict[str, str]
    key: str | None


@dataclass
class Rates:
    """What the three sources say, in rupees as they write it, and what each does instead of answering."""

    url: str = ""
    prices: dict[tuple[Source, Asset], str] = field(
        default_factory=lambda: {
            (source, asset): {"trx": "28.41", "usdt": "88.9"}[asset] for source in SOURCES for asset in ASSETS
        }
    )
    faults: dict[Source, Fault] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def sources(self, session: ClientSession, *, deadline: float = 2.0, key: str | None = None) -> Sources:
        """Return where to ask, all of it here."""
        return Sources(
            session, f"{self.url}/coingecko", f"{self.url}/coindcx", f"{self.url}/wazirx",
            coingecko_key=key, deadline=deadline,
        )  # fmt: skip

    def price(self, source: Source, asset: Asset) -> str:
        """Return what a source says of an asset, as its fault makes it."""
        fault = self.faults.get(source)
        return self.prices[source, asset] if fault is None else ODD_PRICES.get(fault, self.prices[source, asset])

    def moment(self, source: Source) -> int:
        """Return the Unix second that a source puts on its prices."""
        fault = self.faults.get(source)
        return int(clock.now().timestamp()) + (0 if fault is None else SECONDS_OFF.get(fault, 0))

    def body(self, source: Source, query: dict[str, str]) -> str:
        """Write the answer of a source when nothing is wrong with its form."""
        at = self.moment(source)
        if source == "coingecko":
            names: dict[str, Asset] = {"tron": "trx", "tether": "usdt"}
            # Written by hand, so that every digit goes out as it was set.
            return "{" + ",".join(
                f'"{name}":{{"inr":{self.price(source, names[name])},"last_updated_at":{at}}}'
                for name in query["ids"].split(",")
            ) + "}"  # fmt: skip
        if source == "coindcx":
            return json.dumps(
                [
                    {"market": "BTCINR", "last_price": "9100000.0", "timestamp": at, "change_24_hour": None},
                    *(
                        {"market": f"{asset.upper()}INR", "last_price": self.price(source, asset), "timestamp": at}
                        for asset in ASSETS
                    ),
                ]
            )
        symbol = query["symbol"]
        asset: Asset = "trx" if symbol == "trxinr" else "usdt"
        return json.dumps(
            {"symbol": symbol, "baseAsset": asset, "lastPrice": self.price(source, asset), "at": at * 1000}
        )


async def _answer(fake: Rates, source: Source, request: web.Request) -> web.StreamResponse:
    query = dict(request.query)
    fake.asked.append(Asked(source, query, request.headers.get("x-cg-demo-api-key")))
    fault = fake.faults.get(source)
    if fault == "hang":
        await asyncio.sleep(30)
    if fault == "drop":
        assert request.transport is not None
        request.transport.abort()
    known: dict[Fault | None, Any] = {
        "html": web.Response(body=HTML, content_type="text/html"),
        "error": web.Response(status=500, text="{}"),
        "busy": web.Response(status=429, text='{"status":{"error_code":429}}'),
        "shape": web.Response(text='{"code":2136,"message":"Too many api request"}'),
        "empty": web.Response(text="[]" if source == "coindcx" else "{}"),
        "huge": web.Response(body=b"[" + b"0," * 2_000_000 + b"0]"),
    }
    found = known.get(fault) or web.Response(text=fake.body(source, query), content_type="application/json")
    assert isinstance(found, web.Response)
    return found


@asynccontextmanager
async def rates() -> AsyncIterator[Rates]:
    """Run the server; until told otherwise all three sources agree."""
    fake = Rates()
    app = web.Application()

    def serve(source: Source, path: str) -> None:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await _answer(fake, source, request)

        app.router.add_get(f"/{source}{path}", handle)

    serve("coingecko", "/api/v3/simple/price")
    serve("coindcx", "/exchange/ticker")
    serve("wazirx", "/sapi/v1/ticker/24hr")
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
