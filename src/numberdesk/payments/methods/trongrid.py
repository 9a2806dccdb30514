"""The client of TRON's servers: keys in turn, a pace, a second server, and answers as values that never raise.

A listing says only which transactions are worth a look. What came is read by id from `/walletsolidity`, where blocks
are final, and told by `transfers_to` of `tron_transfers`.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeVar

import msgspec
import structlog
from aiohttp import ClientSession
from aiolimiter import AsyncLimiter

from numberdesk.base import http_client
from numberdesk.base.http_client import Answer, NoAnswer
from numberdesk.payments.methods import trongrid_parse as parse
from numberdesk.payments.methods.gateway import Trouble
from numberdesk.payments.methods.trongrid_parse import HeadTransaction, Info, Missing, SolidTransaction, Unreadable

log = structlog.get_logger()

Network = Literal["mainnet", "shasta", "nile"]

GENESIS: Final[Mapping[Network, str]] = {
    "mainnet": "00000000000000001ebf88508a03865c71d452e25f4d51194196a1d22b6653dc",
    "shasta": "0000000000000000de1aa88295e1fcf982742f773e0419c5a9c134c994a9059e",
    "nile": "0000000000000000d698d4192c56cb6be724a558448e2684802de4d6cd8690dc",
}
"""Ids of the first blocks: coins of a test network cost nothing, and look like any other."""
PAGES_MAX: Final = 20
PAGE_SIZE: Final = 200
"""The most that TronGrid gives at once."""
HISTORY_BODY_MAX: Final = 4 * 1024 * 1024
BODY_MAX: Final = 1024 * 1024
IN_THREAD_ABOVE: Final = 256 * 1024
"""Bytes of a body above which it is read in a thread, so that the other work of the process goes on meanwhile."""
REFUSED_KEY_SECONDS: Final = 300.0
WRONG_NETWORK_SECONDS: Final = 300.0

_TXID: Final = re.compile(r"[0-9a-fA-F]{64}")
_JSON: Final = "application/json"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Node:
    """One server, and the keys that are sent to it and to no other."""

    url: str
    keys: tuple[str, ...] = field(default=(), repr=False)


@dataclass(slots=True, eq=False)
class _Health:
    """What this process learned of one node. Times are of the event loop's clock."""

    key_rests_until: list[float]
    lost: int = 0
    odd: set[str] = field(default_factory=set)
    """Questions whose answer was not readable. One of them asked again says nothing new of the node: a transaction
    that its sender made unreadable must not shut the node for all others."""
    shut_until: float = 0.0
    is_checked: bool = False


@dataclass(frozen=True, slots=True)
class TronGrid:
    """TRON's network as this process reaches it, by `open_client`."""

    session: ClientSession = field(repr=False)
    nodes: tuple[Node, ...]
    genesis: str
    usdt_contract: str | None
    pace: AsyncLimiter = field(repr=False)
    deadline: float
    failures_max: int
    shut_seconds: float
    key_rest: float
    health: tuple[_Health, ...] = field(repr=False)


class History(NamedTuple):
    """Transactions of an address, oldest first; when it is cut there are more behind the last."""

    txids: list[str]
    is_cut: bool


class Balances(NamedTuple):
    """What an address holds; `usdt_units` is None when no contract was named."""

    sun: int
    usdt_units: int | None


@dataclass(frozen=True, slots=True)
class _Question:
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    body_max: int = BODY_MAX

    def name(self) -> str:
        return f"{self.path} {sorted(self.params.items())} {self.body!r}"


def open_client(
    session: ClientSession,
    *,
    primary: Node,
    second: Node | None = None,
    genesis: str = GENESIS["mainnet"],
    usdt_contract: str | None = None,
    calls_per_second: int,
    deadline: float = 10.0,
    failures_max: int = 5,
    shut_seconds: float = 30.0,
    key_rest: float = 30.0,
) -> TronGrid:
    """Make a client for one event loop.

    Args:
        genesis: the id of the first block of the network; a node of another network is never asked anything else.
        calls_per_second: of this process, over all keys.
        deadline: seconds for one request, and as many for the wait for its turn.
        failures_max: failures in a row after which a node is left alone.
        shut_seconds: how long it is left alone before one request tries it again.
        key_rest: how long a key rests that asked too often; TronGrid suspends it for 30 seconds.
    """
    nodes = (primary,) if second is None else (primary, second)
    return TronGrid(
        session=session,
        nodes=nodes,
        genesis=genesis,
        usdt_contract=usdt_contract,
        pace=AsyncLimiter(calls_per_second, 1),
        deadline=deadline,
        failures_max=failures_max,
        shut_seconds=shut_seconds,
        key_rest=key_rest,
        health=tuple(_Health([0.0] * max(1, len(node.keys))) for node in nodes),
    )


