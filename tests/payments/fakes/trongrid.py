"""A server on loopback that answers as TronGrid and java-tron do, with a small chain that a test writes.

    async with trongrid() as fake:
        txid = fake.pay(ADDRESS, 5_000_000)
        client = open_client(session, primary=Node(fake.url), calls_per_second=1000)

Every method that writes a transaction returns its id, and takes `is_solid`, `is_listed` and `memo` besides its own
arguments: a transaction that is not solid is known below `/wallet` only, one that is not listed by its id only.
"""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import web

from numberdesk.payments.methods.tron_address import base58check_encode, to_hex
from numberdesk.payments.methods.tron_transfers import TRANSFER_TOPIC
from numberdesk.payments.methods.trongrid import GENESIS

USDT: Final = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
APPROVAL_TOPIC: Final = "8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"
SENDER: Final = base58check_encode(b"\x41" + b"\x11" * 20)
FIRST_BLOCK_AT: Final = 1_777_437_762_000
BLOCK_MS: Final = 3000
GARBAGE: Final[Mapping[str, bytes]] = {
    "error object": b'{"Error":"class java.lang.NullPointerException : null"}',
    "frequency limit with 200": b'{"success":false,"error":"lack of computing resources","statusCode":200}',
    "bare text": b"this API is closed because this node is a lite fullnode",
    "html": b"<html><body>502 Bad Gateway</body></html>",
    "empty": b"",
    "truncated": b'{"data":[{"txID":"',
    "not a number": b'{"data":[],"success":true,"meta":{"at":NaN}}',
    "doubled name": b'{"data":[],"data":[],"success":true,"meta":{}}',
    "list": b"[]",
    "null": b"null",
    "not utf-8": b'{"data":"\xff"}',
    "deep": b"[" * 100_000,
    "long number": b'{"data":' + b"9" * 10_000 + b"}",
    "another object": b'{"result":{"code":"SIGERROR"}}',
}
"""Bodies that a server of TRON, or what stands before it, was seen to send with status 200, and worse ones."""


@dataclass(frozen=True)
class Request:
    """One request that came: the path without its query, and the key in its header."""

    path: str
    key: str | None
    query: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass
class Chained:
    """A transaction as the fake keeps it; `to` are the addresses in whose history it is listed."""

    txid: str
    transaction: dict[str, Any]
    info: dict[str, Any]
    to: tuple[str, ...]
    is_token: bool
    is_solid: bool
    is_listed: bool
    internal_to: str | None = None

    @property
    def block_at(self) -> int:
        """Milliseconds."""
        at: int = self.info["blockTimeStamp"]
        return at


