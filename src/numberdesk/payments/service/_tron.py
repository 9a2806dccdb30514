"""TRON: reading the histories of customers' addresses, and looking at one transaction that a customer names.

A history says where to look, and nothing more. What credits is the transaction itself, asked for by its id and final.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

import structlog

from numberdesk.base import clock
from numberdesk.base.errors import InvalidFields
from numberdesk.base.passes import each
from numberdesk.payments import sql
from numberdesk.payments.methods import tron_transfers, trongrid
from numberdesk.payments.methods.gateway import Trouble
from numberdesk.payments.methods.tron_transfers import Detected, Transfer
from numberdesk.payments.methods.trongrid_parse import HeadTransaction, Missing, SolidTransaction
from numberdesk.payments.model import Asset, PaymentState, Proof, Recharge, TronAddress
from numberdesk.payments.service._errors import MethodClosed, WrongMethod
from numberdesk.payments.service._read import find
from numberdesk.payments.service._settle import LATE, settle
from numberdesk.payments.service._till import Chain, Till
from numberdesk.wallet.model import AccountId

log = structlog.get_logger()

OVERLAP = timedelta(minutes=30)
"""A history is read again so far back: TronGrid's index lags, and what was seen is known by its id."""
HOT, WARM, COLD = timedelta(seconds=15), timedelta(hours=1), timedelta(days=7)
AT_ONCE = 5
LEASE = timedelta(minutes=10)
FINAL_AFTER = timedelta(seconds=90)
GIVE_UP_AFTER = timedelta(hours=24)
"""A transaction that its node cannot print for so long does not hold up the others of its address for ever."""
LOOKS_MAX = 50
"""Transactions looked at in one scan of an address; the rest has its turn soon after."""
FOREIGN_MAX = 100_000
LAST_TRIED = 5
TXID_LENGTH = 64
LAG_SECONDS = 300
"""The newest final block is a minute old when all is well."""

Seen = Literal["credited", "known", "waiting", "in_review", "detected", "not_ours", "unknown"]


async def scan_due(till: Till, *, limit: int = 20) -> int:
    """Read the histories of addresses whose turn it is, and settle what is final and ours.

    Returns:
        How many addresses were looked at.
    """
    if till.chain is None:
        return 0
    async with till.db.transaction() as tx:
        taken = await sql.lease_addresses(tx, lease=LEASE, limit=limit)
    await each(taken, partial(_scan_one, till, till.chain), at_once=AT_ONCE)
    return len(taken)


async def _scan_one(till: Till, chain: Chain, address: TronAddress) -> None:
    try:
        found = await scan(till, chain, address)
    except Exception:
        log.exception("tron_scan_failed", address_id=address.id)
        found = Scanned(None, is_behind=True)
    async with till.db.statement() as tx:
        await sql.set_read(tx, address, read_to=found.read_to, is_behind=found.is_behind, hot=HOT, warm=WARM, cold=COLD)


@dataclass(frozen=True, slots=True)
class Scanned:
    """How far a history is read now."""

    read_to: datetime | None
    """None when some of it could not be read, so that the next look begins where this one did."""
    is_behind: bool
    """There is more to read."""


@dataclass
class _Part:
    """What was read of the history of one asset."""

    is_cut: bool
    on_way: list[Detected] = field(default_factory=list)
    has_failed: bool = False
    reached: datetime | None = None
    """The block time of the last transaction that was read; what comes after it is read next time."""


async def scan(till: Till, chain: Chain, address: TronAddress) -> Scanned:
    """Read the history of one address, some transactions at a time, and settle what is final and ours."""
    started = clock.now()
    since = int((address.read_to - OVERLAP).timestamp() * 1000)
    parts: list[_Part] = []
    for asset in _assets(till):
        found = await trongrid.history(chain.grid, address.address, since_ms=since, asset=asset, with_head=True)
        if isinstance(found, Trouble):
            log.warning("tron_history_failed", address_id=address.id, problem=found.reason)
            return Scanned(None, is_behind=True)
        parts.append(await _read_part(till, chain, found))
    has_failed = any(part.has_failed for part in parts)
    cut = [part for part in parts if part.is_cut]
    on_way = [item for part in parts for item in part.on_way]
    await _show_detected(till, address, on_way, is_all=not has_failed and not cut)
    if has_failed and (address.failing_since is None or started - address.failing_since < GIVE_UP_AFTER):
        return Scanned(None, is_behind=True)
    if has_failed:
        log.error("tron_transactions_given_up", address_id=address.id)  # the daily comparison still finds their money
    if cut:
        ends = [part.reached for part in cut if part.reached is not None]
        return Scanned(min(ends) + OVERLAP if len(ends) == len(cut) else None, is_behind=True)
    return Scanned(started - FINAL_AFTER, is_behind=False)