async def history(
    client: TronGrid, address: str, *, since_ms: int, asset: Literal["trx", "usdt"], with_head: bool = False
) -> History | Trouble:
    """Return the ids of transactions to an address since a block time, oldest first.

    They may hold anything: tokens, failed calls, what was seen before. Of more than `PAGES_MAX` pages the oldest come.

    Args:
        with_head: also those in blocks that may still be undone.
    """
    path = f"/v1/accounts/{address}/transactions"
    params = {
        "only_to": "true",
        "only_confirmed": "true",
        "limit": str(PAGE_SIZE),
        "order_by": "block_timestamp,asc",
        "min_timestamp": str(since_ms),
    }
    if with_head:
        del params["only_confirmed"]
    if asset == "usdt":
        if client.usdt_contract is None:
            return Trouble("no contract of USDT is set", is_refusal=True)
        path, params["contract_address"] = f"{path}/trc20", client.usdt_contract
    found: dict[str, None] = {}
    for _ in range(PAGES_MAX):
        answer = await _ask(client, _Question(path, params, body_max=HISTORY_BODY_MAX), parse.page)
        if isinstance(answer, Trouble):
            return answer
        found |= dict.fromkeys(answer.txids)
        if answer.fingerprint is None:
            return History(list(found), is_cut=False)
        if answer.fingerprint == params.get("fingerprint"):
            return Trouble("the history goes in a circle")
        params = {**params, "fingerprint": answer.fingerprint}
    log.warning("tron_history_cut", address=address, transactions=len(found))
    return History(list(found), is_cut=True)


async def solid_transaction(client: TronGrid, txid: str) -> SolidTransaction | Missing | Trouble:
    """Return a transaction that can no longer vanish. `txid` may be what a customer typed."""
    found = await _both(client, "/walletsolidity", txid)
    return SolidTransaction(found[0].txid, *found) if isinstance(found, tuple) else found


async def head_transaction(client: TronGrid, txid: str) -> HeadTransaction | Missing | Trouble:
    """Return a transaction of the newest blocks, which may still vanish: it credits nothing."""
    found = await _both(client, "/wallet", txid)
    return HeadTransaction(found[0].txid, *found) if isinstance(found, tuple) else found


async def balances(client: TronGrid, address: str, *, usdt_contract: str | None) -> Balances | Trouble:
    """Return what an address holds; one that was never used holds nothing."""
    question = _post("/walletsolidity/getaccount", address=address, visible=True)
    sun = await _ask(client, question, lambda body: parse.balance(body, address=address))
    if isinstance(sun, Trouble) or usdt_contract is None:
        return sun if isinstance(sun, Trouble) else Balances(sun, None)
    units = await _ask(
        client,
        _Question(f"/v1/accounts/{address}", {"only_confirmed": "true"}),
        lambda body: parse.token_balance(body, address=address, contract=usdt_contract),
    )
    return units if isinstance(units, Trouble) else Balances(sun, units)


async def head_age(client: TronGrid, *, now: datetime) -> float | Trouble:
    """Return how many seconds old the newest final block is: some 60 when all is well."""
    at = await _ask(client, _post("/walletsolidity/getnowblock"), parse.block_at)
    return at if isinstance(at, Trouble) else (now - at).total_seconds()


async def _both(client: TronGrid, root: str, txid: str) -> tuple[parse.Transaction, Info] | Missing | Trouble:
    """Read a transaction and its outcome, and make sure that they are of the one that was asked for."""
    if not _TXID.fullmatch(txid):
        return Trouble("it is no id of a transaction", is_refusal=True)
    txid = txid.lower()
    # Without `visible` addresses and the memo come in hex; with it, a memo could not be told from its own hex digits.
    question = _post(f"{root}/gettransactionbyid", value=txid)
    body: parse.Transaction | Missing | Trouble = await _ask(client, question, parse.transaction)
    if isinstance(body, Missing | Trouble):
        return body
    question = _post(f"{root}/gettransactioninfobyid", value=txid)
    info: Info | Missing | Trouble = await _ask(client, question, parse.info)
    if isinstance(info, Missing | Trouble):
        return info
    if not body.txid == info.txid == txid:
        log.warning("tron_answer_of_another_transaction", txid=txid)
        return Trouble("the answer is about another transaction")
    return body, info


def _post(path: str, **fields: str | int | bool) -> _Question:
    return _Question(path, body=msgspec.json.encode(fields))