@dataclass
class FakeTronGrid:
    """The chain, and the knobs of the server. Set a knob at any time; it holds for the next request."""

    url: str = ""
    genesis: str = GENESIS["mainnet"]
    """Another network's makes this a server of that network."""
    keys: frozenset[str] = frozenset()
    """When not empty, a request without one of them is refused with 401."""
    limited: dict[str | None, int] = field(default_factory=dict)
    """Keys (None: no key) that ask too often, and the status that says so: 403, 429 or 503."""
    says: tuple[int, bytes] | None = None
    """What every request but that for the first block is answered, whatever it asks."""
    is_down: bool = False
    """Every request is answered 503, that for the first block too."""
    hangs: bool = False
    page_size: int = 200
    first_block_at: int = FIRST_BLOCK_AT
    """The time of the block of the first transaction, in milliseconds; each further one is three seconds later."""
    head_at: int = FIRST_BLOCK_AT
    """The time of the newest block, in milliseconds."""
    balances: dict[str, int] = field(default_factory=dict)
    """Sun by address; an address that is not here was never used."""
    tokens: dict[str, dict[str, str]] = field(default_factory=dict)
    """Units by contract, by address."""
    chain: dict[str, Chained] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    _count: "itertools.count[int]" = field(default_factory=itertools.count)

    def pay(self, to: str, sun: int, *, sender: str = SENDER, result: str = "SUCCESS", **options: Any) -> str:
        """Write a plain transfer of TRX."""
        value = {"amount": sun, "owner_address": to_hex(sender), "to_address": to_hex(to)}
        return self._write("TransferContract", value, to=(to,), result=result, **options)

    def pay_trc10(self, to: str, units: int, **options: Any) -> str:
        """Write a transfer of a TRC10 token that somebody named TRX."""
        value = {
            "amount": units,
            "asset_name": b"TRX".hex(),
            "owner_address": to_hex(SENDER),
            "to_address": to_hex(to),
        }
        return self._write("TransferAssetContract", value, to=(to,), **options)

    def pay_token(
        self,
        to: str,
        units: int,
        *,
        contract: str = USDT,
        topic: str = TRANSFER_TOPIC,
        result: str = "SUCCESS",
        sender: str = SENDER,
        **options: Any,
    ) -> str:
        """Write a call of a TRC20 contract that leaves one event. Zero units: what address poisoners send."""
        return self.call(
            [log(to, units, contract=contract, topic=topic, sender=sender)], to=to, result=result, **options
        )

    def approve(self, to: str, units: int, **options: Any) -> str:
        """Write an approval, which moves nothing."""
        return self.pay_token(to, units, topic=APPROVAL_TOPIC, **options)

    def pay_internal(self, to: str, sun: int, *, result: str = "SUCCESS", **options: Any) -> str:
        """Write a call of a contract that sends TRX on; `note`, `rejected` and `token` change what it did."""
        names = {name: options.pop(name) for name in ("note", "rejected", "token") if name in options}
        return self.call([], [internal(to, sun, **names)], to=to, result=result, **options)

    def call(
        self,
        logs: list[dict[str, Any]],
        internals: list[dict[str, Any]] | None = None,
        *,
        to: str,
        result: str = "SUCCESS",
        **options: Any,
    ) -> str:
        """Write a call of a contract with these events and these internal transactions."""
        value = {"data": "a9059cbb", "owner_address": to_hex(SENDER), "contract_address": to_hex(USDT)}
        txid = self._write("TriggerSmartContract", value, to=(to,), result=result, is_token=bool(logs), **options)
        info = self.chain[txid].info
        info["receipt"]["result"] = result
        if logs:
            info["log"] = logs
        if internals:
            info["internal_transactions"] = internals
            self.chain[txid].internal_to = to
        return txid

    def solidify(self, txid: str) -> None:
        """Make a transaction final."""
        self.chain[txid].is_solid = True

    def vanish(self, txid: str) -> None:
        """Undo a transaction of the head, as a reorganisation does."""
        assert not self.chain[txid].is_solid
        del self.chain[txid]

    def _write(
        self,
        kind: str,
        value: dict[str, Any],
        *,
        to: tuple[str, ...],
        result: str = "SUCCESS",
        memo: str | None = None,
        is_token: bool = False,
        is_solid: bool = True,
        is_listed: bool = True,
        sender_at: int | None = None,
    ) -> str:
        number = next(self._count)
        txid = hashlib.sha256(f"transaction {number}".encode()).hexdigest()
        at = self.first_block_at + number * BLOCK_MS
        raw: dict[str, Any] = {
            "contract": [
                {"parameter": {"value": value, "type_url": f"type.googleapis.com/protocol.{kind}"}, "type": kind}
            ],
            "ref_block_bytes": "24f0",
            "ref_block_hash": "05c43724590c6646",
            "expiration": at + 60_000,
            "timestamp": at - 1000 if sender_at is None else sender_at,
        }
        if memo is not None:
            raw["data"] = memo.encode().hex()
        transaction = {
            "ret": [{"contractRet": result}],
            "signature": ["00" * 65],
            "txID": txid,
            "raw_data": raw,
            "raw_data_hex": "0a02",
        }
        info: dict[str, Any] = {
            "id": txid,
            "blockNumber": 66_985_120 + number,
            "blockTimeStamp": at,
            "contractResult": [""],
            "receipt": {"net_usage": 267},
        }
        if result != "SUCCESS":
            info["result"] = "FAILED"
        self.chain[txid] = Chained(txid, transaction, info, to, is_token, is_solid, is_listed)
        return txid


def log(
    to: str, units: int, *, contract: str = USDT, topic: str = TRANSFER_TOPIC, sender: str = SENDER
) -> dict[str, Any]:
    """Return an event of a token, as gettransactioninfobyid tells it."""
    parties = [to_hex(address)[2:].rjust(64, "0") for address in (sender, to)]
    return {"address": to_hex(contract)[2:], "topics": [topic, *parties], "data": f"{units:064x}"}


def internal(
    to: str, sun: int, *, note: str = "call", rejected: bool = False, token: str | None = None, number: int = 0
) -> dict[str, Any]:
    """Return an internal transaction, as gettransactioninfobyid tells it; `number` tells several of them apart."""
    value = {"callValue": sun} | ({"tokenId": token} if token else {})
    found: dict[str, Any] = {
        "hash": hashlib.sha256(f"internal {to} {number}".encode()).hexdigest(),
        "caller_address": to_hex(USDT),
        "transferTo_address": to_hex(to),
        "callValueInfo": [value],
        "note": note.encode().hex(),
    }
    return found | ({"rejected": True} if rejected else {})