async def _read_part(till: Till, chain: Chain, history: trongrid.History) -> _Part:
    async with till.db.statement() as tx:
        known = await sql.list_known_txids(tx, history.txids)
    unread = [txid for txid in history.txids if txid not in known and txid not in chain.foreign]
    part = _Part(history.is_cut or len(unread) > LOOKS_MAX)
    for txid in unread[:LOOKS_MAX]:
        looked = await _look(till, chain, txid)
        if isinstance(looked, Trouble):
            log.warning("tron_transaction_not_read", txid=txid, problem=looked.reason)
            part.has_failed = True
            continue
        part.on_way += looked.on_way
        if looked.final_at is not None:
            part.reached = looked.final_at
            if not looked.transfers:
                _remember(chain, txid)
    if history.is_cut and len(unread) <= LOOKS_MAX:
        part.reached = await _last_time(chain, history.txids)
    return part


def _remember(chain: Chain, txid: str) -> None:
    chain.foreign[txid] = None
    if len(chain.foreign) > FOREIGN_MAX:
        del chain.foreign[next(iter(chain.foreign))]


async def _last_time(chain: Chain, txids: Sequence[str]) -> datetime | None:
    """Return the block time of the last transaction of a list that is final."""
    for txid in txids[: -LAST_TRIED - 1 : -1]:
        last = await trongrid.solid_transaction(chain.grid, txid)
        if isinstance(last, SolidTransaction):
            return last.info.block_at
    return None


async def watch_chain(till: Till) -> None:
    """Say so when the node's newest final block is old: then nothing is credited, and nobody would know why."""
    if till.chain is None:
        return
    age = await chain_lag(till.chain)
    if isinstance(age, str):
        log.warning("tron_node_not_asked", problem=age)
    elif age > LAG_SECONDS:
        log.error("tron_node_lags", seconds=age)


async def chain_lag(chain: Chain) -> int | str:
    """Return how many seconds old the node's newest final block is, or why that is not known."""
    age = await trongrid.head_age(chain.grid, now=clock.now())
    return age.reason if isinstance(age, Trouble) else int(age)