async def _ask(client: TronGrid, question: _Question, read: Callable[[bytes], T | Unreadable]) -> T | Trouble:
    """Ask the first node that is not shut and has a key that does not rest."""
    loop = asyncio.get_running_loop()
    until = loop.time() + client.deadline
    free_at: list[float] = []
    for node, health in zip(client.nodes, client.health, strict=True):
        now = loop.time()
        if health.shut_until > now:
            free_at.append(health.shut_until)
            continue
        if _has_failed_enough(client, health):
            # This request tries the node again; the others go on leaving it alone until it has an answer.
            health.shut_until = now + client.shut_seconds
        if not health.is_checked:
            trouble = await _check_network(client, node, health, until)
            if trouble is not None:
                return trouble
        if health.is_checked:
            answer = await _ask_node(client, node, health, question, read, until)
            if answer is not None:
                return answer
        free_at.append(max(health.shut_until, min(health.key_rests_until)))
    return Trouble("no node can be asked now", retry_after=max(0.1, min(free_at) - loop.time()))


async def _check_network(client: TronGrid, node: Node, health: _Health, until: float) -> Trouble | None:
    """Ask a node once for its first block; a node of another network is shut and stays unchecked."""
    question = _post("/wallet/getblockbynum", num=0)
    genesis = await _ask_node(client, node, health, question, parse.genesis, until)
    if genesis is None or isinstance(genesis, Trouble):
        return genesis
    if genesis == client.genesis:
        health.is_checked = True
        return None
    log.error("tron_wrong_network", node=client.nodes.index(node), genesis=genesis)
    health.shut_until = asyncio.get_running_loop().time() + WRONG_NETWORK_SECONDS
    return None


async def _ask_node(
    client: TronGrid,
    node: Node,
    health: _Health,
    question: _Question,
    read: Callable[[bytes], T | Unreadable],
    until: float,
) -> T | Trouble | None:
    """Ask one node with one key after the other; None when all of them rest."""
    loop = asyncio.get_running_loop()
    for place, key in enumerate(node.keys or ("",)):
        if health.key_rests_until[place] > loop.time():
            continue
        if not await _has_turn(client, until):
            return Trouble("no turn came before the deadline", retry_after=1.0)
        answer = await _send(client, node, key, question)
        if answer is http_client.CLOSED:
            return Trouble(http_client.CLOSED.reason)
        if answer is http_client.TOO_LARGE:
            return _odd(client, health, question, http_client.TOO_LARGE.reason)
        if isinstance(answer, NoAnswer):
            return _lost(client, health, answer.reason)
        if (rest := _rest_of_key(client, answer)) is not None:
            log.warning("tron_key_rests", node=client.nodes.index(node), key=place + 1, status=answer.status)
            health.key_rests_until[place] = loop.time() + rest
            continue
        if answer.status >= 500:
            return _lost(client, health, f"HTTP {answer.status}")
        found = await _parsed(read, answer) if answer.status == 200 else Unreadable(f"HTTP {answer.status}")
        if isinstance(found, Unreadable):
            return _odd(client, health, question, found.reason)
        health.lost, health.shut_until = 0, 0.0
        health.odd.clear()
        return found
    return None


async def _send(client: TronGrid, node: Node, key: str, question: _Question) -> Answer | NoAnswer:
    headers = {"Accept": _JSON}
    if key:
        headers["TRON-PRO-API-KEY"] = key
    if question.body is not None:
        headers["Content-Type"] = _JSON
    return await http_client.send(
        client.session,
        "GET" if question.body is None else "POST",
        node.url.rstrip("/") + question.path,
        params=question.params,
        headers=headers,
        body=question.body,
        deadline=client.deadline,
        body_max=question.body_max,
    )


async def _has_turn(client: TronGrid, until: float) -> bool:
    try:
        async with asyncio.timeout_at(until):
            await client.pace.acquire()
    except TimeoutError:
        return False
    return True


async def _parsed(read: Callable[[bytes], T | Unreadable], answer: Answer) -> T | Unreadable:
    if len(answer.body) <= IN_THREAD_ABOVE:
        return read(answer.body)
    return await asyncio.to_thread(read, answer.body)


def _rest_of_key(client: TronGrid, answer: Answer) -> float | None:
    """Return how long the key must rest after this answer, or None."""
    if answer.status == 429 or (answer.status in (403, 503) and b"frequency limit" in answer.body[:2000].lower()):
        return client.key_rest
    return REFUSED_KEY_SECONDS if answer.status in (401, 403) else None


def _lost(client: TronGrid, health: _Health, reason: str) -> Trouble:
    health.lost += 1
    return _after_failure(client, health, reason)


def _odd(client: TronGrid, health: _Health, question: _Question, reason: str) -> Trouble:
    if len(health.odd) < client.failures_max:
        health.odd.add(question.name())
    return _after_failure(client, health, reason)


def _after_failure(client: TronGrid, health: _Health, reason: str) -> Trouble:
    if _has_failed_enough(client, health):
        log.warning("tron_node_shut", node=client.health.index(health), problem=reason)
        health.shut_until = asyncio.get_running_loop().time() + client.shut_seconds
    return Trouble(reason)


def _has_failed_enough(client: TronGrid, health: _Health) -> bool:
    return health.lost + len(health.odd) >= client.failures_max