@asynccontextmanager
async def trongrid(**knobs: Any) -> AsyncIterator[FakeTronGrid]:
    """Run the server; knobs are fields of `FakeTronGrid`."""
    fake = FakeTronGrid(**knobs)

    async def answer(request: web.Request) -> web.Response:
        return await _answer(fake, request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield fake
    finally:
        await runner.cleanup()


async def _answer(fake: FakeTronGrid, request: web.Request) -> web.Response:
    raw = await request.read()
    key = request.headers.get("TRON-PRO-API-KEY")
    body: dict[str, Any] = msgspec.json.decode(raw) if raw else {}
    fake.requests.append(Request(request.path, key, dict(request.query), body))
    if fake.hangs:
        await asyncio.sleep(60)
    if fake.is_down:
        return web.Response(status=503, text="upstream connect error")
    if key in fake.limited:
        said = "request rate exceeds the frequency limit(15), and the query server is suspended for 30s"
        return _json({"success": False, "error": said, "statusCode": 403}, status=fake.limited[key])
    if fake.keys and key not in fake.keys:
        return _json({"Error": "ApiKey not exists"}, status=401)
    if request.path == "/wallet/getblockbynum":
        return _json({"blockID": fake.genesis, "block_header": {"raw_data": {}}} if body == {"num": 0} else {})
    if fake.says:
        return web.Response(status=fake.says[0], body=fake.says[1])
    return _json(_found(fake, request, body))


def _json(found: Any, *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(found), content_type="application/json")


def _found(fake: FakeTronGrid, request: web.Request, body: dict[str, Any]) -> Any:
    root, _, name = request.path.removeprefix("/").partition("/")
    if root == "v1":
        parts = name.split("/")
        return _account(fake, parts[1]) if len(parts) == 2 else _history(fake, request, parts[1], parts[-1] == "trc20")
    match name:
        case "gettransactionbyid" | "gettransactioninfobyid":
            chained = fake.chain.get(body["value"])
            if chained is None or (root == "walletsolidity" and not chained.is_solid):
                return {}
            return chained.transaction if name == "gettransactionbyid" else chained.info
        case "getaccount":
            sun = fake.balances.get(body["address"])
            # The node leaves out a balance of nothing.
            return (
                {}
                if sun is None
                else {"address": body["address"], "create_time": 1} | ({"balance": sun} if sun else {})
            )
        case "getnowblock":
            raw = {"number": 66_985_120, "timestamp": fake.head_at}
            return {"blockID": "00" * 32, "block_header": {"raw_data": raw, "witness_signature": ""}}
    return {"Error": f"no such API: {name}"}


def _account(fake: FakeTronGrid, address: str) -> Any:
    held = [{contract: units} for contract, units in fake.tokens.get(address, {}).items()]
    known = address in fake.balances or held
    data = [{"address": to_hex(address), "balance": fake.balances.get(address, 0), "trc20": held}] if known else []
    return {"data": data, "success": True, "meta": {"at": fake.head_at, "page_size": len(data)}}


def _history(fake: FakeTronGrid, request: web.Request, address: str, is_token: bool) -> Any:
    since = int(request.query.get("min_timestamp", "0"))
    is_final_only = request.query.get("only_confirmed") == "true"
    listed = [
        item
        for item in fake.chain.values()
        if address in item.to and item.is_listed and (item.is_solid or not is_final_only) and item.block_at >= since
        and item.is_token == is_token
    ]  # fmt: skip
    size = min(int(request.query["limit"]), fake.page_size)
    first = int(request.query.get("fingerprint", "page0").removeprefix("page")) * size
    shown = listed[first : first + size]
    meta: dict[str, Any] = {"at": fake.head_at, "page_size": len(shown)}
    if first + size < len(listed):
        meta["fingerprint"] = f"page{first // size + 1}"
    return {"data": [_listed(item) for item in shown], "success": True, "meta": meta}


def _listed(item: Chained) -> dict[str, Any]:
    if item.internal_to:
        return {
            "internal_tx_id": item.info["internal_transactions"][0]["hash"],
            "tx_id": item.txid,
            "block_timestamp": item.block_at,
            "to_address": to_hex(item.internal_to),
            "data": {"note": b"call".hex(), "rejected": False, "call_value": {"_": 1}},
        }
    if item.is_token:
        value = str(int(item.info["log"][0]["data"], 16))
        token = {"symbol": "USDT", "address": USDT, "decimals": 6, "name": "Tether USD"}
        return {"transaction_id": item.txid, "token_info": token, "type": "Transfer", "value": value}
    return item.transaction | {"blockNumber": item.info["blockNumber"], "block_timestamp": item.block_at}