def _assets(till: Till) -> list[Asset]:
    return ["trx"] if till.rules.usdt_contract is None else ["trx", "usdt"]


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a transaction brought us: settled, or on its way."""

    transfers: Sequence[Transfer] = ()
    on_way: Sequence[Detected] = ()
    final_at: datetime | None = None


async def _look(till: Till, chain: Chain, txid: str) -> _Looked | Trouble:
    """Settle what a transaction brought us, if it is final; else return what is on its way."""
    solid = await trongrid.solid_transaction(chain.grid, txid)
    if isinstance(solid, Trouble):
        return solid
    if isinstance(solid, SolidTransaction):
        transfers = await _ours_in(till, solid)
        outcomes = await settle(till, await _proofs(till, transfers))
        if any(item.outcome == "failed" for item in outcomes):
            return Trouble("it could not be settled")
        return _Looked(transfers, final_at=solid.info.block_at)
    head = await trongrid.head_transaction(chain.grid, txid)
    if isinstance(head, Trouble):
        return head
    return _Looked() if isinstance(head, Missing) else _Looked(on_way=await _ours_in_head(till, head))


async def _ours_in(till: Till, solid: SolidTransaction) -> list[Transfer]:
    everything = tron_transfers.transfers_to(
        solid, ours=lambda _address: True, usdt_contract=till.rules.usdt_contract, with_internal=True
    )
    ours = {item.address for item in await _our_addresses(till, (item.to_address for item in everything))}
    return [item for item in everything if item.to_address in ours]


async def _ours_in_head(till: Till, head: HeadTransaction) -> list[Detected]:
    everything = tron_transfers.detected_in(
        head, ours=lambda _address: True, usdt_contract=till.rules.usdt_contract, with_internal=True
    )
    ours = {item.address for item in await _our_addresses(till, (item.to_address for item in everything))}
    return [item for item in everything if item.to_address in ours]


async def _our_addresses(till: Till, addresses: Iterable[str]) -> list[TronAddress]:
    wanted = sorted(set(addresses))
    if not wanted:
        return []
    async with till.db.statement() as tx:
        return await sql.find_by_address(tx, wanted)


async def _proofs(till: Till, transfers: Sequence[Transfer]) -> list[Proof]:
    named = [name for item in transfers for name in (item.to_address, item.from_address) if name is not None]
    ours = {item.address: item for item in await _our_addresses(till, named)}
    own = ours.keys() | till.rules.own_addresses
    return [
        Proof(
            rail=item.asset, external_id=item.external_id, kind="chain", paid_at=item.block_at, units=item.units,
            account_id=ours[item.to_address].account_id, address_id=ours[item.to_address].id,
            # What the operator sends himself is nobody's payment; it is written down, or it would seem to be missing.
            why="own_move" if item.from_address in own else None,
            raw=item.raw.decode("utf-8", "replace"), payer=item.from_address,
        )
        for item in transfers
    ]  # fmt: skip


async def _show_detected(till: Till, address: TronAddress, on_way: Sequence[Detected], *, is_all: bool) -> None:
    """Show customers what is on its way, and take it back from the time line when it vanished.

    Args:
        is_all: nothing else is on its way to this address; otherwise nothing can be said to have vanished.
    """
    assets = {item.asset for item in on_way if item.to_address == address.address}
    async with till.db.transaction() as tx:
        waiting = await sql.list_open_at(tx, [address.id], late=LATE)
        locked = await sql.lock_recharges(tx, sorted(item.id for item in waiting))
        for recharge in locked:
            if recharge.method in assets:
                if await sql.set_detected(tx, recharge.id):
                    await sql.insert_event(tx, recharge.id, "detected")
            elif is_all and recharge.status == "detected" and await sql.set_vanished(tx, recharge.id):
                await sql.insert_event(tx, recharge.id, "vanished")


async def claim_txid(till: Till, *, account_id: AccountId, ref: str, txid: str) -> tuple[Recharge, Seen]:
    """Look at a transaction that a customer names; money in it is credited to the owner of its address, nobody else.

    Raises:
        InvalidFields: it is no transaction's id.
        NotFound: there is no such recharge of this account.
        WrongMethod: it is not paid on this chain.
        MethodClosed: the chain is not set up any more.
        TooMany: too many claims in an hour.
    """
    wanted = _txid(txid)
    recharge = await find(till.db, account_id=account_id, ref=ref)
    if recharge.address_id is None:
        raise WrongMethod(method=recharge.rail)
    if till.chain is None:
        raise MethodClosed(method=recharge.method, reason="it is not set up any more")
    await till.limiter.admit("claim", str(account_id))
    async with till.db.statement() as tx:
        address = await sql.get_address(tx, recharge.address_id)
        await sql.set_hot(tx, address.id, lasting=timedelta(minutes=30))
    looked = await till.db.to_the_end(_look(till, till.chain, wanted))
    if isinstance(looked, Trouble):
        log.warning("tron_look_failed", problem=looked.reason)
        return recharge, "unknown"
    on_way = [item for item in looked.on_way if item.to_address == address.address]
    if on_way:
        await _show_detected(till, address, on_way, is_all=False)
    async with till.db.statement() as tx:
        now = await sql.get_recharge(tx, recharge.id)
        keys = [(item.asset, item.external_id) for item in looked.transfers if item.to_address == address.address]
        payments = await sql.find_payments(tx, keys) if keys else []
    if on_way:
        return now, "detected"
    if not payments:
        return now, "unknown"  # also when it paid somebody else here: that is nobody's business
    words: dict[PaymentState, Seen] = {
        "credited": "credited", "waiting": "waiting", "suspense": "in_review", "returned": "known",
        "ignored": "not_ours",
    }  # fmt: skip
    return now, words[min(item.state for item in payments)]


def _txid(text: str) -> str:
    """Return a transaction's id as it was typed, in small letters.

    Raises:
        InvalidFields: it is none; says what it is instead.
    """
    cleaned = text.strip().lower().removeprefix("0x")
    if len(cleaned) == TXID_LENGTH and all(sign in "0123456789abcdef" for sign in cleaned):
        return cleaned
    if text.strip().startswith("T") and len(text.strip()) == 34:
        raise InvalidFields({"txid": "is an address: the transaction's id (hash) has 64 characters of 0-9 and a-f"})
    raise InvalidFields({"txid": "must be the transaction's id (hash): 64 characters of 0-9 and a-f"})
